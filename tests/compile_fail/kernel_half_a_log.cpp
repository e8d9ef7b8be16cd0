// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a kernel module offers a log of what the device writes if the policy mediates its reports (report_dma_logging), with what it knows of; this one mediates start or stop alone
#include <mediant/kernel/policy_object.hpp>
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;
struct nic {
    static constexpr auto info = provider{"nic", {pci_id{0x1234, 0x11e8}}};
    result<std::uint64_t> ioctl(const start_dma_logging& what, auto& next) noexcept { return next.ioctl(what); }
#ifdef MEDIANT_CORRECT
    result<void> ioctl(const report_dma_logging& what, auto& next) noexcept { return next.ioctl(what); }
#endif
};
} // namespace acme

extern const mediant_provider& table;
const mediant_provider& table = mediant::kernel::provider_table<acme::nic>;
