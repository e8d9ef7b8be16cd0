// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/kernel/readme.hpp>
#include <mediant/tool/map_facts.hpp>
#include <mediant/tool/map_layout.hpp>
#include <mediant/tool/map_markup.hpp>
#include <mediant/tool/map_rows.hpp>
#include <mediant/tool/map_style.hpp>
#include <mediant/tool/map_svg.hpp>
#include <mediant/tool/map_words.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// Maps as one HTML page that needs nothing else: no network, no file, no script for what can be read.
namespace mediant::command_line {

class map_page {
public:
    [[nodiscard]] static std::string html(std::span<const map_facts> all) {
        std::string names;
        for (const map_facts& facts : all) (names += names.empty() ? "" : ", ") += facts.provider.name;
        std::string out;
        out += "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
               "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
               "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
               "script-src 'unsafe-inline'\">\n";
        put(out, "<title>Region maps of {}</title>\n<style>{}</style>\n</head>\n<body>\n", html_text(names),
            map_style());
        out += svg_patterns();
        if (all.size() > 1) {
            out += "<nav aria-label=\"Providers\"><ul>";
            for (const map_facts& facts : all)
                put(out, "<li><a href=\"#{0}\">{0}</a></li>", html_text(facts.provider.name));
            out += "</ul></nav>\n";
        }
        out += "<main>\n";
        for (const map_facts& facts : all) provider(out, facts);
        put(out, "</main>\n<script>{}</script>\n</body>\n</html>\n", map_script());
        return out;
    }

private:
    static void provider(std::string& out, const map_facts& facts) {
        put(out, "<article id=\"{0}\">\n<h1>{0}</h1>\n", html_text(facts.provider.name));
        if (!facts.provider.details.description.empty())
            put(out, "<p>{}</p>\n", html_text(facts.provider.details.description));
        std::vector<std::string> rules;
        for (const pci_id& rule : facts.provider.rules) rules.push_back(kernel::rule_text(rule));
        put(out, "<p class=\"soft\"><code>{}</code>, serves {}</p>\n", html_text(facts.provider.type),
            html_text(joined(rules, "; ")));
        if (facts.regions.empty())
            out += "<p>No region maps: every region passes to the device.</p>\n";
        else
            legend(out, facts);
        for (const region_facts& region : facts.regions) section(out, facts, region);
        out += "</article>\n";
    }

    static void legend(std::string& out, const map_facts& facts) {
        std::array<bool, look_count> used{};
        std::array<bool, 25> kinds{};
        bool hooks = false;
        bool dynamic = false;
        bool mappable = false;
        bool unseen = false;
        for (const region_facts& region : facts.regions) {
            mappable = mappable || !region.is_config();
            unseen = unseen || region.visible < region.size;
            for (const bar_facts& bar : region.bars)
                unseen = unseen || bar.stated.what == bar_statement::kind::half ||
                         bar.stated.what == bar_statement::kind::hidden;
            dynamic = dynamic || region.has_dynamic;
            for (const entry_facts& e : region.entries) {
                used[static_cast<std::size_t>(e.what)] = true;
                hooks = hooks || e.hook != on::nothing;
                if (e.fields.empty()) kinds[static_cast<std::size_t>(e.kind)] = true;
                for (const field_facts& f : e.fields) {
                    used[static_cast<std::size_t>(f.what)] = true;
                    kinds[static_cast<std::size_t>(f.kind)] = true;
                }
            }
        }
        out += "<ul class=\"legend\" aria-label=\"Legend\">\n";
        for (std::size_t i = 0; i < look_count; ++i) {
            const auto what = static_cast<look>(i);
            if (!used[i]) continue;
            put(out,
                "<li><svg viewBox=\"0 0 34 20\" aria-hidden=\"true\"><rect class=\"box {0}\" x=\".5\" y=\".5\" "
                "width=\"33\" height=\"19\"/><rect class=\"solid {0}\" width=\"13\" height=\"20\"/><text class=\"key\" "
                "x=\"6.5\" y=\"14\">{1}</text></svg><span><b>{0}</b> {2}</span></li>\n",
                word(what), letter(what), meaning(what));
        }
        if (hooks)
            out += "<li><svg viewBox=\"0 0 34 20\" aria-hidden=\"true\"><rect class=\"box trap\" x=\".5\" y=\".5\" "
                   "width=\"33\" height=\"19\"/><path class=\"hook trap\" d=\"M34 0h-11l11 11z\"/></svg>"
                   "<span><b>corner</b> a hook of the provider</span></li>\n";
        if (mappable)
            out += "<li><svg viewBox=\"0 0 34 20\" aria-hidden=\"true\"><rect class=\"mapped\" width=\"34\" "
                   "height=\"20\"/></svg><span><b>mappable</b> whole pages without a trap</span></li>\n";
        if (unseen)
            out += "<li><svg viewBox=\"0 0 34 20\" aria-hidden=\"true\"><rect class=\"unseen\" x=\".5\" y=\".5\" "
                   "width=\"33\" height=\"19\"/></svg><span><b>unseen</b> by the user, the provider's "
                   "alone</span></li>\n";
        if (dynamic)
            out += "<li><svg viewBox=\"0 0 34 20\" aria-hidden=\"true\"><rect class=\"untrapped\" x=\".5\" y=\".5\" "
                   "width=\"33\" height=\"19\"/></svg><span><b>at times</b> mappable while dynamic ranges "
                   "pass</span></li>\n";
        out += "</ul>\n";
        std::string text;
        for (std::size_t i = 0; i < kinds.size(); ++i)
            if (kinds[i]) put(text, "{}<b>{}</b> {}", text.empty() ? "" : "; ", word(kind(i)), meaning(kind(i)));
        put(out, "<p class=\"soft\">Kinds: {}. What is not named passes to the device.</p>\n", text);
    }

    static void section(std::string& out, const map_facts& facts, const region_facts& region) {
        const std::string anchor = anchor_of(facts, region);
        const map_layout layout{region};
        put(out, "<section id=\"{}\">\n<h2>{}, {}</h2>\n", anchor, region_name(region.region), size_text(region.size));
        const map_overview overview{region, layout, anchor};
        put(out, "<p class=\"soft\">{}{}{}.", count_text(region.entries.size(), "entry", "entries"),
            region.shadow_bytes == 0 ? "" : ", " + size_text(region.shadow_bytes) + " of shadows",
            region.has_ops ? ". The provider's own read or write sees every access to this region" : "");
        if (!region.seen_as.empty()) put(out, " {}.", html_text(seen_text(region)));
        if (region.size > 4096) put(out, " The grid's lines are {} apart.", size_text(overview.grid_step()));
        if (!region.entries.empty()) put(out, " <a href=\"#{}-table\">To the table</a>", anchor);
        put(out, "</p>\n<div class=\"scroll\">\n{}</div>\n", overview.svg());
        put(out,
            "<h3>In detail</h3>\n<p class=\"soft\">{} bytes a row; where nothing changes, one band for all of it.</p>\n"
            "<div class=\"scroll\">\n{}</div>\n",
            layout.row_bytes(), map_rows{region, layout, anchor}.svg());
        if (region.is_config())
            config(out, region);
        else
            areas(out, region);
        if (!region.entries.empty()) table(out, region, anchor);
        out += "</section>\n";
    }

    /// What depends on the device: which BARs and capabilities it has, and where.
    static void config(std::string& out, const region_facts& region) {
        if (!region.bars.empty()) {
            out += "<h3>BARs</h3>\n<div class=\"scroll\"><table>\n<thead><tr><th>BAR</th>"
                   "<th>The device, and the user beneath</th><th>The user sees</th></tr></thead>\n<tbody>\n";
            for (const bar_facts& each : region.bars)
                put(out, "<tr><td class=\"mono\"><b>{}</b></td><td>{}</td><td>{}</td></tr>\n", name_of(each),
                    bar_svg(each), html_text(each.text));
            out += "</tbody></table></div>\n";
        }
        if (!region.capabilities.empty()) {
            out += "<h3>Capabilities</h3>\n<p class=\"soft\">In the lists of the device, which stay whole; what is not "
                   "named is as it has them. An offset with + counts from the capability.</p>\n"
                   "<div class=\"scroll\"><table>\n<thead><tr><th>Capability</th><th>Is</th><th>Where</th><th>As</th>"
                   "<th>Name</th><th>Bytes</th><th>Notes</th></tr></thead>\n<tbody>\n";
            for (const capability_facts& c : region.capabilities)
                put(out,
                    "<tr><td><b>{}</b></td><td>{}</td><td class=\"mono\">{}</td><td>{}</td><td class=\"mono\">{}</td>"
                    "<td class=\"mono wrap\">{}</td><td>{}</td></tr>\n",
                    html_text(name_of(c)), badge(c), place_text(c),
                    c.what == capability_facts::change::hidden ? std::string{} : badge(c.is),
                    html_text(c.name), value_text(c), html_text(c.note));
            out += "</tbody></table></div>\n";
        }
    }

    static void areas(std::string& out, const region_facts& region) {
        out += "<h3>Can be mapped</h3>\n<div class=\"scroll\"><table>\n<thead><tr><th>Pages</th><th>Bytes</th>"
               "<th>Areas</th></tr></thead>\n<tbody>\n";
        for (const area_facts& each : region.areas) {
            put(out, "<tr><td class=\"mono\">{}</td><td class=\"mono\">{}</td><td class=\"mono wrap\">{}</td></tr>\n",
                size_text(each.page_size), size_text(total_of(each.at_open)), areas_text(each.at_open));
            if (region.has_dynamic)
                put(out,
                    "<tr><td class=\"soft\">dynamic ranges passed</td><td class=\"mono\">{}</td>"
                    "<td class=\"mono wrap\">{}</td></tr>\n",
                    size_text(total_of(each.untrapped)), areas_text(each.untrapped));
        }
        out += "</tbody></table></div>\n";
    }

    static void table(std::string& out, const region_facts& region, const std::string& anchor) {
        put(out, "<h3 id=\"{}-table\">{}</h3>\n", anchor, region.is_config() ? "Overlays" : "Registers and windows");
        put(out,
            "<div class=\"tools\" hidden><label for=\"{0}-filter\" class=\"soft\">Show names with</label>"
            "<input type=\"search\" id=\"{0}-filter\"></div>\n",
            anchor);
        out += "<div class=\"scroll\"><table>\n<thead><tr><th>Offset</th><th>Name</th><th>Bits, size</th>"
               "<th>Is</th><th>Kind</th><th>Backing</th><th>Hooks</th><th>Reset</th><th>Notes</th></tr></"
               "thead>\n<tbody>\n";
        const unsigned digits = offset_digits(region);
        for (std::size_t i = 0; i < region.entries.size(); ++i) {
            const entry_facts& e = region.entries[i];
            const std::string name = html_text(e.name);
            put(out,
                "<tr id=\"{}\" data-name=\"{}\"{}><td class=\"mono\">{}</td><td class=\"mono\"><b>{}</b></td>"
                "<td class=\"mono\">{}</td><td>{}</td><td class=\"mono\">{}</td><td>{}</td><td>{}</td>"
                "<td class=\"mono\">{}</td><td>{}</td></tr>\n",
                anchor_of(anchor, region, i), name, e.fields.empty() ? "" : " class=\"open\"", hex(e.offset, digits),
                name, html_text(extent_text(e)), badge(e.what), kind_text(e), backing_text(e),
                joined(hook_words(e.hook)), reset_text(e), html_text(joined(notes_of(e), "; ")));
            if (e.fields.empty()) continue;
            put(out, "<tr class=\"parts\" data-name=\"{}\"><td colspan=\"9\">{}</td></tr>\n", name, bits_svg(e));
            for (std::size_t j = 0; j < e.fields.size(); ++j) {
                const field_facts& f = e.fields[j];
                put(out,
                    "<tr class=\"field{}\" data-name=\"{}\"><td></td><td class=\"mono{}\">{}</td><td "
                    "class=\"mono\">{}</td>"
                    "<td>{}</td><td class=\"mono\">{}</td><td>{}</td><td></td><td "
                    "class=\"mono\">{}</td><td>{}</td></tr>\n",
                    j + 1 == e.fields.size() ? " last" : "", name, f.reserved() ? " soft" : "", html_text(name_of(f)),
                    bits_text(f), f.reserved() ? "" : badge(f.what), word(f.kind), word(f.backing), reset_text(f),
                    note_of(f));
            }
        }
        out += "</tbody></table></div>\n";
    }
};

} // namespace mediant::command_line
