// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/bpf/error.hpp>

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

/// The folder in which links are pinned. What is pinned stays attached when the program that attached it is gone.
namespace mediant::bpf {

/// Whether a path lies on a bpffs, or would if it were made.
[[nodiscard]] inline bool on_bpffs(std::filesystem::path path) {
    static constexpr unsigned long bpffs = 0xcafe4a11; // BPF_FS_MAGIC in linux/magic.h
    struct ::statfs about {};
    while (::statfs(path.c_str(), &about) != 0) {
        if (errno != ENOENT || !path.has_parent_path() || path.parent_path() == path) return false;
        path = path.parent_path();
    }
    return static_cast<unsigned long>(about.f_type) == bpffs;
}

/// Throws where it does not, with what helps.
inline void require_bpffs(const std::filesystem::path& folder) {
    if (!on_bpffs(folder))
        throw error{folder.string() + ": there is no bpffs, in which links are pinned; mount -t bpf bpf /sys/fs/bpf "
                                      "makes one (as --mount-bpffs does)"};
}

/// Mounts one at /sys/fs/bpf, as systemd does at boot, unless the folder lies on one.
inline void mount_bpffs(const std::filesystem::path& folder) {
    if (on_bpffs(folder)) return;
    if (::mount("bpf", "/sys/fs/bpf", "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RELATIME, "mode=700") != 0)
        throw system_failure("/sys/fs/bpf", "a bpffs cannot be mounted", errno);
}

/// Makes the folder, for its owner alone.
inline void make_pin_folder(const std::filesystem::path& folder) {
    if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
        throw system_failure(folder.string(), "cannot be made", errno);
}

/// By name; none where there is no folder.
[[nodiscard]] inline std::vector<std::filesystem::path> pins_in(const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> out;
    std::error_code wrong;
    for (const auto& one : std::filesystem::directory_iterator{folder, wrong}) out.push_back(one.path());
    if (wrong && wrong != std::errc::no_such_file_or_directory)
        throw system_failure(folder.string(), "cannot be read", wrong.value());
    std::ranges::sort(out);
    return out;
}

} // namespace mediant::bpf
