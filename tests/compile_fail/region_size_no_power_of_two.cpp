// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: the size of a BAR is a power of two
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 3_KiB};
#else
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<edu>);

} // namespace acme
