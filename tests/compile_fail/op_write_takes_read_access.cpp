// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a write op takes (write_access, auto& next) and returns answer
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"A", 0x00, ro}};
    static constexpr auto regions = mediant::regions<bar0>{};
#ifndef MEDIANT_CORRECT
    answer write(read_access a, auto&) { return {a.bytes.size()}; }
#else
    answer write(write_access a, auto&) { return {a.bytes.size()}; }
#endif
};
static_assert(valid<edu>);

} // namespace acme
