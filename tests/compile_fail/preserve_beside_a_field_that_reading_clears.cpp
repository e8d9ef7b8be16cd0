// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: to preserve bits, the device's register would be read before it is written, but reading it has effects: state toward::zeros or toward::ones; the register's name is the argument of check_preserve
// expect: check_preserve<false
// expect: CTRL
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"CTRL", 0x10, fields{field{"A", 0, 16}, field{"B", 16, 16, rc}}}, reg{"LIVE", 0x08}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"CTRL", 0x10, fields{field{"A", 0, 16}, field{"B", 16, 16, rc, {.device = toward::ones}}}}, reg{"LIVE", 0x08}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<edu>);

} // namespace acme
