// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a read hook's parameters are (at<map, "NAME">, auto& next), with the element's std::size_t second for an array; the name is the last argument of check_read_hook_parameters
// expect: check_read_hook_parameters<false
// expect: START
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"START", 0x10, rw, {.hook = on::read, .count = 1}}};
    static constexpr auto regions = mediant::regions<bar0>{};
#ifndef MEDIANT_CORRECT
    result<std::uint32_t> read(at<bar0, "START">, auto&) { return 1u; }
#else
    result<std::uint32_t> read(at<bar0, "START">, std::size_t, auto&) { return 1u; }
#endif
};
static_assert(valid<edu>);

} // namespace acme
