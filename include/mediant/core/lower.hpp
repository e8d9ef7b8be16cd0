// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/little_endian.hpp>
#include <mediant/core/requests.hpp>

#include <concepts>
#include <cstdint>

/// Lowers: what the last policy passes to.
namespace mediant {

/// A device that is reached by naturally aligned accesses of 1, 2, 4 or 8 bytes, at most max_access() wide; one that
/// says 0 takes none, and answers error::invalid.
/// It may also have open, release, and ioctl overloads for the requests that it answers; memory and memory_fd
/// where a client may map it, memory_offset(region) where that file begins with something else, next_area(region, from)
/// where only parts may be mapped, and withhold(region, range) for what a client must not reach so; log, dma and
/// trigger as services.
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

    [[gnu::always_inline]] constexpr answer read(const read_access& a) const {
        if (!natural(a.offset, a.bytes.size())) return read_split(a.region, a.offset, a.bytes.data(), a.bytes.size());
        const result<std::uint64_t> value = device_->load(a.region, a.offset, static_cast<unsigned>(a.bytes.size()));
        if (!value) return {0, value.error()};
        store_little(a.bytes, *value);
        return {a.bytes.size()};
    }

    [[gnu::always_inline]] constexpr answer write(const write_access& a) const {
        if (!natural(a.offset, a.bytes.size())) return write_split(a.region, a.offset, a.bytes.data(), a.bytes.size());
        const result<void> stored =
            device_->store(a.region, a.offset, static_cast<unsigned>(a.bytes.size()), load_little(a.bytes));
        return stored ? answer{a.bytes.size()} : answer{0, stored.error()};
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
    /// Whether an access is one that the lower takes as it is: the usual case.
    [[nodiscard]] constexpr bool natural(std::uint64_t offset, std::size_t size) const noexcept {
        return size - 1 < device_->max_access() && (size & (size - 1)) == 0 && (offset & (size - 1)) == 0;
    }

    [[gnu::noinline]] constexpr answer read_split(region_index region, std::uint64_t offset, std::byte* bytes,
                                                  std::size_t size) const {
        std::size_t done = 0;
        while (done < size) {
            const unsigned width = natural_width(offset + done, size - done, device_->max_access());
            if (width == 0) return {done, error::invalid};
            const result<std::uint64_t> value = device_->load(region, offset + done, width);
            if (!value) return {done, value.error()};
            store_little({bytes + done, width}, *value);
            done += width;
        }
        return {done};
    }

    [[gnu::noinline]] constexpr answer write_split(region_index region, std::uint64_t offset, const std::byte* bytes,
                                                   std::size_t size) const {
        std::size_t done = 0;
        while (done < size) {
            const unsigned width = natural_width(offset + done, size - done, device_->max_access());
            if (width == 0) return {done, error::invalid};
            const result<void> stored = device_->store(region, offset + done, width, load_little({bytes + done, width}));
            if (!stored) return {done, stored.error()};
            done += width;
        }
        return {done};
    }

    Lower* device_;
};

} // namespace mediant
