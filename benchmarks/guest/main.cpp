// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Runs in a guest with three edu devices: one under plain vfio-pci, one under the variant module of acme::edu, one
/// under the host with its provider. Times the same access in turn on each, and prints the medians of a round's time
/// and of its ratio to plain vfio-pci. A fourth is under plain vfio-pci, too, and mediated in user space: the lower
/// device::vfio_device alone, and acme::edu over it. Where the guest's clock counts its instructions,
/// MEDIANT_GUEST_INSTRUCTIONS in the environment says so.

#include "rows.hpp"

#include "edu/edu.hpp"

#include <mediant/device/vfio_device.hpp>
#include <mediant/provider/stack.hpp>

#include <array>
#include <cstdio>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

namespace {

using namespace mediant::guest;
using namespace benchmark_guest;

void row(const char* name, const std::array<std::function<void()>, 3>& by) {
    const measured<3> came = measure(by);
    std::printf("| %s | %.0f%s | %.2f | %.2f |\n", name, came.time[0], unit, came.ratio[1][0], came.ratio[2][0]);
}

/// The same device in the same way, but through the library's lower, and through a provider over it.
void user_space(const device& plain, const std::string& where) {
    if (!mediant::guest::bind(where, "vfio-pci")) fail(EBUSY, "vfio-pci did not take " + where);
    mediant::device::vfio_device lower{*mediant::device::pci_address::parse(where), {.shares_file = true}};
    mediant::stack<mediant::device::vfio_device, acme::edu> stack{lower};
    if (!stack.open()) fail(EIO, "the provider does not open " + where);
    std::byte command[2]{std::byte{0x06}, std::byte{0}};
    if (stack.write({mediant::region_index::config, 4, command}).count != 2) fail(EIO, "COMMAND");
    const auto load = [&lower](std::uint64_t offset) {
        return [&lower, offset] { static_cast<void>(lower.load(mediant::bar{0}, offset, 4)); };
    };
    const auto through = [&stack](std::uint64_t offset) {
        return [&stack, offset] {
            std::byte bytes[4]{};
            static_cast<void>(stack.read({mediant::bar{0}, offset, bytes}));
        };
    };
    const mapping there = plain.map(bar0, 0x2000, 4096);
    const mapping here{4096, stack.memory_fd(mediant::bar{0}),
                       static_cast<off_t>(stack.memory_offset(mediant::bar{0}) + 0x2000)};
    const auto mapped = [](const mapping& page) {
        return [word = static_cast<const volatile std::uint32_t*>(page.data())] { static_cast<void>(*word); };
    };
    std::printf("\n| access of 4 bytes%s | vfio-pci | device::vfio_device | a provider over it |\n|---|---:|---:|---:|\n",
                counted);
    row("read of a register that passes", {read_of(plain, 0x04), load(0x04), through(0x04)});
    row("read of a shadow, against one of the device", {read_of(plain, 0x04), load(0x04), through(0x28)});
    row("load from a page that is mapped", {mapped(there), mapped(here), mapped(here)});
}

int run() {
    const std::vector<std::string> edus = find_all_pci(0x1234, 0x11e8);
    if (edus.size() < 4) fail(ENODEV, "four edu devices");
    const std::array<std::string, 3> drivers{"vfio-pci", "edu_vfio_pci", "vfio_pci_mediate"};
    const container space;
    std::vector<device> open;
    for (std::size_t i = 0; i < drivers.size(); ++i) {
        if (!bind(edus[i], drivers[i])) fail(EBUSY, drivers[i] + " did not take " + edus[i]);
        open.emplace_back(space, edus[i]);
        open.back().enable();
    }
    const auto read = [&](std::uint64_t plain, std::uint64_t mediated) {
        return std::array{read_of(open[0], plain), read_of(open[1], mediated), read_of(open[2], mediated)};
    };
    const auto write = [&](std::uint64_t plain, std::uint64_t mediated) {
        return std::array{write_to(open[0], plain), write_to(open[1], mediated), write_to(open[2], mediated)};
    };
    std::printf("| access of 4 bytes%s | vfio-pci | variant | host |\n|---|---:|---:|---:|\n",
                counted);
    row("pread of a register that passes", read(0x04, 0x04));
    row("pwrite of one", write(0x04, 0x04));
    row("pread of one in a BAR's page that holds no trap", read(0x2000, 0x2000));
    row("pread with a hook that asks the device", read(0x00, 0x00));
    row("pread of a shadow, against one of the device", read(0x04, 0x28));
    row("pwrite of a shadow, against one of the device", write(0x04, 0x90));
    user_space(open[0], edus[3]);
    if (instructions) return 0;

    std::printf("\n| module | bytes loaded |\n|---|---:|\n");
    for (const char* const module :
         {"vfio_pci", "edu_vfio_pci", "vfio_pci_mediate", "vfio_pci_mediate_core", "edu_provider"}) {
        long size = 0;
        std::ifstream{std::string{"/sys/module/"} + module + "/coresize"} >> size;
        std::printf("| %s | %ld |\n", module, size);
    }
    return 0;
}

} // namespace

int main() { return benchmark_guest::run_and_say(run); }
