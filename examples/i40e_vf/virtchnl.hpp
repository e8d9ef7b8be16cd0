// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/little_endian.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

/// The messages between a virtual function's driver and the physical function's, in the mailbox's buffers: virtchnl 1.1
/// (linux/avf/virtchnl.h).
namespace acme::i40e {

/// What a driver asks of the physical function's (virtchnl_ops).
enum class message : std::uint32_t {
    version = 1, reset = 2, get_resources = 3, config_tx_queue = 4, config_rx_queue = 5, config_queues = 6,
    config_irq_map = 7, enable_queues = 8, disable_queues = 9, add_address = 10, delete_address = 11, add_vlan = 12,
    delete_vlan = 13, promiscuous = 14, get_stats = 15, event = 17, rss_key = 23, rss_lut = 24, hena_caps = 25,
    set_hena = 26, vlan_stripping_on = 27, vlan_stripping_off = 28
};
inline constexpr std::uint32_t result_parameter = static_cast<std::uint32_t>(-5);      ///< VIRTCHNL_ERR_PARAM
inline constexpr std::uint32_t result_not_supported = static_cast<std::uint32_t>(-64);

/// virtchnl_txq_info.
struct tx_queue {
    static constexpr std::size_t size = 24;
    std::uint16_t vsi = 0, queue = 0;
    std::uint32_t entries = 0;
    std::uint64_t ring = 0;
    bool head_write_back = false; ///< long deprecated

    [[nodiscard]] static constexpr tx_queue from(std::span<const std::byte> b) noexcept {
        const auto at = [&](std::size_t i, std::size_t n) { return mediant::load_little(b.subspan(i, n)); };
        return {static_cast<std::uint16_t>(at(0, 2)), static_cast<std::uint16_t>(at(2, 2)),
                static_cast<std::uint32_t>(at(4, 2)), at(8, 8), at(6, 2) != 0};
    }
    constexpr void to(std::span<std::byte> b) const noexcept {
        const auto put = [&](std::size_t i, std::size_t n, std::uint64_t v) {
            mediant::store_little(b.subspan(i, n), v);
        };
        put(0, 2, vsi), put(2, 2, queue), put(4, 2, entries), put(6, 2, head_write_back), put(8, 8, ring),
            put(16, 8, 0);
    }
};
/// virtchnl_rxq_info.
struct rx_queue {
    static constexpr std::size_t size = 40;
    std::uint16_t vsi = 0, queue = 0;
    std::uint32_t entries = 0;
    std::uint64_t ring = 0;
    std::uint32_t buffer = 0; ///< bytes
    std::uint32_t most = 0;   ///< bytes of a packet
    bool splits_headers = false;

    [[nodiscard]] static constexpr rx_queue from(std::span<const std::byte> b) noexcept {
        const auto at = [&](std::size_t i, std::size_t n) { return mediant::load_little(b.subspan(i, n)); };
        return {static_cast<std::uint16_t>(at(0, 2)), static_cast<std::uint16_t>(at(2, 2)),
                static_cast<std::uint32_t>(at(4, 4)), at(24, 8), static_cast<std::uint32_t>(at(12, 4)),
                static_cast<std::uint32_t>(at(16, 4)), at(10, 2) != 0};
    }
    constexpr void to(std::span<std::byte> b) const noexcept {
        const auto put = [&](std::size_t i, std::size_t n, std::uint64_t v) {
            mediant::store_little(b.subspan(i, n), v);
        };
        put(0, 2, vsi), put(2, 2, queue), put(4, 4, entries), put(8, 2, 0), put(10, 2, splits_headers);
        put(12, 4, buffer), put(16, 4, most), put(20, 4, 0), put(24, 8, ring), put(32, 8, 0);
    }
};
/// Of virtchnl_vsi_queue_config_info, before the pairs, and of a pair; of virtchnl_queue_select.
inline constexpr std::size_t config_head = 8, config_pair = tx_queue::size + rx_queue::size, select_size = 12;
/// Of virtchnl_irq_map_info, before the vectors, and of a vector.
inline constexpr std::size_t irq_map_head = 2, irq_map_vector = 12;

/// virtchnl_vf_resource, with one VSI, of number 1, and as many queue pairs.
[[nodiscard]] inline std::array<std::byte, 36> resources_of(std::size_t pairs, std::size_t vectors, std::size_t most,
                                                            std::uint32_t offloads) {
    std::array<std::byte, 36> out{};
    const auto to = [&](std::size_t i, std::size_t n, std::uint64_t v) {
        mediant::store_little(std::span{out}.subspan(i, n), v);
    };
    to(0, 2, 1), to(2, 2, pairs), to(4, 2, vectors), to(6, 2, most), to(8, 4, offloads), to(12, 4, 52), to(16, 4, 64);
    to(20, 2, 1), to(22, 2, pairs), to(24, 4, 6);
    to(30, 6, 0x01'4c15'0000'02); // its address: 02:00:00:15:4c:01
    return out;
}

/// virtchnl_pf_event: the link is up, at 40 Gb/s.
[[nodiscard]] inline std::array<std::byte, 16> link_is_up() {
    std::array<std::byte, 16> out{};
    out[0] = std::byte{1};
    out[4] = std::byte{1 << 4};
    out[8] = std::byte{1};
    return out;
}

/// virtchnl_eth_stats of a function whose packets all come back.
[[nodiscard]] inline std::array<std::byte, 96> statistics_of(std::uint64_t bytes, std::uint64_t packets,
                                                             std::uint64_t dropped) {
    std::array<std::byte, 96> out{};
    const auto to = [&](std::size_t i, std::uint64_t v) { mediant::store_little(std::span{out}.subspan(8 * i, 8), v); };
    to(0, bytes), to(1, packets), to(6, bytes), to(7, packets), to(11, dropped);
    return out;
}

} // namespace acme::i40e
