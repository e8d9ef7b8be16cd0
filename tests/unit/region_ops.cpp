// SPDX-License-Identifier: BSD-3-Clause
#include "recorder.hpp"

#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <cstdint>

using namespace mediant;
using namespace mediant::test;

namespace {

/// Read and write ops stand above the policy's maps: `next` passes through these.
struct watcher {
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB,
                                            reg{"SHADOW", 0x10, rw, {.backing = from::shadow, .value = 0x77}},
                                            reg{"HOOK", 0x14, ro, {.hook = on::read}}};
    static constexpr auto regions = mediant::regions<bar0>{};

    answer read(read_access a, auto& next) {
        journal->push_back({"read op", a.offset, static_cast<unsigned>(a.bytes.size())});
        const answer done = next.read(a);
        for (std::byte& b : a.bytes.first(static_cast<std::size_t>(done.count))) b ^= std::byte{0x80};
        return done;
    }
    answer write(write_access a, auto& next) {
        journal->push_back({"write op", a.offset, static_cast<unsigned>(a.bytes.size())});
        if (a.offset == 0x40) return {0, error::denied};
        return next.write(a);
    }
    result<std::uint32_t> read(at<bar0, "HOOK">, auto&) {
        journal->push_back({"HOOK"});
        return 0x12345678u;
    }
};

/// A read op only.
struct half {
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"SHADOW", 0x10, rw, {.backing = from::shadow}}};
    static constexpr auto regions = mediant::regions<bar0>{};

    answer read(read_access a, auto& next) {
        journal->push_back({"read op", a.offset, static_cast<unsigned>(a.bytes.size())});
        return next.read(a);
    }
};

} // namespace

TEST_CASE("a read or write op sees the whole access of a region with a map, before it is split") {
    bench<stack<recorder, watcher>> b;
    const auto got = b.read(0x0e, 10);
    CHECK(got.done == answer{10});
    CHECK(b.device.happened() == events{{"read op", 0x0e, 10}, load(0x0e, 2), {"HOOK"}});
    bytes expected = little(initial_value(0x0e, 2), 2);
    for (const std::byte x : little(0x1234567800000077, 8)) expected.push_back(x);
    for (std::byte& x : expected) x ^= std::byte{0x80};
    CHECK(got.data == expected);

    CHECK(b.write(0x0f, 0x332211, 3) == answer{3});
    CHECK(b.device.happened() == events{{"write op", 0x0f, 3}, store(0x0f, 1, 0x11)});
    CHECK(b.read(0x10, 2).value() == (0x3322 ^ 0x8080));
    SECTION("its answer is the answer") {
        CHECK(b.write(0x40, 0, 4) == answer{0, error::denied});
        CHECK(b.write(0x44, 0, 4) == answer{4});
    }
    SECTION("an access that the front clamps arrives clamped") {
        b.device.seen.clear();
        CHECK(b.read(0xffe, 8).done == answer{2});
        CHECK(b.device.happened() == events{{"read op", 0xffe, 2}, load(0xffe, 2)});
    }
    SECTION("it is not called for no bytes") {
        b.device.seen.clear();
        CHECK(b.read(0x10, 0).done == answer{0});
        CHECK(b.write(0x10, bytes{}) == answer{0});
        CHECK(b.device.happened().empty());
    }
    SECTION("a short count from below arrives") {
        b.device.faults_after = 0;
        CHECK(b.read(0x10, 12).done == answer{8, error::io});
    }
}

TEST_CASE("other regions pass without a call") {
    bench<stack<recorder, watcher>> b;
    b.device.add(bar{1}, 64);
    REQUIRE(b.front.open());
    b.device.seen.clear();
    CHECK(b.read(0, 4, bar{1}).value() == initial_value(0, 4));
    CHECK(b.device.happened() == events{load(0, 4, bar{1})});
    CHECK(b.front.next_area(bar{1}, 4096, 0).empty()); // less than a page
    CHECK(b.front.mappable(bar{1}, {0, 64}) == false);
}

TEST_CASE("nothing of a region with ops of its own can be mapped") {
    bench<stack<recorder, watcher>> b{64 << 10};
    CHECK(b.front.next_area(bar{0}, 4096, 0).empty());
    CHECK_FALSE(b.front.mappable(bar{0}, {0x2000, 0x1000}));
    const auto info = b.front.ioctl(get_region_info{bar{0}});
    REQUIRE(info);
    CHECK_FALSE(has(info->flags, region_flags::mmap));
    CHECK(has(info->flags, region_flags::read | region_flags::write));
    bench<stack<recorder, half>> h{64 << 10};
    CHECK(h.front.next_area(bar{0}, 4096, 0).empty());
}

TEST_CASE("a policy with a read op alone has its map's writes") {
    bench<stack<recorder, half>> b;
    CHECK(b.write(0x10, 0x44332211, 4) == answer{4});
    CHECK(b.device.happened().empty());
    CHECK(b.read(0x10, 4).value() == 0x44332211);
    CHECK(b.device.happened() == events{{"read op", 0x10, 4}});
}
