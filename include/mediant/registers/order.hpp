// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <cstddef>

/// Sorting at compile time: a merge sort of the runs that stand in order already, so that it takes few steps, which
/// compilers bound for a constant expression. A sorted map costs one pass, and register files one for each doubling
/// of their registers.
namespace mediant::detail {

/// The numbers from 0 to N - 1 in the order of `less`; what is alike stays as it was.
template <std::size_t N, class Less>
[[nodiscard]] constexpr std::array<std::size_t, N> ordered(const Less& less) {
    std::array<std::size_t, N> first{};
    std::array<std::size_t, N> second{};
    std::array<std::size_t, N> run_ends{};
    std::size_t* const ends = run_ends.data();
    std::size_t* order = first.data();
    std::size_t* merged = second.data();
    std::size_t runs = 0;
    for (std::size_t i = 0; i < N; ++i) {
        order[i] = i;
        if (i + 1 == N || less(i + 1, i)) ends[runs++] = i + 1;
    }
    while (runs > 1) {
        std::size_t from = 0;
        std::size_t left_over = 0;
        for (std::size_t run = 0; run < runs; run += 2) {
            const std::size_t middle = ends[run];
            const std::size_t end = run + 1 < runs ? ends[run + 1] : middle;
            std::size_t left = from;
            std::size_t right = middle;
            for (std::size_t at = from; at < end; ++at)
                merged[at] = left < middle && (right == end || !less(order[right], order[left])) ? order[left++]
                                                                                               : order[right++];
            ends[left_over++] = from = end;
        }
        runs = left_over;
        std::size_t* const sorted = merged;
        merged = order;
        order = sorted;
    }
    return order == first.data() ? first : second;
}

} // namespace mediant::detail
