// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/little_endian.hpp>
#include <mediant/registers/kinds.hpp>
#include <mediant/registers/map.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

/// Registers with fields, as masks: which bits the device has, which are shadowed, which never change.
namespace mediant::detail {

struct field_plan {
    std::uint64_t constants = 0;    ///< what reads as a value that never changes, in place
    std::uint64_t read_device = 0;  ///< bits that a read takes from the device
    std::uint64_t read_shadow = 0;  ///< bits that a read takes from the shadow
    std::uint64_t shadows = 0;      ///< bits that have a shadow
    std::uint64_t write_device = 0; ///< bits that a write gives the device
    std::uint64_t preserved = 0;    ///< bits that a write of the device leaves as they are there
    std::uint64_t ones = 0;         ///< bits that a write of the device sets

    // Of shadows: bits that are 1 afterwards, by what they were and what was written; by what they were when read.
    std::uint64_t zero_by_zero = 0, zero_by_one = 0, one_by_zero = 0, one_by_one = 0;
    std::uint64_t zero_read = 0, one_read = 0;
    std::uint64_t once = 0; ///< bits that a write changes once

    /// A shadow after a write, and after a read. No step for each field: a verifier would follow each in every kind.
    [[nodiscard]] constexpr std::uint64_t after_write(std::uint64_t old, std::uint64_t value) const noexcept {
        return (~old & ((~value & zero_by_zero) | (value & zero_by_one))) |
               (old & ((~value & one_by_zero) | (value & one_by_one)));
    }
    [[nodiscard]] constexpr std::uint64_t after_read(std::uint64_t old) const noexcept {
        return (~old & zero_read) | (old & one_read);
    }
};

/// The plan of an entry with fields.
template <const auto& Map>
[[nodiscard]] constexpr field_plan plan_of(const entry& e) noexcept {
    field_plan out;
    for (std::size_t i = 0; i < e.field_count; ++i) {
        const field& f = Map.fields[e.first_field + i];
        const std::uint64_t mask = f.mask();
        const bool zero = reads_as_zero(f.kind);
        if (f.backing == from::constant && !zero) out.constants |= (f.value << f.low) & mask;
        if (f.backing == from::device && !zero) out.read_device |= mask;
        if (f.backing == from::shadow) {
            constexpr std::uint64_t zeros = 0;
            const write_effect how = effect_of_write(f.kind);
            out.shadows |= mask;
            out.zero_by_zero |= after_write(how, zeros, zeros) & mask;
            out.zero_by_one |= after_write(how, zeros, ~zeros) & mask;
            out.one_by_zero |= after_write(how, ~zeros, zeros) & mask;
            out.one_by_one |= after_write(how, ~zeros, ~zeros) & mask;
            out.zero_read |= after_read(effect_of_read(f.kind), zeros) & mask;
            out.one_read |= after_read(effect_of_read(f.kind), ~zeros) & mask;
            if (how == write_effect::first_replaces) out.once |= mask;
        }
        if (f.backing == from::shadow && !zero) out.read_shadow |= mask;
        if (f.backing == from::device && effect_of_write(f.kind) != write_effect::none)
            out.write_device |= mask;
        else if (f.device == toward::preserve)
            out.preserved |= mask;
        else if (f.device == toward::ones)
            out.ones |= mask;
    }
    return out;
}

template <const auto& Map>
[[nodiscard]] constexpr std::size_t field_plan_count() noexcept {
    std::size_t n = 0;
    for (const entry& e : Map.entries) n += e.field_count != 0 ? 1u : 0u;
    return n;
}

/// The plans, in the order of the entries that have fields.
template <const auto& Map>
inline constexpr auto field_plans = [] {
    std::array<field_plan, field_plan_count<Map>() == 0 ? 1 : field_plan_count<Map>()> out{};
    std::size_t n = 0;
    for (const entry& e : Map.entries)
        if (e.field_count != 0) out[n++] = plan_of<Map>(e);
    return out;
}();
template <const auto& Map>
inline constexpr auto field_plan_places = [] {
    std::array<std::uint16_t, Map.entries.size() == 0 ? 1 : Map.entries.size()> out{};
    std::uint16_t n = 0;
    for (std::size_t i = 0; i < Map.entries.size(); ++i) {
        out.data()[i] = n;
        if (Map.entries.data()[i].field_count != 0) ++n;
    }
    return out;
}();
template <const auto& Map>
[[nodiscard]] constexpr std::size_t field_plan_place(std::size_t index) noexcept {
    return field_plan_places<Map>.data()[index];
}

/// How a partial write is filled up for a hook that takes the whole register.
struct write_filling {
    std::uint64_t ones = 0;    ///< bits in which ones change nothing
    std::uint64_t held = 0;    ///< bits that must be as the register has them
    std::uint64_t unknown = 0; ///< bits that nothing is known of: such a write is refused
};

template <const auto& Map>
[[nodiscard]] constexpr write_filling filling_of(const entry& e) noexcept {
    write_filling out;
    bool read_has_effect = false; // of the register as a whole, which is what would be read
    const auto add = [&](kind how, from backing, std::uint64_t mask) {
        if (backing == from::device && !reads_as_zero(how) && e.read_has_effect) read_has_effect = true;
        if (backing != from::constant && effect_of_read(how) != read_effect::none) read_has_effect = true;
        switch (neutral_bits(effect_of_write(how))) {
        case neutral::zeros: return;
        case neutral::ones: out.ones |= mask; return;
        case neutral::held: (reads_as_zero(how) ? out.unknown : out.held) |= mask; return;
        case neutral::none: out.unknown |= mask; return;
        }
    };
    if (e.field_count == 0) add(e.kind, e.backing, low_bytes(e.size >= 8 ? 8 : static_cast<std::size_t>(e.size)));
    for (std::size_t i = 0; i < e.field_count; ++i) {
        const field& f = Map.fields[e.first_field + i];
        add(f.kind, f.backing, f.mask());
    }
    if (read_has_effect) {
        out.unknown |= out.held;
        out.held = 0;
    }
    return out;
}

} // namespace mediant::detail
