// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/lower.hpp>
#include <mediant/core/result.hpp>
#include <mediant/migration/saved_state.hpp>
#include <mediant/provider/saved_layer.hpp>
#include <mediant/provider/traits.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

/// Who has a part in a migration: each policy, outermost first, and the device itself if it says what its state is.
namespace mediant::detail {

/// The device's part.
template <class Lower>
class saved_device {
public:
    using object_type = Lower;
    constexpr explicit saved_device(Lower& device) noexcept : device_{&device} {}
    [[nodiscard]] constexpr Lower& object() const noexcept { return *device_; }

private:
    Lower* device_;
};

template <class L>
concept is_layer = requires { typename L::policy_type; };

template <class T>
[[nodiscard]] consteval auto state_of() {
    if constexpr (has_saved_state<T>)
        return T::migration();
    else
        return saved_state{0u};
}

template <const auto&... Maps>
[[nodiscard]] consteval bool keep_nothing(regions<Maps...>) {
    return !(keeps_shadows<Maps> || ...);
}
/// Whether all that a policy keeps is in a stream: what it says, or there is nothing.
template <class Policy>
inline constexpr bool policy_saves =
    requires { Policy::info.name; } && std::is_copy_assignable_v<Policy> &&
    (has_saved_state<Policy> || (std::is_empty_v<Policy> && keep_nothing(maps_of<Policy>()) &&
                                keep_nothing(config_maps_of<Policy>())));

template <class P, class Next>
concept has_quiesce = requires(P& p, Next& next) { { p.quiesce(next) } -> std::same_as<result<void>>; };
template <class P, class Next>
concept has_resume = requires(P& p, Next& next) { { p.resume(next) } -> std::same_as<result<void>>; };
template <class P, class Next>
concept has_quiesce_p2p = requires(P& p, Next& next) { { p.quiesce_p2p(next) } -> std::same_as<result<void>>; };
template <class P, class Next>
concept has_resume_p2p = requires(P& p, Next& next) { { p.resume_p2p(next) } -> std::same_as<result<void>>; };
template <class P, class Next>
concept has_save = requires(P& p, std::uint64_t offset, std::span<std::byte> to, Next& next) {
    { p.save(offset, to, next) } -> std::same_as<result<std::size_t>>;
};
template <class P, class Next>
concept has_restore = requires(P& p, std::uint64_t offset, std::span<const std::byte> from, Next& next) {
    { p.restore(offset, from, next) } -> std::same_as<result<void>>;
};
template <class P, class Next>
concept has_restored = requires(P& p, Next& next) { { p.restored(next) } -> std::same_as<result<void>>; };

/// In the place of a policy's `next`, for the device, whose hooks take none.
struct no_next {};
template <class Device>
class device_hooks {
public:
    constexpr explicit device_hooks(Device& device) noexcept : device_{&device} {}
    constexpr result<void> quiesce(no_next&) requires requires(Device& d) { d.quiesce(); } { return device_->quiesce(); }
    constexpr result<void> resume(no_next&) requires requires(Device& d) { d.resume(); } { return device_->resume(); }
    constexpr result<void> quiesce_p2p(no_next&) requires requires(Device& d) { d.quiesce_p2p(); } { return device_->quiesce_p2p(); }
    constexpr result<void> resume_p2p(no_next&) requires requires(Device& d) { d.resume_p2p(); } { return device_->resume_p2p(); }
    constexpr result<std::size_t> save(std::uint64_t offset, std::span<std::byte> to, no_next&)
        requires requires(Device& d) { d.save(offset, to); } { return device_->save(offset, to); }
    constexpr result<void> restore(std::uint64_t offset, std::span<const std::byte> from, no_next&)
        requires requires(Device& d) { d.restore(offset, from); } { return device_->restore(offset, from); }
    constexpr result<void> restored(no_next&) requires requires(Device& d) { d.restored(); } { return device_->restored(); }

private:
    Device* device_;
};

template <class Lower>
inline constexpr bool device_saves = has_saved_state<Lower> || has_save<device_hooks<Lower>, no_next>;

template <class L, class Lower>
[[nodiscard]] consteval bool all_layers_save() {
    if constexpr (is_layer<L>)
        return policy_saves<typename L::policy_type> && all_layers_save<typename L::below_type, Lower>();
    else
        return std::is_same_v<L, bottom<Lower>>; // what finds its policies when it is opened does not say
}
template <class L>
[[nodiscard]] consteval bool a_layer_fetches() {
    if constexpr (is_layer<L>)
        return has_save<typename L::policy_type, typename L::next_type> || a_layer_fetches<typename L::below_type>();
    else
        return false;
}
/// Whether every policy is in a stream, and the device: by itself, or through a policy that fetches its state.
template <class Layers, class Lower>
[[nodiscard]] consteval bool can_migrate() {
    if constexpr (all_layers_save<Layers, Lower>())
        return device_saves<Lower> || a_layer_fetches<Layers>();
    else
        return false;
}

template <class Layers, class Lower>
class migration_parties {
    /// What is known of one party at compile time.
    template <class Policy, class Hooks, class Next, class Owner>
    struct party_traits {
        static constexpr auto state = state_of<Policy>();
        static constexpr std::size_t size = saved_size<Owner>(state);
        static constexpr bool p2p = has_quiesce_p2p<Hooks, Next>;
        static constexpr bool own_bytes = has_save<Hooks, Next>;
    };
    template <class Layer>
    using of_layer = party_traits<typename Layer::policy_type, typename Layer::policy_type, typename Layer::next_type,
                                  saved_layer<Layer>>;
    using of_device = party_traits<Lower, device_hooks<Lower>, no_next, saved_device<Lower>>;

    template <class L>
    [[nodiscard]] static consteval std::size_t count_of() {
        if constexpr (is_layer<L>)
            return 1 + count_of<typename L::below_type>();
        else
            return has_device ? 1 : 0;
    }

    /// What f<Traits>(name) says of each party.
    template <class T, class F>
    [[nodiscard]] static consteval auto collected(const F& f) {
        std::array<T, count_of<Layers>()> out{};
        collect<Layers>(out.data(), f);
        return out;
    }
    template <class L, class T, class F>
    static consteval void collect(T* to, const F& f) {
        if constexpr (is_layer<L>) {
            *to = f.template operator()<of_layer<L>>(L::policy_type::info.name);
            collect<typename L::below_type>(to + 1, f);
        } else if constexpr (has_device) {
            *to = f.template operator()<of_device>(std::string_view{"device"});
        }
    }

    /// Calls f(owner, hooks, next, state) for one party.
    template <class L, class F>
    static constexpr auto with(L& at, Lower& lower, std::size_t party, const F& f) {
        if constexpr (is_layer<L>) {
            if (party != 0) return with(at.below(), lower, party - 1, f);
            typename L::next_type next{at};
            return f(saved_layer<L>{at}, at.policy(), next, of_layer<L>::state);
        } else if constexpr (has_device) {
            no_next none;
            device_hooks<Lower> hooks{lower};
            return f(saved_device<Lower>{lower}, hooks, none, of_device::state);
        } else {
            no_next none;
            return f(none, none, none, none);
        }
    }
    template <class State>
    static constexpr bool is_party = !std::is_same_v<std::remove_cvref_t<State>, no_next>;

public:
    static constexpr bool has_device = device_saves<Lower>;
    static constexpr std::size_t count = count_of<Layers>();

    static constexpr auto names = collected<std::string_view>([]<class Traits>(std::string_view name) { return name; });
    static constexpr auto versions =
        collected<std::uint32_t>([]<class Traits>(std::string_view) { return Traits::state.version; });
    static constexpr auto oldest =
        collected<std::uint32_t>([]<class Traits>(std::string_view) { return Traits::state.oldest; });
    static constexpr auto sizes = collected<std::size_t>([]<class Traits>(std::string_view) { return Traits::size; });
    static constexpr bool has_p2p =
        std::ranges::count(collected<bool>([]<class Traits>(std::string_view) { return Traits::p2p; }), true) != 0;
    static constexpr bool has_device_bytes =
        std::ranges::count(collected<bool>([]<class Traits>(std::string_view) { return Traits::own_bytes; }), true) != 0;
    static constexpr std::size_t begin_size = [] {
        std::size_t total = stream_magic.size() + 4 + 8 + 4;
        for (const std::string_view name : names) total += 1 + name.size() + 4;
        return total;
    }();

    static constexpr void write(Layers& layers, Lower& lower, std::size_t party, payload_writer& to) {
        with(layers, lower, party, [&](auto owner, auto&, auto&, const auto& state) {
            if constexpr (is_party<decltype(state)>) write_state(state, owner, to);
        });
    }

    static constexpr stream_fault read(Layers& layers, Lower& lower, std::size_t party, payload_reader from,
                                       std::uint32_t version, bool commit, std::string_view& field) {
        return with(layers, lower, party, [&](auto owner, auto&, auto&, const auto& state) {
            if constexpr (is_party<decltype(state)>) {
                state_reader reader{state, owner, version, commit};
                const stream_fault wrong = reader.read(from);
                field = reader.field();
                return wrong;
            } else {
                return stream_fault::other_party;
            }
        });
    }

    /// Stops one party, or lets it run again; whole, or as far as transfers to other devices go.
    static constexpr result<void> change(Layers& layers, Lower& lower, std::size_t party, bool down, bool whole) {
        return with(layers, lower, party, [&]<class Hooks, class Next>(auto, Hooks& hooks, Next& next, const auto&) {
            if constexpr (has_quiesce<Hooks, Next>)
                if (whole && down) return hooks.quiesce(next);
            if constexpr (has_resume<Hooks, Next>)
                if (whole && !down) return hooks.resume(next);
            if constexpr (has_quiesce_p2p<Hooks, Next>) {
                if (!whole && down) return hooks.quiesce_p2p(next);
                if (!whole && !down) return hooks.resume_p2p(next);
            }
            return result<void>{};
        });
    }

    static constexpr result<std::size_t> save(Layers& layers, Lower& lower, std::size_t party, std::uint64_t offset,
                                              std::span<std::byte> to) {
        return with(layers, lower, party, [&]<class Hooks, class Next>(auto, Hooks& hooks, Next& next, const auto&) {
            if constexpr (has_save<Hooks, Next>)
                return hooks.save(offset, to, next);
            else
                return result<std::size_t>{std::size_t{0}};
        });
    }
    static constexpr result<void> restore(Layers& layers, Lower& lower, std::size_t party, std::uint64_t offset,
                                          std::span<const std::byte> from) {
        return with(layers, lower, party, [&]<class Hooks, class Next>(auto, Hooks& hooks, Next& next, const auto&) {
            if constexpr (has_restore<Hooks, Next>)
                return hooks.restore(offset, from, next);
            else
                return result<void>{error::invalid};
        });
    }
    static constexpr result<void> restored(Layers& layers, Lower& lower, std::size_t party) {
        return with(layers, lower, party, [&]<class Hooks, class Next>(auto, Hooks& hooks, Next& next, const auto&) {
            if constexpr (has_restored<Hooks, Next>)
                return hooks.restored(next);
            else
                return result<void>{};
        });
    }

    /// Dynamic ranges are trapped as a stream says; `all`: as at open, which a stream that does not say it means.
    template <class L>
    static constexpr result<void> switch_ranges(L& at, bool all) {
        if constexpr (is_layer<L>) {
            const saved_layer<L> owner{at};
            result<void> done;
            const auto part = [&]<class Part>(const Part& each) {
                if constexpr (requires { owner.switch_ranges(each); }) {
                    if (all) owner.trap_ranges(each);
                    if (const auto now = all ? result<void>{} : owner.switch_ranges(each); !now) done = now;
                }
            };
            std::apply([&](const auto&... each) { (part(each), ...); }, of_layer<L>::state.parts);
            const auto below = switch_ranges(at.below(), all);
            return done ? below : done;
        } else {
            return {};
        }
    }
};

} // namespace mediant::detail
