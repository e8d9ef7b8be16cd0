// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/doorbell.hpp>
#include <mediant/registers/kinds.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

/// What a region map consists of, before it is put into tables: entries and fields.
namespace mediant {

/// What a write to a register gives the device in bits that are not the device's to take: as they are (which
/// costs a read where the register also has bits that pass), zeros or ones.
enum class toward : std::uint8_t { preserve, zeros, ones };

/// Which widths a register takes; to be combined.
enum class width : std::uint8_t { any = 0, bits8 = 1, bits16 = 2, bits32 = 4, bits64 = 8 };
[[nodiscard]] constexpr width operator|(width a, width b) noexcept {
    return width{static_cast<std::uint8_t>(static_cast<unsigned>(a) | static_cast<unsigned>(b))};
}

/// What happens to an access of a width that a register does not take.
enum class otherwise : std::uint8_t {
    refuse,  ///< error::invalid
    swallow, ///< reads as ones, writes are swallowed
};

/// A field's facts besides its kind.
struct field_options {
    from backing = from::device;
    std::uint64_t value = 0; ///< of a constant; of a shadow at open and after reset
    toward device = toward::preserve;
};

/// `field{"MODE", 4, 3, rw, {.backing = from::shadow}}`: bits 4, 5 and 6 of a register.
struct field {
    std::string_view name{};
    unsigned low = 0;
    unsigned bits = 1;
    mediant::kind kind = mediant::kind::rw;
    from backing = from::device;
    std::uint64_t value = 0;
    toward device = toward::preserve;

    constexpr field() = default;
    consteval field(std::string_view the_name, unsigned the_low, unsigned the_bits = 1, mediant::kind the_kind = rw,
                    field_options facts = {})
        : name{the_name}, low{the_low}, bits{the_bits}, kind{the_kind}, backing{facts.backing}, value{facts.value},
          device{facts.device} {}

    [[nodiscard]] constexpr std::uint64_t mask() const noexcept {
        return bits >= 64 ? ~std::uint64_t{0} : ((std::uint64_t{1} << bits) - 1) << low;
    }
};

/// `reserved{8, 24}`: bits without a meaning. They read as zeros, or as the device gives with from::device; writes
/// do not reach them.
struct reserved : field {
    consteval reserved(unsigned the_low, unsigned the_bits, from reads = from::constant,
                       toward the_device = toward::preserve)
        : field{"", the_low, the_bits, ro, {.backing = reads, .device = the_device}} {}
};

/// `fields{field{…}, field{…}, reserved{…}}`: all bits of a register.
template <std::size_t N>
struct fields {
    field all[N == 0 ? 1 : N];

    template <class... Fields>
    consteval fields(const Fields&... each) : all{static_cast<const field&>(each)...} {}
};
template <class... Fields>
fields(const Fields&...) -> fields<sizeof...(Fields)>;

/// One named thing in a region: registers, a block or a window.
struct entry {
    enum class shape : std::uint8_t {
        reg,     ///< a register of 8 to 64 bits, or an array of them
        block,   ///< bytes that are all treated alike, reached at any width
        hide,    ///< as if nothing were there: reads as ones, writes are swallowed
        deny,    ///< accesses are refused
        alias,   ///< another entry, seen at a second offset
        dynamic, ///< pages that are trapped or passed while the device runs
    };

    std::string_view group{}; ///< of a repeated register file; its entries are named "GROUP.NAME"
    std::string_view name{};
    std::uint64_t offset = 0;
    std::uint64_t size = 0; ///< bytes; of one element
    shape what = shape::reg;
    mediant::kind kind = mediant::kind::rw;
    from backing = from::device;
    on hook = on::nothing;
    std::uint64_t value = 0;   ///< the constant, or what a shadow holds at open and after reset; in a block, of each byte
    std::uint32_t count = 1;   ///< elements
    bool indexed = false;      ///< an array or a register file though it has one element: hooks are given its index
    std::uint64_t stride = 0;  ///< from element to element, bytes
    width widths = width::any;
    otherwise on_other_width = otherwise::refuse;
    bool read_has_effect = false; ///< the device's register; it is never read but for the user
    mediant::doorbell doorbell = mediant::doorbell::none;
    std::uint64_t rung_by = 0;    ///< the value of a matched doorbell
    std::string_view target{};    ///< of an alias
    std::uint16_t first_field = 0;
    std::uint16_t field_count = 0;
    bool nested = false; ///< stood as an array or a register file in a register file, which cannot be

    [[nodiscard]] constexpr range where() const noexcept { return {offset, size}; }
    [[nodiscard]] constexpr range where(std::uint64_t element) const noexcept { return {offset + element * stride, size}; }
    [[nodiscard]] constexpr bool is_register() const noexcept { return what == shape::reg; }
    [[nodiscard]] constexpr bool is_array() const noexcept { return indexed || count != 1; }

    /// Whether this is the entry of a name, "NAME" or "GROUP.NAME".
    [[nodiscard]] constexpr bool is_named(std::string_view full) const noexcept {
        if (group.empty()) return full == name;
        return full.size() == group.size() + 1 + name.size() && full[group.size()] == '.' && full.starts_with(group) &&
               full.ends_with(name);
    }
    [[nodiscard]] constexpr std::size_t name_size() const noexcept {
        return name.size() + (group.empty() ? 0 : group.size() + 1);
    }
    /// Character i of the full name.
    [[nodiscard]] constexpr char name_at(std::size_t i) const noexcept {
        if (group.empty()) return name[i];
        return i < group.size() ? group[i] : i == group.size() ? '.' : name[i - group.size() - 1];
    }

    /// Whether all of it is as the device has it, so that it is named and no more. (Fields may say otherwise.)
    [[nodiscard]] constexpr bool plain() const noexcept {
        return (what == shape::reg || what == shape::block) && kind == mediant::kind::rw && backing == from::device &&
               hook == on::nothing && widths == width::any;
    }
};

/// Whether reading an entry's shadow or device register changes it.
[[nodiscard]] constexpr bool reading_changes(const entry& e) noexcept {
    return e.read_has_effect || effect_of_read(e.kind) != read_effect::none;
}

} // namespace mediant
