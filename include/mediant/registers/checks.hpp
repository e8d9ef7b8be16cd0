// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/little_endian.hpp>
#include <mediant/registers/field_plan.hpp>
#include <mediant/registers/order.hpp>
#include <mediant/registers/trap_table.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

/// Compile-time checks of a region map. A static_assert's message is a literal, so the names of the registers at
/// fault are template arguments of the check, which every compiler prints beside the message.
namespace mediant::detail {

/// The name of an entry, as a template argument.
template <const auto& Map, std::size_t Index>
inline constexpr auto name_text = [] {
    text<Map.entries[Index].name_size()> out;
    for (std::size_t i = 0; i < Map.entries[Index].name_size(); ++i) out.data[i] = Map.entries[Index].name_at(i);
    out.data[Map.entries[Index].name_size()] = '\0'; // written out, as in text
    return out;
}();

template <bool Ok, text First, text Second>
struct check_overlap {
    static_assert(Ok, "mediant: two registers overlap; their names are the arguments of check_overlap");
};
template <bool Ok, text Name>
struct check_unique_name {
    static_assert(Ok, "mediant: two registers have the same name, the argument of check_unique_name");
};
template <bool Ok, text Name>
struct check_inside_region {
    static_assert(Ok, "mediant: a register reaches past the end of its region; its name is the argument of "
                      "check_inside_region");
};
template <bool Ok, text Name>
struct check_alignment {
    static_assert(Ok, "mediant: a register is not aligned to its width; its name is the argument of check_alignment");
};
template <bool Ok, text Name>
struct check_width {
    static_assert(Ok, "mediant: a register has 8, 16, 32 or 64 bits; the name of the one that has not is the argument "
                      "of check_width");
};
template <bool Ok, text Name>
struct check_stated_widths {
    static_assert(Ok, "mediant: all widths that a register states are wider than the register, so that it could not be "
                      "accessed; its name is the argument of check_stated_widths");
};
template <bool Ok, text Name>
struct check_value_fits {
    static_assert(Ok, "mediant: a register's value does not fit its width; its name is the argument of "
                      "check_value_fits");
};
template <bool Ok, text Name>
struct check_not_empty {
    static_assert(Ok, "mediant: a block or window has no bytes; its name is the argument of check_not_empty");
};
template <bool Ok, text Name>
struct check_read_hook_kind {
    static_assert(Ok, "mediant: a write-only register cannot have a read hook; its name is the argument of "
                      "check_read_hook_kind");
};
template <bool Ok, text Name>
struct check_write_hook_kind {
    static_assert(Ok, "mediant: a read-only register cannot have a write hook; its name is the argument of "
                      "check_write_hook_kind");
};
template <bool Ok, text Name>
struct check_elements {
    static_assert(Ok, "mediant: an array has 1 to 65,535 elements, and its stride is a multiple of the register's "
                      "width; its name is the argument of check_elements");
};
template <bool Ok, text Name>
struct check_nesting {
    static_assert(Ok, "mediant: a register file holds single registers, blocks and windows: no arrays, register files, "
                      "aliases or dynamic ranges; the name of what it cannot hold is the argument of check_nesting");
};
template <bool Ok, text Name>
struct check_hooks_of_registers {
    static_assert(Ok, "mediant: only a register has hooks, not a block, window or alias; the name of what cannot have "
                      "any is the argument of check_hooks_of_registers");
};
template <bool Ok, text Name>
struct check_doorbell {
    static_assert(Ok, "mediant: a doorbell is a register with a write hook that takes its whole width, and a value that "
                      "rings it fits it and is stated for doorbell::matched alone; its name is the argument of "
                      "check_doorbell");
};
template <bool Ok, text Name>
struct check_alias {
    static_assert(Ok, "mediant: an alias stands for one register of the map, no array and no alias; its name is the "
                      "argument of check_alias");
};
template <bool Ok, text Name>
struct check_dynamic {
    static_assert(Ok, "mediant: a dynamic range cannot be mapped: it begins and ends at pages of 4 KiB, and no "
                      "register lies across its edge; its name is the argument of check_dynamic");
};
template <bool Ok, text Name>
struct check_field_inside {
    static_assert(Ok, "mediant: a field reaches past the width of its register, or has no bits; the register's name "
                      "is the argument of check_field_inside");
};
template <bool Ok, text Name>
struct check_field_overlap {
    static_assert(Ok, "mediant: two fields of a register overlap; the register's name is the argument of "
                      "check_field_overlap");
};
template <bool Ok, text Name>
struct check_field_value {
    static_assert(Ok, "mediant: a field's value does not fit its bits; the register's name is the argument of "
                      "check_field_value");
};
template <bool Ok, text Name>
struct check_field_name {
    static_assert(Ok, "mediant: two fields of a register have the same name; the register's name is the argument of "
                      "check_field_name");
};
template <bool Ok, text Name>
struct check_reserved {
    static_assert(Ok, "mediant: bits of a register are left undecided: name them as fields, or as reserved; the "
                      "register's name is the argument of check_reserved");
};
template <bool Ok, text Name>
struct check_field_facts {
    static_assert(Ok, "mediant: a register with fields takes its backing and value from them; the name of one that "
                      "states its own is the argument of check_field_facts");
};
template <bool Ok, text Name>
struct check_preserve {
    static_assert(Ok, "mediant: to preserve bits, the device's register would be read before it is written, but "
                      "reading it has effects: state toward::zeros or toward::ones; the register's name is the "
                      "argument of check_preserve");
};

/// The first entry that a predicate finds at fault, or npos.
template <const auto& Map, class Predicate>
[[nodiscard]] constexpr std::size_t first_bad(Predicate bad) {
    const entry* const all = Map.entries.data();
    for (std::size_t i = 0; i < Map.entries.size(); ++i)
        if (bad(all[i])) return i;
    return Map.npos;
}

/// Instantiates the check with the name of the entry at fault, if there is one.
template <template <bool, text> class Check, const auto& Map, std::size_t Bad>
[[nodiscard]] consteval bool report() {
    if constexpr (Bad != Map.npos) static_cast<void>(Check<false, name_text<Map, Bad>>{});
    return Bad == Map.npos;
}

/// Whether nothing of a register can be read: by its kind, or by those of all fields that it has.
template <const auto& Map>
[[nodiscard]] constexpr bool is_write_only(const entry& e) noexcept {
    bool named = false;
    for (std::size_t i = 0; i < e.field_count; ++i) {
        const field& f = Map.fields[e.first_field + i];
        if (f.name.empty()) continue; // reserved
        if (!reads_as_zero(f.kind)) return false;
        named = true;
    }
    return e.field_count == 0 ? reads_as_zero(e.kind) : named;
}
/// Whether nothing of a register can be written. (Reserved bits cannot.)
template <const auto& Map>
[[nodiscard]] constexpr bool is_read_only(const entry& e) noexcept {
    for (std::size_t i = 0; i < e.field_count; ++i)
        if (effect_of_write(Map.fields[e.first_field + i].kind) != write_effect::none) return false;
    return e.field_count != 0 || effect_of_write(e.kind) == write_effect::none;
}

struct entry_pair {
    std::size_t first;
    std::size_t second;
};

/// Elements of an entry that are looked at; none of what check_elements refuses.
[[nodiscard]] constexpr std::uint32_t elements_in(const entry& e) { return e.count > 0xffff ? 0 : e.count; }

/// Bytes of an element of an entry: those of the register that an alias stands for.
template <const auto& Map>
[[nodiscard]] constexpr std::uint64_t element_size(const entry& e) {
    const std::size_t target = target_of<Map>(e);
    return target == Map.npos ? e.size : Map.entries.data()[target].size;
}

/// Two entries that overlap, or {npos, npos}. Dynamic ranges overlap only each other: registers lie in them. Sorted
/// first, so that a large map is checked in no more than n log n steps of the compiler's, and n if it is in order.
template <const auto& Map>
[[nodiscard]] consteval entry_pair find_overlap(bool dynamic) {
    struct stretch {
        std::uint64_t offset = 0;
        std::uint64_t end = 0;
        std::size_t index = 0;
    };
    constexpr std::size_t most = [] {
        std::size_t n = 0;
        for (const entry& e : Map.entries) n += elements_in(e);
        return n;
    }();
    std::array<stretch, most> stretches{};
    stretch* const all = stretches.data();
    std::size_t count = 0;
    for (std::size_t i = 0; i < Map.entries.size(); ++i) {
        const entry& e = Map.entries.data()[i];
        if ((e.what == entry::shape::dynamic) != dynamic) continue;
        const std::uint64_t size = element_size<Map>(e);
        for (std::uint32_t element = 0; element < elements_in(e); ++element) {
            const std::uint64_t at = e.offset + element * e.stride;
            all[count++] = {at, at + size, i};
        }
    }
    for (std::size_t i = count; i < most; ++i) all[i].offset = all[i].end = ~std::uint64_t{0};
    const auto order = ordered<most>([all](std::size_t a, std::size_t b) { return all[a].offset < all[b].offset; });
    for (std::size_t i = 1; i < count; ++i) {
        const stretch& before = all[order.data()[i - 1]];
        const stretch& after = all[order.data()[i]];
        if (after.offset < before.end) return {before.index, after.index};
    }
    return {Map.npos, Map.npos};
}

/// An entry whose name another has, or npos. By hashes, since comparing sorted names costs the compiler most.
template <const auto& Map>
[[nodiscard]] consteval std::size_t find_repeated_name() {
    constexpr std::size_t slots = [] {
        std::size_t n = 1;
        while (n < 2 * Map.entries.size()) n *= 2;
        return n;
    }();
    std::array<std::uint32_t, slots> place{}; // 1 + index
    const entry* const all = Map.entries.data();
    for (std::size_t i = 0; i < Map.entries.size(); ++i) {
        const std::size_t size = all[i].name_size();
        std::uint64_t hash = 0xcbf29ce484222325;
        for (std::size_t c = 0; c < size; ++c) hash = (hash ^ static_cast<unsigned char>(all[i].name_at(c))) * 0x100000001b3;
        std::size_t at = (hash ^ hash >> 32) & (slots - 1);
        for (; place.data()[at] != 0; at = (at + 1) & (slots - 1)) {
            const entry& other = all[place.data()[at] - 1];
            bool same = other.name_size() == size;
            for (std::size_t c = 0; same && c < size; ++c) same = other.name_at(c) == all[i].name_at(c);
            if (same) return i;
        }
        place.data()[at] = static_cast<std::uint32_t>(i + 1);
    }
    return Map.npos;
}

/// The first register of which a predicate over (entry, field) finds a field at fault, or npos.
template <const auto& Map, class Predicate>
[[nodiscard]] constexpr std::size_t first_bad_field(Predicate bad) {
    return first_bad<Map>([bad](const entry& e) {
        for (std::size_t i = 0; i < e.field_count; ++i)
            if (bad(e, Map.fields[e.first_field + i], i)) return true;
        return false;
    });
}

/// Checks the fields of a map's registers.
template <const auto& Map>
[[nodiscard]] consteval bool check_fields() {
    bool ok = report<check_field_inside, Map, first_bad_field<Map>([](const entry& e, const field& f, std::size_t) {
        return f.bits == 0 || f.bits > 64 || f.low >= 64 || f.low + f.bits > 8 * e.size;
    })>();
    ok &= report<check_field_overlap, Map, first_bad_field<Map>([](const entry& e, const field& f, std::size_t at) {
        for (std::size_t i = 0; i < at; ++i)
            if ((Map.fields[e.first_field + i].mask() & f.mask()) != 0) return true;
        return false;
    })>();
    ok &= report<check_field_name, Map, first_bad_field<Map>([](const entry& e, const field& f, std::size_t at) {
        for (std::size_t i = 0; i < at; ++i)
            if (!f.name.empty() && Map.fields[e.first_field + i].name == f.name) return true;
        return false;
    })>();
    ok &= report<check_field_value, Map, first_bad_field<Map>([](const entry&, const field& f, std::size_t) {
        return f.bits < 64 && f.value >> f.bits != 0;
    })>();
    ok &= report<check_reserved, Map, first_bad<Map>([](const entry& e) {
        std::uint64_t named = 0;
        for (std::size_t i = 0; i < e.field_count; ++i) named |= Map.fields[e.first_field + i].mask();
        return e.field_count != 0 && e.size <= 8 && e.size != 0 && named != low_bytes(e.size);
    })>();
    ok &= report<check_field_facts, Map, first_bad<Map>([](const entry& e) {
        return e.field_count != 0 && (e.backing != from::device || e.value != 0);
    })>();
    ok &= report<check_preserve, Map, first_bad<Map>([](const entry& e) {
        const field_plan plan = plan_of<Map>(e);
        bool effects = e.read_has_effect;
        for (std::size_t i = 0; i < e.field_count; ++i) {
            const field& f = Map.fields[e.first_field + i];
            effects = effects || (f.backing == from::device && effect_of_read(f.kind) != read_effect::none);
        }
        return effects && plan.write_device != 0 && plan.preserved != 0;
    })>();
    return ok;
}

template <const auto& Map>
[[nodiscard]] consteval std::uint64_t element_count() {
    std::uint64_t count = 0;
    for (const entry& e : Map.entries) count += elements_in(e);
    return count;
}

template <const auto& Map>
[[nodiscard]] consteval std::uint64_t bytes_in_shadows() {
    std::uint64_t bytes = 0;
    for (const entry& e : Map.entries)
        if (has_shadow<Map>(e) && e.size <= Map.size) bytes += e.count * e.size;
    return bytes;
}

/// Checks a map; a map that is not sound does not compile.
template <const auto& Map>
[[nodiscard]] consteval bool check_map() {
    using shape = entry::shape;
    static_assert(Map.entries.size() < 0xffff, "mediant: a map holds at most 65,534 entries");
    static_assert(element_count<Map>() < 0xffff,
                  "mediant: a map holds at most 65,534 registers, blocks and windows, each element of an array counted");
    static_assert(Map.fields.size() < 0xffff, "mediant: a map holds at most 65,534 fields");
    static_assert(Map.size != 0 && Map.size <= (std::uint64_t{1} << 52), "mediant: a region has 1 byte to 4 PiB");
    static_assert(static_cast<std::uint32_t>(Map.region) <= static_cast<std::uint32_t>(region_index::bar5),
                  "mediant: only BARs have region maps");
    static_assert(bytes_in_shadows<Map>() <= 1_GiB, "mediant: the shadows of a map take at most 1 GiB");
    static_assert((Map.size & (Map.size - 1)) == 0, "mediant: the size of a BAR is a power of two");
    static_assert(first_bad<Map>([n = 0](const entry& e) mutable {
                      return e.what == shape::dynamic && ++n > 8;
                  }) == Map.npos,
                  "mediant: a map has at most 8 dynamic ranges");

    bool ok = report<check_width, Map, first_bad<Map>([](const entry& e) {
        return e.is_register() && e.size != 1 && e.size != 2 && e.size != 4 && e.size != 8;
    })>();
    ok &= report<check_stated_widths, Map, first_bad<Map>([](const entry& e) {
        // A width's bit is its bytes: those up to the register's own are all below the next.
        return e.is_register() && e.widths != width::any && e.size != 0 && e.size <= 8 &&
               (static_cast<unsigned>(e.widths) & (2 * e.size - 1)) == 0;
    })>();
    ok &= report<check_elements, Map, first_bad<Map>([](const entry& e) {
        if (e.count == 0 || e.count > 0xffff) return true;
        if (e.count == 1 || e.what == shape::alias) return false;
        return e.stride < e.size || (e.is_register() && (e.size == 0 || e.stride % e.size != 0));
    })>();
    ok &= report<check_nesting, Map, first_bad<Map>([](const entry& e) {
        return e.nested || (e.is_array() && (e.what == shape::alias || e.what == shape::dynamic));
    })>();
    ok &= report<check_hooks_of_registers, Map, first_bad<Map>([](const entry& e) {
        return !e.is_register() && e.hook != on::nothing;
    })>();
    ok &= report<check_doorbell, Map, first_bad<Map>([](const entry& e) {
        if (e.doorbell == doorbell::none) return e.rung_by != 0;
        return !has(e.hook, on::write | on::written) ||
               (e.widths != width::any && (static_cast<unsigned>(e.widths) & e.size) == 0) ||
               (e.doorbell == doorbell::matched ? e.size < 8 && e.rung_by >> (8 * e.size) != 0 : e.rung_by != 0);
    })>();
    ok &= report<check_alias, Map, first_bad<Map>([](const entry& e) {
        if (e.what != shape::alias) return false;
        const std::size_t target = Map.index_of(e.target);
        return target == Map.npos || !Map.entries.data()[target].is_register() || Map.entries.data()[target].count != 1;
    })>();
    ok &= report<check_not_empty, Map, first_bad<Map>([](const entry& e) {
        return e.size == 0 && e.what != shape::alias && !e.is_register();
    })>();
    ok &= report<check_inside_region, Map, first_bad<Map>([](const entry& e) {
        const std::uint64_t last = e.count == 0 ? 0 : e.count - 1;
        return last != 0 && e.stride > Map.size / last ? true
                                                       : !fits(e.offset, last * e.stride + element_size<Map>(e), Map.size);
    })>();
    ok &= report<check_alignment, Map, first_bad<Map>([](const entry& e) {
        const std::uint64_t size = element_size<Map>(e);
        // A width that there is not is told of above.
        return (e.is_register() || e.what == shape::alias) && size != 0 && (size & (size - 1)) == 0 && e.offset % size != 0;
    })>();
    ok &= report<check_value_fits, Map, first_bad<Map>([](const entry& e) {
        return e.is_register() && e.size < 8 && e.value >> (8 * e.size) != 0;
    })>();
    ok &= report<check_read_hook_kind, Map, first_bad<Map>([](const entry& e) {
        return has(e.hook, on::read) && is_write_only<Map>(e);
    })>();
    ok &= report<check_write_hook_kind, Map, first_bad<Map>([](const entry& e) {
        return has(e.hook, on::write | on::written) && is_read_only<Map>(e);
    })>();
    ok &= report<check_dynamic, Map, first_bad<Map>([](const entry& e) {
        if (e.what != shape::dynamic) return false;
        if (e.offset % 4096 != 0 || e.size % 4096 != 0) return true;
        return first_bad<Map>([&e](const entry& other) {
                   for (std::uint32_t i = 0; other.what != shape::dynamic && i < elements_in(other); ++i) {
                       const std::uint64_t begin = other.offset + i * other.stride;
                       const std::uint64_t end = begin + element_size<Map>(other);
                       const bool meets = begin < e.where().end() && end > e.offset;
                       if (meets && (begin < e.offset || end > e.where().end())) return true;
                   }
                   return false;
               }) != Map.npos;
    })>();
    ok &= report<check_unique_name, Map, find_repeated_name<Map>()>();
    if (ok) ok = check_fields<Map>();
    constexpr entry_pair overlap = find_overlap<Map>(false);
    if constexpr (overlap.first != Map.npos) {
        static_cast<void>(check_overlap<false, name_text<Map, overlap.first>, name_text<Map, overlap.second>>{});
        ok = false;
    }
    if constexpr (dynamic_ranges<Map>.size() > 1) {
        constexpr entry_pair dynamic_overlap = find_overlap<Map>(true);
        if constexpr (dynamic_overlap.first != Map.npos) {
            static_cast<void>(
                check_overlap<false, name_text<Map, dynamic_overlap.first>, name_text<Map, dynamic_overlap.second>>{});
            ok = false;
        }
    }
    return ok;
}

} // namespace mediant::detail
