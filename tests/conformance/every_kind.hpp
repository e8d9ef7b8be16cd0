// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "../unit/generated_map.hpp"

#include <mediant/mediant.hpp>

/// A provider for edu that has all that a map of a BAR can say, for the comparison of what each world makes of it.
namespace conformance_test {
using namespace mediant;

/// A generated map, further behind in the region, and with names from that one on.
template <std::size_t N>
[[nodiscard]] consteval auto generated_at(std::uint64_t offset, std::size_t first_name, test::map_shape how) {
    const auto renamed = [&](std::string_view name) {
        return name.empty() ? name : std::string_view{name.data() + 5 * first_name, name.size()};
    };
    const auto from = test::generate<N, N * test::detail_of_maps::fields_each>(how);
    map_item<N, N * test::detail_of_maps::fields_each> out;
    for (std::size_t i = 0; i < N; ++i) {
        out.entries[i] = from.entries[i];
        out.entries[i].offset += offset;
        out.entries[i].name = renamed(from.entries[i].name);
        out.entries[i].target = renamed(from.entries[i].target);
    }
    for (std::size_t i = 0; i < from.fields.size(); ++i) out.fields[i] = from.fields[i];
    return out;
}

struct every_kind {
    static constexpr auto info = provider{"every_kind", {pci_id{0x1234, 0x11e8, 0x1af4, 0x1100}}, {.author = "Acme"}};

    static constexpr auto bar0 = region_map{
        bar{0}, 1_MiB,
        // What edu has, so that something is there to be preserved: DMA's registers keep 8 bytes.
        reg{"LIVE", 0x04, fields{field{"DEVICE", 0, 12}, field{"OWN", 12, 12, rw, {.backing = from::shadow, .value = 0xabc}}, reserved{24, 8}},
            {.hook = on::read | on::write}},
        reg{"SOURCE", 0x80, rw, {.hook = on::read | on::write | on::written, .bits = 64}},
        reg{"TARGET", 0x88, w1t, {.hook = on::written, .bits = 64}},
        reg{"COUNT", 0x90, fields{field{"DEVICE", 0, 24}, field{"OWN", 24, 24, w1s, {.backing = from::shadow}}, reserved{48, 16}},
            {.hook = on::written, .bits = 64}},
        // All that hooks were given, one after the other; none of it may differ.
        reg{"TOLD", 0xb0, ro, {.backing = from::shadow, .bits = 64}},
        // Kinds, backings and hooks.
        reg{"RW", 0x200, rw, {.backing = from::shadow, .hook = on::write, .value = 0x1234'5678}},
        reg{"WO", 0x204, wo, {.backing = from::shadow, .hook = on::write}},
        reg{"W1C", 0x208, w1c, {.backing = from::shadow, .hook = on::read | on::write, .value = 0xffff'ffff}},
        reg{"MARKED", 0x20c, ro, {.backing = from::constant, .hook = on::read, .value = 0x5a5a'a5a5}},
        reg{"LANES", 0x210, rw, {.backing = from::shadow, .hook = on::write}},
        reg{"WO_LANES", 0x214, wo, {.hook = on::write}},
        reg{"W0S", 0x218, w0s, {.backing = from::shadow, .hook = on::write, .bits = 16}},
        reg{"WC", 0x21a, wc, {.backing = from::shadow, .hook = on::write, .value = 0xffff, .bits = 16}},
        reg{"ONCE", 0x21c, w1, {.backing = from::shadow, .hook = on::written}},
        reg{"BYTE", 0x221, rw, {.backing = from::shadow, .hook = on::read | on::write | on::written, .bits = 8}},
        reg{"WIDE", 0x228, rw, {.backing = from::shadow, .hook = on::read | on::write, .value = 0x1122'3344'5566'7788, .bits = 64}},
        reg{"NARROW", 0x230, rw, {.backing = from::shadow, .hook = on::write, .widths = width::bits32}},
        reg{"DEAF", 0x234, rw, {.backing = from::shadow, .hook = on::written, .widths = width::bits8 | width::bits32, .otherwise = otherwise::swallow}},
        reg{"FIELDS", 0x238, fields{field{"A", 0, 8, w1, {.backing = from::shadow}}, field{"B", 8, 8, rc, {.backing = from::shadow, .value = 0xff}},
                                    field{"C", 16, 12, w1t, {.backing = from::shadow}}, field{"D", 28, 4, ro, {.backing = from::constant, .value = 9}}},
            {.hook = on::written}},
        reg{"PICKY", 0x23c, rw, {.backing = from::shadow, .hook = on::read | on::write}}, // its hooks fail now and then
        alias{"LIVE_AGAIN", 0x240, "LIVE"}, alias{"WIDE_AGAIN", 0x248, "WIDE"}, alias{"DEAF_AGAIN", 0x250, "DEAF"},
        alias{"TOLD_AGAIN", 0x258, "TOLD"},
        deny{"DENIED", 0x262, 5}, hide{"HIDDEN", 0x268, 11},
        block{"CLEARED", 0x275, 13, {.kind = w1c, .backing = from::shadow, .value = 0xa5}},
        reg{"ARRAY", 0x290, rw, {.backing = from::shadow, .hook = on::read | on::write | on::written, .bits = 16, .count = 5, .stride = 4}},
        reg{"TOGGLED", 0x2b0, w1t, {.backing = from::shadow, .hook = on::write, .value = 0xff, .bits = 64, .count = 2}},
        repeat{"FILE", 3, 0x20, reg{"R", 0x300, rw, {.backing = from::shadow, .hook = on::read | on::write}},
               block{"B", 0x306, 10, {.kind = w1crs, .backing = from::shadow}},
               reg{"G", 0x314, fields{field{"D", 0, 4, wo}, field{"S", 4, 28, wsrc, {.backing = from::shadow, .value = 5, .device = toward::zeros}}}}},
        // Anything.
        generated_at<48>(0x1000, 0, {.seed = 101, .size = 2048, .gap = 9, .everything = true}),
        generated_at<48>(0x2000, 48, {.seed = 102, .size = 2048, .gap = 16, .dwords = true, .everything = true})};
    static constexpr auto regions = mediant::regions<bar0>{};

    result<std::uint32_t> read(at<bar0, "LIVE"> r, auto& next) noexcept { return reads(r, next); }
    result<std::uint64_t> read(at<bar0, "SOURCE"> r, auto& next) noexcept { return reads(r, next); }
    result<std::uint32_t> read(at<bar0, "W1C"> r, auto& next) noexcept { return reads(r, next); }
    result<std::uint32_t> read(at<bar0, "MARKED"> r, auto& next) noexcept { return reads(r, next); }
    result<std::uint8_t> read(at<bar0, "BYTE"> r, auto& next) noexcept { return reads(r, next); }
    result<std::uint64_t> read(at<bar0, "WIDE"> r, auto& next) noexcept { return reads(r, next); }
    result<std::uint32_t> read(at<bar0, "PICKY"> r, auto& next) noexcept {
        if (told % 4 == 0) return error::busy;
        return reads(r, next);
    }
    result<std::uint16_t> read(at<bar0, "ARRAY"> r, std::size_t i, auto& next) noexcept { return reads(r, i, next); }
    result<std::uint32_t> read(at<bar0, "FILE.R"> r, std::size_t i, auto& next) noexcept { return reads(r, i, next); }

    result<void> write(at<bar0, "LIVE"> r, std::uint32_t v, auto& next) noexcept { return writes(r, v, next); }
    result<void> write(at<bar0, "SOURCE"> r, std::uint64_t v, auto& next) noexcept { return writes(r, v, next); }
    result<void> write(at<bar0, "RW"> r, std::uint32_t v, auto& next) noexcept { return writes(r, v, next); }
    result<void> write(at<bar0, "WO"> r, std::uint32_t v, auto& next) noexcept { return writes(r, v, next); }
    result<void> write(at<bar0, "W1C"> r, std::uint32_t v, auto& next) noexcept { return writes(r, v, next); }
    result<void> write(at<bar0, "LANES"> r, lanes<std::uint32_t> v, auto& next) noexcept {
        note(v.value, v.mask, next);
        next.assign(r, (next.held(r) & ~v.mask) | v.value);
        return {};
    }
    result<void> write(at<bar0, "WO_LANES"> r, lanes<std::uint32_t> v, auto& next) noexcept {
        note(v.value, v.mask, next);
        return next.write(r, v.value);
    }
    result<void> write(at<bar0, "W0S"> r, std::uint16_t v, auto& next) noexcept { return writes(r, v, next); }
    result<void> write(at<bar0, "WC"> r, std::uint16_t v, auto& next) noexcept { return writes(r, v, next); }
    result<void> write(at<bar0, "BYTE"> r, std::uint8_t v, auto& next) noexcept { return writes(r, v, next); }
    result<void> write(at<bar0, "WIDE"> r, std::uint64_t v, auto& next) noexcept { return writes(r, v, next); }
    result<void> write(at<bar0, "NARROW"> r, std::uint32_t v, auto& next) noexcept { return writes(r, v, next); }
    result<void> write(at<bar0, "PICKY"> r, std::uint32_t v, auto& next) noexcept {
        if (v % 4 == 0) return error::denied;
        return writes(r, v, next);
    }
    result<void> write(at<bar0, "ARRAY"> r, std::size_t i, std::uint16_t v, auto& next) noexcept { return writes(r, i, v, next); }
    result<void> write(at<bar0, "TOGGLED"> r, std::size_t i, std::uint64_t v, auto& next) noexcept { return writes(r, i, v, next); }
    result<void> write(at<bar0, "FILE.R"> r, std::size_t i, std::uint32_t v, auto& next) noexcept { return writes(r, i, v, next); }

    result<void> written(at<bar0, "SOURCE">, lanes<std::uint64_t> v, auto& next) noexcept { return tell(v.value, v.mask, next); }
    result<void> written(at<bar0, "TARGET">, lanes<std::uint64_t> v, auto& next) noexcept { return tell(v.value, v.mask, next); }
    result<void> written(at<bar0, "COUNT">, lanes<std::uint64_t> v, auto& next) noexcept { return tell(v.value, v.mask, next); }
    result<void> written(at<bar0, "ONCE">, lanes<std::uint32_t> v, auto& next) noexcept { return tell(v.value, v.mask, next); }
    result<void> written(at<bar0, "BYTE">, lanes<std::uint8_t> v, auto& next) noexcept { return tell(v.value, v.mask, next); }
    result<void> written(at<bar0, "DEAF">, lanes<std::uint32_t> v, auto& next) noexcept { return tell(v.value, v.mask, next); }
    result<void> written(at<bar0, "FIELDS">, lanes<std::uint32_t> v, auto& next) noexcept { return tell(v.value, v.mask, next); }
    result<void> written(at<bar0, "ARRAY">, std::size_t i, lanes<std::uint16_t> v, auto& next) noexcept {
        return tell(i << 32 | v.value, v.mask, next);
    }

    void reset() noexcept { told = 0; }

private:
    static constexpr std::uint64_t salt = 0x9e37'79b9'7f4a'7c15;

    void note(std::uint64_t value, std::uint64_t mask, auto& next) noexcept {
        told = (told ^ value) * salt + mask + 1;
        next.assign(at<bar0, "TOLD">{}, told);
    }
    result<void> tell(std::uint64_t value, std::uint64_t mask, auto& next) noexcept {
        note(value, mask, next);
        return {};
    }
    template <class Register>
    result<typename Register::value_type> reads(Register r, auto& next) noexcept {
        note(Register::index, 1, next);
        const auto held = next.read(r);
        if (!held) return held;
        return static_cast<typename Register::value_type>(*held ^ salt);
    }
    template <class Register>
    result<typename Register::value_type> reads(Register r, std::size_t i, auto& next) noexcept {
        note(Register::index, i << 8 | 2, next);
        const auto held = next.read(r, i);
        if (!held) return held;
        return static_cast<typename Register::value_type>(*held ^ salt);
    }
    template <class Register>
    result<void> writes(Register r, typename Register::value_type value, auto& next) noexcept {
        note(value, 3, next);
        return next.write(r, static_cast<typename Register::value_type>(value ^ salt >> 32));
    }
    template <class Register>
    result<void> writes(Register r, std::size_t i, typename Register::value_type value, auto& next) noexcept {
        note(value, i << 8 | 4, next);
        return next.write(r, i, static_cast<typename Register::value_type>(value ^ salt >> 32));
    }

    std::uint64_t told = 0;
};
static_assert(valid<every_kind>);

} // namespace conformance_test
