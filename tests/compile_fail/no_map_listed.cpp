// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: the policy has a region map that its `regions` does not list
// expect: check_map_listed<false
// expect: edu
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
    static constexpr auto bar1 = region_map{bar{1}, 4_KiB, reg{"A", 0x00, ro}};
#ifndef MEDIANT_CORRECT

#else
    static constexpr auto regions = mediant::regions<bar1>{};
#endif
};
static_assert(valid<edu>);

} // namespace acme
