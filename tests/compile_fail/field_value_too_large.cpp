// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a field's value does not fit its bits; the register's name is the argument of check_field_value
// expect: check_field_value<false
// expect: CTRL
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"CTRL", 0x10, fields{field{"A", 0, 4, rw, {.backing = from::shadow, .value = 16}}, reserved{4, 28}}}, reg{"LIVE", 0x08}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"CTRL", 0x10, fields{field{"A", 0, 4, rw, {.backing = from::shadow, .value = 15}}, reserved{4, 28}}}, reg{"LIVE", 0x08}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<edu>);

} // namespace acme
