// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/kernel/shim.hpp>
#include <mediant/tool/identity.hpp>
#include <mediant/tool/program.hpp>
#include <mediant/tool/version.hpp>

#include <fmt/core.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

namespace mediant::command_line {

struct shim_request {
    std::vector<std::string> providers; ///< names, or devices; all where empty
    std::filesystem::path out;
    bool check = false;
    kernel::shim_options options;
};

/// The provider of a name, or the one that serves a device.
[[nodiscard]] inline std::size_t find_provider(const program& what, const std::string& word) {
    for (std::size_t i = 0; i < what.providers.size(); ++i)
        if (what.providers[i].facts.name == word) return i;
    if (const std::optional<identity> who = parse_identity(word)) {
        const std::vector<match> matches = matches_of(what, *who);
        if (!matches.empty()) return matches.front().provider;
        throw command_error{word + ": no provider serves this device"};
    }
    std::string names;
    for (const program_provider& provider : what.providers) (names += names.empty() ? "" : ", ") += provider.facts.name;
    throw command_error{word + ": no provider of this name, and not VID:DID; there are: " + names};
}

/// Writes a module tree, or says how one differs from what would be written; then failure where it does.
/// Notes go to `err`.
inline exit_code run_shim(const program& what, const shim_request& request, std::ostream& out, std::ostream& err) {
    std::vector<std::size_t> chosen;
    for (const std::string& word : request.providers) {
        const std::size_t index = find_provider(what, word);
        if (std::find(chosen.begin(), chosen.end(), index) == chosen.end()) chosen.push_back(index);
    }
    kernel::shim_options options = request.options;
    const bool has_policy = kernel::find_target(options.target).policy;
    if (!has_policy && options.version.empty()) options.version = version;
    if (request.providers.empty() && has_policy)
        for (std::size_t i = 0; i < what.providers.size(); ++i) chosen.push_back(i);
    std::sort(chosen.begin(), chosen.end()); // the registry's order, so that the command line's does not matter
    std::vector<kernel::provider_facts> facts;
    for (const std::size_t index : chosen) facts.push_back(what.providers[index].facts);

    for (const std::string& note : kernel::shim_notes(facts, options)) fmt::print(err, "note: {}\n", note);
    const kernel::tree_files files = kernel::shim_generator::generate(facts, options);
    const kernel::module_tree tree{request.out};
    if (request.check) {
        const std::vector<std::string> differences = tree.differences(files);
        for (const std::string& difference : differences) fmt::print(out, "{}\n", difference);
        fmt::print(out, "{}: {}\n", request.out.string(), differences.empty() ? "up to date" : "not up to date");
        return differences.empty() ? success : failure;
    }
    const kernel::tree_changes changes = tree.write(files);
    fmt::print(out, "{}: {} files; {} written, {} removed\n", request.out.string(), files.size(),
               changes.written.size(), changes.removed.size());
    return success;
}

} // namespace mediant::command_line
