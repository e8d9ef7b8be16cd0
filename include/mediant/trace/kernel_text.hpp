// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/little_endian.hpp>
#include <mediant/core/result.hpp>
#include <mediant/trace/event.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <system_error>

/// The events of a kernel module (kernel/module/common/trace.h), as tracefs prints them in `trace` and `trace_pipe`:
///
///     client-93 [000] ... 12.5: mediant_access: 0000:00:04.0 region=0 offset=0x0 count=4 read trapped value=0xed result=4
///     client-93 [000] ... 12.4: mediant_below: 0000:00:04.0 region=0 offset=0x0 width=4 load value=0x10000ed result=0
namespace mediant::trace {

/// One line of such a text.
struct kernel_line {
    enum class kind : std::uint8_t {
        other, ///< a comment, or what somebody else traces
        event,
        malformed, ///< an event of ours that makes no sense
    };
    kind what = kind::other;
    std::string_view device; ///< its address, in the line
    trace::event event;      ///< its time is the kernel's clock
};

namespace detail {

/// Takes words and numbers from the front of a text. What is not there makes it bad, and reads as 0.
class line_reader {
public:
    explicit line_reader(std::string_view text) noexcept : left_{text} {}

    /// Up to the next blank, which goes.
    [[nodiscard]] std::string_view word() noexcept {
        const std::size_t end = std::min(left_.find(' '), left_.size());
        const std::string_view out = left_.substr(0, end);
        left_.remove_prefix(std::min(end + 1, left_.size()));
        good_ = good_ && !out.empty();
        return out;
    }
    /// A word of one of two spellings; whether it is the first.
    [[nodiscard]] bool either(std::string_view first, std::string_view second) noexcept {
        const std::string_view found = word();
        good_ = good_ && (found == first || found == second);
        return found == first;
    }
    /// `name`, and a number of this base after it.
    template <class T>
    [[nodiscard]] T number(std::string_view name, int base) noexcept {
        std::string_view text = word();
        T out{};
        good_ = good_ && text.starts_with(name);
        if (!good_) return out;
        text.remove_prefix(name.size());
        const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), out, base);
        good_ = failed == std::errc{} && end == text.data() + text.size();
        return good_ ? out : T{};
    }
    [[nodiscard]] bool done() const noexcept { return good_ && left_.empty(); }
    [[nodiscard]] bool good() const noexcept { return good_; }

private:
    std::string_view left_;
    bool good_ = true;
};

/// "12.345678" or "12.345678901" in nanoseconds.
[[nodiscard]] inline std::optional<std::uint64_t> nanoseconds_of(std::string_view text) noexcept {
    const std::size_t point = text.find('.');
    if (point == text.npos || text.size() - point - 1 == 0 || text.size() - point - 1 > 9) return std::nullopt;
    std::uint64_t seconds = 0, part = 0;
    const auto number = [](std::string_view digits, std::uint64_t& to) {
        const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), to);
        return failed == std::errc{} && end == digits.data() + digits.size();
    };
    if (!number(text.substr(0, point), seconds) || !number(text.substr(point + 1), part)) return std::nullopt;
    for (std::size_t i = text.size() - point - 1; i < 9; ++i) part *= 10;
    constexpr std::uint64_t most = ~std::uint64_t{0} / 1'000'000'000 - 1;
    if (seconds > most) return std::nullopt;
    return seconds * 1'000'000'000 + part;
}

} // namespace detail

/// What a line says, which may be anything. The line has no end of line.
[[nodiscard]] inline kernel_line parse_kernel_line(std::string_view line) noexcept {
    constexpr std::string_view access_name = " mediant_access: ";
    constexpr std::string_view below_name = " mediant_below: ";
    kernel_line out;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.starts_with('#')) return out;
    if (line.starts_with("CPU:") && line.find(" [LOST ") != line.npos) {
        // The ring buffer was overrun: "CPU:1 [LOST 123 EVENTS]".
        const std::size_t at = line.find(" [LOST ") + 7;
        const auto [end, failed] = std::from_chars(line.data() + at, line.data() + line.size(), out.event.numbers[0]);
        out.what = failed == std::errc{} && std::string_view{end, line.data() + line.size()} == " EVENTS]"
                       ? kernel_line::kind::event
                       : kernel_line::kind::malformed;
        out.event.what = action::gap;
        return out;
    }
    const std::size_t access_at = line.find(access_name), below_at = line.find(below_name);
    const bool below = below_at < access_at;
    const std::size_t at = below ? below_at : access_at;
    if (at == line.npos) return out;

    out.what = kernel_line::kind::malformed;
    std::string_view before = line.substr(0, at);
    if (!before.ends_with(':')) return out;
    before.remove_suffix(1);
    const std::optional<std::uint64_t> time = detail::nanoseconds_of(before.substr(before.rfind(' ') + 1));
    if (!time) return out;

    event& e = out.event;
    e.time = *time;
    e.at = below ? level::below : level::front;
    detail::line_reader from{line.substr(at + (below ? below_name : access_name).size())};
    out.device = from.word();
    e.region = region_index{from.number<std::uint32_t>("region=", 10)};
    e.offset = from.number<std::uint64_t>("offset=0x", 16);
    e.size = from.number<std::uint64_t>(below ? "width=" : "count=", 10);
    if (below)
        e.what = from.either("load", "store") ? action::read : action::write;
    else
        e.what = from.either("read", "write") ? action::read : action::write;
    if (!below) e.decided = from.either("trapped", "passed") ? decision::trapped : decision::passed;
    const auto value = from.number<std::uint64_t>("value=0x", 16);
    const auto came = from.number<std::int64_t>("result=", 10);
    if (!from.done() || came < -4095 || e.size > ~std::uint64_t{0} - e.offset) return out;
    if (below && (e.size > 8 || came > 0)) return out;

    if (came < 0) e.error = error{static_cast<std::int32_t>(-came)};
    e.count = below ? (came == 0 ? e.size : 0) : static_cast<std::uint64_t>(std::max<std::int64_t>(came, 0));
    if (e.count > e.size) return out;
    // What passes does so without being looked at, but for writes to config space that somebody observes; of those
    // that are 0 that cannot be told, and is not taken for known.
    const bool known = e.decided != decision::passed || (value != 0 && e.what == action::write);
    if (known) {
        std::array<std::byte, 8> bytes{};
        store_little(bytes, value);
        e.set_bytes(std::span{bytes}.first(static_cast<std::size_t>(std::min<std::uint64_t>(e.meant(), 8))));
    }
    out.what = kernel_line::kind::event;
    return out;
}

} // namespace mediant::trace
