// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/text.hpp>
#include <mediant/registers/kinds.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

/// Region maps: what a policy states about a region, as a constexpr value. Whether a map is sound is checked by
/// registers/checks.hpp, with messages that name the registers.
namespace mediant {

/// One named stretch of a region: a register, a block or a hidden window.
struct entry {
    enum class shape : std::uint8_t {
        reg,   ///< one register, 8 to 64 bits
        block, ///< bytes that are all treated alike, reached at any width
        hide,  ///< as if nothing were there: reads as ones, writes are swallowed
    };

    std::string_view name{};
    std::uint64_t offset = 0;
    std::uint64_t size = 0; ///< bytes
    shape what = shape::reg;
    mediant::kind kind = mediant::kind::rw;
    from backing = from::device;
    on hook = on::nothing;
    std::uint64_t value = 0; ///< the constant, or what a shadow holds at open and after reset; in a block, of each byte

    [[nodiscard]] constexpr range where() const noexcept { return {offset, size}; }

    /// Whether the policy must see accesses; what is not trapped may be mapped.
    [[nodiscard]] constexpr bool trapped() const noexcept {
        return what == shape::hide || kind != mediant::kind::rw || backing != from::device || hook != on::nothing;
    }
};

/// A register's facts besides its kind.
struct reg_options {
    from backing = from::device;
    on hook = on::nothing;
    std::uint64_t value = 0; ///< of a constant; of a shadow at open and after reset
    unsigned bits = 32;      ///< 8, 16, 32 or 64
};

/// `reg{"EVENTS", 0x28, w1c, {.backing = from::shadow}}`
struct reg : entry {
    consteval reg(std::string_view the_name, std::uint64_t the_offset, mediant::kind the_kind = rw,
                  reg_options facts = {})
        : entry{the_name, the_offset, facts.bits % 8 == 0 ? facts.bits / 8 : 0u, shape::reg, the_kind, facts.backing, facts.hook, facts.value} {}
};

/// A block's facts. It has no hooks: a register that needs one stands beside the block, not in it.
struct block_options {
    mediant::kind kind = mediant::kind::rw;
    from backing = from::device;
    std::uint8_t value = 0; ///< of each byte
};

/// `block{"DMA", 0x80, 0x20, {.backing = from::shadow}}`
struct block : entry {
    consteval block(std::string_view the_name, std::uint64_t the_offset, std::uint64_t the_size,
                    block_options facts = {})
        : entry{the_name, the_offset, the_size, shape::block, facts.kind, facts.backing, on::nothing, facts.value} {}
};

/// `hide{"DEBUG", 0x1000, 4_KiB}`: reads answer ones and writes are swallowed, as vfio-pci does where it
/// excludes the MSI-X table.
struct hide : entry {
    consteval hide(std::string_view the_name, std::uint64_t the_offset, std::uint64_t the_size)
        : entry{the_name, the_offset, the_size, shape::hide} {}
};

/// `region_map{bar{0}, 1_MiB, reg{…}, block{…}, …}`: what lies in one region, in any order. Everything that is
/// not named passes to the device.
template <std::size_t N>
struct region_map {
    region_index region;
    std::uint64_t size; ///< bytes
    std::array<entry, N> entries;

    template <class... Entries>
    consteval region_map(region_index the_region, std::uint64_t the_size, const Entries&... all)
        : region{the_region}, size{the_size}, entries{static_cast<const entry&>(all)...} {}

    static constexpr std::size_t npos = ~std::size_t{0};

    /// The entry of this name, or npos.
    [[nodiscard]] constexpr std::size_t index_of(std::string_view name) const noexcept {
        for (std::size_t i = 0; i < N; ++i)
            if (entries[i].name == name) return i;
        return npos;
    }
};
template <class... Entries>
region_map(region_index, std::uint64_t, const Entries&...) -> region_map<sizeof...(Entries)>;

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
    [[nodiscard]] static constexpr const entry& facts() noexcept { return Map.entries[Index]; }
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
