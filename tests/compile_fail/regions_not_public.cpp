// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: the policy's `regions` is not public, so that its maps would not be seen
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
private:
#endif
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"A", 0x00, ro}};
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<edu>);

} // namespace acme
