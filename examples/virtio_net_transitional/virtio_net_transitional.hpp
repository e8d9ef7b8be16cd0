// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/mediant.hpp>
#include <mediant/pci/capability_list.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

namespace acme {
using namespace mediant;

/// A modern virtio network device (1af4:1041) shown as a transitional one (1af4:1000): beside its own BARs it has an
/// I/O BAR 0 with the legacy registers, which drive the modern ones. After virtio 1.2, 4.1.4 (modern registers),
/// 4.1.4.10 (legacy registers) and 2.7.2 (where a legacy queue lies).
struct virtio_net_transitional {
    static constexpr auto info = provider{"virtio_net_transitional", {pci_id{0x1af4, 0x1041}},
        {.description = "A modern virtio-net device as a transitional one", .author = "Acme"}};

    static constexpr auto bar0 = region_map{bar{0}, 32,
        reg{"DEVICE_FEATURES", 0x00, ro, {.hook = on::read}},
        reg{"DRIVER_FEATURES", 0x04, rw, {.hook = on::read | on::write}},
        reg{"QUEUE_ADDRESS",   0x08, rw, {.hook = on::read | on::write}},             // in pages of 4 KiB
        reg{"QUEUE_SIZE",      0x0c, ro, {.hook = on::read, .bits = 16}},
        reg{"QUEUE_SELECT",    0x0e, rw, {.hook = on::read | on::write, .bits = 16}},
        reg{"QUEUE_NOTIFY",    0x10, wo, {.hook = on::write, .bits = 16}},
        reg{"STATUS",          0x12, rw, {.hook = on::read | on::write, .bits = 8}},
        reg{"ISR",             0x13, ro, {.hook = on::read, .bits = 8, .read_has_effect = true}},
        reg{"CONFIG_VECTOR",   0x14, rw, {.hook = on::read | on::write, .bits = 16}}, // these two with MSI-X alone
        reg{"QUEUE_VECTOR",    0x16, rw, {.hook = on::read | on::write, .bits = 16}}};
    static constexpr auto config = config_map{
        config_id{.device = 0x1000, .revision = 0, .subvendor = 0x1af4, .subdevice = 1},
        io_bar{0, 32}};
    static constexpr auto regions = mediant::regions<bar0, config>{};

    /// Declines a device whose modern registers cannot be found.
    result<void> open(auto& next) noexcept {
        const auto load = [&next](std::uint32_t offset, std::uint32_t& dword) {
            const auto value = next.template load<std::uint32_t>(region_index::config, offset);
            dword = value.value_or(0);
            return value.has_value();
        };
        const bool whole = walk_capabilities(load, [&](const listed_capability& each) {
            std::uint32_t head = 0, place = 0, offset = 0, size = 0;
            if (each.id != static_cast<std::uint16_t>(cap::vendor) || each.size < 16) return;
            if (!load(each.offset, head) || !load(each.offset + 4u, place) || !load(each.offset + 8u, offset) ||
                !load(each.offset + 12u, size))
                return;
            const std::uint32_t type = head >> 24; // common, notify, ISR, device
            if (type < 1 || type > 4 || (place & 0xff) > 5 || found[type - 1].size != 0) return;
            found[type - 1] = {bar{place & 0xff}, offset, size};
            if (type == 2 && (each.size < 20 || !load(each.offset + 16u, notify_step))) found[1] = {};
        });
        if (!whole || common().size < 0x38 || notify().size < 2 || isr().size < 1 || device().size < 8)
            return error::no_device;
        return {};
    }
    void reset() noexcept { msix = false; }

    /// Where the device's own configuration begins depends on MSI-X, which no map can say.
    answer read(read_access a, auto& next) {
        const std::size_t head = before_device(a);
        if (head != 0) {
            const answer done = next.read(a.part(0, head));
            if (done.count != head || head == a.bytes.size()) return done;
        }
        const read_access rest = a.part(head, a.bytes.size() - head);
        const std::size_t there = in_device(rest);
        if (there != 0) {
            const answer done = next.read({device().where, device_offset(rest.offset), rest.bytes.first(there)});
            if (done.count != there) return {head + done.count, done.error};
        }
        for (std::byte& b : rest.bytes.subspan(there)) b = std::byte{0xff};
        return {a.bytes.size()};
    }
    answer write(write_access a, auto& next) {
        const std::size_t head = before_device(a);
        if (head != 0) {
            const answer done = next.write(a.part(0, head));
            if (done.count != head || head == a.bytes.size()) return done;
        }
        const write_access rest = a.part(head, a.bytes.size() - head);
        const std::size_t there = in_device(rest);
        if (there != 0) {
            const answer done = next.write({device().where, device_offset(rest.offset), rest.bytes.first(there)});
            if (done.count != there) return {head + done.count, done.error};
        }
        return {a.bytes.size()};
    }

    /// Interrupts are the device's; that MSI-X is on moves its configuration.
    result<void> ioctl(const set_irqs& what, auto& next) {
        const result<void> done = next.ioctl(what);
        if (done && what.index == irq_index::msix && what.what == set_irqs::action::trigger) {
            if (what.how == set_irqs::data::eventfds) msix = true;
            if (what.how == set_irqs::data::none && what.count == 0) msix = false;
        }
        return done;
    }

    result<std::uint32_t> read(at<bar0, "DEVICE_FEATURES">, auto& next) noexcept {
        if (const auto done = put<std::uint32_t>(next, 0x00, 0); !done) return done.error(); // of the lower 32
        return get<std::uint32_t>(next, 0x04);
    }
    result<std::uint32_t> read(at<bar0, "DRIVER_FEATURES">, auto& next) noexcept {
        if (const auto done = put<std::uint32_t>(next, 0x08, 0); !done) return done.error();
        return get<std::uint32_t>(next, 0x0c);
    }
    result<void> write(at<bar0, "DRIVER_FEATURES">, std::uint32_t value, auto& next) noexcept {
        if (const auto done = put<std::uint32_t>(next, 0x08, 0); !done) return done;
        return put<std::uint32_t>(next, 0x0c, value);
    }
    result<std::uint32_t> read(at<bar0, "QUEUE_ADDRESS">, auto& next) noexcept {
        const auto enabled = get<std::uint16_t>(next, 0x1c);
        if (!enabled || *enabled == 0) return enabled ? result<std::uint32_t>{0u} : enabled.error();
        const auto address = get64(next, 0x20);
        if (!address) return address.error();
        return static_cast<std::uint32_t>(*address >> 12);
    }
    /// A legacy queue is one stretch: descriptors, available ring, and from the next page on the used ring. A modern
    /// queue is not taken back but by a reset, so that page 0 does nothing.
    result<void> write(at<bar0, "QUEUE_ADDRESS">, std::uint32_t page, auto& next) noexcept {
        const auto size = get<std::uint16_t>(next, 0x18);
        if (!size || page == 0) return size.error();
        const std::uint64_t descriptors = std::uint64_t{page} << 12;
        const std::uint64_t available = descriptors + 16u * *size;
        const std::uint64_t used = (available + 2u * (3u + *size) + 0xfff) & ~std::uint64_t{0xfff};
        for (const auto& [offset, value] :
             {std::pair{0x20u, descriptors}, std::pair{0x28u, available}, std::pair{0x30u, used}})
            if (const auto done = put64(next, offset, value); !done) return done;
        return put<std::uint16_t>(next, 0x1c, 1);
    }
    result<std::uint16_t> read(at<bar0, "QUEUE_SIZE">, auto& next) noexcept { return get<std::uint16_t>(next, 0x18); }
    result<std::uint16_t> read(at<bar0, "QUEUE_SELECT">, auto& next) noexcept { return get<std::uint16_t>(next, 0x16); }
    result<void> write(at<bar0, "QUEUE_SELECT">, std::uint16_t queue, auto& next) noexcept {
        return put<std::uint16_t>(next, 0x16, queue);
    }
    /// A modern queue says where it is notified, while it is selected.
    result<void> write(at<bar0, "QUEUE_NOTIFY">, std::uint16_t queue, auto& next) noexcept {
        const auto selected = get<std::uint16_t>(next, 0x16);
        if (!selected) return selected.error();
        if (const auto done = put<std::uint16_t>(next, 0x16, queue); !done) return done;
        const auto place = get<std::uint16_t>(next, 0x1e);
        if (const auto done = put<std::uint16_t>(next, 0x16, *selected); !done) return done;
        if (!place) return place.error();
        const std::uint64_t offset = std::uint64_t{*place} * notify_step;
        if (!fits(offset, 2, notify().size)) return error::io;
        return next.template store<std::uint16_t>(notify().where, notify().offset + offset, queue);
    }
    result<std::uint8_t> read(at<bar0, "STATUS">, auto& next) noexcept { return get<std::uint8_t>(next, 0x14); }
    result<void> write(at<bar0, "STATUS">, std::uint8_t value, auto& next) noexcept {
        return put<std::uint8_t>(next, 0x14, value);
    }
    result<std::uint8_t> read(at<bar0, "ISR">, auto& next) noexcept {
        return next.template load<std::uint8_t>(isr().where, isr().offset);
    }
    result<std::uint16_t> read(at<bar0, "CONFIG_VECTOR">, auto& next) noexcept {
        return get<std::uint16_t>(next, 0x10);
    }
    result<void> write(at<bar0, "CONFIG_VECTOR">, std::uint16_t vector, auto& next) noexcept {
        return put<std::uint16_t>(next, 0x10, vector);
    }
    result<std::uint16_t> read(at<bar0, "QUEUE_VECTOR">, auto& next) noexcept { return get<std::uint16_t>(next, 0x1a); }
    result<void> write(at<bar0, "QUEUE_VECTOR">, std::uint16_t vector, auto& next) noexcept {
        return put<std::uint16_t>(next, 0x1a, vector);
    }

private:
    /// A structure of modern registers.
    struct structure {
        region_index where = region_index::bar0;
        std::uint64_t offset = 0;
        std::uint32_t size = 0;
    };
    [[nodiscard]] const structure& common() const { return found[0]; }
    [[nodiscard]] const structure& notify() const { return found[1]; }
    [[nodiscard]] const structure& isr() const { return found[2]; }
    [[nodiscard]] const structure& device() const { return found[3]; }

    template <class T>
    [[nodiscard]] result<T> get(auto& next, std::uint64_t offset) const {
        return next.template load<T>(common().where, common().offset + offset);
    }
    template <class T>
    result<void> put(auto& next, std::uint64_t offset, T value) const {
        return next.template store<T>(common().where, common().offset + offset, value);
    }
    /// 64-bit registers are accessed by halves (4.1.3.1).
    [[nodiscard]] result<std::uint64_t> get64(auto& next, std::uint64_t offset) const {
        const auto low = get<std::uint32_t>(next, offset);
        const auto high = get<std::uint32_t>(next, offset + 4);
        if (!low || !high) return low ? high.error() : low.error();
        return std::uint64_t{*high} << 32 | *low;
    }
    result<void> put64(auto& next, std::uint64_t offset, std::uint64_t value) const {
        const result<void> done = put(next, offset, static_cast<std::uint32_t>(value));
        return done ? put(next, offset + 4, static_cast<std::uint32_t>(value >> 32)) : done;
    }

    [[nodiscard]] std::uint64_t device_begin() const { return msix ? 0x18 : 0x14; }
    [[nodiscard]] std::uint64_t device_offset(std::uint64_t offset) const {
        return device().offset + offset - device_begin();
    }
    /// How many bytes of an access lie before the device's configuration, and of one behind that, in it.
    [[nodiscard]] std::size_t before_device(const auto& a) const {
        if (a.offset >= device_begin()) return 0;
        const std::uint64_t left = device_begin() - a.offset;
        return left < a.bytes.size() ? static_cast<std::size_t>(left) : a.bytes.size();
    }
    [[nodiscard]] std::size_t in_device(const auto& a) const {
        const std::uint64_t end = device_begin() + device().size;
        if (a.offset >= end) return 0;
        return end - a.offset < a.bytes.size() ? static_cast<std::size_t>(end - a.offset) : a.bytes.size();
    }

    structure found[4]{};
    std::uint32_t notify_step = 0;
    bool msix = false;
};
static_assert(valid<virtio_net_transitional>);

} // namespace acme
