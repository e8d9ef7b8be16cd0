// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/little_endian.hpp>
#include <mediant/core/lower.hpp>
#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/device/dma_map.hpp>
#include <mediant/device/interrupts.hpp>
#include <mediant/device/iommu_maps.hpp>
#include <mediant/device/log.hpp>
#include <mediant/device/pci_address.hpp>
#include <mediant/device/unique_fd.hpp>
#include <mediant/device/vfio_iommu.hpp>

#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace mediant::device {

/// How a vfio_device reaches its hardware, and what it gives away.
struct vfio_options {
    enum class iommu : std::uint8_t {
        best,   ///< iommufd where the kernel offers it for the device, else type1
        type1,
        iommufd,
    };
    iommu how = iommu::best;
    /// Clients may map what no policy traps: they are given the device's own file. Who holds it can do to the device
    /// all that VFIO lets do, past every policy: for clients that are trusted as the server is.
    bool shares_file = false;
};

/// A PCI device of this machine that vfio-pci, or another VFIO driver, holds: a lower that passes on all that VFIO has.
///
/// Each open() opens the device's file and release() closes it, between which the kernel resets what it can. What a
/// client maps for DMA is mapped for the device at the same I/O addresses, so that it reaches the client's memory by
/// itself; its interrupts signal the client's eventfds without a detour. Memory that a client does not share cannot be
/// reached by the device. Not thread-safe.
class vfio_device {
public:
    /// Throws std::system_error, which says what is missing: the device, a VFIO driver, an IOMMU, rights.
    explicit vfio_device(pci_address where, vfio_options options = {})
        : id_{where.id()}, options_{options}, maps_{reach(std::move(where), options.how)} {}
    vfio_device(const vfio_device&) = delete;
    vfio_device& operator=(const vfio_device&) = delete;

    [[nodiscard]] const device_id& id() const noexcept { return id_; }

    // The lower.

    /// As wide as the kernel will: it splits what is too wide for it, as it does for every user.
    [[nodiscard]] static constexpr unsigned max_access() noexcept { return 8; }

    /// The kernel's error; error::invalid outside a region.
    result<std::uint64_t> load(region_index region, std::uint64_t offset, unsigned width) const {
        const shape* const in = find(region, offset, width);
        if (in == nullptr) return error::invalid;
        std::array<std::byte, 8> bytes;
        const ssize_t got = ::pread(file_.get(), bytes.data(), width, static_cast<off_t>(in->file_offset + offset));
        if (got != static_cast<ssize_t>(width)) return failed(got);
        return load_little(std::span<const std::byte>{bytes}.first(width));
    }

    /// As load.
    result<void> store(region_index region, std::uint64_t offset, unsigned width, std::uint64_t value) const {
        const shape* const in = find(region, offset, width);
        if (in == nullptr) return error::invalid;
        std::array<std::byte, 8> bytes;
        store_little(std::span{bytes}.first(width), value);
        const ssize_t put = ::pwrite(file_.get(), bytes.data(), width, static_cast<off_t>(in->file_offset + offset));
        return put == static_cast<ssize_t>(width) ? result<void>{} : failed(put);
    }

    /// A long access as it is: the kernel splits it.
    answer read(const read_access& what) const {
        const shape* const in = find(what.region, what.offset, what.bytes.size());
        if (in == nullptr) return {0, error::invalid};
        const ssize_t got = ::pread(file_.get(), what.bytes.data(), what.bytes.size(),
                                    static_cast<off_t>(in->file_offset + what.offset));
        return got > 0 ? answer{static_cast<std::size_t>(got)} : answer{0, failed(got)};
    }
    answer write(const write_access& what) const {
        const shape* const in = find(what.region, what.offset, what.bytes.size());
        if (in == nullptr) return {0, error::invalid};
        const ssize_t put = ::pwrite(file_.get(), what.bytes.data(), what.bytes.size(),
                                     static_cast<off_t>(in->file_offset + what.offset));
        return put > 0 ? answer{static_cast<std::size_t>(put)} : answer{0, failed(put)};
    }

    /// error::no_address where no driver of VFIO's holds the device any more, and the kernel's other errors.
    result<void> open() {
        auto opened = maps_.iommu().open_device();
        if (!opened) return opened.error();
        file_ = std::move(*opened);
        if (const auto learnt = learn_regions(); !learnt) {
            release();
            return learnt;
        }
        return {};
    }
    void release() noexcept {
        file_.reset();
        shapes_.clear();
        changed_.clear();
        maps_.clear(log_);
    }

    result<get_device_info::answer> ioctl(const get_device_info&) const {
        vfio_device_info info{};
        info.argsz = sizeof info;
        if (const auto asked = control(VFIO_DEVICE_GET_INFO, &info); !asked) return asked.error();
        // Of changes that a mediator below makes nothing is passed on.
        return get_device_info::answer{info.num_regions, std::min(info.num_irqs, fixed_irqs), (info.flags & VFIO_DEVICE_FLAGS_RESET) != 0};
    }

    /// As it was at open.
    result<get_region_info::answer> ioctl(const get_region_info& what) const {
        const auto i = static_cast<std::size_t>(what.region);
        if (i >= shapes_.size() || !shapes_[i].exists) return error::invalid;
        return shapes_[i].info;
    }

    result<get_irq_info::answer> ioctl(const get_irq_info& what) const {
        if (what.index == irq_index::regions_changed) return changed_.info(what.index);
        vfio_irq_info info{};
        info.argsz = sizeof info;
        info.index = static_cast<std::uint32_t>(what.index);
        if (const auto asked = control(VFIO_DEVICE_GET_IRQ_INFO, &info); !asked) return asked.error();
        return get_irq_info::answer{irq_flags{info.flags}, info.count};
    }

    result<void> ioctl(const set_irqs& what) {
        if (what.index == irq_index::regions_changed) return changed_.apply(what);
        constexpr std::array actions{VFIO_IRQ_SET_ACTION_MASK, VFIO_IRQ_SET_ACTION_UNMASK, VFIO_IRQ_SET_ACTION_TRIGGER};
        constexpr std::array kinds{VFIO_IRQ_SET_DATA_NONE, VFIO_IRQ_SET_DATA_BOOL, VFIO_IRQ_SET_DATA_EVENTFD};
        const auto data = what.how == set_irqs::data::eventfds ? std::as_bytes(what.eventfds) : std::as_bytes(what.bools);
        vfio_irq_set head{};
        std::vector<std::byte> request(sizeof head + data.size());
        head.argsz = static_cast<std::uint32_t>(request.size());
        head.flags = static_cast<std::uint32_t>(actions[static_cast<std::size_t>(what.what)] |
                                                kinds[static_cast<std::size_t>(what.how)]);
        head.index = static_cast<std::uint32_t>(what.index);
        head.start = what.start;
        head.count = what.count;
        std::memcpy(request.data(), &head, sizeof head);
        std::copy(data.begin(), data.end(), request.begin() + sizeof head);
        return control(VFIO_DEVICE_SET_IRQS, request.data());
    }

    result<void> ioctl(const reset_device&) const { return control(VFIO_DEVICE_RESET, 0ul); }

    /// Maps it for the device too, if it is shared. The kernel's errors; error::no_memory beyond RLIMIT_MEMLOCK.
    result<void> ioctl(const map_dma& what) { return maps_.map(what, log_); }

    /// The device reaches it no more when this succeeds.
    result<void> ioctl(const unmap_dma& what) { return maps_.unmap(what, log_); }

    /// The first stretch at or after `from` that the driver lets a user map; empty where there is none.
    [[nodiscard]] range next_area(region_index region, std::uint64_t from) const noexcept {
        const auto i = static_cast<std::size_t>(region);
        if (i >= shapes_.size()) return {};
        for (const range& each : shapes_[i].areas)
            if (from < each.end()) return from <= each.offset ? each : range{from, each.end() - from};
        return {};
    }
    [[nodiscard]] int memory_fd(region_index) const noexcept { return options_.shares_file ? file_.get() : -1; }
    /// Where in that file the region begins.
    [[nodiscard]] std::uint64_t memory_offset(region_index region) const noexcept {
        const auto i = static_cast<std::size_t>(region);
        return i < shapes_.size() ? shapes_[i].file_offset : 0;
    }

    // Services for policies.

    /// A client that was given the file maps what it wants; without it there is nothing to take back.
    result<void> revoke(region_index, range) const noexcept {
        return options_.shares_file ? error::busy : error::none;
    }
    void regions_changed() { static_cast<void>(changed_.trigger(irq_index::regions_changed, 0)); }

    [[nodiscard]] dma_map& dma() noexcept { return maps_.dma(); }
    /// There is no log yet of what it writes.
    void dirty(std::uint64_t iova, std::uint64_t size) noexcept { maps_.dma().log().mark(iova, size); }
    /// As if the device had: the kernel signals the eventfd that was set.
    result<void> trigger(irq_index index, std::uint32_t vector) {
        return ioctl(set_irqs{index, set_irqs::action::trigger, set_irqs::data::none, vector, 1, {}, {}});
    }
    template <std::same_as<std::uint64_t>... Numbers>
        requires(sizeof...(Numbers) <= 3)
    void log(const char* text, Numbers... numbers) const {
        log_(text, numbers...);
    }

    /// Until it is called, lines go to standard error.
    void set_log(log_sink sink) { log_.set_sink(std::move(sink)); }

private:
    /// Either of both ways.
    class iommu : std::variant<vfio_type1, vfio_iommufd> {
        auto visit(auto what) const { return std::visit(what, static_cast<const variant&>(*this)); }

    public:
        using variant::variant;
        [[nodiscard]] result<unique_fd> open_device() const {
            return visit([](const auto& way) { return way.open_device(); });
        }
        [[nodiscard]] result<void> map(const map_dma& what) const {
            return visit([&](const auto& way) { return way.map(what); });
        }
        [[nodiscard]] result<void> unmap(const unmap_dma& what) const {
            return visit([&](const auto& way) { return way.unmap(what); });
        }
        [[nodiscard]] result<void> unmap_all() const noexcept {
            return visit([](const auto& way) { return way.unmap_all(); });
        }
    };

    /// A region, as VFIO_DEVICE_GET_REGION_INFO describes it.
    struct shape {
        bool exists = false;
        get_region_info::answer info;
        std::uint64_t file_offset = 0;
        std::vector<range> areas; ///< that can be mapped, in order
    };

    /// vfio_region_info_cap_sparse_mmap, without the areas that follow.
    struct sparse_head {
        vfio_info_cap_header header;
        std::uint32_t count;
        std::uint32_t reserved;
    };

    [[nodiscard]] static iommu reach(pci_address where, vfio_options::iommu how) {
        if (const std::string driver = where.driver(); driver.empty())
            detail::cannot(ENODEV, where, "no driver holds it; bind it to vfio-pci");
        const bool own_file = how == vfio_options::iommu::best ? vfio_iommufd::offered(where)
                                                               : how == vfio_options::iommu::iommufd;
        if (own_file) return iommu{std::in_place_type<vfio_iommufd>, std::move(where)};
        return iommu{std::in_place_type<vfio_type1>, std::move(where)};
    }

    [[nodiscard]] result<void> control(unsigned long request, auto argument) const noexcept {
        return detail::control(file_, request, argument);
    }
    [[nodiscard]] static error failed(ssize_t got) noexcept { return got < 0 ? error{errno} : error::io; }

    [[nodiscard]] const shape* find(region_index region, std::uint64_t offset, std::uint64_t size) const noexcept {
        const auto i = static_cast<std::size_t>(region);
        return i < shapes_.size() && fits(offset, size, shapes_[i].info.size) ? &shapes_[i] : nullptr;
    }

    result<void> learn_regions() {
        const auto all = ioctl(get_device_info{});
        if (!all) return all.error();
        shapes_.resize(all->regions);
        for (std::uint32_t i = 0; i < all->regions; ++i) {
            // A region that there is not (VGA) is no error of the device's.
            if (auto learnt = ask(i)) shapes_[i] = std::move(*learnt);
        }
        return {};
    }

    [[nodiscard]] result<shape> ask(std::uint32_t index) const {
        vfio_region_info head{};
        std::vector<std::byte> answer(sizeof head);
        do {
            head.argsz = static_cast<std::uint32_t>(answer.size());
            head.index = index;
            std::memcpy(answer.data(), &head, sizeof head);
            if (const auto asked = control(VFIO_DEVICE_GET_REGION_INFO, answer.data()); !asked) return asked.error();
            std::memcpy(&head, answer.data(), sizeof head);
            if (head.argsz <= answer.size()) break;
            answer.assign(head.argsz, {});
        } while (true);
        shape out{true, {head.size, region_flags{head.flags} & (region_flags::read | region_flags::write | region_flags::mmap)},
                  head.offset, {}};
        if (!has(out.info.flags, region_flags::mmap)) return out;
        if ((head.flags & VFIO_REGION_INFO_FLAG_CAPS) == 0 || !take_areas(answer, head.cap_offset, out.areas))
            out.areas = {{0, head.size}};
        return out;
    }

    /// The areas of a sparse capability; false where there is none.
    [[nodiscard]] static bool take_areas(std::span<const std::byte> answer, std::size_t at, std::vector<range>& to) {
        const auto take = [&]<class T>(std::size_t from, T& out) {
            if (!fits(from, sizeof out, answer.size())) return false;
            std::memcpy(&out, answer.data() + from, sizeof out);
            return true;
        };
        for (vfio_info_cap_header head{}; at != 0 && take(at, head); at = head.next > at ? head.next : 0) {
            sparse_head sparse{};
            if (head.id != VFIO_REGION_INFO_CAP_SPARSE_MMAP || !take(at, sparse)) continue;
            for (std::uint32_t i = 0; i < sparse.count; ++i) {
                vfio_region_sparse_mmap_area area{};
                if (!take(at + sizeof sparse + i * sizeof area, area)) break;
                if (area.size != 0) to.push_back({area.offset, area.size});
            }
            std::sort(to.begin(), to.end(), [](const range& a, const range& b) { return a.offset < b.offset; });
            return true;
        }
        return false;
    }

    device_id id_;
    vfio_options options_;
    iommu_maps<iommu> maps_;
    unique_fd file_;
    std::vector<shape> shapes_;
    changed_irq changed_;
    logger log_;
};

static_assert(lower<vfio_device>);

} // namespace mediant::device
