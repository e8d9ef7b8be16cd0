// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: an added capability lies at a multiple of 4, from 0x40 to 0xff
// expect: add 0x09 at 0xe2
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct nic {
    static constexpr auto config = config_map{
#ifndef MEDIANT_CORRECT
        add_capability{cap::vendor, 0xe2, {4, 0}}};
#else
        add_capability{cap::vendor, 0xe4, {4, 0}}};
#endif
    static constexpr auto regions = mediant::regions<config>{};
};
static_assert(valid<nic>);

} // namespace acme
