// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/requests.hpp>
#include <mediant/provider/traits.hpp>
#include <mediant/registers/config_state.hpp>

#include <cstddef>
#include <cstdint>
#include <type_traits>

/// What a layer holds of its policy's config map, if there is one.
namespace mediant::detail {

/// Without a config map: nothing, and regions are what they are below.
struct no_config {
    static constexpr bool shapes_bars = false;
    static constexpr bool hides_irqs = false;
    constexpr void reset() noexcept {}
};

template <const auto& Map>
struct config_holder : config_state<Map> {
    static constexpr const auto& map = Map;
    static constexpr bool shapes_bars = bar_statements<Map>.size() != 0;
    static constexpr bool hides_irqs = hides_capability_of<Map>(cap::msi) || hides_capability_of<Map>(cap::msix);

    /// Whether the user sees no vectors of a kind, since it does not see the capability that has them.
    [[nodiscard]] static constexpr bool hides(irq_index index) noexcept {
        return (index == irq_index::msi && hides_capability_of<Map>(cap::msi)) ||
               (index == irq_index::msix && hides_capability_of<Map>(cap::msix));
    }

    /// How far a region may be mapped now: what is seen of it, and what is there to be mapped.
    [[nodiscard]] constexpr std::uint64_t reach(region_index region) const noexcept {
        const std::uint64_t visible = this->visible_size(region);
        const std::uint64_t below = this->below_size(region);
        return visible < below ? visible : below;
    }

    /// Region info as the user sees it.
    constexpr void shape(region_index region, get_region_info::answer& info) const noexcept {
        const std::size_t place = bar_place<Map>(region);
        if (place == bar_statements<Map>.size()) return;
        info.size = this->visible_size(region);
        if (info.size == 0)
            info.flags = region_flags::none;
        else if (bar_statements<Map>.data()[place].synthesised())
            info.flags = region_flags::read | region_flags::write;
    }

    /// An access to a region, with what the user cannot see of it left out.
    template <class Byte, class F>
    constexpr answer visible_part(const basic_access<Byte>& a, const F& f) const {
        if (!this->enabled(a.region)) return {0, error::io};
        const std::uint64_t size = this->visible_size(a.region);
        if (fits(a.offset, a.bytes.size(), size)) return f(a);
        if (a.offset >= size) return {0, error::invalid};
        const auto inside = static_cast<std::size_t>(size - a.offset);
        answer done = f(a.part(0, inside));
        if (done.count == inside) done.error = error::invalid;
        return done;
    }

    /// An access that passes: to the layer below as far as it goes. `beyond` is given the bytes behind its
    /// end, which count as done.
    template <class Byte, class F, class Beyond>
    constexpr answer below_part(const basic_access<Byte>& a, const F& f, const Beyond& beyond) const {
        const std::uint64_t size = this->below_size(a.region);
        if (fits(a.offset, a.bytes.size(), size)) return f(a);
        const std::size_t inside = a.offset < size ? static_cast<std::size_t>(size - a.offset) : 0;
        if (inside != 0) {
            const answer done = f(a.part(0, inside));
            if (done.count != inside) return done;
        }
        beyond(a.bytes.subspan(inside));
        return {a.bytes.size()};
    }
};

template <class Maps>
struct config_of_maps {
    using type = no_config;
};
template <const auto& Map, const auto&... More>
struct config_of_maps<regions<Map, More...>> {
    using type = config_holder<Map>;
};
template <class Policy>
using config_of = typename config_of_maps<std::remove_const_t<decltype(config_maps_of<Policy>())>>::type;

} // namespace mediant::detail
