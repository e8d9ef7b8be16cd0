// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: the VFIO core owns this register of config space: it cannot be overlaid, shadowed or swallowed; the register is the argument of check_not_owned
// expect: check_not_owned<false
// expect: capability ID and next pointer
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct nic {
    static constexpr auto config = config_map{
#ifndef MEDIANT_CORRECT
        edit_capability{cap::pcie, 0x01, {.bits = 8, .value = 0}}};
#else
        hide_capability{cap::pcie}};
#endif
    static constexpr auto regions = mediant::regions<config>{};
};
static_assert(valid<nic>);

} // namespace acme
