// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a saved enumerator has bounds, both if it is signed
// expect: check_saved_bounds<false, acme::edu, 0
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"MINE", 0x40, rw, {.backing = from::shadow}}};
    static constexpr auto regions = mediant::regions<bar0>{};
#ifndef MEDIANT_CORRECT
    enum class mode { slow, fast } how = mode::slow;
    static constexpr auto migration() { return saved_state{1, saved{"how", &edu::how}, saved_registers<bar0>{}}; }
#else
    enum class mode { slow, fast } how = mode::slow;
    static constexpr auto migration() { return saved_state{1, saved{"how", &edu::how, {.least = 0, .most = 1}}, saved_registers<bar0>{}}; }
#endif
    std::uint32_t count = 0;
};
static_assert(valid<edu>);

} // namespace acme
