// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a config map states something of a capability that it hides
// expect: 0x10+0x04
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct nic {
    static constexpr auto config = config_map{
#ifndef MEDIANT_CORRECT
        hide_capability{cap::pcie}, edit_capability{cap::pcie, 0x04, {.value = 0}}};
#else
        hide_capability{cap::vpd}, edit_capability{cap::pcie, 0x04, {.value = 0}}};
#endif
    static constexpr auto regions = mediant::regions<config>{};
};
static_assert(valid<nic>);

} // namespace acme
