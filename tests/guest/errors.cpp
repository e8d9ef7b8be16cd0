// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Runs in a guest, on an e1000e under shaped_vfio_pci (config/providers.hpp), with the kernel's aer_inject: errors of
/// PCI Express that the root port reports. The user is told of each; a fatal one has the kernel reset the link, and with
/// it the policy, which no reset_done() announces. Beside a function without a driver, and named so ("unrecovered"), the
/// kernel gives the device up once its link is reset; the policy is reset all the same.

#include "expect.hpp"

#include <array>
#include <cstdint>

namespace {

using namespace mediant::guest;

constexpr std::uint32_t config = VFIO_PCI_CONFIG_REGION_INDEX;
constexpr std::uint64_t scratch = 0x60; // of the policy alone
constexpr std::uint32_t at_reset = 0x11223344;

/// What /dev/aer_inject takes.
struct injected {
    std::uint8_t bus, slot, function;
    std::uint32_t uncorrectable, correctable;
    std::array<std::uint32_t, 4> header;
    std::uint32_t domain;
};

void inject(const std::string& address, std::uint32_t uncorrectable) {
    unsigned domain = 0, bus = 0, slot = 0, function = 0;
    if (std::sscanf(address.c_str(), "%x:%x:%x.%x", &domain, &bus, &slot, &function) != 4) fail(EINVAL, address);
    injected error{};
    error.bus = static_cast<std::uint8_t>(bus);
    error.slot = static_cast<std::uint8_t>(slot);
    error.function = static_cast<std::uint8_t>(function);
    error.uncorrectable = uncorrectable;
    error.domain = domain;
    const unique_fd file{::open("/dev/aer_inject", O_WRONLY | O_CLOEXEC)};
    if (file.get() < 0) fail(errno, "open /dev/aer_inject");
    if (::write(file.get(), &error, sizeof error) != sizeof error) fail(errno, "write /dev/aer_inject");
}

void run(bool recovers) {
    const auto address = find_pci(0x8086, 0x10d3);
    if (!address) fail(ENODEV, "an e1000e");
    if (!mediant::guest::bind(*address, "shaped_vfio_pci")) fail(EBUSY, "shaped_vfio_pci did not take " + *address);
    {
        const container space;
        const device nic{space, *address};
        nic.enable();
        const event told;
        const std::array<int, 1> events{told.get()};
        nic.set_irqs(VFIO_PCI_ERR_IRQ_INDEX, 0, events);
        const auto held = [&] { return nic.get<std::uint32_t>(config, scratch); };
        constexpr std::uint32_t kept = 0x11abcdef; // the upper byte is read-only
        // Errors are worked off in order, so that what the first did is seen when the second is told.
        nic.put<std::uint32_t>(config, scratch, kept);
        if (!recovers) {
            inject(*address, PCI_ERR_UNC_MALF_TLP);
            expect("signals of a fatal error", told.wait(10'000) != 0, true);
            for (int tries = 0; held() != at_reset && tries < 100; ++tries) ::usleep(100'000);
            expect("the policy after it", held(), at_reset);
            return;
        }
        inject(*address, PCI_ERR_UNC_COMP_TIME);
        expect("signals of an error that is not fatal", told.wait(10'000), 1);
        expect("what the policy held", held(), kept);
        inject(*address, PCI_ERR_UNC_COMP_TIME);
        expect("signals of another", told.wait(10'000), 1);
        expect("what the policy held", held(), kept);

        inject(*address, PCI_ERR_UNC_MALF_TLP);
        expect("signals of one that is fatal", told.wait(10'000), 1);
        for (int tries = 0; held() != at_reset && tries < 100; ++tries) ::usleep(100'000);
        expect("the policy after the reset of the link", held(), at_reset);
    }
    unbind(*address);
}

} // namespace

int main(int argc, char**) {
    return run_test("errors", [&] { run(argc == 1); });
}
