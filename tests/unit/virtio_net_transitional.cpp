// SPDX-License-Identifier: BSD-3-Clause

#include "virtio_net_transitional/virtio_net_transitional.hpp"
#include "virtio_net_transitional/virtio_net_device.hpp"

#include <mediant/device/memory_device.hpp>
#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <sys/eventfd.h>
#include <unistd.h>

using namespace mediant;
using acme::virtio_net_device;

namespace {

struct bench {
    virtio_net_device model;
    stack<virtio_net_device, acme::virtio_net_transitional> front{model};

    bench() {
        REQUIRE(front.open());
        put(0x04, 0x0007, 2, region_index::config);
    }
    std::uint64_t get(std::uint64_t offset, std::size_t size, region_index region = bar{0}) {
        std::array<std::byte, 8> bytes{};
        REQUIRE(front.read({region, offset, std::span{bytes}.first(size)}) == answer{size});
        return load_little(bytes);
    }
    void put(std::uint64_t offset, std::uint64_t value, std::size_t size, region_index region = bar{0}) {
        std::array<std::byte, 8> bytes{};
        store_little(std::span{bytes}.first(size), value);
        REQUIRE(front.write({region, offset, std::span{bytes}.first(size)}) == answer{size});
    }
};

} // namespace

TEST_CASE("virtio transitional: its config space", "[virtio]") {
    bench b;
    const auto config = region_index::config;
    CHECK(b.get(0x00, 4, config) == 0x1000'1af4);
    CHECK(b.get(0x08, 4, config) == 0x0200'0000);
    CHECK(b.get(0x2c, 4, config) == 0x0001'1af4);
    CHECK(b.get(0x04, 2, config) == 0x0007);
    b.put(0x10, 0xffff'ffff, 4, config);
    CHECK(b.get(0x10, 4, config) == 0xffff'ffe1);
    b.put(0x10, 0xc020, 4, config);
    CHECK(b.get(0x10, 4, config) == 0xc021);
    b.put(0x20, ~0ull, 8, config);
    CHECK(b.get(0x20, 8, config) == 0xffff'ffff'ffff'c004); // the modern registers
    const auto info = b.front.ioctl(get_region_info{bar{0}});
    CHECK(info->size == 32);
    CHECK(info->flags == (region_flags::read | region_flags::write));

    b.put(0x04, 0x0006, 2, config);
    std::array<std::byte, 4> bytes{};
    CHECK(b.front.read({bar{0}, 0, bytes}) == answer{0, error::io});
    b.put(0x04, 0x0007, 2, config);
    REQUIRE(b.front.ioctl(reset_device{}));
    CHECK(b.front.read({bar{0}, 0, bytes}) == answer{0, error::io});
}

TEST_CASE("virtio transitional: a legacy driver's conversation", "[virtio]") {
    bench b;
    b.put(0x12, 0, 1);
    b.put(0x12, 1, 1);
    b.put(0x12, 3, 1);
    CHECK(b.get(0x12, 1) == 3);
    CHECK(b.get(0x00, 4) == (virtio_net_device::features & 0xffff'ffff));
    b.put(0x04, 0x8020, 4);
    CHECK(b.get(0x04, 4) == 0x8020);
    for (std::uint16_t queue = 0; queue < 3; ++queue) {
        b.put(0x0e, queue, 2);
        CHECK(b.get(0x0e, 2) == queue);
        CHECK(b.get(0x0c, 2) == 256);
        CHECK(b.get(0x08, 4) == 0);
        b.put(0x08, 0x12345u + 16u * queue, 4);
        CHECK(b.get(0x08, 4) == 0x12345u + 16u * queue);
        const std::uint64_t at = (0x12345ull + 16u * queue) << 12;
        CHECK(b.model.rings(queue) == std::array{at, at + 0x1000, at + 0x2000});
    }
    b.put(0x08, 0, 4);
    CHECK(b.get(0x08, 4) == 0x12345u + 32u);
    b.put(0x10, 1, 2);
    CHECK(b.model.notified == std::vector<virtio_net_device::notification>{{1, 1}});
    CHECK(b.get(0x0e, 2) == 2); // what was selected still is

    b.model.raise(3);
    CHECK(b.get(0x12, 2) == 0x0303); // status, and ISR
    CHECK(b.get(0x13, 1) == 0);
    b.put(0x12, 0, 1);
    CHECK(b.get(0x08, 4) == 0);
}

TEST_CASE("virtio transitional: the network configuration moves with MSI-X", "[virtio]") {
    bench b;
    const std::uint64_t mac = load_little(std::as_bytes(std::span{virtio_net_device::configuration}));
    CHECK(b.get(0x14, 8) == mac);
    CHECK(b.get(0x1a, 2) == 1);
    CHECK(b.get(0x1c, 4) == 0xffff'ffff);
    CHECK(b.get(0x12, 4) == (mac & 0xffff) << 16); // from status on
    const int event = ::eventfd(0, EFD_CLOEXEC);
    REQUIRE(event >= 0);
    set_irqs irqs{irq_index::msix, set_irqs::action::trigger, set_irqs::data::eventfds, 0, 1, {}, {&event, 1}};
    REQUIRE(b.front.ioctl(irqs));
    CHECK(b.get(0x18, 8) == mac);
    CHECK(b.get(0x14, 4) == 0xffff'ffff); // no vectors
    b.put(0x14, 0, 2);
    b.put(0x0e, 1, 2);
    b.put(0x16, 2, 2);
    CHECK(b.get(0x14, 8) == ((mac & 0xffff'ffff) << 32 | 0x0002'0000));
    CHECK(b.get(0x10, 2, bar{4}) == 0);
    CHECK(b.get(0x1a, 2, bar{4}) == 2);
    irqs = {irq_index::msix, set_irqs::action::trigger, set_irqs::data::none, 0, 0, {}, {}};
    REQUIRE(b.front.ioctl(irqs));
    CHECK(b.get(0x14, 8) == mac);
    ::close(event);
}

TEST_CASE("virtio transitional: devices that it declines", "[virtio]") {
    const auto opens = [](const device::pci_function& what) {
        device::memory_device model{what};
        stack<device::memory_device, acme::virtio_net_transitional> front{model};
        model.set_log([](auto, auto) {});
        return front.open().error();
    };
    const auto structure = [](std::uint16_t at, std::uint8_t type, std::uint8_t where, std::uint8_t size) {
        return device::simulated_capability{
            0x09, at, {20, type, where, 0, 0, 0, 0, 0, 0, 0, size, 0, 0, 0, 4, 0, 0, 0}, {}};
    };
    device::pci_function what{.id = virtio_net_device::id, .bar_sizes = {0, 0, 0, 0, 16384, 0}};
    CHECK(opens(what) == error::no_device);
    what.capabilities = {structure(0x60, 1, 4, 0x38), structure(0x74, 2, 4, 4), structure(0x88, 3, 4, 1),
                         structure(0x9c, 4, 4, 8)};
    CHECK(opens(what) == error::none);
    what.capabilities[2].body[2] = 6; // no BAR
    CHECK(opens(what) == error::no_device);
    what.capabilities[2].body[2] = 4;
    what.capabilities[0].body[10] = 0x37; // too short
    CHECK(opens(what) == error::no_device);
    what.capabilities[0].body[10] = 0x38;
    what.bar_sizes[0] = 4096;
    CHECK(opens(what) == error::no_device);
}
