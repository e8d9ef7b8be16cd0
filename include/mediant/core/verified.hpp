// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <type_traits>

/// What the kernel's BPF verifier wants of code that it is to prove safe.
namespace mediant::detail {

#if defined __bpf__ || defined MEDIANT_VERIFIED // the latter in a test, which runs that code elsewhere
inline constexpr bool verified = true;
#else
inline constexpr bool verified = false;
#endif

/// Whether an index is below `count`. Where the verifier reads along, what was known of the index is forgotten, so that it
/// is this very value that is compared and then used.
[[nodiscard]] [[gnu::always_inline]] constexpr bool is_below(std::size_t& index, std::size_t count) noexcept {
    if constexpr (verified)
        if (!std::is_constant_evaluated()) asm volatile("" : "+r"(index));
    return index < count;
}

} // namespace mediant::detail

namespace mediant {

/// For policies, too: an index that is below `count`, which the verifier does not see, as it knows nothing of what a
/// table or a state holds, or what a remainder is. Where it reads along, the index is compared where it is used, and one
/// that is not below is 0; elsewhere nothing is done.
[[nodiscard]] [[gnu::always_inline]] constexpr std::size_t bounded(std::size_t index, std::size_t count) noexcept {
    if constexpr (detail::verified)
        if (!std::is_constant_evaluated()) return detail::is_below(index, count) ? index : 0;
    return index;
}

} // namespace mediant
