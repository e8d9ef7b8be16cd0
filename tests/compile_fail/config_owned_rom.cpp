// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: the VFIO core owns this register of config space: it cannot be overlaid, shadowed or swallowed; the register is the argument of check_not_owned
// expect: check_not_owned<false
// expect: EXPANSION ROM BASE ADDRESS
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct nic {
    static constexpr auto config = config_map{
#ifndef MEDIANT_CORRECT
        constant_bytes{0x2e, {1, 0, 0}}};
#else
        constant_bytes{0x2e, {1, 0}}, hide_rom{}};
#endif
    static constexpr auto regions = mediant::regions<config>{};
};
static_assert(valid<nic>);

} // namespace acme
