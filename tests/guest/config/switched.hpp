// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/mediant.hpp>

#include <cstddef>
#include <cstdint>

namespace config_test {
using namespace mediant;

/// QEMU's shared memory, of which parts are trapped and passed while a guest test writes to them. While APERTURE traps,
/// writes of its cells are counted on their way to the memory.
struct switched {
    static constexpr auto info = provider{"switched", {pci_id{0x1af4, 0x1110}}};

    static constexpr auto bar2 = region_map{
        bar{2}, 8_MiB,
        reg{"SWITCH", 0x00, rw, {.hook = on::read | on::write}},
        reg{"TRAPPED", 0x08, ro, {.backing = from::shadow}},
        dynamic{"SMALL", 0x10000, 16_KiB},
        reg{"MARK", 0x10000, ro, {.backing = from::constant, .value = 0x7a7a7a7a}},
        dynamic{"APERTURE", 2_MiB, 2_MiB},
        reg{"CELL", 2_MiB, rw, {.hook = on::write, .count = 8, .stride = 0x40000}}};
    static constexpr auto regions = mediant::regions<bar2>{};

    result<std::uint32_t> read(at<bar2, "SWITCH">, auto& next) noexcept {
        return next.trapped(at<bar2, "APERTURE">{}) ? 0u : 1u;
    }
    /// 0 and 1: APERTURE; 2 and 3: SMALL.
    result<void> write(at<bar2, "SWITCH">, std::uint32_t to, auto& next) noexcept {
        switch (to) {
        case 0: return next.trap(at<bar2, "APERTURE">{});
        case 1: return next.untrap(at<bar2, "APERTURE">{});
        case 2: return next.trap(at<bar2, "SMALL">{});
        case 3: return next.untrap(at<bar2, "SMALL">{});
        default: return error::invalid;
        }
    }
    result<void> write(at<bar2, "CELL"> cell, std::size_t which, std::uint32_t value, auto& next) noexcept {
        next.assign(at<bar2, "TRAPPED">{}, next.held(at<bar2, "TRAPPED">{}) + 1);
        return next.write(cell, which, value);
    }
};
static_assert(valid<switched>);

} // namespace config_test
