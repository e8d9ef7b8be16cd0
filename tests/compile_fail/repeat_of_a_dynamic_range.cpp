// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a register file holds single registers, blocks and windows: no arrays, register files, aliases or dynamic ranges; the name of what it cannot hold is the argument of check_nesting
// expect: check_nesting<false
// expect: PORT.PAGES
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, repeat{"PORT", 2, 4_KiB, dynamic{"PAGES", 0x1000, 4_KiB}}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, repeat{"PORT", 2, 4_KiB, pass{"PAGES", 0x1000, 4_KiB}}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<edu>);

} // namespace acme
