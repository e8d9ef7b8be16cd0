// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/tool/map_facts.hpp>
#include <mediant/tool/map_layout.hpp>
#include <mediant/tool/map_markup.hpp>
#include <mediant/tool/map_words.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Drawings of a region: the whole of it to scale, and what is named in it, row by row. Lengths are the SVG's units,
/// which are pixels at full size; colours come from the page's style.
namespace mediant::command_line {

/// All that a tooltip says of an entry, or of one element of it, a line each.
[[nodiscard]] inline std::string tip_of(const entry_facts& e, const map_stretch& where, unsigned digits) {
    std::string out = e.name;
    if (e.array) put(out, "[{}]", where.element);
    put(out, "\n{}", range_text({where.begin, where.end - where.begin}, digits));
    if (e.is_register()) put(out, ", {} bits{}", 8 * e.size, e.widths == width::any ? ", any width" : "");
    put(out, "\n{}: {}", word(e.what), meaning(e.what));
    if (const std::string kind = kind_text(e); !kind.empty()) {
        put(out, "\nkind {}", kind);
        if (e.fields.empty()) put(out, ": {}", meaning(e.kind));
        put(out, "\nbacking {}", backing_text(e));
    }
    if (const auto hooks = hook_words(e.hook); !hooks.empty()) put(out, "\nhooks: {}", joined(hooks));
    if (const std::string reset = reset_text(e); !reset.empty()) put(out, "\nreset {}", reset);
    for (const std::string& note : notes_of(e)) put(out, "\n{}", note);
    for (const field_facts& f : e.fields) {
        put(out, "\n  {} {}  {} {}", bits_text(f), name_of(f), word(f.kind), word(f.backing));
        if (const std::string reset = reset_text(f); !reset.empty() && !f.reserved()) put(out, " {}", reset);
    }
    return out;
}

/// The patterns that fill what is not merely passed, so that looks differ without colours too.
[[nodiscard]] inline std::string_view svg_patterns() {
    return R"(<svg width="0" height="0" class="defs" aria-hidden="true"><defs>
<pattern id="p-pass" class="pass" width="8" height="8" patternUnits="userSpaceOnUse">
  <rect class="tint" width="8" height="8"/>
</pattern>
<pattern id="p-trap" class="trap" width="6" height="6" patternUnits="userSpaceOnUse">
  <rect class="tint" width="6" height="6"/><path class="ink" d="M-1 7 7-1M-1 1 1-1M5 7 7 5"/>
</pattern>
<pattern id="p-shadow" class="shadow" width="5" height="5" patternUnits="userSpaceOnUse">
  <rect class="tint" width="5" height="5"/><circle class="dot" cx="2.5" cy="2.5" r="1"/>
</pattern>
<pattern id="p-constant" class="constant" width="5" height="5" patternUnits="userSpaceOnUse">
  <rect class="tint" width="5" height="5"/><path class="ink" d="M0 2.5H5"/>
</pattern>
<pattern id="p-mixed" class="mixed" width="8" height="8" patternUnits="userSpaceOnUse">
  <rect class="tint" width="8" height="8"/><path class="ink" d="M0 2H4M4 6H8"/>
</pattern>
<pattern id="p-hide" class="hide" width="7" height="7" patternUnits="userSpaceOnUse">
  <rect class="tint" width="7" height="7"/><path class="ink" d="M0 0 7 7M7 0 0 7"/>
</pattern>
<pattern id="p-deny" class="deny" width="5" height="5" patternUnits="userSpaceOnUse">
  <rect class="tint" width="5" height="5"/><path class="ink heavy" d="M-1-1 6 6M4-1 6 1M-1 4 1 6"/>
</pattern>
<pattern id="p-unseen" width="10" height="10" patternUnits="userSpaceOnUse">
  <path class="grey" d="M-1 1 1-1M0 10 10 0M9 11 11 9"/>
</pattern>
<pattern id="p-dynamic" class="dynamic" width="6" height="6" patternUnits="userSpaceOnUse">
  <rect class="tint" width="6" height="6"/><path class="ink" d="M3 0V4"/>
</pattern>
</defs></svg>
)";
}

/// The whole region on one line, to scale, with what can be mapped beneath.
class map_overview {
public:
    map_overview(const region_facts& region, const map_layout& layout, std::string anchor)
        : region_{region}, layout_{layout}, anchor_{std::move(anchor)} {}

    [[nodiscard]] std::string svg() const {
        std::string out;
        put(out, "<svg class=\"overview\" viewBox=\"0 0 {} {}\" role=\"group\" aria-label=\"{} to scale: {}\">\n",
            width, bottom() + 26, region_name(region_.region), size_text(region_.size));
        put(out, "<rect class=\"ground\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>\n", left, strip_y, length,
            strip_height);
        unseen(out);
        grid(out);
        dynamics(out);
        runs(out);
        if (!region_.is_config()) areas(out);
        axis(out);
        out += "</svg>\n";
        return out;
    }

    /// Bytes from line to line of the grid: the smallest power of four pages of which at most 64 make the region.
    [[nodiscard]] std::uint64_t grid_step() const noexcept {
        std::uint64_t step = 4096;
        while (region_.size / step > 64) step *= 4;
        return step;
    }

private:
    static constexpr std::uint64_t length = 1024; // a power of two, so that places are exact
    static constexpr int left = 66;
    static constexpr int width = 1106;
    static constexpr int strip_y = 22;
    static constexpr int strip_height = 40;
    static constexpr int areas_y = strip_y + strip_height + 6;
    static constexpr int area_step = 13;

    /// Of what is to scale.
    [[nodiscard]] int bottom() const noexcept {
        return region_.is_config() ? strip_y + strip_height : areas_y + 3 * area_step;
    }

    /// The place of an offset, in units from the strip's left; at most 2^52 bytes make no overflow.
    [[nodiscard]] std::uint64_t place(std::uint64_t offset) const noexcept { return offset * length / region_.size; }

    void grid(std::string& out) const {
        out += "<path class=\"grid\" d=\"";
        for (std::uint64_t at = grid_step(); at < region_.size; at += grid_step())
            put(out, "M{} {}V{}", left + place(at), strip_y, bottom());
        out += "\"/>\n";
    }

    /// What the user does not see of a BAR.
    void unseen(std::string& out) const {
        if (region_.visible >= region_.size) return;
        const std::uint64_t x = place(region_.visible);
        put(out,
            "<rect class=\"unseen\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"><title>{}\n{}</title></rect>\n",
            left + x, strip_y, length - x, strip_height,
            range_text({region_.visible, region_.size - region_.visible}, offset_digits(region_)),
            "the user does not see it");
    }

    void dynamics(std::string& out) const {
        for (const entry_facts& e : region_.entries) {
            if (e.shape != entry::shape::dynamic) continue;
            const std::uint64_t x = place(e.offset);
            const std::uint64_t size = std::max<std::uint64_t>(place(e.end()) - x, 3);
            put(out,
                "<rect class=\"box dynamic\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"><title>{}</title></rect>\n",
                left + x, strip_y, size, strip_height,
                html_text(tip_of(e, {e.offset, e.end(), 0, 0}, offset_digits(region_))));
        }
    }

    /// Neighbours of the same looks make one box, at least 3 wide; several looks share its height. Where there is room
    /// for each, every entry has a box of its own.
    void runs(std::string& out) const {
        std::vector<unsigned> looks(length); // a bit for each
        std::vector<bool> begins(length);
        for (const map_stretch& s : layout_.stretches()) {
            const std::uint64_t begin = std::min(place(s.begin), length - 3);
            const std::uint64_t end = std::min(std::max({begin + 3, place(s.end - 1) + 1, place(s.end)}), length);
            begins[begin] = region_.size <= 256;
            for (std::uint64_t i = begin; i < end; ++i)
                looks[i] |= 1u << static_cast<unsigned>(region_.entries[s.entry].what);
        }
        std::size_t first = 0; // stretch
        std::uint64_t label_end = 0;
        for (std::uint64_t at = 0; at < length;) {
            std::uint64_t end = at + 1;
            while (end < length && looks[end] == looks[at] && !begins[end]) ++end;
            if (looks[at] != 0) {
                std::vector<map_stretch> inside;
                for (; first < layout_.stretches().size() && place(layout_.stretches()[first].begin) < end; ++first)
                    inside.push_back(layout_.stretches()[first]);
                run(out, at, end, looks[at], inside, label_end);
            }
            at = end;
        }
    }

    void run(std::string& out, std::uint64_t begin, std::uint64_t end, unsigned looks,
             const std::vector<map_stretch>& inside, std::uint64_t& label_end) const {
        std::vector<std::size_t> entries;
        for (const map_stretch& s : inside)
            if (std::find(entries.begin(), entries.end(), s.entry) == entries.end()) entries.push_back(s.entry);
        std::vector<std::string> names;
        for (const std::size_t i : entries) {
            if (names.size() == 6) break;
            names.push_back(region_.entries[i].name);
        }
        if (entries.size() > names.size()) names.push_back(fmt::format("and {} more", entries.size() - names.size()));
        std::string tip = joined(names);
        std::uint64_t offset = begin * (region_.size / length);
        if (!inside.empty()) {
            offset = inside.front().begin;
            tip = range_text({offset, inside.back().end - offset}, offset_digits(region_)) + "\n" + tip;
        }
        put(out, "<a href=\"#{}-at-{:x}\"><title>{}</title>", anchor_, layout_.bands()[layout_.band_at(offset)].begin,
            html_text(tip));
        const auto parts = static_cast<std::uint64_t>(std::popcount(looks));
        std::uint64_t part = 0;
        for (std::size_t i = 0; i < look_count; ++i) {
            if ((looks >> i & 1) == 0) continue;
            const std::uint64_t y = strip_y + part * strip_height / parts;
            const std::uint64_t tall = strip_y + (part + 1) * strip_height / parts - y;
            ++part;
            put(out, "<rect class=\"box {}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>", word(look(i)),
                left + begin, y, end - begin, tall);
            if (end - begin >= 12 && tall >= 12)
                put(out, "<text class=\"key on\" x=\"{}\" y=\"{}\">{}</text>", left + (begin + end) / 2,
                    y + tall / 2 + 4, letter(look(i)));
        }
        out += "</a>\n";
        if (entries.empty()) return;
        const std::string label = entries.size() == 1 ? cut_text(names.front(), 20)
                                                      : count_text(entries.size(), "entry", "entries");
        const std::uint64_t label_width = 7 * std::min<std::uint64_t>(label.size(), 20) + 12;
        const std::uint64_t x = std::min(begin, length - label_width);
        if (x < label_end) return;
        put(out, "<text class=\"label\" x=\"{}\" y=\"{}\">{}</text>\n", left + x, strip_y - 7, html_text(label));
        label_end = x + label_width;
    }

    void areas(std::string& out) const {
        for (std::size_t i = 0; i < region_.areas.size(); ++i) {
            const area_facts& areas = region_.areas[i];
            const int y = areas_y + static_cast<int>(i) * area_step;
            put(out, "<text class=\"label end\" x=\"{}\" y=\"{}\">{}</text>\n", left - 7, y + 9,
                size_text(areas.page_size));
            put(out, "<rect class=\"unmapped\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"9\"/>\n", left, y, length);
            if (region_.has_dynamic) boxes(out, areas.untrapped, y, "untrapped");
            boxes(out, areas.at_open, y, "mapped");
        }
    }

    /// What is mapped, merged where it is too small to be told apart.
    void boxes(std::string& out, const std::vector<range>& areas, int y, std::string_view style) const {
        std::uint64_t begin = 0;
        std::uint64_t end = 0;
        const auto flush = [&] {
            if (end > begin)
                put(out, "<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"9\"/>\n", style, left + begin, y,
                    end - begin);
        };
        for (const range area : areas) {
            const std::uint64_t from = place(area.offset);
            const std::uint64_t to = std::max(place(area.end()), from + 1);
            if (from > end || end == 0) {
                flush();
                begin = from;
            }
            end = to;
        }
        flush();
    }

    void axis(std::string& out) const {
        const int y = bottom() + 12;
        const std::uint64_t steps = std::min<std::uint64_t>(region_.size, 8);
        for (std::uint64_t i = 0; i < steps; ++i)
            put(out, "<path class=\"tick\" d=\"M{0} {1}v5\"/><text class=\"label\" x=\"{0}\" y=\"{2}\">{3}</text>\n",
                left + i * length / steps, y - 10, y + 6, hex(region_.size / steps * i));
    }

    const region_facts& region_;
    const map_layout& layout_;
    std::string anchor_;
};

/// A BAR as the device has it, above, and as the user sees it, beneath; not to scale, since the device's is not known.
[[nodiscard]] inline std::string bar_svg(const bar_facts& b) {
    using kind = bar_statement::kind;
    static constexpr unsigned all = 200;
    const kind what = b.stated.what;
    const bool hidden = what == kind::hidden;
    const bool half = what == kind::half;
    std::string out;
    put(out, "<svg class=\"bar\" viewBox=\"0 0 {} 38\" role=\"img\" aria-label=\"{}: the user sees {}\">", all + 2,
        name_of(b), html_text(b.text));
    const auto box = [&out](std::string_view style, unsigned x, unsigned y, unsigned wide, std::string_view text) {
        put(out, "<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"16\"/>", style, x + 1, y, wide);
        if (text.empty()) return;
        put(out, "<text class=\"inside\" x=\"{}\" y=\"{}\">{}</text>", x + 1 + wide / 2, y + 11, text);
    };
    if (b.stated.synthesised())
        box("gap", 0, 1, all, "none");
    else
        box(hidden ? "unseen" : "box pass", 0, 1, half ? all / 2 : all, "");
    if (half) box("unseen", all / 2, 1, all / 2, "");
    if (hidden)
        box("gap", 0, 21, all, "none");
    else
        box(b.stated.synthesised() ? "box shadow" : "box pass", 0, 21, half ? all / 2 : all,
            half ? std::string{"half"} : size_text(b.stated.size));
    out += "</svg>";
    return out;
}

/// The bits of a register with fields, the highest left.
[[nodiscard]] inline std::string bits_svg(const entry_facts& e) {
    static constexpr unsigned total = 832;
    const auto bits = static_cast<unsigned>(8 * e.size);
    const unsigned step = bits == 64 ? total / 64 : total / 32;
    std::string out;
    put(out,
        "<svg class=\"bits\" viewBox=\"0 0 {0} 42\" style=\"width:{0}px\" role=\"img\" aria-label=\"Bits of {1}\">\n",
        bits * step + 2, html_text(e.name));
    for (const field_facts& f : e.fields) {
        const unsigned x = (bits - f.low - f.bits) * step + 1;
        const unsigned wide = f.bits * step;
        put(out, "<g class=\"{}\"><rect class=\"box {}\" x=\"{}\" y=\"14\" width=\"{}\" height=\"24\"/>",
            f.reserved() ? "reserved" : "field", word(f.what), x, wide);
        put(out, "<title>{} {}: {}, {}</title>", bits_text(f), html_text(name_of(f)), word(f.kind), word(f.backing));
        put(out, "<text class=\"bit\" x=\"{}\" y=\"10\">{}</text>", x + step / 2, f.low + f.bits - 1);
        if (f.bits > 1 && wide >= 34)
            put(out, "<text class=\"bit\" x=\"{}\" y=\"10\">{}</text>", x + wide - step / 2, f.low);
        put(out, "<text class=\"inside\" x=\"{}\" y=\"30\">{}</text></g>\n", x + wide / 2,
            html_text(f.reserved() ? std::string{"\xc2\xb7"} : cut_text(f.name, wide / 6)));
    }
    out += "</svg>";
    return out;
}

} // namespace mediant::command_line
