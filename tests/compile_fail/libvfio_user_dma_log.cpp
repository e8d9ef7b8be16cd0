// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: libvfio-user cannot carry a policy that mediates the DMA log: the library keeps its own
#include <mediant/device/edu.hpp>
#include <mediant/libvfio_user/adapter.hpp>
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct own_log {
    static constexpr auto info = provider{"own_log", {pci_id{0x1234, 0x11e8}}};
#ifndef MEDIANT_CORRECT
    result<void> ioctl(const stop_dma_logging& what, auto& next) noexcept {
#else
    result<void> ioctl(const reset_device& what, auto& next) noexcept {
#endif
        return next.ioctl(what);
    }
};
static_assert(valid<own_log>);

} // namespace acme

template class mediant::libvfio_user::adapter<mediant::stack<mediant::device::edu, acme::own_log>>;
