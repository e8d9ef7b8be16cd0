// SPDX-License-Identifier: BSD-3-Clause
// The log of written pages against a naive one: a set of bytes' pages.
#include <mediant/device/dirty_log.hpp>
#include <mediant/device/dma_map.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <set>
#include <thread>
#include <vector>

using namespace mediant;
using device::dirty_log;

namespace {

constexpr std::uint64_t top = ~std::uint64_t{0};

std::vector<std::uint64_t> reported(dirty_log& log, std::uint64_t iova, std::uint64_t length, std::uint64_t page) {
    std::vector<std::uint64_t> bits((length / page + 63) / 64, 0x5555);
    REQUIRE(log.report(iova, length, page, bits));
    return bits;
}
bool bit(const std::vector<std::uint64_t>& in, std::uint64_t i) { return (in[i / 64] >> (i % 64) & 1) != 0; }

} // namespace

TEST_CASE("dirty log: what it refuses") {
    dirty_log log;
    std::array<std::uint64_t, 1> bits{};
    CHECK(log.report(0, 0x1000, 0x1000, bits).error() == error::invalid); // nothing is logged
    CHECK(log.start(0, {}).error() == error::invalid);
    CHECK(log.start(0x3000, {}).error() == error::invalid);
    const auto refuses = [&](std::vector<range> ranges, error why) {
        CHECK(log.start(0x1000, ranges).error() == why);
        CHECK_FALSE(log.running());
    };
    refuses({{0, 0}}, error::invalid);
    refuses({{top - 0xfff, 0x1001}}, error::invalid);
    refuses({{0, 0x2000}, {0x1000, 0x2000}}, error::invalid);
    refuses({{0x1000, 0x1000}, {0, 0x5000}}, error::invalid);
    refuses({{0, top}}, error::too_big);
    refuses({{0, 1ull << 40}, {1ull << 41, 1ull << 40}, {1ull << 43, 1ull << 40}}, error::too_big);

    const std::vector<range> good{{0x4000, 0x4000}, {top - 0x3fff, 0x4000}};
    REQUIRE(log.start(0x1000, good));
    CHECK(log.page() == 0x1000);
    CHECK(log.report(0, 0, 0x1000, {}).error() == error::invalid);
    CHECK(log.report(0, 0x1000, 0x800, bits).error() == error::invalid);
    CHECK(log.report(0, 0x3000, 0x3000, bits).error() == error::invalid);
    CHECK(log.report(0x800, 0x1000, 0x1000, bits).error() == error::invalid);
    CHECK(log.report(0, 0x1800, 0x1000, bits).error() == error::invalid);
    CHECK(log.report(0, 65 * 0x1000, 0x1000, bits).error() == error::invalid); // needs two words
    CHECK(log.report(0x1000, ~std::uint64_t{0xfff}, 0x1000, bits).error() == error::invalid); // wraps
    CHECK(log.report(0, 64 * 0x1000, 0x1000, bits));
    log.stop();
    CHECK(log.report(0, 0x1000, 0x1000, bits).error() == error::invalid);
}

TEST_CASE("dirty log: a range that ends at the very top") {
    dirty_log log;
    const std::array all{range{top - 0x1fff, 0x2000}};
    REQUIRE(log.start(0x1000, all));
    log.mark(top, 1);
    log.mark(top - 0x3fff, 0x2001); // from before the range into it
    const auto bits = reported(log, top - 0xffff, 0x10000, 0x1000);
    CHECK(bits[0] == 0xc000);
    CHECK(reported(log, top - 0xffff, 0x10000, 0x1000)[0] == 0); // read once
}

TEST_CASE("dirty log: finer hints are tracked at 4 KiB, coarser ones as they are") {
    dirty_log log;
    const std::array all{range{0, 1 << 20}};
    REQUIRE(log.start(512, all));
    CHECK(log.page() == 4096);
    REQUIRE(log.start(65536, all));
    CHECK(log.page() == 65536);
    log.mark(0x1ffff, 1);
    CHECK(reported(log, 0, 1 << 20, 65536)[0] == 2);
}

TEST_CASE("dirty log: random writes and reports, as a naive log has them") {
    std::mt19937_64 random{20};
    const auto below = [&](std::uint64_t n) { return random() % n; };
    constexpr std::uint64_t space = 4 << 20; // 1024 pages
    for (int round = 0; round < 60; ++round) {
        dirty_log log;
        const std::uint64_t tracked = 4096u << below(3);
        std::vector<range> ranges;
        for (std::uint64_t at = below(50) * 4096; at < space;) {
            const std::uint64_t size = (1 + below(200)) * 4096;
            if (at + size <= space) ranges.push_back({at, size});
            at += size + below(90) * 4096;
        }
        if (ranges.empty() || round % 5 == 0) ranges = {{0, space}};
        // Ranges that begin and end within a tracked page have that page whole: keep them apart.
        if (tracked != 4096) ranges = {ranges.front()};
        std::shuffle(ranges.begin(), ranges.end(), random);
        REQUIRE(log.start(tracked, ranges));
        std::set<std::uint64_t> written; // 4 KiB pages, as far as a range covers them
        for (int step = 0; step < 400; ++step) {
            if (below(4) != 0) {
                const std::uint64_t at = below(space), size = 1 + below(std::min<std::uint64_t>(space - at, 3 * 65536));
                log.mark(at, size);
                for (std::uint64_t page = at / 4096; page <= (at + size - 1) / 4096; ++page) {
                    for (const range& each : ranges)
                        if (page * 4096 >= each.offset && page * 4096 < each.end()) written.insert(page);
                }
                continue;
            }
            const std::uint64_t page = tracked << below(4);
            const std::uint64_t iova = below(space / page) * page;
            const std::uint64_t length = (1 + below((space - iova) / page)) * page;
            const auto bits = reported(log, iova, length, page);
            for (std::uint64_t i = 0; i < bits.size() * 64; ++i) {
                bool expected = false;
                if (i < length / page) {
                    // At the tracked page: marks of one spread over all of it.
                    const std::uint64_t first = (iova + i * page) / 4096, last = first + page / 4096;
                    for (auto it = written.lower_bound(first); it != written.end() && *it < last; ++it) expected = true;
                }
                if (bit(bits, i) != expected) {
                    CAPTURE(round, step, i, page, iova, length, tracked);
                    CHECK(bit(bits, i) == expected);
                    return;
                }
            }
            written.erase(written.lower_bound(iova / 4096), written.lower_bound((iova + length) / 4096));
        }
    }
}

TEST_CASE("dirty log: without ranges it covers what is mapped, and what comes later") {
    device::dma_map dma;
    std::vector<std::byte> memory(0x4000);
    REQUIRE(dma.map({0x10000, 0x2000, true, true, std::span{memory}.first(0x2000)}));
    const auto page = dma.start_logging(0x1000, {});
    REQUIRE(page);
    CHECK(*page == 0x1000);
    REQUIRE(dma.map({0x12000, 0x2000, true, true, std::span{memory}.last(0x2000)}));
    const std::array<std::byte, 0x1000> some{};
    CHECK(dma.write(0x11800, some).count == some.size()); // across both
    CHECK(dma.translate(0x13000, 1, device::dma_map::direction::write));
    CHECK(dma.translate(0x10000, 1, device::dma_map::direction::read));
    // What was unmapped was written all the same; and mapped again it is no conflict.
    REQUIRE(dma.unmap({0x12000, 0x2000}));
    REQUIRE(dma.map({0x11000 + 0x1000, 0x2000, true, true, std::span{memory}.last(0x2000)}));
    CHECK(reported(dma.log(), 0x10000, 0x4000, 0x1000)[0] == 0b1110);
    REQUIRE(dma.unmap({0x10000, 0x2000}));
    REQUIRE(dma.unmap({0x12000, 0x2000}));
    REQUIRE(dma.map({0xf000, 0x4000, true, true, memory})); // around what is covered
    CHECK(dma.write(0xf000, std::span{some}.first(1)).count == 1);
    CHECK(dma.write(0x12fff, std::span{some}.first(1)).count == 1);
    CHECK(reported(dma.log(), 0xf000, 0x5000, 0x1000)[0] == 0b01001);
    dma.clear();
    CHECK_FALSE(dma.log().running());
}

TEST_CASE("dirty log: what is written as hardware writes is logged only by who says it") {
    device::dma_map dma;
    std::vector<std::byte> memory(0x4000);
    REQUIRE(dma.map({0x10000, 0x4000, true, true, memory}));
    REQUIRE(dma.start_logging(0x1000, {}));
    const std::array<std::byte, 2> some{std::byte{1}, std::byte{2}};
    CHECK(dma.write_unlogged(0x10fff, some) == answer{2});
    CHECK(memory[0xfff] == std::byte{1});
    CHECK(memory[0x1000] == std::byte{2});
    CHECK(reported(dma.log(), 0x10000, 0x4000, 0x1000)[0] == 0);
    dma.log().mark(0x10fff, 2);
    CHECK(reported(dma.log(), 0x10000, 0x4000, 0x1000)[0] == 0b11);
    CHECK(dma.write_unlogged(0x13fff, some) == answer{1, error::fault});
}

TEST_CASE("dirty log: no mark is lost between threads that write and one that reports") {
    dirty_log log;
    constexpr std::uint64_t pages = 256;
    const std::array all{range{0, pages * 4096}};
    REQUIRE(log.start(4096, all));
    std::array<std::atomic<std::uint32_t>, pages> wrote{}; // what the device's memory says
    std::atomic<bool> over{false};
    std::vector<std::thread> writers;
    for (unsigned t = 0; t < 3; ++t) {
        writers.emplace_back([&, t] {
            std::mt19937 random{t};
            while (!over) {
                const auto page = random() % pages;
                wrote[page].fetch_add(1); // first the memory, then the mark
                log.mark(page * 4096, 1);
            }
        });
    }
    // A copy that takes what is reported must end up the same.
    std::array<std::uint32_t, pages> copy{};
    const auto harvest = [&] {
        const auto bits = reported(log, 0, pages * 4096, 4096);
        for (std::uint64_t i = 0; i < pages; ++i)
            if (bit(bits, i)) copy[i] = wrote[i].load();
    };
    for (int i = 0; i < 3000; ++i) harvest();
    over = true;
    for (auto& each : writers) each.join();
    harvest();
    for (std::uint64_t i = 0; i < pages; ++i) CHECK(copy[i] == wrote[i].load());
}

TEST_CASE("dirty log: a terabyte that nobody writes costs no memory") {
    dirty_log log;
    const std::array all{range{0, 1ull << 40}};
    REQUIRE(log.start(4096, all));
    log.mark((1ull << 40) - 1, 1);
    std::vector<std::uint64_t> bits(1);
    REQUIRE(log.report((1ull << 40) - 64 * 4096, 64 * 4096, 4096, bits));
    CHECK(bits[0] == 1ull << 63);
}
