// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "vfio_client.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <vector>

/// The same access in several ways, in turn, in a guest.
namespace benchmark_guest {

inline constexpr std::uint32_t bar0 = VFIO_PCI_BAR0_REGION_INDEX;

/// Whether the guest's clock counts its instructions: MEDIANT_GUEST_INSTRUCTIONS in the environment.
inline const bool instructions = std::getenv("MEDIANT_GUEST_INSTRUCTIONS") != nullptr;
inline const char* const unit = instructions ? "" : " ns";
inline const char* const counted = instructions ? ", instructions" : "";
inline const int rounds = instructions ? 5 : 61;
inline constexpr int accesses = 1000;

inline double median(std::vector<double> values) {
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
    return values[values.size() / 2];
}

/// Nanoseconds for one of many.
inline double time_of(const std::function<void()>& once) {
    const auto began = std::chrono::steady_clock::now();
    for (int i = 0; i < accesses; ++i) once();
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - began;
    return took.count() / accesses;
}

template <std::size_t N>
struct measured {
    std::array<double, N> time{};                 ///< medians of a round's
    std::array<std::array<double, N>, N> ratio{}; ///< medians of [i] to [j] in a round
};

/// One round more than are counted warms up.
template <std::size_t N>
measured<N> measure(const std::array<std::function<void()>, N>& by) {
    std::array<std::vector<double>, N> times;
    for (int round = 0; round <= rounds; ++round)
        for (std::size_t i = 0; i < N; ++i)
            if (const double took = time_of(by[i]); round != 0) times[i].push_back(took);
    measured<N> out;
    for (std::size_t i = 0; i < N; ++i) {
        out.time[i] = median(times[i]);
        for (std::size_t j = 0; j < N; ++j) {
            std::vector<double> ratios;
            for (std::size_t round = 0; round < times[i].size(); ++round)
                ratios.push_back(times[i][round] / times[j][round]);
            out.ratio[i][j] = median(ratios);
        }
    }
    return out;
}

inline std::function<void()> read_of(const mediant::guest::device& from, std::uint64_t offset) {
    return [&from, offset] { static_cast<void>(from.get<std::uint32_t>(bar0, offset)); };
}
inline std::function<void()> write_to(const mediant::guest::device& to, std::uint64_t offset) {
    return [&to, offset] { to.put<std::uint32_t>(bar0, offset, 0x5a5a5a5a); };
}

/// A benchmark's main().
inline int run_and_say(int (*run)()) {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    try {
        return run();
    } catch (const std::exception& e) {
        std::printf("benchmark: %s\n", e.what());
        return 1;
    }
}

} // namespace benchmark_guest
