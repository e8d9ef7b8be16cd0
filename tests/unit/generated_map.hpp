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

template <std::size_t... I>
consteval region_map<sizeof...(I)> blank(std::uint64_t size, std::index_sequence<I...>) {
    return region_map<sizeof...(I)>{bar{0}, size, (static_cast<void>(I), entry{})...};
}
} // namespace detail_of_maps

/// A sound map of N entries without hooks: sorted by chance, of every kind, backing and shape.
template <std::size_t N>
consteval region_map<N> generate(map_shape how) {
    static_assert(N <= detail_of_maps::most_names);
    region_map<N> map = detail_of_maps::blank(how.size, std::make_index_sequence<N>{});
    random_numbers random{how.seed};
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
        e.offset = at;
        at += e.size;
        if (e.what != entry::shape::hide) {
            e.kind = static_cast<kind>(random.below(4));
            e.backing = static_cast<from>(random.below(3));
            e.value = random();
            if (e.what == entry::shape::block)
                e.value &= 0xff;
            else if (e.size < 8)
                e.value &= (std::uint64_t{1} << (8 * e.size)) - 1;
        }
        map.entries[i] = e;
    }
    if (at > how.size) throw "the entries do not fit the region";
    for (std::size_t i = N; i-- > 1;) { // entries may stand in any order
        const std::size_t j = static_cast<std::size_t>(random.below(i + 1));
        const entry moved = map.entries[i];
        map.entries[i] = map.entries[j];
        map.entries[j] = moved;
    }
    return map;
}

} // namespace mediant::test
