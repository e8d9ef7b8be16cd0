// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: bits of a register are left undecided: name them as fields, or as reserved; the register's name is the argument of check_reserved
// expect: check_reserved<false
// expect: CTRL
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"CTRL", 0x10, fields{field{"A", 0, 32}}, {.bits = 64}}, reg{"LIVE", 0x08}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"CTRL", 0x10, fields{field{"A", 0, 32}, reserved{32, 32}}, {.bits = 64}}, reg{"LIVE", 0x08}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<edu>);

} // namespace acme
