// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/kernel/quoting.hpp>
#include <mediant/kernel/readme.hpp>
#include <mediant/tool/map_facts.hpp>
#include <mediant/tool/map_words.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// Maps for a terminal.
namespace mediant::command_line {

class map_summary {
public:
    [[nodiscard]] static std::string text(std::span<const map_facts> all) {
        std::string out;
        for (const map_facts& facts : all) {
            if (!out.empty()) out += '\n';
            std::vector<std::string> rules;
            for (const pci_id& rule : facts.provider.rules) rules.push_back(kernel::rule_text(rule));
            put(out, "{}  ({})  {}\n", facts.provider.name, facts.provider.type, joined(rules, "; "));
            if (facts.regions.empty()) out += "  no region maps: every region passes to the device\n";
            for (const region_facts& each : facts.regions) region(out, each);
        }
        return out;
    }

private:
    static constexpr std::size_t columns = 64;

    static void region(std::string& out, const region_facts& region) {
        put(out, "\n{}, {}, {}\n", region_name(region.region), size_text(region.size),
            count_text(region.entries.size(), "entry", "entries"));
        put(out, "  |{}|\n", strip(region));
        if (const std::string seen = seen_text(region); !seen.empty()) put(out, "  {}.\n", seen);
        if (!region.is_config())
            for (const area_facts& each : region.areas)
                put(out, "  {:>6} pages: {}\n", size_text(each.page_size), areas_text(each.at_open, 3));
        const unsigned digits = offset_digits(region);
        std::size_t longest = 4;
        for (const entry_facts& e : region.entries)
            longest = std::max(longest, std::min<std::size_t>(name(e).size(), 24));
        for (const entry_facts& e : region.entries) {
            std::string line;
            put(line, "  {}  {:<{}}  {:>10}  {:<8}  {:<6}", hex(e.offset, digits), name(e), longest, extent_text(e),
                word(e.what), kind_text(e));
            if (const auto hooks = hook_words(e.hook); !hooks.empty()) put(line, "  on {}", joined(hooks));
            if (const std::string reset = reset_text(e); !reset.empty()) put(line, "  {}", reset);
            put(out, "{}\n", line.substr(0, line.find_last_not_of(' ') + 1));
        }
        for (const bar_facts& each : region.bars) put(out, "  {}: the user sees {}\n", name_of(each), each.text);
        for (const capability_facts& each : region.capabilities) capability(out, each);
    }

    static void capability(std::string& out, const capability_facts& c) {
        std::string line;
        put(line, "  capability {}: {}", name_of(c), word(c.what));
        if (const std::string where = place_text(c); !where.empty()) put(line, ", {}", where);
        if (c.what == capability_facts::change::edited) put(line, ", {}", word(c.is));
        if (!c.name.empty()) put(line, " {}", kernel::one_line(c.name));
        if (!c.bytes.empty()) put(line, ", {}", value_text(c, 8));
        put(out, "{}\n", line);
    }

    [[nodiscard]] static std::string name(const entry_facts& e) { return kernel::one_line(e.name); }

    /// The region to scale, a letter for what lies in each part: '.' passes and can be mapped with 4 KiB pages,
    /// ':' passes and cannot; '*' where different things lie; '-' is kept from the user.
    [[nodiscard]] static std::string strip(const region_facts& region) {
        std::string out(columns, ':');
        const auto place = [&](std::uint64_t at) { return static_cast<std::size_t>(at * columns / region.size); };
        for (const range area : region.areas[0].at_open)
            for (std::size_t i = place(area.offset); i <= place(area.end() - 1); ++i) out[i] = '.';
        for (std::size_t i = 0; i < columns; ++i)
            if (region.visible < region.size && i >= place(region.visible)) out[i] = '-';
        std::string shown(columns, '\0');
        for (const bool dynamic : {false, true}) // a dynamic range shows where nothing in it does
            for (const entry_facts& e : region.entries) {
                if ((e.what == look::dynamic) != dynamic) continue;
                for (std::uint32_t element = 0; element < e.count; ++element) {
                    const std::uint64_t begin = e.offset + element * e.stride;
                    for (std::size_t i = place(begin); i <= place(begin + e.size - 1); ++i) {
                        if (shown[i] == '\0')
                            shown[i] = letter(e.what);
                        else if (!dynamic && shown[i] != letter(e.what))
                            shown[i] = '*';
                    }
                }
            }
        for (std::size_t i = 0; i < columns; ++i)
            if (shown[i] != '\0') out[i] = shown[i];
        return out;
    }
};

} // namespace mediant::command_line
