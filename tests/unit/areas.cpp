// SPDX-License-Identifier: BSD-3-Clause
#include "recorder.hpp"

#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <cstdint>
#include <limits>
#include <vector>

using namespace mediant;
using namespace mediant::test;

namespace {

constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();

struct outer {
    static constexpr auto bar0 = region_map{bar{0}, 256_KiB, reg{"A", 0x0ffc, ro}, reg{"B", 0x10000, rw, {.hook = on::read}},
                                            reg{"NAMED", 0x8000}};
    static constexpr auto regions = mediant::regions<bar0>{};
    result<std::uint32_t> read(at<bar0, "B">, auto&) { return 0u; }
};
struct inner {
    static constexpr auto bar0 = region_map{bar{0}, 256_KiB, hide{"C", 0x13001, 1}, block{"D", 0x30000, 0x10000, {.kind = ro}}};
    static constexpr auto bar2 = region_map{bar{2}, 64_KiB, block{"ALL", 0, 64_KiB, {.backing = from::shadow}}};
    static constexpr auto regions = mediant::regions<bar0, bar2>{};
};

template <class Stack>
std::vector<range> areas(const Stack& s, region_index region, std::uint64_t page_size) {
    std::vector<range> out;
    for (std::uint64_t from = 0;;) {
        const range area = s.next_area(region, page_size, from);
        if (area.empty()) return out;
        out.push_back(area);
        from = area.end();
    }
}

struct mapped : bench<stack<recorder, outer, inner>> {
    mapped() : bench{256 << 10, 4, {{bar{1}, 64 << 10}, {bar{2}, 64 << 10}, {bar{3}, 256}}} {}
};

} // namespace

TEST_CASE("what any layer traps cannot be mapped, at 4, 16 and 64 KiB pages") {
    mapped b;
    CHECK(areas(b.front, bar{0}, 4_KiB) ==
          std::vector<range>{{0x1000, 0xf000}, {0x11000, 0x2000}, {0x14000, 0x1c000}});
    CHECK(areas(b.front, bar{0}, 16_KiB) == std::vector<range>{{0x4000, 0xc000}, {0x14000, 0x1c000}});
    CHECK(areas(b.front, bar{0}, 64_KiB) == std::vector<range>{{0x20000, 0x10000}});
}

TEST_CASE("a region that traps nothing is one area") {
    mapped b;
    CHECK(areas(b.front, bar{1}, 4_KiB) == std::vector<range>{{0, 64_KiB}});
    CHECK(areas(b.front, bar{1}, 64_KiB) == std::vector<range>{{0, 64_KiB}});
    SECTION("also where there is no policy") {
        bench<stack<recorder>> bare{64 << 10};
        CHECK(areas(bare.front, bar{0}, 4_KiB) == std::vector<range>{{0, 64_KiB}});
        CHECK(bare.front.mappable(bar{0}, {0, 64_KiB}));
    }
}

TEST_CASE("a region that traps everything, that is smaller than a page, or that is not there has no area") {
    mapped b;
    CHECK(areas(b.front, bar{2}, 4_KiB).empty());
    CHECK(areas(b.front, bar{3}, 4_KiB).empty());
    CHECK(areas(b.front, bar{4}, 4_KiB).empty());
    CHECK(areas(b.front, region_index{77}, 4_KiB).empty());
    CHECK(areas(b.front, region_index{0xffffffff}, 4_KiB).empty());
}

TEST_CASE("region info says mmap only where something can be mapped") {
    mapped b;
    const auto flags = [&](region_index region) { return b.front.ioctl(get_region_info{region})->flags; };
    CHECK(has(flags(bar{0}), region_flags::mmap));
    CHECK(has(flags(bar{1}), region_flags::mmap));
    CHECK_FALSE(has(flags(bar{2}), region_flags::mmap));
    CHECK(has(flags(bar{2}), region_flags::read | region_flags::write));
    CHECK(flags(bar{4}) == region_flags::none);
    CHECK(b.front.ioctl(get_region_info{bar{2}})->size == 64_KiB);
}

TEST_CASE("mappable answers for every page as the areas do") {
    mapped b;
    for (const std::uint64_t page_size : {4_KiB, 16_KiB, 64_KiB}) {
        const std::vector<range> open = areas(b.front, bar{0}, page_size);
        for (std::uint64_t offset = 0; offset < 256_KiB; offset += page_size)
            for (std::uint64_t size = page_size; offset + size <= 256_KiB; size += page_size) {
                bool expected = false;
                for (const range& area : open) expected |= area.offset <= offset && offset + size <= area.end();
                if (b.front.mappable(bar{0}, {offset, size}, page_size) != expected) {
                    CAPTURE(page_size, offset, size);
                    CHECK(b.front.mappable(bar{0}, {offset, size}, page_size) == expected);
                }
            }
    }
}

TEST_CASE("mappable at hostile places") {
    mapped b;
    CHECK_FALSE(b.front.mappable(bar{0}, {0x1000, 0}));
    CHECK_FALSE(b.front.mappable(bar{1}, {0, most}));
    CHECK_FALSE(b.front.mappable(bar{1}, {most, most}));
    CHECK_FALSE(b.front.mappable(bar{1}, {most, 1}));
    CHECK_FALSE(b.front.mappable(bar{1}, {0x1000, most - 0xfff}));
    CHECK_FALSE(b.front.mappable(bar{1}, {most - 0xfff, 0x1000}));
    CHECK_FALSE(b.front.mappable(bar{1}, {0xf000, 0x2000}));
    CHECK_FALSE(b.front.mappable(region_index{0xffffffff}, {0, 0x1000}));
    CHECK(b.front.mappable(bar{1}, {0xf000, 0x1000}));
    for (const std::uint64_t from : {64_KiB, 64_KiB + 1, most - 0x1000, most - 1, most})
        CHECK(b.front.next_area(bar{1}, 4_KiB, from).empty());
}

TEST_CASE("mapping asks no device and calls no hook") {
    mapped b;
    b.device.seen.clear();
    static_cast<void>(areas(b.front, bar{0}, 4_KiB));
    static_cast<void>(b.front.mappable(bar{0}, {0, 4_KiB}));
    CHECK(b.device.happened().empty());
}

TEST_CASE("areas end with the region that the device has, where it is larger than the map says; a smaller is declined") {
    bench<stack<recorder, outer>> large{512 << 10};
    CHECK(areas(large.front, bar{0}, 4_KiB) == std::vector<range>{{0x1000, 0xf000}, {0x11000, 0x6f000}});
    recorder small{(256 << 10) - 1};
    stack<recorder, outer> front{small};
    CHECK(front.open().error() == error::no_device);
    CHECK(small.opened == 1);
    CHECK(small.released == 1);
    small.add(bar{0}, 1);
    CHECK(front.open());
    stack<recorder, outer, inner> without_bar2{small};
    CHECK(without_bar2.open().error() == error::no_device);
}
