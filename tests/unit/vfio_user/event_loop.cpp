// SPDX-License-Identifier: BSD-3-Clause
// Many devices and clients in one loop; the ways to turn it.
#include "by_hand.hpp"

#include <mediant/vfio_user/endpoint.hpp>
#include <mediant/vfio_user/event_loop.hpp>

#include <catch2/catch.hpp>

#include <deque>
#include <memory>
#include <random>

using namespace vfio_user_test;
using wire::command;
using namespace std::chrono_literals;

namespace {

using fake_endpoint = mediant::vfio_user::endpoint<fake_device>;

std::string numbered(const char* name, std::size_t i) { return socket_path((name + std::to_string(i)).c_str()); }

client connected(const std::string& path) {
    auto made = client::connect(path);
    if (!made) return {};
    (void)(*made).set_timeout(5s);
    return std::move(*made);
}

/// Devices, each with an endpoint, in one loop.
struct house {
    explicit house(std::size_t count, const char* name) {
        for (std::size_t i = 0; i < count; ++i) {
            devices.emplace_back();
            endpoints.push_back(
                std::make_unique<fake_endpoint>(loop, devices.back(), server_options{.path = numbered(name, i)}));
        }
    }
    event_loop loop;
    std::deque<fake_device> devices;
    std::vector<std::unique_ptr<fake_endpoint>> endpoints;
};

/// The loop on a thread of its own.
template <class How>
class turning {
public:
    turning(event_loop& loop, How how) : loop_{loop}, thread_{[how] { how(); }} {}
    turning(const turning&) = delete;
    turning& operator=(const turning&) = delete;
    ~turning() {
        loop_.stop();
        thread_.join();
    }

private:
    event_loop& loop_;
    std::thread thread_;
};

std::uint32_t read_back(client& peer, std::uint32_t value) {
    std::uint32_t got = 0;
    if (peer.write({region_index::bar1, 16, std::as_bytes(std::span{&value, 1})}).count != 4) return 0;
    if (peer.read({region_index::bar1, 16, std::as_writable_bytes(std::span{&got, 1})}).count != 4) return 0;
    return got;
}

} // namespace

TEST_CASE("vfio-user loop: many devices, each with its client") {
    constexpr std::size_t count = 40;
    const auto before = open_files();
    {
        house at{count, "many"};
        const auto serve = [&](auto how) {
            const turning turns{at.loop, how};
            std::vector<client> peers;
            for (std::size_t i = 0; i < count; ++i) {
                peers.push_back(connected(numbered("many", i)));
                REQUIRE(peers.back().negotiate());
            }
            for (std::uint32_t round = 1; round <= 20; ++round) {
                for (std::size_t i = 0; i < count; ++i) {
                    const auto value = round << 16 | static_cast<std::uint32_t>(i);
                    CHECK(read_back(peers[(i * 7) % count], value) == value);
                }
            }
            // One that goes takes nothing of the others along.
            peers[3].disconnect();
            CHECK(eventually([&] { return at.devices[3].releases == at.devices[3].opens; }));
            CHECK(read_back(peers[4], 44) == 44);
            peers[3] = connected(numbered("many", 3));
            REQUIRE(peers[3].negotiate());
            CHECK(read_back(peers[3], 33) == 33);
        };
        SECTION("asleep") {
            serve([&] { at.loop.run(); });
        }
        SECTION("spinning") {
            serve([&] { at.loop.spin(); });
        }
        SECTION("in a loop of the user's") {
            serve([&] {
                pollfd what{at.loop.fd(), POLLIN, 0};
                do ::poll(&what, 1, -1);
                while (at.loop.run_once(0));
            });
        }
        for (const auto& each : at.devices) CHECK(each.opens == each.releases); // the loop was stopped
    }
    CHECK(open_files() == before);
}

TEST_CASE("vfio-user loop: a flood at one device leaves the others their turns") {
    house at{2, "flood"};
    auto flooder = connected(numbered("flood", 0));
    auto other = connected(numbered("flood", 1));
    const auto turn = [&](int times) {
        for (int i = 0; i < times; ++i) (void)at.loop.run_once(0);
    };
    turn(2);
    REQUIRE(flooder.send(version()));
    REQUIRE(other.send(version()));
    turn(2);
    REQUIRE(other.receive());
    REQUIRE(flooder.receive());
    // More than fits the buffer of replies many times over, all there at once, and its replies are taken away.
    bytes batch;
    for (std::uint16_t i = 0; i < 2000; ++i) batch = std::move(batch) + read_of(region_index::bar1, 0, 64 << 10, i);
    std::thread sends{[&] { (void)flooder.send(batch); }};
    std::atomic<bool> over{false};
    std::thread takes{[&] {
        for (int i = 0; i < 2000 && flooder.receive(); ++i) {}
        over = true;
    }};
    REQUIRE(eventually([&] {
        turn(1);
        return at.devices[0].accesses > 20;
    }));
    const auto done = at.devices[0].accesses.load();
    REQUIRE(other.send(message_of(command::device_reset)));
    // It is answered within a turn, in which the other has its share: 9 times what its buffer holds at most.
    turn(2);
    CHECK(other.receive());
    CHECK(at.devices[0].accesses - done <= 2 * 9 * 18);
    while (!over) turn(1);
    sends.join();
    takes.join();
    CHECK(at.devices[0].accesses == 2000);
}

TEST_CASE("vfio-user loop: fd() stays readable while a session has work left") {
    house at{1, "left"};
    auto peer = connected(numbered("left", 0));
    const auto ready = [&](int patience) {
        pollfd what{at.loop.fd(), POLLIN, 0};
        return ::poll(&what, 1, patience) == 1;
    };
    const auto turn = [&] { return ready(1000) && at.loop.run_once(0); };
    REQUIRE(turn());
    REQUIRE(peer.send(version()));
    REQUIRE(turn());
    REQUIRE(peer.receive());
    // Small requests with large replies: the socket is empty long before the work is done.
    bytes batch;
    for (std::uint16_t i = 0; i < 400; ++i) batch = std::move(batch) + read_of(region_index::bar1, 0, 64 << 10, i);
    REQUIRE(peer.send(batch));
    std::atomic<int> taken{0};
    std::thread takes{[&] {
        while (taken < 400 && peer.receive()) ++taken;
    }};
    while (at.devices[0].accesses < 400) {
        if (!turn()) break;
    }
    CHECK(at.devices[0].accesses == 400);
    for (int i = 0; i < 100 && taken < 400; ++i) {
        if (ready(10)) (void)at.loop.run_once(0);
    }
    takes.join();
    CHECK(taken == 400);
    CHECK_FALSE(ready(0)); // and not a moment longer
}

TEST_CASE("vfio-user loop: deadlines of many devices come in their order") {
    constexpr std::size_t count = 30;
    house at{count, "due"};
    std::vector<client> peers;
    for (std::size_t i = 0; i < count; ++i) {
        peers.push_back(connected(numbered("due", i)));
        REQUIRE(peers.back().send(version()));
    }
    while (std::any_of(at.endpoints.begin(), at.endpoints.end(), [](const auto& each) { return !each->serving(); }))
        (void)at.loop.run_once(10);
    std::mt19937 random{7};
    std::vector<std::size_t> order(count);
    for (std::size_t i = 0; i < count; ++i) order[i] = i;
    std::shuffle(order.begin(), order.end(), random);
    // Each is set twice, in opposite orders.
    for (const int step : {1, 0}) {
        for (std::size_t k = 0; k < count; ++k) {
            const std::uint64_t ahead = 300'000'000 + 2'000'000 * (step == 1 ? count - k : k);
            REQUIRE(peers[order[k]].send(write_of(region_index::bar4, 0, std::as_bytes(std::span{&ahead, 1}))));
        }
    }
    while (std::any_of(at.devices.begin(), at.devices.end(), [](const auto& each) { return each.accesses < 2; }))
        (void)at.loop.run_once(10);
    std::vector<std::uint64_t> deadlines;
    for (const auto& each : at.devices) {
        REQUIRE(each.deadline());
        deadlines.push_back(*each.deadline());
    }
    while (
        std::any_of(at.devices.begin(), at.devices.end(), [](const auto& each) { return each.deadline().has_value(); }))
        REQUIRE(at.loop.run_once(2000));
    for (std::size_t a = 0; a < count; ++a) {
        for (std::size_t b = 0; b < count; ++b) {
            if (deadlines[a] < deadlines[b]) CHECK(at.devices[a].advanced_as < at.devices[b].advanced_as);
        }
    }
}

TEST_CASE("vfio-user loop: a deadline that the only client's access has set comes without another access") {
    // Alone in its loop a device is waited for by itself, which ends with that access.
    house at{1, "alone"};
    const turning turn{at.loop, [&] { at.loop.run(); }};
    auto peer = connected(numbered("alone", 0));
    REQUIRE(peer.negotiate());
    const std::uint64_t soon = 1'000'000;
    std::atomic<bool> came{false};
    at.devices[0].on_advance = [&] { came = true; };
    REQUIRE(peer.write({region_index::bar4, 0, std::as_bytes(std::span{&soon, 1})}).count == 8);
    CHECK(eventually([&] { return came.load(); }));
}

TEST_CASE("vfio-user loop: stop() ends every way to turn it, again and again") {
    house at{3, "stop"};
    for (int i = 0; i < 60; ++i) {
        std::thread runner{[&, i] { i % 2 == 0 ? at.loop.run() : at.loop.spin(); }};
        auto peer = connected(numbered("stop", static_cast<std::size_t>(i) % 3));
        if (i % 3 != 0) REQUIRE(peer.negotiate());
        at.loop.stop();
        runner.join();
        for (const auto& each : at.devices) CHECK(each.opens == each.releases);
    }
}

TEST_CASE("vfio-user loop: stop() finds a loop that begins to wait for its only client") {
    house at{1, "only"};
    for (int i = 0; i < 300; ++i) {
        std::thread runner{[&] { at.loop.run(); }};
        auto peer = connected(numbered("only", 0));
        REQUIRE(peer.negotiate());
        if (i % 2 == 0) REQUIRE(peer.reset());
        at.loop.stop();
        runner.join();
    }
}
