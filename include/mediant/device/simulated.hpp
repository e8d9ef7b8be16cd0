// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/little_endian.hpp>
#include <mediant/core/lower.hpp>
#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/device/config_space.hpp>
#include <mediant/device/host.hpp>
#include <mediant/device/msix_table.hpp>
#include <mediant/device/log.hpp>

#include <array>
#include <concepts>
#include <cstdint>
#include <stdexcept>
#include <utility>

namespace mediant::device {

/// Base of PCI devices that are simulated in user space: `class edu : public simulated<edu>`. Makes a lower of
///   std::uint64_t bar_load(std::uint32_t bar, std::uint64_t offset, unsigned width)
///   void bar_store(std::uint32_t bar, std::uint64_t offset, unsigned width, std::uint64_t value)
/// which are called for naturally aligned accesses inside a BAR while memory is enabled in COMMAND; of what a load
/// gives the low `width` bytes count. It may also have
///   void reset_registers()                          on reset_device; config space stays, as behind vfio-pci
///   std::span<std::byte> memory(region_index)       and int memory_fd(region_index): what clients may map
///   std::optional<std::uint64_t> deadline() const   and void advance(std::uint64_t now_ns): work by itself
/// The MSI-X table and its pending bits, where the function has them, are kept here and lie over the BARs.
///
/// Answers are those of vfio-pci 6.1 for a device that can be reset. A device outlives its opens: release() takes
/// mappings and eventfds away and open() restores config space, but registers stay. Threads of its own may use dma(), as
/// that says, and trigger(); all else is done by one at a time.
template <class Device>
class simulated {
public:
    simulated(const simulated&) = delete;
    simulated& operator=(const simulated&) = delete;

    // The lower.

    [[nodiscard]] unsigned max_access() const noexcept { return max_access_; }

    /// error::invalid outside a region, error::fault outside config space, error::io while memory is disabled.
    result<std::uint64_t> load(region_index region, std::uint64_t offset, unsigned width) {
        if (const error refused = check(region, offset, width); refused != error::none) return refused;
        if (region == region_index::config) return config_.load(offset, width);
        if (msix_.covers(static_cast<std::uint32_t>(region), offset)) [[unlikely]]
            return msix_.load(static_cast<std::uint32_t>(region), offset, width);
        return self().bar_load(static_cast<std::uint32_t>(region), offset, width) & low_bytes(width);
    }

    /// As load.
    result<void> store(region_index region, std::uint64_t offset, unsigned width, std::uint64_t value) {
        if (const error refused = check(region, offset, width); refused != error::none) return refused;
        if (region == region_index::config) {
            config_.store(offset, width, value);
            update_intx(); // COMMAND can disable it
            msix_.mask_function(config_.msix_masked());
        } else if (msix_.covers(static_cast<std::uint32_t>(region), offset)) {
            msix_.store(static_cast<std::uint32_t>(region), offset, width, value);
        } else {
            self().bar_store(static_cast<std::uint32_t>(region), offset, width, value);
        }
        return {};
    }

    result<void> open() {
        config_.restore();
        update_intx();
        msix_.mask_function(config_.msix_masked());
        return {};
    }
    void release() noexcept {
        msix_.clear();
        host_.release();
    }

    [[nodiscard]] result<get_device_info::answer> ioctl(const get_device_info&) const {
        return get_device_info::answer{fixed_regions, fixed_irqs, true};
    }

    /// error::invalid for VGA and device regions, which it has none of; size 0 for a BAR that is not there.
    [[nodiscard]] result<get_region_info::answer> ioctl(const get_region_info& what) const {
        if (what.region >= region_index::vga) return error::invalid;
        const std::uint64_t size = size_of(what.region);
        if (size == 0) return get_region_info::answer{};
        region_flags flags = region_flags::read | region_flags::write;
        if constexpr (requires { self().memory(what.region); })
            if (!self().memory(what.region).empty()) flags = flags | region_flags::mmap;
        return get_region_info::answer{size, flags};
    }

    /// error::invalid for kinds that vfio-pci does not offer for a conventional device (ERR) or at all.
    [[nodiscard]] result<get_irq_info::answer> ioctl(const get_irq_info& what) const {
        if (what.index == irq_index::err) return error::invalid;
        return host_.ioctl(what);
    }

    result<void> ioctl(const set_irqs& what) {
        if (what.index == irq_index::msix) {
            if (what.what != set_irqs::action::trigger) return msix_.mask(what);
            if (what.how == set_irqs::data::none && what.count == 0) msix_.disable();
        }
        const result<void> done = host_.ioctl(what);
        if (done && msi_active()) set_intx(false); // a function that sends messages asserts no line
        return done;
    }
    result<void> ioctl(const map_dma& what) { return host_.ioctl(what); }
    result<void> ioctl(const unmap_dma& what) { return host_.ioctl(what); }
    result<std::uint64_t> ioctl(const start_dma_logging& what) { return host_.ioctl(what); }
    result<void> ioctl(const stop_dma_logging& what) { return host_.ioctl(what); }
    result<void> ioctl(const report_dma_logging& what) { return host_.ioctl(what); }
    result<void> ioctl(const reset_device&) {
        msix_.clear();
        if constexpr (requires { self().reset_registers(); }) self().reset_registers();
        return {};
    }

    // Services for policies.

    [[nodiscard]] dma_map& dma() noexcept { return host_.dma; }
    void dirty(std::uint64_t iova, std::uint64_t size) noexcept { host_.dma.log().mark(iova, size); }
    /// Goes to the client, or where the vector is masked waits until it is not.
    result<void> trigger(irq_index index, std::uint32_t vector) {
        return index == irq_index::msix ? msix_.trigger(vector) : host_.irqs.trigger(index, vector);
    }

    /// Takes pages of a BAR from who has mapped them: nobody has, unless clients are given a file of them, and then it is
    /// the device's to say (take_back, as memory_device's).
    result<void> revoke(region_index region, range pages) {
        if constexpr (requires { self().take_back(region, pages, true); })
            return self().take_back(region, pages, host_.irqs.bound(irq_index::regions_changed, 0));
        else if constexpr (requires { self().memory_fd(region); })
            return self().memory_fd(region) < 0 ? result<void>{} : error::busy;
        else
            return {};
    }
    /// What may be mapped is another than before: told by an interrupt that masks itself. Who unmasks it has read
    /// region info again, and maps nothing that it does not name.
    void regions_changed() { static_cast<void>(host_.irqs.trigger(irq_index::regions_changed, 0)); }

    template <std::same_as<std::uint64_t>... Numbers>
        requires(sizeof...(Numbers) <= 3)
    void log(const char* text, Numbers... numbers) const {
        log_(text, numbers...);
    }

    // For those who drive the device.

    /// Until it is called, lines go to standard error.
    void set_log(log_sink sink) { log_.set_sink(std::move(sink)); }
    [[nodiscard]] const interrupts& irqs() const noexcept { return host_.irqs; }
    [[nodiscard]] const msix_table& msix() const noexcept { return msix_; }

protected:
    explicit simulated(const pci_function& what, unsigned max_access = 4)
        : sizes_{what.bar_sizes}, max_access_{max_access}, config_{what}, msix_{what.msix, host_.irqs} {
        if (max_access != 4 && max_access != 8) throw std::invalid_argument{"a device's widest access is 4 or 8 bytes"};
        const auto level = irq_flags::eventfd | irq_flags::maskable | irq_flags::automasked;
        const auto message = irq_flags::eventfd | irq_flags::noresize;
        host_.irqs.provide(irq_index::intx, what.intx ? 1 : 0, level);
        host_.irqs.provide(irq_index::msi, what.msi_vectors, message);
        host_.irqs.provide(irq_index::msix, what.msix.vectors,
                           what.msix.maskable ? message | irq_flags::maskable : message);
        host_.irqs.provide(irq_index::req, 1, message);
        host_.irqs.provide(irq_index::regions_changed, 1, level);
    }
    ~simulated() = default;

    [[nodiscard]] const config_space& config() const noexcept { return config_; }

    /// Whether all of a stretch lies in a BAR, and is the device's own, and accesses to BARs are answered now.
    [[nodiscard]] bool reachable(region_index region, std::uint64_t offset, std::uint64_t size) const noexcept {
        return region <= region_index::bar5 && fits(offset, size, size_of(region)) && config_.memory_enabled() &&
               !msix_.touches(static_cast<std::uint32_t>(region), {offset, size});
    }

    /// Whether the user has set MSI up; a device then sends messages and asserts no line.
    [[nodiscard]] bool msi_active() const noexcept { return host_.irqs.bound(irq_index::msi, 0); }

    /// Drives INTA#.
    void set_intx(bool asserted) {
        intx_ = asserted;
        update_intx();
    }

private:
    [[nodiscard]] Device& self() noexcept { return static_cast<Device&>(*this); }
    [[nodiscard]] const Device& self() const noexcept { return static_cast<const Device&>(*this); }

    [[nodiscard]] std::uint64_t size_of(region_index region) const noexcept {
        if (region == region_index::config) return config_.size();
        return region <= region_index::bar5 ? sizes_[static_cast<std::size_t>(region)] : 0;
    }

    [[nodiscard]] error check(region_index region, std::uint64_t offset, unsigned width) const noexcept {
        const bool natural = width != 0 && width <= max_access_ && (width & (width - 1)) == 0 && offset % width == 0;
        if (!natural) return error::invalid;
        const bool inside = fits(offset, width, size_of(region));
        if (region == region_index::config) return inside ? error::none : error::fault;
        if (!inside) return error::invalid;
        return config_.memory_enabled() ? error::none : error::io;
    }

    void update_intx() {
        config_.set_interrupt_status(intx_);
        // error::invalid: the function has no INTx
        static_cast<void>(host_.irqs.set_level(irq_index::intx, 0, intx_ && !config_.intx_disabled()));
    }

    std::array<std::uint64_t, 6> sizes_;
    unsigned max_access_;
    config_space config_;
    host host_;
    msix_table msix_;
    bool intx_ = false;
    logger log_;
};

} // namespace mediant::device
