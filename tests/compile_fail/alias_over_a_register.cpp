// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: two registers overlap; their names are the arguments of check_overlap
// expect: check_overlap<false
// expect: LIVE
// expect: OLD
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"WIDE", 0x20, rw, {.bits = 64}}, reg{"LIVE", 0x0c}, alias{"OLD", 0x08, "WIDE"}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"WIDE", 0x20, rw, {.bits = 64}}, reg{"LIVE", 0x0c}, alias{"OLD", 0x10, "WIDE"}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<edu>);

} // namespace acme
