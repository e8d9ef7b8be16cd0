// SPDX-License-Identifier: BSD-3-Clause
#include "generated_map.hpp"

#include <mediant/provider/stack.hpp>
#include <mediant/registers/areas.hpp>
#include <mediant/registers/checks.hpp>
#include <mediant/registers/trap_table.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

using namespace mediant;
using namespace mediant::test;

namespace {

constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();

constexpr auto bytewise = generate<40>({.seed = 1});
constexpr auto dense = generate<150>({.seed = 2, .gap = 2});
constexpr auto dwords = generate<120>({.seed = 3, .size = 8192, .gap = 64, .dwords = true});
constexpr auto registers_only = generate<200>({.seed = 4, .size = 16384, .gap = 80, .areas = false});
constexpr auto pages = generate<30>({.seed = 5, .size = 256_KiB, .gap = 32, .leap = 20000});
constexpr auto more_pages = generate<24>({.seed = 6, .size = 256_KiB, .gap = 4096, .leap = 30000, .dwords = true});
constexpr auto sparse = generate<200>({.seed = 7, .size = 16_GiB, .gap = 64, .leap = 200_MiB});
constexpr auto sparser = generate<60>({.seed = 8, .size = 16_GiB, .gap = 4_KiB, .leap = 1_GiB, .dwords = true, .areas = false});
constexpr auto nothing = region_map{bar{0}, 4_KiB, reg{"NAMED", 0x10}, block{"PLAIN", 0x20, 0x40}};
constexpr auto empty = region_map{bar{0}, 4_KiB};
constexpr auto everything = region_map{bar{0}, 4_KiB, hide{"ALL", 0, 4_KiB}};
constexpr auto largest = region_map{bar{0}, 4096_GiB, reg{"FIRST", 0, ro}, reg{"LAST", 4096_GiB - 8, ro, {.bits = 64}}};

/// Who traps a byte, by asking every entry.
template <const auto& Map>
const entry* owner(std::uint64_t offset) {
    for (const entry& e : Map.entries)
        if (!e.plain() && offset >= e.offset && offset - e.offset < e.size) return &e;
    return nullptr;
}

template <const auto& Map>
void check_find(std::uint64_t offset) {
    const entry* const expected = owner<Map>(offset);
    const std::size_t found = trap_table<Map>::find(offset);
    if (found == trap_table<Map>::none) {
        if (expected != nullptr) FAIL_CHECK("missed " << expected->name << " at " << offset);
    } else if (found >= trap_table<Map>::entries.size() || &Map.entries[trap_table<Map>::entries[found].index] != expected) {
        FAIL_CHECK("wrong entry at " << offset);
    }
}

/// How far the bytes from `offset` on are as the first one, at most `count`.
template <const auto& Map>
traps naive_run(std::uint64_t offset, std::uint64_t count) {
    const bool trapped = owner<Map>(offset) != nullptr;
    std::uint64_t size = 0;
    while (size < count && (owner<Map>(offset + size) != nullptr) == trapped) ++size;
    return {size, trapped};
}

template <const auto& Map>
void check_run(std::uint64_t offset, std::uint64_t count) {
    const traps expected = naive_run<Map>(offset, count);
    const traps got = run_of<Map>(offset, count);
    if (got.size != expected.size || got.trapped != expected.trapped) {
        CAPTURE(offset, count, expected.size, expected.trapped);
        CHECK(got.size == expected.size);
        CHECK(got.trapped == expected.trapped);
    }
}

/// The whole of a small map, byte by byte.
template <const auto& Map>
void check_all() {
    static_assert(mediant::detail::check_map<Map>());
    for (std::uint64_t offset = 0; offset < Map.size; ++offset) check_find<Map>(offset);
    random_numbers random{99};
    for (int i = 0; i < 2000; ++i) {
        const std::uint64_t offset = random.below(Map.size);
        check_run<Map>(offset, 1 + random.below(std::min<std::uint64_t>(Map.size - offset, 300)));
    }
    for (const std::uint64_t offset : {Map.size, Map.size + 1, Map.size + 255, std::uint64_t{1} << 48, most - 300, most - 4, most})
        CHECK(trap_table<Map>::find(offset) == trap_table<Map>::none);
}

/// Places of interest in a large map: around every entry's edges and chunks.
template <const auto& Map>
void check_edges() {
    static_assert(mediant::detail::check_map<Map>());
    for (const entry& e : Map.entries)
        for (const std::uint64_t at : {e.offset, e.offset + e.size, e.offset / 256 * 256, e.offset / 256 * 256 + 256})
            for (std::uint64_t offset = at < 12 ? 0 : at - 12; offset < std::min(at + 12, Map.size); ++offset) {
                check_find<Map>(offset);
                check_run<Map>(offset, std::min<std::uint64_t>(64, Map.size - offset));
            }
    random_numbers random{98};
    for (int i = 0; i < 20000; ++i) check_find<Map>(random.below(Map.size));
    for (int i = 0; i < 20000; ++i) CHECK(trap_table<Map>::find(Map.size + random.below(most - Map.size)) == trap_table<Map>::none);
    // Chunks that differ from a trapped one only in high bits.
    for (const entry& e : Map.entries)
        for (unsigned bit = 34; bit < 64; ++bit)
            CHECK(trap_table<Map>::find(e.offset | std::uint64_t{1} << bit) == trap_table<Map>::none);
}

/// The mappable areas of a map, page by page.
template <const auto& Map>
std::vector<range> naive_areas(std::uint64_t page_size) {
    std::vector<range> out;
    for (std::uint64_t page = 0; page + page_size <= Map.size; page += page_size) {
        bool open = true;
        for (const entry& e : Map.entries)
            open &= e.plain() || e.offset + e.size <= page || e.offset >= page + page_size;
        if (!open) continue;
        if (!out.empty() && out.back().end() == page)
            out.back().size += page_size;
        else
            out.push_back({page, page_size});
    }
    return out;
}

template <const auto& Map>
range next_area(std::uint64_t page_size, std::uint64_t from) {
    return untrapped_pages([](std::uint64_t offset, std::uint64_t count) { return run_of<Map>(offset, count); }, Map.size,
                           page_size, from);
}

template <const auto& Map>
std::vector<range> areas(std::uint64_t page_size) {
    std::vector<range> out;
    for (std::uint64_t from = 0;;) {
        const range area = next_area<Map>(page_size, from);
        if (area.empty()) return out;
        out.push_back(area);
        from = area.end();
    }
}

template <const auto& Map>
void check_areas() {
    for (const std::uint64_t page_size : {4_KiB, 16_KiB, 64_KiB}) {
        CAPTURE(page_size);
        const std::vector<range> expected = naive_areas<Map>(page_size);
        CHECK(areas<Map>(page_size) == expected);
        // From anywhere: the rest of the area that `from` lies in, or the next.
        random_numbers random{97};
        for (int i = 0; i < 500; ++i) {
            const std::uint64_t from = random.below(Map.size + page_size);
            const std::uint64_t first_page = (from + page_size - 1) / page_size * page_size;
            range wanted{};
            for (const range& area : expected)
                if (area.end() > first_page) {
                    const std::uint64_t begin = std::max(area.offset, first_page);
                    wanted = {begin, area.end() - begin};
                    break;
                }
            CHECK(next_area<Map>(page_size, from) == wanted);
        }
        for (const std::uint64_t from : {Map.size, Map.size + 1, most - page_size, most - 1, most})
            CHECK(next_area<Map>(page_size, from).empty());
    }
}

} // namespace

TEST_CASE("a small map finds every byte's entry and every run") {
    check_all<bytewise>();
    check_all<dense>();
    check_all<dwords>();
    check_all<registers_only>();
    check_all<nothing>();
    check_all<empty>();
    check_all<everything>();
}

TEST_CASE("a sparse map of 16 GiB finds every entry at its edges") {
    check_edges<pages>();
    check_edges<sparse>();
    check_edges<sparser>();
}

TEST_CASE("the largest region: nothing is found beyond the map's chunks") {
    CHECK(trap_table<largest>::find(4096_GiB - 1) == 1);
    CHECK(trap_table<largest>::find(4096_GiB - 9) == trap_table<largest>::none);
    for (unsigned bit = 12; bit < 64; ++bit) {
        CHECK((trap_table<largest>::find(std::uint64_t{1} << bit) == trap_table<largest>::none));
        CHECK((trap_table<largest>::find(most << bit) == trap_table<largest>::none || (most << bit) == 4096_GiB - 8));
    }
}

TEST_CASE("the tables of a sparse 16 GiB map take kilobytes") {
    CHECK(mediant::detail::table_bytes<sparse>() + sizeof(mediant::detail::trapped_entries<sparse>) < 48_KiB);
    CHECK(mediant::detail::table_bytes<sparser>() + sizeof(mediant::detail::trapped_entries<sparser>) < 16_KiB);
    CHECK(mediant::detail::sparse_tables<sparse>.directory.probes <= 4);
    CHECK(mediant::detail::sparse_tables<sparser>.directory.probes <= 4);
}

TEST_CASE("registers that lie close together need no directory, and neighbouring chunks are found at the first probe") {
    CHECK(mediant::detail::is_dense<dense>);
    CHECK(mediant::detail::is_dense<registers_only>);
    CHECK_FALSE(mediant::detail::is_dense<sparse>);
    CHECK_FALSE(mediant::detail::is_dense<sparser>);
    CHECK(mediant::detail::sparse_tables<dense>.directory.probes == 1);
    CHECK(mediant::detail::sparse_tables<registers_only>.directory.probes == 1);
}

TEST_CASE("runs of hostile sizes do not overflow") {
    const auto last = std::max_element(bytewise.entries.begin(), bytewise.entries.end(),
                                       [](const entry& a, const entry& b) { return a.offset < b.offset; });
    const std::uint64_t end = last->offset + last->size;
    CHECK(run_of<bytewise>(end, most).size == most);
    CHECK(run_of<bytewise>(end, most - end).size == most - end);
    CHECK_FALSE(run_of<bytewise>(end, most).trapped);
    for (std::uint64_t offset = 0; offset < end; ++offset) {
        const traps limited = run_of<bytewise>(offset, end - offset);
        const traps huge = run_of<bytewise>(offset, most);
        CHECK(huge.trapped == limited.trapped);
        if (limited.size < end - offset) CHECK(huge.size == limited.size);
        if (offset != 0) CHECK(run_of<bytewise>(offset, most - offset + 1).size == huge.size);
    }
    CHECK(run_of<everything>(0, most).size == 4_KiB);
    CHECK(run_of<empty>(most, most).size == most);
}

TEST_CASE("areas are the pages without a trapped byte, at every page size") {
    check_areas<pages>();
    check_areas<more_pages>();
    check_areas<dwords>();
    check_areas<nothing>();
    check_areas<everything>();
}

TEST_CASE("areas of 16 GiB") {
    for (const std::uint64_t page_size : {4_KiB, 16_KiB, 64_KiB}) {
        const std::vector<range> all = areas<sparse>(page_size);
        REQUIRE(all.size() > 10);
        std::uint64_t open = 0;
        std::uint64_t before = 0;
        for (const range& area : all) {
            open += area.size;
            CHECK(area.offset % page_size == 0);
            CHECK(area.size % page_size == 0);
            CHECK(area.offset >= before);
            // Between two areas every page holds a trapped byte.
            for (std::uint64_t page = before; page < area.offset; page += page_size)
                CHECK(run_of<sparse>(page, page_size).size < (run_of<sparse>(page, 1).trapped ? most : page_size));
            for (const entry& e : sparse.entries)
                CHECK((e.plain() || e.offset + e.size <= area.offset || e.offset >= area.end()));
            before = area.end();
        }
        CHECK(open > 15_GiB);
    }
}
