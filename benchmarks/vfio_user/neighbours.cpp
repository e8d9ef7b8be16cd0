// SPDX-License-Identifier: BSD-3-Clause
// What the client of one device notices of those of others that one thread serves beside it, when these are slow,
// silent or hostile: the time of 4-byte reads, each waited for.
//
//   neighbours [--json FILE]

#include <mediant/device/memory_device.hpp>
#include <mediant/provider/stack.hpp>
#include <mediant/vfio_user/client.hpp>
#include <mediant/vfio_user/endpoint.hpp>
#include <mediant/vfio_user/event_loop.hpp>
#include <mediant/vfio_user/wire.hpp>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

namespace {
using namespace mediant;
using namespace mediant::vfio_user;
using bytes = std::vector<std::byte>;
using memory = stack<device::memory_device>;

constexpr std::uint32_t mega = 1 << 20;
constexpr int most_neighbours = 7;

[[noreturn]] void die(const char* what) {
    fmt::print(stderr, "neighbours: {}\n", what);
    std::_Exit(1);
}

client connected(const std::string& path) {
    auto made = client::connect(path);
    if (!made || !(*made).negotiate({.max_msg_fds = 16, .write_multiple = true})) die("no connection");
    return std::move(*made);
}

bytes access(wire::command what, std::uint32_t count, std::size_t data = 0, std::uint32_t flags = 0) {
    return client::compose({1, static_cast<std::uint16_t>(what), 0, flags, 0}, wire::region_access{0x100, 0, count},
                           bytes(data));
}
bytes times(const bytes& one, std::size_t count) {
    bytes all;
    for (std::size_t i = 0; i < count; ++i) all.insert(all.end(), one.begin(), one.end());
    return all;
}

/// What a neighbour does until it is told to stop.
struct manner {
    std::string name;
    std::function<void(const std::string& path, const std::atomic<bool>& stop)> live;
};

/// Sends it again and again, as the socket takes it; reads what comes, or nothing.
auto sends(bytes what, bool reads) {
    return [what = std::move(what), reads](const std::string& path, const std::atomic<bool>& stop) {
        const client peer = connected(path);
        bytes buffer(2 * mega);
        std::size_t at = 0;
        while (!stop) {
            const auto sent = ::send(peer.fd(), what.data() + at, what.size() - at, MSG_NOSIGNAL | MSG_DONTWAIT);
            if (sent > 0) at = (at + static_cast<std::size_t>(sent)) % what.size();
            const auto got = reads ? ::recv(peer.fd(), buffer.data(), buffer.size(), MSG_DONTWAIT) : -1;
            if (sent <= 0 && got <= 0) std::this_thread::sleep_for(std::chrono::microseconds{100});
        }
    };
}

std::vector<manner> manners() {
    bytes multi(8 + 43'690 * sizeof(wire::region_write));
    const std::uint64_t writes = 43'690;
    for (std::size_t i = 0; i < writes; ++i)
        wire::store(multi.data() + 8 + i * sizeof(wire::region_write), wire::region_write{0x100, 0, 4, i});
    const bytes write_multi = client::compose(
        {1, static_cast<std::uint16_t>(wire::command::region_write_multi), 0, 0, 0}, writes,
        std::span{multi}.subspan(8));
    const bytes read = access(wire::command::region_read, 4);
    std::vector<manner> all;
    all.push_back({"silent in the middle of a message", [read](const std::string& path, const std::atomic<bool>& stop) {
                       client peer = connected(path);
                       (void)peer.send(std::span{read}.first(20));
                       while (!stop) std::this_thread::sleep_for(std::chrono::milliseconds{1});
                   }});
    all.push_back(
        {"reads, and never takes a reply", sends(times(access(wire::command::region_read, 4096), 100), false)});
    all.push_back({"64 reads in one send", sends(times(read, 64), true)});
    all.push_back({"nonsense without end", sends(times(client::compose({1, 100, 0, 0, 0}), 1000), true)});
    all.push_back({"reads of 1 MiB", sends(access(wire::command::region_read, mega), true)});
    all.push_back(
        {"posted writes of 1 MiB", sends(access(wire::command::region_write, mega, mega, wire::no_reply), false)});
    all.push_back({"43,690 writes in a message", sends(write_multi, true)});
    all.push_back({"connects and hangs up", [](const std::string& path, const std::atomic<bool>& stop) {
                       while (!stop) (void)connected(path);
                   }});
    return all;
}

struct delays {
    double median = 0, most_999 = 0, most = 0; // microseconds
};

delays measured(const client& peer, const bytes& read, std::chrono::milliseconds time) {
    std::vector<double> all;
    std::array<std::byte, 64> buffer;
    const auto end = std::chrono::steady_clock::now() + time;
    for (auto began = std::chrono::steady_clock::now(); began < end;) {
        if (::send(peer.fd(), read.data(), read.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(read.size())) die("send");
        if (::recv(peer.fd(), buffer.data(), 36, MSG_WAITALL) != 36) die("receive");
        const auto now = std::chrono::steady_clock::now();
        all.push_back(std::chrono::duration<double, std::micro>(now - began).count());
        began = now;
    }
    std::sort(all.begin(), all.end());
    return {all[all.size() / 2], all[all.size() * 999 / 1000], all.back()};
}

} // namespace

int main(int argc, char** argv) {
    std::string folder = "/tmp/mediant-benchmark-XXXXXX"; // a template of mkdtemp(3)
    if (::mkdtemp(folder.data()) == nullptr) die("no temporary folder");
    const auto path = [&folder](int i) { return fmt::format("{}/{}", folder, i); };

    event_loop loop;
    std::vector<std::unique_ptr<device::memory_device>> devices;
    std::vector<std::unique_ptr<memory>> fronts;
    std::vector<std::unique_ptr<endpoint<memory>>> endpoints;
    for (int i = 0; i <= most_neighbours; ++i) {
        devices.push_back(std::make_unique<device::memory_device>(device_id{0x1234, 0x5678, 0, 0, 0xff0000},
                                                                  std::array<std::uint64_t, 6>{4_MiB, 0, 0, 0, 0, 0}));
        fronts.push_back(std::make_unique<memory>(*devices.back()));
        endpoints.push_back(std::make_unique<endpoint<memory>>(loop, *fronts.back(), server_options{.path = path(i)}));
    }
    std::thread serves{[&loop] { loop.run(); }};

    const bytes read = access(wire::command::region_read, 4);
    nlohmann::json rows = nlohmann::json::array();
    fmt::print(
        "A 4-byte read, one at a time, of a device whose neighbours are served by the same thread; microseconds.\n\n"
        "{:36} {:>10} {:>9} {:>9} {:>9} {:>16}\n",
        "the neighbours", "how many", "median", "99.9 %", "longest", "times the median");
    double alone = 0;
    const auto row = [&](const std::string& name, int count) {
        const client peer = connected(path(0));
        (void)measured(peer, read, std::chrono::milliseconds{200});
        const delays found = measured(peer, read, std::chrono::seconds{2});
        if (alone == 0) alone = found.median;
        fmt::print("{:36} {:>10} {:>9.0f} {:>9.0f} {:>9.0f} {:>16.1f}\n", name, count, found.median, found.most_999,
                   found.most, found.median / alone);
        std::fflush(stdout);
        rows.push_back({{"neighbours", name},
                        {"count", count},
                        {"median", found.median},
                        {"99.9 %", found.most_999},
                        {"longest", found.most},
                        {"times", found.median / alone}});
    };
    row("none", 0);
    for (const manner& each : manners()) {
        for (const int count : {1, most_neighbours}) {
            std::atomic<bool> stop{false};
            std::vector<std::thread> neighbours;
            for (int i = 1; i <= count; ++i) neighbours.emplace_back([&, i] { each.live(path(i), stop); });
            row(each.name, count);
            stop = true;
            for (auto& neighbour : neighbours) neighbour.join();
        }
    }
    loop.stop();
    serves.join();
    endpoints.clear();
    ::rmdir(folder.c_str());
    if (argc > 2 && std::strcmp(argv[1], "--json") == 0) std::ofstream{argv[2]} << rows.dump(2) << '\n';
    return 0;
}
