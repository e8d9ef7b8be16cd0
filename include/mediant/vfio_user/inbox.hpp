// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/vfio_user/options.hpp>
#include <mediant/vfio_user/received_files.hpp>
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
#include <new>
#include <span>
#include <utility>

namespace mediant::vfio_user {

/// One message as the inbox shows it, until pop().
struct message {
    wire::header header{};
    std::span<const std::byte> payload{}; ///< what follows the header
    std::size_t taken = 0;                ///< bytes of the buffer; 0 where it is not there, or no longer
    bool plain = true;                    ///< nothing is in what follows here
    int error = 0;                        ///< errno that framing found
    std::span<int> fds{};                 ///< came with it; who takes one sets it to -1, pop() closes the others
    std::uint64_t left = 0;               ///< bytes of it that were not received and are to be thrown away
    std::size_t placed = 0;               ///< bytes that followed the payload and are where place() said
};

/// Cuts a stream into messages. One receive takes whatever is there: many messages, or a part of one; a message may
/// be split anywhere. Descriptors belong to the message that holds the last byte of the receive that brought them:
/// a receive ends at the end of what they were sent with, but may begin with earlier messages. The body of a message
/// that is too long is thrown away as it comes, so that the next message is found. Memory is taken once, at the start,
/// and for hold() once more; the long end of a message can be received to where it belongs.
class inbox {
public:
    /// `max_message`: bytes of the longest message that is taken, its header included; `queue`: of others that may
    /// wait beside it.
    explicit inbox(std::size_t max_message, std::size_t queue = 64 * 1024)
        : max_message_{max_message}, capacity_{max_message + queue},
          buffer_{std::make_unique_for_overwrite<std::byte[]>(capacity_)} {
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
        if (special_ || how_.msg_controllen != 0 || (how_.msg_flags & MSG_CTRUNC) != 0) [[unlikely]]
            take_more(static_cast<std::size_t>(got));
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
    /// Something of a message is still to come to its place.
    [[nodiscard]] bool placing() const noexcept { return placed_ != 0 && parts_[0].iov_len != 0; }
    /// What follows the first `fixed` bytes of that message goes to `to`, as it comes: all the rest of it. The memory
    /// must be there until the message is popped, or the inbox is gone.
    void place(std::size_t fixed, std::span<std::byte> to) noexcept {
        const std::size_t here = end_ - begin_ - fixed;
        std::memcpy(to.data(), buffer_.get() + begin_ + fixed, here);
        end_ -= here;
        base_ += here;
        placed_ = to.size();
        special_ = true;
        parts_[0] = {to.data() + here, to.size() - here};
        how_.msg_iov = parts_;
        how_.msg_iovlen = 2;
        fixed_ = fixed;
    }

    /// Shows the next message, if it is complete or has a bad header. The same `to` is to be used each time.
    [[nodiscard]] bool next(message& to) noexcept {
        const std::size_t available = end_ - begin_;
        if (available < sizeof(wire::header)) return false;
        const std::byte* const at = buffer_.get() + begin_;
        to.header = wire::load<wire::header>({at, sizeof(wire::header)});
        const std::size_t size = to.header.size;
        if (special_ || size < sizeof(wire::header) || size > max_message_) [[unlikely]]
            return next_unusual(to, available);
        if (available < size) return false;
        to.payload = {at + sizeof(wire::header), size - sizeof(wire::header)};
        to.taken = size;
        return true;
    }

    /// Done with the message that next() showed.
    void pop(message& done) noexcept {
        begin_ += done.taken;
        done.taken = 0;
        if (!done.plain) [[unlikely]]
            pop_rest(done);
    }

    // While a message is worked on: a look at what comes behind it.

    /// Keeps the message that next() showed, if pop() has not come yet: until then its bytes and descriptors stay where
    /// they are, whatever is received. False: there is no memory.
    [[nodiscard]] bool hold(message& shown) noexcept {
        if (shown.taken == 0) return true;
        if (!spare_) spare_.reset(new (std::nothrow) std::byte[capacity_]);
        if (!spare_) return false;
        const std::size_t behind = begin_ + shown.taken;
        std::memcpy(spare_.get(), buffer_.get() + behind, end_ - behind);
        std::swap(buffer_, spare_);
        base_ += behind;
        begin_ = 0;
        end_ -= behind;
        held_ = shown.fds.size();
        placed_ = 0;
        shown.taken = 0;
        note_special();
        return true;
    }

    /// No more can be received before something is popped or removed.
    [[nodiscard]] bool full() const noexcept { return end_ - begin_ == capacity_; }

    enum class found : std::uint8_t { reply, nothing, broken };

    /// Looks among the messages that are there for a reply to this command. `seen`, 0 at first, is how far was looked;
    /// `to` is then what remove() takes. nothing: it has not come whole; broken: a header from which on nothing can be
    /// told.
    [[nodiscard]] found find_reply(std::uint16_t id, std::uint16_t command, std::size_t& seen,
                                   message& to) const noexcept {
        for (;;) {
            const std::size_t available = end_ - begin_ - seen;
            const std::byte* const at = buffer_.get() + begin_ + seen;
            if (available < sizeof(wire::header)) return found::nothing;
            to.header = wire::load<wire::header>({at, sizeof(wire::header)});
            if (to.header.size < sizeof(wire::header) || to.header.size > max_message_) return found::broken;
            if (seen == 0 && placed_ != 0) { // the rest of it is elsewhere
                if (parts_[0].iov_len != 0) return found::nothing;
                seen = fixed_;
                continue;
            }
            if (available < to.header.size) return found::nothing;
            if ((to.header.flags & wire::type_mask) == wire::type_reply && to.header.id == id &&
                to.header.command == command) {
                to.payload = {at + sizeof(wire::header), to.header.size - sizeof(wire::header)};
                return found::reply;
            }
            seen += to.header.size;
        }
    }

    /// Takes out the reply that find_reply() found at `seen`; descriptors that came with it are closed.
    void remove(std::size_t seen, const message& which) noexcept {
        const std::size_t size = which.header.size;
        const std::uint64_t place = base_ + begin_ + seen;
        std::byte* const at = buffer_.get() + begin_ + seen;
        std::memmove(at, at + size, end_ - begin_ - seen - size);
        end_ -= size;
        std::size_t kept = held_;
        for (std::size_t i = held_; i < fd_count_; ++i) {
            auto where = places_[i];
            if (where >= place && where < place + size) {
                close_received(fds_[i]);
                continue;
            }
            if (where >= place + size) where -= size;
            fds_[kept] = fds_[i];
            places_[kept++] = where;
        }
        fd_count_ = kept;
        if (lost_ != 0 && lost_at_ >= place) lost_at_ = lost_at_ < place + size ? place : lost_at_ - size;
        note_special();
    }

private:
    /// What a receive asks for where nothing is left of an earlier one: a batch of small messages, and of a long one
    /// no more than is cheap to copy.
    static constexpr std::size_t first_ = 32 * 1024;
    static constexpr std::size_t control_size = CMSG_SPACE(sizeof(int) * most_fds);

    /// Moves a part of a message to the front of the buffer, if that is cheap or necessary.
    [[gnu::noinline]] void make_room() noexcept {
        const std::size_t pending = end_ - begin_;
        if (begin_ == 0 || (pending > 4096 && end_ != capacity_ && capacity_ - begin_ >= max_message_)) return;
        std::memmove(buffer_.get(), buffer_.get() + begin_, pending);
        base_ += begin_;
        begin_ = 0;
        end_ = pending;
    }

    /// What makes the next message, or receive, more than bytes that are there: one look tells.
    void note_special() noexcept {
        has_fds_ = fd_count_ != 0 || lost_ != 0;
        special_ = has_fds_ || placed_ != 0 || to_drop_ != 0;
    }

    [[gnu::noinline]] void take_more(std::size_t got) noexcept {
        if (parts_[0].iov_len != 0) take_placed(got);
        if (how_.msg_controllen != 0 || (how_.msg_flags & MSG_CTRUNC) != 0) take_fds();
        if (to_drop_ != 0) drop();
    }

    /// The rest of next(), where `to` has its header alone, and maybe what it was when it was shown before.
    [[gnu::noinline]] bool next_unusual(message& to, std::size_t available) noexcept {
        to = message{to.header};
        const std::size_t size = to.header.size;
        if (size < sizeof(wire::header) || size > max_message_) {
            refuse(to, available);
        } else if (placed_ != 0) {
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
        if (has_fds_) show_fds(to);
        return true;
    }

    void refuse(message& to, std::size_t available) const noexcept {
        to.plain = false;
        to.error = EINVAL;
        to.payload = {};
        const std::size_t size = std::max<std::size_t>(to.header.size, sizeof(wire::header));
        to.taken = std::min(size, available);
        to.left = size - to.taken;
    }

    /// Takes from what was received what went to its place.
    void take_placed(std::size_t got) noexcept {
        const std::size_t there = std::min(got, parts_[0].iov_len);
        parts_[0] = {static_cast<std::byte*>(parts_[0].iov_base) + there, parts_[0].iov_len - there};
        end_ -= there;
        base_ += there;
        if (parts_[0].iov_len != 0) return;
        how_.msg_iov = parts_ + 1;
        how_.msg_iovlen = 1;
    }

    [[gnu::noinline]] void pop_rest(message& done) noexcept {
        to_drop_ = done.left;
        placed_ = 0;
        close_fds(done.fds.size());
        held_ = 0;
        if (lost_at_ < base_ + begin_) lost_ = 0;
        note_special();
        done = message{};
    }

    void take_fds() noexcept {
        const std::uint64_t last = base_ + end_ - 1;
        for (auto* each = CMSG_FIRSTHDR(&how_); each != nullptr; each = CMSG_NXTHDR(&how_, each)) {
            if (each->cmsg_level != SOL_SOCKET || each->cmsg_type != SCM_RIGHTS) continue;
            const auto count = (each->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            for (std::size_t i = 0; i < count; ++i) {
                int fd = -1;
                std::memcpy(&fd, CMSG_DATA(each) + i * sizeof(int), sizeof fd);
                if (fd_count_ < fds_.size()) {
                    fds_[fd_count_] = fd;
                    places_[fd_count_++] = last;
                } else {
                    close_received(fd);
                    lose(E2BIG, last);
                }
            }
        }
        // The kernel could not install them: this process has too many open files.
        if ((how_.msg_flags & MSG_CTRUNC) != 0) lose(EMFILE, last);
        note_special();
    }

    void lose(int why, std::uint64_t at) noexcept {
        lost_ = why;
        lost_at_ = at;
    }

    void show_fds(message& to) noexcept {
        const auto end = base_ + begin_ + to.taken;
        std::size_t count = 0;
        while (count < fd_count_ && places_[count] < end) ++count;
        if (count != 0) to.fds = {fds_.data(), count};
        if (lost_ != 0 && lost_at_ < end && to.error == 0) to.error = lost_;
        to.plain = to.plain && to.error == 0 && to.fds.empty();
    }

    /// Closes the first `count` and keeps the others.
    void close_fds(std::size_t count) noexcept {
        for (std::size_t i = 0; i < count; ++i) {
            if (fds_[i] >= 0) close_received(fds_[i]);
        }
        std::copy(fds_.begin() + static_cast<std::ptrdiff_t>(count),
                  fds_.begin() + static_cast<std::ptrdiff_t>(fd_count_), fds_.begin());
        std::copy(places_.begin() + static_cast<std::ptrdiff_t>(count),
                  places_.begin() + static_cast<std::ptrdiff_t>(fd_count_), places_.begin());
        fd_count_ -= count;
    }

    /// Throws away what belongs to a message that was refused, and the descriptors that came with it.
    void drop() noexcept {
        const auto now = static_cast<std::size_t>(std::min<std::uint64_t>(to_drop_, end_ - begin_));
        begin_ += now;
        to_drop_ -= now;
        std::size_t gone = 0;
        while (gone < fd_count_ && places_[gone] < base_ + begin_) ++gone;
        close_fds(gone);
        if (lost_at_ < base_ + begin_) lost_ = 0;
        note_special();
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
    bool special_ = false;      // has_fds_, or something is placed or to be dropped

    // Descriptors, and the place in the stream of the last byte of the receive that brought each.
    std::size_t fd_count_ = 0;
    std::size_t held_ = 0; // the first of them belong to the message that is held
    int lost_ = 0;         // errno: some could not be taken
    std::uint64_t lost_at_ = 0;
    std::array<int, std::size_t{2} * most_fds> fds_;
    std::array<std::uint64_t, std::size_t{2} * most_fds> places_;
    std::unique_ptr<std::byte[]> spare_{}; // the message that is held
};

} // namespace mediant::vfio_user
