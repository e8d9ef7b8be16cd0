// SPDX-License-Identifier: BSD-3-Clause
// A server with a fault: mediant's own, behind somebody who changes what goes through. The suite must find each.
//
//   broken FAULT SOCKET       until it is killed
//   broken --list             each fault, and a case that finds it
#include "bytes.hpp"

#include <mediant/device/memory_device.hpp>
#include <mediant/device/unique_fd.hpp>
#include <mediant/mediant.hpp>
#include <mediant/provider/stack.hpp>
#include <mediant/vfio_user/client.hpp>
#include <mediant/vfio_user/server.hpp>
#include <mediant/vfio_user/socket.hpp>

#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace wire_conformance;
using mediant::device::unique_fd;

namespace {

/// A message on its way, with what goes with it.
struct passing {
    bytes whole;
    std::vector<unique_fd> fds;

    [[nodiscard]] std::uint16_t command() const { return at<std::uint16_t>(whole, 2); }
    [[nodiscard]] bool failed() const { return (whole[8] & error_flag) != 0; }
};

enum class verdict { pass, drop, hang_up, pass_and_hang_up };
using look = std::function<verdict(passing&)>;

struct fault {
    const char* name;
    const char* found_by;
    look request = nullptr;
    look reply = nullptr;
    bool whole_receives = false; ///< hangs up where a receive is not of whole headers
};

std::vector<unique_fd> kept; // what a fault does not let go

fault of_replies(const char* name, const char* found_by, look change) {
    return {name, found_by, nullptr, std::move(change)};
}
fault of_requests(const char* name, const char* found_by, look change) { return {name, found_by, std::move(change)}; }

std::vector<fault> all_faults() {
    std::vector<fault> all;
    all.push_back({"none", ""});
    all.push_back(of_replies("id", "header/any-id", [](passing& it) { return it.whole[0] ^= 1, verdict::pass; }));
    all.push_back(of_replies("command", "header/any-id", [](passing& it) { return it.whole[2] ^= 1, verdict::pass; }));
    all.push_back(of_replies("no-reply-at-all", "info/plain",
                             [](passing& it) { return it.command() == get_info ? verdict::drop : verdict::pass; }));
    all.push_back(of_replies("type", "info/plain", [](passing& it) { return it.whole[8] &= 0xf0, verdict::pass; }));
    all.push_back(of_replies("payload-of-an-error", "header/error-is-a-header", [](passing& it) {
        if (it.failed()) it.whole = resized(it.whole, 8);
        return verdict::pass;
    }));
    all.push_back(of_replies("errors-succeed", "range/wraps", [](passing& it) {
        if (it.failed()) it.whole[8] = type_reply, std::memset(it.whole.data() + 12, 0, 4);
        return verdict::pass;
    }));
    all.push_back(of_replies("all-fails", "multi/200", [](passing& it) {
        if (it.command() == write_multi) it.whole = resized(it.whole, 0), it.whole[8] |= error_flag;
        return verdict::pass;
    }));
    all.push_back(of_replies("another-error", "map/over/inside", [](passing& it) {
        if (it.failed()) it.whole[12] = EINVAL;
        return verdict::pass;
    }));
    all.push_back(of_replies("hangs-up-after-errors", "range/at-the-end",
                             [](passing& it) { return it.failed() ? verdict::pass_and_hang_up : verdict::pass; }));
    all.push_back(of_replies("higher-minor", "version/minor/0", [](passing& it) {
        if (it.command() == version) it.whole[18] = 2;
        return verdict::pass;
    }));
    all.push_back(of_replies("no-file", "region-info/all", [](passing& it) {
        if (it.command() == get_region_info) it.fds.clear();
        return verdict::pass;
    }));
    all.push_back(of_replies("io-fds-of-nothing", "io-fds/sub-regions", [](passing& it) {
        if (it.command() == get_region_io_fds && it.whole.size() > 48) it.whole[32 + 16] = 100;
        return verdict::pass;
    }));
    all.push_back(of_replies("wrong-argsz", "info/plain", [](passing& it) {
        if (it.command() == get_info) it.whole[16] = 32;
        return verdict::pass;
    }));
    all.push_back(of_replies("one-bit-of-data", "memory/every-width", [](passing& it) {
        if (it.command() == region_read && !it.failed()) it.whole[32] ^= 0x80;
        return verdict::pass;
    }));
    all.push_back(of_replies("fewer-writes-done", "multi/one", [](passing& it) {
        if (it.command() == write_multi && !it.failed()) it.whole[16] = 0;
        return verdict::pass;
    }));
    all.push_back(of_replies("another-entry", "unmap/exact", [](passing& it) {
        if (it.command() == dma_unmap && !it.failed()) it.whole[16 + 8] ^= 1;
        return verdict::pass;
    }));
    all.push_back(of_requests("deaf-to-unmask", "irqs/unmask-by-eventfd", [](passing& it) {
        if (it.command() == set_irqs && (at<std::uint32_t>(it.whole, 20) & unmask) != 0) it.fds.clear();
        return verdict::pass;
    }));
    all.push_back(of_requests("posted-is-answered", "header/no-reply/success",
                              [](passing& it) { return it.whole[8] &= 0xef, verdict::pass; }));
    all.push_back(of_requests("unknown-is-ignored", "header/unknown-command/100", [](passing& it) {
        return it.command() > mig_data_write ? verdict::drop : verdict::pass;
    }));
    all.push_back(of_requests("hangs-up-on-unknown", "header/unknown-command/100", [](passing& it) {
        return it.command() > mig_data_write ? verdict::hang_up : verdict::pass;
    }));
    all.push_back(of_requests("keeps-mappings", "unmap/releases", [](passing& it) {
        for (const auto& each : it.fds)
            if (it.command() == dma_map) (void)::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, each.get(), 0);
        return verdict::pass;
    }));
    all.push_back(of_requests("keeps-descriptors", "descriptors/REGION_READ", [](passing& it) {
        for (const auto& each : it.fds) kept.push_back(unique_fd::duplicate(each.get()));
        return verdict::pass;
    }));
    all.push_back(of_requests("no-eventfd", "irqs/trigger", [](passing& it) {
        if (it.command() == set_irqs) it.fds.clear();
        return verdict::pass;
    }));
    all.push_back(of_requests("writes-are-lost", "write/and-read-again", [](passing& it) {
        if (it.command() == region_write) std::memset(it.whole.data() + 32, 0, it.whole.size() - 32);
        return verdict::pass;
    }));
    all.push_back(of_requests("unmaps-nothing", "unmap/and-map-again", [](passing& it) {
        if (it.command() == dma_unmap) it.whole = info_of();
        return verdict::pass;
    }));
    all.push_back(of_requests("dies", "range/wild-count", [](passing& it) {
        if (it.command() == region_read && at<std::uint32_t>(it.whole, 28) == ~0u) std::abort();
        return verdict::pass;
    }));
    all.push_back({"whole-headers", "stream/split/DEVICE_GET_INFO", nullptr, nullptr, true});
    return all;
}

/// One direction of a connection.
class way {
public:
    way(int from, int to, const look& change, bool whole_receives)
        : from_{from}, to_{unique_fd::duplicate(to)}, change_{change}, whole_receives_{whole_receives} {}

    /// Takes what is there and passes it on; false at the end.
    [[nodiscard]] bool move() {
        std::array<std::uint8_t, 1 << 16> room;
        iovec part{room.data(), room.size()};
        alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int) * 253)> control;
        msghdr how{};
        how.msg_iov = &part;
        how.msg_iovlen = 1;
        how.msg_control = control.data();
        how.msg_controllen = control.size();
        const auto got = ::recvmsg(from_, &how, MSG_CMSG_CLOEXEC);
        if (got <= 0) return false;
        if (whole_receives_ && come_.empty() && got < static_cast<ssize_t>(header_size)) return false;
        come_.insert(come_.end(), room.begin(), room.begin() + got);
        for (auto* each = CMSG_FIRSTHDR(&how); each != nullptr; each = CMSG_NXTHDR(&how, each))
            for (std::size_t i = 0; i < (each->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i) {
                int fd = -1;
                std::memcpy(&fd, CMSG_DATA(each) + i * sizeof fd, sizeof fd);
                fds_.emplace_back(fd);
            }
        while (come_.size() >= header_size) {
            const auto size = at<std::uint32_t>(come_, 4);
            if (size < header_size || size > (2u << 20)) return pass({std::exchange(come_, {}), {}});
            if (come_.size() < size) break;
            passing it{{come_.begin(), come_.begin() + size}, {}};
            come_.erase(come_.begin(), come_.begin() + size);
            if (come_.empty()) it.fds = std::exchange(fds_, {});
            const auto what = change_ ? change_(it) : verdict::pass;
            if (what == verdict::hang_up || (what != verdict::drop && !pass(it)) || what == verdict::pass_and_hang_up)
                return false;
        }
        return true;
    }

private:
    [[nodiscard]] bool pass(const passing& it) {
        std::vector<int> fds;
        for (const auto& each : it.fds) fds.push_back(each.get());
        return to_.send(std::as_bytes(std::span{it.whole}), fds).has_value();
    }

    int from_;
    mediant::vfio_user::client to_;
    const look& change_;
    bool whole_receives_;
    bytes come_;
    std::vector<unique_fd> fds_;
};

void between(const fault& what, int client, int server) {
    way there{client, server, what.request, what.whole_receives};
    way back{server, client, what.reply, false};
    for (;;) {
        std::array<pollfd, 2> both{{{client, POLLIN, 0}, {server, POLLIN, 0}}};
        if (::poll(both.data(), both.size(), -1) < 0) continue;
        // Replies first, so that neither side waits for the other.
        if (both[1].revents != 0 && !back.move()) return;
        if (both[0].revents != 0 && !there.move()) return;
    }
}

} // namespace

/// Something to be told of by an eventfd.
struct rung {
    static constexpr auto bar1 = mediant::region_map{
        mediant::bar{1}, 4096,
        mediant::reg{"RING", 0, mediant::wo, {.hook = mediant::on::write, .doorbell = mediant::doorbell::any}}};
    static constexpr auto regions = mediant::regions<bar1>{};
    mediant::result<void> write(mediant::at<bar1, "RING">, std::uint32_t, auto&) noexcept { return {}; }
};
static_assert(mediant::valid<rung>);

int main(int argc, char** argv) {
    const auto all = all_faults();
    const std::string name = argc > 1 ? argv[1] : "";
    if (name == "--list") {
        for (const auto& each : all) std::printf("%s %s\n", each.name, each.found_by);
        return 0;
    }
    for (const auto& what : all) {
        if (name != what.name || argc != 3) continue;
        try {
            using namespace mediant;
            const std::string path = argv[2];
            device::memory_device lower{{0x1234, 0x5678, 0, 0, 0xff0000}, {4_MiB, 4_KiB, 0, 0, 0, 0}};
            stack<device::memory_device, rung> front{lower};
            vfio_user::server server{front, {.path = path + ".real", .backlog = 64}};
            std::thread{[&server] { server.run(); }}.detach();
            auto listening = vfio_user::listener::open({.path = path, .backlog = 64});
            if (!listening) return 1;
            for (;;) {
                pollfd waiting{(*listening).fd(), POLLIN, 0};
                (void)::poll(&waiting, 1, -1);
                const unique_fd client{::accept4((*listening).fd(), nullptr, nullptr, SOCK_CLOEXEC)};
                const auto real = vfio_user::connect_to(path + ".real");
                if (client && real) between(what, client.get(), (*real).get());
            }
        } catch (const std::exception& e) {
            std::fprintf(stderr, "%s\n", e.what());
            return 1;
        }
    }
    std::fprintf(stderr, "usage: %s FAULT SOCKET, or --list\n", argv[0]);
    return 2;
}
