// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: only a register has hooks, not a block, window or alias; the name of what cannot have any is the argument of check_hooks_of_registers
// expect: check_hooks_of_registers<false
// expect: DMA
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, entry{.name = "DMA", .offset = 0x80, .size = 8, .what = entry::shape::block, .hook = on::read}, reg{"LIVE", 0x08}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, entry{.name = "DMA", .offset = 0x80, .size = 4, .hook = on::read}, reg{"LIVE", 0x08}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
    result<std::uint32_t> read(at<bar0, "DMA">, auto&) { return 0u; }
};
static_assert(valid<edu>);

} // namespace acme
