// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/vfio_user/features.hpp>
#include <mediant/vfio_user/inbox.hpp>
#include <mediant/vfio_user/irq_set.hpp>
#include <mediant/vfio_user/irq_signals.hpp>
#include <mediant/vfio_user/replies.hpp>
#include <mediant/vfio_user/servable.hpp>
#include <mediant/vfio_user/signal_set.hpp>
#include <mediant/vfio_user/wire.hpp>

#include <linux/vfio.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace mediant::vfio_user {

/// The commands on the device as a whole: GET_INFO, RESET, GET_IRQ_INFO, SET_IRQS, DEVICE_FEATURE.
///
/// Each answers one message into the replies, of which small_reply bytes are free; false: that is too little, and
/// nothing was done.
template <servable Device>
class device_commands {
public:
    device_commands(Device& device, replies& out, signal_set& signals) noexcept
        : device_{device}, out_{out}, irq_signals_{signals} {}

    /// The device is open.
    void open(const get_device_info::answer& info) noexcept { info_ = info; }

    /// Takes all eventfds away from the device, which is still open.
    void disable_irqs() noexcept {
        irq_signals_.clear();
        for (std::uint32_t i = 0; i < info_.irqs; ++i) {
            try {
                (void)device_.ioctl(disabled(i));
            } catch (...) {} // release() is what counts
        }
    }

    /// `regions`: as many as are shown.
    void info(const message& what, std::size_t regions) {
        if (what.payload.size() < sizeof(wire::device_info)) return out_.reply_error(what, EINVAL);
        if (wire::load<wire::device_info>(what.payload).argsz < sizeof(wire::device_info))
            return out_.reply_error(what, EINVAL);
        const auto flags = static_cast<std::uint32_t>(VFIO_DEVICE_FLAGS_PCI) |
                           (info_.can_reset ? static_cast<std::uint32_t>(VFIO_DEVICE_FLAGS_RESET) : 0u);
        out_.reply(what, wire::device_info{sizeof(wire::device_info), flags, static_cast<std::uint32_t>(regions),
                                           info_.irqs});
    }

    void reset(const message& what) {
        out_.reply_result(what, what.payload.empty() ? device_.ioctl(reset_device{}) : error::invalid);
    }

    void irq_info(const message& what) {
        if (what.payload.size() < sizeof(wire::irq_info)) return out_.reply_error(what, EINVAL);
        const auto request = wire::load<wire::irq_info>(what.payload);
        if (request.argsz < sizeof request || request.index >= info_.irqs) return out_.reply_error(what, EINVAL);
        const auto info = device_.ioctl(get_irq_info{mediant::irq_index{request.index}});
        if (!info) return out_.reply_error(what, info.error());
        out_.reply(what,
                   wire::irq_info{sizeof request, static_cast<std::uint32_t>(info->flags), request.index, info->count});
    }

    void irqs(const message& what) { out_.reply_result(what, irq_set(what)); }
    /// One of the client's eventfds for MASK and UNMASK was signalled.
    void irq_signal(std::uint64_t which) { static_cast<void>(device_.ioctl(irq_signals_.taken(which))); }

    [[nodiscard]] bool feature(const message& what) {
        if (what.payload.size() < sizeof(wire::device_feature)) return out_.reply_error(what, EINVAL), true;
        if (!out_.empty()) return false;
        const auto answered = device_features{device_}.answer(
            what.payload, {out_.tail() + header_size, out_.capacity() - header_size});
        if (answered)
            out_.commit_reply(what, *answered);
        else
            out_.reply_error(what, answered.error() == error::not_a_request ? ENOTTY : to_errno(answered.error()));
        return true;
    }

private:
    static constexpr std::size_t header_size = sizeof(wire::header);

    [[nodiscard]] result<void> irq_set(const message& what) {
        if (what.payload.size() < sizeof(wire::irq_set)) return error::invalid;
        const auto request = wire::load<wire::irq_set>(what.payload);
        if (request.index >= info_.irqs) return error::invalid;
        const auto info = device_.ioctl(get_irq_info{mediant::irq_index{request.index}});
        if (!info) return info.error();
        const auto set = checked_irq_set(request, what.payload.subspan(sizeof request), what.fds, *info);
        if (!set) return set.error();
        const bool trigger = set->what == set_irqs::action::trigger;
        if (!trigger && set->how == set_irqs::data::eventfds) return irq_signals_.set(*set, info->count);
        if (trigger && set->count == 0) irq_signals_.disable(set->index);
        return device_.ioctl(*set);
    }

    Device& device_;
    replies& out_;
    get_device_info::answer info_{};
    irq_signals irq_signals_;
};

} // namespace mediant::vfio_user
