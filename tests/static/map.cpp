// SPDX-License-Identifier: BSD-3-Clause
// What follows from a region map at compile time.
#include <mediant/mediant.hpp>
#include <mediant/registers/areas.hpp>

#include <cstdint>
#include <type_traits>

namespace {
using namespace mediant;

constexpr auto bar0 = region_map{
    bar{0}, 1_MiB, reg{"IDENT", 0x00, ro, {.hook = on::read}}, reg{"LIVE", 0x04},
    reg{"EVENTS", 0x28, w1c, {.backing = from::shadow}}, block{"DMA", 0x80, 0x20, {.backing = from::shadow}},
    block{"PLAIN", 0x200, 0x20}, hide{"HIDDEN", 0x3000, 4_KiB}, reg{"BYTE", 0x41, rw, {.hook = on::write, .bits = 8}},
    reg{"HALF", 0x42, wo, {.bits = 16}}, reg{"QUAD", 0x48, ro, {.backing = from::constant, .value = 7, .bits = 64}}};

// A register is trapped when its kind, its backing or its hooks differ from rw, device and none.
static_assert(!bar0.entries[bar0.index_of("IDENT")].plain());
static_assert(bar0.entries[bar0.index_of("LIVE")].plain());
static_assert(!bar0.entries[bar0.index_of("EVENTS")].plain());
static_assert(!bar0.entries[bar0.index_of("DMA")].plain());
static_assert(bar0.entries[bar0.index_of("PLAIN")].plain());
static_assert(!bar0.entries[bar0.index_of("HIDDEN")].plain());
static_assert(bar0.index_of("NONE") == bar0.npos);
static_assert(bar0.region == region_index::bar0 && bar0.size == 0x100000 && bar0.entries.size() == 9);

// A tag names one entry, and knows its type.
static_assert(at<bar0, "LIVE">::index == 1);
static_assert(at<bar0, "LIVE">::facts().offset == 4);
static_assert(std::is_same_v<at<bar0, "LIVE">::value_type, std::uint32_t>);
static_assert(std::is_same_v<at<bar0, "BYTE">::value_type, std::uint8_t>);
static_assert(std::is_same_v<at<bar0, "HALF">::value_type, std::uint16_t>);
static_assert(std::is_same_v<at<bar0, "QUAD">::value_type, std::uint64_t>);
static_assert(!std::is_same_v<at<bar0, "IDENT">, at<bar0, "LIVE">>);

// Questions to the map are answered at compile time too.
static_assert(trap_table<bar0>::entries.size() == 7);
static_assert(trap_table<bar0>::find(0x03) == 0);
static_assert(trap_table<bar0>::find(0x04) == trap_table<bar0>::none);
static_assert(trap_table<bar0>::find(0x3fff) == 6);
static_assert(run_of<bar0>(0x04, 100).size == 0x24 && !run_of<bar0>(0x04, 100).trapped);
static_assert(run_of<bar0>(0x41, 100).size == 3 && run_of<bar0>(0x41, 100).trapped);
static_assert(detail::table_bytes<bar0>() <= 256);

// Kinds.
static_assert(after_write(effect_of_write(rw), 0x1234u, 0x00ffu) == 0x00ff);
static_assert(after_write(effect_of_write(ro), 0x1234u, 0x00ffu) == 0x1234);
static_assert(after_write(effect_of_write(wo), 0x1234u, 0x00ffu) == 0x00ff);
static_assert(after_write(effect_of_write(w1c), 0x1234u, 0x000fu) == 0x1230);
static_assert(has(on::read | on::write, on::write) && !has(on::read, on::write) && !has(on::nothing, on::read));

} // namespace
