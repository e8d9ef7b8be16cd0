// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/text.hpp>
#include <mediant/registers/entry.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

/// Region maps: what a policy states about a region, as a constexpr value. Whether a map is sound is checked by
/// registers/checks.hpp, with messages that name the registers.
namespace mediant {

/// The count of a register that is no array. An array of one element is one: its hooks are given the index.
inline constexpr std::uint32_t no_array = ~std::uint32_t{0};

/// A register's facts besides its kind.
struct reg_options {
    from backing = from::device;
    on hook = on::nothing;
    std::uint64_t value = 0;              ///< of a constant; of a shadow at open and after reset
    unsigned bits = 32;                   ///< 8, 16, 32 or 64
    std::uint32_t count = no_array;       ///< of an array
    std::uint64_t stride = 0;             ///< of an array, in bytes; 0 for registers side by side
    width widths = width::any;            ///< which widths it takes
    mediant::otherwise otherwise = otherwise::refuse; ///< what happens at others
    bool read_has_effect = false;         ///< the device's: it is never read but for the user
    mediant::doorbell doorbell = mediant::doorbell::none; ///< how a write may come besides
    std::uint64_t rung_by = 0;            ///< of doorbell::matched: the value that rings
};

namespace detail {
/// A sum, for more items than a fold expression may nest in some compilers.
template <std::size_t... Counts>
inline constexpr std::size_t sum = [] {
    std::size_t total = 0;
    for (const std::size_t count : {std::size_t{0}, Counts...}) total += count;
    return total;
}();
} // namespace detail

/// What is put into a map: entries and their fields.
template <std::size_t Entries, std::size_t Fields>
struct map_item {
    static constexpr std::size_t entry_count = Entries;
    static constexpr std::size_t field_count = Fields;

    entry entries[Entries]{};
    field fields[Fields == 0 ? 1 : Fields]{};

    constexpr map_item() = default;
    constexpr explicit map_item(const entry& only) : entries{only} {}

    /// Appends each item's entries and fields, in order.
    template <class... Items>
    constexpr void append_all(const Items&... all) {
        std::size_t entry_at = 0;
        std::size_t field_at = 0;
        // An array, since compilers bound how far a fold expression nests.
        const bool in_order[] = {true, (append(all, entry_at, field_at), true)...};
        static_cast<void>(in_order);
    }

private:
    /// Appends another's entries and fields to the first `entry_at` and `field_at` of this one's, and counts them.
    template <std::size_t N, std::size_t F>
    constexpr void append(const map_item<N, F>& other, std::size_t& entry_at, std::size_t& field_at) {
        for (const entry& e : other.entries) {
            entries[entry_at] = e;
            entries[entry_at++].first_field = static_cast<std::uint16_t>(e.first_field + field_at);
        }
        for (std::size_t i = 0; i < F; ++i) fields[field_at++] = other.fields[i];
    }
    constexpr void append(const entry& one, std::size_t& entry_at, std::size_t&) { entries[entry_at++] = one; }
    template <std::size_t N>
    constexpr void append(const std::array<entry, N>& several, std::size_t& entry_at, std::size_t&) {
        for (std::size_t i = 0; i < N; ++i) entries[entry_at++] = several.data()[i];
    }
};

namespace detail {
template <class Item>
inline constexpr std::size_t entries_in = Item::entry_count;
template <>
inline constexpr std::size_t entries_in<entry> = 1; // computed by the vendor, without fields
template <std::size_t N>
inline constexpr std::size_t entries_in<std::array<entry, N>> = N;
template <class Item>
inline constexpr std::size_t fields_in = Item::field_count;
template <>
inline constexpr std::size_t fields_in<entry> = 0;
template <std::size_t N>
inline constexpr std::size_t fields_in<std::array<entry, N>> = 0;
} // namespace detail

/// `reg{"EVENTS", 0x28, w1c, {.backing = from::shadow}}`, or with fields:
/// `reg{"CTRL", 0x10, fields{field{"ENABLE", 0}, reserved{1, 31}}}`.
template <std::size_t Fields = 0>
struct reg : map_item<1, Fields> {
    consteval reg(std::string_view the_name, std::uint64_t the_offset, mediant::kind the_kind = rw,
                  reg_options facts = {})
        : map_item<1, Fields>{entry{.name = the_name,
                                    .offset = the_offset,
                                    .size = facts.bits % 8 == 0 ? facts.bits / 8 : 0u, // 0 for a width that check_width refuses
                                    .kind = the_kind,
                                    .backing = facts.backing,
                                    .hook = facts.hook,
                                    .value = facts.value,
                                    .count = facts.count == no_array ? 1 : facts.count,
                                    .indexed = facts.count != no_array,
                                    .stride = facts.stride == 0 ? facts.bits / 8 : facts.stride,
                                    .widths = facts.widths,
                                    .on_other_width = facts.otherwise,
                                    .read_has_effect = facts.read_has_effect,
                                    .doorbell = facts.doorbell,
                                    .rung_by = facts.rung_by}} {}

    consteval reg(std::string_view the_name, std::uint64_t the_offset, const mediant::fields<Fields>& parts,
                  reg_options facts = {})
        requires(Fields != 0)
        : reg{the_name, the_offset, rw, facts} {
        this->entries[0].field_count = static_cast<std::uint16_t>(Fields);
        for (std::size_t i = 0; i < Fields; ++i) this->fields[i] = parts.all[i];
    }

    /// For maps whose entries are computed. An entry alone has no fields.
    [[nodiscard]] consteval operator entry() const
        requires(Fields == 0)
    {
        return this->entries[0];
    }
};
reg(std::string_view, std::uint64_t) -> reg<0>;
reg(std::string_view, std::uint64_t, kind) -> reg<0>;
reg(std::string_view, std::uint64_t, kind, reg_options) -> reg<0>;
template <std::size_t N>
reg(std::string_view, std::uint64_t, fields<N>) -> reg<N>;
template <std::size_t N>
reg(std::string_view, std::uint64_t, fields<N>, reg_options) -> reg<N>;

/// A block's facts. It has no hooks: a register that needs one stands beside the block, not in it.
struct block_options {
    mediant::kind kind = mediant::kind::rw;
    from backing = from::device;
    std::uint8_t value = 0; ///< of each byte
};

/// `block{"DMA", 0x80, 0x20, {.backing = from::shadow}}`
struct block : map_item<1, 0> {
    consteval block(std::string_view the_name, std::uint64_t the_offset, std::uint64_t the_size,
                    block_options facts = {})
        : map_item{entry{.name = the_name,
                         .offset = the_offset,
                         .size = the_size,
                         .what = entry::shape::block,
                         .kind = facts.kind,
                         .backing = facts.backing,
                         .value = facts.value}} {}
};

/// `pass{"BUFFER", 0x40000, 4_KiB}`: named, and left to the device.
struct pass : map_item<1, 0> {
    consteval pass(std::string_view the_name, std::uint64_t the_offset, std::uint64_t the_size)
        : map_item{entry{.name = the_name, .offset = the_offset, .size = the_size, .what = entry::shape::block}} {}
};

/// `hide{"DEBUG", 0x1000, 4_KiB}`: reads answer ones and writes are swallowed, as vfio-pci does where it
/// excludes the MSI-X table.
struct hide : map_item<1, 0> {
    consteval hide(std::string_view the_name, std::uint64_t the_offset, std::uint64_t the_size)
        : map_item{entry{.name = the_name, .offset = the_offset, .size = the_size, .what = entry::shape::hide}} {}
};

/// `deny{"FUSES", 0x2000, 256}`: accesses answer error::denied.
struct deny : map_item<1, 0> {
    consteval deny(std::string_view the_name, std::uint64_t the_offset, std::uint64_t the_size)
        : map_item{entry{.name = the_name, .offset = the_offset, .size = the_size, .what = entry::shape::deny}} {}
};

/// `alias{"TAIL_LEGACY", 0x18, "TAIL"}`: a register that is also seen at another offset. Accesses count as
/// accesses to the register itself.
struct alias : map_item<1, 0> {
    consteval alias(std::string_view the_name, std::uint64_t the_offset, std::string_view the_register)
        : map_item{entry{.name = the_name, .offset = the_offset, .what = entry::shape::alias, .target = the_register}} {
    }
};

/// `dynamic{"APERTURE", 0x10000, 64_KiB}`: pages that start trapped and can be passed, and trapped again, while the
/// device is open: next.untrap(at<…>), next.trap(at<…>). What is named within them is mediated while they are
/// trapped, and is the device's while they are not.
struct dynamic : map_item<1, 0> {
    consteval dynamic(std::string_view the_name, std::uint64_t the_offset, std::uint64_t the_size)
        : map_item{entry{.name = the_name, .offset = the_offset, .size = the_size, .what = entry::shape::dynamic}} {}
};

/// `repeat{"QUEUE", 64, 0x40, reg{"HEAD", 0x1000}, reg{"TAIL", 0x1004, wo, {.hook = on::write}}}`: a register file for
/// each queue or port. Offsets are those of the first; the registers are named "QUEUE.HEAD", and so on. Hooks are given
/// an index whatever the count, so that a device with one queue needs no other code.
template <std::size_t Entries, std::size_t Fields>
struct repeat : map_item<Entries, Fields> {
    template <class... Items>
    consteval repeat(std::string_view group, std::uint32_t count, std::uint64_t stride, const Items&... all) {
        this->append_all(all...);
        for (entry& e : this->entries) {
            e.nested = e.nested || e.is_array();
            e.group = group;
            e.count = count;
            e.indexed = true;
            e.stride = stride;
        }
    }
};
template <class... Items>
repeat(std::string_view, std::uint32_t, std::uint64_t, const Items&...)
    -> repeat<detail::sum<detail::entries_in<Items>...>, detail::sum<detail::fields_in<Items>...>>;

/// `inline constexpr auto common = map_part{reg{…}, block{…}};`: what several maps have in common. In a map, or in a
/// part, it counts as its entries in their order.
template <std::size_t Entries, std::size_t Fields>
struct map_part : map_item<Entries, Fields> {
    template <class... Items>
    consteval explicit map_part(const Items&... all) {
        this->append_all(all...);
    }
};
template <class... Items>
map_part(const Items&...) -> map_part<detail::sum<detail::entries_in<Items>...>, detail::sum<detail::fields_in<Items>...>>;

/// `region_map{bar{0}, 1_MiB, reg{…}, block{…}, …}`: what lies in one region, in any order. Everything that is
/// not named passes to the device. Entries that are computed stand among the others, alone or as std::array<entry, N>.
template <std::size_t N, std::size_t F = 0>
struct region_map {
    region_index region;
    std::uint64_t size; ///< bytes
    std::array<entry, N> entries{};
    std::array<field, F> fields{};

    template <class... Items>
    consteval region_map(region_index the_region, std::uint64_t the_size, const Items&... all)
        : region{the_region}, size{the_size} {
        if constexpr (N != 0) {
            map_item<N, F> together;
            together.append_all(all...);
            for (std::size_t i = 0; i < N; ++i) entries.data()[i] = together.entries[i];
            for (std::size_t i = 0; i < F; ++i) fields.data()[i] = together.fields[i];
        }
    }

    static constexpr std::size_t npos = ~std::size_t{0};

    /// The entry of this name, or npos.
    [[nodiscard]] constexpr std::size_t index_of(std::string_view name) const noexcept {
        const entry* const all = entries.data();
        for (std::size_t i = 0; i < N; ++i)
            if (all[i].is_named(name)) return i;
        return npos;
    }
};
template <class... Items>
region_map(region_index, std::uint64_t, const Items&...)
    -> region_map<detail::sum<detail::entries_in<Items>...>, detail::sum<detail::fields_in<Items>...>>;

/// The unsigned type of a register of `Bytes` bytes.
template <std::size_t Bytes> struct register_value { using type = std::uint32_t; };
template <> struct register_value<1> { using type = std::uint8_t; };
template <> struct register_value<2> { using type = std::uint16_t; };
template <> struct register_value<8> { using type = std::uint64_t; };

/// Names one entry of one map, as a value to overload on. Symbols carry the map's own name and a number.
template <const auto& Map, std::size_t Index>
struct entry_tag {
    using value_type = typename register_value<Map.entries[Index].size>::type;

    static constexpr const auto& map = Map;
    static constexpr std::size_t index = Index;
    static constexpr bool is_array = Map.entries[Index].is_array();
    [[nodiscard]] static constexpr const auto& facts() noexcept { return Map.entries[Index]; }
};

namespace detail {
template <bool Found, text Name>
struct check_name {
    static_assert(Found, "mediant: the map has no register of this name; the name is the second argument of check_name");
    static constexpr bool ok = Found;
};

template <const auto& Map, text Name>
struct find_entry {
    static constexpr std::size_t found = Map.index_of(Name.view());
    static constexpr bool ok = check_name<(found != Map.npos), Name>::ok;
    using type = entry_tag<Map, ok ? found : 0>;
};
} // namespace detail

/// `at<bar0, "IDENT">`: the first parameter of a register's hook.
template <const auto& Map, text Name>
using at = typename detail::find_entry<Map, Name>::type;

/// `static constexpr auto regions = mediant::regions<bar0, bar2>{};`: a policy's maps.
template <const auto&... Maps>
struct regions {};

} // namespace mediant
