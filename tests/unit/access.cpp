// SPDX-License-Identifier: BSD-3-Clause
#include "recorder.hpp"

#include <mediant/core/access.hpp>
#include <mediant/core/little_endian.hpp>
#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <cstdint>
#include <limits>

using namespace mediant;
using namespace mediant::test;

namespace {
constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
}

TEST_CASE("fits never overflows") {
    CHECK(fits(0, 0, 0));
    CHECK(fits(0, 16, 16));
    CHECK(fits(16, 0, 16));
    CHECK(fits(15, 1, 16));
    CHECK_FALSE(fits(15, 2, 16));
    CHECK_FALSE(fits(17, 0, 16));
    CHECK_FALSE(fits(most, 1, 16));
    CHECK_FALSE(fits(most, most, 16));
    CHECK_FALSE(fits(1, most, most));
    CHECK_FALSE(fits(8, most - 4, 16));
    CHECK(fits(0, most, most));
    CHECK(fits(most, 0, most));
}

TEST_CASE("a range contains its bytes and nothing else") {
    constexpr range r{0x10, 0x10};
    CHECK_FALSE(r.contains(0xf));
    CHECK(r.contains(0x10));
    CHECK(r.contains(0x1f));
    CHECK_FALSE(r.contains(0x20));
    CHECK_FALSE(range{}.contains(0));
    CHECK(range{}.empty());
    CHECK(range{most - 1, 1}.contains(most - 1));
    CHECK_FALSE(range{most - 1, 1}.contains(most));
    CHECK_FALSE(range{4, most}.contains(3));
}

TEST_CASE("regions are numbered as in linux/vfio.h") {
    CHECK(static_cast<unsigned>(region_index{bar{0}}) == 0);
    CHECK(static_cast<unsigned>(region_index{bar{5}}) == 5);
    CHECK(static_cast<unsigned>(region_index::rom) == 6);
    CHECK(static_cast<unsigned>(region_index::config) == 7);
    CHECK(static_cast<unsigned>(region_index::vga) == 8);
    CHECK(fixed_regions == 9);
}

TEST_CASE("a part of an access starts where it says") {
    bytes data(8);
    const read_access whole{bar{2}, 0x100, data};
    const read_access part = whole.part(3, 4);
    CHECK(part.region == bar{2});
    CHECK(part.offset == 0x103);
    CHECK(part.bytes.data() == data.data() + 3);
    CHECK(part.bytes.size() == 4);
}

TEST_CASE("little-endian values of every width") {
    for (unsigned width = 1; width <= 8; ++width) {
        bytes data(width + 1, std::byte{0xee});
        store_little(std::span{data}.first(width), 0x1122334455667788);
        CHECK(value_of(bytes(data.begin(), data.begin() + width)) == (0x1122334455667788 & low_bytes(width)));
        CHECK(data[width] == std::byte{0xee});
        CHECK(load_little(std::span{data}.first(width)) == (0x1122334455667788 & low_bytes(width)));
    }
    CHECK(low_bytes(1) == 0xff);
    CHECK(low_bytes(3) == 0xffffff);
    CHECK(low_bytes(8) == most);
}

TEST_CASE("the front clamps at the region's end as read(2) does") {
    bench<stack<recorder>> b{64};

    SECTION("an access that ends past the end is cut") {
        const auto got = b.read(60, 8);
        CHECK(got.done == answer{4});
        CHECK(got.value() == (0xccccccccull << 32 | initial_value(60, 4)));
        CHECK(b.device.happened() == events{load(60, 4)});
        CHECK(b.write(62, 0x11223344, 4) == answer{2});
        CHECK(b.device.happened() == events{store(62, 2, 0x3344)});
    }
    SECTION("an access that starts at or past the end is refused") {
        for (const std::uint64_t offset : {std::uint64_t{64}, std::uint64_t{65}, std::uint64_t{1} << 32, most - 3, most}) {
            CHECK(b.read(offset, 4).done == answer{0, error::invalid});
            CHECK(b.write(offset, 0, 4) == answer{0, error::invalid});
        }
        CHECK(b.device.happened().empty());
    }
    SECTION("a region that the device does not have is refused") {
        for (const auto region : {region_index{bar{1}}, region_index::rom, region_index::first_device_region,
                                  region_index{0xffffffff}}) {
            CHECK(b.read(0, 4, region).done == answer{0, error::invalid});
            CHECK(b.write(0, bytes(4), region) == answer{0, error::invalid});
        }
        CHECK(b.device.happened().empty());
    }
    SECTION("an access of no bytes does nothing, wherever it points: vfio-pci answers 0 before it looks") {
        for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{3}, std::uint64_t{63}, std::uint64_t{64}, most}) {
            CHECK(b.read(offset, 0).done == answer{0});
            CHECK(b.write(offset, bytes{}) == answer{0});
        }
        CHECK(b.device.happened().empty());
    }
}
