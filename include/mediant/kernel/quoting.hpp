// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>

/// Text that a vendor chose, as literals of the languages that it is written into.
namespace mediant::kernel {

/// A C string literal with its quotes. Bytes past ASCII stay, as C sources are UTF-8; what cannot be printed is
/// an octal escape, which always has three digits and so ends by itself.
[[nodiscard]] inline std::string c_string(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) {
            out += '\\';
            for (const unsigned shift : {6u, 3u, 0u}) out += static_cast<char>('0' + ((byte >> shift) & 7));
            continue;
        }
        if (c == '"' || c == '\\' || c == '?') out += '\\'; // "??x" may be a trigraph
        out += c;
    }
    return out + '"';
}

/// A word of a POSIX shell, in single quotes.
[[nodiscard]] inline std::string shell_word(std::string_view text) {
    std::string out = "'";
    for (const char c : text) {
        if (c == '\'')
            out += "'\\''";
        else
            out += c;
    }
    return out + '\'';
}

/// One line: a blank for each control character. For comments and running text.
[[nodiscard]] inline std::string one_line(std::string_view text) {
    std::string out{text};
    for (char& c : out)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
    return out;
}

} // namespace mediant::kernel
