// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/tool/program.hpp>
#include <mediant/tool/signals.hpp>
#include <mediant/vfio_user/servable.hpp>

#ifdef MEDIANT_HAS_LIBVFIO_USER // of programs that are linked with mediant::libvfio_user
#include <mediant/libvfio_user/server.hpp>
#endif

#include <fmt/core.h>
#include <fmt/ostream.h>

#include <signal.h>

#include <cstdio>
#include <exception>
#include <ostream>
#include <string>
#include <string_view>

/// `serve --backend libvfio-user`: the same device behind that library, in programs that have it.
namespace mediant::command_line {

/// Whether it is asked for. Throws usage_error for options that the library cannot be told, command_error where this
/// program is without it.
[[nodiscard]] inline bool by_libvfio_user(const serve_options& options) {
    if (options.backend != "libvfio-user") return false;
#ifdef MEDIANT_HAS_LIBVFIO_USER
    const auto refuse = [](const char* option, const char* why) {
        throw usage_error{fmt::format("serve: {} cannot be with --backend libvfio-user: {}", option, why)};
    };
    if (options.fd >= 0) refuse("--fd", "the library makes its socket itself");
    if (options.socket.empty()) throw usage_error{"serve: --backend libvfio-user needs --socket PATH"};
    if (!options.mode.empty()) refuse("--socket-mode", "the library makes its socket by the umask");
    if (!options.owner.empty()) refuse("--socket-owner", "the library makes its socket as this user");
    if (!options.user.empty()) refuse("--user", "the library makes its socket as this user");
    if (options.sandbox == "on") refuse("--sandbox=on", "what the library calls is not known");
    return true;
#else
    throw command_error{"serve: this program is built without libvfio-user (mediant::libvfio_user in CMake)"};
#endif
}

/// Throws what libvfio-user has against a device.
template <class Front>
void refuse_uncarried([[maybe_unused]] std::string_view name) {
#ifdef MEDIANT_HAS_LIBVFIO_USER
    if constexpr (!libvfio_user::uncarried<Front>.empty())
        throw command_error{fmt::format("{}: libvfio-user cannot carry it: {}", name, libvfio_user::uncarried<Front>)};
#endif
}

/// Serves a device that was opened once, until a signal, or the end of the first client. Throws what the library, or
/// its adapter, has against it.
template <class Front>
void serve_by_libvfio_user([[maybe_unused]] Front& front, [[maybe_unused]] std::string_view name,
                           [[maybe_unused]] const serve_options& options, [[maybe_unused]] std::ostream& out) {
#ifdef MEDIANT_HAS_LIBVFIO_USER
    refuse_uncarried<Front>(name);
    if constexpr (libvfio_user::uncarried<Front>.empty()) {
        stop_on_signal signals;
        ::signal(SIGPIPE, SIG_IGN); // a client may give the library a pipe as an eventfd
        libvfio_user::server<Front> server{front, options.socket};
        signals.stops(server);
        for (const std::string& line : server.remarks()) fmt::print(stderr, "{}: libvfio-user: {}\n", name, line);
        fmt::print(out, "listening on {}\n", options.socket);
        out.flush();
        while ((!options.once || server.served() == 0) && server.run_once(-1)) {}
        signals.stops_nothing();
    }
#endif
}

} // namespace mediant::command_line
