// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a config map states two things of one BAR
// expect: check_bar_once<false
// expect: hide_bar 2
// expect: resize_bar 2
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct nic {
    static constexpr auto config = config_map{
#ifndef MEDIANT_CORRECT
        hide_bar{2}, resize_bar{2, 4_KiB}};
#else
        hide_bar{2}, resize_bar{3, 4_KiB}};
#endif
    static constexpr auto regions = mediant::regions<config>{};
};
static_assert(valid<nic>);

} // namespace acme
