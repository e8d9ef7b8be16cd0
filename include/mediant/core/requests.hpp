// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

/// ioctl as a closed set of typed requests, each naming its answer. A policy overloads
/// `result<R::answer> ioctl(const R&, auto& next)` for those that it mediates; the rest pass. The back end has
/// checked sizes and flags and copied user memory before a request is made. The flag bits are those of
/// linux/vfio.h; the edges assert that.
namespace mediant {

/// VFIO_DEVICE_GET_INFO.
struct get_device_info {
    struct answer {
        std::uint32_t regions = 0;
        std::uint32_t irqs = 0;
        bool can_reset = false;
    };
};

/// VFIO_REGION_INFO_FLAG_*, without CAPS, which follows from what is attached.
enum class region_flags : std::uint32_t { none = 0, read = 1, write = 2, mmap = 4 };
[[nodiscard]] constexpr region_flags operator|(region_flags a, region_flags b) noexcept {
    return region_flags{static_cast<std::uint32_t>(a) | static_cast<std::uint32_t>(b)};
}
[[nodiscard]] constexpr region_flags operator&(region_flags a, region_flags b) noexcept {
    return region_flags{static_cast<std::uint32_t>(a) & static_cast<std::uint32_t>(b)};
}
[[nodiscard]] constexpr region_flags without(region_flags a, region_flags b) noexcept {
    return region_flags{static_cast<std::uint32_t>(a) & ~static_cast<std::uint32_t>(b)};
}
[[nodiscard]] constexpr bool has(region_flags all, region_flags some) noexcept { return (all & some) == some; }

/// VFIO_DEVICE_GET_REGION_INFO. Which parts can be mapped is a question of its own (next_area).
struct get_region_info {
    struct answer {
        std::uint64_t size = 0; ///< bytes; 0 where the device has no such region
        region_flags flags = region_flags::none;
    };
    region_index region;
};

/// Interrupt kinds of a vfio-pci device (VFIO_PCI_*_IRQ_INDEX), and one more of a device whose policies switch dynamic
/// ranges: what can be mapped is another than it was, and region info is to be read again.
enum class irq_index : std::uint32_t { intx, msi, msix, err, req, regions_changed };
inline constexpr std::uint32_t fixed_irqs = 5;
inline constexpr std::uint32_t most_irqs = fixed_irqs + 1;

/// VFIO_IRQ_INFO_*.
enum class irq_flags : std::uint32_t { none = 0, eventfd = 1, maskable = 2, automasked = 4, noresize = 8 };
[[nodiscard]] constexpr irq_flags operator|(irq_flags a, irq_flags b) noexcept {
    return irq_flags{static_cast<std::uint32_t>(a) | static_cast<std::uint32_t>(b)};
}

/// VFIO_DEVICE_GET_IRQ_INFO.
struct get_irq_info {
    struct answer {
        irq_flags flags = irq_flags::none;
        std::uint32_t count = 0; ///< vectors of this kind
    };
    irq_index index;
};

/// VFIO_DEVICE_SET_IRQS: one action on the vectors [start, start + count) of one kind.
struct set_irqs {
    using answer = void;
    enum class action : std::uint8_t { mask, unmask, trigger };
    enum class data : std::uint8_t {
        none,     ///< acts on the whole range; with trigger and count 0 it disables the index
        bools,    ///< acts on those whose byte in `bools` is not 0
        eventfds, ///< sets the vectors' eventfds, -1 takes one away; the callee duplicates what it keeps
    };
    irq_index index;
    action what;
    data how;
    std::uint32_t start;
    std::uint32_t count;
    std::span<const std::uint8_t> bools;
    std::span<const int> eventfds;
};

/// VFIO_DEVICE_RESET. When it has succeeded, the policies' reset() runs.
struct reset_device {
    using answer = void;
};

class remote_memory;

/// Memory that the device may reach from now on (vfio-user's DMA_MAP). `memory` is empty where the client
/// shares none and must be asked for each transfer: by `remote`, where that can be.
struct map_dma {
    using answer = void;
    std::uint64_t iova;
    std::uint64_t size;
    bool readable;
    bool writable;
    std::span<std::byte> memory;
    remote_memory* remote = nullptr;
    int file = -1;                 ///< that memory, for who passes it on; the callee duplicates what it keeps
    std::uint64_t file_offset = 0; ///< of its first byte
};

/// The memory is gone when this returns (vfio-user's DMA_UNMAP); names exactly what was mapped.
struct unmap_dma {
    using answer = void;
    std::uint64_t iova;
    std::uint64_t size;
};

/// VFIO_DEVICE_FEATURE_DMA_LOGGING_START: from now on what the device writes to memory is logged, in these ranges of
/// I/O addresses or, with none, all. Answers the page size that is tracked, which may be another than the hint.
struct start_dma_logging {
    using answer = std::uint64_t;
    std::uint64_t page; ///< bytes
    std::span<const range> ranges;
};

/// VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP.
struct stop_dma_logging {
    using answer = void;
};

/// VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT: a bit for each `page` bytes from `iova` on that were written since the last
/// report of them. `bitmap` has length / page bits, rounded up to words.
struct report_dma_logging {
    using answer = void;
    std::uint64_t iova;
    std::uint64_t length; ///< bytes; of 0 nothing is reported: error::invalid where there is logging at all
    std::uint64_t page;   ///< bytes
    std::span<std::uint64_t> bitmap;
    bool forgets = true; ///< what is reported; else the next report says it again
};

/// The closed set.
template <class R>
concept request = std::same_as<R, get_device_info> || std::same_as<R, get_region_info> ||
                  std::same_as<R, get_irq_info> || std::same_as<R, set_irqs> || std::same_as<R, reset_device> ||
                  std::same_as<R, map_dma> || std::same_as<R, unmap_dma> || std::same_as<R, start_dma_logging> ||
                  std::same_as<R, stop_dma_logging> || std::same_as<R, report_dma_logging>;

} // namespace mediant
