// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/little_endian.hpp>
#include <mediant/core/requests.hpp>

#include <concepts>
#include <cstdint>

/// Lowers: what the last policy passes to.
namespace mediant {

/// A device that is reached by naturally aligned accesses of 1, 2, 4 or 8 bytes, at most max_access() wide.
/// It may also have open, release, and ioctl overloads for the requests that it answers; memory and memory_fd
/// where a client may map it; log, dma and irq as services.
template <class L>
concept lower = requires(L& device, region_index region, std::uint64_t offset, unsigned width, std::uint64_t value) {
    { device.max_access() } -> std::convertible_to<unsigned>;
    { device.load(region, offset, width) } -> std::same_as<result<std::uint64_t>>;
    { device.store(region, offset, width, value) } -> std::same_as<result<void>>;
};

/// The widest natural access at `offset` of at most `count` bytes: what vfio-pci splits into
/// (vfio_pci_core_do_io_rw in drivers/vfio/pci/vfio_pci_rdwr.c).
[[nodiscard]] constexpr unsigned natural_width(std::uint64_t offset, std::uint64_t count, unsigned max_access) noexcept {
    unsigned width = max_access;
    while (width > 1 && (width > count || offset % width != 0)) width /= 2;
    return width;
}

/// The bottom of a stack: splits what arrives into accesses that the lower takes. Holds no more than a pointer.
template <lower Lower>
class bottom {
public:
    constexpr explicit bottom(Lower& device) noexcept : device_{&device} {}

    [[nodiscard]] constexpr Lower& device() const noexcept { return *device_; }

    constexpr answer read(read_access a) const {
        std::size_t done = 0;
        while (done < a.bytes.size()) {
            const unsigned width = natural_width(a.offset + done, a.bytes.size() - done, device_->max_access());
            const result<std::uint64_t> value = device_->load(a.region, a.offset + done, width);
            if (!value) return {done, value.error()};
            store_little(a.bytes.subspan(done, width), *value);
            done += width;
        }
        return {done};
    }

    constexpr answer write(write_access a) const {
        std::size_t done = 0;
        while (done < a.bytes.size()) {
            const unsigned width = natural_width(a.offset + done, a.bytes.size() - done, device_->max_access());
            const result<void> stored =
                device_->store(a.region, a.offset + done, width, load_little(a.bytes.subspan(done, width)));
            if (!stored) return {done, stored.error()};
            done += width;
        }
        return {done};
    }

    template <request R>
    constexpr result<typename R::answer> ioctl(const R& what) const {
        if constexpr (requires { device_->ioctl(what); })
            return device_->ioctl(what);
        else
            return error::not_a_request;
    }

    constexpr result<void> open() const {
        if constexpr (requires { device_->open(); })
            return device_->open();
        else
            return {};
    }
    constexpr void release() const {
        if constexpr (requires { device_->release(); }) device_->release();
    }

private:
    Lower* device_;
};

} // namespace mediant
