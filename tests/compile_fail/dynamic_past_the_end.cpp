// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a register reaches past the end of its region; its name is the argument of check_inside_region
// expect: check_inside_region<false
// expect: APERTURE
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"LIVE", 0x08}, dynamic{"APERTURE", 0xff000, 8_KiB}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"LIVE", 0x08}, dynamic{"APERTURE", 0xff000, 4_KiB}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<edu>);

} // namespace acme
