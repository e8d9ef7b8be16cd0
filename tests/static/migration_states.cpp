// SPDX-License-Identifier: BSD-3-Clause
// The arcs between a migration's states, from every state to every other, for every set of flags.
#include <mediant/migration/next_state.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

using namespace mediant;
using enum migration_state;

namespace {

constexpr std::uint64_t plain = migrates_by_stop_copy;
constexpr std::uint64_t p2p = migrates_by_stop_copy | migrates_with_p2p;
constexpr std::uint64_t ahead = migrates_by_stop_copy | migrates_with_pre_copy;
constexpr std::uint64_t all = p2p | ahead;

constexpr std::array states{error, stop, running, stop_copy, resuming, running_p2p, pre_copy, pre_copy_p2p};

// By hand, from the description in linux/vfio.h: the next state on the way from a row's state to a column's, of a device
// with all of them. "error": no way.
constexpr std::array<std::array<migration_state, 8>, 8> by_hand{{
    // to: error, stop, running, stop_copy, resuming, running_p2p, pre_copy, pre_copy_p2p
    {error, error, error, error, error, error, error, error},
    {error, stop, running_p2p, stop_copy, resuming, running_p2p, running_p2p, running_p2p},
    {error, running_p2p, running, running_p2p, running_p2p, running_p2p, pre_copy, running_p2p},
    {error, stop, stop, stop_copy, stop, stop, error, error},
    {error, stop, stop, stop, resuming, stop, stop, stop},
    {error, stop, running, stop, stop, running_p2p, running, pre_copy_p2p},
    {error, running, running, pre_copy_p2p, running, running, pre_copy, pre_copy_p2p},
    {error, running_p2p, running_p2p, stop_copy, running_p2p, running_p2p, pre_copy, pre_copy_p2p},
}};

consteval bool as_by_hand() {
    for (std::size_t from = 0; from < 8; ++from)
        for (std::size_t to = 0; to < 8; ++to) {
            const auto next = next_state(all, states[from], states[to]);
            if (next.value_or(error) != by_hand[from][to]) return false;
        }
    return true;
}
static_assert(as_by_hand());

/// Whoever follows the arcs arrives, by states that the device has, and none twice.
consteval bool arrives(std::uint64_t flags) {
    for (const migration_state from : states)
        for (const migration_state to : states) {
            const bool there = has_state(flags, from) && has_state(flags, to);
            const bool blocked = from == stop_copy && (to == pre_copy || to == pre_copy_p2p);
            if (!there || blocked) {
                if (next_state(flags, from, to)) return false;
                continue;
            }
            migration_state at = from;
            for (std::size_t steps = 0; at != to; ++steps) {
                const auto next = next_state(flags, at, to);
                if (!next || !has_state(flags, *next) || steps == 8) return false;
                // Nothing begins to save that is not to end so, and nothing ends to save on the way from saving to saving.
                if (*next != to && saves(*next) && !(saves(from) && saves(to))) return false;
                if (saves(from) && saves(to) && !saves(*next)) return false;
                at = *next;
            }
        }
    return true;
}
static_assert(arrives(plain) && arrives(p2p) && arrives(ahead) && arrives(all));

static_assert(next_state(plain, running, stop) == stop);
static_assert(next_state(plain, running, stop_copy) == stop);
static_assert(next_state(ahead, running, stop_copy) == stop);
static_assert(next_state(ahead, pre_copy, stop_copy) == stop_copy);
static_assert(next_state(ahead, pre_copy, stop) == running);
static_assert(next_state(p2p, running, pre_copy) == std::nullopt);
static_assert(next_state(plain, running, running_p2p) == std::nullopt);
static_assert(next_state(0, running, stop) == std::nullopt);
static_assert(next_state(all, running, migration_state{8}) == std::nullopt);
static_assert(next_state(all, migration_state{~0u}, running) == std::nullopt);

} // namespace
