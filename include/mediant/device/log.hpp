// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <span>
#include <string_view>
#include <utility>

namespace mediant::device {

/// Where a device's log goes: a literal text and up to three numbers.
using log_sink = std::function<void(std::string_view text, std::span<const std::uint64_t> numbers)>;

/// The log service of a device in user space. Until it is told otherwise, lines go to standard error.
class logger {
public:
    void set_sink(log_sink sink) { sink_ = std::move(sink); }

    template <std::same_as<std::uint64_t>... Numbers>
        requires(sizeof...(Numbers) <= 3)
    void operator()(const char* text, Numbers... numbers) const {
        const std::array<std::uint64_t, sizeof...(Numbers)> all{numbers...};
        sink_(text, std::span<const std::uint64_t>{all.data(), all.size()});
    }

private:
    static void to_stderr(std::string_view text, std::span<const std::uint64_t> numbers) {
        std::fprintf(stderr, "%.*s", static_cast<int>(text.size()), text.data());
        for (const std::uint64_t n : numbers) std::fprintf(stderr, " 0x%llx", static_cast<unsigned long long>(n));
        std::fputc('\n', stderr);
    }

    log_sink sink_ = to_stderr;
};

} // namespace mediant::device
