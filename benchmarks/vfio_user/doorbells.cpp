// SPDX-License-Identifier: BSD-3-Clause
#include "doorbells.hpp"

#include <mediant/device/memory_device.hpp>
#include <mediant/mediant.hpp>
#include <mediant/provider/stack.hpp>
#include <mediant/vfio_user/client.hpp>
#include <mediant/vfio_user/client_doorbells.hpp>
#include <mediant/vfio_user/server.hpp>

#include <fmt/core.h>

#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <thread>
#include <vector>

namespace {
using namespace mediant;
using namespace mediant::vfio_user;

std::atomic<std::uint32_t> tail{0};

struct queue {
    static constexpr auto bar0 = region_map{
        bar{0}, 64_KiB, reg{"TAIL", 0x1000, wo, {.hook = on::write, .doorbell = doorbell::valued}}};
    static constexpr auto regions = mediant::regions<bar0>{};
    result<void> write(at<bar0, "TAIL">, std::uint32_t value, auto&) noexcept {
        tail.store(value, std::memory_order_release);
        return {};
    }
};
static_assert(valid<queue>);
using served = stack<device::memory_device, queue>;

void pin(unsigned processor) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    static_cast<void>(::sched_setaffinity(0, sizeof set, &set));
}

constexpr std::uint32_t writes = 5000;

/// Seconds until the device has had each of so many writes, one after the other.
template <class F>
double time_of(F write) {
    const auto began = std::chrono::steady_clock::now();
    for (std::uint32_t i = 1; i <= writes; ++i) {
        write(i);
        while (tail.load(std::memory_order_acquire) != i) ::sched_yield();
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

double median(std::vector<double> all) {
    std::sort(all.begin(), all.end());
    return all[all.size() / 2];
}

} // namespace

nlohmann::json measure_doorbells(const std::string& folder, int rounds) {
    const std::string path = folder + "/doorbells";
    device::memory_device lower{{0x1234, 0x5678, 0, 0, 0xff0000}, {64_KiB, 0, 0, 0, 0, 0}};
    served front{lower};
    server<served> serving{front, {.path = path}};
    std::thread thread{[&] {
        pin(0);
        serving.run();
    }};
    pin(0);
    std::vector<double> answered, posted, rung;
    for (int round = 0; round < rounds; ++round) {
        // A client of its own each: a server that has doorbells to watch needs a system call more for each batch.
        for (int way = 0; way < 3; ++way) {
            auto connected = client::connect(path);
            if (!connected || !(*connected).negotiate()) throw std::runtime_error{"no connection"};
            client& peer = *connected;
            auto asked = way == 2 ? client_doorbells::ask(peer, region_index::bar0) : client_doorbells{};
            tail = 0;
            if (way == 0) {
                answered.push_back(time_of([&](std::uint32_t i) {
                    static_cast<void>(peer.write({region_index::bar0, 0x1000, std::as_bytes(std::span{&i, 1})}));
                }));
            } else if (way == 1) {
                auto whole = client::compose({1, static_cast<std::uint16_t>(wire::command::region_write), 0,
                                              wire::no_reply, 0},
                                             wire::region_access{0x1000, 0, 4}, std::array<std::byte, 4>{});
                posted.push_back(time_of([&](std::uint32_t i) {
                    std::memcpy(whole.data() + whole.size() - sizeof i, &i, sizeof i);
                    static_cast<void>(::send(peer.fd(), whole.data(), whole.size(), MSG_NOSIGNAL));
                }));
            } else {
                if (!asked || (*asked).all().size() != 1) throw std::runtime_error{"no doorbell"};
                // As KVM, which leaves the value and signals: no more of the client's care is in it.
                const auto& bell = (*asked).all()[0];
                rung.push_back(time_of([&](std::uint32_t i) {
                    std::memcpy(bell.value, &i, sizeof i);
                    const std::uint64_t one = 1;
                    static_cast<void>(!::write(bell.eventfd, &one, sizeof one));
                }));
            }
        }
    }
    serving.stop();
    thread.join();

    fmt::print("\nA doorbell until the device has it, one at a time, same core; against the same write as a posted message.\n\n"
               "{:40} {:>12} {:>12}\n", "", "writes, 1/s", "of posted");
    nlohmann::json rows = nlohmann::json::array();
    const auto row = [&](const char* name, const std::vector<double>& times) {
        std::vector<double> ratios;
        for (std::size_t i = 0; i < times.size(); ++i) ratios.push_back(posted[i] / times[i]);
        const double rate = writes / median(times);
        fmt::print("{:40} {:>12.0f} {:>12.2f}\n", name, rate, median(ratios));
        rows.push_back({{"case", name}, {"unit", "writes"}, {"mediant", rate}, {"of posted", median(ratios)}});
    };
    row("REGION_WRITE, answered", answered);
    row("REGION_WRITE, posted", posted);
    row("doorbell, value in shared memory", rung);
    return rows;
}
