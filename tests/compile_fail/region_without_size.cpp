// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a region has 1 byte to 4 PiB
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 0};
#else
    static constexpr auto bar0 = region_map{bar{0}, 256};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<edu>);

} // namespace acme
