// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/pci/capability_list.hpp>
#include <mediant/provider/config_layer.hpp>
#include <mediant/provider/dynamic_layers.hpp>
#include <mediant/provider/fit.hpp>
#include <mediant/provider/hosts.hpp>
#include <mediant/provider/layer_state.hpp>
#include <mediant/provider/next.hpp>
#include <mediant/provider/traits.hpp>
#include <mediant/registers/areas.hpp>
#include <mediant/registers/config_engine.hpp>
#include <mediant/registers/config_open.hpp>
#include <mediant/registers/engine.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

/// A policy over what is below it: its ops, its maps, and the state of both. Layers nest; the innermost stands on
/// a `bottom`. The whole is one value without pointers into itself, trivially copyable if its policies are.
namespace mediant {

/// What it keeps is its own, or, where State is a reference, somebody else's.
template <class Policy, class Below, class State>
class layer {
public:
    using policy_type = Policy;
    using below_type = Below;
    using next_type = next_of<layer>;

    constexpr explicit layer(Below below) noexcept
        requires(!std::is_reference_v<State>)
        : below_{below} {}
    /// On what an earlier layer of this kind has kept.
    constexpr layer(Below below, State kept) noexcept
        requires std::is_reference_v<State>
        : below_{below}, kept_{kept} {}

    [[nodiscard]] constexpr const Below& below() const noexcept { return below_; }
    [[nodiscard]] constexpr Below& below() noexcept { return below_; }
    [[nodiscard]] constexpr Policy& policy() noexcept { return kept_.policy; }
    [[nodiscard]] constexpr auto& device() const noexcept { return below_.device(); }

    /// Opens what is below, then the policy, if its maps fit the device. What a failed open had opened is released
    /// again.
    constexpr result<void> open() {
        result<void> opened = below_.open();
        if (!opened) return opened;
        opened = open_maps();
        if (!opened) {
            below_.release();
            return opened;
        }
        if constexpr (detail::has_open<Policy, next_type>) {
            next_type next{*this};
            opened = kept_.policy.open(next);
            if (!opened) below_.release();
        }
        return opened;
    }

    /// Releases the policy, then what is below.
    constexpr void release() {
        if constexpr (detail::has_release<Policy, next_type>) {
            next_type next{*this};
            kept_.policy.release(next);
        }
        below_.release();
    }

    /// The device was reset: shadows hold their reset values again, and policies are told, innermost first.
    /// Touches no device.
    constexpr void reset() noexcept {
        if constexpr (requires { below_.reset(); }) below_.reset();
        kept_.reset_shadows();
        kept_.config.reset();
        if constexpr (detail::has_reset<Policy>) kept_.policy.reset();
    }

    [[gnu::always_inline]] constexpr answer read(const read_access& a) {
        return detail::unpacked(read_at(a.region, a.offset, a.bytes.data(), a.bytes.size()));
    }
    [[gnu::always_inline]] constexpr answer write(const write_access& a) {
        return detail::unpacked(write_at(a.region, a.offset, a.bytes.data(), a.bytes.size()));
    }

    /// The same among functions: plain values, and one register back, so that they are jumped to.
    constexpr detail::outcome read_at(region_index region, std::uint64_t offset, std::byte* bytes, std::size_t size) {
        return read_here({region, offset, {bytes, size}});
    }
    constexpr detail::outcome write_at(region_index region, std::uint64_t offset, const std::byte* bytes,
                                       std::size_t size) {
        return write_here({region, offset, {bytes, size}});
    }

    /// The same inlined, for the one place from which a stack is entered.
    [[gnu::always_inline]] constexpr detail::outcome read_here(const read_access& a) {
        if constexpr (shapes_bars)
            return detail::packed(
                kept_.config.visible_part(a, [this](const read_access& part) { return detail::unpacked(read_seen(part)); }));
        else
            return read_seen(a);
    }
    [[gnu::always_inline]] constexpr detail::outcome write_here(const write_access& a) {
        if constexpr (shapes_bars)
            return detail::packed(kept_.config.visible_part(
                a, [this](const write_access& part) { return detail::unpacked(write_seen(part)); }));
        else
            return write_seen(a);
    }

    /// What a config map says of a BAR goes for region info, too, whatever the policy answers; and an MSI or MSI-X
    /// capability that it hides has no vectors, of which none can be set.
    template <request R>
    constexpr result<typename R::answer> ioctl(const R& what) {
        if constexpr (config_type::hides_irqs && std::is_same_v<R, get_irq_info>) {
            if (config_type::hides(what.index)) return get_irq_info::answer{};
        }
        if constexpr (config_type::hides_irqs && std::is_same_v<R, set_irqs>) {
            if (config_type::hides(what.index)) return error::invalid;
        }
        if constexpr (std::is_same_v<R, get_region_info> && shapes_bars) {
            auto out = answer_request(what);
            if (out) kept_.config.shape(what.region, *out);
            return out;
        } else {
            return answer_request(what);
        }
    }

    /// How a region goes on at `offset`, as far as `count` bytes: what this layer or one below traps when the device
    /// is opened, with every dynamic range trapped. It depends on the maps alone.
    [[nodiscard]] static constexpr traps run(region_index region, std::uint64_t offset, std::uint64_t count) noexcept {
        const auto all_trapped = []<const auto& Map>() { return std::uint8_t{0xff}; };
        std::uint64_t reach = ~std::uint64_t{0};
        if constexpr (shapes_bars) reach = detail::stated_reach<config_type::map>(region);
        const traps mine = own_run(region, offset, count, reach, all_trapped);
        if constexpr (requires { Below::run(region, offset, count); }) {
            if (!mine.trapped) return Below::run(region, offset, mine.size);
        }
        return mine;
    }
    /// What may be mapped now: the same, but for dynamic ranges that pass. Takes no lock: what changes while the device
    /// is open is read atomically.
    [[nodiscard]] constexpr traps run_now(region_index region, std::uint64_t offset, std::uint64_t count) const noexcept {
        const traps mine =
            run_here(region, offset, count, [this]<const auto& Map>() { return kept_.dynamics.kept(map_place<Map>); });
        if constexpr (requires { below_.run_now(region, offset, count); }) {
            if (!mine.trapped) return below_.run_now(region, offset, mine.size);
        }
        return mine;
    }
    /// Of this layer alone, as it was at open: with every dynamic range trapped.
    [[nodiscard]] constexpr traps run_at_open(region_index region, std::uint64_t offset,
                                              std::uint64_t count) const noexcept {
        return run_here(region, offset, count, []<const auto& Map>() { return std::uint8_t{0xff}; });
    }

    /// `each(doorbell_write)` for the doorbells of a region: of this layer's maps, and those below that it leaves alone.
    template <class F>
    constexpr void each_doorbell(region_index region, F each) const {
        detail::visit_map<Policy>(region, [&]<const auto& Map>() {
            if constexpr (!is_config<Map>) each_doorbell_of<Map>(each);
        });
        if constexpr (requires { below_.each_doorbell(region, each); })
            below_.each_doorbell(region, [&](const doorbell_write& one) {
                const traps mine = own_run(region, one.where.offset, one.where.size, ~std::uint64_t{0},
                                           [this]<const auto& Map>() { return this->template dynamics<Map>(); });
                if (!mine.trapped && mine.size == one.where.size) each(one);
            });
    }

    /// The first stretch of whole pages at or after `from` that no layer traps; empty where there is none. At open,
    /// and now.
    [[nodiscard]] static constexpr range next_area(region_index region, std::uint64_t region_size,
                                                   std::uint64_t page_size, std::uint64_t from) noexcept {
        return untrapped_pages([region](std::uint64_t at, std::uint64_t count) { return run(region, at, count); },
                               region_size, page_size, from);
    }
    [[nodiscard]] constexpr range next_area_now(region_index region, std::uint64_t region_size,
                                                std::uint64_t page_size, std::uint64_t from) const noexcept {
        return untrapped_pages([&](std::uint64_t at, std::uint64_t count) { return run_now(region, at, count); },
                               region_size, page_size, from);
    }

    /// The first part of an access of 1 to 8 bytes that begins in what a map traps, for a front that goes on with what is
    /// left by itself; see the engine's.
    [[gnu::always_inline]] constexpr answer read_first(region_index region, std::uint64_t offset, std::size_t size,
                                                       std::uint64_t& value) {
        detail::outcome done = detail::packed(0, error::io);
        detail::visit_map<Policy>(region, [&]<const auto& Map>() __attribute__((always_inline)) {
            done = engine_of<Map>().read_first(offset, size, value);
        });
        return detail::unpacked(done);
    }
    [[gnu::always_inline]] constexpr answer write_first(region_index region, std::uint64_t offset, std::size_t size,
                                                        std::uint64_t value) {
        detail::outcome done = detail::packed(0, error::io);
        detail::visit_map<Policy>(region, [&]<const auto& Map>() __attribute__((always_inline)) {
            done = engine_of<Map>().write_first(offset, size, value);
        });
        return detail::unpacked(done);
    }

    // For a front that asks the VFIO core by itself for what passes of config space.

    [[nodiscard]] constexpr detail::config_run config_run(bool write, std::uint32_t offset, std::uint32_t count)
        requires(detail::has_config_map<Policy>)
    {
        return config_engine_of().run(write, offset, count);
    }
    constexpr void keep_config(const write_access& a)
        requires(detail::has_config_map<Policy>)
    {
        config_engine_of().keep(a);
    }
    constexpr result<void> config_written(const write_access& a)
        requires(detail::has_config_map<Policy>)
    {
        return config_engine_of().written(a);
    }

    // What next offers of the policy's own maps.

    [[gnu::always_inline]] constexpr answer read_map(const read_access& a) {
        return detail::unpacked(read_map_at(a.region, a.offset, a.bytes.data(), a.bytes.size()));
    }
    [[gnu::always_inline]] constexpr answer write_map(const write_access& a) {
        return detail::unpacked(write_map_at(a.region, a.offset, a.bytes.data(), a.bytes.size()));
    }
    constexpr detail::outcome read_map_at(region_index region, std::uint64_t offset, std::byte* bytes,
                                          std::size_t size) {
        return read_mapped({region, offset, {bytes, size}});
    }
    constexpr detail::outcome write_map_at(region_index region, std::uint64_t offset, const std::byte* bytes,
                                           std::size_t size) {
        return write_mapped({region, offset, {bytes, size}});
    }

    template <const auto& Map, std::size_t Index>
    [[nodiscard]] constexpr auto read_backing(entry_tag<Map, Index>, std::size_t element) {
        using value_type = typename entry_tag<Map, Index>::value_type;
        check_named<Map, Index>();
        if (element >= Map.entries[Index].count) return result<value_type>{error::invalid};
        alignas(8) std::byte room[8]{};
        const std::span<std::byte> bytes{room, sizeof(value_type)};
        answer done;
        if constexpr (is_config<Map>) {
            const std::uint16_t at = kept_.config.where[Index];
            if (at == config_type::absent) return result<value_type>{error::not_found};
            done = config_engine_of().read({region_index::config, at, bytes});
        } else if constexpr (detail::simply_read<Map, Index>) {
            done = pass(read_access{Map.region, Map.entries[Index].where(element).offset, bytes});
        } else {
            const detail::trapped_entry& e = backing_of<Map, Index>(element);
            done = engine_of<Map>().read_backing(e, {Map.region, e.offset, bytes});
        }
        if (done.count != bytes.size()) return result<value_type>{shortfall(done)};
        return result<value_type>{detail::load_bytes<value_type>(room)};
    }

    template <const auto& Map, std::size_t Index>
    constexpr result<void> write_backing(entry_tag<Map, Index>, std::size_t element,
                                         typename entry_tag<Map, Index>::value_type value) {
        static_assert(!is_config<Map>,
                      "mediant: what a config map names is assigned, if it is a shadow, and not written");
        check_named<Map, Index>();
        if (element >= Map.entries[Index].count) return error::invalid;
        alignas(8) std::byte room[8]{};
        const std::span<const std::byte> bytes{room, sizeof value};
        detail::store_bytes(room, value);
        answer done;
        if constexpr (detail::simply_written<Map, Index>) {
            done = pass(write_access{Map.region, Map.entries[Index].where(element).offset, bytes});
        } else {
            const detail::trapped_entry& e = backing_of<Map, Index>(element);
            done = engine_of<Map>().write_backing(e, {Map.region, e.offset, bytes});
        }
        if (done.count != bytes.size()) return shortfall(done);
        return {};
    }

    template <const auto& Map, std::size_t Index>
    constexpr void assign_shadow(entry_tag<Map, Index>, std::size_t element,
                                 typename entry_tag<Map, Index>::value_type value) noexcept {
        check_named<Map, Index>();
        if (element >= Map.entries[Index].count) return;
        if constexpr (is_config<Map>)
            detail::store_bytes(kept_.config.shadow_of(Index), value);
        else
            detail::store_bytes(named_shadow<Map, Index>(element), value);
    }

    template <const auto& Map, std::size_t Index>
    [[nodiscard]] constexpr auto held_in_shadow(entry_tag<Map, Index>, std::size_t element) noexcept {
        using value_type = typename entry_tag<Map, Index>::value_type;
        check_named<Map, Index>();
        if (element >= Map.entries[Index].count) return value_type{0};
        return detail::load_bytes<value_type>(named_shadow<Map, Index>(element));
    }

    // What a migration takes of a layer's own state, and gives back.

    /// Policy and maps as in an earlier copy, but for what is trapped now.
    constexpr void put_back(const layer& before) noexcept {
        kept_.policy = before.kept_.policy;
        for (std::size_t i = 0; i < sizeof kept_.shadows; ++i) kept_.shadows[i] = before.kept_.shadows[i];
        kept_.config = before.kept_.config;
        if constexpr (requires { below_.put_back(before.below_); }) below_.put_back(before.below_);
    }
    template <const auto& Map>
    [[nodiscard]] constexpr std::span<std::byte> shadows() noexcept {
        return {shadow_of<Map>(), detail::shadow_bytes<Map>};
    }
    /// Which dynamic ranges are trapped, a bit each.
    template <const auto& Map>
    [[nodiscard]] constexpr std::uint8_t dynamics() const noexcept {
        return kept_.dynamics.at(map_place<Map>);
    }
    [[nodiscard]] constexpr auto& dynamic_ranges() noexcept { return kept_.dynamics; }
    [[nodiscard]] constexpr const auto& dynamic_ranges() const noexcept { return kept_.dynamics; }
    template <const auto& Map>
    static constexpr std::size_t map_place = detail::place_of<Map>(detail::maps_of<Policy>());
    [[nodiscard]] constexpr auto& config_now() noexcept
        requires(detail::has_config_map<Policy>)
    {
        return kept_.config;
    }

private:
    /// A policy with read or write ops of its own sees every access to the regions that it has maps of.
    static constexpr bool traps_whole =
        detail::has_read<Policy, next_through_map<layer>> || detail::has_write<Policy, next_through_map<layer>>;

    using config_type = detail::config_of<Policy>;
    using config_host = detail::config_host<layer>;
    template <class Layer, const auto& Map>
    friend struct detail::map_host;
    friend config_host;
    static constexpr bool has_config = detail::has_config_map<Policy>;
    static constexpr bool shapes_bars = config_type::shapes_bars;
    template <const auto& Map>
    static constexpr bool is_config = detail::is_config_map<std::remove_cvref_t<decltype(Map)>>;

    /// Beyond `reach` everything is trapped: there is nothing that may be mapped.
    template <class Dynamics>
    [[nodiscard]] static constexpr traps own_run(region_index region, std::uint64_t offset, std::uint64_t count,
                                                 std::uint64_t reach, const Dynamics& trapped_dynamics) noexcept {
        if (offset >= reach) return {count, true};
        if (count > reach - offset) count = reach - offset;
        traps mine{count, false};
        detail::visit_map<Policy>(region, [&]<const auto& Map>() {
            mine = traps_whole ? traps{count, true} : run_of<Map>(offset, count, trapped_dynamics.template operator()<Map>());
        });
        return mine;
    }

    template <class Dynamics>
    [[nodiscard]] constexpr traps run_here(region_index region, std::uint64_t offset, std::uint64_t count,
                                           const Dynamics& trapped_dynamics) const noexcept {
        std::uint64_t reach = ~std::uint64_t{0};
        if constexpr (shapes_bars) reach = kept_.config.reach(region);
        return own_run(region, offset, count, reach, trapped_dynamics);
    }

    /// An access to what the user sees of a region: the policy's ops, then its maps.
    [[gnu::always_inline]] constexpr detail::outcome read_seen(const read_access& a) {
        using through = next_through_map<layer>;
        if constexpr (detail::has_read<Policy, through>) {
            if (has_map(a.region)) {
                through next{*this};
                return detail::packed(kept_.policy.read(a, next));
            }
        }
        return read_mapped(a);
    }
    [[gnu::always_inline]] constexpr detail::outcome write_seen(const write_access& a) {
        using through = next_through_map<layer>;
        if constexpr (detail::has_write<Policy, through>) {
            if (has_map(a.region)) {
                through next{*this};
                return detail::packed(kept_.policy.write(a, next));
            }
        }
        return write_mapped(a);
    }

    [[gnu::always_inline]] constexpr detail::outcome read_mapped(const read_access& a) {
        if constexpr (has_config) {
            if (a.region == region_index::config) return detail::packed(config_engine_of().read(a));
        }
        return read_in(detail::maps_of<Policy>(), a);
    }
    [[gnu::always_inline]] constexpr detail::outcome write_mapped(const write_access& a) {
        if constexpr (has_config) {
            if (a.region == region_index::config) return detail::packed(config_engine_of().write(a));
        }
        return write_in(detail::maps_of<Policy>(), a);
    }

    template <const auto& Map, const auto&... Others>
    [[gnu::always_inline]] constexpr detail::outcome read_in(regions<Map, Others...>, const read_access& a) {
        if (a.region == Map.region) return engine_of<Map>().read(a.offset, a.bytes);
        return read_in(regions<Others...>{}, a);
    }
    [[gnu::always_inline]] constexpr detail::outcome read_in(regions<>, const read_access& a) {
        return read_below(*this, a.region, a.offset, a.bytes.data(), a.bytes.size());
    }
    template <const auto& Map, const auto&... Others>
    [[gnu::always_inline]] constexpr detail::outcome write_in(regions<Map, Others...>, const write_access& a) {
        if (a.region == Map.region) return engine_of<Map>().write(a.offset, a.bytes);
        return write_in(regions<Others...>{}, a);
    }
    [[gnu::always_inline]] constexpr detail::outcome write_in(regions<>, const write_access& a) {
        return write_below(*this, a.region, a.offset, a.bytes.data(), a.bytes.size());
    }
    /// Out of the way of what does not pass.
    [[gnu::noinline]] static constexpr detail::outcome read_below(layer& self, region_index region,
                                                                  std::uint64_t offset, std::byte* bytes,
                                                                  std::size_t size) {
        return detail::packed(self.pass(read_access{region, offset, {bytes, size}}));
    }
    [[gnu::noinline]] static constexpr detail::outcome write_below(layer& self, region_index region,
                                                                   std::uint64_t offset, const std::byte* bytes,
                                                                   std::size_t size) {
        return detail::packed(self.pass(write_access{region, offset, {bytes, size}}));
    }

    template <request R>
    constexpr result<typename R::answer> answer_request(const R& what) {
        if constexpr (detail::has_ioctl<Policy, R, next_type>) {
            next_type next{*this};
            return kept_.policy.ioctl(what, next);
        } else {
            return below_.ioctl(what);
        }
    }

    /// To the layer below; where a config map says that a BAR is larger than there, ones are beyond its end.
    [[gnu::always_inline]] constexpr answer pass(const read_access& a) {
        if constexpr (shapes_bars)
            return kept_.config.below_part(
                a, [this](const read_access& part) { return below_.read(part); },
                [](std::span<std::byte> beyond) {
                    for (std::byte& b : beyond) b = std::byte{0xff};
                });
        else
            return below_.read(a);
    }
    [[gnu::always_inline]] constexpr answer pass(const write_access& a) {
        if constexpr (shapes_bars)
            return kept_.config.below_part(
                a, [this](const write_access& part) { return below_.write(part); }, [](std::span<const std::byte>) {});
        else
            return below_.write(a);
    }

    /// Whether the maps fit the device, of which the config map looks for what it needs.
    constexpr result<void> open_maps() {
        if constexpr (has_config) {
            const config_host host{*this};
            const result<void> opened = detail::config_opener<config_type::map, config_host>{kept_.config, host}.open();
            if (!opened) return opened;
        }
        const auto shape = [&config = kept_.config](region_index region, get_region_info::answer& info) {
            if constexpr (shapes_bars)
                config.shape(region, info);
            else
                static_cast<void>(config);
        };
        return detail::region_maps_fit<Policy>(below_, shape) ? result<void>{} : error::no_device;
    }

    static constexpr bool has_map(region_index region) noexcept {
        return detail::visit_map<Policy>(region, []<const auto& Map>() {});
    }

    template <const auto& Map>
    constexpr std::byte* shadow_of() noexcept {
        return kept_.template shadow_of<Map>();
    }

    /// What a policy may name in next.read, write and assign.
    template <const auto& Map, std::size_t Index>
    static constexpr void check_named() noexcept {
        if constexpr (is_config<Map>) {
            constexpr std::uint16_t size = Map.entries[Index].size;
            static_assert(size <= 8 && (size & (size - 1)) == 0,
                          "mediant: only 1, 2, 4 or 8 bytes of config space can be read or assigned by name");
            static_assert(detail::lists<Map>(detail::config_maps_of<Policy>()),
                          "mediant: the register's map is not in the policy's `regions`");
        } else {
            static_assert(Map.entries[Index].is_register(),
                          "mediant: only a register can be read, written or assigned by name, not a block or window");
            static_assert(detail::lists<Map>(detail::maps_of<Policy>()),
                          "mediant: the register's map is not in the policy's `regions`");
        }
    }

    /// The run-time form of an entry, also of one that is only named.
    template <const auto& Map, std::size_t Index>
    static constexpr const detail::trapped_entry& backing_of(std::size_t element) noexcept {
        if constexpr (entry_tag<Map, Index>::is_array)
            element = bounded(element, Map.entries[Index].count);
        return detail::elements_of<Map, Index>[element];
    }
    template <const auto& Map, std::size_t Index>
    constexpr std::byte* named_shadow(std::size_t element) noexcept {
        std::size_t at = backing_of<Map, Index>(element).shadow_at;
        if constexpr (entry_tag<Map, Index>::is_array) at = bounded(at, detail::shadow_bytes<Map>);
        return shadow_of<Map>() + at;
    }

    template <const auto& Map>
    constexpr auto engine_of() noexcept {
        using host = detail::map_host<layer, Map>;
        return detail::engine<Map, host>{host{*this}};
    }

    constexpr auto config_engine_of() noexcept {
        return detail::config_engine<config_type::map, config_host>{kept_.config, config_host{*this}};
    }

    Below below_;
    State kept_;
};

} // namespace mediant
