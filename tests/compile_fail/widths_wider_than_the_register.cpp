// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: all widths that a register states are wider than the register, so that it could not be accessed; its name is the argument of check_stated_widths
// expect: check_stated_widths<false
// expect: NARROW
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"NARROW", 0x00, rw, {.bits = 16, .widths = width::bits32 | width::bits64}}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"NARROW", 0x00, rw, {.bits = 16, .widths = width::bits16 | width::bits32}}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<edu>);

} // namespace acme
