// SPDX-License-Identifier: BSD-3-Clause
#include "recorder.hpp"

#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <cstdint>

using namespace mediant;
using namespace mediant::test;

namespace {

error refuses = error::none;

/// Hooks that are told of a write, and look at what the register then holds.
struct told {
    static constexpr auto bar0 = region_map{
        bar{0}, 4_KiB, reg{"DEVICE", 0x00, rw, {.hook = on::written}},
        reg{"SHADOW", 0x04, w1s, {.backing = from::shadow, .hook = on::written, .value = 1}},
        reg{"BOTH", 0x08, rw, {.hook = on::write | on::written}},
        reg{"CONSTANT", 0x0c, rw, {.backing = from::constant, .hook = on::written, .value = 7}},
        reg{"FIELDS", 0x10, fields{field{"D", 0, 8}, field{"S", 8, 24, rw, {.backing = from::shadow}}}, {.hook = on::written}},
        reg{"WO", 0x14, wo, {.hook = on::written}}, reg{"BYTE", 0x19, rw, {.hook = on::written, .bits = 8}},
        reg{"WIDE", 0x20, rw, {.hook = on::written, .bits = 64}},
        reg{"ONLY_32", 0x28, rw, {.backing = from::shadow, .hook = on::written, .widths = width::bits32, .otherwise = otherwise::swallow}},
        reg{"ALL", 0x2c, rw, {.hook = on::read | on::write | on::written}}};
    static constexpr auto regions = mediant::regions<bar0>{};

    template <class Tag>
    result<void> tell(Tag which, auto value, auto& next) {
        const auto held = next.read(which);
        journal->push_back({std::string{"written "} + std::string{Tag::facts().name}, held.value_or(0), 0, value.value, value.mask});
        return refuses == error::none ? result<void>{} : result<void>{refuses};
    }
    using v = lanes<std::uint32_t>;
    result<void> written(at<bar0, "DEVICE"> t, v x, auto& next) { return tell(t, x, next); }
    result<void> written(at<bar0, "SHADOW"> t, v x, auto& next) { return tell(t, x, next); }
    result<void> written(at<bar0, "BOTH"> t, v x, auto& next) { return tell(t, x, next); }
    result<void> written(at<bar0, "CONSTANT"> t, v x, auto& next) { return tell(t, x, next); }
    result<void> written(at<bar0, "FIELDS"> t, v x, auto& next) { return tell(t, x, next); }
    result<void> written(at<bar0, "WO"> t, v x, auto& next) { return tell(t, x, next); }
    result<void> written(at<bar0, "BYTE"> t, lanes<std::uint8_t> x, auto& next) { return tell(t, x, next); }
    result<void> written(at<bar0, "WIDE"> t, lanes<std::uint64_t> x, auto& next) { return tell(t, x, next); }
    result<void> written(at<bar0, "ONLY_32"> t, v x, auto& next) { return tell(t, x, next); }
    result<void> written(at<bar0, "ALL"> t, v x, auto& next) { return tell(t, x, next); }
    result<void> write(at<bar0, "BOTH"> t, std::uint32_t x, auto& next) {
        journal->push_back({"write BOTH", 0, 0, x});
        if (x == 0xbad) return error::busy;
        return next.write(t, x + 1);
    }
    result<std::uint32_t> read(at<bar0, "ALL">, auto&) { return 0x5555u; }
    result<void> write(at<bar0, "ALL">, v, auto&) { return {}; }
};

struct told_bench : bench<stack<recorder, told>> {
    told_bench() { refuses = error::none; }
};

} // namespace

TEST_CASE("a written hook is called after the backing has taken the write") {
    told_bench b;
    CHECK(b.write(0x00, 0x11223344, 4) == answer{4});
    CHECK(b.device.happened() == events{store(0, 4, 0x11223344), load(0, 4), {"written DEVICE", 0x11223344, 0, 0x11223344, 0xffffffff}});
    CHECK(b.write(0x04, 0x80000000, 4) == answer{4});
    CHECK(b.device.happened() == events{{"written SHADOW", 0x80000001, 0, 0x80000000, 0xffffffff}});
    CHECK(b.write(0x0c, 1, 4) == answer{4});
    CHECK(b.device.happened() == events{{"written CONSTANT", 7, 0, 1, 0xffffffff}});
    CHECK(b.write(0x14, 2, 4) == answer{4});
    CHECK(b.device.happened() == events{store(0x14, 4, 2), {"written WO", 0, 0, 2, 0xffffffff}});
    CHECK(b.write(0x10, 0x33445566, 4) == answer{4});
    events seen = b.device.happened();
    CHECK(seen.back() == event{"written FIELDS", 0x33445566, 0, 0x33445566, 0xffffffff});
}

TEST_CASE("a written hook gets the lanes that were written, and the backing no others") {
    told_bench b;
    CHECK(b.write(0x02, 0xaa, 1) == answer{1});
    CHECK(b.device.happened() == events{store(2, 1, 0xaa), load(0, 4),
                                        {"written DEVICE", initial_value(0, 2) | 0xaa0000 | initial_value(3, 1) << 24, 0, 0xaa0000, 0xff0000}});
    CHECK(b.write(0x18, 0x4321, 2) == answer{2});
    CHECK(b.device.happened() == events{store(0x18, 1, 0x21), store(0x19, 1, 0x43), load(0x19, 1), {"written BYTE", 0x43, 0, 0x43, 0xff}});
    CHECK(b.write(0x24, 0x89abcdef, 4) == answer{4});
    CHECK(b.device.happened().back() ==
          event{"written WIDE", 0x89abcdef00000000 | initial_value(0x20, 4), 0, 0x89abcdef00000000, 0xffffffff00000000});
    CHECK(b.write(0x27, 0x77, 1) == answer{1});
    CHECK(b.device.happened().back().mask == 0xff00000000000000);
}

TEST_CASE("a written hook is called once for each register that a write reaches, in order") {
    told_bench b;
    CHECK(b.write(0x02, 0x4433221104030201, 8) == answer{8});
    events seen;
    for (const event& e : b.device.happened())
        if (e.what.starts_with("writ") || e.what == "store") seen.push_back({e.what});
    CHECK(seen == events{{"store"}, {"written DEVICE"}, {"written SHADOW"}, {"write BOTH"}, {"store"}, {"written BOTH"}});
}

TEST_CASE("a written hook follows the write hook, with what the user wrote") {
    told_bench b;
    CHECK(b.write(0x08, 0x10, 4) == answer{4});
    CHECK(b.device.happened() ==
          events{{"write BOTH", 0, 0, 0x10}, store(8, 4, 0x11), load(8, 4), {"written BOTH", 0x11, 0, 0x10, 0xffffffff}});
}

TEST_CASE("a written hook is not called for a write that failed") {
    told_bench b;
    SECTION("by the write hook") {
        CHECK(b.write(0x08, 0xbad, 4) == answer{0, error::busy});
        CHECK(b.device.happened() == events{{"write BOTH", 0, 0, 0xbad}});
    }
    SECTION("by the device") {
        b.device.faults_after = 0;
        CHECK(b.write(0x00, 1, 4) == answer{0, error::io});
        CHECK(b.device.happened() == events{store(0, 4, 1)});
        CHECK(b.write(0x08, 1, 4) == answer{0, error::io});
        CHECK(b.device.happened() == events{{"write BOTH", 0, 0, 1}, store(8, 4, 2)});
        CHECK(b.write(0x10, 1, 4) == answer{0, error::io});
        CHECK(b.device.happened().size() == 1);
    }
    SECTION("by the device, halfway") {
        b.device.faults_after = 1;
        CHECK(b.write(0x20, 1, 8) == answer{4, error::io});
        CHECK(b.device.happened() == events{store(0x20, 4, 1), store(0x24, 4, 0)});
    }
    SECTION("by its width") {
        CHECK(b.write(0x28, 1, 2) == answer{2});
        CHECK(b.device.happened().empty());
        CHECK(b.write(0x28, 1, 4) == answer{4});
        CHECK(b.device.happened() == events{{"written ONLY_32", 1, 0, 1, 0xffffffff}});
    }
}

TEST_CASE("what a written hook answers is what the user gets") {
    told_bench b;
    refuses = error::no_space;
    CHECK(b.write(0x00, 1, 4) == answer{0, error::no_space});
    CHECK(b.device.happened().front() == store(0, 4, 1)); // it was taken all the same
    CHECK(b.write(0x04, 2, 4) == answer{0, error::no_space});
    CHECK(b.read(0x04, 4).value() == 3);
    CHECK(b.write(0x08, 0, 4) == answer{0, error::no_space});
    refuses = error::none;
}

TEST_CASE("reads do not call written hooks, and a register may have all three hooks") {
    told_bench b;
    CHECK(b.read(0x00, 4).value() == initial_value(0, 4));
    CHECK(b.device.happened() == events{load(0, 4)});
    CHECK(b.read(0x2c, 4).value() == 0x5555);
    CHECK(b.device.happened().empty());
    CHECK(b.write(0x2d, 0x99, 1) == answer{1});
    CHECK(b.device.happened() == events{load(0x2c, 4), {"written ALL", initial_value(0x2c, 4), 0, 0x9900, 0xff00}});
}
