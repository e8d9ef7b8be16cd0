// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: two providers have the same name, the argument of check_unique_provider
// expect: check_unique_provider<false
// expect: twin
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct first {
    static constexpr auto info = provider{"twin", {pci_id{0x1234, 0x11e8}}};
};
#ifndef MEDIANT_CORRECT
struct second {
    static constexpr auto info = provider{"twin", {pci_id{0x1234, 0x11e9}}};
};
#else
struct second {
    static constexpr auto info = provider{"other", {pci_id{0x1234, 0x11e9}}};
};
#endif
using devices = registry<first, second>;
static_assert(devices::size > 0);

} // namespace acme
