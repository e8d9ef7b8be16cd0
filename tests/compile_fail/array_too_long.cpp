// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: an array has 1 to 65,535 elements, and its stride is a multiple of the register's width; its name is the argument of check_elements
// expect: check_elements<false
// expect: RING
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"RING", 0x100, rw, {.count = 0x10000}}, reg{"LIVE", 0x08}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"RING", 0x100, rw, {.count = 0x100}}, reg{"LIVE", 0x08}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<edu>);

} // namespace acme
