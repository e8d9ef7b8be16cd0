// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>

/// From a number that is known at run time to code that was written for each number.
namespace mediant::detail {

// One real switch, so that compilers may use a jump table, or, where those are forbidden as in kernels, a search by
// halves; a chain of comparisons that C++ could generate is left a chain there.
#define MEDIANT_CASE(n)                                                                                                \
    case (n):                                                                                                          \
        if constexpr (First + (n) < Count)                                                                             \
            return f.template operator()<First + (n)>();                                                               \
        else                                                                                                           \
            break;
#define MEDIANT_CASES_4(n) MEDIANT_CASE(n) MEDIANT_CASE((n) + 1) MEDIANT_CASE((n) + 2) MEDIANT_CASE((n) + 3)
#define MEDIANT_CASES_16(n)                                                                                            \
    MEDIANT_CASES_4(n) MEDIANT_CASES_4((n) + 4) MEDIANT_CASES_4((n) + 8) MEDIANT_CASES_4((n) + 12)
#define MEDIANT_CASES_64(n)                                                                                            \
    MEDIANT_CASES_16(n) MEDIANT_CASES_16((n) + 16) MEDIANT_CASES_16((n) + 32) MEDIANT_CASES_16((n) + 48)

/// Numbers from First on, below Count, at most 256 of them.
template <bool Bounded, std::size_t First, std::size_t Count, class R, class F>
[[gnu::always_inline]] constexpr R dispatch_some(std::size_t i, R otherwise, const F& f) {
    if constexpr (Count - First <= 16) {
        switch (i - First) {
            MEDIANT_CASES_16(0)
        default: break;
        }
    } else {
        switch (i - First) {
            MEDIANT_CASES_64(0)
            MEDIANT_CASES_64(64)
            MEDIANT_CASES_64(128)
            MEDIANT_CASES_64(192)
        default: break;
        }
    }
    if constexpr (Bounded) __builtin_unreachable();
    return otherwise;
}

#undef MEDIANT_CASES_64
#undef MEDIANT_CASES_16
#undef MEDIANT_CASES_4
#undef MEDIANT_CASE

/// What f.template operator()<I>() returns for i = I < Count, and `otherwise` for larger numbers. One jump for up to
/// 256 numbers, and one comparison more for each further 256. Bounded: i is known to be below Count.
template <std::size_t Count, bool Bounded = false, std::size_t First = 0, class R, class F>
[[gnu::always_inline]] constexpr R dispatch(std::size_t i, R otherwise, const F& f) {
    if constexpr (Count - First <= 256) {
        return dispatch_some<Bounded, First, Count>(i, otherwise, f);
    } else {
        if (i < First + 256) return dispatch_some<true, First, First + 256>(i, otherwise, f);
        return dispatch<Count, Bounded, First + 256>(i, otherwise, f);
    }
}

} // namespace mediant::detail
