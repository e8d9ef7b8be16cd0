// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a register is not aligned to its width; its name is the argument of check_alignment
// expect: check_alignment<false
// expect: OLD
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"LIVE", 0x08}, alias{"OLD", 0x12, "LIVE"}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"LIVE", 0x08}, alias{"OLD", 0x10, "LIVE"}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<edu>);

} // namespace acme
