// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Runs in a guest with two processors, on an e1000e with the modules loads_vfio_pci and shaped_vfio_pci made from
/// config/providers.hpp: two threads that do the same at the same time. First accesses to BARs, of which neither may be
/// refused (vfio-pci before 7.2 answers one of them EBUSY now and then); and writes that a policy observes, of which it
/// is told in the order in which they were made.

#include "expect.hpp"

#include <array>
#include <atomic>
#include <barrier>
#include <thread>

namespace {

using namespace mediant::guest;

constexpr std::uint32_t bar4 = VFIO_PCI_BAR4_REGION_INDEX;
constexpr std::uint32_t config = VFIO_PCI_CONFIG_REGION_INDEX;

/// Runs `what(0)` and `what(1)` in two threads, `rounds` times at once; `between` runs after each round.
template <class F, class G>
void together(int rounds, const F& what, const G& between) {
    std::atomic<int> error{0};
    std::atomic<unsigned> arrived{0};
    std::barrier end{2};
    const auto run = [&](unsigned which) {
        for (unsigned round = 0; round < static_cast<unsigned>(rounds) && error == 0; ++round) {
            // Sleepers do not wake at once: both spin until both are here.
            ++arrived;
            while (arrived < 2 * (round + 1) && error == 0) {}
            if (const int got = error_of([&] { what(which); }); got != 0) error = got;
            end.arrive_and_wait();
            if (which == 0) between();
            end.arrive_and_wait();
        }
    };
    std::thread other{[&] { run(1); }};
    run(0);
    other.join();
    if (error != 0) fail(error, "one of two threads");
}

void first_accesses(const std::string& address) {
    section("first accesses to a BAR");
    int refused = 0, rounds = 0;
    for (; rounds < 24; ++rounds) {
        const container space;
        const device nic{space, address};
        nic.enable(PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
        for (std::uint32_t bar = 0; bar < 4; ++bar) {
            std::array<outcome, 2> got;
            together(1, [&](unsigned which) {
                std::array<std::byte, 4> four{};
                got[which] = nic.read(bar, 0, four);
            }, [] {});
            for (const outcome& each : got)
                if (each != outcome{4, 0}) {
                    ++refused;
                    std::printf("BAR %u: {%d, %s}\n", bar, static_cast<int>(each.count), std::strerror(each.error));
                }
        }
    }
    expect("refused of all", static_cast<unsigned>(refused), 0);
}

void observed_writes(const std::string& address) {
    section("writes that are observed");
    const container space;
    const device nic{space, address};
    nic.enable();
    unsigned wrong = 0;
    constexpr std::array<std::uint16_t, 2> values{PCI_COMMAND_MEMORY, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE};
    together(2500, [&](unsigned which) { nic.put<std::uint16_t>(config, PCI_COMMAND, values[which]); },
             [&] {
                 const auto is = nic.get<std::uint16_t>(config, PCI_COMMAND);
                 const auto told = nic.get<std::uint32_t>(bar4, 0x00);
                 wrong += is != told;
             });
    expect("told last of another than the last", wrong, 0);
}

void run() {
    const auto nic = find_pci(0x8086, 0x10d3);
    if (!nic) fail(ENODEV, "an e1000e");
    if (!mediant::guest::bind(*nic, "loads_vfio_pci")) fail(EBUSY, "loads_vfio_pci did not take " + *nic);
    first_accesses(*nic);
    unbind(*nic);
    if (!mediant::guest::bind(*nic, "shaped_vfio_pci")) fail(EBUSY, "shaped_vfio_pci did not take " + *nic);
    observed_writes(*nic);
    unbind(*nic);
}

} // namespace

int main() {
    return run_test("pairs", [] { run(); });
}
