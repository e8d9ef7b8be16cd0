// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/result.hpp>
#include <mediant/vfio_user/options.hpp>
#include <mediant/vfio_user/socket.hpp>
#include <mediant/vfio_user/wire.hpp>

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace mediant::vfio_user {

using moment = std::chrono::steady_clock::time_point;
inline constexpr moment never = moment::max();
[[nodiscard]] inline bool over(moment until) noexcept {
    return until != never && std::chrono::steady_clock::now() >= until;
}

/// For poll(2).
[[nodiscard]] inline int milliseconds_until(moment until) noexcept {
    if (until == never) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()).count();
    return static_cast<int>(std::clamp<std::int64_t>(left, 0, 1 << 30));
}

/// The longest message that a client believes, bytes.
inline constexpr std::uint32_t longest_message = 1u << 30;

/// A message as it came.
struct received {
    wire::header header{};
    std::vector<std::byte> payload;
    std::vector<unique_fd> fds;
};

/// Takes messages from a stream socket that blocks, each in two steps, and where there is no more of them in one system
/// call. Errors: error{ECONNRESET} at the end; error::again where the socket's own time limit and `until` are over, or
/// that limit alone while nothing of a message has come; error{EPROTO} for a size that cannot be, or descriptors without
/// end. After one that is met within a message the stream is of no use.
class message_reader {
public:
    message_reader() = default;
    /// `theirs`: the other side has the same open file, and may change the socket's time limit or take what has come:
    /// `until` alone counts, and error::again comes at once where there is nothing.
    explicit message_reader(bool theirs) noexcept : theirs_{theirs} {}

    /// The next message's header. Up to `likely` bytes, the size that the message is thought to have, are taken at once.
    [[nodiscard]] result<wire::header> head(int socket, std::uint32_t most, moment until,
                                            std::size_t likely = sizeof(wire::header)) {
        if (begin_ == end_) begin_ = end_ = 0;
        while (end_ - begin_ < sizeof(wire::header)) {
            if (ahead_.size() - begin_ < sizeof(wire::header)) {
                std::memmove(ahead_.data(), ahead_.data() + begin_, end_ - begin_);
                end_ -= std::exchange(begin_, 0);
            }
            const std::size_t room = std::clamp(likely, sizeof(wire::header), ahead_.size() - begin_) - (end_ - begin_);
            const auto before = fds_.size();
            const auto got = take(socket, std::span{ahead_}.subspan(end_, room), until, begin_ == end_);
            if (!got) return got.error();
            end_ += *got;
            newest_ = fds_.size() - before;
        }
        const auto found = wire::load<wire::header>(std::span{ahead_}.subspan(begin_));
        if (found.size < sizeof(wire::header) || found.size > most) return error{EPROTO};
        begin_ += sizeof(wire::header);
        left_ = found.size - sizeof(wire::header);
        return found;
    }

    /// Bytes of this message that are still to be taken.
    [[nodiscard]] std::size_t left() const noexcept { return left_; }

    /// The next of them, not more than there are.
    result<void> take_all(int socket, std::span<std::byte> to, moment until) {
        left_ -= to.size();
        const std::size_t here = std::min(end_ - begin_, to.size());
        if (here != 0) std::memcpy(to.data(), ahead_.data() + begin_, here); // an empty payload has no place
        begin_ += here;
        for (to = to.subspan(here); !to.empty();) {
            const auto got = take(socket, to, until, false);
            if (!got) return got.error();
            to = to.subspan(*got);
        }
        return {};
    }

    /// What came with a message that was taken whole: a receive ends at the end of what descriptors were sent with, so
    /// that they are of the last message in it.
    [[nodiscard]] std::vector<unique_fd> take_fds() {
        if (!ahead()) return std::exchange(fds_, {});
        std::vector<unique_fd> its{std::make_move_iterator(fds_.begin()),
                                   std::make_move_iterator(fds_.end() - static_cast<std::ptrdiff_t>(newest_))};
        fds_.erase(fds_.begin(), fds_.end() - static_cast<std::ptrdiff_t>(newest_));
        return its;
    }

    /// Something of the next message is here, which nobody sees who looks at the socket.
    [[nodiscard]] bool ahead() const noexcept { return begin_ != end_; }

    /// A whole message.
    [[nodiscard]] result<received> message(int socket, std::uint32_t most, moment until) {
        const auto found = head(socket, most, until);
        if (!found) return found.error();
        return rest(socket, *found, until);
    }
    /// What follows a header.
    [[nodiscard]] result<received> rest(int socket, const wire::header& head, moment until) {
        received came{head, std::vector<std::byte>(left_), {}};
        if (const auto got = take_all(socket, came.payload, until); !got) return got.error();
        came.fds = take_fds();
        return came;
    }

private:
    /// What one receive brings; `first`: nothing of a message has come.
    [[nodiscard]] result<std::size_t> take(int socket, std::span<std::byte> to, moment until, bool first) {
        for (;;) {
            iovec part{to.data(), to.size()};
            alignas(cmsghdr) std::byte control[CMSG_SPACE(sizeof(int) * most_fds)];
            msghdr how{};
            how.msg_iov = &part;
            how.msg_iovlen = 1;
            how.msg_control = control;
            how.msg_controllen = sizeof control;
            const auto got = ::recvmsg(socket, &how, MSG_CMSG_CLOEXEC | (theirs_ ? MSG_DONTWAIT : 0));
            if (got == 0) return error{ECONNRESET};
            if (got < 0) {
                if (errno == EINTR) continue;
                if (errno == EAGAIN && !first && (theirs_ || until != never) && !over(until)) {
                    pollfd one{socket, POLLIN, 0};
                    if (theirs_) static_cast<void>(::poll(&one, 1, milliseconds_until(until)));
                    continue;
                }
                return error{errno};
            }
            if (how.msg_controllen != 0 && !take_control(how)) return error{EPROTO};
            if (static_cast<std::size_t>(got) != to.size() && over(until) && !first) return error::again;
            return static_cast<std::size_t>(got);
        }
    }

    /// Each part of a message may bring as many as there may be in all: false where there are more.
    [[nodiscard]] bool take_control(msghdr& how) {
        for (auto* each = CMSG_FIRSTHDR(&how); each != nullptr; each = CMSG_NXTHDR(&how, each)) {
            if (each->cmsg_level != SOL_SOCKET || each->cmsg_type != SCM_RIGHTS) continue;
            const auto count = (each->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            for (std::size_t i = 0; i < count; ++i) {
                int fd = -1;
                std::memcpy(&fd, CMSG_DATA(each) + i * sizeof(int), sizeof fd);
                fds_.emplace_back(fd);
            }
        }
        return fds_.size() <= most_fds;
    }

    bool theirs_ = false;
    std::array<std::byte, 256> ahead_{};
    std::size_t begin_ = 0; // of what was received and not taken
    std::size_t end_ = 0;
    std::size_t left_ = 0;
    std::vector<unique_fd> fds_;
    std::size_t newest_ = 0; // of them: came with the last receive that brought a header
};

/// The next message of a socket, without a byte of what is behind it.
[[nodiscard]] inline result<received> receive_message(int socket, std::uint32_t most = longest_message,
                                                      moment until = never, bool theirs = false) {
    return message_reader{theirs}.message(socket, most, until);
}

/// Sends all of `bytes`, and of `more` behind them; the descriptors go with the first. Errors: error::invalid for more
/// of them than most_fds; error{ECONNRESET}; what sendmsg(2) says. `until`: instead of the socket's own time limit, which
/// may be the other side's to set; error::again.
inline result<void> send_message(int socket, std::span<const std::byte> bytes, std::span<const int> fds = {},
                                 std::span<const std::byte> more = {}, std::optional<moment> until = {}) {
    if (fds.size() > most_fds) return error::invalid;
    const int flags = MSG_NOSIGNAL | (until ? MSG_DONTWAIT : 0);
    while (!bytes.empty() || !more.empty()) {
        iovec parts[]{{const_cast<std::byte*>(bytes.data()), bytes.size()},
                      {const_cast<std::byte*>(more.data()), more.size()}};
        alignas(cmsghdr) std::byte control[CMSG_SPACE(sizeof(int) * most_fds)];
        msghdr how{};
        how.msg_iov = parts;
        how.msg_iovlen = 2;
        if (!fds.empty()) {
            std::memset(control, 0, sizeof control);
            how.msg_control = control;
            how.msg_controllen = CMSG_SPACE(fds.size_bytes());
            auto* const head = CMSG_FIRSTHDR(&how);
            head->cmsg_level = SOL_SOCKET;
            head->cmsg_type = SCM_RIGHTS;
            head->cmsg_len = CMSG_LEN(fds.size_bytes());
            std::memcpy(CMSG_DATA(head), fds.data(), fds.size_bytes());
        }
        const auto sent = more.empty() && fds.empty() ? ::send(socket, bytes.data(), bytes.size(), flags)
                                                      : ::sendmsg(socket, &how, flags);
        if (sent < 0) {
            if (errno == EINTR) continue;
            if (errno == EAGAIN && until && !over(*until)) {
                pollfd one{socket, POLLOUT, 0};
                static_cast<void>(::poll(&one, 1, milliseconds_until(*until)));
                continue;
            }
            return error{errno == EPIPE ? ECONNRESET : errno};
        }
        const auto first = std::min(static_cast<std::size_t>(sent), bytes.size());
        bytes = bytes.subspan(first);
        more = more.subspan(static_cast<std::size_t>(sent) - first);
        fds = {};
    }
    return {};
}

} // namespace mediant::vfio_user
