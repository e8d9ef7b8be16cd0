// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/registers/trap_table.hpp>

#include <cstddef>
#include <cstdint>

/// Compile-time checks of a region map. A static_assert's message is a literal, so the names of the registers at
/// fault are template arguments of the check, which every compiler prints beside the message.
namespace mediant::detail {

/// The name of an entry, as a template argument.
template <const auto& Map, std::size_t Index>
inline constexpr auto name_text = text<Map.entries[Index].name.size()>{Map.entries[Index].name};

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

/// The first entry that a predicate finds at fault, or npos.
template <const auto& Map, class Predicate>
[[nodiscard]] consteval std::size_t first_bad(Predicate bad) {
    for (std::size_t i = 0; i < Map.entries.size(); ++i)
        if (bad(Map.entries[i])) return i;
    return Map.npos;
}

/// Instantiates the check with the name of the entry at fault, if there is one.
template <template <bool, text> class Check, const auto& Map, std::size_t Bad>
[[nodiscard]] consteval bool report() {
    if constexpr (Bad != Map.npos) static_cast<void>(Check<false, name_text<Map, Bad>>{});
    return Bad == Map.npos;
}

struct entry_pair {
    std::size_t first;
    std::size_t second;
};

/// Two entries that overlap, or {npos, npos}.
template <const auto& Map>
[[nodiscard]] consteval entry_pair find_overlap() {
    constexpr const auto& order = entries_by_offset<Map>;
    for (std::size_t i = 1; i < order.size(); ++i)
        if (Map.entries[order[i]].offset - Map.entries[order[i - 1]].offset < Map.entries[order[i - 1]].size)
            return {order[i - 1], order[i]};
    return {Map.npos, Map.npos};
}

template <const auto& Map>
[[nodiscard]] consteval std::size_t find_repeated_name() {
    constexpr const auto& order = entries_by_name<Map>;
    for (std::size_t i = 1; i < order.size(); ++i)
        if (Map.entries[order[i - 1]].name == Map.entries[order[i]].name) return order[i];
    return Map.npos;
}

/// Checks a map; a map that is not sound does not compile.
template <const auto& Map>
[[nodiscard]] consteval bool check_map() {
    using shape = entry::shape;
    static_assert(Map.entries.size() < 0xffff, "mediant: a map holds at most 65,534 entries");
    static_assert(Map.size != 0 && Map.size <= (std::uint64_t{1} << 52), "mediant: a region has 1 byte to 4 PiB");
    static_assert(static_cast<std::uint32_t>(Map.region) <= static_cast<std::uint32_t>(region_index::bar5),
                  "mediant: only BARs have region maps");
    static_assert((Map.size & (Map.size - 1)) == 0, "mediant: the size of a BAR is a power of two");

    bool ok = report<check_width, Map, first_bad<Map>([](const entry& e) {
        return e.what == shape::reg && e.size != 1 && e.size != 2 && e.size != 4 && e.size != 8;
    })>();
    ok &= report<check_not_empty, Map, first_bad<Map>([](const entry& e) {
        return e.what != shape::reg && e.size == 0;
    })>();
    ok &= report<check_inside_region, Map, first_bad<Map>([](const entry& e) {
        return !fits(e.offset, e.size, Map.size);
    })>();
    ok &= report<check_alignment, Map, first_bad<Map>([](const entry& e) {
        return e.what == shape::reg && e.size != 0 && e.offset % e.size != 0;
    })>();
    ok &= report<check_value_fits, Map, first_bad<Map>([](const entry& e) {
        return e.what == shape::reg && e.size < 8 && e.value >> (8 * e.size) != 0;
    })>();
    ok &= report<check_read_hook_kind, Map, first_bad<Map>([](const entry& e) {
        return has(e.hook, on::read) && e.kind == kind::wo;
    })>();
    ok &= report<check_write_hook_kind, Map, first_bad<Map>([](const entry& e) {
        return has(e.hook, on::write) && e.kind == kind::ro;
    })>();
    ok &= report<check_unique_name, Map, find_repeated_name<Map>()>();
    constexpr entry_pair overlap = find_overlap<Map>();
    if constexpr (overlap.first != Map.npos) {
        static_cast<void>(check_overlap<false, name_text<Map, overlap.first>, name_text<Map, overlap.second>>{});
        ok = false;
    }
    return ok;
}

} // namespace mediant::detail
