// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a number in a config map does not fit its register
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct nic {
    static constexpr auto config = config_map{
#ifndef MEDIANT_CORRECT
        config_id{.class_code = 0x1020000}};
#else
        config_id{.class_code = 0x020000}};
#endif
    static constexpr auto regions = mediant::regions<config>{};
};
static_assert(valid<nic>);

} // namespace acme
