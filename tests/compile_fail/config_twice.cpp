// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a policy has one config map
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct nic {
    static constexpr auto config = config_map{hide_bar{2}};
    static constexpr auto more = config_map{hide_bar{3}};
#ifdef MEDIANT_CORRECT
    static constexpr auto regions = mediant::regions<config>{};
#else
    static constexpr auto regions = mediant::regions<config, more>{};
#endif
};
static_assert(valid<nic>);

} // namespace acme
