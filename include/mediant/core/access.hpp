// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/result.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

/// Accesses to a device's regions, and their answers.
namespace mediant {

/// A region of a vfio-pci device, numbered as VFIO_PCI_*_REGION_INDEX in linux/vfio.h. Device regions follow
/// from `first_device_region` on, in the order in which they are added at open.
enum class region_index : std::uint32_t {
    bar0, bar1, bar2, bar3, bar4, bar5,
    rom,
    config,
    vga,
    first_device_region,
};

/// How many regions every vfio-pci device has (VFIO_PCI_NUM_REGIONS).
inline constexpr std::uint32_t fixed_regions = static_cast<std::uint32_t>(region_index::first_device_region);

/// `bar{0}`: the region of a base address register.
struct bar {
    std::uint32_t number;
    [[nodiscard]] constexpr operator region_index() const noexcept { return region_index{number}; }
};

/// A stretch of a region (or of another address space), in bytes.
struct range {
    std::uint64_t offset = 0;
    std::uint64_t size = 0;

    [[nodiscard]] constexpr std::uint64_t end() const noexcept { return offset + size; }
    [[nodiscard]] constexpr bool empty() const noexcept { return size == 0; }
    [[nodiscard]] constexpr bool contains(std::uint64_t at) const noexcept { return at >= offset && at - offset < size; }
    friend constexpr bool operator==(range, range) = default;
};

/// Whether [offset, offset + size) lies in a region of `region_size` bytes; never overflows.
[[nodiscard]] constexpr bool fits(std::uint64_t offset, std::uint64_t size, std::uint64_t region_size) noexcept {
    return offset <= region_size && size <= region_size - offset;
}

/// One read or write, of any width and alignment. The bytes are in the device's order, which is little-endian.
template <class Byte>
struct basic_access {
    region_index region;
    std::uint64_t offset;   ///< from the start of the region
    std::span<Byte> bytes;  ///< where the bytes go to (a read) or come from (a write)

    /// The part of this access that starts `from` bytes into it.
    [[nodiscard]] constexpr basic_access part(std::size_t from, std::size_t size) const noexcept {
        return {region, offset + from, bytes.subspan(from, size)};
    }
};
using read_access = basic_access<std::byte>;
using write_access = basic_access<const std::byte>;

/// What came of an access: how many bytes were done, and what stopped the rest. A fault partway is a short
/// count with an error; at a system call's edge the count wins, as in read(2).
struct [[nodiscard]] answer {
    std::uint64_t count = 0;
    mediant::error error = mediant::error::none;

    friend constexpr bool operator==(answer, answer) = default;
};

/// The error of an access that was not done as a whole, also where what did it names none.
[[nodiscard]] constexpr error shortfall(const answer& done) noexcept {
    return done.error == error::none ? error::io : done.error;
}

namespace detail {

/// An answer in one register, so that one function can leave the rest of an access to another by a jump. A count has 52
/// bits: no region is larger than check_map lets it be, and no memory.
enum class outcome : std::uint64_t {};
[[nodiscard]] constexpr outcome packed(const answer& a) noexcept {
    return outcome{a.count << 12 | static_cast<std::uint32_t>(a.error)};
}
[[nodiscard]] constexpr outcome packed(std::uint64_t count, error what = error::none) noexcept {
    return packed(answer{count, what});
}
[[nodiscard]] constexpr answer unpacked(outcome o) noexcept {
    const auto bits = static_cast<std::uint64_t>(o);
    return {bits >> 12, error{static_cast<std::int32_t>(bits & 0xfff)}};
}

} // namespace detail

/// Sizes as they are written in maps: 4_KiB, 1_MiB, 16_GiB.
inline namespace literals {
[[nodiscard]] consteval std::uint64_t operator""_KiB(unsigned long long n) { return std::uint64_t{n} << 10; }
[[nodiscard]] consteval std::uint64_t operator""_MiB(unsigned long long n) { return std::uint64_t{n} << 20; }
[[nodiscard]] consteval std::uint64_t operator""_GiB(unsigned long long n) { return std::uint64_t{n} << 30; }
} // namespace literals

} // namespace mediant
