// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a saved field's name has 1 to 255 characters and is no other's, nor a saved map's register's
// expect: check_saved_part<false, acme::edu, 2
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"MINE", 0x40, rw, {.backing = from::shadow}}};
    static constexpr auto regions = mediant::regions<bar0>{};
#ifndef MEDIANT_CORRECT
    static constexpr auto migration() {
        return saved_state{1, saved{"count", &edu::count}, saved_registers<bar0>{}, no_longer_saved{"MINE"}};
    }
#else
    static constexpr auto migration() {
        return saved_state{1, saved{"count", &edu::count}, saved_registers<bar0>{}, no_longer_saved{"OTHER"}};
    }
#endif
    std::uint32_t count = 0;
};
static_assert(valid<edu>);

} // namespace acme
