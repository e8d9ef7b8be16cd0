// SPDX-License-Identifier: BSD-3-Clause
#include "recorder.hpp"

#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <cstdint>

using namespace mediant;
using namespace mediant::test;

namespace {

/// Two dwords at 0x20 are trapped and passed on; all else is not.
struct watcher {
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"NAMED", 0x10}, reg{"A", 0x20, w1c}, reg{"B", 0x24, w1c}};
    static constexpr auto regions = mediant::regions<bar0>{};
};

template <class Stack>
void check_read(bench<Stack>& b, std::uint64_t offset, unsigned size, const events& expected) {
    const auto got = b.read(offset, size);
    CHECK(got.done == answer{size});
    for (unsigned i = 0; i < size; ++i) CHECK(got.data[i] == initial(offset + i));
    CHECK(b.device.happened() == expected);
}

} // namespace

TEST_CASE("the widest natural access") {
    CHECK(natural_width(0, 100, 4) == 4);
    CHECK(natural_width(0, 100, 8) == 8);
    CHECK(natural_width(4, 100, 8) == 4);
    CHECK(natural_width(2, 100, 8) == 2);
    CHECK(natural_width(1, 100, 8) == 1);
    CHECK(natural_width(8, 7, 8) == 4);
    CHECK(natural_width(8, 3, 8) == 2);
    CHECK(natural_width(8, 1, 8) == 1);
}

TEST_CASE("what passes is split into natural accesses of at most 4 bytes") {
    bench<stack<recorder>> b{4096, 4};
    check_read(b, 0x40, 1, {load(0x40, 1)});
    check_read(b, 0x40, 2, {load(0x40, 2)});
    check_read(b, 0x40, 4, {load(0x40, 4)});
    check_read(b, 0x40, 8, {load(0x40, 4), load(0x44, 4)});
    check_read(b, 0x41, 1, {load(0x41, 1)});
    check_read(b, 0x41, 4, {load(0x41, 1), load(0x42, 2), load(0x44, 1)});
    check_read(b, 0x42, 4, {load(0x42, 2), load(0x44, 2)});
    check_read(b, 0x43, 8, {load(0x43, 1), load(0x44, 4), load(0x48, 2), load(0x4a, 1)});
    check_read(b, 0x40, 3, {load(0x40, 2), load(0x42, 1)});
    check_read(b, 0x40, 15, {load(0x40, 4), load(0x44, 4), load(0x48, 4), load(0x4c, 2), load(0x4e, 1)});
}

TEST_CASE("what passes is split into natural accesses of at most 8 bytes") {
    bench<stack<recorder>> b{4096, 8};
    check_read(b, 0x40, 8, {load(0x40, 8)});
    check_read(b, 0x44, 8, {load(0x44, 4), load(0x48, 4)});
    check_read(b, 0x41, 8, {load(0x41, 1), load(0x42, 2), load(0x44, 4), load(0x48, 1)});
    check_read(b, 0x44, 20, {load(0x44, 4), load(0x48, 8), load(0x50, 8)});
    check_read(b, 0x40, 7, {load(0x40, 4), load(0x44, 2), load(0x46, 1)});
}

TEST_CASE("writes are split alike, each part with its own bytes") {
    bench<stack<recorder>> b{4096, 4};
    CHECK(b.write(0x43, 0x8877665544332211, 8) == answer{8});
    CHECK(b.device.happened() == events{store(0x43, 1, 0x11), store(0x44, 4, 0x55443322), store(0x48, 2, 0x7766),
                                        store(0x4a, 1, 0x88)});
    bench<stack<recorder>> wide{4096, 8};
    CHECK(wide.write(0x40, 0x8877665544332211, 8) == answer{8});
    CHECK(wide.device.happened() == events{store(0x40, 8, 0x8877665544332211)});
}

TEST_CASE("an access is split at the registers' boundaries, also where the device takes more") {
    bench<stack<recorder, watcher>> b{4096, 8};
    check_read(b, 0x20, 8, {load(0x20, 4), load(0x24, 4)});
    check_read(b, 0x18, 16, {load(0x18, 8), load(0x20, 4), load(0x24, 4)});
    check_read(b, 0x22, 4, {load(0x22, 2), load(0x24, 2)});
    check_read(b, 0x1f, 10, {load(0x1f, 1), load(0x20, 4), load(0x24, 4), load(0x28, 1)});
    SECTION("a register that is named and not trapped is no boundary") { check_read(b, 0x10, 8, {load(0x10, 8)}); }
    SECTION("a region without a map passes") {
        b.device.add(bar{2}, 64);
        REQUIRE(b.front.open());
        b.device.seen.clear();
        const auto got = b.read(0x20, 8, bar{2});
        CHECK(got.done == answer{8});
        CHECK(b.device.happened() == events{load(0x20, 8, bar{2})});
    }
}

TEST_CASE("an access of no bytes reaches nothing") {
    bench<stack<recorder, watcher>> b;
    for (const std::uint64_t offset : {0x0u, 0x20u, 0x21u, 0xfffu}) {
        CHECK(b.read(offset, 0).done == answer{0});
        CHECK(b.write(offset, bytes{}) == answer{0});
    }
    CHECK(b.device.happened().empty());
}
