// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/dispatch.hpp>
#include <mediant/core/result.hpp>
#include <mediant/provider/info.hpp>
#include <mediant/provider/roster.hpp>

#include <array>
#include <cstddef>
#include <string_view>

/// The providers of a program, put together and checked at compile time.
namespace mediant {

/// Providers, in any order. Which serves a device follows from their rules: the best rule goes first. Ten thousand
/// rules, of one provider or of hundreds, are checked and indexed within compilers' usual limits.
template <class... Providers>
struct registry {
private:
    static consteval bool check() {
        bool ok = detail::check_providers<Providers...>();
        if constexpr (size != 0 && detail::have_good_rules<Providers...>)
            ok = ok && detail::check_together<Providers...>();
        return ok;
    }
    using roster = detail::roster<Providers...>;

public:
    static constexpr std::size_t size = sizeof...(Providers);
    static constexpr std::size_t npos = ~std::size_t{0};
    static_assert(check());

    /// The providers that match a device, best rule first. No two have rules of one rank, so that they are few.
    struct candidates {
        std::array<std::size_t, size == 0 ? 1 : (size < 96 ? size : 96)> indices{};
        std::size_t count = 0;

        [[nodiscard]] constexpr const std::size_t* begin() const noexcept { return indices.data(); }
        [[nodiscard]] constexpr const std::size_t* end() const noexcept { return indices.data() + count; }
    };
    [[nodiscard]] static constexpr candidates matches(const device_id& id) noexcept {
        candidates out;
        std::array<unsigned, out.indices.size()> ranks{};
        roster::index.each_match(id, [&](const owned_rule& rule) {
            std::size_t at = 0;
            while (at < out.count && out.indices.data()[at] != rule.provider) ++at;
            if (at == out.count) {
                if (at == ranks.size()) return; // cannot be, but is bounded by itself
                ++out.count;
            } else if (ranks.data()[at] >= rule.rank) {
                return;
            }
            for (; at > 0 && ranks.data()[at - 1] < rule.rank; --at) {
                ranks.data()[at] = ranks.data()[at - 1];
                out.indices.data()[at] = out.indices.data()[at - 1];
            }
            ranks.data()[at] = rule.rank;
            out.indices.data()[at] = rule.provider;
        });
        return out;
    }

    /// The provider with the best rule for a device, or npos.
    [[nodiscard]] static constexpr std::size_t find(const device_id& id) noexcept {
        const auto best = roster::index.best(id);
        return best.rank == 0 ? npos : best.provider;
    }

    /// The provider of this name, or npos.
    [[nodiscard]] static constexpr std::size_t find(std::string_view name) noexcept {
        for (std::size_t i = 0; i < size; ++i)
            if (roster::names[i] == name) return i;
        return npos;
    }

    /// Offers a device to the providers that match it, best rule first, until one does not decline:
    /// `f.template operator()<P>()` answers result<void>, error::no_device where P declines. Gives the index of the one
    /// that took it, error::no_device where all declined, or the error of one that failed otherwise.
    template <class F>
    static constexpr result<std::size_t> offer(const device_id& id, F&& f) {
        for (const std::size_t index : matches(id)) {
            result<void> taken = error::no_device;
            visit(index, [&]<class P>() { taken = f.template operator()<P>(); });
            if (taken) return index;
            if (taken.error() != error::no_device) return taken.error();
        }
        return error::no_device;
    }

    /// Calls `f.template operator()<P>()` with the provider at `index`; false where there is none. No virtual call.
    template <class F>
    static constexpr bool visit(std::size_t index, F&& f) {
        return detail::dispatch<size>(index, false, [&f]<std::size_t I>() {
            static_cast<void>(f.template operator()<typename roster::template at<I>>());
            return true;
        });
    }

    /// Calls `f.template operator()<P>()` for each provider, in the order in which they are listed.
    template <class F>
    static constexpr void for_each(F&& f) {
        const bool each[] = {(static_cast<void>(f.template operator()<Providers>()), true)..., true};
        static_cast<void>(each);
    }
};

namespace detail {
template <class... Registries>
struct joined;
template <>
struct joined<> {
    using type = registry<>;
};
template <class... Providers>
struct joined<registry<Providers...>> {
    using type = registry<Providers...>;
};
template <class... A, class... B, class... Rest>
struct joined<registry<A...>, registry<B...>, Rest...> : joined<registry<A..., B...>, Rest...> {};
} // namespace detail

/// One registry of several, as different headers and targets define them: `join<acme::devices, other::devices>`. Names,
/// rules and ties are checked across all of them.
template <class... Registries>
using join = typename detail::joined<Registries...>::type;

} // namespace mediant
