// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: the size of a BAR is a power of two
// expect: resize_bar 4
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct nic {
    static constexpr auto config = config_map{
#ifndef MEDIANT_CORRECT
        resize_bar{4, 96_MiB}};
#else
        resize_bar{4, 64_MiB}};
#endif
    static constexpr auto regions = mediant::regions<config>{};
};
static_assert(valid<nic>);

} // namespace acme
