// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: the policy has a write hook for a register that the map does not mark with on::write; the name is the last argument of check_write_mark
// expect: check_write_mark<false
// expect: START
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"START", 0x10, rw, {.count = 2}}, reg{"LIVE", 0x08}};
    static constexpr auto regions = mediant::regions<bar0>{};
#ifndef MEDIANT_CORRECT
    result<void> write(at<bar0, "START">, std::size_t, std::uint32_t, auto&) { return {}; }
#else

#endif
};
static_assert(valid<edu>);

} // namespace acme
