// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a kernel module cannot carry a policy that mediates requests of DMA: none of them comes to the device's driver
#include <mediant/kernel/policy_object.hpp>
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;
struct nic {
    static constexpr auto info = provider{"nic", {pci_id{0x1234, 0x11e8}}};
    result<void> ioctl(const reset_device& what, auto& next) noexcept { return next.ioctl(what); }
#ifndef MEDIANT_CORRECT
    result<void> ioctl(const map_dma& what, auto& next) noexcept { return next.ioctl(what); }
#endif
};
} // namespace acme

extern const mediant_provider& table;
const mediant_provider& table = mediant::kernel::provider_table<acme::nic>;
