// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: the map marks a register with on::written, but the policy has no written(at<map, "NAME">, lanes<>, auto& next) that returns result<void>; the name is the last argument of check_written_hook
// expect: check_written_hook<false
// expect: START
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"START", 0x10, rw, {.hook = on::written, .count = 2}}, reg{"LIVE", 0x08}};
    static constexpr auto regions = mediant::regions<bar0>{};
#ifndef MEDIANT_CORRECT
    result<void> written(at<bar0, "START">, lanes<std::uint32_t>, auto&) { return {}; }
#else
    result<void> written(at<bar0, "START">, std::size_t, lanes<std::uint32_t>, auto&) { return {}; }
#endif
};
static_assert(valid<edu>);

} // namespace acme
