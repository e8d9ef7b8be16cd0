// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a register has 8, 16, 32 or 64 bits; the name of the one that has not is the argument of check_width
// expect: check_width<false
// expect: TRIPLE
// expect-not: is not aligned
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"TRIPLE", 0x04, rw, {.bits = 24}}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"TRIPLE", 0x04, rw, {.bits = 32}}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<edu>);

} // namespace acme
