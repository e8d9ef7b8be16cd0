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

namespace mediant::device {

/// What a simulated PCI function is made of.
struct pci_function {
    device_id id;
    std::uint8_t revision = 0;
    /// Bytes of each memory BAR: a power of two from 16 on, 0 for none. One of 4 GiB or more is 64 bits wide and
    /// takes the next BAR's place, which must be 0.
    std::array<std::uint64_t, 6> bar_sizes{};
    bool intx = true;              ///< INTA#, level-triggered
    std::uint32_t msi_vectors = 1; ///< a power of two up to 32, or 0 for no MSI capability
};

/// The 256 bytes of a type 0 configuration space, as the PCI Local Bus Specification 3.0 (chapter 6) has them: IDs,
/// COMMAND and STATUS, BARs that answer sizing, and an MSI capability. Memory is enabled from the start, as it is
/// when vfio-pci hands a device out. Which address a BAR is given has no meaning here.
class config_space {
public:
    static constexpr std::uint32_t size = 256;

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

    /// The Interrupt Status bit: what the device asserts, disabled or not.
    void set_interrupt_status(bool asserted) noexcept {
        bytes_[status] = (bytes_[status] & ~status_interrupt) | (asserted ? status_interrupt : std::byte{0});
    }

private:
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

    [[nodiscard]] std::uint64_t command() const noexcept { return load(command_register, 2); }

    static void put(std::array<std::byte, size>& to, std::size_t offset, unsigned width, std::uint64_t value) noexcept {
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
            const bool wide = bytes > 0xffff'ffff;
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
        initial_ = bytes_;
    }

    void build_msi(std::uint32_t vectors) {
        if (!std::has_single_bit(vectors) || vectors > 32)
            throw std::invalid_argument{"MSI has 1, 2, 4, 8, 16 or 32 vectors"};
        const auto log = static_cast<std::uint64_t>(std::countr_zero(vectors));
        put(bytes_, status, 2, status_capabilities);
        put(bytes_, 0x34, 1, msi_capability);
        put(bytes_, msi_capability, 4, (0x0080 | log << 1) << 16 | 0x0005); // 64-bit addresses; the list's only entry
        put(writable_, msi_capability + 2, 2, 0x0001 | (log != 0 ? 0x0070 : 0)); // enable, vectors granted
        put(writable_, msi_capability + 4, 8, 0xffff'ffff'ffff'fffc);
        put(writable_, msi_capability + 12, 2, 0xffff);
    }

    std::array<std::byte, size> bytes_{};
    std::array<std::byte, size> writable_{};
    std::array<std::byte, size> initial_{};
};

} // namespace mediant::device
