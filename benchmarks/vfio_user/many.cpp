// SPDX-License-Identifier: BSD-3-Clause
#include "many.hpp"

#include <mediant/device/memory_device.hpp>
#include <mediant/provider/stack.hpp>
#include <mediant/vfio_user/client.hpp>
#include <mediant/vfio_user/endpoint.hpp>
#include <mediant/vfio_user/event_loop.hpp>

#include <fmt/core.h>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

namespace {
using namespace mediant;
using namespace mediant::vfio_user;
using front = stack<device::memory_device>;

constexpr std::size_t devices = 1000;

struct served {
    served(event_loop& loop, const std::string& path)
        : device{{0x1234, 0x5678, 0, 0, 0xff0000}, {64_KiB, 0, 0, 0, 0, 0}}, over{device},
          at{loop, over, server_options{.path = path}} {}
    device::memory_device device;
    front over;
    endpoint<front> at;
};

std::string path_of(const std::string& folder, std::size_t i) { return fmt::format("{}/many-{}", folder, i); }

/// The server: until the pipe is closed.
[[noreturn]] void serve(const std::string& folder, int ready) {
    event_loop loop;
    std::deque<served> all;
    for (std::size_t i = 0; i < devices; ++i) all.emplace_back(loop, path_of(folder, i));
    if (::write(ready, "x", 1) != 1) std::_Exit(1);
    while (loop.run_once(-1)) {
    }
    std::_Exit(0);
}

/// Kilobytes that are the process's alone.
double private_memory(pid_t of) {
    std::ifstream file{fmt::format("/proc/{}/smaps_rollup", of)};
    std::string word;
    double all = 0;
    while (file >> word) {
        double size = 0;
        if ((word == "Private_Clean:" || word == "Private_Dirty:") && file >> size) all += size;
    }
    return all;
}
/// Seconds of a processor, to the nanosecond.
double processor_time(pid_t of) {
    std::ifstream file{fmt::format("/proc/{}/schedstat", of)};
    double ns = 0;
    file >> ns;
    return ns * 1e-9;
}

} // namespace

nlohmann::json measure_many(const std::string& folder) {
    rlimit files{};
    ::getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur < 5 * devices) {
        fmt::print("\n{} devices: not measured, this process may have {} files\n", devices, files.rlim_cur);
        return nlohmann::json::array();
    }
    int ready[2];
    if (::pipe(ready) != 0) std::abort();
    const pid_t server = ::fork();
    if (server == 0) serve(folder, ready[1]);
    ::close(ready[1]);
    char byte = 0;
    if (server < 0 || ::read(ready[0], &byte, 1) != 1) std::abort();
    ::close(ready[0]);
    // What one process costs that serves nothing is not a device's.
    const double listening = private_memory(server);

    std::vector<client> clients;
    std::array<std::byte, 4> four{};
    for (std::size_t i = 0; i < devices; ++i) {
        auto each = client::connect(path_of(folder, i));
        if (!each || !(*each).negotiate({.max_msg_fds = 16}) || (*each).read({bar{0}, 0x100, four}).count != 4) std::abort();
        clients.push_back(std::move(*each));
    }
    const double connected = private_memory(server);
    const double time_before = processor_time(server);
    constexpr auto idle = std::chrono::seconds{5};
    std::this_thread::sleep_for(idle);
    const double time_idle = processor_time(server) - time_before;

    // One client that works, with and without the others. It has the machine to itself both times.
    const auto reads = [&] {
        double best = 1e9;
        for (int round = 0; round < 9; ++round) {
            const auto began = std::chrono::steady_clock::now();
            for (int i = 0; i < 5000; ++i)
                if (clients[0].read({bar{0}, 0x100, four}).count != 4) std::abort();
            best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count() / 5000);
        }
        return best;
    };
    const double among = reads();
    clients.erase(clients.begin() + 1, clients.end());
    std::this_thread::sleep_for(std::chrono::milliseconds{200});
    const double alone = reads();
    clients.clear();
    ::kill(server, SIGKILL);
    ::waitpid(server, nullptr, 0);
    for (std::size_t i = 0; i < devices; ++i) ::unlink(path_of(folder, i).c_str());

    const auto each = static_cast<double>(devices);
    fmt::print("\n{} devices of 64 KiB in one process, one loop, a client each\n\n", devices);
    fmt::print("{:44} {:>12.1f} KiB\n", "memory of a device that listens", listening / each);
    fmt::print("{:44} {:>12.1f} KiB\n", "memory of one with a client", connected / each);
    fmt::print("{:44} {:>12.3g} us in a second\n", "processor of one with an idle client", time_idle / 5 / each * 1e6);
    fmt::print("{:44} {:>12.2f} us, {:.2f} us alone\n", "a read of one, the others idle", among * 1e6, alone * 1e6);
    return {{{"case", "1000 devices"}, {"listening_kib", listening / each}, {"connected_kib", connected / each},
             {"idle_us_a_second", time_idle / 5 / each * 1e6}, {"read_us", among * 1e6}, {"read_alone_us", alone * 1e6}}};
}
