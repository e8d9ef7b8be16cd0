// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Runs in a guest: what a user can do wrong or at a bad time, under the driver that is named and the providers of
/// acme::edu, an e1000e and an NVMe disk. Buffers that fault at each byte, arguments that make no sense, offsets at and
/// past each edge, memory turned off, the device asleep, and resets of every kind, also under a storm of accesses.
///
///   edges DRIVER

#include "expect.hpp"

#include <array>
#include <atomic>
#include <cinttypes>
#include <cstdio>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace mediant::guest;

constexpr std::uint32_t bar0 = VFIO_PCI_BAR0_REGION_INDEX;
constexpr std::uint32_t config = VFIO_PCI_CONFIG_REGION_INDEX;
constexpr std::uint64_t edu_size = 0x100000;
constexpr std::uint64_t dma = 0x80; // a block of 0x20 bytes that exists only in the policy
constexpr std::uint64_t nic_mark = 0x1f000;
constexpr std::uint32_t nic_mediated = 0x6e696331;
constexpr std::uint64_t scratch = 0xf00;
constexpr std::uint32_t scratch_reset = 0x5c4a7c11;

void expect_error(const std::string& what, int got, int wanted) {
    expect(what, static_cast<unsigned>(got), static_cast<unsigned>(wanted));
}

constexpr outcome done(std::int64_t count) { return {count, 0}; }
constexpr outcome failed(int error) { return {-1, error}; }

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

void faults(const device& edu) {
    section("buffers that fault at each byte");
    const half memory;
    for (std::uint64_t start = 0; start < 8; ++start) {
        for (std::size_t good = 0; good <= 16; ++good) {
            const std::string where = " of 16 bytes at " + std::to_string(start) + ", " + std::to_string(good) + " good";
            for (std::uint64_t i = 0; i < 0x20; ++i) edu.put<std::uint8_t>(bar0, dma + i, 0xee);
            const auto buffer = memory.last(good, 16);
            for (std::size_t i = 0; i < good; ++i) buffer[i] = static_cast<std::byte>(i + 1);

            // What was written ends where a register may end, and nothing else was touched.
            const std::uint64_t end = good == 16 ? start + 16 : (start + good) / 8 * 8;
            const std::uint64_t taken = end > start ? end - start : 0;
            expect("a write" + where, edu.write(bar0, dma + start, buffer),
                   taken != 0 ? done(static_cast<std::int64_t>(taken)) : failed(EFAULT));
            bool right = true;
            for (std::uint64_t i = 0; i < 0x20; ++i) {
                const std::uint64_t wanted = i >= start && i < start + taken ? i - start + 1 : 0xee;
                right = right && edu.get<std::uint8_t>(bar0, dma + i) == wanted;
            }
            expect("what it left" + where, right, true);
            expect("a read" + where, edu.read(bar0, dma + start, buffer),
                   good != 0 ? done(static_cast<std::int64_t>(good)) : failed(EFAULT));
        }
    }
    const mapping constant{0x1000, -1, 0, PROT_READ};
    expect("a read into memory that cannot be written", edu.read(bar0, dma, constant.bytes().first(8)), failed(EFAULT));
    expect("a write from it", edu.write(bar0, dma, constant.bytes().first(8)), done(8));
}

void arguments(const device& edu) {
    section("arguments that make no sense");
    std::array<std::byte, 256> buffer{};
    const auto region_info = [&](std::uint32_t argsz, std::uint32_t index) {
        buffer.fill(std::byte{0xee});
        const std::array<std::uint32_t, 3> head{argsz, 0, index};
        std::memcpy(buffer.data(), head.data(), sizeof head);
        return edu.raw_ioctl(VFIO_DEVICE_GET_REGION_INFO, buffer.data());
    };
    const auto dword = [&](std::size_t at) {
        std::uint32_t value = 0;
        std::memcpy(&value, buffer.data() + at, sizeof value);
        return value;
    };
    for (std::uint32_t size = 0; size < sizeof(vfio_region_info); ++size)
        expect_error("region info of " + std::to_string(size) + " bytes", region_info(size, bar0), EINVAL);
    expect_error("region info without room for capabilities", region_info(sizeof(vfio_region_info), bar0), 0);
    expect("the size that it needs", dword(0) > sizeof(vfio_region_info), true);
    expect("no capability is promised", dword(12), 0);
    expect("nothing behind it is written", dword(sizeof(vfio_region_info)), 0xeeeeeeee);
    for (const std::uint32_t index : {static_cast<std::uint32_t>(VFIO_PCI_NUM_REGIONS), 0x7fffffffu, 0xffffffffu})
        expect_error("region info of a region that is not there", region_info(256, index), EINVAL);
    expect_error("region info nowhere", edu.raw_ioctl(VFIO_DEVICE_GET_REGION_INFO, static_cast<void*>(nullptr)), EFAULT);
    {
        const half memory; // the structure is there, the capabilities' room is not
        const auto part = memory.last(sizeof(vfio_region_info), 256);
        const std::array<std::uint32_t, 3> head{256, 0, bar0};
        std::memcpy(part.data(), head.data(), sizeof head);
        expect_error("region info with room that faults", edu.raw_ioctl(VFIO_DEVICE_GET_REGION_INFO, part.data()), EFAULT);
    }
    expect_error("an unknown ioctl", edu.raw_ioctl(_IO(VFIO_TYPE, VFIO_BASE + 77), static_cast<void*>(nullptr)), ENOTTY);
    const event signal;
    for (const std::uint64_t offset : {std::uint64_t{0x00}, std::uint64_t{0x04}, dma, edu_size - 4, edu_size})
        expect_error("an ioeventfd at " + std::to_string(offset),
                     error_of([&] { edu.ioeventfd(bar0, offset, 1, 4, signal.get()); }), EINVAL);
}

void offsets(const device& edu) {
    section("offsets and counts at each edge");
    std::array<std::byte, 16> small{};
    const mapping large{edu_size};
    const std::uint64_t base = edu.region(bar0).offset;
    for (std::uint64_t back = 1; back <= 9; ++back) {
        const auto count = static_cast<std::int64_t>(back);
        expect("a read that begins before the end", edu.read(bar0, edu_size - back, small), done(count < 16 ? count : 16));
        expect("a write that begins before the end", edu.write(bar0, edu_size - back, small), done(count < 16 ? count : 16));
    }
    for (const std::uint64_t past : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{1} << 32, (std::uint64_t{1} << 40) - edu_size - 1}) {
        expect("a read past the end", edu.read(bar0, edu_size + past, small), failed(EINVAL));
        expect("a write past the end", edu.write(bar0, edu_size + past, small), failed(EINVAL));
    }
    expect("nothing", edu.read(bar0, 0, {}), done(0));
    expect("nothing, past the end", edu.read(bar0, edu_size + 7, {}), done(0));
    expect("a region that is not there", edu.raw_read(std::uint64_t{77} << 40, small.data(), 4), failed(EINVAL));
    expect("a position below zero", edu.raw_read(~std::uint64_t{0}, small.data(), 4), failed(EINVAL));
    // All of the BAR at once: registers, a hidden page and 1 MiB of the device, in one call.
    expect("a read of the whole BAR", edu.raw_read(base, large.data(), large.size()), done(edu_size));
    expect("its first register", *static_cast<const std::uint32_t*>(large.data()), 0x01ac00ed);
    expect("a count beyond everything", edu.raw_read(base + edu_size - 8, large.data(), 0x7ffff000), done(8));
}

void memory_off(const device& edu) {
    section("memory turned off in COMMAND");
    std::array<std::byte, 8> bytes{};
    edu.put<std::uint32_t>(bar0, dma + 0x1c, 0x11223344);
    edu.put<std::uint16_t>(config, PCI_COMMAND, 0);
    expect("a register that asks the device", edu.read(bar0, 0x00, std::span{bytes}.first(4)), failed(EIO));
    expect("one that passes", edu.read(bar0, 0x04, std::span{bytes}.first(4)), failed(EIO));
    expect("a write of one that passes", edu.write(bar0, 0x04, std::span{bytes}.first(4)), failed(EIO));
    expect("one that exists only in the policy", edu.get<std::uint32_t>(bar0, dma + 0x1c), 0x11223344);
    expect("across the edge to one that passes", edu.read(bar0, dma + 0x1c, bytes), done(4));
    edu.enable();
    expect("IDENT when it is on again", edu.get<std::uint32_t>(bar0, 0x00), 0x01ac00ed);
}

void asleep(const device& nic) {
    section("D3hot, and back");
    std::array<std::byte, 4> bytes{};
    const std::uint8_t power = nic.capability(PCI_CAP_ID_PM);
    expect("the card can sleep", power != 0, true);
    const auto status = nic.read(bar0, 0x8, bytes);
    expect("STATUS of the card", status, done(4));
    const auto control = nic.get<std::uint16_t>(config, power + std::uint64_t{PCI_PM_CTRL});
    const auto state = [&](unsigned wanted) {
        nic.put<std::uint16_t>(config, power + std::uint64_t{PCI_PM_CTRL},
                               static_cast<std::uint16_t>((control & ~PCI_PM_CTRL_STATE_MASK) | wanted));
    };
    state(3);
    expect("what passes", nic.read(bar0, 0x8, bytes), failed(EIO));
    expect("what is the policy's", nic.get<std::uint32_t>(bar0, nic_mark), nic_mediated);
    state(0);
    nic.enable();
    expect("what passes, awake", nic.read(bar0, 0x8, bytes), done(4));
}

/// A function-level reset, asked for in configuration space.
void flr(const device& disk) {
    const std::uint8_t express = disk.capability(PCI_CAP_ID_EXP);
    if (express == 0) fail(ENODEV, "no PCI Express capability");
    if ((disk.get<std::uint32_t>(config, express + std::uint64_t{PCI_EXP_DEVCAP}) & PCI_EXP_DEVCAP_FLR) == 0)
        fail(ENODEV, "no function-level reset");
    const auto control = disk.get<std::uint16_t>(config, express + std::uint64_t{PCI_EXP_DEVCTL});
    disk.put<std::uint16_t>(config, express + std::uint64_t{PCI_EXP_DEVCTL},
                            static_cast<std::uint16_t>(control | PCI_EXP_DEVCTL_BCR_FLR));
}

/// A register that exists only in the policy, and what a reset makes of it.
struct kept {
    std::uint64_t offset;
    std::uint32_t reset;
};
using reset_kinds = std::vector<std::pair<const char*, std::function<void()>>>;

void resets(const device& under, const kept& reg, const reset_kinds& kinds) {
    section("resets of every kind, and a storm of accesses meanwhile");
    const auto each_kind = [&] {
        for (const auto& [name, reset] : kinds) {
            under.enable();
            under.put<std::uint32_t>(bar0, reg.offset, 0xbadbad);
            expect(std::string{"the register before "} + name, under.get<std::uint32_t>(bar0, reg.offset), 0xbadbad);
            expect_error(name, error_of(reset), 0);
            expect(std::string{"the register after "} + name, under.get<std::uint32_t>(bar0, reg.offset), reg.reset);
        }
    };
    each_kind();

    // vfio-pci before 7.2 maps a BAR at the first access that passes, and of two that are the first at once one is
    // answered EBUSY.
    std::array<std::byte, 16> first{};
    expect("a first access that passes", under.read(bar0, reg.offset - 8, first).count > 0, true);

    std::atomic<bool> stopped{false};
    std::atomic<long> wrong{0}, accesses{0};
    std::array<std::thread, 3> storm;
    for (std::uint32_t id = 0; id < storm.size(); ++id)
        storm[id] = std::thread{[&, id] {
            std::array<std::byte, 16> across{};
            while (!stopped) {
                std::uint32_t value = 0;
                const auto bytes = std::as_writable_bytes(std::span{&value, 1});
                if (under.read(bar0, reg.offset, bytes).count != 4 || (value != reg.reset && value >> 8 != 0x77)) ++wrong;
                value = 0x7700 | id;
                if (under.write(bar0, reg.offset, bytes).count != 4) ++wrong;
                // What passes may find memory off; then the part before it counts.
                const outcome read = under.read(bar0, reg.offset - 8, across);
                if (read.count <= 0 && read.error != EIO) ++wrong;
                accesses += 3;
            }
        }};
    for (int round = 0; round < 2; ++round)
        for (const auto& [name, reset] : kinds) {
            const int error = error_of(reset);
            // Plain vfio-pci gives up on a hot reset that meets accesses.
            expect(std::string{name} + " in a storm", error == 0 || error == EAGAIN || error == EBUSY, true);
        }
    stopped = true;
    for (std::thread& each : storm) each.join();
    std::printf("edges: %ld accesses during %zu resets\n", accesses.load(), 2 * kinds.size());
    expect("accesses that no order of resets explains", static_cast<std::uint64_t>(wrong.load()), 0);
    expect("accesses", accesses > 100, true);
    each_kind();
}

void run(const std::string& driver) {
    const auto edu = find_pci(0x1234, 0x11e8);
    const auto nic = find_pci(0x8086, 0x10d3);
    const auto disk = find_pci(0x1b36, 0x0010);
    if (!edu || !nic || !disk) fail(ENODEV, "an edu, an e1000e and an nvme device");
    const container space;
    const auto with = [&](const std::string& address, const auto& test) {
        if (!bind(address, driver)) fail(EBUSY, driver + " did not take " + address);
        {
            const device opened{space, address};
            opened.enable();
            test(opened);
        }
        unbind(address);
    };
    with(*edu, [&](const device& opened) {
        faults(opened);
        arguments(opened);
        offsets(opened);
        memory_off(opened);
        resets(opened, {dma, 0}, {{"VFIO_DEVICE_RESET", [&] { opened.reset(); }},
                                  {"a hot reset", [&] { opened.hot_reset(); }},
                                  {"a reset from sysfs", [&] { write_attribute(sysfs(*edu) / "reset", "1"); }}});
    });
    with(*nic, asleep);
    with(*disk, [&](const device& opened) {
        resets(opened, {scratch, scratch_reset},
               {{"VFIO_DEVICE_RESET", [&] { opened.reset(); }},
                {"an FLR in configuration space", [&] { flr(opened); }},
                {"a reset from sysfs", [&] { write_attribute(sysfs(*disk) / "reset", "1"); }}});
    });
}

} // namespace

int main(int argc, char** argv) {
    return run_test("edges", [&] {
        if (argc < 2) fail(EINVAL, "a driver is needed");
        run(argv[1]);
    });
}
