// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>

/// From a number that is known at run time to code that was written for each number.
namespace mediant::detail {

/// One digit, base 16, of the number that dispatch looks for: numbers from First on, Step apart, below Count.
template <std::size_t Count, std::size_t First, std::size_t Step, class F>
constexpr void dispatch_digit(std::size_t i, const F& f) {
    const auto one = [&]<std::size_t Digit>() {
        constexpr std::size_t here = First + Digit * Step;
        if constexpr (here < Count) {
            if constexpr (Step == 1)
                f.template operator()<here>();
            else
                dispatch_digit<(here + Step < Count ? here + Step : Count), here, Step / 16>(i, f);
        }
    };
    switch ((i - First) / Step) {
    case 0: return one.template operator()<0>();
    case 1: return one.template operator()<1>();
    case 2: return one.template operator()<2>();
    case 3: return one.template operator()<3>();
    case 4: return one.template operator()<4>();
    case 5: return one.template operator()<5>();
    case 6: return one.template operator()<6>();
    case 7: return one.template operator()<7>();
    case 8: return one.template operator()<8>();
    case 9: return one.template operator()<9>();
    case 10: return one.template operator()<10>();
    case 11: return one.template operator()<11>();
    case 12: return one.template operator()<12>();
    case 13: return one.template operator()<13>();
    case 14: return one.template operator()<14>();
    case 15: return one.template operator()<15>();
    default: return;
    }
}

/// Calls f.template operator()<I>() for i = I < Count, and nothing for larger numbers. Jump tables of 16, so that
/// the cost hardly grows with Count, and nesting stays within what compilers allow, for thousands.
template <std::size_t Count, class F>
constexpr void dispatch(std::size_t i, const F& f) {
    constexpr std::size_t step = [] {
        std::size_t s = 1;
        while (16 * s < Count) s *= 16;
        return s;
    }();
    dispatch_digit<Count, 0, step>(i, f);
}

} // namespace mediant::detail
