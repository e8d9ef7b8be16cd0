// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: the VFIO core owns this register of config space: it cannot be overlaid, shadowed or swallowed; the register is the argument of check_not_owned
// expect: check_not_owned<false
// expect: COMMAND
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct nic {
#ifndef MEDIANT_CORRECT
    static constexpr auto config = config_map{constant_bytes{0x04, {0x07}}};
#else
    static constexpr auto config = config_map{observe_writes{"COMMAND", 0x04, 2}};
    result<void> written(at<config, "COMMAND">, lanes<std::uint16_t>, auto&) { return {}; }
#endif
    static constexpr auto regions = mediant::regions<config>{};
};
static_assert(valid<nic>);

} // namespace acme
