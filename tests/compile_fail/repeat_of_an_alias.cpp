// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a register file holds single registers, blocks and windows: no arrays, register files, aliases or dynamic ranges; the name of what it cannot hold is the argument of check_nesting
// expect: check_nesting<false
// expect: PORT.RING_2
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"RING", 0x00}, repeat{"PORT", 2, 0x40, alias{"RING_2", 0x100, "RING"}}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"RING", 0x00}, repeat{"PORT", 2, 0x40, reg{"RING_2", 0x100}}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<edu>);

} // namespace acme
