// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/little_endian.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

/// What a virtual function of Intel's XL710 and its driver share: registers of BAR 0 and descriptors. Names, offsets
/// and layouts are those of the Intel Ethernet Controller X710/XXV710/XL710 datasheet (the VF's BAR; LAN and admin
/// queue descriptors), with Linux's names where they differ (iavf_register.h, iavf_type.h).
namespace acme::i40e {

/// Offsets in BAR 0, all of 32 bits.
namespace at {
inline constexpr std::uint32_t qtx_tail = 0x0000;   ///< QTX_TAIL1, 16 of them
inline constexpr std::uint32_t qrx_tail = 0x2000;   ///< QRX_TAIL1, 16
inline constexpr std::uint32_t itrn = 0x2800;       ///< VFINT_ITRN1, 3 × 16
inline constexpr std::uint32_t dyn_ctln = 0x3800;   ///< VFINT_DYN_CTLN1, 16
inline constexpr std::uint32_t icr0 = 0x4800;       ///< VFINT_ICR01
inline constexpr std::uint32_t icr0_ena = 0x5000;   ///< VFINT_ICR0_ENA1
inline constexpr std::uint32_t dyn_ctl0 = 0x5c00;   ///< VFINT_DYN_CTL01
inline constexpr std::uint32_t arqbah = 0x6000, atqh = 0x6400, atqlen = 0x6800, arqbal = 0x6c00;
inline constexpr std::uint32_t arqt = 0x7000, arqh = 0x7400, atqbah = 0x7800, atqbal = 0x7c00;
inline constexpr std::uint32_t arqlen = 0x8000, atqt = 0x8400;
inline constexpr std::uint32_t rstat = 0x8800;      ///< VFGEN_RSTAT
inline constexpr std::uint32_t hena = 0xc400;       ///< VFQF_HENA, 2
inline constexpr std::uint32_t hkey = 0xcc00;       ///< VFQF_HKEY, 13
inline constexpr std::uint32_t hlut = 0xd000;       ///< VFQF_HLUT, 16
} // namespace at

inline constexpr std::uint32_t queue_enable = 0x8000'0000;  ///< of ATQLEN1, ARQLEN1
inline constexpr std::uint32_t queue_length = 0x3ff;        ///< of the same, and of heads and tails
inline constexpr std::uint32_t interrupt_enable = 0x1;      ///< INTENA of VFINT_DYN_CTL…
inline constexpr std::uint32_t interrupt_by_software = 0x4; ///< SWINT_TRIG of the same
inline constexpr std::uint32_t cause_admin_queue = 1u << 30; ///< of ICR0
inline constexpr std::uint32_t function_active = 2;         ///< VFGEN_RSTAT: VFACTIVE

/// An admin queue's descriptor.
struct admin_descriptor {
    static constexpr std::size_t size = 32;
    static constexpr std::uint16_t done = 0x0001, complete = 0x0002, failed = 0x0004, has_buffer = 0x1000;
    static constexpr std::uint16_t to_pf = 0x0801, to_vf = 0x0802, queue_shutdown = 0x0003;

    std::uint16_t flags = 0;
    std::uint16_t opcode = 0;
    std::uint16_t length = 0; ///< of the buffer, bytes
    std::uint16_t status = 0;
    std::uint32_t message = 0; ///< virtchnl_ops; the cookie's upper half
    std::uint32_t result = 0;  ///< virtchnl_status_code; its lower half
    std::uint64_t address = 0; ///< of the buffer

    [[nodiscard]] static constexpr admin_descriptor from(std::span<const std::byte, size> b) noexcept {
        const auto at = [&](std::size_t i, std::size_t n) { return mediant::load_little(std::span{b}.subspan(i, n)); };
        return {static_cast<std::uint16_t>(at(0, 2)),  static_cast<std::uint16_t>(at(2, 2)),
                static_cast<std::uint16_t>(at(4, 2)),  static_cast<std::uint16_t>(at(6, 2)),
                static_cast<std::uint32_t>(at(8, 4)),  static_cast<std::uint32_t>(at(12, 4)),
                at(24, 4) << 32 | at(28, 4)};
    }
    [[nodiscard]] constexpr std::array<std::byte, size> bytes() const noexcept {
        std::array<std::byte, size> b{};
        const auto put = [&](std::size_t i, std::size_t n, std::uint64_t v) {
            mediant::store_little(std::span{b}.subspan(i, n), v);
        };
        put(0, 2, flags), put(2, 2, opcode), put(4, 2, length), put(6, 2, status);
        put(8, 4, message), put(12, 4, result), put(24, 4, address >> 32), put(28, 4, address & 0xffff'ffff);
        return b;
    }
};

/// A transmit descriptor: 16 bytes, the second quadword of which the function overwrites where it was asked to.
struct tx_descriptor {
    static constexpr std::size_t size = 16;
    static constexpr std::uint64_t end_of_packet = 0x10, report = 0x20; ///< EOP and RS among the commands
    static constexpr std::uint64_t done = 0xf;                          ///< its type, then

    std::uint64_t address = 0;
    std::uint64_t control = 0;

    [[nodiscard]] constexpr bool data() const noexcept { return (control & 0xf) == 0; }
    [[nodiscard]] constexpr std::uint32_t length() const noexcept {
        return static_cast<std::uint32_t>(control >> 34 & 0x3fff);
    }
    [[nodiscard]] static constexpr std::uint64_t control_of(std::uint32_t length, std::uint64_t commands) noexcept {
        return std::uint64_t{length} << 34 | commands;
    }
};

/// A receive descriptor of 32 bytes: a buffer's address, which the function overwrites with what came.
struct rx_descriptor {
    static constexpr std::size_t size = 32;
    static constexpr std::uint64_t done = 0x1, end_of_packet = 0x2; ///< of the status, which is the second quadword

    [[nodiscard]] static constexpr std::uint32_t length(std::uint64_t status) noexcept {
        return static_cast<std::uint32_t>(status >> 38 & 0x3fff);
    }
    [[nodiscard]] static constexpr std::uint64_t status_of(std::uint32_t length, bool last) noexcept {
        return std::uint64_t{length} << 38 | done | (last ? end_of_packet : 0);
    }
};

} // namespace acme::i40e
