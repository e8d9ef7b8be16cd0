// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/kernel/readme.hpp>
#include <mediant/tool/map_facts.hpp>
#include <mediant/tool/map_words.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// Maps as Markdown tables.
namespace mediant::command_line {

class map_tables {
public:
    [[nodiscard]] static std::string markdown(std::span<const map_facts> all) {
        std::string out;
        for (const map_facts& facts : all) {
            if (!out.empty()) out += '\n';
            provider(out, facts);
        }
        return out;
    }

    /// Text that a vendor wrote, as text and nothing else, in a table too.
    [[nodiscard]] static std::string text(std::string_view from) {
        constexpr std::string_view special = "\\`*_{}[]()<>#+-!|~&";
        std::string out;
        for (const char c : from) {
            if ((c >= 0 && c < ' ') || c == 0x7f) {
                out += ' ';
                continue;
            }
            if (special.find(c) != special.npos && c != '-' && c != '(' && c != ')' && c != '+') out += '\\';
            out += c;
        }
        return out;
    }
    /// A name in code's type; as plain text where it has what would end that.
    [[nodiscard]] static std::string code(std::string_view from) {
        for (const char c : from)
            if (c == '`' || c == '|' || (c >= 0 && c < ' ') || c == 0x7f) return text(from);
        return from.empty() ? std::string{} : '`' + std::string{from} + '`';
    }

private:
    static void provider(std::string& out, const map_facts& facts) {
        put(out, "# {}\n\n", text(facts.provider.name));
        if (!facts.provider.details.description.empty()) put(out, "{}\n\n", text(facts.provider.details.description));
        std::vector<std::string> rules;
        for (const pci_id& rule : facts.provider.rules) rules.push_back(text(kernel::rule_text(rule)));
        put(out, "{}, serves {}.\n", code(facts.provider.type), joined(rules, "; "));
        if (facts.regions.empty()) out += "\nNo region maps: every region passes to the device.\n";
        for (const region_facts& each : facts.regions) region(out, each);
    }

    static void region(std::string& out, const region_facts& region) {
        put(out, "\n## {}, {}\n\n", region_name(region.region), size_text(region.size));
        put(out, "{}{}. What is not named passes to the device.{}{}\n\n",
            count_text(region.entries.size(), "entry", "entries"),
            region.shadow_bytes == 0 ? "" : ", " + size_text(region.shadow_bytes) + " of shadows",
            region.has_ops ? " The provider's own read or write sees every access to this region." : "",
            region.seen_as.empty() ? "" : " " + seen_text(region) + ".");
        if (!region.entries.empty()) entries(out, region);
        if (region.is_config()) return config(out, region);
        out += "| pages | can be mapped | areas |\n|---|---|---|\n";
        for (const area_facts& each : region.areas) {
            put(out, "| {} | {} | {} |\n", size_text(each.page_size), size_text(total_of(each.at_open)),
                areas_text(each.at_open));
            if (region.has_dynamic)
                put(out, "| {}, dynamic ranges passed | {} | {} |\n", size_text(each.page_size),
                    size_text(total_of(each.untrapped)), areas_text(each.untrapped));
        }
    }

    static void config(std::string& out, const region_facts& region) {
        if (!region.bars.empty()) {
            out += "| BAR | the user sees |\n|---|---|\n";
            for (const bar_facts& each : region.bars) put(out, "| {} | {} |\n", name_of(each), each.text);
            out += '\n';
        }
        if (!region.capabilities.empty()) {
            out += "| capability | is | where | bytes | name | notes |\n|---|---|---|---|---|---|\n";
            for (const capability_facts& c : region.capabilities)
                put(out, "| {} | {}{} | {} | {} | {} | {} |\n", name_of(c), word(c.what),
                    c.what == capability_facts::change::edited ? fmt::format(", {}", word(c.is)) : std::string{},
                    text(place_text(c)), value_text(c), code(c.name), c.note);
            out += '\n';
        }
        out += "Config space cannot be mapped.\n";
    }

    static void entries(std::string& out, const region_facts& region) {
        out += "| offset | name | bits, size | is | kind | backing | hooks | reset | notes |\n"
               "|---|---|---|---|---|---|---|---|---|\n";
        const unsigned digits = offset_digits(region);
        for (const entry_facts& e : region.entries) {
            put(out, "| {} | {} | {} | {} | {} | {} | {} | {} | {} |\n", hex(e.offset, digits), code(e.name),
                extent_text(e), word(e.what), kind_text(e), backing_text(e), joined(hook_words(e.hook)), reset_text(e),
                text(joined(notes_of(e), "; ")));
            for (const field_facts& f : e.fields)
                put(out, "| | \xc2\xb7 {} | {} | {} | {} | {} | | {} | {} |\n",
                    f.reserved() ? "*reserved*" : code(f.name), bits_text(f), f.reserved() ? "" : word(f.what),
                    word(f.kind), word(f.backing), reset_text(f), note_of(f));
        }
        out += '\n';
    }
};

} // namespace mediant::command_line
