// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/bpf/api.hpp>
#include <mediant/bpf/error.hpp>

#include <cstdarg>
#include <cstddef>
#include <cstdio>
#include <string>
#include <string_view>

namespace mediant::bpf {

/// Keeps what libbpf says in this thread meanwhile, instead of its going to standard error. One at a time.
class captured_messages {
public:
    captured_messages() : previous_{::libbpf_set_print(&captured_messages::take)} { text().clear(); }
    captured_messages(const captured_messages&) = delete;
    captured_messages& operator=(const captured_messages&) = delete;
    ~captured_messages() { ::libbpf_set_print(previous_); }

    /// Lines without "libbpf: ", and without the end of the last one.
    [[nodiscard]] static std::string lines() {
        std::string out;
        for (std::string_view rest = text(); !rest.empty();) {
            std::string_view line = rest.substr(0, rest.find('\n'));
            rest.remove_prefix(line.size() < rest.size() ? line.size() + 1 : line.size());
            if (line.starts_with("libbpf: ")) line.remove_prefix(8);
            out += (out.empty() ? "" : "\n") + printable(line);
        }
        return out;
    }

private:
    [[nodiscard]] static std::string& text() {
        static thread_local std::string kept;
        return kept;
    }

    [[gnu::format(printf, 2, 0)]] static int take(::libbpf_print_level level, const char* format,
                                                  std::va_list arguments) noexcept {
        if (level == ::LIBBPF_DEBUG) return 0;
        std::va_list again;
        va_copy(again, arguments);
        const int size = std::vsnprintf(nullptr, 0, format, again);
        va_end(again);
        if (size <= 0) return 0;
        try {
            std::string& kept = text();
            const std::size_t before = kept.size();
            kept.resize(before + static_cast<std::size_t>(size) + 1);
            std::vsnprintf(kept.data() + before, static_cast<std::size_t>(size) + 1, format, arguments);
            kept.pop_back();
        } catch (...) {} // C called it
        return size;
    }

    ::libbpf_print_fn_t previous_;
};

} // namespace mediant::bpf
