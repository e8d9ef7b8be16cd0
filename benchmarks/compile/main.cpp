// SPDX-License-Identifier: BSD-3-Clause
// What mediant costs a compiler: time and peak memory, and what comes out, against files that include fmt.
//
//   compile [--json FILE] --include FOLDER COMPILER...
#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace {

/// A provider as its vendor writes it, compiled to the object that goes into a module: each eighth register has hooks,
/// and the rest are constants, shadows, and registers that are only named.
std::string provider_of(int registers, std::uint64_t region_bytes, std::uint64_t stride) {
    std::string map;
    std::string hooks;
    for (int i = 0; i < registers; ++i) {
        const std::string name = fmt::format("REGISTER_{}", i);
        const char* const facts[] = {", ro, {.backing = from::constant, .value = 7}", ", rw, {.backing = from::shadow}",
                                     "", ", w1c, {.backing = from::shadow}"};
        map += fmt::format(",\n        reg{{\"{}\", {:#x}{}}}", name, static_cast<std::uint64_t>(i) * stride,
                           i % 8 == 7 ? ", rw, {.hook = on::read | on::write}" : facts[i % 4]);
        if (i % 8 != 7) continue;
        hooks += fmt::format(
            "    result<std::uint32_t> read(at<bar0, \"{0}\"> which, auto& next) noexcept {{ return next.read(which); }}\n"
            "    result<void> write(at<bar0, \"{0}\"> which, std::uint32_t value, auto& next) noexcept {{ return "
            "next.write(which, value ^ 1); }}\n",
            name);
    }
    return fmt::format(R"(#include <mediant/mediant.hpp>
#include <mediant/kernel/policy_object.hpp>
namespace acme {{
using namespace mediant;
struct measured {{
    static constexpr auto info = provider{{"measured", {{pci_id{{0x1234, 0x11e8}}}}}};
    static constexpr auto bar0 = region_map{{bar{{0}}, {:#x}{}}};
    static constexpr auto regions = mediant::regions<bar0>{{}};
{}}};
static_assert(valid<measured>);
}}
extern "C" {{
extern constinit const mediant_provider* const mediant_providers[] = {{
    &mediant::kernel::provider_table<acme::measured>}};
}}
)",
                       region_bytes, map, hooks);
}

std::string registry_of(int providers, int rules) {
    std::string out = "#include <mediant/mediant.hpp>\nnamespace acme {\nusing namespace mediant;\n";
    std::string names;
    for (int p = 0; p < providers; ++p) {
        out += fmt::format("struct p{0} {{ static constexpr auto info = provider{{\"p{0}\", {{", p);
        for (int r = 0; r < rules; ++r) {
            const int n = (p * rules + r) * 7919 % (providers * rules);
            out += fmt::format("pci_id{{{}, {}}},\n", 0x1000 + n % 50, n / 50);
        }
        out += "}}; };\n";
        names += fmt::format("{}p{}", p == 0 ? "" : ", ", p);
    }
    return out +
           fmt::format("using devices = registry<{}>;\n}}\nunsigned long find(const mediant::device_id& id) {{ return "
                       "acme::devices::find(id); }}\n",
                       names);
}

struct subject {
    const char* name;
    const char* what;
    std::string source;
};

struct measure {
    double seconds = 1e9; ///< user and system, the least of all runs
    double mebibytes = 0; ///< resident at the peak
    long object_bytes = 0;
    std::size_t longest_symbol = 0;
};

std::string output_of(const std::string& command) {
    std::string out;
    FILE* const pipe = popen(command.c_str(), "r");
    if (pipe == nullptr) return out;
    char line[65536];
    while (std::fgets(line, sizeof line, pipe) != nullptr) out += line;
    pclose(pipe);
    return out;
}

/// Runs a command, and adds what it took; false where it fails.
bool run(const std::vector<std::string>& command, measure& into) {
    const pid_t child = fork();
    if (child == 0) {
        std::vector<char*> arguments;
        for (const std::string& each : command) arguments.push_back(const_cast<char*>(each.c_str()));
        arguments.push_back(nullptr);
        execvp(arguments[0], arguments.data());
        std::perror(arguments[0]);
        _exit(127);
    }
    int status = 0;
    rusage used{};
    if (child < 0 || wait4(child, &status, 0, &used) != child || status != 0) return false;
    const auto seconds = [](const timeval& t) {
        return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    into.seconds = std::min(into.seconds, seconds(used.ru_utime) + seconds(used.ru_stime));
    into.mebibytes = std::max(into.mebibytes, static_cast<double>(used.ru_maxrss) / 1024);
    return true;
}

} // namespace

int main(int argc, char** argv) {
    std::string json;
    std::string include;
    std::vector<std::string> compilers;
    for (int i = 1; i < argc; ++i) {
        if (std::strcmp(argv[i], "--json") == 0 && i + 1 < argc)
            json = argv[++i];
        else if (std::strcmp(argv[i], "--include") == 0 && i + 1 < argc)
            include = argv[++i];
        else
            compilers.emplace_back(argv[i]);
    }
    const std::uint64_t gib16 = std::uint64_t{16} << 30;
    const std::vector<subject> subjects{
        {"fmt/core.h", "included alone", "#include <fmt/core.h>\n"},
        {"fmt/format.h", "included alone", "#include <fmt/format.h>\n"},
        {"mediant.hpp", "included alone", "#include <mediant/mediant.hpp>\n"},
        {"50 registers", "a provider's object, 1 MiB BAR", provider_of(50, 1 << 20, 4)},
        {"500 registers", "a provider's object, 1 MiB BAR", provider_of(500, 1 << 20, 4)},
        {"50 sparse registers", "the same over a 16 GiB BAR", provider_of(50, gib16, gib16 / 64)},
        {"500 sparse registers", "the same over a 16 GiB BAR", provider_of(500, gib16, gib16 / 512)},
        {"100 x 100 IDs", "a registry", registry_of(100, 100)},
        {"1 x 10000 IDs", "a registry", registry_of(1, 10'000)},
    };

    char folder[] = "/tmp/mediant-compile-XXXXXX";
    if (mkdtemp(folder) == nullptr) return 1;
    const std::string work = folder;
    int rc = 0;
    nlohmann::json rows = nlohmann::json::array();
    fmt::print(
        "What mediant costs a compiler, -O2: CPU time (the least of 3 runs) and peak memory, and the ratio to a file\n"
        "that only includes <fmt/core.h>; bytes of the object, and its longest symbol's characters.\n\n"
        "{:12} {:22} {:32} | {:>7} {:>9} | {:>7} {:>9} | {:>9} {:>7}\n",
        "compiler", "file", "", "s", "to fmt", "MiB", "to fmt", "object", "symbol");
    for (const std::string& compiler : compilers) {
        std::vector<measure> measures(subjects.size());
        // Interleaved, so that a drift of the machine's speed meets all alike.
        for (int round = 0; round < 3 && rc == 0; ++round)
            for (std::size_t i = 0; i < subjects.size(); ++i) {
                const std::string source = fmt::format("{}/{}.cpp", work, i);
                const std::string object = fmt::format("{}/{}.o", work, i);
                if (round == 0) std::ofstream{source} << subjects[i].source;
                if (!run({compiler, "-std=c++20", "-O2", "-I", include, "-c", source, "-o", object}, measures[i])) {
                    fmt::print(stderr, "{} does not compile \"{}\" ({})\n", compiler, subjects[i].name,
                               subjects[i].what);
                    rc = 1;
                    break;
                }
                std::fputc('.', stderr);
                if (round != 0) continue;
                long text = 0;
                long data = 0;
                std::sscanf(output_of("size " + object + " | tail -n 1").c_str(), "%ld %ld", &text, &data);
                measures[i].object_bytes = text + data;
                measures[i].longest_symbol = std::strtoul(
                    output_of("nm " + object + " | awk '{if (length($NF) > m) m = length($NF)} END {print m + 0}'")
                        .c_str(),
                    nullptr, 10);
            }
        std::fputc('\n', stderr);
        if (rc != 0) break;
        for (std::size_t i = 0; i < subjects.size(); ++i) {
            const measure& m = measures[i];
            const double time = m.seconds / measures[0].seconds;
            const double memory = m.mebibytes / measures[0].mebibytes;
            fmt::print("{:12} {:22} {:32} | {:>7.2f} {:>9.2f} | {:>7.0f} {:>9.2f} | {:>9} {:>7}\n",
                       std::filesystem::path{compiler}.filename().string(), subjects[i].name, subjects[i].what,
                       m.seconds, time, m.mebibytes, memory, m.object_bytes, m.longest_symbol);
            rows.push_back({{"compiler", compiler},
                            {"file", subjects[i].name},
                            {"what", subjects[i].what},
                            {"seconds", m.seconds},
                            {"mebibytes", m.mebibytes},
                            {"to_fmt_core", {{"time", time}, {"memory", memory}}},
                            {"object_bytes", m.object_bytes},
                            {"longest_symbol", m.longest_symbol}});
        }
    }
    std::filesystem::remove_all(work);
    if (rc == 0 && !json.empty()) std::ofstream{json} << rows.dump(2) << '\n';
    return rc;
}
