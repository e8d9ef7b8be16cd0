// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: the config map observes a register, but the policy has no written
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
#else
    result<std::uint16_t> written(at<config, "POWER">, lanes<std::uint16_t> value, auto&) { return value.value; }
#endif
};
static_assert(valid<nic>);

} // namespace acme
