// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/pci/config_space.hpp>
#include <mediant/registers/config_layout.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

/// What a config map knows of an open device.
namespace mediant::detail {

/// Up to `Most` small values.
template <class T, std::size_t Most>
struct short_list {
    std::array<T, Most> all{};
    std::uint8_t count = 0;

    /// False where it is full.
    [[nodiscard]] constexpr bool add(const T& one) noexcept {
        if (count == Most) return false;
        all[count++] = one;
        return true;
    }
    [[nodiscard]] constexpr const T* begin() const noexcept { return all.data(); }
    [[nodiscard]] constexpr const T* end() const noexcept { return all.data() + count; }
};

/// A pointer to the next capability that is overlaid: that of the capability at `at`.
struct list_link {
    std::uint16_t at = 0;
    std::uint16_t next = 0;
};

/// What is overlaid on a list of capabilities. A device with more that is hidden than there is room for is declined.
struct list_edits {
    static constexpr std::size_t most = 16;
    short_list<list_link, 2 * most> links;
    short_list<config_range, most> hidden;
    std::uint16_t head = 0; ///< of the first 256 bytes' list
};

/// A BAR as the user sees it.
struct shaped_bar {
    std::uint64_t visible = 0; ///< bytes
    std::uint64_t below = 0;   ///< bytes that the device has
    std::uint64_t written = 0; ///< to its register or registers
    std::uint8_t flags = 0;    ///< the bits of the register that say what it is
    bool wide = false;
};

struct no_edits {};

template <const auto& Map>
struct config_state {
    static constexpr bool edits_capabilities = edits_list<Map>(anchor::to::capability);
    static constexpr bool edits_extended = edits_list<Map>(anchor::to::extended_capability);
    static constexpr std::uint16_t absent = 0xffff;

    std::array<std::uint16_t, Map.entries.size()> where{}; ///< each entry's offset in config space, or absent
    [[no_unique_address]] std::conditional_t<edits_capabilities, list_edits, no_edits> capabilities{};
    std::array<shaped_bar, bar_statements<Map>.size()> bars{};
    std::array<std::byte, config_shadow_bytes<Map>> shadows{};
    std::uint8_t command = 0; ///< what was written to its first byte
    [[no_unique_address]] std::conditional_t<edits_extended, list_edits, std::array<no_edits, 0>> extended{};

    [[nodiscard]] constexpr std::uint64_t visible_size(region_index region) const noexcept {
        const std::size_t place = bar_place<Map>(region);
        return place < bars.size() ? bars.data()[place].visible : ~std::uint64_t{0};
    }
    /// How far the layer below goes on, where that is another matter than what is seen.
    [[nodiscard]] constexpr std::uint64_t below_size(region_index region) const noexcept {
        const std::size_t place = bar_place<Map>(region);
        return place < bars.size() ? bars.data()[place].below : ~std::uint64_t{0};
    }
    /// Whether the device can have answers for a region: a synthesised BAR only while COMMAND says so.
    [[nodiscard]] constexpr bool enabled(region_index region) const noexcept {
        const std::size_t place = bar_place<Map>(region);
        if (place >= bars.size()) return true;
        const bar_statement& bar = bar_statements<Map>.data()[place];
        return !bar.synthesised() || (command & (bar.what == bar_statement::kind::io ? 1 : 2)) != 0;
    }

    [[nodiscard]] constexpr std::byte* shadow_of(std::size_t entry) noexcept {
        return shadows.data() + config_shadow_places<Map>[entry];
    }

    /// Shadows hold their reset values again, and a synthesised I/O BAR is off, as virtio's variant driver has it
    /// (drivers/vfio/pci/virtio/legacy_io.c); addresses in BARs stay, as vfio-pci restores them.
    constexpr void reset() noexcept {
        for (const bar_statement& each : bar_statements<Map>)
            if (each.what == bar_statement::kind::io) command = static_cast<std::uint8_t>(command & ~1u);
        for (std::size_t i = 0; i < Map.entries.size(); ++i) {
            const config_entry& e = Map.entries.data()[i];
            if (e.what == config_entry::shape::shadow)
                for (std::size_t k = 0; k < e.size; ++k) shadow_of(i)[k] = std::byte{e.value_at(k)};
            if (e.what == config_entry::shape::add && e.in_shadow)
                for (std::size_t k = 0; k < e.size; ++k)
                    shadow_of(i)[k] = std::byte{Map.values.data()[e.first_byte + k]};
        }
    }
};

} // namespace mediant::detail
