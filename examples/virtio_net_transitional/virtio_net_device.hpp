// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/device/simulated.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace acme {

/// The registers of a modern virtio network device with three queues, in a 64-bit BAR 4; it moves no packets. After
/// virtio 1.2, 4.1.4.
class virtio_net_device : public mediant::device::simulated<virtio_net_device> {
public:
    static constexpr mediant::device_id id{0x1af4, 0x1041, 0x1af4, 0x1100, 0x020000};
    static constexpr std::uint64_t features = 0x0000'0001'0001'8020; // with VIRTIO_F_VERSION_1
    static constexpr std::array<std::uint8_t, 8> configuration{0x52, 0x54, 0, 0x12, 0x34, 0x56, 1, 0};

    explicit virtio_net_device(unsigned max_access = 4) : simulated{function(), max_access} { reset_registers(); }

    std::uint64_t bar_load(std::uint32_t bar, std::uint64_t offset, unsigned width) {
        if (bar != 4) return 0;
        if (offset == isr_at && width == 1) return std::exchange(isr_, std::uint8_t{0});
        if (offset >= device_at && offset < device_at + configuration.size()) {
            std::uint64_t value = 0;
            for (unsigned i = width; i-- > 0;)
                if (const std::size_t at = offset - device_at + i; at < configuration.size())
                    value = value << 8 | configuration[at];
            return value;
        }
        const queue none{};
        const queue& q = selected_ < queues_.size() ? queues_[selected_] : none;
        switch (offset) {
        case 0x00: return feature_select_;
        case 0x04: return feature_select_ < 2 ? features >> (32 * feature_select_) & 0xffff'ffff : 0;
        case 0x08: return driver_select_;
        case 0x0c: return driver_select_ < 2 ? driver_features_[driver_select_] : 0;
        case 0x10: return config_vector_;
        case 0x12: return queues_.size();
        case 0x14: return status_;
        case 0x16: return selected_;
        case 0x18: return q.size;
        case 0x1a: return q.vector;
        case 0x1c: return q.enabled;
        case 0x1e: return selected_ < queues_.size() ? selected_ : 0u;
        default: break;
        }
        if (offset >= 0x20 && offset < 0x38 && width == 4) return q.address[(offset - 0x20) / 4];
        return 0;
    }

    void bar_store(std::uint32_t bar, std::uint64_t offset, unsigned width, std::uint64_t value) {
        if (bar != 4) return;
        if (offset >= notify_at) return notified.push_back({(offset - notify_at) / 4, value});
        switch (offset) {
        case 0x00: feature_select_ = static_cast<std::uint32_t>(value); return;
        case 0x08: driver_select_ = static_cast<std::uint32_t>(value); return;
        case 0x0c:
            if (driver_select_ < 2) driver_features_[driver_select_] = static_cast<std::uint32_t>(value);
            return;
        case 0x10: config_vector_ = static_cast<std::uint16_t>(value); return;
        case 0x14:
            status_ = static_cast<std::uint8_t>(value);
            if (status_ == 0) reset_registers();
            return;
        case 0x16: selected_ = static_cast<std::uint16_t>(value); return;
        default: break;
        }
        if (selected_ >= queues_.size()) return;
        queue& q = queues_[selected_];
        if (offset == 0x18) q.size = static_cast<std::uint16_t>(value);
        if (offset == 0x1a) q.vector = static_cast<std::uint16_t>(value);
        if (offset == 0x1c) q.enabled = static_cast<std::uint16_t>(value);
        if (offset >= 0x20 && offset < 0x38 && width == 4)
            q.address[(offset - 0x20) / 4] = static_cast<std::uint32_t>(value);
    }

    void reset_registers() {
        feature_select_ = driver_select_ = 0;
        driver_features_ = {};
        config_vector_ = 0xffff;
        status_ = isr_ = 0;
        selected_ = 0;
        queues_ = {};
    }

    // For those who drive the device.

    struct notification {
        std::uint64_t place; ///< in steps of 4 bytes
        std::uint64_t queue;
        friend bool operator==(const notification&, const notification&) = default;
    };
    std::vector<notification> notified;
    void raise(std::uint8_t bits) { isr_ |= bits; }
    /// Of a queue: descriptors, available ring, used ring.
    [[nodiscard]] std::array<std::uint64_t, 3> rings(std::size_t n) const {
        const auto& a = queues_.at(n).address;
        return {a[0] | std::uint64_t{a[1]} << 32, a[2] | std::uint64_t{a[3]} << 32, a[4] | std::uint64_t{a[5]} << 32};
    }

private:
    static constexpr std::uint64_t isr_at = 0x1000;
    static constexpr std::uint64_t device_at = 0x2000;
    static constexpr std::uint64_t notify_at = 0x3000;

    /// struct virtio_pci_cap behind its first two bytes: length, type, BAR, offset and size.
    static mediant::device::simulated_capability capability(std::uint16_t offset, std::uint8_t type, std::uint64_t at,
                                                            std::uint8_t size, bool with_step = false) {
        std::vector<std::uint8_t> body{static_cast<std::uint8_t>(with_step ? 20 : 16), type, 4, 0, 0, 0,
                                       static_cast<std::uint8_t>(at), static_cast<std::uint8_t>(at >> 8), 0, 0,
                                       size, 0, 0, 0};
        if (with_step) body.insert(body.end(), {4, 0, 0, 0});
        return {0x09, offset, body, {}};
    }
    static mediant::device::pci_function function() {
        return {.id = id,
                .revision = 1,
                .bar_sizes = {0, 4096, 0, 0, 16384, 0},
                .wide_bars = 1u << 4,
                .msi_vectors = 0,
                .msix = {.vectors = 4, .offset = 0x98, .table_bar = 1, .pending_bar = 1, .pending_offset = 0x800},
                .capabilities = {capability(0x84, 1, 0x0000, 0x38), capability(0x70, 2, notify_at, 0x10, true),
                                 capability(0x60, 3, isr_at, 1), capability(0x50, 4, device_at, 8)}};
    }

    struct queue {
        std::uint16_t size = 256;
        std::uint16_t vector = 0xffff;
        std::uint16_t enabled = 0;
        std::array<std::uint32_t, 6> address{};
    };
    std::uint32_t feature_select_ = 0;
    std::uint32_t driver_select_ = 0;
    std::array<std::uint32_t, 2> driver_features_{};
    std::uint16_t config_vector_ = 0xffff;
    std::uint16_t selected_ = 0;
    std::uint8_t status_ = 0;
    std::uint8_t isr_ = 0;
    std::array<queue, 3> queues_{};
};

} // namespace acme
