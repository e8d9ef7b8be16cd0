// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: the policy has a written hook for a statement of its config map that is no observe_writes
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
    result<void> written(at<config, "SCRATCH">, lanes<std::uint32_t>, auto&) { return {}; }
#endif
};
static_assert(valid<nic>);

} // namespace acme
