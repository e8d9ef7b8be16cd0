// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/text.hpp>
#include <mediant/provider/rule_conflicts.hpp>
#include <mediant/provider/rule_index.hpp>
#include <mediant/provider/valid.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

/// What is worked out of the providers of a registry, and checked, at compile time.
namespace mediant {

/// A policy with a name and the IDs that it matches.
template <class P>
concept provider_policy = requires {
    P::info.name;
    P::info.rules;
    P::info.rank_for(device_id{});
};

namespace detail {

template <bool Ok, text First, text Second>
struct check_tie {
    static_assert(Ok, "mediant: two providers tie for some device: their rules rank alike and both can match it; the "
                      "providers' names are the arguments of check_tie");
};
template <bool Ok, text Name>
struct check_duplicate_rule {
    static_assert(Ok, "mediant: a rule stands twice; the provider's name is the argument of check_duplicate_rule");
};
template <bool Ok, text Name>
struct check_provider_name {
    static_assert(Ok, "mediant: a provider's name is lower-case letters, digits and '_', as it becomes part of a "
                      "module's name; the name is the argument of check_provider_name");
};
template <bool Ok, text Name>
struct check_unique_provider {
    static_assert(Ok, "mediant: two providers have the same name, the argument of check_unique_provider");
};
template <bool Ok, text Name>
struct check_listed_once {
    static_assert(Ok, "mediant: a provider is listed twice, perhaps by two registries that are joined; its name is the "
                      "argument of check_listed_once");
};
template <bool Ok, text Name>
struct check_class_mask {
    static_assert(Ok, "mediant: a rule's IDs have 16 bits, its class and class mask 24; the provider's name is the "
                      "argument of check_class_mask");
};

template <class P>
inline constexpr auto provider_name = text<P::info.name.size()>{P::info.name};

[[nodiscard]] consteval bool good_name(std::string_view name) {
    for (const char c : name)
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_') return false;
    return !name.empty();
}
[[nodiscard]] constexpr bool good_rule(const pci_id& r) {
    return (r.vendor == any_id || r.vendor <= 0xffff) && (r.device == any_id || r.device <= 0xffff) &&
           (r.subvendor == any_id || r.subvendor <= 0xffff) && (r.subdevice == any_id || r.subdevice <= 0xffff) &&
           r.class_code <= 0xff'ffff && r.class_mask <= 0xff'ffff;
}
template <class P>
[[nodiscard]] consteval bool good_rules() {
    const pci_id* const rules = P::info.rules.data();
    for (std::size_t i = 0; i < P::info.rules.size(); ++i)
        if (!good_rule(rules[i])) return false;
    return true;
}

template <class P>
[[nodiscard]] consteval bool check_provider() {
    static_assert(provider_policy<P>, "mediant: a provider has `static constexpr auto info = provider{name, {rules}}`");
    if constexpr (provider_policy<P>) { // else one error is enough
        constexpr auto& name = provider_name<P>;
        static_cast<void>(check_provider_name<good_name(P::info.name), name>{});
        static_cast<void>(check_class_mask<good_rules<P>(), name>{});
    }
    return valid<P>;
}

/// The providers by number.
template <std::size_t I, class P>
struct numbered {
    using type = P;
};
template <class Numbers, class... Providers>
struct numbered_all;
template <std::size_t... I, class... Providers>
struct numbered_all<std::index_sequence<I...>, Providers...> : numbered<I, Providers>... {};
template <std::size_t I, class P>
numbered<I, P> number(const numbered<I, P>&);

/// What is worked out of a registry's providers at compile time. Pack expansions stand in arrays, since compilers bound
/// how far a fold expression nests; each static member is a constant expression of its own, since they bound how many
/// steps one may take.
template <class... Providers>
struct roster {
    static constexpr std::size_t size = sizeof...(Providers);
    static constexpr std::string_view names[size + 1] = {Providers::info.name..., {}};
    static constexpr std::size_t rule_count = [] {
        std::size_t n = 0;
        for (const std::size_t each : {std::size_t{0}, Providers::info.rules.size()...}) n += each;
        return n;
    }();
    template <std::size_t I>
    using at = typename decltype(number<I>(
        std::declval<numbered_all<std::make_index_sequence<size>, Providers...>>()))::type;

    static constexpr std::array<owned_rule, rule_count> rules = [] {
        std::array<owned_rule, rule_count> out{};
        struct { const pci_id* rules; std::size_t count; } const all[] = {
            {Providers::info.rules.data(), Providers::info.rules.size()}..., {nullptr, 0}};
        owned_rule* to = out.data();
        for (std::uint32_t p = 0; p < size; ++p)
            for (std::size_t i = 0; i < all[p].count; ++i, ++to) {
                to->rule = all[p].rules[i];
                to->provider = p;
                to->rank = to->rule.rank();
            }
        return out;
    }();
    static constexpr rule_index<rule_count> index{rules};

    // Checks.

    /// Two providers of one name.
    static constexpr rule_conflict repeated_name = [] {
        constexpr std::size_t slots = hash_slots(size);
        std::array<std::uint32_t, slots> slot{}; // 1 + number
        for (std::uint32_t i = 0; i < size; ++i) {
            std::uint64_t hash = 0;
            for (const char c : names[i]) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100'0000'01b3;
            std::size_t at = hash_of(hash, 0) & (slots - 1);
            for (; slot[at] != 0; at = (at + 1) & (slots - 1))
                if (names[slot[at] - 1] == names[i]) return rule_conflict{true, slot[at] - 1, i};
            slot[at] = i + 1;
        }
        return rule_conflict{};
    }();

    static constexpr shaped_rules<rule_count> shaped{rules};
    static constexpr auto pairs = pairs_of<shaped.pairs()>(shaped);
    template <std::size_t I>
    static constexpr rule_conflict conflict_of_pair =
        conflict_between<hash_slots(shaped.count(pairs[I].first))>(shaped, pairs[I]);
    static constexpr rule_conflict conflict = []<std::size_t... I>(std::index_sequence<I...>) {
        for (const rule_conflict& each : {rule_conflict{}, conflict_of_pair<I>...})
            if (each.found) return each.first <= each.second ? each : rule_conflict{true, each.second, each.first};
        return rule_conflict{};
    }(std::make_index_sequence<pairs.size()>{});
};

template <class... Providers>
[[nodiscard]] consteval bool check_together() {
    using all = roster<Providers...>;
    constexpr rule_conflict alike = all::repeated_name;
    constexpr rule_conflict conflict = all::conflict;
    using first = typename all::template at<alike.found ? alike.first : conflict.first>;
    using second = typename all::template at<alike.found ? alike.second : conflict.second>;
    if constexpr (alike.found && std::is_same_v<first, second>)
        static_cast<void>(check_listed_once<false, provider_name<first>>{});
    else if constexpr (alike.found)
        static_cast<void>(check_unique_provider<false, provider_name<first>>{});
    else if constexpr (conflict.is_duplicate())
        static_cast<void>(check_duplicate_rule<false, provider_name<first>>{});
    else if constexpr (conflict.is_tie())
        static_cast<void>(check_tie<false, provider_name<first>, provider_name<second>>{});
    return true;
}

template <class... Providers>
[[nodiscard]] consteval bool check_providers() {
    const bool each[] = {check_provider<Providers>()..., true};
    for (const bool ok : each)
        if (!ok) return false;
    return true;
}

/// Whether the rules can be looked at: a provider that is wrong has its own message.
template <class P>
inline constexpr bool has_good_rules = [] {
    if constexpr (provider_policy<P>)
        return good_rules<P>();
    else
        return false;
}();
template <class... Providers>
inline constexpr bool have_good_rules = [] {
    for (const bool good : {true, has_good_rules<Providers>...})
        if (!good) return false;
    return true;
}();

} // namespace detail

} // namespace mediant
