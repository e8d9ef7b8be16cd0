// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/kernel/readme.hpp>
#include <mediant/tool/map_facts.hpp>
#include <mediant/tool/map_words.hpp>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

/// Maps as JSON: all facts, for programs. Offsets and sizes are numbers, in bytes; registers' contents, which may have
/// 64 bits, are text in hexadecimal.
namespace mediant::command_line {

class map_document {
public:
    using json = nlohmann::ordered_json;

    /// `{"format": "mediant-map", "version": 1, "providers": [...]}`; members are added, never changed, in a version.
    [[nodiscard]] static std::string text(std::span<const map_facts> all) {
        json out{{"format", "mediant-map"}, {"version", 1}, {"providers", json::array()}};
        for (const map_facts& facts : all) out["providers"].push_back(provider(facts));
        // Vendors' text may not be UTF-8.
        return out.dump(2, ' ', false, json::error_handler_t::replace) + '\n';
    }

private:
    static json provider(const map_facts& facts) {
        json rules = json::array();
        for (const pci_id& rule : facts.provider.rules) rules.push_back(kernel::rule_text(rule));
        json regions = json::array();
        for (const region_facts& each : facts.regions) regions.push_back(region(each));
        return {{"name", facts.provider.name},
                {"type", facts.provider.type},
                {"description", facts.provider.details.description},
                {"rules", std::move(rules)},
                {"regions", std::move(regions)}};
    }

    static json region(const region_facts& region) {
        json entries = json::array();
        for (const entry_facts& each : region.entries) entries.push_back(entry_json(each));
        json areas = json::array();
        for (const area_facts& each : region.areas) {
            json one{{"page_size", each.page_size}, {"at_open", ranges(each.at_open)}};
            if (region.has_dynamic) one["dynamic_passed"] = ranges(each.untrapped);
            areas.push_back(std::move(one));
        }
        json out{{"region", static_cast<std::uint32_t>(region.region)},
                 {"name", region_name(region.region)},
                 {"size", region.size},
                 {"shadow_bytes", region.shadow_bytes},
                 {"has_ops", region.has_ops},
                 {"entries", std::move(entries)},
                 {"mappable", std::move(areas)}};
        if (!region.seen_as.empty()) {
            out["user_sees"] = region.seen_as;
            out["user_sees_bytes"] = region.visible;
        }
        if (!region.is_config()) return out;
        out["mappable"] = json::array();
        out["bars"] = json::array();
        for (const bar_facts& each : region.bars) out["bars"].push_back(bar_json(each));
        out["capabilities"] = json::array();
        for (const capability_facts& each : region.capabilities) out["capabilities"].push_back(capability_json(each));
        return out;
    }

    static json bar_json(const bar_facts& b) {
        json out{{"bar", b.stated.number}, {"is", word(b.stated.what)}, {"user_sees", b.text}};
        if (b.stated.number == 6) out["bar"] = "rom";
        if (b.stated.size != 0) out["size"] = b.stated.size;
        if (b.stated.synthesised()) {
            out["wide"] = b.stated.wide;
            out["prefetchable"] = b.stated.prefetchable;
        }
        return out;
    }

    static json capability_json(const capability_facts& c) {
        json out{{"id", c.id}, {"extended", c.extended}, {"capability", capability_name(c.extended, c.id)},
                 {"change", word(c.what)}};
        if (c.what == capability_facts::change::hidden) return out;
        out[c.what == capability_facts::change::added ? "offset" : "offset_in_capability"] = c.offset;
        out["size"] = c.size;
        out["is"] = word(c.is);
        if (!c.name.empty()) out["name"] = c.name;
        if (!c.bytes.empty()) out["bytes"] = c.bytes;
        if (!c.masks.empty()) out["mask"] = c.masks;
        if (!c.note.empty()) out["note"] = c.note;
        return out;
    }

    static json ranges(const std::vector<range>& all) {
        json out = json::array();
        for (const range each : all) out.push_back({{"offset", each.offset}, {"size", each.size}});
        return out;
    }

    static json entry_json(const entry_facts& e) {
        json out{{"name", e.name},       {"shape", word(e.shape)}, {"is", word(e.what)},
                 {"trapped", e.trapped}, {"offset", e.offset},     {"size", e.size}};
        if (e.array) {
            out["count"] = e.count;
            out["stride"] = e.stride;
        }
        if (e.shape == entry::shape::alias) out["alias_of"] = e.target;
        if (!e.is_register() && e.shape != entry::shape::block) return out;
        if (e.is_register()) out["bits"] = 8 * e.size;
        if (e.fields.empty()) {
            out["kind"] = word(e.kind);
            out["backing"] = word(e.backing);
        }
        out["hooks"] = hook_words(e.hook);
        if (e.reset_bits != 0) {
            const auto digits = static_cast<unsigned>(e.is_register() ? 2 * e.size : 2);
            out["reset"] = hex(e.reset, digits);
            out["reset_mask"] = hex(e.reset_bits, digits);
        }
        if (e.widths != width::any) {
            out["widths"] = width_bits(e.widths);
            out["other_widths"] = word(e.otherwise);
        }
        if (e.read_has_effect) out["read_has_effect"] = true;
        if (!e.bytes.empty()) out["bytes"] = e.bytes;
        if (!e.more.empty()) out["notes"] = e.more;
        if (!e.fields.empty()) {
            json fields = json::array();
            for (const field_facts& each : e.fields) fields.push_back(field_json(each));
            out["fields"] = std::move(fields);
        }
        return out;
    }

    static json field_json(const field_facts& f) {
        json out{{"name", f.name}, {"low", f.low}, {"bits", f.bits}, {"is", word(f.what)}};
        if (f.reserved()) out["reserved"] = true;
        out["kind"] = word(f.kind);
        out["backing"] = word(f.backing);
        if (f.backing != from::device) out["reset"] = reset_text(f);
        out["to_device"] = word(f.device);
        return out;
    }
};

} // namespace mediant::command_line
