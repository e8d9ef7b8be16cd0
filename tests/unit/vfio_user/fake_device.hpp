// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/device/host.hpp>
#include <mediant/device/unique_fd.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <functional>
#include <optional>
#include <vector>

/// A device for tests of the vfio-user server: the shape of a stack over a lower, in one class.
namespace vfio_user_test {

using namespace mediant;

class fake_device {
public:
    static constexpr std::uint64_t bar0_size = 16 * 1024; // memory in a file; its second page is not mappable
    static constexpr std::uint64_t bar1_size = 2 << 20;   // plain memory
    static constexpr std::uint64_t bar2_size = 64 * 1024; // memory in a file, mappable whole
    static constexpr std::uint64_t bar3_size = 64;        // faults from offset 8 on
    static constexpr std::uint64_t bar4_size = 16;        // a write of n arms a deadline n ns ahead; reads: expiries
    static constexpr std::uint64_t bar5_size = 1 << 20;   // in a file; every other page is mappable
    static constexpr std::uint64_t rom_size = 2048;       // read only
    static constexpr std::uint64_t config_size = 256;

    fake_device()
        : bar0_{memory_file(bar0_size)}, bar2_{memory_file(bar2_size)}, bar5_{memory_file(bar5_size)},
          bar1_(bar1_size) {
        host.irqs.provide(irq_index::intx, 1, irq_flags::eventfd | irq_flags::maskable | irq_flags::automasked);
        host.irqs.provide(irq_index::msi, 4, irq_flags::eventfd | irq_flags::noresize);
        host.irqs.provide(irq_index::msix, 2048, irq_flags::eventfd | irq_flags::noresize);
        for (std::size_t i = 0; i < config_.size(); ++i) config_[i] = static_cast<std::byte>(i);
    }

    // What tests look at and set
    device::host host;
    std::atomic<int> opens{0};
    std::atomic<int> releases{0};
    int resets = 0;
    std::uint64_t advanced_as = 0; // place in the order of all devices' deadlines
    error open_error = error::none;
    error map_error = error::none;
    error unmap_error = error::none;
    bool no_logging = false; // as a device that does not know these requests
    std::atomic<std::uint64_t> accesses{0};
    std::function<answer(read_access)> on_read{}; // of BAR 0, instead of its file
    std::function<answer(write_access)> on_write{};

    result<void> open() {
        if (open_error != error::none) return open_error;
        ++opens;
        return {};
    }
    void release() {
        host.release();
        deadline_.reset();
        ++releases;
    }
    void reset() { ++resets; }

    answer read(read_access what) {
        ++accesses;
        const auto size = static_cast<std::ptrdiff_t>(what.bytes.size());
        switch (what.region) {
        case region_index::bar0: return on_read ? on_read(what) : from_file(bar0_.get(), what);
        case region_index::bar2: return from_file(bar2_.get(), what);
        case region_index::bar5: return from_file(bar5_.get(), what);
        case region_index::bar1:
            std::copy_n(bar1_.begin() + static_cast<std::ptrdiff_t>(what.offset), size, what.bytes.begin());
            return {what.bytes.size()};
        case region_index::bar3: {
            const auto good = std::min<std::uint64_t>(what.offset < 8 ? 8 - what.offset : 0, what.bytes.size());
            std::fill_n(what.bytes.begin(), good, std::byte{0x33});
            return {good, good == what.bytes.size() ? error::none : error::io};
        }
        case region_index::bar4: {
            std::array<std::byte, bar4_size> now{};
            const std::uint64_t so_far = expiries_;
            std::memcpy(now.data(), &so_far, sizeof so_far);
            std::copy_n(now.begin() + static_cast<std::ptrdiff_t>(what.offset), size, what.bytes.begin());
            return {what.bytes.size()};
        }
        case region_index::config:
            std::copy_n(config_.begin() + static_cast<std::ptrdiff_t>(what.offset), size, what.bytes.begin());
            return {what.bytes.size()};
        default: std::fill(what.bytes.begin(), what.bytes.end(), std::byte{0xff}); return {what.bytes.size()};
        }
    }

    answer write(write_access what) {
        ++accesses;
        switch (what.region) {
        case region_index::bar0: return on_write ? on_write(what) : to_file(bar0_.get(), what);
        case region_index::bar2: return to_file(bar2_.get(), what);
        case region_index::bar5: return to_file(bar5_.get(), what);
        case region_index::bar1:
            std::copy(what.bytes.begin(), what.bytes.end(), bar1_.begin() + static_cast<std::ptrdiff_t>(what.offset));
            return {what.bytes.size()};
        case region_index::bar3: {
            const auto good = std::min<std::uint64_t>(what.offset < 8 ? 8 - what.offset : 0, what.bytes.size());
            return {good, good == what.bytes.size() ? error::none : error::io};
        }
        case region_index::bar4:
            if (what.offset == 0 && what.bytes.size() == 8) {
                std::uint64_t ahead = 0;
                std::memcpy(&ahead, what.bytes.data(), sizeof ahead);
                deadline_ = now() + ahead;
            }
            return {what.bytes.size()};
        case region_index::config:
            std::copy(what.bytes.begin(), what.bytes.end(), config_.begin() + static_cast<std::ptrdiff_t>(what.offset));
            return {what.bytes.size()};
        default: return {0, error::denied};
        }
    }

    result<get_device_info::answer> ioctl(const get_device_info&) {
        return get_device_info::answer{fixed_regions, fixed_irqs, true};
    }
    result<get_region_info::answer> ioctl(const get_region_info& what) {
        constexpr auto rw = region_flags::read | region_flags::write;
        switch (what.region) {
        case region_index::bar0: return get_region_info::answer{bar0_size, rw | region_flags::mmap};
        case region_index::bar1: return get_region_info::answer{bar1_size, rw};
        case region_index::bar2: return get_region_info::answer{bar2_size, rw | region_flags::mmap};
        case region_index::bar3: return get_region_info::answer{bar3_size, rw};
        case region_index::bar4: return get_region_info::answer{bar4_size, rw};
        case region_index::bar5: return get_region_info::answer{bar5_size, rw | region_flags::mmap};
        case region_index::rom: return get_region_info::answer{rom_size, region_flags::read};
        case region_index::config: return get_region_info::answer{config_size, rw};
        default: return get_region_info::answer{};
        }
    }
    result<get_irq_info::answer> ioctl(const get_irq_info& what) { return host.ioctl(what); }
    result<void> ioctl(const set_irqs& what) { return host.ioctl(what); }
    result<void> ioctl(const reset_device&) {
        reset();
        return {};
    }
    result<void> ioctl(const map_dma& what) { return map_error != error::none ? map_error : host.ioctl(what); }
    result<std::uint64_t> ioctl(const start_dma_logging& what) { return host.ioctl(what); }
    result<void> ioctl(const stop_dma_logging& what) { return host.ioctl(what); }
    result<void> ioctl(const report_dma_logging& what) {
        return no_logging ? result<void>{error::not_a_request} : host.ioctl(what);
    }
    result<void> ioctl(const unmap_dma& what) { return unmap_error != error::none ? unmap_error : host.ioctl(what); }

    [[nodiscard]] range next_area(region_index region, std::uint64_t page, std::uint64_t from) const {
        if (region == region_index::bar0) {
            if (from < page) return {from, page - from};
            return {std::max(from, 2 * page), bar0_size - std::max(from, 2 * page)};
        }
        if (region == region_index::bar2) return {from, bar2_size - from};
        if (region == region_index::bar5) {
            const auto at = (from + 2 * page - 1) / (2 * page) * (2 * page);
            return at < bar5_size ? range{at, page} : range{};
        }
        return {};
    }
    [[nodiscard]] int memory_fd(region_index region) const {
        if (region == region_index::bar0) return bar0_.get();
        if (region == region_index::bar2) return bar2_.get();
        return region == region_index::bar5 ? bar5_.get() : -1;
    }

    [[nodiscard]] std::optional<std::uint64_t> deadline() const { return deadline_; }
    /// How often a deadline came; from any thread.
    [[nodiscard]] std::uint64_t expiries() const { return expiries_; }
    void advance(std::uint64_t at) {
        if (!deadline_ || *deadline_ > at) return;
        deadline_.reset();
        ++expiries_;
        advanced_as = ++advanced;
    }

private:
    static std::uint64_t now() {
        timespec time{};
        ::clock_gettime(CLOCK_MONOTONIC, &time);
        return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000u + static_cast<std::uint64_t>(time.tv_nsec);
    }
    static device::unique_fd memory_file(std::uint64_t size) {
        device::unique_fd fd{::memfd_create("region", MFD_CLOEXEC)};
        if (::ftruncate(fd.get(), static_cast<off_t>(size)) != 0) fd.reset();
        return fd;
    }
    static answer from_file(int fd, read_access what) {
        const auto got = ::pread(fd, what.bytes.data(), what.bytes.size(), static_cast<off_t>(what.offset));
        return got < 0 ? answer{0, error::io} : answer{static_cast<std::uint64_t>(got)};
    }
    static answer to_file(int fd, write_access what) {
        const auto put = ::pwrite(fd, what.bytes.data(), what.bytes.size(), static_cast<off_t>(what.offset));
        return put < 0 ? answer{0, error::io} : answer{static_cast<std::uint64_t>(put)};
    }

    device::unique_fd bar0_;
    device::unique_fd bar2_;
    device::unique_fd bar5_;
    std::vector<std::byte> bar1_;
    std::array<std::byte, config_size> config_{};
    std::optional<std::uint64_t> deadline_;
    inline static std::atomic<std::uint64_t> advanced{0};
    std::atomic<std::uint64_t> expiries_ = 0;
};

} // namespace vfio_user_test
