// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/mediant.hpp>

/// Providers for the tests of configuration space and of requests: of QEMU's e1000e and of its NVMe controller.
namespace config_test {
using namespace mediant;

/// Registers through which a user sees what the policy loads of configuration space.
template <std::uint64_t Base>
consteval auto window() {
    return std::array{reg{"AT", Base, rw, {.backing = from::shadow}},
                      reg{"WIDTH", Base + 4, rw, {.backing = from::shadow, .value = 4}},
                      reg{"VALUE", Base + 8, ro, {.hook = on::read}},
                      reg{"STORE", Base + 12, wo, {.hook = on::write}}};
}

template <const auto& Map>
struct looks {
    static constexpr auto regions = mediant::regions<Map>{};

    result<std::uint32_t> read(at<Map, "VALUE">, auto& next) noexcept {
        const std::uint32_t where = next.held(at<Map, "AT">{});
        switch (next.held(at<Map, "WIDTH">{})) {
        case 1: return widened(next.template load<std::uint8_t>(region_index::config, where));
        case 2: return widened(next.template load<std::uint16_t>(region_index::config, where));
        default: return next.template load<std::uint32_t>(region_index::config, where);
        }
    }
    result<void> write(at<Map, "STORE">, std::uint32_t value, auto& next) noexcept {
        return next.store(region_index::config, next.held(at<Map, "AT">{}), value);
    }

private:
    template <class T>
    static result<std::uint32_t> widened(const result<T>& value) noexcept {
        if (!value) return value.error();
        return std::uint32_t{*value};
    }
};

inline constexpr auto nic_window = [] {
    constexpr auto all = window<0x1f000>();
    return region_map{bar{0}, 128_KiB, all[0], all[1], all[2], all[3]};
}();
inline constexpr auto disk_window = [] {
    constexpr auto all = window<0xf00>();
    return region_map{bar{0}, 4_KiB, all[0], all[1], all[2], all[3]};
}();

struct nic_loads : looks<nic_window> {
    static constexpr auto info = provider{"nic_loads", {pci_id{0x8086, 0x10d3}}, {.author = "Acme"}};
};
struct disk_loads : looks<disk_window> {
    static constexpr auto info = provider{"disk_loads", {pci_id{0x1b36, 0x0010}}, {.author = "Acme"}};
};

/// The network card with all that a config map can state.
struct shaped {
    static constexpr auto info = provider{"shaped", {pci_id{0x8086, 0x10d3, 0x8086, 0x0000}}, {.author = "Acme"}};

    static constexpr auto bar2 = region_map{bar{2}, 32, reg{"IOADDR", 0x00, rw, {.hook = on::read}}}; // I/O
    static constexpr auto bar4 = region_map{bar{4}, 4_KiB,
        reg{"COMMAND", 0x00, ro, {.backing = from::shadow}}, // as it was told last
        reg{"LANES", 0x04, ro, {.backing = from::shadow}},
        reg{"TOLD", 0x08, ro, {.hook = on::read}}, // how often anything was
        reg{"RAW", 0x10, ro, {.backing = from::shadow, .bits = 64}},
        reg{"RAW_LANES", 0x18, ro, {.backing = from::shadow, .bits = 64}},
        reg{"UPPER", 0x20, ro, {.hook = on::read}}, // the card's BAR 0 at 64 KiB
        reg{"SPARE", 0x24, rw, {.backing = from::shadow}}};
    static constexpr auto bar5 = region_map{bar{5}, 32, reg{"PORT", 0x04, rw, {.backing = from::shadow}}};
    static constexpr auto config = config_map{
        config_id{.device = 0x5555, .revision = 0x42, .subdevice = 0x0007},
        hide_capability{cap::msi},
        add_capability{cap::vendor, 0x50, {8, 1, 2, 3, 4, 5}, {.writable = true}},
        edit_capability{cap::pcie, 0x04, {.value = 0, .mask = 1u << 28}}, // function-level reset
        hide_extended_capability{extended_cap::serial_number},
        shadow_bytes{"SCRATCH", 0x60, 4, {.value = 0x11223344, .writable = 0x00ffffff}},
        constant_bytes{0x68, {0xaa, 0xbb}},
        swallow_writes{0x0c, 1},
        observe_writes{"COMMAND", 0x04, 2},
        observe_writes{"RAW", 0x78, 8},
        hide_upper_half{0},
        hide_bar{1},
        resize_bar{3, 32_KiB},
        memory_bar{4, 4_KiB},
        io_bar{5, 32},
        hide_rom{}};
    static constexpr auto regions = mediant::regions<bar2, bar4, bar5, config>{};

    result<void> written(at<config, "COMMAND">, lanes<std::uint16_t> what, auto& next) noexcept {
        ++told;
        next.assign(at<bar4, "COMMAND">{}, what.value);
        next.assign(at<bar4, "LANES">{}, what.mask);
        return {};
    }
    result<void> written(at<config, "RAW">, lanes<std::uint64_t> what, auto& next) noexcept {
        ++told;
        next.assign(at<bar4, "RAW">{}, what.value);
        next.assign(at<bar4, "RAW_LANES">{}, what.mask);
        return what.value == 0xdead ? error::denied : error::none;
    }
    result<std::uint32_t> read(at<bar2, "IOADDR"> reg, auto& next) noexcept {
        const auto value = next.read(reg);
        if (!value) return value;
        return *value | 0x8000'0000;
    }
    result<std::uint32_t> read(at<bar4, "TOLD">, auto&) noexcept { return told; }
    result<std::uint32_t> read(at<bar4, "UPPER">, auto& next) noexcept {
        return next.template load<std::uint32_t>(bar{0}, 64_KiB);
    }

private:
    std::uint32_t told = 0;
};
static_assert(valid<shaped>);

/// The disk, with requests answered otherwise.
struct asked {
    static constexpr auto info = provider{"asked", {pci_id{0x1b36, 0x0010, 0x1af4, 0x1100}}, {.author = "Acme"}};

    static constexpr auto bar0 = region_map{bar{0}, 4_KiB,
        reg{"KEPT", 0xf00, rw, {.backing = from::shadow, .value = 7}},
        reg{"RESETS", 0xf04, ro, {.hook = on::read}}};
    static constexpr auto regions = mediant::regions<bar0>{};

    result<std::uint32_t> read(at<bar0, "RESETS">, auto&) noexcept { return resets; }
    void reset() noexcept { ++resets; }

    result<get_device_info::answer> ioctl(const get_device_info& what, auto& next) noexcept {
        auto out = next.ioctl(what);
        if (out) out->can_reset = false;
        return out;
    }
    result<get_region_info::answer> ioctl(const get_region_info& what, auto& next) noexcept {
        auto out = next.ioctl(what);
        if (out && what.region == region_index::config) out->size = 256;
        if (!out || what.region != bar{0}) return out;
        if (!has(out->flags, region_flags::mmap)) return error::io; // it can be mapped, says the core
        out->size = 8_KiB;
        out->flags = without(out->flags, region_flags::mmap);
        return out;
    }
    result<get_irq_info::answer> ioctl(const get_irq_info& what, auto& next) noexcept {
        auto out = next.ioctl(what);
        if (out && what.index == irq_index::msix) out->count = 2;
        return out;
    }
    /// The first goes to the device, the second is refused, and what follows needs no device.
    result<void> ioctl(const reset_device& what, auto& next) noexcept {
        switch (++requests) {
        case 1: return next.ioctl(what);
        case 2: return error::busy;
        default: return {};
        }
    }

private:
    std::uint32_t resets = 0;
    std::uint32_t requests = 0;
};
static_assert(valid<asked>);

} // namespace config_test
