// SPDX-License-Identifier: BSD-3-Clause
// Large arrays and register files are within what compilers allow without options, and computed entries stand among
// others.
#include <mediant/mediant.hpp>

#include <array>
#include <cstddef>
#include <type_traits>

namespace {
using namespace mediant;

struct large_array {
    static constexpr auto bar0 = region_map{bar{0}, 64_KiB, reg{"ARRAY", 0, rw, {.backing = from::shadow, .count = 4096}}};
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<large_array>);
static_assert(trap_table<large_array::bar0>::find(4 * 4095 + 3) == 4095);

struct queues {
    static constexpr auto bar0 = region_map{bar{0}, 64_KiB, repeat{"QUEUE", 1024, 16, reg{"HEAD", 0, ro}, reg{"TAIL", 4, wo},
                                                                   reg{"BASE", 8, rw, {.backing = from::shadow, .bits = 64}}}};
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<queues>);
static_assert(trap_table<queues::bar0>::find(16 * 1000 + 12) == 3 * 1000 + 2);
static_assert(trap_table<queues::bar0>::entries[3 * 1000 + 2].element == 1000);

struct computed {
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"FIRST", 0x00, ro}, std::array<entry, 2>{reg{"A", 0x10, ro}, reg{"B", 0x20, ro}},
                                            static_cast<entry>(reg{"C", 0x30, ro}), reg{"CTRL", 0x40, fields{field{"X", 0, 32, ro}}}};
    static constexpr auto all = region_map{region_index::bar2, 4_KiB, std::array<entry, 1>{reg{"ONLY", 0, ro}}};
    static constexpr auto regions = mediant::regions<bar0, all>{};
};
static_assert(valid<computed>);
static_assert(computed::bar0.entries.size() == 5 && computed::bar0.fields.size() == 1 && computed::all.entries.size() == 1);
static_assert(computed::bar0.index_of("B") == 2 && computed::bar0.entries[4].field_count == 1);

// What maps have in common is stated once; fields and register files keep what is theirs.
constexpr auto common = map_part{reg{"CTRL", 0x40, fields{field{"LOW", 0, 16, ro}, field{"HIGH", 16, 16}}},
                                 reg{"STATUS", 0x44, ro}};
constexpr auto more = map_part{reg{"FLAG", 0x50, fields{field{"F", 0}, reserved{1, 31}}}, common,
                               repeat{"QUEUE", 4, 8, reg{"HEAD", 0x80, ro}, reg{"TAIL", 0x84}}};

struct with_parts {
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"FIRST", 0x00, fields{field{"A", 0, 32, ro}}}, common};
    static constexpr auto bar2 = region_map{bar{2}, 8_KiB, reg{"ALONE", 0x00, ro}, more};
    static constexpr auto regions = mediant::regions<bar0, bar2>{};
};
static_assert(valid<with_parts>);
static_assert(with_parts::bar0.entries.size() == 3 && with_parts::bar0.fields.size() == 3);
static_assert(with_parts::bar2.entries.size() == 6 && with_parts::bar2.fields.size() == 4);
static_assert(with_parts::bar0.fields[with_parts::bar0.entries[1].first_field + 1].name == "HIGH");
static_assert(with_parts::bar2.entries[2].name == "CTRL" &&
              with_parts::bar2.fields[with_parts::bar2.entries[2].first_field].name == "LOW");
static_assert(with_parts::bar2.index_of("QUEUE.TAIL") == 5 && with_parts::bar2.entries[5].where(3).offset == 0x9c);

// A register with fields is no entry alone: its fields would be lost.
static_assert(std::is_convertible_v<reg<0>, entry> && !std::is_convertible_v<reg<2>, entry>);

} // namespace
