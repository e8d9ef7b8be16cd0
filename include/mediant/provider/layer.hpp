// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/provider/next.hpp>
#include <mediant/provider/traits.hpp>
#include <mediant/registers/areas.hpp>
#include <mediant/registers/engine.hpp>

#include <cstddef>
#include <cstdint>

/// A policy over what is below it: its ops, its maps, and the state of both. Layers nest; the innermost stands on
/// a `bottom`. The whole is one value without pointers into itself, trivially copyable if its policies are.
namespace mediant {

template <class Policy, class Below>
class layer {
public:
    using policy_type = Policy;
    using below_type = Below;
    using next_type = next_of<layer>;

    constexpr explicit layer(Below below) noexcept : below_{below} { reset_shadows(); }

    [[nodiscard]] constexpr const Below& below() const noexcept { return below_; }
    [[nodiscard]] constexpr Below& below() noexcept { return below_; }
    [[nodiscard]] constexpr Policy& policy() noexcept { return policy_; }
    [[nodiscard]] constexpr auto& device() const noexcept { return below_.device(); }

    /// Opens what is below, then the policy. What a failed open had opened is released again.
    constexpr result<void> open() {
        result<void> opened = below_.open();
        if (!opened) return opened;
        if constexpr (detail::has_open<Policy, next_type>) {
            next_type next{*this};
            opened = policy_.open(next);
            if (!opened) below_.release();
        }
        return opened;
    }

    /// Releases the policy, then what is below.
    constexpr void release() {
        if constexpr (detail::has_release<Policy, next_type>) {
            next_type next{*this};
            policy_.release(next);
        }
        below_.release();
    }

    /// The device was reset: shadows hold their reset values again, and policies are told, innermost first.
    /// Touches no device.
    constexpr void reset() noexcept {
        if constexpr (requires { below_.reset(); }) below_.reset();
        reset_shadows();
        if constexpr (detail::has_reset<Policy>) policy_.reset();
    }

    constexpr answer read(const read_access& a) {
        using through = next_through_map<layer>;
        if constexpr (detail::has_read<Policy, through>) {
            if (has_map(a.region)) {
                through next{*this};
                return policy_.read(a, next);
            }
        }
        return read_map(a);
    }

    constexpr answer write(const write_access& a) {
        using through = next_through_map<layer>;
        if constexpr (detail::has_write<Policy, through>) {
            if (has_map(a.region)) {
                through next{*this};
                return policy_.write(a, next);
            }
        }
        return write_map(a);
    }

    template <request R>
    constexpr result<typename R::answer> ioctl(const R& what) {
        if constexpr (detail::has_ioctl<Policy, R, next_type>) {
            next_type next{*this};
            return policy_.ioctl(what, next);
        } else {
            return below_.ioctl(what);
        }
    }

    /// How a region goes on at `offset`, as far as `count` bytes: what this layer or one below traps.
    [[nodiscard]] static constexpr traps run(region_index region, std::uint64_t offset, std::uint64_t count) noexcept {
        traps mine{count, false};
        detail::visit_map<Policy>(region, [&]<const auto& Map>() {
            mine = traps_whole ? traps{count, true} : run_of<Map>(offset, count);
        });
        if constexpr (requires { Below::run(region, offset, count); }) {
            const traps under = Below::run(region, offset, mine.size);
            if (!mine.trapped) return under;
        }
        return mine;
    }

    /// The first stretch of whole pages at or after `from` that no layer traps; empty where there is none.
    [[nodiscard]] static constexpr range next_area(region_index region, std::uint64_t region_size,
                                                   std::uint64_t page_size, std::uint64_t from) noexcept {
        return untrapped_pages([region](std::uint64_t at, std::uint64_t count) { return run(region, at, count); },
                               region_size, page_size, from);
    }

    // What next offers of the policy's own maps.

    constexpr answer read_map(const read_access& a) {
        answer done;
        if (detail::visit_map<Policy>(a.region, [&]<const auto& Map>() {
                done = engine_of<Map>().read(a);
            }))
            return done;
        return below_.read(a);
    }

    constexpr answer write_map(const write_access& a) {
        answer done;
        if (detail::visit_map<Policy>(a.region, [&]<const auto& Map>() {
                done = engine_of<Map>().write(a);
            }))
            return done;
        return below_.write(a);
    }

    template <const auto& Map, std::size_t Index>
    [[nodiscard]] constexpr auto read_backing(entry_tag<Map, Index>) {
        using value_type = typename entry_tag<Map, Index>::value_type;
        check_named<Map, Index>();
        constexpr detail::trapped_entry e = backing_of<Map, Index>();
        std::byte bytes[sizeof(value_type)]{};
        const answer done = engine_of<Map>().read_backing(e, {Map.region, e.offset, bytes});
        if (done.count != sizeof bytes) return result<value_type>{done.error};
        return result<value_type>{detail::load_bytes<value_type>(bytes)};
    }

    template <const auto& Map, std::size_t Index>
    constexpr result<void> write_backing(entry_tag<Map, Index>, typename entry_tag<Map, Index>::value_type value) {
        check_named<Map, Index>();
        constexpr detail::trapped_entry e = backing_of<Map, Index>();
        std::byte bytes[sizeof value]{};
        detail::store_bytes(bytes, value);
        const answer done = engine_of<Map>().write_backing(e, {Map.region, e.offset, bytes});
        if (done.count != sizeof bytes) return done.error;
        return {};
    }

    template <const auto& Map, std::size_t Index>
    constexpr void assign_shadow(entry_tag<Map, Index>, typename entry_tag<Map, Index>::value_type value) noexcept {
        check_named<Map, Index>();
        detail::store_bytes(shadow_of<Map>() + backing_of<Map, Index>().shadow_at, value);
    }

private:
    /// A policy with read or write ops of its own sees every access to the regions that it has maps of.
    static constexpr bool traps_whole =
        detail::has_read<Policy, next_through_map<layer>> || detail::has_write<Policy, next_through_map<layer>>;

    static constexpr bool has_map(region_index region) noexcept {
        return detail::visit_map<Policy>(region, []<const auto& Map>() {});
    }

    template <const auto& Map>
    constexpr std::byte* shadow_of() noexcept {
        return shadows_ + detail::shadow_base<Map>(detail::maps_of<Policy>());
    }

    /// What a policy may name in next.read, write and assign.
    template <const auto& Map, std::size_t Index>
    static constexpr void check_named() noexcept {
        static_assert(Map.entries[Index].what == entry::shape::reg,
                      "mediant: only a register can be read, written or assigned by name, not a block or window");
        static_assert(detail::lists<Map>(detail::maps_of<Policy>()),
                      "mediant: the register's map is not in the policy's `regions`");
    }

    /// The run-time form of an entry, also of one that is only named.
    template <const auto& Map, std::size_t Index>
    static consteval detail::trapped_entry backing_of() {
        for (const detail::trapped_entry& e : trap_table<Map>::entries)
            if (e.index == Index) return e;
        return {Map.entries[Index], Index};
    }

    constexpr void reset_shadows() noexcept {
        detail::any_map(detail::maps_of<Policy>(), [this]<const auto& Map>() {
            for (const detail::trapped_entry& e : trap_table<Map>::entries) {
                const entry& stated = Map.entries[e.index];
                if (stated.backing != from::shadow) continue;
                std::byte* const at = this->template shadow_of<Map>() + e.shadow_at;
                for (std::uint64_t i = 0; i < e.size(); ++i)
                    at[i] = static_cast<std::byte>(stated.what == entry::shape::reg ? stated.value >> (8 * i) : stated.value);
            }
            return false;
        });
    }

    /// Stands for this layer in the engine of one map.
    template <const auto& Map>
    struct map_host {
        layer& self;

        template <std::size_t Position>
        using tag = entry_tag<Map, trap_table<Map>::entries[Position].index>;

        constexpr answer below_read(const read_access& a) const { return self.below_.read(a); }
        constexpr answer below_write(const write_access& a) const { return self.below_.write(a); }
        constexpr std::byte* shadow() const noexcept { return self.template shadow_of<Map>(); }

        template <std::size_t Position>
        constexpr result<std::uint64_t> read_hook() const {
            next_type next{self};
            const auto value = self.policy_.read(tag<Position>{}, next);
            if (!value) return value.error();
            return std::uint64_t{*value};
        }

        template <std::size_t Position>
        static consteval bool takes_lanes() {
            return detail::has_lanes_hook<Policy, tag<Position>, next_type>;
        }

        template <std::size_t Position>
        constexpr result<void> write_hook(std::uint64_t value, std::uint64_t mask) const {
            using value_type = typename tag<Position>::value_type;
            next_type next{self};
            if constexpr (takes_lanes<Position>())
                return self.policy_.write(
                    tag<Position>{}, lanes<value_type>{static_cast<value_type>(value), static_cast<value_type>(mask)},
                    next);
            else
                return self.policy_.write(tag<Position>{}, static_cast<value_type>(value), next);
        }
    };

    template <const auto& Map>
    constexpr auto engine_of() noexcept {
        return detail::engine<Map, map_host<Map>>{map_host<Map>{*this}};
    }

    static constexpr std::size_t shadow_size = detail::shadow_total(detail::maps_of<Policy>());

    Below below_;
    Policy policy_{};
    alignas(8) std::byte shadows_[shadow_size == 0 ? 1 : shadow_size]{};
};

} // namespace mediant
