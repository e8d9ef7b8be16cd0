// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: two statements of a config map have the same name, the argument of check_config_name
// expect: SCRATCH
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct nic {
    static constexpr auto config = config_map{
#ifndef MEDIANT_CORRECT
        shadow_bytes{"SCRATCH", 0x40, 4}, shadow_bytes{"SCRATCH", 0x44, 4}};
#else
        shadow_bytes{"SCRATCH", 0x40, 4}, shadow_bytes{"OTHER", 0x44, 4}};
#endif
    static constexpr auto regions = mediant::regions<config>{};
};
static_assert(valid<nic>);

} // namespace acme
