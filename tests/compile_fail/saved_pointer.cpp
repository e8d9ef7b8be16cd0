// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a saved field is a number, a bool, an enumerator or an array of them
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"MINE", 0x40, rw, {.backing = from::shadow}}};
    static constexpr auto regions = mediant::regions<bar0>{};
#ifndef MEDIANT_CORRECT
    int* where = nullptr;
    static constexpr auto migration() { return saved_state{1, saved{"where", &edu::where}, saved_registers<bar0>{}}; }
#else
    int* where = nullptr;
    static constexpr auto migration() { return saved_state{1, saved{"count", &edu::count}, saved_registers<bar0>{}}; }
#endif
    std::uint32_t count = 0;
};
static_assert(valid<edu>);

} // namespace acme
