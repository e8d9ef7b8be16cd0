// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>

/// Sorting at compile time: a merge sort that takes few steps, since compilers bound how many a
/// constant expression may take; what stands in order already costs one pass.
namespace mediant::detail {

/// The numbers from 0 to N - 1 in the order of `less`.
template <std::size_t N, class Less>
[[nodiscard]] constexpr std::array<std::size_t, N> ordered(const Less& less) {
    std::array<std::size_t, N> order{};
    bool sorted = true;
    for (std::size_t i = 0; i < N; ++i) {
        order[i] = i;
        if (i != 0 && less(i, i - 1)) sorted = false;
    }
    if (sorted) return order;
    std::array<std::size_t, N> merged{};
    for (std::size_t width = 1; width < N; width *= 2) {
        for (std::size_t from = 0; from < N; from += 2 * width) {
            const std::size_t middle = from + width < N ? from + width : N;
            const std::size_t end = middle + width < N ? middle + width : N;
            std::size_t left = from;
            std::size_t right = middle;
            for (std::size_t at = from; at < end; ++at)
                merged[at] = left < middle && (right == end || !less(order[right], order[left])) ? order[left++]
                                                                                               : order[right++];
        }
        order = merged;
    }
    return order;
}

} // namespace mediant::detail
