// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: the policy has a write hook for a register that the map does not mark with on::write; the name is the last argument of check_write_mark
// expect: check_write_mark<false
// expect: LIVE
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"IDENT", 0x00, ro, {.hook = on::read}}, reg{"START", 0x04, rw, {.hook = on::write}}, reg{"LIVE", 0x08}};
    static constexpr auto regions = mediant::regions<bar0>{};
#ifndef MEDIANT_CORRECT
    result<void> write(at<bar0, "LIVE">, std::uint32_t, auto&) { return {}; }
#else

#endif
    result<std::uint32_t> read(at<bar0, "IDENT">, auto&) { return 1u; }
    result<void> write(at<bar0, "START">, std::uint32_t, auto&) { return {}; }
};
static_assert(valid<edu>);

} // namespace acme
