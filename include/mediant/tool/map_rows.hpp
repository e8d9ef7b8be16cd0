// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/tool/map_facts.hpp>
#include <mediant/tool/map_layout.hpp>
#include <mediant/tool/map_markup.hpp>
#include <mediant/tool/map_svg.hpp>
#include <mediant/tool/map_words.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mediant::command_line {

/// What is named in a region, in rows of bytes; where nothing changes, a band. Beside it, what can be mapped.
class map_rows {
public:
    map_rows(const region_facts& region, const map_layout& layout, std::string anchor)
        : region_{region}, layout_{layout}, anchor_{std::move(anchor)}, digits_{offset_digits(region)},
          byte_width_{region.is_config() ? 60 : 832 / static_cast<int>(layout.row_bytes())},
          right_{left + static_cast<int>(layout.row_bytes()) * byte_width_} {
        int y = top;
        for (const map_band& band : layout_.bands()) {
            tops_.push_back(y);
            y += height_of(band);
        }
        tops_.push_back(y);
    }

    [[nodiscard]] std::string svg() const {
        std::string out;
        put(out, "<svg class=\"rows\" viewBox=\"0 0 {} {}\" role=\"group\" aria-label=\"{} in detail\">\n", width,
            tops_.back() + 8, region_name(region_.region));
        head(out);
        for (std::size_t i = 0; i < layout_.bands().size(); ++i) band(out, layout_.bands()[i], i);
        pages(out);
        if (!region_.is_config())
            for (std::size_t i = 0; i < region_.areas.size(); ++i) areas(out, i);
        out += "</svg>\n";
        return out;
    }

private:
    static constexpr int width = 1106;
    static constexpr int left = 118;
    static constexpr int areas_x = left + 832 + 14;
    static constexpr int area_width = 40;
    static constexpr int area_step = 46;
    static constexpr int top = 24;
    static constexpr int tab = 13; // the part of a cell with the letter

    [[nodiscard]] static int height_of(const map_band& band) noexcept {
        switch (band.what) {
        case map_band::shape::row: return 36;
        case map_band::shape::whole: return 46;
        case map_band::shape::gap:
        case map_band::shape::repeat: break;
        }
        return band.end - band.begin > map_layout::page_bytes ? 40 : band.end - band.begin > 256 ? 26 : 20;
    }

    /// Where an offset stands, from top to bottom; each band is to scale in itself.
    [[nodiscard]] double place(std::uint64_t offset) const {
        if (offset >= region_.size) return tops_.back();
        const std::size_t i = layout_.band_at(offset);
        const map_band& band = layout_.bands()[i];
        const double part = static_cast<double>(offset - band.begin) / static_cast<double>(band.end - band.begin);
        return tops_[i] + part * (tops_[i + 1] - tops_[i]);
    }

    void head(std::string& out) const {
        for (unsigned i = 0; i < layout_.row_bytes(); i += 4)
            put(out, "<text class=\"label\" x=\"{}\" y=\"{}\">+{:x}</text>\n",
                left + static_cast<int>(i) * byte_width_ + 2, top - 7, i);
        if (region_.is_config()) return;
        for (std::size_t i = 0; i < region_.areas.size(); ++i)
            put(out, "<text class=\"label middle\" x=\"{}\" y=\"{}\">{}K</text>\n",
                areas_x + static_cast<int>(i) * area_step + area_width / 2, top - 7, region_.areas[i].page_size / 1024);
    }

    void band(std::string& out, const map_band& band, std::size_t index) const {
        const int y = tops_[index];
        const int tall = tops_[index + 1] - y;
        const std::size_t dynamic = layout_.dynamic_at(band.begin);
        put(out, "<g id=\"{}-at-{:x}\">", anchor_, band.begin);
        put(out, "<text class=\"address\" x=\"{}\" y=\"{}\">{}</text>\n", left - 12, y + tall / 2 + 4,
            hex(band.begin, digits_));
        if (band.what == map_band::shape::row) {
            const int wide = static_cast<int>(band.end - band.begin) * byte_width_;
            put(out, "<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>\n",
                band.begin >= region_.visible ? "unseen" : dynamic == map_layout::none ? "ground" : "box dynamic", left,
                y, wide, tall);
            put(out, "<path class=\"grid\" d=\"");
            for (int x = 4; x < wide / byte_width_; x += 4) put(out, "M{} {}v{}", left + x * byte_width_, y, tall);
            out += "\"/>\n";
            for (const map_stretch& cell_at : band.cells) cell(out, band, cell_at, y, tall);
        } else if (band.what == map_band::shape::whole) {
            cell(out, band, band.cells.front(), y, tall);
        } else {
            wide_band(out, band, dynamic, y, tall);
        }
        out += "</g>\n";
    }

    void wide_band(std::string& out, const map_band& band, std::size_t dynamic, int y, int tall) const {
        std::string text;
        std::string_view style = "gap";
        if (band.what == map_band::shape::repeat) {
            text = fmt::format("\xe2\x8b\xae  {} to {}, {}, as above", element_name(band.cells.front()),
                               element_name(band.cells.back()), size_text(band.end - band.begin));
        } else if (dynamic != map_layout::none) {
            text = fmt::format("{}, dynamic, {}", region_.entries[dynamic].name, size_text(band.end - band.begin));
            style = "box dynamic";
        } else if (band.begin >= region_.visible) {
            text = size_text(band.end - band.begin) + ", the provider's alone";
            style = "unseen";
        } else {
            text = size_text(band.end - band.begin) + (region_.has_ops ? " seen by the provider" : " pass");
        }
        put(out, "<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>", style, left, y, right_ - left,
            tall);
        if (dynamic != map_layout::none && band.what == map_band::shape::gap) key(out, look::dynamic, left, y, tall);
        put(out, "<text class=\"gap-text\" x=\"{}\" y=\"{}\">{}</text>\n", left + tab + 8, y + tall / 2 + 4,
            html_text(text));
    }

    void cell(std::string& out, const map_band& band, const map_stretch& at, int y, int tall) const {
        const entry_facts& e = region_.entries[at.entry];
        const std::uint64_t begin = std::max(at.begin, band.begin);
        const std::uint64_t end = std::min(at.end, band.end);
        const bool row = band.what == map_band::shape::row;
        const int x = left + (row ? static_cast<int>(begin - band.begin) * byte_width_ : 0);
        const int wide = row ? static_cast<int>(end - begin) * byte_width_ : right_ - left;
        const bool hooked = e.hook != on::nothing;
        put(out, "<a class=\"cell\" href=\"#{}\" data-name=\"{}\"><title>{}</title>",
            anchor_of(anchor_, region_, at.entry), html_text(e.name), html_text(tip_of(e, at, digits_)));
        put(out, "<rect class=\"box {}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>", word(e.what), x, y, wide,
            tall);
        if (!e.fields.empty()) {
            const auto bits = static_cast<int>(8 * e.size);
            for (const field_facts& f : e.fields)
                put(out, "<rect class=\"solid {}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"4\"/>",
                    f.reserved() ? "blank" : word(f.what), x + static_cast<int>(f.low) * wide / bits, y + tall - 4,
                    std::max(static_cast<int>(f.bits) * wide / bits - 1, 1));
        }
        key(out, e.what, x, y, tall);
        if (hooked) put(out, "<path class=\"hook {0}\" d=\"M{1} {2}h-9l9 9z\"/>", word(e.what), x + wide, y);
        const int room = wide - tab - 6;
        const int middle = y + (tall - (e.fields.empty() ? 0 : 4)) / 2;
        const std::string name = short_name(row ? element_name(at) : element_name(at) + ", " + size_text(end - begin),
                                            static_cast<std::size_t>(std::max(room - (hooked ? 5 : 0), 0)) * 10 / 67);
        if (!name.empty())
            put(out, "<text class=\"name\" x=\"{}\" y=\"{}\">{}</text>", x + tab + 4, middle - 2, html_text(name));
        const std::string detail = cut_text(detail_of(e), static_cast<std::size_t>(std::max(room, 0)) * 10 / 56);
        if (!detail.empty())
            put(out, "<text class=\"detail\" x=\"{}\" y=\"{}\">{}</text>", x + tab + 4, middle + 10, html_text(detail));
        out += "</a>\n";
    }

    /// The letter of a look at the left edge of a cell.
    void key(std::string& out, look what, int x, int y, int tall) const {
        put(out, "<rect class=\"solid {}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>", word(what), x, y, tab,
            tall);
        put(out, "<text class=\"key\" x=\"{}\" y=\"{}\">{}</text>", x + tab / 2 + 0.5, y + tall / 2 + 4, letter(what));
    }

    /// As much of a name as there is room for; a register file's own goes first.
    [[nodiscard]] static std::string short_name(const std::string& name, std::size_t most) {
        const std::size_t dot = name.find('.');
        if (name.size() <= most || dot == name.npos) return cut_text(name, most);
        return cut_text("\xe2\x80\xa6" + name.substr(dot + 1), most);
    }

    [[nodiscard]] std::string element_name(const map_stretch& at) const {
        const entry_facts& e = region_.entries[at.entry];
        return e.array ? fmt::format("{}[{}]", e.name, at.element) : e.name;
    }

    [[nodiscard]] static std::string detail_of(const entry_facts& e) {
        if (e.shape == entry::shape::alias) return "= " + std::string{e.target};
        std::string out = kind_text(e);
        if (out.empty()) return std::string{meaning(e.what)};
        if (e.fields.empty() && e.reset_bits != 0 && e.reset != 0) out += fmt::format(" {:#x}", e.reset);
        for (const std::string_view hook : hook_words(e.hook)) put(out, " {}()", hook);
        return out;
    }

    /// A line where each page begins that is not within a band.
    void pages(std::string& out) const {
        out += "<path class=\"page\" d=\"";
        for (std::size_t i = 0; i < layout_.bands().size(); ++i)
            if (layout_.bands()[i].begin % map_layout::page_bytes == 0)
                put(out, "M{} {}H{}", left - 108, tops_[i], right_ + 6);
        out += "\"/>\n";
    }

    void areas(std::string& out, std::size_t which) const {
        const area_facts& areas = region_.areas[which];
        const int x = areas_x + static_cast<int>(which) * area_step;
        put(out, "<rect class=\"unmapped\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>\n", x, top, area_width,
            tops_.back() - top);
        const auto draw = [&](const std::vector<range>& all, std::string_view style, std::string_view when) {
            double bottom = -1; // of what was drawn last: slivers within a band become one
            for (const range area : all) {
                const double from = place(area.offset);
                const double to = place(area.end());
                if (to - bottom < 1) continue;
                bottom = to;
                put(out,
                    "<rect class=\"{}\" x=\"{}\" y=\"{:.1f}\" width=\"{}\" height=\"{:.1f}\"><title>{}, {}\n{} with "
                    "pages "
                    "of {}</title></rect>\n",
                    style, x, from, area_width, std::max(to - from, 1.0), range_text(area, digits_),
                    size_text(area.size), when, size_text(areas.page_size));
            }
        };
        if (region_.has_dynamic) draw(areas.untrapped, "untrapped", "mappable while dynamic ranges pass,");
        draw(areas.at_open, "mapped", "mappable");
    }

    const region_facts& region_;
    const map_layout& layout_;
    std::string anchor_;
    unsigned digits_;
    int byte_width_;
    int right_;
    std::vector<int> tops_; ///< of each band, and the bottom of the last
};

} // namespace mediant::command_line
