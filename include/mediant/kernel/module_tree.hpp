// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/kernel/shim_error.hpp>
#include <mediant/kernel/text_file.hpp>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

/// A generated folder: written so that what did not change is not touched, and nothing that is not its own.
namespace mediant::kernel {

/// Paths below the folder, with '/', and contents.
using tree_files = std::map<std::string, std::string>;

/// In the folder, lists what the generator wrote there.
inline constexpr std::string_view manifest_name = "mediant.manifest";

struct tree_changes {
    std::vector<std::string> written;
    std::vector<std::string> removed; ///< of an earlier emission
    std::size_t kept = 0;
};

class module_tree {
public:
    explicit module_tree(std::filesystem::path folder) : folder_{std::move(folder)} {}

    /// Makes the folder hold these files. Removes what an earlier call wrote and this one does not; keeps everything
    /// else, as built objects. shim_error: the folder holds files but was not made here, or cannot be written.
    tree_changes write(const tree_files& files) const {
        const std::set<std::string> before = known_files();
        if (before.empty() && !empty_or_new())
            throw shim_error{folder_.string() + ": not empty and not made by this generator; choose another folder"};
        std::set<std::string> after;
        for (const auto& [path, text] : files) {
            if (!stays_within(path)) throw shim_error{path + ": leads out of the tree"};
            after.insert(path);
        }
        std::set<std::string> both = before;
        both.insert(after.begin(), after.end());

        tree_changes changes;
        put(std::string{manifest_name}, manifest(both)); // first: a run that is cut short leaves a folder of its own
        for (const auto& [path, text] : files) {
            if (put(path, text))
                changes.written.push_back(path);
            else
                ++changes.kept;
        }
        for (const std::string& path : before) {
            if (after.contains(path)) continue;
            if (remove(path)) changes.removed.push_back(path);
        }
        put(std::string{manifest_name}, manifest(after));
        return changes;
    }

    /// How the folder differs from these files: one line each, "missing: PATH", "differs: PATH", "stale: PATH".
    [[nodiscard]] std::vector<std::string> differences(const tree_files& files) const {
        std::vector<std::string> out;
        for (const auto& [path, text] : files) {
            const std::filesystem::path file = folder_ / path;
            if (!is_file(file))
                out.push_back("missing: " + path);
            else if (read_file(file) != text)
                out.push_back("differs: " + path);
        }
        for (const std::string& path : known_files())
            if (!files.contains(path) && is_file(folder_ / path)) out.push_back("stale: " + path);
        return out;
    }

private:
    static constexpr std::string_view manifest_head = "Written by mediant's shim generator, which may replace:\n";

    [[nodiscard]] static std::string manifest(const std::set<std::string>& paths) {
        std::string out{manifest_head};
        for (const std::string& path : paths) out += path + '\n';
        return out;
    }

    /// What an earlier call wrote; nothing where the folder is not one of ours.
    [[nodiscard]] std::set<std::string> known_files() const {
        std::set<std::string> out;
        const std::filesystem::path file = folder_ / manifest_name;
        if (!is_file(file)) return out;
        const std::string text = read_file(file);
        if (!text.starts_with(manifest_head)) throw shim_error{file.string() + ": not this generator's"};
        for (std::size_t at = manifest_head.size(); at < text.size();) {
            const std::size_t end = std::min(text.find('\n', at), text.size());
            const std::string path = text.substr(at, end - at);
            if (!stays_within(path)) throw shim_error{file.string() + ": names a path outside the folder: " + path};
            out.insert(path);
            at = end + 1;
        }
        return out;
    }

    [[nodiscard]] static bool stays_within(const std::filesystem::path& path) {
        if (path.empty() || path.is_absolute()) return false;
        for (const std::filesystem::path& part : path)
            if (part == ".." || part == "." || part.empty()) return false;
        return true;
    }

    [[nodiscard]] bool empty_or_new() const {
        std::error_code failed;
        const std::filesystem::file_status status = std::filesystem::status(folder_, failed);
        if (!std::filesystem::exists(status)) return true;
        if (!std::filesystem::is_directory(status)) throw shim_error{folder_.string() + ": not a folder"};
        return std::filesystem::is_empty(folder_);
    }

    /// The place of a path, whose folders are made; no symbolic link may lead out of the tree.
    [[nodiscard]] std::filesystem::path place_of(const std::string& path) const {
        const std::filesystem::path file = folder_ / path;
        std::error_code failed;
        std::filesystem::create_directories(file.parent_path(), failed);
        if (failed) throw shim_error{file.parent_path().string() + ": " + failed.message()};
        const std::filesystem::path inside =
            std::filesystem::canonical(file.parent_path()).lexically_relative(std::filesystem::canonical(folder_));
        if (inside.empty() || *inside.begin() == "..")
            throw shim_error{file.string() + ": a link leads out of the tree"};
        return file;
    }

    /// Writes a file unless it is as it should be.
    bool put(const std::string& path, const std::string& text) const {
        const std::filesystem::path file = place_of(path);
        std::error_code failed;
        const bool link = std::filesystem::is_symlink(file, failed);
        if (!link && is_file(file) && read_file(file) == text) return false;
        const std::filesystem::path fresh = file.string() + ".new";
        std::filesystem::remove(fresh, failed);
        {
            std::ofstream out{fresh, std::ios::binary};
            out << text;
            out.flush();
            if (!out) throw shim_error{fresh.string() + ": cannot be written"};
        }
        std::filesystem::rename(fresh, file, failed);
        if (failed) throw shim_error{file.string() + ": " + failed.message()};
        return true;
    }

    bool remove(const std::string& path) const {
        std::error_code ignored;
        if (!std::filesystem::is_directory((folder_ / path).parent_path(), ignored)) return false;
        const std::filesystem::path file = place_of(path);
        const bool removed = std::filesystem::remove(file, ignored);
        // Folders that are empty now; the tree's own stays.
        for (std::filesystem::path up = std::filesystem::path{path}.parent_path(); !up.empty(); up = up.parent_path()) {
            if (!std::filesystem::remove(folder_ / up, ignored)) break;
        }
        return removed;
    }

    std::filesystem::path folder_;
};

} // namespace mediant::kernel
