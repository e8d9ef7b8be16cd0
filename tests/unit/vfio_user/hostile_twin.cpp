// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// A client and a server that keeps a descriptor of the client's end of the twin socket, and misuses it, or closes it.

#include "by_hand.hpp"

#include <catch2/catch.hpp>

#include <sys/time.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <functional>
#include <thread>

using namespace vfio_user_test;
using namespace mediant;
using namespace std::chrono_literals;
using wire::command;

namespace {

/// A server that agrees on a twin socket, and then does something when the first command comes.
class server_with_twin {
public:
    using act = std::function<void(server_with_twin&, const received&)>;

    explicit server_with_twin(act what) : act_{std::move(what)} {
        int pair[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
        peer = client{unique_fd{pair[0]}};
        main = unique_fd{pair[1]};
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
        twin = unique_fd{pair[0]};
        theirs = unique_fd{pair[1]};
        thread_ = std::thread{[this] { run(); }};
    }
    ~server_with_twin() {
        peer.disconnect();
        // What still holds the client wakes up, and the test fails rather than hangs.
        ::shutdown(twin.get(), SHUT_RDWR);
        thread_.join();
    }

    /// An answer that is no error, without a payload.
    void answer(const received& what) {
        (void)send_message(main.get(), client::compose({what.header.id, what.header.command, 0, wire::type_reply, 0}));
    }

    client peer;
    unique_fd main, twin, theirs; // theirs: the client's end
    std::atomic<bool> waited_in_vain{false};

private:
    void run() {
        const auto asked = receive_message(main.get());
        if (!asked) return;
        std::array<char, capabilities_room> text;
        const auto size = write_capabilities(text, {.max_msg_fds = 8, .twin_socket = true, .twin_fd_index = 0u});
        const auto& head = (*asked).header;
        const int fd = theirs.get();
        (void)send_message(main.get(),
                           client::compose({head.id, head.command, 0, wire::type_reply, 0}, wire::version{0, 1},
                                           std::as_bytes(std::span{text}.first(size))),
                           {&fd, 1});
        const auto first = receive_message(main.get());
        if (first) act_(*this, *first);
    }

    act act_;
    std::thread thread_;
};

/// Until the client hangs up; after two seconds it is said to hang.
void until_gone(server_with_twin& it) {
    pollfd gone{it.main.get(), POLLRDHUP, 0};
    if (::poll(&gone, 1, 2000) > 0) return;
    it.waited_in_vain = true;
    it.theirs.reset();
    ::shutdown(it.twin.get(), SHUT_RDWR);
    ::shutdown(it.main.get(), SHUT_RDWR);
}

} // namespace

TEST_CASE("vfio-user client: a server that takes the twin socket's time limit away does not hold the client") {
    server_with_twin it{[](server_with_twin& all, const received&) {
        const timeval none{};
        (void)::setsockopt(all.theirs.get(), SOL_SOCKET, SO_RCVTIMEO, &none, sizeof none);
        (void)::send(all.twin.get(), "x", 1, MSG_NOSIGNAL);
        until_gone(all);
    }};
    REQUIRE(it.peer.set_timeout(100ms));
    REQUIRE(it.peer.negotiate({.max_msg_fds = 16, .twin_socket = true}));
    REQUIRE(it.peer.twin_fd() >= 0);
    CHECK(it.peer.reset().error() == error::again);
    CHECK(it.peer.fd() < 0);
    CHECK_FALSE(it.waited_in_vain);
}

TEST_CASE("vfio-user client: nor does one that asks on the twin socket and takes no answer") {
    server_with_twin it{[](server_with_twin& all, const received&) {
        const timeval none{};
        (void)::setsockopt(all.theirs.get(), SOL_SOCKET, SO_SNDTIMEO, &none, sizeof none);
        for (std::uint16_t id = 0; id < 64; ++id)
            (void)::send(all.twin.get(),
                         client::compose({id, static_cast<std::uint16_t>(command::dma_read), 0, 0, 0},
                                         wire::dma_access{0x1000, 64 << 10})
                             .data(),
                         sizeof(wire::header) + sizeof(wire::dma_access), MSG_NOSIGNAL | MSG_DONTWAIT);
        until_gone(all);
    }};
    std::vector<std::byte> memory(64 << 10);
    it.peer.memory().add(0x1000, memory, wire::dma_map_read);
    REQUIRE(it.peer.set_timeout(100ms));
    REQUIRE(it.peer.negotiate({.max_msg_fds = 16, .twin_socket = true}));
    CHECK(it.peer.reset().error() == error::again);
    CHECK(it.peer.fd() < 0);
    CHECK_FALSE(it.waited_in_vain);
}

TEST_CASE("vfio-user client: when the twin socket is closed, replies may take as long as they might before") {
    const bool first = GENERATE(true, false);
    CAPTURE(first);
    server_with_twin it{[first](server_with_twin& all, const received& asked) {
        all.theirs.reset();
        const auto later = [] { std::this_thread::sleep_for(100ms); }; // more than a slice
        if (!first) {
            all.answer(asked); // it closes between two replies
            all.twin.reset();
            if (const auto next = receive_message(all.main.get())) later(), all.answer(*next);
            return;
        }
        all.twin.reset();
        later();
        all.answer(asked);
        if (const auto next = receive_message(all.main.get())) later(), all.answer(*next);
    }};
    REQUIRE(it.peer.set_timeout(5000ms));
    REQUIRE(it.peer.negotiate({.max_msg_fds = 16, .twin_socket = true}));
    CHECK(it.peer.reset());
    CHECK(it.peer.reset());
    CHECK(it.peer.twin_fd() < 0);
    CHECK(it.peer.fd() >= 0);
}
