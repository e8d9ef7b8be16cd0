// SPDX-License-Identifier: BSD-3-Clause
// Long accesses to memory, which are sent from there and received to there.
#include "messages.hpp"

#include <mediant/device/memory_device.hpp>
#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

using namespace vfio_user_test;

namespace {

constexpr std::uint32_t long_one = 512 * 1024;

/// The last dword of the first MiB is the policy's.
struct trapping {
    static constexpr auto bar0 = region_map{
        bar{0}, 2_MiB, reg{"SHADOW", 0xf'fffc, rw, {.backing = from::shadow, .value = 0x5a5a5a5a}}};
    static constexpr auto regions = mediant::regions<bar0>{};
};

/// Counts what is not done at once.
class storage : public device::memory_device {
public:
    storage() : memory_device{device_id{0x1234, 0x5678, 0, 0, 0xff0000}, {2_MiB, 0, 0, 0, 0, 0}} {}
    [[nodiscard]] std::span<std::byte> block(region_index region, std::uint64_t offset, std::uint64_t size) {
        ++blocks;
        return memory_device::block(region, offset, size);
    }
    int blocks = 0;
};
using front = stack<storage, trapping>;

/// The second MiB traps when it is told to.
struct switching {
    static constexpr auto bar0 =
        region_map{bar{0}, 2_MiB, reg{"SWITCH", 0, wo, {.hook = on::write}}, dynamic{"WINDOW", 1_MiB, 1_MiB}};
    static constexpr auto regions = mediant::regions<bar0>{};
    result<void> write(at<bar0, "SWITCH">, std::uint32_t traps, auto& next) {
        return traps != 0 ? next.trap(at<bar0, "WINDOW">{}) : next.untrap(at<bar0, "WINDOW">{});
    }
};

/// A session of it by hand, with a client that does not wait.
class bulk {
public:
    storage device;
    front stack{device};
    server_options options;
    unique_fd peer;
    std::optional<session<front>> server;

    bulk() { connect(); }
    void connect() {
        int pair[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
        server.reset();
        peer = unique_fd{pair[0]};
        server.emplace(stack, unique_fd{pair[1]}, options);
        (void)exchange(version(R"({"capabilities":{"max_msg_fds":16}})"));
        REQUIRE(server->open());
        for (std::size_t i = 0; i < bytes_of().size(); ++i) bytes_of()[i] = static_cast<std::byte>(i % 251);
        device.blocks = 0;
    }
    [[nodiscard]] std::span<std::byte> bytes_of() const { return device.memory(bar{0}); }

    void pump() {
        while (!server->closed()) {
            if (server->runnable()) {
                server->resume();
                continue;
            }
            pollfd what{server->fd(), 0, 0};
            if (server->wants_to_read()) what.events |= POLLIN;
            if (server->wants_to_write()) what.events |= POLLOUT;
            if (::poll(&what, 1, 0) <= 0) return;
            if ((what.revents & POLLOUT) != 0 || !server->wants_to_read())
                server->resume();
            else
                server->receive();
        }
    }
    /// What came since; lets the server go on while it does.
    void take() {
        for (;;) {
            const std::size_t before = came.size();
            came.resize(before + 100'000);
            const auto got = ::recv(peer.get(), came.data() + before, 100'000, 0);
            came.resize(before + (got > 0 ? static_cast<std::size_t>(got) : 0));
            if (got <= 0) return;
            pump();
        }
    }
    /// In pieces of `piece` bytes, each of which the server sees before the next.
    void send(std::span<const std::byte> what, std::size_t piece = ~std::size_t{0}) {
        while (!what.empty()) {
            const auto sent = ::send(peer.get(), what.data(), std::min(piece, what.size()), MSG_NOSIGNAL);
            if (sent > 0) what = what.subspan(static_cast<std::size_t>(sent));
            if (sent <= 0 || piece != ~std::size_t{0}) pump();
        }
    }
    std::vector<reply> exchange(const bytes& what, std::size_t piece = ~std::size_t{0}) {
        send(what, piece);
        pump();
        take();
        return replies();
    }
    std::vector<reply> replies() {
        std::vector<reply> all;
        std::size_t at = 0;
        while (came.size() - at >= sizeof(wire::header)) {
            const auto header = wire::load<wire::header>(std::span{came}.subspan(at));
            REQUIRE(header.size <= came.size() - at);
            const auto begin = came.begin() + static_cast<std::ptrdiff_t>(at);
            all.push_back({header.id, header.command, header.flags, header.error,
                           {begin + sizeof header, begin + static_cast<std::ptrdiff_t>(header.size)}, 0});
            at += header.size;
        }
        CHECK(at == came.size());
        came.clear();
        return all;
    }
    /// The sixteen bytes of the access are left out.
    static bytes data_of(const reply& what) { return {what.payload.begin() + 16, what.payload.end()}; }

    bytes came;
};

bytes pattern(std::size_t size, unsigned seed) {
    bytes out(size);
    for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::byte>((i * 31 + seed) % 241);
    return out;
}

} // namespace

TEST_CASE("vfio-user bulk: a long read is sent from the memory, in its order among the others") {
    bulk at;
    const auto all = at.exchange(read_of(bar{0}, 0, 4, 1) + read_of(bar{0}, 0x101, long_one, 2) +
                                 read_of(bar{0}, 4, 4, 3) + read_of(bar{0}, 7, long_one, 4, wire::no_reply) +
                                 read_of(bar{0}, 0, long_one, 5));
    REQUIRE(all.size() == 4);
    CHECK((all[0].id == 1 && all[1].id == 2 && all[2].id == 3 && all[3].id == 5));
    CHECK(wire::load<wire::region_access>(all[1].payload).count == long_one);
    const auto memory = at.bytes_of();
    CHECK(bulk::data_of(all[1]) == bytes(memory.begin() + 0x101, memory.begin() + 0x101 + long_one));
    CHECK(bulk::data_of(all[3]) == bytes(memory.begin(), memory.begin() + long_one));
    CHECK(at.device.blocks == 3);
}

TEST_CASE("vfio-user bulk: no byte is copied before it is sent") {
    bulk at;
    at.send(read_of(bar{0}, 0, long_one));
    at.pump(); // the socket does not hold it all
    REQUIRE(at.server->wants_to_write());
    at.bytes_of()[long_one - 1] = std::byte{0xfe};
    at.take();
    const auto all = at.replies();
    REQUIRE(all.size() == 1);
    CHECK(bulk::data_of(all[0]).back() == std::byte{0xfe});
}

TEST_CASE("vfio-user bulk: a long access over a trapped register goes to the policy") {
    bulk at;
    const auto data = pattern(long_one, 5);
    auto all = at.exchange(write_of(bar{0}, 0xf'0000, data, 1) + read_of(bar{0}, 0xf'0000, long_one, 2));
    REQUIRE(all.size() == 2);
    CHECK(bulk::data_of(all[1]) == data);
    CHECK(at.bytes_of()[0xf'fffc] == static_cast<std::byte>(0xf'fffc % 251)); // the shadow took it
    CHECK(at.bytes_of()[0xf'fffb] == data[0xfffb]);
    CHECK(at.bytes_of()[0x10'0000] == data[0x1'0000]);
}

TEST_CASE("vfio-user bulk: a long write, cut anywhere, goes to the memory as it comes") {
    bulk at;
    const auto data = pattern(long_one, 7);
    const auto talk = read_of(bar{0}, 0, 4, 1) + write_of(bar{0}, 0x123, data, 2) + read_of(bar{0}, 0x123, 8, 3) +
                      write_of(bar{0}, 0x123, std::span{data}.first(8), 4) + write_of(bar{0}, 0x11'0000, data, 5) +
                      read_of(bar{0}, 0x11'0000, long_one, 6);
    for (const std::size_t piece : {~std::size_t{0}, std::size_t{1000}, std::size_t{32 * 1024}, std::size_t{33},
                                    std::size_t{65'537}}) {
        std::fill(at.bytes_of().begin(), at.bytes_of().end(), std::byte{0});
        at.device.blocks = 0;
        const auto all = at.exchange(talk, piece);
        REQUIRE(all.size() == 6);
        for (std::uint16_t i = 0; i < 6; ++i) CHECK(all[i].id == i + 1);
        CHECK(all[1].payload.size() == 16);
        CHECK(wire::load<wire::region_access>(all[1].payload).count == long_one);
        CHECK(std::equal(data.begin(), data.end(), at.bytes_of().begin() + 0x123));
        CHECK(bulk::data_of(all[2]) == bytes(data.begin(), data.begin() + 8));
        CHECK(bulk::data_of(all[5]) == data);
        CHECK(at.device.blocks >= 3);
    }
    // Before all of it came:
    std::fill(at.bytes_of().begin(), at.bytes_of().end(), std::byte{0});
    const auto one = write_of(bar{0}, 0, data, 9);
    at.send(std::span{one}.first(100'000), 10'000);
    CHECK(at.bytes_of()[99'000] == data[99'000]);
    at.send(std::span{one}.subspan(100'000));
    CHECK(at.exchange({}).size() == 1);
}

TEST_CASE("vfio-user bulk: a client that goes away amid a long write leaves what came, and nothing else") {
    bulk at;
    const auto data = pattern(long_one, 9);
    const auto one = write_of(bar{0}, 0, data);
    at.send(std::span{one}.first(200'000), 50'000);
    at.peer.reset();
    at.pump();
    CHECK(at.server->closed());
    CHECK(std::equal(data.begin(), data.begin() + 199'000, at.bytes_of().begin()));
    at.connect();
    CHECK(at.exchange(read_of(bar{0}, 0, 4)).size() == 1);
    CHECK(at.exchange(one, 50'000).size() == 1);
}

TEST_CASE("vfio-user bulk: what is refused is refused, and the next message works") {
    bulk at;
    const auto data = pattern(long_one, 11);
    const auto refused = [&](const bytes& what) {
        const auto before = bytes(at.bytes_of().begin(), at.bytes_of().end());
        const auto all = at.exchange(what + read_of(bar{0}, 0, 4, 99), 100'000);
        const bool untouched = std::equal(before.begin(), before.end(), at.bytes_of().begin());
        return all.size() == 2 && all[0].error == EINVAL && all[1].id == 99 && all[1].error == 0 && untouched;
    };
    CHECK(refused(write_of(bar{0}, 2_MiB - long_one + 1, data)));
    CHECK(refused(write_of(bar{1}, 0, data)));
    CHECK(refused(cut(write_of(bar{0}, 0, data), 32 + long_one - 1))); // its count says more
    CHECK(refused(grown(write_of(bar{0}, 0, data), 1)));
    CHECK(refused(read_of(bar{0}, 2_MiB - long_one + 1, long_one)));
    // Posted, it is done all the same.
    CHECK(at.exchange(write_of(bar{0}, 0, data, 1, wire::no_reply), 100'000).empty());
    CHECK(std::equal(data.begin(), data.end(), at.bytes_of().begin()));
    // Disabled memory takes none.
    const bytes off(2);
    REQUIRE(at.exchange(write_of(region_index::config, 4, off)).size() == 1);
    const auto all = at.exchange(write_of(bar{0}, 0, pattern(long_one, 12)), 100'000);
    REQUIRE(all.size() == 1);
    CHECK(all[0].error == EIO);
    CHECK(std::equal(data.begin(), data.end(), at.bytes_of().begin()));
}

TEST_CASE("vfio-user bulk: descriptors amid a long write are closed, those behind it are the next message's") {
    bulk at;
    const auto data = pattern(long_one, 13);
    const auto event = event_file();
    const auto before = open_files();
    const auto one = write_of(bar{0}, 0, data, 1);
    client with{unique_fd::duplicate(at.peer.get())};
    const auto part = [&](std::size_t from, std::size_t size) {
        return bytes(one.begin() + static_cast<std::ptrdiff_t>(from), one.begin() + static_cast<std::ptrdiff_t>(from + size));
    };
    const int fds[]{event.get()};
    at.send(part(0, 100'000), 20'000);
    REQUIRE(with.send(part(100'000, 1000), fds));
    at.pump();
    at.send(part(101'000, one.size() - 101'000 - 10), 50'000);
    // The last bytes, and a message whose descriptor it is.
    at.send(part(one.size() - 10, 10));
    REQUIRE(with.send(irqs_of(36, 1, 0, 1), fds));
    at.pump();
    at.take();
    const auto all = at.replies();
    REQUIRE(all.size() == 2);
    CHECK((all[0].id == 1 && all[0].error == 0));
    CHECK(all[1].error == 0);
    CHECK(std::equal(data.begin(), data.end(), at.bytes_of().begin()));
    CHECK(at.device.irqs().bound(irq_index::msi, 0));
    CHECK(open_files() == before + 2); // the device's eventfd, and `with`
}

TEST_CASE("vfio-user bulk: what begins to trap within a write gets nothing of the rest") {
    for (const bool traps : {false, true}) {
        storage device;
        stack<storage, switching> front{device};
        server_options options;
        int pair[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
        const unique_fd peer{pair[0]};
        session<stack<storage, switching>> server{front, unique_fd{pair[1]}, options};
        const auto sends = [&](std::span<const std::byte> what) {
            REQUIRE(::send(peer.get(), what.data(), what.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(what.size()));
            for (int i = 0; i < 8 && !server.closed(); ++i) server.receive();
        };
        sends(version(R"({"capabilities":{}})"));
        REQUIRE(server.open());
        const auto turn = [&](std::uint32_t what) { // as a doorbell would
            REQUIRE(front.write({bar{0}, 0, std::as_bytes(std::span{&what, 1})}) == answer{4});
        };
        turn(0);
        const std::vector<std::byte> data(128 * 1024, std::byte{0x77});
        const auto all = client::compose({9, static_cast<std::uint16_t>(wire::command::region_write), 0, 0, 0},
                                         wire::region_access{1_MiB, 0, 128 * 1024}, data);
        sends(std::span{all}.first(40'000));
        sends(std::span{all}.subspan(40'000, 20'000));
        if (traps) turn(1);
        sends(std::span{all}.subspan(60'000));
        CHECK(server.closed() == traps);
        if (!traps) CHECK(device.memory(bar{0})[1_MiB + 100'000] == std::byte{0x77});
    }
}
