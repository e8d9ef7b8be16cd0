// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a rule stands twice; the provider's name is the argument of check_duplicate_rule
// expect: check_duplicate_rule<false
// expect: network
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;
/// The rules differ where the mask hides it: they match the same devices.
struct network {
#ifndef MEDIANT_CORRECT
    static constexpr auto info = provider{"network", {pci_id{.class_code = 0x020000, .class_mask = 0xff0000},
                                                      pci_id{.class_code = 0x020100, .class_mask = 0xff0000}}};
#else
    static constexpr auto info = provider{"network", {pci_id{.class_code = 0x020000, .class_mask = 0xff0000},
                                                      pci_id{.class_code = 0x020100, .class_mask = 0xffff00}}};
#endif
};
static_assert(registry<network>::size == 1);

} // namespace acme
