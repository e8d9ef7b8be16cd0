// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a BPF provider has no dynamic ranges: what it traps stays so while the device is open
#include <mediant/kernel/bpf_policy.hpp>
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;
struct nic {
    static constexpr auto info = provider{"nic", {pci_id{0x1234, 0x11e8}}};
#ifndef MEDIANT_CORRECT
    static constexpr auto bar0 = region_map{bar{0}, 64_KiB, dynamic{"RING", 0x1000, 4_KiB}};
#else
    static constexpr auto bar0 = region_map{bar{0}, 64_KiB, hide{"RING", 0x1000, 4_KiB}};
#endif
    static constexpr auto regions = mediant::regions<bar0>{};
};
} // namespace acme

template struct mediant::kernel::bpf_programs<acme::nic>;
