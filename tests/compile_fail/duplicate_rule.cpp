// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a rule stands twice; the provider's name is the argument of check_duplicate_rule
// expect: check_duplicate_rule<false
// expect: doubled
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;
#ifndef MEDIANT_CORRECT
struct edu {
    static constexpr auto info = provider{"doubled", {pci_id{0x1234, 0x11e8}, pci_id{0x1234, 0x11e9}, pci_id{0x1234, 0x11e8}}};
};
#else
struct edu {
    static constexpr auto info = provider{"doubled", {pci_id{0x1234, 0x11e8}, pci_id{0x1234, 0x11e9}}};
};
#endif
using devices = registry<edu>;
static_assert(devices::size > 0);

} // namespace acme
