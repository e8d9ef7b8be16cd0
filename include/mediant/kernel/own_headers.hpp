// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/kernel/shim_error.hpp>
#include <mediant/kernel/text_file.hpp>

#include <filesystem>
#include <string>

namespace mediant::kernel {

/// The folder that holds `mediant/`, in a source tree as in an installed one: where this header was compiled from.
/// A path that is given is taken instead; shim_error where neither leads to mediant's headers.
[[nodiscard]] inline std::filesystem::path own_include_root(const std::filesystem::path& given = {}) {
    namespace fs = std::filesystem;
    const fs::path root = given.empty() ? fs::path{__FILE__}.parent_path().parent_path().parent_path() : given;
    if (!is_file(root / "mediant/kernel/abi.h"))
        throw shim_error{root.string() + ": mediant's headers are not here" +
                         (given.empty()
                              ? std::string{", where this program was compiled from (--mediant says where they are)"}
                              : "")};
    return fs::absolute(root).lexically_normal();
}

} // namespace mediant::kernel
