// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: two registers overlap; their names are the arguments of check_overlap
// expect: check_overlap<false
// expect: DMA
// expect: DOORBELL
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"DOORBELL", 0x9c}, block{"DMA", 0x80, 0x20}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"DOORBELL", 0xa0}, block{"DMA", 0x80, 0x20}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<edu>);

} // namespace acme
