// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: two registers have the same name, the argument of check_unique_name
// expect: check_unique_name<false
// expect: QUEUE.HEAD
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, repeat{"QUEUE", 2, 8, reg{"HEAD", 0x100}}, reg{"QUEUE.HEAD", 0x200}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, repeat{"QUEUE", 2, 8, reg{"HEAD", 0x100}}, reg{"QUEUE.TAIL", 0x200}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<edu>);

} // namespace acme
