// SPDX-License-Identifier: BSD-3-Clause
#include "generated_map.hpp"
#include "kind_table.hpp"
#include "recorder.hpp"

#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <cstdint>
#include <string_view>

// Every access kind against the table of kind_table.hpp.

using namespace mediant;
using namespace mediant::test;

namespace {

constexpr std::size_t kinds = std::size(policies);
static_assert(kinds == 25);

constexpr std::uint64_t held_at_first = 0x3c5a'0ff0'a5c3'9669;
constexpr std::uint64_t values[] = {0x5577'3c3c'66aa'55f0, 0, ~std::uint64_t{0}, held_at_first, ~held_at_first};

constexpr std::uint64_t offset_of(std::size_t which, unsigned bytes) { return 0x100 * bytes + which * bytes; }

/// Each kind in each width, side by side: 8 bits from 0x100 on, 16 from 0x200, 32 from 0x400, 64 from 0x800.
template <from Backing>
consteval auto all_kinds(region_index region) {
    std::array<entry, 4 * kinds> out{};
    std::size_t n = 0;
    for (const unsigned bytes : {1u, 2u, 4u, 8u})
        for (std::size_t k = 0; k < kinds; ++k, ++n)
            out[n] = reg{std::string_view{detail_of_maps::names.data() + 5 * n, 5}, offset_of(k, bytes), policies[k].what,
                         {.backing = Backing, .value = held_at_first & low_bytes(bytes), .bits = 8 * bytes}};
    return region_map{region, 4_KiB, out};
}

/// A block of 12 bytes of each kind.
template <from Backing>
consteval auto all_blocks(region_index region) {
    std::array<entry, kinds> out{};
    for (std::size_t k = 0; k < kinds; ++k)
        out[k] = block{std::string_view{detail_of_maps::names.data() + 5 * k, 5}, 16 * k + 1, 12,
                       {.kind = policies[k].what, .backing = Backing, .value = 0x69}}.entries[0];
    return region_map{region, 4_KiB, out};
}

struct every_kind {
    static constexpr auto bar0 = all_kinds<from::shadow>(bar{0});
    static constexpr auto bar1 = all_kinds<from::device>(bar{1});
    static constexpr auto bar2 = all_kinds<from::constant>(bar{2});
    static constexpr auto bar3 = all_blocks<from::shadow>(bar{3});
    static constexpr auto regions = mediant::regions<bar0, bar1, bar2, bar3>{};
};

struct kinds_bench : bench<stack<recorder, every_kind>> {
    kinds_bench() : bench{4096, 8, {{bar{1}, 4096}, {bar{2}, 4096}, {bar{3}, 4096}}} {}
};

template <class F>
void for_each_kind(const F& f) {
    for (std::size_t k = 0; k < kinds; ++k)
        for (const unsigned bytes : {1u, 2u, 4u, 8u}) {
            INFO(policies[k].name << " of " << 8 * bytes << " bits");
            f(policies[k], offset_of(k, bytes), bytes);
        }
}
/// Each stretch of bytes of a register, whatever its width.
template <class F>
void for_each_part(unsigned bytes, const F& f) {
    for (unsigned first = 0; first < bytes; ++first)
        for (unsigned size = 1; first + size <= bytes; ++size) {
            CAPTURE(first, size);
            f(first, size, low_bytes(size) << (8 * first));
        }
}

} // namespace

TEST_CASE("a shadow is written as its kind says, in the lanes that are written") {
    kinds_bench b;
    for_each_kind([&](const access_policy& p, std::uint64_t offset, unsigned bytes) {
        for (const std::uint64_t value : values)
            for_each_part(bytes, [&](unsigned first, unsigned size, std::uint64_t mask) {
                b.front.reset();
                const std::uint64_t held = held_at_first & low_bytes(bytes);
                CHECK(b.write(offset + first, little(value >> (8 * first), size)) == answer{size});
                const std::uint64_t expected = (held & ~mask) | (p.written(held, value) & mask);
                CHECK(b.read(offset, bytes).value() == (p.readable ? expected : 0));
            });
    });
    CHECK(b.device.happened().empty());
}

TEST_CASE("a second write finds what the first left; of kinds that take one write, only new lanes are taken") {
    kinds_bench b;
    for_each_kind([&](const access_policy& p, std::uint64_t offset, unsigned bytes) {
        for (const std::uint64_t second : values)
            for_each_part(bytes, [&](unsigned first, unsigned size, std::uint64_t mask) {
                b.front.reset();
                const std::uint64_t all = low_bytes(bytes);
                const std::uint64_t value = values[0];
                CHECK(b.write(offset + first, little(value >> (8 * first), size)) == answer{size});
                CHECK(b.write(offset, little(second, bytes)) == answer{bytes});
                const std::uint64_t then = (held_at_first & ~mask) | (p.written(held_at_first, value) & mask);
                const std::uint64_t fresh = p.once ? ~mask : ~std::uint64_t{0};
                const std::uint64_t expected = (p.written(then, second) & fresh) | (then & ~fresh);
                CHECK(b.read(offset, bytes).value() == (p.readable ? expected & all : 0));
            });
    });
}

TEST_CASE("a read changes a shadow as its kind says, in the lanes that are read") {
    kinds_bench b;
    for_each_kind([&](const access_policy& p, std::uint64_t offset, unsigned bytes) {
        for_each_part(bytes, [&](unsigned first, unsigned size, std::uint64_t mask) {
            b.front.reset();
            const std::uint64_t held = held_at_first & low_bytes(bytes);
            const auto got = b.read(offset + first, size);
            CHECK(got.done == answer{size});
            CHECK(got.value() == (p.readable ? (held & mask) >> (8 * first) : 0));
            const std::uint64_t then = (held & ~mask) | (p.after_read(held) & mask);
            CHECK(b.read(offset, bytes).value() == (p.readable ? then : 0));
        });
    });
    CHECK(b.device.happened().empty());
}

TEST_CASE("reset brings back what a shadow held, and the first write") {
    kinds_bench b;
    for_each_kind([&](const access_policy& p, std::uint64_t offset, unsigned bytes) {
        const std::uint64_t all = low_bytes(bytes);
        for (int times = 0; times < 2; ++times) {
            b.front.reset();
            CHECK(b.write(offset, little(values[0], bytes)) == answer{bytes});
            CHECK(b.read(offset, bytes).value() == (p.readable ? p.written(held_at_first, values[0]) & all : 0));
            b.front.reset();
            CHECK(b.read(offset, bytes).value() == (p.readable ? held_at_first & all : 0));
        }
    });
}

TEST_CASE("neighbours of a register that is written or read stay as they are") {
    kinds_bench b;
    for (const unsigned bytes : {1u, 2u, 4u, 8u})
        for (std::size_t k = 1; k + 1 < kinds; ++k) {
            INFO(policies[k].name << " of " << 8 * bytes << " bits");
            b.front.reset();
            static_cast<void>(b.write(offset_of(k, bytes), little(values[0], bytes)));
            static_cast<void>(b.read(offset_of(k, bytes), bytes));
            for (const std::size_t other : {k - 1, k + 1})
                if (policies[other].readable)
                    CHECK(b.read(offset_of(other, bytes), bytes).value() == (held_at_first & low_bytes(bytes)));
        }
}

TEST_CASE("the device has the effects of its registers: accesses pass as they are, or not at all") {
    kinds_bench b;
    for_each_kind([&](const access_policy& p, std::uint64_t offset, unsigned bytes) {
        for_each_part(bytes, [&](unsigned first, unsigned size, std::uint64_t) {
            const std::uint64_t at = offset + first;
            const bool natural = (size & (size - 1)) == 0 && at % size == 0;
            const std::uint64_t in_memory = value_of({b.device.memory[bar{1}].begin() + static_cast<std::ptrdiff_t>(at),
                                                      b.device.memory[bar{1}].begin() + static_cast<std::ptrdiff_t>(at + size)});
            const auto got = b.read(at, size, bar{1});
            CHECK(got.done == answer{size});
            CHECK(got.value() == (p.readable ? in_memory : 0));
            events seen = b.device.happened();
            if (!p.readable)
                CHECK(seen.empty());
            else if (natural)
                CHECK(seen == events{load(at, size, bar{1})});
            else
                CHECK_FALSE(seen.empty());

            const std::uint64_t value = values[0] & low_bytes(size);
            for (int times = 0; times < 2; ++times) { // the second too: which is the first is the device's to know
                CHECK(b.write(at, little(value, size), bar{1}) == answer{size});
                seen = b.device.happened();
                if (!p.takes_writes())
                    CHECK(seen.empty());
                else if (natural)
                    CHECK(seen == events{store(at, size, value, bar{1})});
                else
                    for (const event& e : seen) CHECK(e.what == "store");
            }
        });
    });
}

TEST_CASE("a constant stays what it is under every kind, and the device is not touched") {
    kinds_bench b;
    for_each_kind([&](const access_policy& p, std::uint64_t offset, unsigned bytes) {
        for (int times = 0; times < 2; ++times) {
            for_each_part(bytes, [&](unsigned first, unsigned size, std::uint64_t mask) {
                CHECK(b.write(offset + first, little(values[0], size), bar{2}) == answer{size});
                CHECK(b.read(offset + first, size, bar{2}).value() ==
                      (p.readable ? (held_at_first & low_bytes(bytes) & mask) >> (8 * first) : 0));
            });
        }
    });
    CHECK(b.device.happened().empty());
}

TEST_CASE("a block's bytes each behave as their kind says, at any width") {
    kinds_bench b;
    for (std::size_t k = 0; k < kinds; ++k)
        for (unsigned first = 0; first < 12; ++first)
            for (unsigned size = 1; first + size <= 12; ++size) {
                const access_policy& p = policies[k];
                CAPTURE(p.name, first, size);
                bytes expected(12, std::byte{0x69});
                bytes data;
                for (unsigned i = 0; i < size; ++i) data.push_back(static_cast<std::byte>(0x51 * (i + 1) & 0xff));
                const auto check = [&] {
                    const auto got = b.read(16 * k + 1, 12, bar{3});
                    CHECK(got.data == (p.readable ? expected : bytes(12)));
                };
                b.front.reset();
                for (unsigned i = 0; i < size; ++i)
                    expected[first + i] =
                        static_cast<std::byte>(p.written(0x69, std::to_integer<std::uint64_t>(data[i])) & 0xff);
                CHECK(b.write(16 * k + 1 + first, data, bar{3}) == answer{size});
                check();

                b.front.reset();
                expected = bytes(12, std::byte{0x69});
                for (unsigned i = 0; i < size; ++i) expected[first + i] = static_cast<std::byte>(p.after_read(0x69) & 0xff);
                CHECK(b.read(16 * k + 1 + first, size, bar{3}).data ==
                      bytes(size, p.readable ? std::byte{0x69} : std::byte{0}));
                check();
            }
    CHECK(b.device.happened().empty());
}

namespace {

/// What next does is what a user's access does, without the hooks.
struct through_next {
    static constexpr auto bar0 = region_map{
        bar{0}, 4_KiB, reg{"RC", 0x00, rc, {.backing = from::shadow, .value = 0x11223344}},
        reg{"W1", 0x04, w1, {.backing = from::shadow, .value = 0x55667788}},
        reg{"WO1", 0x08, wo1, {.backing = from::shadow, .hook = on::write, .value = 0x99}},
        reg{"W1S", 0x0c, w1s, {.backing = from::shadow}}, reg{"DO", 0x10, wo, {.hook = on::write}}};
    static constexpr auto regions = mediant::regions<bar0>{};

    result<void> write(at<bar0, "WO1">, std::uint32_t, auto&) { return {}; }
    result<void> write(at<bar0, "DO">, std::uint32_t what, auto& next) {
        if (what == 0) {
            CHECK(*next.read(at<bar0, "RC">{}) == 0x11223344);
            CHECK(*next.read(at<bar0, "RC">{}) == 0);
        } else if (what == 1) {
            CHECK(next.write(at<bar0, "W1">{}, 1u));
            CHECK(next.write(at<bar0, "W1">{}, 2u));
            CHECK(*next.read(at<bar0, "W1">{}) == 1);
            next.assign(at<bar0, "W1">{}, 7u); // the device itself is bound by no kind
            CHECK(*next.read(at<bar0, "W1">{}) == 7);
            CHECK(next.write(at<bar0, "W1">{}, 2u));
            CHECK(*next.read(at<bar0, "W1">{}) == 7);
        } else {
            next.assign(at<bar0, "WO1">{}, 7u);
            CHECK(*next.read(at<bar0, "WO1">{}) == 0);
            CHECK(next.write(at<bar0, "W1S">{}, 6u));
            CHECK(next.write(at<bar0, "W1S">{}, 1u));
            CHECK(*next.read(at<bar0, "W1S">{}) == 7);
        }
        return {};
    }
};

} // namespace

TEST_CASE("next reads and writes by kind, effects and first writes included") {
    bench<stack<recorder, through_next>> b;
    CHECK(b.write(0x10, 0, 4) == answer{4});
    CHECK(b.read(0x00, 4).value() == 0);
    CHECK(b.write(0x10, 1, 4) == answer{4});
    CHECK(b.write(0x04, 3, 4) == answer{4});
    CHECK(b.read(0x04, 4).value() == 7);
    CHECK(b.write(0x10, 2, 4) == answer{4});
    CHECK(b.device.happened().empty());
}

namespace {

/// A hook that takes full widths under each kind that differs in how a partial write is filled up.
struct filled {
    static constexpr auto bar0 = region_map{
        bar{0}, 4_KiB,
        reg{"W1S", 0x00, w1s, {.hook = on::write}}, reg{"W1T", 0x04, w1t, {.hook = on::write}},
        reg{"W0C", 0x08, w0c, {.hook = on::write}}, reg{"W0S", 0x0c, w0s, {.hook = on::write}},
        reg{"W0T", 0x10, w0t, {.hook = on::write}}, reg{"W1SRC", 0x14, w1src, {.hook = on::write}},
        reg{"W0CRS", 0x18, w0crs, {.hook = on::write}},
        reg{"WRC", 0x20, wrc, {.hook = on::write}}, reg{"WC", 0x24, wc, {.backing = from::shadow, .hook = on::write}},
        reg{"WS", 0x28, ws, {.backing = from::shadow, .hook = on::write}},
        reg{"W1", 0x2c, w1, {.backing = from::shadow, .hook = on::write}},
        reg{"WSRC", 0x30, wsrc, {.hook = on::write}}, reg{"WOC", 0x34, woc, {.hook = on::write}},
        reg{"EFFECT", 0x38, rw, {.hook = on::write, .read_has_effect = true}},
        reg{"KEPT", 0x3c, rw, {.backing = from::shadow, .hook = on::write, .value = 0x44332211, .read_has_effect = true}}};
    static constexpr auto regions = mediant::regions<bar0>{};

    template <const auto& Map, std::size_t I>
    result<void> note(entry_tag<Map, I>, std::uint32_t value) {
        journal->push_back({std::string{Map.entries[I].name}, 0, 0, value});
        return {};
    }
    result<void> write(at<bar0, "W1S"> t, std::uint32_t v, auto&) { return note(t, v); }
    result<void> write(at<bar0, "W1T"> t, std::uint32_t v, auto&) { return note(t, v); }
    result<void> write(at<bar0, "W0C"> t, std::uint32_t v, auto&) { return note(t, v); }
    result<void> write(at<bar0, "W0S"> t, std::uint32_t v, auto&) { return note(t, v); }
    result<void> write(at<bar0, "W0T"> t, std::uint32_t v, auto&) { return note(t, v); }
    result<void> write(at<bar0, "W1SRC"> t, std::uint32_t v, auto&) { return note(t, v); }
    result<void> write(at<bar0, "W0CRS"> t, std::uint32_t v, auto&) { return note(t, v); }
    result<void> write(at<bar0, "WRC"> t, std::uint32_t v, auto&) { return note(t, v); }
    result<void> write(at<bar0, "WC"> t, std::uint32_t v, auto&) { return note(t, v); }
    result<void> write(at<bar0, "WS"> t, std::uint32_t v, auto&) { return note(t, v); }
    result<void> write(at<bar0, "W1"> t, std::uint32_t v, auto&) { return note(t, v); }
    result<void> write(at<bar0, "WSRC"> t, std::uint32_t v, auto&) { return note(t, v); }
    result<void> write(at<bar0, "WOC"> t, std::uint32_t v, auto&) { return note(t, v); }
    result<void> write(at<bar0, "EFFECT"> t, std::uint32_t v, auto&) { return note(t, v); }
    result<void> write(at<bar0, "KEPT"> t, std::uint32_t v, auto&) { return note(t, v); }
};

} // namespace

TEST_CASE("a partial write for a hook of full widths is filled with bits that change nothing, or refused") {
    bench<stack<recorder, filled>> b;
    const auto refused = [&](std::uint64_t offset) {
        CHECK(b.write(offset + 1, 0xaa, 1) == answer{0, error::invalid});
        CHECK(b.device.happened().empty());
        CHECK(b.write(offset, 0x12345678, 4) == answer{4}); // in full it is taken
        CHECK(b.device.happened().size() == 1);
    };
    const auto becomes = [&](std::uint64_t offset, std::uint64_t value) {
        CHECK(b.write(offset + 1, 0xaa, 1) == answer{1});
        std::size_t i = 0;
        while (filled::bar0.entries[i].offset != offset) ++i;
        CHECK(b.device.happened() == events{{std::string{filled::bar0.entries[i].name}, 0, 0, value}});
    };
    becomes(0x00, 0x0000aa00);
    becomes(0x04, 0x0000aa00);
    becomes(0x08, 0xffffaaff);
    becomes(0x0c, 0xffffaaff);
    becomes(0x10, 0xffffaaff);
    becomes(0x14, 0x0000aa00);
    becomes(0x18, 0xffffaaff);
    refused(0x20); // reading what it holds would clear it
    refused(0x24); // there is no value that leaves the other lanes alone
    refused(0x28);
    refused(0x2c);
    refused(0x30);
    refused(0x34);
    refused(0x38);
    becomes(0x3c, 0x4433aa11); // only the device's register has the effect
}
