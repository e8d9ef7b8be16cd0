// SPDX-License-Identifier: BSD-3-Clause
// What the adapter to libvfio-user costs: 4-byte reads of one client, one at a time, of memory behind callbacks that are
// written by hand for that library, behind the adapter in the same blocking loop, and behind mediant's own server.
// Processor time of both sides, on one processor, in turns.
//
//   behind_libvfio_user [--json FILE] [--rounds N]

#include "theirs.hpp"

#include <mediant/device/memory_device.hpp>
#include <mediant/libvfio_user/adapter.hpp>
#include <mediant/provider/stack.hpp>
#include <mediant/vfio_user/client.hpp>
#include <mediant/vfio_user/server.hpp>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {
using namespace mediant;
using memory = stack<device::memory_device>;

constexpr int reads = 20'000;

[[noreturn]] void die(const char* what) {
    fmt::print(stderr, "behind_libvfio_user: {}\n", what);
    std::_Exit(1);
}

void pin() {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(0, &set);
    (void)::sched_setaffinity(0, sizeof set, &set);
}

/// Of this process, which has both sides: what other programs do beside is not in it.
double processor_nanoseconds() {
    timespec now{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

/// Nanoseconds of one read, after as many that are not counted.
double measured(const std::string& path) {
    auto made = vfio_user::client::connect(path);
    if (!made || !(*made).negotiate()) die("no connection");
    auto& client = *made;
    std::array<std::byte, 4> bytes{};
    const auto round = [&] {
        const double began = processor_nanoseconds();
        for (int i = 0; i < reads; ++i)
            if (client.read({bar{0}, 0x100, bytes}).count != bytes.size()) die("a read failed");
        return (processor_nanoseconds() - began) / reads;
    };
    static_cast<void>(round());
    return round();
}

/// The device behind the adapter, in the loop that `theirs` has.
class adapted {
public:
    explicit adapted(const std::string& path) {
        context_ = vfu_create_ctx(VFU_TRANS_SOCK, path.c_str(), 0, &adapter_, VFU_DEV_TYPE_PCI);
        if (context_ == nullptr) die("no context");
        adapter_.attach(context_);
        thread_ = std::thread{[this] {
            pin();
            if (vfu_attach_ctx(context_) != 0) die("no client");
            adapter_.connected();
            while (vfu_run_ctx(context_) >= 0 || errno == EINTR) {}
        }};
    }
    ~adapted() {
        thread_.join();
        vfu_destroy_ctx(context_);
    }

private:
    device::memory_device device_{{0x1234, 0x5678, 0, 0, 0xff0000}, {4_MiB, 0, 0, 0, 0, 0}};
    memory front_{device_};
    libvfio_user::adapter<memory> adapter_{front_};
    vfu_ctx_t* context_ = nullptr;
    std::thread thread_;
};

class native {
public:
    explicit native(const std::string& path) : server_{front_, {.path = path}}, thread_{[this] {
                                                   pin();
                                                   server_.run();
                                               }} {}
    ~native() {
        server_.stop();
        thread_.join();
    }

private:
    device::memory_device device_{{0x1234, 0x5678, 0, 0, 0xff0000}, {4_MiB, 0, 0, 0, 0, 0}};
    memory front_{device_};
    vfio_user::server<memory> server_;
    std::thread thread_;
};

double median(std::vector<double> all) {
    std::sort(all.begin(), all.end());
    return all[all.size() / 2];
}

} // namespace

int main(int argc, char** argv) {
    std::string json;
    int rounds = 9;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string_view option = argv[i];
        if (option == "--json")
            json = argv[i + 1];
        else if (option == "--rounds")
            rounds = std::max(1, std::atoi(argv[i + 1]));
        else
            die("--json FILE, --rounds N");
    }
    std::string folder = "/tmp/mediant-bench-XXXXXX";
    if (::mkdtemp(folder.data()) == nullptr) die("no folder");
    const std::string path = folder + "/socket";
    pin();
    std::array<std::vector<double>, 3> all;
    for (int round = 0; round < rounds; ++round) {
        {
            const theirs server{path, 4_MiB, false, 0};
            all[0].push_back(measured(path));
        }
        ::unlink(path.c_str()); // which the library leaves
        {
            const adapted server{path};
            all[1].push_back(measured(path));
        }
        ::unlink(path.c_str());
        {
            const native server{path};
            all[2].push_back(measured(path));
        }
    }
    ::rmdir(folder.c_str());

    fmt::print("4-byte reads, one at a time, same core; processor time of both sides. Medians of {} rounds.\n\n"
               "{:36} {:>9} {:>24}\n", rounds, "", "ns a read", "of libvfio-user by hand");
    nlohmann::json rows = nlohmann::json::array();
    constexpr std::array names{"libvfio-user, callbacks by hand", "libvfio-user, mediant's adapter", "mediant's server"};
    for (std::size_t i = 0; i < all.size(); ++i) {
        std::vector<double> ratios;
        for (std::size_t round = 0; round < all[i].size(); ++round) ratios.push_back(all[i][round] / all[0][round]);
        fmt::print("{:36} {:>9.0f} {:>24.2f}\n", names[i], median(all[i]), median(ratios));
        rows.push_back({{"server", names[i]}, {"nanoseconds", median(all[i])}, {"ratio", median(ratios)}});
    }
    if (!json.empty()) std::ofstream{json} << rows.dump(2) << '\n';
}
