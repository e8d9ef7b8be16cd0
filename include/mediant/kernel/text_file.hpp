// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/kernel/shim_error.hpp>

#include <filesystem>
#include <fstream>
#include <ios>
#include <iterator>
#include <string>
#include <system_error>

namespace mediant::kernel {

[[nodiscard]] inline bool is_file(const std::filesystem::path& path) {
    std::error_code ignored;
    return std::filesystem::is_regular_file(path, ignored);
}

/// All bytes of a file; shim_error where it cannot be read.
[[nodiscard]] inline std::string read_file(const std::filesystem::path& path) {
    std::ifstream in{path, std::ios::binary};
    std::string bytes{std::istreambuf_iterator<char>{in}, {}};
    if (!in.is_open() || in.bad()) throw shim_error{path.string() + ": cannot be read"};
    return bytes;
}

} // namespace mediant::kernel
