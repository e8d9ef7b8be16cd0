// SPDX-License-Identifier: BSD-3-Clause
// DMA by threads of a device's own, while the one that serves it maps, unmaps and logs.
#include <mediant/device/dma_map.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <span>
#include <thread>
#include <vector>

using namespace mediant;
using device::dma_map;
using direction = dma_map::direction;

namespace {

constexpr std::uint64_t page = 4096;

std::atomic_ref<std::uint64_t> word(std::span<std::byte> memory, std::size_t at) {
    return std::atomic_ref{*reinterpret_cast<std::uint64_t*>(memory.data() + at)};
}

/// Memory that is aligned as pages are.
class pages {
public:
    explicit pages(std::size_t count) : words_(count * page / 8) {}
    [[nodiscard]] std::span<std::byte> of(std::size_t first, std::size_t count) {
        return std::as_writable_bytes(std::span{words_}).subspan(first * page, count * page);
    }

private:
    std::vector<std::uint64_t> words_;
};

/// Threads that do something until they are to stop.
template <class F>
class workers {
public:
    workers(int count, F what) : what_{what} {
        for (int i = 0; i < count; ++i)
            threads_.emplace_back([this, i] {
                for (std::uint64_t turn = 0; !stop_.load(std::memory_order_relaxed); ++turn) what_(i, turn);
            });
    }
    ~workers() { join(); }
    void join() {
        stop_.store(true);
        for (auto& each : threads_) each.join();
        threads_.clear();
    }

private:
    F what_;
    std::atomic<bool> stop_{false};
    std::vector<std::thread> threads_;
};

/// Asks until nobody uses it.
result<void> unmapped(dma_map& map, const unmap_dma& what) {
    for (;;) {
        const auto told = map.unmap(what);
        if (told.error() != error::again) return told;
        std::this_thread::yield();
    }
}

} // namespace

TEST_CASE("dma threads: nobody touches memory that was unmapped") {
    // A new piece of memory each time, which says whose it is while it is mapped, and is overwritten when it is not.
    // It goes on at several addresses, so that regions are used again for others.
    dma_map map;
    map.set_patience(std::chrono::minutes{1}); // on a busy machine
    constexpr std::uint64_t addresses = 6;
    std::atomic<std::uint64_t> hits{0};
    std::atomic<bool> wrong{false};
    workers readers{3, [&](int who, std::uint64_t turn) {
                        const std::uint64_t at = (turn * 5 + static_cast<std::uint64_t>(who)) % addresses;
                        const std::uint64_t iova = at * 0x10'0000;
                        if (turn % 3 == 0) {
                            std::uint64_t owner = 0;
                            const auto done = map.read(iova + 8, std::as_writable_bytes(std::span{&owner, 1}));
                            if (done.count == 8 && owner != at + 1) wrong = true;
                            return;
                        }
                        const auto lease = map.lease(iova, page, direction::both);
                        if (!lease) return;
                        ++hits;
                        if (word(lease->bytes(), 8).load(std::memory_order_relaxed) != at + 1) wrong = true;
                    }};
    std::mt19937 random{3};
    std::array<std::unique_ptr<pages>, addresses> mapped;
    std::uint64_t changes = 0;
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{20}; // far more than it takes
    while ((changes < 1500 || hits < 1000) && std::chrono::steady_clock::now() < until) {
        const std::uint64_t at = random() % addresses;
        if (mapped[at] == nullptr) {
            mapped[at] = std::make_unique<pages>(1);
            const auto memory = mapped[at]->of(0, 1);
            const std::uint64_t owner = at + 1;
            std::memcpy(memory.data() + 8, &owner, sizeof owner);
            REQUIRE(map.map({at * 0x10'0000, page, true, true, memory}));
        } else {
            REQUIRE(unmapped(map, {at * 0x10'0000, page}));
            // Plain writes, and then it is gone: a race with whoever has it still.
            std::memset(mapped[at]->of(0, 1).data(), 0xee, page);
            mapped[at].reset();
        }
        ++changes;
        if (changes % 64 == 0) std::this_thread::yield();
    }
    readers.join();
    CHECK_FALSE(wrong);
    CHECK(changes >= 1500);
    CHECK(hits >= 1000);
}

TEST_CASE("dma threads: what stays mapped is found, whatever comes and goes beside it") {
    pages memory{64};
    dma_map map;
    map.set_patience(std::chrono::minutes{1});
    for (std::uint64_t i = 0; i < 32; ++i) REQUIRE(map.map({i * 0x4000, page, true, true, memory.of(i, 1)}));
    std::atomic<std::uint64_t> lost{0};
    std::atomic<std::uint64_t> found{0};
    workers readers{2, [&](int, std::uint64_t turn) {
                        std::byte byte{};
                        const auto came = map.read(turn % 32 * 0x4000 + turn % page, {&byte, 1});
                        ++(came.count == 1 ? found : lost);
                    }};
    std::uint64_t changes = 0;
    for (; changes < 1000 || found < 10'000; ++changes) {
        // From below all others to above them, so that the whole table moves.
        const std::uint64_t iova = changes % 3 == 0 ? 0x2000 : changes % 3 == 1 ? 0x100'0000'0000 : 0x4'2000;
        const std::uint64_t count = changes % 40 == 0 ? 200 : 1; // now and then a larger table
        for (std::uint64_t i = 0; i < count; ++i)
            REQUIRE(map.map({iova + (i != 0 ? 0x1'0000'0000 + i * page : 0), page, true, true, memory.of(40, 1)}));
        for (std::uint64_t i = 0; i < count; ++i)
            REQUIRE(unmapped(map, {iova + (i != 0 ? 0x1'0000'0000 + i * page : 0), page}));
    }
    readers.join();
    CHECK(lost == 0);
}

TEST_CASE("dma threads: unmap succeeds when no other thread has a lease, and the end waits for all") {
    pages memory{2};
    dma_map map;
    map.set_patience(std::chrono::minutes{1});
    REQUIRE(map.map({0, page, true, true, memory.of(0, 1)}));
    REQUIRE(map.map({page, page, true, true, memory.of(1, 1)}));
    for (const bool end : {false, true}) {
        std::atomic<bool> leased{false};
        std::atomic<bool> gone{false};
        bool early = false;
        std::thread other{[&] {
            const auto lease = map.lease(end ? page : 0, 8, direction::both);
            leased = lease.has_value();
            for (int i = 0; i < 20; ++i) {
                std::this_thread::sleep_for(std::chrono::milliseconds{1});
                early |= gone.load();
                *lease->bytes().data() = std::byte{1};
            }
        }};
        while (!leased) std::this_thread::yield();
        if (end)
            map.clear();
        else
            REQUIRE(unmapped(map, {0, page}));
        gone = true;
        *memory.of(end ? 1 : 0, 1).data() = std::byte{2};
        other.join();
        CHECK_FALSE(early);
        CHECK(*memory.of(end ? 1 : 0, 1).data() == std::byte{2});
    }
    CHECK(map.size() == 0);
}

TEST_CASE("dma threads: a copy that follows the log ends up equal to the memory") {
    // As a migration does it: log, copy all, then what the log names, until the device stands still.
    constexpr std::size_t count = 96;
    for (const bool by_lease : {true, false}) {
        pages memory{count}, copy{count};
        dma_map map;
        REQUIRE(map.map({0x10'0000, count / 2 * page, true, true, memory.of(0, count / 2)}));
        REQUIRE(map.map({0x10'0000 + count / 2 * page, count / 2 * page, true, true, memory.of(count / 2, count / 2)}));
        std::atomic<std::uint64_t> writes{0};
        workers writers{3, [&](int who, std::uint64_t turn) {
                            const std::uint64_t value = turn + 1;
                            const std::uint64_t slot = (turn * 7919 + static_cast<std::uint64_t>(who)) % count;
                            const std::uint64_t iova = 0x10'0000 + slot * page + static_cast<unsigned>(who) * 64;
                            if (by_lease) {
                                const auto lease = map.lease(iova, 8, direction::write);
                                if (turn % 16 == 0) std::this_thread::yield();
                                word(lease->bytes(), 0).store(value, std::memory_order_relaxed);
                            } else {
                                // Marked by hand, since the copy below reads while this writes.
                                const auto lease = map.lease(iova, 8, direction::read);
                                word(lease->bytes(), 0).store(value, std::memory_order_release);
                                map.log().mark(iova, 8);
                            }
                            writes.fetch_add(1, std::memory_order_relaxed);
                        }};
        while (writes < 100) std::this_thread::yield();
        const auto copy_page = [&](std::size_t number) {
            const auto from = memory.of(number, 1);
            for (std::size_t at = 0; at < page; at += 8)
                word(copy.of(number, 1), at).store(word(from, at).load(std::memory_order_relaxed), std::memory_order_relaxed);
        };
        std::uint64_t reports = 0;
        const auto follow = [&] {
            std::array<std::uint64_t, count / 64 + 1> dirty{};
            REQUIRE(map.log().report(0x10'0000, count * page, page, dirty));
            for (std::size_t i = 0; i < count; ++i)
                if ((dirty[i / 64] >> i % 64 & 1) != 0) copy_page(i), ++reports;
        };
        for (int migration = 0; migration < 5; ++migration) {
            REQUIRE(map.start_logging(page, {}));
            for (std::size_t i = 0; i < count; ++i) copy_page(i);
            const std::uint64_t before = writes;
            for (int round = 0; round < 20 || writes < before + 50; ++round) follow();
            if (migration != 4) map.log().stop();
        }
        writers.join();
        follow();
        CHECK(reports > 0);
        for (std::size_t i = 0; i < count; ++i)
            if (std::memcmp(copy.of(i, 1).data(), memory.of(i, 1).data(), page) != 0) FAIL("page " << i);
    }
}

TEST_CASE("dma threads: every page that several threads mark is reported") {
    device::dirty_log log;
    constexpr std::uint64_t count = 8192; // in two ranges, apart
    const std::array<range, 2> ranges{range{0, count / 2 * page}, range{count * page, count / 2 * page}};
    for (int round = 0; round < 100; ++round) {
        REQUIRE(log.start(page, ranges));
        std::atomic<std::uint64_t> waiting{3};
        std::atomic<int> running{3};
        std::vector<std::thread> threads;
        for (std::uint64_t who = 0; who < 3; ++who)
            threads.emplace_back([&, who] {
                --waiting;
                while (waiting != 0) std::this_thread::yield();
                // Bits of the same words, by different threads.
                for (std::uint64_t i = who; i < count / 2; i += 3) {
                    log.mark(i * page, 1);
                    log.mark((count + i) * page, page);
                }
                --running;
            });
        std::array<std::uint64_t, count / 128> dirty{};
        std::array<std::uint64_t, count / 64> seen{};
        const auto take = [&] {
            for (std::size_t half = 0; half < 2; ++half) {
                REQUIRE(log.report(half * count * page, count / 2 * page, page, dirty));
                for (std::size_t i = 0; i < dirty.size(); ++i) seen[i + half * dirty.size()] |= dirty[i];
            }
        };
        if (round % 2 == 0) // else nothing else gets in the threads' way
            while (running != 0) take();
        for (auto& each : threads) each.join();
        take();
        std::uint64_t all = 0;
        for (const std::uint64_t each : seen) all += static_cast<std::uint64_t>(std::popcount(each));
        CHECK(all == count);
    }
}
