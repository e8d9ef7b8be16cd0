// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

/// A virtual function whose BAR 2 has its queues in the lower half, and in the upper half the state that serves live
/// migration. Users see the lower half alone; the provider reaches both.
struct vf_half_bar {
    static constexpr auto info = provider{"vf_half_bar", {pci_id{0x1234, 0x11f1}},
        {.description = "A VF with its migration registers hidden", .author = "Acme"}};

    static constexpr auto bar2 = region_map{bar{2}, 64_KiB,
        reg{"QUEUES",     0x0000, ro},                        // how many there are
        reg{"DOORBELL",   0x1000},                            // named, not trapped
        reg{"FORMAT",     0x8000},                            // of the state; from here on for the provider alone
        reg{"SAVED",      0x8004}};
    static constexpr auto config = config_map{hide_upper_half{2}};
    static constexpr auto regions = mediant::regions<bar2, config>{};

    /// Declines a function whose state has a format that it does not know.
    result<void> open(auto& next) noexcept {
        const auto format = next.read(at<bar2, "FORMAT">{});
        if (!format) return format.error();
        if (*format != 1) return error::no_device;
        return {};
    }
};
static_assert(valid<vf_half_bar>);

} // namespace acme
