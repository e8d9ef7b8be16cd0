// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a register's value does not fit its width; its name is the argument of check_value_fits
// expect: check_value_fits<false
// expect: SMALL
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"SMALL", 0x00, ro, {.backing = from::constant, .value = 0x100, .bits = 8}}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"SMALL", 0x00, ro, {.backing = from::constant, .value = 0xff, .bits = 8}}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<edu>);

} // namespace acme
