// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/registers/map.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

/// Region maps made at compile time from a seed, for tests against models.
namespace mediant::test {

/// splitmix64: small, and the same at compile time and at run time.
struct random_numbers {
    std::uint64_t state;

    constexpr std::uint64_t operator()() noexcept {
        std::uint64_t z = (state += 0x9e3779b97f4a7c15);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }
    /// From 0 to below - 1.
    constexpr std::uint64_t below(std::uint64_t limit) noexcept { return (*this)() % limit; }
};

/// What a generated map looks like.
struct map_shape {
    std::uint64_t seed;
    std::uint64_t size = 4096; ///< of the region
    std::uint64_t gap = 16;    ///< largest stretch between entries, most of the time
    std::uint64_t leap = 0;    ///< now and then a stretch up to this
    bool dwords = false;       ///< only 32- and 64-bit registers, blocks and gaps of whole dwords
    bool areas = true;         ///< also blocks and windows
    bool everything = false;   ///< also every kind, fields, arrays, aliases, stated widths and denied windows
};

namespace detail_of_maps {
inline constexpr std::size_t most_names = 4096;
/// "r0000r0001…": names that live as long as the program.
inline constexpr auto names = [] {
    std::array<char, 5 * most_names> out{};
    for (std::size_t i = 0; i < most_names; ++i) {
        out[5 * i] = 'r';
        for (std::size_t digit = 0; digit < 4; ++digit) {
            constexpr std::size_t power[] = {1000, 100, 10, 1};
            out[5 * i + 1 + digit] = static_cast<char>('0' + i / power[digit] % 10);
        }
    }
    return out;
}();

template <std::size_t Fields, std::size_t... I>
consteval region_map<sizeof...(I), Fields> blank(std::uint64_t size, std::index_sequence<I...>) {
    return region_map<sizeof...(I), Fields>{bar{0}, size, (static_cast<void>(I), entry{})...};
}

inline constexpr std::size_t fields_each = 6; ///< at most

/// Called by nothing that compiles. (There are no exceptions where a provider may go.)
void the_entries_do_not_fit_the_region();

/// Divides a register into fields.
template <class Map>
consteval void divide(Map& map, entry& e, std::size_t first, random_numbers& random) {
    e.kind = rw;
    e.backing = from::device;
    e.value = 0;
    e.first_field = static_cast<std::uint16_t>(first);
    e.read_has_effect = random.below(4) == 0;
    bool effects = e.read_has_effect;
    const unsigned bits = static_cast<unsigned>(8 * e.size);
    for (unsigned low = 0; low < bits; ++e.field_count) {
        field f{};
        f.low = low;
        f.bits = e.field_count + 1 == fields_each ? bits - low : 1 + static_cast<unsigned>(random.below(bits - low));
        f.kind = static_cast<kind>(random.below(25));
        f.backing = static_cast<from>(random.below(3));
        f.device = static_cast<toward>(random.below(3));
        f.value = random() & (f.mask() >> f.low);
        effects = effects || (f.backing == from::device && effect_of_read(f.kind) != read_effect::none);
        map.fields[first + e.field_count] = f;
        low += f.bits;
    }
    for (std::size_t i = 0; effects && i < e.field_count; ++i) // then nothing can be preserved
        if (map.fields[first + i].device == toward::preserve) map.fields[first + i].device = toward::ones;
}
} // namespace detail_of_maps

/// A sound map of N entries without hooks: in any order, of every backing and shape. With `everything`, it needs
/// Fields = N * fields_each.
template <std::size_t N, std::size_t Fields = 0>
consteval region_map<N, Fields> generate(map_shape how) {
    static_assert(N <= detail_of_maps::most_names);
    region_map<N, Fields> map = detail_of_maps::blank<Fields>(how.size, std::make_index_sequence<N>{});
    random_numbers random{how.seed};
    std::size_t single = N; // the last register that an alias may stand for
    std::uint64_t at = 0;
    for (std::size_t i = 0; i < N; ++i) {
        entry e{};
        e.name = std::string_view{detail_of_maps::names.data() + 5 * i, 5};
        const std::uint64_t unit = how.dwords ? 4 : 1;
        if (random.below(3) != 0) at += random.below(how.gap / unit + 1) * unit;
        if (how.leap != 0 && random.below(4) == 0) at += random.below(how.leap / unit + 1) * unit;
        const std::uint64_t shape = how.areas ? random.below(8) : 0;
        if (shape < 6) {
            e.size = how.dwords ? std::uint64_t{4} << random.below(2) : std::uint64_t{1} << random.below(4);
            at = (at + e.size - 1) / e.size * e.size;
        } else {
            e.what = shape == 6 ? entry::shape::block : entry::shape::hide;
            e.size = unit * (1 + random.below(40));
        }
        const bool alias = how.everything && single != N && random.below(8) == 0;
        if (alias) {
            e.what = entry::shape::alias;
            e.target = map.entries[single].name;
            e.size = map.entries[single].size;
            at = (at + e.size - 1) / e.size * e.size;
        } else if (how.everything && e.what == entry::shape::hide && random.below(2) == 0) {
            e.what = entry::shape::deny;
        }
        e.offset = at;
        at += e.size;
        if (alias) e.size = 0; // its register's
        if (e.what != entry::shape::hide) {
            e.kind = static_cast<kind>(random.below(how.everything ? 25 : 4));
            e.backing = static_cast<from>(random.below(3));
            e.value = random();
            if (e.what == entry::shape::block)
                e.value &= 0xff;
            else if (e.size < 8)
                e.value &= (std::uint64_t{1} << (8 * e.size)) - 1;
        }
        if (how.everything && e.is_register()) {
            if constexpr (Fields != 0)
                if (random.below(3) == 0) detail_of_maps::divide(map, e, i * detail_of_maps::fields_each, random);
            if (random.below(5) == 0) {
                e.widths = static_cast<width>(1 + random.below(15));
                if ((static_cast<unsigned>(e.widths) & (2 * e.size - 1)) == 0) // none that the register has
                    e.widths = e.widths | static_cast<width>(e.size);
                e.on_other_width = static_cast<otherwise>(random.below(2));
            }
            if (random.below(5) == 0) {
                e.count = static_cast<std::uint32_t>(2 + random.below(3));
                e.stride = e.size * (1 + random.below(3));
                at = e.offset + (e.count - 1) * e.stride + e.size;
            } else {
                single = i;
            }
        }
        if (e.what == entry::shape::deny || e.what == entry::shape::alias) {
            e.kind = rw;
            e.backing = from::device;
            e.value = 0;
        }
        map.entries[i] = e;
    }
    if (at > how.size) detail_of_maps::the_entries_do_not_fit_the_region();
    for (std::size_t i = N; i-- > 1;) { // entries may stand in any order
        const std::size_t j = static_cast<std::size_t>(random.below(i + 1));
        const entry moved = map.entries[i];
        map.entries[i] = map.entries[j];
        map.entries[j] = moved;
    }
    return map;
}

} // namespace mediant::test
