// SPDX-License-Identifier: BSD-3-Clause
// expect: an extended one from 0x100 to 0xfff
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct nic {
    static constexpr auto config = config_map{
#ifndef MEDIANT_CORRECT
        add_extended_capability{extended_cap::vendor, 0xfc, {0}}};
#else
        add_extended_capability{extended_cap::vendor, 0x100, {0}}};
#endif
    static constexpr auto regions = mediant::regions<config>{};
};
static_assert(valid<nic>);

} // namespace acme
