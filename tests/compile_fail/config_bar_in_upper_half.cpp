// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a config map states two things of one BAR
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct nic {
    static constexpr auto config = config_map{
#ifndef MEDIANT_CORRECT
        memory_bar{2, 4_KiB, {.wide = true}}, io_bar{3, 32}};
#else
        memory_bar{2, 4_KiB}, io_bar{3, 32}};
#endif
    static constexpr auto regions = mediant::regions<config>{};
};
static_assert(valid<nic>);

} // namespace acme
