// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a number in a config map does not fit its register
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct nic {
    static constexpr auto config = config_map{
#ifndef MEDIANT_CORRECT
        add_extended_capability{extended_cap::vendor, 0x200, {0}, {.version = 16}}};
#else
        add_extended_capability{extended_cap::vendor, 0x200, {0}, {.version = 15}}};
#endif
    static constexpr auto regions = mediant::regions<config>{};
};
static_assert(valid<nic>);

} // namespace acme
