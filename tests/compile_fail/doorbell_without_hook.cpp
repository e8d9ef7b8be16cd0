// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a doorbell is a register with a write hook that takes its whole width
// expect: check_doorbell<false
// expect: RING
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 =
        region_map{bar{0}, 1_MiB, reg{"RING", 0x100, wo, {.backing = from::shadow, .doorbell = doorbell::valued}}};
#else
    static constexpr auto bar0 =
        region_map{bar{0}, 1_MiB, reg{"RING", 0x100, wo, {.hook = on::write, .doorbell = doorbell::valued}}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
#ifdef MEDIANT_CORRECT
    result<void> write(at<bar0, "RING">, std::uint32_t, auto&) { return {}; }
#endif
};
static_assert(valid<edu>);

} // namespace acme
