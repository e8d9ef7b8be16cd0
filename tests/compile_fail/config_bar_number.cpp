// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a BAR has a number from 0 to 5
// expect: hide_bar
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct nic {
    static constexpr auto config = config_map{
#ifndef MEDIANT_CORRECT
        hide_bar{6}};
#else
        hide_rom{}};
#endif
    static constexpr auto regions = mediant::regions<config>{};
};
static_assert(valid<nic>);

} // namespace acme
