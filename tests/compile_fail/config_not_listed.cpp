// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: the policy has a region map that its `regions` does not list
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct nic {
    static constexpr auto config = config_map{hide_bar{2}};
#ifdef MEDIANT_CORRECT
    static constexpr auto regions = mediant::regions<config>{};
#endif
};
static_assert(valid<nic>);

} // namespace acme
