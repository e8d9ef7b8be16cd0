// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: two registers overlap; their names are the arguments of check_overlap
// expect: check_overlap<false
// expect: FIRST
// expect: SECOND
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, dynamic{"FIRST", 0x1000, 8_KiB}, dynamic{"SECOND", 0x2000, 4_KiB}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, dynamic{"FIRST", 0x1000, 4_KiB}, dynamic{"SECOND", 0x2000, 4_KiB}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<edu>);

} // namespace acme
