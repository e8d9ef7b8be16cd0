// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/little_endian.hpp>
#include <mediant/core/requests.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

/// Lowers: what the last policy passes to.
namespace mediant {

/// A device that is reached by naturally aligned accesses of 1, 2, 4 or 8 bytes, at most max_access() wide; one that
/// says 0 takes none, and answers error::invalid.
/// It may also have open, release, and ioctl overloads for the requests that it answers; memory and memory_fd
/// where a client may map it, memory_offset(region) where that file begins with something else, next_area(region, from)
/// where only parts may be mapped, and withhold(region, range) for what a client must not reach so; block where it is
/// memory (has_blocks); log, dma and trigger as services.
template <class L>
concept lower = requires(L& device, region_index region, std::uint64_t offset, unsigned width, std::uint64_t value) {
    { device.max_access() } -> std::convertible_to<unsigned>;
    { device.load(region, offset, width) } -> std::same_as<result<std::uint64_t>>;
    { device.store(region, offset, width, value) } -> std::same_as<result<void>>;
};

/// `block(region, offset, size)`: the bytes behind a stretch in which a load does nothing but read them and a store
/// nothing but write them, whatever their widths; empty where one does more, or would be refused now. They stay where
/// they are until release(). Long accesses then are one copy, or none.
template <class L>
concept has_blocks = requires(L& device, region_index region, std::uint64_t offset, std::uint64_t size) {
    { device.block(region, offset, size) } -> std::same_as<std::span<std::byte>>;
};

/// `read(access)` and `write(access)`: long accesses as they are, for who has further to go than to split them here; what
/// they come to there is the same. Short counts and errors as of a stack.
template <class L>
concept takes_long_accesses = requires(L& device, const read_access& from, const write_access& to) {
    { device.read(from) } -> std::same_as<answer>;
    { device.write(to) } -> std::same_as<answer>;
};

/// Bytes from which on an access may go to a block, or be taken as it is; what is shorter is made of natural accesses everywhere.
inline constexpr std::size_t least_block = 64;

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

    /// The same of 1 to 8 bytes, which lie in 8 of the caller's, where the verifier reads along: what it would follow for
    /// each length and place is a number here, and no pointer.
    [[nodiscard]] constexpr answer read_part(const read_access& a) const {
        std::uint64_t value = 0;
        std::size_t done = 0;
        error stopped = error::none;
        for (unsigned i = 0; i < most_parts && done < a.bytes.size(); ++i) {
            const unsigned width = part_width(a.offset + done, a.bytes.size() - done);
            const result<std::uint64_t> loaded = device_->load(a.region, a.offset + done, width);
            if (!loaded) {
                stopped = loaded.error();
                break;
            }
            value |= *loaded << (8 * done & 63);
            done += width;
        }
        detail::store_part(a.bytes, value);
        return {done, stopped};
    }
    [[nodiscard]] constexpr answer write_part(const write_access& a) const {
        const std::uint64_t value = detail::load_part(a.bytes);
        std::size_t done = 0;
        for (unsigned i = 0; i < most_parts && done < a.bytes.size(); ++i) {
            const unsigned width = part_width(a.offset + done, a.bytes.size() - done);
            const std::uint64_t part = value >> (8 * done & 63) & low_bytes(width);
            const result<void> stored = device_->store(a.region, a.offset + done, width, part);
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
    /// The most natural accesses that up to 8 bytes come to, as 8 from an odd place on do.
    static constexpr unsigned most_parts = 4;

    /// natural_width() for 1 to 8 bytes, without a branch: the verifier would follow each width of each part.
    [[nodiscard]] constexpr unsigned part_width(std::uint64_t offset, std::uint64_t count) const noexcept {
        count |= count >> 1;
        count |= count >> 2; // 8, as 15, or as 3 bits: the half of what is above is the highest bit
        const std::uint64_t limits = offset | device_->max_access() | (count - (count >> 1));
        return static_cast<unsigned>(limits & (~limits + 1)); // the least of three powers of two
    }

    /// Whether an access is one that the lower takes as it is: the usual case.
    [[nodiscard]] constexpr bool natural(std::uint64_t offset, std::size_t size) const noexcept {
        return size - 1 < device_->max_access() && (size & (size - 1)) == 0 && (offset & (size - 1)) == 0;
    }

    [[gnu::noinline]] constexpr answer read_split(region_index region, std::uint64_t offset, std::byte* bytes,
                                                  std::size_t size) const {
        if constexpr (has_blocks<Lower>) {
            if (const std::span<std::byte> block = block_of(region, offset, size); !block.empty()) {
                copy(bytes, block.data(), size);
                return {size};
            }
        }
        if constexpr (takes_long_accesses<Lower>)
            if (size >= least_block) return device_->read({region, offset, {bytes, size}});
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
        if constexpr (has_blocks<Lower>) {
            if (const std::span<std::byte> block = block_of(region, offset, size); !block.empty()) {
                copy(block.data(), bytes, size);
                return {size};
            }
        }
        if constexpr (takes_long_accesses<Lower>)
            if (size >= least_block) return device_->write({region, offset, {bytes, size}});
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

    /// Empty also where an access is short, or the lower answers another length.
    [[nodiscard]] constexpr std::span<std::byte> block_of(region_index region, std::uint64_t offset,
                                                          std::size_t size) const {
        if (size < least_block) return {};
        const std::span<std::byte> block = device_->block(region, offset, size);
        return block.size() == size ? block : std::span<std::byte>{};
    }
    static constexpr void copy(std::byte* to, const std::byte* from, std::size_t size) noexcept {
        if (!std::is_constant_evaluated()) {
            __builtin_memcpy(to, from, size);
            return;
        }
        for (std::size_t i = 0; i < size; ++i) to[i] = from[i];
    }

    Lower* device_;
};

} // namespace mediant
