// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/device/unique_fd.hpp>

#include <sys/epoll.h>
#include <sys/timerfd.h>

#include <cerrno>
#include <cstdint>
#include <ctime>
#include <optional>
#include <system_error>

namespace mediant::libvfio_user {

/// A device's deadline and another descriptor, as one to wait for.
class timer {
public:
    /// Throws std::system_error where descriptors have run out.
    explicit timer(int other)
        : both_{::epoll_create1(EPOLL_CLOEXEC)}, clock_{::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)} {
        if (!both_ || !clock_) fail();
        for (const int each : {other, clock_.get()}) {
            epoll_event event{};
            event.events = EPOLLIN;
            if (::epoll_ctl(both_.get(), EPOLL_CTL_ADD, each, &event) != 0) fail();
        }
    }

    /// Readable when the deadline has come, until there is another, or when the other one is.
    [[nodiscard]] int fd() const noexcept { return both_.get(); }

    /// In nanoseconds of CLOCK_MONOTONIC; none: there is nothing to wait for.
    void arm(std::optional<std::uint64_t> due) noexcept {
        if (due == armed_) return;
        armed_ = due;
        itimerspec when{};
        if (due) {
            // 0 would disarm it.
            const std::uint64_t at = *due == 0 ? 1 : *due;
            when.it_value = {static_cast<time_t>(at / second), static_cast<long>(at % second)};
        }
        ::timerfd_settime(clock_.get(), TFD_TIMER_ABSTIME, &when, nullptr);
    }

    [[nodiscard]] static std::uint64_t now() noexcept {
        timespec at{};
        ::clock_gettime(CLOCK_MONOTONIC, &at);
        return static_cast<std::uint64_t>(at.tv_sec) * second + static_cast<std::uint64_t>(at.tv_nsec);
    }

private:
    static constexpr std::uint64_t second = 1'000'000'000;
    [[noreturn]] static void fail() { throw std::system_error{errno, std::generic_category(), "a device's timer"}; }

    device::unique_fd both_;
    device::unique_fd clock_;
    std::optional<std::uint64_t> armed_;
};

} // namespace mediant::libvfio_user
