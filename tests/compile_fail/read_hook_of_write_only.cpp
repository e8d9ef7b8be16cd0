// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a write-only register cannot have a read hook; its name is the argument of check_read_hook_kind
// expect: check_read_hook_kind<false
// expect: IDENT
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"IDENT", 0x00, wo, {.hook = on::read}}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"IDENT", 0x00, ro, {.hook = on::read}}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
    result<std::uint32_t> read(at<bar0, "IDENT">, auto&) { return 1u; }
};
static_assert(valid<edu>);

} // namespace acme
