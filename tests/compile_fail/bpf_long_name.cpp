// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a BPF provider's name has at most 31 characters
#include <mediant/kernel/bpf_policy.hpp>
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;
struct nic {
#ifndef MEDIANT_CORRECT
    static constexpr auto info = provider{"a2345678901234567890123456789012", {pci_id{0x1234, 0x11e8}}};
#else
    static constexpr auto info = provider{"a234567890123456789012345678901", {pci_id{0x1234, 0x11e8}}};
#endif
};
} // namespace acme

template struct mediant::kernel::bpf_programs<acme::nic>;
