// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Runs in a guest with two processors: QEMU's edu device under moving_vfio_pci, whose policy knows what the hardware
/// writes to memory (migration/moving_edu.hpp). The log of it, as linux/vfio.h has it, compared with a model: any
/// ranges, any page size, read and cleared while it is marked, and beside a real transfer.
///
///   dma_log [MODULE]

#include "expect.hpp"
#include "migration/state_file.hpp"

#include <atomic>
#include <random>
#include <set>
#include <thread>

#include <sys/utsname.h>

namespace {

using namespace mediant::guest;

constexpr std::uint32_t bar0 = VFIO_PCI_BAR0_REGION_INDEX;
constexpr std::uint64_t mark_one = 0x40, mark_three = 0x44, source = 0x80, target = 0x88, count = 0x90, command = 0x98;
constexpr std::uint64_t least = 4096;

/// 6.1 has users' bitmaps itself; from 6.7 on they are IOMMUFD's.
bool can_log() {
    utsname name{};
    ::uname(&name);
    return std::string{name.release}.rfind("6.1.", 0) == 0 || ::access("/dev/iommu", F_OK) == 0;
}

/// The page that is tracked, or errno.
struct started {
    std::uint64_t page = 0;
    int error = 0;
};
started start(const device& edu, std::uint64_t page, std::span<const area> ranges) {
    std::vector<vfio_device_feature_dma_logging_range> list;
    for (const area& each : ranges) list.push_back({each.offset, each.size});
    vfio_device_feature_dma_logging_control request{};
    request.page_size = page;
    request.num_ranges = static_cast<std::uint32_t>(list.size());
    request.ranges = reinterpret_cast<std::uintptr_t>(list.data());
    const int error = device_feature(edu, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START, request);
    return {request.page_size, error};
}
int stop(const device& edu) {
    alignas(8) vfio_device_feature request{};
    request.argsz = sizeof request;
    request.flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP;
    return edu.raw_ioctl(VFIO_DEVICE_FEATURE, &request);
}
/// Bits of [iova, iova + length), one for each `page`; what the kernel sets is added to what there is.
int report(const device& edu, std::uint64_t iova, std::uint64_t length, std::uint64_t page,
           std::vector<std::uint64_t>& bits) {
    bits.assign(static_cast<std::size_t>((length / page + 63) / 64), 0);
    vfio_device_feature_dma_logging_report request{};
    request.iova = iova;
    request.length = length;
    request.page_size = page;
    request.bitmap = reinterpret_cast<std::uintptr_t>(bits.data());
    return device_feature(edu, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, request);
}
bool bit(const std::vector<std::uint64_t>& bits, std::uint64_t at) { return (bits[at / 64] >> at % 64 & 1) != 0; }

void refusals(const device& edu) {
    section("what is refused");
    std::vector<std::uint64_t> bits;
    const area one[]{{0x10000, 0x10000}};
    const area twice[]{{0x10000, 0x10000}, {0x18000, 0x10000}};
    const area empty[]{{0x10000, 0}};
    const area huge[]{{0, std::uint64_t{1} << 60}};
    expect("a report of nothing", static_cast<unsigned>(report(edu, 0x10000, 0x10000, least, bits)), EINVAL);
    expect("no end of nothing", static_cast<unsigned>(stop(edu)), 0);
    expect("no page", static_cast<unsigned>(start(edu, 0, empty).error), EINVAL);
    expect("a page that is none", static_cast<unsigned>(start(edu, 3 * least, one).error), EINVAL);
    expect("no ranges", static_cast<unsigned>(start(edu, least, {}).error), EINVAL);
    expect("a range twice", static_cast<unsigned>(start(edu, least, twice).error), EINVAL);
    expect("an empty range", static_cast<unsigned>(start(edu, least, empty).error), EINVAL);
    expect("more than is tracked", static_cast<unsigned>(start(edu, least, huge).error), E2BIG);
    expect("a log that runs", start(edu, least, one).page, least);
    expect("another that is refused", static_cast<unsigned>(start(edu, least, huge).error), E2BIG);
    expect("the one before", static_cast<unsigned>(report(edu, 0x10000, 0x8000, least, bits)), 0u);
    expect("a small page", start(edu, 512, one).page, least);
    expect("finer than what is tracked", static_cast<unsigned>(report(edu, 0x10000, 0x10000, 512, bits)), EINVAL);
    expect("the whole", static_cast<unsigned>(report(edu, 0x10000, 0x10000, least, bits)), 0);
    expect("a large page", start(edu, 16 * least, one).page, 16 * least);
    expect("a part of a page", static_cast<unsigned>(report(edu, 0x10000, 0x8000, least, bits)), EINVAL);
    expect("the end", static_cast<unsigned>(stop(edu)), 0);
    expect("a report behind it", static_cast<unsigned>(report(edu, 0x10000, 0x10000, 16 * least, bits)), EINVAL);
}

/// Ranges, pages, marks and reports as they come, beside a set of pages.
void as_a_model(const device& edu) {
    section("as a model has it");
    std::mt19937_64 random{7};
    const auto below = [&](std::uint64_t n) { return random() % n; };
    unsigned wrong = 0, dirty = 0;
    for (unsigned round = 0; round < 60; ++round) {
        const std::uint64_t tracked = least << below(3);
        std::vector<area> ranges;
        std::uint64_t at = below(64) * tracked;
        for (std::uint64_t i = 0; i < 1 + below(20); ++i) {
            const std::uint64_t size = (1 + below(300)) * tracked;
            ranges.push_back({at, size});
            at += size + below(100) * tracked;
        }
        const std::uint64_t top = at;
        if (start(edu, tracked, ranges).page != tracked) fail(EIO, "a log");
        std::set<std::uint64_t> model; // tracked pages
        const auto mark = [&](std::uint64_t page, std::uint64_t pages) {
            edu.put<std::uint32_t>(bar0, pages == 1 ? mark_one : mark_three, static_cast<std::uint32_t>(page));
            const std::uint64_t first = page * least, last = (page + pages) * least - 1 - (pages == 1 ? least - 1 : 0);
            for (const area& each : ranges)
                for (std::uint64_t p = first / tracked; p <= last / tracked; ++p)
                    if (p * tracked >= each.offset && p * tracked < each.offset + each.size) model.insert(p);
        };
        for (unsigned i = 0; i < 40; ++i) {
            for (std::uint64_t n = below(12); n > 0; --n) mark(below(top / least + 8), below(3) == 0 ? 3 : 1);
            const std::uint64_t page = least << below(6);
            const std::uint64_t unit = std::max(page, tracked);
            const std::uint64_t iova = below(top / unit + 1) * unit;
            const std::uint64_t length = (1 + below(below(4) == 0 ? 3000 : 40)) * unit;
            std::vector<std::uint64_t> bits;
            if (const int error = report(edu, iova, length, page, bits); error != 0) fail(error, "a report");
            for (std::uint64_t b = 0; b < length / page; ++b) {
                const std::uint64_t first = (iova + b * page) / tracked, last = (iova + (b + 1) * page - 1) / tracked;
                const auto found = model.lower_bound(first);
                const bool wanted = found != model.end() && *found <= last;
                wrong += bit(bits, b) != wanted;
                dirty += wanted;
            }
            model.erase(model.lower_bound(iova / tracked), model.lower_bound((iova + length) / tracked));
        }
    }
    expect("bits that differ", wrong, 0);
    expect("bits", dirty > 1000, true);
    static_cast<void>(stop(edu));
}

/// Each page is marked once, and is reported once, whenever the reports come.
void while_it_is_marked(const device& edu) {
    section("read and cleared while it is marked");
    constexpr std::uint64_t pages = 20000, first = 1000;
    const area ranges[]{{first * least, pages * least}};
    if (start(edu, least, ranges).error != 0) fail(EIO, "a log");
    std::atomic<bool> end{false};
    std::thread marker{[&] {
        for (std::uint64_t i = 0; i < pages; ++i) {
            // Neighbours in one word, and apart.
            const std::uint64_t page = i % 2 == 0 ? i / 2 : pages - 1 - i / 2;
            edu.put<std::uint32_t>(bar0, mark_one, static_cast<std::uint32_t>(first + page));
        }
        end = true;
    }};
    std::vector<unsigned> times(pages);
    std::vector<std::uint64_t> bits;
    unsigned reports = 0;
    for (bool last = false; !last; ++reports) {
        last = end;
        const int error = report(edu, first * least, pages * least, least, bits);
        if (error != 0) fail(error, "a report");
        for (std::uint64_t i = 0; i < pages; ++i) times[i] += bit(bits, i);
    }
    marker.join();
    unsigned lost = 0, again = 0;
    for (const unsigned each : times) {
        lost += each == 0;
        again += each > 1;
    }
    expect("pages that were lost", lost, 0);
    expect("pages that were told twice", again, 0);
    expect("reports", reports > 2, true);
    std::printf("  %u reports\n", reports);
    static_cast<void>(stop(edu));
}

/// The hardware writes by itself, at a time that nobody knows: at each report as long as it may, and once behind that.
void a_transfer(const device& edu, const container& space) {
    section("a transfer of the hardware's");
    constexpr std::uint64_t iova = 0x400000;
    const mapping memory{16 * least};
    space.map_dma(memory.bytes(), iova);
    const area ranges[]{{iova, 16 * least}};
    if (start(edu, least, ranges).error != 0) fail(EIO, "a log");
    std::vector<std::uint64_t> bits;
    for (unsigned round = 0; round < 3; ++round) {
        std::ranges::fill(memory.bytes(), std::byte{0xff});
        edu.put<std::uint32_t>(bar0, source, 0x40000);
        edu.put<std::uint32_t>(bar0, target, static_cast<std::uint32_t>(iova + 3 * least - 50));
        edu.put<std::uint32_t>(bar0, count, 100);
        edu.put<std::uint32_t>(bar0, command, 1 | 2);
        // Before it is over: told, and to be told again.
        expect("a report", static_cast<unsigned>(report(edu, iova, 16 * least, least, bits)), 0);
        expect("the pages of it", bits[0], 0xc);
        for (int i = 0; i < 2000 && (edu.get<std::uint32_t>(bar0, command) & 1) != 0; ++i) ::usleep(1000);
        expect("what was written", static_cast<unsigned>(memory.bytes()[3 * least]), 0);
        if (round == 1) edu.put<std::uint32_t>(bar0, command, 0); // nothing begins, and what was is over
        expect("a report", static_cast<unsigned>(report(edu, iova, 16 * least, least, bits)), 0);
        expect("the pages of it", bits[0], 0xc);
        expect("a report", static_cast<unsigned>(report(edu, iova, 16 * least, least, bits)), 0);
        expect("no pages", bits[0], 0);
    }
    static_cast<void>(stop(edu));
    space.unmap_dma(iova, memory.size());
}

void run(const std::string& module) {
    const auto address = find_pci(0x1234, 0x11e8);
    if (!address) fail(ENODEV, "no edu device");
    if (!mediant::guest::bind(*address, module)) fail(EBUSY, module + " did not take " + *address);
    const area ranges[]{{0, 0x10000}};
    if (!can_log()) {
        section("a kernel without users' bitmaps");
        const container space;
        const device edu{space, *address};
        expect("a log", static_cast<unsigned>(start(edu, least, ranges).error), ENOTTY);
        return;
    }
    {
        const container space;
        const device edu{space, *address};
        edu.enable();
        refusals(edu);
        as_a_model(edu);
        while_it_is_marked(edu);
        a_transfer(edu, space);
        expect("a log at the end", static_cast<unsigned>(start(edu, least, ranges).error), 0);
    }
    {
        section("opened again");
        const container space;
        const device edu{space, *address};
        std::vector<std::uint64_t> bits;
        expect("no log", static_cast<unsigned>(report(edu, 0, 0x10000, least, bits)), EINVAL);
    }
    write_attribute("/sys/module/" + module + "/parameters/pass_through", "1");
    {
        const container space;
        const device edu{space, *address};
        expect("without a policy", static_cast<unsigned>(start(edu, least, ranges).error), ENOTTY);
    }
    write_attribute("/sys/module/" + module + "/parameters/pass_through", "0");
    unbind(*address);
}

} // namespace

int main(int argc, char** argv) {
    return run_test("dma log", [&] { run(argc > 1 ? argv[1] : "moving_vfio_pci"); });
}
