// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/vfio_user/options.hpp>
#include <mediant/vfio_user/own_memory.hpp>
#include <mediant/vfio_user/socket.hpp>
#include <mediant/vfio_user/version.hpp>
#include <mediant/vfio_user/wire.hpp>

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>

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
/// error{ECONNRESET} at the connection's end, error{EPROTO} for a reply that makes no sense, error::again where time is
/// up; after these it is disconnected. One call at a time.
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
    }
    /// The socket of the server's commands, where one was agreed on; else -1.
    [[nodiscard]] int twin_fd() const noexcept { return twin_.get(); }

    /// From now on a receive or send that takes longer fails with error::again, and a reply that is not whole by then,
    /// however it trickles and whatever commands come before it; 0: waits for ever.
    result<void> set_timeout(std::chrono::milliseconds limit) {
        limit_ = limit.count() == 0 ? -1 : static_cast<int>(limit.count());
        const timeval time{static_cast<time_t>(limit.count() / 1000),
                           static_cast<suseconds_t>(limit.count() % 1000 * 1000)};
        for (const int which : {SO_RCVTIMEO, SO_SNDTIMEO}) {
            if (::setsockopt(socket_.get(), SOL_SOCKET, which, &time, sizeof time) != 0) return error{errno};
            if (twin_) (void)::setsockopt(twin_.get(), SOL_SOCKET, which, &time, sizeof time);
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
        most_ = static_cast<std::uint32_t>(std::min<std::uint64_t>(data + 128 * 1024, longest));
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
        const wire::region_access request{what.offset, static_cast<std::uint32_t>(what.region),
                                          static_cast<std::uint32_t>(what.bytes.size())};
        const auto came = call(wire::command::region_read, request);
        if (!came) return {0, came.error()};
        if (what.bytes.empty()) return {};
        if (came->size() < sizeof request) return {0, error{EPROTO}};
        const auto data = std::span{*came}.subspan(sizeof request);
        if (wire::load<wire::region_access>(*came).count != data.size() || data.size() > what.bytes.size()) {
            return {0, error{EPROTO}};
        }
        std::copy(data.begin(), data.end(), what.bytes.begin());
        return {data.size(), error::none};
    }

    /// REGION_WRITE.
    [[nodiscard]] answer write(write_access what) {
        const wire::region_access request{what.offset, static_cast<std::uint32_t>(what.region),
                                          static_cast<std::uint32_t>(what.bytes.size())};
        const auto came = call(wire::command::region_write, request, what.bytes);
        if (!came) return {0, came.error()};
        if (what.bytes.empty()) return {};
        if (came->size() != sizeof request) return {0, error{EPROTO}};
        return {wire::load<wire::region_access>(*came).count, error::none};
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
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now())
                                  .count();
            if (left <= 0) return {};
            std::array<pollfd, 2> sockets{pollfd{socket_.get(), POLLIN, 0}, pollfd{twin_.get(), POLLIN, 0}};
            if (::poll(sockets.data(), sockets.size(), static_cast<int>(left)) <= 0) continue;
            for (const pollfd& each : sockets) {
                if (each.revents == 0) continue;
                auto came = receive(each.fd, most_, end);
                if (!came && each.fd == twin_.get())
                    twin_.reset(); // as in receive_reply
                else if (!came)
                    return came.error();
                else if (const auto served = serve(each.fd, *came); !served)
                    return served;
            }
        }
        return {};
    }
    result<void> serve_dma(std::chrono::milliseconds time) {
        return serve_dma(time, [] { return false; });
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
        return send_to(socket_.get(), bytes, fds);
    }
    [[nodiscard]] static result<void> send_to(int socket, std::span<const std::byte> bytes,
                                              std::span<const int> fds = {}) {
        if (fds.size() > most_fds) return error::invalid;
        while (!bytes.empty()) {
            iovec part{const_cast<std::byte*>(bytes.data()), bytes.size()};
            alignas(cmsghdr) std::byte control[CMSG_SPACE(sizeof(int) * most_fds)] = {};
            msghdr how{};
            how.msg_iov = &part;
            how.msg_iovlen = 1;
            if (!fds.empty()) {
                how.msg_control = control;
                how.msg_controllen = CMSG_SPACE(fds.size_bytes());
                auto* const head = CMSG_FIRSTHDR(&how);
                head->cmsg_level = SOL_SOCKET;
                head->cmsg_type = SCM_RIGHTS;
                head->cmsg_len = CMSG_LEN(fds.size_bytes());
                std::memcpy(CMSG_DATA(head), fds.data(), fds.size_bytes());
            }
            const auto sent = ::sendmsg(socket, &how, MSG_NOSIGNAL);
            if (sent < 0) {
                if (errno == EINTR) continue;
                return error{errno == EPIPE ? ECONNRESET : errno};
            }
            bytes = bytes.subspan(static_cast<std::size_t>(sent));
            fds = {};
        }
        return {};
    }

    using moment = std::chrono::steady_clock::time_point;
    static constexpr moment never = moment::max();

    /// The longest message that is believed, bytes.
    static constexpr std::uint32_t longest = 1u << 30;

    /// A message as it came.
    struct received {
        wire::header header{};
        std::vector<std::byte> payload;
        std::vector<unique_fd> fds;
    };

    [[nodiscard]] result<received> receive() { return receive(socket_.get(), most_); }
    [[nodiscard]] static result<received> receive(int socket, std::uint32_t most = longest, moment until = never) {
        received came;
        std::array<std::byte, sizeof(wire::header)> head;
        if (const auto got = receive_all(socket, head, came.fds, until); !got) return got.error();
        came.header = wire::load<wire::header>(head);
        if (came.header.size < head.size() || came.header.size > most) return error{EPROTO};
        came.payload.resize(came.header.size - head.size());
        if (const auto got = receive_all(socket, came.payload, came.fds, until); !got) return got.error();
        return came;
    }

    /// Sends a command and waits for its reply: its payload, or its error. Descriptors that came are in fds().
    template <class T>
    [[nodiscard]] result<std::vector<std::byte>>
    call(wire::command what, const T& fixed, std::span<const std::byte> more = {}, std::span<const int> fds = {}) {
        return finish(what, send(compose({++id_, static_cast<std::uint16_t>(what), 0, 0, 0}, fixed, more), fds));
    }
    [[nodiscard]] result<std::vector<std::byte>> call(wire::command what) {
        return finish(what, send(compose({++id_, static_cast<std::uint16_t>(what), 0, 0, 0})));
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

    [[nodiscard]] result<std::vector<std::byte>> finish(wire::command what, result<void> sent) {
        fds_.clear();
        if (!sent) return abandon(sent.error());
        auto came = receive_reply();
        if (!came) return abandon(came.error());
        const auto& head = came->header;
        if (head.id != id_ || head.command != static_cast<std::uint16_t>(what) ||
            (head.flags & wire::type_mask) != wire::type_reply) {
            return abandon(error{EPROTO});
        }
        if ((head.flags & wire::error_flag) != 0) return wire::error_of(head);
        fds_ = std::move((*came).fds);
        return std::move((*came).payload);
    }

    /// Nobody could tell the next reply from a late one.
    [[nodiscard]] error abandon(error why) noexcept {
        disconnect();
        return why;
    }

    /// Answers one of the server's commands.
    result<void> serve(int socket, const received& what) {
        if ((what.header.flags & wire::type_mask) != wire::type_command) return error{EPROTO};
        const auto reply = memory_.answer(what.header, what.payload);
        return reply.empty() ? result<void>{} : send_to(socket, reply);
    }

    /// The next message that is no command.
    [[nodiscard]] result<received> receive_reply() {
        const moment until = limit_ < 0 ? never : std::chrono::steady_clock::now() + std::chrono::milliseconds{limit_};
        for (;;) {
            if (over(until)) return error::again; // it sends commands, and no reply
            int from = socket_.get();
            if (twin_) {
                std::array<pollfd, 2> sockets{pollfd{socket_.get(), POLLIN, 0}, pollfd{twin_.get(), POLLIN, 0}};
                const int ready = ::poll(sockets.data(), sockets.size(), limit_);
                if (ready < 0 && errno == EINTR) continue;
                if (ready <= 0) return error::again;
                if (sockets[0].revents == 0) from = twin_.get();
            }
            auto came = receive(from, most_, until);
            if (!came && from == twin_.get()) {
                twin_.reset(); // the server has closed it: it sends no more commands
                continue;
            }
            if (!came || (from == socket_.get() && ((*came).header.flags & wire::type_mask) != wire::type_command))
                return came;
            if (const auto served = serve(from, *came); !served) return served.error();
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

    /// Of one region that are believed: who looks at them all is not to be kept long.
    static constexpr std::uint32_t most_areas = 16384;

    /// Collects the areas of a sparse capability, if there is one in the list at `at`; false where the list is broken,
    /// or an area lies beyond the region's `size`.
    [[nodiscard]] static bool read_areas(std::span<const std::byte> info, std::size_t at, std::uint64_t size,
                                         std::vector<range>& areas) {
        for (int links = 0; at != 0; ++links) {
            if (links == 16 || !fits(at, sizeof(vfio_info_cap_header), info.size())) return false;
            const auto cap = wire::load<vfio_info_cap_header>(info.subspan(at));
            if (cap.id == VFIO_REGION_INFO_CAP_SPARSE_MMAP) {
                if (!fits(at, sizeof(wire::sparse_mmap), info.size())) return false;
                const auto sparse = wire::load<wire::sparse_mmap>(info.subspan(at));
                auto list = info.subspan(at + sizeof sparse);
                if (list.size() / sizeof(wire::sparse_area) < sparse.areas || sparse.areas > most_areas) return false;
                for (std::uint32_t i = 0; i < sparse.areas; ++i, list = list.subspan(sizeof(wire::sparse_area))) {
                    const auto area = wire::load<wire::sparse_area>(list);
                    if (!fits(area.offset, area.size, size)) return false;
                    areas.push_back({area.offset, area.size});
                }
                return true;
            }
            at = cap.next;
        }
        return true;
    }

    [[nodiscard]] static bool over(moment until) noexcept {
        return until != never && std::chrono::steady_clock::now() >= until;
    }

    [[nodiscard]] static result<void> receive_all(int socket, std::span<std::byte> to, std::vector<unique_fd>& fds,
                                                  moment until) {
        while (!to.empty()) {
            iovec part{to.data(), to.size()};
            alignas(cmsghdr) std::byte control[CMSG_SPACE(sizeof(int) * most_fds)];
            msghdr how{};
            how.msg_iov = &part;
            how.msg_iovlen = 1;
            how.msg_control = control;
            how.msg_controllen = sizeof control;
            const auto got = ::recvmsg(socket, &how, MSG_CMSG_CLOEXEC);
            if (got == 0) return error{ECONNRESET};
            if (got < 0) {
                if (errno == EINTR) continue;
                return error{errno};
            }
            for (auto* each = CMSG_FIRSTHDR(&how); each != nullptr; each = CMSG_NXTHDR(&how, each)) {
                if (each->cmsg_level != SOL_SOCKET || each->cmsg_type != SCM_RIGHTS) continue;
                const auto count = (each->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                for (std::size_t i = 0; i < count; ++i) {
                    int fd = -1;
                    std::memcpy(&fd, CMSG_DATA(each) + i * sizeof(int), sizeof fd);
                    fds.emplace_back(fd);
                }
            }
            // Each part of a message may bring as many.
            if (fds.size() > most_fds) return error{EPROTO};
            to = to.subspan(static_cast<std::size_t>(got));
            if (!to.empty() && over(until)) return error::again;
        }
        return {};
    }

    unique_fd socket_;
    unique_fd twin_;
    std::uint32_t most_ = longest;        // bytes of a message
    std::uint32_t server_fds_ = most_fds; // that it takes in one
    own_memory memory_;
    int limit_ = -1; // of a wait, milliseconds
    std::uint16_t id_ = 0;
    std::vector<unique_fd> fds_;
};

} // namespace mediant::vfio_user
