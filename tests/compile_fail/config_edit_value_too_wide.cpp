// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a number in a config map does not fit its register
// expect: 0x10+0x04
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct nic {
    static constexpr auto config = config_map{
#ifndef MEDIANT_CORRECT
        edit_capability{cap::pcie, 0x04, {.bits = 8, .value = 0x100}}};
#else
        edit_capability{cap::pcie, 0x04, {.bits = 8, .value = 0x10}}};
#endif
    static constexpr auto regions = mediant::regions<config>{};
};
static_assert(valid<nic>);

} // namespace acme
