// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a policy's state in a kernel module is aligned to at most 8 bytes
#include <mediant/kernel/policy_object.hpp>
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;
#ifdef MEDIANT_CORRECT
struct alignas(8) counters {};
#else
struct alignas(64) counters {};
#endif
struct nic {
    static constexpr auto info = provider{"nic", {pci_id{0x1234, 0x11e8}}};
    counters line;
};
} // namespace acme

extern const mediant_provider& table;
const mediant_provider& table = mediant::kernel::provider_table<acme::nic>;
