// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/mediant.hpp>

#include <array>
#include <cstddef>
#include <string_view>
#include <utility>

/// Providers whose maps are drawn in tests.
namespace vendor {
using namespace mediant;

/// All that a map can state, in a BAR of 16 MiB, and text that means something to HTML, Markdown and JSON.
struct rich {
    static constexpr auto info = provider{
        "rich",
        {pci_id{0x1234, 0x0001}, pci_id{.vendor = 0x1af4, .class_code = 0x020000, .class_mask = 0xffff00}},
        {.description = "<b>All</b> that a map can state & more: \"|`*_\""}};

    static constexpr auto bar0 = region_map{
        bar{0},
        16_MiB,
        reg{"ID", 0x00, ro, {.backing = from::constant, .value = 0x1af4'1041}},
        reg{"CTRL",
            0x04,
            fields{field{"ENABLE", 0}, field{"MODE", 1, 3, rw, {.backing = from::shadow, .value = 5}},
                   field{"DONE", 4, 1, w1c, {.device = toward::zeros}}, reserved{5, 3},
                   field{"VERSION", 8, 8, ro, {.backing = from::constant, .value = 0x21}},
                   reserved{16, 16, from::device}},
            {.hook = on::written}},
        reg{"STATUS", 0x08, rc, {.hook = on::read, .read_has_effect = true}},
        reg{"BYTE", 0x0c, rw, {.backing = from::shadow, .value = 0x7f, .bits = 8}},
        reg{"HALF", 0x0e, rw, {.bits = 16}},
        reg{"WIDE",
            0x10,
            rw,
            {.backing = from::shadow,
             .value = 0x0123'4567'89ab'cdef,
             .bits = 64,
             .widths = width::bits32 | width::bits64}},
        reg{"ONCE", 0x18, w1, {.backing = from::shadow, .widths = width::bits32, .otherwise = otherwise::swallow}},
        alias{"ID_LEGACY", 0x1c, "ID"},
        reg{"<script>alert('&')</script>|`", 0x20, wo},
        reg{"VECTORS", 0x40, rw, {.hook = on::write, .count = 12}},
        reg{"SPARSE", 0x100, w1s, {.backing = from::shadow, .count = 4, .stride = 0x18}},
        block{"SCRATCH", 0x200, 0x130, {.backing = from::shadow, .value = 0xa5}},
        deny{"FUSES", 0x800, 256},
        repeat{"QUEUE", 64, 0x40, reg{"HEAD", 0x2000, ro}, reg{"TAIL", 0x2004, wo, {.hook = on::write}},
               reg{"BASE", 0x2008, rw, {.backing = from::shadow, .bits = 64}}},
        dynamic{"APERTURE", 0x10000, 64_KiB},
        reg{"WINDOW", 0x10000, rw, {.backing = from::shadow}},
        pass{"BUFFER", 0x40000, 64_KiB},
        hide{"DEBUG", 0x80'0000, 4_KiB}};
    static constexpr auto bar2 = region_map{bar{2}, 256};
    static constexpr auto bar4 = region_map{bar{4}, 4_KiB,
                                            reg{"DOORBELL", 0x000, wo, {.hook = on::write, .count = 256}}};
    static constexpr auto regions = mediant::regions<bar4, bar0, bar2>{};

    result<std::uint32_t> read(at<bar0, "STATUS"> reg, auto& next) { return next.read(reg); }
    result<void> written(at<bar0, "CTRL">, lanes<std::uint32_t>, auto&) { return {}; }
    result<void> write(at<bar0, "VECTORS"> reg, std::size_t i, std::uint32_t value, auto& next) {
        return next.write(reg, i, value);
    }
    result<void> write(at<bar0, "QUEUE.TAIL">, std::size_t, std::uint32_t, auto&) { return {}; }
    result<void> write(at<bar4, "DOORBELL">, std::size_t, std::uint32_t, auto&) { return {}; }
};

/// A few registers in a large region.
struct small {
    static constexpr auto info = provider{
        "small", {pci_id{0x1234, 0x0002}}, {.description = "Five registers in 1 MiB"}};
    static constexpr auto bar0 = region_map{bar{0},
                                            1_MiB,
                                            reg{"IDENT", 0x00, ro, {.backing = from::constant, .value = 0xed}},
                                            reg{"LIVE", 0x04},
                                            reg{"EVENTS", 0x28, w1c, {.backing = from::shadow}},
                                            reg{"MODE", 0x8000, ro},
                                            reg{"DEBUG", 0xff000, rw, {.backing = from::shadow, .bits = 64}}};
    static constexpr auto regions = mediant::regions<bar0>{};
};

namespace detail_of_large {
inline constexpr std::size_t registers = 500;
inline constexpr std::array<std::string_view, 8> stems{"CTRL",      "STATUS",   "MASK",  "CAUSE",
                                                       "RING_BASE", "RING_LEN", "TIMER", "SCRATCH"};
inline constexpr std::size_t longest = 14;
inline constexpr auto names = [] {
    std::array<char, longest * registers> out{};
    for (std::size_t i = 0; i < registers; ++i) {
        std::size_t at = longest * i;
        for (const char c : stems[i % stems.size()]) out[at++] = c;
        out[at++] = '_';
        for (const std::size_t power : {100u, 10u, 1u}) out[at++] = static_cast<char>('0' + i / power % 10);
    }
    return out;
}();
template <std::size_t I>
consteval auto one() {
    constexpr std::string_view name{names.data() + longest * I, stems[I % stems.size()].size() + 4};
    constexpr kind kinds[] = {rw, ro, rw, w1c, rw, rw, wo, rw};
    constexpr from backings[] = {from::device, from::device, from::shadow, from::shadow,
                                 from::device, from::device, from::device, from::device};
    // Groups of 64 registers, each in a page of its own, with holes.
    constexpr std::size_t offset = I / 64 * 0x4000 + I % 64 * 4 + I % 64 / 16 * 0x20;
    return reg{
        name,
        offset,
        kinds[I % 8],
        {.backing = I % 40 == 16 ? from::constant : backings[I % 8], .value = I % 40 == 16 ? 0xc0de0000 + I : 0}};
}
} // namespace detail_of_large

/// 500 registers in 1 MiB.
struct large {
    static constexpr auto info = provider{"large", {pci_id{0x1234, 0x0003}}, {.description = "500 registers in 1 MiB"}};
    static constexpr auto bar0 = []<std::size_t... I>(std::index_sequence<I...>) {
        return region_map{bar{0}, 1_MiB, detail_of_large::one<I>()...,
                          reg{"MSG", 0x8'0000, wo, {.backing = from::shadow, .count = 64}},
                          hide{"FIRMWARE", 0xc'0000, 128_KiB}};
    }
    (std::make_index_sequence<detail_of_large::registers>{});
    static constexpr auto regions = mediant::regions<bar0>{};
};

/// All that a config map can state, beside a BAR of which it hides a half.
struct configured {
    static constexpr auto info = provider{
        "configured", {pci_id{0x1234, 0x0004}}, {.description = "A config map with all that one can state"}};
    static constexpr auto bar2 = region_map{bar{2}, 64_KiB, reg{"QUEUES", 0x0000, ro}, reg{"MODE", 0x7ffc},
                                            reg{"STATE", 0x8000, rw, {.backing = from::shadow}}};
    static constexpr auto config = config_map{
        config_id{.vendor = 0x1af4, .device = 0x1000, .revision = 2, .class_code = 0x020000, .subdevice = 1},
        io_bar{0, 32},
        hide_bar{1},
        hide_upper_half{2},
        resize_bar{4, 256_MiB},
        hide_rom{},
        observe_writes{"COMMAND", 0x04, 2},
        constant_bytes{0xa0, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}},
        observe_writes{"WATCHED", 0xa8, 4},
        shadow_bytes{"<SCRATCH>", 0xb0, 4, {.value = 0x1234'5678, .writable = 0xffff}},
        swallow_writes{0xb8, 2},
        hide_capability{cap::vpd},
        hide_extended_capability{extended_cap::sriov},
        add_capability{cap::vendor, 0xe0, {8, 1, 2, 3, 4, 5}, {.writable = true}},
        add_extended_capability{extended_cap::serial_number, 0x200, {1, 2, 3, 4, 5, 6, 7, 8}},
        edit_capability{cap::pcie, 0x04, {.value = 0, .mask = 1u << 28}},
        shadow_bytes{"LTR", 0x04, 4, {.value = 0x1001'1001, .in = extended_cap::ltr}},
        swallow_writes{0x06, 2, {.in = cap{0x21}}}};
    static constexpr auto regions = mediant::regions<config, bar2>{};

    result<void> written(at<config, "COMMAND">, lanes<std::uint16_t>, auto&) { return {}; }
    result<void> written(at<config, "WATCHED">, lanes<std::uint32_t>, auto&) { return {}; }
};
static_assert(valid<configured>);

} // namespace vendor
