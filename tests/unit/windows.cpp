// SPDX-License-Identifier: BSD-3-Clause
#include "recorder.hpp"

#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <cstdint>

using namespace mediant;
using namespace mediant::test;

namespace {

struct windowed {
    static constexpr auto bar0 = region_map{bar{0}, 64_KiB,
                                            reg{"BEFORE", 0x00, rw, {.backing = from::shadow, .value = 0x11111111}},
                                            deny{"FUSES", 0x04, 7}, // begins and ends where it likes
                                            reg{"AFTER", 0x0b, rw, {.backing = from::shadow, .value = 0x22, .bits = 8}},
                                            hide{"DEBUG", 0x10, 9}, pass{"BUFFER", 0x1000, 4_KiB},
                                            deny{"PAGE", 0x3000, 4_KiB}, hide{"TAIL", 0xfffc, 4}};
    static constexpr auto regions = mediant::regions<bar0>{};
};
struct windows_bench : bench<stack<recorder, windowed>> {
    windows_bench() : bench{64 << 10} {}
};

} // namespace

TEST_CASE("a denied window refuses every access, and nothing reaches the device") {
    windows_bench b;
    for (std::uint64_t offset = 0x04; offset < 0x0b; ++offset)
        for (unsigned size = 1; offset + size <= 0x0b; ++size) {
            const auto got = b.read(offset, size);
            CHECK(got.done == answer{0, error::denied});
            CHECK(got.data == bytes(size, std::byte{0xcc}));
            CHECK(b.write(offset, bytes(size)) == answer{0, error::denied});
        }
    CHECK(b.read(0x3ffc, 4).done == answer{0, error::denied});
    CHECK(b.device.happened().empty());
}

TEST_CASE("an access that runs into a denied window is done as far as it") {
    windows_bench b;
    const auto got = b.read(0x00, 8);
    CHECK(got.done == answer{4, error::denied});
    CHECK(value_of({got.data.begin(), got.data.begin() + 4}) == 0x11111111);
    CHECK(b.write(0x02, 0x3333333333333333, 8) == answer{2, error::denied});
    CHECK(b.read(0x00, 4).value() == 0x33331111);
    CHECK(b.read(0x0a, 2).done == answer{0, error::denied}); // begins in it
    CHECK(b.read(0x0b, 1).value() == 0x22);
    CHECK(b.device.happened().empty());
    CHECK(b.write(0x2ffe, bytes(8)) == answer{2, error::denied});
    CHECK(b.device.happened() == events{store(0x2ffe, 2, 0)});
}

TEST_CASE("a hidden window reads as ones and swallows writes") {
    windows_bench b;
    CHECK(b.read(0x10, 9).data == bytes(9, std::byte{0xff}));
    CHECK(b.write(0x12, bytes(3)) == answer{3});
    CHECK(b.read(0x12, 1).value() == 0xff);
    CHECK(b.read(0xfffc, 4).value() == 0xffffffff);
    CHECK(b.device.happened().empty());
    CHECK(b.write(0x0f, 0x0201, 2) == answer{2});
    CHECK(b.device.happened() == events{store(0x0f, 1, 1)});
}

TEST_CASE("a passed window is the device's, and may be mapped") {
    windows_bench b;
    CHECK(b.read(0x1ffe, 4).value() == initial_value(0x1ffe, 4));
    CHECK(b.device.happened() == events{load(0x1ffe, 2), load(0x2000, 2)});
    CHECK(b.front.next_area(bar{0}, 4_KiB, 0) == range{0x1000, 0x2000});
    CHECK(b.front.next_area(bar{0}, 4_KiB, 0x3000) == range{0x4000, 0xb000});
    CHECK_FALSE(b.front.mappable(bar{0}, {0x3000, 0x1000}));
    CHECK(b.front.mappable(bar{0}, {0x1000, 0x2000}));
}
