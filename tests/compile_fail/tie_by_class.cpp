// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: two providers tie for some device: their rules rank alike and both can match it; the providers' names are the arguments of check_tie
// expect: check_tie<false
// expect: network
// expect: ethernet
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct a {
    static constexpr auto info = provider{"network", {pci_id{.class_code = 0x020100, .class_mask = 0xff0000}}};
};
#ifndef MEDIANT_CORRECT
struct b {
    static constexpr auto info = provider{"ethernet", {pci_id{.class_code = 0x020000, .class_mask = 0xff0000}}};
};
#else
struct b {
    static constexpr auto info = provider{"ethernet", {pci_id{.class_code = 0x020000, .class_mask = 0xffff00}}};
};
#endif
using devices = registry<a, b>;
static_assert(devices::size > 0);

} // namespace acme
