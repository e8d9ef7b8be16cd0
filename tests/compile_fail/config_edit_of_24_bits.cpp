// SPDX-License-Identifier: BSD-3-Clause
// expect: or a register has not 8, 16, 32 or 64 bits
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct nic {
    static constexpr auto config = config_map{
#ifndef MEDIANT_CORRECT
        edit_capability{cap::pcie, 0x04, {.bits = 24}}};
#else
        edit_capability{cap::pcie, 0x04, {.bits = 16, .value = 0, .mask = 0xff}}};
#endif
    static constexpr auto regions = mediant::regions<config>{};
};
static_assert(valid<nic>);

} // namespace acme
