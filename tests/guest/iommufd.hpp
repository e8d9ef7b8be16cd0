// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// What of IOMMUFD and VFIO's character devices a test in a guest needs beyond what the library does.

#ifndef MEDIANT_TESTS_GUEST_IOMMUFD_HPP
#define MEDIANT_TESTS_GUEST_IOMMUFD_HPP

#include "../../include/mediant/device/iommufd_uapi.hpp"

#include <cstdint>

namespace mediant::guest::iommufd {

using namespace mediant::device::iommufd;

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

/// VFIO_DEVICE_BIND_IOMMUFD with a VF token, of which `token` is the address. (6.17)
struct bind_with_token {
    std::uint32_t argsz = sizeof(bind_with_token);
    std::uint32_t flags = 1;
    std::int32_t iommufd = -1;
    std::uint32_t out_devid = 0;
    std::uint64_t token = 0;
};

/// VFIO_DEVICE_ATTACH_IOMMUFD_PT and VFIO_DEVICE_DETACH_IOMMUFD_PT, of one PASID. (6.15)
struct attach_pasid {
    std::uint32_t argsz = sizeof(attach_pasid);
    std::uint32_t flags = 1;
    std::uint32_t pt_id = 0;
    std::uint32_t pasid = 1;
};
struct detach_pasid {
    std::uint32_t argsz = sizeof(detach_pasid);
    std::uint32_t flags = 1;
    std::uint32_t pasid = 1;
};

inline constexpr unsigned long map_ioas_file = _IO(';', 0x8f);

} // namespace mediant::guest::iommufd

#endif
