// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/migration/state.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

/// The arcs between the states of a device that migrates, as linux/vfio.h documents them: what a device does is one of
/// few arcs, and every other change is a path of these (vfio_mig_get_next_state in drivers/vfio/vfio_main.c).
namespace mediant {

inline constexpr std::size_t migration_states = 8;

/// The flags of which a device has all where it has a state.
[[nodiscard]] constexpr std::uint64_t flags_needed(migration_state state) noexcept {
    switch (state) {
    case migration_state::running_p2p: return migrates_by_stop_copy | migrates_with_p2p;
    case migration_state::pre_copy: return migrates_by_stop_copy | migrates_with_pre_copy;
    case migration_state::pre_copy_p2p: return migrates_by_stop_copy | migrates_with_p2p | migrates_with_pre_copy;
    default: return migrates_by_stop_copy;
    }
}

/// Whether a device of these flags has a state that it can be asked for; the error state is none.
[[nodiscard]] constexpr bool has_state(std::uint64_t flags, migration_state state) noexcept {
    return static_cast<std::size_t>(state) < migration_states && state != migration_state::error &&
           (flags & flags_needed(state)) == flags_needed(state);
}

/// Whether two states are one arc apart.
[[nodiscard]] constexpr bool is_arc(migration_state from, migration_state to) noexcept {
    using enum migration_state;
    switch (from) {
    case stop: return to == running_p2p || to == stop_copy || to == resuming;
    case running: return to == running_p2p || to == pre_copy;
    case running_p2p: return to == running || to == stop || to == pre_copy_p2p;
    case stop_copy: return to == stop;
    case resuming: return to == stop;
    case pre_copy: return to == running || to == pre_copy_p2p;
    case pre_copy_p2p: return to == running_p2p || to == pre_copy || to == stop_copy;
    case error: break;
    }
    return false;
}

namespace detail {

/// The first state on the shortest path; states that save are only at its ends, or everywhere, since passing through
/// one would begin and end a stream that nobody reads. `error` where there is no such path.
[[nodiscard]] consteval auto first_steps() {
    constexpr std::size_t n = migration_states;
    constexpr std::size_t far = n + 1;
    std::array<std::array<migration_state, n>, n> out{};
    for (std::size_t to = 0; to < n; ++to) {
        const auto target = static_cast<migration_state>(to);
        for (const bool within : {false, true}) { // from a state that does not save, and from one that does
            std::array<std::size_t, n> distance{};
            distance.fill(far);
            distance[to] = 0;
            const auto passable = [&](std::size_t state) {
                return state == to || (within && saves(target)) == saves(static_cast<migration_state>(state));
            };
            for (std::size_t round = 0; round < n; ++round)
                for (std::size_t from = 0; from < n; ++from)
                    for (std::size_t next = 0; next < n; ++next)
                        if (is_arc(static_cast<migration_state>(from), static_cast<migration_state>(next)) &&
                            passable(next) && distance[next] + 1 < distance[from])
                            distance[from] = distance[next] + 1;
            for (std::size_t from = 0; from < n; ++from) {
                if (saves(static_cast<migration_state>(from)) != within) continue;
                out[from][to] = from == to ? target : migration_state::error;
                for (std::size_t next = 0; next < n && from != to; ++next)
                    if (is_arc(static_cast<migration_state>(from), static_cast<migration_state>(next)) &&
                        passable(next) && distance[next] + 1 == distance[from] && distance[from] < far)
                        out[from][to] = static_cast<migration_state>(next);
            }
        }
    }
    return out;
}
inline constexpr auto first_step = first_steps();

} // namespace detail

/// The state that a device of these flags is led to next on its way; states that it lacks are passed over. The same
/// state where it is there; none where one of them is not the device's, or no path leads there.
[[nodiscard]] constexpr std::optional<migration_state> next_state(std::uint64_t flags, migration_state from,
                                                                  migration_state to) noexcept {
    if (!has_state(flags, from) || !has_state(flags, to)) return std::nullopt;
    const auto step = [to](migration_state at) { // of states that has_state() knows; g++ 12 asks for more than that
        return detail::first_step[static_cast<std::size_t>(at) % migration_states]
                                 [static_cast<std::size_t>(to) % migration_states];
    };
    migration_state next = step(from);
    while (next != migration_state::error && !has_state(flags, next)) next = step(next);
    if (next == migration_state::error) return std::nullopt;
    return next;
}

} // namespace mediant
