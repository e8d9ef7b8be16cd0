// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a register reaches past the end of its region; its name is the argument of check_inside_region
// expect: check_inside_region<false
// expect: QUEUE.RING
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;
struct nic {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, repeat{"QUEUE", 17, 0x100, reg{"RING", 0x00}}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, repeat{"QUEUE", 16, 0x100, reg{"RING", 0x00}}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<nic>);
} // namespace acme
