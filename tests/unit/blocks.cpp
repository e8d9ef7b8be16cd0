// SPDX-License-Identifier: BSD-3-Clause
#include "recorder.hpp"

#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdint>
#include <functional>

using namespace mediant;
using namespace mediant::test;

namespace {

struct areas_of_all_kinds {
    static constexpr auto bar0 = region_map{
        bar{0}, 4_KiB,
        block{"SHADOW", 0x11, 0x16, {.backing = from::shadow, .value = 0x5a}},         // 0x11..0x26
        block{"READ_ONLY", 0x30, 0x0d, {.kind = ro, .backing = from::shadow, .value = 0x77}},
        block{"WRITE_ONLY", 0x40, 0x0d, {.kind = wo, .backing = from::shadow, .value = 0x77}},
        block{"CLEARED", 0x50, 0x0d, {.kind = w1c, .backing = from::shadow, .value = 0xff}},
        block{"CONSTANT", 0x60, 0x0d, {.backing = from::constant, .value = 0xa5}},
        block{"LOCKED", 0x70, 0x0d, {.kind = ro}},  // the device answers, writes are swallowed
        block{"WRITES", 0x80, 0x0d, {.kind = wo}},  // the device is written, reads answer 0
        block{"EVENTS", 0x90, 0x0d, {.kind = w1c}}, // the device does it all
        hide{"HIDDEN", 0xa1, 0x1d},
        block{"ONE", 0xff, 1, {.backing = from::shadow, .value = 0x01}},
        block{"PLAIN", 0x100, 0x10}};                // named, not trapped
    static constexpr auto regions = mediant::regions<bar0>{};
};
using blocky = bench<stack<recorder, areas_of_all_kinds>>;

void each_access(std::uint64_t begin, std::uint64_t end, const std::function<void(std::uint64_t, unsigned)>& f) {
    for (std::uint64_t offset = begin; offset < end; ++offset)
        for (unsigned size = 1; offset + size <= end; ++size) f(offset, size);
}

/// Reads at every place and width answer `value` for every byte, and reach nothing.
void check_constant(blocky& b, std::uint64_t begin, std::uint64_t end, std::byte value) {
    each_access(begin, end, [&](std::uint64_t offset, unsigned size) {
        const auto got = b.read(offset, size);
        CHECK(got.done == answer{size});
        CHECK(got.data == bytes(size, value));
    });
    CHECK(b.device.happened().empty());
}

} // namespace

TEST_CASE("a block answers at any width and alignment") {
    blocky b;
    check_constant(b, 0x11, 0x27, std::byte{0x5a});
    check_constant(b, 0x30, 0x3d, std::byte{0x77});
    check_constant(b, 0x40, 0x4d, std::byte{0x00});
    check_constant(b, 0x50, 0x5d, std::byte{0xff});
    check_constant(b, 0x60, 0x6d, std::byte{0xa5});
    check_constant(b, 0x80, 0x8d, std::byte{0x00});
    check_constant(b, 0xff, 0x100, std::byte{0x01});
}

TEST_CASE("a hidden window reads as ones and swallows writes, at any width") {
    blocky b;
    check_constant(b, 0xa1, 0xbe, std::byte{0xff});
    each_access(0xa1, 0xbe, [&](std::uint64_t offset, unsigned size) { CHECK(b.write(offset, bytes(size)) == answer{size}); });
    CHECK(b.device.happened().empty());
    check_constant(b, 0xa1, 0xbe, std::byte{0xff});
    SECTION("its neighbours pass") {
        CHECK(b.read(0xa0, 2).value() == (0xff00 | initial_value(0xa0, 1)));
        CHECK(b.device.happened() == events{load(0xa0, 1)});
        CHECK(b.read(0xbd, 3).value() == (initial_value(0xbe, 2) << 8 | 0xff));
        CHECK(b.device.happened() == events{load(0xbe, 2)});
    }
}

TEST_CASE("a shadow block takes exactly the bytes that are written") {
    each_access(0x11, 0x27, [&](std::uint64_t offset, unsigned size) {
        blocky b;
        bytes data;
        for (unsigned i = 0; i < size; ++i) data.push_back(static_cast<std::byte>(i + 1));
        CHECK(b.write(offset, data) == answer{size});
        CHECK(b.device.happened().empty());
        bytes expected(0x16, std::byte{0x5a});
        std::copy(data.begin(), data.end(), expected.begin() + static_cast<std::ptrdiff_t>(offset - 0x11));
        CHECK(b.read(0x11, 0x16).data == expected);
    });
}

TEST_CASE("blocks of other kinds take writes by their kind") {
    blocky b;
    CHECK(b.write(0x30, bytes(0x0d)) == answer{0x0d});
    check_constant(b, 0x30, 0x3d, std::byte{0x77});
    CHECK(b.write(0x40, bytes(0x0d, std::byte{0x12})) == answer{0x0d});
    check_constant(b, 0x40, 0x4d, std::byte{0});
    CHECK(b.write(0x60, bytes(0x0d)) == answer{0x0d});
    check_constant(b, 0x60, 0x6d, std::byte{0xa5});
    CHECK(b.write(0x53, bytes(7, std::byte{0x0f})) == answer{7});
    check_constant(b, 0x50, 0x53, std::byte{0xff});
    check_constant(b, 0x53, 0x5a, std::byte{0xf0});
    check_constant(b, 0x5a, 0x5d, std::byte{0xff});
}

TEST_CASE("blocks in the device pass what their kind lets through, split naturally") {
    blocky b;
    CHECK(b.read(0x71, 6).value() == initial_value(0x71, 6));
    CHECK(b.device.happened() == events{load(0x71, 1), load(0x72, 2), load(0x74, 2), load(0x76, 1)});
    CHECK(b.write(0x71, bytes(6)) == answer{6});
    CHECK(b.device.happened().empty());
    CHECK(b.write(0x82, 0x665544332211, 6) == answer{6});
    CHECK(b.device.happened() == events{store(0x82, 2, 0x2211), store(0x84, 4, 0x66554433)});
    CHECK(b.write(0x91, 0x2211, 2) == answer{2});
    CHECK(b.device.happened() == events{store(0x91, 1, 0x11), store(0x92, 1, 0x22)});
    CHECK(b.read(0x90, 4).value() == (initial_value(0x90, 4) & 0xff0000ff) + 0x221100);
}

TEST_CASE("a block that is only named passes") {
    blocky b;
    CHECK(b.read(0x102, 8).done == answer{8});
    CHECK(b.device.happened() == events{load(0x102, 2), load(0x104, 4), load(0x108, 2)});
}

TEST_CASE("one access over several blocks") {
    blocky b;
    const auto got = b.read(0x2e, 0x20);
    CHECK(got.done == answer{0x20});
    CHECK(b.device.happened() == events{load(0x2e, 2), load(0x3d, 1), load(0x3e, 2), load(0x4d, 1)});
    CHECK(got.data[2] == std::byte{0x77});
    CHECK(got.data[0xe] == std::byte{0x77});
    CHECK(got.data[0xf] == initial(0x3d));
    CHECK(got.data[0x12] == std::byte{0});
    CHECK(got.data[0x1f] == initial(0x4d));
}
