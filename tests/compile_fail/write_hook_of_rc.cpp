// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a read-only register cannot have a write hook; its name is the argument of check_write_hook_kind
// expect: check_write_hook_kind<false
// expect: RING
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"RING", 0x100, rc, {.hook = on::write}}, reg{"LIVE", 0x08}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"RING", 0x100, wrc, {.hook = on::write}}, reg{"LIVE", 0x08}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
    result<void> write(at<bar0, "RING">, std::uint32_t, auto&) { return {}; }
};
static_assert(valid<edu>);

} // namespace acme
