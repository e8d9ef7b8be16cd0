// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a map has at most 8 dynamic ranges
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, dynamic{"D0", 0x0000, 4_KiB}, dynamic{"D1", 0x1000, 4_KiB}, dynamic{"D2", 0x2000, 4_KiB}, dynamic{"D3", 0x3000, 4_KiB}, dynamic{"D4", 0x4000, 4_KiB}, dynamic{"D5", 0x5000, 4_KiB}, dynamic{"D6", 0x6000, 4_KiB}, dynamic{"D7", 0x7000, 4_KiB}, dynamic{"D8", 0x8000, 4_KiB}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, dynamic{"D0", 0x0000, 4_KiB}, dynamic{"D1", 0x1000, 4_KiB}, dynamic{"D2", 0x2000, 4_KiB}, dynamic{"D3", 0x3000, 4_KiB}, dynamic{"D4", 0x4000, 4_KiB}, dynamic{"D5", 0x5000, 4_KiB}, dynamic{"D6", 0x6000, 4_KiB}, dynamic{"D7", 0x7000, 4_KiB}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<edu>);

} // namespace acme
