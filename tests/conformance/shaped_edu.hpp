// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/mediant.hpp>

/// edu with a config map, for the comparison of configuration space and of BARs that it shapes.
namespace config_test {
using namespace mediant;

struct shaped_edu {
    static constexpr auto info = provider{"shaped_edu", {pci_id{0x1234, 0x11e8}}, {.author = "Acme"}};

    static constexpr auto bar0 = region_map{bar{0}, 512_KiB,
        reg{"MARK",   0x00, ro, {.backing = from::constant, .value = 0x5a5a'00ed}},
        reg{"EVENTS", 0x28, w1c, {.backing = from::shadow, .value = 0xff00'ff00}},
        block{"DMA",  0x80, 0x20, {.backing = from::shadow}}}; // virtual: never reaches the device
    static constexpr auto bar2 = region_map{bar{2}, 4_KiB,
        reg{"COMMAND", 0x00, ro, {.backing = from::shadow}}, // as it was told last, and which of its bytes
        reg{"LANES",   0x04, ro, {.backing = from::shadow}},
        reg{"RAW",     0x08, ro, {.backing = from::shadow, .bits = 64}},
        reg{"WRITTEN", 0x10, ro, {.backing = from::shadow, .bits = 64}},
        reg{"SPARE",   0x18, rw, {.backing = from::shadow}}};
    static constexpr auto bar5 = region_map{bar{5}, 32, reg{"PORT", 0x00, rw, {.backing = from::shadow, .value = 0x99}}};
    static constexpr auto config = config_map{
        config_id{.device = 0x11e9, .revision = 3, .subvendor = 0x4321},
        hide_capability{cap::msi},
        add_capability{cap::vendor, 0xa0, {12, 0, 1, 2, 3, 4, 5, 6, 7, 8}, {.writable = true}},
        shadow_bytes{"SCRATCH", 0x62, 6, {.value = 0x1122'3344'5566, .writable = 0x00ff'ffff'f0ff}},
        constant_bytes{0x71, {0xaa, 0xbb, 0xcc}},
        swallow_writes{0x76, 5},
        observe_writes{"COMMAND", 0x04, 2},
        observe_writes{"RAW", 0x88, 8},
        hide_upper_half{0},
        memory_bar{2, 4_KiB},
        io_bar{5, 32}};
    static constexpr auto regions = mediant::regions<bar0, bar2, bar5, config>{};

    result<void> written(at<config, "COMMAND">, lanes<std::uint16_t> what, auto& next) noexcept {
        next.assign(at<bar2, "COMMAND">{}, what.value);
        next.assign(at<bar2, "LANES">{}, what.mask);
        return {};
    }
    result<void> written(at<config, "RAW">, lanes<std::uint64_t> what, auto& next) noexcept {
        next.assign(at<bar2, "RAW">{}, what.value);
        next.assign(at<bar2, "WRITTEN">{}, what.mask);
        return (what.value & 0xff) == 0xff ? error::denied : error::none;
    }
};
static_assert(valid<shaped_edu>);

} // namespace config_test
