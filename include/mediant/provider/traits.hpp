// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/verified.hpp>
#include <mediant/provider/next.hpp>
#include <mediant/registers/config_map.hpp>
#include <mediant/registers/trap_table.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <type_traits>

/// What a policy has: its maps, and which ops it implements.
namespace mediant::detail {

/// Maps whose type a predicate names.
template <bool Config, const auto&... Maps>
struct selected_maps {
    using type = regions<>;
};
template <bool Config, const auto& First, const auto&... Rest>
struct selected_maps<Config, First, Rest...> {
    template <const auto&... Others>
    static consteval auto before(regions<Others...>) {
        if constexpr (is_config_map<std::remove_cvref_t<decltype(First)>> == Config)
            return regions<First, Others...>{};
        else
            return regions<Others...>{};
    }
    using type = decltype(before(typename selected_maps<Config, Rest...>::type{}));
};
template <bool Config, const auto&... Maps>
[[nodiscard]] consteval auto select_maps(regions<Maps...>) {
    return typename selected_maps<Config, Maps...>::type{};
}

/// A policy's region maps.
template <class Policy>
[[nodiscard]] consteval auto maps_of() {
    if constexpr (requires { Policy::regions; })
        return select_maps<false>(Policy::regions);
    else
        return regions<>{};
}

/// Its config map, as a list of one or none.
template <class Policy>
[[nodiscard]] consteval auto config_maps_of() {
    if constexpr (requires { Policy::regions; })
        return select_maps<true>(Policy::regions);
    else
        return regions<>{};
}
template <class Policy>
inline constexpr bool has_config_map = !std::is_same_v<decltype(config_maps_of<Policy>()), regions<>>;

/// Calls f<Map>() for each map until one answers true; of a policy's region maps, as maps_of gives them.
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

/// Whether two names are of one map: as template arguments, since under kernels' flags g++ 12 cannot compare addresses
/// in a constant expression.
template <const auto& Map>
struct map_name {};
template <const auto& A, const auto& B>
inline constexpr bool same_map = std::is_same_v<map_name<A>, map_name<B>>;

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

template <const auto&... Maps>
[[nodiscard]] consteval std::size_t map_count(regions<Maps...>) {
    return sizeof...(Maps);
}
/// A map's place among a policy's maps.
template <const auto& Map, const auto&... Maps>
[[nodiscard]] consteval std::size_t place_of(regions<Maps...>) {
    std::size_t place = 0;
    static_cast<void>(((same_map<Map, Maps> || (++place, false)) || ...));
    return place;
}

/// The elements of one entry in their run-time form, also of an entry that is only named.
template <const auto& Map, std::size_t Index>
inline constexpr auto elements_of = [] {
    std::array<trapped_entry, Map.entries[Index].count> out{};
    const auto& all = trapped_entries<Map>;
    for (std::uint32_t i = 0; i < out.size(); ++i) {
        out[i] = trapped_entry{Map.entries[Index], Index, i};
        const auto* const found =
            std::lower_bound(all.data(), all.data() + all.size(), out[i].offset,
                             [](const trapped_entry& e, std::uint64_t offset) { return e.offset < offset; });
        if (found != all.data() + all.size() && found->index == Index) out[i] = *found;
    }
    return out;
}();

/// Whether a read, or a write, without a hook goes to the device and nowhere else.
template <const auto& Map, std::size_t Index>
inline constexpr bool simply_read =
    Map.entries[Index].field_count == 0 && reading(Map.entries[Index]) == treatment::pass;
template <const auto& Map, std::size_t Index>
inline constexpr bool simply_written =
    Map.entries[Index].field_count == 0 && writing(Map.entries[Index]) == treatment::pass;

/// The bit of a dynamic range among those of its map.
template <const auto& Map, std::size_t Index>
inline constexpr std::uint8_t dynamic_bit = [] {
    unsigned before = 0;
    for (std::size_t i = 0; i < Index; ++i) before += Map.entries[i].what == entry::shape::dynamic ? 1u : 0u;
    return static_cast<std::uint8_t>(1u << before);
}();

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

/// Hooks of an array's registers are given the index of the element before the rest.
template <class P, class Tag, class Next>
concept has_read_hook = requires(P& p, Next& next, std::size_t element) {
    requires requires {
        requires !Tag::is_array;
        { p.read(Tag{}, next) } -> std::same_as<result<typename Tag::value_type>>;
    } || requires {
        requires Tag::is_array;
        { p.read(Tag{}, element, next) } -> std::same_as<result<typename Tag::value_type>>;
    };
};
template <class P, class Tag, class Next, class Value = typename Tag::value_type>
concept has_write_hook = requires(P& p, Next& next, std::size_t element, Value value) {
    requires requires {
        requires !Tag::is_array;
        { p.write(Tag{}, value, next) } -> std::same_as<result<void>>;
    } || requires {
        requires Tag::is_array;
        { p.write(Tag{}, element, value, next) } -> std::same_as<result<void>>;
    };
};
template <class P, class Tag, class Next>
concept has_lanes_hook = has_write_hook<P, Tag, Next, lanes<typename Tag::value_type>>;
template <class P, class Tag, class Next>
concept has_written_hook = requires(P& p, Next& next, std::size_t element, lanes<typename Tag::value_type> value) {
    requires requires {
        requires !Tag::is_array;
        { p.written(Tag{}, value, next) } -> std::same_as<result<void>>;
    } || requires {
        requires Tag::is_array;
        { p.written(Tag{}, element, value, next) } -> std::same_as<result<void>>;
    };
};

/// Calls a hook with the element's index before the rest, if it is of an array. A policy may have an array of its own of
/// as many, where the verifier must see that the index is within; compilers are told, who else warn of one that is not.
template <class Tag, class F>
constexpr decltype(auto) with_element(std::size_t element, const F& f) {
    if constexpr (Tag::is_array) {
        constexpr std::size_t count = Tag::facts().count;
        if constexpr (verified)
            element = bounded(element, count);
        else if (element >= count)
            __builtin_unreachable();
        return f(element);
    } else {
        return f();
    }
}

} // namespace mediant::detail
