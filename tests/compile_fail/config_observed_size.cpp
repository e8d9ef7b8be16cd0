// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: an observed register has a name, and 1, 2, 4 or 8 bytes
// expect: observe_writes at 0x40 WIDE
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct nic {
    static constexpr auto config = config_map{
#ifndef MEDIANT_CORRECT
        observe_writes{"WIDE", 0x40, 3}};
#else
        observe_writes{"WIDE", 0x40, 4}};
#endif
    static constexpr auto regions = mediant::regions<config>{};
    result<void> written(at<config, "WIDE">, lanes<std::uint32_t>, auto&) { return {}; }
};
static_assert(valid<nic>);

} // namespace acme
