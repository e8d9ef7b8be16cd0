// SPDX-License-Identifier: BSD-3-Clause
#include "recorder.hpp"

#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <cstdint>

using namespace mediant;
using namespace mediant::test;

namespace {

/// Every kind in every backing without a hook; then read hooks.
struct reader {
    static constexpr auto bar0 = region_map{
        bar{0}, 4_KiB,
        reg{"RW_DEVICE", 0x00},
        reg{"RO_DEVICE", 0x04, ro},
        reg{"WO_DEVICE", 0x08, wo},
        reg{"W1C_DEVICE", 0x0c, w1c},
        reg{"RW_SHADOW", 0x10, rw, {.backing = from::shadow, .value = 0x10203040}},
        reg{"RO_SHADOW", 0x14, ro, {.backing = from::shadow, .value = 0x11213141}},
        reg{"WO_SHADOW", 0x18, wo, {.backing = from::shadow, .value = 0x12223242}},
        reg{"W1C_SHADOW", 0x1c, w1c, {.backing = from::shadow, .value = 0x13233343}},
        reg{"RW_CONSTANT", 0x20, rw, {.backing = from::constant, .value = 0x14243444}},
        reg{"RO_CONSTANT", 0x24, ro, {.backing = from::constant, .value = 0x15253545}},
        reg{"WO_CONSTANT", 0x28, wo, {.backing = from::constant, .value = 0x16263646}},
        reg{"W1C_CONSTANT", 0x2c, w1c, {.backing = from::constant, .value = 0x17273747}},
        reg{"HOOKED", 0x40, ro, {.hook = on::read}},
        reg{"COUNTED", 0x44, ro, {.backing = from::shadow, .hook = on::read, .value = 0x100}},
        reg{"REFUSED", 0x48, rw, {.hook = on::read}},
        reg{"WRITTEN", 0x50, rw, {.backing = from::shadow, .hook = on::write, .value = 0x55667788}}};
    static constexpr auto regions = mediant::regions<bar0>{};

    result<std::uint32_t> read(at<bar0, "HOOKED">, auto& next) {
        journal->push_back({"HOOKED"});
        const result<std::uint32_t> below = next.read(at<bar0, "HOOKED">{});
        if (!below) return below;
        return ~*below;
    }
    result<std::uint32_t> read(at<bar0, "COUNTED">, auto& next) {
        journal->push_back({"COUNTED"});
        const result<std::uint32_t> old = next.read(at<bar0, "COUNTED">{});
        next.assign(at<bar0, "COUNTED">{}, *old + 1);
        return old;
    }
    result<std::uint32_t> read(at<bar0, "REFUSED">, auto&) { return error::busy; }
    result<void> write(at<bar0, "WRITTEN">, std::uint32_t, auto&) { return {}; }
};

using reading = bench<stack<recorder, reader>>;

constexpr std::uint64_t part_of(std::uint64_t value, unsigned from, unsigned size) {
    return (value >> (8 * from)) & low_bytes(size);
}

/// Every part of a dword answers the bytes of one value; `reaches` says whether the device is asked.
void check_parts(reading& b, std::uint64_t offset, std::uint64_t value, bool reaches) {
    for (unsigned from = 0; from < 4; ++from)
        for (unsigned size = 1; from + size <= 4; ++size) {
            CAPTURE(offset, from, size);
            const auto got = b.read(offset + from, size);
            CHECK(got.done == answer{size});
            CHECK(got.value() == part_of(value, from, size));
            const events seen = b.device.happened();
            CHECK(seen.empty() == !reaches);
            for (const event& e : seen) CHECK(e.what == "load");
        }
}

} // namespace

TEST_CASE("reads of every part of a register answer by kind and backing") {
    reading b;
    check_parts(b, 0x00, initial_value(0x00, 4), true);
    check_parts(b, 0x04, initial_value(0x04, 4), true);
    check_parts(b, 0x08, 0, false);
    check_parts(b, 0x0c, initial_value(0x0c, 4), true);
    check_parts(b, 0x10, 0x10203040, false);
    check_parts(b, 0x14, 0x11213141, false);
    check_parts(b, 0x18, 0, false);
    check_parts(b, 0x1c, 0x13233343, false);
    check_parts(b, 0x20, 0x14243444, false);
    check_parts(b, 0x24, 0x15253545, false);
    check_parts(b, 0x28, 0, false);
    check_parts(b, 0x2c, 0x17273747, false);
    SECTION("a write hook does not change reads") { check_parts(b, 0x50, 0x55667788, false); }
}

TEST_CASE("a partial read of a device's register asks the device for that part only") {
    reading b;
    static_cast<void>(b.read(0x05, 2));
    CHECK(b.device.happened() == events{load(0x05, 1), load(0x06, 1)});
    static_cast<void>(b.read(0x0e, 2));
    CHECK(b.device.happened() == events{load(0x0e, 2)});
}

TEST_CASE("a read hook is called once for every part, and the part is extracted") {
    reading b;
    const std::uint64_t value = ~initial_value(0x40, 4);
    for (unsigned from = 0; from < 4; ++from)
        for (unsigned size = 1; from + size <= 4; ++size) {
            CAPTURE(from, size);
            const auto got = b.read(0x40 + from, size);
            CHECK(got.done == answer{size});
            CHECK(got.value() == part_of(value, from, size));
            CHECK(b.device.happened() == events{{"HOOKED"}, load(0x40, 4)});
        }
}

TEST_CASE("one access calls each register's hook once, in the order of offsets") {
    reading b;
    const auto got = b.read(0x3e, 10);
    CHECK(got.done == answer{10});
    CHECK(b.device.happened() == events{load(0x3e, 2), {"HOOKED"}, load(0x40, 4), {"COUNTED"}});
    bytes expected = little(initial_value(0x3e, 2), 2);
    for (const std::byte x : little(~initial_value(0x40, 4), 4)) expected.push_back(x);
    for (const std::byte x : little(0x100, 4)) expected.push_back(x);
    CHECK(got.data == expected);
    SECTION("what a hook assigned is there at its next call") { CHECK(b.read(0x45, 1).value() == 0x01); }
}

TEST_CASE("a read hook's error ends the access there") {
    reading b;
    CHECK(b.read(0x48, 4).done == answer{0, error::busy});
    CHECK(b.read(0x49, 1).done == answer{0, error::busy});
    const auto got = b.read(0x42, 12);
    CHECK(got.done == answer{6, error::busy});
    CHECK(got.data[6] == std::byte{0xcc});
    b.device.seen.clear();
    SECTION("an error of the device below passes through a hook as it is") {
        b.device.faults_after = 0;
        b.device.fault = error::no_address;
        CHECK(b.read(0x41, 2).done == answer{0, error::no_address});
        CHECK(b.device.happened() == events{{"HOOKED"}, load(0x40, 4)});
    }
}
