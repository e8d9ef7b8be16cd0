// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/kernel/readme.hpp>
#include <mediant/tool/identity.hpp>
#include <mediant/tool/program.hpp>

#include <fmt/core.h>
#include <fmt/ostream.h>

#include <cstddef>
#include <ostream>
#include <utility>
#include <vector>

namespace mediant::command_line {

/// Who serves a device and why: the provider that is asked first, those that are asked when it declines, and those
/// that would come in if more were known of the device. failure where nobody serves it.
inline exit_code run_lookup(const program& what, const identity& who, std::ostream& out) {
    const std::vector<match> matches = matches_of(what, who);
    const auto line = [&](std::size_t index, const pci_id& rule) {
        const kernel::provider_facts& facts = what.providers[index].facts;
        fmt::print(out, "  {} ({})  by {}, rank {}\n", facts.name, facts.type, kernel::rule_text(rule), rule.rank());
    };
    if (matches.empty()) {
        fmt::print(out, "{}: no provider\n", who.text());
    } else {
        fmt::print(out, "{} is served by\n", who.text());
        line(matches.front().provider, matches.front().rule);
        if (matches.size() > 1) fmt::print(out, "and, where that declines, in this order by\n");
        for (std::size_t i = 1; i < matches.size(); ++i) line(matches[i].provider, matches[i].rule);
    }
    bool first = true;
    for (std::size_t i = 0; i < what.providers.size(); ++i)
        for (const pci_id& rule : what.providers[i].facts.rules) {
            if (who.matched_by(rule) || !who.may_be_matched_by(rule)) continue;
            if (std::exchange(first, false)) fmt::print(out, "depending on what was not said, also\n");
            line(i, rule);
        }
    return matches.empty() ? failure : success;
}

} // namespace mediant::command_line
