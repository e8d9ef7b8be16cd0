// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "generated_map.hpp"
#include "naive_model.hpp"
#include "recorder.hpp"

#include <mediant/provider/stack.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>

/// Policies whose every hook behaves as the model of naive_model.hpp says, and maps without hooks: for tests that hold
/// the engine against that model.
namespace mediant::test {

inline countdown hook_failures;

/// The bodies of all hooks.
template <class Tag>
result<typename Tag::value_type> hooked_read(Tag which, auto& next) {
    using value = typename Tag::value_type;
    journal->push_back({"read " + std::string{Tag::facts().name}});
    if (hook_failures.fails()) return error::busy;
    const result<value> held = next.read(which);
    if (!held) return held;
    return static_cast<value>(*held ^ static_cast<value>(read_salt));
}
template <class Tag>
result<typename Tag::value_type> hooked_read(Tag which, std::size_t element, auto& next) {
    using value = typename Tag::value_type;
    journal->push_back({"read " + std::string{Tag::facts().name}, element});
    if (hook_failures.fails()) return error::busy;
    const result<value> held = next.read(which, element);
    if (!held) return held;
    return static_cast<value>(*held ^ static_cast<value>(read_salt));
}
template <class Tag>
result<void> hooked_write(Tag which, std::size_t element, typename Tag::value_type written, auto& next) {
    using value = typename Tag::value_type;
    journal->push_back({"write " + std::string{Tag::facts().name}, element, 0, written});
    if (hook_failures.fails()) return error::busy;
    return next.write(which, element, static_cast<value>(written ^ static_cast<value>(write_salt)));
}
template <class Tag>
result<void> hooked_written(Tag, std::size_t element, lanes<typename Tag::value_type> written, auto&) {
    journal->push_back({"written " + std::string{Tag::facts().name}, element, 0, written.value, written.mask});
    if (hook_failures.fails()) return error::busy;
    return {};
}
template <class Tag>
result<void> hooked_write(Tag which, typename Tag::value_type written, auto& next) {
    using value = typename Tag::value_type;
    journal->push_back({"write " + std::string{Tag::facts().name}, 0, 0, written});
    if (hook_failures.fails()) return error::busy;
    return next.write(which, static_cast<value>(written ^ static_cast<value>(write_salt)));
}
template <class Tag>
result<void> hooked_write(Tag which, lanes<typename Tag::value_type> written, auto& next) {
    using value = typename Tag::value_type;
    journal->push_back({"write " + std::string{Tag::facts().name}, 0, 0, written.value, written.mask});
    if (hook_failures.fails()) return error::busy;
    if constexpr (Tag::facts().backing == from::shadow)
        next.assign(which, static_cast<value>((*next.read(which) & static_cast<value>(~written.mask)) | written.value));
    return {};
}

/// 32-bit registers of every kind and backing, with every set of hooks that makes sense, and open ground between.
struct dwords {
    static constexpr auto bar0 = region_map{
        bar{0}, 1_KiB,
        reg{"ro d", 0x00, ro}, reg{"wo d", 0x04, wo}, reg{"w1c d", 0x08, w1c}, reg{"named", 0x0c},
        reg{"rw s", 0x10, rw, {.backing = from::shadow, .value = 0x12345678}},
        reg{"ro s", 0x14, ro, {.backing = from::shadow, .value = 0x23456789}},
        reg{"wo s", 0x18, wo, {.backing = from::shadow, .value = 0x3456789a}},
        reg{"w1c s", 0x1c, w1c, {.backing = from::shadow, .value = 0xffffffff}},
        reg{"rw c", 0x24, rw, {.backing = from::constant, .value = 0x456789ab}},
        reg{"ro c", 0x28, ro, {.backing = from::constant, .value = 0x56789abc}},
        reg{"wo c", 0x2c, wo, {.backing = from::constant, .value = 0x6789abcd}},
        reg{"w1c c", 0x30, w1c, {.backing = from::constant, .value = 0x789abcde}},
        // read hooks
        reg{"rw d r", 0x40, rw, {.hook = on::read}}, reg{"ro d r", 0x44, ro, {.hook = on::read}},
        reg{"w1c d r", 0x48, w1c, {.hook = on::read}},
        reg{"rw s r", 0x50, rw, {.backing = from::shadow, .hook = on::read}},
        reg{"w1c s r", 0x54, w1c, {.backing = from::shadow, .hook = on::read, .value = 0xffffffff}},
        reg{"ro c r", 0x58, ro, {.backing = from::constant, .hook = on::read, .value = 0xa5a5a5a5}},
        // write hooks that take full widths
        reg{"rw d w", 0x60, rw, {.hook = on::write}}, reg{"wo d w", 0x64, wo, {.hook = on::write}},
        reg{"w1c d w", 0x68, w1c, {.hook = on::write}},
        reg{"rw s w", 0x70, rw, {.backing = from::shadow, .hook = on::write}},
        reg{"wo s w", 0x74, wo, {.backing = from::shadow, .hook = on::write}},
        reg{"w1c s w", 0x78, w1c, {.backing = from::shadow, .hook = on::write, .value = 0xffffffff}},
        reg{"rw c w", 0x7c, rw, {.backing = from::constant, .hook = on::write, .value = 0x5a5a5a5a}},
        // write hooks that take lanes
        reg{"rw d l", 0x84, rw, {.hook = on::write}}, reg{"wo d l", 0x88, wo, {.hook = on::write}},
        reg{"w1c d l", 0x8c, w1c, {.hook = on::write}},
        reg{"rw s l", 0x90, rw, {.backing = from::shadow, .hook = on::write}},
        reg{"wo s l", 0x94, wo, {.backing = from::shadow, .hook = on::write}},
        reg{"w1c s l", 0x98, w1c, {.backing = from::shadow, .hook = on::write}},
        // both
        reg{"rw d rw", 0xa0, rw, {.hook = on::read | on::write}},
        reg{"rw s rl", 0xa4, rw, {.backing = from::shadow, .hook = on::read | on::write}},
        block{"block", 0xb0, 0x20, {.backing = from::shadow, .value = 0x11}}, hide{"hidden", 0xe0, 0x10},
        reg{"last", 0xfc, ro}};
    static constexpr auto regions = mediant::regions<bar0>{};
    static inline const std::set<std::string> lane_hooks{"rw d l", "wo d l", "w1c d l", "rw s l", "wo s l", "w1c s l", "rw s rl"};

    using v = std::uint32_t;
    result<v> read(at<bar0, "rw d r"> t, auto& next) { return hooked_read(t, next); }
    result<v> read(at<bar0, "ro d r"> t, auto& next) { return hooked_read(t, next); }
    result<v> read(at<bar0, "w1c d r"> t, auto& next) { return hooked_read(t, next); }
    result<v> read(at<bar0, "rw s r"> t, auto& next) { return hooked_read(t, next); }
    result<v> read(at<bar0, "w1c s r"> t, auto& next) { return hooked_read(t, next); }
    result<v> read(at<bar0, "ro c r"> t, auto& next) { return hooked_read(t, next); }
    result<v> read(at<bar0, "rw d rw"> t, auto& next) { return hooked_read(t, next); }
    result<v> read(at<bar0, "rw s rl"> t, auto& next) { return hooked_read(t, next); }
    result<void> write(at<bar0, "rw d w"> t, v x, auto& next) { return hooked_write(t, x, next); }
    result<void> write(at<bar0, "wo d w"> t, v x, auto& next) { return hooked_write(t, x, next); }
    result<void> write(at<bar0, "w1c d w"> t, v x, auto& next) { return hooked_write(t, x, next); }
    result<void> write(at<bar0, "rw s w"> t, v x, auto& next) { return hooked_write(t, x, next); }
    result<void> write(at<bar0, "wo s w"> t, v x, auto& next) { return hooked_write(t, x, next); }
    result<void> write(at<bar0, "w1c s w"> t, v x, auto& next) { return hooked_write(t, x, next); }
    result<void> write(at<bar0, "rw c w"> t, v x, auto& next) { return hooked_write(t, x, next); }
    result<void> write(at<bar0, "rw d l"> t, lanes<v> x, auto& next) { return hooked_write(t, x, next); }
    result<void> write(at<bar0, "wo d l"> t, lanes<v> x, auto& next) { return hooked_write(t, x, next); }
    result<void> write(at<bar0, "w1c d l"> t, lanes<v> x, auto& next) { return hooked_write(t, x, next); }
    result<void> write(at<bar0, "rw s l"> t, lanes<v> x, auto& next) { return hooked_write(t, x, next); }
    result<void> write(at<bar0, "wo s l"> t, lanes<v> x, auto& next) { return hooked_write(t, x, next); }
    result<void> write(at<bar0, "w1c s l"> t, lanes<v> x, auto& next) { return hooked_write(t, x, next); }
    result<void> write(at<bar0, "rw d rw"> t, v x, auto& next) { return hooked_write(t, x, next); }
    result<void> write(at<bar0, "rw s rl"> t, lanes<v> x, auto& next) { return hooked_write(t, x, next); }
};

/// Registers of all widths with hooks, at odd places.
struct widths {
    static constexpr auto bar0 = region_map{
        bar{0}, 1_KiB,
        reg{"b0", 0x01, rw, {.hook = on::read | on::write, .bits = 8}},
        reg{"b1", 0x02, w1c, {.backing = from::shadow, .hook = on::write, .value = 0xff, .bits = 8}},
        reg{"b2", 0x03, ro, {.backing = from::constant, .value = 0x33, .bits = 8}},
        reg{"w0", 0x06, rw, {.hook = on::read | on::write, .bits = 16}},
        reg{"w1", 0x08, rw, {.backing = from::shadow, .hook = on::write, .bits = 16}},
        reg{"w2", 0x0a, wo, {.hook = on::write, .bits = 16}},
        block{"gap", 0x0d, 6, {.kind = w1c, .backing = from::shadow, .value = 0xff}},
        reg{"q0", 0x18, rw, {.hook = on::read | on::write, .bits = 64}},
        reg{"q1", 0x20, rw, {.backing = from::shadow, .hook = on::read | on::write, .value = 0x1122334455667788, .bits = 64}},
        reg{"q2", 0x28, wo, {.hook = on::write, .bits = 64}},
        reg{"q3", 0x30, w1c, {.hook = on::write, .bits = 64}},
        reg{"q4", 0x38, ro, {.backing = from::constant, .hook = on::read, .value = 0x8877665544332211, .bits = 64}},
        hide{"h", 0x41, 3},
        reg{"b3", 0x44, rw, {.hook = on::read, .bits = 8}},
        block{"dev", 0x47, 9, {.kind = ro}}, block{"wod", 0x53, 7, {.kind = wo}},
        reg{"b4", 0xff, rw, {.backing = from::shadow, .value = 1, .bits = 8}},
        reg{"b5", 0x100, rw, {.backing = from::shadow, .value = 2, .bits = 8}}};
    static constexpr auto regions = mediant::regions<bar0>{};
    static inline const std::set<std::string> lane_hooks{"q1", "q3"};

    result<std::uint8_t> read(at<bar0, "b0"> t, auto& next) { return hooked_read(t, next); }
    result<std::uint8_t> read(at<bar0, "b3"> t, auto& next) { return hooked_read(t, next); }
    result<std::uint16_t> read(at<bar0, "w0"> t, auto& next) { return hooked_read(t, next); }
    result<std::uint64_t> read(at<bar0, "q0"> t, auto& next) { return hooked_read(t, next); }
    result<std::uint64_t> read(at<bar0, "q1"> t, auto& next) { return hooked_read(t, next); }
    result<std::uint64_t> read(at<bar0, "q4"> t, auto& next) { return hooked_read(t, next); }
    result<void> write(at<bar0, "b0"> t, std::uint8_t x, auto& next) { return hooked_write(t, x, next); }
    result<void> write(at<bar0, "b1"> t, std::uint8_t x, auto& next) { return hooked_write(t, x, next); }
    result<void> write(at<bar0, "w0"> t, std::uint16_t x, auto& next) { return hooked_write(t, x, next); }
    result<void> write(at<bar0, "w1"> t, std::uint16_t x, auto& next) { return hooked_write(t, x, next); }
    result<void> write(at<bar0, "w2"> t, std::uint16_t x, auto& next) { return hooked_write(t, x, next); }
    result<void> write(at<bar0, "q0"> t, std::uint64_t x, auto& next) { return hooked_write(t, x, next); }
    result<void> write(at<bar0, "q1"> t, lanes<std::uint64_t> x, auto& next) { return hooked_write(t, x, next); }
    result<void> write(at<bar0, "q2"> t, std::uint64_t x, auto& next) { return hooked_write(t, x, next); }
    result<void> write(at<bar0, "q3"> t, lanes<std::uint64_t> x, auto& next) { return hooked_write(t, x, next); }
};

/// Hooks of registers with fields, of arrays, of other kinds, and those that are told after a write.
struct shapes {
    static constexpr auto bar0 = region_map{
        bar{0}, 1_KiB,
        reg{"f0", 0x00, fields{field{"D", 0, 12}, field{"S", 12, 12, rw, {.backing = from::shadow, .value = 0xabc}}, reserved{24, 8}},
            {.hook = on::read | on::write}},
        reg{"f1", 0x04, fields{field{"A", 0, 12, w1c}, field{"B", 12, 20, w0s, {.backing = from::shadow, .value = 0x12345, .device = toward::ones}}},
            {.hook = on::write | on::written}},
        reg{"f2", 0x08, fields{field{"A", 0, 16, rw, {.backing = from::shadow, .value = 0x5678}}, field{"B", 16, 16, rc, {.backing = from::shadow, .value = 0xffff}}},
            {.hook = on::write}},
        reg{"f3", 0x0c, fields{field{"A", 0, 8, w1, {.backing = from::shadow}}, field{"B", 8, 24, w1t}}, {.hook = on::written}},
        reg{"a0", 0x10, rw, {.hook = on::read | on::write | on::written, .bits = 16, .count = 3, .stride = 4}},
        reg{"a1", 0x20, w1t, {.backing = from::shadow, .hook = on::write, .value = 0xff, .bits = 64, .count = 2}},
        reg{"t0", 0x30, rw, {.hook = on::written}},
        reg{"t1", 0x34, wrs, {.backing = from::shadow, .hook = on::written, .value = 0x77}},
        reg{"t2", 0x39, w1s, {.backing = from::shadow, .hook = on::written, .bits = 8}},
        reg{"k0", 0x3c, wrc, {.backing = from::shadow, .hook = on::write, .value = 0x1234, .bits = 16}},
        reg{"k1", 0x3e, w0c, {.hook = on::write, .bits = 16}},
        reg{"k2", 0x40, wc, {.backing = from::shadow, .hook = on::read | on::write, .value = 0xffff}},
        reg{"k3", 0x44, w1, {.backing = from::shadow, .hook = on::write}},
        reg{"w0", 0x48, rw, {.hook = on::read | on::write, .widths = width::bits32}},
        reg{"w1", 0x4c, rw, {.backing = from::shadow, .hook = on::read | on::written, .widths = width::bits8 | width::bits32, .otherwise = otherwise::swallow}},
        alias{"alias of f0", 0x50, "f0"}, alias{"alias of t0", 0x54, "t0"}, alias{"alias of w1", 0x58, "w1"}, alias{"alias of p", 0x5c, "p"},
        reg{"p", 0x60}, deny{"denied", 0x66, 5},
        reg{"e0", 0x70, rw, {.hook = on::write, .read_has_effect = true}},
        repeat{"file", 3, 0x20, reg{"r", 0x80, rw, {.backing = from::shadow, .hook = on::read | on::write | on::written}}, block{"b", 0x86, 10, {.kind = w1crs, .backing = from::shadow}},
               reg{"g", 0x94, fields{field{"D", 0, 4, wo}, field{"S", 4, 28, wsrc, {.backing = from::shadow, .value = 5, .device = toward::zeros}}}}}};
    static constexpr auto regions = mediant::regions<bar0>{};
    static inline const std::set<std::string> lane_hooks{};

    using v = std::uint32_t;
    result<v> read(at<bar0, "f0"> t, auto& next) { return hooked_read(t, next); }
    result<std::uint16_t> read(at<bar0, "a0"> t, std::size_t i, auto& next) { return hooked_read(t, i, next); }
    result<v> read(at<bar0, "k2"> t, auto& next) { return hooked_read(t, next); }
    result<v> read(at<bar0, "w0"> t, auto& next) { return hooked_read(t, next); }
    result<v> read(at<bar0, "w1"> t, auto& next) { return hooked_read(t, next); }
    result<v> read(at<bar0, "file.r"> t, std::size_t i, auto& next) { return hooked_read(t, i, next); }
    result<void> write(at<bar0, "f0"> t, v x, auto& next) { return hooked_write(t, x, next); }
    result<void> write(at<bar0, "f1"> t, v x, auto& next) { return hooked_write(t, x, next); }
    result<void> write(at<bar0, "f2"> t, v x, auto& next) { return hooked_write(t, x, next); }
    result<void> write(at<bar0, "a0"> t, std::size_t i, std::uint16_t x, auto& next) { return hooked_write(t, i, x, next); }
    result<void> write(at<bar0, "a1"> t, std::size_t i, std::uint64_t x, auto& next) { return hooked_write(t, i, x, next); }
    result<void> write(at<bar0, "k0"> t, std::uint16_t x, auto& next) { return hooked_write(t, x, next); }
    result<void> write(at<bar0, "k1"> t, std::uint16_t x, auto& next) { return hooked_write(t, x, next); }
    result<void> write(at<bar0, "k2"> t, v x, auto& next) { return hooked_write(t, x, next); }
    result<void> write(at<bar0, "k3"> t, v x, auto& next) { return hooked_write(t, x, next); }
    result<void> write(at<bar0, "w0"> t, v x, auto& next) { return hooked_write(t, x, next); }
    result<void> write(at<bar0, "e0"> t, v x, auto& next) { return hooked_write(t, x, next); }
    result<void> write(at<bar0, "file.r"> t, std::size_t i, v x, auto& next) { return hooked_write(t, i, x, next); }
    result<void> written(at<bar0, "f1"> t, lanes<v> x, auto& next) { return hooked_written(t, 0, x, next); }
    result<void> written(at<bar0, "f3"> t, lanes<v> x, auto& next) { return hooked_written(t, 0, x, next); }
    result<void> written(at<bar0, "a0"> t, std::size_t i, lanes<std::uint16_t> x, auto& next) { return hooked_written(t, i, x, next); }
    result<void> written(at<bar0, "t0"> t, lanes<v> x, auto& next) { return hooked_written(t, 0, x, next); }
    result<void> written(at<bar0, "t1"> t, lanes<v> x, auto& next) { return hooked_written(t, 0, x, next); }
    result<void> written(at<bar0, "t2"> t, lanes<std::uint8_t> x, auto& next) { return hooked_written(t, 0, x, next); }
    result<void> written(at<bar0, "w1"> t, lanes<v> x, auto& next) { return hooked_written(t, 0, x, next); }
    result<void> written(at<bar0, "file.r"> t, std::size_t i, lanes<v> x, auto& next) { return hooked_written(t, i, x, next); }
};

/// Ranges that are switched by the bits of a register.
struct switched {
    static constexpr auto bar0 = region_map{
        bar{0}, 16_KiB, reg{"switch", 0x04, rw, {.backing = from::shadow, .hook = on::write}}, dynamic{"first", 0x1000, 4_KiB},
        dynamic{"second", 0x2000, 4_KiB}, reg{"before", 0x0ffc, rw, {.backing = from::shadow, .value = 1}},
        reg{"a", 0x1000, rw, {.backing = from::shadow, .value = 0x1234}}, reg{"b", 0x1004, ro}, hide{"c", 0x1009, 5},
        reg{"d", 0x1ffe, rw, {.backing = from::shadow, .bits = 16}}, reg{"e", 0x2000, w1t, {.backing = from::shadow, .bits = 64}},
        deny{"f", 0x200c, 4}, block{"g", 0x2ff0, 16, {.backing = from::shadow}}, reg{"h", 0x3000, wo},
        alias{"i", 0x10, "a"}, alias{"j", 0x2010, "before"}};
    static constexpr auto regions = mediant::regions<bar0>{};
    static inline const std::set<std::string> lane_hooks{};

    result<void> write(at<bar0, "switch"> t, std::uint32_t x, auto& next) {
        journal->push_back({"write switch", 0, 0, x});
        if (hook_failures.fails()) return error::busy;
        if (!((x & 1) != 0 ? next.untrap(at<bar0, "first">{}) : next.trap(at<bar0, "first">{}))) std::abort();
        if (!((x & 2) != 0 ? next.untrap(at<bar0, "second">{}) : next.trap(at<bar0, "second">{}))) std::abort();
        return next.write(t, x ^ static_cast<std::uint32_t>(write_salt));
    }
};

/// A device whose mappings can be taken back.
struct revocable : recorder {
    using recorder::recorder;
    result<void> revoke(region_index, range) { return {}; }
    void regions_changed() {}
};

/// A generated map without hooks.
template <std::size_t N, map_shape Shape>
struct generated {
    static constexpr auto bar0 = generate<N, Shape.everything ? N * detail_of_maps::fields_each : 0>(Shape);
    static constexpr auto regions = mediant::regions<bar0>{};
    static inline const std::set<std::string> lane_hooks{};
};

} // namespace mediant::test
