// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: two statements of a config map contradict each other
// expect: constant at 0x02
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct nic {
    static constexpr auto config = config_map{
#ifndef MEDIANT_CORRECT
        config_id{.device = 0x1000}, constant_bytes{0x03, {0x10}}};
#else
        config_id{.device = 0x1000}};
#endif
    static constexpr auto regions = mediant::regions<config>{};
};
static_assert(valid<nic>);

} // namespace acme
