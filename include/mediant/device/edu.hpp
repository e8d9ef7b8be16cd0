// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/device/simulated.hpp>
#include <mediant/migration/saved_state.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace mediant::device {

/// QEMU's educational device (docs/specs/edu in QEMU's source), 1234:11e8, as it answers through vfio-pci: every
/// width at every offset, quirks included. What QEMU leaves to a thread and a timer happens in advance(), so that a
/// test decides when. A reset leaves the registers, as QEMU's does.
class edu : public simulated<edu> {
public:
    static constexpr device_id id{0x1234, 0x11e8, 0x1af4, 0x1100, 0x00ff00};
    static constexpr std::uint64_t bar_size = 1_MiB;

    /// Offsets in BAR 0, the only one. All are 32 bits wide except DMA's, which are 64.
    enum register_offset : std::uint64_t {
        ident = 0x00,      ///< read-only: 0x010000ed
        live = 0x04,       ///< reads the inverse of what was written
        factorial = 0x08,  ///< write n, read n! mod 2^32 when it is done
        status = 0x20,     ///< status_busy, status_interrupt
        irq_status = 0x24, ///< read-only: interrupts raised and not acknowledged
        irq_raise = 0x60,  ///< write-only
        irq_ack = 0x64,    ///< write-only
        dma_source = 0x80,
        dma_target = 0x88,
        dma_count = 0x90, ///< bytes
        dma_command = 0x98,
    };
    static constexpr std::uint32_t ident_value = 0x010000ed;
    static constexpr std::uint32_t status_busy = 0x01;      ///< read-only: a factorial is being computed
    static constexpr std::uint32_t status_interrupt = 0x80; ///< raise interrupt_factorial when it is done
    static constexpr std::uint32_t interrupt_factorial = 0x001;
    static constexpr std::uint32_t interrupt_dma = 0x100;
    static constexpr std::uint64_t dma_run = 0x1;       ///< starts a transfer; clear when it is done
    static constexpr std::uint64_t dma_to_memory = 0x2; ///< from the buffer to memory; else the other way
    static constexpr std::uint64_t dma_interrupt = 0x4; ///< raise interrupt_dma when it is done

    /// The device's own memory, which only its DMA reaches, at an address that only its DMA knows.
    static constexpr range buffer{0x40000, 4_KiB};
    static constexpr std::uint64_t dma_address_mask = (std::uint64_t{1} << 28) - 1;
    static constexpr std::uint64_t dma_nanoseconds = 100'000'000;

    /// `max_access`: 4 as through vfio-pci 6.1, or 8 as through newer kernels and mappings.
    explicit edu(unsigned max_access = 4)
        : simulated{pci_function{.id = id, .revision = 0x10, .bar_sizes = {bar_size}}, max_access} {}

    [[nodiscard]] std::uint64_t bar_load(std::uint32_t, std::uint64_t offset, unsigned width) const noexcept {
        if (width < 4) return 0; // QEMU refuses what is narrower than its region's minimum
        if (width == 8 && offset < dma_source) return nothing;
        switch (offset) {
        case ident: return ident_value;
        case live: return live_;
        case factorial: return factorial_;
        case status: return status_;
        case irq_status: return irq_status_;
        case dma_source: return dma_source_;
        case dma_target: return dma_target_;
        case dma_count: return dma_count_;
        case dma_command: return dma_command_;
        default: return nothing;
        }
    }

    void bar_store(std::uint32_t, std::uint64_t offset, unsigned width, std::uint64_t value) {
        if (width < 4 || (width == 8 && offset < dma_source)) return;
        const auto low = static_cast<std::uint32_t>(value);
        switch (offset) {
        case live: live_ = ~low; return;
        case factorial: start_factorial(low); return;
        case status: status_ = (status_ & status_busy) | (low & status_interrupt); return;
        case irq_raise: raise(low); return;
        case irq_ack: acknowledge(low); return;
        case dma_source: set_dma(dma_source_, value); return;
        case dma_target: set_dma(dma_target_, value); return;
        case dma_count: set_dma(dma_count_, value); return;
        case dma_command: start_dma(value); return;
        default: return;
        }
    }

    /// When there is work to do: at once after something was started, then when a transfer ends.
    [[nodiscard]] std::optional<std::uint64_t> deadline() const noexcept {
        if ((status_ & status_busy) != 0) return 0;
        if ((dma_command_ & dma_run) != 0) return dma_done_at_.value_or(0);
        return std::nullopt;
    }

    /// Does what is due at `now_ns`: ends a factorial at once, and a transfer 100 ms after the first call that finds
    /// it started, since an access does not say when it is made.
    void advance(std::uint64_t now_ns) {
        if ((status_ & status_busy) != 0) finish_factorial();
        if ((dma_command_ & dma_run) == 0) return;
        if (!dma_done_at_)
            dma_done_at_ = now_ns + dma_nanoseconds;
        else if (now_ns >= *dma_done_at_)
            finish_dma();
    }

    /// A transfer that was running begins again when the device runs again.
    static constexpr auto migration() {
        return saved_state{1, saved{"live", &edu::live_}, saved{"factorial", &edu::factorial_},
            saved{"status", &edu::status_, {.most = status_busy | status_interrupt}},
            saved{"irq_status", &edu::irq_status_}, saved{"dma_source", &edu::dma_source_},
            saved{"dma_target", &edu::dma_target_}, saved{"dma_count", &edu::dma_count_},
            saved{"dma_command", &edu::dma_command_}, saved{"buffer", &edu::buffer_}};
    }
    /// An interrupt that was raised and not acknowledged is pending here, too.
    result<void> restored() {
        status_ &= status_busy | status_interrupt; // a register with these bits alone
        dma_done_at_.reset();
        set_intx(irq_status_ != 0 && !msi_active());
        return {};
    }

private:
    static constexpr std::uint64_t nothing = ~std::uint64_t{0}; ///< what an offset without a register reads

    void raise(std::uint32_t bits) {
        irq_status_ |= bits;
        if (irq_status_ == 0) return;
        if (msi_active())
            static_cast<void>(trigger(irq_index::msi, 0)); // cannot fail: there is a vector 0
        else
            set_intx(true);
    }

    void acknowledge(std::uint32_t bits) {
        irq_status_ &= ~bits;
        if (irq_status_ == 0) set_intx(false);
    }

    void start_factorial(std::uint32_t n) noexcept {
        if ((status_ & status_busy) != 0) return;
        factorial_ = n;
        status_ |= status_busy;
    }

    void finish_factorial() {
        std::uint32_t product = 1;
        // From 34 on the product is a multiple of 2^32; it need not be multiplied out.
        for (std::uint32_t n = factorial_; n > 0 && product != 0; --n) product = factorial_ > 33 ? 0 : product * n;
        factorial_ = product;
        status_ &= ~status_busy;
        if ((status_ & status_interrupt) != 0) raise(interrupt_factorial);
    }

    void set_dma(std::uint64_t& which, std::uint64_t value) const noexcept {
        if ((dma_command_ & dma_run) == 0) which = value;
    }

    void start_dma(std::uint64_t command) noexcept {
        if ((command & dma_run) == 0 || (dma_command_ & dma_run) != 0) return;
        dma_command_ = command;
        dma_done_at_.reset();
    }

    void finish_dma() {
        const bool to_memory = (dma_command_ & dma_to_memory) != 0;
        const std::uint64_t in_buffer = to_memory ? dma_source_ : dma_target_;
        const std::uint64_t address = (to_memory ? dma_target_ : dma_source_) & dma_address_mask;
        // Outside its buffer QEMU 7.2 aborts and later ones do what they must not; here nothing is transferred.
        if (in_buffer >= buffer.offset && fits(in_buffer - buffer.offset, dma_count_, buffer.size))
            transfer(to_memory, address,
                     std::span{buffer_}.subspan(static_cast<std::size_t>(in_buffer - buffer.offset),
                                                static_cast<std::size_t>(dma_count_)));
        dma_command_ &= ~dma_run;
        if ((dma_command_ & dma_interrupt) != 0) raise(interrupt_dma);
    }

    /// Page by page: what an IOMMU refuses reads as zeros and is not written, and the rest goes on.
    void transfer(bool to_memory, std::uint64_t address, std::span<std::byte> bytes) {
        while (!bytes.empty()) {
            const auto size = static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), 4_KiB - address % 4_KiB));
            const std::span<std::byte> part = bytes.first(size);
            if (to_memory) {
                if (config().bus_master()) static_cast<void>(dma().write(address, part));
            } else {
                const std::uint64_t done = config().bus_master() ? dma().read(address, part).count : 0;
                std::ranges::fill(part.subspan(static_cast<std::size_t>(done)), std::byte{0});
            }
            bytes = bytes.subspan(size);
            address += size;
        }
    }

    std::uint32_t live_ = 0; ///< as it reads
    std::uint32_t factorial_ = 0;
    std::uint32_t status_ = 0;
    std::uint32_t irq_status_ = 0;
    std::uint64_t dma_source_ = 0;
    std::uint64_t dma_target_ = 0;
    std::uint64_t dma_count_ = 0;
    std::uint64_t dma_command_ = 0;
    std::optional<std::uint64_t> dma_done_at_; ///< none: just started
    std::array<std::byte, buffer.size> buffer_{};
};

static_assert(lower<edu>);

} // namespace mediant::device
