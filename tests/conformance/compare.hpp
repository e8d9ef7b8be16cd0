// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "accesses.hpp"
#include "every_kind.hpp"
#include "shaped_edu.hpp"
#include "worlds.hpp"

#include <mediant/device/edu.hpp>

#include <algorithm>
#include <bit>
#include <cinttypes>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

/// The same operations in two worlds, answer by answer.
namespace mediant::conformance {

using config_test::shaped_edu;
using conformance_test::every_kind;

using transcript = std::vector<outcome>;

template <world W>
[[nodiscard]] transcript perform(W& where, std::span<const operation> all) {
    transcript answers;
    answers.reserve(all.size());
    for (const operation& one : all) answers.push_back(where.perform(one));
    return answers;
}

inline void print(const char* name, const operation& what, const outcome& came) {
    std::printf("    %-10s count %" PRIu64 ", error %d", name, came.count, to_errno(came.error));
    if (what.what == operation::kind::read) {
        std::printf(", bytes");
        for (std::size_t i = 0; i < came.count && i < longest; ++i)
            std::printf(" %02x", std::to_integer<unsigned>(came.bytes[i]));
    }
    std::printf("\n");
}

inline void print(const operation& what) {
    if (what.what == operation::kind::reset) {
        std::printf("reset\n");
        return;
    }
    std::printf("%s of %zu bytes at 0x%" PRIx64 " of region %u", what.what == operation::kind::read ? "read" : "write",
                what.size, what.offset, static_cast<unsigned>(what.region));
    if (what.what == operation::kind::write) {
        std::printf(":");
        for (std::size_t i = 0; i < what.size; ++i) std::printf(" %02x", std::to_integer<unsigned>(what.bytes[i]));
    }
    std::printf("\n");
}

/// Prints the first differences and how many there are; whether there is none.
[[nodiscard]] inline bool equal(std::string_view title, std::uint64_t seed, std::span<const operation> all,
                                const transcript& expected, const transcript& got) {
    constexpr std::size_t shown = 8;
    std::size_t differences = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (expected[i] == got[i]) continue;
        if (++differences > shown) continue;
        std::printf("DIFFERENT (seed %" PRIu64 ", number %zu): ", seed, i);
        print(all[i]);
        print("in process", all[i], expected[i]);
        print("there", all[i], got[i]);
    }
    const auto name = static_cast<int>(title.size());
    if (differences == 0)
        std::printf("%.*s: %zu accesses equal (seed %" PRIu64 ")\n", name, title.data(), all.size(), seed);
    else
        std::printf("%.*s: %zu of %zu accesses differ (seed %" PRIu64 ")\n", name, title.data(), differences,
                    all.size(), seed);
    return differences == 0;
}

/// What a list of accesses is made of, so that a reader sees that it reaches what it should.
inline void describe(const territory& where, std::span<const operation> all) {
    std::size_t reads = 0, writes = 0, unaligned = 0, straddling = 0, over_end = 0, elsewhere = 0, resets = 0;
    for (const operation& one : all) {
        if (one.what == operation::kind::reset) {
            ++resets;
            continue;
        }
        ++(one.what == operation::kind::read ? reads : writes);
        elsewhere += one.region != bar{0};
        if (one.region != bar{0}) continue;
        unaligned += one.offset % std::bit_ceil(one.size) != 0;
        over_end += !fits(one.offset, one.size, where.size);
        straddling += std::any_of(where.edges.begin(), where.edges.end(), [&](std::uint64_t edge) {
            return edge > one.offset && edge < one.where().end();
        });
    }
    std::printf("%zu operations: %zu reads, %zu writes, %zu resets; %zu unaligned, %zu over the edge of an entry, "
                "%zu past the end, %zu to other regions\n",
                all.size(), reads, writes, resets, unaligned, straddling, over_end, elsewhere);
}

/// What random accesses to edu leave alone, as it changes by itself, and config space as every world has it.
[[nodiscard]] inline territory edu_territory() {
    using edu = device::edu;
    return {.size = edu::bar_size,
            .edges = {edu::live, edu::status, edu::irq_status, edu::irq_raise, edu::dma_source, edu::dma_command, 0xa0},
            .untouched = {{edu::factorial, 4}, {edu::dma_command, 8}},
            .unwritten = {{edu::irq_raise, 8}},
            .config = {{0x00, 4}, {0x08, 4}, {0x2c, 4}, {0x34, 1}, {0x3d, 3}, {0x100, 8}, {0xfc, 4}, {0xfe, 8}}};
}

/// Where shaped_edu lets accesses go: to the registers of BARs, and around all that its config map states. What
/// passes of that to the device itself is nowhere both written and read, since QEMU's keeps it and the simulated one
/// does not.
[[nodiscard]] inline territory shaped_edu_territory() {
    territory where = edu_territory();
    where.size = 512_KiB;
    where.around<shaped_edu::bar0>();
    where.untouched = {{device::edu::factorial, 4}}; // the DMA block is virtual
    where.config.insert(where.config.end(), {{0x5c, 16}, {0x6e, 8}, {0x74, 8}, {0xa0, 12}});
    where.shaped_config = {{0x00, 4}, {0x08, 4}, {0x10, 4}, {0x18, 4}, {0x24, 4}, {0x10, 24}, {0x2c, 2},
                           {0x40, 14}, {0x62, 6}, {0x71, 3}, {0x76, 5}, {0xa0, 12}};
    where.blind_config = {{0x86, 12}, {0x88, 8}, {0x8a, 2}};
    where.others = {bar{2}, bar{5}};
    return where;
}

/// Around each of every_kind's registers and elements.
[[nodiscard]] inline territory every_kind_territory() {
    territory where = edu_territory();
    for (const mediant::detail::trapped_entry& e : mediant::detail::trapped_entries<every_kind::bar0>)
        where.edges.insert(where.edges.end(), {e.offset, e.end});
    where.around<every_kind::bar0>();
    return where;
}

/// The same for the registers of BARs, which a kernel gives addresses.
template <world W>
void settle_bars(W& where) {
    for (std::uint64_t at = 0x10; at < 0x28; at += 4) {
        operation one = write_of(at, 4, 0);
        one.region = region_index::config;
        where.perform(one);
    }
}

/// Brings edu to a known state: QEMU's keeps its registers as long as QEMU runs.
template <world W>
void settle_edu(W& where) {
    using edu = device::edu;
    where.perform(memory(true));
    for (const operation& one : {write_of(edu::live, 4, 0xffff'ffff), write_of(edu::status, 4, 0),
                                 write_of(edu::irq_ack, 4, 0xffff'ffff), write_of(edu::dma_source, 4, 0),
                                 write_of(edu::dma_target, 4, 0), write_of(edu::dma_count, 4, 0)})
        where.perform(one);
}

/// The same for what a provider may keep from being written: on a device without one.
template <world W>
void settle_dma(W& where) {
    using edu = device::edu;
    for (const std::uint64_t which : {edu::dma_source, edu::dma_target, edu::dma_count}) where.perform(write_of(which, 8, 0));
}

/// What random accesses leave out: factorials, which are waited for, and interrupts raised and acknowledged.
/// Throws std::runtime_error where edu does not get ready.
template <world W>
[[nodiscard]] transcript polled_script(W& where, std::vector<operation>& done) {
    using edu = device::edu;
    transcript answers;
    const auto step = [&](const operation& what) {
        done.push_back(what);
        answers.push_back(where.perform(what));
        return answers.back();
    };
    for (const std::uint32_t n : {0u, 1u, 5u, 12u, 13u, 33u, 34u, 1000u}) {
        step(write_of(edu::status, 4, n % 2 == 0 ? 0 : edu::status_interrupt));
        step(write_of(edu::factorial, 4, n));
        const auto busy = [&] {
            const outcome came = where.perform(read_of(edu::status, 4));
            return (std::to_integer<std::uint32_t>(came.bytes[0]) & edu::status_busy) != 0;
        };
        for (int tries = 0; busy(); ++tries) {
            if (tries == 5000) throw std::runtime_error{"a factorial does not end"};
            where.pass_time();
        }
        where.pass_time(); // the interrupt comes after the busy flag went
        for (const operation& one : {read_of(edu::factorial, 4), read_of(edu::status, 4), read_of(edu::irq_status, 4),
                                     read_of(edu::factorial, 2), read_of(edu::factorial, 8)})
            step(one);
    }
    for (const std::uint32_t bits : {0x0u, 0x5u, 0xf000'0000u}) {
        step(write_of(edu::irq_raise, 4, bits));
        step(read_of(edu::irq_status, 4));
        step(write_of(edu::irq_raise, 2, 0xffff));
        step(write_of(edu::irq_ack, 1, 0xff));
        step(read_of(edu::irq_status - 4, 8));
        step(read_of(edu::irq_raise, 8));
    }
    step(write_of(edu::irq_ack, 4, 0x1));
    step(read_of(edu::irq_status, 4));
    step(write_of(edu::irq_ack, 4, 0xffff'ffff));
    step(read_of(edu::irq_status, 4));
    return answers;
}

/// The command line and environment of a comparison.
struct options {
    std::uint64_t seed = 20240229;
    std::size_t count = 20'000;
    bool plain = false;        ///< no provider: the device itself is compared
    bool user_space = false;   ///< the provider stands on a device that vfio-pci holds
    bool settle = false;       ///< the device is brought to a known state, and nothing is compared
    unsigned max_access = 4;   ///< of the kernel at hand
    std::string provider;      ///< which one holds the device; empty: that of the module
    std::string device;        ///< PCI address; empty: the first that there is
};

/// `[--seed N|random] [--count N] [--plain|--user-space|--settle] [--provider NAME] [--max-access 4|8] [ADDRESS]`;
/// MEDIANT_SEED stands for --seed. Throws std::invalid_argument.
[[nodiscard]] inline options parse(int argc, char** argv) {
    options out;
    const auto number = [](const char* text) {
        char* end = nullptr;
        const std::uint64_t value = std::strtoull(text, &end, 0);
        if (end == text || *end != '\0') throw std::invalid_argument{std::string{"not a number: "} + text};
        return value;
    };
    const auto seed = [&](const char* text) {
        if (std::strcmp(text, "random") != 0) return number(text);
        std::random_device source;
        return std::uint64_t{source()} << 32 | source();
    };
    const char* const wanted = std::getenv("MEDIANT_SEED");
    if (wanted != nullptr && *wanted != '\0') out.seed = seed(wanted);
    for (int i = 1; i < argc; ++i) {
        const std::string_view name = argv[i];
        if (name == "--plain") {
            out.plain = true;
        } else if (name == "--user-space") {
            out.user_space = true;
        } else if (name == "--settle") {
            out.settle = true;
        } else if (name.starts_with("--")) {
            if (++i == argc) throw std::invalid_argument{std::string{name} + " needs a value"};
            if (name == "--seed") out.seed = seed(argv[i]);
            else if (name == "--count") out.count = number(argv[i]);
            else if (name == "--provider") out.provider = argv[i];
            else if (name == "--max-access") out.max_access = static_cast<unsigned>(number(argv[i]));
            else throw std::invalid_argument{"unknown option " + std::string{name}};
        } else {
            out.device = name;
        }
    }
    if (out.max_access != 4 && out.max_access != 8) throw std::invalid_argument{"--max-access is 4 or 8"};
    return out;
}

} // namespace mediant::conformance
