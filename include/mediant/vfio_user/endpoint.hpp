// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/vfio_user/event_loop.hpp>
#include <mediant/vfio_user/options.hpp>
#include <mediant/vfio_user/servable.hpp>
#include <mediant/vfio_user/session.hpp>
#include <mediant/vfio_user/socket.hpp>

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

namespace mediant::vfio_user {

/// One device on a Unix socket of its own, in a loop that may serve others too. One client at a time: a second one
/// waits in the backlog and is served when the first is gone, so that a client that reconnects is never refused because
/// its end was not noticed yet. All of it belongs to the loop's thread.
template <servable Device>
class endpoint final : private event_loop::source {
public:
    /// Listens at once. Throws std::system_error: the path cannot be had (address_in_use: somebody listens there, or
    /// it is no socket), or descriptors have run out. The device and the loop must outlive it.
    endpoint(event_loop& loop, Device& device, server_options options)
        : source{loop}, device_{device}, options_{std::move(options)}, listener_{listen(options_)} {
        loop.watch(listening_, listener_.fd(), EPOLLIN);
    }
    ~endpoint() { hang_up(); }

    /// Whether a client is connected, and its VERSION was accepted.
    [[nodiscard]] bool serving() const noexcept { return session_ && session_->open(); }
    /// How many clients were served to their end: their VERSION was accepted, and they are gone.
    [[nodiscard]] std::uint64_t served() const noexcept { return served_; }

private:
    [[nodiscard]] static listener listen(const server_options& options) {
        auto made = options.listen_fd >= 0 ? listener::adopt(options.listen_fd) : listener::open(options);
        if (made) return std::move(*made);
        throw std::system_error{to_errno(made.error()), std::generic_category(),
                                options.listen_fd >= 0 ? "vfio-user socket that was handed over"
                                                       : "vfio-user socket " + options.path};
    }

    // The loop's calls.

    void ready(const watched& which, std::uint32_t events) override {
        if (&which == &listening_) return accept();
        if (!session_ || session_->waits()) return; // an event of a connection that another event has changed
        // Where it took its share of time the connection is as ready in the next turn.
        if (advance() || session_->closed() || session_->waits()) return settle();
        if (&which == &signals_) {
            session_->signalled();
            return settle();
        }
        // Where it does not read, the client's end shows when it is written to.
        if ((events & EPOLLOUT) != 0 || !session_->wants_to_read())
            session_->resume();
        else
            session_->receive();
        settle();
    }

    void due(std::uint64_t now) override {
        if (retry_ <= now) {
            retry_ = never;
            loop().watch(listening_, listener_.fd(), EPOLLIN);
        }
        if (handshake_ <= now) return drop();
        const bool waited = again_ <= now;
        if (waited) again_ = never;
        if (!advance() && waited && session_) session_->resume();
        if (session_) return settle();
        arm();
    }

    void go_on() override {
        if (!session_ || !session_->runnable()) return;
        if (!advance() && session_->runnable()) session_->resume();
        settle();
    }

    void stopped() noexcept override { drop(); }

    void poll() override {
        if (!session_) return;
        if (session_->wants_to_read()) {
            session_->receive();
            if (session_->idle() && !has_due() && !has_signals()) [[likely]] {
                // Who asks all the time need not be told, and to tell costs the client's sends.
                if (connected_.fd >= 0) [[unlikely]]
                    loop().unwatch(connected_);
                return;
            }
            if (has_signals() && !session_->closed() && !session_->waits()) session_->signalled();
        }
        settle();
    }

    [[nodiscard]] bool wait() override {
        if (!session_ || !can_wait()) return false;
        connection_.store(session_->fd());
        // Looked at only now: who stops us later finds the connection.
        while (!loop().stopping() && can_wait()) session_->receive(true);
        connection_.store(-1);
        return true;
    }
    void wake() noexcept override {
        if (const int fd = connection_.load(); fd >= 0) ::shutdown(fd, SHUT_RDWR);
    }
    void waited() override { settle(); }

    // Clients.

    void accept() {
        unique_fd socket{::accept4(listener_.fd(), nullptr, nullptr, SOCK_CLOEXEC)};
        if (!socket) {
            // The client stays in the backlog.
            if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) accept_later();
            return;
        }
        try {
            session_.emplace(device_, std::move(socket), options_);
            loop().watch(connected_, session_->fd(), EPOLLIN);
        } catch (const std::exception&) { // no memory, here or in the kernel
            hang_up();
            return accept_later(); // this client is gone, the others of the loop need not be
        }
        loop().watch(listening_, listener_.fd(), 0);
        const auto patience = std::chrono::duration_cast<std::chrono::nanoseconds>(options_.handshake_timeout).count();
        if (patience > 0) handshake_ = event_loop::now() + static_cast<std::uint64_t>(patience);
        arm();
    }

    /// Asking again at once would only spin.
    void accept_later() {
        loop().watch(listening_, listener_.fd(), 0);
        retry_ = event_loop::now() + 100'000'000u;
        arm();
    }

    /// After anything that may have ended the connection or changed what to wait for.
    void settle() {
        if (session_->closed()) session_->end(); // if its memory was lost
        if (session_->waits()) {
            loop().unwatch(connected_);
            loop().unwatch(signals_);
            if (again_ == never) again_ = event_loop::now() + 1'000'000u; // who lets go tells nobody
            handshake_ = never;
            return arm();
        }
        again_ = never;
        if (session_->closed()) return drop();
        if (session_->open()) handshake_ = never;
        if (!watch_all()) {
            session_->end(); // which may have to wait
            return settle();
        }
        if (session_->runnable()) loop().call_again(*this);
        arm();
    }

    [[nodiscard]] bool has_signals() const noexcept { return session_->signals_fd() >= 0; }
    /// False: descriptors can be watched no more, which is this client's loss.
    [[nodiscard]] bool watch_all() {
        try {
            loop().watch(connected_, session_->fd(),
                         (session_->wants_to_read() ? static_cast<std::uint32_t>(EPOLLIN) : 0u) |
                             (session_->wants_to_write() ? static_cast<std::uint32_t>(EPOLLOUT) : 0u));
            if (has_signals()) loop().watch(signals_, session_->signals_fd(), EPOLLIN);
        } catch (const std::system_error&) {
            return false;
        }
        return true;
    }
    /// There is nothing to wait for but the client's messages.
    [[nodiscard]] bool can_wait() const { return session_->idle() && !has_due() && !has_signals(); }

    /// Ends the connection, if there is one, and lets the next client in.
    void drop() {
        if (!session_) return;
        hang_up();
        loop().watch(listening_, listener_.fd(), EPOLLIN);
        arm();
    }

    void hang_up() noexcept {
        if (session_ && session_->opened()) ++served_;
        event_loop::forget(connected_);
        event_loop::forget(signals_);
        session_.reset(); // closing the socket takes it out of the epoll set
        handshake_ = again_ = never;
    }

    // Time.

    /// Whether the device, which is open, has a deadline.
    [[nodiscard]] bool has_due() const {
        if constexpr (has_deadline<Device>)
            return device_.deadline().has_value();
        else
            return false;
    }

    /// Gives the device its time before the client sees it. True: that took the client's share of this turn.
    bool advance() {
        if constexpr (has_deadline<Device>) {
            if (!serving()) return false;
            if (const auto due = device_.deadline()) {
                if (const auto at = event_loop::now(); *due <= at) return session_->advance(at);
            }
        }
        return false;
    }

    void arm() {
        std::uint64_t first = std::min({handshake_, retry_, again_});
        if constexpr (has_deadline<Device>) {
            if (serving()) first = std::min(first, device_.deadline().value_or(never));
        }
        loop().set_deadline(*this, first);
    }

    Device& device_;
    server_options options_;
    listener listener_;
    watched listening_{this};
    watched connected_{this};
    watched signals_{this}; // the session's
    std::optional<session<Device>> session_;
    std::uint64_t handshake_ = never; // when a client's patience ends, ours with it
    std::uint64_t retry_ = never;     // when to accept again
    std::uint64_t again_ = never;     // when to look whether the device has let go of memory
    std::uint64_t served_ = 0;
    std::atomic<int> connection_{-1}; // while wait() is in it
    static_assert(std::atomic<int>::is_always_lock_free);
};

} // namespace mediant::vfio_user
