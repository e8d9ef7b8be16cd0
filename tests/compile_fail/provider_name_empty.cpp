// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a provider's name is lower-case letters, digits and '_', as it becomes part of a module's name; the name is the argument of check_provider_name
// expect: check_provider_name<false
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;
#ifndef MEDIANT_CORRECT
struct edu {
    static constexpr auto info = provider{"", {pci_id{0x1234, 0x11e8}}};
};
#else
struct edu {
    static constexpr auto info = provider{"edu", {pci_id{0x1234, 0x11e8}}};
};
#endif
using devices = registry<edu>;
static_assert(devices::size > 0);

} // namespace acme
