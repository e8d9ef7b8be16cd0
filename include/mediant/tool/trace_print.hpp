// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/tool/client_command.hpp>
#include <mediant/tool/map_words.hpp>
#include <mediant/tool/trace_names.hpp>
#include <mediant/trace/event.hpp>
#include <mediant/trace/format.hpp>
#include <mediant/trace/reader.hpp>

#include <fmt/core.h>
#include <fmt/ostream.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <ostream>
#include <span>
#include <string>
#include <string_view>

/// Recordings as text: a line an event.
namespace mediant::command_line {

/// A name from a file that anybody may have written, as one line.
[[nodiscard]] inline std::string plain_text(std::string_view text) {
    std::string out{text};
    for (char& c : out)
        if (static_cast<unsigned char>(c) < ' ' || static_cast<unsigned char>(c) >= 0x7f) c = '?';
    return out;
}

/// "2026-03-01 12:00:00 UTC"; empty where it is not known.
[[nodiscard]] inline std::string time_text(std::uint64_t epoch_nanoseconds) {
    if (epoch_nanoseconds == 0) return {};
    const auto seconds = static_cast<std::time_t>(epoch_nanoseconds / 1'000'000'000);
    std::tm fields{};
    if (::gmtime_r(&seconds, &fields) == nullptr) return {};
    std::array<char, 64> text{};
    return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S UTC", &fields)};
}

[[nodiscard]] inline std::string device_text(const device_id& id) {
    const auto field = [](std::uint32_t value) {
        return value == any_id ? std::string{"*"} : fmt::format("{:04x}", value);
    };
    std::string out = field(id.vendor) + ':' + field(id.device);
    if (id.subvendor != any_id && (id.subvendor != 0 || id.subdevice != 0))
        out += ':' + field(id.subvendor) + ':' + field(id.subdevice);
    if (id.class_code != any_id && id.class_code != 0) out += fmt::format(" class {:06x}", id.class_code);
    return out;
}

[[nodiscard]] inline std::string error_text(error what) {
    if (what == error::none) return {};
    return fmt::format("{} (errno {})", std::strerror(to_errno(what)), to_errno(what));
}

/// Bytes as a number where they are one, else in the order of their addresses.
[[nodiscard]] inline std::string bytes_text(std::span<const std::byte> bytes, std::size_t most = 32) {
    if (bytes.empty()) return "?";
    if (bytes.size() <= 8) return fmt::format("{:#0{}x}", load_little(bytes), 2 + 2 * bytes.size());
    std::string out;
    for (std::size_t i = 0; i < bytes.size() && i < most; ++i)
        out += fmt::format("{}{:02x}", i == 0 ? "" : " ", std::to_integer<unsigned>(bytes[i]));
    return bytes.size() > most ? out + " ..." : out;
}

/// What is done, as it is called at the front, and below.
[[nodiscard]] inline std::string_view action_text(const trace::event& what) noexcept {
    if (what.at == trace::level::below && what.is_access()) return what.what == trace::action::read ? "load" : "store";
    return trace::facts_of(what.what).name;
}

[[nodiscard]] inline std::string event_text(const trace::event& what, const trace_names& names) {
    std::string out = fmt::format("{:14.6f}  {}{}", static_cast<double>(what.time) / 1e9,
                                  what.at == trace::level::below ? "  " : "", action_text(what));
    if (what.is_access()) {
        out += fmt::format("{:<{}} {:<6} {:#08x} {}", "", 6 - action_text(what).size(), region_text(what.region),
                           what.offset, what.size);
        const auto bytes = what.bytes();
        if (what.meant() != 0) out += "  " + bytes_text(bytes);
        if (!bytes.empty() && bytes.size() < what.meant())
            out += fmt::format(" and {} more", what.meant() - bytes.size());
        if (what.count != what.size && what.count != 0) out += fmt::format("  {} done", what.count);
        if (const std::string name = names.text(what); !name.empty()) out += "  " + name;
        if (const std::string_view decided = names.decision(what); !decided.empty()) (out += "  ") += decided;
    } else {
        const trace::action_facts& facts = trace::facts_of(what.what);
        for (std::size_t i = 0; i < facts.number_count(); ++i)
            out += fmt::format(" {}={:#x}", facts.numbers[i], what.numbers[i]);
        if (facts.has_bytes && !what.bytes().empty()) out += "  " + bytes_text(what.bytes());
    }
    if (what.error != error::none) out += "  " + error_text(what.error);
    return out;
}

/// What is counted of a recording.
struct trace_counts {
    std::uint64_t events = 0, reads = 0, writes = 0, loads = 0, stores = 0, others = 0, errors = 0;
    std::uint64_t first = 0, last = 0; ///< times

    [[nodiscard]] std::uint64_t span() const noexcept { return last - first; }
    void add(const trace::event& what) noexcept {
        if (events++ == 0) first = what.time;
        last = std::max(last, what.time);
        errors += what.error != error::none;
        if (!what.is_access())
            ++others;
        else if (what.at == trace::level::front)
            ++(what.what == trace::action::read ? reads : writes);
        else
            ++(what.what == trace::action::read ? loads : stores);
    }
};

/// How a recording ends: what is missing, what is damaged. Empty where all is there.
[[nodiscard]] inline std::string ending_text(const trace::reader& from) {
    if (from.damaged())
        return fmt::format("damaged at byte {:#x}: {}", from.damaged().offset, trace::to_text(from.damaged().what));
    if (!from.finished()) return "it has no end: what made it was cut off";
    if (from.lost() != 0)
        return fmt::format("{} events are missing at the end, for which there was no room", from.lost());
    return {};
}

[[nodiscard]] inline std::string identity_text(const trace::identity& who) {
    std::string out = fmt::format("{}, {}", who.provider.empty() ? "no provider" : plain_text(who.provider),
                                  device_text(who.device));
    if (!who.source.empty()) out += ", recorded by " + plain_text(who.source);
    if (const std::string when = time_text(who.started); !when.empty()) out += ", " + when;
    return out;
}

inline void print_trace(trace::reader& from, std::uint64_t bytes, const trace_names& names, bool summary_only,
                        std::ostream& out) {
    fmt::print(out, "# {}\n", identity_text(from.who()));
    for (const trace::identity::region& each : from.who().regions)
        fmt::print(out, "# {:<6} {}\n", region_text(each.index), size_text(each.size));
    trace_counts counts;
    while (const auto next = from.next()) {
        counts.add(*next);
        if (!summary_only) fmt::print(out, "{}\n", event_text(*next, names));
    }
    fmt::print(
        out, "# {} events in {} bytes, {:.1f} an event: {} reads, {} writes; below {} loads, {} stores; {} others\n",
        counts.events, bytes, counts.events == 0 ? 0. : static_cast<double>(bytes) / static_cast<double>(counts.events),
        counts.reads, counts.writes, counts.loads, counts.stores, counts.others);
    if (const std::string ending = ending_text(from); !ending.empty()) fmt::print(out, "# {}\n", ending);
}

[[nodiscard]] inline nlohmann::ordered_json event_json(std::uint64_t number, const trace::event& what,
                                                       const trace_names& names) {
    nlohmann::ordered_json out{{"number", number},
                               {"time", what.time},
                               {"level", what.at == trace::level::below ? "below" : "front"},
                               {"action", trace::facts_of(what.what).name}};
    if (what.is_access()) {
        out["region"] = region_text(what.region);
        out["offset"] = what.offset;
        out["size"] = what.size;
        out["count"] = what.count;
        if (const std::string name = names.text(what); !name.empty()) out["register"] = name;
        if (const std::string_view decided = names.decision(what); !decided.empty()) out["decision"] = decided;
    } else {
        const trace::action_facts& facts = trace::facts_of(what.what);
        for (std::size_t i = 0; i < facts.number_count(); ++i) out[std::string{facts.numbers[i]}] = what.numbers[i];
    }
    if (!what.bytes().empty()) {
        std::string hexadecimal;
        for (const std::byte b : what.bytes()) hexadecimal += fmt::format("{:02x}", std::to_integer<unsigned>(b));
        out["bytes"] = hexadecimal; // in the order of their addresses
    }
    if (what.error != error::none) out["errno"] = to_errno(what.error);
    return out;
}

/// A line for the recording, one for each event, and one for its end.
inline void print_trace_json(trace::reader& from, const trace_names& names, std::ostream& out) {
    const trace::identity& who = from.who();
    nlohmann::ordered_json regions = nlohmann::ordered_json::array();
    for (const trace::identity::region& each : who.regions)
        regions.push_back({{"region", region_text(each.index)}, {"size", each.size}});
    const nlohmann::ordered_json head{{"recording", trace::recording_format},
                                      {"provider", plain_text(who.provider)},
                                      {"device", device_text(who.device)},
                                      {"source", plain_text(who.source)},
                                      {"started", who.started},
                                      {"regions", regions}};
    out << head.dump() << '\n';
    std::uint64_t number = 0;
    while (const auto next = from.next()) out << event_json(number++, *next, names).dump() << '\n';
    nlohmann::ordered_json end{{"events", number}, {"finished", from.finished()}, {"missing", from.lost()}};
    if (from.damaged()) {
        end["damage"] = trace::to_text(from.damaged().what);
        end["damaged_at"] = from.damaged().offset;
    }
    out << end.dump() << '\n';
}

} // namespace mediant::command_line
