// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/tool/client_command.hpp>
#include <mediant/tool/map_markup.hpp>
#include <mediant/tool/map_style.hpp>
#include <mediant/tool/map_words.hpp>
#include <mediant/tool/trace_names.hpp>
#include <mediant/tool/trace_print.hpp>
#include <mediant/trace/event.hpp>
#include <mediant/trace/reader.hpp>

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// A recording as one HTML page that needs nothing else: when things were done, and where. Its size does not grow with
/// the recording beyond a bound.
namespace mediant::command_line {

class trace_page {
public:
    /// A recording that is damaged is drawn up to there.
    [[nodiscard]] static std::string html(std::span<const std::byte> file, std::string_view title,
                                          const trace_names& names) {
        return trace_page{file, names}.page(title);
    }

private:
    static constexpr std::size_t columns = 120;   ///< of time
    static constexpr std::size_t most_rows = 160; ///< of the heat map: the busiest
    static constexpr std::size_t most_places = 16384;
    static constexpr std::size_t most_marks = 400;
    static constexpr std::size_t most_listed = 200;

    /// Accesses in one column of time, or of all.
    struct counts {
        std::uint64_t reads = 0, writes = 0, loads = 0, stores = 0;
        void add(const trace::event& what) noexcept {
            if (what.at == trace::level::front)
                ++(what.what == trace::action::read ? reads : writes);
            else
                ++(what.what == trace::action::read ? loads : stores);
        }
        [[nodiscard]] std::uint64_t front() const noexcept { return reads + writes; }
        [[nodiscard]] std::uint64_t below() const noexcept { return loads + stores; }
        [[nodiscard]] std::uint64_t all() const noexcept { return front() + below(); }
    };
    /// What is named there, or 4 bytes, or, where there are too many places, the rest of the region.
    struct place {
        std::string name;
        std::uint64_t size = 0;
        bool rest = false;
        counts total;
        std::uint64_t errors = 0;
        std::string decision;
        std::string last_read, last_written;
        std::vector<counts> at; ///< each column; only of those that are drawn
        bool drawn = false;
    };
    using key = std::pair<region_index, std::uint64_t>;

    trace_page(std::span<const std::byte> file, const trace_names& names) : file_{file}, names_{names} {
        trace::reader first{file};
        who_ = first.who();
        while (const auto next = first.next()) {
            totals_.add(*next);
            if (next->is_access()) add(*next);
        }
        ending_ = ending_text(first);
        choose();
        trace::reader again{file};
        std::uint64_t number = 0;
        while (const auto next = again.next()) spread(*next, number++);
    }

    void add(const trace::event& what) {
        place& there = find(what);
        there.total.add(what);
        there.errors += what.error != error::none;
        if (there.decision.empty()) there.decision = names_.decision(what);
        if (what.bytes().empty() || (what.at == trace::level::below && there.total.front() != 0)) return;
        (what.what == trace::action::read ? there.last_read : there.last_written) = bytes_text(what.bytes(), 8);
    }

    [[nodiscard]] key key_of(const trace::event& what) const {
        const trace_names::found found = names_.at(what.region, what.offset);
        return {what.region, found.entry != nullptr ? found.offset : what.offset & ~std::uint64_t{3}};
    }
    [[nodiscard]] place& find(const trace::event& what) {
        const key where = key_of(what);
        if (const auto found = places_.find(where); found != places_.end()) return found->second;
        if (places_.size() >= most_places) {
            place& rest = rest_[what.region];
            rest.rest = true;
            rest.name = "all else";
            return rest;
        }
        const trace_names::found found = names_.at(what.region, what.offset);
        place made;
        made.name = found.name;
        made.size = found.entry != nullptr ? found.size : 4;
        return places_.emplace(where, std::move(made)).first->second;
    }

    /// The busiest places are drawn.
    void choose() {
        std::vector<std::pair<std::uint64_t, std::size_t>> order; // of those that are as busy, the first
        std::vector<place*> all;
        for (auto& [where, each] : places_) {
            order.emplace_back(~each.total.all(), all.size());
            all.push_back(&each);
        }
        std::sort(order.begin(), order.end());
        if (order.size() > most_rows) order.resize(most_rows);
        for (const auto& [busy, index] : order) {
            all[index]->drawn = true;
            all[index]->at.resize(columns);
        }
    }

    /// From 0 to 1.
    [[nodiscard]] double part_of(std::uint64_t time) const noexcept {
        if (totals_.span() == 0) return 0;
        return static_cast<double>(time - totals_.first) / static_cast<double>(totals_.span());
    }
    [[nodiscard]] std::size_t column_of(std::uint64_t time) const noexcept {
        return std::min(columns - 1, static_cast<std::size_t>(part_of(time) * static_cast<double>(columns)));
    }

    void spread(const trace::event& what, std::uint64_t number) {
        const std::size_t column = column_of(what.time);
        if (what.is_access()) {
            time_[column].add(what);
            place& there = find(what);
            if (there.drawn) {
                there.at[column].add(what);
                most_ = std::max(most_, there.at[column].all());
            }
        } else if (what.at == trace::level::front && what.what != trace::action::advance) {
            if (marks_.size() < most_marks) marks_.emplace_back(number, what);
        }
        if ((!what.is_access() || what.error != error::none) && what.what != trace::action::advance) {
            ++notable_count_;
            if (notable_.size() < most_listed) notable_.emplace_back(number, event_text(what, names_));
        }
    }

    [[nodiscard]] std::string page(std::string_view title) const {
        std::string out;
        const std::string safe_title = html_text(plain_text(title));
        out += "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
               "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
               "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
               "script-src 'unsafe-inline'\"/>\n";
        put(out, "<title>Recording {}</title>\n<style>{}{}</style>\n</head>\n<body>\n<main>\n", safe_title, map_style(),
            style());
        put(out, "<h1>{}</h1>\n<p class=\"soft\">{}</p>\n", safe_title, html_text(identity_text(who_)));
        summary(out);
        legend(out);
        timeline(out);
        heat(out);
        table(out);
        events(out);
        put(out, "</main>\n<script>{}</script>\n</body>\n</html>\n", map_script());
        return out;
    }

    void summary(std::string& out) const {
        put(out, "<p>{} in {}: {} and {} by the user; {} and {} by policies below",
            count_text(totals_.events, "event", "events"), duration(totals_.span()),
            count_text(totals_.reads, "read", "reads"), count_text(totals_.writes, "write", "writes"),
            count_text(totals_.loads, "load", "loads"), count_text(totals_.stores, "store", "stores"));
        put(out, "; {} answered with an error. {} a recorded event.</p>\n", totals_.errors,
            totals_.events == 0
                ? std::string{"0 bytes"}
                : fmt::format("{:.1f} bytes", static_cast<double>(file_.size()) / static_cast<double>(totals_.events)));
        if (!ending_.empty()) put(out, "<p role=\"alert\"><b>This is not all: {}.</b></p>\n", html_text(ending_));
    }

    static void legend(std::string& out) {
        out += "<ul class=\"legend\" aria-label=\"Legend\">\n";
        constexpr std::array<std::array<std::string_view, 2>, 3> all{
            {{"trap", "reads"}, {"shadow", "writes"}, {"mixed", "both"}}};
        for (const auto& each : all)
            put(out,
                "<li><svg viewBox=\"0 0 34 20\" aria-hidden=\"true\"><rect class=\"solid {}\" width=\"34\" "
                "height=\"20\"/></svg><span><b>{}</b></span></li>\n",
                each[0], each[1]);
        out += "<li><span>upwards: by the user; downwards: by policies, to the device below. The stronger, the "
               "more.</span></li>\n</ul>\n";
    }

    void timeline(std::string& out) const {
        constexpr double left = 60, width = 960, middle = 120, reach = 90, height = 240;
        std::uint64_t most = 1;
        for (const counts& each : time_) most = std::max({most, each.front(), each.below()});
        put(out,
            "<section id=\"timeline\">\n<h2>When</h2>\n<p class=\"soft\">Accesses in each of {} stretches of {}; at "
            "most "
            "{} in one. Marks are what is no access.</p>\n<div class=\"scroll\">\n"
            "<svg class=\"overview\" viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"Accesses over time\">\n",
            columns, duration(totals_.span() / columns), most, left + width + 20, height);
        const double step = width / columns;
        const auto bar = [&](std::size_t i, double from, std::uint64_t count, double direction, std::string_view look) {
            const double size = reach * static_cast<double>(count) / static_cast<double>(most);
            if (count != 0)
                put(out, "<rect class=\"solid {}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\"/>",
                    look, left + step * static_cast<double>(i), direction < 0 ? from - size : from, step - 1, size);
            return from + direction * size;
        };
        for (std::size_t i = 0; i < columns; ++i) {
            const counts& each = time_[i];
            if (each.all() == 0) continue;
            put(out, "<g><title>{}\n{} reads, {} writes; below {} loads, {} stores</title>",
                duration(totals_.span() / columns * i), each.reads, each.writes, each.loads, each.stores);
            bar(i, bar(i, middle - 1, each.reads, -1, "trap"), each.writes, -1, "shadow");
            bar(i, bar(i, middle + 1, each.loads, 1, "trap"), each.stores, 1, "shadow");
            out += "</g>\n";
        }
        put(out, "<path class=\"tick\" d=\"M{0} {1}H{2}\"/>\n", left, middle, left + width);
        for (int i = 0; i <= 4; ++i)
            put(out, "<text class=\"{}\" x=\"{}\" y=\"{}\">{}</text>\n", i == 4 ? "end" : "", left + width * i / 4,
                height - 6, duration(totals_.span() / 4 * static_cast<std::uint64_t>(i)));
        put(out,
            "<text class=\"address\" x=\"{0}\" y=\"{1}\">user</text><text class=\"address\" x=\"{0}\" y=\"{2}\">"
            "below</text>\n",
            left - 6, middle - 20, middle + 30);
        for (const auto& [number, what] : marks_) {
            const double x = left + width * part_of(what.time);
            put(out,
                "<g class=\"mark\"><title>{}</title><path d=\"M{:.1f} 12v-8l6 4z\"/><path class=\"line\" d=\"M{:.1f} "
                "12V{}\"/></g>\n",
                html_text(fmt::format("{}: {}", number, event_text(what, names_))), x, x, height - 22);
        }
        out += "</svg>\n</div>\n</section>\n";
    }

    void heat(std::string& out) const {
        constexpr double left = 300, width = 720, row = 17;
        out += "<section id=\"heat\">\n<h2>Where</h2>\n";
        std::size_t drawn = 0;
        for (const auto& [where, each] : places_) drawn += each.drawn;
        put(out, "<p class=\"soft\">{}{}; at most {} accesses in one cell.</p>\n", count_text(drawn, "place", "places"),
            drawn < places_.size() ? fmt::format(", the busiest of {}", places_.size()) : std::string{}, most_);
        for (auto at = places_.begin(); at != places_.end();) {
            const region_index region = at->first.first;
            std::vector<std::pair<std::uint64_t, const place*>> rows;
            for (; at != places_.end() && at->first.first == region; ++at)
                if (at->second.drawn) rows.emplace_back(at->first.second, &at->second);
            if (rows.empty()) continue;
            const double height = row * static_cast<double>(rows.size());
            put(out,
                "<h3>{}</h3>\n<div class=\"scroll\">\n<svg class=\"rows\" viewBox=\"0 0 {} {}\" role=\"img\" "
                "aria-label=\"Accesses "
                "of {} over time\">\n<rect class=\"ground\" x=\"{}\" width=\"{}\" height=\"{}\"/>\n",
                region_text(region), left + width + 80, height + 2, region_text(region), left, width, height);
            double y = 0;
            for (const auto& [offset, each] : rows) {
                heat_row(out, offset, *each, y, left, width, row);
                y += row;
            }
            out += "</svg>\n</div>\n";
        }
        out += "</section>\n";
    }

    void heat_row(std::string& out, std::uint64_t offset, const place& what, double y, double left, double width,
                  double row) const {
        const double step = width / columns;
        put(out,
            "<text class=\"address\" x=\"78\" y=\"{:.1f}\">{:#x}</text><text class=\"name\" x=\"88\" "
            "y=\"{:.1f}\">{}</text>"
            "<text class=\"detail\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>\n",
            y + 12, offset, y + 12, html_text(cut_text(what.name, 30)), left + width + 8, y + 12, what.total.all());
        for (std::size_t i = 0; i < columns; ++i) {
            const counts& cell = what.at[i];
            if (cell.all() == 0) continue;
            const std::uint64_t reads = cell.reads + cell.loads, writes = cell.writes + cell.stores;
            const double strength = 0.3 + 0.7 * std::log2(1. + static_cast<double>(cell.all())) /
                                              std::log2(1. + static_cast<double>(most_));
            put(out,
                "<rect class=\"solid {}\" x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" "
                "opacity=\"{:.2f}\">"
                "<title>{} at {:#x}, {}\n{} reads, {} writes; below {} loads, {} stores</title></rect>\n",
                writes == 0  ? "trap"
                : reads == 0 ? "shadow"
                             : "mixed",
                left + step * static_cast<double>(i), y + 1, step, row - 2, strength, html_text(what.name), offset,
                duration(totals_.span() / columns * i), cell.reads, cell.writes, cell.loads, cell.stores);
        }
    }

    void table(std::string& out) const {
        out += "<section id=\"places\">\n<h2>What</h2>\n<div "
               "class=\"scroll\"><table>\n<thead><tr><th>Region</th><th>Offset</th>"
               "<th>Register</th><th>Is</th><th>Reads</th><th>Writes</th><th>Loads below</th><th>Stores below</th>"
               "<th>Errors</th><th>Last read</th><th>Last written</th></tr></thead>\n<tbody>\n";
        const auto line = [&](region_index region, const std::string& offset, const place& each) {
            put(out,
                "<tr><td>{}</td><td class=\"mono\">{}</td><td "
                "class=\"mono\"><b>{}</b></td><td>{}</td><td>{}</td><td>{}</td>"
                "<td>{}</td><td>{}</td><td>{}</td><td class=\"mono\">{}</td><td class=\"mono\">{}</td></tr>\n",
                region_text(region), offset, html_text(each.name), each.decision, each.total.reads, each.total.writes,
                each.total.loads, each.total.stores, each.errors, each.last_read, each.last_written);
        };
        for (const auto& [where, each] : places_)
            if (each.drawn) line(where.first, hex(where.second), each);
        for (const auto& [region, each] : rest_) line(region, "", each);
        out += "</tbody></table></div>\n</section>\n";
    }

    void events(std::string& out) const {
        put(out, "<section id=\"events\">\n<h2>What is no access, and errors</h2>\n<p class=\"soft\">{} of {}.</p>\n",
            notable_.size(), notable_count_);
        if (!notable_.empty()) {
            out += "<div class=\"scroll\"><table>\n<thead><tr><th>Number</th><th>Seconds, "
                   "event</th></tr></thead>\n<tbody>\n";
            for (const auto& [number, text] : notable_)
                put(out, "<tr><td class=\"mono\">{}</td><td class=\"mono wrap\">{}</td></tr>\n", number,
                    html_text(text));
            out += "</tbody></table></div>\n";
        }
        out += "</section>\n";
    }

    [[nodiscard]] static std::string duration(std::uint64_t nanoseconds) {
        const auto value = static_cast<double>(nanoseconds);
        if (nanoseconds < 10'000) return fmt::format("{} ns", nanoseconds);
        if (nanoseconds < 10'000'000) return fmt::format("{:.1f} us", value / 1e3);
        if (nanoseconds < 10'000'000'000) return fmt::format("{:.1f} ms", value / 1e6);
        return fmt::format("{:.1f} s", value / 1e9);
    }

    [[nodiscard]] static std::string_view style() {
        return R"css(
.mark path { fill: var(--c-constant); }
.mark .line { fill: none; stroke: var(--c-constant); stroke-dasharray: 2 3; opacity: .6; }
td.wrap { white-space: pre-wrap; }
)css";
    }

    std::span<const std::byte> file_;
    const trace_names& names_;
    trace::identity who_;
    trace_counts totals_;
    std::string ending_;
    std::map<key, place> places_;
    std::map<region_index, place> rest_;
    std::array<counts, columns> time_{};
    std::vector<std::pair<std::uint64_t, trace::event>> marks_;
    std::vector<std::pair<std::uint64_t, std::string>> notable_;
    std::uint64_t notable_count_ = 0;
    std::uint64_t most_ = 1;
};

} // namespace mediant::command_line
