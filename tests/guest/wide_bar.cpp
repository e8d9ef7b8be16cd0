// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Runs in a guest with QEMU's shared memory of 64 MiB: reads around each trap of the provider "wide", at every offset
/// and of many lengths, against what the memory holds and the map says. What a driver knows of so large a BAR without
/// asking the provider is coarse, and must be wrong in neither way.
///
///   wide_bar DRIVER

#include "expect.hpp"

#include <array>
#include <cstdio>
#include <string>
#include <vector>

namespace {

using namespace mediant::guest;

constexpr std::uint32_t bar2 = VFIO_PCI_BAR2_REGION_INDEX;
constexpr std::uint64_t size = 64u << 20;

struct trap {
    std::uint64_t offset;
    std::uint64_t bytes;
    std::uint32_t value; // of each dword
};

std::vector<trap> traps() {
    std::vector<trap> out{{0x20, 4, 0xa1a2a3a4},       {0x10020, 0xffb0, ~0u},        {0x1fff0, 4, 0xb1b2b3b4},
                          {0x20004, 4, 0xc1c2c3c4},    {0x20040, 0xffb0, ~0u},        {0x8003c, 8, ~0u},
                          {0x2000000, 0x20000, ~0u},   {0x3fffffc, 4, 0xe1e2e3e4}};
    for (std::uint64_t i = 0; i < 300; ++i) out.push_back({0x100010 + i * 0x10000, 4, 0xd1d2d3d4});
    return out;
}

/// What the memory holds: each dword its offset, and nothing that a trap answers.
std::uint32_t held(std::uint64_t offset) { return static_cast<std::uint32_t>(offset) ^ 0x5a000000; }

void run(const std::string& driver) {
    const auto address = find_pci(0x1af4, 0x1110);
    if (!address) fail(ENODEV, "no ivshmem device");
    const std::vector<trap> all = traps();
    std::vector<std::uint32_t> wanted(size / 4);
    for (std::uint64_t i = 0; i < wanted.size(); ++i) wanted[i] = held(4 * i);
    {
        section("the memory, filled under plain vfio-pci");
        if (!bind(*address, "vfio-pci")) fail(EBUSY, "vfio-pci did not take " + *address);
        const container space;
        const device memory{space, *address};
        memory.enable();
        const mapping mapped = memory.map(bar2, 0, size);
        std::memcpy(mapped.data(), wanted.data(), size);
    }
    for (const trap& one : all)
        for (std::uint64_t at = one.offset; at < one.offset + one.bytes; at += 4) wanted[at / 4] = one.value;
    const std::span<const std::byte> answers = std::as_bytes(std::span{wanted});

    section("reads around each trap");
    if (!bind(*address, driver)) fail(EBUSY, driver + " did not take " + *address);
    const container space;
    const device memory{space, *address};
    memory.enable();
    std::array<std::byte, 0x80> bytes{};
    long reads = 0;
    for (const trap& one : all)
        for (const std::uint64_t edge : {one.offset, one.offset + one.bytes})
            for (std::uint64_t at = edge < 0x48 ? 0 : edge - 0x48; at < edge + 0x48 && at < size; ++at)
                for (const std::size_t count : {1u, 2u, 4u, 8u, 0x80u}) {
                    const std::size_t there = std::min<std::uint64_t>(count, size - at);
                    const outcome got = memory.read(bar2, at, std::span{bytes}.first(count));
                    ++reads;
                    if (got == outcome{static_cast<std::int64_t>(there), 0} &&
                        std::memcmp(bytes.data(), answers.data() + at, there) == 0)
                        continue;
                    expect(std::to_string(count) + " bytes at " + std::to_string(at), got, {static_cast<std::int64_t>(there), 0});
                    expect("what they are", std::memcmp(bytes.data(), answers.data() + at, there) == 0, true);
                }
    std::printf("wide bar: %ld reads\n", reads);
    expect("reads", reads > 400000, true);
    // And all of it, in pieces that begin and end anywhere.
    std::vector<std::byte> piece(70001);
    for (std::uint64_t at = 0; at < size; at += piece.size()) {
        const std::size_t there = std::min<std::uint64_t>(piece.size(), size - at);
        expect("a long read", memory.read(bar2, at, piece), {static_cast<std::int64_t>(there), 0});
        expect("what it gives", std::memcmp(piece.data(), answers.data() + at, there) == 0, true);
    }
}

} // namespace

int main(int argc, char** argv) {
    return run_test("wide bar", [&] {
        if (argc < 2) fail(EINVAL, "a driver is needed");
        run(argv[1]);
    });
}
