// SPDX-License-Identifier: BSD-3-Clause
// A conformance suite for vfio-user servers, over the raw wire.
//
//   vfio-user-conformance [OPTION...] SOCKET [-- SERVER ARGUMENT...]
//
//   --only TEXT                     the cases whose name begins with it
//   --memory REGION,OFFSET,SIZE     plain memory of the device, for cases that need some
//   --one-client                    the server ends with its client, by whatever exit code, and is started anew for
//   each
//   --deadline MILLISECONDS         for whatever is waited for (5000)
//   --expected FILE                 what does not pass must be this, line by line: NAME: WHAT IS SEEN
//   --record FILE                   writes what does not pass, as --expected reads it
//   --json FILE                     all cases with their results
//   --list                          only says what the cases are
//
// With a SERVER it is started, and again where it falls down. Exit code 0: all is as expected, which is that everything
// passes unless --expected says something else; 1: something is not; 2: it could not be found out.
#include "server_process.hpp"
#include "suite.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

using namespace wire_conformance;

namespace {

struct options {
    std::string socket;
    std::string only;
    std::string expected;
    std::string json;
    std::string record;
    std::vector<std::string> command;
    device_facts facts;
    std::chrono::milliseconds deadline{5000};
    bool one_client = false;
    bool list = false;
};

options parse(int argc, char** argv) {
    options found;
    for (int i = 1; i < argc; ++i) {
        const std::string now = argv[i];
        const auto value = [&] {
            if (++i == argc) throw std::invalid_argument{now + " wants something"};
            return std::string{argv[i]};
        };
        if (now == "--") {
            found.command.assign(argv + i + 1, argv + argc);
            break;
        } else if (now == "--only") {
            found.only = value();
        } else if (now == "--expected") {
            found.expected = value();
        } else if (now == "--record") {
            found.record = value();
        } else if (now == "--json") {
            found.json = value();
        } else if (now == "--one-client") {
            found.one_client = true;
        } else if (now == "--list") {
            found.list = true;
        } else if (now == "--deadline") {
            found.deadline = std::chrono::milliseconds{std::stoi(value())};
        } else if (now == "--memory") {
            auto& memory = found.facts.memory;
            unsigned long long offset = 0, size = 0;
            if (std::sscanf(value().c_str(), "%u,%lli,%lli", &memory.region, reinterpret_cast<long long*>(&offset),
                            reinterpret_cast<long long*>(&size)) != 3)
                throw std::invalid_argument{"--memory REGION,OFFSET,SIZE"};
            memory.offset = offset;
            memory.size = size;
        } else if (found.socket.empty() && !now.starts_with("-")) {
            found.socket = now;
        } else {
            throw std::invalid_argument{"what is " + now + "?"};
        }
    }
    if (found.socket.empty() && !found.list) throw std::invalid_argument{"a SOCKET is needed"};
    if (found.one_client && found.command.empty()) throw std::invalid_argument{"--one-client wants a SERVER"};
    return found;
}

test_cases all_cases() {
    test_cases all;
    add_header_cases(all);
    add_stream_cases(all);
    add_version_cases(all);
    add_dma_cases(all);
    add_information_cases(all);
    add_interrupt_cases(all);
    add_access_cases(all);
    add_feature_cases(all);
    add_malformed_cases(all);
    return all;
}

class runner {
public:
    explicit runner(options what)
        : options_{std::move(what)}, server_{options_.command, options_.socket, options_.deadline} {}

    [[nodiscard]] const device_facts& facts() const { return options_.facts; }

    void begin() {
        if (!options_.command.empty()) server_.start();
        conversation with{options_.facts, [this] { return connected(); }, [this] { return beside(); }};
        with.connect(false);
        auto& facts = options_.facts;
        reply agreed;
        within("VERSION", [&] { agreed = with.expect(version_of(usual_capabilities)); });
        if (agreed.payload.size() > 4) {
            const auto json = nlohmann::json::parse(agreed.payload.begin() + 4, agreed.payload.end() - 1, nullptr,
                                                    false);
            const auto said = json.is_object() ? json.value("capabilities", nlohmann::json::object())
                                               : nlohmann::json{};
            if (said.is_object()) {
                facts.max_data = said.value("max_data_xfer_size", facts.max_data);
                facts.max_maps = said.value("max_dma_maps", facts.max_maps);
                facts.max_fds = said.value("max_msg_fds", facts.max_fds);
                facts.write_multi = said.value("write_multiple", false);
            }
        }
        const auto info = with.expect(info_of(), 16);
        facts.flags = at<std::uint32_t>(info.payload, 4);
        const auto regions = at<std::uint32_t>(info.payload, 8);
        require(regions > config_region && regions <= 1024, "has " + std::to_string(regions) + " regions");
        for (std::uint32_t i = 0; i < regions; ++i) {
            reply came;
            within("region " + std::to_string(i), [&] { came = with.expect(region_info_of(i)); });
            facts.regions.push_back({at<std::uint32_t>(came.payload, 4), at<std::uint64_t>(came.payload, 16)});
        }
        for (std::uint32_t i = 0; i < std::min(at<std::uint32_t>(info.payload, 12), 64u); ++i) {
            const auto came = with.ask(irq_info_of(i)); // as in the kernel, some kinds may be an error
            facts.irqs.push_back({at<std::uint32_t>(came.payload, 4), at<std::uint32_t>(came.payload, 12)});
        }
        facts.logging = !with.ask(feature_of(feature_probe | logging_start)).failed;
        with.hang_up();
    }

    /// What was seen instead of what the case expects: nothing where it passes.
    [[nodiscard]] std::optional<std::string> run(const test_case& what) {
        std::optional<std::string> seen;
        try {
            conversation with{options_.facts, [this] { return connected(); }, [this] { return beside(); }};
            with.connect(what.agree);
            what.run(with);
        } catch (const observed& failure) {
            seen = failure.what;
        } catch (const not_offered& reason) {
            seen = "not offered: " + reason.what;
        } catch (const std::exception& e) {
            seen = std::string{"breaks the suite: "} + e.what();
        }
        // The connection is gone; and the server?
        if (!options_.command.empty()) {
            if (const auto end = end_of_server(seen)) {
                if (crashed(*end) || !options_.one_client) seen = end->empty() ? "ends" : *end;
                started_ = false;
            }
        }
        if (!options_.one_client && started_) {
            try {
                conversation next{options_.facts, [this] { return connected(); }, [this] { return beside(); }};
                next.connect();
                next.works();
            } catch (const observed& failure) {
                if (!seen) seen = "leaves a server that is of no use: " + failure.what;
                started_ = false;
            }
        }
        if (!options_.command.empty() && !started_ && !options_.one_client) {
            server_.start();
            started_ = true;
        }
        return seen;
    }

private:
    [[nodiscard]] static bool crashed(const std::string& end) { return !end.empty() && !end.starts_with("ends with"); }

    /// How the server has ended, where it has. One that serves one client alone must.
    [[nodiscard]] std::optional<std::string> end_of_server(const std::optional<std::string>& seen) {
        if (options_.one_client) return server_.ended() ? server_.end() : std::optional<std::string>{"never ends"};
        // Who hangs up may be about to die.
        if (seen && seen->ends_with(hung_up)) {
            for (int i = 0; i < 100 && !server_.end(); ++i) {
                const timespec time{0, 2'000'000};
                ::nanosleep(&time, nullptr);
            }
        }
        return server_.end();
    }

    peer connected() {
        if (options_.one_client) {
            // One that has a client already is to end by itself.
            if (served_ && server_.ended()) {
                if (const auto end = server_.end(); end && crashed(*end)) {
                    served_ = false;
                    throw observed{*end};
                }
            }
            server_.start();
            served_ = true;
        }
        return beside();
    }
    peer beside() { return peer{options_.socket, options_.deadline}; }

    options options_;
    server_process server_;
    bool started_ = true;
    bool served_ = false;
};

/// NAME: WHAT, a line; what begins with # is a comment.
std::map<std::string, std::string> read_expected(const std::string& file) {
    std::map<std::string, std::string> found;
    if (file.empty()) return found;
    std::ifstream from{file};
    if (!from) throw std::invalid_argument{"cannot read " + file};
    for (std::string line; std::getline(from, line);) {
        if (line.empty() || line.starts_with('#')) continue;
        const auto colon = line.find(": ");
        if (colon == line.npos) throw std::invalid_argument{file + ": a line without a colon: " + line};
        found.emplace(line.substr(0, colon), line.substr(colon + 2));
    }
    return found;
}

} // namespace

int main(int argc, char** argv) {
    try {
        const options what = parse(argc, argv);
        const auto cases = all_cases();
        if (what.list) {
            for (const auto& each : cases)
                std::printf("%s\t%s\t%s\n", each.name.c_str(), each.section.c_str(), each.expects.c_str());
            return 0;
        }
        auto expected = read_expected(what.expected);
        runner with{what};
        with.begin();

        nlohmann::json results = nlohmann::json::array();
        std::string record = "# SPDX-License-Identifier: BSD-3-Clause\n";
        std::size_t ran = 0, passed = 0, wrong = 0, missing = 0;
        for (const auto& each : cases) {
            if (!each.name.starts_with(what.only)) continue;
            ++ran;
            const auto seen = with.run(each);
            const bool offered = !seen || !seen->starts_with("not offered: ");
            passed += !seen;
            missing += !offered;
            results.push_back({{"name", each.name},
                               {"section", each.section},
                               {"expects", each.expects},
                               {"result", !seen     ? "pass"
                                          : offered ? "fail"
                                                    : "not offered"},
                               {"seen", seen.value_or("")}});
            if (seen) record += each.name + ": " + *seen + "\n";
            const auto known = expected.find(each.name);
            const bool as_expected = known == expected.end() ? !seen : seen == known->second;
            if (!as_expected) {
                ++wrong;
                std::printf("%s\n    expected   %s (%s)\n    seen       %s\n", each.name.c_str(), each.expects.c_str(),
                            each.section.c_str(), seen ? seen->c_str() : "just that");
                if (known != expected.end()) std::printf("    on record  %s\n", known->second.c_str());
            } else if (seen) {
                std::printf("%s: %s\n", each.name.c_str(), seen->c_str());
            }
            std::fflush(stdout);
            if (known != expected.end()) expected.erase(known);
        }
        for (const auto& [name, line] : expected) {
            if (!what.only.empty()) break;
            std::printf("%s: there is no such case, though it is on record\n", name.c_str());
            ++wrong;
        }
        if (ran == 0) throw std::invalid_argument{"there is no case " + what.only};
        std::printf("%zu cases: %zu pass, %zu do not, %zu are of what is not offered; %zu not as expected\n", ran,
                    passed, ran - passed - missing, missing, wrong);
        if (!what.record.empty()) std::ofstream{what.record} << record;
        if (!what.json.empty()) std::ofstream{what.json} << results.dump(2) << '\n';
        return wrong == 0 ? 0 : 1;
    } catch (const observed& failure) {
        std::fprintf(stderr, "the server: %s\n", failure.what.c_str());
    } catch (const std::exception& e) {
        std::fprintf(stderr, "%s\n", e.what());
    }
    return 2;
}
