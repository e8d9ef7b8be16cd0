// SPDX-License-Identifier: BSD-3-Clause
#include "recorder.hpp"

#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <cstdint>
#include <functional>
#include <vector>

using namespace mediant;
using namespace mediant::test;

namespace {

/// A world that can take mappings back.
struct switching : recorder {
    using recorder::recorder;
    error refuses = error::none;
    std::function<void()> at_revoke;

    result<void> revoke(region_index region, range where) {
        seen.push_back({"revoke", where.offset, 0, where.size, 0, region});
        if (at_revoke) at_revoke();
        if (refuses != error::none) return refuses;
        return {};
    }
    void regions_changed() { seen.push_back({"changed"}); }
};

constexpr std::uint32_t untraps = 0x100;

/// Writing SWITCH traps a range again, or untraps it with the bit above set.
struct dynamics {
    static constexpr auto bar0 = region_map{
        bar{0}, 1_MiB, reg{"SWITCH", 0x00, wo, {.hook = on::write}},
        dynamic{"LATE", 0x80000, 256_KiB}, // stated out of order
        dynamic{"SMALL", 0x10000, 4_KiB}, dynamic{"NEXT", 0x11000, 4_KiB},
        dynamic{"LARGE", 0x20000, 128_KiB},
        reg{"SHADOW", 0x10000, rw, {.backing = from::shadow, .value = 0x1234}},
        reg{"SECOND", 0x10004, rw, {.backing = from::shadow, .value = 0x5678}}, hide{"HIDDEN", 0x10ffc, 4},
        reg{"HOOKED", 0x11000, ro, {.hook = on::read}}, deny{"DENIED", 0x20010, 4},
        reg{"BEFORE", 0x0fffc, rw, {.backing = from::shadow, .value = 0xbefe}}, reg{"OUTSIDE", 0x60000, ro},
        alias{"INTO", 0x100, "SHADOW"}, alias{"OUT", 0x20020, "OUTSIDE"}};
    static constexpr auto bar2 = region_map{bar{2}, 64_KiB, dynamic{"OTHER", 0, 64_KiB}};
    static constexpr auto regions = mediant::regions<bar0, bar2>{};

    result<std::uint32_t> read(at<bar0, "HOOKED">, auto&) { return 0xabcdu; }
    result<void> write(at<bar0, "SWITCH">, std::uint32_t what, auto& next) {
        const auto act = [&](auto which) {
            return what >= untraps ? next.untrap(which) : next.trap(which);
        };
        switch (what % untraps) {
        case 0: return act(at<bar0, "LATE">{});
        case 1: return act(at<bar0, "SMALL">{});
        case 2: return act(at<bar0, "NEXT">{});
        case 3: return act(at<bar0, "LARGE">{});
        case 4: return act(at<bar2, "OTHER">{});
        case 5: {
            const auto held = next.read(at<bar0, "SHADOW">{});
            journal->push_back({"held", 0, 0, *held});
            return {};
        }
        default: return error::invalid;
        }
    }
};
constexpr unsigned late = 0, small = 1, following = 2, large = 3, other = 4, look = 5;

struct dynamic_bench : bench<stack<switching, dynamics>, switching> {
    explicit dynamic_bench(unsigned max = 4) : bench{1 << 20, max, {{bar{2}, 64 << 10}}} {}
    answer untrap(unsigned which) { return write(0, untraps + which, 4); }
    answer trap(unsigned which) { return write(0, which, 4); }

    std::vector<range> areas(std::uint64_t page_size, region_index region = bar{0}) const {
        std::vector<range> out;
        for (range area = front.next_area(region, page_size, 0); !area.empty();
             area = front.next_area(region, page_size, area.end()))
            out.push_back(area);
        return out;
    }
};
using ranges = std::vector<range>;

const ranges at_open_4{{0x1000, 0xe000}, {0x12000, 0xe000}, {0x40000, 0x20000}, {0x61000, 0x1f000}, {0xc0000, 0x40000}};

} // namespace

TEST_CASE("dynamic ranges start trapped, as do all their pages") {
    dynamic_bench b;
    CHECK(b.areas(4_KiB) == at_open_4);
    CHECK(b.areas(16_KiB) == ranges{{0x4000, 0x8000}, {0x14000, 0xc000}, {0x40000, 0x20000}, {0x64000, 0x1c000}, {0xc0000, 0x40000}});
    CHECK(b.areas(64_KiB) == ranges{{0x40000, 0x20000}, {0x70000, 0x10000}, {0xc0000, 0x40000}});
    CHECK(b.areas(4_KiB, bar{2}).empty());
    CHECK(b.read(0x10000, 8).value() == 0x0000567800001234);
    CHECK(b.read(0x10ffc, 4).value() == 0xffffffff);
    CHECK(b.read(0x11000, 4).value() == 0xabcd);
    CHECK(b.read(0x20010, 4).done == answer{0, error::denied});
    CHECK(b.device.happened().empty());
    CHECK(b.read(0x30000, 4).value() == initial_value(0x30000, 4)); // trapped, and the device's
    CHECK(b.device.happened() == events{load(0x30000, 4)});
}

TEST_CASE("an untrapped range is the device's, whatever is named there, and its pages may be mapped") {
    dynamic_bench b{8};
    CHECK(b.untrap(small) == answer{4});
    CHECK(b.device.happened() == events{{"changed"}}); // nothing was mapped: nothing to revoke
    CHECK(b.areas(4_KiB) == ranges{{0x1000, 0xe000}, {0x10000, 0x1000}, {0x12000, 0xe000}, {0x40000, 0x20000}, {0x61000, 0x1f000}, {0xc0000, 0x40000}});
    CHECK(b.areas(16_KiB) == ranges{{0x4000, 0x8000}, {0x14000, 0xc000}, {0x40000, 0x20000}, {0x64000, 0x1c000}, {0xc0000, 0x40000}});
    CHECK(b.front.mappable(bar{0}, {0x10000, 0x1000}));
    CHECK_FALSE(b.front.mappable(bar{0}, {0x11000, 0x1000}));
    CHECK_FALSE(b.front.mappable(bar{0}, {0x10000, 0x1000}, 16_KiB));

    CHECK(b.read(0x10000, 8).value() == initial_value(0x10000, 8));
    CHECK(b.device.happened() == events{load(0x10000, 8)}); // whole: no register divides it
    CHECK(b.write(0x10000, 0x8877665544332211, 8) == answer{8});
    CHECK(b.write(0x10ffe, 0x99, 1) == answer{1});
    CHECK(b.device.happened() == events{store(0x10000, 8, 0x8877665544332211), store(0x10ffe, 1, 0x99)});
    CHECK(b.read(0x11000, 4).value() == 0xabcd);
    CHECK(b.device.happened().empty());
}

TEST_CASE("an access across the edge of an untrapped range is divided there") {
    dynamic_bench b{8};
    CHECK(b.untrap(small) == answer{4});
    b.device.happened();
    CHECK(b.read(0x0fffc, 12).data == [] {
        bytes out = little(0xbefe, 4);
        for (const std::byte x : little(initial_value(0x10000, 8), 8)) out.push_back(x);
        return out;
    }());
    CHECK(b.device.happened() == events{load(0x10000, 8)});
    CHECK(b.read(0x10ff8, 12).done == answer{12});
    CHECK(b.device.happened() == events{load(0x10ff8, 8)}); // and the hook
    CHECK(b.write(0x10ffc, 1, 8) == answer{8});
    CHECK(b.device.happened() == events{store(0x10ffc, 4, 1)}); // what follows is ro
    CHECK(b.untrap(following) == answer{4});
    b.device.happened();
    CHECK(b.read(0x10ffc, 8).value() == (1 | initial_value(0x11000, 4) << 32));
    CHECK(b.device.happened() == events{load(0x10ffc, 4), load(0x11000, 4)});
}

TEST_CASE("shadows are kept while their range is the device's") {
    dynamic_bench b;
    CHECK(b.write(0x10000, 0x4321, 4) == answer{4});
    CHECK(b.untrap(small) == answer{4});
    CHECK(b.write(0x10000, 0x9999, 4) == answer{4});
    b.device.happened();
    CHECK(b.write(0, look, 4) == answer{4});
    CHECK(b.device.happened() == events{{"held", 0, 0, 0x4321}});
    CHECK(b.trap(small) == answer{4});
    CHECK(b.read(0x10000, 4).value() == 0x4321);
}

TEST_CASE("trapping again stops new mappings, takes the old back, then tells the user") {
    dynamic_bench b;
    CHECK(b.untrap(large) == answer{4});
    CHECK(b.areas(64_KiB) == ranges{{0x20000, 0x40000}, {0x70000, 0x10000}, {0xc0000, 0x40000}});
    b.device.happened();
    int asked = 0;
    b.device.at_revoke = [&] {
        ++asked;
        CHECK_FALSE(b.front.mappable(bar{0}, {0x20000, 0x1000}));
        CHECK(b.areas(4_KiB) == at_open_4);
    };
    CHECK(b.trap(large) == answer{4});
    CHECK(asked == 1);
    CHECK(b.device.happened() == events{{"revoke", 0x20000, 0, 0x20000}, {"changed"}});
    CHECK(b.areas(4_KiB) == at_open_4);
    CHECK(b.read(0x20010, 4).done == answer{0, error::denied});
}

TEST_CASE("what cannot be taken back stays as it is, and the user is not told") {
    for (const error refusal : {error::busy, error::io}) {
        dynamic_bench b;
        CHECK(b.untrap(large) == answer{4});
        CHECK(b.untrap(small) == answer{4});
        const ranges before = b.areas(4_KiB);
        b.device.happened();
        b.device.refuses = refusal;
        CHECK(b.trap(large) == answer{0, error::busy});
        CHECK(b.device.happened() == events{{"revoke", 0x20000, 0, 0x20000}});
        CHECK(b.areas(4_KiB) == before);
        CHECK(b.read(0x20010, 4).value() == initial_value(0x20010, 4));
        CHECK(b.device.happened() == events{load(0x20010, 4)});

        b.device.refuses = error::none; // later it may succeed
        CHECK(b.trap(large) == answer{4});
        CHECK(b.device.happened() == events{{"revoke", 0x20000, 0, 0x20000}, {"changed"}});
        CHECK(b.areas(4_KiB) != before);
    }
}

TEST_CASE("switching to what already is does nothing") {
    dynamic_bench b;
    b.device.refuses = error::busy;
    CHECK(b.trap(small) == answer{4});
    CHECK(b.device.happened().empty());
    CHECK(b.untrap(small) == answer{4});
    CHECK(b.untrap(small) == answer{4});
    CHECK(b.device.happened() == events{{"changed"}});
}

TEST_CASE("ranges are switched one by one, and those of another region are others") {
    dynamic_bench b;
    CHECK(b.untrap(late) == answer{4});
    CHECK(b.areas(64_KiB) == ranges{{0x40000, 0x20000}, {0x70000, 0x90000}});
    CHECK(b.untrap(other) == answer{4});
    CHECK(b.areas(64_KiB) == ranges{{0x40000, 0x20000}, {0x70000, 0x90000}});
    CHECK(b.areas(64_KiB, bar{2}) == ranges{{0, 0x10000}});
    CHECK(b.untrap(following) == answer{4});
    CHECK(b.untrap(small) == answer{4}); // neighbours make one area
    CHECK(b.front.next_area(bar{0}, 4_KiB, 0x10000) == range{0x10000, 0x10000});
    CHECK(b.untrap(large) == answer{4});
    CHECK(b.front.next_area(bar{0}, 4_KiB, 0x10000) == range{0x10000, 0x50000});
    CHECK(b.areas(64_KiB) == ranges{{0x10000, 0x50000}, {0x70000, 0x90000}});
    b.device.happened();
    CHECK(b.trap(other) == answer{4});
    CHECK(b.device.happened() == events{{"revoke", 0, 0, 0x10000, 0, bar{2}}, {"changed"}});
    CHECK(b.areas(64_KiB) == ranges{{0x10000, 0x50000}, {0x70000, 0x90000}});
    CHECK(b.trap(following) == answer{4});
    CHECK(b.read(0x11000, 4).value() == 0xabcd);
    CHECK(b.read(0x10000, 4).value() == initial_value(0x10000, 4));
}

TEST_CASE("aliases into and out of a switched range") {
    dynamic_bench b;
    CHECK(b.read(0x100, 4).value() == 0x1234);
    CHECK(b.untrap(small) == answer{4});
    b.device.happened();
    CHECK(b.read(0x100, 4).value() == initial_value(0x10000, 4)); // the register itself is the device's now
    CHECK(b.device.happened() == events{load(0x10000, 4)});
    CHECK(b.read(0x20020, 4).value() == initial_value(0x60000, 4));
    CHECK(b.untrap(large) == answer{4});
    b.device.happened();
    CHECK(b.read(0x20020, 4).value() == initial_value(0x20020, 4));
    CHECK(b.device.happened() == events{load(0x20020, 4)});
}

TEST_CASE("a reset leaves ranges as they are; a new open starts with all of them trapped") {
    dynamic_bench b;
    CHECK(b.untrap(small) == answer{4});
    CHECK(b.untrap(other) == answer{4});
    const ranges before = b.areas(4_KiB);
    b.device.happened();
    b.front.reset();
    CHECK(b.device.happened().empty());
    CHECK(b.areas(4_KiB) == before);
    CHECK(b.areas(4_KiB, bar{2}) == ranges{{0, 0x10000}});
    CHECK(b.read(0x10000, 4).value() == initial_value(0x10000, 4));

    b.front.release();
    REQUIRE(b.front.open());
    b.device.happened();
    CHECK(b.areas(4_KiB) == at_open_4);
    CHECK(b.areas(4_KiB, bar{2}).empty());
    CHECK(b.read(0x10000, 4).value() == 0x1234);
    CHECK(b.device.happened().empty());
}

TEST_CASE("region info says whether anything may be mapped now") {
    dynamic_bench b;
    const auto flags = [&] { return b.front.ioctl(get_region_info{bar{2}})->flags; };
    CHECK_FALSE(has(flags(), region_flags::mmap));
    CHECK(b.untrap(other) == answer{4});
    CHECK(has(flags(), region_flags::mmap));
    CHECK(b.trap(other) == answer{4});
    CHECK_FALSE(has(flags(), region_flags::mmap));
}

namespace {

/// Above the layer with dynamic ranges: what it traps stays trapped.
struct above {
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"MINE", 0x90000, ro, {.backing = from::constant, .value = 0x77}}};
    static constexpr auto regions = mediant::regions<bar0>{};
};

/// Eight ranges, as many as a map may have, and untrapped from open on.
struct eight {
    static constexpr auto bar0 = region_map{
        bar{0}, 1_MiB, dynamic{"0", 0x0000, 4_KiB}, dynamic{"1", 0x1000, 4_KiB}, dynamic{"2", 0x2000, 4_KiB},
        dynamic{"3", 0x3000, 4_KiB}, dynamic{"4", 0x4000, 4_KiB}, dynamic{"5", 0x5000, 4_KiB}, dynamic{"6", 0x6000, 4_KiB},
        dynamic{"7", 0x7000, 4_KiB}, block{"REST", 0x8000, 0xf8000, {.kind = ro}}};
    static constexpr auto regions = mediant::regions<bar0>{};
    result<void> open(auto& next) {
        if (const auto done = next.untrap(at<bar0, "7">{}); !done) return done;
        if (const auto done = next.untrap(at<bar0, "0">{}); !done) return done;
        return next.untrap(at<bar0, "3">{});
    }
};

} // namespace

TEST_CASE("another layer's trapped pages stay so") {
    bench<stack<switching, above, dynamics>, switching> b{1 << 20, 4, {{bar{2}, 64 << 10}}};
    CHECK(b.write(0, untraps + late, 4) == answer{4});
    CHECK(b.front.next_area(bar{0}, 4_KiB, 0x80000) == range{0x80000, 0x10000});
    CHECK(b.front.next_area(bar{0}, 4_KiB, 0x90000) == range{0x91000, 0x6f000});
    CHECK(b.read(0x90000, 4).value() == 0x77);
    CHECK(b.read(0x90000, 8).value() == (0x77 | initial_value(0x90004, 4) << 32));
}

TEST_CASE("eight ranges of a map are told apart, and may be switched at open") {
    bench<stack<switching, eight>, switching> b{1 << 20};
    CHECK(b.front.next_area(bar{0}, 4_KiB, 0) == range{0, 0x1000});
    CHECK(b.front.next_area(bar{0}, 4_KiB, 0x1000) == range{0x3000, 0x1000});
    CHECK(b.front.next_area(bar{0}, 4_KiB, 0x4000) == range{0x7000, 0x1000});
    CHECK(b.front.next_area(bar{0}, 4_KiB, 0x8000).empty());
}
