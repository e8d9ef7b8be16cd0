// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Runs in a guest with QEMU's shared memory: the provider "switched" passes and traps parts of it while they are mapped.
/// First one by one: areas, the interrupt, mappings that fault. Then under load: threads that write through mappings and
/// by system calls, and a process that has inherited a mapping, while ranges are switched. Each of them counts in a cell
/// of its own, whose value it knows: a write that is lost shows, and one that comes late.
///
///   dynamic_ranges DRIVER [SECONDS [dma-buf]]
///
/// With dma-buf the kernel must have them (6.19).

#include "expect.hpp"

#include <array>
#include <atomic>
#include <csetjmp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include <sys/mount.h>
#include <sys/utsname.h>
#include <sys/wait.h>

namespace {

using namespace mediant::guest;

constexpr std::uint32_t bar2 = VFIO_PCI_BAR2_REGION_INDEX;
constexpr std::uint32_t changed_irq = VFIO_PCI_NUM_IRQS;
constexpr std::uint64_t aperture = 2u << 20;
constexpr std::uint64_t stride = 0x40000;
constexpr std::size_t cells = 8;

enum : std::uint32_t { trap, pass, trap_small, pass_small };

// --- accesses through a mapping that may fault --------------------------------------------------------

thread_local sigjmp_buf* landing = nullptr;
void on_bus_error(int) {
    if (landing == nullptr) std::abort();
    siglongjmp(*landing, 1);
}

/// False: the page cannot be reached now, and nothing was done.
bool try_load(const mapping& from, std::size_t offset, std::uint32_t& value) {
    sigjmp_buf here;
    landing = &here;
    const bool reached = sigsetjmp(here, 1) == 0;
    if (reached) value = from.load<std::uint32_t>(offset);
    landing = nullptr;
    return reached;
}
bool try_store(const mapping& to, std::size_t offset, std::uint32_t value) {
    sigjmp_buf here;
    landing = &here;
    const bool reached = sigsetjmp(here, 1) == 0;
    if (reached) to.store(offset, value);
    landing = nullptr;
    return reached;
}
bool reaches(const mapping& from, std::size_t offset, std::uint32_t wanted) {
    std::uint32_t value = 0;
    return try_load(from, offset, value) && value == wanted;
}

/// A place where a mapping of the aperture can be filled by one huge page, in room that stays.
void* aligned_place() {
    static const mapping room{2 * aperture};
    const auto at = reinterpret_cast<std::uintptr_t>(room.data());
    return static_cast<std::byte*>(room.data()) + (aperture - at % aperture) % aperture;
}

/// A number in what the module tells of an open device.
std::uint64_t counter_of(const std::string& driver, const std::string& address, const std::string& name) {
    const std::string folder = "/sys/kernel/debug";
    if (!std::filesystem::exists(folder + '/' + driver) &&
        ::mount("none", folder.c_str(), "debugfs", 0, nullptr) != 0)
        fail(errno, "mount debugfs");
    std::ifstream file{folder + '/' + driver + '/' + address};
    for (std::string line; std::getline(file, line);)
        if (line.starts_with(name + ": ")) return std::stoull(line.substr(name.size() + 2));
    fail(ENOENT, "no " + name + " in debugfs");
}

std::vector<area> areas_of(const device& memory) {
    const region_info info = memory.region(bar2);
    return (info.flags & VFIO_REGION_INFO_FLAG_MMAP) == 0 || !info.sparse ? std::vector<area>{} : *info.sparse;
}
using areas = std::vector<area>;
const areas trapped_areas{{0x1000, 0xf000}, {0x14000, aperture - 0x14000}, {2 * aperture, 2 * aperture}};
const areas passed_areas{{0x1000, 0xf000}, {0x14000, aperture - 0x14000}, {aperture, aperture},
                         {2 * aperture, 2 * aperture}};

void turn(const device& memory, std::uint32_t to) { memory.put(bar2, 0, to); }

// --- one by one ---------------------------------------------------------------------------------------

void one_by_one(const device& memory) {
    section("the interrupt that tells of changed areas");
    const event changed;
    expect("kinds of interrupts", memory.info().num_irqs, changed_irq + 1);
    expect("its vectors", memory.irq(changed_irq).count, 1u);
    expect("its flags", memory.irq(changed_irq).flags, std::uint32_t{VFIO_IRQ_INFO_EVENTFD});
    expect("one behind it", error_of([&] { static_cast<void>(memory.irq(changed_irq + 1)); }), EINVAL);
    const int fd = changed.get();
    expect("a trigger without an eventfd", error_of([&] { memory.trigger_irq(changed_irq, 0); }), EINVAL);
    memory.set_irqs(changed_irq, 0, {&fd, 1});
    expect("no values", error_of([&] {
               memory.set_irqs(changed_irq, VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0, {});
           }), EINVAL);
    memory.trigger_irq(changed_irq, 0);
    expect("signals by hand", changed.wait(1000), std::uint64_t{1});
    expect("a second vector", error_of([&] { memory.set_irqs(changed_irq, 1, {&fd, 1}); }), EINVAL);
    expect("masking it", error_of([&] {
               memory.set_irqs(changed_irq, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK, 0, 1, {});
           }), ENOTTY);
    const int none = 0x7fff;
    expect("no eventfd", error_of([&] { memory.set_irqs(changed_irq, 0, {&none, 1}); }), EBADF);

    section("ranges that are trapped at open");
    expect("areas", areas_of(memory) == trapped_areas, true);
    expect("mapping one", error_of([&] { static_cast<void>(memory.map(bar2, aperture, 0x1000)); }), EINVAL);
    expect("a register in one", memory.get<std::uint32_t>(bar2, 0x10000), 0x7a7a7a7au);

    section("a range that passes");
    memory.put(bar2, aperture + 0x100, 0x1234u);
    turn(memory, pass);
    expect("signals", changed.wait(1000), std::uint64_t{1});
    expect("areas then", areas_of(memory) == passed_areas, true);
    const mapping mapped = memory.map(bar2, aperture, aperture);
    expect("what is there", mapped.load<std::uint32_t>(0x100), 0x1234u);
    mapped.store<std::uint32_t>(0x100, 0x5678u);
    expect("read after it was written", memory.get<std::uint32_t>(bar2, aperture + 0x100), 0x5678u);
    const mapping part = memory.map(bar2, aperture + 0x3000, 0x1000);
    part.store<std::uint32_t>(0, 9u);
    expect("seen through the other", mapped.load<std::uint32_t>(0x3000), 9u);
    const mapping beside = memory.map(bar2, 2 * aperture, 0x1000);
    beside.store<std::uint32_t>(0, 0x77u);

    section("taking it back");
    turn(memory, trap);
    expect("signals again", changed.wait(1000), std::uint64_t{1});
    expect("areas again", areas_of(memory) == trapped_areas, true);
    std::uint32_t value = 0;
    expect("a load that faults", try_load(mapped, 0x100, value), false);
    expect("a store that faults", try_store(mapped, 0x100, 1u), false);
    expect("through a part", try_load(part, 0, value), false);
    expect("through what lies beside", reaches(beside, 0, 0x77), true);
    expect("by read", memory.get<std::uint32_t>(bar2, aperture + 0x100), 0x5678u);
    expect("mapping it", error_of([&] { static_cast<void>(memory.map(bar2, aperture, 0x1000)); }), EINVAL);
    turn(memory, trap);
    expect("signals of what has not changed", changed.wait(10), std::uint64_t{0});

    section("passing it again");
    memory.put(bar2, aperture + 0x100, 0xabcdu);
    turn(memory, pass);
    expect("the same mapping", reaches(mapped, 0x100, 0xabcd), true);
    expect("and its part", reaches(part, 0, 9), true);
    expect("another range still traps", memory.get<std::uint32_t>(bar2, 0x10000), 0x7a7a7a7au);
    turn(memory, pass_small);
    expect("or not", memory.get<std::uint32_t>(bar2, 0x10000) != 0x7a7a7a7au, true);
    {
        const mapping small = memory.map(bar2, 0x10000, 0x4000);
        small.store<std::uint32_t>(0, 1u);
        turn(memory, trap_small);
        expect("taken back by itself", try_load(small, 0, value), false);
        expect("and not the other", reaches(mapped, 0x100, 0xabcd), true);
    }
    memory.disable_irqs(changed_irq);
    const auto so_far = changed.wait(10);
    turn(memory, trap);
    expect("signals when it is off", changed.wait(10), std::uint64_t{0});
    std::printf("%llu signals before\n", static_cast<unsigned long long>(so_far));

    section("memory that is off, and a reset");
    turn(memory, pass);
    expect("mapped", reaches(mapped, 0x100, 0xabcd), true);
    memory.put<std::uint16_t>(VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND, 0);
    expect("while memory is off", try_load(mapped, 0x100, value), false);
    memory.enable();
    expect("and on again", reaches(mapped, 0x100, 0xabcd), true);
    turn(memory, trap);
    expect("and taken back", try_load(mapped, 0x100, value), false);
}

void signal(const event& which) {
    if (::eventfd_write(which.get(), 1) != 0) fail(errno, "eventfd_write");
}

/// vfio-pci of kernels before 6.10 empties a mapping that is new, also by mremap(2) or a munmap(2) of a part, as it does
/// by itself without a policy, of what is in none yet: they warn of that in untrack_pfn. MEDIANT_MOVES has it moved
/// nevertheless.
bool moves_mappings() {
    utsname kernel{};
    unsigned major = 0, minor = 0;
    if (::uname(&kernel) != 0 || std::sscanf(kernel.release, "%u.%u", &major, &minor) != 2) fail(EINVAL, "uname");
    return major > 6 || (major == 6 && minor >= 10) || std::getenv("MEDIANT_MOVES") != nullptr;
}

/// Pages of a mapping come to another by fork and mremap, which fault in nothing.
void in_other_places(const device& memory, bool moves) {
    turn(memory, trap);
    memory.put(bar2, aperture + 0x100, 0xabcdu);

    section("a mapping that a child inherits");
    turn(memory, pass);
    {
        const mapping mapped = memory.map(bar2, aperture, aperture);
        expect("touched", reaches(mapped, 0x100, 0xabcd), true);
        const event taken, given, asked;
        const pid_t child = ::fork();
        if (child < 0) fail(errno, "fork");
        if (child == 0) {
            std::uint32_t value = 0;
            if (taken.wait(10'000) != 1) ::_exit(2);
            if (try_load(mapped, 0x100, value)) ::_exit(3);
            signal(asked);
            if (given.wait(10'000) != 1) ::_exit(4);
            ::_exit(reaches(mapped, 0x100, 0xabcd) ? 0 : 5);
        }
        turn(memory, trap);
        signal(taken);
        expect("the child's fault", asked.wait(10'000), std::uint64_t{1});
        turn(memory, pass);
        signal(given);
        int status = -1;
        ::waitpid(child, &status, 0);
        expect("the child", WIFEXITED(status) ? static_cast<unsigned>(WEXITSTATUS(status)) : 99u, 0u);
    }

    if (!moves) {
        turn(memory, trap);
        return;
    }
    section("a mapping that is moved");
    turn(memory, pass);
    {
        const mapping mapped = memory.map(bar2, aperture, aperture);
        expect("touched", reaches(mapped, 0x100, 0xabcd), true);
        const mapping moved{aperture};
        if (::mremap(mapped.data(), aperture, aperture, MREMAP_MAYMOVE | MREMAP_FIXED, moved.data()) != moved.data())
            fail(errno, "mremap");
        std::uint32_t value = 0;
        turn(memory, trap);
        expect("taken back", try_load(moved, 0x100, value), false);
        turn(memory, pass);
        expect("and passed", reaches(moved, 0x100, 0xabcd), true);
        turn(memory, trap);
        expect("and taken back", try_load(moved, 0x100, value), false);
    }

    section("a mapping of which a part is unmapped");
    turn(memory, pass);
    {
        const mapping mapped = memory.map(bar2, aperture, aperture);
        expect("touched", reaches(mapped, 0x100, 0xabcd), true);
        if (::munmap(static_cast<std::byte*>(mapped.data()) + 0x4000, 0x4000) != 0) fail(errno, "munmap");
        std::uint32_t value = 0;
        turn(memory, trap);
        expect("what is before it", try_load(mapped, 0x100, value), false);
        expect("what is behind it", try_load(mapped, 0x8000, value), false);
        turn(memory, pass);
        expect("passed", reaches(mapped, 0x100, 0xabcd), true);
    }
    turn(memory, trap);
}

void as_dma_buf(const device& memory) {
    section("dma-bufs");
    const auto error = [&](const std::vector<area>& parts) {
        return static_cast<unsigned>(error_of([&] { static_cast<void>(export_areas(memory, bar2, parts)); }));
    };
    turn(memory, pass);
    expect("of what always passes", error({{2 * aperture, 0x1000}}), 0u);
    expect("of what passes now", error({{aperture, 0x1000}}), unsigned{EINVAL});
    expect("of both", error({{2 * aperture, 0x1000}, {aperture, 0x1000}}), unsigned{EINVAL});
    expect("across the edge", error({{2 * aperture - 0x1000, 0x2000}}), unsigned{EINVAL});
    turn(memory, trap);
}

// --- under load ---------------------------------------------------------------------------------------

/// What all processes count.
struct tally {
    std::atomic<bool> stopped{false};
    std::atomic<std::uint32_t> wrong{0};
    std::atomic<std::uint32_t> faults{0};
    std::array<std::atomic<std::uint32_t>, cells> mapped{};  // writes
    std::array<std::atomic<std::uint32_t>, cells> calls{};
};

/// Counts in a cell until it is told to stop; through a mapping where there is one and it can be reached.
void count(const device& memory, const mapping* mapped, std::size_t cell, tally& all) {
    const std::uint64_t offset = cell * stride;
    for (std::uint32_t n = 0; !all.stopped; ++n) {
        std::uint32_t value = 0;
        if (mapped == nullptr || !try_load(*mapped, offset, value)) {
            value = memory.get<std::uint32_t>(bar2, aperture + offset);
            if (mapped != nullptr) ++all.faults;
        }
        if (value != n && all.wrong++ < 5) std::printf("cell %zu: %u instead of %u\n", cell, value, n);
        if (mapped != nullptr && try_store(*mapped, offset, n + 1)) {
            ++all.mapped[cell];
        } else {
            memory.put(bar2, aperture + offset, n + 1);
            ++all.calls[cell];
        }
    }
}

void under_load(const device& memory, const std::string& driver, const std::string& address, unsigned seconds) {
    section("ranges that are switched under load");
    turn(memory, trap);
    for (std::size_t i = 0; i < cells; ++i) memory.put(bar2, aperture + i * stride, 0u);
    const auto stores = [&] { return counter_of(driver, address, "stores"); };
    const auto stores_before = stores();
    const auto trapped_before = memory.get<std::uint32_t>(bar2, 8);
    const mapping shared{sizeof(tally), -1, 0, PROT_READ | PROT_WRITE, MAP_SHARED};
    tally& all = *new (shared.data()) tally;
    const event changed;
    const int fd = changed.get();
    memory.set_irqs(changed_irq, 0, {&fd, 1});

    turn(memory, pass);
    const mapping whole = memory.map(bar2, aperture, aperture, PROT_READ | PROT_WRITE, aligned_place());
    const mapping half = memory.map(bar2, aperture, aperture / 2);
    const pid_t child = ::fork();
    if (child < 0) fail(errno, "fork");
    if (child == 0) {
        const int error = error_of([&] { count(memory, &whole, 0, all); });
        ::_exit(error == 0 ? 0 : 1);
    }
    std::vector<std::thread> threads;
    for (std::size_t cell = 1; cell < 6; ++cell)
        threads.emplace_back([&, cell] {
            const mapping* const how = cell == 1 || cell == 2 ? &half : cell == 3 || cell == 4 ? &whole : nullptr;
            if (error_of([&] { count(memory, how, cell, all); }) != 0) ++all.wrong;
        });
    std::atomic<long> rereads{0}, unmapped{0};
    threads.emplace_back([&] { // a user who follows the areas
        while (!all.stopped) {
            if (changed.wait(50) == 0) continue;
            const areas now = areas_of(memory);
            if (now != trapped_areas && now != passed_areas && all.wrong++ < 5) std::printf("%zu areas\n", now.size());
            ++rereads;
            if (now != passed_areas) continue;
            std::unique_ptr<mapping> fresh;
            const int error = error_of([&] { fresh = std::make_unique<mapping>(memory.map(bar2, aperture, aperture)); });
            // It may trap by now.
            if (error != 0 && error != EINVAL && all.wrong++ < 5) std::printf("mmap: %d\n", error);
            std::uint32_t value = 0;
            if (fresh == nullptr) continue;
            static_cast<void>(try_load(*fresh, 0x1000, value));
        }
    });
    threads.emplace_back([&] { // and one who maps and unmaps what he can
        while (!all.stopped) {
            std::uint32_t value = 0;
            const int error = error_of([&] {
                const mapping fresh = memory.map(bar2, aperture, aperture);
                static_cast<void>(try_load(fresh, 0x2000, value));
                ++unmapped;
            });
            if (error != 0 && error != EINVAL && all.wrong++ < 5) std::printf("mmap: %d\n", error);
        }
    });

    long switches = 0;
    const auto end = std::time(nullptr) + seconds;
    while (std::time(nullptr) < end && all.wrong == 0) {
        turn(memory, trap);
        if (memory.get<std::uint32_t>(bar2, 0) != 0) ++all.wrong;
        if (switches % 3 == 0) ::usleep(300);
        turn(memory, pass);
        if (switches % 2 == 0) ::usleep(300);
        switches += 2;
    }
    all.stopped = true;
    for (std::thread& each : threads) each.join();
    int status = -1;
    ::waitpid(child, &status, 0);

    std::uint64_t mapped = 0, calls = 0;
    for (std::size_t i = 0; i < 6; ++i) {
        expect("cell " + std::to_string(i), memory.get<std::uint32_t>(bar2, aperture + i * stride),
               all.mapped[i] + all.calls[i]);
        mapped += all.mapped[i];
        calls += all.calls[i];
    }
    const std::uint64_t trapped = memory.get<std::uint32_t>(bar2, 8) - trapped_before;
    std::printf("dynamic ranges: %ld switches, %ld areas read again; writes: %llu through mappings, %llu by calls, of which "
                "%llu were trapped; %u faults\n", switches, rereads.load(), static_cast<unsigned long long>(mapped),
                static_cast<unsigned long long>(calls), static_cast<unsigned long long>(trapped), all.faults.load());
    expect("what went wrong", all.wrong.load(), 0u);
    expect("the other process", status, 0);
    // Each call stores once, whether it traps or passes.
    expect("stores to the device", stores() - stores_before, calls);
    expect("some of each kind", mapped != 0 && calls != 0 && trapped != 0 && trapped < calls && all.faults != 0, true);
    expect("switches", switches > 100, true);
    expect("mappings that were unmapped meanwhile", unmapped > 10, true);
}

void run(const std::string& driver, unsigned seconds, bool dma_buf) {
    struct sigaction action{};
    action.sa_handler = on_bus_error;
    if (::sigaction(SIGBUS, &action, nullptr) != 0) fail(errno, "sigaction");
    const auto address = find_pci(0x1af4, 0x1110);
    if (!address) fail(ENODEV, "no ivshmem device");
    if (!bind(*address, driver)) fail(EBUSY, driver + " did not take " + *address);
    const container space;
    const device memory{space, *address};
    memory.enable();
    one_by_one(memory);
    in_other_places(memory, moves_mappings());
    if (dma_buf) as_dma_buf(memory);
    under_load(memory, driver, *address, seconds);
}

} // namespace

int main(int argc, char** argv) {
    return run_test("dynamic ranges", [&] {
        if (argc < 2) fail(EINVAL, "a driver is needed");
        run(argv[1], argc > 2 ? static_cast<unsigned>(std::atoi(argv[2])) : 8,
            argc > 3 && std::string{argv[3]} == "dma-buf");
    });
}
