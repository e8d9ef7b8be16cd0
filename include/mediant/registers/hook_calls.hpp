// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/dispatch.hpp>
#include <mediant/registers/backing.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>

/// Calls of hooks: from an entry that is known at run time to the function that was written for it.
namespace mediant::detail {

/// Host: see engine.hpp.
template <const auto& Map, class Host>
struct hooks {
    [[nodiscard]] static consteval bool has_hooks(on which) {
        for (const std::uint16_t index : hooked_entries<Map>)
            if (has(Map.entries.data()[index].hook, which)) return true;
        return false;
    }

    /// What f<Index>() returns for the hooked entry that is known at run time.
    template <on Which, class R, class F>
    [[gnu::always_inline]] static constexpr R visit_hook(const trapped_entry& e, R otherwise, const F& f) {
        return dispatch<hooked_entries<Map>.size(), true>(
            e.hook, otherwise, [&f, &otherwise]<std::size_t I>() __attribute__((always_inline)) {
                constexpr std::size_t index = hooked_entries<Map>[I];
                if constexpr (has(Map.entries[index].hook, Which))
                    return f.template operator()<index>();
                else
                    return otherwise;
            });
    }

    /// Each hook has a function of its own, for whole registers, so that it is jumped to, from wherever.
    template <std::size_t Index>
    using hook_value = std::conditional_t<
        Map.entries[Index].size == 8, std::uint64_t,
        std::conditional_t<Map.entries[Index].size == 4, std::uint32_t,
                           std::conditional_t<Map.entries[Index].size == 2, std::uint16_t, std::uint8_t>>>;
    template <std::size_t Index>
    [[gnu::noinline]] static constexpr outcome read_hooked(Host host, const trapped_entry& e, std::byte* bytes) {
        const result<std::uint64_t> value = Host::template read_hook<Index>(host, e.element);
        if (!value) return packed(0, value.error());
        store_bytes(bytes, static_cast<hook_value<Index>>(*value));
        return packed(sizeof(hook_value<Index>));
    }
    template <std::size_t Index>
    [[gnu::noinline]] static constexpr outcome write_hooked(Host host, const trapped_entry& e, const std::byte* bytes) {
        constexpr std::size_t size = sizeof(hook_value<Index>);
        const result<void> done =
            Host::template write_hook<Index>(host, e.element, load_bytes<hook_value<Index>>(bytes), low_bytes(size));
        return done ? packed(size) : packed(0, done.error());
    }

    [[gnu::always_inline]] static constexpr outcome call_read(Host host, const trapped_entry& e, std::byte* bytes) {
        return visit_hook<on::read>(e, packed(0, error::io), [&]<std::size_t Index>() __attribute__((always_inline)) {
            return read_hooked<Index>(host, e, bytes);
        });
    }
    [[gnu::always_inline]] static constexpr outcome call_write(Host host, const trapped_entry& e,
                                                               const std::byte* bytes) {
        return visit_hook<on::write>(e, packed(0, error::io), [&]<std::size_t Index>() __attribute__((always_inline)) {
            return write_hooked<Index>(host, e, bytes);
        });
    }

    /// A write with a hook of any width: hooks that take lanes get those that were written, others all of the register.
    static constexpr outcome write_lanes(Host host, const trapped_entry& e, std::uint64_t offset,
                                         std::span<const std::byte> from) {
        const bool whole = from.size() == e.size();
        if constexpr (!verified)
            if (whole) return call_write(host, e, from.data());
        const unsigned shift = static_cast<unsigned>(8 * (offset - e.offset));
        std::uint64_t value = load_part(from) << shift;
        const std::uint64_t mask = low_bytes(from.size()) << shift;
        if (!whole && !takes_lanes(e)) {
            const result<std::uint64_t> filled = fill_up(host, e, value, mask);
            if (!filled) return packed(0, filled.error());
            value = *filled;
            if constexpr (!verified) {
                alignas(8) std::byte bytes[8]{};
                store_bytes(bytes, value);
                const answer done = unpacked(call_write(host, e, bytes));
                return done.error == error::none ? packed(from.size()) : packed(0, done.error);
            }
        }
        // Where the verifier reads along, each hook is met once.
        const result<void> done = visit_hook<on::write>(
            e, result<void>{error::io}, [&]<std::size_t Index>() __attribute__((always_inline)) {
                if constexpr (verified || Host::template takes_lanes<Index>())
                    return Host::template write_hook<Index>(host, e.element, value, mask);
                else
                    return result<void>{error::io};
            });
        return done ? packed(from.size()) : packed(0, done.error());
    }

    [[nodiscard]] static constexpr bool takes_lanes(const trapped_entry& e) noexcept {
        if constexpr (has_lanes_hooks)
            return fillings.data()[bounded(e.hook, fillings.size())].lanes;
        else
            return false;
    }

    /// How partial writes of each hooked entry are filled up.
    struct filling : write_filling {
        bool lanes = false; ///< not at all: the hook takes lanes
    };
    static constexpr auto fillings = []<std::size_t... I>(std::index_sequence<I...>) {
        [[maybe_unused]] constexpr auto of = []<std::size_t Index>() {
            if constexpr (has(Map.entries[Index].hook, on::write)) {
                if constexpr (Host::template takes_lanes<Index>()) return filling{{}, true};
                return filling{filling_of<Map>(Map.entries[Index])};
            } else {
                return filling{};
            }
        };
        return std::array<filling, sizeof...(I)>{of.template operator()<hooked_entries<Map>[I]>()...};
    }(std::make_index_sequence<hooked_entries<Map>.size()>{});
    static constexpr bool has_lanes_hooks = [] {
        for (const filling& f : fillings)
            if (f.lanes) return true;
        return false;
    }();

    /// A hook that takes full widths only gets a partial write filled up: with bits that change nothing where the
    /// kind has such, else with what the register holds. Where neither can be, as for wo, wc and w1, or where reading
    /// any of the register has effects, the write is refused.
    [[gnu::noinline]] static constexpr result<std::uint64_t> fill_up(Host host, const trapped_entry& e,
                                                                     std::uint64_t value, std::uint64_t mask) {
        const write_filling& filling = fillings.data()[bounded(e.hook, fillings.size())];
        if ((filling.unknown & ~mask) != 0) return error::invalid;
        value |= filling.ones & ~mask;
        if ((filling.held & ~mask) != 0) {
            alignas(8) std::byte bytes[8]{};
            const std::span<std::byte> held{bytes, bounded(static_cast<std::size_t>(e.size()), sizeof bytes + 1)};
            const answer known = backing<Map, Host>{host}.read_backing(e, {Map.region, e.offset, held});
            if (known.count != held.size()) return shortfall(known);
            value |= load_part(held) & filling.held & ~mask;
        }
        return value;
    }
};

} // namespace mediant::detail
