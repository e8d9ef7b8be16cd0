// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>
#include <system_error>

/// Numbers on a command line.
namespace mediant::command_line {

/// Digits of a base and nothing else; nullopt for anything else and for what does not fit.
[[nodiscard]] inline std::optional<std::uint64_t> parse_digits(std::string_view text, int base) noexcept {
    std::uint64_t value = 0;
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

/// Hexadecimal, with or without 0x.
[[nodiscard]] inline std::optional<std::uint64_t> parse_hex(std::string_view text) noexcept {
    if (text.starts_with("0x") || text.starts_with("0X")) text.remove_prefix(2);
    return parse_digits(text, 16);
}

/// Decimal, or hexadecimal with 0x.
[[nodiscard]] inline std::optional<std::uint64_t> parse_number(std::string_view text) noexcept {
    if (text.starts_with("0x") || text.starts_with("0X")) return parse_hex(text);
    return parse_digits(text, 10);
}

} // namespace mediant::command_line
