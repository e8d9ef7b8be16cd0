// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/little_endian.hpp>
#include <mediant/libvfio_user/shape.hpp>
#include <mediant/pci/capability_list.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mediant::libvfio_user {

/// How a client has the device interrupt it, by what it wrote to config space.
struct interrupt_mode {
    std::uint32_t msi_vectors = 0; ///< as it allows; 0: MSI is off
    bool msix = false;
    friend bool operator==(const interrupt_mode&, const interrupt_mode&) = default;
};

/// The device's config space, as far as libvfio-user must know of it. The library is told that all accesses to it are
/// the device's; what is watched here is how interrupts are switched, since it does not tell what SET_IRQS sets.
class config_watch {
public:
    /// Of a device that is open: where its MSI and MSI-X capabilities are, as a client sees them.
    template <servable Device>
    void find(Device& device) {
        msi_ = msix_ = 0;
        static_cast<void>(walk_capabilities(
            [&](std::uint32_t offset, std::uint32_t& dword) { return load(device, offset, dword); },
            [&](const listed_capability& each) {
                if (each.id == PCI_CAP_ID_MSI && msi_ == 0) msi_ = each.offset + 2u;
                if (each.id == PCI_CAP_ID_MSIX && msix_ == 0) msix_ = each.offset + 2u;
            }));
    }

    /// Of a device that was just opened.
    template <servable Device>
    void restart(Device& device) {
        msi_control_ = control(device, msi_);
        msix_control_ = control(device, msix_);
    }

    /// The client wrote this; whether that changes mode().
    [[nodiscard]] bool written(std::uint64_t offset, std::span<const std::byte> bytes) noexcept {
        const bool msi = take(msi_, msi_control_, offset, bytes, msi_bits);
        return take(msix_, msix_control_, offset, bytes, msix_enable) || msi;
    }
    [[nodiscard]] interrupt_mode mode() const noexcept {
        interrupt_mode out;
        if ((msi_control_ & msi_enable) != 0) out.msi_vectors = 1u << (msi_control_ >> 4 & 7);
        out.msix = (msix_control_ & msix_enable) != 0;
        return out;
    }

    /// Whether what a BAR decodes is memory; all else that has a region is.
    template <servable Device>
    [[nodiscard]] static bool is_memory(Device& device, std::uint32_t region) {
        std::uint32_t dword = 0;
        return region > 5 || !load(device, 0x10 + 4 * region, dword) || (dword & 1) == 0;
    }

    /// All of it, as it is now.
    template <servable Device>
    static void copy(Device& device, void* to, std::uint64_t size) {
        // As a driver would read it: not every device takes a long access there.
        for (std::uint32_t at = 0; at < size; at += 4) {
            std::uint32_t dword = ~0u;
            static_cast<void>(load(device, at, dword));
            store_little({static_cast<std::byte*>(to) + at, 4}, dword);
        }
    }

private:
    static constexpr std::uint16_t msi_enable = 0x0001;
    static constexpr std::uint16_t msi_bits = 0x0071; // and the vectors that are allowed
    static constexpr std::uint16_t msix_enable = 0x8000;

    template <servable Device>
    [[nodiscard]] static bool load(Device& device, std::uint32_t offset, std::uint32_t& dword) {
        std::array<std::byte, 4> bytes{};
        if (device.read(read_access{region_index::config, offset, bytes}).count != bytes.size()) return false;
        dword = static_cast<std::uint32_t>(load_little(std::span<const std::byte>{bytes}));
        return true;
    }

    template <servable Device>
    [[nodiscard]] static std::uint16_t control(Device& device, std::uint32_t at) {
        std::uint32_t dword = 0;
        return at != 0 && load(device, at - 2, dword) ? static_cast<std::uint16_t>(dword >> 16) : std::uint16_t{0};
    }

    /// Whether any of `bits` of the control register at `at` changed.
    [[nodiscard]] static bool take(std::uint32_t at, std::uint16_t& control, std::uint64_t offset,
                                   std::span<const std::byte> bytes, std::uint16_t bits) noexcept {
        if (at == 0) return false;
        unsigned now = control;
        for (unsigned i = 0; i < 2; ++i) {
            const std::uint64_t from = at + i - offset; // wraps where it is before the write
            if (from >= bytes.size()) continue;
            const unsigned byte = std::to_integer<unsigned>(bytes[static_cast<std::size_t>(from)]);
            now = (now & ~(0xffu << 8 * i)) | byte << 8 * i;
        }
        const bool changed = ((now ^ control) & bits) != 0;
        control = static_cast<std::uint16_t>(now);
        return changed;
    }

    std::uint32_t msi_ = 0; // offsets of the control registers; 0: there is none
    std::uint32_t msix_ = 0;
    std::uint16_t msi_control_ = 0; // as the client wrote them
    std::uint16_t msix_control_ = 0;
};

} // namespace mediant::libvfio_user
