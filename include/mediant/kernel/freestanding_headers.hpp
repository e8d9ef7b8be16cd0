// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <array>
#include <string_view>

namespace mediant::kernel {

/// The standard headers that a policy object may include: those of a freestanding C++20 implementation, and those
/// that g++ 12 and 14 take with -ffreestanding besides.
inline constexpr std::array freestanding_headers = std::to_array<std::string_view>({
    "algorithm",    "array",    "atomic",      "bit",           "cfloat",      "ciso646",   "climits",
    "compare",      "concepts", "coroutine",   "cstdalign",     "cstdarg",     "cstdbool",  "cstddef",
    "cstdint",      "float.h",  "functional",  "initializer_list", "iso646.h", "iterator",  "limits",
    "limits.h",     "memory",   "new",         "optional",      "ranges",      "ratio",     "source_location",
    "span",         "stdalign.h", "stdarg.h",  "stdbool.h",     "stddef.h",    "stdint.h",  "string_view",
    "tuple",        "type_traits", "utility",  "variant",       "version",
});
static_assert(std::is_sorted(freestanding_headers.begin(), freestanding_headers.end()));

[[nodiscard]] inline bool is_freestanding_header(std::string_view name) noexcept {
    return std::binary_search(freestanding_headers.begin(), freestanding_headers.end(), name);
}

} // namespace mediant::kernel
