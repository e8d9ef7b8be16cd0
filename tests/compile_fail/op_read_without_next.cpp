// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a read op takes (read_access, auto& next) and returns answer
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"A", 0x00, ro}};
    static constexpr auto regions = mediant::regions<bar0>{};
#ifndef MEDIANT_CORRECT
    answer read(read_access a) { return {a.bytes.size()}; }
#else
    answer read(read_access a, auto&) { return {a.bytes.size()}; }
#endif
};
static_assert(valid<edu>);

} // namespace acme
