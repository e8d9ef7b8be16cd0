// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/migration/saved_state.hpp>
#include <mediant/provider/migration_parties.hpp>
#include <mediant/provider/saved_layer.hpp>
#include <mediant/provider/traits.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <type_traits>

/// What would be wrong with a policy's part in a migration, asked at compile time: what is forgotten, or cannot be told
/// apart, is seen on the target only, and late.
namespace mediant::detail {

template <bool Ok, class Policy>
struct check_saved_map {
    static_assert(Ok, "mediant: a map keeps shadows, or has dynamic or shaped ranges, and is not in the policy's saved "
                      "state: add saved_registers<map>{}, once");
};
template <bool Ok, class Policy, std::size_t Place>
struct check_saved_part {
    static_assert(Ok, "mediant: a saved field's name has 1 to 255 characters and is no other's, nor a saved map's "
                      "register's; its place is the last "
                      "argument of check_saved_part");
};
template <bool Ok, class Policy, std::size_t Place>
struct check_saved_bounds {
    static_assert(Ok, "mediant: a saved enumerator has bounds, both if it is signed, since a stream may hold any number "
                      "({.most = ...}); its "
                      "place is the last argument of check_saved_bounds");
};
template <bool Ok, class Policy, std::size_t Place>
struct check_saved_since {
    static_assert(Ok, "mediant: a saved field is there since a version from 2 to its state's own, and its least value is "
                      "not above its most; its place is the last argument of check_saved_since");
};

/// Calls f<I>(part) for each part until one answers false.
template <class State, class F, std::size_t... I>
[[nodiscard]] consteval bool all_parts(const State& state, const F& f, std::index_sequence<I...>) {
    return (f.template operator()<I>(std::get<I>(state.parts)) && ...);
}
template <class... Parts, class F>
[[nodiscard]] consteval bool all_parts(const saved_state<Parts...>& state, const F& f) {
    return all_parts(state, f, std::index_sequence_for<Parts...>{});
}

/// Whether a saved map keeps a shadow of that name.
template <const auto& Map>
[[nodiscard]] constexpr bool has_register(const saved_registers<Map>&, std::string_view name) {
    for (const auto& e : Map.entries)
        if (e.name == name && !name.empty()) return true;
    return false;
}
template <class Part>
[[nodiscard]] constexpr bool has_register(const Part&, std::string_view) {
    return false;
}

template <class P, std::size_t I>
[[nodiscard]] consteval bool check_part() {
    constexpr auto state = P::migration();
    constexpr auto mine = std::get<I>(state.parts);
    using part = std::remove_cvref_t<decltype(mine)>;
    if constexpr (requires { mine.name; }) {
        constexpr bool no_register = all_parts(state, [name = mine.name]<std::size_t>(const auto& other) {
            return !has_register(other, name);
        });
        constexpr bool good = no_register && !mine.name.empty() && mine.name.size() <= 255 &&
                              all_parts(state, [name = mine.name]<std::size_t J>(const auto& other) {
                                  if constexpr (requires { other.name; })
                                      return I == J || other.name != name;
                                  else
                                      return true;
                              });
        static_cast<void>(check_saved_part<good, P, I>{});
    }
    if constexpr (requires { mine.member; }) {
        using number = typename part::number;
        constexpr auto range = mine.options;
        constexpr bool bounded = !std::is_enum_v<typename part::scalar> ||
                                 std::is_same_v<typename part::scalar, std::byte> ||
                                 (range.most != std::numeric_limits<number>::max() &&
                                  (std::is_unsigned_v<number> || range.least != std::numeric_limits<number>::min()));
        static_cast<void>(check_saved_bounds<bounded, P, I>{});
        static_cast<void>(check_saved_since<(range.since == 0 || range.since > 1) && range.since <= state.version &&
                                                range.least <= range.most,
                                            P, I>{});
    }
    return true;
}

template <const auto& Map, class P>
[[nodiscard]] consteval bool check_map_saved() {
    constexpr auto state = P::migration();
    std::size_t times = 0;
    static_cast<void>(all_parts(state, [&times]<std::size_t>(const auto& part) {
        if constexpr (std::is_same_v<std::remove_cvref_t<decltype(part)>, saved_registers<Map>>) ++times;
        return true;
    }));
    return times == 1 || (times == 0 && !keeps_shadows<Map>);
}

struct has_a_migration { int migration; };
struct has_a_quiesce { int quiesce; };
struct has_a_resume { int resume; };
struct has_a_quiesce_p2p { int quiesce_p2p; };
struct has_a_resume_p2p { int resume_p2p; };
struct has_a_save { int save; };
struct has_a_restore { int restore; };
struct has_a_restored { int restored; };
template <class P, class Probe>
struct beside : P, Probe {};
/// Whether a policy has something of a name, whatever it is.
template <class P> concept names_migration = requires { requires !requires { &beside<P, has_a_migration>::migration; }; };
template <class P> concept names_quiesce = requires { requires !requires { &beside<P, has_a_quiesce>::quiesce; }; };
template <class P> concept names_resume = requires { requires !requires { &beside<P, has_a_resume>::resume; }; };
template <class P>
concept names_quiesce_p2p = requires { requires !requires { &beside<P, has_a_quiesce_p2p>::quiesce_p2p; }; };
template <class P> concept names_resume_p2p = requires { requires !requires { &beside<P, has_a_resume_p2p>::resume_p2p; }; };
template <class P> concept names_save = requires { requires !requires { &beside<P, has_a_save>::save; }; };
template <class P> concept names_restore = requires { requires !requires { &beside<P, has_a_restore>::restore; }; };
template <class P> concept names_restored = requires { requires !requires { &beside<P, has_a_restored>::restored; }; };

/// Hooks of a migration are looked for where there is one, since a policy without may use the names.
template <class P, class Next>
[[nodiscard]] consteval bool check_migration() {
    if constexpr (!std::is_final_v<P> && !has_saved_state<P>)
        static_assert(!names_migration<P>, "mediant: a policy's migration() is a public static constexpr function that "
                                           "takes nothing and returns a saved_state");
    if constexpr (has_saved_state<P>) {
        constexpr auto state = P::migration();
        static_assert(state.version >= 1 && state.oldest >= 1 && state.oldest <= state.version,
                      "mediant: a saved state's version counts from 1, and the oldest that is still taken is not newer");
        static_cast<void>(all_parts(state, []<std::size_t I>(const auto&) { return check_part<P, I>(); }));
        any_map(maps_of<P>(), []<const auto& Map>() {
            static_cast<void>(check_saved_map<check_map_saved<Map, P>(), P>{});
            return false;
        });
        any_map(config_maps_of<P>(), []<const auto& Map>() {
            static_cast<void>(check_saved_map<check_map_saved<Map, P>(), P>{});
            return false;
        });
        if constexpr (!std::is_final_v<P>) {
            static_assert(!names_quiesce<P> || has_quiesce<P, Next>,
                          "mediant: a quiesce hook is public, takes (auto& next) and returns result<void>");
            static_assert(!names_resume<P> || has_resume<P, Next>,
                          "mediant: a resume hook is public, takes (auto& next) and returns result<void>");
            static_assert(!names_quiesce_p2p<P> || has_quiesce_p2p<P, Next>,
                          "mediant: a quiesce_p2p hook is public, takes (auto& next) and returns result<void>");
            static_assert(!names_resume_p2p<P> || has_resume_p2p<P, Next>,
                          "mediant: a resume_p2p hook is public, takes (auto& next) and returns result<void>");
            static_assert(!names_save<P> || has_save<P, Next>,
                          "mediant: a save hook is public, takes (std::uint64_t offset, std::span<std::byte> to, auto& "
                          "next) and returns result<std::size_t>");
            static_assert(!names_restore<P> || has_restore<P, Next>,
                          "mediant: a restore hook is public, takes (std::uint64_t offset, std::span<const std::byte> "
                          "from, auto& next) and returns result<void>");
            static_assert(!names_restored<P> || has_restored<P, Next>,
                          "mediant: a restored hook is public, takes (auto& next) and returns result<void>");
        }
        static_assert(has_quiesce<P, Next> == has_resume<P, Next>, "mediant: quiesce and resume come together");
        static_assert(has_quiesce_p2p<P, Next> == has_resume_p2p<P, Next>,
                      "mediant: quiesce_p2p and resume_p2p come together");
        static_assert(has_save<P, Next> == has_restore<P, Next>, "mediant: save and restore come together");
    }
    return true;
}

} // namespace mediant::detail
