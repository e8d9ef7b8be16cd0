// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/doorbell.hpp>
#include <mediant/registers/trap_table.hpp>

#include <cstdint>

/// What of a region can be mapped, and rung: derived from the map alone.
namespace mediant {

/// How a region goes on: `size` bytes that are all trapped, or none of them.
struct traps {
    std::uint64_t size;
    bool trapped;
};

/// How a map goes on at `offset`, as far as `count` bytes. `trapped_dynamics` has a bit for each dynamic range
/// that is trapped now.
template <const auto& Map>
[[nodiscard]] constexpr traps run_of(std::uint64_t offset, std::uint64_t count, std::uint8_t trapped_dynamics = 0xff) noexcept {
    if constexpr (detail::dynamic_ranges<Map>.size() != 0) {
        for (std::size_t i = 0; i < detail::dynamic_ranges<Map>.size(); ++i) {
            const range pages = detail::dynamic_ranges<Map>[i];
            if (pages.contains(offset)) {
                const std::uint64_t left = pages.end() - offset;
                return {left < count ? left : count, (trapped_dynamics >> i & 1) != 0};
            }
            if (pages.offset > offset && pages.offset - offset < count) count = pages.offset - offset;
        }
    }
    // Most accesses lie within one dword, and where such a one is of one kind the tables need no search.
    if constexpr (trap_table<Map>::whole_dwords)
        if (count <= 4 - offset % 4) return {count, trap_table<Map>::entry_at(offset) != nullptr};
    const std::uint64_t passed = trap_table<Map>::untrapped(offset, count);
    if (passed != 0) return {passed, false};
    return {trap_table<Map>::trapped(offset, count), true};
}

/// `each(doorbell_write)` for the doorbells of a map, in its order.
template <const auto& Map, class F>
constexpr void each_doorbell_of(F& each) {
    for (const auto& e : Map.entries) {
        if (e.doorbell == doorbell::none) continue;
        for (std::uint32_t i = 0; i < e.count; ++i) each(doorbell_write{e.where(i), e.doorbell, e.rung_by});
    }
}

/// The first stretch of whole pages at or after `from` without a trapped byte, as long as it goes; empty where
/// there is none. `run(offset, count)` answers `traps`. A region that ends within a page has no area there: what
/// else lies in that page is not the map's to say.
template <class Run>
[[nodiscard]] constexpr range untrapped_pages(const Run& run, std::uint64_t region_size, std::uint64_t page_size,
                                              std::uint64_t from) noexcept {
    const std::uint64_t end = region_size / page_size * page_size;
    std::uint64_t at = (from + page_size - 1) / page_size * page_size;
    while (at < end && at >= from) {
        const traps here = run(at, end - at);
        if (!here.trapped) {
            std::uint64_t stop = at + here.size;
            while (stop < end) { // neighbouring stretches of layers that stop for other reasons than a trap
                const traps more = run(stop, end - stop);
                if (more.trapped) break;
                stop += more.size;
            }
            stop = stop / page_size * page_size;
            if (stop > at) return {at, stop - at};
            at += page_size;
        } else {
            at = (at + here.size + page_size - 1) / page_size * page_size;
        }
    }
    return {};
}

} // namespace mediant
