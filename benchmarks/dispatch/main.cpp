// SPDX-License-Identifier: BSD-3-Clause
// Mediated access in process, several ways: time by ratio (Google Benchmark) and instructions (callgrind).
//
//   dispatch                         checks that all ways answer alike, then measures time and prints a table
//   dispatch --instructions          to be run under callgrind: one dump a case
//   dispatch --counts FILE           also shows these instruction counts: lines of "label count"
//   dispatch --json FILE             also writes the table as JSON
#include "device.h"

#include <benchmark/benchmark.h>
#include <fmt/core.h>
#include <nlohmann/json.hpp>
#include <valgrind/callgrind.h>

#include <array>
#include <cstring>
#include <fstream>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace {

struct access_case {
    const char* name;
    bool is_write;
    std::uint64_t offset; ///< from the first register of the last group of four, or absolute if it passes
    std::size_t count;
    std::uint32_t region = 0;
};
constexpr access_case cases[] = {
    {"read a constant", false, 0, 4},
    {"read a shadow", false, 4, 4},
    {"read through a hook", false, 12, 4},
    {"read 1 byte of a shadow", false, 6, 1},
    {"read 8 bytes, two shadows", false, 4, 8},
    {"write a shadow", true, 4, 4},
    {"write through a hook", true, 12, 4},
    {"write 2 bytes, cleared by ones", true, 10, 2},
    {"write 8 bytes, two shadows", true, 4, 8},
    {"read what passes", false, 0x8000, 4},
    {"write what passes", true, 0x8000, 4},
    {"read a region without a map", false, 0x8000, 4, 2},
    {"write a region without a map", true, 0x8000, 4, 2},
};
/// What passes is also compared with the device alone.
constexpr bool passes(const access_case& c) { return c.offset >= 0x8000; }
constexpr std::array sizes{8u, 64u, 512u, 4096u};
const std::array<const contender*, 3> mediated{by_mediant, by_switch, by_table};

std::vector<const contender*> ways_of(std::size_t size) {
    std::vector<const contender*> out;
    for (const contender* way : mediated) out.push_back(&way[size]);
    out.push_back(&straight);
    return out;
}

struct opened {
    const contender* way;
    void* state;
    std::vector<std::uint8_t> memory = std::vector<std::uint8_t>(DEVICE_MEMORY);

    explicit opened(const contender& w) : way{&w}, state{nullptr} {
        for (std::size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<std::uint8_t>(i * 7 + (i >> 8));
        state = w.make(memory.data());
    }
};

std::uint64_t place(const access_case& c, unsigned registers) {
    return passes(c) ? c.offset : c.offset + 4 * (registers - 4);
}

std::int64_t once(opened& device, const access_case& c, std::uint8_t* bytes) {
    const std::uint64_t offset = place(c, device.way->registers);
    return c.is_write ? device.way->write(device.state, c.region, offset, bytes, c.count)
                      : device.way->read(device.state, c.region, offset, bytes, c.count);
}

std::string label(const contender& way, const access_case& c) {
    return fmt::format("{}/{}/{}", way.name, way.registers, c.name);
}

/// A comparison of things that do different work is worth nothing: random accesses, answer by answer, and access to the
/// device by access, of which some fail.
bool all_alike() {
    struct outcome {
        std::int64_t answer = 0;
        std::array<std::uint8_t, 16> bytes{};
        std::uint64_t reached = 0;
        bool operator==(const outcome&) const = default;
    };
    for (std::size_t size = 0; size < sizes.size(); ++size) {
        std::vector<opened> devices;
        for (const contender* way : ways_of(size)) devices.emplace_back(*way);
        std::mt19937_64 random{1};
        for (int i = 0; i < 200'000; ++i) {
            const std::uint32_t region = random() % 4 != 0 ? 0 : static_cast<std::uint32_t>(random() % (DEVICE_REGIONS + 1));
            const bool near = random() % 8 != 0;
            const std::uint64_t offset = near                ? random() % (16 * sizes[size] / 3 + 64)
                                         : random() % 2 != 0 ? random() % DEVICE_SIZE
                                                             : DEVICE_SIZE - 32 + random() % 64;
            const std::size_t count = random() % 17;
            const bool is_write = random() % 2 != 0;
            outcome before;
            for (auto& byte : before.bytes) byte = static_cast<std::uint8_t>(random());
            std::vector<outcome> outcomes(devices.size(), before);
            for (std::size_t w = 0; w < devices.size(); ++w) {
                if (devices[w].way == &straight && region == 0) continue;
                outcome& out = outcomes[w];
                device_watch = &out.reached;
                out.answer = is_write
                                 ? devices[w].way->write(devices[w].state, region, offset, out.bytes.data(), count)
                                 : devices[w].way->read(devices[w].state, region, offset, out.bytes.data(), count);
                device_watch = nullptr;
                if (out == outcomes[0]) continue;
                fmt::print(stderr,
                           "{} and {} differ with {} registers: {} of {} bytes at {:#x} of region {} answers {} and {}{}\n",
                           devices[0].way->name, devices[w].way->name, sizes[size], is_write ? "write" : "read", count,
                           offset, region, outcomes[0].answer, out.answer,
                           out.reached == outcomes[0].reached ? "" : ", and reaches the device otherwise");
                return false;
            }
        }
    }
    return true;
}

/// Instructions alone: a dump for each case, named by its label.
void count_instructions(int accesses) {
    for (std::size_t size = 0; size < sizes.size(); ++size) {
        for (const contender* way : ways_of(size)) {
            opened device{*way};
            for (const access_case& c : cases) {
                if (way == &straight && (size != 0 || !passes(c))) continue;
                std::uint8_t bytes[8]{};
                once(device, c, bytes);
                const std::string name = label(*way, c);
                CALLGRIND_ZERO_STATS;
                for (int i = 0; i < accesses; ++i) once(device, c, bytes);
                CALLGRIND_DUMP_STATS_AT(name.c_str());
            }
        }
    }
}

class collector : public benchmark::BenchmarkReporter {
public:
    std::map<std::string, double> nanoseconds; ///< medians

    bool ReportContext(const Context&) override { return true; }
    void ReportRuns(const std::vector<Run>& runs) override {
        for (const Run& run : runs)
            if (run.aggregate_name == "median") nanoseconds[run.run_name.function_name] = run.GetAdjustedRealTime();
        fmt::print(stderr, ".");
    }
};

std::optional<std::string> value_of(int argc, char** argv, const char* option) {
    for (int i = 1; i + 1 < argc; ++i)
        if (std::strcmp(argv[i], option) == 0) return argv[i + 1];
    return std::nullopt;
}

} // namespace

int main(int argc, char** argv) {
    if (!all_alike()) return 1;
    if (argc > 1 && std::strcmp(argv[1], "--instructions") == 0) {
        count_instructions(1000);
        return 0;
    }

    std::map<std::string, double> counts;
    if (const auto file = value_of(argc, argv, "--counts")) {
        std::ifstream in{*file};
        std::string line;
        while (std::getline(in, line))
            if (const auto space = line.rfind(' '); space != std::string::npos)
                counts[line.substr(0, space)] = std::stod(line.substr(space + 1));
        if (counts.empty()) {
            fmt::print(stderr, "{}: no instruction counts in it\n", *file);
            return 1;
        }
    }

    for (std::size_t size = 0; size < sizes.size(); ++size)
        for (const contender* way : ways_of(size))
            for (const access_case& c : cases) {
                if (way == &straight && (size != 0 || !passes(c))) continue;
                benchmark::RegisterBenchmark(label(*way, c).c_str(), [way, &c](benchmark::State& run) {
                    opened device{*way};
                    std::uint8_t bytes[8]{};
                    for (auto _ : run) {
                        benchmark::DoNotOptimize(once(device, c, bytes));
                        benchmark::ClobberMemory();
                    }
                });
            }
    // Interleaved, so that a drift of the machine's speed meets all ways alike.
    std::array flags{std::string{argv[0]}, std::string{"--benchmark_repetitions=7"},
                     std::string{"--benchmark_min_time=0.005"},
                     std::string{"--benchmark_enable_random_interleaving=true"}};
    std::array<char*, 4> arguments{};
    for (std::size_t i = 0; i < flags.size(); ++i) arguments[i] = flags[i].data();
    int count = static_cast<int>(arguments.size());
    benchmark::Initialize(&count, arguments.data());
    collector results;
    benchmark::RunSpecifiedBenchmarks(&results);
    fmt::print(stderr, "\n");

    nlohmann::json rows = nlohmann::json::array();
    fmt::print("Mediated access in process: mediant against a hand-written switch and a table of function pointers in C; what\n"
               "passes, also against the device alone, clamped and split alike. Below 1.00, mediant needs less.\n\n"
               "{:32} {:>9} | {:>8} {:>9} {:>8} {:>9} | {:>12} {:>7} {:>7} {:>7} {:>9}\n",
               "access", "registers", "ns", "to switch", "to table", "to device", "instructions", "switch", "table",
               "device", "to switch");
    for (std::size_t size = 0; size < sizes.size(); ++size) {
        for (const access_case& c : cases) {
            std::vector<double> ns;
            std::vector<double> instructions;
            nlohmann::json row{{"access", c.name}, {"registers", sizes[size]}};
            for (const contender* way : ways_of(size)) {
                if (way == &straight && !passes(c)) continue;
                ns.push_back(results.nanoseconds[label(*way, c)]);
                instructions.push_back(counts[label(*way, c)]);
                row["nanoseconds"][way->name] = ns.back();
                row["instructions"][way->name] = instructions.back();
            }
            fmt::print("{:32} {:>9} | {:>8.1f} {:>9.2f} {:>8.2f} {:>9} | {:>12.0f} {:>7.0f} {:>7.0f} {:>7} {:>9.2f}\n",
                       c.name, sizes[size], ns[0], ns[0] / ns[1], ns[0] / ns[2],
                       passes(c) ? fmt::format("{:.2f}", ns[0] / ns[3]) : "", instructions[0], instructions[1],
                       instructions[2], passes(c) ? fmt::format("{:.0f}", instructions[3]) : "",
                       instructions[0] / instructions[1]);
            rows.push_back(std::move(row));
        }
    }
    if (const auto file = value_of(argc, argv, "--json")) std::ofstream{*file} << rows.dump(2) << '\n';
    return 0;
}
