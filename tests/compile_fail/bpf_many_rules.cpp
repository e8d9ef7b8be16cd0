// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a BPF provider has at most 32 rules
#include <mediant/kernel/bpf_policy.hpp>
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;
inline constexpr pci_id rules[]{
        pci_id{0x1234, 0}, pci_id{0x1234, 1}, pci_id{0x1234, 2}, pci_id{0x1234, 3},
        pci_id{0x1234, 4}, pci_id{0x1234, 5}, pci_id{0x1234, 6}, pci_id{0x1234, 7},
        pci_id{0x1234, 8}, pci_id{0x1234, 9}, pci_id{0x1234, 10}, pci_id{0x1234, 11},
        pci_id{0x1234, 12}, pci_id{0x1234, 13}, pci_id{0x1234, 14}, pci_id{0x1234, 15},
        pci_id{0x1234, 16}, pci_id{0x1234, 17}, pci_id{0x1234, 18}, pci_id{0x1234, 19},
        pci_id{0x1234, 20}, pci_id{0x1234, 21}, pci_id{0x1234, 22}, pci_id{0x1234, 23},
        pci_id{0x1234, 24}, pci_id{0x1234, 25}, pci_id{0x1234, 26}, pci_id{0x1234, 27},
        pci_id{0x1234, 28}, pci_id{0x1234, 29}, pci_id{0x1234, 30}, pci_id{0x1234, 31},
#ifndef MEDIANT_CORRECT
        pci_id{0x1234, 32},
#endif
};
struct nic {
    static constexpr auto info = provider{"nic", rules};
};
} // namespace acme

template struct mediant::kernel::bpf_programs<acme::nic>;
