// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/provider/layer_state.hpp>
#include <mediant/provider/migration_checks.hpp>
#include <mediant/provider/traits.hpp>
#include <mediant/registers/checks.hpp>
#include <mediant/registers/config_checks.hpp>

#include <concepts>
#include <cstddef>
#include <type_traits>
#include <utility>

/// Compile-time checks of a policy. A hook with a wrong name, type or arity would leave its register unmediated
/// in silence, so marks in the map and hooks of the policy must agree, both ways.
namespace mediant {

namespace detail {

template <bool Ok, class Policy, text Name>
struct check_read_hook {
    static_assert(Ok, "mediant: the map marks a register with on::read, but the policy has no "
                      "read(at<map, \"NAME\">, auto& next); the name is the last argument of check_read_hook");
};
template <bool Ok, class Policy, text Name>
struct check_write_hook {
    static_assert(Ok, "mediant: the map marks a register with on::write, but the policy has no "
                      "write(at<map, \"NAME\">, value, auto& next); the name is the last argument of check_write_hook");
};
template <bool Ok, class Policy, text Name>
struct check_read_hook_parameters {
    static_assert(Ok, "mediant: a read hook's parameters are (at<map, \"NAME\">, auto& next), with the element's "
                      "std::size_t second for an array; the name is the last argument of check_read_hook_parameters");
};
template <bool Ok, class Policy, text Name>
struct check_write_hook_parameters {
    static_assert(Ok, "mediant: a write hook's parameters are (at<map, \"NAME\">, value, auto& next), with the "
                      "element's std::size_t second for an array; the name is the last argument of "
                      "check_write_hook_parameters");
};
template <bool Ok, class Policy, text Name>
struct check_write_hook_value {
    static_assert(Ok, "mediant: a write hook's value has the unsigned type of the register's width, or is lanes<> of "
                      "it; the name is the last argument of check_write_hook_value");
};
template <bool Ok, class Policy, text Name>
struct check_read_hook_result {
    static_assert(Ok, "mediant: a read hook returns result<T>, T the unsigned type of the register's width; the name "
                      "is the last argument of check_read_hook_result");
};
template <bool Ok, class Policy, text Name>
struct check_write_hook_result {
    static_assert(Ok, "mediant: a write hook returns result<void>; the name is the last argument of "
                      "check_write_hook_result");
};
template <bool Ok, class Policy, text Name>
struct check_read_mark {
    static_assert(Ok, "mediant: the policy has a read hook for a register that the map does not mark with on::read; "
                      "the name is the last argument of check_read_mark");
};
template <bool Ok, class Policy, text Name>
struct check_write_mark {
    static_assert(Ok, "mediant: the policy has a write hook for a register that the map does not mark with on::write; "
                      "the name is the last argument of check_write_mark");
};
template <bool Ok, class Policy, text Name>
struct check_written_hook {
    static_assert(Ok, "mediant: the map marks a register with on::written, but the policy has no "
                      "written(at<map, \"NAME\">, lanes<>, auto& next) that returns result<void>; the name is the last "
                      "argument of check_written_hook");
};
template <bool Ok, class Policy, text Name>
struct check_written_mark {
    static_assert(Ok, "mediant: the policy has a written hook for a register that the map does not mark with "
                      "on::written; the name is the last argument of check_written_mark");
};
template <bool Ok, class Policy>
struct check_map_listed {
    static_assert(Ok, "mediant: the policy has a region map that its `regions` does not list");
};

template <bool Ok, class Policy, text Name>
struct check_dynamic_reach {
    static_assert(Ok, "mediant: a dynamic range cannot be mapped: the policy's own read or write op sees every access to "
                      "its region, or its config map keeps that part of the BAR from the user; its name is the last "
                      "argument of check_dynamic_reach");
};

template <bool Ok, class Policy, class Request>
struct check_ioctl {
    static_assert(Ok, "mediant: an ioctl op takes (const R&, auto& next), R a request, and returns result<R::answer>; "
                      "the request is the last argument of check_ioctl");
};

/// Stands for a device in checks: has every service.
struct probe_lower {
    unsigned max_access() const noexcept;
    result<std::uint64_t> load(region_index, std::uint64_t, unsigned);
    result<void> store(region_index, std::uint64_t, unsigned, std::uint64_t);
    void log(const char*, std::uint64_t = 0, std::uint64_t = 0, std::uint64_t = 0);
    result<void> trigger(irq_index, std::uint32_t);
    void dirty(std::uint64_t, std::uint64_t);
    result<void> revoke(region_index, range);
    void regions_changed();
    probe_lower& dma();
};
/// Convert to anything, or to one type only, for asking which parameters a function takes. (One type with both
/// conversions would be ambiguous for every parameter.)
struct anything {
    template <class T> operator T() const;
};
struct any_reference {
    template <class T> operator T&() const;
};
template <class T>
struct exactly {
    template <std::same_as<T> U> operator U() const;
};

/// How an op or hook can be called, whatever its result.
template <class P, class... A> concept calls_read = requires(P& p, A&... a) { p.read(a...); };
template <class P, class... A> concept calls_write = requires(P& p, A&... a) { p.write(a...); };
template <class P, class... A> concept calls_open = requires(P& p, A&... a) { p.open(a...); };
template <class P, class... A> concept calls_release = requires(P& p, A&... a) { p.release(a...); };
template <class P, class... A> concept calls_reset = requires(P& p, A&... a) { p.reset(a...); };
template <class P, class... A> concept calls_ioctl = requires(P& p, A&... a) { p.ioctl(a...); };

template <class P, class... A> concept calls_written = requires(P& p, A&... a) { p.written(a...); };

/// The same with the index of the element after the tag, for the registers of an array.
template <class P, class Tag, class... A>
concept calls_read_at = (Tag::is_array && calls_read<P, Tag, std::size_t, A...>) || (!Tag::is_array && calls_read<P, Tag, A...>);
template <class P, class Tag, class... A>
concept calls_write_at = (Tag::is_array && calls_write<P, Tag, std::size_t, A...>) || (!Tag::is_array && calls_write<P, Tag, A...>);

/// Whether a class has any member of a name: a second one of that name makes it ambiguous. Spares a map of
/// thousands of registers the question of hooks for each.
struct has_a_read { int read; };
struct has_a_write { int write; };
struct has_a_written { int written; };
template <class P, class Other> struct both : P, Other {};
template <class P> concept names_read = std::is_final_v<P> || !requires { &both<P, has_a_read>::read; };
template <class P> concept names_write = std::is_final_v<P> || !requires { &both<P, has_a_write>::write; };
template <class P> concept names_written = std::is_final_v<P> || !requires { &both<P, has_a_written>::written; };

/// The same, public data apart. What is private would not be seen, and be left out in silence; so that a policy keeps
/// private data under other names. Not asked of a final class.
struct has_a_regions { int regions; };
struct has_an_open { int open; };
struct has_a_release { int release; };
struct has_a_reset { int reset; };
struct has_an_ioctl { int ioctl; };
template <class P> concept derivable = !std::is_final_v<P>;
template <class P> concept names_regions = derivable<P> && !requires { &both<P, has_a_regions>::regions; };
template <class P>
concept names_open = derivable<P> && !requires { &both<P, has_an_open>::open; } && !requires(P& p) { p.open; };
template <class P>
concept names_release =
    derivable<P> && !requires { &both<P, has_a_release>::release; } && !requires(P& p) { p.release; };
template <class P>
concept names_reset = derivable<P> && !requires { &both<P, has_a_reset>::reset; } && !requires(P& p) { p.reset; };
template <class P>
concept names_ioctl = derivable<P> && !requires { &both<P, has_an_ioctl>::ioctl; } && !requires(P& p) { p.ioctl; };

template <class P, class Tag, class Next>
concept any_read_hook =
    names_read<P> && (calls_read<P, Tag, Next> || calls_read<P, Tag> || calls_read<P, Tag, Next, anything> ||
                      calls_read<P, Tag, anything, Next>);
template <class P, class Tag, class Next>
concept write_hook_of_some_value = calls_write_at<P, Tag, anything, Next> || calls_write_at<P, Tag, any_reference, Next>;
template <class P, class Tag, class Next>
concept any_write_hook =
    names_write<P> && (write_hook_of_some_value<P, Tag, Next> || calls_write<P, Tag, anything, Next> ||
                       calls_write<P, Tag, Next> || calls_write<P, Tag> || calls_write<P, Tag, anything> ||
                       calls_write<P, Tag, Next, anything> || calls_write<P, Tag, anything, Next, anything> ||
                       calls_write<P, Tag, anything, anything, Next>);
template <class P, class Tag, class Next>
concept any_written_hook =
    names_written<P> && (calls_written<P, Tag, anything, Next> || calls_written<P, Tag, Next> || calls_written<P, Tag> ||
                         calls_written<P, Tag, anything, anything, Next>);

template <class P, const auto& Map, std::size_t I, class Next>
[[nodiscard]] consteval bool check_hooks_of_entry() {
    using tag = entry_tag<Map, I>;
    using value = typename tag::value_type;
    constexpr auto& name = name_text<Map, I>;
    constexpr on marks = Map.entries[I].hook;
    if constexpr (!has(marks, on::read)) {
        static_cast<void>(check_read_mark<!any_read_hook<P, tag, Next>, P, name>{});
    } else if constexpr (!has_read_hook<P, tag, Next>) {
        if constexpr (calls_read_at<P, tag, Next>)
            static_cast<void>(check_read_hook_result<false, P, name>{});
        else if constexpr (any_read_hook<P, tag, Next>)
            static_cast<void>(check_read_hook_parameters<false, P, name>{});
        else
            static_cast<void>(check_read_hook<false, P, name>{});
    }
    if constexpr (!has(marks, on::write)) {
        static_cast<void>(check_write_mark<!any_write_hook<P, tag, Next>, P, name>{});
    } else {
        constexpr bool plain = calls_write_at<P, tag, exactly<value>, Next>;
        constexpr bool in_lanes = calls_write_at<P, tag, exactly<lanes<value>>, Next>;
        if constexpr (plain || in_lanes)
            static_cast<void>(
                check_write_hook_result<has_write_hook<P, tag, Next> || has_lanes_hook<P, tag, Next>, P, name>{});
        else if constexpr (write_hook_of_some_value<P, tag, Next>)
            static_cast<void>(check_write_hook_value<false, P, name>{});
        else if constexpr (any_write_hook<P, tag, Next>)
            static_cast<void>(check_write_hook_parameters<false, P, name>{});
        else
            static_cast<void>(check_write_hook<false, P, name>{});
    }
    if constexpr (!has(marks, on::written))
        static_cast<void>(check_written_mark<!any_written_hook<P, tag, Next>, P, name>{});
    else
        static_cast<void>(check_written_hook<has_written_hook<P, tag, Next>, P, name>{});
    return true;
}

template <class P, const auto& Map, class Next>
[[nodiscard]] consteval bool check_hooks() {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
        // An array, since compilers bound how far a fold expression nests.
        const bool each[] = {check_hooks_of_entry<P, Map, I, Next>()..., true};
        bool all = true;
        for (const bool ok : each) all &= ok;
        return all;
    }(std::make_index_sequence<Map.entries.size()>{});
}

/// Writes of config space pass as they are, so that what the map names is observed at most.
template <class P, const auto& Map, std::size_t I, class Next>
[[nodiscard]] consteval bool check_config_hooks_of() {
    if constexpr (!Map.entries[I].name.empty()) {
        using tag = entry_tag<Map, I>;
        constexpr auto& name = config_name<Map, I>;
        static_cast<void>(check_config_read_hook<!any_read_hook<P, tag, Next>, name>{});
        static_cast<void>(check_config_write_passes<!any_write_hook<P, tag, Next>, name>{});
        if constexpr (Map.entries[I].what == config_entry::shape::observe)
            static_cast<void>(check_config_hook<has_written_hook<P, tag, Next>, name>{});
        else
            static_cast<void>(check_config_written_mark<!any_written_hook<P, tag, Next>, name>{});
    }
    return true;
}
template <class P, const auto& Map, class Next>
[[nodiscard]] consteval bool check_config_hooks() {
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
        return (check_config_hooks_of<P, Map, I, Next>() && ...);
    }(std::make_index_sequence<Map.entries.size()>{});
}

template <const auto&... Maps>
[[nodiscard]] consteval bool regions_differ(regions<Maps...>) {
    std::uint64_t seen = 0;
    bool differ = true;
    static_cast<void>(((differ &= (seen >> static_cast<unsigned>(Maps.region) & 1) == 0,
                        seen |= std::uint64_t{1} << static_cast<unsigned>(Maps.region)), ...));
    return differ;
}

/// A map under one of the usual names is meant to be used.
template <class P>
[[nodiscard]] consteval bool check_listed() {
    constexpr auto all = maps_of<P>();
    if constexpr (requires { P::bar0.entries; }) static_cast<void>(check_map_listed<lists<P::bar0>(all), P>{});
    if constexpr (requires { P::bar1.entries; }) static_cast<void>(check_map_listed<lists<P::bar1>(all), P>{});
    if constexpr (requires { P::bar2.entries; }) static_cast<void>(check_map_listed<lists<P::bar2>(all), P>{});
    if constexpr (requires { P::bar3.entries; }) static_cast<void>(check_map_listed<lists<P::bar3>(all), P>{});
    if constexpr (requires { P::bar4.entries; }) static_cast<void>(check_map_listed<lists<P::bar4>(all), P>{});
    if constexpr (requires { P::bar5.entries; }) static_cast<void>(check_map_listed<lists<P::bar5>(all), P>{});
    if constexpr (requires { P::config.entries; })
        static_cast<void>(check_map_listed<lists<P::config>(config_maps_of<P>()), P>{});
    return true;
}

template <class P, class Next>
[[nodiscard]] consteval bool check_ops() {
    if constexpr (names_open<P> || calls_open<P, Next> || calls_open<P> || calls_open<P, Next, anything>)
        static_assert(requires(P& p, Next& next) { { p.open(next) } -> std::same_as<result<void>>; },
                      "mediant: open takes (auto& next) and returns result<void>, and is public");
    if constexpr (names_release<P> || calls_release<P, Next> || calls_release<P> || calls_release<P, Next, anything>)
        static_assert(requires(P& p, Next& next) { { p.release(next) } -> std::same_as<void>; },
                      "mediant: release takes (auto& next) and returns nothing, and is public");
    if constexpr (names_reset<P> || calls_reset<P> || calls_reset<P, Next> || calls_reset<P, anything>)
        static_assert(requires(P& p) { { p.reset() } -> std::same_as<void>; },
                      "mediant: reset takes nothing and returns nothing: it touches no device, and is public");
    if constexpr (calls_read<P, read_access, Next> || calls_read<P, read_access> || calls_read<P, write_access, Next>)
        static_assert(requires(P& p, read_access a, Next& next) { { p.read(a, next) } -> std::same_as<answer>; },
                      "mediant: a read op takes (read_access, auto& next) and returns answer");
    if constexpr (calls_write<P, write_access, Next> || calls_write<P, write_access> || calls_write<P, read_access, Next>)
        static_assert(requires(P& p, write_access a, Next& next) { { p.write(a, next) } -> std::same_as<answer>; },
                      "mediant: a write op takes (write_access, auto& next) and returns answer");
    static_assert(!(has_read<P, Next> || has_write<P, Next>) || !std::is_same_v<decltype(maps_of<P>()), regions<>>,
                  "mediant: a read or write op sees the regions that the policy has maps of, and it has none");
    return true;
}

template <class P, class R, class Next>
concept good_ioctl = requires(P& p, const R& what, Next& next) {
    { p.ioctl(what, next) } -> std::same_as<result<typename R::answer>>;
};
template <class P, class Next, request... R>
[[nodiscard]] consteval bool check_ioctls() {
    static_assert(!names_ioctl<P> || (calls_ioctl<P, R, Next> || ...) || (calls_ioctl<P, R> || ...),
                  "mediant: the policy has an ioctl that takes no request, or is not public");
    (static_cast<void>(
         check_ioctl<good_ioctl<P, R, Next> || !(calls_ioctl<P, R, Next> || calls_ioctl<P, R>), P, R>{}), ...);
    return true;
}

/// A dynamic range that could never be mapped: nothing would come of switching it.
template <class P, const auto& Map, class Next>
[[nodiscard]] consteval bool check_dynamic_ranges() {
    constexpr std::uint64_t reach = [] {
        std::uint64_t out = has_read<P, Next> || has_write<P, Next> ? 0 : ~std::uint64_t{0};
        any_map(config_maps_of<P>(), [&out]<const auto& Config>() {
            const std::uint64_t stated = stated_reach<Config>(Map.region);
            if (stated < out) out = stated;
            return false;
        });
        return out;
    }();
    constexpr std::size_t bad = first_bad<Map>(
        [](const entry& e) { return e.what == entry::shape::dynamic && e.where().end() > reach; });
    if constexpr (bad != Map.npos) static_cast<void>(check_dynamic_reach<false, P, name_text<Map, bad>>{});
    return bad == Map.npos;
}

template <class P>
[[nodiscard]] consteval bool check_policy() {
    static_assert(std::is_default_constructible_v<P>, "mediant: a policy is default-constructible: an open makes one");
    static_assert(std::is_trivially_copyable_v<P>,
                  "mediant: a policy is trivially copyable: its state is one blob that a kernel can hold");
    static_assert(requires { P::regions; } || !names_regions<P>,
                  "mediant: the policy's `regions` is not public, so that its maps would not be seen");
    using next = next_of<layer<P, bottom<probe_lower>>>;
    bool ok = check_ops<P, next>() && check_listed<P>() &&
              check_ioctls<P, next, get_device_info, get_region_info, get_irq_info, set_irqs, reset_device, map_dma,
                           unmap_dma, start_dma_logging, stop_dma_logging, report_dma_logging>();
    static_assert(regions_differ(maps_of<P>()), "mediant: a policy has one map of each region");
    any_map(maps_of<P>(), [&]<const auto& Map>() {
        ok = ok && check_map<Map>() && check_dynamic_ranges<P, Map, next>() && check_hooks<P, Map, next>();
        return false;
    });
    static_assert(map_count(config_maps_of<P>()) <= 1, "mediant: a policy has one config map");
    any_map(config_maps_of<P>(), [&]<const auto& Map>() {
        ok = ok && check_config_map<Map>() && check_config_hooks<P, Map, next>();
        return false;
    });
    return ok && check_migration<P, next>();
}

} // namespace detail

/// `static_assert(valid<edu>);`: checks a policy and its maps, with a message for each mistake.
template <class Policy>
inline constexpr bool valid = detail::check_policy<Policy>();

} // namespace mediant
