// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/kernel/readme.hpp>
#include <mediant/tool/identity.hpp>
#include <mediant/tool/program.hpp>

#include <fmt/core.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <cstddef>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace mediant::command_line {

/// What a rule compares: "vendor, device", "class".
[[nodiscard]] inline std::string compared_by(const pci_id& rule) {
    std::string out;
    const auto add = [&out](bool given, std::string_view name) {
        if (given) (out += out.empty() ? "" : ", ") += name;
    };
    add(rule.vendor != any_id, "vendor");
    add(rule.device != any_id, "device");
    add(rule.subvendor != any_id, "subvendor");
    add(rule.subdevice != any_id, "subdevice");
    add(rule.class_mask != 0, rule.class_mask == 0xff'ffff ? "class" : "part of the class");
    return out.empty() ? "nothing" : out;
}

/// Who serves a device and why: the provider that is asked first, those that are asked when it declines, and those
/// that would come in if more were known of the device, each by the highest of its rules and with the rank that it has
/// by it. failure where nobody serves it.
inline exit_code run_lookup(const program& what, const identity& who, std::ostream& out) {
    const std::vector<match> matches = matches_of(what, who);
    const auto line = [&](const match& one, std::string_view place = {}) {
        const kernel::provider_facts& facts = what.providers[one.provider].facts;
        fmt::print(out, "  {} ({})  by {}\n    rank {}, for {}{}\n", facts.name, facts.type,
                   kernel::rule_text(one.rule), one.rule.rank(), compared_by(one.rule), place);
        for (const pci_id& rule : facts.rules)
            if (rule != one.rule && who.matched_by(rule) && place.empty())
                fmt::print(out, "    matches by {} too, rank {}\n", kernel::rule_text(rule), rule.rank());
    };
    if (matches.empty()) {
        fmt::print(out, "{}: no provider\n", who.text());
    } else {
        fmt::print(out, "{} is served by\n", who.text());
        line(matches.front());
        if (matches.size() > 1) fmt::print(out, "and, where that declines, in this order by\n");
        for (std::size_t i = 1; i < matches.size(); ++i) line(matches[i]);
    }

    std::vector<match> perhaps; // highest rank first
    for (std::size_t i = 0; i < what.providers.size(); ++i)
        for (const pci_id& rule : what.providers[i].facts.rules) {
            if (who.matched_by(rule) || !who.may_be_matched_by(rule)) continue;
            const auto lower = [&rule](const match& m) { return m.rule.rank() < rule.rank(); };
            perhaps.insert(std::find_if(perhaps.begin(), perhaps.end(), lower), {i, rule});
        }
    if (!perhaps.empty()) fmt::print(out, "depending on what was not said, also\n");
    for (const match& one : perhaps) {
        const bool first = matches.empty() || one.rule.rank() > matches.front().rule.rank();
        line(one, first ? "; would be asked first" : "; would be asked later");
    }
    if (matches.size() + perhaps.size() > 1)
        fmt::print(out, "A rule's rank is 1 and a bit for each that it compares; the highest is asked first.\n");
    return matches.empty() ? failure : success;
}

} // namespace mediant::command_line
