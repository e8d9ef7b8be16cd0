// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a write-only register cannot have a read hook; its name is the argument of check_read_hook_kind
// expect: check_read_hook_kind<false
// expect: RING
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"RING", 0x100, wo1, {.hook = on::read}}, reg{"LIVE", 0x08}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"RING", 0x100, w1c, {.hook = on::read}}, reg{"LIVE", 0x08}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
    result<std::uint32_t> read(at<bar0, "RING">, auto&) { return 0u; }
};
static_assert(valid<edu>);

} // namespace acme
