// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Runs in a guest, against plain vfio-pci and QEMU's edu device: what the hardware, the kernel and
/// the guest's set-up answer with no provider in between. If this fails, no comparison with a
/// provider means anything. A driver of mediant's that passes all through must answer the same.
///
///   plain_vfio [DRIVER [ADDRESS]]
///
/// Needs edu behind a root port, and nothing else that holds it. Ends with 0 if all is as expected.

#include "expect.hpp"

#include <array>
#include <cstdio>
#include <ctime>
#include <optional>
#include <string>

namespace {

using namespace mediant::guest;

constexpr std::uint32_t bar0 = VFIO_PCI_BAR0_REGION_INDEX;
constexpr std::uint32_t config = VFIO_PCI_CONFIG_REGION_INDEX;
constexpr std::uint32_t msi = VFIO_PCI_MSI_IRQ_INDEX;
constexpr std::uint64_t bar0_size = 0x100000;

// edu's registers, as QEMU's specification names them.
constexpr std::uint64_t ident = 0x00;
constexpr std::uint64_t live = 0x04;
constexpr std::uint64_t factorial = 0x08;
constexpr std::uint64_t status = 0x20;
constexpr std::uint64_t irq_status = 0x24;
constexpr std::uint64_t irq_raise = 0x60;
constexpr std::uint64_t irq_acknowledge = 0x64;
constexpr std::uint64_t dma_source = 0x80;
constexpr std::uint64_t dma_target = 0x88;
constexpr std::uint64_t dma_count = 0x90;
constexpr std::uint64_t dma_command = 0x98;

constexpr std::uint32_t ident_value = 0x010000ed;
constexpr std::uint32_t ones = 0xffffffff;

/// Reads until the bits are clear; false when they are still set after five seconds.
bool clears(const device& edu, std::uint64_t reg, std::uint32_t bits) {
    for (int i = 0; i < 5000; ++i) {
        if ((edu.get<std::uint32_t>(bar0, reg) & bits) == 0) return true;
        constexpr timespec millisecond{0, 1'000'000};
        ::nanosleep(&millisecond, nullptr);
    }
    return false;
}

void information(const device& edu) {
    section("device, region and interrupt information");
    const auto info = edu.info();
    expect("device flags", info.flags, VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_PCI);
    expect("number of regions", info.num_regions, VFIO_PCI_NUM_REGIONS);
    expect("number of interrupt kinds", info.num_irqs, VFIO_PCI_NUM_IRQS);

    const auto bar = edu.region(bar0);
    expect("BAR0 size", bar.size, bar0_size);
    expect("BAR0 flags", bar.flags,
           VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE | VFIO_REGION_INFO_FLAG_MMAP);
    expect("BAR0 has no sparse areas", bar.sparse.has_value(), false);
    expect("BAR1 size", edu.region(VFIO_PCI_BAR1_REGION_INDEX).size, 0);
    expect("config size", edu.region(config).size, 0x100);
    expect("VGA region", static_cast<unsigned>(error_of([&] { static_cast<void>(edu.region(VFIO_PCI_VGA_REGION_INDEX)); })),
           EINVAL);

    expect("MSI count", edu.irq(msi).count, 1);
    expect("MSI flags", edu.irq(msi).flags, VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE);
    expect("MSI-X count", edu.irq(VFIO_PCI_MSIX_IRQ_INDEX).count, 0);
    expect("vendor and device", edu.get<std::uint32_t>(config, PCI_VENDOR_ID), 0x11e81234);
}

/// Whether the kernel reaches 8 bytes at once, as newer ones do: below 0x80 edu takes no such access.
bool wide(const device& edu) { return edu.get<std::uint64_t>(bar0, ident) == ~std::uint64_t{0}; }

void reads(const device& edu) {
    section(wide(edu) ? "reads of every width, 8 bytes at once" : "reads of every width, at most 4 bytes at once");
    edu.put<std::uint32_t>(bar0, live, 0x12345678);
    if (!wide(edu)) expect("8 bytes at IDENT", edu.get<std::uint64_t>(bar0, ident), 0xedcba987'010000ed);
    expect("4 bytes at IDENT", edu.get<std::uint32_t>(bar0, ident), ident_value);
    expect("8 bytes at LIVE", edu.get<std::uint64_t>(bar0, live) & ones, 0xedcba987);
    // Narrower than its registers, edu answers 0: the rule that a mediated register need not follow.
    for (const std::uint64_t offset : {ident, live, status, irq_status, dma_source, std::uint64_t{0x28}, bar0_size - 4}) {
        for (std::uint64_t lane = 0; lane < 4; ++lane)
            expect("1 byte", edu.get<std::uint8_t>(bar0, offset + lane), 0);
        expect("2 bytes, low", edu.get<std::uint16_t>(bar0, offset), 0);
        expect("2 bytes, high", edu.get<std::uint16_t>(bar0, offset + 2), 0);
        expect("4 bytes, unaligned", edu.get<std::uint32_t>(bar0, offset == bar0_size - 4 ? 1 : offset + 1), 0);
    }
    // 1, 2, 4 and 1 bytes: the kernel splits at natural boundaries.
    expect("8 bytes at 1", edu.get<std::uint64_t>(bar0, 1), 0x00edcba9'87000000);
    for (const std::uint64_t offset : {irq_raise, irq_acknowledge, std::uint64_t{0x28}, dma_source + 4, bar0_size - 4})
        expect("no readable register", edu.get<std::uint32_t>(bar0, offset), ones);
}

void writes(const device& edu) {
    section("writes of every width");
    edu.put<std::uint32_t>(bar0, live, 0);
    edu.put<std::uint8_t>(bar0, live, 0xaa);
    edu.put<std::uint16_t>(bar0, live + 2, 0xbbbb);
    expect("LIVE after narrow writes", edu.get<std::uint32_t>(bar0, live), ones);
    edu.put<std::uint64_t>(bar0, ident, 0x0000000f'ffffffff);
    expect("IDENT after an 8-byte write", edu.get<std::uint32_t>(bar0, ident), ident_value);
    expect("LIVE after an 8-byte write", edu.get<std::uint32_t>(bar0, live), wide(edu) ? ones : 0xfffffff0);
    edu.put<std::uint64_t>(bar0, dma_source, 0xaabbccdd'99887766);
    expect("DMA source after an 8-byte write", edu.get<std::uint64_t>(bar0, dma_source),
           wide(edu) ? 0xaabbccdd'99887766 : 0xffffffff'99887766);

    edu.put<std::uint32_t>(bar0, factorial, 12);
    expect("factorial ends", clears(edu, status, 0x01), true);
    expect("12!", edu.get<std::uint32_t>(bar0, factorial), 479001600);
}

void edges(const device& edu) {
    section("a region's end, disabled memory, lengths of 0");
    std::array<std::byte, 8> bytes{};
    expect("read over the end", edu.read(bar0, bar0_size - 4, bytes), {4, 0});
    expect("write over the end", edu.write(bar0, bar0_size - 3, bytes), {3, 0});
    expect("read at the end", edu.read(bar0, bar0_size, bytes), {-1, EINVAL});
    expect("write at the end", edu.write(bar0, bar0_size, bytes), {-1, EINVAL});
    expect("read of a missing BAR", edu.read(VFIO_PCI_BAR1_REGION_INDEX, 0, bytes), {-1, EINVAL});
    expect("read of nothing", edu.read(bar0, bar0_size, {}), {0, 0});
    expect("read past config space", edu.read(config, 0x100, bytes), {-1, EFAULT});

    edu.put<std::uint16_t>(config, PCI_COMMAND, 0);
    expect("read with memory disabled", edu.read(bar0, ident, bytes), {-1, EIO});
    expect("write with memory disabled", edu.write(bar0, live, bytes), {-1, EIO});
    edu.enable();
}

void mappings(const device& edu) {
    section("mmap");
    const auto page = edu.map(bar0, 0, 4096);
    edu.put<std::uint32_t>(bar0, live, 0x5a5a5a5a);
    expect("IDENT", page.load<std::uint32_t>(ident), ident_value);
    expect("LIVE", page.load<std::uint32_t>(live), 0xa5a5a5a5);
    page.store<std::uint32_t>(live, 1);
    expect("LIVE after a store", edu.get<std::uint32_t>(bar0, live), 0xfffffffe);
    expect("past the end", static_cast<unsigned>(error_of([&] { static_cast<void>(edu.map(bar0, bar0_size, 4096)); })), EINVAL);
    expect("config space", static_cast<unsigned>(error_of([&] { static_cast<void>(edu.map(config, 0, 4096)); })), EINVAL);

    event doorbell;
    edu.ioeventfd(bar0, live, 0x77, 4, doorbell.get());
    const std::uint64_t one = 1;
    expect("ringing", static_cast<unsigned>(::write(doorbell.get(), &one, sizeof one)), sizeof one);
    expect("LIVE after an ioeventfd", edu.get<std::uint32_t>(bar0, live), ~std::uint32_t{0x77});
    edu.ioeventfd(bar0, live, 0x77, 4, -1);
}

void interrupts(const device& edu, const event& interrupt) {
    section("MSI");
    edu.put<std::uint32_t>(bar0, irq_raise, 0x5);
    expect("raised", interrupt.wait(2000), 1);
    expect("IRQ status", edu.get<std::uint32_t>(bar0, irq_status), 0x5);
    edu.put<std::uint32_t>(bar0, irq_acknowledge, 0x5);
    expect("IRQ status, acknowledged", edu.get<std::uint32_t>(bar0, irq_status), 0);
    expect("nothing more", interrupt.wait(100), 0);
    edu.trigger_irq(msi, 0);
    expect("triggered by the kernel", interrupt.wait(2000), 1);
}

void dma(const device& edu, const container& space, const event& interrupt) {
    section("DMA to the device's buffer and back");
    // edu's range check ends QEMU at a transfer that touches its 4 KiB buffer's last byte.
    constexpr std::uint64_t iova = 0x100000;
    constexpr std::uint32_t buffer = 0x40000;
    constexpr std::uint32_t count = 4000;
    const mapping memory{8192};
    const auto source = memory.bytes().first(count);
    const auto target = memory.bytes().subspan(4096, count);
    for (std::size_t i = 0; i < count; ++i) source[i] = static_cast<std::byte>(i * 7 + 1);
    space.map_dma(memory.bytes(), iova);

    const auto transfer = [&](std::uint32_t from, std::uint32_t to, std::uint32_t command) {
        edu.put<std::uint32_t>(bar0, dma_source, from);
        edu.put<std::uint32_t>(bar0, dma_target, to);
        edu.put<std::uint32_t>(bar0, dma_count, count);
        edu.put<std::uint32_t>(bar0, dma_command, command);
        expect("running", edu.get<std::uint32_t>(bar0, dma_command), command);
        expect("ends", clears(edu, dma_command, 0x1), true);
    };
    transfer(iova, buffer, 0x1);
    transfer(buffer, iova + 4096, 0x7); // 0x2 from the device, 0x4 with an interrupt
    expect("interrupt", interrupt.wait(2000), 1);
    expect("IRQ status", edu.get<std::uint32_t>(bar0, irq_status), 0x100);
    edu.put<std::uint32_t>(bar0, irq_acknowledge, 0x100);
    expect("what came back", std::equal(source.begin(), source.end(), target.begin()), true);
    space.unmap_dma(iova, memory.size());
}

void resets(const device& edu, const event& interrupt) {
    section("reset");
    edu.put<std::uint32_t>(bar0, live, 0x0f0f0f0f);
    edu.reset();
    // QEMU's edu has no reset of its own: registers stay, which is what a comparison must expect.
    expect("LIVE after a reset", edu.get<std::uint32_t>(bar0, live), 0xf0f0f0f0);
    expect("COMMAND after a reset", edu.get<std::uint16_t>(config, PCI_COMMAND), PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    edu.put<std::uint32_t>(bar0, irq_raise, 0x1);
    expect("MSI after a reset", interrupt.wait(2000), 1);
    edu.put<std::uint32_t>(bar0, irq_acknowledge, 0x1);
}

void run(const std::string& driver, const std::optional<std::string>& address) {
    if (!address) fail(ENODEV, "no edu device");
    if (!bind(*address, driver)) fail(EBUSY, driver + " did not take " + *address);

    const container space;
    const device edu{space, *address};
    const event interrupt;
    information(edu);
    edu.enable();
    reads(edu);
    writes(edu);
    edges(edu);
    mappings(edu);
    edu.set_irqs(msi, 0, std::array{interrupt.get()});
    interrupts(edu, interrupt);
    dma(edu, space, interrupt);
    resets(edu, interrupt);
    edu.disable_irqs(msi);
}

} // namespace

int main(int argc, char** argv) {
    return run_test("plain vfio", [&] {
        run(argc > 1 ? argv[1] : "vfio-pci", argc > 2 ? argv[2] : find_pci(0x1234, 0x11e8));
    });
}
