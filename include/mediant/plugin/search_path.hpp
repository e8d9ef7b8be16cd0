// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/pci/alias.hpp>
#include <mediant/pci/id.hpp>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace mediant::plugin {

/// Folders with shared objects that are named by what they serve: vfio-pci-mediate-1234-11e8.so, as provider modules are
/// by their aliases.
class search_path {
public:
    search_path() = default;
    explicit search_path(std::vector<std::filesystem::path> folders) : folders_{std::move(folders)} {}

    /// Folders between colons.
    [[nodiscard]] static search_path parse(std::string_view text) {
        search_path out;
        while (!text.empty()) {
            const std::size_t end = std::min(text.find(':'), text.size());
            if (end != 0) out.folders_.emplace_back(text.substr(0, end));
            text.remove_prefix(std::min(end + 1, text.size()));
        }
        return out;
    }

    [[nodiscard]] static std::string file_name(const device_id& id) {
        return std::string{mediate_alias({id.vendor, id.device}).view()} + ".so";
    }

    /// Those for a device, in the order of the folders.
    [[nodiscard]] std::vector<std::filesystem::path> find(const device_id& id) const {
        std::vector<std::filesystem::path> out;
        for (const std::filesystem::path& each : folders_) {
            std::error_code none;
            if (std::filesystem::path file = each / file_name(id); std::filesystem::exists(file, none))
                out.push_back(std::filesystem::absolute(file, none)); // without a slash, dlopen looks elsewhere
        }
        return out;
    }

    /// As it was stated.
    [[nodiscard]] std::string text() const {
        std::string out;
        for (const std::filesystem::path& each : folders_) (out += out.empty() ? "" : ":") += each.string();
        return out;
    }

private:
    std::vector<std::filesystem::path> folders_;
};

} // namespace mediant::plugin
