// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: the config map observes a register, but the policy has no written(at<config, "NAME">, lanes<>, auto& next) that returns result<void>
// expect: check_config_hook<false
// expect: POWER
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct nic {
    static constexpr auto config = config_map{
#ifndef MEDIANT_CORRECT
        observe_writes{"POWER", 0x44, 2}};
#else
        observe_writes{"POWER", 0x44, 2}};
#endif
    static constexpr auto regions = mediant::regions<config>{};
#ifdef MEDIANT_CORRECT
    result<void> written(at<config, "POWER">, lanes<std::uint16_t>, auto&) { return {}; }
#endif
};
static_assert(valid<nic>);

} // namespace acme
