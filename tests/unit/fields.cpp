// SPDX-License-Identifier: BSD-3-Clause
#include "recorder.hpp"

#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <cstdint>

using namespace mediant;
using namespace mediant::test;

namespace {

struct mixed {
    static constexpr auto bar0 = region_map{
        bar{0}, 4_KiB,
        // A byte of each.
        reg{"BYTES", 0x00,
            fields{field{"LOW", 0, 8}, field{"MODE", 8, 8, rw, {.backing = from::shadow, .value = 0x5a}},
                   field{"EVENTS", 16, 8, w1c, {.backing = from::shadow, .value = 0xff}},
                   field{"ID", 24, 8, ro, {.backing = from::constant, .value = 0xc3}}}},
        // Bits that pass among others, all of which are preserved.
        reg{"KEEP", 0x04,
            fields{field{"RUN", 0}, field{"SHADOW", 1, 3, rw, {.backing = from::shadow, .value = 5}}, field{"STATUS", 4, 4, ro},
                   field{"ACK", 8, 8, w1c}, reserved{16, 16}}},
        // The same, but the device is given zeros or ones.
        reg{"ZEROS", 0x08,
            fields{field{"RUN", 0, 4}, field{"SHADOW", 4, 4, rw, {.backing = from::shadow, .device = toward::zeros}},
                   reserved{8, 24, from::device, toward::zeros}}},
        reg{"ONES", 0x0c,
            fields{field{"RUN", 0, 4}, field{"SHADOW", 4, 4, rw, {.backing = from::shadow, .device = toward::ones}},
                   field{"CONST", 8, 8, ro, {.backing = from::constant, .value = 0x77, .device = toward::zeros}},
                   reserved{16, 8, from::constant, toward::ones}, reserved{24, 8, from::device, toward::preserve}}},
        // Nothing of the device's.
        reg{"NONE", 0x10,
            fields{field{"A", 0, 16, rw, {.backing = from::shadow, .value = 0x1234}},
                   field{"B", 16, 8, rw, {.backing = from::constant, .value = 0x56}}, reserved{24, 8}}},
        // Only the device's, but not all as it is.
        reg{"READS", 0x14, fields{field{"SECRET", 0, 16, wo}, field{"SEEN", 16, 8, ro}, field{"FREE", 24, 8}}},
        // All as the device has it: named, and no more.
        reg{"PLAIN", 0x18, fields{field{"A", 0, 4}, field{"B", 4, 28}}},
        // Reads have effects, field by field.
        reg{"EFFECTS", 0x1c,
            fields{field{"RC", 0, 4, rc, {.backing = from::shadow, .value = 0xf}},
                   field{"RW", 4, 4, rw, {.backing = from::shadow, .value = 0xa}},
                   field{"RS", 8, 4, rs, {.backing = from::shadow, .value = 0x1}},
                   field{"W1SRC", 12, 4, w1src, {.backing = from::shadow, .value = 0x3}},
                   field{"WO", 16, 8, wo, {.backing = from::shadow, .value = 0x99}},
                   field{"W1", 24, 8, w1, {.backing = from::shadow, .value = 0x42}}}},
        // Reading the device has effects: nothing of it is preserved.
        reg{"FIFO", 0x20,
            fields{field{"DATA", 0, 8, rw}, field{"KIND", 8, 8, rw, {.backing = from::shadow, .value = 0x11, .device = toward::zeros}},
                   reserved{16, 16, from::constant, toward::zeros}},
            {.read_has_effect = true}},
        reg{"WIDE", 0x28,
            fields{field{"A", 0, 36}, field{"B", 36, 20, rw, {.backing = from::shadow, .value = 0xabcde}},
                   field{"C", 56, 8, ro, {.backing = from::constant, .value = 0x81}}},
            {.bits = 64}},
        reg{"TINY", 0x31, fields{field{"A", 0, 4}, field{"B", 4, 4, rw, {.backing = from::shadow, .value = 9}}}, {.bits = 8}}};
    static constexpr auto regions = mediant::regions<bar0>{};
};
/// Answers short, and names no error.
struct mute {
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"ANY", 0x00, ro}};
    static constexpr auto regions = mediant::regions<bar0>{};

    answer read(read_access, auto&) { return {}; }
    answer write(write_access, auto&) { return {}; }
};

using mixed_bench = bench<stack<recorder, mixed>>;

std::uint64_t device_has(const mixed_bench& b, std::uint64_t offset, unsigned size) {
    const auto& memory = b.device.memory.at(bar{0});
    return value_of({memory.begin() + static_cast<std::ptrdiff_t>(offset), memory.begin() + static_cast<std::ptrdiff_t>(offset + size)});
}

} // namespace

TEST_CASE("a read puts device, shadow and constant together, and reads the device only where it has something") {
    mixed_bench b;
    CHECK(b.read(0x00, 4).value() == (0xc3ff5a00 | initial_value(0x00, 1)));
    CHECK(b.device.happened() == events{load(0x00, 4)});
    CHECK(b.read(0x00, 1).value() == initial_value(0x00, 1));
    CHECK(b.device.happened() == events{load(0x00, 1)});
    CHECK(b.read(0x01, 1).value() == 0x5a);
    CHECK(b.read(0x02, 2).value() == 0xc3ff);
    CHECK(b.read(0x01, 3).value() == 0xc3ff5a);
    CHECK(b.read(0x10, 4).value() == 0x00561234);
    CHECK(b.read(0x14, 2).value() == 0);
    CHECK(b.device.happened().empty());
    CHECK(b.read(0x04, 4).value() == ((initial_value(0x04, 4) & 0xfff1) | 5 << 1));
    CHECK(b.device.happened() == events{load(0x04, 4)});
    CHECK(b.read(0x06, 2).value() == 0);
    CHECK(b.device.happened().empty());
    CHECK(b.read(0x14, 4).value() == (initial_value(0x14, 4) & 0xffff0000));
    CHECK(b.device.happened() == events{load(0x14, 4)});
}

TEST_CASE("a register of which every field is the device's is not trapped") {
    mixed_bench b{1 << 12};
    CHECK_FALSE(trap_table<mixed::bar0>::find(0x18) != trap_table<mixed::bar0>::none);
    CHECK(b.read(0x18, 4).value() == initial_value(0x18, 4));
    CHECK(b.write(0x18, 0x12345678, 4) == answer{4});
    CHECK(b.device.happened() == events{load(0x18, 4), store(0x18, 4, 0x12345678)});
}

TEST_CASE("reserved bits read as zeros, or as the device gives; writes do not reach them") {
    mixed_bench b;
    const std::uint64_t before = device_has(b, 0x04, 4);
    CHECK(b.write(0x04, 0xffffffff, 4) == answer{4});
    CHECK((device_has(b, 0x04, 4) & 0xffff00f0) == (before & 0xffff00f0));
    CHECK((b.read(0x04, 4).value() & 0xffff0000) == 0);
    CHECK((b.read(0x08, 4).value() & 0xffffff00) == (initial_value(0x08, 4) & 0xffffff00));
    b.device.happened();
    CHECK(b.write(0x08, 0xffffffff, 4) == answer{4});
    CHECK(b.device.happened() == events{store(0x08, 4, 0x0000000f)});
}

TEST_CASE("a write reads what must be preserved, then writes, then sets the shadows") {
    mixed_bench b;
    SECTION("preserve: bits that are the device's but not the user's are put back") {
        const std::uint64_t before = initial_value(0x04, 4);
        CHECK(b.write(0x04, 0xdead3300, 4) == answer{4});
        // RUN 0; SHADOW's and STATUS's bits as they were; of ACK only the written ones, whatever it held.
        CHECK(b.device.happened() == events{load(0x04, 4), store(0x04, 4, (before & 0xffff00fe) | 0x3300)});
        CHECK((b.read(0x04, 4).value() & 0xe) == 0);
    }
    SECTION("zeros and ones need no read") {
        CHECK(b.write(0x08, 0xffffff5a, 4) == answer{4});
        CHECK(b.device.happened() == events{store(0x08, 4, 0x0a)});
        CHECK((b.read(0x08, 1).value() & 0xf0) == 0x50);
        b.device.happened();
        CHECK(b.write(0x0c, 0x0000, 2) == answer{2});
        CHECK(b.device.happened() == events{store(0x0c, 2, 0x00f0)});
    }
    SECTION("only the lanes that are written count") {
        CHECK(b.write(0x0c, 0x12345601, 4) == answer{4});
        CHECK(b.device.happened() ==
              events{load(0x0c, 4), store(0x0c, 4, (initial_value(0x0c, 4) & 0xff000000) | 0x00ff00f1)});
        CHECK(b.write(0x0c, 0x02, 1) == answer{1}); // what is preserved lies in another byte
        CHECK(b.device.happened() == events{store(0x0c, 1, 0xf2)});
        CHECK(b.write(0x0d, 0x020202, 3) == answer{3}); // nothing that passes
        CHECK(b.device.happened().empty());
        CHECK(b.write(0x05, 0x0f, 1) == answer{1}); // w1c alone in its byte
        CHECK(b.device.happened() == events{store(0x05, 1, 0x0f)});
        CHECK(b.write(0x01, 0x1122, 2) == answer{2});
        CHECK(b.device.happened().empty());
        CHECK(b.read(0x01, 2).value() == 0xee22);
        CHECK(b.write(0x00, 0x77, 1) == answer{1});
        CHECK(b.device.happened() == events{store(0x00, 1, 0x77)});
    }
    SECTION("no device, no access") {
        CHECK(b.write(0x10, 0xffffffff, 4) == answer{4});
        CHECK(b.device.happened().empty());
        CHECK(b.read(0x10, 4).value() == 0x0056ffff);
    }
    SECTION("what is written to the device but not read there") {
        CHECK(b.write(0x14, 0xaabbccdd, 4) == answer{4}); // SEEN is ro, and preserved
        CHECK(b.device.happened() ==
              events{load(0x14, 4), store(0x14, 4, 0xaa00ccdd | (initial_value(0x14, 4) & 0xff0000))});
        CHECK(b.write(0x14, 0x1122, 2) == answer{2});
        CHECK(b.device.happened() == events{store(0x14, 2, 0x1122)});
        CHECK(b.read(0x14, 4).value() == (0xaa000000 | (initial_value(0x14, 4) & 0xff0000)));
    }
}

TEST_CASE("w1c beside bits that pass: neither disturbs the other") {
    mixed_bench b;
    CHECK(b.write(0x00, 0x000f0011, 4) == answer{4});
    CHECK(b.device.happened() == events{load(0x00, 4), store(0x00, 4, (initial_value(0x00, 4) & 0xffffff00) | 0x11)});
    CHECK(b.read(0x02, 1).value() == 0xf0);
    CHECK(b.write(0x00, 0x22, 1) == answer{1});
    CHECK(b.read(0x02, 1).value() == 0xf0);
    CHECK(b.write(0x02, 0x10, 1) == answer{1});
    CHECK(b.read(0x00, 4).value() == 0xc3e00022);
}

TEST_CASE("a fault of the device leaves the shadows as they were") {
    mixed_bench b;
    SECTION("at the read before the write: nothing is written") {
        b.device.faults_after = 0;
        CHECK(b.write(0x00, 0xffffffff, 4) == answer{0, error::io});
        CHECK(b.device.happened() == events{load(0x00, 4)});
    }
    SECTION("at the write") {
        b.device.faults_after = 1;
        CHECK(b.write(0x00, 0xffffffff, 4) == answer{0, error::io});
        CHECK(b.device.happened().size() == 2);
    }
    b.device.faults_after = -1;
    CHECK(b.read(0x00, 4).value() == (0xc3ff5a00 | initial_value(0x00, 1)));
}

TEST_CASE("a fault at a read gives nothing of the device's, and leaves the effects of reading undone") {
    mixed_bench b;
    b.device.faults_after = 1; // the second half of 64 bits
    const auto got = b.read(0x28, 8);
    CHECK(got.done == answer{0, error::io});
    CHECK(got.data == bytes(8, std::byte{0xcc}));
}

TEST_CASE("a layer below that answers short without an error is an error, as nothing was done") {
    bench<stack<recorder, mixed, mute>> b;
    CHECK(b.read(0x00, 4).done == answer{0, error::io});
    CHECK(b.write(0x00, 0xffffffff, 4) == answer{0, error::io}); // at the read before the write
    CHECK(b.write(0x08, 0xffffffff, 4) == answer{0, error::io}); // at the write
    CHECK(b.device.happened().empty());
}

TEST_CASE("reads have effects field by field, and lane by lane") {
    mixed_bench b;
    CHECK(b.read(0x1c, 1).value() == 0xaf);
    CHECK(b.read(0x1c, 1).value() == 0xa0);
    CHECK(b.read(0x1d, 1).value() == 0x31);
    CHECK(b.read(0x1c, 4).value() == 0x42000fa0);
    b.front.reset();
    CHECK(b.read(0x1c, 4).value() == 0x420031af);
    CHECK(b.read(0x1c, 4).value() == 0x42000fa0);
    CHECK(b.device.happened().empty());
}

TEST_CASE("a field that takes one write takes each lane once, until reset") {
    mixed_bench b;
    CHECK(b.write(0x1c, 0x11000000, 4) == answer{4});
    CHECK(b.write(0x1f, 0x22, 1) == answer{1});
    CHECK((b.read(0x1c, 4).value() >> 24) == 0x11);
    b.front.reset();
    CHECK(b.write(0x1c, 0x0000ffff, 3) == answer{3}); // another lane
    CHECK((b.read(0x1c, 4).value() >> 24) == 0x42);
    CHECK(b.write(0x1f, 0x22, 1) == answer{1});
    CHECK(b.write(0x1f, 0x33, 1) == answer{1});
    CHECK((b.read(0x1c, 4).value() >> 24) == 0x22);
}

TEST_CASE("a register whose read has side effects is read for the user alone") {
    mixed_bench b;
    CHECK(b.write(0x20, 0xffff2255, 4) == answer{4});
    CHECK(b.device.happened() == events{store(0x20, 4, 0x55)});
    CHECK(b.read(0x21, 3).value() == 0x22);
    CHECK(b.device.happened().empty());
    CHECK(b.read(0x20, 4).value() == 0x2255);
    CHECK(b.device.happened() == events{load(0x20, 4)});
}

TEST_CASE("fields of 64 and of 8 bits") {
    mixed_bench b{4096, 8};
    CHECK(b.read(0x28, 8).value() == ((initial_value(0x28, 8) & 0xfffffffff) | 0x81abcde000000000));
    CHECK(b.device.happened() == events{load(0x28, 8)});
    CHECK(b.write(0x28, 0x0123456789abcdef, 8) == answer{8});
    CHECK(b.device.happened() == events{load(0x28, 8), store(0x28, 8, (initial_value(0x28, 8) & 0xfffffff000000000) | 0x789abcdef)});
    CHECK(b.read(0x28, 8).value() == 0x81234567'89abcdef);
    b.device.happened();
    CHECK(b.write(0x2c, 0x55555555, 4) == answer{4});
    CHECK(b.device.happened() == events{load(0x2c, 4), store(0x2c, 4, (initial_value(0x2c, 4) & 0xfffffff0) | 5)});
    CHECK(b.read(0x2d, 1).value() == 0x55); // of the shadow alone
    CHECK(b.device.happened().empty());

    CHECK(b.read(0x31, 1).value() == (0x90 | (initial_value(0x31, 1) & 0xf)));
    CHECK(b.write(0x31, 0x6e, 1) == answer{1});
    CHECK(b.read(0x31, 1).value() == 0x6e);
    CHECK(b.device.happened() == events{load(0x31, 1), load(0x31, 1), store(0x31, 1, (initial_value(0x31, 1) & 0xf0) | 0xe), load(0x31, 1)});
}

namespace {

/// Hooks above fields: next is what the register is without them.
struct hooked_fields {
    static constexpr auto bar0 = region_map{
        bar{0}, 4_KiB,
        reg{"BOTH", 0x00, fields{field{"D", 0, 16}, field{"S", 16, 16, rw, {.backing = from::shadow, .value = 0x1234}}},
            {.hook = on::read | on::write}},
        reg{"CLEARED", 0x04,
            fields{field{"A", 0, 16, rw, {.backing = from::shadow, .value = 0x5678}},
                   field{"B", 16, 16, rc, {.backing = from::shadow, .value = 0xffff}}},
            {.hook = on::write}},
        reg{"POPPED", 0x08,
            fields{field{"A", 0, 16, rw, {.backing = from::shadow, .value = 0x5678}}, field{"B", 16, 16, ro}},
            {.hook = on::write, .read_has_effect = true}},
        reg{"ACKED", 0x0c, fields{field{"A", 0, 16, w1c}, field{"B", 16, 16, w0c, {.backing = from::shadow, .value = 0xffff}}},
            {.hook = on::write}}};
    static constexpr auto regions = mediant::regions<bar0>{};

    result<std::uint32_t> read(at<bar0, "BOTH"> t, auto& next) {
        const auto below = next.read(t);
        if (!below) return below;
        return ~*below;
    }
    result<void> write(at<bar0, "BOTH"> t, std::uint32_t v, auto& next) { return noted("BOTH", t, v, next); }
    result<void> write(at<bar0, "CLEARED"> t, std::uint32_t v, auto& next) { return noted("CLEARED", t, v, next); }
    result<void> write(at<bar0, "POPPED"> t, std::uint32_t v, auto& next) { return noted("POPPED", t, v, next); }
    result<void> write(at<bar0, "ACKED"> t, std::uint32_t v, auto& next) { return noted("ACKED", t, v, next); }
    static result<void> noted(const char* name, auto t, std::uint32_t v, auto& next) {
        journal->push_back({name, 0, 0, v});
        return next.write(t, v);
    }
};

} // namespace

TEST_CASE("hooks of a register with fields see and set it as a whole") {
    bench<stack<recorder, hooked_fields>> b;
    CHECK(b.read(0x00, 4).value() == (~(0x12340000 | initial_value(0, 2)) & 0xffffffff));
    CHECK(b.device.happened() == events{load(0x00, 4)});
    CHECK(b.write(0x00, 0xaaaabbbb, 4) == answer{4});
    CHECK(b.device.happened() == events{{"BOTH", 0, 0, 0xaaaabbbb}, load(0x00, 4),
                                        store(0x00, 4, (initial_value(0, 4) & 0xffff0000) | 0xbbbb)});
    CHECK(b.write(0x03, 0xcc, 1) == answer{1}); // filled up with what it holds
    CHECK(b.device.happened() ==
          events{load(0x00, 4), {"BOTH", 0, 0, 0xccaabbbb}, load(0x00, 4), store(0x00, 4, (initial_value(0, 4) & 0xffff0000) | 0xbbbb)});
    CHECK(b.write(0x0d, 0xff, 1) == answer{1}); // filled up with what changes nothing
    CHECK(b.device.happened().front() == event{"ACKED", 0, 0, 0xffffff00});
}

TEST_CASE("filling a partial write up never reads what reading changes") {
    bench<stack<recorder, hooked_fields>> b;
    CHECK(b.write(0x04, 0xaa, 1) == answer{0, error::invalid});
    CHECK(b.device.happened().empty());
    CHECK(b.write(0x06, 0xaa, 1) == answer{0, error::invalid}); // A would have to be read
    CHECK(b.write(0x04, 0xaaaa, 2) == answer{2});               // of B nothing needs to be known
    CHECK(b.device.happened() == events{{"CLEARED", 0, 0, 0xaaaa}});
    CHECK(b.read(0x04, 4).value() == 0xffffaaaa);
    CHECK(b.read(0x04, 4).value() == 0xaaaa);

    CHECK(b.write(0x08, 0xaa, 1) == answer{0, error::invalid});
    CHECK(b.device.happened().empty());
    CHECK(b.write(0x08, 0xbbbb, 2) == answer{2});
    CHECK(b.device.happened() == events{{"POPPED", 0, 0, 0xbbbb}});
}
