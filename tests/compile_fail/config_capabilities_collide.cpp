// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: the offsets of two capabilities that a config map adds collide; they are the arguments of check_capability_collision
// expect: check_capability_collision<false
// expect: add 0x09 at 0xe0
// expect: add 0x03 at 0xe4
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct nic {
    static constexpr auto config = config_map{
#ifndef MEDIANT_CORRECT
        add_capability{cap::vendor, 0xe0, {8, 1, 2, 3, 4, 5}}, add_capability{cap::vpd, 0xe4, {0, 0, 0, 0, 0, 0}}};
#else
        add_capability{cap::vendor, 0xe0, {8, 1, 2, 3, 4, 5}}, add_capability{cap::vpd, 0xe8, {0, 0, 0, 0, 0, 0}}};
#endif
    static constexpr auto regions = mediant::regions<config>{};
};
static_assert(valid<nic>);

} // namespace acme
