// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/tool/program.hpp>
#include <mediant/vfio_user/options.hpp>

#include <fmt/core.h>

#include <grp.h>
#include <pwd.h>
#include <sys/types.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

/// Where `serve` listens: a path, a descriptor (--fd, as programs behind QEMU have it), or what systemd hands over.
namespace mediant::command_line {

template <class Number>
[[nodiscard]] std::optional<Number> whole_number(std::string_view text, int base = 10) {
    Number value{};
    const auto [end, why] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (why != std::errc{} || end != text.data() + text.size()) return {};
    return value;
}

/// "USER", "USER:GROUP" or ":GROUP", by name or number. Of a user alone the group stays.
inline void read_owner(std::string_view text, vfio_user::server_options& to, const char* option = "--socket-owner") {
    const auto colon = text.find(':');
    const std::string user{text.substr(0, colon)};
    const std::string group{colon == text.npos ? std::string_view{} : text.substr(colon + 1)};
    if (!user.empty()) {
        if (const passwd* const found = ::getpwnam(user.c_str()))
            to.owner = found->pw_uid;
        else if (!(to.owner = whole_number<uid_t>(user)))
            throw usage_error{fmt::format("{} {}: there is no user {}", option, text, user)};
    }
    if (!group.empty()) {
        if (const ::group* const found = ::getgrnam(group.c_str()))
            to.group = found->gr_gid;
        else if (!(to.group = whole_number<gid_t>(group)))
            throw usage_error{fmt::format("{} {}: there is no group {}", option, text, group)};
    }
    if (user.empty() && group.empty()) throw usage_error{fmt::format("{}: USER, USER:GROUP or :GROUP", option)};
}

/// The socket that systemd hands over (sd_listen_fds(3)), if there is one for this process.
[[nodiscard]] inline std::optional<int> activated_socket() {
    const char* const process = std::getenv("LISTEN_PID");
    const char* const count = std::getenv("LISTEN_FDS");
    if (process == nullptr || count == nullptr || whole_number<pid_t>(process) != ::getpid()) return {};
    if (whole_number<int>(count) != 1)
        throw command_error{fmt::format("systemd hands over {} sockets (LISTEN_FDS), and one is served", count)};
    return 3; // SD_LISTEN_FDS_START
}

/// What the options of `serve` say of the socket. Throws usage_error for what makes no sense.
[[nodiscard]] inline vfio_user::server_options listening(const serve_options& from) {
    vfio_user::server_options to{.path = from.socket};
    to.memory_files_only = !from.any_file;
    if (from.socket.empty() && from.fd < 0) {
        const auto given = activated_socket();
        if (!given)
            throw usage_error{"serve: one of --socket PATH and --fd NUMBER is needed, or a socket from systemd"};
        to.listen_fd = *given;
    } else if (from.fd >= 0) {
        to.listen_fd = from.fd;
    }
    if (to.listen_fd >= 0 && !(from.mode.empty() && from.owner.empty()))
        throw usage_error{"serve: a socket that was handed over has its mode and owner already"};
    if (!from.mode.empty()) {
        to.mode = whole_number<mode_t>(from.mode, 8);
        if (!to.mode || *to.mode > 0777)
            throw usage_error{fmt::format("--socket-mode {}: an octal number up to 777", from.mode)};
    }
    if (!from.owner.empty()) read_owner(from.owner, to);
    return to;
}

/// As it is told.
[[nodiscard]] inline std::string described(const vfio_user::server_options& where) {
    return where.listen_fd >= 0 ? fmt::format("descriptor {}", where.listen_fd) : where.path;
}

} // namespace mediant::command_line
