// SPDX-License-Identifier: BSD-3-Clause
// GET_REGION_IO_FDS: writes that are told by eventfds, with their value in shared memory or without it.
#include "messages.hpp"

#include <mediant/device/memory_device.hpp>
#include <mediant/mediant.hpp>
#include <mediant/provider/stack.hpp>
#include <mediant/vfio_user/client_doorbells.hpp>

#include <catch2/catch.hpp>

#include <fcntl.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <thread>
#include <vector>

using namespace vfio_user_test;

namespace {

/// BAR 1 is memory; a few of its registers are doorbells, and BAR 2 has more of them than a client takes descriptors.
struct belled : fake_device {
    template <class F>
    void each_doorbell(region_index region, F each) const {
        if (region == region_index::bar1) {
            each(doorbell_write{{0x100, 4}, doorbell::any, 0});
            each(doorbell_write{{0x108, 2}, doorbell::matched, 0x77});
            each(doorbell_write{{0x110, 4}, doorbell::valued, 0});
            each(doorbell_write{{0x118, 8}, doorbell::valued, 0});
        } else if (region == region_index::bar2) {
            for (std::uint64_t i = 1000; i-- != 0;) each(doorbell_write{{8 * i, 4}, doorbell::any, 0});
        } else if (region == region_index::bar5) {
            for (std::uint64_t i = 0; i < 1000; ++i) each(doorbell_write{{8 * i, 4}, doorbell::valued, 0});
        }
    }
    [[nodiscard]] std::uint64_t at(std::uint64_t offset) {
        std::uint64_t value = 0;
        static_cast<void>(read({region_index::bar1, offset, std::as_writable_bytes(std::span{&value, 1})}));
        return value;
    }
    void put(std::uint64_t offset, std::uint64_t value) {
        static_cast<void>(write({region_index::bar1, offset, std::as_bytes(std::span{&value, 1})}));
    }
};
using hand = by_hand_of<belled>;

bytes io_fds_of(region_index region, std::uint32_t argsz = 4096, std::uint32_t flags = 0, std::uint32_t count = 0) {
    return message_of(wire::command::device_get_region_io_fds,
                      wire::io_fds{argsz, flags, static_cast<std::uint32_t>(region), count});
}
template <class T>
bytes as_bytes_of(const T& value) {
    bytes out(sizeof value);
    std::memcpy(out.data(), &value, sizeof value);
    return out;
}

void pump_signals(hand& with) {
    for (int turns = 0; turns < 1000; ++turns) {
        pollfd what{with.server->signals_fd(), POLLIN, 0};
        if (::poll(&what, 1, 0) != 1) return;
        with.server->signalled();
    }
}

} // namespace

TEST_CASE("vfio-user: GET_REGION_IO_FDS on the wire") {
    hand with;
    with.negotiate();

    SECTION("what it needs, then all of it") {
        const auto first = with.exchange(io_fds_of(region_index::bar1, 16));
        REQUIRE(first.size() == 1);
        REQUIRE(first[0].payload.size() == sizeof(wire::io_fds));
        CHECK(first[0].fds == 0);
        const auto needs = wire::load<wire::io_fds>(first[0].payload);
        CHECK(needs.argsz == 16 + 4 * 48);
        CHECK(needs.count == 4);
        CHECK(with.exchange(io_fds_of(region_index::bar1, needs.argsz - 1))[0].payload.size() == 16);

        const auto all = with.exchange(io_fds_of(region_index::bar1, needs.argsz));
        REQUIRE(all.size() == 1);
        REQUIRE(all[0].payload.size() == needs.argsz);
        CHECK(all[0].fds == 5); // an eventfd each, and memory
        const auto entry = [&](std::size_t i) {
            return wire::load<wire::io_event_shadow>(std::span{all[0].payload}.subspan(16 + 48 * i));
        };
        CHECK(entry(0).offset == 0x100);
        CHECK(entry(0).size == 4);
        CHECK(entry(0).type == wire::io_type_eventfd);
        CHECK(entry(0).flags == 0);
        CHECK(entry(1).flags == wire::io_matches);
        CHECK(entry(1).datamatch == 0x77);
        CHECK(wire::load<wire::io_event>(std::span{all[0].payload}.subspan(16 + 48)).datamatch == 0x77);
        for (const std::size_t i : {2u, 3u}) {
            CHECK(entry(i).type == wire::io_type_shadow);
            CHECK(entry(i).fd_index == i);
            CHECK(entry(i).shadow_fd_index == 4);
        }
        CHECK(entry(2).shadow_offset != entry(3).shadow_offset);
        CHECK(with.exchange(io_fds_of(region_index::bar1)) == all); // the same each time
    }
    SECTION("plain ones alone are as the specification has them") {
        const auto all = with.exchange(io_fds_of(region_index::bar2));
        REQUIRE(all.size() == 1);
        CHECK(all[0].payload.size() == 16 + 16 * 40); // as many as the client takes descriptors
        CHECK(all[0].fds == 16);
        const auto last = wire::load<wire::io_event>(std::span{all[0].payload}.subspan(16 + 15 * 40));
        CHECK(last.offset == 8 * 15);
        CHECK(last.fd_index == 15);
    }
    SECTION("with memory there is one descriptor less for them") {
        const auto all = with.exchange(io_fds_of(region_index::bar5));
        REQUIRE(all.size() == 1);
        CHECK(wire::load<wire::io_fds>(all[0].payload).count == 15);
        CHECK(all[0].fds == 16);
    }
    SECTION("a region without any") {
        const auto none = with.exchange(io_fds_of(region_index::bar0));
        REQUIRE(none.size() == 1);
        const auto info = wire::load<wire::io_fds>(none[0].payload);
        CHECK(info.argsz == 16);
        CHECK(info.count == 0);
        CHECK(none[0].fds == 0);
        CHECK(with.server->signals_fd() < 0);
    }
    SECTION("malformed") {
        CHECK(with.error_of(io_fds_of(region_index::bar1, 15)) == EINVAL);
        CHECK(with.error_of(io_fds_of(region_index::bar1, 4096, 1)) == EINVAL);
        CHECK(with.error_of(io_fds_of(region_index::bar1, 4096, 0, 1)) == EINVAL);
        CHECK(with.error_of(io_fds_of(region_index{64})) == EINVAL);
        CHECK(with.error_of(io_fds_of(region_index{~0u})) == EINVAL);
        CHECK(with.error_of(cut(io_fds_of(region_index::bar1), 31)) == EINVAL);
        CHECK(with.alive());
    }
    SECTION("nothing for who takes no descriptor, or one") {
        with.connect();
        with.negotiate(R"({"capabilities":{"max_msg_fds":0}})");
        CHECK(wire::load<wire::io_fds>(with.exchange(io_fds_of(region_index::bar1))[0].payload).count == 0);
        with.connect();
        with.negotiate("");
        CHECK(wire::load<wire::io_fds>(with.exchange(io_fds_of(region_index::bar1))[0].payload).count == 1);
        CHECK(wire::load<wire::io_fds>(with.exchange(io_fds_of(region_index::bar5))[0].payload).count == 0);
    }
    SECTION("behind other replies, and posted") {
        const auto all = with.exchange(message_of(wire::command::device_get_info, wire::device_info{16, 0, 0, 0}) +
                                       io_fds_of(region_index::bar1) + io_fds_of(region_index::bar2) +
                                       read_of(region_index::bar1, 0, 4));
        REQUIRE(all.size() == 4);
        CHECK(all[1].fds == 5);
        CHECK(all[2].fds == 16);
        auto quiet = io_fds_of(region_index::bar1);
        quiet[8] = std::byte{wire::no_reply};
        CHECK(with.exchange(quiet).empty());
        CHECK(with.alive());
    }
    SECTION("gone with the client") {
        const int before = open_files();
        (void)with.exchange(io_fds_of(region_index::bar1));
        (void)with.exchange(io_fds_of(region_index::bar2));
        CHECK(open_files() == before + 4 + 1 + 16 + 1); // and the session's own
        with.connect();
        with.negotiate();
        CHECK(open_files() == before);
    }
}

TEST_CASE("vfio-user: a doorbell is a write of its register") {
    belled device;
    for (std::uint64_t i = 0x100; i < 0x120; i += 8) device.put(i, ~std::uint64_t{0});
    const auto path = socket_path("doorbells");
    server<belled> serving{device, {.path = path}};
    const int how = GENERATE(0, 1);
    std::thread thread{[&] { how == 0 ? serving.run() : serving.spin(); }};
    {
        auto connected = client::connect(path);
        REQUIRE(connected);
        auto& peer = *connected;
        REQUIRE(peer.set_timeout(std::chrono::seconds{5}));
        REQUIRE(peer.negotiate());
        const auto asked = client_doorbells::ask(peer, region_index::bar1);
        REQUIRE(asked);
        const client_doorbells& bells = *asked;
        REQUIRE(bells.all().size() == 4);
        const auto reads = [&](std::uint64_t offset, auto value) {
            return eventually([&] {
                decltype(value) now{};
                const auto to = std::as_writable_bytes(std::span{&now, 1});
                return peer.read({region_index::bar1, offset, to}).count == sizeof now && now == value;
            });
        };

        CHECK(bells.ring(0x100, as_bytes_of(std::uint32_t{0x1234}))); // the value does not matter
        CHECK(reads(0x100, std::uint64_t{0xffffffff00000000}));
        CHECK_FALSE(bells.ring(0x108, as_bytes_of(std::uint16_t{0x78}))); // another value is a message
        CHECK(bells.ring(0x108, as_bytes_of(std::uint16_t{0x77})));
        CHECK(reads(0x108, std::uint64_t{0xffffffffffff0077}));
        for (const std::uint32_t value : {0u, 0xdeadbeefu, 0xdeadbeefu, 3u}) {
            CHECK(bells.ring(0x110, as_bytes_of(value)));
            CHECK(reads(0x110, std::uint64_t{0xffffffff00000000} | value));
        }
        CHECK(bells.ring(0x118, as_bytes_of(std::uint64_t{0x0123456789abcdef})));
        CHECK(reads(0x118, std::uint64_t{0x0123456789abcdef}));
        CHECK(bells.ring(0x118, as_bytes_of(std::uint64_t{0x0123456789abcdef}))); // the same again is a write, too
        CHECK(reads(0x118, std::uint64_t{0x0123456789abcdef}));
        CHECK_FALSE(bells.ring(0x110, as_bytes_of(std::uint16_t{1}))); // another width
        CHECK_FALSE(bells.ring(0x120, as_bytes_of(std::uint32_t{1})));
    }
    serving.stop();
    thread.join();
}

TEST_CASE("vfio-user: doorbells of a client that does what it wants with them") {
    hand with;
    with.negotiate();
    (void)with.peer.send(io_fds_of(region_index::bar1));
    with.pump();
    auto came = with.peer.receive();
    REQUIRE(came);
    auto& fds = (*came).fds;
    REQUIRE(fds.size() == 5);

    // The memory cannot be taken away.
    CHECK(::ftruncate(fds[4].get(), 0) != 0);
    // An eventfd that is full, emptied, and made to block.
    const std::uint64_t most = ~std::uint64_t{0} - 1;
    REQUIRE(::fcntl(fds[0].get(), F_SETFL, 0) == 0);
    with.device.put(0x100, 1);
    ::alarm(20); // the end of who waits
    for (int i = 0; i < 3; ++i) {
        REQUIRE(::write(fds[0].get(), &most, sizeof most) == sizeof most);
        std::uint64_t taken = 0;
        REQUIRE(::read(fds[0].get(), &taken, sizeof taken) == sizeof taken);
        pump_signals(with);
    }
    REQUIRE(::write(fds[0].get(), &most, sizeof most) == sizeof most);
    const auto before = with.device.accesses.load();
    pump_signals(with);
    CHECK(with.device.accesses == before + 1); // once, however often it was signalled
    ::alarm(0);
    REQUIRE(drain(fds[0].get()) == most); // it is the client's to keep from running full
    CHECK(static_cast<std::uint32_t>(with.device.at(0x100)) == 0);
    CHECK(with.alive());

    // What it kept tells nobody anything when it is gone.
    with.connect();
    with.negotiate();
    with.device.put(0x100, 1);
    const std::uint64_t one = 1;
    for (const auto& each : std::span{fds}.first(4)) CHECK(::write(each.get(), &one, sizeof one) == sizeof one);
    (void)with.exchange(io_fds_of(region_index::bar1)); // the new one's own are watched
    pump_signals(with);
    CHECK(with.device.at(0x100) == 1);
}

// From a map.

namespace {

struct ringing {
    static constexpr auto info = provider{"ringing", {pci_id{0x1234, 0x5678}}};
    static constexpr auto bar0 = region_map{
        bar{0}, 64_KiB,
        reg{"KICK", 0x10, wo, {.hook = on::write, .doorbell = doorbell::any}},
        reg{"START", 0x14, wo, {.hook = on::write, .doorbell = doorbell::matched, .rung_by = 1}},
        repeat{"QUEUE", 3, 8, reg{"TAIL", 0x1000, wo, {.hook = on::write, .doorbell = doorbell::valued}},
                              reg{"HEAD", 0x1004, ro, {.backing = from::shadow}}},
        reg{"KICKS", 0x18, ro, {.backing = from::shadow}}};
    static constexpr auto regions = mediant::regions<bar0>{};

    result<void> write(at<bar0, "KICK">, std::uint32_t value, auto& next) noexcept {
        next.assign(at<bar0, "KICKS">{}, next.held(at<bar0, "KICKS">{}) + 1 + value);
        return {};
    }
    result<void> write(at<bar0, "START">, std::uint32_t value, auto& next) noexcept {
        next.assign(at<bar0, "KICKS">{}, value == 1 ? 0x100 : 0);
        return {};
    }
    result<void> write(at<bar0, "QUEUE.TAIL">, std::size_t queue, std::uint32_t tail, auto& next) noexcept {
        next.assign(at<bar0, "QUEUE.HEAD">{}, queue, tail);
        return {};
    }
};
static_assert(valid<ringing>);

/// Above it: needs what is written to the first queue.
struct curious {
    static constexpr auto bar0 = region_map{bar{0}, 64_KiB, reg{"TAIL_0", 0x1000, rw, {.hook = on::write}}};
    static constexpr auto regions = mediant::regions<bar0>{};
    result<void> write(at<bar0, "TAIL_0"> reg, std::uint32_t value, auto& next) noexcept { return next.write(reg, value); }
};
static_assert(valid<curious>);

template <class Front>
std::vector<std::uint64_t> doorbells_of(const Front& front) {
    std::vector<std::uint64_t> found;
    front.each_doorbell(region_index::bar0, [&](const doorbell_write& one) { found.push_back(one.where.offset); });
    return found;
}

} // namespace

TEST_CASE("vfio-user: doorbells are stated in a map") {
    device::memory_device lower{{0x1234, 0x5678, 0, 0, 0xff0000}, {64_KiB, 0, 0, 0, 0, 0}};
    {
        stack<device::memory_device, ringing> front{lower};
        REQUIRE(front.open());
        CHECK(doorbells_of(front) == std::vector<std::uint64_t>{0x10, 0x14, 0x1000, 0x1008, 0x1010});
        front.release();
        // What a policy above traps is its own matter.
        stack<device::memory_device, curious, ringing> both{lower};
        REQUIRE(both.open());
        CHECK(doorbells_of(both) == std::vector<std::uint64_t>{0x10, 0x14, 0x1008, 0x1010});
        both.release();
        stack<device::memory_device> bare{lower};
        REQUIRE(bare.open());
        CHECK(doorbells_of(bare).empty());
        bare.release();
    }
    stack<device::memory_device, ringing> front{lower};
    const auto path = socket_path("mapped-doorbells");
    server<decltype(front)> serving{front, {.path = path}};
    std::thread thread{[&] { serving.run(); }};
    {
        auto connected = client::connect(path);
        REQUIRE(connected);
        auto& peer = *connected;
        REQUIRE(peer.set_timeout(std::chrono::seconds{5}));
        REQUIRE(peer.negotiate());
        const std::uint16_t memory = 2; // COMMAND
        REQUIRE(peer.write({region_index::config, 4, std::as_bytes(std::span{&memory, 1})}).count == 2);
        const auto asked = client_doorbells::ask(peer, region_index::bar0);
        REQUIRE(asked);
        const auto reads = [&](std::uint64_t offset, std::uint32_t value) {
            return eventually([&] {
                std::uint32_t now = 0;
                const auto to = std::as_writable_bytes(std::span{&now, 1});
                return peer.read({region_index::bar0, offset, to}).count == sizeof now && now == value;
            });
        };
        CHECK((*asked).ring(0x10, as_bytes_of(std::uint32_t{77})));
        CHECK(reads(0x18, 1));
        CHECK_FALSE((*asked).ring(0x14, as_bytes_of(std::uint32_t{2})));
        CHECK((*asked).ring(0x14, as_bytes_of(std::uint32_t{1})));
        CHECK(reads(0x18, 0x100));
        CHECK((*asked).ring(0x1008, as_bytes_of(std::uint32_t{0xabcd})));
        CHECK(reads(0x100c, 0xabcd));
        CHECK(reads(0x1004, 0));
    }
    serving.stop();
    thread.join();
}
