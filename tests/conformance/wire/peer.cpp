// SPDX-License-Identifier: BSD-3-Clause
#include "peer.hpp"

#include <linux/sockios.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace wire_conformance {

namespace {
/// No reply of a server is longer: the most data, and as much again.
constexpr std::uint32_t longest = 64u << 20;
constexpr std::size_t most_fds = 253;
} // namespace

std::string name_of(std::uint32_t error) {
    const char* const name = ::strerrorname_np(static_cast<int>(error));
    return name != nullptr ? name : "error " + std::to_string(error);
}

peer::peer(const std::string& path, std::chrono::milliseconds deadline)
    : socket_{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)}, deadline_{deadline} {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) throw observed{"has a path that is too long"};
    std::copy(path.begin(), path.end(), address.sun_path);
    // A server that was just started may not listen on its socket yet.
    const auto until = clock::now() + deadline;
    while (::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        if (errno != ECONNREFUSED || clock::now() > until)
            throw observed{"cannot be connected to: " + name_of(static_cast<std::uint32_t>(errno))};
        const timespec time{0, 1'000'000};
        ::nanosleep(&time, nullptr);
    }
}

void peer::wait(short events, clock::time_point until) const {
    pollfd what{socket_.get(), events, 0};
    for (;;) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - clock::now()).count();
        if (left < 0) throw observed{silent};
        const int ready = ::poll(&what, 1, static_cast<int>(left) + 1);
        if (ready > 0) return;
        if (ready < 0 && errno != EINTR) throw observed{"cannot be polled"};
    }
}

void peer::send(std::span<const std::uint8_t> what, std::span<const int> fds) {
    const auto until = clock::now() + deadline_;
    while (!what.empty()) {
        iovec part{const_cast<std::uint8_t*>(what.data()), what.size()};
        alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int) * most_fds)> control{};
        msghdr how{};
        how.msg_iov = &part;
        how.msg_iovlen = 1;
        if (!fds.empty()) {
            how.msg_control = control.data();
            how.msg_controllen = CMSG_SPACE(fds.size_bytes());
            auto* const head = CMSG_FIRSTHDR(&how);
            head->cmsg_level = SOL_SOCKET;
            head->cmsg_type = SCM_RIGHTS;
            head->cmsg_len = CMSG_LEN(fds.size_bytes());
            std::memcpy(CMSG_DATA(head), fds.data(), fds.size_bytes());
        }
        const auto sent = ::sendmsg(socket_.get(), &how, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) {
            what = what.subspan(static_cast<std::size_t>(sent));
            fds = {};
        } else if (errno == EAGAIN) {
            wait(POLLIN | POLLOUT, until);
            (void)take(clock::now()); // the server may wait for room for its replies
        } else if (errno == EPIPE || errno == ECONNRESET) {
            throw observed{hung_up};
        } else if (errno != EINTR) {
            throw observed{"cannot be sent to: " + name_of(static_cast<std::uint32_t>(errno))};
        }
    }
}

bool peer::take(clock::time_point until) {
    for (;;) {
        std::array<std::uint8_t, 65536> room;
        iovec part{room.data(), room.size()};
        alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int) * most_fds)> control;
        msghdr how{};
        how.msg_iov = &part;
        how.msg_iovlen = 1;
        how.msg_control = control.data();
        how.msg_controllen = control.size();
        const auto got = ::recvmsg(socket_.get(), &how, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        if (got > 0) {
            come_.insert(come_.end(), room.begin(), room.begin() + got);
            for (auto* each = CMSG_FIRSTHDR(&how); each != nullptr; each = CMSG_NXTHDR(&how, each)) {
                if (each->cmsg_level != SOL_SOCKET || each->cmsg_type != SCM_RIGHTS) continue;
                for (std::size_t i = 0; i < (each->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i) {
                    int fd = -1;
                    std::memcpy(&fd, CMSG_DATA(each) + i * sizeof fd, sizeof fd);
                    fds_.push_back({come_.size(), unique_fd{fd}});
                }
            }
            return true;
        }
        if (got == 0 || errno == ECONNRESET) return false;
        if (errno != EAGAIN && errno != EINTR) throw observed{"cannot be received from"};
        if (clock::now() >= until) return true;
        wait(POLLIN, until);
    }
}

reply peer::receive() {
    const auto until = clock::now() + deadline_;
    const auto need = [&](std::size_t size) {
        while (come_.size() < size) {
            const bool open = take(until);
            if (!open && come_.size() < size) throw observed{hung_up};
            if (come_.size() < size && clock::now() >= until) throw observed{silent};
        }
    };
    need(header_size);
    const auto size = at<std::uint32_t>(come_, 4);
    const auto flags = at<std::uint32_t>(come_, 8);
    if (size < header_size || size > longest) throw observed{"sends a message of " + std::to_string(size) + " bytes"};
    need(size);
    reply came{.id = at<std::uint16_t>(come_, 0), .command = at<std::uint16_t>(come_, 2)};
    came.payload.assign(come_.begin() + header_size, come_.begin() + size);
    came.error = at<std::uint32_t>(come_, 12);
    came.failed = (flags & error_flag) != 0;
    std::size_t own = 0;
    for (; own < fds_.size() && fds_[own].end <= size; ++own) came.fds.push_back(std::move(fds_[own].fd));
    fds_.erase(fds_.begin(), fds_.begin() + static_cast<std::ptrdiff_t>(own));
    for (auto& each : fds_) each.end -= size;
    come_.erase(come_.begin(), come_.begin() + size);
    if ((flags & 0xf) != type_reply) throw observed{"sends what is no reply"};
    if (came.failed && !came.payload.empty()) throw observed{"sends an error that is more than a header"};
    return came;
}

bool peer::ends() {
    const auto until = clock::now() + deadline_;
    try {
        while (take(until)) {
            come_.clear();
            fds_.clear();
            if (clock::now() >= until) return false;
        }
    } catch (const observed&) {
        return false;
    }
    return true;
}

void peer::expect_end() {
    if (!ends()) throw observed{"keeps the connection"};
}

void peer::settle() const {
    const auto until = clock::now() + std::chrono::milliseconds{100};
    int left = 0;
    while (::ioctl(socket_.get(), SIOCOUTQ, &left) == 0 && left != 0 && clock::now() < until) ::sched_yield();
}

void peer::finish() { (void)::shutdown(socket_.get(), SHUT_WR); }

int peer::process() const {
    ucred who{};
    socklen_t size = sizeof who;
    return ::getsockopt(socket_.get(), SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 ? who.pid : 0;
}

} // namespace wire_conformance
