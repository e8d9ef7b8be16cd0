// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/provider/next.hpp>
#include <mediant/registers/trap_table.hpp>

#include <concepts>
#include <cstddef>

/// What a policy has: its maps, and which ops it implements.
namespace mediant::detail {

template <class Policy>
[[nodiscard]] consteval auto maps_of() {
    if constexpr (requires { Policy::regions; })
        return Policy::regions;
    else
        return regions<>{};
}

/// Calls f<Map>() for each map until one answers true.
template <const auto&... Maps, class F>
constexpr bool any_map(regions<Maps...>, const F& f) {
    return (f.template operator()<Maps>() || ...);
}

/// Calls f<Map>() with the map of a region that is known at run time; false where the policy has none.
template <class Policy, class F>
constexpr bool visit_map(region_index region, const F& f) {
    return any_map(maps_of<Policy>(), [&]<const auto& Map>() {
        if (Map.region != region) return false;
        f.template operator()<Map>();
        return true;
    });
}

/// Whether two names are of one map. Maps of different lengths differ in type.
template <const auto& A, const auto& B>
inline constexpr bool same_map = static_cast<const void*>(&A) == static_cast<const void*>(&B);

/// Whether `regions` lists a map.
template <const auto& Map, const auto&... Maps>
[[nodiscard]] consteval bool lists(regions<Maps...>) {
    return (same_map<Map, Maps> || ...);
}

/// Where each map's shadows begin in the layer's storage; the storage's size for Map = none.
template <const auto&... Maps>
[[nodiscard]] consteval std::size_t shadow_total(regions<Maps...>) {
    return (std::size_t{0} + ... + shadow_bytes<Maps>);
}
template <const auto& Map, const auto&... Maps>
[[nodiscard]] consteval std::size_t shadow_base(regions<Maps...>) {
    std::size_t base = 0;
    static_cast<void>(((same_map<Map, Maps> || (base += shadow_bytes<Maps>, false)) || ...));
    return base;
}

template <class P, class Next>
concept has_open = requires(P& p, Next& next) { p.open(next); };
template <class P, class Next>
concept has_release = requires(P& p, Next& next) { p.release(next); };
template <class P>
concept has_reset = requires(P& p) { p.reset(); };
template <class P, class Next>
concept has_read = requires(P& p, read_access a, Next& next) { p.read(a, next); };
template <class P, class Next>
concept has_write = requires(P& p, write_access a, Next& next) { p.write(a, next); };
template <class P, class R, class Next>
concept has_ioctl = requires(P& p, const R& what, Next& next) { p.ioctl(what, next); };

template <class P, class Tag, class Next>
concept has_read_hook = requires(P& p, Next& next) {
    { p.read(Tag{}, next) } -> std::same_as<result<typename Tag::value_type>>;
};
template <class P, class Tag, class Next>
concept has_write_hook = requires(P& p, Next& next, typename Tag::value_type value) {
    { p.write(Tag{}, value, next) } -> std::same_as<result<void>>;
};
template <class P, class Tag, class Next>
concept has_lanes_hook = requires(P& p, Next& next, lanes<typename Tag::value_type> value) {
    { p.write(Tag{}, value, next) } -> std::same_as<result<void>>;
};

} // namespace mediant::detail
