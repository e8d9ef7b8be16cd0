// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: the offsets of two capabilities that a config map adds collide
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct nic {
    static constexpr auto config = config_map{
#ifndef MEDIANT_CORRECT
        add_extended_capability{extended_cap::vendor, 0x200, {0, 0, 0, 0, 0}}, add_extended_capability{extended_cap::dvsec, 0x208, {0}}};
#else
        add_extended_capability{extended_cap::vendor, 0x200, {0, 0, 0, 0}}, add_extended_capability{extended_cap::dvsec, 0x208, {0}}};
#endif
    static constexpr auto regions = mediant::regions<config>{};
};
static_assert(valid<nic>);

} // namespace acme
