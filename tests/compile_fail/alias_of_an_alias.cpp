// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: an alias stands for one register of the map, no array and no alias; its name is the argument of check_alias
// expect: check_alias<false
// expect: OLDER
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"LIVE", 0x08}, alias{"OLD", 0x10, "LIVE"}, alias{"OLDER", 0x14, "OLD"}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"LIVE", 0x08}, alias{"OLD", 0x10, "LIVE"}, alias{"OLDER", 0x14, "LIVE"}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<edu>);

} // namespace acme
