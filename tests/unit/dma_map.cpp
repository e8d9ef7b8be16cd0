// SPDX-License-Identifier: BSD-3-Clause
#include <mediant/device/dma_map.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

using namespace mediant;
using device::dma_map;
using direction = dma_map::direction;

namespace {

map_dma region(std::uint64_t iova, std::uint64_t size, std::span<std::byte> memory = {}, bool readable = true,
               bool writable = true) {
    return {iova, size, readable, writable, memory};
}

} // namespace

TEST_CASE("dma_map refuses what is empty, wraps, overlaps or has another size") {
    dma_map map;
    std::array<std::byte, 16> memory{};
    CHECK(map.map(region(0, 0)).error() == error::invalid);
    CHECK(map.map(region(~0ull - 4, 16)).error() == error::invalid);
    CHECK(map.map(region(0x1000, 8, memory)).error() == error::invalid);

    REQUIRE(map.map(region(0x2000, 0x1000)));
    CHECK(map.map(region(0x2000, 0x1000)).error() == error::exists);
    CHECK(map.map(region(0x1fff, 2)).error() == error::exists);
    CHECK(map.map(region(0x2fff, 1)).error() == error::exists);
    CHECK(map.map(region(0x1000, 0x8000)).error() == error::exists);
    CHECK(map.map(region(0, ~0ull)).error() == error::exists);
    CHECK(map.map(region(0x1000, 0x1000)));
    CHECK(map.map(region(0x3000, 0x1000)));
    CHECK(map.map(region(~0ull - 0xfff, 0x1000))); // ends at the very top
    CHECK(map.size() == 4);
}

TEST_CASE("dma_map unmaps exactly what was mapped") {
    dma_map map;
    REQUIRE(map.map(region(0x1000, 0x1000)));
    REQUIRE(map.map(region(0x2000, 0x1000)));
    CHECK(map.unmap({0x1000, 0x2000}).error() == error::not_found);
    CHECK(map.unmap({0x1000, 0x800}).error() == error::not_found);
    CHECK(map.unmap({0x1800, 0x800}).error() == error::not_found);
    CHECK(map.unmap({0x5000, 0x1000}).error() == error::not_found);
    CHECK(map.unmap({0x1000, 0x1000}));
    CHECK(map.unmap({0x1000, 0x1000}).error() == error::not_found);
    CHECK(map.unmap({0x2000, 0x1000}));
    CHECK(map.size() == 0);
}

TEST_CASE("dma_map translates within one region") {
    std::vector<std::byte> memory(0x1000);
    dma_map map;
    REQUIRE(map.map(region(0x1000, 0x1000, memory)));
    REQUIRE(map.map(region(0x8000, 0x1000, {})));
    std::vector<std::byte> fixed(0x1000);
    REQUIRE(map.map(region(0x9000, 0x1000, fixed, true, false)));

    const auto found = map.translate(0x1010, 16, direction::both);
    REQUIRE(found);
    CHECK(found->data() == memory.data() + 0x10);
    CHECK(found->size() == 16);
    CHECK(map.translate(0x1fff, 1, direction::read));
    CHECK(map.translate(0x1fff, 2, direction::read).error() == error::fault);
    CHECK(map.translate(0xfff, 2, direction::read).error() == error::fault);
    CHECK(map.translate(0x1000, ~0ull, direction::read).error() == error::fault);
    CHECK(map.translate(0x8000, 1, direction::read).error() == error::not_supported);
    CHECK(map.translate(0x9000, 1, direction::write).error() == error::denied);
    CHECK(map.translate(0x9000, 1, direction::both).error() == error::denied);
    CHECK(map.translate(0x9000, 1, direction::read));
    REQUIRE(map.unmap({0x1000, 0x1000}));
    CHECK(map.translate(0x1010, 16, direction::both).error() == error::fault);
}

TEST_CASE("dma_map copies across regions that touch and stops at a hole") {
    std::vector<std::byte> first(0x1000), second(0x1000);
    dma_map map;
    REQUIRE(map.map(region(0x1000, 0x1000, first)));
    REQUIRE(map.map(region(0x2000, 0x1000, second)));
    std::vector<std::byte> data(0x1800);
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i * 7);

    CHECK(map.write(0x1400, data) == answer{0x1800, error::none});
    CHECK(first[0x400] == data[0]);
    CHECK(second[0] == data[0xc00]);
    std::vector<std::byte> back(0x1800);
    CHECK(map.read(0x1400, back) == answer{0x1800, error::none});
    CHECK(back == data);
    CHECK(map.read(0x2800, back) == answer{0x800, error::fault});
    CHECK(map.read(0x3000, back) == answer{0, error::fault});

    std::vector<std::byte> top(0x1000);
    REQUIRE(map.map(region(~0ull - 0xfff, 0x1000, top)));
    REQUIRE(map.map(region(0, 0x1000)));
    CHECK(map.read(~0ull - 7, back) == answer{8, error::fault}); // does not go on at zero
}

TEST_CASE("dma_map finds each of many regions") {
    std::vector<std::byte> memory(4096 * 512);
    dma_map map;
    for (std::size_t i = 0; i < 512; ++i) { // a page each, every other page of the address space, out of order
        const std::size_t at = i * 181 % 512;
        REQUIRE(map.map(region(at * 8192, 4096, {memory.data() + at * 4096, 4096})));
    }
    for (std::size_t i = 0; i < 512; ++i) {
        const auto found = map.translate(i * 8192 + 5, 4, direction::both);
        REQUIRE(found);
        CHECK(found->data() == memory.data() + i * 4096 + 5);
        CHECK_FALSE(map.translate(i * 8192 + 4096, 1, direction::both));
    }
}
