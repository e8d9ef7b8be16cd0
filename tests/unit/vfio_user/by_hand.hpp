// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "fake_device.hpp"

#include <mediant/vfio_user/client.hpp>
#include <mediant/vfio_user/server.hpp>
#include <mediant/vfio_user/session.hpp>

#include <dirent.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

/// Tools for tests that speak vfio-user message by message.
namespace vfio_user_test {

using namespace mediant::vfio_user;
using mediant::vfio_user::client;
using bytes = std::vector<std::byte>;

inline unique_fd memory_file(std::uint64_t size) {
    unique_fd fd{::memfd_create("memory", MFD_CLOEXEC)};
    if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0) fd.reset();
    return fd;
}
inline unique_fd event_file() { return unique_fd{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)}; }

/// The count of an eventfd, which is 0 afterwards.
inline std::uint64_t drain(int fd) {
    std::uint64_t count = 0;
    return ::read(fd, &count, sizeof count) == sizeof count ? count : 0;
}

/// How many descriptors this process has.
inline int open_files() {
    int count = 0;
    DIR* const folder = ::opendir("/proc/self/fd");
    while (::readdir(folder) != nullptr) ++count;
    ::closedir(folder);
    return count;
}

inline std::string socket_path(const char* name) {
    return "/tmp/mediant-test-" + std::to_string(::getpid()) + "-" + name + ".sock";
}

/// A message to be sent.
struct outgoing {
    bytes what;
    std::vector<int> fds;
};

template <class T>
    requires std::is_class_v<T> bytes message_of(wire::command what, const T& fixed,
                                                 std::span<const std::byte> more = {}, std::uint16_t id = 7,
                                                 std::uint32_t flags = 0) {
        return client::compose({id, static_cast<std::uint16_t>(what), 0, flags, 0}, fixed, more);
    }
inline bytes message_of(wire::command what, std::uint16_t id = 7, std::uint32_t flags = 0) {
    return client::compose({id, static_cast<std::uint16_t>(what), 0, flags, 0});
}
inline bytes version(std::string text = {}, wire::version what = {0, 2}) {
    return message_of(wire::command::version, what,
                      std::as_bytes(std::span{text.c_str(), text.empty() ? 0 : text.size() + 1}));
}
inline bytes read_of(region_index region, std::uint64_t offset, std::uint32_t count, std::uint16_t id = 7,
                     std::uint32_t flags = 0) {
    return message_of(wire::command::region_read,
                      wire::region_access{offset, static_cast<std::uint32_t>(region), count}, {}, id, flags);
}
inline bytes write_of(region_index region, std::uint64_t offset, std::span<const std::byte> data, std::uint16_t id = 7,
                      std::uint32_t flags = 0) {
    return message_of(
        wire::command::region_write,
        wire::region_access{offset, static_cast<std::uint32_t>(region), static_cast<std::uint32_t>(data.size())}, data,
        id, flags);
}
inline bytes operator+(bytes first, const bytes& second) {
    first.insert(first.end(), second.begin(), second.end());
    return first;
}

/// A reply as tests compare it.
struct reply {
    std::uint16_t id = 0;
    std::uint16_t command = 0;
    std::uint32_t flags = 0;
    std::uint32_t error = 0;
    bytes payload;
    std::size_t fds = 0;
    friend bool operator==(const reply&, const reply&) = default;
};

/// A session on one end of a socket pair, moved by hand: nothing happens behind the test's back.
template <class Device>
class by_hand_of {
public:
    Device device;
    server_options options;
    client peer;
    std::optional<session<Device>> server;

    explicit by_hand_of(server_options with = {}) : options{std::move(with)} { connect(); }

    void connect() {
        int pair[2];
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) std::abort();
        server.reset();
        peer = client{unique_fd{pair[0]}};
        (void)peer.set_timeout(std::chrono::seconds{5});
        server.emplace(device, unique_fd{pair[1]}, options);
    }
    /// Connects and agrees on the version.
    void negotiate(const std::string& text = R"({"capabilities":{"max_msg_fds":16}})") {
        (void)exchange(version(text));
        if (!server->open()) std::abort();
    }

    /// Lets the server do all that it can.
    void pump() {
        while (!server->closed()) {
            if (server->waits()) std::this_thread::yield();
            if (server->runnable() || server->waits()) {
                server->resume();
                continue;
            }
            pollfd what{server->fd(), 0, 0};
            if (server->wants_to_read()) what.events |= POLLIN;
            if (server->wants_to_write()) what.events |= POLLOUT;
            if (::poll(&what, 1, 0) <= 0) return;
            if ((what.revents & POLLOUT) != 0 || !server->wants_to_read())
                server->resume();
            else
                server->receive();
        }
    }

    void send(const bytes& what, std::span<const int> fds = {}) { (void)peer.send(what, fds); }

    /// The replies that lie in the socket.
    std::vector<reply> replies() {
        std::vector<reply> all;
        pollfd what{peer.fd(), POLLIN, 0};
        while (::poll(&what, 1, 0) > 0) {
            auto came = peer.receive();
            if (!came) break;
            auto& it = *came;
            all.push_back(
                {it.header.id, it.header.command, it.header.flags, it.header.error, it.payload, it.fds.size()});
        }
        return all;
    }

    std::vector<reply> exchange(const bytes& what, std::span<const int> fds = {}) {
        send(what, fds);
        pump();
        return replies();
    }

    /// The errno of the only reply: 0 where it is no error, -1 where there is not exactly one.
    int error_of(const bytes& what, std::span<const int> fds = {}) {
        const auto all = exchange(what, fds);
        if (all.size() != 1) return -1;
        return (all[0].flags & wire::error_flag) != 0 ? static_cast<int>(all[0].error) : 0;
    }

    /// Whether the connection still works: one more good message.
    bool alive() { return error_of(message_of(wire::command::device_get_info, wire::device_info{16, 0, 0, 0})) == 0; }
};
using by_hand = by_hand_of<fake_device>;

/// A server on a thread of its own.
class served {
public:
    explicit served(fake_device& device, server_options options) : server{device, std::move(options)} {
        thread = std::thread{[this] { server.run(); }};
    }
    ~served() {
        server.stop();
        thread.join();
    }
    mediant::vfio_user::server<fake_device> server;
    std::thread thread;
};

/// Waits until `what()` or a second has passed.
template <class F>
bool eventually(F what) {
    for (int i = 0; i < 1000; ++i) {
        if (what()) return true;
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
    return what();
}

} // namespace vfio_user_test
