// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/little_endian.hpp>
#include <mediant/core/requests.hpp>
#include <mediant/pci/capability_list.hpp>
#include <mediant/pci/config_space.hpp>
#include <mediant/provider/traits.hpp>
#include <mediant/registers/trap_table.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>

/// Whether a device is one that a policy's region maps speak of. A rule may match a device of another make.
namespace mediant::detail {

/// A literal text and numbers to the world's log, where it has one.
template <class Below>
constexpr void log_to(Below& below, const char* literal, auto... numbers) {
    if constexpr (requires { below.device().log(literal, numbers...); }) below.device().log(literal, numbers...);
}

/// A dword of the config space below; false where it cannot be read.
template <class Below>
[[nodiscard]] constexpr bool load_config_dword(Below& below, std::uint32_t offset, std::uint32_t& dword) {
    std::byte bytes[4]{};
    if (below.read({region_index::config, offset, bytes}).count != sizeof bytes) return false;
    dword = load_bytes<std::uint32_t>(bytes);
    return true;
}

/// Whether a map has more than its region: than the device's BAR, and than what `shape` makes of that for the user. A
/// layer that does not say how large its regions are is believed.
template <const auto& Map, class Below, class Shape>
[[nodiscard]] constexpr bool exceeds_region(Below& below, const Shape& shape) {
    auto info = below.ioctl(get_region_info{Map.region});
    if (!info || info->size >= Map.size) return false;
    const std::uint64_t there = info->size;
    shape(Map.region, *info);
    if (info->size >= Map.size) return false;
    log_to(below, "declined: a BAR is smaller than its map (BAR, bytes, bytes of the map)",
           std::uint64_t{static_cast<std::uint32_t>(Map.region)}, there, std::uint64_t{Map.size});
    return true;
}

template <class Policy>
[[nodiscard]] constexpr bool traps_some_of(std::uint32_t number, std::uint64_t offset, std::uint64_t size) noexcept {
    bool some = false;
    visit_map<Policy>(bar{number}, [&]<const auto& Map>() {
        some = trap_table<Map>::untrapped(offset, size) != size;
    });
    return some;
}

/// Whether a map traps accesses to the MSI-X table or its pending bits, which stay the device's.
template <class Policy, class Below>
[[nodiscard]] constexpr bool traps_msix(Below& below) {
    const auto space = below.ioctl(get_region_info{region_index::config});
    if (!space || space->size < conventional_config_bytes) return false;
    const msix_structures msix = find_msix(
        [&below](std::uint32_t offset, std::uint32_t& dword) { return load_config_dword(below, offset, dword); });
    if (msix.table_size == 0 || !(traps_some_of<Policy>(msix.table_bar, msix.table_offset, msix.table_size) ||
                                  traps_some_of<Policy>(msix.pending_bar, msix.pending_offset, msix.pending_size)))
        return false;
    log_to(below, "declined: a region map traps accesses to the MSI-X table or its pending bits");
    return true;
}

/// Whether all region maps of a policy fit what is below it.
template <class Policy, class Below, class Shape>
[[nodiscard]] constexpr bool region_maps_fit([[maybe_unused]] Below& below, [[maybe_unused]] const Shape& shape) {
    if constexpr (std::is_same_v<decltype(maps_of<Policy>()), regions<>>)
        return true;
    else
        return !any_map(maps_of<Policy>(), [&]<const auto& Map>() { return exceeds_region<Map>(below, shape); }) &&
               !traps_msix<Policy>(below);
}

} // namespace mediant::detail
