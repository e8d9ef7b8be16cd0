// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a register is not aligned to its width; its name is the argument of check_alignment
// expect: check_alignment<false
// expect: ODD
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"EVEN", 0x08}, reg{"ODD", 0x02}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"EVEN", 0x08}, reg{"ODD", 0x04}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<edu>);

} // namespace acme
