// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/kernel/abi.h>

#include <concepts>
#include <cstdint>

namespace mediant::kernel {

/// What the C half answered, as one of the core's errors. A number that the core does not know is error::io.
[[nodiscard]] constexpr error from_errno(int negative) noexcept {
    // In 64 bits, where the least int has a negative.
    const std::int64_t number = -std::int64_t{negative};
    for (const error known :
         {error::none, error::not_permitted, error::not_found, error::io, error::no_address, error::too_big,
          error::again, error::no_memory, error::denied, error::fault, error::busy, error::exists, error::no_device,
          error::invalid, error::not_a_request, error::no_space, error::out_of_range, error::not_supported})
        if (number == to_errno(known)) return known;
    return error::io;
}

/// The device below a policy in the kernel: a lower over what the C half offers. Its services: log, dirty, trigger.
class below_device {
public:
    /// `below` must outlive it.
    constexpr explicit below_device(const mediant_below& below) noexcept : below_{&below} {}

    /// Whether the C half is one that this policy object was made for.
    [[nodiscard]] constexpr bool speaks_our_abi() const noexcept {
        return below_->version == MEDIANT_ABI_VERSION && below_->size >= sizeof(mediant_below) &&
               (below_->max_access == 4 || below_->max_access == 8);
    }

    [[nodiscard]] constexpr unsigned max_access() const noexcept { return below_->max_access; }

    [[nodiscard]] result<std::uint64_t> load(region_index region, std::uint64_t offset, unsigned width) const noexcept {
        unsigned long long value = 0;
        const int done = below_->load(below_->device, number(region), offset, width, &value);
        if (done != 0) return from_errno(done);
        return std::uint64_t{value};
    }

    result<void> store(region_index region, std::uint64_t offset, unsigned width, std::uint64_t value) const noexcept {
        return from_errno(below_->store(below_->device, number(region), offset, width, value));
    }

    [[nodiscard]] result<get_device_info::answer> ioctl(const get_device_info&) const noexcept {
        unsigned regions = 0, irqs = 0, can_reset = 0;
        const int done = below_->device_info(below_->device, &regions, &irqs, &can_reset);
        if (done != 0) return from_errno(done);
        return get_device_info::answer{regions, irqs, can_reset != 0};
    }
    /// Which parts can be mapped is the C half's to say.
    [[nodiscard]] result<get_region_info::answer> ioctl(const get_region_info& what) const noexcept {
        unsigned long long size = 0;
        unsigned flags = 0;
        const int done = below_->region_info(below_->device, number(what.region), &size, &flags);
        if (done != 0) return from_errno(done);
        return get_region_info::answer{size, region_flags{flags}};
    }
    [[nodiscard]] result<get_irq_info::answer> ioctl(const get_irq_info& what) const noexcept {
        unsigned flags = 0, count = 0;
        const int done = below_->irq_info(below_->device, static_cast<unsigned>(what.index), &flags, &count);
        if (done != 0) return from_errno(done);
        return get_irq_info::answer{irq_flags{flags}, count};
    }
    result<void> ioctl(const reset_device&) const noexcept { return from_errno(below_->reset_device(below_->device)); }

    result<void> revoke(region_index region, range where) const noexcept {
        return from_errno(below_->revoke(below_->device, number(region), where.offset, where.size));
    }
    void regions_changed() const noexcept { below_->regions_changed(below_->device); }
    [[nodiscard]] result<std::uint64_t> ioctl(const start_dma_logging& what) const noexcept {
        unsigned long long tracked = 0;
        // Of one layout: what C sees of them is two numbers each.
        const auto* const ranges = reinterpret_cast<const mediant_range*>(what.ranges.data());
        const int done = below_->start_dma_logging(below_->device, what.page, ranges,
                                                   static_cast<unsigned>(what.ranges.size()), &tracked);
        if (done != 0) return from_errno(done);
        return std::uint64_t{tracked};
    }
    result<void> ioctl(const stop_dma_logging&) const noexcept {
        return from_errno(below_->stop_dma_logging(below_->device));
    }
    result<void> ioctl(const report_dma_logging& what) const noexcept {
        auto* const bits = reinterpret_cast<unsigned long long*>(what.bitmap.data()); // C's number of 64 bits
        return from_errno(below_->report_dma_logging(below_->device, what.iova, what.length, what.page, bits,
                                                     static_cast<unsigned>(what.bitmap.size()), what.forgets ? 1 : 0));
    }
    void dirty(std::uint64_t iova, std::uint64_t size) const noexcept { below_->dirty(below_->device, iova, size); }

    template <std::same_as<std::uint64_t>... Numbers>
        requires(sizeof...(Numbers) <= 3)
    void log(const char* literal, Numbers... numbers) const noexcept {
        const unsigned long long all[3]{numbers...};
        below_->log(below_->device, literal, sizeof...(Numbers), all[0], all[1], all[2]);
    }

    /// Signals the user's eventfd, if there is one. error::invalid where the device has no such vector. In a kernel
    /// error::not_supported but for MSI and MSI-X: the VFIO core alone knows how INTx is masked.
    result<void> trigger(irq_index index, std::uint32_t vector) const noexcept {
        return from_errno(below_->trigger(below_->device, static_cast<unsigned>(index), vector));
    }

private:
    [[nodiscard]] static constexpr unsigned number(region_index region) noexcept {
        return static_cast<unsigned>(region);
    }

    const mediant_below* below_;
};

} // namespace mediant::kernel
