// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a register with fields takes its backing and value from them; the name of one that states its own is the argument of check_field_facts
// expect: check_field_facts<false
// expect: CTRL
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"CTRL", 0x10, fields{field{"A", 0, 32}}, {.value = 1}}, reg{"LIVE", 0x08}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"CTRL", 0x10, fields{field{"A", 0, 32, rw, {.backing = from::constant, .value = 1}}}}, reg{"LIVE", 0x08}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<edu>);

} // namespace acme
