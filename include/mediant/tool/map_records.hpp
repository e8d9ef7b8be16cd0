// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/kernel/provider_facts.hpp>
#include <mediant/registers/config_entry.hpp>
#include <mediant/registers/entry.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// A provider's maps at run time, without the provider's type: what drawings and tables are made from.
namespace mediant::command_line {

/// What an access to a register, a block or a field comes down to, in one word.
enum class look : std::uint8_t {
    pass,     ///< named, and left to the device
    trap,     ///< the device's, but seen by the provider: by its kind, its widths or a hook
    shadow,   ///< in the provider's state
    constant, ///< in the map
    mixed,    ///< fields that differ
    hide,     ///< as if nothing were there
    deny,     ///< refused
    dynamic,  ///< trapped or passed while the device runs
};
inline constexpr std::size_t look_count = 8;

struct field_facts {
    std::string_view name; ///< empty where the bits are reserved
    unsigned low;
    unsigned bits;
    mediant::kind kind;
    from backing;
    std::uint64_t value; ///< of a constant; of a shadow at open and after reset
    toward device;
    look what;

    [[nodiscard]] bool reserved() const noexcept { return name.empty(); }
};

/// One entry of a map; an alias has the facts of the register that it stands for.
struct entry_facts {
    std::string name;
    entry::shape shape;
    look what;
    bool trapped;
    mediant::kind kind;
    from backing;
    on hook;
    std::uint64_t offset; ///< bytes from the region's start; of the first element
    std::uint64_t size;   ///< bytes of one element
    std::uint32_t count;
    bool array; ///< also of one element
    std::uint64_t stride;
    width widths;
    mediant::otherwise otherwise;
    bool read_has_effect;
    std::string_view target;  ///< of an alias
    std::uint64_t reset;      ///< at open and after reset; in a block, of each byte
    std::uint64_t reset_bits; ///< those of `reset` that the map decides; the others are the device's
    std::vector<field_facts> fields;
    std::vector<std::uint8_t> bytes{}; ///< in config space: constants, of more than 8 bytes
    std::vector<std::string> more{};   ///< what else there is to say of it here, a sentence each

    [[nodiscard]] bool is_register() const noexcept {
        return shape == entry::shape::reg || shape == entry::shape::alias;
    }
    [[nodiscard]] std::uint64_t end() const noexcept { return offset + (count - 1) * stride + size; }
};

/// What of a region can be mapped with pages of one size.
struct area_facts {
    std::uint64_t page_size;
    std::vector<range> at_open;
    std::vector<range> untrapped; ///< while every dynamic range passes; the same where there is none
};

/// What a config map states of a capability. Where the device has it, and whether, is known when it is opened.
struct capability_facts {
    enum class change : std::uint8_t { hidden, added, edited };

    bool extended;
    std::uint16_t id;
    change what;
    std::uint16_t offset;      ///< of an edit: from the capability's beginning; of an added one: in config space
    std::uint16_t size;        ///< bytes; 0 of a hidden one
    look is;                   ///< of an edit, what the bytes are
    std::string_view name;     ///< of an edit; may be empty
    std::vector<std::uint8_t> bytes; ///< of constants and of what is added
    std::vector<std::uint8_t> masks; ///< the bits that those have; all where it is empty
    std::string note;
};

/// What a config map states of a BAR. Number 6 is the expansion ROM's.
struct bar_facts {
    bar_statement stated;
    std::string text; ///< "the lower half", "256 MiB", "none"
};

struct region_facts {
    region_index region;
    std::uint64_t size;
    std::vector<entry_facts> entries; ///< in the order of their offsets
    std::uint64_t shadow_bytes;       ///< that the map's shadows take
    bool has_dynamic;
    bool has_ops;                    ///< the policy's own read or write sees every access to the region
    std::array<area_facts, 3> areas; ///< for 4, 16 and 64 KiB
    std::uint64_t visible = ~std::uint64_t{0}; ///< bytes that the user sees of a BAR that a config map shapes
    std::string seen_as{};                     ///< what the user sees of such a BAR; empty of others
    std::vector<capability_facts> capabilities{}; ///< of config space
    std::vector<bar_facts> bars{};                ///< likewise

    [[nodiscard]] bool is_config() const noexcept { return region == region_index::config; }
};

struct map_facts {
    kernel::provider_facts provider;
    std::vector<region_facts> regions; ///< in the order of their numbers
};

} // namespace mediant::command_line
