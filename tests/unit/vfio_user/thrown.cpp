// SPDX-License-Identifier: BSD-3-Clause
// What a device throws, and memory that runs out anywhere, is an error of one command, and ends no loop.
#include "counted_allocations.hpp"
#include "messages.hpp"

#include <catch2/catch.hpp>

#include <linux/vfio.h>

#include <cerrno>
#include <limits>
#include <new>
#include <stdexcept>

using namespace vfio_user_test;
using wire::command;

namespace {

/// Throws where it is told to.
struct throwing : fake_device {
    enum class place { nowhere, open, map, mapped, unmap, irqs, advance } at = place::nowhere;
    bool memory = true; // is what it lacks
    int thrown = 0;

    void here(place where) {
        if (at != where) return;
        ++thrown;
        if (memory) throw std::bad_alloc{};
        throw std::runtime_error{"a device's own"};
    }
    result<void> open() {
        here(place::open);
        return fake_device::open();
    }
    using fake_device::ioctl;
    result<void> ioctl(const map_dma& what) {
        here(place::map);
        const auto told = fake_device::ioctl(what);
        here(place::mapped);
        return told;
    }
    result<void> ioctl(const unmap_dma& what) {
        here(place::unmap);
        return fake_device::ioctl(what);
    }
    result<void> ioctl(const set_irqs& what) {
        here(place::irqs);
        return fake_device::ioctl(what);
    }
    void advance(std::uint64_t now) {
        here(place::advance);
        fake_device::advance(now);
    }
};
using place = throwing::place;

/// How many mappings of shared memory this process has.
int mappings() {
    std::FILE* const all = std::fopen("/proc/self/maps", "r");
    int count = 0;
    std::array<char, 512> line{};
    while (std::fgets(line.data(), line.size(), all) != nullptr) count += std::strstr(line.data(), "memfd:memory") != nullptr;
    std::fclose(all);
    return count;
}

} // namespace

TEST_CASE("vfio-user thrown: by an access it is the access's error, and the next message works") {
    by_hand at;
    at.negotiate();
    const bytes read = read_of(region_index::bar0, 0, 4);
    at.device.on_read = [](read_access) -> answer { throw std::bad_alloc{}; };
    at.device.on_write = [](write_access) -> answer { throw std::runtime_error{"a device's own"}; };
    CHECK(at.error_of(read) == ENOMEM);
    CHECK(at.error_of(write_of(region_index::bar0, 0, std::array<std::byte, 4>{})) == EIO);
    CHECK(at.alive());
    // Among others, in order; and where nobody wants to hear of it.
    const auto good = read_of(region_index::bar1, 0, 4, 8);
    const auto all = at.exchange(good + read + read_of(region_index::bar0, 0, 4, 9, wire::no_reply) + good);
    REQUIRE(all.size() == 3);
    CHECK((all[0].error == 0 && all[1].error == ENOMEM && all[2].error == 0));
    CHECK((all[0].id == 8 && all[1].id == 7 && all[2].id == 8));
}

TEST_CASE("vfio-user thrown: by requests") {
    const bool memory = GENERATE(false, true);
    const int expected = memory ? ENOMEM : EIO;
    const auto file = memory_file(0x2000);
    const auto event = event_file();
    const std::array one{file.get()}, events{event.get()};
    const auto files = open_files();
    const auto maps = mappings();
    {
        by_hand_of<throwing> at;
        at.device.memory = memory;
        at.negotiate();
        for (const auto where : {place::map, place::mapped}) {
            at.device.at = where;
            CHECK(at.error_of(map_of(0x1000, 0x2000), one) == expected);
            CHECK(mappings() == maps);
            at.device.at = place::nowhere;
            CHECK(at.device.host.dma.size() == 0);
        }
        CHECK(at.error_of(map_of(0x1000, 0x2000), one) == 0);
        CHECK(at.device.host.dma.size() == 1);
        at.device.at = place::unmap;
        CHECK(at.error_of(unmap_of(0x1000, 0x2000)) == expected);
        CHECK(mappings() == maps + 1); // the device may reach it still
        at.device.at = place::irqs;
        CHECK(at.error_of(irqs_of(1 << 2 | 1 << 5, 1, 0, 1), events) == expected);
        at.device.at = place::nowhere;
        CHECK(at.error_of(irqs_of(1 << 2 | 1 << 5, 1, 0, 1), events) == 0);
        CHECK(at.alive());
        // Nor do they keep the connection from its end.
        at.device.at = GENERATE(place::unmap, place::irqs);
        at.peer.disconnect();
        at.pump();
        CHECK(at.server->closed());
        CHECK(at.device.releases == 1);
        CHECK(mappings() == maps);
        at.server.reset();
    }
    CHECK(open_files() == files);
}

TEST_CASE("vfio-user thrown: by open, which ends that connection alone") {
    by_hand_of<throwing> at;
    at.device.at = place::open;
    CHECK(at.error_of(version()) == ENOMEM);
    CHECK(at.server->closed());
    CHECK(at.device.releases == 0);
    at.device.at = place::nowhere;
    at.connect();
    at.negotiate();
    CHECK(at.alive());
}

TEST_CASE("vfio-user thrown: in a loop, where others go on") {
    event_loop loop;
    throwing bad;
    fake_device good;
    const endpoint<throwing> first{loop, bad, {.path = socket_path("bad")}};
    const endpoint<fake_device> second{loop, good, {.path = socket_path("good")}};
    bool escaped = false;
    std::thread turning{[&] {
        try {
            loop.run();
        } catch (...) {
            escaped = true;
        }
    }};
    const auto connected = [](const char* name) {
        auto made = client::connect(socket_path(name));
        return made && (*made).set_timeout(std::chrono::seconds{20}) && (*made).negotiate() ? std::move(*made) : client{};
    };
    client one = connected("bad"), two = connected("good");
    bad.at = place::advance; // nothing of it runs yet
    const std::uint64_t soon = 1;
    const bool armed = one.write({region_index::bar4, 0, std::as_bytes(std::span{&soon, 1})}).count == 8;
    // The device's own clock has nobody to tell: the client is dropped.
    const auto lost = one.receive().error();
    const bool served = two.reset().has_value();
    loop.stop();
    turning.join();
    CHECK(armed);
    CHECK(lost == error{ECONNRESET});
    CHECK(served);
    CHECK_FALSE(escaped);
    CHECK(bad.thrown == 1);
    CHECK(bad.releases == 1);
}

TEST_CASE("vfio-user thrown: where memory runs out at any point, nothing is lost") {
    const auto file = memory_file(0x8000);
    const auto event = event_file();
    const std::array one{file.get()}, events{event.get()};
    const auto files = open_files();
    const auto maps = mappings();
    const std::array<std::uint64_t, 4> logged{4096, 1, 0x1000, 0x2000};
    const std::array talk{
        outgoing{version(R"({"capabilities":{"max_msg_fds":16,"max_data_xfer_size":65536,"pgsizes":4096}})"), {}},
        outgoing{map_of(0x1000, 0x2000), {one[0]}},
        outgoing{map_of(0x10000, 0x2000), {one[0]}},
        outgoing{map_of(0x20000, 0x2000), {}},
        outgoing{irqs_of(1 << 2 | 1 << 5, 2, 0, 1), {events[0]}},
        outgoing{message_of(command::device_feature,
                            wire::device_feature{72, VFIO_DEVICE_FEATURE_DMA_LOGGING_START | VFIO_DEVICE_FEATURE_SET},
                            std::as_bytes(std::span{logged})),
                 {}},
        outgoing{region_info_of(0, 200), {}},
        outgoing{unmap_of(0x10000, 0x2000), {}},
        outgoing{read_of(region_index::bar1, 0, 64), {}},
    };
    int failures = 0, refused = 0;
    bool whole = false;
    for (std::size_t left = 0; !whole; ++left) {
        REQUIRE(left < 2000);
        CAPTURE(left);
        by_hand at;
        bool open = true;
        allocations_left = left;
        for (const auto& each : talk) {
            at.send(each.what, each.fds);
            if (open) at.pump();
            open = !at.server->closed();
        }
        whole = allocations_left != 0;
        failures += allocations_failed;
        allocations_left = std::numeric_limits<std::size_t>::max();
        allocations_failed = 0;
        const auto all = at.replies();
        for (const auto& each : all) {
            if ((each.flags & wire::error_flag) == 0) continue;
            CHECK(each.error == (each.command == 2 || each.command == 3 ? each.error : ENOMEM));
            ++refused;
        }
        if (open) CHECK(at.alive());
        at.server.reset();
        CHECK(at.device.opens == at.device.releases);
        CHECK(at.device.host.dma.size() == 0);
        CHECK(mappings() == maps);
        CHECK(open_files() == files + 4); // the peer's own, and the device's
    }
    CHECK(failures > 10);
    CHECK(refused > 0);
}
