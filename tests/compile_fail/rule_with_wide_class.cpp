// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a rule's IDs have 16 bits, its class and class mask 24; the provider's name is the argument of check_class_mask
// expect: check_class_mask<false
// expect: edu
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;
#ifndef MEDIANT_CORRECT
struct edu {
    static constexpr auto info = provider{"edu", {pci_id{.class_code = 0x2000000, .class_mask = 0xff0000}}};
};
#else
struct edu {
    static constexpr auto info = provider{"edu", {pci_id{.class_code = 0x020000, .class_mask = 0xff0000}}};
};
#endif
using devices = registry<edu>;
static_assert(devices::size > 0);

} // namespace acme
