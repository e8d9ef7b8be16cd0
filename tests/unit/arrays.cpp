// SPDX-License-Identifier: BSD-3-Clause
#include "recorder.hpp"

#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <cstdint>

using namespace mediant;
using namespace mediant::test;

namespace {

/// Arrays side by side and apart, register files, and what they share. The register "DO" has next do things.
struct arrays {
    static constexpr auto bar0 = region_map{
        bar{0}, 4_KiB,
        reg{"CLOSE", 0x00, rw, {.backing = from::shadow, .value = 0x11, .count = 4}},
        reg{"APART", 0x20, w1c, {.backing = from::shadow, .value = 0xffff, .bits = 16, .count = 3, .stride = 8}},
        reg{"HOOKED", 0x40, rw, {.backing = from::shadow, .hook = on::read | on::write | on::written, .count = 4, .stride = 8}},
        reg{"LANES", 0x60, wo, {.hook = on::write, .count = 2, .stride = 8}},
        reg{"LIVE", 0x70, rw, {.count = 4}}, // passes
        reg{"WIDE", 0x80, rw, {.backing = from::shadow, .value = 0x1122334455667788, .bits = 64, .count = 2, .stride = 16}},
        repeat{"QUEUE", 3, 0x40, reg{"HEAD", 0x100, ro}, reg{"TAIL", 0x104, wo, {.hook = on::write}},
               reg{"MASK", 0x108, rw, {.backing = from::shadow, .value = 0xff}},
               reg{"PARTS", 0x10c, fields{field{"D", 0, 8}, field{"S", 8, 24, rw, {.backing = from::shadow, .value = 0xabcdef}}}},
               block{"BUFFER", 0x110, 0x18, {.backing = from::shadow, .value = 0x77}}, hide{"GAP", 0x128, 3},
               deny{"FUSE", 0x12c, 4}, pass{"OPEN", 0x130, 4}},
        reg{"AFTER", 0x1d0, fields{field{"X", 0, 8, ro, {.backing = from::constant, .value = 0x5a}}, reserved{8, 24}}},
        repeat{"ONE", 1, 0x10, reg{"R", 0x1e0, rw, {.hook = on::read}}}, reg{"DO", 0xf00, wo, {.hook = on::write}},
        reg{"SINGLE", 0x1f0, ro, {.hook = on::read, .count = 1}}};
    static constexpr auto regions = mediant::regions<bar0>{};

    result<std::uint32_t> read(at<bar0, "HOOKED"> which, std::size_t element, auto& next) {
        journal->push_back({"read HOOKED", element});
        const auto held = next.read(which, element);
        if (!held) return held;
        return *held + 1;
    }
    result<void> write(at<bar0, "HOOKED"> which, std::size_t element, std::uint32_t value, auto& next) {
        journal->push_back({"write HOOKED", element, 0, value});
        return next.write(which, element, value);
    }
    result<void> written(at<bar0, "HOOKED">, std::size_t element, lanes<std::uint32_t> value, auto&) {
        journal->push_back({"written HOOKED", element, 0, value.value, value.mask});
        return {};
    }
    result<void> write(at<bar0, "LANES">, std::size_t element, lanes<std::uint32_t> value, auto&) {
        journal->push_back({"write LANES", element, 0, value.value, value.mask});
        return {};
    }
    result<void> write(at<bar0, "QUEUE.TAIL"> which, std::size_t element, std::uint32_t value, auto& next) {
        journal->push_back({"write TAIL", element, 0, value});
        return next.write(which, element, value);
    }
    // One of them, and an index all the same.
    result<std::uint32_t> read(at<bar0, "ONE.R"> which, std::size_t element, auto& next) {
        journal->push_back({"read ONE", element});
        CHECK(next.read(which, 0).has_value());
        CHECK(next.read(which, 1).error() == error::invalid);
        return 0x0123u;
    }
    result<std::uint32_t> read(at<bar0, "SINGLE">, std::size_t element, auto&) {
        return static_cast<std::uint32_t>(0x4567 + element);
    }

    result<void> write(at<bar0, "DO">, std::uint32_t element, auto& next) {
        const std::size_t i = element;
        const bool inside = i < 4;
        using close = at<bar0, "CLOSE">;
        CHECK(next.read(close{}, i).has_value() == inside);
        CHECK(next.write(close{}, i, 0x22).error() == (inside ? error::none : error::invalid));
        if (inside) CHECK(*next.read(close{}, i) == 0x22);
        next.assign(close{}, i, 0x30u + element);
        if (inside) CHECK(*next.read(close{}, i) == 0x30 + i);

        using live = at<bar0, "LIVE">;
        const auto device = next.read(live{}, i);
        CHECK(device.error() == (inside ? error::none : error::invalid));
        CHECK(next.write(live{}, i, 0xabcd).error() == (inside ? error::none : error::invalid));
        return {};
    }
};
using arrays_bench = bench<stack<recorder, arrays>>;

} // namespace

TEST_CASE("each element of an array has a value of its own") {
    arrays_bench b;
    for (unsigned i = 0; i < 4; ++i) CHECK(b.write(4 * i, 0x100 + i, 4) == answer{4});
    for (unsigned i = 0; i < 4; ++i) CHECK(b.read(4 * i, 4).value() == 0x100 + i);
    CHECK(b.read(0, 16).data == [] {
        bytes all;
        for (unsigned i = 0; i < 4; ++i)
            for (const std::byte x : little(0x100 + i, 4)) all.push_back(x);
        return all;
    }());
    b.front.reset();
    for (unsigned i = 0; i < 4; ++i) CHECK(b.read(4 * i, 4).value() == 0x11);
    CHECK(b.device.happened().empty());
}

TEST_CASE("what lies between the elements of an array is not the array's") {
    arrays_bench b;
    for (unsigned i = 0; i < 3; ++i) {
        CHECK(b.write(0x20 + 8 * i, 1u << i, 2) == answer{2});
        CHECK(b.device.happened().empty());
        CHECK(b.read(0x20 + 8 * i, 4).value() == ((0xffff & ~(1u << i)) | initial_value(0x22 + 8 * i, 2) << 16));
        CHECK(b.device.happened() == events{load(0x22 + 8 * i, 2)});
    }
    CHECK(b.read(0x38, 4).value() == initial_value(0x38, 4)); // where a fourth would be
    CHECK(b.read(0x88, 8).value() == initial_value(0x88, 8));
    CHECK(b.read(0x80, 8).value() == 0x1122334455667788);
    CHECK(b.read(0x94, 4).value() == 0x11223344);
    CHECK(b.read(0xa0, 4).value() == initial_value(0xa0, 4));
}

TEST_CASE("a hook is given the element") {
    arrays_bench b;
    for (unsigned i = 0; i < 4; ++i) {
        CHECK(b.write(0x40 + 8 * i, 0x50 + i, 4) == answer{4});
        CHECK(b.device.happened() ==
              events{{"write HOOKED", i, 0, 0x50 + i}, {"written HOOKED", i, 0, 0x50 + i, 0xffffffff}});
    }
    for (unsigned i = 0; i < 4; ++i) {
        CHECK(b.read(0x40 + 8 * i, 4).value() == 0x51 + i);
        CHECK(b.device.happened() == events{{"read HOOKED", i}});
    }
    CHECK(b.write(0x49, 0xaa, 1) == answer{1});
    CHECK(b.device.happened() == events{{"write HOOKED", 1, 0, 0xaa51}, {"written HOOKED", 1, 0, 0xaa00, 0xff00}});
    CHECK(b.write(0x6a, 0xbb, 1) == answer{1});
    CHECK(b.device.happened() == events{{"write LANES", 1, 0, 0xbb0000, 0xff0000}});
    CHECK(b.read(0x60, 12).done == answer{12});
    CHECK(b.device.happened() == events{load(0x64, 4)}); // write-only elements, and what lies between
}

TEST_CASE("next reads, writes and assigns elements, and refuses those that are not there") {
    arrays_bench b;
    for (const std::uint32_t i : {0u, 1u, 3u}) {
        CHECK(b.write(0xf00, i, 4) == answer{4});
        CHECK(b.device.happened() == events{load(0x70 + 4 * i, 4), store(0x70 + 4 * i, 4, 0xabcd)});
        CHECK(b.read(4 * i, 4).value() == 0x30 + i);
    }
    CHECK(b.read(8, 4).value() == 0x11);
    for (const std::uint32_t i : {4u, 5u, 0x7fffffffu, 0xffffffffu}) {
        CHECK(b.write(0xf00, i, 4) == answer{4});
        CHECK(b.device.happened().empty());
    }
    CHECK(b.read(0, 4).value() == 0x30);
    CHECK(b.read(8, 4).value() == 0x11);
    CHECK(b.read(0x20, 2).value() == 0xffff); // what follows in the shadows
}

TEST_CASE("a register file is there once for each element") {
    arrays_bench b;
    for (unsigned i = 0; i < 3; ++i) {
        const std::uint64_t at = 0x100 + 0x40 * i;
        CAPTURE(i);
        CHECK(b.write(at, 1, 4) == answer{4});
        CHECK(b.device.happened().empty());
        CHECK(b.read(at, 4).value() == initial_value(at, 4));
        b.device.happened();
        CHECK(b.write(at + 4, 0x90 + i, 4) == answer{4});
        CHECK(b.device.happened() == events{{"write TAIL", i, 0, 0x90 + i}, store(at + 4, 4, 0x90 + i)});
        CHECK(b.write(at + 8, 0x80 + i, 4) == answer{4});
        CHECK(b.write(at + 0x0d, 0xa0 + i, 1) == answer{1});
        CHECK(b.write(at + 0x10 + i, 0xb0, 1) == answer{1});
        CHECK(b.write(at + 0x28, 0xffffff, 3) == answer{3});
        CHECK(b.write(at + 0x2c, 0, 4) == answer{0, error::denied});
        CHECK(b.device.happened().empty());
    }
    for (unsigned i = 0; i < 3; ++i) {
        const std::uint64_t at = 0x100 + 0x40 * i;
        CHECK(b.read(at + 8, 4).value() == 0x80 + i);
        CHECK(b.read(at + 0x0c, 4).value() == (0xabcd0000 | (0xa0 + i) << 8 | initial_value(at + 0x0c, 1)));
        bytes buffer(0x18, std::byte{0x77});
        buffer[i] = std::byte{0xb0};
        CHECK(b.read(at + 0x10, 0x18).data == buffer);
        CHECK(b.read(at + 0x28, 4).value() == (0xffffff | initial_value(at + 0x2b, 1) << 24));
        CHECK(b.read(at + 0x2c, 1).done == answer{0, error::denied});
        b.device.happened();
        CHECK(b.read(at + 0x30, 4).value() == initial_value(at + 0x30, 4));
        CHECK(b.device.happened() == events{load(at + 0x30, 4)});
    }
    b.front.reset();
    for (unsigned i = 0; i < 3; ++i) CHECK(b.read(0x108 + 0x40 * i, 4).value() == 0xff);
}

TEST_CASE("one of them has an index too; fields after a register file are those of their register") {
    arrays_bench b;
    CHECK(b.read(0x1e0, 4).value() == 0x0123);
    CHECK(b.device.happened() == events{{"read ONE", 0}, load(0x1e0, 4)});
    CHECK(b.read(0x1f0, 4).value() == 0x4567);
    CHECK(b.read(0x1d0, 4).value() == 0x5a);
}

TEST_CASE("elements take their place in the areas") {
    struct sparse {
        static constexpr auto bar0() {
            return region_map{bar{0}, 64_KiB, reg{"DOORBELL", 0x2000, wo, {.count = 3, .stride = 0x2000}}};
        }
    };
    static constexpr auto map = sparse::bar0();
    CHECK(run_of<map>(0, 64_KiB).size == 0x2000);
    CHECK(run_of<map>(0x2000, 64_KiB).trapped);
    CHECK(run_of<map>(0x2000, 64_KiB).size == 4);
    CHECK(run_of<map>(0x2004, 64_KiB).size == 0x1ffc);
    CHECK(run_of<map>(0x6000, 4).trapped);
    CHECK_FALSE(run_of<map>(0x8000, 4).trapped);
    const auto run = [](std::uint64_t at, std::uint64_t count) { return run_of<map>(at, count); };
    CHECK(untrapped_pages(run, 64_KiB, 4_KiB, 0x2000) == range{0x3000, 0x1000});
    CHECK(untrapped_pages(run, 64_KiB, 4_KiB, 0x6000) == range{0x7000, 0x9000});
}
