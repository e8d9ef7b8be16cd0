// SPDX-License-Identifier: BSD-3-Clause
#include "recorder.hpp"

#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <cstdint>

using namespace mediant;
using namespace mediant::test;

namespace {

inline int declining = -1; ///< which policy declines to open

template <int Number>
struct numbered {
    static constexpr auto bar0 = region_map{
        bar{0}, 4_KiB,
        reg{"OWN", 0x10 * Number, rw, {.backing = from::shadow, .value = 0x100 + Number}},
        reg{"SHARED", 0x80, rw, {.hook = on::read | on::write}}};
    static constexpr auto regions = mediant::regions<bar0>{};

    std::uint32_t opens = 0;
    std::uint32_t left = 0;

    static event at_op(const char* what) { return {what + std::to_string(Number)}; }

    result<void> open(auto& next) {
        journal->push_back(at_op("open "));
        // The device is enabled and what lies beneath is open: it can be read, and shadows hold their values.
        journal->push_back({"saw", 0, 0, *next.template load<std::uint32_t>(bar{0}, 0x40)});
        journal->push_back({"own", 0, 0, *next.read(at<bar0, "OWN">{})});
        ++opens;
        if (declining == Number) return error::no_device;
        return {};
    }
    void release(auto& next) {
        journal->push_back(at_op("release "));
        static_cast<void>(next.template load<std::uint32_t>(bar{0}, 0x44));
    }
    void reset() {
        journal->push_back(at_op("reset "));
        left = 0;
    }
    result<std::uint32_t> read(at<bar0, "SHARED"> which, auto& next) {
        journal->push_back({"read " + std::to_string(Number), 0, 0, opens * 16 + left});
        return next.read(which);
    }
    result<void> write(at<bar0, "SHARED"> which, std::uint32_t value, auto& next) {
        journal->push_back({"write " + std::to_string(Number), 0, 0, value});
        left = value & 0xf;
        return next.write(which, value + 1);
    }
};

/// Has nothing but a map.
struct plain {
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"OWN", 0x60, rw, {.backing = from::shadow, .value = 9}}};
    static constexpr auto regions = mediant::regions<bar0>{};
};

/// Without the loads that open and release make.
events ops(const events& log) {
    events out;
    for (const event& e : log)
        if (e.what != "load" && e.what != "saw" && e.what != "own") out.push_back(e);
    return out;
}

using three = stack<recorder, numbered<1>, numbered<2>, numbered<3>>; // 1 is the outermost

} // namespace

TEST_CASE("layers open innermost first and release outermost first") {
    declining = -1;
    recorder device;
    three s{device};
    journal = &device.seen;
    REQUIRE(s.open());
    CHECK(ops(device.happened()) == events{{"lower.open"}, {"open 3"}, {"open 2"}, {"open 1"}});
    s.release();
    CHECK(ops(device.happened()) == events{{"release 1"}, {"release 2"}, {"release 3"}, {"lower.release"}});
}

TEST_CASE("at open a policy sees the enabled device and its own reset values") {
    declining = -1;
    recorder device;
    stack<recorder, numbered<1>, plain, numbered<2>> s{device};
    journal = &device.seen;
    REQUIRE(s.open());
    const events log = device.happened();
    CHECK(log == events{{"lower.open"}, {"open 2"}, load(0x40, 4), {"saw", 0, 0, initial_value(0x40, 4)}, {"own", 0, 0, 0x102},
                        {"open 1"}, load(0x40, 4), {"saw", 0, 0, initial_value(0x40, 4)}, {"own", 0, 0, 0x101}});
    s.release();
}

TEST_CASE("a failed open releases what was opened, outermost first, and nothing else") {
    recorder device;
    three s{device};
    journal = &device.seen;
    SECTION("the device") {
        declining = -1;
        device.refuses_open = error::busy;
        CHECK(s.open().error() == error::busy);
        CHECK(ops(device.happened()) == events{{"lower.open"}});
        CHECK(device.released == 0);
    }
    SECTION("the innermost") {
        declining = 3;
        CHECK(s.open().error() == error::no_device);
        CHECK(ops(device.happened()) == events{{"lower.open"}, {"open 3"}, {"lower.release"}});
    }
    SECTION("the middle") {
        declining = 2;
        CHECK(s.open().error() == error::no_device);
        CHECK(ops(device.happened()) == events{{"lower.open"}, {"open 3"}, {"open 2"}, {"release 3"}, {"lower.release"}});
    }
    SECTION("the outermost") {
        declining = 1;
        CHECK(s.open().error() == error::no_device);
        CHECK(ops(device.happened()) == events{{"lower.open"}, {"open 3"}, {"open 2"}, {"open 1"}, {"release 2"},
                                               {"release 3"}, {"lower.release"}});
    }
    SECTION("then nothing can be accessed, also not what an earlier open gave") {
        declining = -1;
        REQUIRE(s.open());
        s.release();
        declining = 1;
        REQUIRE_FALSE(s.open());
        device.seen.clear();
        bytes data(4);
        CHECK(s.read({bar{0}, 0x10, data}) == answer{0, error::invalid});
        CHECK(s.next_area(bar{0}, 4096, 0).empty());
        CHECK(device.happened().empty());
    }
    declining = -1;
}

TEST_CASE("an access goes through the layers outermost first") {
    declining = -1;
    bench<three> b;
    CHECK(b.write(0x80, 0x20, 4) == answer{4});
    CHECK(b.device.happened() == events{{"write 1", 0, 0, 0x20}, {"write 2", 0, 0, 0x21}, {"write 3", 0, 0, 0x22},
                                        store(0x80, 4, 0x23)});
    CHECK(b.read(0x80, 4).value() == 0x23);
    CHECK(b.device.happened() == events{{"read 1", 0, 0, 0x10}, {"read 2", 0, 0, 0x11}, {"read 3", 0, 0, 0x12}, load(0x80, 4)});
    SECTION("each layer's registers are its own") {
        CHECK(b.read(0x10, 4).value() == 0x101);
        CHECK(b.read(0x20, 4).value() == 0x102);
        CHECK(b.read(0x30, 4).value() == 0x103);
        CHECK(b.device.happened().empty());
    }
    SECTION("an access over the registers of several layers is split by each") {
        CHECK(b.write(0x1e, 0x8877665544332211, 8) == answer{8});
        CHECK(b.device.happened() == events{store(0x1e, 2, 0x2211), store(0x24, 2, 0x8877)});
        CHECK(b.read(0x20, 4).value() == 0x66554433);
    }
}

TEST_CASE("reset restores the shadows, tells the policies innermost first and touches no device") {
    declining = -1;
    bench<three> b;
    for (const std::uint64_t offset : {0x10u, 0x20u, 0x30u}) CHECK(b.write(offset, 0, 4) == answer{4});
    CHECK(b.write(0x80, 5, 4) == answer{4});
    b.device.seen.clear();
    b.front.reset();
    CHECK(b.device.happened() == events{{"reset 3"}, {"reset 2"}, {"reset 1"}});
    CHECK(b.read(0x10, 4).value() == 0x101);
    CHECK(b.read(0x20, 4).value() == 0x102);
    CHECK(b.read(0x30, 4).value() == 0x103);
    SECTION("what the policy does not reset stays") {
        CHECK(b.read(0x80, 4).done == answer{4});
        CHECK(b.device.seen[0] == event{"read 1", 0, 0, 0x10}); // opens == 1, left == 0
    }
}

TEST_CASE("nothing survives to the next open") {
    declining = -1;
    bench<three> b;
    CHECK(b.write(0x10, 0, 4) == answer{4});
    CHECK(b.write(0x80, 7, 4) == answer{4});
    b.front.release();
    REQUIRE(b.front.open());
    b.device.seen.clear();
    CHECK(b.read(0x10, 4).value() == 0x101);
    CHECK(b.read(0x80, 4).done == answer{4});
    CHECK(b.device.seen[0] == event{"read 1", 0, 0, 0x10});
}

TEST_CASE("sizes are asked at each open") {
    declining = -1;
    bench<three> b;
    b.device.add(bar{3}, 128);
    CHECK(b.read(0, 4, bar{3}).done == answer{0, error::invalid});
    b.front.release();
    REQUIRE(b.front.open());
    CHECK(b.read(124, 8, bar{3}).done == answer{4});
}
