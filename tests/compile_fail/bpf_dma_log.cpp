// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a BPF provider marks what the device writes (next.dirty), and keeps no log of it
#include <mediant/kernel/bpf_policy.hpp>
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;
struct nic {
    static constexpr auto info = provider{"nic", {pci_id{0x1234, 0x11e8}}};
    result<get_irq_info::answer> ioctl(const get_irq_info& what, auto& next) noexcept { return next.ioctl(what); }
#ifndef MEDIANT_CORRECT
    result<void> ioctl(const report_dma_logging& what, auto& next) noexcept { return next.ioctl(what); }
#endif
};
} // namespace acme

template struct mediant::kernel::bpf_programs<acme::nic>;
