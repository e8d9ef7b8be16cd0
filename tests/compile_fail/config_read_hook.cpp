// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: config space has no read hooks
// expect: check_config_read_hook<false
// expect: SCRATCH
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct nic {
    static constexpr auto config = config_map{
#ifndef MEDIANT_CORRECT
        shadow_bytes{"SCRATCH", 0x40, 4}};
#else
        shadow_bytes{"SCRATCH", 0x40, 4}};
#endif
    static constexpr auto regions = mediant::regions<config>{};
#ifndef MEDIANT_CORRECT
    result<std::uint32_t> read(at<config, "SCRATCH">, auto&) { return 1u; }
#endif
};
static_assert(valid<nic>);

} // namespace acme
