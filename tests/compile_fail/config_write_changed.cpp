// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a write of config space passes as it is, or is swallowed, or goes to a shadow: it has no write hook that could change its value
// expect: check_config_write_passes<false
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
    result<void> written(at<config, "POWER">, lanes<std::uint16_t>, auto&) { return {}; }
#ifndef MEDIANT_CORRECT
    result<void> write(at<config, "POWER"> reg, std::uint16_t value, auto& next) { return next.write(reg, value | 3); }
#endif
};
static_assert(valid<nic>);

} // namespace acme
