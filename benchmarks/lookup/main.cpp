// SPDX-License-Identifier: BSD-3-Clause
// Which provider serves a device: a registry's look-up against a scan of a table of IDs as the PCI core does it.
//
//   lookup [--json FILE]
#include "linear_scan.h"

#include <mediant/mediant.hpp>

#include <benchmark/benchmark.h>
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace {
using namespace mediant;

/// IDs as drivers list them: 50 vendors; each tenth rule with subsystem IDs, and a few that name a vendor and a class
/// alone.
template <std::size_t Number, std::size_t Of, std::size_t Rules>
struct one_of_many {
    static constexpr char digit(std::size_t n) { return static_cast<char>('0' + n % 10); }
    static constexpr char name[] = {'p', digit(Number / 100), digit(Number / 10), digit(Number)};
    static consteval pci_id rule(std::size_t i) {
        const auto n = static_cast<std::uint32_t>(i * Of + Number);
        const std::uint32_t vendor = 0x1000 + n % 50;
        if (n < Of * Rules / 50 && n % 50 == 0)
            return {.vendor = 0x2000 + n, .class_code = 0x020000, .class_mask = 0xff0000};
        return n % 10 == 9 ? pci_id{vendor, n / 50, 0x1af4, n % 7} : pci_id{vendor, n / 50};
    }
    static constexpr auto info = []<std::size_t... I>(std::index_sequence<I...>) {
        return provider{std::string_view{name, sizeof name}, {rule(I)...}};
    }(std::make_index_sequence<Rules>{});
};
template <std::size_t Rules, class Numbers>
struct many;
template <std::size_t Rules, std::size_t... I>
struct many<Rules, std::index_sequence<I...>> {
    using devices = registry<one_of_many<I, sizeof...(I), Rules>...>;
};

/// One registry, its table for the scan, and devices to ask for.
struct contest {
    std::string name;
    std::size_t rules;
    std::size_t (*find)(const device_id&);
    std::size_t none;
    std::size_t index_bytes;
    std::vector<linear_id> table;
    std::vector<pci_id> listed;
};

template <std::size_t Providers, std::size_t Rules>
contest contest_of() {
    using devices = typename many<Rules, std::make_index_sequence<Providers>>::devices;
    contest out{fmt::format("{} x {}", Providers, Rules),
                Providers * Rules,
                [](const device_id& id) { return devices::find(id); },
                devices::npos,
                sizeof(rule_index<Providers * Rules>),
                {},
                {}};
    std::size_t provider = 0;
    std::vector<owned_rule> all;
    devices::for_each([&]<class P>() {
        for (const pci_id& rule : P::info.rules)
            all.push_back({rule, static_cast<std::uint32_t>(provider), rule.rank()});
        ++provider;
    });
    // Most specific first, since the scan takes the first that matches.
    std::stable_sort(all.begin(), all.end(), [](const owned_rule& a, const owned_rule& b) { return a.rank > b.rank; });
    for (const owned_rule& each : all) {
        const pci_id& r = each.rule;
        out.table.push_back(
            {r.vendor, r.device, r.subvendor, r.subdevice, r.class_code, r.class_mask, each.provider + 1, 0});
        out.listed.push_back(r);
    }
    out.table.push_back({});
    return out;
}

/// What is asked for: devices in the table, in no order; some that are not; or the worst for a scan.
std::vector<device_id> devices_for(const contest& c, std::string_view kind) {
    std::mt19937 random{7};
    std::vector<device_id> out;
    for (int i = 0; i < 1024; ++i) {
        const auto value = [](std::uint32_t id, std::uint32_t otherwise) { return id == any_id ? otherwise : id; };
        const pci_id& r = kind == "last" ? c.listed.back() : c.listed[random() % c.listed.size()];
        device_id id{value(r.vendor, 1), value(r.device, 2), value(r.subvendor, 3), value(r.subdevice, 4),
                     r.class_code};
        if (kind == "unknown") id.vendor = 0x8086;
        out.push_back(id);
    }
    return out;
}

std::size_t scan(const contest& c, const device_id& id) {
    const linear_device device{id.vendor, id.device, id.subvendor, id.subdevice, id.class_code};
    const linear_id* const found = linear_scan(c.table.data(), &device);
    return found == nullptr ? c.none : found->driver_data - 1;
}

/// Both must give the same, else the times say nothing.
bool all_alike(const contest& c) {
    std::mt19937 random{1};
    for (int i = 0; i < 20'000; ++i) {
        const pci_id& r = c.listed[random() % c.listed.size()];
        const auto value = [&](std::uint32_t id) {
            return id != any_id && random() % 8 != 0 ? id : static_cast<std::uint32_t>(random() % 0x2100);
        };
        const device_id id{value(r.vendor), value(r.device), value(r.subvendor), value(r.subdevice),
                           random() % 2 == 0 ? 0x020000u : 0x010802u};
        if (c.find(id) == scan(c, id)) continue;
        fmt::print(stderr, "{}: {:04x}:{:04x}: the registry gives {}, the scan {}\n", c.name, id.vendor, id.device,
                   c.find(id), scan(c, id));
        return false;
    }
    return true;
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

constexpr const char* kinds[] = {"listed", "last", "unknown"};

} // namespace

int main(int argc, char** argv) {
    const std::vector<contest> contests{contest_of<1, 10>(), contest_of<10, 10>(), contest_of<100, 10>(),
                                        contest_of<100, 100>(), contest_of<1, 10'000>()};
    for (const contest& c : contests)
        if (!all_alike(c)) return 1;

    std::map<std::string, std::vector<device_id>> asked;
    for (const contest& c : contests)
        for (const char* const kind : kinds) {
            const std::string label = fmt::format("{}/{}", c.name, kind);
            asked[label] = devices_for(c, kind);
            const auto add = [&](const std::string& name, auto look_up) {
                benchmark::RegisterBenchmark(name.c_str(), [look_up, &c, &ids = asked[label]](benchmark::State& run) {
                    std::size_t i = 0;
                    for (auto _ : run) {
                        benchmark::DoNotOptimize(look_up(c, ids[i]));
                        i = (i + 1) % ids.size();
                    }
                });
            };
            add(label + "/registry", [](const contest& which, const device_id& id) { return which.find(id); });
            add(label + "/scan", [](const contest& which, const device_id& id) { return scan(which, id); });
        }
    // Interleaved, so that a drift of the machine's speed meets both alike.
    std::array flags{std::string{argv[0]}, std::string{"--benchmark_repetitions=7"},
                     std::string{"--benchmark_min_time=0.01"},
                     std::string{"--benchmark_enable_random_interleaving=true"}};
    std::array<char*, 4> arguments{};
    for (std::size_t i = 0; i < flags.size(); ++i) arguments[i] = flags[i].data();
    int count = static_cast<int>(arguments.size());
    benchmark::Initialize(&count, arguments.data());
    collector results;
    benchmark::RunSpecifiedBenchmarks(&results);
    fmt::print(stderr, "\n");

    nlohmann::json rows = nlohmann::json::array();
    fmt::print("Which provider serves a device: registry::find against a scan of the same IDs as the PCI core does it\n"
               "(pci_match_id). Below 1.00, the registry is the faster.\n\n"
               "{:14} {:>6} {:10} | {:>8} {:>9} {:>8} | {:>12} {:>12}\n",
               "providers x", "IDs", "device", "ns", "scan's ns", "to scan", "table bytes", "scan's table");
    for (const contest& c : contests)
        for (const char* const kind : kinds) {
            const double ns = results.nanoseconds[fmt::format("{}/{}/registry", c.name, kind)];
            const double scan_ns = results.nanoseconds[fmt::format("{}/{}/scan", c.name, kind)];
            const std::size_t table = c.table.size() * sizeof(linear_id);
            fmt::print("{:14} {:>6} {:10} | {:>8.1f} {:>9.1f} {:>8.3f} | {:>12} {:>12}\n", c.name, c.rules, kind, ns,
                       scan_ns, ns / scan_ns, c.index_bytes, table);
            rows.push_back({{"providers", c.name},
                            {"ids", c.rules},
                            {"device", kind},
                            {"nanoseconds", {{"registry", ns}, {"scan", scan_ns}}},
                            {"bytes", {{"registry", c.index_bytes}, {"scan", table}}}});
        }
    if (argc > 2 && std::strcmp(argv[1], "--json") == 0) std::ofstream{argv[2]} << rows.dump(2) << '\n';
    return 0;
}
