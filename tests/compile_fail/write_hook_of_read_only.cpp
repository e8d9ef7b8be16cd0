// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a read-only register cannot have a write hook; its name is the argument of check_write_hook_kind
// expect: check_write_hook_kind<false
// expect: START
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"START", 0x00, ro, {.hook = on::write}}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"START", 0x00, rw, {.hook = on::write}}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
    result<void> write(at<bar0, "START">, std::uint32_t, auto&) { return {}; }
};
static_assert(valid<edu>);

} // namespace acme
