// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/result.hpp>
#include <mediant/provider/dynamic_state.hpp>
#include <mediant/provider/traits.hpp>
#include <mediant/registers/map.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>

/// Dynamic ranges of a layer, and of those below it.
namespace mediant::detail {

/// next.trap and next.untrap: dynamic_state::change of one range.
template <const auto& Map, std::size_t Index, class Layer>
constexpr result<void> switch_dynamic(Layer& layer, bool trapped) {
    static_assert(Map.entries[Index].what == entry::shape::dynamic,
                  "mediant: only a dynamic range can be trapped and untrapped");
    static_assert(revokes<std::remove_cvref_t<decltype(layer.device())>>,
                  "mediant: this world cannot switch dynamic ranges");
    // What a policy says of it while a migration's stream is restored outlives what the stream says.
    auto& wanted = layer.dynamic_ranges().wanted(Layer::template map_place<Map>);
    wanted = static_cast<std::uint8_t>(trapped ? wanted | dynamic_bit<Map, Index> : wanted & ~dynamic_bit<Map, Index>);
    return layer.dynamic_ranges().change(layer.device(), Map.region, Layer::template map_place<Map>,
                                         dynamic_bit<Map, Index>, Map.entries[Index].where(), trapped);
}

template <const auto& Map, std::size_t Index, class Layer>
[[nodiscard]] constexpr bool dynamic_traps(const Layer& layer) noexcept {
    static_assert(Map.entries[Index].what == entry::shape::dynamic, "mediant: only a dynamic range is trapped at times");
    return (layer.template dynamics<Map>() & dynamic_bit<Map, Index>) != 0;
}

template <const auto& Map, std::size_t Index, class Layer>
[[nodiscard]] constexpr bool dynamic_will_trap(const Layer& layer) noexcept {
    static_assert(Map.entries[Index].what == entry::shape::dynamic, "mediant: only a dynamic range is trapped at times");
    return (layer.dynamic_ranges().wanted(Layer::template map_place<Map>) & dynamic_bit<Map, Index>) != 0;
}

/// Which ranges of a map a migration's stream wants trapped, a bit each, and carrying that out.
template <const auto& Map, class Layer>
[[nodiscard]] constexpr std::uint8_t& wanted_dynamics(Layer& layer) noexcept {
    return layer.dynamic_ranges().wanted(Layer::template map_place<Map>);
}
template <const auto& Map, class Layer>
constexpr result<void> switch_as_wanted(Layer& layer) {
    return layer.dynamic_ranges().change_as_wanted(layer.device(), Map.region, Layer::template map_place<Map>,
                                                   detail::dynamic_ranges<Map>);
}

/// Whether a layer, or one below it, has dynamic ranges.
template <class Layer>
[[nodiscard]] consteval bool have_dynamic_ranges() {
    if constexpr (requires { typename Layer::policy_type; }) {
        const bool mine = any_map(maps_of<typename Layer::policy_type>(), []<const auto& Map>() {
            return dynamic_ranges<Map>.size() != 0;
        });
        return mine || have_dynamic_ranges<typename Layer::below_type>();
    } else {
        return false;
    }
}

/// What users have given back traps from now on, where a policy has asked for it (dynamic_state::settle).
template <class Layer>
constexpr void settle_dynamic_ranges(Layer& layer) {
    if constexpr (have_dynamic_ranges<Layer>()) {
        any_map(maps_of<typename Layer::policy_type>(), [&]<const auto& Map>() {
            if constexpr (dynamic_ranges<Map>.size() != 0)
                layer.dynamic_ranges().settle(layer.device(), Map.region, Layer::template map_place<Map>,
                                              dynamic_ranges<Map>);
            return false;
        });
        settle_dynamic_ranges(layer.below());
    }
}

} // namespace mediant::detail
