// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: an array has 1 to 65,535 elements, and its stride is a multiple of the register's width; its name is the argument of check_elements
// expect: check_elements<false
// expect: QUEUE
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, repeat{"QUEUE", 2, 0x10, block{"RING", 0x100, 0x20}}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, repeat{"QUEUE", 2, 0x20, block{"RING", 0x100, 0x20}}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<edu>);

} // namespace acme
