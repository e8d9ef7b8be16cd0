// SPDX-License-Identifier: BSD-3-Clause
// DMA to memory that a client does not share: DMA_READ and DMA_WRITE on the twin socket and on the main one, among the
// client's own commands, and with clients that answer late, wrongly or not at all.
#include "counted_allocations.hpp"
#include "messages.hpp"

#include <catch2/catch.hpp>

#include <atomic>
#include <cerrno>
#include <functional>
#include <numeric>
#include <thread>

using namespace vfio_user_test;
using namespace std::chrono_literals;
using wire::command;

namespace {

constexpr auto with_twin = R"({"capabilities":{"max_msg_fds":16,"twin_socket":{"supported":true}}})";
constexpr auto without_twin = R"({"capabilities":{"max_msg_fds":16}})";

/// A client thread that does what it is told, once; joined at the end.
class beside {
public:
    template <class F>
    explicit beside(F what) : thread_{std::move(what)} {}
    ~beside() { thread_.join(); }

private:
    std::thread thread_;
};

/// A session whose client agreed by the library's own negotiation.
struct agreed : by_hand {
    explicit agreed(bool twin, server_options with = {}, std::uint64_t most = 1 << 20) : by_hand{std::move(with)} {
        result<client::agreement> said = error::again;
        {
            const beside other{[&] {
                said = peer.negotiate({.max_msg_fds = 16, .max_data_xfer_size = most, .twin_socket = twin});
            }};
            while (!server->open()) server->receive(true);
        }
        REQUIRE(said);
        REQUIRE((peer.twin_fd() >= 0) == twin);
    }
    /// DMA_MAP of memory that is not shared.
    void map(std::uint64_t iova, std::span<std::byte> memory, std::uint32_t flags = 3) {
        result<void> said = error::again;
        std::atomic<bool> done{false};
        {
            const beside other{[&] {
                said = peer.map_dma(iova, memory, flags);
                done = true;
            }};
            while (!done) pump();
        }
        REQUIRE(said);
    }
    device::dma_map& dma() { return device.host.dma; }
};

bytes counting(std::size_t size) {
    bytes made(size);
    for (std::size_t i = 0; i < size; ++i) made[i] = static_cast<std::byte>(i * 7 + i / 251);
    return made;
}

/// What a client answers to a command that asks for DMA, in pieces.
struct crafted {
    wire::header head{};
    wire::dma_access said{};
    bytes data;
    bool with_said = true;

    explicit crafted(const received& asked)
        : head{asked.header}, said{wire::load<wire::dma_access>(asked.payload)} {
        head.flags = wire::type_reply;
        head.size = 0;
        if (wire::command{head.command} == command::dma_read) data.resize(said.count, std::byte{0x5a});
    }
    [[nodiscard]] bytes whole() const {
        return with_said ? client::compose(head, said, data) : client::compose(head);
    }
};

} // namespace

TEST_CASE("vfio-user DMA by messages: reads and writes, on either socket") {
    const bool twin = GENERATE(false, true);
    const std::uint64_t most = GENERATE(1u << 20, 1000u);
    CAPTURE(twin, most);
    agreed at{twin, {}, most};
    bytes memory = counting(20000);
    memory.resize(0x6000);
    const bytes before = memory;
    at.map(0x10000, memory);
    CHECK(at.dma().translate(0x10000, 16, device::dma_map::direction::read).error() == error::not_supported);

    bytes got(20000);
    const bytes news = counting(5000);
    const auto parts = [&](std::uint64_t size) { return (size + most - 1) / most; }; // of what the client takes
    const auto reads = parts(20000) + 2;
    {
        const beside other{[&] { (void)at.peer.serve_dma(5s, [&] { return at.peer.memory().reads() == reads; }); }};
        CHECK(at.dma().read(0x10001, got) == answer{20000, error::none});
        CHECK(std::equal(got.begin(), got.end(), before.begin() + 1));
        CHECK(at.dma().write(0x12345, news) == answer{5000, error::none});
        // A fault partway: the end of what is mapped.
        CHECK(at.dma().read(0x15ff0, std::span{got}.first(32)) == answer{16, error::fault});
        CHECK(at.dma().write(0x20000, news) == answer{0, error::fault});
        CHECK(at.dma().read(0x10000, std::span{got}.first(1)) == answer{1, error::none});
    }
    CHECK(std::equal(news.begin(), news.end(), memory.begin() + 0x2345));
    CHECK(memory[0x2344] == before[0x2344]);
    CHECK(memory[0x2345 + 5000] == before[0x2345 + 5000]);
    CHECK(at.peer.memory().reads() == reads);
    CHECK(at.peer.memory().writes() == parts(5000));
}

TEST_CASE("vfio-user DMA by messages: the map's directions, and the log of what was written") {
    agreed at{true};
    bytes memory(0x4000);
    at.map(0x0000, std::span{memory}.first(0x2000), wire::dma_map_read);
    at.map(0x2000, std::span{memory}.subspan(0x2000), wire::dma_map_write);
    std::array<std::byte, 4> some{};
    CHECK(at.dma().write(0, some) == answer{0, error::denied});
    CHECK(at.dma().read(0x2000, some) == answer{0, error::denied});

    REQUIRE(at.dma().start_logging(4096, {}));
    {
        const beside other{[&] { (void)at.peer.serve_dma(5s, [&] { return at.peer.memory().writes() == 1; }); }};
        CHECK(at.dma().write(0x3ffe, std::span{some}.first(2)).count == 2);
    }
    std::uint64_t dirty = 0;
    REQUIRE(at.dma().log().report(0, 0x4000, 4096, {&dirty, 1}));
    CHECK(dirty == 8);
}

TEST_CASE("vfio-user DMA by messages: not without time for it") {
    agreed at{false, {.dma_timeout = 0ms}};
    bytes memory(0x1000);
    at.map(0, memory);
    std::array<std::byte, 4> some{};
    CHECK(at.dma().read(0, some) == answer{0, error::not_supported});
    by_hand plain{{.dma_timeout = 0ms}};
    const auto all = plain.exchange(version(with_twin));
    REQUIRE(all.size() == 1);
    CHECK(all[0].fds == 0); // and no twin socket
}

TEST_CASE("vfio-user DMA by messages: the twin socket is agreed on") {
    by_hand at;
    const auto files = open_files();
    SECTION("a client that knows it is given one") {
        const auto all = at.exchange(version(with_twin));
        REQUIRE(all.size() == 1);
        CHECK(all[0].fds == 1);
        const auto ours = parse_capabilities(std::span{all[0].payload}.subspan(4));
        REQUIRE(ours);
        CHECK(ours->twin_socket);
        CHECK(ours->twin_fd_index == 0u);
        CHECK(at.alive());
        // The server's end is left, and ours is closed by now; both of the server are gone with the first map.
        CHECK(at.error_of(map_of(0, 0x1000)) == 0);
        CHECK(open_files() == files + 1);
        at.peer.disconnect();
        at.pump();
        at.server.reset();
        CHECK(open_files() == files - 2);
    }
    SECTION("others are not") {
        for (const char* const text :
             {without_twin, R"({"capabilities":{"max_msg_fds":16,"twin_socket":{"supported":false}}})",
              R"({"capabilities":{"max_msg_fds":16,"twin_socket":{}}})",
              R"({"capabilities":{"max_msg_fds":0,"twin_socket":{"supported":true}}})"}) {
            at.connect();
            const auto all = at.exchange(version(text));
            REQUIRE(all.size() == 1);
            CHECK(all[0].fds == 0);
            CHECK_FALSE(parse_capabilities(std::span{all[0].payload}.subspan(4))->twin_socket);
        }
    }
    SECTION("nor where the server does not want it") {
        by_hand other{{.twin_socket = false}};
        const auto all = other.exchange(version(with_twin));
        REQUIRE(all.size() == 1);
        CHECK(all[0].fds == 0);
    }
    SECTION("a client refuses one that is promised and not there") {
        int pair[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
        client ours{unique_fd{pair[0]}}, server{unique_fd{pair[1]}};
        const std::string text = R"({"capabilities":{"twin_socket":{"supported":true,"fd_index":0}}})";
        REQUIRE(server.send(client::compose({1, 1, 0, wire::type_reply, 0}, wire::version{0, 2},
                                            std::as_bytes(std::span{text.c_str(), text.size() + 1}))));
        const auto said = ours.negotiate({.max_msg_fds = 16, .twin_socket = true});
        CHECK(said.error() == error{EPROTO});
    }
    SECTION("a client takes no message that is longer than what was agreed on") {
        int pair[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
        client ours{unique_fd{pair[0]}}, server{unique_fd{pair[1]}};
        const std::string text = R"({"capabilities":{"max_data_xfer_size":18446744073709551615}})";
        REQUIRE(server.send(client::compose({1, 1, 0, wire::type_reply, 0}, wire::version{0, 2},
                                            std::as_bytes(std::span{text.c_str(), text.size() + 1}))));
        REQUIRE(ours.negotiate());
        REQUIRE(server.send(client::compose({2, 13, (1u << 24) + (1u << 18), wire::type_reply, 0})));
        CHECK(ours.reset().error() == error{EPROTO});
    }
}

TEST_CASE("vfio-user DMA by messages: commands that come meanwhile wait, with their descriptors, in order") {
    by_hand at;
    at.negotiate();
    REQUIRE(at.error_of(map_of(0x10000, 0x1000)) == 0);
    const auto event = event_file();
    const auto shared = memory_file(0x1000);
    const auto files = open_files();
    const bytes data = counting(40);
    const int rounds = 50;
    std::vector<std::uint16_t> order;
    int served = 0;
    const auto client_side = [&] {
        for (int i = 0; i < rounds; ++i) {
            const auto id = static_cast<std::uint16_t>(i * 4);
            (void)at.peer.send(write_of(region_index::bar1, static_cast<std::uint64_t>(i) * 64, data, id) +
                               message_of(command::device_set_irqs,
                                          wire::irq_set{20, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, 1,
                                                        static_cast<std::uint32_t>(i % 4), 1},
                                          {}, static_cast<std::uint16_t>(id + 1)),
                               std::array{event.get()});
            (void)at.peer.send(map_of(0x100000 + static_cast<std::uint64_t>(i) * 0x1000, 0x1000),
                               std::array{shared.get()});
            // The answer, behind all that, and one command more in the same piece.
            auto asked = at.peer.receive();
            while (asked && ((*asked).header.flags & wire::type_mask) == wire::type_reply) {
                order.push_back((*asked).header.id);
                asked = at.peer.receive();
            }
            if (!asked) return;
            ++served;
            (void)at.peer.send(crafted{*asked}.whole() +
                                   read_of(region_index::bar1, static_cast<std::uint64_t>(i) * 64, 40,
                                           static_cast<std::uint16_t>(id + 3)),
                               std::array{event.get()}); // a descriptor where none belongs
        }
    };
    {
        const beside other{client_side};
        for (int i = 0; i < rounds; ++i) {
            std::array<std::byte, 64> got{};
            if (at.device.host.dma.read(0x10000, got).count != 64) FAIL("round " << i);
            CHECK(got[63] == std::byte{0x5a});
        }
    }
    CHECK(served == rounds);
    // Nothing was answered meanwhile: the device was at work. Now all of it is.
    at.server->resume();
    at.pump();
    for (const auto& each : at.replies()) {
        CHECK((each.flags & wire::error_flag) == 0);
        order.push_back(each.id);
        if (each.command == static_cast<std::uint16_t>(command::region_read))
            CHECK(std::equal(data.begin(), data.end(), each.payload.begin() + 16));
    }
    std::vector<std::uint16_t> expected;
    for (int i = 0; i < rounds; ++i) {
        const auto id = static_cast<std::uint16_t>(i * 4);
        expected.insert(expected.end(), {id, static_cast<std::uint16_t>(id + 1), 7, static_cast<std::uint16_t>(id + 3)});
    }
    CHECK(order == expected);
    CHECK(at.device.host.dma.size() == rounds + 1);
    CHECK(at.device.host.irqs.bound(irq_index::msi, 3));
    CHECK(open_files() == files + 4); // one a vector
    CHECK(at.alive());
}

TEST_CASE("vfio-user DMA by messages: amid an access, whose bytes stay, and whose reply is right") {
    const bool twin = GENERATE(false, true);
    CAPTURE(twin);
    agreed at{twin};
    bytes memory = counting(0x3000);
    at.map(0x10000, memory);
    // BAR 0 of the device: a write copies memory, then checks its own bytes; a read answers from memory.
    at.device.on_write = [&](write_access what) {
        const bytes own(what.bytes.begin(), what.bytes.end());
        bytes copied(0x800);
        for (int i = 0; i < 3; ++i) {
            if (at.dma().read(0x10000, copied).count != copied.size()) return answer{0, error::io};
            if (at.dma().write(0x11000, copied).count != copied.size()) return answer{0, error::io};
        }
        return std::equal(own.begin(), own.end(), what.bytes.begin()) ? answer{what.bytes.size()} : answer{0, error::fault};
    };
    at.device.on_read = [&](read_access what) { return at.dma().read(0x10000 + what.offset, what.bytes); };

    // Many in one piece: those behind the first wait each time.
    bytes all;
    std::vector<std::uint16_t> expected;
    const bytes data = counting(300);
    for (std::uint16_t i = 0; i < 40; i += 2) {
        all = std::move(all) + write_of(region_index::bar0, 8, data, i) +
              read_of(region_index::bar0, 100, 700, static_cast<std::uint16_t>(i + 1));
        expected.insert(expected.end(), {i, static_cast<std::uint16_t>(i + 1)});
    }
    std::vector<std::uint16_t> order;
    bool right = true;
    std::atomic<bool> over{false};
    {
        const beside other{[&] {
            (void)at.peer.send(all);
            bytes served = memory; // by hand: the library's client takes one reply at a time
            while (order.size() < expected.size()) {
                const int from = at.peer.twin_fd() >= 0 && [&] {
                    std::array<pollfd, 2> which{pollfd{at.peer.fd(), POLLIN, 0}, pollfd{at.peer.twin_fd(), POLLIN, 0}};
                    (void)::poll(which.data(), which.size(), 5000);
                    return which[0].revents == 0;
                }() ? at.peer.twin_fd() : at.peer.fd();
                auto came = receive_message(from);
                if (!came) break;
                auto& it = *came;
                if ((it.header.flags & wire::type_mask) == wire::type_reply) {
                    order.push_back(it.header.id);
                    right = right && (it.header.flags & wire::error_flag) == 0;
                    if (it.payload.size() > 16)
                        right = right && std::equal(it.payload.begin() + 16, it.payload.end(), served.begin() + 100);
                    continue;
                }
                crafted said{it};
                if (wire::command{it.header.command} == command::dma_read)
                    std::copy_n(served.begin() + static_cast<std::ptrdiff_t>(said.said.address - 0x10000),
                                said.data.size(), said.data.begin());
                (void)send_message(from, said.whole());
            }
            over = true;
        }};
        while (!over) at.pump();
    }
    CHECK(order == expected);
    CHECK(right);
}

TEST_CASE("vfio-user DMA by messages: hostile replies") {
    const bool twin = GENERATE(false, true);
    CAPTURE(twin);
    struct lie {
        const char* what;
        std::function<void(crafted&)> tell;
        error expected;
        bool framed = true; // the reply is one, to this command
    };
    const error nonsense{EPROTO};
    const std::array lies{
        lie{"no payload", [](crafted& it) { it.with_said = false; }, nonsense},
        lie{"too little data", [](crafted& it) { it.data.pop_back(); }, nonsense},
        lie{"too much data", [](crafted& it) { it.data.push_back({}); }, nonsense},
        lie{"a larger count", [](crafted& it) { ++it.said.count; }, nonsense},
        lie{"a huge count", [](crafted& it) { it.said.count = ~0ull; }, nonsense},
        lie{"another address", [](crafted& it) { ++it.said.address; }, nonsense},
        lie{"an error", [](crafted& it) {
                it.with_said = false;
                it.head.flags |= wire::error_flag;
                it.head.error = ENOSPC;
            }, error::no_space},
        lie{"an error without a number", [](crafted& it) {
                it.with_said = false;
                it.head.flags |= wire::error_flag;
            }, error::io},
        lie{"an error that is none", [](crafted& it) {
                it.with_said = false;
                it.head.flags |= wire::error_flag;
                it.head.error = 0xffffffff;
            }, error::io},
        lie{"an error with data", [](crafted& it) { it.head.flags |= wire::error_flag; }, nonsense},
        lie{"a short count", [](crafted& it) {
                it.said.count = 3;
                it.data.resize(3);
            }, error::fault},
        lie{"another ID", [](crafted& it) { ++it.head.id; }, twin ? nonsense : error{ETIMEDOUT}, false},
        lie{"another command", [](crafted& it) { ++it.head.command; }, twin ? nonsense : error{ETIMEDOUT}, false},
        lie{"a type that there is not", [](crafted& it) { it.head.flags = 2; }, twin ? nonsense : error{ETIMEDOUT}, false},
        lie{"a size that no message has", [](crafted& it) {
                it.with_said = false;
                it.head.size = 3;
            }, nonsense, false},
        lie{"a size without end", [](crafted& it) { it.head.size = 0xffffff00; }, nonsense, false}};
    for (const lie& each : lies) {
        CAPTURE(each.what);
        agreed at{twin, {.dma_timeout = 60ms}};
        bytes memory(0x1000);
        at.map(0x10000, memory);
        const auto files = open_files();
        std::array<std::byte, 64> got{};
        const int socket = twin ? at.peer.twin_fd() : at.peer.fd();
        const auto event = event_file();
        {
            const beside other{[&] {
                auto asked = receive_message(socket);
                if (!asked) return;
                crafted said{*asked};
                each.tell(said);
                (void)send_message(socket, said.whole(), std::array{event.get()}); // and a descriptor
            }};
            const auto came = at.dma().read(0x10000, got);
            CHECK(came.error == each.expected);
            CHECK(came.count == (each.expected == error::fault ? 3u : 0u));
        }
        CHECK(open_files() <= files + 1 + (each.framed ? 0 : 1));
        if (each.what != std::string{"a size without end"}) { // the rest of which never comes
            at.server->resume();
            at.pump();
            (void)at.replies();
            CHECK(at.alive());
            CHECK(open_files() == files + 1);
        }
        // Where the answer could be understood, the next works.
        const bool works = each.framed && (!twin || each.expected != nonsense);
        const beside other{[&] {
            auto asked = works ? receive_message(socket) : error::again;
            if (asked) (void)send_message(socket, crafted{*asked}.whole());
        }};
        const auto next = at.dma().read(0x10000, got);
        CHECK((next.count == 64) == works);
    }
}

TEST_CASE("vfio-user DMA by messages: the three forms of a write's reply") {
    const bool twin = GENERATE(false, true);
    agreed at{twin};
    bytes memory(0x1000);
    at.map(0, memory);
    const int socket = twin ? at.peer.twin_fd() : at.peer.fd();
    const bytes data = counting(100);
    for (const std::size_t size : {16u, 28u, 32u}) {
        bytes came;
        {
            const beside other{[&] {
                auto asked = receive_message(socket);
                if (!asked) return;
                came = (*asked).payload;
                (void)send_message(socket, cut(crafted{*asked}.whole(), size));
            }};
            CHECK(at.dma().write(0x10, data) == answer{100, error::none});
        }
        REQUIRE(came.size() == 116);
        CHECK(wire::load<wire::dma_access>(came).address == 0x10);
        CHECK(std::equal(data.begin(), data.end(), came.begin() + 16));
    }
    CHECK(at.alive());
}

TEST_CASE("vfio-user DMA by messages: a client that says nothing is waited for once") {
    const bool half = GENERATE(false, true);
    CAPTURE(half);
    agreed at{true, {.dma_timeout = 30ms}};
    bytes memory(0x1000);
    at.map(0, memory);
    const int socket = at.peer.twin_fd();
    std::array<std::byte, 64> got{};
    CHECK(at.dma().read(0, got) == answer{0, error{ETIMEDOUT}});
    CHECK(at.dma().read(0, got) == answer{0, error::busy});
    CHECK(at.dma().write(0, got) == answer{0, error::busy});
    CHECK(at.alive());
    auto asked = receive_message(socket);
    REQUIRE(asked);
    const bytes reply = crafted{*asked}.whole();
    if (half) {
        REQUIRE(send_message(socket, std::span{reply}.first(40)));
        CHECK(at.dma().read(0, got) == answer{0, error::busy});
        REQUIRE(send_message(socket, std::span{reply}.subspan(40)));
    } else {
        REQUIRE(send_message(socket, reply));
    }
    const beside other{[&] {
        auto next = receive_message(socket);
        if (next) (void)send_message(socket, crafted{*next}.whole());
    }};
    CHECK(at.dma().read(0, got) == answer{64, error::none});
}

TEST_CASE("vfio-user DMA by messages: a late reply on the main socket is nobody's, and ends the pause") {
    const bool found_by_the_device = GENERATE(false, true);
    agreed at{false, {.dma_timeout = 30ms}};
    bytes memory(0x1000);
    at.map(0, memory);
    std::array<std::byte, 64> got{};
    CHECK(at.dma().read(0, got) == answer{0, error{ETIMEDOUT}});
    CHECK(at.dma().read(0, got) == answer{0, error::busy});
    auto asked = at.peer.receive();
    REQUIRE(asked);
    REQUIRE(at.peer.send(crafted{*asked}.whole()));
    if (!found_by_the_device) {
        at.pump();
        CHECK(at.replies().empty());
        CHECK(at.alive());
        // Once more it is a reply to nothing.
        CHECK(at.error_of(crafted{*asked}.whole()) == EINVAL);
    }
    {
        const beside other{[&] {
            auto next = at.peer.receive();
            if (next) (void)at.peer.send(crafted{*next}.whole());
        }};
        CHECK(at.dma().read(0, got) == answer{64, error::none});
    }
    CHECK(at.alive());
}

TEST_CASE("vfio-user DMA by messages: a client that goes away while it is waited for") {
    const bool twin = GENERATE(false, true);
    CAPTURE(twin);
    const auto files = open_files();
    {
        agreed at{twin, {.dma_timeout = 5000ms}};
        bytes memory(0x1000);
        at.map(0, memory);
        std::array<std::byte, 64> got{};
        {
            const beside other{[&] {
                (void)receive_message(twin ? at.peer.twin_fd() : at.peer.fd());
                at.peer.disconnect();
            }};
            CHECK(at.dma().read(0, got) == answer{0, error{ECONNRESET}});
        }
        at.pump();
        CHECK(at.server->closed());
        CHECK(at.device.releases == 1);
        CHECK(at.dma().size() == 0);
        at.connect();
        at.negotiate();
        CHECK(at.alive());
    }
    CHECK(open_files() == files);
}

TEST_CASE("vfio-user DMA by messages: no more commands wait than there is room for") {
    agreed at{false, {.max_data_xfer = 64 * 1024, .dma_timeout = 2000ms}};
    bytes memory(0x1000);
    at.map(0, memory);
    std::array<std::byte, 64> got{};
    const bytes large = counting(64 * 1024);
    std::atomic<bool> over{false};
    {
        const beside other{[&] {
            const auto one = write_of(region_index::bar1, 0, large, 9, wire::no_reply);
            for (int i = 0; i < 3; ++i) (void)at.peer.send(one);
            over = true;
        }};
        CHECK(at.dma().read(0, got) == answer{0, error::no_space});
        while (!over) {
            at.server->resume();
            at.pump();
        }
    }
    at.server->resume();
    at.pump();
    CHECK(at.device.accesses == 3);
}

TEST_CASE("vfio-user DMA by messages: all the room there is serves, wherever the inbox stands") {
    by_hand at{{.max_data_xfer = 64 * 1024, .dma_timeout = 2000ms}};
    at.negotiate();
    REQUIRE(at.error_of(map_of(0, 0x1000)) == 0);
    const std::size_t room = 32 + 2 * 64 * 1024;
    const auto first = write_of(region_index::bar1, 0, counting(64 * 1024), 9, wire::no_reply);
    const auto second =
        write_of(region_index::bar1, 0, counting(room - first.size() - 96 - 32), 9, wire::no_reply); // and a reply
    // A part of a message, behind one that was taken: the device's own clock finds the inbox so.
    std::array<std::byte, 64> got{};
    bytes begun = message_of(command::device_get_info, wire::device_info{16, 0, 0, 0});
    begun.insert(begun.end(), first.begin(), first.begin() + 40'000);
    CHECK(at.exchange(begun).size() == 1);
    {
        const beside other{[&] {
            auto asked = at.peer.receive();
            if (!asked) return;
            (void)at.peer.send(std::span{first}.subspan(40'000));
            (void)at.peer.send(second + crafted{*asked}.whole());
        }};
        CHECK(at.device.host.dma.read(0, got) == answer{64, error::none});
    }
    at.server->resume();
    at.pump();
    CHECK(at.device.accesses == 2);
    CHECK(at.alive());
}

TEST_CASE("vfio-user DMA by messages: a client that takes nothing") {
    const bool twin = GENERATE(false, true);
    CAPTURE(twin);
    agreed at{twin, {.dma_timeout = 40ms}};
    bytes memory(4 << 20);
    at.map(0, memory);
    const bytes large = counting(4 << 20);
    CHECK(at.dma().write(0, large) == answer{0, error{ETIMEDOUT}});
    std::array<std::byte, 64> got{};
    CHECK(at.dma().read(0, got) == answer{0, error{ECONNRESET}}); // a part of a command is in that socket
    // The main socket must not be used with such a part in it, another may.
    CHECK(at.server->closed() != twin);
    if (twin) CHECK(at.alive());
    at.server.reset();
    CHECK(at.device.releases == 1);
}

TEST_CASE("vfio-user DMA by messages: both sides send more than the sockets hold") {
    agreed at{false, {.max_queued = 4 << 20, .dma_timeout = 5000ms}};
    bytes memory(1 << 20);
    at.map(0, memory);
    const bytes large = counting(1 << 20);
    const bytes writes = counting(512 * 1024);
    {
        const beside other{[&] {
            // Does not read before it has sent all of that.
            for (int i = 0; i < 3; ++i)
                (void)at.peer.send(write_of(region_index::bar1, 0, writes, 9, wire::no_reply));
            (void)at.peer.serve_dma(5s, [&] { return at.peer.memory().writes() == 1; });
        }};
        CHECK(at.dma().write(0, large) == answer{1 << 20, error::none});
    }
    CHECK(memory == large);
    at.server->resume();
    at.pump();
    CHECK(at.device.accesses == 3);
}

TEST_CASE("vfio-user DMA by messages: from other threads with a twin socket alone") {
    const bool twin = GENERATE(false, true);
    agreed at{twin};
    bytes memory = counting(0x1000);
    at.map(0, memory);
    std::atomic<int> left{4};
    std::atomic<int> good{0}, refused{0};
    const beside server_side{[&] {
        (void)at.peer.serve_dma(5s, [&] { return !twin || at.peer.memory().reads() == 4 * 50; });
    }};
    {
        std::vector<std::thread> all;
        for (int i = 0; i < 4; ++i)
            all.emplace_back([&] {
                std::array<std::byte, 100> got{};
                for (int n = 0; n < 50; ++n) {
                    const auto came = at.dma().read(0x100, got);
                    good += came.count == 100 && std::equal(got.begin(), got.end(), memory.begin() + 0x100) ? 1 : 0;
                    refused += came == answer{0, error::not_supported} ? 1 : 0;
                }
                --left;
            });
        for (auto& each : all) each.join();
    }
    CHECK(good == (twin ? 200 : 0));
    CHECK(refused == (twin ? 0 : 200));
}

TEST_CASE("vfio-user DMA by messages: by a device's own clock, while its client goes on, and others are served") {
    const bool twin = GENERATE(false, true);
    const bool spinning = GENERATE(false, true);
    CAPTURE(twin, spinning);
    event_loop loop;
    std::array<fake_device, 2> devices;
    std::array<std::string, 2> paths{socket_path("clock-0"), socket_path("clock-1")};
    std::vector<std::unique_ptr<endpoint<fake_device>>> ends;
    for (std::size_t i = 0; i < 2; ++i)
        ends.push_back(std::make_unique<endpoint<fake_device>>(loop, devices[i], server_options{.path = paths[i]}));
    std::atomic<int> right{0};
    for (fake_device& each : devices) {
        each.on_advance = [&] {
            bytes got(3000);
            const bytes expected = counting(3000);
            const auto came = each.host.dma.read(0x1000, got);
            if (came.count == got.size() && got == expected && each.host.dma.write(0x3000, got).count == got.size()) ++right;
        };
    }
    std::thread turning{[&] { spinning ? loop.spin() : loop.run(); }};
    {
        std::vector<std::thread> all;
        for (std::size_t i = 0; i < 2; ++i)
            all.emplace_back([&, i] {
                auto made = client::connect(paths[i]);
                if (!made) return;
                auto& peer = *made;
                (void)peer.set_timeout(5s);
                bytes memory = counting(3000);
                memory.resize(0x4000);
                if (!peer.negotiate({.max_msg_fds = 16, .twin_socket = twin}) || !peer.map_dma(0x1000, memory)) return;
                for (std::uint64_t n = 1; n <= 100; ++n) {
                    const std::uint64_t soon = n * 1000;
                    (void)peer.write({region_index::bar4, 0, std::as_bytes(std::span{&soon, 1})});
                    std::uint64_t got = 0;
                    while (peer.memory().writes() != n) { // its clock may be due before or after any of these
                        if (peer.write({region_index::bar1, 8, std::as_bytes(std::span{&n, 1})}).count != 8 ||
                            peer.read({region_index::bar1, 8, std::as_writable_bytes(std::span{&got, 1})}).count != 8 ||
                            got != n)
                            return;
                    }
                }
            });
        for (auto& each : all) each.join();
    }
    loop.stop();
    turning.join();
    CHECK(right == 200);
}

TEST_CASE("vfio-user DMA by messages: however well timed the answers, a turn has its budget") {
    const bool twin = GENERATE(false, true);
    CAPTURE(twin);
    agreed at{twin, {.dma_timeout = 10s, .dma_budget = 300ms}};
    bytes memory(0x1000);
    at.map(0, memory);
    std::vector<answer> all;
    at.device.on_write = [&](write_access what) {
        for (int i = 0; i < 10; ++i) {
            std::array<std::byte, 4> got{};
            all.push_back(at.dma().read(0, got));
        }
        return answer{what.bytes.size()};
    };
    std::atomic<bool> over{false};
    const beside other{[&] {
        while (!over) {
            pollfd what{twin ? at.peer.twin_fd() : at.peer.fd(), POLLIN, 0};
            if (::poll(&what, 1, 10) <= 0) continue;
            auto asked = receive_message(what.fd);
            if (!asked) return;
            if (wire::command{asked->header.command} != command::dma_read) continue; // a reply to the writes
            std::this_thread::sleep_for(100ms);
            (void)send_message(what.fd, crafted{*asked}.whole());
        }
    }};
    const auto write = [&] {
        all.clear();
        at.send(write_of(region_index::bar0, 0, std::array<std::byte, 4>{}, 7, wire::no_reply));
        while (all.empty()) at.pump();
    };
    write();
    // No more than three answers of 100 ms each were there in time; the last was waited for in vain, or there was no time.
    CHECK(std::count(all.begin(), all.end(), answer{4, error::none}) <= 3);
    CHECK(all.back() == answer{0, error::busy});
    // Others have their turn, and then so has this client.
    CHECK(eventually([&] { return write(), all.front() == answer{4, error::none}; }));
    over = true;
}

TEST_CASE("vfio-user DMA by messages: the loop does not wait for a thread that waits for the client") {
    agreed at{true, {.dma_timeout = 60s, .dma_budget = 50ms}};
    bytes memory(0x1000);
    at.map(0, memory);
    std::atomic<bool> ended{false};
    answer came;
    const int socket = at.peer.twin_fd();
    {
        const beside thread{[&] {
            std::array<std::byte, 4> got{};
            came = at.dma().read(0, got);
            ended = true;
        }};
        auto asked = receive_message(socket); // it has the socket to itself
        std::array<std::byte, 4> got{};
        CHECK(at.dma().read(0, got) == answer{0, error::busy});
        CHECK_FALSE(ended);
        CHECK(at.dma().read(0, got) == answer{0, error::busy});
        REQUIRE(asked);
        REQUIRE(send_message(socket, crafted{*asked}.whole()));
    }
    CHECK(came == answer{4, error::none});
}

TEST_CASE("vfio-user DMA by messages: nothing is allocated") {
    const bool twin = GENERATE(false, true);
    agreed at{twin};
    bytes memory = counting(0x2000);
    at.map(0, memory);
    at.device.on_write = [&](write_access what) {
        std::array<std::byte, 512> got{};
        return answer{at.dma().read(0x100, got).count == 512 && at.dma().write(0x1000, got).count == 512
                          ? what.bytes.size()
                          : 0};
    };
    const auto one = write_of(region_index::bar0, 0, counting(8));
    std::atomic<std::uint64_t> written{0};
    std::atomic<bool> over{false};
    const beside other{[&] {
        for (int i = 0; i < 200; ++i) {
            if (at.peer.write({region_index::bar0, 0, std::span{one}.first(8)}).count == 8) ++written;
        }
        over = true;
    }};
    while (written < 10) at.server->receive(true);
    const auto before = allocations;
    while (!over) at.pump();
    CHECK(allocations == before);
    CHECK(written == 200);
    CHECK(at.peer.memory().reads() == 200);
}

namespace {

/// Answers as one whose count has 4 bytes: the data follows it at once, and a message is as long as if it did not.
bytes by_short_count(const received& asked, std::span<std::byte> memory, std::uint64_t iova) {
    constexpr std::size_t data_at = 12, all_but_data = 16;
    const auto address = wire::load<std::uint64_t>(asked.payload);
    const auto count = wire::load<std::uint32_t>(std::span{asked.payload}.subspan(8));
    auto head = asked.header;
    head.flags = wire::type_reply;
    head.size = 0;
    const std::span<std::byte> there = memory.subspan(static_cast<std::size_t>(address - iova), count);
    if (wire::command{head.command} == command::dma_write) {
        if (asked.payload.size() < all_but_data + count) std::abort();
        std::copy_n(asked.payload.begin() + data_at, count, there.begin());
        return client::compose(head);
    }
    bytes reply(all_but_data + count - sizeof(std::uint64_t));
    std::memcpy(reply.data(), &count, sizeof count);
    std::ranges::copy(there, reply.begin() + sizeof count);
    return client::compose(head, address, reply);
}

} // namespace

TEST_CASE("vfio-user DMA by messages: a client whose count has 4 bytes") {
    const bool zeros = GENERATE(false, true); // as if the count had 8
    agreed at{false, {.dma_layout = dma_layout::short_count}};
    bytes memory = counting(0x2000);
    if (zeros) std::fill_n(memory.begin() + 0x101, 8, std::byte{0});
    const bytes before = memory;
    REQUIRE(at.error_of(map_of(0x10000, 0x2000)) == 0);
    bytes got(1001);
    const bytes news = counting(77);
    {
        const beside other{[&] {
            for (int i = 0; i < 2; ++i) {
                auto asked = at.peer.receive();
                if (!asked) return;
                (void)at.peer.send(by_short_count(*asked, memory, 0x10000));
            }
        }};
        CHECK(at.dma().read(0x10101, got) == answer{1001, error::none});
        CHECK(at.dma().write(0x11003, news) == answer{77, error::none});
    }
    CHECK(std::equal(got.begin(), got.end(), before.begin() + 0x101));
    CHECK(std::equal(news.begin(), news.end(), memory.begin() + 0x1003));
    CHECK(std::equal(memory.begin(), memory.begin() + 0x1003, before.begin()));
    CHECK(std::equal(memory.begin() + 0x1003 + 77, memory.end(), before.begin() + 0x1003 + 77));
    CHECK(at.alive());
}
