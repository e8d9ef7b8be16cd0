// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Runs in a guest: QEMU's edu device first under plain vfio-pci, then under the variant module of acme::edu, or the
/// host with its provider; the driver must be loaded. What they answer is equal outside the provider's map, and as the map says inside; a table shows
/// both side by side.
///
///   mediated_edu [DRIVER [ADDRESS]]
///
/// Ends with 0 if all is as expected.

#include "expect.hpp"

#include <array>
#include <cinttypes>
#include <cstdio>
#include <map>
#include <optional>
#include <string>

namespace {

using namespace mediant::guest;

constexpr std::uint32_t bar0 = VFIO_PCI_BAR0_REGION_INDEX;
constexpr std::uint32_t msi = VFIO_PCI_MSI_IRQ_INDEX;
constexpr std::uint64_t bar0_size = 0x100000;
constexpr std::uint64_t live = 0x04;
constexpr std::uint64_t irq_raise = 0x60;
constexpr std::uint64_t irq_acknowledge = 0x64;
constexpr std::uint64_t buffer = 0x40000;

/// The dwords of the register file that acme::edu's map treats otherwise than the device does.
bool in_map(std::uint64_t offset) {
    return offset == 0x00 || offset == 0x20 || (offset >= 0x28 && offset < 0x38) || (offset >= 0x80 && offset < 0xa0);
}

/// What one driver answers, read in the same way for both.
struct observed {
    std::uint32_t device_flags = 0;
    std::map<std::uint32_t, std::pair<std::uint64_t, std::uint32_t>> regions; ///< size, flags
    std::map<std::uint32_t, std::pair<std::uint32_t, std::uint32_t>> irqs;    ///< count, flags
    std::map<std::pair<std::uint64_t, unsigned>, std::uint64_t> values;       ///< by offset and width
};

template <std::unsigned_integral T>
void read_into(observed& out, const device& edu, std::uint64_t offset) {
    out.values[{offset, sizeof(T)}] = edu.get<T>(bar0, offset);
}

observed observe(const device& edu) {
    observed out;
    out.device_flags = edu.info().flags;
    for (std::uint32_t index = 0; index <= VFIO_PCI_CONFIG_REGION_INDEX; ++index) {
        const auto info = edu.region(index);
        out.regions[index] = {info.size, info.flags};
    }
    for (const std::uint32_t index : {0u, 1u, 2u, 4u}) {
        const auto info = edu.irq(index);
        out.irqs[index] = {info.count, info.flags};
    }
    edu.put<std::uint32_t>(bar0, live, 0x0badcafe);
    for (std::uint64_t offset = 0; offset < 0x100; offset += 4) {
        read_into<std::uint32_t>(out, edu, offset);
        for (std::uint64_t lane = 0; lane < 4; ++lane) read_into<std::uint8_t>(out, edu, offset + lane);
        for (std::uint64_t lane = 0; lane < 4; lane += 2) read_into<std::uint16_t>(out, edu, offset + lane);
        if (offset % 8 == 0) read_into<std::uint64_t>(out, edu, offset);
    }
    return out;
}

void compare(const observed& plain, const observed& mediated) {
    section("equal outside the map");
    expect("device flags", mediated.device_flags, plain.device_flags);
    for (const auto& [index, facts] : plain.regions) {
        const auto& there = mediated.regions.at(index);
        expect("size of region " + std::to_string(index), there.first, facts.first);
        const std::uint32_t more = index == bar0 ? VFIO_REGION_INFO_FLAG_CAPS : 0u;
        expect("flags of region " + std::to_string(index), there.second, facts.second | more);
    }
    for (const auto& [index, facts] : plain.irqs) {
        expect("count of interrupts " + std::to_string(index), mediated.irqs.at(index).first, facts.first);
        expect("flags of interrupts " + std::to_string(index), mediated.irqs.at(index).second, facts.second);
    }
    for (const auto& [where, value] : plain.values) {
        const std::uint64_t first = where.first / 4 * 4;
        const std::uint64_t last = (where.first + where.second - 1) / 4 * 4;
        if (in_map(first) || in_map(last)) continue;
        char what[64];
        std::snprintf(what, sizeof what, "%u bytes at 0x%" PRIx64, where.second, where.first);
        expect(what, mediated.values.at(where), value);
    }
}

void side_by_side(const observed& plain, const observed& mediated) {
    struct row {
        const char* name;
        std::uint64_t offset;
        const char* remark;
    };
    constexpr row rows[] = {
        {"IDENT", 0x00, "changed by a read hook"},
        {"LIVE", 0x04, "named, passes"},
        {"EVENTS", 0x28, "exists only in the policy"},
        {"VERSION", 0x30, "a constant of the policy"},
        {"DMA", 0x84, "a shadow, the device is not touched"},
    };
    std::printf("\n  register  offset  hardware    mediated\n");
    for (const row& r : rows)
        std::printf("  %-8s  0x%04" PRIx64 "  0x%08" PRIx64 "  0x%08" PRIx64 "  %s\n", r.name, r.offset,
                    plain.values.at({r.offset, 4}), mediated.values.at({r.offset, 4}), r.remark);
    std::printf("\n");
}

void inside(const device& edu) {
    section("as the map says inside");
    expect("IDENT", edu.get<std::uint32_t>(bar0, 0x00), 0x01ac00ed);
    const std::uint8_t lanes[4] = {0xed, 0x00, 0xac, 0x01};
    for (std::uint64_t lane = 0; lane < 4; ++lane) expect("a byte of IDENT", edu.get<std::uint8_t>(bar0, lane), lanes[lane]);
    expect("the upper half of IDENT", edu.get<std::uint16_t>(bar0, 2), 0x01ac);
    edu.put<std::uint32_t>(bar0, live, 0);
    expect("8 bytes, IDENT and LIVE", edu.get<std::uint64_t>(bar0, 0), 0xffffffff'01ac00ed);
    edu.put<std::uint32_t>(bar0, 0x00, 0);
    expect("IDENT after a write", edu.get<std::uint32_t>(bar0, 0x00), 0x01ac00ed);

    edu.put<std::uint32_t>(bar0, 0x20, 0xffffffff);
    expect("STATUS keeps its interrupt bit off", edu.get<std::uint32_t>(bar0, 0x20), 0);

    expect("VERSION", edu.get<std::uint32_t>(bar0, 0x30), 0x0100);
    edu.put<std::uint64_t>(bar0, 0x30, ~std::uint64_t{0}); // VERSION and DOORBELL
    expect("VERSION after a write", edu.get<std::uint32_t>(bar0, 0x30), 0x0100);
    expect("DOORBELL reads as zero", edu.get<std::uint32_t>(bar0, 0x34), 0);
    expect("EVENTS after the doorbell", edu.get<std::uint32_t>(bar0, 0x28), 0xffffffff);
    edu.put<std::uint8_t>(bar0, 0x29, 0xf0);
    expect("EVENTS, a byte cleared by ones", edu.get<std::uint32_t>(bar0, 0x28), 0xffff0fff);
    edu.put<std::uint16_t>(bar0, 0x2a, 0xffff);
    expect("EVENTS, a half cleared by ones", edu.get<std::uint32_t>(bar0, 0x28), 0x00000fff);

    for (std::uint64_t i = 0; i < 0x20; ++i) edu.put<std::uint8_t>(bar0, 0x80 + i, static_cast<std::uint8_t>(i + 1));
    expect("the DMA block by 8 bytes", edu.get<std::uint64_t>(bar0, 0x90), 0x18171615'14131211);
    expect("the DMA block unaligned", edu.get<std::uint32_t>(bar0, 0x9b), 0x1f1e1d1c);
    expect("the hidden buffer", edu.get<std::uint64_t>(bar0, buffer + 0x10), ~std::uint64_t{0});
}

void straddling(const device& edu) {
    section("across a trap's edges");
    std::array<std::byte, 16> bytes{};
    // 0x7c passes and reads as ones on edu; 0x80 is the DMA block.
    expect("into the DMA block", edu.get<std::uint64_t>(bar0, 0x7c), 0x04030201'ffffffff);
    // The last two bytes of the block, then two of 0xa0, which edu answers with 0 as it takes no narrow accesses.
    expect("out of the DMA block", edu.get<std::uint32_t>(bar0, 0x9e), 0x0000201f);
    edu.put<std::uint64_t>(bar0, 0x9c, 0xffffffff'44332211);
    expect("what a write across the edge left", edu.get<std::uint32_t>(bar0, 0x9c), 0x44332211);
    expect("into the hidden buffer", edu.read(bar0, buffer - 4, bytes), {16, 0});
    expect("over the region's end", edu.read(bar0, bar0_size - 4, bytes), {4, 0});
    expect("at the region's end", edu.read(bar0, bar0_size, bytes), {-1, EINVAL});
}

void mappings(const device& edu) {
    section("what can be mapped");
    const auto info = edu.region(bar0);
    const std::vector<area> wanted{{0x1000, 0x3f000}, {0x41000, 0xbf000}};
    expect("sparse areas", info.sparse && *info.sparse == wanted, true);
    const auto refused = [&](std::uint64_t offset, std::size_t size) {
        return static_cast<unsigned>(error_of([&] { static_cast<void>(edu.map(bar0, offset, size)); }));
    };
    expect("the registers' page", refused(0, 0x1000), EINVAL);
    expect("the hidden page", refused(buffer, 0x1000), EINVAL);
    expect("across the hidden page", refused(0x3f000, 0x3000), EINVAL);
    expect("the whole BAR", refused(0, bar0_size), EINVAL);
    const mapping first = edu.map(bar0, 0x1000, 0x3f000);
    const mapping second = edu.map(bar0, 0x41000, 0xbf000);
    expect("a mapped dword", first.load<std::uint32_t>(0), edu.get<std::uint32_t>(bar0, 0x1000));
    expect("another", second.load<std::uint32_t>(0), edu.get<std::uint32_t>(bar0, 0x41000));
    const event doorbell;
    expect("an ioeventfd on a trapped BAR",
           static_cast<unsigned>(error_of([&] { edu.ioeventfd(bar0, 0x28, 1, 4, doorbell.get()); })), EINVAL);
}

void interrupts_and_reset(const device& edu) {
    section("an MSI, and a reset");
    const event interrupt;
    edu.set_irqs(msi, 0, std::array{interrupt.get()});
    edu.put<std::uint32_t>(bar0, irq_raise, 0x1);
    expect("MSI", interrupt.wait(2000), 1);
    edu.put<std::uint32_t>(bar0, irq_acknowledge, 0x1);

    edu.put<std::uint32_t>(bar0, 0x34, 0x55);
    expect("EVENTS before the reset", edu.get<std::uint32_t>(bar0, 0x28) & 0x55, 0x55);
    edu.reset();
    expect("EVENTS after the reset", edu.get<std::uint32_t>(bar0, 0x28), 0);
    expect("the DMA block after the reset", edu.get<std::uint64_t>(bar0, 0x80), 0);
    expect("READS after the reset", edu.get<std::uint32_t>(bar0, 0x2c), 0);
    expect("IDENT after the reset", edu.get<std::uint32_t>(bar0, 0x00), 0x01ac00ed);
    edu.put<std::uint32_t>(bar0, irq_raise, 0x1);
    expect("MSI after the reset", interrupt.wait(2000), 1);
    edu.put<std::uint32_t>(bar0, irq_acknowledge, 0x1);
    edu.disable_irqs(msi);
    edu.put<std::uint32_t>(bar0, 0x34, 0xaa);
}

void run(const std::string& module, const std::optional<std::string>& address) {
    if (!address) fail(ENODEV, "no edu device");
    const container space;

    if (!bind(*address, "vfio-pci")) fail(EBUSY, "vfio-pci did not take " + *address);
    observed plain;
    {
        const device edu{space, *address};
        edu.enable();
        plain = observe(edu);
    }
    if (!bind(*address, module)) fail(EBUSY, module + " did not take " + *address);
    {
        const device edu{space, *address};
        edu.enable();
        const observed mediated = observe(edu);
        side_by_side(plain, mediated);
        compare(plain, mediated);
        inside(edu);
        straddling(edu);
        mappings(edu);
        interrupts_and_reset(edu);
    }
    {
        section("opened again, fresh");
        const device edu{space, *address};
        edu.enable();
        expect("EVENTS", edu.get<std::uint32_t>(bar0, 0x28), 0);
        expect("READS", edu.get<std::uint32_t>(bar0, 0x2c), 0);
    }
    unbind(*address);
}

} // namespace

int main(int argc, char** argv) {
    return run_test("mediated edu", [&] {
        run(argc > 1 ? argv[1] : "edu_vfio_pci", argc > 2 ? argv[2] : find_pci(0x1234, 0x11e8));
    });
}
