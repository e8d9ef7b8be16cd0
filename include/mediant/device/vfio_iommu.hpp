// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/device/iommufd_uapi.hpp>
#include <mediant/device/pci_address.hpp>
#include <mediant/device/unique_fd.hpp>

#include <fcntl.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

/// The two ways to a VFIO device, and to the address space that its DMA sees.
namespace mediant::device {

namespace detail {
[[noreturn]] inline void cannot(int why, const pci_address& where, const std::string& what) {
    throw std::system_error{why, std::generic_category(), where.text() + ": " + what};
}
[[nodiscard]] inline unique_fd open_or_throw(const std::string& path, const pci_address& where) {
    unique_fd file{::open(path.c_str(), O_RDWR | O_CLOEXEC)};
    if (!file) cannot(errno, where, path);
    return file;
}
[[nodiscard]] inline result<void> control(const unique_fd& file, unsigned long request, auto argument) noexcept {
    return ::ioctl(file.get(), request, argument) < 0 ? result<void>{error{errno}} : result<void>{};
}
} // namespace detail

/// A group and a type1 container of its own (Documentation/driver-api/vfio.rst). A group can be open once: two devices
/// of one group need two processes no less than two of these.
class vfio_type1 {
public:
    /// Throws std::system_error that says what is missing.
    explicit vfio_type1(pci_address where) : where_{std::move(where)} {
        const std::string group = where_.iommu_group();
        if (group.empty()) detail::cannot(ENODEV, where_, "no IOMMU translates for it");
        container_ = detail::open_or_throw("/dev/vfio/vfio", where_);
        if (::ioctl(container_.get(), VFIO_GET_API_VERSION) != VFIO_API_VERSION)
            detail::cannot(EPROTO, where_, "/dev/vfio/vfio speaks another version of VFIO");
        if (::ioctl(container_.get(), VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) != 1)
            detail::cannot(ENODEV, where_, "no type1 IOMMU; is vfio_iommu_type1 loaded?");
        group_ = detail::open_or_throw("/dev/vfio/" + group, where_);
        vfio_group_status status{sizeof status, 0};
        if (!detail::control(group_, VFIO_GROUP_GET_STATUS, &status)) detail::cannot(errno, where_, "group " + group);
        if ((status.flags & VFIO_GROUP_FLAGS_VIABLE) == 0)
            detail::cannot(EBUSY, where_, "a device of IOMMU group " + group + " is held by another driver than vfio's");
        int container = container_.get();
        if (!detail::control(group_, VFIO_GROUP_SET_CONTAINER, &container))
            detail::cannot(errno, where_, "group " + group + " does not join a container");
        if (!detail::control(container_, VFIO_SET_IOMMU, static_cast<unsigned long>(VFIO_TYPE1v2_IOMMU)))
            detail::cannot(errno, where_, "group " + group + " and the type1 IOMMU");
    }

    [[nodiscard]] result<unique_fd> open_device() const {
        unique_fd file{::ioctl(group_.get(), VFIO_GROUP_GET_DEVICE_FD, where_.text().c_str())};
        if (!file) return error{errno};
        return file;
    }

    /// The device may reach what.memory, which is pinned.
    [[nodiscard]] result<void> map(const map_dma& what) const {
        vfio_iommu_type1_dma_map request{};
        request.argsz = sizeof request;
        request.flags = (what.readable ? VFIO_DMA_MAP_FLAG_READ : 0u) | (what.writable ? VFIO_DMA_MAP_FLAG_WRITE : 0u);
        request.vaddr = reinterpret_cast<std::uintptr_t>(what.memory.data());
        request.iova = what.iova;
        request.size = what.size;
        return detail::control(container_, VFIO_IOMMU_MAP_DMA, &request);
    }
    [[nodiscard]] result<void> unmap(const unmap_dma& what) const {
        vfio_iommu_type1_dma_unmap request{};
        request.argsz = sizeof request;
        request.iova = what.iova;
        request.size = what.size;
        if (const auto asked = detail::control(container_, VFIO_IOMMU_UNMAP_DMA, &request); !asked) return asked;
        return request.size != 0 ? error::none : error::not_found; // how much it was
    }
    /// From kernel 5.12 on.
    [[nodiscard]] result<void> unmap_all() const noexcept {
        vfio_iommu_type1_dma_unmap request{};
        request.argsz = sizeof request;
        request.flags = VFIO_DMA_UNMAP_FLAG_ALL;
        return detail::control(container_, VFIO_IOMMU_UNMAP_DMA, &request);
    }

private:
    pci_address where_;
    unique_fd container_;
    unique_fd group_;
};

/// The device's own file and an I/O address space of IOMMUFD (Documentation/userspace-api/iommufd.rst).
class vfio_iommufd {
public:
    /// Whether this kernel offers it for the device (CONFIG_VFIO_DEVICE_CDEV).
    [[nodiscard]] static bool offered(const pci_address& where) {
        const std::string name = where.vfio_name(); // in sysfs also where there is no file for it
        std::error_code none;
        return !name.empty() && std::filesystem::exists(devices + name, none);
    }

    /// Throws std::system_error that says what is missing.
    explicit vfio_iommufd(pci_address where) : where_{std::move(where)} {
        if (!offered(where_)) detail::cannot(ENODEV, where_, "no file below " + devices);
        iommufd_ = detail::open_or_throw("/dev/iommu", where_);
        iommufd::ioas_alloc space;
        if (!detail::control(iommufd_, iommufd::alloc_ioas, &space))
            detail::cannot(errno, where_, "no address space of /dev/iommu");
        ioas_ = space.out_ioas_id;
    }

    [[nodiscard]] result<unique_fd> open_device() const {
        unique_fd file{::open((devices + where_.vfio_name()).c_str(), O_RDWR | O_CLOEXEC)};
        if (!file) return error{errno};
        iommufd::bind bind;
        bind.iommufd = iommufd_.get();
        if (const auto bound = detail::control(file, iommufd::bind_device, &bind); !bound) return bound.error();
        iommufd::attach attach;
        attach.pt_id = ioas_;
        if (const auto done = detail::control(file, iommufd::attach_device, &attach); !done) return done.error();
        return file;
    }

    /// The device may reach what.memory, which is pinned.
    [[nodiscard]] result<void> map(const map_dma& what) const {
        iommufd::ioas_map request;
        request.flags = iommufd::fixed_iova | (what.readable ? iommufd::readable : 0u) |
                        (what.writable ? iommufd::writeable : 0u);
        request.ioas_id = ioas_;
        request.user_va = reinterpret_cast<std::uintptr_t>(what.memory.data());
        request.length = what.size;
        request.iova = what.iova;
        return detail::control(iommufd_, iommufd::map_ioas, &request);
    }
    [[nodiscard]] result<void> unmap(const unmap_dma& what) const {
        iommufd::ioas_unmap request;
        request.ioas_id = ioas_;
        request.iova = what.iova;
        request.length = what.size;
        return detail::control(iommufd_, iommufd::unmap_ioas, &request);
    }
    [[nodiscard]] result<void> unmap_all() const noexcept {
        iommufd::ioas_unmap request;
        request.ioas_id = ioas_;
        request.length = ~std::uint64_t{0};
        return detail::control(iommufd_, iommufd::unmap_ioas, &request);
    }

private:
    inline static const std::string devices = "/dev/vfio/devices/";

    pci_address where_;
    unique_fd iommufd_;
    std::uint32_t ioas_ = 0;
};

} // namespace mediant::device
