// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a read-only register cannot have a write hook; its name is the argument of check_write_hook_kind
// expect: check_write_hook_kind<false
// expect: RING
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"RING", 0x00, fields{field{"HEAD", 0, 8, ro}, field{"TAIL", 8, 8, rs, {.backing = from::shadow}}, reserved{16, 16}}, {.hook = on::written}}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"RING", 0x00, fields{field{"HEAD", 0, 8, ro}, field{"TAIL", 8, 8, wrs, {.backing = from::shadow}}, reserved{16, 16}}, {.hook = on::written}}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
    result<void> written(at<bar0, "RING">, lanes<std::uint32_t>, auto&) { return {}; }
};
static_assert(valid<edu>);

} // namespace acme
