// SPDX-License-Identifier: BSD-3-Clause
#include "recorder.hpp"

#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <cstdint>

using namespace mediant;
using namespace mediant::test;

namespace {

struct aliased {
    static constexpr auto bar0 = region_map{
        bar{0}, 4_KiB,
        reg{"SHADOW", 0x00, w1c, {.backing = from::shadow, .value = 0xffffffff}}, alias{"SHADOW_2", 0x100, "SHADOW"},
        alias{"SHADOW_3", 0x104, "SHADOW"},
        reg{"HOOKED", 0x08, rw, {.hook = on::read | on::write | on::written}}, alias{"HOOKED_2", 0x108, "HOOKED"},
        reg{"PLAIN", 0x0c}, alias{"PLAIN_2", 0x10c, "PLAIN"},
        alias{"BYTE_2", 0x111, "BYTE"}, reg{"BYTE", 0x13, rw, {.backing = from::shadow, .value = 0x5a, .bits = 8}},
        reg{"CONSTANT", 0x18, ro, {.backing = from::constant, .value = 0x1122334455667788, .bits = 64}},
        alias{"CONSTANT_2", 0x118, "CONSTANT"},
        reg{"NARROW", 0x20, rw, {.backing = from::shadow, .widths = width::bits32}}, alias{"NARROW_2", 0x120, "NARROW"},
        reg{"FIELDS", 0x24, fields{field{"D", 0, 8}, field{"S", 8, 24, rc, {.backing = from::shadow, .value = 7, .device = toward::zeros}}}},
        alias{"FIELDS_2", 0x124, "FIELDS"},
        repeat{"PORT", 1, 0x10, reg{"R", 0x30, ro, {.backing = from::constant, .value = 0x99}}},
        alias{"PORT_2", 0x130, "PORT.R"}};
    static constexpr auto regions = mediant::regions<bar0>{};

    result<std::uint32_t> read(at<bar0, "HOOKED"> which, auto& next) {
        journal->push_back({"read"});
        return next.read(which);
    }
    result<void> write(at<bar0, "HOOKED"> which, std::uint32_t value, auto& next) {
        journal->push_back({"write", 0, 0, value});
        return next.write(which, value);
    }
    result<void> written(at<bar0, "HOOKED">, lanes<std::uint32_t> value, auto&) {
        journal->push_back({"written", 0, 0, value.value, value.mask});
        return {};
    }
};
using aliased_bench = bench<stack<recorder, aliased>>;

} // namespace

TEST_CASE("a register is one, wherever it is seen") {
    aliased_bench b;
    CHECK(b.write(0x100, 0x0000000f, 4) == answer{4});
    CHECK(b.read(0x00, 4).value() == 0xfffffff0);
    CHECK(b.write(0x01, 0xff, 1) == answer{1});
    CHECK(b.write(0x106, 0xffff, 2) == answer{2});
    CHECK(b.read(0x100, 4).value() == 0x000000f0);
    CHECK(b.read(0x100, 8).value() == 0x000000f0000000f0);
    b.front.reset();
    CHECK(b.read(0x104, 4).value() == 0xffffffff);
    CHECK(b.read(0x11a, 3).value() == 0x445566);
    CHECK(b.read(0x130, 4).value() == 0x99);
    CHECK(b.read(0x111, 1).value() == 0x5a);
    CHECK(b.write(0x111, 0x77, 1) == answer{1});
    CHECK(b.read(0x13, 1).value() == 0x77);
    CHECK(b.device.happened().empty());
}

TEST_CASE("what reaches the device through an alias reaches the register itself") {
    aliased_bench b;
    CHECK(b.read(0x10c, 4).value() == initial_value(0x0c, 4));
    CHECK(b.write(0x10e, 0x55, 1) == answer{1});
    CHECK(b.device.happened() == events{load(0x0c, 4), store(0x0e, 1, 0x55)});
    CHECK(b.read(0x124, 4).value() == (0x700 | initial_value(0x24, 1)));
    CHECK(b.device.happened() == events{load(0x24, 4)});
    CHECK(b.read(0x25, 3).value() == 0); // the alias's read had the effect
    CHECK(b.write(0x124, 0xffffff11, 4) == answer{4});
    CHECK(b.device.happened() == events{store(0x24, 4, 0x11)});
}

TEST_CASE("an alias calls the register's hooks, and has its widths") {
    aliased_bench b;
    CHECK(b.read(0x10a, 1).value() == initial_value(0x0a, 1));
    CHECK(b.device.happened() == events{{"read"}, load(0x08, 4)});
    CHECK(b.write(0x10b, 0x44, 1) == answer{1});
    const std::uint64_t filled = initial_value(0x08, 3) | 0x44000000;
    CHECK(b.device.happened() == events{load(0x08, 4), {"write", 0, 0, filled}, store(0x08, 4, filled),
                                        {"written", 0, 0, 0x44000000, 0xff000000}});
    CHECK(b.write(0x120, 0x12, 2) == answer{0, error::invalid});
    CHECK(b.write(0x120, 0x12, 4) == answer{4});
    CHECK(b.read(0x20, 4).value() == 0x12);
}

TEST_CASE("an access over an alias and its neighbours is split") {
    aliased_bench b;
    CHECK(b.read(0x10c, 8).value() == (initial_value(0x0c, 4) | initial_value(0x110, 1) << 32 | 0x5aull << 40 |
                                       initial_value(0x112, 2) << 48));
    CHECK(b.device.happened() == events{load(0x0c, 4), load(0x110, 1), load(0x112, 2)});
    b.device.faults_after = 0;
    CHECK(b.read(0x108, 8).done == answer{0, error::io});
    CHECK(b.device.happened() == events{{"read"}, load(0x08, 4)});
}

TEST_CASE("an alias is trapped, also where its register is not") {
    CHECK(run_of<aliased::bar0>(0x0c, 4).trapped == false);
    CHECK(run_of<aliased::bar0>(0x10c, 4).trapped);
    CHECK(run_of<aliased::bar0>(0x10c, 16).size == 4);
}
