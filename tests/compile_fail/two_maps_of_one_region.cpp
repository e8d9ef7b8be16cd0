// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a policy has one map of each region
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"A", 0x00, ro}};
#ifndef MEDIANT_CORRECT
    static constexpr auto bar2 = region_map{bar{0}, 4_KiB, reg{"B", 0x10, ro}};
#else
    static constexpr auto bar2 = region_map{bar{2}, 4_KiB, reg{"B", 0x10, ro}};
#endif
    static constexpr auto regions = mediant::regions<bar0, bar2>{};
};
static_assert(valid<edu>);

} // namespace acme
