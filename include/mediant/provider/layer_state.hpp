// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/provider/config_layer.hpp>
#include <mediant/provider/dynamic_state.hpp>
#include <mediant/provider/traits.hpp>
#include <mediant/registers/backing.hpp>

#include <cstddef>

namespace mediant {

/// What a layer keeps while its device is open: the policy, and what its maps hold. One value without pointers,
/// trivially copyable if the policy is, apart from the layer that works on it, so that a world may keep it where it
/// likes.
template <class Policy>
struct layer_state {
    static constexpr std::size_t shadow_size = detail::shadow_total(detail::maps_of<Policy>());

    constexpr layer_state() noexcept { reset_shadows(); }

    /// To what they hold at open and after reset.
    constexpr void reset_shadows() noexcept {
        detail::any_map(detail::maps_of<Policy>(), [this]<const auto& Map>() {
            detail::reset_shadow<Map>(this->template shadow_of<Map>());
            return false;
        });
    }
    template <const auto& Map>
    [[nodiscard]] constexpr std::byte* shadow_of() noexcept {
        return shadows + detail::shadow_base<Map>(detail::maps_of<Policy>());
    }

    Policy policy{};
    alignas(8) std::byte shadows[shadow_size == 0 ? 1 : shadow_size]{};
    detail::dynamic_state<detail::map_count(detail::maps_of<Policy>())> dynamics;
    [[no_unique_address]] detail::config_of<Policy> config{};
};

/// layer.hpp
template <class Policy, class Below, class State = layer_state<Policy>>
class layer;

} // namespace mediant
