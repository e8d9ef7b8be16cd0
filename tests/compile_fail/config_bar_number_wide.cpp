// SPDX-License-Identifier: BSD-3-Clause
// expect: and one of 64 bits is not the last
// expect: memory_bar 5
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct nic {
    static constexpr auto config = config_map{
#ifndef MEDIANT_CORRECT
        memory_bar{5, 4_KiB, {.wide = true}}};
#else
        memory_bar{4, 4_KiB, {.wide = true}}};
#endif
    static constexpr auto regions = mediant::regions<config>{};
};
static_assert(valid<nic>);

} // namespace acme
