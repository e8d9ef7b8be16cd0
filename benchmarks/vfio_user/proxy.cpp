// SPDX-License-Identifier: BSD-3-Clause
// What it costs to stand between a client and another server: accesses that pass, that a provider answers, and of pages
// that are mapped, against the same accesses of that server itself. Two servers of the same kind, one for each way; all
// processes on one core, interleaved.
//
//   proxy [--json FILE]

#include <mediant/device/memory_device.hpp>
#include <mediant/mediant.hpp>
#include <mediant/provider/stack.hpp>
#include <mediant/vfio_user/client.hpp>
#include <mediant/vfio_user/endpoint.hpp>
#include <mediant/vfio_user/event_loop.hpp>
#include <mediant/vfio_user/remote_device.hpp>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

namespace {
using namespace mediant;
using namespace mediant::vfio_user;

constexpr int rounds = 61;

/// Traps one page and passes the rest.
struct between {
    static constexpr auto info = provider{"between", {pci_id{0x1234, 0x5678}}};
    static constexpr auto bar0 = region_map{bar{0}, 4_MiB, reg{"MINE", 0x00, rw, {.backing = from::shadow}}};
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<between>);

[[noreturn]] void die(const char* what) {
    fmt::print(stderr, "proxy: {}\n", what);
    std::_Exit(1);
}

void pin(int processor) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(processor, &one);
    ::sched_setaffinity(0, sizeof one, &one);
}

/// A process of its own, which ends with this one.
template <class F>
void apart(int processor, const F& serve) {
    const pid_t parent = ::getpid();
    if (::fork() != 0) return;
    pin(processor);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) std::_Exit(0);
    serve();
    std::_Exit(0);
}
void serve_memory(const std::string& path) {
    device::memory_device memory{device_id{0x1234, 0x5678, 0, 0, 0xff0000}, {4_MiB, 0, 0, 0, 0, 0}};
    stack<device::memory_device> front{memory};
    event_loop loop;
    endpoint<stack<device::memory_device>> at{loop, front, server_options{.path = path}};
    loop.run();
}
void serve_between(const std::string& path, const std::string& behind) {
    remote_device remote{{.path = behind, .shares_files = true}};
    using served = stack<remote_device, between>;
    served front{remote};
    event_loop loop;
    endpoint<served> at{loop, front, server_options{.path = path}};
    loop.run();
}

/// Sockets to who answers 32 bytes with 36, and looks at nothing, and to who asks another one for that.
struct bare {
    std::array<int, 2> direct, behind, between;

    explicit bare(int processor) {
        for (auto* const each : {&direct, &behind, &between})
            if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, each->data()) != 0) die("no sockets");
        for (const auto* const each : {&direct, &behind})
            apart(processor, [&] { while (took((*each)[1])) give((*each)[1], 36); });
        apart(processor, [&] {
            while (took(between[1])) {
                give(behind[0], 32);
                took(behind[0]);
                give(between[1], 36);
            }
        });
    }
    ~bare() {
        for (const auto* const each : {&direct, &behind, &between})
            for (const int fd : *each) ::close(fd);
    }
    static void give(int fd, std::size_t size) {
        const std::array<std::byte, 36> bytes{};
        if (::send(fd, bytes.data(), size, MSG_NOSIGNAL) < 0) die("a send failed");
    }
    static bool took(int fd) {
        std::array<std::byte, 64> bytes;
        return ::recv(fd, bytes.data(), bytes.size(), 0) > 0;
    }
    static void ask(int fd) {
        give(fd, 32);
        took(fd);
    }
};

/// A client of one server, and the page of its BAR at 1 MiB.
struct way {
    client peer;
    const volatile std::uint32_t* page = nullptr;

    explicit way(const std::string& path) : peer{connected(path)} {
        auto region = peer.region_info(bar{0});
        if (!region || !region->fd) die("the region has no file");
        void* const at = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, region->fd.get(),
                                static_cast<off_t>(region->fd_offset + (1 << 20)));
        if (at == MAP_FAILED) die("the page cannot be mapped");
        page = static_cast<const volatile std::uint32_t*>(at);
    }
    static client connected(const std::string& path) {
        for (int tries = 0; tries < 200; ++tries) {
            auto made = client::connect(path);
            if (made && (*made).negotiate()) return std::move(*made);
            ::usleep(10'000);
        }
        die("no connection");
    }
    void read(std::uint64_t offset, std::span<std::byte> to) {
        if (peer.read({bar{0}, offset, to}).count != to.size()) die("a read failed");
    }
};

double median(std::vector<double> values) {
    std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
    return values[values.size() / 2];
}
double nanoseconds(int times, const std::function<void()>& once) {
    const auto began = std::chrono::steady_clock::now();
    for (int i = 0; i < times; ++i) once();
    return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - began).count() / times;
}

/// All on one core (0), or the servers on another.
nlohmann::json measure(const std::string& folder, int servers) {
    const std::string names[]{folder + "/direct", folder + "/behind", folder + "/between"};
    apart(servers, [&] { serve_memory(names[0]); });
    apart(servers, [&] { serve_memory(names[1]); });
    for (int i = 0; i < 200 && ::access(names[1].c_str(), F_OK) != 0; ++i) ::usleep(10'000);
    apart(servers, [&] { serve_between(names[2], names[1]); });

    const bare limit{servers};
    way direct{names[0]};
    way proxied{names[2]};
    std::array<std::byte, 4> small{};
    std::vector<std::byte> large(1 << 20);
    volatile std::uint32_t sink = 0;
    struct row {
        const char* name;
        int times;
        std::function<void()> there, here;
    };
    const std::array rows{
        row{"4-byte read of a register that passes", 1000, [&] { direct.read(0x2000, small); }, [&] { proxied.read(0x2000, small); }},
        row{"as many bytes, by who looks at nothing", 1000, [&] { limit.ask(limit.direct[0]); }, [&] { limit.ask(limit.between[0]); }},
        row{"4-byte read that the provider answers", 1000, [&] { direct.read(0, small); }, [&] { proxied.read(0, small); }},
        row{"1 MiB read that passes", 20, [&] { direct.read(1 << 20, large); }, [&] { proxied.read(1 << 20, large); }},
        row{"a load from a page that is mapped", 100'000, [&] { sink = *direct.page; }, [&] { sink = *proxied.page; }},
    };
    nlohmann::json out = nlohmann::json::array();
    const char* const where = servers == 0 ? "all on one core" : "servers on another core than the client";
    fmt::print("{:40} {:>12} {:>12} {:>7}\n", where, "the server", "the proxy", "ratio");
    std::vector<std::vector<double>> there(rows.size()), here(rows.size()), ratios(rows.size());
    for (int round = 0; round <= rounds; ++round) {
        for (std::size_t i = 0; i < rows.size(); ++i) { // side by side in time, so that other work of the machine is in all
            const double a = nanoseconds(rows[i].times, rows[i].there), b = nanoseconds(rows[i].times, rows[i].here);
            if (round == 0) continue; // to warm up
            there[i].push_back(a);
            here[i].push_back(b);
            ratios[i].push_back(b / a);
        }
    }
    for (std::size_t i = 0; i < rows.size(); ++i) {
        const double ratio = median(ratios[i]);
        fmt::print("{:40} {:>9.1f} ns {:>9.1f} ns {:>7.2f}\n", rows[i].name, median(there[i]), median(here[i]), ratio);
        out.push_back({{"where", where}, {"access", rows[i].name}, {"server", median(there[i])},
                       {"proxy", median(here[i])}, {"ratio", ratio}});
    }
    static_cast<void>(sink);
    for (const auto& each : names) ::unlink(each.c_str());
    return out;
}

} // namespace

int main(int argc, char** argv) {
    std::string folder = "/tmp/mediant-benchmark-XXXXXX"; // a template of mkdtemp(3)
    if (::mkdtemp(folder.data()) == nullptr) die("no temporary folder");
    pin(0);
    nlohmann::json out = nlohmann::json::array();
    for (const int servers : {0, 1}) {
        const auto rows = measure(folder, servers);
        out.insert(out.end(), rows.begin(), rows.end());
        fmt::print("\n");
    }
    ::rmdir(folder.c_str());
    if (argc > 2 && std::strcmp(argv[1], "--json") == 0) std::ofstream{argv[2]} << out.dump(2) << '\n';
    return 0;
}
