// SPDX-License-Identifier: BSD-3-Clause
// libFuzzer target: a client's byte stream, cut at any place, with descriptors at any place, through the server's
// framing and dispatch.
// long: 1000000
//
// The input is a list of pieces: a byte that says how many bytes follow (low six bits, times eight above 31) and what
// goes with them (high two bits: nothing, an eventfd, a memory file, both), then the bytes. A first byte of 0xff skips
// VERSION; else an accepted one goes ahead, so that the other commands are reached at once.
#include "../unit/vfio_user/by_hand.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>

using namespace vfio_user_test;

namespace {

[[noreturn]] void broken(const char* what) {
    std::fprintf(stderr, "%s\n", what);
    std::abort();
}

/// Takes all replies and checks that they are well formed.
void take_replies(int fd, bytes& pending) {
    static std::array<std::byte, 1 << 16> buffer;
    alignas(cmsghdr) std::byte control[CMSG_SPACE(sizeof(int) * most_fds)];
    for (;;) {
        iovec part{buffer.data(), buffer.size()};
        msghdr how{};
        how.msg_iov = &part;
        how.msg_iovlen = 1;
        how.msg_control = control;
        how.msg_controllen = sizeof control;
        const auto got = ::recvmsg(fd, &how, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (got <= 0) return;
        for (auto* each = CMSG_FIRSTHDR(&how); each != nullptr; each = CMSG_NXTHDR(&how, each)) {
            if (each->cmsg_len != CMSG_LEN(sizeof(int))) broken("a reply carries one descriptor at most");
            int came = -1;
            std::memcpy(&came, CMSG_DATA(each), sizeof came);
            ::close(came);
        }
        pending.insert(pending.end(), buffer.begin(), buffer.begin() + got);
        std::size_t at = 0;
        while (pending.size() - at >= sizeof(wire::header)) {
            const auto head = wire::load<wire::header>(std::span{pending}.subspan(at));
            if (head.size < sizeof head || head.size > (2u << 20)) broken("a reply of a wrong size");
            const bool failed = (head.flags & wire::error_flag) != 0;
            if ((head.flags & ~wire::error_flag) != wire::type_reply) broken("no reply");
            if (failed != (head.error != 0) || (failed && head.size != sizeof head)) broken("an odd error");
            if (pending.size() - at < head.size) break;
            at += head.size;
        }
        pending.erase(pending.begin(), pending.begin() + static_cast<std::ptrdiff_t>(at));
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static fake_device device;
    static const unique_fd event = event_file();
    static const unique_fd memory = memory_file(1 << 20);
    static const server_options options{.max_data_xfer = 64 * 1024}; // less to allocate a run
    static const int files = open_files();

    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) broken("no socket");
    client peer{unique_fd{pair[0]}};
    {
        session<fake_device> server{device, unique_fd{pair[1]}, options};
        bytes pending;
        const auto pump = [&] {
            for (;;) {
                take_replies(pair[0], pending);
                if (server.closed()) return;
                pollfd what{pair[1], 0, 0};
                if (server.wants_to_read()) what.events |= POLLIN;
                if (server.wants_to_write()) what.events |= POLLOUT;
                if (server.runnable())
                    server.resume();
                else if (::poll(&what, 1, 0) <= 0)
                    return;
                else if ((what.revents & POLLOUT) != 0 || !server.wants_to_read())
                    server.resume();
                else
                    server.receive();
            }
        };
        if (size != 0 && *data == 0xff) {
            ++data;
            --size;
        } else {
            static const auto hello = version(R"({"capabilities":{"max_msg_fds":16}})");
            (void)peer.send(hello);
            pump();
        }
        while (size != 0 && !server.closed()) {
            const unsigned how = *data++;
            --size;
            const std::size_t asked = (how & 63) < 32 ? how & 63 : ((how & 63) - 31) * 8;
            const auto now = std::min(asked, size);
            if (now == 0) continue;
            std::array fds{event.get(), memory.get()};
            const std::span all{fds};
            (void)peer.send(std::as_bytes(std::span{data, now}), how >> 6 == 0   ? all.first(0)
                                                                 : how >> 6 == 1 ? all.first(1)
                                                                 : how >> 6 == 2 ? all.last(1)
                                                                                 : all);
            data += now;
            size -= now;
            pump();
        }
    }
    peer.disconnect();
    if (device.opens != device.releases || device.host.dma.size() != 0) broken("not released");
    // Each run gives back what it took. Counting is slow, so not each one is counted.
    static unsigned runs = 0;
    if (++runs % 1024 == 0 && open_files() > files) broken("a descriptor leaks");
    return 0;
}
