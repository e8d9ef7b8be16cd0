// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a statement of a config map has no bytes or reaches past config space
// expect: constant at 0x0fff
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct nic {
    static constexpr auto config = config_map{
#ifndef MEDIANT_CORRECT
        constant_bytes{0xfff, {1, 2}}};
#else
        constant_bytes{0xffe, {1, 2}}};
#endif
    static constexpr auto regions = mediant::regions<config>{};
};
static_assert(valid<nic>);

} // namespace acme
