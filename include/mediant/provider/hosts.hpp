// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/verified.hpp>
#include <mediant/provider/fit.hpp>
#include <mediant/provider/next.hpp>
#include <mediant/provider/traits.hpp>

#include <cstddef>
#include <cstdint>

/// What stands for a layer where its maps are carried out: its hooks, its shadows, and what is below it.
namespace mediant::detail {

/// Stands for a layer in the engine of one of its maps.
template <class Layer, const auto& Map>
struct map_host {
    using policy_type = typename Layer::policy_type;
    using next_type = typename Layer::next_type;

    Layer& self;

    template <std::size_t Index>
    using tag = entry_tag<Map, Index>;

    constexpr outcome below_read(region_index region, std::uint64_t offset, std::byte* bytes, std::size_t size) const {
        if constexpr (verified && requires { self.below().read_part({region, offset, {bytes, size}}); })
            return packed(self.below().read_part({region, offset, {bytes, size}}));
        else
            return Layer::read_below(self, region, offset, bytes, size);
    }
    constexpr outcome below_write(region_index region, std::uint64_t offset, const std::byte* bytes,
                                  std::size_t size) const {
        if constexpr (verified && requires { self.below().write_part({region, offset, {bytes, size}}); })
            return packed(self.below().write_part({region, offset, {bytes, size}}));
        else
            return Layer::write_below(self, region, offset, bytes, size);
    }
    constexpr std::byte* shadow() const noexcept { return self.template shadow_of<Map>(); }
    constexpr std::uint8_t trapped_dynamics() const noexcept { return self.template dynamics<Map>(); }

    template <std::size_t Index>
    static constexpr result<std::uint64_t> read_hook(map_host host, std::size_t element) {
        next_type next{host.self};
        const auto value = with_element<tag<Index>>(
            element, [&](auto... e) { return host.self.policy().read(tag<Index>{}, e..., next); });
        if (!value) return value.error();
        return std::uint64_t{*value};
    }

    template <std::size_t Index>
    static consteval bool takes_lanes() {
        return has_lanes_hook<policy_type, tag<Index>, next_type>;
    }

    template <std::size_t Index>
    static constexpr auto lanes_of(std::uint64_t value, std::uint64_t mask) noexcept {
        using value_type = typename tag<Index>::value_type;
        return lanes<value_type>{static_cast<value_type>(value), static_cast<value_type>(mask)};
    }

    template <std::size_t Index>
    static constexpr result<void> write_hook(map_host host, std::size_t element, std::uint64_t value,
                                             std::uint64_t mask) {
        next_type next{host.self};
        return with_element<tag<Index>>(element, [&](auto... e) {
            if constexpr (takes_lanes<Index>())
                return host.self.policy().write(tag<Index>{}, e..., lanes_of<Index>(value, mask), next);
            else
                return host.self.policy().write(tag<Index>{}, e..., lanes_of<Index>(value, mask).value, next);
        });
    }

    template <std::size_t Index>
    static constexpr result<void> written_hook(map_host host, std::size_t element, std::uint64_t value,
                                               std::uint64_t mask) {
        next_type next{host.self};
        return with_element<tag<Index>>(element, [&](auto... e) {
            return host.self.policy().written(tag<Index>{}, e..., lanes_of<Index>(value, mask), next);
        });
    }
};

/// Stands for a layer in what its config map does.
template <class Layer>
struct config_host {
    Layer& self;

    constexpr answer below_read(const read_access& a) const { return self.below_.read(a); }
    constexpr answer below_write(const write_access& a) const { return self.below_.write(a); }
    constexpr bool load(std::uint32_t offset, std::uint32_t& dword) const {
        return load_config_dword(self.below(), offset, dword);
    }
    constexpr std::uint64_t region_size(region_index region) const {
        const auto info = self.below_.ioctl(get_region_info{region});
        return info ? info->size : 0;
    }
    constexpr void log(const char* literal) const { log_to(self.below(), literal); }

    template <std::size_t Index>
    constexpr result<void> written(std::uint64_t value, std::uint64_t mask) const {
        using tag = entry_tag<Layer::config_type::map, Index>;
        using value_type = typename tag::value_type;
        typename Layer::next_type next{self};
        const lanes<value_type> how{static_cast<value_type>(value), static_cast<value_type>(mask)};
        return self.policy().written(tag{}, how, next);
    }
};

} // namespace mediant::detail
