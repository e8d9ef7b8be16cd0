// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: the policy has a region map that its `regions` does not list
// expect: check_map_listed<false
// expect: edu
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"A", 0x00, ro}};
    static constexpr auto bar2 = region_map{bar{2}, 4_KiB, reg{"B", 0x00, ro}, reg{"C", 0x04, ro}};
#ifndef MEDIANT_CORRECT
    static constexpr auto regions = mediant::regions<bar0>{};
#else
    static constexpr auto regions = mediant::regions<bar0, bar2>{};
#endif
};
static_assert(valid<edu>);

} // namespace acme
