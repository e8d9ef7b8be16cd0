// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: libvfio-user cannot carry a policy that mediates set_irqs: the library answers SET_IRQS itself and keeps the client's eventfds
#include <mediant/device/edu.hpp>
#include <mediant/libvfio_user/adapter.hpp>
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct fewer_vectors {
    static constexpr auto info = provider{"fewer_vectors", {pci_id{0x1234, 0x11e8}}};
#ifndef MEDIANT_CORRECT
    result<void> ioctl(const set_irqs& what, auto& next) noexcept {
#else
    result<void> ioctl(const reset_device& what, auto& next) noexcept {
#endif
        return next.ioctl(what);
    }
};
static_assert(valid<fewer_vectors>);

} // namespace acme

template class mediant::libvfio_user::adapter<mediant::stack<mediant::device::edu, acme::fewer_vectors>>;
