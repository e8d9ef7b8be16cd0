// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a provider is listed twice, perhaps by two registries that are joined; its name is the argument of check_listed_once
// expect: check_listed_once<false
// expect: shared
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;
struct shared {
    static constexpr auto info = provider{"shared", {pci_id{0x1234, 0x11e8}}};
};
struct mine {
    static constexpr auto info = provider{"mine", {pci_id{0x1234, 0x11e9}}};
};
using base = registry<shared>;
#ifndef MEDIANT_CORRECT
using devices = join<registry<mine, shared>, base>;
#else
using devices = join<registry<mine>, base>;
#endif
static_assert(devices::size == 2);

} // namespace acme
