// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// What a replay does to a device that keeps what it was given.

#include "events.hpp"

#include <mediant/device/dma_map.hpp>
#include <mediant/trace/reader.hpp>
#include <mediant/trace/replay.hpp>

#include <catch2/catch.hpp>

#include <sys/mman.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

using namespace mediant;
using namespace mediant::trace;

namespace {

/// Each write of its register is one of the memory at an I/O address.
class writer_of_memory {
public:
    result<void> open() { return {}; }
    void release() { dma_.clear(); }
    answer read(const read_access& what) { return {what.bytes.size()}; }
    answer write(const write_access& what) {
        // What is gone is seen without a signal.
        if (::msync(last_.data(), last_.size(), MS_ASYNC) != 0) {
            gone = true;
            return {what.bytes.size()};
        }
        const std::array<std::byte, 4> some{};
        written += dma_.write(0x1000, some).count;
        return {what.bytes.size()};
    }
    result<void> ioctl(const set_irqs&) { return {}; }
    result<void> ioctl(const reset_device&) { return {}; }
    result<void> ioctl(const map_dma& what) {
        const auto mapped = dma_.map(what);
        if (mapped) last_ = what.memory;
        return mapped;
    }
    result<void> ioctl(const unmap_dma& what) { return dma_.unmap(what); }
    result<get_region_info::answer> ioctl(const get_region_info& what) {
        for (const identity::region& each : test::some_identity().regions)
            if (each.index == what.region) return get_region_info::answer{each.size, each.flags};
        return error::invalid;
    }
    result<get_irq_info::answer> ioctl(const get_irq_info&) { return get_irq_info::answer{}; }

    std::uint64_t written = 0;
    bool gone = false;

private:
    device::dma_map dma_;
    std::span<std::byte> last_;
};

event mapped(std::uint64_t iova, error what = error::none) {
    event out;
    out.what = action::map_dma;
    out.numbers = {iova, 0x1000, 3, 1};
    out.error = what;
    return out;
}

} // namespace

TEST_CASE("a map that was refused takes nothing from what the device has there") {
    event access;
    access.what = action::write;
    access.region = region_index::bar0;
    access.size = access.count = 4;
    const std::array<std::byte, 4> some{};
    access.set_bytes(some);
    event opened;
    opened.what = action::open;
    const std::vector<event> events{opened, mapped(0x1000), mapped(0x1000, error::exists), access};
    const auto file = test::recording_of(events, 8);
    reader from{file};
    writer_of_memory device;
    const auto came = replay<writer_of_memory>::run(from, device, {}, [](const difference&) {});
    CHECK(came.different == 0);
    CHECK(came.done == events.size() + 1);
    CHECK_FALSE(device.gone);
    CHECK(device.written == 4);
}
