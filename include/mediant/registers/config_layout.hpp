// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/registers/config_map.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

/// What follows from a config map alone, at compile time.
namespace mediant::detail {

/// Entries of one shape.
template <const auto& Map>
[[nodiscard]] consteval std::size_t count_shape(config_entry::shape what) {
    std::size_t n = 0;
    for (const config_entry& e : Map.entries) n += e.what == what ? 1u : 0u;
    return n;
}

/// Whether a map hides or adds capabilities of a list, so that its pointers are overlaid.
template <const auto& Map>
[[nodiscard]] consteval bool edits_list(anchor::to which) {
    for (const config_entry& e : Map.entries) {
        const bool edits = e.what == config_entry::shape::hide || e.what == config_entry::shape::add;
        if (edits && e.in.where == which) return true;
    }
    return false;
}

/// Whether a map hides a capability of the first 256 bytes.
template <const auto& Map>
[[nodiscard]] consteval bool hides_capability_of(cap which) {
    for (const config_entry& e : Map.entries)
        if (e.what == config_entry::shape::hide && e.in == anchor{which}) return true;
    return false;
}

/// Whether anything of a map must be looked for in a list, or may collide with what is in it.
template <const auto& Map>
[[nodiscard]] consteval bool looks_at_list(anchor::to which) {
    const std::uint32_t begin = which == anchor::to::capability ? config_offset::header_end : conventional_config_bytes;
    const std::uint32_t end = which == anchor::to::capability ? conventional_config_bytes : extended_config_bytes;
    for (const config_entry& e : Map.entries) {
        if (e.what == config_entry::shape::nothing || e.what == config_entry::shape::bar) continue;
        if (e.in.where == which) return true;
        if (e.is_fixed() && e.offset < end && std::uint32_t{e.offset} + e.size > begin) return true;
    }
    return false;
}

/// Where an entry's shadow lies in the map's storage; for the entry after the last one: how large the storage is.
template <const auto& Map>
inline constexpr auto config_shadow_places = [] {
    std::array<std::uint16_t, Map.entries.size() + 1> out{};
    std::size_t at = 0;
    for (std::size_t i = 0; i < Map.entries.size(); ++i) {
        const config_entry& e = Map.entries.data()[i];
        out.data()[i] = static_cast<std::uint16_t>(at);
        if (e.what == config_entry::shape::shadow || (e.what == config_entry::shape::add && e.in_shadow)) at += e.size;
    }
    out.data()[Map.entries.size()] = static_cast<std::uint16_t>(at);
    return out;
}();
template <const auto& Map>
inline constexpr std::size_t config_shadow_bytes = config_shadow_places<Map>[Map.entries.size()];

/// The statements about BARs, in order.
template <const auto& Map>
inline constexpr auto bar_statements = [] {
    std::array<bar_statement, count_shape<Map>(config_entry::shape::bar)> out{};
    std::size_t n = 0;
    for (const config_entry& e : Map.entries)
        if (e.what == config_entry::shape::bar) out.data()[n++] = e.bar;
    return out;
}();

/// The place of a region among them, or how many there are.
template <const auto& Map>
[[nodiscard]] constexpr std::size_t bar_place(region_index region) noexcept {
    constexpr const auto& all = bar_statements<Map>;
    for (std::size_t i = 0; i < all.size(); ++i)
        if (static_cast<std::uint32_t>(region) == all.data()[i].number) return i;
    return all.size();
}

/// How far a region may be mapped by what the map alone says, before the device is known.
template <const auto& Map>
[[nodiscard]] constexpr std::uint64_t stated_reach(region_index region) noexcept {
    const std::size_t place = bar_place<Map>(region);
    if (place == bar_statements<Map>.size()) return ~std::uint64_t{0};
    const bar_statement& bar = bar_statements<Map>.data()[place];
    switch (bar.what) {
    case bar_statement::kind::resized: return bar.size;
    case bar_statement::kind::half: return ~std::uint64_t{0};
    default: return 0;
    }
}

/// Where a BAR's register is; number 6 is the expansion ROM's.
[[nodiscard]] constexpr std::uint16_t bar_register(std::uint32_t number) noexcept {
    return static_cast<std::uint16_t>(number == 6 ? config_offset::rom : config_offset::first_bar + 4 * number);
}

} // namespace mediant::detail
