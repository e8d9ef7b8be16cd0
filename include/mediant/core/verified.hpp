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

} // namespace mediant::detail

namespace mediant {

/// For policies, too: an index that is below `count`, which the verifier does not see, as it knows nothing of what a
/// table or a state holds, or what a remainder is. Where it reads along, the index is compared where it is used, and one
/// that is not below is 0; elsewhere nothing is done.
[[nodiscard]] [[gnu::always_inline]] constexpr std::size_t bounded(std::size_t index, std::size_t count) noexcept {
    if constexpr (detail::verified) {
        if (!std::is_constant_evaluated()) {
            asm volatile("" : "+r"(index)); // what was known of it is forgotten, so that the comparison stays
            return index < count ? index : 0;
        }
    }
    return index;
}

} // namespace mediant
