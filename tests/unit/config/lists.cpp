// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Lists of capabilities through a config map: hidden, added, edited; whole whatever the device says.

#include "raw_function.hpp"

#include <mediant/mediant.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

using namespace mediant;
using namespace mediant::test;

namespace {

template <const auto& Config>
struct with {
    static constexpr auto regions = mediant::regions<Config>{};
};

constexpr auto hides_vpd = config_map{hide_capability{cap::vpd}};
constexpr auto hides_pm_and_pcie = config_map{hide_capability{cap::pm}, hide_capability{cap::pcie}};
constexpr auto hides_vendor = config_map{hide_capability{cap::vendor}};
constexpr auto adds_two = config_map{add_capability{cap::vendor, 0xe0, {8, 1, 2, 3, 4, 5}},
                                     add_capability{cap::vendor, 0xf0, {4, 9}, {.writable = true}}};
constexpr auto replaces_vpd = config_map{hide_capability{cap::vpd},
                                         add_capability{cap::vendor, 0x50, {8, 1, 2, 3, 4, 5}}};
constexpr auto hides_serial = config_map{hide_extended_capability{extended_cap::serial_number}};
constexpr auto hides_aer = config_map{hide_extended_capability{extended_cap::aer}};
constexpr auto adds_serial = config_map{
    add_extended_capability{extended_cap::serial_number, 0x200, {1, 2, 3, 4, 5, 6, 7, 8}, {.version = 2}}};
constexpr auto first_extended = config_map{
    hide_extended_capability{extended_cap::aer},
    add_extended_capability{extended_cap::serial_number, 0x100, {1, 2, 3, 4, 5, 6, 7, 8}, {.writable = true}}};
constexpr auto edits_pcie = config_map{edit_capability{cap::pcie, 4, {.value = 0, .mask = 1u << 28}}};
constexpr auto edits_serial = config_map{
    edit_capability{extended_cap::serial_number, 4, {.value = 0x1234'0000, .mask = 0xffff'0000}},
    edit_capability{extended_cap::serial_number, 8, {.value = 7}}};
constexpr auto edits_late = config_map{edit_capability{cap::pcie, 0x2c, {.value = 7}}};
constexpr auto constant_at_60 = config_map{constant_bytes{0x60, {1, 2, 3, 4}}};
constexpr auto constant_at_41 = config_map{constant_bytes{0x41, {0x60}}};
constexpr auto swallows_msi = config_map{swallow_writes{0x72, 2}};

template <const auto& Config>
using front_of = stack<raw_function, with<Config>>;

/// PM at 0x40, VPD at 0x50, PCIe at 0x60; AER at 0x100, the serial number at 0x148, a capability of unknown ID at
/// 0x160.
raw_function make() {
    raw_function f;
    for (std::uint32_t i = 0x40; i < 4096; ++i) f.put(i, 1, 0xd0 + i % 16, 0xff);
    f.list({{0x40, 0x01}, {0x50, 0x03}, {0x60, 0x10}});
    f.put(0x62, 2, 2);
    f.put(0x64, 4, 0x1000'8fe2);
    f.extended_list({{0x100, 0x01}, {0x148, 0x03}, {0x160, 0x7777}});
    return f;
}
const listing conventional{{0x40, 0x01}, {0x50, 0x03}, {0x60, 0x10}};
const listing extended{{0x100, 0x01}, {0x148, 0x03}, {0x160, 0x7777}};

template <class Front>
[[nodiscard]] bool all_zero(Front& front, std::uint32_t offset, std::uint32_t size) {
    for (std::uint32_t i = 0; i < size; ++i)
        if (get(front, offset + i, 1) != 0) return false;
    return true;
}

} // namespace

TEST_CASE("capabilities: one in the middle is hidden", "[config]") {
    raw_function f = make();
    front_of<hides_vpd> front{f};
    REQUIRE(front.open());
    CHECK(seen_list(front) == listing{{0x40, 0x01}, {0x60, 0x10}});
    CHECK(get(front, 0x41, 1) == 0x60);
    CHECK(get(front, 0x40, 4) == ((f.get(0x40, 4) & 0xffff'00ff) | 0x6000));
    CHECK(all_zero(front, 0x50, 8));
    CHECK(get(front, 0x58, 1) == f.get(0x58, 1)); // behind it
    f.stores.clear();
    CHECK(put(front, 0x4e, ~0ull, 8)); // only what lies before it arrives
    CHECK(f.stores == std::vector<config_range>{{0x4e, 2}});
    CHECK(put(front, 0x56, ~0ull, 4));
    CHECK(f.stores == std::vector<config_range>{{0x4e, 2}, {0x58, 2}});
    CHECK(seen_list(front, true) == extended);
}

TEST_CASE("capabilities: the first and the last are hidden", "[config]") {
    raw_function f = make();
    front_of<hides_pm_and_pcie> front{f};
    REQUIRE(front.open());
    CHECK(seen_list(front) == listing{{0x50, 0x03}});
    CHECK(get(front, 0x34, 1) == 0x50);
    CHECK(get(front, 0x51, 1) == 0);
    CHECK(get(front, 0x06, 2) == 0x0010);
    CHECK(all_zero(front, 0x60, 0x3c));

    SECTION("all of them: STATUS says that there is none") {
        f.list({{0x40, 0x01}, {0x60, 0x10}, {0xc0, 0x01}});
        REQUIRE(front.open());
        CHECK(seen_list(front).empty());
        CHECK(get(front, 0x34, 1) == 0);
        CHECK(get(front, 0x06, 2) == 0);
    }
    SECTION("none below") {
        f.list({});
        REQUIRE(front.open());
        CHECK(seen_list(front).empty());
        CHECK(get(front, 0x40, 4) == f.get(0x40, 4));
    }
}

TEST_CASE("capabilities: every one of an ID is hidden, up to the next one", "[config]") {
    raw_function f = make();
    f.list({{0x40, 0x09}, {0x50, 0x03}, {0x60, 0x09}, {0x64, 0x05}, {0x80, 0x09}});
    f.put(0x42, 1, 0x10);
    f.put(0x62, 1, 0xff); // claims to be longer than there is room
    f.put(0x82, 1, 0x00); // claims to be nothing
    front_of<hides_vendor> front{f};
    REQUIRE(front.open());
    CHECK(seen_list(front) == listing{{0x50, 0x03}, {0x64, 0x05}});
    CHECK(all_zero(front, 0x40, 0x10));
    CHECK(all_zero(front, 0x60, 4));
    CHECK(get(front, 0x66, 2) == f.get(0x66, 2));
    CHECK(all_zero(front, 0x80, 4));
    CHECK(get(front, 0x84, 1) == f.get(0x84, 1));
}

TEST_CASE("capabilities: some are added", "[config]") {
    raw_function f = make();
    front_of<adds_two> front{f};
    REQUIRE(front.open());
    listing expected = conventional;
    expected.insert(expected.end(), {{0xe0, 0x09}, {0xf0, 0x09}});
    CHECK(seen_list(front) == expected);
    CHECK(get(front, 0xe0, 8) == 0x05'04'03'02'01'08'f0'09);
    CHECK(put(front, 0xe0, 0, 8));
    CHECK(get(front, 0xe0, 8) == 0x05'04'03'02'01'08'f0'09);
    CHECK(put(front, 0xf0, 0xaabb'ccdd, 4)); // its body is a shadow, its header is not
    CHECK(get(front, 0xf0, 4) == 0xaabb'0009);
    REQUIRE(front.ioctl(reset_device{}));
    CHECK(get(front, 0xf0, 4) == 0x0904'0009);
    CHECK(f.stores.empty());

    SECTION("to a device without any") {
        f.list({});
        REQUIRE(front.open());
        CHECK(seen_list(front) == listing{{0xe0, 0x09}, {0xf0, 0x09}});
        CHECK(get(front, 0x06, 2) == 0x0010);
        CHECK(get(front, 0x34, 1) == 0xe0);
    }
    SECTION("not where the device has one") {
        f.list({{0x40, 0x01}, {0xe4, 0x05}});
        CHECK(front.open().error() == error::no_device);
        f.list({{0x40, 0x01}, {0xdc, 0x05}});
        CHECK(front.open().error() == error::no_device);
        CHECK(f.logged == "declined: the config map covers what a capability of the device has there");
        f.list({{0x40, 0x01}, {0xb0, 0x10}}); // in its body
        f.put(0xb2, 2, 2);
        CHECK(front.open().error() == error::no_device);
        f.put(0xb2, 2, 1); // which is shorter in version 1
        CHECK(front.open());
    }
}

TEST_CASE("capabilities: one is replaced at its place", "[config]") {
    raw_function f = make();
    front_of<replaces_vpd> front{f};
    REQUIRE(front.open());
    CHECK(seen_list(front) == listing{{0x40, 0x01}, {0x60, 0x10}, {0x50, 0x09}});
    CHECK(get(front, 0x50, 8) == 0x05'04'03'02'01'08'00'09);
}

TEST_CASE("capabilities: bits of one are edited", "[config]") {
    raw_function f = make();
    front_of<edits_pcie> front{f};
    REQUIRE(front.open());
    CHECK(get(front, 0x64, 4) == 0x0000'8fe2);
    CHECK(get(front, 0x67, 1) == 0);
    f.stores.clear();
    CHECK(put(front, 0x64, 0, 4)); // no byte is constant as a whole
    CHECK(f.stores == std::vector<config_range>{{0x64, 4}});
    CHECK(seen_list(front) == conventional);

    SECTION("wherever it is") {
        f = make();
        f.list({{0x90, 0x10}});
        f.put(0x94, 4, 0xffff'ffff);
        REQUIRE(front.open());
        CHECK(get(front, 0x94, 4) == 0xefff'ffff);
        CHECK(get(front, 0x64, 4) == 0x1000'8fe2);
    }
    SECTION("or not, where there is none") {
        f.list({{0x40, 0x01}});
        REQUIRE(front.open());
        CHECK(get(front, 0x64, 4) == f.get(0x64, 4));
    }
}

TEST_CASE("extended capabilities: bits of one are edited, wherever it is", "[config]") {
    for (const std::uint32_t at : {0x148u, 0x400u}) {
        CAPTURE(at);
        raw_function f = make();
        f.extended_list({{0x100, 0x01}, {at, 0x03}, {0x160, 0x7777}});
        f.put(at + 4, 8, 0xaaaa'aaaa'aaaa'aaaa, ~0ull);
        front_of<edits_serial> front{f};
        REQUIRE(front.open());
        CHECK(get(front, at + 4, 4) == 0x1234'aaaa);
        CHECK(get(front, at + 7, 1) == 0x12);
        CHECK(get(front, at + 8, 4) == 7);
        f.stores.clear();
        CHECK(put(front, at + 4, 0, 4)); // two of its bytes are constant as a whole
        CHECK(f.stores == std::vector<config_range>{{static_cast<std::uint16_t>(at + 4), 2}});
        f.stores.clear();
        CHECK(put(front, at + 8, 0, 4));
        CHECK(f.stores.empty());
        CHECK(seen_list(front, true) == listing{{0x100, 0x01}, {at, 0x03}, {0x160, 0x7777}});
    }
}

TEST_CASE("capabilities: one that is shorter than the map has it", "[config]") {
    raw_function f = make();
    front_of<edits_late> front{f};
    REQUIRE(front.open());
    CHECK(get(front, 0x8c, 4) == 7);
    f.put(0x62, 2, 1); // version 1 ends before
    CHECK(front.open().error() == error::no_device);
    CHECK(f.logged == "declined: a capability of the device is shorter than the config map has it");
}

TEST_CASE("capabilities: what the VFIO core owns is not covered on any device", "[config]") {
    raw_function f = make();
    f.list({{0x70, 0x05}});
    front_of<constant_at_60> at_60{f};
    CHECK(at_60.open());
    f.list({{0x60, 0x05}});
    CHECK(at_60.open().error() == error::no_device); // MSI
    f.list({{0x5c, 0x10}});
    CHECK(at_60.open()); // in PCI Express, but before device control
    f.list({{0x58, 0x10}});
    CHECK(at_60.open().error() == error::no_device);
    f.list({{0x60, 0x77}});
    CHECK(at_60.open().error() == error::no_device); // a header
    front_of<constant_at_41> at_41{f};
    CHECK(at_41.open());
    f.list({{0x40, 0x77}});
    CHECK(at_41.open().error() == error::no_device);
    f.list({{0x70, 0x05}});
    front_of<swallows_msi> msi{f};
    CHECK(msi.open().error() == error::no_device);
    f.list({{0x74, 0x05}});
    CHECK(msi.open());
}

TEST_CASE("extended capabilities: hidden, and added", "[config]") {
    raw_function f = make();
    SECTION("one in the middle") {
        front_of<hides_serial> front{f};
        REQUIRE(front.open());
        CHECK(seen_list(front, true) == listing{{0x100, 0x01}, {0x160, 0x7777}});
        CHECK(all_zero(front, 0x148, 12));
        CHECK(get(front, 0x103, 1) == 0x16);
        CHECK(get(front, 0x102, 1) == 0x01);
        CHECK(get(front, 0x154, 1) == f.get(0x154, 1));
        f.stores.clear();
        CHECK(put(front, 0x14c, ~0ull, 8));
        CHECK(f.stores.empty());
        CHECK(put(front, 0x152, ~0ull, 4));
        CHECK(f.stores == std::vector<config_range>{{0x154, 2}});
        CHECK(seen_list(front) == conventional);
    }
    SECTION("the first stays as a null capability") {
        front_of<hides_aer> front{f};
        REQUIRE(front.open());
        CHECK(seen_list(front, true) == listing{{0x100, 0}, {0x148, 0x03}, {0x160, 0x7777}});
        CHECK(get(front, 0x100, 4) == 0x1480'0000);
        CHECK(all_zero(front, 0x104, 0x44));
        f.extended_list({{0x100, 0x01}});
        REQUIRE(front.open());
        CHECK(get(front, 0x100, 4) == 0);
        f.put(0x100, 4, 0); // no list
        REQUIRE(front.open());
        CHECK(get(front, 0x100, 4) == 0);
    }
    SECTION("added at the end") {
        front_of<adds_serial> front{f};
        REQUIRE(front.open());
        CHECK(seen_list(front, true) == listing{{0x100, 0x01}, {0x148, 0x03}, {0x160, 0x7777}, {0x200, 0x03}});
        CHECK(get(front, 0x200, 4) == 0x0002'0003);
        CHECK(get(front, 0x204, 8) == 0x0807'0605'0403'0201);
        f.put(0x100, 4, 0);
        REQUIRE(front.open());
        CHECK(seen_list(front, true) == listing{{0x100, 0}, {0x200, 0x03}});
        f.config_size = 256;
        CHECK(front.open().error() == error::no_device);
    }
    SECTION("in the place of the first") {
        front_of<first_extended> front{f};
        REQUIRE(front.open());
        CHECK(seen_list(front, true) == listing{{0x100, 0x03}, {0x148, 0x03}, {0x160, 0x7777}});
        CHECK(get(front, 0x104, 8) == 0x0807'0605'0403'0201);
        CHECK(put(front, 0x100, 0, 8));
        CHECK(get(front, 0x100, 8) == 0x0000'0000'1481'0003);
        CHECK(all_zero(front, 0x10c, 0x3c)); // what was behind it is hidden
        f.extended_list({{0x100, 0x02}});
        CHECK(front.open().error() == error::no_device); // not hidden
    }
}

TEST_CASE("capabilities: broken lists are declined, and end", "[config]") {
    raw_function f = make();
    front_of<hides_vpd> front{f};
    const auto declines = [&] {
        f.logged.clear();
        const bool declined = front.open().error() == error::no_device;
        return declined && f.logged == "declined: the device's list of capabilities is broken";
    };
    f.put(0x61, 1, 0x40);
    CHECK(declines()); // a loop
    f.put(0x61, 1, 0x60);
    CHECK(declines()); // of one
    f.put(0x61, 1, 0x20);
    CHECK(declines()); // into the header
    f.put(0x61, 1, 0xfc);
    f.put(0xfc, 4, 0xffff'ffff);
    CHECK(declines());           // nothing there
    f.put(0xfc, 4, 0x0000'0003); // VPD that reaches past the end
    REQUIRE(front.open());
    CHECK(all_zero(front, 0xfc, 4));
    CHECK(get(front, 0x100, 4) == f.get(0x100, 4));
    f.put(0x34, 1, 0x43); // the lowest bits are reserved
    REQUIRE(front.open());
    CHECK(seen_list(front) == listing{{0x40, 0x01}, {0x60, 0x10}});
}

TEST_CASE("extended capabilities: broken lists are declined, and end", "[config]") {
    raw_function f = make();
    front_of<hides_serial> front{f};
    f.put(0x160, 4, 0x1001'7777);
    CHECK(front.open().error() == error::no_device); // a loop
    f.put(0x160, 4, 0x0f01'7777);
    CHECK(front.open().error() == error::no_device); // before the list
    f.put(0x160, 4, 0xffc1'7777);
    f.put(0xffc, 4, 0x0001'0003); // the last dword
    REQUIRE(front.open());
    CHECK(seen_list(front, true) == listing{{0x100, 0x01}, {0x160, 0x7777}});
    CHECK(all_zero(front, 0xffc, 4));
}

TEST_CASE("capabilities: more than can be hidden are declined", "[config]") {
    raw_function f = make();
    std::vector<raw_function::capability> all;
    for (std::uint32_t i = 0; i < 17; ++i) all.push_back({0x40 + 4 * i, 0x09});
    f.list(all);
    front_of<hides_vendor> front{f};
    CHECK(front.open().error() == error::no_device);
    all.pop_back();
    f.list(all);
    REQUIRE(front.open());
    CHECK(seen_list(front).empty());
}

namespace {

constexpr auto busy = config_map{hide_capability{cap::vpd},
                                 hide_capability{cap::vendor},
                                 add_capability{cap::vendor, 0xe0, {8, 1, 2, 3, 4, 5}},
                                 edit_capability{cap::pcie, 4, {.value = 0, .mask = 1u << 28}},
                                 shadow_bytes{"S", 6, 2, {.in = cap::pm}},
                                 hide_extended_capability{extended_cap::aer},
                                 hide_extended_capability{extended_cap::vendor},
                                 add_extended_capability{extended_cap::serial_number, 0xf00, {1, 2, 3, 4, 5, 6, 7, 8}}};

/// Something like a list: mostly sound, at times not.
void scribble(raw_function& f, std::mt19937_64& random) {
    constexpr std::uint32_t ids[] = {0x01, 0x03, 0x05, 0x09, 0x10, 0x11, 0x00, 0x77};
    constexpr std::uint32_t extended_ids[] = {0x01, 0x03, 0x0b, 0x0d, 0x23, 0x00, 0x7777};
    for (std::uint32_t i = 0x40; i < 4096; i += 8) f.put(i, 8, random());
    std::vector<std::uint32_t> places;
    for (std::uint32_t at = 0x40; at < 0x100; at += 4)
        if (random() % 6 == 0) places.push_back(at);
    std::shuffle(places.begin(), places.end(), random);
    std::vector<raw_function::capability> all;
    for (const std::uint32_t at : places) all.push_back({at, ids[random() % 8]});
    f.list(all);
    all.clear();
    for (std::uint32_t at = 0x100; at < 0x1000; at += 4)
        if (at == 0x100 || random() % 100 == 0) all.push_back({at, extended_ids[random() % 7]});
    if (all.size() > 2) std::shuffle(all.begin() + 1, all.end(), random);
    f.extended_list(all);
    const std::uint64_t how = random() % 8;
    const auto anywhere = static_cast<std::uint32_t>(random() % 0xef0);
    if (how == 0) f.put(0x40 + anywhere % 0xc0, 1, random());
    if (how == 1) f.put(0x100 + anywhere, 4, random());
    if (how == 2) f.put(0x34, 1, random());
    if (how == 3) f.put(0x100, 4, random() % 2 == 0 ? 0 : random());
}

} // namespace

TEST_CASE("capabilities: whatever a device says, it is declined or its lists are whole", "[config]") {
    int opened = 0;
    for (const std::uint64_t seed : {11u, 12u, 13u}) {
        std::mt19937_64 random{seed};
        for (int n = 0; n < 3000; ++n) {
            CAPTURE(seed, n);
            raw_function f;
            scribble(f, random);
            stack<raw_function> plain{f};
            front_of<busy> front{f};
            REQUIRE(plain.open());
            const auto done = front.open();
            if (!done) {
                REQUIRE(done.error() == error::no_device);
                REQUIRE(f.logged.starts_with("declined: "));
                continue;
            }
            ++opened;
            listing expected;
            for (const auto& each : seen_list(plain))
                if (each.second != 0x03 && each.second != 0x09) expected.push_back(each);
            expected.emplace_back(0xe0, 0x09);
            REQUIRE(seen_list(front) == expected);
            expected.clear();
            for (const auto& each : seen_list(plain, true)) {
                if (each.second != 0x01 && each.second != 0x0b)
                    expected.push_back(each);
                else if (each.first == 0x100)
                    expected.emplace_back(0x100, 0);
            }
            if (expected.empty()) expected.emplace_back(0x100, 0);
            expected.emplace_back(0xf00, 0x03);
            REQUIRE(seen_list(front, true) == expected);
        }
    }
    CHECK(opened > 500); // or the test says little
}
