// SPDX-License-Identifier: BSD-3-Clause
#include "recorder.hpp"

#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <cstdint>

using namespace mediant;
using namespace mediant::test;

namespace {

/// Write hooks that only note what they get: `plain` names take full widths, `lane` names take lanes.
struct writer {
    static constexpr auto bar0 = region_map{
        bar{0}, 4_KiB,
        reg{"plain rw device", 0x00, rw, {.hook = on::write}},
        reg{"plain rw shadow", 0x04, rw, {.backing = from::shadow, .hook = on::write, .value = 0xa1b2c3d4}},
        reg{"plain rw constant", 0x08, rw, {.backing = from::constant, .hook = on::write, .value = 0x01020304}},
        reg{"plain wo device", 0x0c, wo, {.hook = on::write}},
        reg{"plain wo shadow", 0x10, wo, {.backing = from::shadow, .hook = on::write, .value = 0xffffffff}},
        reg{"plain w1c device", 0x14, w1c, {.hook = on::write}},
        reg{"plain w1c shadow", 0x18, w1c, {.backing = from::shadow, .hook = on::write, .value = 0xffffffff}},
        reg{"plain w1c constant", 0x1c, w1c, {.backing = from::constant, .hook = on::write, .value = 0xffffffff}},
        reg{"lane rw device", 0x20, rw, {.hook = on::write}},
        reg{"lane rw shadow", 0x24, rw, {.backing = from::shadow, .hook = on::write}},
        reg{"lane wo device", 0x28, wo, {.hook = on::write}},
        reg{"lane w1c device", 0x2c, w1c, {.hook = on::write}},
        reg{"lane w1c shadow", 0x30, w1c, {.backing = from::shadow, .hook = on::write}},
        reg{"both", 0x34, rw, {.backing = from::shadow, .hook = on::read | on::write, .value = 0x11223344}}};
    static constexpr auto regions = mediant::regions<bar0>{};

    template <const auto& Map, std::size_t I>
    static result<void> note(entry_tag<Map, I>, std::uint64_t value, std::uint64_t mask) {
        journal->push_back({std::string{Map.entries[I].name}, 0, 0, value, mask});
        return {};
    }
    result<void> write(at<bar0, "plain rw device"> t, std::uint32_t v, auto&) { return note(t, v, ~0u); }
    result<void> write(at<bar0, "plain rw shadow"> t, std::uint32_t v, auto&) { return note(t, v, ~0u); }
    result<void> write(at<bar0, "plain rw constant"> t, std::uint32_t v, auto&) { return note(t, v, ~0u); }
    result<void> write(at<bar0, "plain wo device"> t, std::uint32_t v, auto&) { return note(t, v, ~0u); }
    result<void> write(at<bar0, "plain wo shadow"> t, std::uint32_t v, auto&) { return note(t, v, ~0u); }
    result<void> write(at<bar0, "plain w1c device"> t, std::uint32_t v, auto&) { return note(t, v, ~0u); }
    result<void> write(at<bar0, "plain w1c shadow"> t, std::uint32_t v, auto&) { return note(t, v, ~0u); }
    result<void> write(at<bar0, "plain w1c constant"> t, std::uint32_t v, auto&) { return note(t, v, ~0u); }
    result<void> write(at<bar0, "lane rw device"> t, lanes<std::uint32_t> v, auto&) { return note(t, v.value, v.mask); }
    result<void> write(at<bar0, "lane rw shadow"> t, lanes<std::uint32_t> v, auto&) { return note(t, v.value, v.mask); }
    result<void> write(at<bar0, "lane wo device"> t, lanes<std::uint32_t> v, auto&) { return note(t, v.value, v.mask); }
    result<void> write(at<bar0, "lane w1c device"> t, lanes<std::uint32_t> v, auto&) { return note(t, v.value, v.mask); }
    result<void> write(at<bar0, "lane w1c shadow"> t, lanes<std::uint32_t> v, auto&) { return note(t, v.value, v.mask); }
    result<std::uint32_t> read(at<bar0, "both"> t, auto&) {
        journal->push_back({"read both"});
        static_cast<void>(t);
        return 0xdeadbeef;
    }
    result<void> write(at<bar0, "both"> t, std::uint32_t v, auto&) { return note(t, v, ~0u); }
};

using writing = bench<stack<recorder, writer>>;

event hook(const char* name, std::uint64_t value, std::uint64_t mask = 0xffffffff) { return {name, 0, 0, value, mask}; }

/// The register's value where only [from, from + size) of `written` is taken over.
std::uint64_t merged(std::uint64_t old, std::uint64_t written, unsigned from, unsigned size) {
    const std::uint64_t mask = low_bytes(size) << (8 * from);
    return (old & ~mask) | (written & mask);
}

constexpr std::uint64_t data = 0x99887766;

template <class F>
void for_each_part(const F& f) {
    for (unsigned from = 0; from < 4; ++from)
        for (unsigned size = 1; from + size <= 4; ++size) {
            CAPTURE(from, size);
            f(from, size);
        }
}
bytes part(unsigned from, unsigned size) { return little(data >> (8 * from), size); }
std::uint64_t only(unsigned from, unsigned size) { return merged(0, data, from, size); }
std::uint64_t lane_mask(unsigned from, unsigned size) { return low_bytes(size) << (8 * from); }

} // namespace

TEST_CASE("a full write reaches a hook as it is, without a look at what is below") {
    writing b;
    for (unsigned i = 0; i < writer::bar0.entries.size(); ++i) {
        const auto& e = writer::bar0.entries[i];
        CHECK(b.write(e.offset, data, 4) == answer{4});
        CHECK(b.device.happened() == events{{std::string{e.name}, 0, 0, data, 0xffffffff}});
    }
}

TEST_CASE("a hook that takes lanes gets each partial write as it is") {
    writing b;
    for_each_part([&](unsigned from, unsigned size) {
        for (const std::uint64_t offset : {0x20u, 0x24u, 0x28u, 0x2cu, 0x30u}) {
            CHECK(b.write(offset + from, part(from, size)) == answer{size});
            const auto& e = writer::bar0.entries[offset / 4];
            CHECK(b.device.happened() == events{{std::string{e.name}, 0, 0, only(from, size), lane_mask(from, size)}});
        }
    });
}

TEST_CASE("a hook that takes full widths gets a partial write of rw filled up with what the register holds") {
    writing b;
    for_each_part([&](unsigned from, unsigned size) {
        CHECK(b.write(0x00 + from, part(from, size)) == answer{size});
        const events seen = b.device.happened();
        const std::uint64_t expected = merged(initial_value(0, 4), data, from, size);
        REQUIRE_FALSE(seen.empty());
        CHECK(seen.back() == hook("plain rw device", expected));
        if (size == 4)
            CHECK(seen.size() == 1);
        else
            CHECK(seen == events{load(0, 4), hook("plain rw device", expected)});

        CHECK(b.write(0x04 + from, part(from, size)) == answer{size});
        CHECK(b.device.happened() == events{hook("plain rw shadow", merged(0xa1b2c3d4, data, from, size))});
        CHECK(b.write(0x08 + from, part(from, size)) == answer{size});
        CHECK(b.device.happened() == events{hook("plain rw constant", merged(0x01020304, data, from, size))});
    });
}

TEST_CASE("a partial write of w1c is never a read-modify-write: lanes that were not written count as 0") {
    writing b;
    for_each_part([&](unsigned from, unsigned size) {
        CHECK(b.write(0x14 + from, part(from, size)) == answer{size});
        CHECK(b.device.happened() == events{hook("plain w1c device", only(from, size))});
        CHECK(b.write(0x18 + from, part(from, size)) == answer{size});
        CHECK(b.device.happened() == events{hook("plain w1c shadow", only(from, size))});
        CHECK(b.write(0x1c + from, part(from, size)) == answer{size});
        CHECK(b.device.happened() == events{hook("plain w1c constant", only(from, size))});
    });
}

TEST_CASE("a partial write of wo is never a read-modify-write: a hook that needs full widths refuses it") {
    writing b;
    for_each_part([&](unsigned from, unsigned size) {
        if (size == 4) return;
        CHECK(b.write(0x0c + from, part(from, size)) == answer{0, error::invalid});
        CHECK(b.write(0x10 + from, part(from, size)) == answer{0, error::invalid});
        CHECK(b.device.happened().empty());
    });
}

TEST_CASE("filling up asks the register's backing, not its read hook") {
    writing b;
    CHECK(b.write(0x35, 0xaa, 1) == answer{1});
    CHECK(b.device.happened() == events{hook("both", 0x1122aa44)});
}

TEST_CASE("where filling up faults, nothing is written") {
    writing b;
    b.device.faults_after = 0;
    CHECK(b.write(0x01, 0xaa, 1) == answer{0, error::io});
    CHECK(b.device.happened() == events{load(0x00, 4)});
}

TEST_CASE("one write over several registers calls each hook once, in the order of offsets") {
    writing b;
    CHECK(b.write(0x1e, 0x8877665544332211, 8) == answer{8});
    CHECK(b.device.happened() == events{hook("plain w1c constant", 0x22110000), hook("lane rw device", 0x66554433),
                                        hook("lane rw shadow", 0x8877, 0xffff)});
}

namespace {

/// Every kind in every backing, no hooks.
struct unhooked {
    static constexpr auto bar0 = region_map{
        bar{0}, 4_KiB,
        reg{"RO_DEVICE", 0x00, ro},
        reg{"WO_DEVICE", 0x04, wo},
        reg{"W1C_DEVICE", 0x08, w1c},
        reg{"RW_SHADOW", 0x10, rw, {.backing = from::shadow, .value = 0x11223344}},
        reg{"RO_SHADOW", 0x14, ro, {.backing = from::shadow, .value = 0x11223344}},
        reg{"WO_SHADOW", 0x18, wo, {.backing = from::shadow, .value = 0x11223344}},
        reg{"W1C_SHADOW", 0x1c, w1c, {.backing = from::shadow, .value = 0xf0f1f2f3}},
        reg{"RW_CONSTANT", 0x20, rw, {.backing = from::constant, .value = 0x11223344}},
        reg{"W1C_CONSTANT", 0x24, w1c, {.backing = from::constant, .value = 0x11223344}}};
    static constexpr auto regions = mediant::regions<bar0>{};
};

} // namespace

TEST_CASE("without hooks a partial write of a device's register passes in the lanes that were written") {
    bench<stack<recorder, unhooked>> b;
    CHECK(b.write(0x05, 0x2211, 2) == answer{2});
    CHECK(b.device.happened() == events{store(0x05, 1, 0x11), store(0x06, 1, 0x22)});
    CHECK(b.write(0x0a, 0x2211, 2) == answer{2});
    CHECK(b.device.happened() == events{store(0x0a, 2, 0x2211)});
    CHECK(b.write(0x08, 0x44332211, 4) == answer{4});
    CHECK(b.device.happened() == events{store(0x08, 4, 0x44332211)});
}

TEST_CASE("writes of ro and of constants are swallowed") {
    bench<stack<recorder, unhooked>> b;
    for (const std::uint64_t offset : {0x00u, 0x14u, 0x20u, 0x24u})
        for (unsigned from = 0; from < 4; ++from) CHECK(b.write(offset + from, little(~0u, 4 - from)) == answer{4 - from});
    CHECK(b.device.happened().empty());
    CHECK(b.read(0x14, 4).value() == 0x11223344);
    CHECK(b.read(0x20, 4).value() == 0x11223344);
    CHECK(b.read(0x24, 4).value() == 0x11223344);
}

TEST_CASE("without hooks a shadow takes the lanes that were written, by its kind") {
    for (unsigned from = 0; from < 4; ++from)
        for (unsigned size = 1; from + size <= 4; ++size) {
            CAPTURE(from, size);
            bench<stack<recorder, unhooked>> b;
            CHECK(b.write(0x10 + from, part(from, size)) == answer{size});
            CHECK(b.read(0x10, 4).value() == merged(0x11223344, data, from, size));
            CHECK(b.write(0x1c + from, part(from, size)) == answer{size});
            CHECK(b.read(0x1c, 4).value() == (0xf0f1f2f3 & ~only(from, size)));
            CHECK(b.write(0x18 + from, part(from, size)) == answer{size});
            CHECK(b.read(0x18, 4).value() == 0);
            CHECK(b.device.happened().empty());
        }
}
