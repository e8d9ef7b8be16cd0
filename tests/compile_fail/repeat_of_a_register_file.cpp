// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a register file holds single registers, blocks and windows: no arrays, register files, aliases or dynamic ranges; the name of what it cannot hold is the argument of check_nesting
// expect: check_nesting<false
// expect: PORT.RING
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, repeat{"PORT", 2, 0x40, repeat{"QUEUE", 1, 0x10, reg{"RING", 0x100}}}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, repeat{"PORT", 2, 0x40, reg{"RING", 0x100}}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<edu>);

} // namespace acme
