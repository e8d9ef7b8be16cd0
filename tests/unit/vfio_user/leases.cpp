// SPDX-License-Identifier: BSD-3-Clause
// A client's memory that threads of the device hold, when the client takes it back or goes away.
#include "holder.hpp"
#include "messages.hpp"

#include <mediant/device/memory_device.hpp>
#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <utility>
#include <vector>

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

namespace {

/// How often it was asked to let go.
struct counting : fake_device {
    using fake_device::ioctl;
    result<void> ioctl(const unmap_dma& what) {
        ++asked;
        return fake_device::ioctl(what);
    }
    int asked = 0;
};

} // namespace

TEST_CASE("vfio-user leases: while one is waited for, the client's eventfds are not looked at") {
    event_loop loop;
    counting device;
    const endpoint<counting> served{loop, device, {.path = socket_path("rings")}};
    device.host.dma.set_patience(for_ever);
    const auto memory = memory_file(0x1000);
    const auto event = event_file();
    const std::array events{event.get()};
    client one;
    std::atomic<int> ready{0};
    result<void> unmapped = error::again;
    std::thread asking{[&] {
        auto made = client::connect(socket_path("rings"));
        const bool good = made && (*made).set_timeout(std::chrono::seconds{20}) && (*made).negotiate() &&
                          (*made).map_dma(0x1000, 0x1000, 3, memory.get()) &&
                          (*made).set_irqs({irq_index::intx, set_irqs::action::unmask, set_irqs::data::eventfds, 0, 1,
                                            {}, events});
        if (good) one = std::move(*made);
        ready = good ? 1 : -1;
    }};
    while (ready == 0) loop.run_once(1);
    asking.join();
    REQUIRE(ready == 1);
    {
        holder lease{device.host.dma, 0x1000, for_ever};
        std::atomic<bool> answered{false};
        std::thread waiting{[&] {
            unmapped = one.unmap_dma(0x1000, 0x1000);
            answered = true;
        }};
        while (device.asked == 0) loop.run_once(1);
        const std::uint64_t times = 1;
        const bool rung = ::write(event.get(), &times, sizeof times) == sizeof times;
        const int before = device.asked;
        constexpr int turns = 100;
        for (int i = 0; i < turns; ++i) loop.run_once(-1); // each sleeps until it is time to ask again
        const int asked = device.asked - before;
        lease.stop();
        while (!answered) loop.run_once(1);
        waiting.join();
        CHECK(rung);
        CHECK(asked > turns / 2);
    }
    CHECK(unmapped);
    // And are again afterwards.
    loop.run_once(0);
    CHECK(drain(event.get()) == 0);
}

TEST_CASE("vfio-user leases: a client whose eventfds cannot be watched is gone, and keeps no other waiting") {
    // Epoll sets in epoll sets: deeper than Linux allows, with ours and the loop's around them.
    std::vector<unique_fd> nested;
    for (int i = 0; i < 5; ++i) {
        unique_fd made{::epoll_create1(EPOLL_CLOEXEC)};
        REQUIRE(made);
        epoll_event event{};
        event.events = EPOLLIN;
        if (!nested.empty() && ::epoll_ctl(made.get(), EPOLL_CTL_ADD, nested.back().get(), &event) != 0) break;
        nested.push_back(std::move(made));
    }
    event_loop loop;
    fake_device slow, other;
    const endpoint<fake_device> first{loop, slow, {.path = socket_path("deep")}};
    const endpoint<fake_device> second{loop, other, {.path = socket_path("beside")}};
    slow.host.dma.set_patience(for_ever);
    std::thread turning{[&] { loop.run(); }};
    const auto memory = memory_file(0x1000);
    const auto connected = [](const char* name) {
        auto made = client::connect(socket_path(name));
        const bool good = made && (*made).set_timeout(std::chrono::seconds{5}) && (*made).negotiate();
        return good ? std::move(*made) : client{};
    };
    client two = connected("beside");
    int gone = 0;
    bool served = true;
    for (const auto& each : nested) {
        client one = connected("deep");
        if (!one.map_dma(0x1000, 0x1000, 3, memory.get())) continue;
        holder lease{slow.host.dma, 0x1000, for_ever};
        const std::array fds{each.get()};
        static_cast<void>(one.set_irqs({irq_index::intx, set_irqs::action::unmask, set_irqs::data::eventfds, 0, 1, {},
                                        fds}));
        gone += !one.reset();
        served = served && two.reset();
        lease.stop();
    }
    loop.stop();
    turning.join();
    CHECK(gone > 0);
    CHECK(served);
}

namespace {

/// Asks its client for memory, the first time that some is taken back, and has not let go then.
struct asking : fake_device {
    using fake_device::ioctl;
    result<void> ioctl(const unmap_dma& what) {
        if (what.iova != 0x1000 || std::exchange(asked, true)) return fake_device::ioctl(what);
        std::array<std::byte, 8> bytes{};
        came = host.dma.read(0x8000, bytes);
        return error::again;
    }
    bool asked = false;
    answer came{};
};

} // namespace

TEST_CASE("vfio-user leases: an unmap whose place was given to what came meanwhile is busy, and the next is served") {
    event_loop loop;
    asking device;
    const endpoint<asking> served{loop, device, {.path = socket_path("meanwhile"), .twin_socket = false}};
    std::thread turning{[&] { loop.run(); }};
    const auto memory = memory_file(0x1000);
    std::array<std::byte, 4096> kept{};
    auto one = client::connect(socket_path("meanwhile"));
    std::vector<std::uint32_t> errors;
    bool good = one && (*one).set_timeout(std::chrono::seconds{20}) && (*one).negotiate() &&
                (*one).map_dma(0x1000, 0x1000, 3, memory.get()) && (*one).map_dma(0x8000, kept);
    if (good) {
        good = (*one).send(unmap_of(0x1000, 0x1000) + message_of(wire::command::device_reset) +
                           unmap_of(0x1000, 0x1000)) &&
               (*one).serve_dma(std::chrono::seconds{20}, [&] { return (*one).memory().reads() == 1; });
        for (int i = 0; i < 3; ++i) {
            const auto reply = (*one).receive();
            if (reply) errors.push_back(reply->header.error);
        }
    }
    loop.stop();
    turning.join();
    CHECK(good);
    CHECK(device.came == answer{8});
    CHECK(errors == std::vector<std::uint32_t>{EBUSY, 0, 0});
    CHECK(device.resets == 1);
}
