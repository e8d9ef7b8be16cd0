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
    std::size_t* from = order.data(); // pointers, since a call of operator[] is a step
    bool sorted = true;
    for (std::size_t i = 0; i < N; ++i) {
        from[i] = i;
        if (i != 0 && less(i, i - 1)) sorted = false;
    }
    if (sorted) return order;
    std::array<std::size_t, N> other{};
    std::size_t* to = other.data();
    for (std::size_t width = 1; width < N; width *= 2) {
        for (std::size_t begin = 0; begin < N; begin += 2 * width) {
            const std::size_t middle = begin + width < N ? begin + width : N;
            const std::size_t end = middle + width < N ? middle + width : N;
            std::size_t left = begin;
            std::size_t right = middle;
            for (std::size_t at = begin; at < end; ++at)
                to[at] = left < middle && (right == end || !less(from[right], from[left])) ? from[left++] : from[right++];
        }
        std::size_t* const merged = to;
        to = from;
        from = merged;
    }
    return from == order.data() ? order : other;
}

} // namespace mediant::detail
