// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// A small client of /dev/vfio: group, type1 container, one device; or with MEDIANT_IOMMUFD in the environment the
/// device's own file and an I/O address space of /dev/iommu. What a test in a guest needs to drive a PCI device that
/// vfio-pci or a module made by mediant holds.
///
/// Set-up throws std::system_error with the kernel's errno. Accesses answer with count and errno,
/// since those are what a test compares; `error_of` turns a throwing call into such a number.

#ifndef MEDIANT_TESTS_GUEST_VFIO_CLIENT_HPP
#define MEDIANT_TESTS_GUEST_VFIO_CLIENT_HPP

#include "iommufd.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace mediant::guest {

/// Throws `error` with what was tried.
[[noreturn]] inline void fail(int error, const std::string& what) {
    throw std::system_error{error, std::generic_category(), what};
}

/// The errno with which a call failed, 0 if it did not.
template <std::invocable F>
int error_of(F&& call) {
    try {
        std::forward<F>(call)();
        return 0;
    } catch (const std::system_error& e) {
        return e.code().value();
    }
}

/// Owns a file descriptor.
class unique_fd {
public:
    unique_fd() = default;
    explicit unique_fd(int fd) : fd_{fd} {}
    unique_fd(unique_fd&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
    unique_fd& operator=(unique_fd&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~unique_fd() {
        if (fd_ >= 0) ::close(fd_);
    }

    [[nodiscard]] int get() const { return fd_; }

private:
    int fd_ = -1;
};

/// Opens a file for reading and writing.
inline unique_fd open_file(const std::string& path) {
    unique_fd fd{::open(path.c_str(), O_RDWR | O_CLOEXEC)};
    if (fd.get() < 0) fail(errno, "open " + path);
    return fd;
}

/// An ioctl that throws; gives its non-negative answer.
template <class... Argument>
int control(int fd, unsigned long request, const char* what, Argument... argument) {
    const int answer = ::ioctl(fd, request, argument...);
    if (answer < 0) fail(errno, what);
    return answer;
}

// --- the device in sysfs -----------------------------------------------------------------------------

/// A PCI device's folder in sysfs.
inline std::filesystem::path sysfs(const std::string& address) {
    return std::filesystem::path{"/sys/bus/pci/devices"} / address;
}

/// Writes a sysfs attribute.
inline void write_attribute(const std::filesystem::path& path, const std::string& value) {
    const unique_fd fd{::open(path.c_str(), O_WRONLY | O_CLOEXEC)};
    if (fd.get() < 0) fail(errno, "open " + path.string());
    if (::write(fd.get(), value.data(), value.size()) < 0) fail(errno, "write " + path.string());
}

/// The addresses ("0000:01:00.0") of the PCI devices with this vendor and device ID, in order.
inline std::vector<std::string> find_all_pci(std::uint16_t vendor, std::uint16_t device) {
    const auto attribute = [](const std::filesystem::path& path) {
        unsigned value = 0;
        std::ifstream{path} >> std::hex >> value;
        return value;
    };
    std::vector<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator{sysfs("")})
        if (attribute(entry.path() / "vendor") == vendor && attribute(entry.path() / "device") == device)
            found.push_back(entry.path().filename().string());
    std::sort(found.begin(), found.end());
    return found;
}

/// The first of them.
inline std::optional<std::string> find_pci(std::uint16_t vendor, std::uint16_t device) {
    const std::vector<std::string> found = find_all_pci(vendor, device);
    if (found.empty()) return std::nullopt;
    return found.front();
}

/// The driver that holds a device; empty if none does.
inline std::string driver_of(const std::string& address) {
    std::error_code none;
    return std::filesystem::read_symlink(sysfs(address) / "driver", none).filename().string();
}

/// Takes a device from its driver, if it has one.
inline void unbind(const std::string& address) {
    if (!driver_of(address).empty()) write_attribute(sysfs(address) / "driver/unbind", address);
}

/// Binds a device by driver_override; says whether the driver took it.
inline bool bind(const std::string& address, const std::string& driver) {
    write_attribute(sysfs(address) / "driver_override", driver);
    unbind(address);
    // A driver that refuses the device makes this write fail; whether it holds it is what counts.
    static_cast<void>(error_of([&] { write_attribute("/sys/bus/pci/drivers_probe", address); }));
    return driver_of(address) == driver;
}

/// The path of a device's own file (CONFIG_VFIO_DEVICE_CDEV).
inline std::string device_file(const std::string& address) {
    for (const auto& entry : std::filesystem::directory_iterator{sysfs(address) / "vfio-dev"})
        return "/dev/vfio/devices/" + entry.path().filename().string();
    fail(ENODEV, "no character device of " + address);
}

/// The number of a device's IOMMU group.
inline std::string iommu_group(const std::string& address) {
    return std::filesystem::read_symlink(sysfs(address) / "iommu_group").filename().string();
}

// --- interrupts and memory ---------------------------------------------------------------------------

/// An eventfd, as an interrupt's end or a doorbell's.
class event {
public:
    event() : fd_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {
        if (fd_.get() < 0) fail(errno, "eventfd");
    }

    [[nodiscard]] int get() const { return fd_.get(); }

    /// Waits for a signal; gives how many came since the last call, 0 when none came in time.
    [[nodiscard]] std::uint64_t wait(int milliseconds) const {
        pollfd entry{fd_.get(), POLLIN, 0};
        std::uint64_t count = 0;
        if (::poll(&entry, 1, milliseconds) <= 0) return 0;
        return ::read(fd_.get(), &count, sizeof count) == sizeof count ? count : 0;
    }

private:
    unique_fd fd_;
};

/// A mapping of memory: anonymous, or a part of a region.
class mapping {
public:
    /// Maps `size` bytes of `fd` at `offset`; anonymous and zeroed when `fd` is negative, and private unless told.
    /// With `at`, there, in place of what is.
    explicit mapping(std::size_t size, int fd = -1, off_t offset = 0, int protection = PROT_READ | PROT_WRITE,
                     int sharing = MAP_PRIVATE, void* at = nullptr)
        : data_{::mmap(at, size, protection,
                       (fd < 0 ? sharing | MAP_ANONYMOUS : MAP_SHARED) | (at != nullptr ? MAP_FIXED : 0), fd, offset)},
          size_{size} {
        if (data_ == MAP_FAILED) fail(errno, "mmap");
    }
    mapping(mapping&& other) noexcept : data_{std::exchange(other.data_, MAP_FAILED)}, size_{other.size_} {}
    mapping& operator=(mapping&&) = delete;
    ~mapping() {
        if (data_ != MAP_FAILED) ::munmap(data_, size_);
    }

    [[nodiscard]] void* data() const { return data_; }
    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] std::span<std::byte> bytes() const { return {static_cast<std::byte*>(data_), size_}; }

    /// One load of a device's register, of exactly this width.
    template <std::unsigned_integral T>
    [[nodiscard]] T load(std::size_t offset) const {
        return *static_cast<const volatile T*>(at(offset));
    }

    /// One store to a device's register, of exactly this width.
    template <std::unsigned_integral T>
    void store(std::size_t offset, T value) const {
        *static_cast<volatile T*>(at(offset)) = value;
    }

private:
    [[nodiscard]] void* at(std::size_t offset) const { return static_cast<std::byte*>(data_) + offset; }

    void* data_;
    std::size_t size_;
};

/// The address space that its devices' DMA sees: a type1 container, or one of IOMMUFD.
class container {
public:
    container() : container{std::getenv("MEDIANT_IOMMUFD") != nullptr} {}

    explicit container(bool iommufd) : fd_{open_file(iommufd ? "/dev/iommu" : "/dev/vfio/vfio")} {
        if (iommufd) {
            iommufd::ioas_alloc request;
            control(fd_.get(), iommufd::alloc_ioas, "IOMMU_IOAS_ALLOC", &request);
            ioas_ = request.out_ioas_id;
            return;
        }
        if (::ioctl(fd_.get(), VFIO_GET_API_VERSION) != VFIO_API_VERSION) fail(EPROTO, "VFIO_GET_API_VERSION");
        if (::ioctl(fd_.get(), VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) != 1) fail(ENODEV, "type1 IOMMU");
    }

    [[nodiscard]] int get() const { return fd_.get(); }

    /// IOMMUFD's number of the address space; none for a type1 container.
    [[nodiscard]] std::optional<std::uint32_t> ioas() const { return ioas_; }

    /// Lets devices see `memory` at `iova`.
    void map_dma(std::span<std::byte> memory, std::uint64_t iova) const {
        if (ioas_) {
            iommufd::ioas_map request;
            request.flags = iommufd::fixed_iova | iommufd::readable | iommufd::writeable;
            request.ioas_id = *ioas_;
            request.user_va = reinterpret_cast<std::uintptr_t>(memory.data());
            request.length = memory.size();
            request.iova = iova;
            control(fd_.get(), iommufd::map_ioas, "IOMMU_IOAS_MAP", &request);
            return;
        }
        vfio_iommu_type1_dma_map map{};
        map.argsz = sizeof map;
        map.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
        map.vaddr = reinterpret_cast<std::uintptr_t>(memory.data());
        map.iova = iova;
        map.size = memory.size();
        control(fd_.get(), VFIO_IOMMU_MAP_DMA, "VFIO_IOMMU_MAP_DMA", &map);
    }

    /// Takes [iova, iova + size) back.
    void unmap_dma(std::uint64_t iova, std::uint64_t size) const {
        if (ioas_) {
            iommufd::ioas_unmap request;
            request.ioas_id = *ioas_;
            request.iova = iova;
            request.length = size;
            control(fd_.get(), iommufd::unmap_ioas, "IOMMU_IOAS_UNMAP", &request);
            return;
        }
        vfio_iommu_type1_dma_unmap unmap{};
        unmap.argsz = sizeof unmap;
        unmap.iova = iova;
        unmap.size = size;
        control(fd_.get(), VFIO_IOMMU_UNMAP_DMA, "VFIO_IOMMU_UNMAP_DMA", &unmap);
    }

private:
    unique_fd fd_;
    std::optional<std::uint32_t> ioas_;
};

// --- the device --------------------------------------------------------------------------------------

/// An access's answer: what read(2) or write(2) gave (-1 on failure) and errno (0 on success).
struct outcome {
    std::int64_t count = 0;
    int error = 0;
    friend bool operator==(const outcome&, const outcome&) = default;
};

/// A part of a region.
struct area {
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
    friend bool operator==(const area&, const area&) = default;
};

/// What VFIO_DEVICE_GET_REGION_INFO says.
struct region_info {
    std::uint32_t index = 0;
    std::uint32_t flags = 0; ///< VFIO_REGION_INFO_FLAG_*
    std::uint64_t size = 0;
    std::uint64_t offset = 0;                ///< where the region lies in the device's file
    std::optional<std::vector<area>> sparse; ///< the sparse mmap capability
    bool msix_mappable = false;              ///< the MSI-X capability
    std::optional<std::pair<std::uint32_t, std::uint32_t>> type; ///< a device region's type and subtype
};

/// What VFIO_DEVICE_GET_IRQ_INFO says.
struct irq_info {
    std::uint32_t flags = 0; ///< VFIO_IRQ_INFO_*
    std::uint32_t count = 0;
};

/// An open device.
class device {
public:
    /// Opens the device at `address`; its group must not be open elsewhere. The container outlives it. With a group, a
    /// VF token may be given, as in "00112233-4455-6677-8899-aabbccddeeff".
    device(const container& space, const std::string& address, const std::string& vf_token = {}) {
        if (space.ioas()) open_by_file(space, address);
        else open_by_group(space, address, vf_token.empty() ? address : address + " vf_token=" + vf_token);
        const std::uint32_t regions = info().num_regions;
        for (std::uint32_t index = 0; index < regions; ++index) {
            // A region that the device lacks (VGA) still has its place in the device's file.
            std::uint64_t offset = std::uint64_t{index} << 40;
            static_cast<void>(error_of([&] { offset = region(index).offset; }));
            offsets_.push_back(offset);
        }
    }

    [[nodiscard]] int get() const { return fd_.get(); }

    /// Flags and the numbers of regions and interrupts.
    [[nodiscard]] vfio_device_info info() const {
        vfio_device_info answer{};
        answer.argsz = sizeof answer;
        control(fd_.get(), VFIO_DEVICE_GET_INFO, "VFIO_DEVICE_GET_INFO", &answer);
        return answer;
    }

    /// One region, with its capabilities.
    [[nodiscard]] region_info region(std::uint32_t index) const {
        vfio_region_info head{};
        head.argsz = sizeof head;
        head.index = index;
        control(fd_.get(), VFIO_DEVICE_GET_REGION_INFO, "VFIO_DEVICE_GET_REGION_INFO", &head);
        region_info answer{index, head.flags, head.size, head.offset, {}, false, {}};
        if ((head.flags & VFIO_REGION_INFO_FLAG_CAPS) == 0 || head.argsz <= sizeof head) return answer;

        std::vector<std::byte> buffer;
        while (head.argsz > buffer.size()) { // areas may have become more meanwhile
            buffer.resize(head.argsz);
            head.cap_offset = 0;
            std::memcpy(buffer.data(), &head, sizeof head);
            control(fd_.get(), VFIO_DEVICE_GET_REGION_INFO, "VFIO_DEVICE_GET_REGION_INFO", buffer.data());
            head = take<vfio_region_info>(buffer, 0);
        }
        answer.flags = head.flags;
        for (std::size_t at = head.cap_offset; at != 0;) {
            const auto capability = take<vfio_info_cap_header>(buffer, at);
            if (capability.id == VFIO_REGION_INFO_CAP_SPARSE_MMAP) {
                const auto sparse = take<vfio_region_info_cap_sparse_mmap>(buffer, at);
                auto& areas = answer.sparse.emplace();
                for (std::uint32_t i = 0; i < sparse.nr_areas; ++i) {
                    const auto one =
                        take<vfio_region_sparse_mmap_area>(buffer, at + sizeof sparse + i * sizeof(vfio_region_sparse_mmap_area));
                    areas.push_back({one.offset, one.size});
                }
            } else if (capability.id == VFIO_REGION_INFO_CAP_MSIX_MAPPABLE) {
                answer.msix_mappable = true;
            } else if (capability.id == VFIO_REGION_INFO_CAP_TYPE) {
                const auto type = take<vfio_region_info_cap_type>(buffer, at);
                answer.type = {type.type, type.subtype};
            }
            // Only forward, so that a broken chain ends.
            if (capability.next != 0 && capability.next <= at) fail(EPROTO, "the capabilities of a region go back");
            at = capability.next;
        }
        return answer;
    }

    /// One kind of interrupt (VFIO_PCI_*_IRQ_INDEX).
    [[nodiscard]] irq_info irq(std::uint32_t index) const {
        vfio_irq_info answer{};
        answer.argsz = sizeof answer;
        answer.index = index;
        control(fd_.get(), VFIO_DEVICE_GET_IRQ_INFO, "VFIO_DEVICE_GET_IRQ_INFO", &answer);
        return {answer.flags, answer.count};
    }

    /// pread(2) in a region.
    outcome read(std::uint32_t region, std::uint64_t offset, std::span<std::byte> bytes) const {
        return answer(::pread(fd_.get(), bytes.data(), bytes.size(), place(region, offset)));
    }

    /// pwrite(2) in a region.
    outcome write(std::uint32_t region, std::uint64_t offset, std::span<const std::byte> bytes) const {
        return answer(::pwrite(fd_.get(), bytes.data(), bytes.size(), place(region, offset)));
    }

    /// A whole value; throws when fewer bytes come.
    template <std::unsigned_integral T>
    [[nodiscard]] T get(std::uint32_t region, std::uint64_t offset) const {
        T value{};
        const outcome got = read(region, offset, std::as_writable_bytes(std::span{&value, 1}));
        if (got.count != sizeof value) fail(got.error != 0 ? got.error : EIO, "read of a region");
        return value;
    }

    /// Writes a whole value; throws when fewer bytes are taken.
    template <std::unsigned_integral T>
    void put(std::uint32_t region, std::uint64_t offset, T value) const {
        const outcome done = write(region, offset, std::as_bytes(std::span{&value, 1}));
        if (done.count != sizeof value) fail(done.error != 0 ? done.error : EIO, "write of a region");
    }

    /// Maps a part of a region.
    [[nodiscard]] mapping map(std::uint32_t region, std::uint64_t offset, std::size_t size,
                              int protection = PROT_READ | PROT_WRITE, void* at = nullptr) const {
        return mapping{size, fd_.get(), place(region, offset), protection, MAP_SHARED, at};
    }

    /// Turns bits of the COMMAND register on: memory and bus mastering unless told.
    void enable(std::uint16_t bits = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER) const {
        const auto command = get<std::uint16_t>(VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND);
        put(VFIO_PCI_CONFIG_REGION_INDEX, PCI_COMMAND, static_cast<std::uint16_t>(command | bits));
    }

    /// VFIO_DEVICE_SET_IRQS with eventfds; -1 takes one away.
    void set_irqs(std::uint32_t index, std::uint32_t start, std::span<const int> events) const {
        set_irqs(index, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, start,
                 static_cast<std::uint32_t>(events.size()), std::as_bytes(events));
    }

    /// VFIO_DEVICE_SET_IRQS in full.
    void set_irqs(std::uint32_t index, std::uint32_t flags, std::uint32_t start, std::uint32_t count,
                  std::span<const std::byte> data) const {
        vfio_irq_set head{};
        head.argsz = static_cast<std::uint32_t>(sizeof head + data.size());
        head.flags = flags;
        head.index = index;
        head.start = start;
        head.count = count;
        std::vector<std::byte> buffer(head.argsz);
        std::memcpy(buffer.data(), &head, sizeof head);
        std::copy(data.begin(), data.end(), buffer.begin() + sizeof head);
        control(fd_.get(), VFIO_DEVICE_SET_IRQS, "VFIO_DEVICE_SET_IRQS", buffer.data());
    }

    /// Turns all interrupts of a kind off.
    void disable_irqs(std::uint32_t index) const {
        set_irqs(index, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0, {});
    }

    /// Has the kernel signal an interrupt as if the device had raised it.
    void trigger_irq(std::uint32_t index, std::uint32_t start) const {
        set_irqs(index, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, start, 1, {});
    }

    /// VFIO_DEVICE_PCI_HOT_RESET of what lies on the device's bus, which must be it alone.
    void hot_reset() const {
        std::vector<std::byte> buffer(sizeof(vfio_pci_hot_reset) + sizeof(std::int32_t));
        const vfio_pci_hot_reset head{.argsz = static_cast<std::uint32_t>(buffer.size()), .flags = 0, .count = 1};
        const std::int32_t group = group_.get();
        std::memcpy(buffer.data(), &head, sizeof head);
        std::memcpy(buffer.data() + sizeof head, &group, sizeof group);
        control(fd_.get(), VFIO_DEVICE_PCI_HOT_RESET, "VFIO_DEVICE_PCI_HOT_RESET", buffer.data());
    }

    /// An ioctl as it is: 0 or errno.
    template <class T>
    int raw_ioctl(unsigned long request, T argument) const {
        return ::ioctl(fd_.get(), request, argument) < 0 ? errno : 0;
    }
    /// pread(2) and pwrite(2) anywhere in the device's file.
    outcome raw_read(std::uint64_t position, void* to, std::size_t count) const {
        return answer(::pread(fd_.get(), to, count, static_cast<off_t>(position)));
    }
    outcome raw_write(std::uint64_t position, const void* from, std::size_t count) const {
        return answer(::pwrite(fd_.get(), from, count, static_cast<off_t>(position)));
    }

    /// Where a capability of configuration space lies, 0 if there is none.
    [[nodiscard]] std::uint8_t capability(std::uint8_t id) const {
        constexpr std::uint32_t config = VFIO_PCI_CONFIG_REGION_INDEX;
        auto at = get<std::uint8_t>(config, PCI_CAPABILITY_LIST);
        for (int i = 0; i < 48 && at != 0; ++i) {
            if (get<std::uint8_t>(config, at) == id) return at;
            at = get<std::uint8_t>(config, at + 1u);
        }
        return 0;
    }

    /// VFIO_DEVICE_RESET.
    void reset() const { control(fd_.get(), VFIO_DEVICE_RESET, "VFIO_DEVICE_RESET"); }

    /// VFIO_DEVICE_IOEVENTFD: a signal on `fd` writes `data`, `width` bytes, to the region; -1 ends it.
    void ioeventfd(std::uint32_t region, std::uint64_t offset, std::uint64_t data, std::uint32_t width, int fd) const {
        vfio_device_ioeventfd request{};
        request.argsz = sizeof request;
        request.flags = width; // VFIO_DEVICE_IOEVENTFD_8 … _64 are 1 << log2(bytes), the width itself
        request.offset = static_cast<std::uint64_t>(place(region, offset));
        request.data = data;
        request.fd = fd;
        control(fd_.get(), VFIO_DEVICE_IOEVENTFD, "VFIO_DEVICE_IOEVENTFD", &request);
    }

private:
    void open_by_group(const container& space, const std::string& address, const std::string& name) {
        group_ = open_file("/dev/vfio/" + iommu_group(address));
        vfio_group_status status{};
        status.argsz = sizeof status;
        control(group_.get(), VFIO_GROUP_GET_STATUS, "VFIO_GROUP_GET_STATUS", &status);
        if ((status.flags & VFIO_GROUP_FLAGS_VIABLE) == 0) fail(EBUSY, "the IOMMU group is not viable");
        int container_fd = space.get();
        control(group_.get(), VFIO_GROUP_SET_CONTAINER, "VFIO_GROUP_SET_CONTAINER", &container_fd);
        // Only the container's first group chooses; for a second one this says that it is chosen.
        if (::ioctl(container_fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) < 0 && errno != EINVAL)
            fail(errno, "VFIO_SET_IOMMU");
        fd_ = unique_fd{control(group_.get(), VFIO_GROUP_GET_DEVICE_FD, "VFIO_GROUP_GET_DEVICE_FD", name.c_str())};
    }

    void open_by_file(const container& space, const std::string& address) {
        fd_ = open_file(device_file(address));
        iommufd::bind bind;
        bind.iommufd = space.get();
        control(fd_.get(), iommufd::bind_device, "VFIO_DEVICE_BIND_IOMMUFD", &bind);
        iommufd::attach attach;
        attach.pt_id = *space.ioas();
        control(fd_.get(), iommufd::attach_device, "VFIO_DEVICE_ATTACH_IOMMUFD_PT", &attach);
    }

    static outcome answer(ssize_t count) { return {count, count < 0 ? errno : 0}; }

    template <class T>
    static T take(std::span<const std::byte> buffer, std::size_t at) {
        if (at > buffer.size() || buffer.size() - at < sizeof(T)) fail(EPROTO, "a region's capability is cut off");
        T value; // not {}: initialising a struct that ends in a flexible array is an extension
        std::memcpy(static_cast<void*>(&value), buffer.data() + at, sizeof value);
        return value;
    }

    [[nodiscard]] off_t place(std::uint32_t region, std::uint64_t offset) const {
        const std::uint64_t base = region < offsets_.size() ? offsets_[region] : std::uint64_t{region} << 40;
        return static_cast<off_t>(base + offset);
    }

    unique_fd group_;
    unique_fd fd_;
    std::vector<std::uint64_t> offsets_;
};

/// VFIO_DEVICE_FEATURE_DMA_BUF (6.19): a file for parts of a BAR; throws where the kernel refuses.
inline unique_fd export_areas(const device& from, std::uint32_t region, const std::vector<area>& areas) {
    constexpr std::uint32_t feature = 11;
    const std::array<std::uint32_t, 6> head{static_cast<std::uint32_t>(sizeof head + areas.size() * sizeof(area)),
                                            feature | VFIO_DEVICE_FEATURE_GET, region, O_RDWR | O_CLOEXEC, 0,
                                            static_cast<std::uint32_t>(areas.size())};
    std::vector<std::byte> buffer(head[0]);
    std::memcpy(buffer.data(), head.data(), sizeof head);
    std::memcpy(buffer.data() + sizeof head, areas.data(), areas.size() * sizeof(area));
    return unique_fd{control(from.get(), VFIO_DEVICE_FEATURE, "VFIO_DEVICE_FEATURE_DMA_BUF", buffer.data())};
}

} // namespace mediant::guest

#endif
