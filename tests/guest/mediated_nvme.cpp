// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Runs in a guest: QEMU's NVMe controller first under plain vfio-pci, then under the variant modules of acme::nvme and
/// acme::nvme_bounded, which must be loaded. Under each module it is driven from here, up to a block that is read. A
/// table shows registers side by side.
///
///   mediated_nvme SERIAL BLOCK
///
/// SERIAL is the controller's; BLOCK the text that its blocks repeat. Ends with 0 if all is as expected.

#include "expect.hpp"
#include "nvme_driver.hpp"

#include <array>
#include <cinttypes>
#include <cstdio>
#include <string>
#include <vector>

namespace {

using namespace mediant::guest;

constexpr std::uint32_t bar0 = VFIO_PCI_BAR0_REGION_INDEX;
constexpr std::uint32_t msix = VFIO_PCI_MSIX_IRQ_INDEX;
constexpr std::uint64_t bar0_size = 0x4000;
constexpr std::uint64_t rung = 0x1f00;
constexpr std::uint64_t dropped = 0x1f04;
constexpr std::uint32_t admin_entries = 32;
constexpr std::uint32_t io_entries = 8; // so few that the queue wraps
constexpr std::uint64_t memory_at = 0x1'0000'0000; // above 4 GiB, so that both halves of an address count

std::uint32_t get(const device& controller, std::uint64_t offset) {
    return controller.get<std::uint32_t>(bar0, offset);
}
void put(const device& controller, std::uint64_t offset, std::uint32_t value) { controller.put(bar0, offset, value); }

void give(const std::string& address, const std::string& driver) {
    if (!mediant::guest::bind(address, driver)) fail(EBUSY, driver + " did not take " + address); // and not std::bind
}

struct observed {
    std::uint64_t cap = 0;
    std::array<std::uint32_t, 32> dwords{};
};
observed observe(const device& controller) {
    observed out;
    out.cap = controller.get<std::uint64_t>(bar0, nvme::cap);
    for (std::size_t i = 0; i < out.dwords.size(); ++i) out.dwords[i] = get(controller, 4 * i);
    return out;
}

/// What the device is as it is, and what it keeps of a user beyond a reset and a close.
observed plain(const container& space, const std::string& address) {
    section("under vfio-pci");
    give(address, "vfio-pci");
    {
        const device controller{space, address};
        controller.enable();
        const auto info = controller.region(bar0);
        expect("BAR 0", info.size, bar0_size);
        expect("BAR 0 has no sparse areas", info.sparse.has_value(), false);
        controller.put<std::uint64_t>(bar0, nvme::cmbmsc, 1);
        expect("the hardware's CMBSZ, once it is asked for", get(controller, nvme::cmbsz) != 0, true);
        put(controller, nvme::aqa, 0x003f'003f);
        controller.put<std::uint64_t>(bar0, nvme::asq, 0x5ec2'e700'0000);
    }
    const device controller{space, address};
    controller.enable();
    return observe(controller);
}

void side_by_side(const observed& hardware, const observed& mediated) {
    struct row {
        const char* name;
        std::size_t offset;
        const char* remark;
    };
    constexpr row rows[] = {
        {"CAP", nvme::cap, "queues of 256 entries at most"},
        {"CAP, high", nvme::cap + 4, "no controller memory buffer"},
        {"VS", nvme::vs, "passes"},
        {"AQA", nvme::aqa, "what an earlier user left is not shown"},
        {"ASQ", nvme::asq, "nor this"},
        {"ASQ, high", nvme::asq + 4, ""},
    };
    std::printf("\n  register   offset  hardware    mediated\n");
    for (const row& r : rows)
        std::printf("  %-9s  0x%04zx  0x%08" PRIx32 "  0x%08" PRIx32 "  %s\n", r.name, r.offset,
                    hardware.dwords[r.offset / 4], mediated.dwords[r.offset / 4], r.remark);
    std::printf("\n");
}

void registers(const observed& hardware, const device& controller) {
    const observed mediated = observe(controller);
    side_by_side(hardware, mediated);
    const std::uint64_t memory_buffer = std::uint64_t{1} << 57;
    expect("CMBS of the hardware", (hardware.cap & memory_buffer) != 0, true);
    expect("CAP", mediated.cap, (hardware.cap & ~memory_buffer & ~std::uint64_t{0xffff}) | 0xff);
    expect("CAP by halves", mediated.dwords[0] | std::uint64_t{mediated.dwords[1]} << 32, mediated.cap);
    expect("VS", mediated.dwords[nvme::vs / 4], hardware.dwords[nvme::vs / 4]);
    for (const std::uint64_t offset : {nvme::cc, nvme::csts, nvme::nssr, nvme::aqa, nvme::asq, nvme::acq})
        expect("nothing at first at " + std::to_string(offset), mediated.dwords[offset / 4], 0);

    controller.put<std::uint64_t>(bar0, nvme::cmbmsc, 1);
    expect("CMBLOC", get(controller, nvme::cmbloc), 0);
    expect("CMBSZ", get(controller, nvme::cmbsz), 0);
    put(controller, nvme::nssr, 0x4e56'4d65);
    expect("NSSR", get(controller, nvme::nssr), 0);
    expect("a byte of VS", controller.get<std::uint8_t>(bar0, nvme::vs + 2), 0xff);
}

void mappings(const device& controller, const std::vector<area>& wanted) {
    const auto info = controller.region(bar0);
    expect("sparse areas", info.sparse && *info.sparse == wanted, true);
    const auto error_of_mapping = [&](std::uint64_t offset) {
        return static_cast<unsigned>(error_of([&] { static_cast<void>(controller.map(bar0, offset, 0x1000)); }));
    };
    expect("mapping the registers", error_of_mapping(0), EINVAL);
    expect("mapping the doorbells", error_of_mapping(nvme::doorbells), wanted[0].offset == 0x1000 ? 0 : EINVAL);
    const event signal;
    const auto with_doorbell = [&] { controller.ioeventfd(bar0, nvme::doorbells, 1, 4, signal.get()); };
    expect("an ioeventfd that rings", static_cast<unsigned>(error_of(with_doorbell)), EINVAL);
}

/// The controller's refusal is one that drivers know.
void refusals(const device& controller) {
    const auto refused = [&](const char* what, std::uint32_t cc, std::uint32_t aqa) {
        put(controller, nvme::aqa, aqa);
        put(controller, nvme::cc, cc);
        expect(what, get(controller, nvme::csts), nvme::csts_failed);
        expect(what, get(controller, nvme::cc), cc);
        put(controller, nvme::cc, 0);
        expect(what, get(controller, nvme::csts), 0);
    };
    refused("admin queues of 4096 entries", nvme::cc_enable, 0x0fff'0fff);
    refused("pages of 128 KiB", nvme::cc_enable | 5u << 7, 0x001f'001f);
    refused("submission entries of 32 bytes", 0x0045'0001, 0x001f'001f);
}

struct user {
    const container& space;
    const device& controller;
    std::string serial;
    std::string block;
    mapping memory{std::size_t{256} << 10}; // admin queues, I/O queues, data: 64 KiB each

    [[nodiscard]] std::span<std::byte> part(std::size_t n) const { return memory.bytes().subspan(n << 16, 1 << 16); }
    [[nodiscard]] static std::uint64_t address(std::size_t n) { return memory_at + (n << 16); }
};

void identify(const user& u, nvme::queue_pair& admin, const event& interrupt) {
    std::memset(u.part(2).data(), 0, 4096);
    expect("Identify", admin.run(nvme::identify_controller(u.address(2)), interrupt), 0);
    expect("serial number", nvme::text(u.part(2), 4, 20), u.serial);
    expect("model", nvme::text(u.part(2), 24, 40), "QEMU NVMe Ctrl");
}

void enable(const user& u, const nvme::queue_pair& admin) {
    put(u.controller, nvme::aqa, (admin_entries - 1) << 16 | (admin_entries - 1));
    u.controller.put<std::uint64_t>(bar0, nvme::asq, admin.commands_at());
    put(u.controller, nvme::acq, static_cast<std::uint32_t>(admin.completions_at())); // in halves
    put(u.controller, nvme::acq + 4, static_cast<std::uint32_t>(admin.completions_at() >> 32));
    put(u.controller, nvme::cc, nvme::cc_enable);
    if (!nvme::reaches(u.controller, nvme::csts_ready | nvme::csts_failed, nvme::csts_ready))
        fail(EIO, "the controller is not ready");
}

/// From nothing to a block that is read, and to the shutdown.
void drive(const user& u, const nvme::bell& ring) {
    std::memset(u.memory.data(), 0, u.memory.size());
    const event admin_done, io_done;
    u.controller.set_irqs(msix, 0, std::array{admin_done.get(), io_done.get()});
    nvme::queue_pair admin{u.part(0), u.address(0), 0, admin_entries, ring};
    enable(u, admin);
    identify(u, admin, admin_done);

    // What was checked stays: these would be other queues, and other entries.
    u.controller.put<std::uint64_t>(bar0, nvme::asq, 0xdead'0000);
    put(u.controller, nvme::cc, 0x0011'0001);
    expect("CC while enabled", get(u.controller, nvme::cc), nvme::cc_enable);
    identify(u, admin, admin_done);

    nvme::queue_pair io{u.part(1), u.address(1), 1, io_entries, ring};
    expect("completion queue", admin.run(nvme::create_completion_queue(io, 1, io_entries), admin_done), 0);
    expect("submission queue", admin.run(nvme::create_submission_queue(io, 1, io_entries), admin_done), 0);
    std::string wanted;
    while (wanted.size() < 512) wanted += u.block;
    wanted.resize(512);
    for (std::uint32_t i = 0; i < 2 * io_entries; ++i) {
        std::memset(u.part(2).data(), 0, 512);
        expect("reading a block", io.run(nvme::read_block(i, u.address(2)), io_done), 0);
        expect("the block", std::string(reinterpret_cast<const char*>(u.part(2).data()), 512), wanted);
    }
    expect("a block beyond the last", io.run(nvme::read_block(0xffff'ffff, u.address(2)), io_done), 0x80);

    put(u.controller, nvme::cc, nvme::cc_enable | nvme::cc_shutdown);
    expect("shut down", nvme::reaches(u.controller, 0xc, 0x8), true);
    u.controller.disable_irqs(msix);
}

void reset(const device& controller) {
    controller.reset();
    for (const std::uint64_t offset : {nvme::cc, nvme::csts, nvme::aqa, nvme::asq, nvme::acq})
        expect("after a reset at " + std::to_string(offset), get(controller, offset), 0);
    expect("CAP after a reset", get(controller, nvme::cap) & 0xffff, 0xff);
}

/// A doorbell beyond a queue is not rung: the device goes on as if nothing had been written.
void bounds(const user& u, const nvme::bell& ring) {
    put(u.controller, nvme::doorbells, 1);
    expect("a doorbell before CC.EN", get(u.controller, dropped), 1);

    std::memset(u.memory.data(), 0, u.memory.size());
    const event done;
    u.controller.set_irqs(msix, 0, std::array{done.get()});
    nvme::queue_pair admin{u.part(0), u.address(0), 0, admin_entries, ring};
    enable(u, admin);
    const std::uint32_t before = get(u.controller, dropped);
    put(u.controller, admin.tail_doorbell(), admin_entries);
    put(u.controller, admin.tail_doorbell() + 4, 0xffff);
    put(u.controller, nvme::doorbells + 8 * 64, 256);
    expect("dropped", get(u.controller, dropped) - before, 3);
    expect("a doorbell reads as zero", get(u.controller, nvme::doorbells), 0);
    const std::uint32_t rings = get(u.controller, rung);
    identify(u, admin, done);
    expect("rung", get(u.controller, rung) - rings, 2);
    expect("dropped no more", get(u.controller, dropped) - before, 3);
    u.controller.disable_irqs(msix);
}

void run(const std::string& serial, const std::string& block) {
    const auto address = find_pci(0x1b36, 0x0010);
    if (!address) fail(ENODEV, "no NVMe controller");
    const container space;
    const observed hardware = plain(space, *address);

    section("under nvme_vfio_pci, doorbells mapped");
    give(*address, "nvme_vfio_pci");
    {
        const device controller{space, *address};
        controller.enable();
        registers(hardware, controller);
        mappings(controller, {{0x1000, 0x3000}});
        refusals(controller);
        const user u{space, controller, serial, block};
        space.map_dma(u.memory.bytes(), memory_at);
        const mapping page = controller.map(bar0, nvme::doorbells, 0x1000);
        const nvme::bell ring = [&page](std::uint64_t offset, std::uint32_t value) {
            page.store(offset - nvme::doorbells, value);
        };
        drive(u, ring);
        reset(controller);
        drive(u, ring);
        space.unmap_dma(memory_at, u.memory.size());
    }

    section("under nvme_bounded_vfio_pci, doorbells trapped");
    give(*address, "nvme_bounded_vfio_pci");
    {
        const device controller{space, *address};
        controller.enable();
        registers(hardware, controller);
        mappings(controller, {{0x2000, 0x2000}});
        refusals(controller);
        const user u{space, controller, serial, block};
        space.map_dma(u.memory.bytes(), memory_at);
        const nvme::bell ring = [&controller](std::uint64_t offset, std::uint32_t value) {
            put(controller, offset, value);
        };
        drive(u, ring);
        reset(controller);
        expect("doorbells after a reset", get(controller, rung), 0);
        bounds(u, ring);
        space.unmap_dma(memory_at, u.memory.size());
    }
    unbind(*address);
}

} // namespace

int main(int argc, char** argv) {
    return run_test("mediated nvme", [&] { run(argc > 1 ? argv[1] : "", argc > 2 ? argv[2] : " "); });
}
