// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: two registers overlap; their names are the arguments of check_overlap
// expect: check_overlap<false
// expect: RING
// expect: LIVE
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"RING", 0x00, rw, {.count = 3}}, reg{"LIVE", 0x08}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"RING", 0x00, rw, {.count = 2}}, reg{"LIVE", 0x08}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<edu>);

} // namespace acme
