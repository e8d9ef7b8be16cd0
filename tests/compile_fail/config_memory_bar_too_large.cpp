// SPDX-License-Identifier: BSD-3-Clause
// expect: at most 2 GiB in 32 bits
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct nic {
    static constexpr auto config = config_map{
#ifndef MEDIANT_CORRECT
        memory_bar{0, 4_GiB}};
#else
        memory_bar{0, 4_GiB, {.wide = true}}};
#endif
    static constexpr auto regions = mediant::regions<config>{};
};
static_assert(valid<nic>);

} // namespace acme
