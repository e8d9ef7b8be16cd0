// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/vfio_user/options.hpp>

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <utility>

namespace mediant::vfio_user {

/// Replies that wait to be sent, in order, in one buffer that is taken once. Descriptors go with a send of their
/// own, and bytes from elsewhere go out from where they are: while one of these waits nothing is added behind it.
class outbox {
public:
    explicit outbox(std::size_t capacity)
        : capacity_{capacity}, buffer_{std::make_unique_for_overwrite<std::byte[]>(capacity)} {}
    outbox(const outbox&) = delete;
    outbox& operator=(const outbox&) = delete;

    /// All its room is free.
    [[nodiscard]] bool empty() const noexcept { return end_ == 0; }
    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
    [[nodiscard]] bool has_room(std::size_t size) const noexcept { return !last_ && capacity_ - end_ >= size; }

    /// Where the next reply is written, in the room that has_room() promised; commit() makes it wait.
    [[nodiscard]] std::byte* tail() noexcept { return buffer_.get() + end_; }
    void commit(std::size_t size) noexcept { end_ += size; }

    /// Sends `fd`, which stays the caller's, with what waits: one reply.
    void attach(int fd) noexcept {
        fd_ = fd;
        attach(std::span<const int>{&fd_, 1});
    }
    /// Likewise several, at most most_fds; the list must be there until they are sent.
    void attach(std::span<const int> fds) noexcept {
        fds_ = fds;
        last_ = true;
    }
    /// Sends these bytes behind what waits. They stay the caller's, and must be there until all is sent.
    void attach(std::span<const std::byte> block) noexcept {
        block_ = block;
        last_ = true;
    }

    enum class status : std::uint8_t { sent, blocked, broken };

    /// One send of all that waits. blocked: the socket took a part or nothing; broken: the peer is gone.
    [[nodiscard]] status flush(int socket) noexcept {
        if (begin_ == end_ && !last_) {
            begin_ = end_ = 0;
            return status::sent;
        }
        const auto sent = last_ ? send_last(socket)
                                : ::send(socket, buffer_.get() + begin_, end_ - begin_, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0) [[unlikely]]
            return failed();
        begin_ += static_cast<std::size_t>(sent);
        if (last_) [[unlikely]]
            sent_last();
        if (begin_ != end_ || last_) [[unlikely]]
            return status::blocked;
        begin_ = end_ = 0;
        return status::sent;
    }

    /// One send of what waits and of `more` behind it, for as long as something is written at the tail: that stays
    /// where it is, and room is free again only with flush(). `done` grows by how much of `more` was taken. sent: all
    /// of it.
    [[nodiscard]] status send_behind(int socket, std::span<const iovec> more, std::size_t& done) noexcept {
        if (last_) {
            const auto sent = send_last(socket);
            if (sent < 0) return failed();
            begin_ += static_cast<std::size_t>(sent);
            sent_last();
            if (begin_ != end_ || last_) return status::blocked;
        }
        std::array<iovec, 4> parts{iovec{buffer_.get() + begin_, end_ - begin_}};
        std::size_t count = 1;
        std::size_t all = parts[0].iov_len;
        std::size_t skip = done;
        for (const iovec& each : more) {
            const std::size_t gone = std::min(skip, each.iov_len);
            skip -= gone;
            parts[count++] = {static_cast<std::byte*>(each.iov_base) + gone, each.iov_len - gone};
            all += each.iov_len - gone;
        }
        msghdr how{};
        how.msg_iov = parts.data();
        how.msg_iovlen = count;
        const auto sent = ::sendmsg(socket, &how, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0) return failed();
        const auto replies = std::min(static_cast<std::size_t>(sent), end_ - begin_);
        begin_ += replies;
        done += static_cast<std::size_t>(sent) - replies;
        return static_cast<std::size_t>(sent) == all ? status::sent : status::blocked;
    }

private:
    [[nodiscard]] static status failed() noexcept {
        return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? status::blocked : status::broken;
    }

    [[nodiscard, gnu::noinline]] ssize_t send_last(int socket) noexcept {
        // Only sendmsg's declaration wants to write to them.
        iovec parts[]{{buffer_.get() + begin_, end_ - begin_}, {const_cast<std::byte*>(block_.data()), block_.size()}};
        alignas(cmsghdr) std::byte control[CMSG_SPACE(sizeof(int) * most_fds)];
        msghdr how{};
        how.msg_iov = parts;
        how.msg_iovlen = block_.empty() ? 1 : 2;
        if (!fds_.empty()) {
            how.msg_control = control;
            how.msg_controllen = CMSG_SPACE(fds_.size_bytes());
            std::memset(control, 0, how.msg_controllen);
            auto* const head = CMSG_FIRSTHDR(&how);
            head->cmsg_level = SOL_SOCKET;
            head->cmsg_type = SCM_RIGHTS;
            head->cmsg_len = CMSG_LEN(fds_.size_bytes());
            std::memcpy(CMSG_DATA(head), fds_.data(), fds_.size_bytes());
        }
        return ::sendmsg(socket, &how, MSG_NOSIGNAL | MSG_DONTWAIT);
    }

    /// What went beyond the buffer was of the block; descriptors went with the first byte.
    [[gnu::noinline]] void sent_last() noexcept {
        fds_ = {};
        if (begin_ > end_) block_ = block_.subspan(std::exchange(begin_, end_) - end_);
        last_ = !block_.empty();
    }

    std::size_t capacity_;
    std::unique_ptr<std::byte[]> buffer_;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    int fd_ = -1;
    std::span<const int> fds_{};
    std::span<const std::byte> block_{};
    bool last_ = false; // one of those waits: nothing more before it is sent
};

} // namespace mediant::vfio_user
