// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a provider has `static constexpr auto info = provider{name, {rules}}`
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;
#ifndef MEDIANT_CORRECT
struct edu {};
#else
struct edu {
    static constexpr auto info = provider{"edu", {pci_id{0x1234, 0x11e8}}};
};
#endif
using devices = registry<edu>;
static_assert(devices::size > 0);

} // namespace acme
