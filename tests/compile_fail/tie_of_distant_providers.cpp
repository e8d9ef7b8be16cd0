// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: two providers tie for some device: their rules rank alike and both can match it; the providers' names are the arguments of check_tie
// expect: check_tie<false
// expect: first
// expect: third
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct a {
    static constexpr auto info = provider{"first", {pci_id{0x1234, 0x11e8}}};
};
struct b {
    static constexpr auto info = provider{"second", {pci_id{0x8086}}};
};
#ifndef MEDIANT_CORRECT
struct c {
    static constexpr auto info = provider{"third", {pci_id{0x1234, 0x11e8}}};
};
#else
struct c {
    static constexpr auto info = provider{"third", {pci_id{0x1234, 0x11e8, 0x1af4}}};
};
#endif
using devices = registry<a, b, c>;
static_assert(devices::size > 0);

} // namespace acme
