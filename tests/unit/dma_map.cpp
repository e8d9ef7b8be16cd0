// SPDX-License-Identifier: BSD-3-Clause
#include <mediant/device/dma_map.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <utility>
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

TEST_CASE("dma_map finds the region of any address, however sizes and gaps differ") {
    // As guests have it: little ones below, memory on both sides of the hole, and then of all sizes, up to the top.
    std::vector<std::byte> memory(1);
    std::mt19937_64 random{7};
    for (int layout = 0; layout < 60; ++layout) {
        dma_map map;
        std::vector<std::pair<std::uint64_t, std::uint64_t>> known; // first and last
        const auto holds = [&](std::uint64_t at) {
            return std::any_of(known.begin(), known.end(), [&](auto& r) { return r.first <= at && at <= r.second; });
        };
        const auto check_around = [&](std::uint64_t at) {
            for (const std::uint64_t near : {at - 1, at, at + 1}) {
                const bool found = map.translate(near, 1, direction::read).error() == error::not_supported;
                if (found != holds(near)) FAIL("layout " << layout << " at " << std::hex << near);
                std::byte one{};
                CHECK(map.read(near, {&one, 1}).error == (found ? error::not_supported : error::fault));
            }
        };
        for (int step = 0; step < 200; ++step) {
            const std::uint64_t size = std::uint64_t{4096} << random() % (layout % 3 == 0 ? 2 : 50);
            const std::uint64_t iova = random() >> random() % 64 & ~std::uint64_t{4095};
            const std::uint64_t last = iova + (size - 1);
            const bool good = last >= iova && std::none_of(known.begin(), known.end(), [&](auto& r) {
                                  return r.first <= last && iova <= r.second;
                              });
            const auto mapped = map.map(region(iova, size));
            if (mapped.has_value() != good) FAIL("layout " << layout << ", step " << step);
            if (good) known.emplace_back(iova, last);
            if (!known.empty() && random() % 4 == 0) {
                const std::size_t which = random() % known.size();
                const auto gone = known[which];
                REQUIRE(map.unmap({gone.first, gone.second - gone.first + 1}));
                known.erase(known.begin() + static_cast<std::ptrdiff_t>(which));
                check_around(gone.first);
                check_around(gone.second);
            }
            if (step % 10 != 0) continue;
            for (const auto& each : known) {
                check_around(each.first);
                check_around(each.second);
                check_around(each.first + (each.second - each.first) / 2);
            }
            check_around(random());
        }
        CHECK(map.size() == known.size());
    }
}

TEST_CASE("dma_map translates across regions that touch, without a copy") {
    std::vector<std::byte> first(0x1000), second(0x1000);
    dma_map map;
    REQUIRE(map.map(region(0x1000, 0x1000, first)));
    REQUIRE(map.map(region(0x2000, 0x1000, second, true, false)));
    REQUIRE(map.map(region(0x3000, 0x1000)));
    std::array<std::span<std::byte>, 2> spans;
    const auto two = map.translate(0x1800, 0x1000, direction::read, spans);
    REQUIRE(two);
    CHECK(*two == 2);
    CHECK((spans[0].data() == first.data() + 0x800 && spans[0].size() == 0x800));
    CHECK((spans[1].data() == second.data() && spans[1].size() == 0x800));
    const auto one = map.translate(0x1800, 0x800, direction::both, spans);
    REQUIRE(one);
    CHECK(*one == 1);
    CHECK(*map.translate(0x1800, 0, direction::read, spans) == 0);

    CHECK(map.translate(0x1800, 0x1000, direction::read, std::span{spans}.first(1)).error() == error::too_big);
    CHECK(map.translate(0x1800, 0x1000, direction::write, spans).error() == error::denied);
    CHECK(map.translate(0x2800, 0x1000, direction::read, spans).error() == error::not_supported);
    CHECK(map.translate(0x800, 0x1000, direction::read, spans).error() == error::fault);
    std::vector<std::byte> top(0x1000);
    REQUIRE(map.map(region(~0ull - 0xfff, 0x1000, top)));
    REQUIRE(map.map(region(0, 0x1000, top)));
    CHECK(map.translate(~0ull - 7, 16, direction::read, spans).error() == error::fault); // does not go on at zero
}

TEST_CASE("dma_map: a lease keeps its region") {
    std::vector<std::byte> memory(0x1000);
    dma_map map;
    map.set_patience(std::chrono::milliseconds{20});
    REQUIRE(map.map(region(0x1000, 0x1000, memory)));
    REQUIRE(map.map(region(0x2000, 0x1000, memory, true, false)));
    REQUIRE(map.map(region(0x3000, 0x1000)));
    CHECK(map.lease(0xfff, 2, direction::read).error() == error::fault);
    CHECK(map.lease(0x1fff, 2, direction::read).error() == error::fault);
    CHECK(map.lease(0x2000, 1, direction::write).error() == error::denied);
    CHECK(map.lease(0x3000, 1, direction::read).error() == error::not_supported);
    // What was refused holds nothing.
    CHECK(map.unmap({0x2000, 0x1000}));
    CHECK(map.unmap({0x3000, 0x1000}));

    auto got = map.lease(0x1800, 16, direction::both);
    REQUIRE(got);
    device::dma_lease lease = std::move(*got);
    CHECK(lease.bytes().data() == memory.data() + 0x800);
    CHECK(lease.bytes().size() == 16);
    device::dma_lease other = std::move(lease);
    map.set_patience(std::chrono::milliseconds{1});
    auto told = map.unmap({0x1000, 0x1000});
    CHECK(told.error() == error::again);
    CHECK(map.lease(0x1000, 1, direction::read).error() == error::fault); // no new ones meanwhile
    while (told.error() == error::again) told = map.unmap({0x1000, 0x1000});
    CHECK(told.error() == error::busy);
    CHECK(map.translate(0x1000, 1, direction::read)); // as it was
    CHECK(map.lease(0x1000, 1, direction::read));
    CHECK(map.unmap({0x1000, 0x1000}).error() == error::again); // it has as much time as before
    other = {};
    CHECK(map.unmap({0x1000, 0x1000}));
    CHECK(map.size() == 0);
}

TEST_CASE("dma_map: a lease that is written counts as written when it begins and when it ends") {
    std::vector<std::byte> memory(0x4000);
    dma_map map;
    REQUIRE(map.map(region(0, 0x4000, memory)));
    const auto dirty = [&] {
        std::uint64_t word = 0;
        REQUIRE(map.log().report(0, 0x4000, 0x1000, {&word, 1}));
        return word;
    };
    {
        const auto before = map.lease(0x3000, 1, direction::write);
        REQUIRE(map.start_logging(0x1000, {}));
        CHECK(dirty() == 0);
    }
    CHECK(dirty() == 0x8);
    {
        const auto writes = map.lease(0x1000, 0x1001, direction::write);
        const auto reads = map.lease(0, 0x1000, direction::read);
        CHECK(dirty() == 0x6);
        CHECK(dirty() == 0);
    }
    CHECK(dirty() == 0x6);
    std::array<std::span<std::byte>, 1> spans;
    REQUIRE(map.translate(0x3000, 1, direction::both, spans));
    CHECK(dirty() == 0x8);
    REQUIRE(map.translate(0x3000, 1, direction::read, spans));
    CHECK(dirty() == 0);
}
