// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: two registers overlap; their names are the arguments of check_overlap
// expect: check_overlap<false
// expect: QUEUE.HEAD
// expect: QUEUE.TAIL
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, repeat{"QUEUE", 2, 8, reg{"HEAD", 0x100}, reg{"TAIL", 0x108}}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, repeat{"QUEUE", 2, 0x10, reg{"HEAD", 0x100}, reg{"TAIL", 0x108}}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<edu>);

} // namespace acme
