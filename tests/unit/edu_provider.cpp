// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// The example provider, and with it each rule of a region map, on the simulated edu device.

#include "../../examples/edu/edu.hpp"

#include <mediant/device/edu.hpp>
#include <mediant/device/memory_device.hpp>
#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

using namespace mediant;
using model_edu = device::edu;

namespace {

struct bench {
    bench() : front{model} { REQUIRE(front.open()); }

    std::uint64_t get(std::uint64_t offset, std::size_t width = 4) {
        std::array<std::byte, 8> bytes{};
        const auto part = std::span{bytes}.first(width);
        REQUIRE(front.read({bar{0}, offset, part}) == answer{width});
        return load_little(part);
    }
    void put(std::uint64_t offset, std::uint64_t value, std::size_t width = 4) {
        std::array<std::byte, 8> bytes{};
        const auto part = std::span{bytes}.first(width);
        store_little(part, value);
        REQUIRE(front.write({bar{0}, offset, part}) == answer{width});
    }
    std::uint64_t device(std::uint64_t offset) { return *model.load(bar{0}, offset, 4); }
    void memory(bool enabled) { REQUIRE(model.store(region_index::config, 4, 2, enabled ? 2 : 0)); }

    model_edu model;
    stack<model_edu, acme::edu> front;
};

constexpr std::uint64_t events = 0x28;
constexpr std::uint64_t reads = 0x2c;
constexpr std::uint64_t version = 0x30;
constexpr std::uint64_t doorbell_at = 0x34;

} // namespace

TEST_CASE("edu provider: a read hook", "[edu_provider]") {
    bench b;
    CHECK(b.get(0) == 0x01ac00ed);
    CHECK(b.device(0) == 0x010000ed);
    b.put(0, 0);                 // read-only
    CHECK(b.get(2, 1) == 0xac);  // a part: the hook runs once and the part is taken out
    CHECK(b.get(1, 2) == 0xac00);
    CHECK(b.get(reads) == 3);
    b.put(model_edu::live, 0);
    CHECK(b.get(0, 8) == 0xffffffff'01ac00ed); // and what follows passes
    CHECK(b.get(1, 8) == 0x00'ffffffff'01ac00); // of the third register one byte, which edu answers with 0
    CHECK(b.get(reads) == 5);
}

TEST_CASE("edu provider: what is named or not named at all passes", "[edu_provider]") {
    bench b;
    b.put(0x04, 0x12345678);
    CHECK(b.get(0x04) == 0xedcba987);
    CHECK(b.get(0x04, 2) == 0); // as narrow accesses to edu do
    CHECK(b.get(0x0c) == 0xffffffff);
    b.put(model_edu::irq_raise, 0x3);
    CHECK(b.get(model_edu::irq_status) == 0x3);
}

TEST_CASE("edu provider: a write hook that takes full widths", "[edu_provider]") {
    bench b;
    b.put(0x20, 0x80);
    CHECK(b.get(0x20) == 0);
    REQUIRE(b.model.store(bar{0}, 0x20, 4, 0x80));
    b.put(0x23, 0xff, 1); // filled up with what the register holds, then filtered
    CHECK(b.device(0x20) == 0);
}

TEST_CASE("edu provider: w1c, wo and lanes", "[edu_provider]") {
    bench b;
    CHECK(b.get(events) == 0);
    b.put(doorbell_at, 0x000f00f0);
    CHECK(b.get(events) == 0x000f00f0);
    CHECK(b.get(doorbell_at) == 0); // write-only
    b.put(doorbell_at + 3, 0x80, 1);
    CHECK(b.get(events) == 0x800f00f0);
    b.put(events, 0x10, 1); // one lane: the others count as not written
    CHECK(b.get(events) == 0x800f00e0);
    b.put(events + 2, 0xffff, 2);
    CHECK(b.get(events) == 0x00e0);
    b.put(events, 0xffffffff);
    CHECK(b.get(events) == 0);
    CHECK(b.device(events) == 0xffffffff); // the device has no such register
    b.put(0x30, 0x1'00000000, 8); // over VERSION into DOORBELL
    CHECK(b.get(events) == 1);
}

TEST_CASE("edu provider: a constant and a counter", "[edu_provider]") {
    bench b;
    CHECK(b.get(version) == 0x0100);
    b.put(version, 0);
    CHECK(b.get(version) == 0x0100);
    CHECK(b.get(version + 1, 1) == 0x01);
    b.put(reads, 77);
    CHECK(b.get(reads) == 0);
    CHECK(b.get(events, 8) == 0);
    CHECK(b.get(0x2e, 4) == 0x01000000);
}

TEST_CASE("edu provider: a block in shadow", "[edu_provider]") {
    bench b;
    CHECK(b.get(0x80, 8) == 0);
    b.put(0x81, 0xaabbccddee, 5);
    CHECK(b.get(0x80, 8) == 0xaabbccddee00);
    b.put(0x98, 0x1);
    CHECK_FALSE(b.model.deadline()); // no DMA was started
    CHECK(b.get(0x98) == 1);
    CHECK(b.get(0x7e, 4) == 0xee000000); // two bytes of edu, which answers 0, then the block's first two
    b.put(0x9e, 0x12345678, 4);
    CHECK(b.get(0x9c, 8) == 0xffffffff'56780000);
}

TEST_CASE("edu provider: a hidden window", "[edu_provider]") {
    bench b;
    for (const std::size_t width : {1u, 2u, 4u, 8u}) {
        b.put(0x40000, 0, width);
        CHECK(b.get(0x40000, width) == low_bytes(width));
    }
    CHECK(b.get(0x40fff, 1) == 0xff);
    CHECK(b.get(0x41000, 1) == 0);
    CHECK(b.get(0x3fffc, 8) == ~std::uint64_t{0});
    CHECK(b.get(0x3fffe, 4) == 0xffff0000);
}

TEST_CASE("edu provider: disabled memory stops what needs the device", "[edu_provider]") {
    bench b;
    b.memory(false);
    std::array<std::byte, 16> bytes{};
    CHECK(b.front.read({bar{0}, 0x00, std::span{bytes}.first(4)}) == answer{0, error::io});
    CHECK(b.front.write({bar{0}, 0x20, std::span{bytes}.first(1)}) == answer{0, error::io});
    CHECK(b.front.read({bar{0}, 0x28, bytes}) == answer{16});
    CHECK(b.front.read({bar{0}, 0x30, bytes}) == answer{8, error::io});
    CHECK(b.get(reads) == 0);
    b.memory(true);
    CHECK(b.get(0) == 0x01ac00ed);
}

TEST_CASE("edu provider: reset and open start afresh", "[edu_provider]") {
    bench b;
    const auto stir = [&] {
        b.put(doorbell_at, 1);
        b.put(0x80, 1);
        CHECK(b.get(0) == 0x01ac00ed);
        CHECK(b.get(reads) == 1);
    };
    stir();
    REQUIRE(b.front.ioctl(reset_device{}));
    CHECK(b.get(events) == 0);
    CHECK(b.get(reads) == 0);
    CHECK(b.get(0x80) == 0);
    stir();
    b.front.release();
    REQUIRE(b.front.open());
    CHECK(b.get(events) == 0);
    stir();
}

TEST_CASE("edu provider: declines what is not edu", "[edu_provider]") {
    device::memory_device other{model_edu::id, {1_MiB, 0, 0, 0, 0, 0}};
    stack<device::memory_device, acme::edu> front{other};
    CHECK(front.open().error() == error::no_device);
    other.bar_store(0, 0, 4, 0x020000ed);
    CHECK(front.open());
}

TEST_CASE("edu provider: what can be mapped", "[edu_provider]") {
    bench b;
    const auto areas = [&](std::uint64_t page) {
        std::vector<range> all;
        const auto next = [&](std::uint64_t from) { return b.front.next_area(bar{0}, page, from); };
        for (range area = next(0); !area.empty(); area = next(area.end())) all.push_back(area);
        return all;
    };
    CHECK(areas(4_KiB) == std::vector<range>{{0x1000, 0x3f000}, {0x41000, 0xbf000}});
    CHECK(areas(64_KiB) == std::vector<range>{{0x10000, 0x30000}, {0x50000, 0xb0000}});
    CHECK_FALSE(b.front.mappable(bar{0}, {0, 0x1000}));
    CHECK(b.front.mappable(bar{0}, {0x1000, 0x1000}));
    CHECK_FALSE(b.front.mappable(bar{0}, {0x3f000, 0x2000}));
}

TEST_CASE("edu provider: a registry finds it", "[edu_provider]") {
    using devices = registry<acme::edu>;
    CHECK(devices::find(model_edu::id) == 0);
    CHECK(devices::find(device_id{0x1234, 0x11e9}) == devices::npos);
}
