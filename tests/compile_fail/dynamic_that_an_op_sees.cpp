// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a dynamic range cannot be mapped: the policy's own read or write op sees every access to its region, or its config map keeps that part of the BAR from the user; its name is the last argument of check_dynamic_reach
// expect: check_dynamic_reach<false
// expect: APERTURE
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;
struct nic {
    static constexpr auto bar0 = region_map{bar{0}, 64_KiB, reg{"LIVE", 0x08}, dynamic{"APERTURE", 0x1000, 4_KiB}};
    static constexpr auto regions = mediant::regions<bar0>{};
#ifndef MEDIANT_CORRECT
    answer read(read_access a, auto& next) { return next.read(a); }
#else
    void reset() {}
#endif
};
static_assert(valid<nic>);
} // namespace acme
