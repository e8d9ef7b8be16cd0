// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a field reaches past the width of its register, or has no bits; the register's name is the argument of check_field_inside
// expect: check_field_inside<false
// expect: CTRL
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"CTRL", 0x10, fields{field{"A", 0, 32}, field{"B", 80}}}, reg{"LIVE", 0x08}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"CTRL", 0x10, fields{field{"A", 0, 31}, field{"B", 31}}}, reg{"LIVE", 0x08}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<edu>);

} // namespace acme
