// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: two providers tie for some device: their rules rank alike and both can match it; the providers' names are the arguments of check_tie
// expect: check_tie<false
// expect: ours
// expect: theirs
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;
struct ours {
    static constexpr auto info = provider{"ours", {pci_id{0x1234, 0x11e8}, pci_id{0x1234, 0x11e9}}};
};
using devices = registry<ours>;
} // namespace acme

namespace other {
using namespace mediant;
struct theirs {
#ifndef MEDIANT_CORRECT
    static constexpr auto info = provider{"theirs", {pci_id{0x1234, 0x11e7}, pci_id{0x1234, 0x11e8}}};
#else
    static constexpr auto info = provider{"theirs", {pci_id{0x1234, 0x11e7}, pci_id{0x1234, 0x11ea}}};
#endif
};
using devices = registry<theirs>;
} // namespace other

static_assert(acme::devices::size == 1 && other::devices::size == 1);
static_assert(mediant::join<other::devices, acme::devices>::size == 2);
