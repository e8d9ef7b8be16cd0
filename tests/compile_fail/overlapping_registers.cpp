// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: two registers overlap; their names are the arguments of check_overlap
// expect: check_overlap<false
// expect: IDENT
// expect: SECOND
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"IDENT", 0x00, ro, {.bits = 64}}, reg{"THIRD", 0x08}, reg{"SECOND", 0x04}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"IDENT", 0x00, ro, {.bits = 64}}, reg{"THIRD", 0x0c}, reg{"SECOND", 0x08}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<edu>);

} // namespace acme
