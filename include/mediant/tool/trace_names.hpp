// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/tool/client_command.hpp>
#include <mediant/tool/map_records.hpp>
#include <mediant/tool/map_words.hpp>
#include <mediant/tool/number.hpp>
#include <mediant/tool/program.hpp>
#include <mediant/trace/event.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mediant::command_line {

/// The registers of a provider by their offsets: what the events of a recording are called.
class trace_names {
public:
    /// Of nobody: offsets alone.
    trace_names() = default;
    explicit trace_names(map_facts map) : map_{std::move(map)} {}

    /// The provider of this name in a program; nobody's names where it has none such.
    [[nodiscard]] static trace_names of(const program& what, std::string_view provider) {
        for (const program_provider& each : what.providers)
            if (each.facts.name == provider) return trace_names{each.map()};
        return {};
    }

    struct found {
        const entry_facts* entry = nullptr; ///< null: nothing is named there
        std::uint64_t offset = 0;           ///< where the element begins
        std::uint64_t size = 1;             ///< its bytes
        std::string name;                   ///< "QUEUE.TAIL[3]"
    };
    /// What lies at an offset: the smallest entry that holds it.
    [[nodiscard]] found at(region_index region, std::uint64_t offset) const {
        found out{nullptr, offset, 1, {}};
        for (const region_facts& each : map_.regions) {
            if (each.region != region) continue;
            for (const entry_facts& e : each.entries) {
                if (e.offset > offset || e.end() <= offset || e.size == 0) continue;
                const std::uint64_t element = e.stride == 0 ? 0 : (offset - e.offset) / e.stride;
                const std::uint64_t begin = e.offset + element * e.stride;
                if (offset - begin >= e.size || (out.entry != nullptr && out.entry->size <= e.size)) continue;
                out = {&e, begin, e.size, e.array ? fmt::format("{}[{}]", e.name, element) : e.name};
            }
        }
        return out;
    }

    /// What an access begins at: "IDENT", "DMA+0x8"; empty where nothing is named.
    [[nodiscard]] std::string text(const trace::event& what) const {
        const found there = at(what.region, what.offset);
        if (there.entry == nullptr) return {};
        return there.offset == what.offset ? there.name
                                           : fmt::format("{}+{:#x}", there.name, what.offset - there.offset);
    }

    /// What became of it by what the recording says, else by the map: "trapped", "passed", "shadow"; empty: not known.
    [[nodiscard]] std::string_view decision(const trace::event& what) const {
        if (what.decided == trace::decision::passed) return "passed";
        if (what.decided == trace::decision::trapped) return "trapped";
        if (what.at == trace::level::below || map_.regions.empty()) return {};
        const found there = at(what.region, what.offset);
        if (there.entry == nullptr) return "passed";
        switch (there.entry->what) {
        case look::pass: return "passed";
        case look::trap: return "trapped";
        default: return word(there.entry->what);
        }
    }

    /// "IDENT" (all elements of an array), "bar0:0x28" (4 bytes) or "bar0:0x28:16" as ranges. usage_error for what
    /// names nothing.
    [[nodiscard]] std::vector<std::pair<region_index, range>> ranges_of(const std::string& text) const {
        std::vector<std::pair<region_index, range>> out;
        for (const region_facts& each : map_.regions)
            for (const entry_facts& e : each.entries) {
                if (e.name != text) continue;
                for (std::uint32_t i = 0; i < e.count; ++i)
                    out.emplace_back(each.region, range{e.offset + i * e.stride, e.size});
            }
        if (!out.empty()) return out;
        const std::size_t colon = text.find(':');
        const auto region = std::find(region_names.begin(), region_names.end(), text.substr(0, colon));
        if (colon != text.npos && region != region_names.end()) {
            const std::size_t second = text.find(':', colon + 1);
            const auto offset = parse_number(text.substr(colon + 1, second - colon - 1));
            const auto size = second == text.npos ? std::optional<std::uint64_t>{4}
                                                  : parse_number(text.substr(second + 1));
            if (offset && size && *size <= ~std::uint64_t{0} - *offset)
                return {{region_index{static_cast<std::uint32_t>(region - region_names.begin())}, {*offset, *size}}};
        }
        throw usage_error{text + ": neither a register of the recorded provider nor REGION:OFFSET[:BYTES]"};
    }

private:
    map_facts map_;
};

} // namespace mediant::command_line
