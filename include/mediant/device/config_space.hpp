// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/little_endian.hpp>
#include <mediant/pci/id.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <vector>

namespace mediant::device {

/// A capability of a simulated function, in the order of the list. Where it lies is the caller's to choose.
struct simulated_capability {
    std::uint16_t id = 0;
    std::uint16_t offset = 0;         ///< a multiple of 4; from 0x40, or 0x100 for an extended one
    std::vector<std::uint8_t> body{}; ///< behind the ID and the pointer, or behind the header of an extended one
    std::vector<std::uint8_t> writable{}; ///< the bits of the body that can be written; missing bytes: none
};

/// MSI-X of a simulated function.
struct simulated_msix {
    std::uint32_t vectors = 0; ///< up to 2048; 0 for no capability
    std::uint16_t offset = 0x60;
    std::uint32_t table_bar = 0;
    std::uint32_t table_offset = 0; ///< a multiple of 8, as the next
    std::uint32_t pending_bar = 0;
    std::uint32_t pending_offset = 0;
    bool maskable = false; ///< clients are told that SET_IRQS masks vectors; vfio-pci cannot
};

/// What a simulated PCI function is made of.
struct pci_function {
    device_id id;
    std::uint8_t revision = 0;
    /// Bytes of each memory BAR: a power of two from 16 on, 0 for none. One of 4 GiB or more is 64 bits wide and
    /// takes the next BAR's place, which must be 0.
    std::array<std::uint64_t, 6> bar_sizes{};
    std::uint8_t wide_bars = 0; ///< bit n: BAR n is 64 bits wide though it is smaller
    bool intx = true;              ///< INTA#, level-triggered
    std::uint32_t msi_vectors = 1; ///< a power of two up to 32, or 0 for no MSI capability
    simulated_msix msix{};
    std::vector<simulated_capability> capabilities{};          ///< behind MSI and MSI-X
    std::vector<simulated_capability> extended_capabilities{}; ///< the first at 0x100; with any, config space has 4 KiB
};

/// The 256 bytes, or 4096, of a type 0 configuration space, as the PCI Local Bus Specification 3.0 (chapter 6) has
/// them: IDs, COMMAND and STATUS, BARs that answer sizing, and capabilities. Memory is enabled from the start, as it is
/// when vfio-pci hands a device out. Which address a BAR is given has no meaning here.
class config_space {
public:
    /// Bytes: 256, or 4096 with extended capabilities.
    [[nodiscard]] std::uint32_t size() const noexcept { return size_; }

    /// Throws std::invalid_argument where no PCI function can be like that.
    explicit config_space(const pci_function& what) { build(what); }

    /// `width` bytes (1, 2, 4 or 8) at `offset`, which must fit.
    [[nodiscard]] std::uint64_t load(std::uint64_t offset, unsigned width) const noexcept {
        return load_little(std::span{bytes_}.subspan(static_cast<std::size_t>(offset), width));
    }

    /// Changes those bits that can be written.
    void store(std::uint64_t offset, unsigned width, std::uint64_t value) noexcept {
        for (std::size_t i = 0; i < width; ++i, value >>= 8) {
            const std::size_t at = static_cast<std::size_t>(offset) + i;
            bytes_[at] = (bytes_[at] & ~writable_[at]) | (static_cast<std::byte>(value) & writable_[at]);
        }
    }

    /// Everything as it was at first, as vfio-pci restores it at each open.
    void restore() noexcept { bytes_ = initial_; }

    [[nodiscard]] bool memory_enabled() const noexcept { return (command() & command_memory) != 0; }
    [[nodiscard]] bool bus_master() const noexcept { return (command() & command_master) != 0; }
    [[nodiscard]] bool intx_disabled() const noexcept { return (command() & command_intx_disable) != 0; }
    /// The function mask of MSI-X.
    [[nodiscard]] bool msix_masked() const noexcept {
        return msix_control_ != 0 && (load(msix_control_, 2) & msix_function_mask) != 0;
    }

    /// The Interrupt Status bit: what the device asserts, disabled or not.
    void set_interrupt_status(bool asserted) noexcept {
        bytes_[status] = (bytes_[status] & ~status_interrupt) | (asserted ? status_interrupt : std::byte{0});
    }

private:
    static constexpr std::uint32_t most = 4096;

    // Where things are, with the names of linux/pci_regs.h, and what is in them.
    static constexpr std::size_t command_register = 0x04;
    static constexpr std::uint64_t command_memory = 0x0002;
    static constexpr std::uint64_t command_master = 0x0004;
    static constexpr std::uint64_t command_intx_disable = 0x0400;
    static constexpr std::uint64_t command_writable = 0x0507; // and I/O, SERR#
    static constexpr std::size_t status = 0x06;
    static constexpr std::byte status_interrupt{0x08};
    static constexpr std::uint64_t status_capabilities = 0x0010;
    static constexpr std::size_t first_bar = 0x10;
    static constexpr std::uint64_t bar_64_bits = 0x4;
    static constexpr std::size_t msi_capability = 0x40;
    static constexpr std::uint64_t msix_function_mask = 0x4000;

    [[nodiscard]] std::uint64_t command() const noexcept { return load(command_register, 2); }

    static void put(std::array<std::byte, most>& to, std::size_t offset, unsigned width, std::uint64_t value) noexcept {
        store_little(std::span{to}.subspan(offset, width), value);
    }

    void build(const pci_function& what) {
        put(bytes_, 0x00, 2, what.id.vendor);
        put(bytes_, 0x02, 2, what.id.device);
        put(bytes_, command_register, 2, command_memory);
        put(writable_, command_register, 2, command_writable);
        put(bytes_, 0x08, 4, std::uint64_t{what.id.class_code} << 8 | what.revision);
        put(writable_, 0x0c, 1, 0xff); // cache line size
        for (std::size_t i = 0; i < what.bar_sizes.size(); ++i) {
            const std::uint64_t bytes = what.bar_sizes[i];
            if (bytes == 0) continue;
            if (!std::has_single_bit(bytes) || bytes < 16)
                throw std::invalid_argument{"the size of a BAR is a power of two from 16 on"};
            const bool wide = bytes > 0xffff'ffff || (what.wide_bars >> i & 1) != 0;
            if (wide && (i == 5 || what.bar_sizes[i + 1] != 0))
                throw std::invalid_argument{"a 64-bit BAR takes two places"};
            put(bytes_, first_bar + 4 * i, 4, wide ? bar_64_bits : 0);
            put(writable_, first_bar + 4 * i, wide ? 8 : 4, ~(bytes - 1));
        }
        put(bytes_, 0x2c, 2, what.id.subvendor);
        put(bytes_, 0x2e, 2, what.id.subdevice);
        put(writable_, 0x3c, 1, 0xff); // interrupt line
        put(bytes_, 0x3d, 1, what.intx ? 1 : 0);
        if (what.msi_vectors != 0) build_msi(what.msi_vectors);
        if (what.msix.vectors != 0) build_msix(what.msix);
        for (const simulated_capability& each : what.capabilities) {
            if (each.id > 0xff) throw std::invalid_argument{"the ID of a capability has 8 bits"};
            add(each, each.body.size() + 2);
            put(bytes_, each.offset, 1, each.id);
            fill(each, each.offset + 2u);
        }
        if (!what.extended_capabilities.empty()) build_extended(what);
        initial_ = bytes_;
    }

    /// Links a capability to the end of the list.
    void add(const simulated_capability& what, std::size_t bytes) {
        if (what.offset < 0x40 || what.offset % 4 != 0 || what.offset + bytes > 256)
            throw std::invalid_argument{"a capability lies at a multiple of 4 from 0x40 to 0xff"};
        put(bytes_, status, 2, load(status, 2) | status_capabilities);
        put(bytes_, last_pointer_, 1, what.offset);
        last_pointer_ = what.offset + 1u;
    }

    void fill(const simulated_capability& what, std::size_t at) {
        for (std::size_t i = 0; i < what.body.size(); ++i) {
            bytes_[at + i] = std::byte{what.body[i]};
            if (i < what.writable.size()) writable_[at + i] = std::byte{what.writable[i]};
        }
    }

    void build_msix(const simulated_msix& what) {
        if (what.vectors > 2048 || what.table_bar > 5 || what.pending_bar > 5 || what.table_offset % 8 != 0 ||
            what.pending_offset % 8 != 0)
            throw std::invalid_argument{"MSI-X has up to 2048 vectors, and structures in BARs at multiples of 8"};
        add({.offset = what.offset}, 12);
        put(bytes_, what.offset, 1, 0x11);
        msix_control_ = what.offset + 2u;
        put(bytes_, what.offset + 2u, 2, what.vectors - 1);
        put(writable_, what.offset + 2u, 2, 0xc000); // enable, mask
        put(bytes_, what.offset + 4u, 4, what.table_offset | what.table_bar);
        put(bytes_, what.offset + 8u, 4, what.pending_offset | what.pending_bar);
    }

    void build_extended(const pci_function& what) {
        if (what.extended_capabilities.front().offset != 0x100)
            throw std::invalid_argument{"the first extended capability lies at 0x100"};
        size_ = most;
        std::size_t before = 0;
        for (const simulated_capability& each : what.extended_capabilities) {
            if (each.offset < 0x100 || each.offset % 4 != 0 || each.offset + each.body.size() + 4 > most)
                throw std::invalid_argument{"an extended capability lies at a multiple of 4 from 0x100 to 0xfff"};
            if (before != 0) put(bytes_, before, 4, load(before, 4) | std::uint64_t{each.offset} << 20);
            put(bytes_, each.offset, 4, 0x1'0000u | each.id);
            fill(each, each.offset + 4u);
            before = each.offset;
        }
    }

    void build_msi(std::uint32_t vectors) {
        if (!std::has_single_bit(vectors) || vectors > 32)
            throw std::invalid_argument{"MSI has 1, 2, 4, 8, 16 or 32 vectors"};
        const auto log = static_cast<std::uint64_t>(std::countr_zero(vectors));
        add({.offset = msi_capability}, 14);
        put(bytes_, msi_capability, 1, 0x05);
        put(bytes_, msi_capability + 2, 2, 0x0080 | log << 1); // 64-bit addresses
        put(writable_, msi_capability + 2, 2, 0x0001 | (log != 0 ? 0x0070 : 0)); // enable, vectors granted
        put(writable_, msi_capability + 4, 8, 0xffff'ffff'ffff'fffc);
        put(writable_, msi_capability + 12, 2, 0xffff);
    }

    std::uint32_t size_ = 256;
    std::size_t msix_control_ = 0; ///< where; 0: there is none
    std::size_t last_pointer_ = 0x34; ///< to the next capability: the list's head, or that of its last one
    std::array<std::byte, most> bytes_{};
    std::array<std::byte, most> writable_{};
    std::array<std::byte, most> initial_{};
};

} // namespace mediant::device
