// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// What of IOMMUFD and VFIO's character devices a test in a guest needs, since Debian 12's own headers are older: the
/// layouts and numbers of the kernel's uapi/linux/iommufd.h and uapi/linux/vfio.h (6.6).

#ifndef MEDIANT_TESTS_GUEST_IOMMUFD_HPP
#define MEDIANT_TESTS_GUEST_IOMMUFD_HPP

#include <cstdint>

#include <linux/vfio.h>

namespace mediant::guest::iommufd {

/// An I/O address space, to which devices are attached.
struct ioas_alloc {
    std::uint32_t size = sizeof(ioas_alloc);
    std::uint32_t flags = 0;
    std::uint32_t out_ioas_id = 0;
};

struct ioas_map {
    std::uint32_t size = sizeof(ioas_map);
    std::uint32_t flags = 0;
    std::uint32_t ioas_id = 0;
    std::uint32_t reserved = 0;
    std::uint64_t user_va = 0;
    std::uint64_t length = 0;
    std::uint64_t iova = 0;
};

/// (6.14; of a dma-buf from 7.0 on)
struct ioas_map_file {
    std::uint32_t size = sizeof(ioas_map_file);
    std::uint32_t flags = 0;
    std::uint32_t ioas_id = 0;
    std::int32_t fd = -1;
    std::uint64_t start = 0;
    std::uint64_t length = 0;
    std::uint64_t iova = 0;
};

struct ioas_unmap {
    std::uint32_t size = sizeof(ioas_unmap);
    std::uint32_t ioas_id = 0;
    std::uint64_t iova = 0;
    std::uint64_t length = 0;
};

inline constexpr std::uint32_t fixed_iova = 1;
inline constexpr std::uint32_t writeable = 2;
inline constexpr std::uint32_t readable = 4;

inline constexpr unsigned long alloc_ioas = _IO(';', 0x81);
inline constexpr unsigned long map_ioas = _IO(';', 0x85);
inline constexpr unsigned long map_ioas_file = _IO(';', 0x8f);
inline constexpr unsigned long unmap_ioas = _IO(';', 0x86);

/// Makes a device's file usable, in the name of an open /dev/iommu.
struct bind {
    std::uint32_t argsz = sizeof(bind);
    std::uint32_t flags = 0;
    std::int32_t iommufd = -1;
    std::uint32_t out_devid = 0;
};

struct attach {
    std::uint32_t argsz = sizeof(attach);
    std::uint32_t flags = 0;
    std::uint32_t pt_id = 0;
};

struct detach {
    std::uint32_t argsz = sizeof(detach);
    std::uint32_t flags = 0;
};

inline constexpr unsigned long bind_device = _IO(VFIO_TYPE, VFIO_BASE + 18);
inline constexpr unsigned long attach_device = _IO(VFIO_TYPE, VFIO_BASE + 19);
inline constexpr unsigned long detach_device = _IO(VFIO_TYPE, VFIO_BASE + 20);

} // namespace mediant::guest::iommufd

#endif
