// SPDX-License-Identifier: BSD-3-Clause
#include "recorder.hpp"

#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <cstdint>

using namespace mediant;
using namespace mediant::test;

namespace {

/// Registers of 8 and 16 bits that share dwords with each other, with a block and with what passes.
struct narrow {
    static constexpr auto bar0 = region_map{
        bar{0}, 4_KiB,
        reg{"B0", 0x00, rw, {.backing = from::shadow, .value = 0x10, .bits = 8}},
        reg{"B1", 0x01, w1c, {.backing = from::shadow, .value = 0xff, .bits = 8}},
        reg{"B2", 0x02, rw, {.bits = 8}}, // passes
        reg{"B3", 0x03, ro, {.backing = from::constant, .value = 0x13, .bits = 8}},
        reg{"W0", 0x04, rw, {.backing = from::shadow, .hook = on::read | on::write, .value = 0x2425, .bits = 16}},
        reg{"W1", 0x06, wo, {.backing = from::shadow, .value = 0x2627, .bits = 16}},
        block{"MIDDLE", 0x09, 2, {.backing = from::shadow, .value = 0x99}}, // 0x08 passes
        reg{"AFTER", 0x0b, rw, {.backing = from::shadow, .value = 0x1b, .bits = 8}},
        reg{"LAST", 0xff, rw, {.backing = from::shadow, .value = 0xfe, .bits = 8}},   // ends a chunk of the tables
        reg{"FIRST", 0x100, rw, {.backing = from::shadow, .value = 0xfd, .bits = 8}}, // begins the next
        reg{"BYTE", 0x111, rw, {.hook = on::write, .bits = 8}}};
    static constexpr auto regions = mediant::regions<bar0>{};

    result<std::uint16_t> read(at<bar0, "W0"> which, auto& next) {
        journal->push_back({"read W0"});
        return next.read(which);
    }
    result<void> write(at<bar0, "W0"> which, std::uint16_t value, auto& next) {
        journal->push_back({"write W0", 0, 0, value});
        return next.write(which, value);
    }
    result<void> write(at<bar0, "BYTE"> which, std::uint8_t value, auto& next) {
        journal->push_back({"write BYTE", 0, 0, value});
        return next.write(which, value);
    }
};

/// Registers of 64 bits.
struct wide {
    static constexpr auto bar0 = region_map{
        bar{0}, 4_KiB,
        reg{"SHADOW", 0x08, rw, {.backing = from::shadow, .value = 0x1122334455667788, .bits = 64}},
        reg{"DEVICE", 0x10, ro, {.bits = 64}},
        reg{"HOOKED", 0x18, rw, {.hook = on::read | on::write, .bits = 64}},
        reg{"LANES", 0x20, rw, {.backing = from::shadow, .hook = on::write, .bits = 64}},
        reg{"CLEARED", 0x28, w1c, {.backing = from::shadow, .value = ~0ull, .bits = 64}},
        reg{"CONSTANT", 0x30, ro, {.backing = from::constant, .value = 0x8877665544332211, .bits = 64}},
        reg{"AT_EDGE", 0xf8, rw, {.backing = from::shadow, .value = 0xf8, .bits = 64}}};
    static constexpr auto regions = mediant::regions<bar0>{};

    result<std::uint64_t> read(at<bar0, "HOOKED"> which, auto& next) {
        journal->push_back({"read HOOKED"});
        const result<std::uint64_t> below = next.read(which);
        if (!below) return below;
        return ~*below;
    }
    result<void> write(at<bar0, "HOOKED"> which, std::uint64_t value, auto& next) {
        journal->push_back({"write HOOKED", 0, 0, value});
        return next.write(which, value);
    }
    result<void> write(at<bar0, "LANES">, lanes<std::uint64_t> v, auto&) {
        journal->push_back({"write LANES", 0, 0, v.value, v.mask});
        return {};
    }
};

} // namespace

TEST_CASE("narrow registers that share a dword keep apart") {
    bench<stack<recorder, narrow>> b;
    SECTION("read together") {
        CHECK(b.read(0x00, 4).value() == (0x1300ff10 | initial_value(0x02, 1) << 16));
        CHECK(b.device.happened() == events{load(0x02, 1)});
        CHECK(b.read(0x04, 4).value() == 0x2425);
        CHECK(b.device.happened() == events{{"read W0"}});
        CHECK(b.read(0x08, 4).value() == (0x1b999900 | initial_value(0x08, 1)));
        CHECK(b.device.happened() == events{load(0x08, 1)});
        CHECK(b.read(0xfe, 4).value() == (initial_value(0xfe, 1) | 0xfdfe00 | initial_value(0x101, 1) << 24));
        CHECK(b.device.happened() == events{load(0xfe, 1), load(0x101, 1)});
    }
    SECTION("read one by one") {
        CHECK(b.read(0x00, 1).value() == 0x10);
        CHECK(b.read(0x01, 1).value() == 0xff);
        CHECK(b.read(0x03, 1).value() == 0x13);
        CHECK(b.read(0x0b, 1).value() == 0x1b);
        CHECK(b.read(0x0a, 1).value() == 0x99);
        CHECK(b.read(0xff, 1).value() == 0xfe);
        CHECK(b.read(0x100, 1).value() == 0xfd);
        CHECK(b.device.happened().empty());
        CHECK(b.read(0x05, 1).value() == 0x24);
        CHECK(b.device.happened() == events{{"read W0"}});
    }
    SECTION("written together") {
        CHECK(b.write(0x00, 0xa3a2a1a0, 4) == answer{4});
        CHECK(b.device.happened() == events{store(0x02, 1, 0xa2)});
        CHECK(b.read(0x00, 4).value() == 0x13a25ea0);
    }
    SECTION("a partial write of 16 bits is filled up from its neighbour in the register alone") {
        CHECK(b.write(0x05, 0xaa, 1) == answer{1});
        CHECK(b.device.happened() == events{{"write W0", 0, 0, 0xaa25}});
        CHECK(b.write(0x03, 0xccbb, 2) == answer{2});
        CHECK(b.device.happened() == events{{"write W0", 0, 0, 0xaacc}});
    }
    SECTION("a byte is a full width") {
        CHECK(b.write(0x110, 0x44332211, 4) == answer{4});
        CHECK(b.device.happened() == events{store(0x110, 1, 0x11), {"write BYTE", 0, 0, 0x22}, store(0x111, 1, 0x22),
                                            store(0x112, 2, 0x4433)});
    }
}

TEST_CASE("64-bit registers answer in every part") {
    bench<stack<recorder, wide>> b;
    for (unsigned from = 0; from < 8; ++from)
        for (unsigned size = 1; from + size <= 8; ++size) {
            CAPTURE(from, size);
            const auto part = [&](std::uint64_t value) { return value >> (8 * from) & low_bytes(size); };
            CHECK(b.read(0x08 + from, size).value() == part(0x1122334455667788));
            CHECK(b.read(0x30 + from, size).value() == part(0x8877665544332211));
            CHECK(b.device.happened().empty());
            CHECK(b.read(0x18 + from, size).value() == part(~initial_value(0x18, 8)));
            CHECK(b.device.happened() == events{{"read HOOKED"}, load(0x18, 4), load(0x1c, 4)});
        }
}

TEST_CASE("64-bit registers are reached as wide as the device takes") {
    bench<stack<recorder, wide>> four{4096, 4};
    CHECK(four.read(0x10, 8).value() == initial_value(0x10, 8));
    CHECK(four.device.happened() == events{load(0x10, 4), load(0x14, 4)});
    bench<stack<recorder, wide>> eight{4096, 8};
    CHECK(eight.read(0x10, 8).value() == initial_value(0x10, 8));
    CHECK(eight.device.happened() == events{load(0x10, 8)});
    CHECK(eight.read(0x18, 4).value() == (~initial_value(0x18, 4) & 0xffffffff));
    CHECK(eight.device.happened() == events{{"read HOOKED"}, load(0x18, 8)});
    CHECK(eight.write(0x18, 1, 8) == answer{8});
    CHECK(eight.device.happened() == events{{"write HOOKED", 0, 0, 1}, store(0x18, 8, 1)});
}

TEST_CASE("64-bit registers that are written by halves, as a guest without 64-bit accesses does") {
    bench<stack<recorder, wide>> b{4096, 8};
    CHECK(b.write(0x08, 0xaaaaaaaa, 4) == answer{4});
    CHECK(b.write(0x0c, 0xbbbbbbbb, 4) == answer{4});
    CHECK(b.read(0x08, 8).value() == 0xbbbbbbbbaaaaaaaa);
    CHECK(b.write(0x2c, 0xffffffff, 4) == answer{4});
    CHECK(b.read(0x28, 8).value() == 0xffffffff);
    CHECK(b.device.happened().empty());
    CHECK(b.write(0x1c, 0xdddddddd, 4) == answer{4});
    CHECK(b.device.happened() == events{load(0x18, 8), {"write HOOKED", 0, 0, 0xdddddddd00000000 | initial_value(0x18, 4)},
                                        store(0x18, 8, 0xdddddddd00000000 | initial_value(0x18, 4))});
    CHECK(b.write(0x23, 0x332211, 3) == answer{3});
    CHECK(b.device.happened() == events{{"write LANES", 0, 0, 0x332211000000, 0xffffff000000}});
}

TEST_CASE("a 64-bit register at the edge of the tables' chunks") {
    bench<stack<recorder, wide>> b{4096, 8};
    CHECK(b.read(0xfc, 8).value() == initial_value(0x100, 4) << 32);
    CHECK(b.device.happened() == events{load(0x100, 4)});
    CHECK(b.read(0xff, 1).value() == 0);
    CHECK(b.device.happened().empty());
}

namespace {

/// Registers that take some widths only.
struct stated {
    static constexpr auto bar0 = region_map{
        bar{0}, 4_KiB, reg{"DWORD", 0x00, rw, {.backing = from::shadow, .value = 0x11223344, .widths = width::bits32}},
        reg{"SWALLOWS", 0x04, rw, {.backing = from::shadow, .value = 0x55667788, .widths = width::bits32, .otherwise = otherwise::swallow}},
        reg{"HALVES", 0x08, rw, {.backing = from::shadow, .value = 0x99aabbcc, .widths = width::bits8 | width::bits16}},
        reg{"DEVICE", 0x0c, rw, {.widths = width::bits32}},
        reg{"WIDE", 0x10, rw, {.backing = from::shadow, .value = 0x1122334455667788, .bits = 64, .widths = width::bits32 | width::bits64}},
        reg{"HOOKED", 0x18, rw, {.hook = on::read | on::write, .widths = width::bits32}},
        reg{"QUIET", 0x1c, rw, {.hook = on::read | on::write, .widths = width::bits32, .otherwise = otherwise::swallow}},
        reg{"BYTE", 0x21, rw, {.backing = from::shadow, .value = 0x21, .bits = 8, .widths = width::bits8}},
        reg{"CLEARS", 0x24, rc, {.backing = from::shadow, .value = 0x77, .widths = width::bits32, .otherwise = otherwise::swallow}},
        reg{"FIELDS", 0x28, fields{field{"D", 0, 16}, field{"S", 16, 16, rw, {.backing = from::shadow, .value = 0x1234}}},
            {.widths = width::bits16}},
        reg{"ARRAY", 0x30, rw, {.backing = from::shadow, .value = 0x30, .count = 2, .widths = width::bits32}}};
    static constexpr auto regions = mediant::regions<bar0>{};

    result<std::uint32_t> read(at<bar0, "HOOKED">, auto&) { return noted("read"); }
    result<std::uint32_t> read(at<bar0, "QUIET">, auto&) { return noted("read"); }
    result<void> write(at<bar0, "HOOKED">, std::uint32_t, auto&) { return noted("write").error(); }
    result<void> write(at<bar0, "QUIET">, std::uint32_t, auto&) { return noted("write").error(); }
    static result<std::uint32_t> noted(const char* what) {
        journal->push_back({what});
        return 0x12345678u;
    }
};

} // namespace

TEST_CASE("a register refuses the widths that it does not take, whatever its backing and hooks") {
    bench<stack<recorder, stated>> b;
    const std::uint64_t takes_32[] = {0x00, 0x0c, 0x18};
    for (const std::uint64_t offset : takes_32)
        for (unsigned from = 0; from < 4; ++from)
            for (unsigned size = 1; from + size <= 4 && size < 4; ++size) {
                CAPTURE(offset, from, size);
                const auto got = b.read(offset + from, size);
                CHECK(got.done == answer{0, error::invalid});
                CHECK(got.data == bytes(size, std::byte{0xcc}));
                CHECK(b.write(offset + from, bytes(size)) == answer{0, error::invalid});
            }
    CHECK(b.device.happened().empty());
    CHECK(b.read(0x00, 4).value() == 0x11223344);
    CHECK(b.read(0x0c, 4).value() == initial_value(0x0c, 4));
    CHECK(b.write(0x0c, 1, 4) == answer{4});
    CHECK(b.device.happened() == events{load(0x0c, 4), store(0x0c, 4, 1)});
    CHECK(b.read(0x18, 4).value() == 0x12345678);
    CHECK(b.write(0x18, 1, 4) == answer{4});
    CHECK(b.device.happened() == events{{"read"}, {"write"}});
}

TEST_CASE("or it swallows them: ones are read, writes do nothing") {
    bench<stack<recorder, stated>> b;
    for (const std::uint64_t offset : {0x04u, 0x1cu, 0x24u})
        for (unsigned from = 0; from < 4; ++from)
            for (unsigned size = 1; from + size <= 4 && size < 4; ++size) {
                CAPTURE(offset, from, size);
                const auto got = b.read(offset + from, size);
                CHECK(got.done == answer{size});
                CHECK(got.data == bytes(size, std::byte{0xff}));
                CHECK(b.write(offset + from, bytes(size)) == answer{size});
            }
    CHECK(b.device.happened().empty());
    CHECK(b.read(0x04, 4).value() == 0x55667788);
    CHECK(b.read(0x24, 4).value() == 0x77); // no effect of reads that were swallowed
    CHECK(b.read(0x24, 4).value() == 0);
}

TEST_CASE("narrow widths, wide ones, fields and arrays") {
    bench<stack<recorder, stated>> b;
    CHECK(b.read(0x08, 4).done == answer{0, error::invalid});
    CHECK(b.read(0x08, 2).value() == 0xbbcc);
    CHECK(b.read(0x0b, 1).value() == 0x99);
    CHECK(b.read(0x09, 2).done == answer{0, error::invalid}); // not aligned
    CHECK(b.write(0x0a, 0x1122, 2) == answer{2});
    CHECK(b.read(0x0a, 2).value() == 0x1122);

    CHECK(b.read(0x10, 8).value() == 0x1122334455667788);
    CHECK(b.read(0x14, 4).value() == 0x11223344);
    CHECK(b.read(0x12, 4).done == answer{0, error::invalid});
    CHECK(b.read(0x14, 2).done == answer{0, error::invalid});
    CHECK(b.write(0x10, 1, 4) == answer{4});
    CHECK(b.write(0x11, 1, 1) == answer{0, error::invalid});
    CHECK(b.read(0x10, 8).value() == 0x1122334400000001);

    CHECK(b.read(0x21, 1).value() == 0x21);
    CHECK(b.device.happened().empty());
    CHECK(b.read(0x28, 4).done == answer{0, error::invalid});
    CHECK(b.device.happened().empty());
    CHECK(b.read(0x28, 2).value() == initial_value(0x28, 2));
    CHECK(b.read(0x2a, 2).value() == 0x1234);
    CHECK(b.read(0x34, 4).value() == 0x30);
    CHECK(b.read(0x35, 1).done == answer{0, error::invalid});
}

TEST_CASE("an access over several registers asks each for the part that lies in it") {
    bench<stack<recorder, stated>> b;
    CHECK(b.read(0x00, 8).value() == 0x5566778811223344); // 32 bits of each
    CHECK(b.read(0x02, 6).done == answer{0, error::invalid});
    CHECK(b.read(0x00, 10).data == [] {
        bytes out = little(0x5566778811223344, 8);
        for (const std::byte x : little(0xbbcc, 2)) out.push_back(x);
        return out;
    }());
    CHECK(b.read(0x00, 12).done == answer{8, error::invalid});
    CHECK(b.write(0x04, 0xaaaaaaaa0000, 6) == answer{6});
    CHECK(b.read(0x04, 6).value() == 0xaaaaaaaa0000);
    CHECK(b.read(0x06, 3).done == answer{3}); // the first swallows, the second takes a byte
}

TEST_CASE("a register with stated widths is trapped, so that no mapping avoids them") {
    CHECK(run_of<stated::bar0>(0x0c, 4).trapped);
}
