// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a statement of a config map has no bytes or reaches past config space
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct nic {
    static constexpr auto config = config_map{
#ifndef MEDIANT_CORRECT
        swallow_writes{0xbf, 2, {.in = cap::vendor}}};
#else
        swallow_writes{0xbe, 2, {.in = cap::vendor}}};
#endif
    static constexpr auto regions = mediant::regions<config>{};
};
static_assert(valid<nic>);

} // namespace acme
