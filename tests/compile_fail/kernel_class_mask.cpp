// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a module's rule compares each byte of the class whole or not at all
#include <mediant/kernel/policy_object.hpp>
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;
#ifdef MEDIANT_CORRECT
constexpr std::uint32_t mask = 0xff0000;
#else
constexpr std::uint32_t mask = 0xf00000;
#endif
struct nic {
    static constexpr auto info = provider{"nic", {pci_id{.class_code = 0x020000, .class_mask = mask}}};
};
} // namespace acme

extern const mediant_provider& table;
const mediant_provider& table = mediant::kernel::provider_table<acme::nic>;
