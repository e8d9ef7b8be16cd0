// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Runs in a guest, on an e1000e and an NVMe disk, with the modules loads_vfio_pci and shaped_vfio_pci made from
/// config/providers.hpp, and shaped_edu_vfio_pci of the tests of conformance. Under the first, each byte of configuration space as a policy loads it against what the user
/// reads from the core; under the second, the card with a config map, and the disk with requests mediated, against what
/// they were before.

#include "expect.hpp"
#include "user_faults.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <sys/mount.h>

namespace {

using namespace mediant::guest;

constexpr std::uint32_t bar0 = VFIO_PCI_BAR0_REGION_INDEX;
constexpr std::uint32_t bar1 = VFIO_PCI_BAR1_REGION_INDEX;
constexpr std::uint32_t bar2 = VFIO_PCI_BAR2_REGION_INDEX;
constexpr std::uint32_t bar3 = VFIO_PCI_BAR3_REGION_INDEX;
constexpr std::uint32_t bar4 = VFIO_PCI_BAR4_REGION_INDEX;
constexpr std::uint32_t bar5 = VFIO_PCI_BAR5_REGION_INDEX;
constexpr std::uint32_t rom = VFIO_PCI_ROM_REGION_INDEX;
constexpr std::uint32_t config = VFIO_PCI_CONFIG_REGION_INDEX;
constexpr std::uint32_t msi = VFIO_PCI_MSI_IRQ_INDEX;
constexpr std::uint32_t msix = VFIO_PCI_MSIX_IRQ_INDEX;
std::size_t config_size = 4096; ///< 256 where the kernel does not reach the rest

void expect_error(const std::string& what, int got, int wanted) {
    expect(what, static_cast<unsigned>(got), static_cast<unsigned>(wanted));
}
constexpr outcome done(std::int64_t count) { return {count, 0}; }
constexpr outcome failed(int error) { return {-1, error}; }

using bytes = std::vector<std::byte>;

bytes all_of(const device& under) {
    bytes out(config_size = static_cast<std::size_t>(under.region(config).size));
    expect("configuration space as a whole", under.read(config, 0, out), done(static_cast<std::int64_t>(config_size)));
    return out;
}
std::uint32_t byte_of(const bytes& all, std::size_t at) { return std::to_integer<std::uint32_t>(all[at]); }

/// What a device is without a policy that changes anything of it.
struct before {
    bytes space;
    std::array<region_info, 9> regions{};
    std::array<irq_info, 5> irqs{};
    vfio_device_info info{};
    std::uint32_t upper = 0; ///< of BAR 0, at 64 KiB
};
before observe(const device& under) {
    before out{all_of(under), {}, {}, under.info(), 0};
    for (std::uint32_t i = 0; i < out.regions.size(); ++i)
        static_cast<void>(error_of([&] { out.regions[i] = under.region(i); }));
    for (std::uint32_t i = 0; i < out.irqs.size(); ++i)
        static_cast<void>(error_of([&] { out.irqs[i] = under.irq(i); }));
    return out;
}

// --- what a policy loads -------------------------------------------------------------------------------

/// Through the registers of config/providers.hpp.
class policy {
public:
    policy(const device& under, std::uint64_t base) : under_{under}, base_{base} {}

    [[nodiscard]] std::uint32_t load(std::uint32_t offset, std::uint32_t width) const {
        under_.put<std::uint32_t>(bar0, base_, offset);
        under_.put<std::uint32_t>(bar0, base_ + 4, width);
        return under_.get<std::uint32_t>(bar0, base_ + 8);
    }
    outcome load_fails(std::uint32_t offset) const {
        under_.put<std::uint32_t>(bar0, base_, offset);
        std::array<std::byte, 4> to{};
        return under_.read(bar0, base_ + 8, to);
    }
    outcome store(std::uint32_t offset, std::uint32_t value) const {
        under_.put<std::uint32_t>(bar0, base_, offset);
        return under_.write(bar0, base_ + 12, std::as_bytes(std::span{&value, 1}));
    }

private:
    const device& under_;
    std::uint64_t base_;
};

void same_loads(const char* when, const device& under, std::uint64_t base) {
    const policy inside{under, base};
    // Before the user has read anything: the core changes what it keeps of a BAR when it is read.
    std::vector<std::uint32_t> first;
    for (std::uint32_t at = 0; at < config_size; at += 4) first.push_back(inside.load(at, 4));
    std::size_t different = 0;
    const auto check = [&](std::uint32_t at, std::uint32_t width, std::uint32_t got, std::uint32_t wanted) {
        if (got == wanted) return;
        if (++different <= 8)
            std::printf("  %u bytes at 0x%x: the policy loads 0x%x, the user reads 0x%x\n", width, at, got, wanted);
    };
    for (std::uint32_t at = 0; at < config_size; at += 4) check(at, 4, first[at / 4], under.get<std::uint32_t>(config, at));
    for (std::uint32_t at = 0; at < config_size; at += 2) check(at, 2, inside.load(at, 2), under.get<std::uint16_t>(config, at));
    for (std::uint32_t at = 0; at < config_size; ++at) check(at, 1, inside.load(at, 1), under.get<std::uint8_t>(config, at));
    expect(std::string{"loads that are not what the user reads, "} + when, different, 0);
}

void loads(const device& under, std::uint64_t base) {
    section("configuration space as a policy loads it");
    same_loads("at open", under, base);

    // All that the core keeps to itself.
    for (std::uint32_t n = 0; n < 6; ++n) under.put<std::uint32_t>(config, PCI_BASE_ADDRESS_0 + 4 * n, 0xffffffff);
    under.put<std::uint32_t>(config, PCI_ROM_ADDRESS, 0xffffffff);
    under.put<std::uint16_t>(config, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
    under.put<std::uint8_t>(config, PCI_INTERRUPT_LINE, 0x5a);
    under.put<std::uint8_t>(config, PCI_CACHE_LINE_SIZE, 0x10);
    if (const std::uint8_t at = under.capability(PCI_CAP_ID_MSI); at != 0)
        for (std::uint32_t i = 2; i < 14; i += 2) under.put<std::uint16_t>(config, at + i, std::uint16_t{0xfefe});
    if (const std::uint8_t at = under.capability(PCI_CAP_ID_PM); at != 0)
        under.put<std::uint16_t>(config, at + std::uint64_t{PCI_PM_CTRL}, PCI_PM_CTRL_PME_ENABLE | PCI_PM_CTRL_PME_STATUS);
    if (const std::uint8_t at = under.capability(PCI_CAP_ID_EXP); at != 0) {
        const auto control = under.get<std::uint16_t>(config, at + std::uint64_t{PCI_EXP_DEVCTL});
        under.put<std::uint16_t>(config, at + std::uint64_t{PCI_EXP_DEVCTL},
                                 static_cast<std::uint16_t>(control ^ (PCI_EXP_DEVCTL_PAYLOAD | 0x1001)));
    }
    same_loads("after writes", under, base);

    // The core turns INTx off in the device, and not in what the user sees.
    under.put<std::uint16_t>(config, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    const event interrupt;
    const std::array<int, 1> events{interrupt.get()};
    under.set_irqs(VFIO_PCI_INTX_IRQ_INDEX, 0, events);
    under.set_irqs(VFIO_PCI_INTX_IRQ_INDEX, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_MASK, 0, 1, {});
    same_loads("with INTx masked", under, base);
    under.disable_irqs(VFIO_PCI_INTX_IRQ_INDEX);

    const policy inside{under, base};
    expect("a load past the end", inside.load_fails(static_cast<std::uint32_t>(config_size)), failed(EINVAL));
    expect("an unaligned load", inside.load_fails(0x41), done(4)); // in natural parts
    expect("a store of COMMAND", inside.store(PCI_COMMAND, 0), failed(EPERM));
    expect("of an ID", inside.store(PCI_VENDOR_ID, 0), failed(EPERM));
    expect("of a BAR", inside.store(PCI_BASE_ADDRESS_0, 0), done(4));
    expect("which the user sees", under.get<std::uint32_t>(config, PCI_BASE_ADDRESS_0) & ~0xfu, 0);
    expect("of bytes that are nobody's", inside.store(0xfc, 0), done(4));
}

// --- a config map ----------------------------------------------------------------------------------------

/// Memory whose first page is there, and whose second is not.
class half {
public:
    half() : pages_{0x2000} {
        if (::mprotect(edge(), 0x1000, PROT_NONE) != 0) fail(errno, "mprotect");
    }
    /// The last `count` bytes before the edge, and what lies behind it.
    [[nodiscard]] std::span<std::byte> last(std::size_t count, std::size_t size) const { return {edge() - count, size}; }

private:
    [[nodiscard]] std::byte* edge() const { return pages_.bytes().data() + 0x1000; }
    mapping pages_;
};

void overlays(const device& nic, const before& was) {
    section("bytes that are overlaid");
    const std::uint8_t express = nic.capability(PCI_CAP_ID_EXP);
    expect("the capability of PCI Express", express != 0, true);
    const bytes now = all_of(nic);
    bytes wanted = was.space;
    const auto put = [&wanted](std::size_t at, std::initializer_list<unsigned> values) {
        for (const unsigned value : values) wanted[at++] = static_cast<std::byte>(value);
    };
    put(0x02, {0x55, 0x55});
    put(0x08, {0x42});
    put(0x2e, {0x07, 0x00});
    put(0x50, {PCI_CAP_ID_VNDR, 0, 8, 1, 2, 3, 4, 5});
    put(0x60, {0x44, 0x33, 0x22, 0x11});
    put(0x68, {0xaa, 0xbb});
    wanted[express + 7u] &= std::byte{0xef};
    // The card's list: power management, MSI, PCI Express, MSI-X; its extended one: errors, serial number.
    const auto find = [&](unsigned id) {
        std::size_t at = byte_of(was.space, PCI_CAPABILITY_LIST);
        while (at != 0 && byte_of(was.space, at) != id) at = byte_of(was.space, at + 1);
        return at;
    };
    const std::size_t hidden = find(PCI_CAP_ID_MSI);
    expect("the card has MSI", hidden != 0, true);
    std::size_t last = PCI_CAPABILITY_LIST - 1;
    for (std::size_t at = byte_of(was.space, PCI_CAPABILITY_LIST); at != 0; at = byte_of(was.space, at + 1)) {
        if (at == hidden) continue;
        wanted[last + 1] = static_cast<std::byte>(at);
        last = at;
    }
    wanted[last + 1] = std::byte{0x50};
    const std::size_t msi_size = (byte_of(was.space, hidden + 2) & 0x80) != 0 ? 14 : 10;
    std::fill_n(wanted.begin() + static_cast<std::ptrdiff_t>(hidden), msi_size, std::byte{0});
    if (config_size > 0x100) {
        expect("the first extended capability", byte_of(was.space, 0x100) | byte_of(was.space, 0x101) << 8,
               PCI_EXT_CAP_ID_ERR);
        const std::size_t serial = byte_of(was.space, 0x102) >> 4 | byte_of(was.space, 0x103) << 4;
        expect("the second", byte_of(was.space, serial), PCI_EXT_CAP_ID_DSN);
        wanted[0x102] &= std::byte{0x0f};
        wanted[0x103] = std::byte{0};
        std::fill_n(wanted.begin() + static_cast<std::ptrdiff_t>(serial), 12, std::byte{0});
    }
    for (std::size_t i = 0; i < config_size; ++i) {
        if (i == PCI_COMMAND || (i >= PCI_BASE_ADDRESS_0 && i < 0x28) || (i >= 0x30 && i < 0x34)) continue;
        if (now[i] != wanted[i]) expect("byte " + std::to_string(i), byte_of(now, i), byte_of(wanted, i));
    }
    expect("MSI in the list", nic.capability(PCI_CAP_ID_MSI), 0);
    expect("the added one", nic.capability(PCI_CAP_ID_VNDR), 0x50);
    expect("MSI-X stays", nic.capability(PCI_CAP_ID_MSIX) != 0, true);

    for (std::size_t at = 0; at < 0x110 && at + 9 <= config_size; ++at)
        for (std::size_t size = 1; size <= 9; ++size) {
            bytes part(size);
            const outcome got = nic.read(config, at, part);
            if (got == done(static_cast<std::int64_t>(size)) &&
                std::equal(part.begin(), part.end(), now.begin() + static_cast<std::ptrdiff_t>(at)))
                continue;
            expect("a read of " + std::to_string(size) + " bytes at " + std::to_string(at), 0, 1);
        }
}

void kept(const device& nic, const before& was) {
    section("writes that are kept, swallowed and masked");
    const auto dword = [&](std::uint64_t at) { return nic.get<std::uint32_t>(config, at); };
    nic.put<std::uint32_t>(config, 0x60, 0xaabbccdd);
    expect("a shadow, of which the upper byte is read-only", dword(0x60), 0x11bbccdd);
    nic.put<std::uint8_t>(config, 0x61, 0x99);
    expect("one byte of it", dword(0x60), 0x11bb99dd);
    nic.put<std::uint64_t>(config, 0x5c, 0x0102030405060708);
    expect("across its edge", dword(0x60), 0x11020304);
    nic.put<std::uint32_t>(config, 0x50, 0xffffffff);
    nic.put<std::uint32_t>(config, 0x54, 0x12345678);
    expect("an added capability's header, and its length", dword(0x50), 0xffff0009);
    expect("its body", dword(0x54), 0x12345678);
    nic.put<std::uint32_t>(config, 0x68, 0);
    expect("constants", nic.get<std::uint16_t>(config, 0x68), 0xbbaa);
    nic.put<std::uint32_t>(config, 0x00, 0);
    expect("IDs", dword(0x00), 0x55558086);
    const auto line = nic.get<std::uint8_t>(config, PCI_CACHE_LINE_SIZE);
    nic.put<std::uint32_t>(config, PCI_CACHE_LINE_SIZE, static_cast<std::uint8_t>(~line));
    expect("a swallowed write", nic.get<std::uint8_t>(config, PCI_CACHE_LINE_SIZE), line);
    nic.put<std::uint8_t>(config, PCI_INTERRUPT_LINE, 0x77);
    expect("one that passes", nic.get<std::uint8_t>(config, PCI_INTERRUPT_LINE), 0x77);
    // What lies where MSI is hidden does not reach it.
    const auto at = static_cast<std::uint64_t>(
        std::find(was.space.begin() + 0x40, was.space.begin() + 0x100, std::byte{PCI_CAP_ID_MSI}) - was.space.begin());
    nic.put<std::uint16_t>(config, at + 2, 1);
    expect("a hidden capability", dword(at), 0);
}

void bars(const device& nic, const before& was) {
    section("BARs");
    const std::array<std::pair<std::uint32_t, std::uint32_t>, 7> sized{
        {{0x10, 0xffff0000}, {0x14, 0}, {0x1c, 0xffff8000}, {0x20, 0xfffff000}, {0x24, 0xffffffe1}, {0x30, 0}, {0x18, 0xffffffe1}}};
    for (const auto& [at, value] : sized) {
        const auto old = nic.get<std::uint32_t>(config, at);
        nic.put<std::uint32_t>(config, at, 0xffffffff);
        expect("sizing at " + std::to_string(at), nic.get<std::uint32_t>(config, at), value);
        nic.put<std::uint32_t>(config, at, old);
        expect("and back", nic.get<std::uint32_t>(config, at), old);
    }
    nic.put<std::uint32_t>(config, 0x20, 0xfeb10000);
    expect("an address", nic.get<std::uint32_t>(config, 0x20), 0xfeb10000);

    constexpr std::uint32_t rw = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
    const auto region = [&](std::uint32_t index, std::uint64_t size, std::uint32_t flags, const std::vector<area>& areas) {
        const region_info info = nic.region(index);
        expect("size of region " + std::to_string(index), info.size, size);
        expect("its flags", info.flags & ~std::uint32_t{VFIO_REGION_INFO_FLAG_CAPS}, flags);
        expect("its areas", info.sparse.value_or(std::vector<area>{}) == areas, true);
        expect("its place", info.offset, std::uint64_t{index} << 40);
    };
    const std::uint32_t mappable = VFIO_REGION_INFO_FLAG_MMAP | rw;
    expect("the card's BARs", was.regions[bar0].size << 32 | was.regions[bar3].size, 0x20000ull << 32 | 0x4000);
    region(bar0, 0x10000, mappable, {{0, 0x10000}});
    region(bar1, 0, 0, {});
    region(bar3, 0x8000, mappable, {{0, 0x4000}});
    region(bar4, 0x1000, rw, {});
    region(bar5, 32, rw, {});
    region(rom, 0, 0, {});
    region(2, was.regions[2].size, was.regions[2].flags, {});
    region(config, config_size, rw, {});

    std::array<std::byte, 16> some{};
    const std::span<std::byte> four = std::span{some}.first(4);
    expect("the end of a half", nic.read(bar0, 0xfffc, some), done(4));
    expect("behind it", nic.read(bar0, 0x10000, four), failed(EINVAL));
    expect("a write behind it", nic.write(bar0, 0x10000, four), failed(EINVAL));
    expect("a BAR that is hidden", nic.read(bar1, 0, four), failed(EINVAL));
    expect("a ROM that is hidden", nic.read(rom, 0, four), failed(EINVAL));
    expect("a larger BAR", nic.read(bar3, 0x3ff8, some), done(16));
    expect("is ones beyond its end", std::to_integer<unsigned>(some[15]), 0xff);
    expect("and takes writes", nic.write(bar3, 0x7ffc, some), done(4));
    expect("a policy reaches all of a BAR", nic.get<std::uint32_t>(bar4, 0x20), was.upper);
    nic.put<std::uint32_t>(bar4, 0x24, 0xcafe);
    expect("a register of a synthesised BAR", nic.get<std::uint32_t>(bar4, 0x24), 0xcafe);
    expect("past its end", nic.read(bar4, 0xffc, some), done(4));

    const auto maps = [&](std::uint32_t index, std::uint64_t at, std::size_t size) {
        return error_of([&] { static_cast<void>(nic.map(index, at, size)); });
    };
    expect_error("mapping a half", maps(bar0, 0, 0x10000), 0);
    expect_error("mapping over its end", maps(bar0, 0, 0x20000), EINVAL);
    expect_error("mapping behind it", maps(bar0, 0x10000, 0x1000), EINVAL);
    expect_error("mapping what is hidden", maps(bar1, 0, 0x1000), EINVAL);
    expect_error("mapping what is there of a larger BAR", maps(bar3, 0, 0x4000), 0);
    expect_error("mapping what is not", maps(bar3, 0x4000, 0x1000), EINVAL);
    expect_error("mapping a synthesised BAR", maps(bar4, 0, 0x1000), EINVAL);
    const event bell;
    expect_error("an ioeventfd", error_of([&] { nic.ioeventfd(bar0, 0x10000, 1, 4, bell.get()); }), EINVAL);

    section("a BAR of I/O ports");
    nic.put<std::uint16_t>(config, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
    nic.put<std::uint32_t>(bar2, 0, 0x8); // the card's STATUS
    expect("a port with a hook", nic.get<std::uint32_t>(bar2, 0), 0x80000008);
    expect("a part of it", nic.get<std::uint8_t>(bar2, 3), 0x80);
    expect("one that passes", nic.get<std::uint32_t>(bar2, 4), nic.get<std::uint32_t>(bar0, 8));
    std::array<std::uint32_t, 2> both{};
    expect("both at once", nic.read(bar2, 0, std::as_writable_bytes(std::span{both})), done(8));
    expect("the first", both[0], 0x80000008);
    expect("the second", both[1], nic.get<std::uint32_t>(bar0, 8));
    expect("their end", nic.read(bar2, 28, some), done(4));
    expect_error("a mapping of them", maps(bar2, 0, 0x1000), EINVAL);
    nic.put<std::uint16_t>(config, PCI_COMMAND, PCI_COMMAND_IO);
    expect("with memory off", nic.get<std::uint32_t>(bar2, 0), 0x80000008);

    section("COMMAND switches synthesised BARs");
    nic.put<std::uint16_t>(config, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
    nic.put<std::uint32_t>(bar5, 4, 0x1234);
    expect("a port", nic.get<std::uint32_t>(bar5, 4), 0x1234);
    nic.put<std::uint16_t>(config, PCI_COMMAND, PCI_COMMAND_MEMORY);
    expect("with I/O off", nic.read(bar5, 4, four), failed(EIO));
    expect("memory stays", nic.get<std::uint32_t>(bar4, 0x24), 0xcafe);
    nic.put<std::uint16_t>(config, PCI_COMMAND, PCI_COMMAND_IO);
    expect("with memory off", nic.read(bar4, 0x24, four), failed(EIO));
    expect("the port", nic.get<std::uint32_t>(bar5, 4), 0x1234);
    expect("COMMAND", nic.get<std::uint16_t>(config, PCI_COMMAND) & 3u, PCI_COMMAND_IO);
    nic.enable();
}

void mount_once(const char* type, const std::string& at) {
    if (::mount(type, at.c_str(), type, 0, nullptr) != 0 && errno != EBUSY) fail(errno, std::string{"mount "} + type);
}
std::string text_of(const std::string& path) {
    std::ifstream in{path};
    return {std::istreambuf_iterator<char>{in}, {}};
}

/// What the module's events say while something is done.
template <class F>
std::string traced(const F& what) {
    const std::string tracing = "/sys/kernel/tracing";
    mount_once("tracefs", tracing);
    write_attribute(tracing + "/events/shaped_vfio_pci/enable", "1");
    what();
    write_attribute(tracing + "/events/shaped_vfio_pci/enable", "0");
    return text_of(tracing + "/trace");
}
void holds(const std::string& seen, std::initializer_list<const char*> lines) {
    for (const std::string line : lines) {
        expect("\"" + line + "\" in what follows", seen.find(line) != seen.npos, true);
        if (seen.find(line) == seen.npos) std::printf("%s", seen.c_str());
    }
}

void observed(const device& nic, const std::string& address) {
    section("writes that are observed");
    const auto told = [&] { return nic.get<std::uint32_t>(bar4, 0x08); };
    const auto last = [&](const char* what, std::uint32_t value, std::uint32_t lanes) {
        expect(what, nic.get<std::uint32_t>(bar4, 0x00), value);
        expect("its lanes", nic.get<std::uint32_t>(bar4, 0x04), lanes);
    };
    const std::uint32_t count = told();
    nic.put<std::uint16_t>(config, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
    last("COMMAND", 0x0406, 0xffff);
    nic.put<std::uint8_t>(config, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
    last("one byte of it", 0x0003, 0x00ff);
    nic.put<std::uint64_t>(config, 0x00, 0x0000'0006'0000'0000);
    last("COMMAND among others", 0x0006, 0xffff);
    expect("told", told() - count, 3);

    const auto raw = [&](const char* what, std::uint64_t value, std::uint64_t lanes) {
        expect(what, nic.get<std::uint64_t>(bar4, 0x10), value);
        expect("its lanes", nic.get<std::uint64_t>(bar4, 0x18), lanes);
    };
    nic.put<std::uint64_t>(config, 0x78, 0x1122334455667788);
    raw("bytes that are nobody's", 0x1122334455667788, ~std::uint64_t{0});
    expect("told at once", told() - count, 4);
    holds(traced([&] { nic.put<std::uint64_t>(config, 0x78, 0x8877665544332211); }),
          {"region=7 offset=0x78 count=4 write passed value=0x44332211 result=4",
           "region=7 offset=0x7c count=4 write passed value=0x88776655 result=4"});
    expect("told", told() - count, 5);
    std::array<std::byte, 7> odd{};
    std::fill(odd.begin(), odd.end(), std::byte{0x5a});
    expect("an odd part of them", nic.write(config, 0x79, odd), done(7));
    raw("the part", 0x5a5a5a5a5a5a5a00, 0xffffffffffffff00);
    expect("what only reads tells nobody", told() - count, 6);
    const std::uint64_t refused = 0xdead;
    mount_once("debugfs", "/sys/kernel/debug");
    holds(text_of("/sys/kernel/debug/shaped_vfio_pci/" + address),
          {"configuration space: 0x1000 bytes\n  answered 0x2-0x4\n  answered 0x6-0x6\n  answered 0x8-0x8\n",
           "\n  answered 0x60-0x63\n", "\n  kept 0x60-0x63\n", "\n  kept 0x68-0x69\n", "\n  observed 0x78-0x7f\n"});
    expect("what the policy refuses", nic.write(config, 0x78, std::as_bytes(std::span{&refused, 1})), failed(EACCES));
    nic.enable();
}

void interrupts(const device& nic, const before& was) {
    section("interrupts of a hidden capability");
    expect("the card has MSI", was.irqs[msi].count != 0, true);
    expect("vectors of MSI", nic.irq(msi).count, 0);
    expect("its flags", nic.irq(msi).flags, 0);
    expect("vectors of MSI-X", nic.irq(msix).count, was.irqs[msix].count);
    expect("its flags", nic.irq(msix).flags, was.irqs[msix].flags);
    expect("of INTx", nic.irq(0).count, was.irqs[0].count);
    const event one;
    const std::array<int, 1> events{one.get()};
    expect_error("setting MSI", error_of([&] { nic.set_irqs(msi, 0, events); }), EINVAL);
    expect_error("setting MSI-X", error_of([&] { nic.set_irqs(msix, 0, events); }), 0);
    nic.disable_irqs(msix);
}

/// The index of an argument changes between two readings of it: when the argument's first word is read, which whoever
/// reads the index alone does not.
void changing_index(const device& nic) {
    section("an index that changes while it is read");
    if (!has_user_faults()) {
        std::printf("this kernel has no userfaultfd: not shown\n");
        return;
    }
    const event one;
    const mapping memory{2 * late_page::size};
    std::byte* const at = memory.bytes().data() + late_page::size - offsetof(vfio_irq_set, index);
    const auto index_becomes = [&](std::uint32_t index) {
        std::memcpy(memory.bytes().data() + late_page::size, &index, sizeof index);
    };
    vfio_irq_set head{};
    head.argsz = sizeof head + sizeof(int);
    head.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
    head.index = msix;
    head.count = 1;
    const int fd = one.get();
    std::memcpy(at, &head, sizeof head);
    std::memcpy(at + sizeof head, &fd, sizeof fd);
    const std::vector<std::byte> first(memory.bytes().begin(), memory.bytes().begin() + late_page::size);
    {
        const late_page late{memory.bytes().data(), first, [&] { index_becomes(msi); }};
        expect_error("setting what has become MSI", nic.raw_ioctl(VFIO_DEVICE_SET_IRQS, at), EINVAL);
    }
    expect_error("MSI is not set", error_of([&] { nic.trigger_irq(msi, 0); }), EINVAL);
    expect("nothing was", one.wait(0), 0);
}

void edges(const device& nic) {
    section("edges of configuration space, and buffers that fault");
    std::array<std::byte, 8> some{};
    for (const std::uint64_t at : {std::uint64_t{config_size} - 3, std::uint64_t{config_size}, std::uint64_t{0x2000}}) {
        expect("a read at the end", nic.read(config, at, some), failed(EFAULT));
        expect("a write at the end", nic.write(config, at, some), failed(EFAULT));
    }
    const half memory;
    for (const std::uint64_t at : {0x60ull, 0x5cull, 0x02ull, 0x78ull, 0x80ull})
        for (std::size_t good = 0; good <= 8; ++good) {
            const std::span<std::byte> part = memory.last(good, 8);
            const std::string name = std::to_string(good) + " good bytes at " + std::to_string(at);
            const outcome read = nic.read(config, at, part);
            const outcome written = nic.write(config, at, part);
            if (good == 0) {
                expect("a read of " + name, read, failed(EFAULT));
                expect("a write of " + name, written, failed(EFAULT));
            } else if (good == 8) {
                expect("a read of " + name, read, done(8));
            } else {
                expect("a read of " + name, read.count <= static_cast<std::int64_t>(good), true);
                expect("a write of " + name, written.count <= static_cast<std::int64_t>(good), true);
            }
        }
    // A dword of which the last byte is missing is not written in part.
    nic.put<std::uint32_t>(config, 0x60, 0);
    std::fill_n(memory.last(3, 3).data(), 3, std::byte{0xee});
    expect("a shadow's write that faults", nic.write(config, 0x60, memory.last(3, 4)), failed(EFAULT));
    expect("leaves it", nic.get<std::uint32_t>(config, 0x60), 0x11000000);
}

void resets(const device& nic) {
    section("a reset");
    nic.put<std::uint16_t>(config, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
    nic.put<std::uint32_t>(config, 0x60, 0x123456);
    nic.put<std::uint32_t>(config, 0x54, 0);
    nic.reset();
    nic.enable();
    expect("a shadow", nic.get<std::uint32_t>(config, 0x60), 0x11223344);
    expect("an added capability", nic.get<std::uint32_t>(config, 0x54), 0x05040302);
    std::array<std::byte, 4> some{};
    expect("a synthesised I/O BAR is off", nic.read(bar5, 4, some), failed(EIO));
}

/// Suspended until somebody asks for the device. What is only the policy's is asked of the device, too: the kernel ends
/// the state and says so.
void low_power(const device& nic, const std::string& address) {
    section("low power, and what ends it");
    const event woken;
    const auto status = [&] {
        std::string out;
        std::ifstream{sysfs(address) / "power/runtime_status"} >> out;
        return out;
    };
    const auto wakes = [&](const char* what, const auto& access) {
        constexpr std::uint32_t with_wakeup = VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY_WITH_WAKEUP;
        std::array<std::uint32_t, 4> enter{16, VFIO_DEVICE_FEATURE_SET | with_wakeup,
                                           static_cast<std::uint32_t>(woken.get()), 0};
        expect_error("low power", nic.raw_ioctl(VFIO_DEVICE_FEATURE, enter.data()), 0);
        for (int tries = 0; status() != "suspended" && tries < 200; ++tries) ::usleep(50'000);
        expect(std::string{"the card before "} + what, status(), std::string{"suspended"});
        access();
        expect(std::string{"signals after "} + what, woken.wait(5000), 1);
        expect(std::string{"the card after "} + what, status(), std::string{"active"});
    };
    wakes("a read of a shadow", [&] { static_cast<void>(nic.get<std::uint32_t>(config, 0x60)); });
    wakes("a write of one", [&] { nic.put<std::uint32_t>(config, 0x60, 0); });
    nic.enable();
    wakes("a read of a BAR's", [&] { static_cast<void>(nic.get<std::uint32_t>(bar4, 0x24)); });
}

// --- requests ----------------------------------------------------------------------------------------------

void requests(const device& disk, const before& was) {
    section("requests that a policy mediates");
    constexpr std::uint64_t kept_at = 0xf00;
    constexpr std::uint64_t resets_at = 0xf04;
    const vfio_device_info info = disk.info();
    expect("the disk can be reset", was.info.flags & VFIO_DEVICE_FLAGS_RESET, VFIO_DEVICE_FLAGS_RESET);
    expect("flags", info.flags, was.info.flags & ~std::uint32_t{VFIO_DEVICE_FLAGS_RESET});
    expect("regions", info.num_regions, was.info.num_regions);
    expect("interrupts", info.num_irqs, was.info.num_irqs);

    const region_info first = disk.region(bar0);
    expect("the disk's BAR 0", was.regions[bar0].size, 0x4000);
    expect("can be mapped", was.regions[bar0].flags & VFIO_REGION_INFO_FLAG_MMAP, VFIO_REGION_INFO_FLAG_MMAP);
    expect("is smaller", first.size, 0x2000);
    expect("and cannot be mapped", first.flags & VFIO_REGION_INFO_FLAG_MMAP, 0);
    expect_error("nor is it", error_of([&] { static_cast<void>(disk.map(bar0, 0x1000, 0x1000)); }), EINVAL);
    std::array<std::byte, 16> some{};
    expect("its end", disk.read(bar0, 0x1ff8, some), done(8));
    expect("behind it", disk.read(bar0, 0x2000, some), failed(EINVAL));
    for (std::uint32_t i = 1; i < was.regions.size(); ++i) {
        region_info other{};
        const int error = error_of([&] { other = disk.region(i); });
        expect("size of region " + std::to_string(i), other.size, i == config ? 256 : was.regions[i].size);
        expect("its flags", other.flags, was.regions[i].flags);
        expect_error("its error", error, i == VFIO_PCI_VGA_REGION_INDEX ? EINVAL : 0);
    }
    // Of configuration space, too, there is no more than the user is told.
    const std::span<std::byte> four = std::span{some}.first(4);
    expect("the last dword of conventional space", disk.read(config, 0xfc, four), done(4));
    for (const std::uint64_t at : {0xfdull, 0x100ull, 0xffcull}) {
        expect("a read behind it", disk.read(config, at, four), failed(EFAULT));
        expect("a write behind it", disk.write(config, at, four), failed(EFAULT));
    }
    expect("a read over it", disk.read(config, 0xf8, some), failed(EFAULT));
    for (std::uint32_t i = 0; i < was.irqs.size(); ++i) {
        const irq_info irq = disk.irq(i);
        expect("vectors of " + std::to_string(i), irq.count, i == msix ? 2 : was.irqs[i].count);
        expect("its flags", irq.flags, was.irqs[i].flags);
    }

    vfio_irq_info irq{};
    irq.argsz = sizeof irq - 1;
    expect_error("a struct that is too small", disk.raw_ioctl(VFIO_DEVICE_GET_IRQ_INFO, &irq), EINVAL);
    irq.argsz = sizeof irq;
    irq.index = 5;
    expect_error("an interrupt that is not there", disk.raw_ioctl(VFIO_DEVICE_GET_IRQ_INFO, &irq), EINVAL);
    vfio_region_info region{};
    region.argsz = sizeof region - 1;
    expect_error("likewise of regions", disk.raw_ioctl(VFIO_DEVICE_GET_REGION_INFO, &region), EINVAL);
    vfio_device_info small{};
    small.argsz = 4;
    expect_error("and of the device", disk.raw_ioctl(VFIO_DEVICE_GET_INFO, &small), EINVAL);
    for (const unsigned long request : {static_cast<unsigned long>(VFIO_DEVICE_GET_INFO),
                                        static_cast<unsigned long>(VFIO_DEVICE_GET_REGION_INFO),
                                        static_cast<unsigned long>(VFIO_DEVICE_GET_IRQ_INFO)})
        expect_error("a bad pointer", disk.raw_ioctl(request, static_cast<void*>(nullptr)), EFAULT);
    expect_error("a request that nobody knows", disk.raw_ioctl(VFIO_DEVICE_GET_INFO + 200, static_cast<void*>(nullptr)),
                 ENOTTY);

    const auto kept_value = [&] { return disk.get<std::uint32_t>(bar0, kept_at); };
    const auto count = [&] { return disk.get<std::uint32_t>(bar0, resets_at); };
    disk.put<std::uint32_t>(bar0, kept_at, 0x99);
    expect_error("a reset by the device", error_of([&] { disk.reset(); }), 0);
    disk.enable();
    expect("KEPT", kept_value(), 7);
    expect("resets", count(), 1);
    disk.put<std::uint32_t>(bar0, kept_at, 0x99);
    expect_error("one that is refused", error_of([&] { disk.reset(); }), EBUSY);
    expect("KEPT", kept_value(), 0x99);
    expect("resets", count(), 1);
    expect_error("one that needs no device", error_of([&] { disk.reset(); }), 0);
    expect("KEPT", kept_value(), 7);
    expect("resets", count(), 2);
}

/// What the kernel says of each interrupt of a device that is not of PCI Express: newer kernels have the one of errors
/// for these, too.
std::vector<std::array<std::uint32_t, 3>> irqs_of(const container& space, const std::string& address,
                                                  const std::string& driver) {
    if (!mediant::guest::bind(address, driver)) fail(EBUSY, driver + " did not take " + address);
    std::vector<std::array<std::uint32_t, 3>> out;
    {
        const device opened{space, address};
        for (std::uint32_t index = 0; index <= VFIO_PCI_NUM_IRQS; ++index) {
            irq_info info{};
            const int error = error_of([&] { info = opened.irq(index); });
            out.push_back({static_cast<std::uint32_t>(error), info.flags, info.count});
        }
    }
    unbind(address);
    return out;
}

void irqs_of_a_conventional_device(const container& space, const std::string& edu) {
    section("interrupts of a conventional device");
    const auto plain = irqs_of(space, edu, "vfio-pci");
    const auto mediated = irqs_of(space, edu, "shaped_edu_vfio_pci");
    for (std::uint32_t index = 0; index < plain.size(); ++index) {
        const bool hidden = index == msi;
        const std::string name = std::to_string(index);
        expect_error("the errno of " + name, static_cast<int>(mediated[index][0]), static_cast<int>(plain[index][0]));
        expect("flags of " + name, mediated[index][1], hidden ? 0 : plain[index][1]);
        expect("vectors of " + name, mediated[index][2], hidden ? 0 : plain[index][2]);
    }
}

void run() {
    const auto nic = find_pci(0x8086, 0x10d3);
    const auto disk = find_pci(0x1b36, 0x0010);
    if (!nic || !disk) fail(ENODEV, "an e1000e and an nvme device");
    const container space;
    const auto with = [&](const std::string& address, const std::string& driver, const auto& test) {
        if (!mediant::guest::bind(address, driver)) fail(EBUSY, driver + " did not take " + address);
        {
            const device opened{space, address};
            opened.enable();
            test(opened);
        }
        unbind(address);
    };

    section("a device that driver_override offers, and that no rule lists");
    const auto edu = find_pci(0x1234, 0x11e8);
    if (!edu) fail(ENODEV, "an edu device");
    expect("a variant takes it", mediant::guest::bind(*edu, "shaped_vfio_pci"), false);
    expect("its driver", driver_of(*edu), std::string{});
    irqs_of_a_conventional_device(space, *edu);
    expect("one that lists it does", mediant::guest::bind(*nic, "shaped_vfio_pci"), true);
    unbind(*nic);

    before card, drive;
    with(*nic, "loads_vfio_pci", [&](const device& opened) {
        card = observe(opened);
        card.upper = opened.get<std::uint32_t>(bar0, 0x10000);
    });
    with(*disk, "loads_vfio_pci", [&](const device& opened) { drive = observe(opened); });
    with(*nic, "loads_vfio_pci", [](const device& opened) { loads(opened, 0x1f000); });
    with(*disk, "loads_vfio_pci", [](const device& opened) { loads(opened, 0xf00); });
    with(*nic, "shaped_vfio_pci", [&](const device& opened) {
        overlays(opened, card);
        kept(opened, card);
        bars(opened, card);
        observed(opened, *nic);
        interrupts(opened, card);
        changing_index(opened);
        edges(opened);
        resets(opened);
        low_power(opened, *nic);
    });
    with(*disk, "shaped_vfio_pci", [&](const device& opened) { requests(opened, drive); });
}

} // namespace

int main() {
    return run_test("config", [] { run(); });
}
