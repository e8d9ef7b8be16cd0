// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Runs in a guest: QEMU's edu device, which plain vfio-pci holds, mediated by acme::edu in a vfio-user server of this
/// process, and driven by a vfio-user client: registers, mapped pages, interrupts, DMA that the device does into the
/// client's memory by itself, resets, one client after the other. With MEDIANT_IOMMUFD in the environment it is reached
/// by its own file.
///
/// Ends with 0 if all is as expected.

#include "expect.hpp"

#include "../../examples/edu/edu.hpp"
#include "../conformance/over_vfio_user.hpp"

#include <mediant/device/vfio_device.hpp>
#include <mediant/provider/stack.hpp>

#include <sys/eventfd.h>
#include <sys/mman.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>

namespace {

using namespace mediant;
using conformance::must;
using device::pci_address;
using device::vfio_device;
using device::vfio_options;
using guest::expect;
using guest::section;

constexpr std::uint64_t buffer = 0x40000;

[[nodiscard]] constexpr std::uint64_t number(error what) { return static_cast<std::uint64_t>(to_errno(what)); }

/// A client of a server, and edu's registers through it.
class driver {
public:
    explicit driver(vfio_user::client& client) : client_{client} {}

    template <std::unsigned_integral T>
    [[nodiscard]] T get(std::uint64_t offset, region_index region = bar{0}) {
        std::array<std::byte, sizeof(T)> bytes{};
        const answer came = client_.read({region, offset, bytes});
        if (came.count != sizeof(T)) guest::fail(to_errno(shortfall(came)), "read of a region");
        return static_cast<T>(load_little(std::span<const std::byte>{bytes}));
    }
    template <std::unsigned_integral T>
    void put(std::uint64_t offset, T value, region_index region = bar{0}) {
        std::array<std::byte, sizeof(T)> bytes{};
        store_little(std::span{bytes}, value);
        const answer came = client_.write({region, offset, bytes});
        if (came.count != sizeof(T)) guest::fail(to_errno(shortfall(came)), "write of a region");
    }
    /// Memory and bus mastering on.
    void enable() { put<std::uint16_t>(0x04, 0x0006, region_index::config); }

    /// edu's DMA between its buffer and I/O addresses: done when the command's first bit went.
    void transfer(bool to_memory, std::uint64_t iova, std::uint64_t size) {
        put<std::uint64_t>(0x80, to_memory ? buffer : iova);
        put<std::uint64_t>(0x88, to_memory ? iova : buffer);
        put<std::uint64_t>(0x90, size);
        put<std::uint64_t>(0x98, to_memory ? 3u : 1u);
        for (int tries = 0; (get<std::uint64_t>(0x98) & 1) != 0; ++tries) {
            if (tries == 5000) guest::fail(ETIMEDOUT, "edu's DMA");
            std::this_thread::sleep_for(std::chrono::milliseconds{1});
        }
    }

private:
    vfio_user::client& client_;
};

vfio_options options_of_environment() {
    const bool iommufd = std::getenv("MEDIANT_IOMMUFD") != nullptr;
    return {.how = iommufd ? vfio_options::iommu::iommufd : vfio_options::iommu::type1};
}

/// What a user reads where the device cannot be had.
void refusals(const pci_address& edu) {
    section("what cannot be had");
    const auto refusal = [](const char* address) -> std::string {
        try {
            vfio_device none{*pci_address::parse(address), options_of_environment()};
            return "opened";
        } catch (const std::system_error& e) {
            return e.what();
        }
    };
    const auto says = [](const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; };
    expect("no such device", refusal("0000:77:00.0"), "0000:77:00.0: no such PCI device: No such device");
    guest::unbind(edu.text());
    expect("without a driver", says(refusal(edu.text().c_str()), "no driver holds it; bind it to vfio-pci"), true);
    if (!guest::bind(edu.text(), "vfio-pci")) guest::fail(EBUSY, "vfio-pci did not take " + edu.text());
    if (std::getenv("MEDIANT_IOMMUFD") == nullptr) {
        const vfio_device first{edu, options_of_environment()};
        expect("twice at once", says(refusal(edu.text().c_str()), "Device or resource busy"), true);
    }
}

void registers(vfio_user::client& client) {
    section("registers, by the map");
    driver edu{client};
    edu.enable();
    expect("IDENT", edu.get<std::uint32_t>(0x00), 0x01ac00ed);
    edu.put<std::uint32_t>(0x04, 0x12345678);
    expect("LIVE is the device's", edu.get<std::uint32_t>(0x04), 0xedcba987);
    edu.put<std::uint32_t>(0x34, 0x5);
    expect("EVENTS", edu.get<std::uint32_t>(0x28), 0x5);
    expect("a vendor in config space", edu.get<std::uint16_t>(0x00, region_index::config), 0x1234);
    must(client.reset(), "reset");
    expect("EVENTS after a reset", edu.get<std::uint32_t>(0x28), 0);
    expect("IDENT after a reset", edu.get<std::uint32_t>(0x00), 0x01ac00ed);

    const auto info = must(client.device_info(), "device info");
    expect("regions", info.regions, VFIO_PCI_NUM_REGIONS);
    expect("interrupts", info.irqs, VFIO_PCI_NUM_IRQS);
    expect("MSI vectors", must(client.irq_info(irq_index::msi), "irq info").count, 1);
    expect("no VGA", must(client.region_info(region_index::vga), "region info").info.size, 0);
}

void interrupts(vfio_user::client& client) {
    section("interrupts, straight to the client's eventfds");
    driver edu{client};
    const guest::event interrupt;
    must(client.set_irqs({irq_index::msi, set_irqs::action::trigger, set_irqs::data::eventfds, 0, 1, {},
                          std::array{interrupt.get()}}),
         "set an eventfd");
    edu.put<std::uint32_t>(0x60, 1);
    expect("MSI", interrupt.wait(2000), 1);
    edu.put<std::uint32_t>(0x64, 1);
    must(client.set_irqs({irq_index::msi, set_irqs::action::trigger, set_irqs::data::none, 0, 1, {}, {}}), "trigger");
    expect("a trigger that the client asked for", interrupt.wait(2000), 1);
    must(client.set_irqs({irq_index::msi, set_irqs::action::trigger, set_irqs::data::none, 0, 0, {}, {}}), "disable");
    edu.put<std::uint32_t>(0x60, 1);
    expect("none once disabled", interrupt.wait(50), 0);
    edu.put<std::uint32_t>(0x64, 1);
}

/// What a client could not unmap, since something of this process held it, goes when the device is closed.
void leftovers(const pci_address& address) {
    section("DMA maps that were left over");
    vfio_device hardware{address, options_of_environment()};
    const device::unique_fd file{::memfd_create("memory", MFD_CLOEXEC)};
    if (::ftruncate(file.get(), 8192) != 0) guest::fail(errno, "memory");
    const guest::mapping memory{8192, file.get()};
    constexpr std::uint64_t iova = 0x100000;
    const auto map = [&] {
        return number(hardware.ioctl(map_dma{iova, 8192, true, true, memory.bytes(), nullptr, file.get(), 0}).error());
    };
    hardware.dma().set_patience(std::chrono::milliseconds{20});
    must(hardware.open(), "open");
    expect("a map", map(), 0);
    {
        const auto held = hardware.dma().lease(iova, 64, device::dma_map::direction::both);
        expect("a lease", held.has_value(), true);
        std::uint64_t answer = EAGAIN; // until its patience is over
        while (answer == EAGAIN) answer = number(hardware.ioctl(unmap_dma{iova, 8192}).error());
        expect("unmapped meanwhile", answer, EBUSY);
    }
    hardware.release();
    must(hardware.open(), "open again");
    expect("the same addresses for the next", map(), 0);
    hardware.release();
}

/// Without a provider, which keeps guests from the DMA registers.
void dma(const pci_address& address) {
    section("DMA, by the device itself");
    vfio_device hardware{address, options_of_environment()};
    hardware.set_log([](auto, auto) {}); // memory that is not shared is told of
    stack<vfio_device> served{hardware};
    conformance::over_vfio_user server{served};
    vfio_user::client& client = server.client();
    driver edu{client};
    edu.enable();

    const device::unique_fd file{::memfd_create("memory", MFD_CLOEXEC)};
    constexpr std::uint64_t page = 4096;
    if (::ftruncate(file.get(), 4 * page) != 0) guest::fail(errno, "memory");
    const guest::mapping memory{4 * page, file.get()};
    const std::span<std::byte> bytes = memory.bytes();
    constexpr std::uint64_t iova = 0x100000;
    constexpr std::uint32_t both = vfio_user::wire::dma_map_read | vfio_user::wire::dma_map_write;
    must(client.map_dma(iova, 2 * page, both, file.get(), page), "map"); // the file's pages 1 and 2

    for (std::size_t i = 0; i < 64; ++i) bytes[page + 100 + i] = static_cast<std::byte>(i + 1);
    edu.transfer(false, iova + 100, 64);
    edu.transfer(true, iova + page + 8, 64);
    expect("there and back", std::memcmp(&bytes[page + 100], &bytes[2 * page + 8], 64) == 0, true);
    expect("and no further", std::to_integer<unsigned>(bytes[2 * page + 72]), 0);

    expect("a second map over it",
           number(client.map_dma(iova + page, page, both, file.get(), 3 * page).error()), EEXIST);
    expect("half a page", number(client.map_dma(0x200000, page / 2, both, file.get(), 0).error()), EINVAL);
    must(client.map_dma(0x300000, page, vfio_user::wire::dma_map_read, file.get(), 3 * page), "map to be read");
    must(client.unmap_dma(iova, 2 * page), "unmap");
    bytes[2 * page + 8] = std::byte{0xee};
    edu.transfer(true, iova + page + 8, 64);
    expect("unmapped memory stays", std::to_integer<unsigned>(bytes[2 * page + 8]), 0xee);
    edu.transfer(true, 0x300000, 64);
    expect("so does what may only be read", std::to_integer<unsigned>(bytes[3 * page]), 0);
    must(client.map_dma(0x400000, page, both), "memory that is not shared");
    edu.transfer(true, 0x400000, 64);
    must(client.unmap_dma(0x400000, page), "unmap what was not shared");
    must(client.unmap_all_dma(), "unmap all");
    expect("and again", number(client.unmap_dma(0x300000, page).error()), ENOENT);
    // A client that leaves takes its memory along.
    must(client.map_dma(iova, page, both, file.get(), 0), "map once more");
    client.disconnect();
    auto next = must(vfio_user::client::connect(server.socket()), "connect again");
    must(next.set_timeout(std::chrono::seconds{10}), "set a timeout");
    static_cast<void>(must(next.negotiate(), "negotiate"));
    driver later{next};
    later.enable();
    later.transfer(true, iova, 64);
    expect("a client's memory after its end", std::to_integer<unsigned>(bytes[0]), 0);
    must(next.map_dma(iova, page, both, file.get(), 0), "the same addresses for the next");
    later.transfer(true, iova, 64);
    expect("the next client's memory", std::to_integer<unsigned>(bytes[0]), 1);
}

void mappings(const pci_address& address) {
    section("what can be mapped");
    vfio_options options = options_of_environment();
    {
        vfio_device hardware{address, options};
        stack<vfio_device, acme::edu> served{hardware};
        conformance::over_vfio_user server{served};
        const auto info = must(server.client().region_info(bar{0}), "region info");
        expect("nothing, unless the file is shared", has(info.info.flags, region_flags::mmap), false);
    }
    options.shares_file = true;
    vfio_device hardware{address, options};
    stack<vfio_device, acme::edu> served{hardware};
    conformance::over_vfio_user server{served};
    driver edu{server.client()};
    edu.enable();
    const auto info = must(server.client().region_info(bar{0}), "region info");
    expect("the areas", info.areas == std::vector<range>{{0x1000, 0x3f000}, {0x41000, 0xbf000}}, true);
    const guest::mapping mapped{0x1000, info.fd.get(), static_cast<off_t>(info.fd_offset + 0x1000)};
    expect("a mapped dword", mapped.load<std::uint32_t>(0), edu.get<std::uint32_t>(0x1000));
}

void run() {
    const auto found = guest::find_pci(0x1234, 0x11e8);
    if (!found) guest::fail(ENODEV, "no edu device");
    const auto address = pci_address::parse(*found);
    if (!address) guest::fail(EINVAL, "an address of another shape: " + *found);
    refusals(*address);
    {
        vfio_device hardware{*address, options_of_environment()};
        expect("vendor", hardware.id().vendor, 0x1234);
        expect("class", hardware.id().class_code, 0x00ff00);
        stack<vfio_device, acme::edu> served{hardware};
        conformance::over_vfio_user server{served};
        registers(server.client());
        interrupts(server.client());
    }
    dma(*address);
    leftovers(*address);
    mappings(*address);
}

} // namespace

int main() {
    return guest::run_test("user space", run);
}
