// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/mediant.hpp>

namespace plugged {
using namespace mediant;

/// A config map, BARs shaped by it, and requests.
struct shaped {
    static constexpr auto info = provider{"shaped", {pci_id{0x1234, 0x0001}}};
    static constexpr auto bar0 = region_map{bar{0}, 8_KiB,
        reg{"IDENT", 0x00, ro, {.hook = on::read}}, reg{"EVENTS", 0x28, w1c, {.backing = from::shadow, .value = 0xff}}};
    static constexpr auto config = config_map{
        config_id{.device = 0x5555},
        shadow_bytes{"SCRATCH", 0xc0, 2, {.value = 0x1122, .writable = 0x00ff}},
        observe_writes{"COMMAND", 0x04, 2},
        hide_capability{cap::msi},
        hide_upper_half{0}};
    static constexpr auto regions = mediant::regions<bar0, config>{};

    result<std::uint32_t> read(at<bar0, "IDENT">, auto&) noexcept { return (++reads << 16) | commands; }
    result<void> written(at<config, "COMMAND">, lanes<std::uint16_t> what, auto&) noexcept {
        commands = static_cast<std::uint16_t>(what.value);
        return (what.value & 0x400) != 0 ? error::denied : error::none;
    }
    result<get_device_info::answer> ioctl(const get_device_info& what, auto& next) noexcept {
        auto out = next.ioctl(what);
        if (out) out->irqs -= 1;
        return out;
    }
    result<get_irq_info::answer> ioctl(const get_irq_info& what, auto& next) noexcept {
        auto out = next.ioctl(what);
        if (out && what.index == irq_index::msix) out->count /= 2;
        return out;
    }
    result<void> ioctl(const reset_device& what, auto& next) noexcept {
        if (++asked == 2) return error::busy;
        return next.ioctl(what);
    }
    void reset() noexcept { reads = 0; }
    result<void> ioctl(const report_dma_logging& what, auto& next) noexcept {
        next.dirty(0x7000, 1);
        next.dirty(std::uint64_t{5000} << 12, ~std::uint64_t{0}); // as far as there are addresses
        return next.ioctl(what);
    }

    std::uint16_t commands = 0;
    std::uint32_t reads = 0;
    int asked = 0;
};
static_assert(valid<shaped>);

/// Whoever has another than the first revision of the device: its own constant tells them apart.
struct general {
    static constexpr auto info = provider{"general", {pci_id{0x1234, 0x0002}}};
    static constexpr auto bar0 =
        region_map{bar{0}, 4_KiB, reg{"WHO", 0x00, ro, {.backing = from::constant, .value = 1}}};
    static constexpr auto regions = mediant::regions<bar0>{};
};
struct branded {
    static constexpr auto info = provider{"branded", {pci_id{0x1234, 0x0002, 0x1af4, 0x1100}}};
    static constexpr auto bar0 =
        region_map{bar{0}, 4_KiB, reg{"WHO", 0x00, ro, {.backing = from::constant, .value = 2}}};
    static constexpr auto regions = mediant::regions<bar0>{};
    /// Declines where its device says so.
    result<void> open(auto& next) noexcept {
        const auto mark = next.template load<std::uint32_t>(bar{0}, 0x800);
        if (!mark) return mark.error();
        if (*mark == 1) return error::no_device;
        return *mark == 2 ? error::io : error::none;
    }
};

/// Fetches the state of its device, one register, beside its own.
struct fetched {
    static constexpr auto info = provider{"fetched", {pci_id{0x1234, 0x0004}}};
    static constexpr auto bar0 =
        region_map{bar{0}, 4_KiB, reg{"MINE", 0x00, rw, {.backing = from::shadow}}, reg{"LEVEL", 0x10}};
    static constexpr auto regions = mediant::regions<bar0>{};
    static constexpr auto migration() { return saved_state{1, saved_registers<bar0>{}}; }

    result<std::size_t> save(std::uint64_t offset, std::span<std::byte> to, auto& next) noexcept {
        if (offset != 0 || to.size() < 4) return std::size_t{0};
        const auto now = next.read(at<bar0, "LEVEL">{});
        if (!now) return now.error();
        for (unsigned i = 0; i < 4; ++i) to[i] = static_cast<std::byte>(*now >> 8 * i);
        return std::size_t{4};
    }
    result<void> restore(std::uint64_t offset, std::span<const std::byte> from, auto& next) noexcept {
        for (std::size_t i = 0; i < from.size(); ++i)
            if (offset + i < 4) level |= std::to_integer<std::uint32_t>(from[i]) << 8 * (offset + i);
        return next.write(at<bar0, "LEVEL">{}, level);
    }
    void reset() noexcept { level = 0; }

    std::uint32_t level = 0;
};
static_assert(valid<fetched>);

} // namespace plugged
