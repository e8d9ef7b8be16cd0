// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/little_endian.hpp>
#include <mediant/core/lower.hpp>
#include <mediant/kernel/provider_facts.hpp>
#include <mediant/provider/layer.hpp>
#include <mediant/provider/valid.hpp>
#include <mediant/registers/areas.hpp>
#include <mediant/registers/config_layout.hpp>
#include <mediant/registers/map.hpp>
#include <mediant/tool/map_config_facts.hpp>
#include <mediant/tool/map_records.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// From a provider's maps to their records. All of it comes from the constexpr maps, through the functions that back
/// ends use; nothing is stated twice.
namespace mediant::command_line {

namespace detail_of_map {

/// A field, or a register without fields, in one word.
[[nodiscard]] constexpr look look_of(from backing, bool trapped) noexcept {
    if (backing == from::shadow) return look::shadow;
    if (backing == from::constant) return look::constant;
    return trapped ? look::trap : look::pass;
}

[[nodiscard]] inline look look_of(const entry_facts& e) {
    switch (e.shape) {
    case entry::shape::hide: return look::hide;
    case entry::shape::deny: return look::deny;
    case entry::shape::dynamic: return look::dynamic;
    case entry::shape::reg:
    case entry::shape::block:
    case entry::shape::alias: break;
    }
    if (e.fields.empty()) return look_of(e.backing, e.trapped);
    const field_facts* first = nullptr;
    for (const field_facts& f : e.fields) {
        if (f.reserved()) continue;
        if (first == nullptr) first = &f;
        if (f.what != first->what) return look::mixed;
    }
    if (first == nullptr) return look::constant;
    return first->what == look::pass && e.trapped ? look::trap : first->what;
}

template <const auto& Map>
[[nodiscard]] entry_facts entry_of(const entry& stated) {
    const std::size_t target = detail::target_of<Map>(stated);
    const entry& e = target == Map.npos ? stated : Map.entries.data()[target];
    entry_facts out{.name = {},
                    .shape = stated.what,
                    .what = look::pass,
                    .trapped = detail::is_trapped<Map>(stated),
                    .kind = e.kind,
                    .backing = e.backing,
                    .hook = e.hook,
                    .offset = stated.offset,
                    .size = e.size,
                    .count = stated.count,
                    .array = stated.is_array(),
                    .stride = stated.stride,
                    .widths = e.widths,
                    .otherwise = e.on_other_width,
                    .read_has_effect = e.read_has_effect,
                    .target = stated.target,
                    .reset = 0,
                    .reset_bits = 0,
                    .fields = {}};
    for (std::size_t i = 0; i < stated.name_size(); ++i) out.name += stated.name_at(i);
    for (std::size_t i = 0; i < e.field_count; ++i) {
        const field& f = Map.fields[e.first_field + i];
        out.fields.push_back(
            {f.name, f.low, f.bits, f.kind, f.backing, f.value, f.device, look_of(f.backing, f.kind != kind::rw)});
        if (f.backing != from::device) out.reset_bits |= f.mask();
    }
    if (e.field_count == 0 && e.backing != from::device)
        out.reset_bits = e.is_register() ? low_bytes(static_cast<std::size_t>(e.size)) : 0xff;
    if (e.doorbell != doorbell::none)
        out.more.push_back(e.doorbell == doorbell::matched ? "a doorbell, rung by one value" : "a doorbell");
    out.reset = detail::reset_value<Map>(e) & out.reset_bits;
    out.what = look_of(out);
    return out;
}

/// All areas, where `next(from)` answers the first at or after an offset.
template <class Next>
[[nodiscard]] std::vector<range> all_areas(const Next& next) {
    std::vector<range> out;
    for (range area = next(0); !area.empty(); area = next(area.end())) out.push_back(area);
    return out;
}

/// What the provider's config map states of a BAR, or nullptr.
template <class P>
[[nodiscard]] const bar_statement* statement_of(region_index region) {
    const bar_statement* out = nullptr;
    detail::any_map(detail::config_maps_of<P>(), [&]<const auto& Map>() {
        const std::size_t place = detail::bar_place<Map>(region);
        if (place < detail::bar_statements<Map>.size()) out = &detail::bar_statements<Map>.data()[place];
        return false;
    });
    return out;
}

template <class P, const auto& Map>
[[nodiscard]] region_facts region_of() {
    using whole = layer<P, bottom<detail::probe_lower>>;
    using through = next_through_map<whole>;
    region_facts out{.region = Map.region,
                     .size = Map.size,
                     .entries = {},
                     .shadow_bytes = detail::shadow_bytes<Map>,
                     .has_dynamic = detail::dynamic_ranges<Map>.size() != 0,
                     .has_ops = detail::has_read<P, through> || detail::has_write<P, through>,
                     .areas = {}};
    for (const entry& e : Map.entries) out.entries.push_back(entry_of<Map>(e));
    std::sort(out.entries.begin(), out.entries.end(), [](const entry_facts& a, const entry_facts& b) {
        // A dynamic range before what lies in it.
        return a.offset != b.offset ? a.offset < b.offset
                                    : a.shape == entry::shape::dynamic && b.shape != entry::shape::dynamic;
    });
    if (const bar_statement* const stated = statement_of<P>(Map.region); stated != nullptr) {
        out.visible = visible_of(*stated, Map.size);
        out.seen_as = text_of(*stated);
    }
    const std::uint64_t seen = std::min(out.visible, Map.size);
    for (entry_facts& e : out.entries)
        if (e.offset >= seen) e.more.push_back("the user does not see it");
    constexpr std::array<std::uint64_t, 3> page_sizes{4_KiB, 16_KiB, 64_KiB};
    for (std::size_t i = 0; i < page_sizes.size(); ++i) {
        area_facts& areas = out.areas[i];
        areas.page_size = page_sizes[i];
        areas.at_open =
            all_areas([&](std::uint64_t from) { return whole::next_area(Map.region, seen, areas.page_size, from); });
        areas.untrapped = areas.at_open;
        if (!out.has_dynamic) continue;
        areas.untrapped = all_areas([&](std::uint64_t from) {
            const auto run = [](std::uint64_t at, std::uint64_t count) { return run_of<Map>(at, count, 0); };
            return untrapped_pages(run, seen, areas.page_size, from);
        });
    }
    return out;
}

} // namespace detail_of_map

/// The maps of a provider.
template <class P>
[[nodiscard]] map_facts map_facts_of() {
    map_facts out{kernel::facts_of<P>(), {}};
    detail::any_map(
        detail::maps_of<P>(), [&out]<const auto & Map>() {
            out.regions.push_back(detail_of_map::region_of<P, Map>());
            return false;
        });
    detail::any_map(detail::config_maps_of<P>(), [&out]<const auto& Map>() {
        out.regions.push_back(detail_of_map::config_region_of<Map>());
        return false;
    });
    std::sort(out.regions.begin(), out.regions.end(),
              [](const region_facts& a, const region_facts& b) { return a.region < b.region; });
    return out;
}

} // namespace mediant::command_line
