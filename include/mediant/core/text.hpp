// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

/// Text at compile time: as a template argument, and built up piece by piece.
namespace mediant {

/// A string that can be a template argument, so that compilers print it: `text{"IDENT"}`. The final 0 is written
/// out, since clang prints numbers where it only finds it filled in.
template <std::size_t N>
struct text {
    char data[N + 1]{};

    consteval text() = default;
    consteval text(const char (&literal)[N + 1]) {
        for (std::size_t i = 0; i < N; ++i) data[i] = literal[i];
        data[N] = '\0';
    }
    explicit consteval text(std::string_view from) {
        for (std::size_t i = 0; i < N; ++i) data[i] = from[i];
        data[N] = '\0';
    }
    [[nodiscard]] constexpr std::string_view view() const noexcept { return {data, N}; }
    [[nodiscard]] constexpr const char* c_str() const noexcept { return data; }
};
template <std::size_t N>
text(const char (&)[N]) -> text<N - 1>;

/// Text of at most `Capacity` characters that is appended to at compile time.
template <std::size_t Capacity>
class text_builder {
public:
    constexpr text_builder& add(std::string_view more) noexcept {
        for (const char c : more)
            if (size_ < Capacity) data_[size_++] = c;
        return *this;
    }
    enum class letters : bool { lower, upper };
    /// `digits` hexadecimal digits of `value`, with leading zeros.
    constexpr text_builder& hex(std::uint64_t value, unsigned digits, letters how = letters::lower) noexcept {
        const std::string_view alphabet = how == letters::lower ? "0123456789abcdef" : "0123456789ABCDEF";
        for (unsigned i = digits; i-- > 0;) add(alphabet.substr((value >> (4 * i)) & 0xf, 1));
        return *this;
    }
    [[nodiscard]] constexpr std::string_view view() const noexcept { return {data_, size_}; }

private:
    char data_[Capacity]{};
    std::size_t size_ = 0;
};

/// The spelling of a type, as the compiler prints it: "acme::edu".
template <class T>
[[nodiscard]] consteval std::string_view type_name() {
    const std::string_view all = __PRETTY_FUNCTION__; // "... [with T = acme::edu; ...]" or "... [T = acme::edu]"
    const std::size_t from = all.find("T = ") + 4;
    return all.substr(from, all.find_first_of(";]", from) - from);
}

} // namespace mediant
