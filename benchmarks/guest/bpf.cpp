// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Runs in a guest with four edu devices, of which each has another driver: plain vfio-pci, the variant module of
/// acme::edu, the host with its provider module, and the host with a BPF provider of the same (again.hpp). Times the
/// same access in turn on each, and prints medians: what the program costs against the object that is linked into a
/// module, in the variant and in the provider module.

#include "rows.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

namespace {

using namespace mediant::guest;
using namespace benchmark_guest;

constexpr const char* drivers[]{"vfio-pci", "edu_vfio_pci", "vfio_pci_mediate", "vfio_pci_mediate"};
constexpr std::size_t by_variant = 1, by_module = 2, by_bpf = 3; // of these

void row(const char* name, const std::array<std::function<void()>, 4>& by) {
    const measured<4> came = measure(by);
    std::printf("| %s |", name);
    for (const double time : came.time) std::printf(" %.0f%s |", time, unit);
    std::printf(" %.2f | %.2f |\n", came.ratio[by_bpf][by_variant], came.ratio[by_bpf][by_module]);
}

std::function<void()> block_read(const device& from, std::uint64_t offset) {
    return [&from, offset] {
        std::array<std::byte, 32> bytes;
        static_cast<void>(from.read(bar0, offset, bytes));
    };
}
std::function<void()> block_write(const device& to, std::uint64_t offset) {
    return [&to, offset] {
        const std::array<std::byte, 32> bytes{};
        static_cast<void>(to.write(bar0, offset, bytes));
    };
}

int run() {
    const std::vector<std::string> edus = find_all_pci(0x1234, 0x11e8);
    if (edus.size() < std::size(drivers)) fail(ENODEV, "four edu devices");
    const container space;
    std::vector<device> open;
    for (std::size_t i = 0; i < std::size(drivers); ++i) {
        // Who has opened its device by then stays with the provider module.
        if (i == by_bpf && std::system("/mediant-bpf attach --mount-bpffs /edu_again.bpf.o >/dev/null") != 0)
            fail(EIO, "mediant-bpf attach");
        if (!mediant::guest::bind(edus[i], drivers[i]))
            fail(EBUSY, std::string{drivers[i]} + " did not take " + edus[i]);
        open.emplace_back(space, edus[i]);
        open.back().enable();
    }
    std::string attached;
    std::getline(std::ifstream{"/sys/bus/pci/drivers/vfio_pci_mediate/bpf_providers"}, attached);
    if (!attached.ends_with("devices=" + edus[by_bpf])) fail(EIO, "the programs serve something else: " + attached);
    for (std::size_t i = by_variant; i <= by_bpf; ++i)
        if (open[i].get<std::uint32_t>(bar0, 0) != 0x01ac00ed) fail(EIO, "IDENT of " + edus[i]);

    using one = std::function<void()>(const device&, std::uint64_t);
    const auto each = [&](one* access, std::uint64_t plain, std::uint64_t mediated) {
        return std::array{access(open[0], plain), access(open[by_variant], mediated), access(open[by_module], mediated),
                          access(open[by_bpf], mediated)};
    };
    std::printf("| access of 4 bytes%s | vfio-pci | variant | provider module | BPF | to variant | to module |\n"
                "|---|---:|---:|---:|---:|---:|---:|\n",
                counted);
    row("pread of a shadow, against one of the device", each(read_of, 0x04, 0x28));
    row("pwrite of a shadow, against one of the device", each(write_to, 0x04, 0x90));
    row("pread of 32 bytes of shadows", each(block_read, 0x80, 0x80));
    row("pwrite of 32 bytes of shadows", each(block_write, 0x80, 0x80));
    row("pread with a hook that asks the device", each(read_of, 0x00, 0x00));
    row("pwrite with a hook that tells the device", each(write_to, 0x20, 0x20));
    row("pread of a register that passes", each(read_of, 0x04, 0x04));
    return 0;
}

} // namespace

int main() { return benchmark_guest::run_and_say(run); }
