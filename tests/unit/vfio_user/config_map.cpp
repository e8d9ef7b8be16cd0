// SPDX-License-Identifier: BSD-3-Clause
// Config maps over vfio-user: the same answers as in process, byte for byte, and BARs as the client sees them.
#include "by_hand.hpp"

#include <mediant/device/memory_device.hpp>
#include <mediant/mediant.hpp>
#include <mediant/provider/stack.hpp>
#include <mediant/vfio_user/server.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <thread>

using namespace mediant;
using namespace std::chrono_literals;

namespace {

struct vf {
    static constexpr auto bar0 = region_map{bar{0}, 32, reg{"A", 0, rw, {.backing = from::shadow, .value = 0x1234}}};
    static constexpr auto config = config_map{
        config_id{.device = 0x1000, .revision = 0, .subdevice = 1},
        io_bar{0, 32},
        hide_upper_half{2},
        resize_bar{4, 64_KiB},
        hide_capability{cap::vpd},
        add_capability{cap::vendor, 0xe0, {8, 1, 2, 3, 4, 5}, {.writable = true}},
        edit_capability{cap::pcie, 0x04, {.value = 0, .mask = 1u << 28}},
        shadow_bytes{"SCRATCH", 0xf0, 4},
        hide_extended_capability{extended_cap::aer},
        add_extended_capability{extended_cap::serial_number, 0x200, {1, 2, 3, 4, 5, 6, 7, 8}}};
    static constexpr auto regions = mediant::regions<bar0, config>{};
};
static_assert(valid<vf>);

device::pci_function function() {
    return {
        .id = {0x1af4, 0x1041, 0x1af4, 0x1100, 0x020000},
        .revision = 1,
        .bar_sizes = {0, 0, 64_KiB, 0, 32_KiB, 0},
        .wide_bars = 1u << 2,
        .msix = {.vectors = 4,
                 .offset = 0x60,
                 .table_bar = 4,
                 .table_offset = 0x1000,
                 .pending_bar = 4,
                 .pending_offset = 0x2000},
        .capabilities = {{0x03, 0x70, {0, 0x80, 1, 2, 3, 4}, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
                         {0x10, 0x80, {2, 0, 0xe2, 0x8f, 0, 0x10, 0, 0, 0xff, 0xff}, {0, 0, 0, 0, 0, 0, 0xff, 0xff}}},
        .extended_capabilities = {{0x0001, 0x100, {1, 2, 3, 4}, {0xff}}, {0x000d, 0x148, {5, 6, 7, 8}, {}}}};
}

using device_type = stack<device::memory_device, vf>;

/// A stack behind a server on a thread of its own, and a client of it.
struct remote {
    device::memory_device model{function(), 4};
    device_type front{model};
    std::string path = vfio_user_test::socket_path("config_map");
    vfio_user::server<device_type> server{front, {.path = path}};
    std::thread thread{[this] { server.run(); }};
    vfio_user::client client;

    remote() {
        auto made = vfio_user::client::connect(path);
        if (!made) return;
        client = std::move(*made);
        static_cast<void>(client.set_timeout(10s));
        static_cast<void>(client.negotiate());
    }
    ~remote() {
        client.disconnect();
        server.stop();
        thread.join();
    }
};

} // namespace

TEST_CASE("vfio-user: config space through a config map, as in process") {
    remote there;
    device::memory_device model{function(), 4};
    device_type here{model};
    REQUIRE(here.open());
    for (const std::uint64_t seed : {5u, 6u}) {
        std::mt19937_64 random{seed};
        for (int n = 0; n < 3000; ++n) {
            const std::size_t size = 1 + random() % 8;
            const std::size_t at = random() % 8 != 0 ? random() % 0x110 : random() % (0x1000 - size);
            CAPTURE(seed, n, at, size);
            std::array<std::byte, 8> a{};
            if (random() % 2 == 0) {
                std::array<std::byte, 8> b{};
                REQUIRE(here.read({region_index::config, at, std::span{a}.first(size)}) == answer{size});
                REQUIRE(there.client.read({region_index::config, at, std::span{b}.first(size)}) == answer{size});
                REQUIRE(a == b);
            } else {
                for (std::byte& each : a) each = static_cast<std::byte>(random());
                REQUIRE(here.write({region_index::config, at, std::span{a}.first(size)}) == answer{size});
                REQUIRE(there.client.write({region_index::config, at, std::span{a}.first(size)}) == answer{size});
            }
        }
    }
}

TEST_CASE("vfio-user: BARs as a config map has them") {
    remote there;
    const auto get = [&](region_index region, std::uint64_t offset, std::size_t size) {
        std::array<std::byte, 8> bytes{};
        const answer done = there.client.read({region, offset, std::span{bytes}.first(size)});
        return done == answer{size} ? load_little(bytes)
                                    : 0xbad'0000'0000'0000 | static_cast<std::uint64_t>(to_errno(done.error));
    };
    const auto put = [&](region_index region, std::uint64_t offset, std::uint64_t value, std::size_t size) {
        std::array<std::byte, 8> bytes{};
        store_little(std::span{bytes}.first(size), value);
        return there.client.write({region, offset, std::span{bytes}.first(size)}) == answer{size};
    };
    const auto refused = [](int number) { return 0xbad'0000'0000'0000 | static_cast<std::uint64_t>(number); };

    CHECK(get(region_index::config, 0, 4) == 0x1000'1af4);
    const auto io = there.client.region_info(bar{0});
    REQUIRE(io);
    CHECK(io->info.size == 32);
    CHECK(io->info.flags == (region_flags::read | region_flags::write));
    CHECK(get(bar{0}, 0, 4) == refused(EIO));
    CHECK(put(region_index::config, 0x04, 0x3, 2));
    CHECK(get(bar{0}, 0, 4) == 0x1234);

    // The upper half of BAR 2, of 64 bits.
    CHECK(put(region_index::config, 0x18, 0xffff'ffff'ffff'ffff, 8));
    CHECK(get(region_index::config, 0x18, 8) == 0xffff'ffff'ffff'8004);
    const auto half = there.client.region_info(bar{2});
    REQUIRE(half);
    CHECK(half->info.size == 32_KiB);
    CHECK_FALSE(half->fd); // a file holds all of the BAR, so that none is given away
    CHECK(half->areas.empty());
    CHECK_FALSE(has(half->info.flags, region_flags::mmap));
    CHECK(put(bar{2}, 0x7ffc, 0x1122'3344, 4));
    CHECK(get(bar{2}, 0x7ffc, 4) == 0x1122'3344);
    CHECK(get(bar{2}, 0x8000, 4) == refused(EINVAL));
    CHECK(get(bar{2}, 0x7ffc, 8) == refused(EINVAL));
    CHECK_FALSE(put(bar{2}, 0x8000, 0, 4));

    // BAR 4 is larger than it is, with MSI-X in it.
    CHECK(put(region_index::config, 0x20, 0xffff'ffff, 4));
    CHECK(get(region_index::config, 0x20, 4) == 0xffff'0000);
    const auto grown = there.client.region_info(bar{4});
    REQUIRE(grown);
    CHECK(grown->info.size == 64_KiB);
    CHECK(grown->areas == std::vector<range>{{0, 0x1000}, {0x3000, 0x5000}});
    CHECK(grown->fd);
    CHECK(get(bar{4}, 0x8000, 8) == ~0ull);
    CHECK(put(bar{4}, 0x8000, 0, 8));
}
