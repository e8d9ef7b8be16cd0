// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/device/unique_fd.hpp>
#include <mediant/libvfio_user/api.hpp>
#include <mediant/libvfio_user/shape.hpp>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <system_error>
#include <utility>
#include <vector>

namespace mediant::libvfio_user {

using device::unique_fd;

/// The interrupts of a device on their way to vfu_irq_trigger. The library keeps the client's eventfds to itself, and
/// the numbers of all kinds in one row; the device is given eventfds of ours, which are looked at after each call that
/// it was given, and when fd() is readable.
class interrupts {
public:
    interrupts() : ready_{::epoll_create1(EPOLL_CLOEXEC)} {
        if (!ready_) throw std::system_error{errno, std::generic_category(), "epoll_create1"};
    }

    /// Readable when a thread of the device's own has triggered something.
    [[nodiscard]] int fd() const noexcept { return ready_.get(); }

    /// Gives the device eventfds for the first `count` vectors of a kind; with 0 takes them away. What the device says;
    /// throws what it throws, std::bad_alloc, and std::system_error where descriptors have run out.
    template <servable Device>
    result<void> bind(Device& device, irq_index index, std::uint32_t count) {
        auto& mine = kinds_[static_cast<std::size_t>(index)];
        if (count == 0) {
            if (mine.empty()) return {};
            const taken off{*this, mine}; // whatever the device says, or throws
            return device.ioctl(set_irqs{index, set_irqs::action::trigger, set_irqs::data::none, 0, 0, {}, {}});
        }
        std::vector<unique_fd> fresh;
        const taken kept{*this, fresh}; // those that it does not have in the end
        fresh.reserve(count);
        std::vector<int> numbers(count);
        for (std::uint32_t i = 0; i < count; ++i) {
            unique_fd made{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
            epoll_event event{};
            event.events = EPOLLIN;
            event.data.u64 = std::uint64_t{static_cast<std::uint32_t>(index)} << 32 | i;
            if (!made || ::epoll_ctl(ready_.get(), EPOLL_CTL_ADD, made.get(), &event) != 0)
                throw std::system_error{errno, std::generic_category(), "the eventfds of interrupts"};
            numbers[i] = made.get();
            fresh.push_back(std::move(made));
        }
        const result<void> on = device.ioctl(
            set_irqs{index, set_irqs::action::trigger, set_irqs::data::eventfds, 0, count, {}, numbers});
        if (on) mine.swap(fresh);
        return on;
    }
    [[nodiscard]] bool bound(irq_index index) const noexcept {
        return !kinds_[static_cast<std::size_t>(index)].empty();
    }

    /// Forgets all, with a device that is released.
    void clear() noexcept {
        for (auto& each : kinds_) take_out(each);
        line_waits_ = false;
    }

    /// Sends what was triggered. A line that is high while the client has no eventfd for it is sent when it has one;
    /// messages that nobody waits for are lost, as they are everywhere.
    void deliver(vfu_ctx_t* context) noexcept {
        std::array<epoll_event, 32> events;
        int count = 0;
        do {
            count = ::epoll_wait(ready_.get(), events.data(), static_cast<int>(events.size()), 0);
            for (int i = 0; i < count; ++i) {
                const auto which = events[static_cast<std::size_t>(i)].data.u64;
                const auto index = static_cast<std::size_t>(which >> 32);
                const auto vector = static_cast<std::uint32_t>(which);
                std::uint64_t times = 0;
                if (vector >= kinds_[index].size() ||
                    ::read(kinds_[index][vector].get(), &times, sizeof times) != sizeof times)
                    continue;
                if (::vfu_irq_trigger(context, vector) != 0 && index == static_cast<std::size_t>(irq_index::intx))
                    line_waits_ = true;
            }
        } while (count == static_cast<int>(events.size()));
    }

    /// Sends a line again that nobody waited for.
    void retry(vfu_ctx_t* context) noexcept {
        if (line_waits_ && ::vfu_irq_trigger(context, 0) == 0) line_waits_ = false;
    }

private:
    /// Closing does not take them out of the epoll set where others hold the file: a real device may, or a child that
    /// was forked.
    void take_out(std::vector<unique_fd>& which) noexcept {
        for (const unique_fd& each : which) ::epoll_ctl(ready_.get(), EPOLL_CTL_DEL, each.get(), nullptr);
        which.clear();
    }
    struct taken {
        interrupts& from;
        std::vector<unique_fd>& which;
        taken(interrupts& of, std::vector<unique_fd>& what) noexcept : from{of}, which{what} {}
        taken(const taken&) = delete;
        taken& operator=(const taken&) = delete;
        ~taken() { from.take_out(which); }
    };

    unique_fd ready_;
    std::array<std::vector<unique_fd>, fixed_irqs> kinds_{};
    bool line_waits_ = false; // INTx was raised, and the client had no eventfd
};

} // namespace mediant::libvfio_user
