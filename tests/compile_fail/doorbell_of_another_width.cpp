// SPDX-License-Identifier: BSD-3-Clause
// expect: a value that rings it fits it and is stated for doorbell::matched alone
// expect: check_doorbell<false
// expect: RING
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr reg_options facts{.hook = on::write, .widths = width::bits16, .doorbell = doorbell::any};
#else
    static constexpr reg_options facts{.hook = on::write, .widths = width::bits32, .doorbell = doorbell::any};
#endif
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"RING", 0x100, wo, facts}};
    static constexpr auto regions = mediant::regions<bar0>{};
    result<void> write(at<bar0, "RING">, std::uint32_t, auto&) { return {}; }
};
static_assert(valid<edu>);

} // namespace acme
