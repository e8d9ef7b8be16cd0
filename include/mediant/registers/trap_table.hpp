// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/verified.hpp>
#include <mediant/registers/map.hpp>
#include <mediant/registers/order.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

/// What a map traps, ready for run time: which entry holds a byte, where the next one begins, and where shadows
/// live. All of it is computed at compile time. A register is found with one load where registers lie close together,
/// and else with two (chunk to table, dword to register), however many there are; the tables take memory only for the
/// chunks that hold registers, so that a sparse map of a 16 GiB region costs kilobytes.
namespace mediant::detail {

/// What an access to an entry comes down to; the first five where nothing special is stated.
enum class treatment : std::uint8_t {
    pass,    ///< to the device
    shadow,  ///< the shadow, under the kind
    value,   ///< the register reads as a value that never changes
    fill,    ///< each byte of the block or window reads as a value that never changes
    ignore,  ///< writes are swallowed
    effect,  ///< the shadow, which what is written acts on
    hook,    ///< a hook, and nothing else to look at
    special, ///< anything else
};
[[nodiscard]] constexpr treatment reading(const entry& e) noexcept {
    if (e.what == entry::shape::hide || reads_as_zero(e.kind) || e.backing == from::constant)
        return e.is_register() ? treatment::value : treatment::fill;
    return e.backing == from::shadow ? treatment::shadow : treatment::pass;
}
[[nodiscard]] constexpr treatment writing(const entry& e) noexcept {
    if (e.what == entry::shape::hide || effect_of_write(e.kind) == write_effect::none || e.backing == from::constant)
        return treatment::ignore;
    return e.backing == from::shadow ? treatment::shadow : treatment::pass;
}

/// What an access needs beyond its treatment, in bits.
struct special {
    static constexpr std::uint8_t read_hook = 1;
    static constexpr std::uint8_t write_hook = 2;
    static constexpr std::uint8_t written_hook = 4;
    static constexpr std::uint8_t odd = 8;     ///< a check of the width, another register, a refusal
    static constexpr std::uint8_t reading = 16; ///< fields, or a shadow that a read changes
    static constexpr std::uint8_t writing = 32; ///< fields, or a shadow that is written once

    static constexpr std::uint8_t any_read = read_hook | odd | reading;
    static constexpr std::uint8_t any_write = write_hook | written_hook | odd | writing;
};
[[nodiscard]] constexpr std::uint8_t special_of(const entry& e) noexcept {
    unsigned out = 0;
    if (has(e.hook, on::read)) out |= special::read_hook;
    if (has(e.hook, on::write)) out |= special::write_hook;
    if (has(e.hook, on::written)) out |= special::written_hook;
    if (e.widths != width::any || e.what == entry::shape::alias || e.what == entry::shape::deny) out |= special::odd;
    if (e.field_count != 0) out |= special::reading | special::writing;
    if (e.backing == from::shadow && effect_of_read(e.kind) != read_effect::none) out |= special::reading;
    if (e.backing == from::shadow && effect_of_write(e.kind) == write_effect::first_replaces) out |= special::writing;
    return static_cast<std::uint8_t>(out);
}

/// What is looked at first, where a hook stands for the access whatever its register is made of. A write of a shadow is
/// one that replaces it.
[[nodiscard]] constexpr treatment reading_first(const entry& e) noexcept {
    const unsigned bits = special_of(e) & special::any_read;
    if ((bits & ~unsigned{special::reading}) == special::read_hook) return treatment::hook;
    return bits != 0 ? treatment::special : reading(e);
}
[[nodiscard]] constexpr treatment writing_first(const entry& e) noexcept {
    const unsigned bits = special_of(e) & special::any_write;
    if ((bits & ~unsigned{special::writing}) == special::write_hook) return treatment::hook;
    if (bits != 0) return treatment::special;
    const bool replaces = effect_of_write(e.kind) == write_effect::replaces;
    return writing(e) == treatment::shadow && !replaces ? treatment::effect : writing(e);
}

/// One trapped stretch: an entry, or one element of an array. Sorted by offset.
struct trapped_entry {
    std::uint64_t offset = 0;
    std::uint64_t end = 0;
    std::uint64_t value = 0;     ///< where reads never change: of the register, or of each byte; where an alias leads to
    std::uint32_t shadow_at = 0; ///< byte offset in the map's shadow storage
    std::uint16_t element = 0;   ///< of an array
    std::uint16_t index = 0;     ///< in the map's entries
    std::uint16_t hook = 0;      ///< in hooked_entries, if it has any
    treatment read = treatment::pass;
    treatment write = treatment::pass;
    treatment read_first = treatment::pass;  ///< special, or as `read`: seen at one look
    treatment write_first = treatment::pass;
    write_effect effect = write_effect::replaces;
    std::uint8_t more = 0; ///< bits of special

    constexpr trapped_entry() = default;
    constexpr trapped_entry(const entry& e, std::size_t the_index, std::uint32_t the_element) noexcept
        : offset{e.where(the_element).offset}, end{e.where(the_element).end()},
          value{e.what == entry::shape::hide ? 0xff : reads_as_zero(e.kind) ? 0 : e.value},
          element{static_cast<std::uint16_t>(the_element)}, index{static_cast<std::uint16_t>(the_index)},
          read{reading(e)}, write{writing(e)},
          read_first{reading_first(e)}, write_first{writing_first(e)}, effect{effect_of_write(e.kind)},
          more{special_of(e)} {}

    [[nodiscard]] constexpr std::uint64_t size() const noexcept { return end - offset; }
};

inline constexpr std::uint64_t chunk_bytes = 256;
inline constexpr std::size_t chunk_dwords = chunk_bytes / 4;

/// The entry that an alias stands for, or npos.
template <const auto& Map>
[[nodiscard]] constexpr std::size_t target_of(const entry& e) noexcept {
    return e.what == entry::shape::alias ? Map.index_of(e.target) : Map.npos;
}

/// Whether accesses to an entry must be seen; what is not trapped may be mapped.
template <const auto& Map>
[[nodiscard]] constexpr bool is_trapped(const entry& e) noexcept {
    if (e.what == entry::shape::dynamic) return false; // trapped by a state of its own
    if (!e.plain()) return true;
    for (std::size_t i = 0; i < e.field_count; ++i) {
        const field& f = Map.fields[e.first_field + i];
        if (f.kind != kind::rw || f.backing != from::device) return true;
    }
    return false;
}

/// Whether an entry keeps something in the provider's state.
template <const auto& Map>
[[nodiscard]] constexpr bool has_shadow(const entry& e) noexcept {
    for (std::size_t i = 0; i < e.field_count; ++i)
        if (Map.fields[e.first_field + i].backing == from::shadow) return true;
    return e.field_count == 0 && e.backing == from::shadow;
}

/// Whether a shadow has a mask of the bits that were written beside it, for kinds that take one write only.
template <const auto& Map>
[[nodiscard]] constexpr bool counts_writes(const entry& e) noexcept {
    for (std::size_t i = 0; i < e.field_count; ++i)
        if (effect_of_write(Map.fields[e.first_field + i].kind) == write_effect::first_replaces) return true;
    return effect_of_write(e.kind) == write_effect::first_replaces;
}

/// What a register's shadow holds at open and after reset.
template <const auto& Map>
[[nodiscard]] constexpr std::uint64_t reset_value(const entry& e) noexcept {
    std::uint64_t value = e.field_count == 0 ? e.value : 0;
    for (std::size_t i = 0; i < e.field_count; ++i) {
        const field& f = Map.fields[e.first_field + i];
        if (f.backing != from::device) value |= f.value << f.low;
    }
    return value;
}

/// The dynamic ranges of a map, in the order in which they are stated; at most 8.
template <const auto& Map>
inline constexpr auto dynamic_ranges = [] {
    constexpr std::size_t count = [] {
        std::size_t n = 0;
        for (const entry& e : Map.entries) n += e.what == entry::shape::dynamic ? 1u : 0u;
        return n;
    }();
    std::array<range, count> out{};
    std::size_t n = 0;
    for (const entry& e : Map.entries)
        if (e.what == entry::shape::dynamic) out[n++] = e.where();
    return out;
}();

/// The trapped stretches sorted by offset, with their shadows laid out.
template <const auto& Map>
inline constexpr auto trapped_entries = [] {
    constexpr std::size_t count = [] {
        std::size_t n = 0;
        for (const entry& e : Map.entries) n += is_trapped<Map>(e) ? e.count : 0u;
        return n;
    }();
    std::array<trapped_entry, count> out{};
    trapped_entry* const all = out.data();
    std::size_t n = 0;
    std::size_t hooked = 0;
    std::uint64_t shadow = 0;
    for (std::size_t i = 0; i < Map.entries.size(); ++i) {
        const entry& e = Map.entries.data()[i];
        if (!is_trapped<Map>(e)) continue;
        const std::size_t hook = hooked;
        if (e.hook != on::nothing) ++hooked;
        const trapped_entry first{e, i, 0}; // once, since compilers bound the steps
        for (std::uint32_t element = 0; element < e.count; ++element) {
            all[n] = first;
            all[n].offset = e.where(element).offset;
            all[n].end = all[n].offset + e.size;
            all[n].element = static_cast<std::uint16_t>(element);
            all[n].hook = static_cast<std::uint16_t>(hook);
            if (const std::size_t target = target_of<Map>(e); target != Map.npos) {
                all[n].end = all[n].offset + Map.entries.data()[target].size;
                all[n].value = Map.entries.data()[target].offset;
            }
            if (has_shadow<Map>(e)) {
                const std::uint64_t align = e.is_register() ? e.size : 8;
                shadow = (shadow + align - 1) / align * align;
                all[n].shadow_at = static_cast<std::uint32_t>(shadow);
                shadow += counts_writes<Map>(e) ? 2 * e.size : e.size;
            }
            ++n;
        }
    }
    const auto order = ordered<count>([all](std::size_t a, std::size_t b) { return all[a].offset < all[b].offset; });
    std::array<trapped_entry, count> sorted{};
    for (std::size_t i = 0; i < count; ++i) sorted.data()[i] = all[order.data()[i]];
    return sorted;
}();

template <const auto& Map>
[[nodiscard]] constexpr bool is_register(const trapped_entry& e) noexcept {
    const entry& stated = Map.entries.data()[e.index];
    return stated.is_register() || (stated.what == entry::shape::alias && e.size() <= 8);
}

/// Bytes of shadow storage that a map needs, a multiple of 8.
template <const auto& Map>
inline constexpr std::size_t shadow_bytes = [] {
    std::uint64_t end = 0;
    for (const trapped_entry& e : trapped_entries<Map>) {
        const entry& stated = Map.entries.data()[e.index];
        const std::uint64_t size = counts_writes<Map>(stated) ? 2 * e.size() : e.size();
        if (has_shadow<Map>(stated) && e.shadow_at + size > end) end = e.shadow_at + size;
    }
    return static_cast<std::size_t>((end + 7) / 8 * 8);
}();

/// The blocks and windows alone, as positions in trapped_entries: few, so that they are searched.
template <const auto& Map>
inline constexpr auto trapped_areas = [] {
    constexpr std::size_t count = [] {
        std::size_t n = 0;
        for (const trapped_entry& e : trapped_entries<Map>) n += is_register<Map>(e) ? 0u : 1u;
        return n;
    }();
    std::array<std::uint16_t, count> out{};
    std::size_t n = 0;
    for (std::size_t i = 0; i < trapped_entries<Map>.size(); ++i)
        if (!is_register<Map>(trapped_entries<Map>[i])) out[n++] = static_cast<std::uint16_t>(i);
    return out;
}();

/// The entries with hooks, as indices of the map's entries.
template <const auto& Map>
inline constexpr auto hooked_entries = [] {
    constexpr std::size_t count = [] {
        std::size_t n = 0;
        for (const entry& e : Map.entries) n += e.hook == on::nothing ? 0u : 1u;
        return n;
    }();
    std::array<std::uint16_t, count> out{};
    std::size_t n = 0;
    for (std::size_t i = 0; i < Map.entries.size(); ++i)
        if (Map.entries.data()[i].hook != on::nothing) out[n++] = static_cast<std::uint16_t>(i);
    return out;
}();

/// How many chunks hold registers. A register is at most 8 bytes and aligned, so it lies in one.
template <const auto& Map>
inline constexpr std::size_t used_chunks = [] {
    std::size_t n = 0;
    std::uint64_t last = ~std::uint64_t{0};
    for (const trapped_entry& e : trapped_entries<Map>) {
        if (!is_register<Map>(e) || e.offset / chunk_bytes == last) continue;
        last = e.offset / chunk_bytes;
        ++n;
    }
    return n;
}();

/// Finds the table of a chunk: open addressing over the chunk numbers, at most half full, under the cheapest of a
/// few hashes that keeps the probes few. Neighbouring chunks, the usual case, are found at once.
template <std::size_t Chunks>
struct chunk_directory {
    static constexpr std::size_t slots = [] {
        std::size_t n = 1;
        while (n < 2 * Chunks && Chunks > 1) n *= 2;
        return n;
    }();
    /// No chunk of a map has this number (check_map bounds a region's size). A look-up from beyond the region can
    /// have it, and is led to a table of its own, which holds nothing.
    static constexpr std::uint64_t empty = ~std::uint64_t{0} << 16 | Chunks;
    static constexpr std::size_t tables = slots == Chunks ? Chunks : Chunks + 1;

    std::array<std::uint64_t, slots> keys{};  ///< chunk number << 16 | table
    std::uint64_t multiplier = 1;
    unsigned shift = 0;
    unsigned probes = 1; ///< most that any look-up needs

    [[nodiscard]] constexpr std::size_t slot(std::uint64_t chunk) const noexcept {
        return static_cast<std::size_t>((chunk * multiplier) >> shift) & (slots - 1);
    }

    constexpr void fill(const std::array<std::uint64_t, Chunks>& chunks) noexcept {
        // Compilers bound the steps: what collides often is given up early, and what is good is good enough.
        if (!fill_below(chunks, 32)) fill_below(chunks, ~0u);
    }

private:
    constexpr bool fill_below(const std::array<std::uint64_t, Chunks>& chunks, unsigned limit) noexcept {
        unsigned best = limit;
        chunk_directory tried{};
        for (const std::uint64_t m : {std::uint64_t{1}, std::uint64_t{0x9e3779b97f4a7c15}, std::uint64_t{0xd1342543de82ef95}}) {
            for (const unsigned s : {0u, 2u, 4u, 8u, 12u, 32u, 44u}) {
                tried.multiplier = m;
                tried.shift = s;
                if (tried.place(chunks, best)) {
                    best = tried.probes;
                    *this = tried;
                }
                if (best <= 1 + Chunks / 256) return true;
            }
        }
        return best < limit;
    }

    /// False, and not completed, where some look-up would need `limit` probes.
    constexpr bool place(const std::array<std::uint64_t, Chunks>& chunks, unsigned limit) noexcept {
        for (std::uint64_t& key : keys) key = empty;
        probes = 1;
        for (std::size_t table = 0; table < Chunks; ++table) {
            unsigned tries = 1;
            std::size_t at = slot(chunks.data()[table]);
            for (; keys.data()[at] != empty; at = (at + 1) & (slots - 1))
                if (++tries >= limit) return false;
            keys.data()[at] = chunks.data()[table] << 16 | table;
            if (tries > probes) probes = tries;
        }
        return probes < limit;
    }
};

template <const auto& Map>
struct register_tables {
    static constexpr std::size_t chunks = used_chunks<Map>;
    chunk_directory<chunks> directory{};
    /// Per dword of each chunk: 1 + the position of the first register that reaches into it, 0 for none.
    std::array<std::array<std::uint16_t, chunk_dwords>, chunk_directory<chunks>::tables> dwords{};
};

/// The dwords from the first register to the last, of which all are in one table where that takes no more than twice
/// the memory of a directory: a register is then found with one load.
template <const auto& Map>
inline constexpr range register_dwords = [] {
    range out;
    for (const trapped_entry& e : trapped_entries<Map>) {
        if (!is_register<Map>(e)) continue;
        if (out.empty()) out.offset = e.offset / 4;
        if ((e.end + 3) / 4 > out.end()) out.size = (e.end + 3) / 4 - out.offset;
    }
    return out;
}();
template <const auto& Map>
inline constexpr bool is_dense = register_dwords<Map>.size * sizeof(std::uint16_t) <= 2 * sizeof(register_tables<Map>);

template <const auto& Map>
inline constexpr auto dense_table = [] {
    std::array<std::uint16_t, is_dense<Map> ? static_cast<std::size_t>(register_dwords<Map>.size) : 0> out{};
    const auto& all = trapped_entries<Map>;
    for (std::size_t i = 0; i < all.size() && is_dense<Map>; ++i) {
        if (!is_register<Map>(all.data()[i])) continue;
        for (std::uint64_t dword = all.data()[i].offset / 4; dword < (all.data()[i].end + 3) / 4; ++dword) {
            auto& place = out.data()[dword - register_dwords<Map>.offset];
            if (place == 0) place = static_cast<std::uint16_t>(i + 1);
        }
    }
    return out;
}();

template <const auto& Map>
inline constexpr auto sparse_tables = [] {
    register_tables<Map> out{};
    constexpr const auto& all = trapped_entries<Map>;
    std::array<std::uint64_t, register_tables<Map>::chunks> numbers{};
    std::size_t used = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (!is_register<Map>(all[i])) continue;
        const std::uint64_t chunk = all[i].offset / chunk_bytes;
        if (used == 0 || numbers[used - 1] != chunk) numbers[used++] = chunk;
        const std::uint64_t in_chunk = all[i].offset % chunk_bytes;
        for (std::uint64_t dword = in_chunk / 4; dword <= (in_chunk + all[i].size() - 1) / 4 && dword < chunk_dwords; ++dword) {
            auto& place = out.dwords[used - 1][static_cast<std::size_t>(dword)];
            if (place == 0) place = static_cast<std::uint16_t>(i + 1);
        }
    }
    out.directory.fill(numbers);
    return out;
}();

/// Bytes of what finds a map's registers.
template <const auto& Map>
[[nodiscard]] consteval std::size_t table_bytes() {
    if constexpr (is_dense<Map>)
        return sizeof(dense_table<Map>);
    else
        return sizeof(sparse_tables<Map>);
}

} // namespace mediant::detail

namespace mediant {

/// Questions to a map at run time. Positions count the trapped entries in the order of their offsets.
template <const auto& Map>
struct trap_table {
    using entry_type = detail::trapped_entry;
    static constexpr const auto& entries = detail::trapped_entries<Map>;
    static constexpr std::size_t none = ~std::size_t{0};

    /// Whether every trapped entry begins and ends at a dword, so that an access within one dword is of one kind.
    static constexpr bool whole_dwords = [] {
        for (const entry_type& e : entries)
            if (e.offset % 4 != 0 || e.end % 4 != 0) return false;
        return true;
    }();

    /// The trapped entry that holds the byte at `offset`, or null.
    [[nodiscard]] [[gnu::always_inline]] static constexpr const entry_type* entry_at(std::uint64_t offset) noexcept {
        if constexpr (detail::used_chunks<Map> != 0)
            if (const entry_type* const found = register_at(offset)) return found;
        for (const std::uint16_t area : detail::trapped_areas<Map>)
            if (entries.data()[area].offset <= offset && offset < entries.data()[area].end)
                return entries.data() + area;
        return nullptr;
    }
    /// Its position, or none.
    [[nodiscard]] static constexpr std::size_t find(std::uint64_t offset) noexcept {
        const entry_type* const found = entry_at(offset);
        return found == nullptr ? none : static_cast<std::size_t>(found - entries.data());
    }

    /// The position of the first trapped entry that ends after `offset`, or entries.size().
    [[nodiscard]] static constexpr std::size_t first_after(std::uint64_t offset) noexcept {
        std::size_t low = 0;
        std::size_t high = entries.size();
        while (low < high) {
            const std::size_t middle = low + (high - low) / 2;
            if (entries[middle].end > offset)
                high = middle;
            else
                low = middle + 1;
        }
        return low;
    }

    /// How many of the `count` bytes from `offset` on are not trapped before the first that is.
    [[nodiscard]] static constexpr std::uint64_t untrapped(std::uint64_t offset, std::uint64_t count) noexcept {
        const std::size_t next = first_after(offset);
        if (next == entries.size()) return count;
        const std::uint64_t begin = entries[next].offset;
        if (begin <= offset) return 0;
        return begin - offset < count ? begin - offset : count;
    }

    /// How many of the `count` bytes from `offset` on are trapped before the first that is not.
    [[nodiscard]] static constexpr std::uint64_t trapped(std::uint64_t offset, std::uint64_t count) noexcept {
        std::uint64_t end = offset;
        for (std::size_t i = first_after(offset); i < entries.size() && entries[i].offset <= end; ++i) {
            end = entries[i].end;
            if (end - offset >= count) return count;
        }
        return end - offset;
    }

private:
    [[nodiscard]] [[gnu::always_inline]] static constexpr const entry_type* register_at(std::uint64_t offset) noexcept {
        if constexpr (detail::is_dense<Map>) {
            constexpr const auto& dwords = detail::dense_table<Map>;
            const std::uint64_t dword = offset / 4 - detail::register_dwords<Map>.offset;
            return dword < dwords.size() ? within(dwords.data()[dword], offset) : nullptr;
        } else {
            constexpr const auto& tables = detail::sparse_tables<Map>;
            constexpr const auto& directory = tables.directory;
            const std::uint64_t chunk = offset / detail::chunk_bytes;
            std::size_t slot = directory.slot(chunk);
            for (unsigned i = 0; i < directory.probes; ++i, slot = (slot + 1) & (directory.slots - 1)) {
                const std::uint64_t key = directory.keys[slot];
                if (key >> 16 == chunk) {
                    const std::size_t table = bounded(key & 0xffff, tables.dwords.size());
                    return within(tables.dwords[table][(offset % detail::chunk_bytes) / 4], offset);
                }
            }
            return nullptr;
        }
    }

    /// The register that holds a byte of a dword, where `place` is 1 + the position of the first in the dword.
    [[nodiscard]] [[gnu::always_inline]] static constexpr const entry_type* within(std::size_t place,
                                                                                   std::uint64_t offset) noexcept {
        if constexpr (whole_dwords && detail::verified) {
            std::size_t at = place - 1; // of an empty dword, beyond all
            return detail::is_below(at, entries.size()) ? entries.data() + at : nullptr;
        }
        if (place == 0) return nullptr;
        if constexpr (whole_dwords) return entries.data() + (place - 1);
        // Narrow registers, and blocks, share a dword: at most four, in the order of offsets.
        for (unsigned i = 0; i < 4 && place <= entries.size(); ++i, ++place) {
            const entry_type* const e = entries.data() + bounded(place - 1, entries.size());
            if (e->offset > offset) break;
            if (offset < e->end) return e;
        }
        return nullptr;
    }
};

} // namespace mediant
