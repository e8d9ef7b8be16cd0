// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: the VFIO core owns this register of config space: it cannot be overlaid, shadowed or swallowed; the register is the argument of check_not_owned
// expect: check_not_owned<false
// expect: PCI Express device control
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct nic {
    static constexpr auto config = config_map{
#ifndef MEDIANT_CORRECT
        shadow_bytes{"DEVCTL", 0x08, 2, {.in = cap::pcie}}};
#else
        shadow_bytes{"DEVSTA", 0x0a, 2, {.in = cap::pcie}}};
#endif
    static constexpr auto regions = mediant::regions<config>{};
};
static_assert(valid<nic>);

} // namespace acme
