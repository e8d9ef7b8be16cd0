// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: only BARs have region maps
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{region_index::rom, 4_KiB};
#else
    static constexpr auto bar0 = region_map{bar{5}, 4_KiB};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<edu>);

} // namespace acme
