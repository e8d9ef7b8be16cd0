// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a write-only register cannot have a read hook; its name is the argument of check_read_hook_kind
// expect: check_read_hook_kind<false
// expect: RING
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"RING", 0x00, fields{field{"HEAD", 0, 8, wo}, field{"TAIL", 8, 8, woc, {.backing = from::shadow}}, reserved{16, 16}}, {.hook = on::read}}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"RING", 0x00, fields{field{"HEAD", 0, 8, wo}, field{"TAIL", 8, 8, w1c, {.backing = from::shadow}}, reserved{16, 16}}, {.hook = on::read}}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
    result<std::uint32_t> read(at<bar0, "RING">, auto&) { return 0u; }
};
static_assert(valid<edu>);

} // namespace acme
