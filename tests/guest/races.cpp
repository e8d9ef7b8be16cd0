// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Runs in a guest with more than one processor: everything that the variant module of acme::edu must keep apart, at
/// once, for some seconds. Accesses to trapped registers and across their edges, resets by ioctl (with the core's
/// memory lock held) and from sysfs (without), memory turned off and on, mappings that are refused and mappings that
/// are not, and buffers that end at a page that faults. What it looks for is a guest that hangs, a warning in its
/// kernel's log, and answers that no order of these could give.
///
///   races [MODULE [SECONDS]]

#include "vfio_client.hpp"

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <thread>

namespace {

using namespace mediant::guest;

constexpr std::uint32_t bar0 = VFIO_PCI_BAR0_REGION_INDEX;
constexpr std::uint32_t config = VFIO_PCI_CONFIG_REGION_INDEX;

std::atomic<bool> stopped{false};
std::atomic<int> failures{0};

void expect(bool good, const char* what, std::int64_t got) {
    if (!good && failures++ < 20) std::printf("FAILED %s: got %lld\n", what, static_cast<long long>(got));
}

/// Done whole, or refused since memory is off.
bool whole_or_off(outcome got, std::int64_t size) {
    return got == outcome{size, 0} || (got.error == EIO && got.count == -1) || (got.error == 0 && got.count < size);
}

struct racer {
    const char* name;
    std::function<void()> once;
    long times = 0;
};

void race(const std::string& address, const device& edu, int seconds) {
    std::array<racer, 7> racers{{
        {"reads across an edge", [&] {
            std::array<std::byte, 16> bytes{};
            expect(whole_or_off(edu.read(bar0, 0x78, bytes), 16), "a read across an edge", 0);
        }},
        {"writes across an edge", [&] {
            constexpr std::array<std::byte, 8> bytes{};
            expect(whole_or_off(edu.write(bar0, 0x9c, bytes), 8), "a write across an edge", 0);
        }},
        {"doorbells", [&] { // exist only in the policy: they answer whatever the device does
            edu.put<std::uint32_t>(bar0, 0x34, 0xff);
            const auto events = edu.get<std::uint32_t>(bar0, 0x28);
            expect((events & ~0xffu) == 0, "EVENTS", events);
            edu.put<std::uint32_t>(bar0, 0x28, 0xf0);
        }},
        {"resets", [&] {
            const int error = error_of([&] { edu.reset(); });
            expect(error == 0 || error == EAGAIN, "VFIO_DEVICE_RESET", error);
            ::usleep(1000);
        }},
        {"resets from sysfs", [&] { // each takes a second
            const int error = error_of([&] { write_attribute(sysfs(address) / "reset", "1"); });
            expect(error == 0 || error == EAGAIN, "a reset from sysfs", error);
            ::usleep(500'000);
        }},
        {"memory off and on, and mappings", [&] {
            edu.put<std::uint16_t>(config, PCI_COMMAND, 0);
            const int error = error_of([&] { static_cast<void>(edu.map(bar0, 0, 0x1000)); });
            expect(error == EINVAL, "a mapping of a trapped page", error);
            const mapping good = edu.map(bar0, 0x1000, 0x1000);
            edu.put<std::uint16_t>(config, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
            static_cast<void>(good.load<std::uint32_t>(0)); // this thread alone turns memory off
            // munmap(2) takes a mapping's pages away under the mmap lock for reading, as vfio-pci's reset does on
            // kernels before 6.10, and the two together warn in untrack_pfn: a fault of those kernels alone, with
            // plain vfio-pci too. Mapping something else over it holds the lock for writing.
            const auto page = good.bytes();
            if (::mmap(page.data(), page.size(), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
                MAP_FAILED)
                fail(errno, "mmap");
            ::usleep(100);
        }},
        {"buffers that fault", [&] {
            const mapping pages{0x2000};
            std::byte* const edge = pages.bytes().data() + 0x1000;
            if (::mprotect(edge, 0x1000, PROT_NONE) != 0) fail(errno, "mprotect");
            const outcome written = edu.write(bar0, 0x80, {edge - 12, 32}); // never a part of a register
            expect(written == outcome{8, 0}, "a write that faults partway", written.count);
            const outcome read = edu.read(bar0, 0x80, {edge - 12, 32});
            expect(read == outcome{12, 0}, "a read that faults partway", read.count);
        }},
    }};
    std::vector<std::thread> threads;
    for (racer& each : racers)
        threads.emplace_back([&each] {
            const int error = error_of([&each] {
                for (; !stopped; ++each.times) each.once();
            });
            expect(error == 0, each.name, error);
        });
    ::sleep(static_cast<unsigned>(seconds));
    stopped = true;
    for (std::thread& each : threads) each.join();
    for (const racer& each : racers) {
        std::printf("races: %ld %s\n", each.times, each.name);
        expect(each.times != 0, each.name, 0);
    }

    edu.put<std::uint32_t>(bar0, 0x34, 0xff);
    edu.reset();
    expect(edu.get<std::uint32_t>(bar0, 0x28) == 0, "EVENTS after a last reset", 0);
    expect(edu.get<std::uint32_t>(bar0, 0x00) == 0x01ac00ed, "IDENT after a last reset", 0);
}

int run(const std::string& module, int seconds) {
    const auto address = find_pci(0x1234, 0x11e8);
    if (!address) fail(ENODEV, "no edu device");
    if (!bind(*address, module)) fail(EBUSY, module + " did not take " + *address);
    {
        const container space;
        const device edu{space, *address};
        edu.enable();
        race(*address, edu, seconds);
    }
    unbind(*address);
    std::printf("races: %d failures\n", failures.load());
    return failures == 0 ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    try {
        return run(argc > 1 ? argv[1] : "edu_vfio_pci", argc > 2 ? std::atoi(argv[2]) : 6);
    } catch (const std::exception& e) {
        std::printf("races: %s\n", e.what());
        return 1;
    }
}
