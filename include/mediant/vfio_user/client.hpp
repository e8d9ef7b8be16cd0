// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/vfio_user/message_reader.hpp>
#include <mediant/vfio_user/options.hpp>
#include <mediant/vfio_user/own_memory.hpp>
#include <mediant/vfio_user/region_areas.hpp>
#include <mediant/vfio_user/socket.hpp>
#include <mediant/vfio_user/version.hpp>
#include <mediant/vfio_user/wire.hpp>

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace mediant::vfio_user {

/// A blocking client, for tests and tools. Errors are the server's errno as a result, or the socket's own:
/// error{ECONNRESET} at the connection's end, error::again where time is up, error{EPROTO} for a reply that makes no sense.
/// It is disconnected where nobody could tell the next reply from a late one: after the first two, and after a reply to
/// something else. One call at a time.
///
/// While it waits for a reply, and in serve_dma(), it answers the server's own commands, from memory() and on either
/// socket.
class client {
public:
    /// Not connected.
    client() = default;
    /// Takes over a connected stream socket.
    explicit client(unique_fd socket) : socket_{std::move(socket)} {}

    [[nodiscard]] static result<client> connect(const std::string& path) {
        auto socket = connect_to(path);
        if (!socket) return socket.error();
        return client{std::move(*socket)};
    }

    [[nodiscard]] int fd() const noexcept { return socket_.get(); }
    void disconnect() noexcept {
        socket_.reset();
        twin_.reset();
        reader_ = {};
    }
    /// The socket of the server's commands, where one was agreed on; else -1.
    [[nodiscard]] int twin_fd() const noexcept { return twin_.get(); }

    /// From now on a receive or send that takes longer fails with error::again, and a reply that is not whole by then,
    /// however it trickles and whatever commands come before it; 0: waits for ever.
    result<void> set_timeout(std::chrono::milliseconds limit) {
        limit_ = limit.count() == 0 ? -1 : static_cast<int>(limit.count());
        const auto set = [](int socket, int which, std::chrono::milliseconds time) {
            const timeval value{static_cast<time_t>(time.count() / 1000),
                                static_cast<suseconds_t>(time.count() % 1000 * 1000)};
            return ::setsockopt(socket, SOL_SOCKET, which, &value, sizeof value) == 0;
        };
        for (const int which : {SO_RCVTIMEO, SO_SNDTIMEO}) {
            const bool slices = twin_ && which == SO_RCVTIMEO;
            if (!set(socket_.get(), which, slices ? std::min(limit, slice) : limit)) return error{errno};
        }
        return {};
    }

    // The commands

    struct agreement {
        std::uint16_t minor = 0;
        capabilities server;
    };

    /// VERSION; must be the first. `ours` says what this side takes; with twin_socket, the server may set one up.
    [[nodiscard]] result<agreement> negotiate(const capabilities& ours = {.max_msg_fds = 16}) {
        most_ = 1u << 16; // of the reply
        std::array<char, capabilities_room> text;
        const auto size = write_capabilities(text, ours);
        const auto came = call(wire::command::version, wire::version{wire::major_version, wire::minor_version},
                               std::as_bytes(std::span{text}.first(size)));
        if (!came) return came.error();
        if (came->size() < sizeof(wire::version)) return error{EPROTO};
        const auto version = wire::load<wire::version>(*came);
        const auto theirs = parse_capabilities(std::span{*came}.subspan(sizeof version));
        if (version.major != wire::major_version || version.minor > wire::minor_version || !theirs)
            return error{EPROTO};
        if (theirs->twin_socket) {
            // One that was not asked for, or is not there: the server's commands would be lost.
            if (!ours.twin_socket || !theirs->twin_fd_index || *theirs->twin_fd_index >= fds_.size())
                return error{EPROTO};
            twin_ = std::move(fds_[*theirs->twin_fd_index]);
            if (limit_ >= 0) (void)set_timeout(std::chrono::milliseconds{limit_});
        }
        memory_.limit(ours.max_data_xfer_size);
        // Data, and what may be around it or is no data: a server cannot make this side take more.
        const auto data = std::max(ours.max_data_xfer_size,
                                   std::min<std::uint64_t>(theirs->max_data_xfer_size, 1 << 24));
        most_ = static_cast<std::uint32_t>(std::min<std::uint64_t>(data + 128 * 1024, longest_message));
        server_fds_ = std::clamp<std::uint32_t>(theirs->max_msg_fds, 1, most_fds);
        return agreement{version.minor, *theirs};
    }

    [[nodiscard]] result<get_device_info::answer> device_info() {
        const auto came = ask<wire::device_info>(wire::command::device_get_info, {sizeof(wire::device_info), 0, 0, 0});
        if (!came) return came.error();
        return get_device_info::answer{came->regions, came->irqs, (came->flags & VFIO_DEVICE_FLAGS_RESET) != 0};
    }

    struct region {
        get_region_info::answer info;
        std::vector<range> areas; ///< that can be mapped: from `fd`, at `fd_offset` + the area's own offset
        unique_fd fd;
        std::uint64_t fd_offset = 0;
    };

    /// Region info with its areas; asks again where the capabilities need more room.
    [[nodiscard]] result<region> region_info(region_index index) {
        wire::region_info request{sizeof(wire::region_info), 0, static_cast<std::uint32_t>(index), 0, 0, 0};
        for (int tries = 0; tries < 2; ++tries) {
            auto came = call(wire::command::device_get_region_info, request);
            if (!came) return came.error();
            if (came->size() < sizeof(wire::region_info)) return error{EPROTO};
            const auto info = wire::load<wire::region_info>(*came);
            if (info.argsz > request.argsz) {
                request.argsz = info.argsz;
                continue;
            }
            region found;
            found.info = {info.size,
                          region_flags{info.flags} & (region_flags::read | region_flags::write | region_flags::mmap)};
            found.fd_offset = info.offset;
            if (!fds_.empty()) found.fd = std::move(fds_.front());
            if ((info.flags & VFIO_REGION_INFO_FLAG_CAPS) != 0) {
                if (!read_areas(*came, info.cap_offset, info.size, found.areas)) return error{EPROTO};
            } else if (has(found.info.flags, region_flags::mmap)) {
                found.areas.push_back({0, info.size});
            }
            return found;
        }
        return error{EPROTO};
    }

    [[nodiscard]] result<get_irq_info::answer> irq_info(irq_index index) {
        const auto came = ask<wire::irq_info>(wire::command::device_get_irq_info,
                                              {sizeof(wire::irq_info), 0, static_cast<std::uint32_t>(index), 0});
        if (!came) return came.error();
        return get_irq_info::answer{irq_flags{came->flags}, came->count};
    }

    /// SET_IRQS. `eventfds` may be empty, which takes away those of the range; else there may be -1 among them, and
    /// more than the server takes in one message: those go in several, of which the first that fails is the last.
    result<void> set_irqs(const mediant::set_irqs& what) {
        if (what.how != mediant::set_irqs::data::eventfds || what.eventfds.size() != what.count || what.count == 0)
            return tell_irqs(what);
        auto part = what;
        for (auto left = what.eventfds; !left.empty(); left = left.subspan(part.count)) {
            // What is not there cannot be sent: a message without descriptors says so.
            const bool none = left[0] < 0;
            const auto end = std::ranges::find_if(left, [none](int fd) { return (fd < 0) != none; });
            const auto same = static_cast<std::uint32_t>(end - left.begin());
            part.start = what.start + (what.count - static_cast<std::uint32_t>(left.size()));
            part.count = none ? same : std::min(same, server_fds_);
            part.eventfds = none ? std::span<const int>{} : left.first(part.count);
            if (const auto told = tell_irqs(part); !told) return told;
        }
        return {};
    }

    /// REGION_READ. A short count is what a device's fault partway leaves.
    [[nodiscard]] answer read(read_access what) {
        wire::region_access access{what.offset, static_cast<std::uint32_t>(what.region),
                                   static_cast<std::uint32_t>(what.bytes.size())};
        if (const auto sent = command(wire::command::region_read, access); !sent) return {0, sent.error()};
        const auto came = reply(wire::command::region_read, sizeof access + what.bytes.size());
        if (!came) return {0, came.error()};
        if (what.bytes.empty()) return {0, ended()};
        if (reader_.left() < sizeof access) return {0, ended(EPROTO)};
        if (const auto got = take(std::as_writable_bytes(std::span{&access, 1})); !got) return {0, got.error()};
        const std::size_t count = reader_.left();
        if (access.count != count || count > what.bytes.size()) return {0, ended(EPROTO)};
        if (const auto got = take(what.bytes.first(count)); !got) return {0, got.error()};
        return {count, ended()};
    }

    /// REGION_WRITE.
    [[nodiscard]] answer write(write_access what) {
        wire::region_access access{what.offset, static_cast<std::uint32_t>(what.region),
                                   static_cast<std::uint32_t>(what.bytes.size())};
        if (const auto sent = command(wire::command::region_write, access, what.bytes); !sent) return {0, sent.error()};
        const auto came = reply(wire::command::region_write, sizeof access);
        if (!came) return {0, came.error()};
        if (what.bytes.empty()) return {0, ended()};
        if (reader_.left() != sizeof access) return {0, ended(EPROTO)};
        if (const auto got = take(std::as_writable_bytes(std::span{&access, 1})); !got) return {0, got.error()};
        return {access.count, ended()};
    }

    result<void> reset() { return done(call(wire::command::device_reset)); }

    /// DMA_MAP; `fd` is -1 where the memory is not shared.
    result<void> map_dma(std::uint64_t iova, std::uint64_t size, std::uint32_t flags, int fd = -1,
                         std::uint64_t fd_offset = 0) {
        const wire::dma_map request{sizeof request, flags, fd_offset, iova, size};
        return done(call(wire::command::dma_map, request, {}, {&fd, fd < 0 ? 0u : 1u}));
    }
    /// The same for memory of this process that is not shared: the server asks for its bytes. They must stay until
    /// they are unmapped, or the client is gone.
    result<void> map_dma(std::uint64_t iova, std::span<std::byte> memory,
                         std::uint32_t flags = wire::dma_map_read | wire::dma_map_write) {
        memory_.add(iova, memory, flags); // before: the server may use it before it answers
        const auto told = map_dma(iova, memory.size(), flags);
        if (!told) memory_.remove(iova, memory.size());
        return told;
    }
    result<void> unmap_dma(std::uint64_t iova, std::uint64_t size) {
        const auto told = unmap({0, 0, iova, size});
        if (told) memory_.remove(iova, size);
        return told;
    }
    result<void> unmap_all_dma() {
        const auto told = unmap({0, wire::dma_unmap_all, 0, 0});
        if (told) memory_.clear();
        return told;
    }

    /// What the server may ask for.
    [[nodiscard]] const own_memory& memory() const noexcept { return memory_; }
    [[nodiscard]] own_memory& memory() noexcept { return memory_; }
    /// Answers the server's commands for that long, or until `done()`, which is asked after each. error{EPROTO}: it
    /// sent anything else; error::again: a part of one.
    template <class F>
    result<void> serve_dma(std::chrono::milliseconds time, F done) {
        const auto end = std::chrono::steady_clock::now() + time;
        while (!done()) {
            if (over(end)) return {};
            const auto [here, twin] = waiting(end);
            if (twin) {
                if (const auto served = serve_twin(end); !served) return served;
            }
            if (here) {
                auto came = reader_.message(socket_.get(), most_, end);
                if (!came) return came.error();
                if (const auto served = serve(socket_.get(), *came, end); !served) return served;
            }
        }
        return {};
    }
    result<void> serve_dma(std::chrono::milliseconds time) {
        return serve_dma(time, [] { return false; });
    }
    /// Whether there is something for serve_dma().
    [[nodiscard]] bool has_questions() {
        const auto [here, twin] = waiting(moment{});
        return here || twin;
    }

    // The wire, for tests that say something else

    /// A message, header and payload in one; `size` 0 in `head` stands for its true size.
    template <class T>
    [[nodiscard]] static std::vector<std::byte> compose(wire::header head, const T& fixed,
                                                        std::span<const std::byte> more = {}) {
        std::vector<std::byte> made(sizeof head + sizeof fixed);
        if (head.size == 0) head.size = static_cast<std::uint32_t>(made.size() + more.size());
        wire::store(wire::store(made.data(), head), fixed);
        made.insert(made.end(), more.begin(), more.end());
        return made;
    }
    [[nodiscard]] static std::vector<std::byte> compose(wire::header head) {
        std::vector<std::byte> made(sizeof head);
        if (head.size == 0) head.size = sizeof head;
        wire::store(made.data(), head);
        return made;
    }

    /// Sends all of it; the descriptors go with its first byte.
    result<void> send(std::span<const std::byte> bytes, std::span<const int> fds = {}) {
        return send_message(socket_.get(), bytes, fds);
    }
    [[nodiscard]] result<received> receive() { return reader_.message(socket_.get(), most_, limit()); }

    /// Sends a command and waits for its reply: its payload, or its error. Descriptors that came are in fds().
    template <class T>
    [[nodiscard]] result<std::vector<std::byte>>
    call(wire::command what, const T& fixed, std::span<const std::byte> more = {}, std::span<const int> fds = {}) {
        return finish(what, command(what, fixed, more, fds));
    }
    [[nodiscard]] result<std::vector<std::byte>> call(wire::command what) {
        return finish(what, command(what, nothing{}));
    }

    /// What came with the last reply; to be taken or left.
    [[nodiscard]] std::vector<unique_fd>& fds() noexcept { return fds_; }

private:
    result<void> tell_irqs(const mediant::set_irqs& what) {
        constexpr std::array actions{VFIO_IRQ_SET_ACTION_MASK, VFIO_IRQ_SET_ACTION_UNMASK, VFIO_IRQ_SET_ACTION_TRIGGER};
        constexpr std::array data{VFIO_IRQ_SET_DATA_NONE, VFIO_IRQ_SET_DATA_BOOL, VFIO_IRQ_SET_DATA_EVENTFD};
        const auto flags = actions[static_cast<std::size_t>(what.what)] | data[static_cast<std::size_t>(what.how)];
        const wire::irq_set request{static_cast<std::uint32_t>(sizeof(wire::irq_set) + what.bools.size()),
                                    static_cast<std::uint32_t>(flags), static_cast<std::uint32_t>(what.index),
                                    what.start, what.count};
        return done(call(wire::command::device_set_irqs, request, std::as_bytes(what.bools), what.eventfds));
    }

    static result<void> done(const result<std::vector<std::byte>>& what) {
        return what ? result<void>{} : what.error();
    }

    struct nothing {};
    /// Sends one.
    template <class T>
    result<void> command(wire::command what, const T& fixed, std::span<const std::byte> more = {},
                         std::span<const int> fds = {}) {
        constexpr std::size_t own = sizeof(wire::header) + (std::is_empty_v<T> ? 0 : sizeof fixed);
        constexpr std::size_t small = 64; // is cheaper to copy than to send from two places
        std::array<std::byte, own + small> message;
        std::size_t size = own + more.size();
        wire::store(message.data(), wire::header{++id_, static_cast<std::uint16_t>(what), static_cast<std::uint32_t>(size), 0, 0});
        if constexpr (!std::is_empty_v<T>) wire::store(message.data() + sizeof(wire::header), fixed);
        if (more.size() <= small) std::ranges::copy(std::exchange(more, {}), message.begin() + own);
        size -= more.size();
        fds_.clear();
        const auto sent = send_message(socket_.get(), std::span{message}.first(size), fds, more);
        return sent ? sent : abandon(sent.error());
    }

    [[nodiscard]] result<std::vector<std::byte>> finish(wire::command what, result<void> sent) {
        if (!sent) return sent.error();
        if (const auto came = reply(what, 128); !came) return came.error();
        std::vector<std::byte> payload(reader_.left());
        if (const auto got = take(payload); !got) return got.error();
        fds_ = reader_.take_fds();
        return payload;
    }

    /// Waits for the reply to what was sent last: its header is taken, or all of it, and it is an error. `likely`: bytes
    /// of its payload.
    result<void> reply(wire::command what, std::size_t likely) {
        const auto head = reply_head(sizeof(wire::header) + likely);
        if (!head) return abandon(head.error());
        if (head->id != id_ || head->command != static_cast<std::uint16_t>(what) ||
            (head->flags & wire::type_mask) != wire::type_reply) {
            return abandon(error{EPROTO});
        }
        if ((head->flags & wire::error_flag) == 0) return {};
        const auto lost = ended();
        return lost == error::none ? wire::error_of(*head) : lost;
    }
    result<void> take(std::span<std::byte> to) {
        const auto got = reader_.take_all(socket_.get(), to, until_);
        return got ? got : abandon(got.error());
    }
    /// The rest of a reply is of no use; `why`, or how the connection was lost.
    [[nodiscard]] error ended(int why = 0) {
        while (reader_.left() != 0) {
            std::array<std::byte, 4096> rest;
            if (const auto got = take(std::span{rest}.first(std::min(reader_.left(), rest.size()))); !got)
                return got.error();
        }
        reader_.take_fds().clear();
        return error{why};
    }

    /// Nobody could tell the next reply from a late one.
    [[nodiscard]] error abandon(error why) noexcept {
        disconnect();
        return why;
    }

    /// Answers one of the server's commands.
    result<void> serve(int socket, const received& what, moment until) {
        if ((what.header.flags & wire::type_mask) != wire::type_command) return error{EPROTO};
        const auto reply = memory_.answer(what.header, what.payload);
        return reply.empty() ? result<void>{} : send_message(socket, reply, {}, {}, until);
    }
    /// And one that has come on the twin socket.
    result<void> serve_twin(moment until) {
        const auto came = receive_message(twin_.get(), most_, until, true);
        if (came) return serve(twin_.get(), *came, until);
        twin_.reset(); // the server has closed it: it sends no more commands
        if (limit_ >= 0) (void)set_timeout(std::chrono::milliseconds{limit_}); // in one piece again
        return {};
    }

    /// When what is waited for now must be there.
    [[nodiscard]] moment limit() const noexcept {
        return limit_ < 0 ? never : std::chrono::steady_clock::now() + std::chrono::milliseconds{limit_};
    }

    struct ready {
        bool here, twin;
    };
    /// What has come, or comes until then.
    [[nodiscard]] ready waiting(moment until) {
        const bool ahead = reader_.ahead();
        std::array<pollfd, 2> sockets{pollfd{socket_.get(), POLLIN, 0}, pollfd{twin_.get(), POLLIN, 0}};
        if (::poll(sockets.data(), sockets.size(), ahead ? 0 : milliseconds_until(until)) <= 0) return {ahead, false};
        return {ahead || sockets[0].revents != 0, sockets[1].revents != 0};
    }

    /// The header of the next message that is no command.
    [[nodiscard]] result<wire::header> reply_head(std::size_t likely) {
        until_ = limit();
        for (bool late = false;; late = true) {
            ready is{true, false};
            // Questions are about what is not shared. Where there is no such memory, the time to look for them first
            // is saved, and they are answered where the reply is late.
            if (late || (twin_ && (limit_ < 0 || !memory_.empty()))) is = waiting(until_);
            if (is.here) {
                auto head = reader_.head(socket_.get(), most_, until_, likely);
                if (head && (head->flags & wire::type_mask) != wire::type_command) return head;
                if (head) {
                    const auto whole = reader_.rest(socket_.get(), *head, until_);
                    if (!whole) return whole.error();
                    if (const auto served = serve(socket_.get(), *whole, until_); !served) return served.error();
                } else if (head.error() != error::again || limit_ < 0 || over(until_)) {
                    return head;
                }
            }
            if (is.twin) {
                if (const auto served = serve_twin(until_); !served) return served.error();
            }
            if (over(until_)) return error::again; // it sends commands, and no reply
        }
    }

    /// A command whose reply is a struct of its own kind.
    template <class T>
    [[nodiscard]] result<T> ask(wire::command what, const T& request) {
        const auto came = call(what, request);
        if (!came) return came.error();
        if (came->size() < sizeof(T)) return error{EPROTO};
        return wire::load<T>(*came);
    }

    result<void> unmap(wire::dma_unmap request) {
        request.argsz = sizeof request;
        return done(call(wire::command::dma_unmap, request));
    }

    /// How long a reply is waited for before a look at the twin socket.
    static constexpr std::chrono::milliseconds slice{20};

    unique_fd socket_;
    unique_fd twin_;
    message_reader reader_; // of socket_
    std::uint32_t most_ = longest_message;        // bytes of a message
    std::uint32_t server_fds_ = most_fds; // that it takes in one
    own_memory memory_;
    int limit_ = -1; // of a wait, milliseconds
    moment until_ = never; // of the one that goes on
    std::uint16_t id_ = 0;
    std::vector<unique_fd> fds_;
};

} // namespace mediant::vfio_user
