// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

/// BPF providers in user space: what an object is, and how it gets to the host.
namespace mediant::bpf {

/// What cannot be done; what() says what, where and, where that is known, what helps.
class error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// A program that the kernel's verifier refuses.
class refused : public error {
public:
    refused(const std::string& summary, std::string log) : error{summary}, log_{std::move(log)} {}

    /// All that the verifier said, with the source lines that the object carries.
    [[nodiscard]] const std::string& log() const noexcept { return log_; }

private:
    std::string log_;
};

/// A text of an object's or of somebody's who has read it, as a terminal may have it: lines and tabs stay, other
/// control characters become '?'.
[[nodiscard]] inline std::string printable(std::string_view text) {
    std::string out{text};
    for (char& c : out)
        if ((static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f) c = '?';
    return out;
}

/// "WHERE: WHAT: Permission denied", of a (positive) errno.
[[nodiscard]] inline error system_failure(std::string_view where, std::string_view what, int number) {
    return error{std::string{where} + ": " + std::string{what} + ": " + std::generic_category().message(number)};
}

} // namespace mediant::bpf
