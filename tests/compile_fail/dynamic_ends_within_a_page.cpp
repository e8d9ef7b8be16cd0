// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a dynamic range cannot be mapped: it begins and ends at pages of 4 KiB, and no register lies across its edge; its name is the argument of check_dynamic
// expect: check_dynamic<false
// expect: APERTURE
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"LIVE", 0x08}, dynamic{"APERTURE", 0x1000, 0x1800}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"LIVE", 0x08}, dynamic{"APERTURE", 0x1000, 8_KiB}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<edu>);

} // namespace acme
