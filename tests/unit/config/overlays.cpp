// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Bytes of config space through a config map: constants, shadows, swallowed and observed writes.

#include "raw_function.hpp"

#include <mediant/mediant.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

using namespace mediant;
using namespace mediant::test;

namespace {

struct nic {
    static constexpr auto config = config_map{
        config_id{.device = 0x1000, .revision = 0, .class_code = 0x020000, .subdevice = 1},
        constant_bytes{0x80, {0xa1, 0xa2, 0xa3}},
        shadow_bytes{"SCRATCH", 0x90, 6, {.value = 0x665544332211, .writable = 0xff0f'ffff'fff0}},
        shadow_bytes{"WORD", 0x98, 4},
        swallow_writes{0xa0, 3},
        observe_writes{"COMMAND", 0x04, 2},
        observe_writes{"FREE", 0xa2, 4},
        edit_capability{cap::pcie, 0x04, {.bits = 32, .value = 0x5000'0042, .mask = 0xf000'00ff}},
        swallow_writes{0x0c, 2, {.in = cap::pcie}},
        constant_bytes{0x04, {0xee}, {.in = extended_cap::serial_number}},
        shadow_bytes{"NONE", 0x04, 4, {.in = cap::agp}}};
    static constexpr auto regions = mediant::regions<config>{};

    result<void> written(at<config, "COMMAND">, lanes<std::uint16_t> how, auto& next) {
        next.assign(at<config, "WORD">{}, static_cast<std::uint32_t>(how.mask << 16 | how.value));
        return {};
    }
    result<void> written(at<config, "FREE">, lanes<std::uint32_t> how, auto&) {
        if (how.value == 0xbad) return error::denied;
        value = how.value;
        mask = how.mask;
        ++told;
        return {};
    }
    result<void> open(auto& next) {
        absent = next.read(at<config, "NONE">{}).error();
        command = *next.read(at<config, "COMMAND">{});
        return {};
    }

    std::uint32_t value = 0;
    std::uint32_t mask = 0;
    int told = 0;
    error absent = error::none;
    std::uint16_t command = 0;
};
static_assert(valid<nic>);

raw_function make() {
    raw_function f;
    for (std::uint32_t i = 0; i < 4096; ++i) f.put(i, 1, i * 31 + 5, i * 13);
    f.put(0x00, 4, 0x1041'1af4);
    f.put(0x04, 4, 0x0010'0002, 0x0507);
    f.put(0x08, 4, 0xff00'0001);
    f.put(0x0c, 4, 0);
    for (std::uint32_t n = 0; n < 6; ++n) f.put(0x10 + 4 * n, 4, 0);
    f.put(0x40, 0x40 / 16, 0);
    f.list({{0x40, 0x10}});
    f.put(0x42, 2, 2, 0);
    f.extended_list({{0x100, 0x03}});
    return f;
}

/// What each byte of nic's device must be, stated byte by byte.
struct model {
    struct byte_facts {
        std::uint8_t constant = 0;
        std::uint8_t constant_mask = 0;
        int shadow = -1;
        std::uint8_t writable = 0;
        bool swallowed = false;
    };
    std::array<byte_facts, 0x180> facts{};
    std::array<std::uint8_t, 16> shadows{};
    std::array<std::uint8_t, 4096> device{};
    std::array<std::uint8_t, 4096> device_writable{};

    explicit model(const raw_function& f) {
        for (std::size_t i = 0; i < 4096; ++i) {
            device[i] = std::to_integer<std::uint8_t>(f.bytes[i]);
            device_writable[i] = std::to_integer<std::uint8_t>(f.writable[i]);
        }
        const auto constant = [this](std::size_t at, std::vector<std::uint8_t> values) {
            for (const std::uint8_t v : values) facts[at++] = {v, 0xff, -1, 0, true};
        };
        constant(0x02, {0x00, 0x10});
        constant(0x08, {0x00, 0x00, 0x00, 0x02});
        constant(0x2e, {0x01, 0x00});
        constant(0x80, {0xa1, 0xa2, 0xa3});
        constant(0x104, {0xee});
        facts[0x44] = {0x42, 0xff, -1, 0, true};
        facts[0x47] = {0x50, 0xf0, -1, 0, false};
        constexpr std::uint8_t at_first[] = {0x11, 0x22, 0x33, 0x44, 0x55, 0x66};
        constexpr std::uint8_t can[] = {0xf0, 0xff, 0xff, 0xff, 0x0f, 0xff};
        for (int i = 0; i < 6; ++i) {
            facts[static_cast<std::size_t>(0x90 + i)] = {0, 0, i, can[i], false};
            shadows[static_cast<std::size_t>(i)] = at_first[i];
        }
        for (int i = 0; i < 4; ++i) facts[static_cast<std::size_t>(0x98 + i)] = {0, 0, 8 + i, 0xff, false};
        for (std::size_t i = 0xa0; i < 0xa3; ++i) facts[i].swallowed = true;
        facts[0x4c].swallowed = facts[0x4d].swallowed = true;
    }

    [[nodiscard]] std::uint8_t read(std::size_t at) const {
        const byte_facts& f = facts[at];
        if (f.shadow >= 0) return shadows[static_cast<std::size_t>(f.shadow)];
        return static_cast<std::uint8_t>((device[at] & ~f.constant_mask) | (f.constant & f.constant_mask));
    }
    void write(std::size_t at, std::uint8_t value) {
        const byte_facts& f = facts[at];
        if (f.shadow >= 0) {
            std::uint8_t& held = shadows[static_cast<std::size_t>(f.shadow)];
            held = static_cast<std::uint8_t>((held & ~f.writable) | (value & f.writable));
        } else if (!f.swallowed) {
            device[at] = static_cast<std::uint8_t>((device[at] & ~device_writable[at]) | (value & device_writable[at]));
        }
    }
    /// The policy tells itself of writes to COMMAND in a shadow of its own.
    void observe(std::size_t at, std::span<const std::uint8_t> bytes) {
        std::array<std::uint8_t, 4> word{};
        bool some = false;
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            if (at + i < 4 || at + i > 5) continue;
            word[at + i - 4] = bytes[i];
            word[at + i - 2] = 0xff;
            some = true;
        }
        for (std::size_t i = 0; some && i < 4; ++i) shadows[8 + i] = word[i];
    }
};

} // namespace

TEST_CASE("config map: IDs are overlaid on reads of any width", "[config]") {
    raw_function f = make();
    stack<raw_function, nic> front{f};
    REQUIRE(front.open());
    CHECK(get(front, 0x00, 4) == 0x1000'1af4);
    CHECK(get(front, 0x02, 2) == 0x1000);
    CHECK(get(front, 0x03, 1) == 0x10);
    CHECK(get(front, 0x01, 2) == 0x001a);
    CHECK(get(front, 0x08, 4) == 0x0200'0000);
    CHECK(get(front, 0x2c, 4) == (0x0001'0000 | f.get(0x2c, 2)));
    CHECK(put(front, 0x00, 0x5555'5555, 4));
    CHECK(get(front, 0x00, 4) == 0x1000'1af4);
    CHECK(f.stores.size() == 1); // vendor; the device ID is swallowed
    CHECK(f.stores[0] == config_range{0, 2});
}

TEST_CASE("config map: random accesses against a byte by byte model", "[config]") {
    for (const std::uint64_t seed : {1u, 2u, 3u, 4u}) {
        raw_function f = make();
        model expected{f};
        stack<raw_function, nic> front{f};
        REQUIRE(front.open());
        std::mt19937_64 random{seed};
        for (int n = 0; n < 20'000; ++n) {
            const std::size_t size = random() % 4 != 0 ? std::size_t{1} << random() % 4 : 1 + random() % 16;
            std::size_t at = random() % (0x140 - size);
            if (random() % 2 != 0) at -= at % size;
            CAPTURE(seed, n, at, size);
            std::array<std::byte, 16> bytes{};
            if (random() % 2 == 0) {
                REQUIRE(front.read({region_index::config, at, std::span{bytes}.first(size)}) == answer{size});
                for (std::size_t i = 0; i < size; ++i)
                    REQUIRE(std::to_integer<std::uint8_t>(bytes[i]) == expected.read(at + i));
            } else {
                std::array<std::uint8_t, 16> values{};
                for (std::size_t i = 0; i < size; ++i) {
                    values[i] = static_cast<std::uint8_t>(random());
                    bytes[i] = std::byte{values[i]};
                    expected.write(at + i, values[i]);
                }
                expected.observe(at, std::span{values}.first(size));
                REQUIRE(front.write({region_index::config, at, std::span{bytes}.first(size)}) == answer{size});
            }
        }
        for (std::size_t i = 0; i < 4096; ++i) {
            CAPTURE(seed, i);
            REQUIRE(std::to_integer<std::uint8_t>(f.bytes[i]) == expected.device[i]);
        }
    }
}

TEST_CASE("config map: writes are split where bytes are treated differently, and else pass whole", "[config]") {
    raw_function f = make();
    stack<raw_function, nic> front{f};
    REQUIRE(front.open());
    f.stores.clear();
    CHECK(put(front, 0xa0, 0x44332211, 4)); // three bytes are swallowed
    CHECK(f.stores == std::vector<config_range>{{0xa3, 1}});
    f.stores.clear();
    CHECK(put(front, 0x04, 0x0002, 2));
    CHECK(f.stores == std::vector<config_range>{{0x04, 2}});
    f.stores.clear();
    CHECK(put(front, 0x90, 0, 4));
    CHECK(f.stores.empty());
}

TEST_CASE("config map: observed writes are told of after they were done", "[config]") {
    raw_function f = make();
    stack<raw_function, nic> front{f};
    REQUIRE(front.open());
    CHECK(put(front, 0x04, 0x0106, 2));
    CHECK(get(front, 0x98, 4) == 0xffff'0106);
    CHECK(put(front, 0x05, 0x01, 1));
    CHECK(get(front, 0x98, 4) == 0xff00'0100);
    CHECK(put(front, 0x02, 0x00060000, 4)); // straddles the device ID
    CHECK(get(front, 0x98, 4) == 0xffff'0006);
    CHECK(get(front, 0x04, 2) == 0x0006);

    std::array<std::byte, 4> bad{std::byte{0xad}, std::byte{0x0b}};
    CHECK(front.write({region_index::config, 0xa2, bad}) == answer{0, error::denied});
    CHECK(front.write({region_index::config, 0xa2, std::span{bad}.first(1)}) == answer{1});
}

TEST_CASE("config map: shadows go back at a reset, and nothing survives to the next open", "[config]") {
    raw_function f = make();
    stack<raw_function, nic> front{f};
    REQUIRE(front.open());
    CHECK(get(front, 0x90, 6) == 0x665544332211);
    CHECK(put(front, 0x90, 0, 4));
    CHECK(put(front, 0x94, 0, 2));
    CHECK(get(front, 0x90, 6) == 0x0050'0000'0001);
    REQUIRE(front.ioctl(reset_device{}));
    CHECK(get(front, 0x90, 6) == 0x665544332211);
    CHECK(put(front, 0x90, 0, 4));
    front.release();
    REQUIRE(front.open());
    CHECK(get(front, 0x90, 6) == 0x665544332211);
}

TEST_CASE("config map: a device with less config space", "[config]") {
    raw_function f = make();
    f.config_size = 256;
    stack<raw_function, nic> front{f};
    REQUIRE(front.open()); // what is stated of an extended capability has no effect
    CHECK(get(front, 0x00, 4) == 0x1000'1af4);
    std::array<std::byte, 8> bytes{};
    CHECK(front.read({region_index::config, 0xfc, bytes}) == answer{4});
    f.config_size = 0x20;
    CHECK(front.open().error() == error::no_device);
    CHECK(f.logged.starts_with("declined: "));
}

TEST_CASE("config map: a policy finds what it names, or learns that the device has none", "[config]") {
    raw_function f = make();
    f.put(0x04, 2, 0x0102);
    using layer_type = layer<nic, bottom<raw_function>>;
    layer_type front{bottom<raw_function>{f}};
    REQUIRE(front.open());
    CHECK(front.policy().absent == error::not_found);
    CHECK(front.policy().command == 0x0102);
    std::array<std::byte, 8> bytes{};
    bytes.fill(std::byte{0x77});
    CHECK(front.write({region_index::config, 0x9f, bytes}) == answer{8}); // 0x9f to 0xa6
    CHECK(front.policy().told == 1);
    CHECK(front.policy().value == 0x7777'7777);
    CHECK(front.policy().mask == 0xffff'ffff);
    CHECK(front.write({region_index::config, 0xa4, std::span{bytes}.first(1)}) == answer{1});
    CHECK(front.policy().value == 0x0077'0000);
    CHECK(front.policy().mask == 0x00ff'0000);
}
