// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>

namespace mediant::test {

/// A folder of its own, which goes with all that is in it.
class temporary_folder {
public:
    temporary_folder() {
        std::string name = (std::filesystem::temp_directory_path() / "mediant-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error{name + ": cannot be made"};
        path_ = std::filesystem::canonical(name);
    }
    temporary_folder(const temporary_folder&) = delete;
    temporary_folder& operator=(const temporary_folder&) = delete;
    ~temporary_folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
    [[nodiscard]] std::filesystem::path operator/(std::string_view below) const { return path_ / below; }

    void put(std::string_view below, std::string_view text) const {
        std::filesystem::create_directories((path_ / below).parent_path());
        std::ofstream{path_ / below, std::ios::binary} << text;
    }
    [[nodiscard]] std::string get(std::string_view below) const {
        std::ifstream in{path_ / below, std::ios::binary};
        return {std::istreambuf_iterator<char>{in}, {}};
    }

private:
    std::filesystem::path path_;
};

} // namespace mediant::test
