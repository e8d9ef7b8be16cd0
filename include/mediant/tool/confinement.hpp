// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/result.hpp>
#include <mediant/device/unique_fd.hpp>
#include <mediant/tool/listening.hpp>
#include <mediant/tool/program.hpp>
#include <mediant/vfio_user/options.hpp>
#include <mediant/vfio_user/sandbox.hpp>
#include <mediant/vfio_user/socket.hpp>

#include <fmt/core.h>

#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <utility>

/// What `serve` gives up before it serves: its user, and the system calls that it needs no more.
namespace mediant::command_line {

/// A process that removes a socket's file when this one has ended, however it does: in the sandbox it cannot itself.
class file_keeper {
public:
    /// Takes the listener's file over. Throws command_error.
    explicit file_keeper(vfio_user::listener&& of) {
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0) fail();
        const device::unique_fd waits{ends[0]};
        alive_.reset(ends[1]);
        process_ = ::fork();
        if (process_ < 0) fail();
        if (process_ == 0) wait_and_remove(std::move(of), ends[0]);
        of.leave_file();
    }
    file_keeper(const file_keeper&) = delete;
    file_keeper& operator=(const file_keeper&) = delete;
    ~file_keeper() {
        alive_.reset();
        while (::waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {}
    }

private:
    [[noreturn]] static void fail() {
        throw command_error{fmt::format("no process to remove the socket at the end: {}", std::strerror(errno))};
    }

    /// Nothing here that a process may not do whose other threads have just vanished.
    [[noreturn]] static void wait_and_remove(vfio_user::listener&& of, int waits) noexcept {
        {
            const vfio_user::listener file{std::move(of)};
            // What ends the server, for instance at a terminal, reaches us too.
            for (const int each : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) ::signal(each, SIG_IGN);
            constexpr int kept = 3;
            if (waits != kept) ::dup2(waits, kept);
            ::syscall(__NR_close_range, kept + 1, ~0u, 0);
            char none = 0;
            while (::read(kept, &none, 1) < 0 && errno == EINTR) {}
        }
        ::_exit(0);
    }

    device::unique_fd alive_;
    pid_t process_ = -1;
};

/// Listens, then gives up what serving does not need. To be kept while it is served.
class confinement {
public:
    /// Throws usage_error for options that make no sense, command_error where it cannot be as they want it.
    explicit confinement(const serve_options& options) : where_{listening(options)}, name_{described(where_)} {
        const bool sandboxed = wants_sandbox(options);
        if (!sandboxed && options.user.empty()) return;
        // While it still can be, and before there is a way back no more: what makes no sense is said first.
        const bool given = where_.listen_fd >= 0;
        auto made = given ? vfio_user::listener::adopt(where_.listen_fd) : vfio_user::listener::open(where_);
        if (!made)
            throw command_error{fmt::format("vfio-user socket {}: {}", given ? "that was handed over" : where_.path,
                                            reason(made.error()))};
        where_.listen_fd = ::fcntl((*made).fd(), F_DUPFD_CLOEXEC, 0);
        if (where_.listen_fd < 0) throw command_error{reason(error{errno})};
        if (!given) keeper_.emplace(std::move(*made));
        if (!options.user.empty()) change_user(options.user);
        if (sandboxed) {
            const auto entered = vfio_user::enter_sandbox("; serve --sandbox=off would allow it");
            if (!entered) throw command_error{fmt::format("the sandbox: {}", reason(entered.error()))};
        }
    }

    /// What to serve with, and how it is told.
    [[nodiscard]] const vfio_user::server_options& where() const noexcept { return where_; }
    [[nodiscard]] const std::string& name() const noexcept { return name_; }

private:
    [[nodiscard]] static std::string reason(error what) { return std::strerror(to_errno(what)); }

    [[nodiscard]] static bool wants_sandbox(const serve_options& options) {
        if (options.sandbox == "off") return false;
        const char* why = vfio_user::no_sandbox();
        if (why == nullptr && !options.device.empty()) why = "each client opens the device anew";
        if (why == nullptr && !options.behind.empty()) why = "each client is connected anew";
        if (why == nullptr && !options.providers.empty()) why = "each client loads the provider anew";
        if (why == nullptr) return true;
        if (options.sandbox == "on") throw usage_error{fmt::format("serve: --sandbox=on cannot be: {}", why)};
        fmt::print(stderr, "sandbox: off, as {}\n", why);
        return false;
    }

    static void change_user(const std::string& text) {
        vfio_user::server_options found;
        read_owner(text, found, "--user");
        if (!found.owner) throw usage_error{"--user: USER or USER:GROUP"};
        if (!found.group) {
            const passwd* const known = ::getpwuid(*found.owner);
            if (known == nullptr) throw usage_error{fmt::format("--user {}: it has no group; USER:GROUP", text)};
            found.group = known->pw_gid;
        }
        if (const auto done = vfio_user::become(*found.owner, *found.group); !done)
            throw command_error{fmt::format("--user {}: {}", text, reason(done.error()))};
    }

    vfio_user::server_options where_;
    std::string name_;
    std::optional<file_keeper> keeper_;
};

} // namespace mediant::command_line
