// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: two statements of a config map contradict each other
// expect: swallow_writes 0x10+0x0c
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct nic {
    static constexpr auto config = config_map{
#ifndef MEDIANT_CORRECT
        shadow_bytes{"A", 0x0c, 2, {.in = cap::pcie}}, swallow_writes{0x0c, 2, {.in = cap::pcie}}};
#else
        shadow_bytes{"A", 0x0c, 2, {.in = cap::pcie}}, swallow_writes{0x0e, 2, {.in = cap::pcie}}};
#endif
    static constexpr auto regions = mediant::regions<config>{};
};
static_assert(valid<nic>);

} // namespace acme
