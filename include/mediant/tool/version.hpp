// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string_view>

namespace mediant {

/// Of the library; the same as the CMake package's.
inline constexpr std::string_view version = "0.1.0";

} // namespace mediant
