// SPDX-License-Identifier: BSD-3-Clause
// runs: 4000
// long: 100000
// libFuzzer target: what a client sends while a device waits for its memory: replies, commands among them, and bytes
// that are neither, on the main and on the twin socket.
//
// The input is a byte whose lowest bit asks for a twin socket, then steps. A step is a byte, of which the low two bits
// say what it is and the others are its argument, and the bytes that it takes:
//   0  so many bytes, four times the argument, to one of the sockets; the highest bit of the argument chooses
//   1  a write or read of BAR 0, upon which the device reads and writes the client's memory
//   2  a reply, right but for what five bytes change: ID, command, flags, count, size; the argument as of 0
//   3  the server has its turn
#include "../unit/vfio_user/by_hand.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>

using namespace vfio_user_test;

namespace {

[[noreturn]] void broken(const char* what) {
    std::fprintf(stderr, "%s\n", what);
    std::abort();
}

/// Takes all that the server has sent to a socket, and checks that it is well formed.
class sink {
public:
    std::uint16_t last_id = 0;      ///< of the server's last command
    std::uint16_t last_command = 0; ///< and what it is
    std::uint64_t address = 0;
    std::uint64_t count = 0;

    void take(int fd) {
        static std::array<std::byte, 1 << 16> buffer;
        for (;;) {
            const auto got = ::recv(fd, buffer.data(), buffer.size(), MSG_DONTWAIT);
            if (got <= 0) return;
            pending_.insert(pending_.end(), buffer.begin(), buffer.begin() + got);
            std::size_t at = 0;
            while (pending_.size() - at >= sizeof(wire::header)) {
                const auto rest = std::span{pending_}.subspan(at);
                const auto head = wire::load<wire::header>(rest);
                if (head.size < sizeof head || head.size > (2u << 20)) broken("a wrong size");
                if (rest.size() < head.size) break;
                if ((head.flags & wire::type_mask) == wire::type_command)
                    command(head, rest.subspan(sizeof head, head.size - sizeof head));
                at += head.size;
            }
            pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(at));
        }
    }

private:
    void command(const wire::header& head, std::span<const std::byte> payload) {
        const bool write = wire::command{head.command} == wire::command::dma_write;
        if ((!write && wire::command{head.command} != wire::command::dma_read) || head.flags != wire::type_command ||
            head.error != 0 || payload.size() < sizeof(wire::dma_access))
            broken("a command that the server must not send");
        const auto what = wire::load<wire::dma_access>(payload);
        if (payload.size() != sizeof what + (write ? what.count : 0) || what.count == 0 || what.count > 1000)
            broken("a command of a wrong size");
        last_id = head.id;
        last_command = head.command;
        address = what.address;
        count = what.count;
    }
    bytes pending_;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static fake_device device;
    static const unique_fd event = event_file();
    // Less to allocate a run, and little to wait for.
    static const server_options options{.max_data_xfer = 64 * 1024, .dma_timeout = std::chrono::milliseconds{1}};
    static const int files = open_files();
    if (size == 0) return 0;

    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) broken("no socket");
    client peer{unique_fd{pair[0]}};
    unique_fd twin;
    {
        session<fake_device> server{device, unique_fd{pair[1]}, options};
        std::uint64_t turn = 0;
        const auto work = [&](std::span<std::byte> to) {
            if (to.empty()) return;
            if (device.host.dma.read(turn++ % 4096, to).count > to.size() ||
                device.host.dma.write(8192, to).count > to.size())
                broken("more than there is");
        };
        device.on_read = [&](read_access what) {
            work(what.bytes);
            return answer{what.bytes.size()};
        };
        device.on_write = [&](write_access what) {
            const bytes before(what.bytes.begin(), what.bytes.end());
            bytes some(what.bytes.size() * 3);
            work(some);
            if (!std::equal(before.begin(), before.end(), what.bytes.begin())) broken("a message changed");
            return answer{what.bytes.size()};
        };
        sink main_sink, twin_sink;
        const auto pump = [&] {
            for (int i = 0; i < 100 && !server.closed(); ++i) {
                main_sink.take(pair[0]);
                if (twin) twin_sink.take(twin.get());
                pollfd what{pair[1], 0, 0};
                if (server.wants_to_read()) what.events |= POLLIN;
                if (server.wants_to_write()) what.events |= POLLOUT;
                if (server.runnable())
                    server.resume();
                else if (::poll(&what, 1, 0) <= 0)
                    return;
                else if ((what.revents & POLLOUT) != 0 || !server.wants_to_read())
                    server.resume();
                else
                    server.receive();
            }
        };
        // A client that takes little, so that long transfers are many commands.
        const bool with_twin = (*data & 1) != 0;
        (void)peer.send(version(with_twin ? R"({"capabilities":{"max_data_xfer_size":1000,"max_msg_fds":8,"twin_socket":{"supported":true}}})"
                                          : R"({"capabilities":{"max_data_xfer_size":1000}})"));
        server.receive();
        auto agreed = peer.receive();
        if (!agreed || (*agreed).fds.size() != (with_twin ? 1u : 0u)) broken("VERSION");
        if (with_twin) twin = std::move((*agreed).fds[0]);
        // What a socket does not take is not sent: nobody is there to make room.
        for (const int each : {pair[0], twin.get()}) {
            const timeval moment{0, 1};
            (void)::setsockopt(each, SOL_SOCKET, SO_SNDTIMEO, &moment, sizeof moment);
        }
        (void)peer.send(message_of(wire::command::dma_map, wire::dma_map{32, 3, 0, 0, 1 << 20}));
        pump();

        ++data;
        --size;
        std::uint16_t next = 0; // the ID that the server's next command is likely to have
        while (size != 0 && !server.closed()) {
            const unsigned step = *data & 3u;
            const unsigned argument = *data >> 2;
            ++data;
            --size;
            const auto take = [&](std::size_t most) {
                const std::span<const std::uint8_t> part{data, std::min(most, size)};
                data += part.size();
                size -= part.size();
                return part;
            };
            const int to = twin && (argument & 32) != 0 ? twin.get() : pair[0];
            if (step == 0) {
                const auto part = take((argument & 31) * 4);
                (void)send_message(to, std::as_bytes(part), std::array{event.get()});
            } else if (step == 1) {
                if ((argument & 1) != 0)
                    (void)peer.send(read_of(region_index::bar0, 0, argument * 16));
                else
                    (void)peer.send(write_of(region_index::bar0, 0, bytes(argument * 8, std::byte{0x77})));
            } else if (step == 2) {
                const auto how = take(5);
                std::array<std::uint8_t, 5> change{};
                std::copy(how.begin(), how.end(), change.begin());
                const sink& asked = twin ? twin_sink : main_sink;
                const std::uint64_t count = (asked.count != 0 ? asked.count : 8) + (change[3] & 7u) - 4 * (change[3] >> 7);
                const bool write = (change[1] & 1) != 0;
                bytes reply = client::compose(
                    {static_cast<std::uint16_t>(next + change[0]), static_cast<std::uint16_t>(11 + change[1]), 0,
                     wire::type_reply ^ change[2], 0},
                    wire::dma_access{asked.address, count}, bytes(write ? 0 : std::min<std::uint64_t>(count, 1000)));
                if (change[4] != 0) {
                    const auto claimed = static_cast<std::uint32_t>(reply.size() + change[4] - 128u);
                    std::memcpy(reply.data() + 4, &claimed, sizeof claimed);
                }
                (void)send_message(to, reply);
                next = static_cast<std::uint16_t>(std::max<int>(asked.last_id + 1, next + 1));
            } else {
                pump();
            }
        }
        pump();
    }
    device.on_read = nullptr;
    device.on_write = nullptr;
    peer.disconnect();
    twin.reset();
    if (device.opens != device.releases || device.host.dma.size() != 0) broken("not released");
    static unsigned runs = 0;
    if (++runs % 256 == 0 && open_files() > files) broken("a descriptor leaks");
    return 0;
}
