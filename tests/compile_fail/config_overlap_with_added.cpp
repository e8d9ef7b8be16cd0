// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: two statements of a config map contradict each other
// expect: add 0x09 at 0xe0
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct nic {
    static constexpr auto config = config_map{
#ifndef MEDIANT_CORRECT
        add_capability{cap::vendor, 0xe0, {8, 1, 2, 3, 4, 5}}, constant_bytes{0xe6, {1}}};
#else
        add_capability{cap::vendor, 0xe0, {8, 1, 2, 3, 4, 5}}, constant_bytes{0xe8, {1}}};
#endif
    static constexpr auto regions = mediant::regions<config>{};
};
static_assert(valid<nic>);

} // namespace acme
