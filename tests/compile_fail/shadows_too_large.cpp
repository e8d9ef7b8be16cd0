// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: the shadows of a map take at most 1 GiB
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 16_GiB, block{"MEMORY", 0, 4_GiB, {.backing = from::shadow}}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 16_GiB, block{"MEMORY", 0, 4_GiB, {.backing = from::constant}}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<edu>);

} // namespace acme
