// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Runs in a guest: a BAR as other devices could reach it, through a mapping that an IOMMU takes (type1), and through a
/// dma-buf where the kernel has them; under plain vfio-pci, then under the driver that is named, with acme::edu. Pages
/// that hold a trap can be had in neither way.
///
///   peer_to_peer DRIVER [dma-buf]
///
/// With dma-buf the kernel must have them. With MEDIANT_IOMMUFD in the environment they are mapped by IOMMUFD, too.

#include "expect.hpp"

#include <array>
#include <cstdio>
#include <string>
#include <vector>

namespace {

using namespace mediant::guest;

constexpr std::uint32_t bar0 = VFIO_PCI_BAR0_REGION_INDEX;
constexpr std::uint64_t page = 0x1000;
constexpr std::uint64_t whole = 0x100000;
constexpr std::uint64_t hidden = 0x40000; // a page

void expect_error(const std::string& what, int got, int wanted) {
    expect(what, static_cast<unsigned>(got), static_cast<unsigned>(wanted));
}

int export_error(const device& from, const std::vector<area>& areas, std::uint32_t region = bar0) {
    return error_of([&] { export_areas(from, region, areas); });
}

/// Has IOMMUFD map a dma-buf, and take it back.
int map_error(const container& space, const unique_fd& file, std::uint64_t size) {
    return error_of([&] {
        iommufd::ioas_map_file request;
        request.flags = iommufd::fixed_iova | iommufd::readable | iommufd::writeable;
        request.ioas_id = *space.ioas();
        request.fd = file.get();
        request.length = size;
        request.iova = 0x100000;
        control(space.get(), iommufd::map_ioas_file, "IOMMU_IOAS_MAP_FILE", &request);
        space.unmap_dma(request.iova, request.length);
    });
}

/// Whether pages of the BAR, mapped into this process, can be mapped for devices; errno of whichever step fails.
int peer_error(const container& space, const device& from, const area& pages) {
    return error_of([&] {
        const mapping mapped = from.map(bar0, pages.offset, pages.size);
        space.map_dma(mapped.bytes(), 0x100000);
        space.unmap_dma(0x100000, pages.size);
    });
}

struct expectation {
    const char* what;
    std::vector<area> areas;
    bool traps;
};
const std::vector<expectation> parts{
    {"the page of the registers", {{0, page}}, true},
    {"this page and the next", {{0, 2 * page}}, true},
    {"the hidden page", {{hidden, page}}, true},
    {"up to the hidden page and into it", {{page, hidden}}, true},
    {"all of the BAR", {{0, whole}}, true},
    {"the page behind the registers", {{page, page}}, false},
    {"all between registers and hidden page", {{page, hidden - page}}, false},
    {"all behind the hidden page", {{hidden + page, whole - hidden - page}}, false},
    {"both parts that hold no trap", {{page, hidden - page}, {hidden + page, whole - hidden - page}}, false},
    {"one part that holds none, and one that does", {{page, page}, {0, page}}, true},
    {"the same, the other way round", {{0, page}, {page, page}}, true},
};

enum class mediation { none, traps, no_mmap };

void reaches(const std::string& address, mediation by, bool dma_buf) {
    const container space;
    const device edu{space, address};
    edu.enable();
    for (const expectation& part : parts) {
        const bool refused = by == mediation::no_mmap || (by == mediation::traps && part.traps);
        const int wanted = refused ? EINVAL : 0;
        if (!space.ioas() && part.areas.size() == 1)
            expect_error(std::string{"a peer's mapping of "} + part.what, peer_error(space, edu, part.areas[0]), wanted);
        if (!dma_buf) continue;
        expect_error(std::string{"a dma-buf of "} + part.what, export_error(edu, part.areas), wanted);
        // IOMMUFD takes one range.
        if (space.ioas() && !refused && part.areas.size() == 1)
            expect_error(std::string{"IOMMUFD's mapping of "} + part.what,
                         map_error(space, export_areas(edu, bar0, part.areas), part.areas[0].size), 0);
    }
    if (!dma_buf) return;
    // What no driver gives: nothing, parts of pages, what is beyond the BAR or around the end of numbers.
    for (const std::vector<area>& areas : std::vector<std::vector<area>>{
             {}, {{page, 0}}, {{page + 4, page}}, {{page, page - 4}}, {{whole, page}}, {{whole - page, 2 * page}}, {{page, whole}}})
        expect_error("a dma-buf of what is not there", export_error(edu, areas), EINVAL);
    expect("a dma-buf from the end of numbers", export_error(edu, {{~std::uint64_t{0} - page + 1, page}}) != 0, true);
    for (const std::uint32_t region : {VFIO_PCI_BAR1_REGION_INDEX + 0u, VFIO_PCI_CONFIG_REGION_INDEX + 0u, 77u, ~0u})
        expect_error("a dma-buf of another region", export_error(edu, {{0, page}}, region), ENODEV);
}

void run(const std::string& driver, bool dma_buf) {
    const auto address = find_pci(0x1234, 0x11e8);
    if (!address) fail(ENODEV, "no edu device");
    const auto under = [&](const std::string& name, const char* what, mediation by) {
        section(what);
        if (!bind(*address, name)) fail(EBUSY, name + " did not take " + *address);
        reaches(*address, by, dma_buf);
    };
    const auto parameter = [&](const char* name, const char* value) {
        write_attribute("/sys/module/" + driver + "/parameters/" + name, value);
    };
    under("vfio-pci", "plain vfio-pci", mediation::none);
    under(driver, "mediated", mediation::traps);
    parameter("mmap_trapped_bars", "0");
    under(driver, "mediated, and no BAR with a trap can be mapped", mediation::no_mmap);
    parameter("mmap_trapped_bars", "1");
    parameter("pass_through", "1");
    under(driver, "passed through", mediation::none);
    parameter("pass_through", "0");
}

} // namespace

int main(int argc, char** argv) {
    return run_test("peer to peer", [&] {
        if (argc < 2) fail(EINVAL, "a driver is needed");
        run(argv[1], argc > 2 && std::string{argv[2]} == "dma-buf");
    });
}
