// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a kernel module cannot carry a function that is not noexcept; the provider and its function are the arguments of check_noexcept
// expect: check_noexcept<false
// expect: "nic"
// expect: "ioctl of report_dma_logging"
#include <mediant/kernel/policy_object.hpp>
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;
struct nic {
    static constexpr auto info = provider{"nic", {pci_id{0x1234, 0x11e8}}};
#ifndef MEDIANT_CORRECT
    result<void> ioctl(const report_dma_logging& what, auto& next) { return next.ioctl(what); }
#else
    result<void> ioctl(const report_dma_logging& what, auto& next) noexcept { return next.ioctl(what); }
#endif
};
} // namespace acme

extern const mediant_provider& table;
const mediant_provider& table = mediant::kernel::provider_table<acme::nic>;
