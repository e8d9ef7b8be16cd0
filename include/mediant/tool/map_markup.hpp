// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/tool/map_facts.hpp>
#include <mediant/tool/map_words.hpp>

#include <fmt/core.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

/// Text that a vendor wrote, made safe for HTML, and the anchors of what has one.
namespace mediant::command_line {

/// For an element's text and for a quoted attribute: what means something to HTML is escaped; control characters,
/// ends of lines excepted, become U+FFFD.
[[nodiscard]] inline std::string html_text(std::string_view text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
        case '&': out += "&amp;"; break;
        case '<': out += "&lt;"; break;
        case '>': out += "&gt;"; break;
        case '"': out += "&quot;"; break;
        case '\'': out += "&#39;"; break;
        default:
            if ((c >= 0 && c < ' ' && c != '\n') || c == 0x7f)
                out += "\xef\xbf\xbd";
            else
                out += c;
        }
    }
    return out;
}

/// At most `most` characters of a text, with an ellipsis for its middle where it is longer, as names often differ in
/// their ends; nothing where not even three would stay. Never cuts within a character of UTF-8.
[[nodiscard]] inline std::string cut_text(std::string_view text, std::size_t most) {
    std::vector<std::size_t> starts; // of characters
    for (std::size_t i = 0; i < text.size(); ++i)
        if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) starts.push_back(i);
    if (starts.size() <= most) return std::string{text};
    if (most < 3) return {};
    const std::size_t tail = most < 6 ? 0 : (most - 1) * 2 / 5;
    const std::size_t head = most - 1 - tail;
    return std::string{text.substr(0, starts[head])} + "\xe2\x80\xa6" +
           std::string{tail == 0 ? std::string_view{} : text.substr(starts[starts.size() - tail])};
}

/// "edu-bar0", and "edu-bar0-IDENT" for an entry. A name with other than letters, digits, '_', '.' and '-' is
/// replaced by its place: "edu-bar0-~3".
[[nodiscard]] inline std::string anchor_of(const map_facts& facts, const region_facts& region) {
    return fmt::format("{}-{}", facts.provider.name, region_name(region.region));
}
[[nodiscard]] inline std::string anchor_of(const std::string& region_anchor, const region_facts& region,
                                           std::size_t entry) {
    const std::string& name = region.entries[entry].name;
    if (region.is_config()) return fmt::format("{}-~{}", region_anchor, entry); // names there need not differ
    const auto plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
               c == '-';
    };
    for (const char c : name)
        if (!plain(c)) return fmt::format("{}-~{}", region_anchor, entry);
    return region_anchor + '-' + name;
}

/// A small mark for what a config map does to a capability.
[[nodiscard]] inline std::string badge(const capability_facts& c) {
    using change = capability_facts::change;
    const std::string_view mark = c.what == change::hidden  ? "\xe2\x88\x92"
                                  : c.what == change::added ? "+"
                                                            : std::string_view{"\xe2\x89\x88"};
    return fmt::format("<span class=\"badge {0}\"><b>{1}</b>{2}</span>",
                       c.what == change::edited ? word(look::mixed) : word(c.is), mark, word(c.what));
}

/// A small mark with a look's letter, for tables and legends.
[[nodiscard]] inline std::string badge(look what) {
    return fmt::format("<span class=\"badge {0}\"><b>{1}</b>{0}</span>", word(what), letter(what));
}

} // namespace mediant::command_line
