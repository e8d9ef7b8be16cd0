// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/result.hpp>
#include <mediant/device/unique_fd.hpp>

#include <sys/epoll.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace mediant::vfio_user {

/// Eventfds by which a client tells a session something, on an epoll descriptor of their own, so that a loop watches one
/// descriptor whatever there are of them. Nothing here waits, whatever the client does to an eventfd that it shares.
class signal_set {
public:
    /// Most signals of one take(): then others have their turn.
    static constexpr std::size_t share = 16;

    /// Readable while there are signals; -1 until the first watch().
    [[nodiscard]] int fd() const noexcept { return epoll_.get(); }

    /// From now on a signal on this eventfd is told as `which`; one that is there already, too.
    [[nodiscard]] result<void> watch(int eventfd, std::uint64_t which) noexcept {
        if (!epoll_) epoll_ = device::unique_fd{::epoll_create1(EPOLL_CLOEXEC)};
        epoll_event event{};
        // By edges: a counter that cannot be read to its end, a semaphore's, say, is told once a write.
        event.events = EPOLLIN | EPOLLET;
        event.data.u64 = which;
        if (!epoll_ || ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, eventfd, &event) != 0) return error{errno};
        return {};
    }
    /// Before it is closed: the client has it too, and closing ours would leave it watched.
    void forget(int eventfd) noexcept {
        if (eventfd >= 0) static_cast<void>(::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, eventfd, nullptr));
    }

    /// `each(which)` for signals that have come, of each eventfd once however often it was signalled.
    template <class F>
    void take(F each) {
        if (!epoll_) return;
        std::array<epoll_event, share> events;
        const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
        for (int i = 0; i < count; ++i) each(std::uint64_t{events[static_cast<std::size_t>(i)].data.u64});
    }

    /// Takes what an eventfd has counted. It waits for nothing: O_NONBLOCK would not do, as it is the client's too.
    static void drain(int eventfd) noexcept {
        std::uint64_t count = 0;
        iovec to{&count, sizeof count};
        [[maybe_unused]] const auto got = ::preadv2(eventfd, &to, 1, -1, RWF_NOWAIT);
    }

private:
    device::unique_fd epoll_;
};

} // namespace mediant::vfio_user
