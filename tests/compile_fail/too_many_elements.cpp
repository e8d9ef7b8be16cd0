// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a map holds at most 65,534 registers, blocks and windows, each element of an array counted
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"RING", 0x00, rw, {.count = 0xffff}}, reg{"LAST", 0x40000}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"RING", 0x00, rw, {.count = 0x1ff}}, reg{"LAST", 0x40000}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<edu>);

} // namespace acme
