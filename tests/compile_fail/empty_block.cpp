// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a block or window has no bytes; its name is the argument of check_not_empty
// expect: check_not_empty<false
// expect: NOTHING
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, block{"NOTHING", 0x00, 0}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, block{"NOTHING", 0x00, 1}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<edu>);

} // namespace acme
