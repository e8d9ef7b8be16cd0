// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
#pragma once

#include <mediant/kernel/bpf.h>
#include <mediant/kernel/fitness.hpp>
#include <mediant/kernel/policy_fitness.hpp>
#include <mediant/migration/saved_state.hpp>
#include <mediant/provider/dynamic_layers.hpp>
#include <mediant/provider/layer_state.hpp>
#include <mediant/provider/traits.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <string_view>
#include <type_traits>

/// What a BPF provider's object says of itself beside its programs, and what such an object cannot carry.
namespace mediant::kernel {

namespace detail {

/// The stretches that a map traps, joined where one begins at another's end; each(range).
template <const auto& Map, class F>
constexpr void each_trapped_stretch(const F& each) {
    range now{};
    for (const mediant::detail::trapped_entry& e : mediant::detail::trapped_entries<Map>) {
        if (!now.empty() && e.offset <= now.end()) {
            now.size = std::max(now.end(), e.end) - now.offset;
            continue;
        }
        if (!now.empty()) each(now);
        now = {e.offset, e.end - e.offset};
    }
    if (!now.empty()) each(now);
}
template <class P>
[[nodiscard]] consteval std::size_t bpf_range_count() {
    std::size_t out = 0;
    mediant::detail::any_map(mediant::detail::maps_of<P>(), [&out]<const auto& Map>() {
        each_trapped_stretch<Map>([&out](range) { ++out; });
        return false;
    });
    return out;
}

/// FNV-1a over numbers, byte by byte.
class hash_of_numbers {
public:
    constexpr void add(std::uint64_t number) noexcept {
        for (unsigned i = 0; i < 8; ++i) value_ = (value_ ^ (number >> 8 * i & 0xff)) * 0x100'0000'01b3;
    }
    [[nodiscard]] constexpr std::uint64_t value() const noexcept { return value_; }

private:
    std::uint64_t value_ = 0xcbf2'9ce4'8422'2325;
};

} // namespace detail

/// What is trapped, as mediant_bpf_ops has it: by region, then by offset.
template <class P>
inline constexpr auto bpf_ranges = [] {
    std::array<mediant_bpf_range, detail::bpf_range_count<P>()> out{};
    std::size_t n = 0;
    mediant::detail::any_map(mediant::detail::maps_of<P>(), [&out, &n]<const auto& Map>() {
        detail::each_trapped_stretch<Map>([&](range where) {
            out[n++] = {where.offset, where.size, static_cast<unsigned>(Map.region), 0};
        });
        return false;
    });
    std::sort(out.begin(), out.end(), [](const mediant_bpf_range& a, const mediant_bpf_range& b) {
        return a.region != b.region ? a.region < b.region : a.offset < b.offset;
    });
    return out;
}();

/// Bytes of one open device's state, in whole words. The verifier takes any of a map's shadows for the last one, and
/// each for one of 8 bytes with a mask of as many: where no register is, there is room for it.
template <class P>
inline constexpr unsigned bpf_state_size = (sizeof(layer_state<P>) + 16 + 7) / 8 * 8;

/// Equal where one object's programs can go on with what another's have left: where the policy has as many bytes, and
/// each shadow lies where it lay.
template <class P>
inline constexpr std::uint64_t bpf_identity = [] {
    detail::hash_of_numbers out;
    out.add(bpf_state_size<P>);
    out.add(sizeof(P));
    if constexpr (has_saved_state<P>) out.add(P::migration().version);
    mediant::detail::any_map(mediant::detail::maps_of<P>(), [&out]<const auto& Map>() {
        out.add(static_cast<std::uint64_t>(Map.region));
        for (const mediant::detail::trapped_entry& e : mediant::detail::trapped_entries<Map>) {
            out.add(e.offset);
            out.add(e.end);
            out.add(e.shadow_at);
        }
        return false;
    });
    return out.value();
}();

/// Which requests it mediates: MEDIANT_DEVICE_INFO and its like.
template <class P>
inline constexpr unsigned bpf_mediates =
    (mediates<P, get_device_info> ? MEDIANT_DEVICE_INFO : 0u) |
    (mediates<P, get_region_info> ? MEDIANT_REGION_INFO : 0u) |
    (mediates<P, get_irq_info> ? MEDIANT_IRQ_INFO : 0u) | (mediates<P, reset_device> ? MEDIANT_RESET_DEVICE : 0u);

/// Why a BPF object cannot carry a provider that a kernel module can; the first reason.
enum class bpf_obstacle {
    none,
    config,       ///< a map of configuration space
    own_accesses, ///< read and write ops above the map
    dynamic,      ///< ranges that are switched while the device is open
    dma_log,      ///< reports of what the device has written
    virtuals,     ///< virtual functions
    moves,        ///< a policy that is not trivially copyable
    name,         ///< a name that has no room
    rules,        ///< more rules than have room
    ranges,       ///< more stretches than have room
};
template <class P>
[[nodiscard]] consteval bpf_obstacle bpf_obstacle_of() {
    using through = detail::asked_through<P>;
    using layer_type = layer<P, bottom<mediant::detail::probe_lower>>;
    if constexpr (mediant::detail::has_config_map<P>) return bpf_obstacle::config;
    if constexpr (mediant::detail::has_read<P, through> || mediant::detail::has_write<P, through>)
        return bpf_obstacle::own_accesses;
    if constexpr (mediant::detail::have_dynamic_ranges<layer_type>()) return bpf_obstacle::dynamic;
    if constexpr (mediates<P, report_dma_logging> || mediates_half_a_log<P>) return bpf_obstacle::dma_log;
    if constexpr (std::is_polymorphic_v<P>) return bpf_obstacle::virtuals;
    if constexpr (!std::is_trivially_copyable_v<P> || !std::is_trivially_destructible_v<P>) return bpf_obstacle::moves;
    if (std::string_view{P::info.name}.size() >= MEDIANT_BPF_NAME) return bpf_obstacle::name;
    if (std::size(P::info.rules) > MEDIANT_BPF_RULES) return bpf_obstacle::rules;
    if (detail::bpf_range_count<P>() > MEDIANT_BPF_RANGES) return bpf_obstacle::ranges;
    return bpf_obstacle::none;
}

/// In words, as the shim generator says it of a provider.
[[nodiscard]] constexpr std::string_view to_text(bpf_obstacle what) noexcept {
    switch (what) {
    case bpf_obstacle::none: return {};
    case bpf_obstacle::config: return "its map of configuration space: a BPF provider mediates BARs alone";
    case bpf_obstacle::own_accesses:
        return "its read or write of whole accesses: a BPF provider has hooks of registers, and the host splits "
               "accesses";
    case bpf_obstacle::dynamic:
        return "its dynamic ranges: what a BPF provider traps stays so while the device is open";
    case bpf_obstacle::dma_log:
        return "its log of what the device writes (report_dma_logging): a BPF provider marks that (next.dirty), and "
               "keeps no log";
    case bpf_obstacle::virtuals:
        return "its policy has virtual functions: a program of a BPF provider calls the host alone";
    case bpf_obstacle::moves:
        return "its policy is not trivially copyable: a BPF provider's state lies in the host's memory and outlives "
               "its programs";
    case bpf_obstacle::name: return "its name has more than 31 characters";
    case bpf_obstacle::rules: return "it has more than 32 rules";
    case bpf_obstacle::ranges: return "its maps trap more than 512 stretches that do not touch";
    }
    return {};
}

/// Checks that a BPF object can carry a provider.
template <class P>
[[nodiscard]] consteval bool check_bpf_fitness() {
    static_assert(check_kernel_fitness<P>());
    constexpr bpf_obstacle what = bpf_obstacle_of<P>();
    static_assert(what != bpf_obstacle::config, "mediant: a BPF provider mediates BARs alone, not configuration space");
    static_assert(what != bpf_obstacle::own_accesses,
                  "mediant: a BPF provider has hooks of registers, and no read or write of whole accesses, which the "
                  "host splits");
    static_assert(what != bpf_obstacle::dynamic,
                  "mediant: a BPF provider has no dynamic ranges: what it traps stays so while the device is open");
    static_assert(what != bpf_obstacle::dma_log,
                  "mediant: a BPF provider marks what the device writes (next.dirty), and keeps no log of it");
    static_assert(what != bpf_obstacle::virtuals,
                  "mediant: a BPF provider's policy has no virtual functions: a program calls the host alone");
    static_assert(what != bpf_obstacle::moves,
                  "mediant: a BPF provider's policy is trivially copyable: its state lies in the host's memory and "
                  "outlives its programs");
    static_assert(what != bpf_obstacle::name, "mediant: a BPF provider's name has at most 31 characters");
    static_assert(what != bpf_obstacle::rules, "mediant: a BPF provider has at most 32 rules");
    static_assert(what != bpf_obstacle::ranges,
                  "mediant: a BPF provider's maps trap at most 512 stretches that do not touch");
    return true;
}

/// Whether what an object says of itself is true of a provider: the tree that was written for one header is of no use
/// with another.
template <class P>
[[nodiscard]] consteval bool check_bpf_ops(unsigned state_size, std::uint64_t identity, unsigned mediated,
                                           std::initializer_list<mediant_bpf_range> ranges) {
    return state_size == bpf_state_size<P> && identity == bpf_identity<P> && mediated == bpf_mediates<P> &&
           std::equal(ranges.begin(), ranges.end(), bpf_ranges<P>.begin(), bpf_ranges<P>.end(),
                      [](const mediant_bpf_range& a, const mediant_bpf_range& b) {
                          return a.region == b.region && a.offset == b.offset && a.size == b.size;
                      });
}

} // namespace mediant::kernel
