// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/device/unique_fd.hpp>
#include <mediant/libvfio_user/api.hpp>
#include <mediant/migration/state.hpp>
#include <mediant/vfio_user/servable.hpp>

#include <sys/stat.h>
#include <sys/types.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace mediant::libvfio_user {

using vfio_user::servable;

/// libvfio-user cannot carry something of a device; what() names it.
class refusal : public std::runtime_error {
public:
    explicit refusal(const std::string& what) : std::runtime_error{"libvfio-user cannot carry this device: " + what} {}
};

/// What libvfio-user is told of a device before there is a client, and cannot be told again.
struct shape {
    struct region {
        std::uint64_t size = 0;
        region_flags flags = region_flags::none;
        std::vector<range> areas{}; ///< that clients map; none: nothing
        int file = -1;              ///< the device's, of the areas
        std::uint64_t file_offset = 0;
        dev_t file_system = 0; ///< which file that is
        ino_t inode = 0;

        /// But for which file it is.
        friend bool operator==(const region& a, const region& b) noexcept {
            return a.size == b.size && a.flags == b.flags && a.areas == b.areas && (a.file < 0) == (b.file < 0) &&
                   a.file_offset == b.file_offset;
        }
        [[nodiscard]] bool same_file(const region& other) const noexcept {
            return file_system == other.file_system && inode == other.inode;
        }
    };
    struct kind {
        std::uint32_t count = 0;
        irq_flags flags = irq_flags::none;
        friend bool operator==(const kind&, const kind&) = default;
    };

    std::array<region, fixed_regions> regions{};
    std::array<kind, fixed_irqs> irqs{};
    bool can_reset = false;
    bool switches = false;       ///< it has irq_index::regions_changed
    std::uint64_t migration = 0; ///< flags of how it migrates; 0: it does not

    [[nodiscard]] const region& operator[](region_index which) const noexcept {
        return regions[static_cast<std::size_t>(which)];
    }
    [[nodiscard]] const kind& operator[](irq_index which) const noexcept {
        return irqs[static_cast<std::size_t>(which)];
    }
    friend bool operator==(const shape&, const shape&) = default;
};

/// The descriptors that libvfio-user takes from a client, and hands to it, in one message
/// (VFIO_USER_CLIENT_MAX_MSG_FDS_LIMIT, which its headers do not tell). It sends one for each area.
inline constexpr std::size_t most_areas = 16;

namespace detail {

[[nodiscard]] inline bool able(irq_flags all, irq_flags one) noexcept {
    return (static_cast<std::uint32_t>(all) & static_cast<std::uint32_t>(one)) != 0;
}

template <servable Device>
void measure_areas(Device& device, region_index index, shape::region& to) {
    if (!has(to.flags, region_flags::mmap)) return;
    if constexpr (vfio_user::has_memory_fd<Device>) to.file = device.memory_fd(index);
    struct stat file {};
    if (to.file < 0 || ::fstat(to.file, &file) != 0) {
        to.file = -1;
        return;
    }
    to.file_system = file.st_dev;
    to.inode = file.st_ino;
    if constexpr (requires { device.memory_offset(index); }) to.file_offset = device.memory_offset(index);
    constexpr std::uint64_t page = 4096;
    for (range area = device.next_area(index, page, 0); !area.empty() && fits(area.offset, area.size, to.size);
         area = device.next_area(index, page, area.end())) {
        to.areas.push_back(area);
        if (area.end() >= to.size) break;
    }
    if (to.areas.empty()) to.file = -1;
}

} // namespace detail

/// Of a device that is open. Throws refusal.
template <servable Device>
[[nodiscard]] shape measure(Device& device) {
    shape found;
    const auto info = device.ioctl(get_device_info{});
    if (!info) throw refusal{"it does not say what it is"};
    if (info->regions > fixed_regions)
        throw refusal{"it has " + std::to_string(info->regions) + " regions; the API has the nine of every PCI device"};
    if (info->irqs > most_irqs)
        throw refusal{"it has " + std::to_string(info->irqs) +
                      " kinds of interrupts; the API has the five of every one"};
    found.can_reset = info->can_reset;
    found.switches = info->irqs > fixed_irqs;
    if constexpr (vfio_user::migratable<Device>) found.migration = device.migration_flags();
    for (std::uint32_t i = 0; i < info->regions; ++i) {
        auto& region = found.regions[i];
        const auto told = device.ioctl(get_region_info{region_index{i}});
        if (!told || told->size == 0) continue;
        region.size = told->size;
        region.flags = told->flags;
        // A uint32_t inside the library, up to its newest: what is larger would be cut short there.
        if (region.size > std::numeric_limits<std::uint32_t>::max())
            throw refusal{"region " + std::to_string(i) + " has " + std::to_string(region.size) +
                          " bytes; the library keeps 32 bits of a region's size"};
        detail::measure_areas(device, region_index{i}, region);
        if (region.areas.size() > most_areas)
            throw refusal{"region " + std::to_string(i) + " has " + std::to_string(region.areas.size()) +
                          " areas that can be mapped; the library sends a descriptor for each, and at most " +
                          std::to_string(most_areas)};
    }
    const auto config = found[region_index::config].size;
    if (config != PCI_CFG_SPACE_SIZE && config != PCI_CFG_SPACE_EXP_SIZE)
        throw refusal{"its config space has " + std::to_string(config) + " bytes, neither 256 nor 4096"};
    // Of a sixth kind (irq_index::regions_changed) the API has no word: clients map what could be at open, and no more.
    for (std::uint32_t i = 0; i < std::min(info->irqs, fixed_irqs); ++i) {
        if (const auto told = device.ioctl(get_irq_info{irq_index{i}})) found.irqs[i] = {told->count, told->flags};
    }
    return found;
}

/// What clients are told otherwise than the device says, because the API has no word for it; a line each. `migrates`:
/// the library has the callbacks for that (library_migrates).
[[nodiscard]] inline std::vector<std::string> told_otherwise(const shape& of, bool migrates) {
    std::vector<std::string> lines;
    constexpr std::array names{"INTx", "MSI", "MSI-X", "ERR", "REQ"};
    for (const irq_index each : {irq_index::intx, irq_index::msi, irq_index::msix, irq_index::err, irq_index::req}) {
        const auto& kind = of[each];
        const std::string name = names[static_cast<std::size_t>(each)];
        if (kind.count == 0) continue;
        if (each >= irq_index::err) {
            lines.push_back(name + ": the library cannot send it; clients are told that there is none");
            continue;
        }
        std::string flags;
        if (detail::able(kind.flags, irq_flags::maskable)) flags += " MASKABLE";
        if (detail::able(kind.flags, irq_flags::automasked)) flags += " AUTOMASKED";
        if (detail::able(kind.flags, irq_flags::noresize)) flags += " NORESIZE";
        if (!flags.empty()) lines.push_back(name + ": clients are not told that it is" + flags);
        if (detail::able(kind.flags, irq_flags::maskable))
            lines.push_back(name + ": MASK and UNMASK by eventfds do nothing: the library drops them");
    }
    if (of.switches)
        lines.emplace_back("dynamic ranges: clients are not told when one passes; they reach it by messages alone");
    if (of.migration != 0 && !migrates) {
        lines.push_back("migration: clients are not told of it; it cannot go through the library's callbacks of "
                        "version " + std::to_string(VFU_MIGR_CALLBACKS_VERS));
    } else if (of.migration != 0) {
        if ((of.migration & migrates_with_p2p) != 0)
            lines.emplace_back("migration: clients are not told of the P2P states");
        if ((of.migration & migrates_with_pre_copy) == 0)
            lines.emplace_back("migration: clients are told of PRE_COPY, in which there is nothing to be read");
    }
    if (of.migration == 0 || !migrates)
        lines.emplace_back("DMA log: the library's lacks what the device writes to memory that clients share");
    if (!of.can_reset) lines.emplace_back("reset: clients are told that there is one; it fails");
    return lines;
}

} // namespace mediant::libvfio_user
