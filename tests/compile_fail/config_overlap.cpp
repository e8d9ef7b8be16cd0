// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: two statements of a config map contradict each other: they answer for the same bytes
// expect: check_config_overlap<false
// expect: constant at 0x40
// expect: shadow at 0x41 SCRATCH
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct nic {
    static constexpr auto config = config_map{
#ifndef MEDIANT_CORRECT
        constant_bytes{0x40, {1, 2}}, shadow_bytes{"SCRATCH", 0x41, 4}};
#else
        constant_bytes{0x40, {1}}, shadow_bytes{"SCRATCH", 0x41, 4}};
#endif
    static constexpr auto regions = mediant::regions<config>{};
};
static_assert(valid<nic>);

} // namespace acme
