// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a write hook's value has the unsigned type of the register's width, or is lanes<> of it; the name is the last argument of check_write_hook_value
// expect: check_write_hook_value<false
// expect: START
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"START", 0x10, rw, {.hook = on::write, .count = 2}}, reg{"LIVE", 0x08}};
    static constexpr auto regions = mediant::regions<bar0>{};
#ifndef MEDIANT_CORRECT
    result<void> write(at<bar0, "START">, std::size_t, std::uint16_t, auto&) { return {}; }
#else
    result<void> write(at<bar0, "START">, std::size_t, lanes<std::uint32_t>, auto&) { return {}; }
#endif
};
static_assert(valid<edu>);

} // namespace acme
