// SPDX-License-Identifier: BSD-3-Clause
#include <mediant/device/range_set.hpp>

#include <catch2/catch.hpp>

#include <cstdint>
#include <random>
#include <vector>

using namespace mediant;
using device::range_set;
using ranges = std::vector<range>;

TEST_CASE("ranges that touch are one, and what is removed divides them") {
    range_set set;
    CHECK(set.empty());
    set.add({0x10, 0x10});
    set.add({0x40, 0x10});
    set.add({0x20, 0x8});
    CHECK(set.ranges() == ranges{{0x10, 0x18}, {0x40, 0x10}});
    set.add({0x18, 0x28});
    CHECK(set.ranges() == ranges{{0x10, 0x40}});
    set.remove({0x20, 0x10});
    CHECK(set.ranges() == ranges{{0x10, 0x10}, {0x30, 0x20}});
    CHECK(set.holds({0x30, 0x20}));
    CHECK_FALSE(set.holds({0x30, 0x21}));
    CHECK_FALSE(set.holds({0x1f, 2}));
    set.clear();
    CHECK(set.empty());
}

TEST_CASE("a set of ranges holds what a set of bytes does") {
    std::mt19937 random{7};
    for (int n = 0; n < 300; ++n) {
        range_set set;
        std::vector<bool> bytes(64);
        for (int step = 0; step < 12; ++step) {
            const range what{random() % 60, random() % 5};
            const bool adds = random() % 2 == 0;
            adds ? set.add(what) : set.remove(what);
            for (std::uint64_t i = what.offset; i < what.end(); ++i) bytes[i] = adds;
        }
        std::vector<int> seen(64);
        const range window{random() % 32, 1 + random() % 31};
        set.each_in(window, [&](const range& each) {
            for (std::uint64_t i = each.offset; i < each.end(); ++i) seen[i] += 1;
            return true;
        });
        set.each_outside(window, [&](const range& each) {
            for (std::uint64_t i = each.offset; i < each.end(); ++i) seen[i] += 2;
            return true;
        });
        for (std::uint64_t i = 0; i < 64; ++i) {
            CAPTURE(n, i);
            REQUIRE(seen[i] == (!window.contains(i) ? 0 : bytes[i] ? 1 : 2));
        }
        for (std::size_t i = 1; i < set.ranges().size(); ++i)
            REQUIRE(set.ranges()[i].offset > set.ranges()[i - 1].end());
    }
}
