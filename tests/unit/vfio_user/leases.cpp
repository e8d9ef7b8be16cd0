// SPDX-License-Identifier: BSD-3-Clause
// A client's memory that threads of the device hold, when the client takes it back or goes away.
#include "holder.hpp"
#include "messages.hpp"

#include <mediant/device/memory_device.hpp>
#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <thread>

using namespace vfio_user_test;
using direction = device::dma_map::direction;

namespace {

constexpr std::chrono::milliseconds a_while{20};
constexpr std::chrono::minutes for_ever{1};

} // namespace

TEST_CASE("vfio-user leases: DMA_UNMAP is answered when the last lease has ended") {
    by_hand at;
    at.negotiate();
    const auto memory = memory_file(0x2000);
    const int fds[]{memory.get()};
    REQUIRE(at.error_of(map_of(0x1000, 0x2000), fds) == 0);
    at.device.host.dma.set_patience(for_ever);
    {
        const holder one{at.device.host.dma, 0x1000, a_while};
        const holder other{at.device.host.dma, 0x2000, 2 * a_while};
        REQUIRE((one.held() && other.held()));
        CHECK(at.error_of(unmap_of(0x1000, 0x2000)) == 0);
        CHECK((one.ended() && other.ended()));
    }
    CHECK(at.device.host.dma.lease(0x1000, 1, direction::read).error() == error::fault);
}

TEST_CASE("vfio-user leases: where one does not end in time DMA_UNMAP fails, and the memory stays") {
    by_hand at;
    at.negotiate();
    const auto memory = memory_file(0x1000);
    const int fds[]{memory.get()};
    REQUIRE(at.error_of(map_of(0x1000, 0x1000), fds) == 0);
    at.device.host.dma.set_patience(std::chrono::milliseconds{5});
    holder one{at.device.host.dma, 0x1000, for_ever};
    REQUIRE(one.held());
    CHECK(at.error_of(unmap_of(0x1000, 0x1000)) == EBUSY);
    CHECK(at.error_of(unmap_of(0, 0, 2)) == EBUSY);
    CHECK(at.error_of(map_of(0x1000, 0x1000), fds) == 0); // an exact duplicate of what is there
    CHECK(at.device.host.dma.lease(0x1000, 1, direction::read));
    one.stop();
    CHECK(at.error_of(unmap_of(0x1000, 0x1000)) == 0);
}

TEST_CASE("vfio-user leases: the end of a connection waits for them") {
    by_hand at;
    at.negotiate();
    const auto memory = memory_file(0x1000);
    const int fds[]{memory.get()};
    REQUIRE(at.error_of(map_of(0x1000, 0x1000), fds) == 0);
    at.device.host.dma.set_patience(std::chrono::milliseconds{1});
    const holder one{at.device.host.dma, 0x1000, a_while};
    REQUIRE(one.held());
    at.peer = client{unique_fd{}};
    at.pump();
    CHECK(at.server->closed());
    CHECK(one.ended());
    at.connect();
    at.negotiate();
    CHECK(at.alive());
}

namespace {

holder* held_by_policy = nullptr;
int told = 0;

/// Has a thread that holds memory for long, and ends that when it is asked to.
struct lets_go {
    static constexpr auto bar0 = region_map{bar{0}, 64_KiB};
    static constexpr auto regions = mediant::regions<bar0>{};

    result<void> ioctl(const unmap_dma& what, auto& next) {
        ++told;
        if (held_by_policy != nullptr) held_by_policy->stop();
        return next.ioctl(what);
    }
};

} // namespace

TEST_CASE("vfio-user leases: a policy is told, and lets go") {
    device::memory_device model{device_id{0x1234, 0x5678, 0, 0, 0xff0000}, {64_KiB, 0, 0, 0, 0, 0}};
    stack<device::memory_device, lets_go> front{model};
    int pair[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    client peer{unique_fd{pair[0]}};
    REQUIRE(peer.set_timeout(std::chrono::seconds{30}));
    const server_options options{};
    session server{front, unique_fd{pair[1]}, options};
    const auto memory = memory_file(0x1000);
    const int fds[]{memory.get()};
    REQUIRE(peer.send(version(R"({"capabilities":{"max_msg_fds":16}})")));
    server.receive();
    REQUIRE(peer.receive());
    REQUIRE(peer.send(map_of(0x1000, 0x1000), fds));
    server.receive();
    REQUIRE(peer.receive());
    model.dma().set_patience(for_ever);
    told = 0;
    {
        holder one{model.dma(), 0x1000, for_ever};
        REQUIRE(one.held());
        held_by_policy = &one;
        REQUIRE(peer.send(unmap_of(0x1000, 0x1000)));
        server.receive();
        held_by_policy = nullptr;
        CHECK(one.ended());
    }
    const auto reply = peer.receive();
    REQUIRE(reply);
    CHECK((reply->header.flags & wire::error_flag) == 0);
    CHECK(told == 1);
}

TEST_CASE("vfio-user leases: who waits for one keeps no other device waiting") {
    const bool spinning = GENERATE(false, true);
    const bool unmaps = GENERATE(false, true); // or goes away
    CAPTURE(spinning, unmaps);
    event_loop loop;
    fake_device slow, other;
    const endpoint<fake_device> first{loop, slow, {.path = socket_path("slow")}};
    const endpoint<fake_device> second{loop, other, {.path = socket_path("other")}};
    slow.host.dma.set_patience(for_ever);
    std::thread turning{[&] { spinning ? loop.spin() : loop.run(); }};
    const auto memory = memory_file(0x1000);
    const auto connected = [](const char* name) {
        auto made = client::connect(socket_path(name));
        return made && (*made).set_timeout(std::chrono::seconds{20}) && (*made).negotiate() ? std::move(*made) : client{};
    };
    client one = connected("slow"), two = connected("other"), next;
    result<void> unmapped = error::again;
    bool served = true, again = false;
    if (one.map_dma(0x1000, 0x1000, 3, memory.get())) {
        holder lease{slow.host.dma, 0x1000, for_ever};
        std::thread waiting;
        if (unmaps)
            waiting = std::thread{[&] { unmapped = one.unmap_dma(0x1000, 0x1000); }};
        else
            one.disconnect();
        // The region is closed as soon as the server tries.
        eventually([&] { return !slow.host.dma.lease(0x1000, 1, direction::read); });
        for (int i = 0; i < 20; ++i) served = served && two.reset();
        again = !lease.ended() && slow.releases == 0; // no earlier than that
        lease.stop();
        if (waiting.joinable()) waiting.join();
        next = unmaps ? std::move(one) : connected("slow");
        served = served && next.reset();
    }
    loop.stop();
    turning.join();
    CHECK(served);
    CHECK(again);
    CHECK((!unmaps || unmapped));
    CHECK(slow.resets == 1);
    CHECK(other.resets == 20);
}
