// SPDX-License-Identifier: BSD-3-Clause
// Registers far apart in a large region: their tables take memory by what there is and not by the distance, and
// compilers build them within their usual limits, also where evenly spaced registers collide under plain hashes.
#include <mediant/mediant.hpp>
#include <mediant/registers/trap_table.hpp>

#include <array>
#include <string_view>
#include <utility>

namespace {
using namespace mediant;

constexpr std::uint64_t region_bytes = std::uint64_t{16} << 30;

template <std::size_t Registers>
constexpr auto names = [] {
    std::array<std::array<char, 4>, Registers> out{};
    for (std::size_t i = 0; i < Registers; ++i)
        out[i] = {'R', static_cast<char>('0' + i / 100), static_cast<char>('0' + i / 10 % 10),
                  static_cast<char>('0' + i % 10)};
    return out;
}();

template <std::size_t Registers, std::uint64_t Stride>
constexpr auto spread = []<std::size_t... I>(std::index_sequence<I...>) {
    return region_map{
        bar{0}, region_bytes,
        std::array<entry, Registers>{
            reg{std::string_view{names<Registers>[I].data(), 4}, I * Stride, rw, {.backing = from::shadow}}...}};
}(std::make_index_sequence<Registers>{});

template <const auto& Map>
constexpr bool finds_all() {
    for (const entry& e : Map.entries) {
        const std::size_t at = trap_table<Map>::find(e.offset);
        if (at >= trap_table<Map>::entries.size() || trap_table<Map>::entries.data()[at].offset != e.offset)
            return false;
    }
    return true;
}

/// Whether offsets beyond the region hold nothing, also where their chunks' numbers are unlike any other.
template <const auto& Map>
constexpr bool finds_nothing_beyond() {
    for (unsigned shift = 34; shift <= 64; ++shift) {
        const std::uint64_t end = shift == 64 ? 0 : std::uint64_t{1} << shift;
        for (std::uint64_t back = 4; back <= 512; back += 4)
            if (end - back >= Map.size && trap_table<Map>::find(end - back) != trap_table<Map>::none) return false;
    }
    return true;
}

constexpr auto few = spread<8, region_bytes / 8>;
constexpr auto many = spread<500, region_bytes / 512>;
constexpr auto odd = spread<500, 0x123'4560>;
static_assert(detail::check_map<few>() && detail::check_map<many>() && detail::check_map<odd>());
static_assert(finds_all<few>() && finds_all<many>() && finds_all<odd>());
static_assert(finds_nothing_beyond<few>() && finds_nothing_beyond<many>() && finds_nothing_beyond<odd>());
static_assert(detail::table_bytes<few>() < 2 * 1024);
static_assert(detail::table_bytes<many>() < 128 * 1024);
static_assert(detail::table_bytes<odd>() < 128 * 1024);

} // namespace
