// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/vfio_user/options.hpp>
#include <mediant/vfio_user/servable.hpp>
#include <mediant/vfio_user/session.hpp>
#include <mediant/vfio_user/socket.hpp>

#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

namespace mediant::vfio_user {

/// Serves one device on a Unix socket, to one client at a time. A second client waits in the backlog and is served
/// when the first is gone: a client that reconnects is never refused because its end was not noticed yet.
///
/// Either run() on a thread of its own, which takes two system calls an access; or the user's own loop: when fd() is
/// readable call run_once(0). All but stop() belongs to one thread.
template <servable Device>
class server {
public:
    /// Listens at once. Throws std::system_error: the path cannot be had (address_in_use: somebody listens there, or
    /// it is no socket), or descriptors have run out.
    server(Device& device, server_options options)
        : device_{device}, options_{std::move(options)}, listener_{listen(options_)}, epoll_{::epoll_create1(
                                                                                          EPOLL_CLOEXEC)},
          wake_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)}, timer_{::timerfd_create(CLOCK_MONOTONIC,
                                                                                   TFD_CLOEXEC | TFD_NONBLOCK)} {
        if (!epoll_ || !wake_ || !timer_) fail("vfio-user server");
        watch(EPOLL_CTL_ADD, wake_.get(), EPOLLIN);
        watch(EPOLL_CTL_ADD, timer_.get(), EPOLLIN);
        watch(EPOLL_CTL_ADD, listener_.fd(), EPOLLIN);
    }
    server(const server&) = delete;
    server& operator=(const server&) = delete;
    ~server() { hang_up(); }

    /// Readable when run_once() has something to do: connections, messages, the device's deadlines, stop().
    [[nodiscard]] int fd() const noexcept { return epoll_.get(); }

    /// Waits at most `timeout` milliseconds (-1: for ever), does what there is to do and returns; false when stop()
    /// was called. Waiting also ends at a signal.
    bool run_once(int timeout) {
        std::array<epoll_event, 4> events;
        const bool busy = session_ && session_->runnable();
        const int count = ::epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                                       busy ? 0 : timeout);
        std::uint32_t socket = 0;
        for (int i = 0; i < count; ++i) {
            const auto& event = events[static_cast<std::size_t>(i)];
            if (event.data.fd == listener_.fd())
                accept();
            else if (event.data.fd == timer_.get())
                expired();
            else if (event.data.fd == wake_.get())
                drain(wake_.get());
            else
                socket = event.events;
        }
        if (stopped_.load()) return finish(), false;
        if (session_) {
            advance();
            // Where it does not read, the client's end shows when it is written to.
            if (session_->runnable() || (socket & EPOLLOUT) != 0 || (socket != 0 && !session_->wants_to_read())) {
                session_->resume();
            } else if (socket != 0) {
                session_->receive();
            }
            settle();
        } else {
            arm();
        }
        return true;
    }

    /// Serves until stop(); the client that is connected then is dropped.
    void run() {
        while (!stopped_.load()) {
            // With nothing to wait for but the client a blocking receive saves a system call a batch; stop() ends it.
            if (session_ && session_->idle() && !deadline()) {
                do session_->receive(true);
                while (session_->idle() && !has_due() && !stopped_.load());
                settle();
            } else if (!run_once(-1)) {
                return;
            }
        }
        finish();
    }

    /// Ends run(), or makes run_once() return false. From any thread, and from a signal handler.
    void stop() noexcept {
        const int saved = errno;
        stopped_.store(true);
        // The socket is not closed while somebody is in here, so that the number cannot be another file's by now.
        stoppers_.fetch_add(1);
        if (const int fd = connection_.load(); fd >= 0) ::shutdown(fd, SHUT_RDWR);
        stoppers_.fetch_sub(1);
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto written = ::write(wake_.get(), &one, sizeof one);
        errno = saved;
    }

    /// Whether a client is connected, and its VERSION was accepted.
    [[nodiscard]] bool serving() const noexcept { return session_ && session_->open(); }
    /// How many clients were served to their end: their VERSION was accepted, and they are gone.
    [[nodiscard]] std::uint64_t served() const noexcept { return served_; }

private:
    [[noreturn]] static void fail(const std::string& what) {
        throw std::system_error{errno, std::generic_category(), what};
    }

    [[nodiscard]] static listener listen(const server_options& options) {
        auto made = listener::open(options.path, options.backlog);
        if (made) return std::move(*made);
        throw std::system_error{to_errno(made.error()), std::generic_category(), "vfio-user socket " + options.path};
    }

    void watch(int how, int fd, std::uint32_t events) {
        epoll_event event{};
        event.events = events;
        event.data.fd = fd;
        if (::epoll_ctl(epoll_.get(), how, fd, &event) != 0) fail("epoll_ctl");
    }

    [[nodiscard]] static std::uint64_t now() noexcept {
        timespec time{};
        ::clock_gettime(CLOCK_MONOTONIC, &time);
        return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(time.tv_nsec);
    }

    void accept() {
        unique_fd socket{::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC)};
        if (!socket) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
                // The client stays in the backlog; asking for it again at once would only spin.
                watch(EPOLL_CTL_MOD, listener_.fd(), 0);
                retry_ = now() + 100'000'000u;
            }
            return;
        }
        watch(EPOLL_CTL_MOD, listener_.fd(), 0);
        watch(EPOLL_CTL_ADD, socket.get(), watched_ = EPOLLIN);
        connection_.store(socket.get());
        session_.emplace(device_, std::move(socket), options_);
        const auto patience = std::chrono::duration_cast<std::chrono::nanoseconds>(options_.handshake_timeout).count();
        if (patience > 0) handshake_ = now() + static_cast<std::uint64_t>(patience);
    }

    void expired() {
        drain(timer_.get());
        armed_.reset();
        const auto at = now();
        if (retry_ && *retry_ <= at) {
            retry_.reset();
            watch(EPOLL_CTL_MOD, listener_.fd(), EPOLLIN);
        }
        if (handshake_ && *handshake_ <= at) drop();
    }

    /// Whether the device, which is open, has a deadline.
    [[nodiscard]] bool has_due() const {
        if constexpr (has_deadline<Device>)
            return device_.deadline().has_value();
        else
            return false;
    }

    [[nodiscard]] std::optional<std::uint64_t> deadline() const {
        if constexpr (has_deadline<Device>) {
            if (serving()) return device_.deadline();
        }
        return {};
    }

    /// Gives the device its time before the client sees it.
    void advance() {
        if constexpr (has_deadline<Device>) {
            if (const auto due = deadline()) {
                if (const auto at = now(); *due <= at) device_.advance(at);
            }
        }
    }

    /// After anything that may have ended the connection or changed what to wait for.
    void settle() {
        if (session_->closed()) return drop();
        if (handshake_ && session_->open()) handshake_.reset();
        const std::uint32_t wanted = (session_->wants_to_read() ? static_cast<std::uint32_t>(EPOLLIN) : 0u) |
                                     (session_->wants_to_write() ? static_cast<std::uint32_t>(EPOLLOUT) : 0u);
        if (wanted != watched_) watch(EPOLL_CTL_MOD, session_->fd(), watched_ = wanted);
        arm();
    }

    /// Sets the timer to what comes first, if that has changed.
    void arm() {
        auto first = deadline();
        for (const auto& other : {handshake_, retry_}) {
            if (other && (!first || *other < *first)) first = other;
        }
        if (first == armed_) return;
        armed_ = first;
        itimerspec when{};
        if (first) {
            const auto at = *first == 0 ? 1 : *first; // all zero would disarm it
            when.it_value.tv_sec = static_cast<time_t>(at / 1'000'000'000u);
            when.it_value.tv_nsec = static_cast<long>(at % 1'000'000'000u);
        }
        ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr);
    }

    /// Ends the connection, if there is one, and lets the next client in.
    void drop() {
        if (!session_) return;
        hang_up();
        handshake_.reset();
        watch(EPOLL_CTL_MOD, listener_.fd(), EPOLLIN);
        arm();
    }

    void hang_up() noexcept {
        connection_.store(-1);
        while (stoppers_.load() != 0) ::sched_yield();
        if (session_ && session_->opened()) ++served_;
        session_.reset(); // closing the socket takes it out of the epoll set
    }

    /// After stop(): ready to run again.
    void finish() {
        drop();
        drain(wake_.get());
        stopped_.store(false);
    }

    static void drain(int fd) noexcept {
        std::uint64_t times = 0;
        [[maybe_unused]] const auto got = ::read(fd, &times, sizeof times);
    }

    Device& device_;
    server_options options_;
    listener listener_;
    unique_fd epoll_;
    unique_fd wake_;
    unique_fd timer_;
    std::optional<session<Device>> session_;
    std::uint32_t watched_ = 0;
    std::optional<std::uint64_t> handshake_; // when a client's patience ends, ours with it
    std::optional<std::uint64_t> retry_;     // when to accept again
    std::optional<std::uint64_t> armed_;     // what the timer is set to
    std::uint64_t served_ = 0;
    std::atomic<bool> stopped_{false};
    std::atomic<int> connection_{-1};
    std::atomic<int> stoppers_{0};
    static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free);
};

} // namespace mediant::vfio_user
