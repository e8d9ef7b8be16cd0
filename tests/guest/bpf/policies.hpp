// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "registers.h"

#include <mediant/mediant.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

/// Providers that become BPF objects: one of edu to be exchanged under load, one that the verifier must refuse, and
/// some that are loaded and no more: one without state, one of arrays, one of fields, and maps of many registers.
namespace bpf_test {
using namespace mediant;

/// What edu.bpf.c does by hand, as far as exchanges under load look at it.
struct counted {
    static constexpr auto info = provider{"edu", {pci_id{0x1234, 0x11e8}}, {.author = "Acme"}};

    static constexpr auto bar0 = region_map{bar{0}, 1_MiB,
        reg{"IDENT",  REG_IDENT, ro, {.hook = on::read}},
        reg{"LIVE",   REG_LIVE},
        reg{"COUNT",  REG_COUNT, rw, {.backing = from::shadow, .hook = on::write}},
        reg{"SHADOW", REG_SHADOW, rw, {.backing = from::shadow, .bits = 64}},
        reg{"RESETS", REG_RESETS, ro, {.backing = from::constant, .hook = on::read}},
        reg{"WITHIN", REG_WITHIN, ro, {.backing = from::shadow}},
        block{"ODD",  REG_ODD, 8, {.backing = from::shadow}},
        block{"BLOCK", REG_BLOCK, REG_BLOCK_SIZE, {.backing = from::shadow}},
        hide{"HIDDEN", REG_HIDDEN, REG_HIDDEN_SIZE}};
    static constexpr auto regions = mediant::regions<bar0>{};

    result<std::uint32_t> read(at<bar0, "IDENT"> r, auto& next) noexcept {
        const auto ident = next.read(r);
        if (!ident) return ident;
        return *ident | 0xbf'0000;
    }
    result<std::uint32_t> read(at<bar0, "RESETS">, auto&) noexcept { return resets; }
    result<void> write(at<bar0, "COUNT"> r, std::uint32_t value, auto& next) noexcept {
        next.assign(r, ++count);
        const result<void> done = next.write(at<bar0, "LIVE">{}, value);
        if (!done) next.assign(r, --count);
        return done;
    }
    void reset() noexcept { ++resets; }

private:
    std::uint32_t count = 0;
    std::uint32_t resets = 0;
};
static_assert(valid<counted>);

/// A table of the policy's, with an index that comes from the guest: nothing says that it is within.
struct unchecked {
    static constexpr auto info = provider{"unchecked", {pci_id{0x1234, 0x0001}}, {.author = "Acme"}};

    static constexpr auto bar0 = region_map{bar{0}, 1_MiB,
        reg{"SELECT", 0x200, rw, {.backing = from::shadow, .hook = on::write}}};
    static constexpr auto regions = mediant::regions<bar0>{};

    result<void> write(at<bar0, "SELECT">, std::uint32_t index, auto&) noexcept {
        table[index] = 1; // what is wrong here
        return {};
    }

private:
    std::uint32_t table[16]{};
};
static_assert(valid<unchecked>);

/// Nothing but a map: no byte of the policy has a value.
struct stateless {
    static constexpr auto info = provider{"stateless", {pci_id{0x1234, 0x0005}}, {.author = "Acme"}};

    static constexpr auto bar0 = region_map{bar{0}, 64_KiB, reg{"BLOWS", 0x10, rw, {.backing = from::shadow}}};
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<stateless>);

/// Hooks of arrays' elements, which use their index as it comes, and name elements of other arrays by it and by what
/// the policy has kept.
struct elements {
    static constexpr auto info = provider{"elements", {pci_id{0x1234, 0x0006}}, {.author = "Acme"}};

    static constexpr auto bar0 = region_map{bar{0}, 64_KiB,
        reg{"SUM", 0x00, rw, {.backing = from::shadow, .hook = on::read | on::write, .count = 7}},
        reg{"LAST", 0x40, rw, {.backing = from::shadow, .count = 7}},
        repeat{"QUEUE", 5, 0x20, reg{"HEAD", 0x100, ro, {.backing = from::shadow}},
               reg{"TAIL", 0x104, rw, {.backing = from::shadow, .hook = on::written}}}};
    static constexpr auto regions = mediant::regions<bar0>{};

    result<std::uint32_t> read(at<bar0, "SUM"> r, std::size_t index, auto& next) noexcept {
        const auto own = next.read(r, index);
        if (!own) return own;
        return *own + sums[index] + tails[bounded(cursor % 5, 5)] + next.held(at<bar0, "LAST">{}, cursor);
    }
    result<void> write(at<bar0, "SUM"> r, std::size_t index, std::uint32_t value, auto& next) noexcept {
        sums[index] += value;
        next.assign(at<bar0, "LAST">{}, index, value);
        cursor = value;
        return next.write(r, index, sums[index]);
    }
    result<void> written(at<bar0, "QUEUE.TAIL">, std::size_t queue, lanes<std::uint32_t> tail, auto& next) noexcept {
        tails[queue] = tail.value;
        next.assign(at<bar0, "QUEUE.HEAD">{}, queue, tail.value);
        return next.write(at<bar0, "LAST">{}, cursor, tail.value);
    }

private:
    std::uint32_t sums[7]{};
    std::uint32_t tails[5]{};
    std::uint32_t cursor = 0; ///< may be none of an element's
};
static_assert(valid<elements>);

/// Registers of which some bits are the device's and some are shadows, in several kinds.
struct many_fields {
    static constexpr auto info = provider{"many_fields", {pci_id{0x1234, 0x0007}}, {.author = "Acme"}};

    static constexpr auto mixed = fields{field{"A", 0, 4, rw, {.backing = from::shadow}}, field{"B", 4, 4},
                                         field{"C", 8, 8, w1c, {.backing = from::shadow}}, field{"D", 16, 4, ro},
                                         field{"E", 20, 4, w1, {.backing = from::shadow}}, reserved{24, 8}};
    static constexpr auto bar0 = region_map{bar{0}, 64_KiB,
        reg{"CTRL", 0x00, mixed}, reg{"SETUP", 0x04, mixed}, reg{"MASK", 0x08, mixed},
        reg{"STATE", 0x10, fields{field{"DONE", 0, 16, rc, {.backing = from::shadow}}, field{"BUSY", 16, 16, ro}}},
        reg{"BASE", 0x18, rw, {.backing = from::shadow, .bits = 64}},
        block{"DMA", 0x80, 0x20, {.backing = from::shadow}},
        repeat{"PORT", 4, 0x20, reg{"MODE", 0x100, mixed}, reg{"BELL", 0x104, rw, {.hook = on::write}}}};
    static constexpr auto regions = mediant::regions<bar0>{};

    result<void> write(at<bar0, "PORT.BELL"> r, std::size_t port, std::uint32_t value, auto& next) noexcept {
        const auto mode = next.read(at<bar0, "PORT.MODE">{}, port);
        if (!mode) return mode.error();
        return next.write(r, port, value & *mode);
    }
};
static_assert(valid<many_fields>);

/// "R0000R0001…": names that live as long as the program.
inline constexpr auto names = [] {
    std::array<char, std::size_t{5} * 4096> out{};
    for (std::size_t i = 0; i < out.size() / 5; ++i) {
        out[5 * i] = 'R';
        for (std::size_t digit = 4, rest = i; digit > 0; --digit, rest /= 10)
            out[5 * i + digit] = static_cast<char>('0' + rest % 10);
    }
    return out;
}();

/// Registers side by side: shadows, ones that are cleared by ones, constants and the device's own, in turn; the first
/// ones are shadows that a hook writes.
template <std::size_t N, std::size_t Hooks = 0>
[[nodiscard]] consteval std::array<entry, N> many() {
    std::array<entry, N> out{};
    for (std::size_t i = 0; i < N; ++i) {
        entry& e = out[i];
        e.name = std::string_view{names.data() + 5 * i, 5};
        e.offset = 4 * i;
        e.size = 4;
        e.backing = i % 4 == 3 ? from::device : i % 4 == 2 ? from::constant : from::shadow;
        e.kind = i % 4 == 1 ? w1c : i % 4 == 0 ? rw : ro;
        if (i % 4 == 2) e.value = i;
        if (i >= Hooks) continue;
        e.kind = rw;
        e.backing = from::shadow;
        e.hook = on::write;
        e.value = 0;
    }
    return out;
}

struct many_256 {
    static constexpr auto info = provider{"many_256", {pci_id{0x1234, 0x0002}}, {.author = "Acme"}};
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, many<256>()};
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<many_256>);

struct many_4096 {
    static constexpr auto info = provider{"many_4096", {pci_id{0x1234, 0x0003}}, {.author = "Acme"}};
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, many<4096>()};
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<many_4096>);

/// As many_256, but that each of 32 registers has a hook of its own.
struct many_hooks {
    static constexpr auto info = provider{"many_hooks", {pci_id{0x1234, 0x0004}}, {.author = "Acme"}};
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, many<256, 32>()};
    static constexpr auto regions = mediant::regions<bar0>{};

    template <class Register>
        requires(Register::index < 32)
    result<void> write(Register r, std::uint32_t value, auto& next) noexcept {
        count += value;
        return next.write(r, value + static_cast<std::uint32_t>(Register::index));
    }

private:
    std::uint32_t count = 0;
};
static_assert(valid<many_hooks>);

} // namespace bpf_test
