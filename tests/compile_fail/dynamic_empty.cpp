// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a block or window has no bytes; its name is the argument of check_not_empty
// expect: check_not_empty<false
// expect: APERTURE
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"LIVE", 0x08}, dynamic{"APERTURE", 0x1000, 0}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"LIVE", 0x08}, dynamic{"APERTURE", 0x1000, 4_KiB}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<edu>);

} // namespace acme
