// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/vfio_user/options.hpp>
#include <mediant/vfio_user/wire.hpp>

#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>

namespace mediant::vfio_user {

/// One message as the inbox shows it, until pop().
struct message {
    wire::header header{};
    std::span<const std::byte> payload{}; ///< what follows the header
    std::size_t taken = 0;                ///< bytes of the buffer
    bool plain = true;                    ///< nothing is in what follows here
    int error = 0;                        ///< errno that framing found
    std::span<int> fds{};                 ///< came with it; who takes one sets it to -1, pop() closes the others
    std::uint64_t left = 0;               ///< bytes of it that were not received and are to be thrown away
    std::size_t placed = 0;               ///< bytes that followed the payload and are where place() said
};

/// Cuts a stream into messages. One receive takes whatever is there: many messages, or a part of one; a message may
/// be split anywhere. Descriptors belong to the message that holds the last byte of the receive that brought them:
/// a receive ends at the end of what they were sent with, but may begin with earlier messages. The body of a message
/// that is too long is thrown away as it comes, so that the next message is found. Memory is taken once, at the start;
/// the long end of a message can be received to where it belongs.
class inbox {
public:
    /// `max_message`: bytes of the longest message that is taken, its header included.
    explicit inbox(std::size_t max_message)
        : max_message_{max_message}, capacity_{max_message + slack}, buffer_{
                                                                         std::make_unique_for_overwrite<std::byte[]>(
                                                                             capacity_)} {
        how_.msg_iov = parts_ + 1;
        how_.msg_iovlen = 1;
        how_.msg_control = control_;
    }
    inbox(const inbox&) = delete;
    inbox& operator=(const inbox&) = delete;
    ~inbox() { close_fds(fd_count_); }

    enum class status : std::uint8_t { some, none, closed };

    /// One recvmsg(2) with `flags`. none: nothing was there, or a signal came; closed: the peer's end, or an error.
    [[nodiscard]] status receive(int socket, int flags) noexcept {
        if (begin_ == end_) [[likely]] {
            base_ += begin_;
            begin_ = end_ = 0;
            parts_[1] = {buffer_.get(), first_};
        } else {
            make_room();
            if (end_ == capacity_) return status::none;
            parts_[1] = {buffer_.get() + end_, capacity_ - end_};
        }
        how_.msg_controllen = sizeof control_;
        const auto got = ::recvmsg(socket, &how_, flags | MSG_CMSG_CLOEXEC);
        if (got <= 0) [[unlikely]] {
            return got < 0 && (errno == EAGAIN || errno == EINTR) ? status::none : status::closed;
        }
        end_ += static_cast<std::size_t>(got);
        if (parts_[0].iov_len != 0) [[unlikely]]
            take_placed(static_cast<std::size_t>(got));
        if (how_.msg_controllen != 0 || (how_.msg_flags & MSG_CTRUNC) != 0) [[unlikely]]
            take_fds();
        if (to_drop_ != 0) [[unlikely]]
            drop();
        return status::some;
    }

    /// Whether the last receive ended within a message.
    [[nodiscard]] bool partial() const noexcept { return begin_ != end_; }
    /// What there is of it, where the message at the front is incomplete, of an acceptable size, and nothing special.
    [[nodiscard]] std::span<const std::byte> front() const noexcept {
        const std::size_t available = end_ - begin_;
        if (available < sizeof(wire::header) || has_fds_ || to_drop_ != 0 || placed_ != 0) return {};
        const auto size = wire::load<wire::header>({buffer_.get() + begin_, sizeof(wire::header)}).size;
        if (size <= available || size > max_message_) return {};
        return {buffer_.get() + begin_, available};
    }
    /// What follows the first `fixed` bytes of that message goes to `to`, as it comes: all the rest of it. The memory
    /// must be there until the message is popped, or the inbox is gone.
    void place(std::size_t fixed, std::span<std::byte> to) noexcept {
        const std::size_t here = end_ - begin_ - fixed;
        std::memcpy(to.data(), buffer_.get() + begin_ + fixed, here);
        end_ -= here;
        base_ += here;
        placed_ = to.size();
        parts_[0] = {to.data() + here, to.size() - here};
        how_.msg_iov = parts_;
        how_.msg_iovlen = 2;
        fixed_ = fixed;
    }

    /// Shows the next message, if it is complete or has a bad header. The same `to` is to be used each time.
    [[nodiscard]] bool next(message& to) noexcept {
        const std::size_t available = end_ - begin_;
        if (available < sizeof(wire::header)) return false;
        if (!to.plain) [[unlikely]]
            to = message{};
        to.header = wire::load<wire::header>({buffer_.get() + begin_, sizeof(wire::header)});
        const std::size_t size = to.header.size;
        if (size < sizeof(wire::header) || size > max_message_) [[unlikely]] {
            refuse(to, available);
        } else if (placed_ != 0) [[unlikely]] {
            if (parts_[0].iov_len != 0) return false;
            to.plain = false;
            to.payload = {buffer_.get() + begin_ + sizeof(wire::header), fixed_ - sizeof(wire::header)};
            to.taken = fixed_;
            to.placed = placed_;
        } else {
            if (available < size) return false;
            to.payload = {buffer_.get() + begin_ + sizeof(wire::header), size - sizeof(wire::header)};
            to.taken = size;
        }
        if (has_fds_) [[unlikely]]
            show_fds(to);
        return true;
    }

    /// Done with the message that next() showed.
    void pop(const message& done) noexcept {
        begin_ += done.taken;
        if (!done.plain) [[unlikely]]
            pop_rest(done);
    }

private:
    /// Room for a batch of small messages behind a partial long one.
    static constexpr std::size_t slack = 64 * 1024;
    /// What a receive asks for where nothing is left of an earlier one: a batch of small messages, and of a long one
    /// no more than is cheap to copy.
    static constexpr std::size_t first_ = 32 * 1024;
    static constexpr std::size_t control_size = CMSG_SPACE(sizeof(int) * most_fds);

    /// Moves a part of a message to the front of the buffer, if that is cheap or necessary.
    [[gnu::noinline]] void make_room() noexcept {
        const std::size_t pending = end_ - begin_;
        if (begin_ == 0 || (pending > 4096 && capacity_ - begin_ >= max_message_)) return;
        std::memmove(buffer_.get(), buffer_.get() + begin_, pending);
        base_ += begin_;
        begin_ = 0;
        end_ = pending;
    }

    [[gnu::noinline]] void refuse(message& to, std::size_t available) const noexcept {
        to.plain = false;
        to.error = EINVAL;
        to.payload = {};
        const std::size_t size = std::max<std::size_t>(to.header.size, sizeof(wire::header));
        to.taken = std::min(size, available);
        to.left = size - to.taken;
    }

    /// Takes from what was received what went to its place.
    [[gnu::noinline]] void take_placed(std::size_t got) noexcept {
        const std::size_t there = std::min(got, parts_[0].iov_len);
        parts_[0] = {static_cast<std::byte*>(parts_[0].iov_base) + there, parts_[0].iov_len - there};
        end_ -= there;
        base_ += there;
        if (parts_[0].iov_len != 0) return;
        how_.msg_iov = parts_ + 1;
        how_.msg_iovlen = 1;
    }

    [[gnu::noinline]] void pop_rest(const message& done) noexcept {
        to_drop_ = done.left;
        placed_ = 0;
        close_fds(done.fds.size());
        if (lost_at_ < base_ + begin_) lost_ = 0;
        has_fds_ = fd_count_ != 0 || lost_ != 0;
    }

    [[gnu::noinline]] void take_fds() noexcept {
        // Messages that were whole have been taken before: what is left belongs to the one at the front.
        earlier_ = fd_count_;
        earlier_at_ = base_ + begin_;
        fds_at_ = base_ + end_ - 1;
        for (auto* each = CMSG_FIRSTHDR(&how_); each != nullptr; each = CMSG_NXTHDR(&how_, each)) {
            if (each->cmsg_level != SOL_SOCKET || each->cmsg_type != SCM_RIGHTS) continue;
            const auto count = (each->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            for (std::size_t i = 0; i < count; ++i) {
                int fd = -1;
                std::memcpy(&fd, CMSG_DATA(each) + i * sizeof(int), sizeof fd);
                if (fd_count_ < fds_.size()) {
                    fds_[fd_count_++] = fd;
                } else {
                    ::close(fd);
                    lose(E2BIG);
                }
            }
        }
        // The kernel could not install them: this process has too many open files.
        if ((how_.msg_flags & MSG_CTRUNC) != 0) lose(EMFILE);
        has_fds_ = fd_count_ != 0 || lost_ != 0;
    }

    void lose(int why) noexcept {
        lost_ = why;
        lost_at_ = fds_at_;
    }

    [[gnu::noinline]] void show_fds(message& to) noexcept {
        const auto end = base_ + begin_ + to.taken;
        if (fd_count_ != 0) to.fds = {fds_.data(), fds_at_ < end ? fd_count_ : earlier_at_ < end ? earlier_ : 0};
        if (lost_ != 0 && lost_at_ < end && to.error == 0) to.error = lost_;
        to.plain = to.plain && to.error == 0 && to.fds.empty();
    }

    /// Closes the first `count` and keeps the others.
    void close_fds(std::size_t count) noexcept {
        for (std::size_t i = 0; i < count; ++i) {
            if (fds_[i] >= 0) ::close(fds_[i]);
        }
        std::copy(fds_.begin() + static_cast<std::ptrdiff_t>(count),
                  fds_.begin() + static_cast<std::ptrdiff_t>(fd_count_), fds_.begin());
        fd_count_ -= count;
        earlier_ = 0;
    }

    /// Throws away what belongs to a message that was refused, and the descriptors that came with it.
    [[gnu::noinline]] void drop() noexcept {
        const auto now = static_cast<std::size_t>(std::min<std::uint64_t>(to_drop_, end_ - begin_));
        begin_ += now;
        to_drop_ -= now;
        if (fd_count_ != 0 && fds_at_ < base_ + begin_) close_fds(fd_count_);
        if (lost_at_ < base_ + begin_) lost_ = 0;
        has_fds_ = fd_count_ != 0 || lost_ != 0;
    }

    std::size_t max_message_;
    std::size_t capacity_;
    std::unique_ptr<std::byte[]> buffer_;
    std::size_t begin_ = 0; // of what was received and not taken, in the buffer
    std::size_t end_ = 0;
    // What recvmsg() is given; kept, since most of it never changes.
    msghdr how_{};
    iovec parts_[2]{}; // the first is used while there is a place for it
    alignas(cmsghdr) std::byte control_[control_size];

    std::uint64_t base_ = 0;    // place of the buffer's start in the stream
    std::uint64_t to_drop_ = 0; // bytes of a refused message that are still to come
    std::size_t placed_ = 0;    // bytes of the message at the front that go elsewhere, or went
    std::size_t fixed_ = 0;     // and those before them
    bool has_fds_ = false;      // or lost some

    // Descriptors: the first `earlier_` came with a part of the message at the front, the others with the last receive.
    std::size_t fd_count_ = 0;
    std::size_t earlier_ = 0;
    std::uint64_t earlier_at_ = 0;
    std::uint64_t fds_at_ = 0; // place in the stream of the last byte that came with them
    int lost_ = 0;             // errno: some could not be taken
    std::uint64_t lost_at_ = 0;
    std::array<int, std::size_t{2} * most_fds> fds_;
};

} // namespace mediant::vfio_user
