// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a BPF provider has hooks of registers, and no read or write of whole accesses, which the host splits
#include <mediant/kernel/bpf_policy.hpp>
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;
struct nic {
    static constexpr auto info = provider{"nic", {pci_id{0x1234, 0x11e8}}};
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"MARK", 0x00, rw, {.backing = from::shadow}}};
    static constexpr auto regions = mediant::regions<bar0>{};
#ifndef MEDIANT_CORRECT
    answer read(read_access a, auto& next) noexcept { return next.read(a); }
#endif
};
} // namespace acme

template struct mediant::kernel::bpf_programs<acme::nic>;
