// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/registers/map.hpp>
#include <mediant/registers/order.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

/// What a map traps, ready for run time: which entry holds a byte, where the next one begins, and where shadows
/// live. All of it is computed at compile time. A register is found with two loads (chunk to table, dword to
/// register) however many there are, and the tables take memory only for the chunks that hold registers, so that
/// a sparse map of a 16 GiB region costs kilobytes.
namespace mediant::detail {

/// What an access to an entry without hooks comes down to, by its shape, kind and backing.
enum class treatment : std::uint8_t {
    pass,   ///< to the device
    shadow, ///< the shadow, under the kind
    value,  ///< the register reads as a value that never changes
    fill,   ///< each byte of the block or window reads as a value that never changes
    ignore, ///< writes are swallowed
};
[[nodiscard]] constexpr treatment reading(const entry& e) noexcept {
    if (e.what == entry::shape::hide || e.kind == kind::wo || e.backing == from::constant)
        return e.what == entry::shape::reg ? treatment::value : treatment::fill;
    return e.backing == from::shadow ? treatment::shadow : treatment::pass;
}
[[nodiscard]] constexpr treatment writing(const entry& e) noexcept {
    if (e.what == entry::shape::hide || e.kind == kind::ro || e.backing == from::constant) return treatment::ignore;
    return e.backing == from::shadow ? treatment::shadow : treatment::pass;
}

/// One trapped entry, in the order of offsets.
struct trapped_entry {
    std::uint64_t offset = 0;
    std::uint64_t end = 0;
    std::uint64_t value = 0;     ///< where reads never change: of the register, or of each byte
    std::uint32_t shadow_at = 0; ///< byte offset in the map's shadow storage
    std::uint16_t index = 0;     ///< in the map's entries
    std::uint16_t hooked = 0;    ///< how many entries before it have hooks
    treatment read = treatment::pass;
    treatment write = treatment::pass;
    mediant::kind kind = mediant::kind::rw;
    on hook = on::nothing;

    constexpr trapped_entry() = default;
    constexpr trapped_entry(const entry& e, std::size_t the_index) noexcept
        : offset{e.offset}, end{e.where().end()},
          value{e.what == entry::shape::hide ? 0xff : e.kind == kind::wo ? 0 : e.value},
          index{static_cast<std::uint16_t>(the_index)}, read{reading(e)}, write{writing(e)}, kind{e.kind},
          hook{e.hook} {}

    [[nodiscard]] constexpr std::uint64_t size() const noexcept { return end - offset; }
};

inline constexpr std::uint64_t chunk_bytes = 256;
inline constexpr std::size_t chunk_dwords = chunk_bytes / 4;

/// The trapped entries sorted by offset, with their shadows laid out.
template <const auto& Map>
inline constexpr auto trapped_entries = [] {
    constexpr std::size_t count = [] {
        std::size_t n = 0;
        for (const entry& e : Map.entries) n += e.trapped() ? 1u : 0u;
        return n;
    }();
    std::array<trapped_entry, count> out{};
    std::size_t n = 0;
    for (const std::size_t i : entries_by_offset<Map>) {
        const entry& e = Map.entries[i];
        if (e.trapped()) out[n++] = trapped_entry{e, i};
    }
    std::uint64_t at = 0;
    std::uint16_t hooked = 0;
    for (trapped_entry& e : out) {
        e.hooked = hooked;
        if (e.hook != on::nothing) ++hooked;
        if (Map.entries[e.index].backing != from::shadow) continue;
        const std::uint64_t align = Map.entries[e.index].what == entry::shape::reg ? e.size() : 8;
        at = (at + align - 1) / align * align;
        e.shadow_at = static_cast<std::uint32_t>(at);
        at += e.size();
    }
    return out;
}();

template <const auto& Map>
[[nodiscard]] constexpr bool is_register(const trapped_entry& e) noexcept {
    return Map.entries[e.index].what == entry::shape::reg;
}

/// Bytes of shadow storage that a map needs, a multiple of 8.
template <const auto& Map>
inline constexpr std::size_t shadow_bytes = [] {
    std::uint64_t end = 0;
    for (const trapped_entry& e : trapped_entries<Map>)
        if (Map.entries[e.index].backing == from::shadow) end = e.shadow_at + e.size();
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

/// The entries with hooks, as positions in trapped_entries.
template <const auto& Map>
inline constexpr auto hooked_entries = [] {
    constexpr std::size_t count = [] {
        std::size_t n = 0;
        for (const trapped_entry& e : trapped_entries<Map>) n += e.hook == on::nothing ? 0u : 1u;
        return n;
    }();
    std::array<std::uint16_t, count> out{};
    for (std::size_t i = 0; i < trapped_entries<Map>.size(); ++i)
        if (trapped_entries<Map>[i].hook != on::nothing) out[trapped_entries<Map>[i].hooked] = static_cast<std::uint16_t>(i);
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
    /// No chunk of a map has this number (check_map bounds a region's size), and should a look-up from beyond the
    /// region meet it, it leads to a table that exists.
    static constexpr std::uint64_t empty = ~std::uint64_t{0} << 16;

    std::array<std::uint64_t, slots> keys{};  ///< chunk number << 16 | table
    std::uint64_t multiplier = 1;
    unsigned shift = 0;
    unsigned probes = 1; ///< most that any look-up needs

    [[nodiscard]] constexpr std::size_t slot(std::uint64_t chunk) const noexcept {
        return static_cast<std::size_t>((chunk * multiplier) >> shift) & (slots - 1);
    }

    constexpr void fill(const std::array<std::uint64_t, Chunks>& chunks) noexcept {
        unsigned best = ~0u;
        chunk_directory tried{};
        for (const std::uint64_t m : {std::uint64_t{1}, std::uint64_t{0x9e3779b97f4a7c15}, std::uint64_t{0xd1342543de82ef95}}) {
            for (const unsigned s : {0u, 2u, 4u, 8u, 12u, 32u, 44u}) {
                tried.multiplier = m;
                tried.shift = s;
                tried.place(chunks);
                if (tried.probes < best) {
                    best = tried.probes;
                    *this = tried;
                }
                if (best == 1) return;
            }
        }
    }

private:
    constexpr void place(const std::array<std::uint64_t, Chunks>& chunks) noexcept {
        for (std::uint64_t& key : keys) key = empty;
        probes = 1;
        for (std::size_t table = 0; table < Chunks; ++table) {
            unsigned tries = 1;
            std::size_t at = slot(chunks[table]);
            for (; keys[at] != empty; at = (at + 1) & (slots - 1)) ++tries;
            keys[at] = chunks[table] << 16 | table;
            if (tries > probes) probes = tries;
        }
    }
};

template <const auto& Map>
struct register_tables {
    static constexpr std::size_t chunks = used_chunks<Map>;
    chunk_directory<chunks> directory{};
    /// Per dword of each chunk: 1 + the position of the first register that reaches into it, 0 for none.
    std::array<std::array<std::uint16_t, chunk_dwords>, chunks> dwords{};
};

template <const auto& Map>
inline constexpr auto tables_of = [] {
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

    /// The position of the trapped entry that holds the byte at `offset`, or none.
    [[nodiscard]] static constexpr std::size_t find(std::uint64_t offset) noexcept {
        if constexpr (detail::used_chunks<Map> != 0) {
            const std::size_t found = find_register(offset);
            if (found != none) return found;
        }
        for (const std::uint16_t area : detail::trapped_areas<Map>)
            if (offset >= entries[area].offset && offset < entries[area].end) return area;
        return none;
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
    [[nodiscard]] static constexpr std::size_t find_register(std::uint64_t offset) noexcept {
        constexpr const auto& tables = detail::tables_of<Map>;
        constexpr const auto& directory = tables.directory;
        const std::uint64_t chunk = offset / detail::chunk_bytes;
        std::size_t slot = directory.slot(chunk);
        for (unsigned i = 0; i < directory.probes; ++i, slot = (slot + 1) & (directory.slots - 1)) {
            const std::uint64_t key = directory.keys[slot];
            if (key >> 16 != chunk) continue;
            std::size_t at = tables.dwords[key & 0xffff][(offset % detail::chunk_bytes) / 4];
            if constexpr (whole_dwords) return at - 1; // none for 0
            // Narrow registers, and blocks, share a dword: at most four, in the order of offsets.
            for (; at != 0 && at <= entries.size() && entries[at - 1].offset <= offset; ++at)
                if (offset < entries[at - 1].end) return at - 1;
            return none;
        }
        return none;
    }
};

} // namespace mediant
