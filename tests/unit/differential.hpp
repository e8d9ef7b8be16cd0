// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// The engine against a deliberately naive model: the same random accesses must give the same {count, error, bytes},
/// the same accesses below in the same order, and the same calls of hooks with the same values. Set MEDIANT_SEED to
/// repeat a run, which the failure's message names.

#ifndef MEDIANT_TESTS_UNIT_DIFFERENTIAL_HPP
#define MEDIANT_TESTS_UNIT_DIFFERENTIAL_HPP

#include "generated_map.hpp"
#include "hooked_policies.hpp"
#include "naive_model.hpp"
#include "recorder.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>

namespace mediant::test {

using bytewise = generated<48, map_shape{.seed = 11, .size = 1024, .gap = 9}>;
using dense = generated<120, map_shape{.seed = 12, .size = 2048, .gap = 2}>;
using aligned = generated<60, map_shape{.seed = 13, .size = 2048, .gap = 40, .dwords = true}>;
using only_registers = generated<80, map_shape{.seed = 14, .size = 2048, .gap = 24, .dwords = true, .areas = false}>;
using everything = generated<60, map_shape{.seed = 21, .size = 2048, .gap = 9, .everything = true}>;
using every_dword = generated<60, map_shape{.seed = 22, .size = 2048, .gap = 16, .dwords = true, .everything = true}>;
using every_register = generated<120, map_shape{.seed = 23, .size = 4096, .gap = 4, .areas = false, .everything = true}>;
using spread = generated<30, map_shape{.seed = 15, .size = 32768, .gap = 20, .leap = 3000}>;

/// Offsets at which something begins or ends, where mistakes live.
template <class... Policies>
std::vector<std::uint64_t> corners() {
    std::vector<std::uint64_t> out{0};
    const auto add = [&](const auto& map) {
        out.push_back(map.size);
        for (const entry& e : map.entries)
            for (std::uint32_t i = 0; i < e.count; ++i)
                out.insert(out.end(), {e.offset + i * e.stride, e.offset + i * e.stride + e.size});
    };
    (add(Policies::bar0), ...);
    return out;
}

/// Of a front that takes Policies over the recording device.
template <class Front, class... Policies>
void compare_front(std::uint64_t seed, unsigned max, int accesses) {
    const std::vector<std::uint64_t> places = corners<Policies...>();
    const std::uint64_t size = *std::max_element(places.begin(), places.end());
    bench<Front, revocable> b{size, max};
    hook_failures = {};

    model m;
    (m.layers.push_back(model_layer::of<Policies::bar0>(Policies::lane_hooks)), ...);
    m.memory = b.device.memory[bar{0}];
    m.widest = max;

    random_numbers random{seed};
    int answered = 0;
    for (int i = 0; i < accesses; ++i) {
        std::uint64_t offset = random.below(8) == 0 ? random.below(size + 4) : places[random.below(places.size())];
        if (const std::uint64_t before = random.below(12); offset >= before) offset -= before;
        const std::uint64_t chance = random.below(16);
        const std::size_t length = static_cast<std::size_t>(chance < 12    ? std::uint64_t{1} << random.below(4)
                                                            : chance < 15 ? random.below(24)
                                                                          : random.below(200));
        // Mostly nothing fails; else a device's access or a hook soon does.
        const bool faulty = random.below(8) == 0;
        b.device.faults_after = m.faults_after = faulty ? static_cast<int>(random.below(6)) : -1;
        hook_failures.left = m.hooks.left = random.below(16) == 0 ? static_cast<int>(random.below(3)) : -1;

        answer expected;
        answer got;
        bytes expected_data(length, std::byte{0xcc});
        bytes got_data = expected_data;
        const bool writes = random.below(2) == 0;
        if (writes) {
            for (std::byte& x : expected_data) x = static_cast<std::byte>(random());
            got_data = expected_data;
            expected = m.write(offset, expected_data);
            got = b.front.write({bar{0}, offset, got_data});
        } else {
            expected = m.read(offset, expected_data);
            got = b.front.read({bar{0}, offset, got_data});
        }
        if (random.below(500) == 0) {
            b.front.reset();
            m.reset();
        }
        const events seen = b.device.happened();
        const bool same = got == expected && got_data == expected_data && seen == m.log && b.device.memory[bar{0}] == m.memory;
        if (!same) {
            CAPTURE(seed, max, i, writes, offset, length);
            CHECK(got == expected);
            CHECK(got_data == expected_data);
            CHECK(seen == m.log);
            CHECK(b.device.memory[bar{0}] == m.memory);
            FAIL("access " << i << " with MEDIANT_SEED=" << seed);
        }
        m.log.clear();
        if (got.count != 0) ++answered;
    }
    CHECK(answered > accesses / 4); // else little was compared
}

inline std::uint64_t seed() {
    static const std::uint64_t value = [] {
        const char* const given = std::getenv("MEDIANT_SEED");
        const std::uint64_t s = given != nullptr ? std::strtoull(given, nullptr, 0) : 20240607;
        std::cout << "MEDIANT_SEED=" << s << '\n';
        return s;
    }();
    return value;
}

} // namespace mediant::test

#endif // MEDIANT_TESTS_UNIT_DIFFERENTIAL_HPP
