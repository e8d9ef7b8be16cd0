// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/registers/config_layout.hpp>
#include <mediant/tool/map_records.hpp>
#include <mediant/tool/map_words.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Config maps as records: what lies at an offset that the map alone says becomes an entry of a region, and what
/// depends on the device, its capabilities and BARs, stands beside.
namespace mediant::command_line::detail_of_map {

/// What the user sees of a BAR: "the lower half", "256 MiB".
[[nodiscard]] inline std::string text_of(const bar_statement& stated) {
    using kind = bar_statement::kind;
    switch (stated.what) {
    case kind::resized: return size_text(stated.size);
    case kind::half: return "the lower half";
    case kind::hidden: return "nothing";
    case kind::io: return size_text(stated.size) + " of I/O ports, which the device has not";
    case kind::memory: break;
    }
    return fmt::format("{} of memory, {} bits{}, which the device has not", size_text(stated.size),
                       stated.wide ? 64 : 32, stated.prefetchable ? ", prefetchable" : "");
}

/// Bytes that the user sees of a BAR of this size.
[[nodiscard]] constexpr std::uint64_t visible_of(const bar_statement& stated, std::uint64_t size) noexcept {
    if (stated.what == bar_statement::kind::half) return size / 2;
    return stated.what == bar_statement::kind::hidden ? 0 : stated.size;
}

[[nodiscard]] inline std::string bar_name(const bar_statement& stated) {
    return stated.number == 6 ? std::string{"ROM"} : fmt::format("BAR{}", stated.number);
}

/// A register of the header by its place, as linux/pci_regs.h has it; empty where it has no name.
[[nodiscard]] inline std::string_view header_name(std::uint16_t offset, std::uint16_t size) noexcept {
    struct named {
        std::uint16_t offset, size;
        std::string_view name;
    };
    static constexpr named all[]{
        {config_offset::vendor, 2, "VENDOR_ID"},       {config_offset::device, 2, "DEVICE_ID"},
        {config_offset::revision, 1, "REVISION"},      {config_offset::class_code, 3, "CLASS"},
        {config_offset::subvendor, 2, "SUBVENDOR_ID"}, {config_offset::subdevice, 2, "SUBDEVICE_ID"},
        {config_offset::command, 2, "COMMAND"},        {config_offset::status, 2, "STATUS"}};
    for (const named& each : all)
        if (each.offset == offset && each.size == size) return each.name;
    return {};
}

/// An entry of config space, with nothing stated yet.
[[nodiscard]] inline entry_facts config_place(std::string name, std::uint64_t offset, std::uint64_t size, look what,
                                              kind how, from backing) {
    return {.name = std::move(name),
            .shape = size <= 8 ? entry::shape::reg : entry::shape::block,
            .what = what,
            .trapped = true,
            .kind = how,
            .backing = backing,
            .hook = on::nothing,
            .offset = offset,
            .size = size,
            .count = 1,
            .array = false,
            .stride = size,
            .widths = width::any,
            .otherwise = otherwise::refuse,
            .read_has_effect = false,
            .target = {},
            .reset = 0,
            .reset_bits = 0,
            .fields = {}};
}

/// Gives an entry the bytes that it holds at open.
inline void hold(entry_facts& e, const std::vector<std::uint8_t>& bytes) {
    if (e.size > 8) {
        e.bytes = bytes;
        return;
    }
    for (std::size_t i = 0; i < bytes.size() && i < 8; ++i) {
        e.reset |= std::uint64_t{bytes[i]} << (8 * i);
        e.reset_bits |= std::uint64_t{0xff} << (8 * i);
    }
}

template <const auto& Map>
[[nodiscard]] std::vector<std::uint8_t> stated_bytes(const config_entry& e) {
    std::vector<std::uint8_t> out;
    const bool listed = e.what == config_entry::shape::constant || e.what == config_entry::shape::add;
    for (std::size_t i = 0; i < e.size; ++i)
        out.push_back(listed ? Map.values.data()[e.first_byte + i] : e.value_at(i));
    return out;
}

/// An entry for a statement whose offset the map alone says.
template <const auto& Map>
[[nodiscard]] entry_facts place_of(const config_entry& e) {
    using shape = config_entry::shape;
    std::string name{e.name};
    if (name.empty() && e.what == shape::add)
        name = capability_name(e.in.where == anchor::to::extended_capability, e.in.id);
    if (name.empty()) name = header_name(e.offset, e.size);
    if (name.empty()) name = fmt::format("at {:#x}", e.offset);
    if (e.what == shape::observe) {
        entry_facts out = config_place(name, e.offset, e.size, look::trap, kind::rw, from::device);
        out.hook = on::written;
        return out;
    }
    if (e.what == shape::swallow) {
        entry_facts out = config_place(name, e.offset, e.size, look::trap, kind::ro, from::device);
        out.more.push_back("writes do not reach the device");
        return out;
    }
    const bool kept = e.what == shape::shadow || e.in_shadow;
    entry_facts out = config_place(name, e.offset, e.size, kept ? look::shadow : look::constant,
                                   kept ? kind::rw : kind::ro, kept ? from::shadow : from::constant);
    std::vector<std::uint8_t> bytes = stated_bytes<Map>(e);
    if (e.what == shape::shadow && e.writable != ~std::uint64_t{0}) {
        const std::uint64_t all = e.size >= 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8 * e.size)) - 1;
        if ((e.writable & all) == 0 && e.size <= 8) out.kind = kind::ro;
        if ((e.writable & all) != all) out.more.push_back("of its bits " + hex(e.writable & all) + " can be written");
    }
    if (e.what == shape::add) {
        const std::size_t header = e.in.where == anchor::to::capability ? 2 : 4;
        bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(header));
        out.more.push_back(fmt::format("{}capability {}, added behind the device's own: {}",
                                       header == 4 ? "extended " : "", hex(e.in.id, header == 4 ? 4 : 2),
                                       bytes_text(bytes)));
        return out;
    }
    hold(out, bytes);
    return out;
}

/// What follows for registers of the header: of BARs that are stated otherwise, and of lists that are edited.
template <const auto& Map>
void add_derived(std::vector<entry_facts>& out) {
    using kind_of_bar = bar_statement::kind;
    bool io = false;
    bool memory = false;
    for (const bar_statement& bar : detail::bar_statements<Map>) {
        const bool hidden = bar.what == kind_of_bar::hidden;
        const look what = hidden ? look::constant : bar.synthesised() ? look::shadow : look::trap;
        entry_facts e = config_place(bar_name(bar), detail::bar_register(bar.number), bar.wide ? 8 : 4, what, kind::rw,
                                     hidden ? from::constant : bar.synthesised() ? from::shadow : from::device);
        if (hidden) hold(e, {0, 0, 0, 0});
        if (!bar.synthesised()) e.more.push_back("writes reach the device");
        e.more.push_back("the user sees " + text_of(bar));
        if (bar.number < 6 && !bar.synthesised()) e.more.push_back("with the next register, where it has 64 bits");
        io = io || bar.what == kind_of_bar::io;
        memory = memory || bar.what == kind_of_bar::memory;
        out.push_back(std::move(e));
    }
    if (io || memory) {
        entry_facts e = config_place("COMMAND", config_offset::command, 2, look::trap, kind::rw, from::device);
        if (io) e.more.push_back("bit 0, I/O Space, reads as it was written");
        if (memory) e.more.push_back("bit 1, Memory Space, reads as it was written");
        out.push_back(std::move(e));
    }
    if (detail::edits_list<Map>(anchor::to::capability)) {
        out.push_back(config_place("STATUS", config_offset::status, 2, look::trap, kind::rw, from::device));
        out.back().more.push_back("bit 4 says whether the user sees a capability");
        out.push_back(
            config_place("CAPABILITY_LIST", config_offset::capabilities, 1, look::trap, kind::ro, from::device));
        out.back().more.push_back("the first capability that the user sees");
    }
}

/// One entry for bytes that several statements share: writes of what one answers for can be observed by another.
[[nodiscard]] inline entry_facts shared_place(const std::vector<const entry_facts*>& all, std::uint64_t begin,
                                              std::uint64_t end) {
    const entry_facts* first = all.front();
    for (const entry_facts* each : all)
        if (each->what != look::trap) first = each;
    entry_facts out = *first;
    out.offset = begin;
    out.size = out.stride = end - begin;
    out.shape = out.size <= 8 ? entry::shape::reg : entry::shape::block;
    const auto skipped = static_cast<std::size_t>(begin - first->offset);
    if (first->size <= 8) {
        const std::uint64_t mask = out.size >= 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8 * out.size)) - 1;
        out.reset = first->reset >> (8 * skipped) & mask;
        out.reset_bits = first->reset_bits >> (8 * skipped) & mask;
    } else if (!first->bytes.empty()) {
        out.bytes.clear();
        hold(out, {first->bytes.begin() + static_cast<std::ptrdiff_t>(skipped),
                   first->bytes.begin() + static_cast<std::ptrdiff_t>(skipped + (end - begin))});
    }
    for (const entry_facts* each : all) {
        if (each == first) continue;
        out.hook = out.hook | each->hook;
        if (each->name != out.name) out.name += " + " + each->name;
        out.more.insert(out.more.end(), each->more.begin(), each->more.end());
    }
    return out;
}

/// Statements side by side, so that none hides another in a drawing.
[[nodiscard]] inline std::vector<entry_facts> side_by_side(const std::vector<entry_facts>& stated) {
    std::vector<std::uint64_t> cuts;
    for (const entry_facts& e : stated) cuts.insert(cuts.end(), {e.offset, e.end()});
    std::sort(cuts.begin(), cuts.end());
    cuts.erase(std::unique(cuts.begin(), cuts.end()), cuts.end());
    std::vector<entry_facts> out;
    for (std::size_t i = 0; i + 1 < cuts.size(); ++i) {
        std::vector<const entry_facts*> here;
        for (const entry_facts& e : stated)
            if (e.offset <= cuts[i] && cuts[i] < e.end()) here.push_back(&e);
        if (!here.empty()) out.push_back(shared_place(here, cuts[i], cuts[i + 1]));
    }
    return out;
}

/// A statement of a capability.
template <const auto& Map>
[[nodiscard]] capability_facts capability_of(const config_entry& e) {
    using shape = config_entry::shape;
    using change = capability_facts::change;
    capability_facts out{.extended = e.in.where == anchor::to::extended_capability,
                         .id = e.in.id,
                         .what = e.what == shape::hide  ? change::hidden
                                 : e.what == shape::add ? change::added
                                                        : change::edited,
                         .offset = e.offset,
                         .size = e.size,
                         .is = look::trap,
                         .name = e.name,
                         .bytes = {},
                         .masks = {},
                         .note = {}};
    switch (e.what) {
    case shape::hide:
        out.is = look::hide;
        out.note = "every one of this ID; its bytes read as zeros, writes are swallowed";
        break;
    case shape::add:
        out.is = e.in_shadow ? look::shadow : look::constant;
        out.bytes = stated_bytes<Map>(e);
        out.bytes.erase(out.bytes.begin(), out.bytes.begin() + (out.extended ? 4 : 2));
        out.note = e.in_shadow ? "can be written, but its header" : "writes are swallowed";
        break;
    case shape::constant:
        out.is = look::constant;
        out.bytes = stated_bytes<Map>(e);
        for (std::size_t i = 0; i < e.size; ++i) out.masks.push_back(Map.masks.data()[e.first_byte + i]);
        break;
    case shape::shadow:
        out.is = look::shadow;
        out.bytes = stated_bytes<Map>(e);
        break;
    case shape::swallow: out.note = "writes are swallowed"; break;
    case shape::observe: out.note = "the provider is told of writes"; break;
    case shape::nothing:
    case shape::bar: break;
    }
    return out;
}

/// A config map as a region.
template <const auto& Map>
[[nodiscard]] region_facts config_region_of() {
    region_facts out{.region = region_index::config,
                     .size = conventional_config_bytes,
                     .entries = {},
                     .shadow_bytes = detail::config_shadow_bytes<Map>,
                     .has_dynamic = false,
                     .has_ops = false,
                     .areas = {}};
    std::vector<entry_facts> stated;
    for (const config_entry& e : Map.entries) {
        using shape = config_entry::shape;
        if (e.what == shape::nothing || e.what == shape::bar) continue;
        if (e.in.where != anchor::to::space) out.capabilities.push_back(capability_of<Map>(e));
        if (e.in.where == anchor::to::extended_capability) out.size = extended_config_bytes;
        if (e.is_fixed() && e.size != 0) stated.push_back(place_of<Map>(e));
    }
    add_derived<Map>(stated);
    for (const bar_statement& each : detail::bar_statements<Map>) out.bars.push_back({each, text_of(each)});
    out.entries = side_by_side(stated);
    for (const entry_facts& e : out.entries)
        if (e.end() > conventional_config_bytes) out.size = extended_config_bytes;
    return out;
}

} // namespace mediant::command_line::detail_of_map
