// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a dynamic range cannot be mapped: the policy's own read or write op sees every access to its region, or its config map keeps that part of the BAR from the user; its name is the last argument of check_dynamic_reach
// expect: check_dynamic_reach<false
// expect: APERTURE
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;
struct nic {
    static constexpr auto bar0 = region_map{bar{0}, 64_KiB, reg{"LIVE", 0x08}, dynamic{"APERTURE", 0x1000, 4_KiB}};
#ifndef MEDIANT_CORRECT
    static constexpr auto config = config_map{resize_bar{0, 4_KiB}};
#else
    static constexpr auto config = config_map{resize_bar{0, 8_KiB}};
#endif
    static constexpr auto regions = mediant::regions<bar0, config>{};
};
static_assert(valid<nic>);
} // namespace acme
