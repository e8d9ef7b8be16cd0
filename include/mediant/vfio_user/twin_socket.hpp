// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/result.hpp>
#include <mediant/vfio_user/dma_call.hpp>
#include <mediant/vfio_user/socket.hpp>
#include <mediant/vfio_user/wire.hpp>

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace mediant::vfio_user {

/// The server's end of a twin socket, which carries its commands and their replies alone: one command at a time.
///
/// Data goes from the device's buffer and to it. Whatever is not the reply that is due ends the use of the socket, and
/// not the connection. Descriptors that a client sends here are dropped by the kernel. One caller at a time, but for
/// interrupt().
class twin_socket {
public:
    /// None: calls fail with error{ECONNRESET}.
    twin_socket() = default;
    explicit twin_socket(unique_fd socket) noexcept : socket_{std::move(socket)} {}

    /// Replaces it while nobody uses it.
    void open(unique_fd socket) noexcept {
        socket_ = std::move(socket);
        got_ = 0;
        late_ = false;
    }
    [[nodiscard]] explicit operator bool() const noexcept { return static_cast<bool>(socket_); }

    /// Ends the wait of a call, and makes all others fail. From any thread.
    void interrupt() noexcept {
        if (socket_) ::shutdown(socket_.get(), SHUT_RDWR);
    }

    /// Sends the command and waits for its reply: what dma_call::judge() says of it. error{ETIMEDOUT}: patience ended;
    /// error::busy: an earlier reply is still to come; error{ECONNRESET}: the socket is of no use any more;
    /// error{EPROTO}: since the client sent what makes no sense.
    [[nodiscard]] result<std::uint64_t> call(dma_call& what, const patience& until) noexcept {
        if (late_) {
            if (const auto came = receive({}); !came) return came.error();
            if (late_) return error::busy;
        }
        if (const auto sent = send(what, until); !sent) return sent.error();
        got_ = 0;
        id_ = what.id();
        command_ = what.command();
        room_ = what.to().size();
        for (;;) {
            if (until.wait(socket_.get(), POLLIN) == 0) {
                late_ = true;
                return error{ETIMEDOUT};
            }
            const auto whole = receive(what.to());
            if (!whole) return whole.error();
            if (*whole) break;
        }
        const auto header = wire::load<wire::header>(head_);
        const auto said = what.judge(header, std::span{head_}.subspan(sizeof header));
        if (!said && said.error() == error{EPROTO}) return broken();
        return said;
    }

private:
    [[nodiscard]] result<void> send(dma_call& what, const patience& until) noexcept {
        auto parts = what.message();
        msghdr how{};
        how.msg_iov = parts.data();
        how.msg_iovlen = parts.size();
        const std::size_t all = parts[0].iov_len + parts[1].iov_len;
        std::size_t left = all;
        while (left != 0) {
            const auto sent = ::sendmsg(socket_.get(), &how, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (sent > 0) {
                auto taken = static_cast<std::size_t>(sent);
                left -= taken;
                for (iovec& each : parts) {
                    const std::size_t now = std::min(taken, each.iov_len);
                    each = {static_cast<std::byte*>(each.iov_base) + now, each.iov_len - now};
                    taken -= now;
                }
            } else if (errno != EAGAIN && errno != EINTR && errno != ENOBUFS) {
                return error{ECONNRESET};
            } else if (until.wait(socket_.get(), POLLOUT) == 0) {
                // A part of a command in the stream, and its rest never.
                if (left != all) static_cast<void>(broken());
                return error{ETIMEDOUT};
            }
        }
        return {};
    }

    /// Receives once, without waiting, of the reply that is due; true when it is whole. Data goes to `to`, or with a
    /// late reply nowhere.
    [[nodiscard]] result<bool> receive(std::span<std::byte> to) noexcept {
        std::array<std::byte, 4096> nowhere;
        for (;;) {
            // No byte more than the reply has, as far as that is known.
            const std::size_t known = got_ < sizeof(wire::header) ? sizeof(wire::header) : size();
            std::array<iovec, 2> parts{};
            std::size_t count = 0;
            if (got_ < head_.size()) {
                const std::size_t most = late_ ? std::min(known, head_.size()) : head_.size();
                parts[count++] = {head_.data() + got_, most - got_};
            }
            if (!late_ && !to.empty()) {
                const std::size_t data = got_ < head_.size() ? 0 : got_ - head_.size();
                parts[count++] = {to.data() + data, to.size() - data};
            } else if (late_ && known > head_.size()) {
                const std::size_t data = known - std::max(got_, head_.size());
                parts[count++] = {nowhere.data(), std::min(data, nowhere.size())};
            }
            msghdr how{};
            how.msg_iov = parts.data();
            how.msg_iovlen = count;
            const auto came = ::recvmsg(socket_.get(), &how, MSG_DONTWAIT);
            if (came < 0 && (errno == EAGAIN || errno == EINTR)) return false;
            if (came <= 0) return error{ECONNRESET};
            got_ += static_cast<std::size_t>(came);
            if (got_ < sizeof(wire::header)) continue;
            const auto header = wire::load<wire::header>(head_);
            if ((header.flags & wire::type_mask) != wire::type_reply || header.id != id_ ||
                header.command != command_ || header.size < sizeof header || header.size > head_.size() + room_ ||
                got_ > header.size)
                return broken();
            if (got_ == header.size) {
                late_ = false;
                return true;
            }
        }
    }
    [[nodiscard]] std::size_t size() const noexcept { return wire::load<wire::header>(head_).size; }

    [[nodiscard]] error broken() noexcept {
        interrupt();
        late_ = false;
        return error{EPROTO};
    }

    unique_fd socket_;
    std::array<std::byte, dma_call::head_size> head_{}; // of the reply, as far as it has come
    std::size_t got_ = 0;                               // bytes of it
    std::size_t room_ = 0;                              // for its data
    std::uint16_t id_ = 0;                              // of the command that it answers
    std::uint16_t command_ = 0;
    bool late_ = false; // it was waited for in vain
};

} // namespace mediant::vfio_user
