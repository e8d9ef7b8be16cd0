// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/text.hpp>
#include <mediant/provider/info.hpp>
#include <mediant/provider/valid.hpp>

#include <array>
#include <concepts>
#include <cstddef>

/// The providers of a program, put together and checked at compile time.
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
[[nodiscard]] consteval bool good_rule(const pci_id& rule) {
    for (const std::uint32_t id : {rule.vendor, rule.device, rule.subvendor, rule.subdevice})
        if (id != any_id && id > 0xffff) return false;
    return rule.class_code <= 0xff'ffff && rule.class_mask <= 0xff'ffff;
}

template <class P>
[[nodiscard]] consteval bool repeats_rule() {
    for (std::size_t i = 0; i < P::info.rules.size(); ++i)
        for (std::size_t j = i + 1; j < P::info.rules.size(); ++j)
            if (P::info.rules[i] == P::info.rules[j]) return true;
    return false;
}
template <class P>
[[nodiscard]] consteval bool good_rules() {
    for (const pci_id& rule : P::info.rules)
        if (!good_rule(rule)) return false;
    return true;
}

/// Whether two providers have rules of one rank that some device matches both.
template <class A, class B>
[[nodiscard]] consteval bool ties() {
    for (const pci_id& a : A::info.rules)
        for (const pci_id& b : B::info.rules)
            if (a.rank() == b.rank() && a.meets(b)) return true;
    return false;
}

template <class P>
[[nodiscard]] consteval bool check_provider() {
    static_assert(provider_policy<P>, "mediant: a provider has `static constexpr auto info = provider{name, {rules}}`");
    if constexpr (provider_policy<P>) { // else one error is enough
        constexpr auto& name = provider_name<P>;
        static_cast<void>(check_provider_name<good_name(P::info.name), name>{});
        static_cast<void>(check_class_mask<good_rules<P>(), name>{});
        static_cast<void>(check_duplicate_rule<!repeats_rule<P>(), name>{});
    }
    return valid<P>;
}

template <class P, class... Others>
[[nodiscard]] consteval bool check_against() {
    (static_cast<void>(check_unique_provider<(P::info.name != Others::info.name), provider_name<P>>{}), ...);
    (static_cast<void>(check_tie<!ties<P, Others>(), provider_name<P>, provider_name<Others>>{}), ...);
    return true;
}

template <class... Providers>
struct check_pairs {
    static constexpr bool ok = true;
};
template <class P, class... Rest>
struct check_pairs<P, Rest...> {
    static constexpr bool ok = check_against<P, Rest...>() && check_pairs<Rest...>::ok;
};

} // namespace detail

/// Providers, in any order. Which serves a device follows from their rules: the best rule goes first.
template <class... Providers>
struct registry {
    static_assert((detail::check_provider<Providers>() && ...));
    static_assert(detail::check_pairs<Providers...>::ok);

    static constexpr std::size_t size = sizeof...(Providers);
    static constexpr std::size_t npos = ~std::size_t{0};

    /// The providers that match a device, best rule first.
    struct candidates {
        std::array<std::size_t, size == 0 ? 1 : size> indices{};
        std::size_t count = 0;

        [[nodiscard]] constexpr const std::size_t* begin() const noexcept { return indices.data(); }
        [[nodiscard]] constexpr const std::size_t* end() const noexcept { return indices.data() + count; }
    };
    [[nodiscard]] static constexpr candidates matches(const device_id& id) noexcept {
        candidates out;
        std::array<unsigned, size == 0 ? 1 : size> ranks{};
        std::size_t index = 0;
        [[maybe_unused]] const auto consider = [&](unsigned rank) {
            if (rank != 0) {
                std::size_t at = out.count++;
                for (; at > 0 && ranks[at - 1] < rank; --at) {
                    ranks[at] = ranks[at - 1];
                    out.indices[at] = out.indices[at - 1];
                }
                ranks[at] = rank;
                out.indices[at] = index;
            }
            ++index;
        };
        (consider(Providers::info.rank_for(id)), ...);
        return out;
    }

    /// The provider with the best rule for a device, or npos.
    [[nodiscard]] static constexpr std::size_t find(const device_id& id) noexcept {
        const candidates all = matches(id);
        return all.count == 0 ? npos : all.indices[0];
    }

    /// The provider of this name, or npos.
    [[nodiscard]] static constexpr std::size_t find([[maybe_unused]] std::string_view name) noexcept {
        std::size_t index = 0;
        const bool found = ((Providers::info.name == name ? true : (++index, false)) || ...);
        return found ? index : npos;
    }

    /// Calls `f.template operator()<P>()` with the provider at `index`; false where there is none. No virtual call.
    template <class F>
    static constexpr bool visit(std::size_t index, F&& f) {
        std::size_t i = 0;
        return ((i++ == index && (static_cast<void>(f.template operator()<Providers>()), true)) || ...);
    }

    /// Calls `f.template operator()<P>()` for each provider, in the order in which they are listed.
    template <class F>
    static constexpr void for_each(F&& f) {
        (static_cast<void>(f.template operator()<Providers>()), ...);
    }
};

} // namespace mediant
