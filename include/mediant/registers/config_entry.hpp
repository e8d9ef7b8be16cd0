// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/pci/config_space.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

/// What a config map consists of.
namespace mediant {

/// What an offset counts from: config space, or a capability that is found when the device is opened (the first of
/// its ID; where the device has none, what is stated of it has no effect).
struct anchor {
    enum class to : std::uint8_t { space, capability, extended_capability };
    to where = to::space;
    std::uint16_t id = 0;

    constexpr anchor() = default;
    constexpr anchor(cap which) noexcept : where{to::capability}, id{static_cast<std::uint16_t>(which)} {}
    constexpr anchor(extended_cap which) noexcept
        : where{to::extended_capability}, id{static_cast<std::uint16_t>(which)} {}

    friend constexpr bool operator==(anchor, anchor) = default;
};

/// What is stated of a base address register. Number 6 is the expansion ROM's.
struct bar_statement {
    enum class kind : std::uint8_t { resized, half, hidden, io, memory };
    kind what = kind::hidden;
    std::uint8_t number = 0;
    bool wide = false;         ///< 64 bits, of a synthesised one
    bool prefetchable = false; ///< of a synthesised one
    std::uint64_t size = 0;    ///< bytes that the user sees

    [[nodiscard]] constexpr bool synthesised() const noexcept { return what == kind::io || what == kind::memory; }
};

/// One statement of a config map.
struct config_entry {
    enum class shape : std::uint8_t { nothing, constant, shadow, swallow, observe, hide, add, bar };

    std::string_view name{}; ///< of what hooks and `next` may name
    shape what = shape::nothing;
    anchor in{};                  ///< of a capability that is hidden or added: itself
    std::uint16_t offset = 0;     ///< from the anchor; of an added capability: in config space
    std::uint16_t size = 0;       ///< bytes
    std::uint16_t first_byte = 0; ///< of a constant and of an added capability: in the map's values and masks
    bool in_shadow = false;       ///< of an added capability: its body can be written
    bool fits = true;             ///< a stated number has no more bits than its register
    std::uint64_t value = 0;      ///< of a shadow, at open and after reset; bytes beyond the eighth are 0
    std::uint64_t writable = ~std::uint64_t{0}; ///< of a shadow, likewise; bytes beyond the eighth are writable
    bar_statement bar{};

    static constexpr std::uint32_t count = 1; // as a region map's entry has it
    [[nodiscard]] static constexpr bool is_array() noexcept { return false; }

    [[nodiscard]] constexpr bool is_named(std::string_view the_name) const noexcept {
        return !name.empty() && name == the_name;
    }
    /// Whether it answers for bytes of its own: its ID or constant or shadow.
    [[nodiscard]] constexpr bool answers() const noexcept {
        return size != 0 && (what == shape::constant || what == shape::shadow || what == shape::add);
    }
    [[nodiscard]] constexpr bool is_fixed() const noexcept {
        return what == shape::add || (what != shape::hide && what != shape::bar && in.where == anchor::to::space);
    }
    [[nodiscard]] constexpr std::uint8_t value_at(std::size_t i) const noexcept {
        return i < 8 ? static_cast<std::uint8_t>(value >> (8 * i)) : std::uint8_t{0};
    }
    [[nodiscard]] constexpr std::uint8_t writable_at(std::size_t i) const noexcept {
        return i < 8 ? static_cast<std::uint8_t>(writable >> (8 * i)) : std::uint8_t{0xff};
    }
};

/// Whether two statements contradict each other where their bytes meet. Writes may be observed by one beside another,
/// and swallowed where only some bits of a byte are constant.
[[nodiscard]] constexpr bool contradict(const config_entry& a, const config_entry& b) noexcept {
    using shape = config_entry::shape;
    if (a.answers() && b.answers()) return true;
    const auto swallows = [](const config_entry& e) { return e.what == shape::swallow && e.size != 0; };
    const auto holds = [](const config_entry& e) { return e.answers() && e.what != shape::constant; };
    return (swallows(a) && (swallows(b) || holds(b))) || (swallows(b) && holds(a));
}

} // namespace mediant
