// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <linux/vfio.h>
#include <sys/ioctl.h>

#include <cstdint>

/// What of IOMMUFD and of VFIO's character devices is used here, with the layouts and numbers of the kernel's
/// uapi/linux/iommufd.h and uapi/linux/vfio.h (6.6): what is built with older headers, such as Debian 12's, runs on
/// newer kernels too.
namespace mediant::device::iommufd {

/// IOMMU_IOAS_ALLOC: an I/O address space, to which devices are attached.
struct ioas_alloc {
    std::uint32_t size = sizeof(ioas_alloc);
    std::uint32_t flags = 0;
    std::uint32_t out_ioas_id = 0;
};

/// IOMMU_IOAS_MAP.
struct ioas_map {
    std::uint32_t size = sizeof(ioas_map);
    std::uint32_t flags = 0;
    std::uint32_t ioas_id = 0;
    std::uint32_t reserved = 0;
    std::uint64_t user_va = 0;
    std::uint64_t length = 0;
    std::uint64_t iova = 0;
};
inline constexpr std::uint32_t fixed_iova = 1;
inline constexpr std::uint32_t writeable = 2;
inline constexpr std::uint32_t readable = 4;

/// IOMMU_IOAS_UNMAP.
struct ioas_unmap {
    std::uint32_t size = sizeof(ioas_unmap);
    std::uint32_t ioas_id = 0;
    std::uint64_t iova = 0;
    std::uint64_t length = 0;
};

inline constexpr unsigned long alloc_ioas = _IO(';', 0x81);
inline constexpr unsigned long map_ioas = _IO(';', 0x85);
inline constexpr unsigned long unmap_ioas = _IO(';', 0x86);

/// VFIO_DEVICE_BIND_IOMMUFD: makes a device's file usable, in the name of an open /dev/iommu.
struct bind {
    std::uint32_t argsz = sizeof(bind);
    std::uint32_t flags = 0;
    std::int32_t iommufd = -1;
    std::uint32_t out_devid = 0;
};

/// VFIO_DEVICE_ATTACH_IOMMUFD_PT.
struct attach {
    std::uint32_t argsz = sizeof(attach);
    std::uint32_t flags = 0;
    std::uint32_t pt_id = 0;
};

/// VFIO_DEVICE_DETACH_IOMMUFD_PT.
struct detach {
    std::uint32_t argsz = sizeof(detach);
    std::uint32_t flags = 0;
};

inline constexpr unsigned long bind_device = _IO(VFIO_TYPE, VFIO_BASE + 18);
inline constexpr unsigned long attach_device = _IO(VFIO_TYPE, VFIO_BASE + 19);
inline constexpr unsigned long detach_device = _IO(VFIO_TYPE, VFIO_BASE + 20);

} // namespace mediant::device::iommufd
