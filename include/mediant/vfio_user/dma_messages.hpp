// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/result.hpp>
#include <mediant/device/remote_memory.hpp>
#include <mediant/vfio_user/dma_call.hpp>
#include <mediant/vfio_user/inbox.hpp>
#include <mediant/vfio_user/options.hpp>
#include <mediant/vfio_user/outbox.hpp>
#include <mediant/vfio_user/socket.hpp>
#include <mediant/vfio_user/twin_socket.hpp>
#include <mediant/vfio_user/wire.hpp>

#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <utility>

namespace mediant::vfio_user {

/// The memory of a client that does not share it: DMA_READ and DMA_WRITE, each of as much as both sides take in one
/// message, and a wait for the answer.
///
/// With a twin socket any thread may read and write, one at a time. Without one only the session's own may, since
/// replies come among the client's commands: those that come meanwhile wait, and are served when the device has
/// returned from what it does, in order. There may be no more of them than the inbox has room for beside the reply.
///
/// No read or write lasts longer than the time that it is given, and those of the session's thread between two calls of
/// own() no longer than its budget, all together: then they fail with error::busy. One that was not answered in time is
/// not forgotten: until its answer has come all others fail at once, with error::busy, so that a client that says
/// nothing is waited for once. Other errors: what the client answers; error{ETIMEDOUT}; error{ECONNRESET}, it is gone;
/// error{EPROTO}, its answer makes no sense; error::no_space, more commands came than may wait; error::not_supported,
/// another thread without a twin socket; error::no_device, the connection is at its end.
class dma_messages final : public remote_memory {
public:
    /// Of a session: its inbox and outbox, the message that it is working on, its socket. `ends` is set when it is
    /// broken.
    dma_messages(inbox& in, message& shown, outbox& out, int socket, std::chrono::milliseconds limit,
                 std::chrono::milliseconds budget, dma_layout layout, bool& ends) noexcept
        : in_{in}, shown_{shown}, out_{out}, socket_{socket}, limit_{limit}, budget_{budget}, layout_{layout},
          ends_{ends} {}
    dma_messages(const dma_messages&) = delete;
    dma_messages& operator=(const dma_messages&) = delete;

    /// What was agreed on: bytes in one message, and the server's end of a twin socket or none.
    void open(std::uint64_t most, unique_fd twin) noexcept {
        most_ = static_cast<std::size_t>(std::min<std::uint64_t>(most, 1u << 30));
        has_twin_ = static_cast<bool>(twin);
        twin_.open(std::move(twin));
        own();
    }
    /// Whether there is something to call.
    [[nodiscard]] bool usable() const noexcept { return most_ != 0 && limit_.count() > 0; }
    /// The session's thread is this one, and it has all of its budget.
    void own() noexcept {
        owner_.store(this_thread(), std::memory_order_relaxed);
        spent_ = {};
    }
    /// Whether the session's thread has read or written since.
    [[nodiscard]] bool used() const noexcept { return spent_.count() != 0; }
    /// From now on everything fails, what waits too.
    void close() noexcept {
        closed_.store(true);
        twin_.interrupt();
    }
    /// The main socket has no use any more: a part of a command is in it, and the client takes no more.
    [[nodiscard]] bool broken() const noexcept { return broken_; }

    /// Whether this message, on the main socket, is the reply that was waited for in vain. It needs no answer.
    [[nodiscard]] bool takes(const wire::header& reply) noexcept {
        if (!late_ || reply.id != id_ || reply.command != command_ ||
            (reply.flags & wire::type_mask) != wire::type_reply)
            return false;
        late_ = false;
        return true;
    }

    [[nodiscard]] answer read(std::uint64_t iova, std::span<std::byte> to) noexcept override {
        return transfer(iova, to);
    }
    [[nodiscard]] answer write(std::uint64_t iova, std::span<const std::byte> from) noexcept override {
        return transfer(iova, from);
    }

private:
    /// Another for each thread that there is; cheaper than its ID.
    [[nodiscard]] static const void* this_thread() noexcept {
        static constinit thread_local char here = 0;
        return &here;
    }

    template <class Byte>
    [[nodiscard]] answer transfer(std::uint64_t iova, std::span<Byte> bytes) noexcept {
        const bool own = owner_.load(std::memory_order_relaxed) == this_thread();
        if (!usable() || (!has_twin_ && !own)) return {0, error::not_supported};
        const std::chrono::nanoseconds left = own ? std::min<std::chrono::nanoseconds>(limit_, budget_ - spent_) : limit_;
        if (left.count() <= 0) return {0, error::busy};
        const patience until{left};
        answer came{0, error::busy};
        // Others may have the twin socket for as long as each may wait: that is this one's wait, too.
        if (std::unique_lock<std::timed_mutex> alone{one_, std::defer_lock};
            !has_twin_ || alone.try_lock_until(until.end()))
            came = transfer(iova, bytes, until);
        if (own) spent_ += std::max(left - until.left(), std::chrono::nanoseconds{1});
        return came;
    }

    template <class Byte>
    [[nodiscard]] answer transfer(std::uint64_t iova, std::span<Byte> bytes, const patience& until) noexcept {
        for (std::size_t done = 0; done < bytes.size();) {
            if (closed_.load()) return {done, error::no_device};
            const auto part = bytes.subspan(done, std::min(bytes.size() - done, most_));
            dma_call each{next_++, iova + done, part, has_twin_ ? dma_layout::specification : layout_};
            const auto came = has_twin_ ? twin_.call(each, until) : call(each, until);
            if (!came) return {done, came.error()};
            done += static_cast<std::size_t>(*came);
            if (*came != part.size()) return {done, error::fault};
        }
        return {bytes.size()};
    }

    /// On the main socket.
    [[nodiscard]] result<std::uint64_t> call(dma_call& what, const patience& until) noexcept {
        if (broken_) return error{ECONNRESET};
        if (!in_.hold(shown_)) return error::no_memory;
        if (late_) {
            if (const auto found = find(); !found) return found.error();
            if (late_) return error::busy;
        }
        if (const auto sent = send(what, until); !sent) return sent.error();
        id_ = what.id();
        command_ = what.command();
        late_ = true; // until it has come
        std::size_t seen = 0;
        for (message reply;;) {
            switch (in_.find_reply(id_, command_, seen, reply)) {
            case inbox::found::reply: return take(what, seen, reply);
            case inbox::found::broken: return error{EPROTO};
            case inbox::found::nothing: break;
            }
            if (in_.full()) return error::no_space;
            if (until.wait(socket_, POLLIN) == 0) return error{ETIMEDOUT};
            if (in_.receive(socket_, MSG_DONTWAIT) == inbox::status::closed) return error{ECONNRESET};
        }
    }

    /// Looks whether the late reply has come.
    [[nodiscard]] result<void> find() noexcept {
        if (!in_.full() && in_.receive(socket_, MSG_DONTWAIT) == inbox::status::closed) return error{ECONNRESET};
        std::size_t seen = 0;
        message reply;
        if (in_.find_reply(id_, command_, seen, reply) != inbox::found::reply) return {};
        in_.remove(seen, reply);
        late_ = false;
        return {};
    }

    /// Behind what was to be sent anyway. Receives meanwhile: a client may be sending, too, and nobody would go on.
    [[nodiscard]] result<void> send(dma_call& what, const patience& until) noexcept {
        const auto parts = what.message();
        for (std::size_t done = 0;;) {
            switch (out_.send_behind(socket_, parts, done)) {
            case outbox::status::sent: return {};
            case outbox::status::broken: return error{ECONNRESET};
            case outbox::status::blocked: break;
            }
            const short ready = until.wait(socket_, static_cast<short>(in_.full() ? POLLOUT : POLLOUT | POLLIN));
            if (ready == 0) {
                if (done != 0) broken_ = ends_ = true;
                return error{ETIMEDOUT};
            }
            if ((ready & POLLIN) != 0 && in_.receive(socket_, MSG_DONTWAIT) == inbox::status::closed)
                return error{ECONNRESET};
        }
    }

    [[nodiscard]] result<std::uint64_t> take(const dma_call& what, std::size_t seen, const message& reply) noexcept {
        const auto said = what.judge(reply.header, reply.payload);
        if (said && !what.to().empty())
            std::copy_n(reply.payload.data() + what.data_at(), *said, what.to().begin());
        in_.remove(seen, reply);
        late_ = false;
        return said;
    }

    inbox& in_;
    message& shown_;
    outbox& out_;
    int socket_;
    std::chrono::milliseconds limit_;
    std::chrono::nanoseconds budget_;
    std::chrono::nanoseconds spent_{}; // of it, by the session's thread
    dma_layout layout_;
    bool& ends_;
    std::size_t most_ = 0;
    bool has_twin_ = false;
    bool broken_ = false;
    bool late_ = false;         // on the main socket a reply is still to come, to the command with
    std::uint16_t id_ = 0;      // this ID
    std::uint16_t command_ = 0; // and of this kind
    std::uint16_t next_ = 0;
    std::atomic<bool> closed_{false};
    std::atomic<const void*> owner_{nullptr};
    std::timed_mutex one_;
    twin_socket twin_;
};

} // namespace mediant::vfio_user
