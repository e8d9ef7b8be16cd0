// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: two registers have the same name, the argument of check_unique_name
// expect: check_unique_name<false
// expect: TWICE
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"TWICE", 0x00}, reg{"ONCE", 0x04}, reg{"TWICE", 0x08}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"TWICE", 0x00}, reg{"ONCE", 0x04}, reg{"THRICE", 0x08}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<edu>);

} // namespace acme
