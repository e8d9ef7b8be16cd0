// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string_view>

namespace mediant {

/// Of the library. The CMake project reads it here.
inline constexpr std::string_view version = "0.1.0";

} // namespace mediant
