// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a number in a config map does not fit its register
// expect: check_config_number<false
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct nic {
    static constexpr auto config = config_map{
#ifndef MEDIANT_CORRECT
        config_id{.device = 0x11e8f}};
#else
        config_id{.device = 0x11e8}};
#endif
    static constexpr auto regions = mediant::regions<config>{};
};
static_assert(valid<nic>);

} // namespace acme
