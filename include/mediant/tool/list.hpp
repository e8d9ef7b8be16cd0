// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/kernel/fitness.hpp>
#include <mediant/kernel/readme.hpp>
#include <mediant/pci/alias.hpp>
#include <mediant/tool/program.hpp>

#include <fmt/core.h>
#include <fmt/ostream.h>

#include <ostream>

namespace mediant::command_line {

/// The providers of a program: what each serves, and the aliases of modules made from it.
inline exit_code run_list(const program& what, std::ostream& out) {
    for (const program_provider& provider : what.providers) {
        const kernel::provider_facts& facts = provider.facts;
        fmt::print(out, "{}  ({}){}{}\n", facts.name, facts.type, facts.details.description.empty() ? "" : "  ",
                   kernel::one_line(facts.details.description));
        for (const pci_id& rule : facts.rules) {
            fmt::print(out, "  {}\n", kernel::rule_text(rule));
            if (kernel::has_module_alias(rule)) fmt::print(out, "    variant  {}\n", override_alias(rule).view());
            if (rule.vendor != any_id && rule.device != any_id)
                fmt::print(out, "    provider {}\n", mediate_alias(rule).view());
        }
    }
    return success;
}

} // namespace mediant::command_line
