// SPDX-License-Identifier: BSD-3-Clause

#include "vf_half_bar/vf_half_bar.hpp"
#include "vf_half_bar/vf_device.hpp"

#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

using namespace mediant;

namespace {

template <class Front>
std::uint64_t get(Front& front, region_index region, std::uint64_t offset, std::size_t size) {
    std::array<std::byte, 8> bytes{};
    REQUIRE(front.read({region, offset, std::span{bytes}.first(size)}) == answer{size});
    return load_little(bytes);
}
template <class Front>
void put(Front& front, region_index region, std::uint64_t offset, std::uint64_t value, std::size_t size) {
    std::array<std::byte, 8> bytes{};
    store_little(std::span{bytes}.first(size), value);
    REQUIRE(front.write({region, offset, std::span{bytes}.first(size)}) == answer{size});
}

} // namespace

TEST_CASE("vf_half_bar: users see the lower half", "[vf_half_bar]") {
    acme::vf_device model;
    stack<acme::vf_device, acme::vf_half_bar> front{model};
    REQUIRE(front.open());
    CHECK(front.ioctl(get_region_info{bar{2}})->size == 32_KiB);

    put(front, region_index::config, 0x18, ~0ull, 8);
    CHECK(get(front, region_index::config, 0x18, 8) == 0xffff'ffff'ffff'8004);
    put(front, region_index::config, 0x18, 0x1'2345'8000, 8);
    CHECK(get(front, region_index::config, 0x18, 8) == 0x1'2345'8004);

    CHECK(get(front, bar{2}, 0, 4) == 4);
    put(front, bar{2}, 0, 99, 4);
    CHECK(get(front, bar{2}, 0, 4) == 4);
    put(front, bar{2}, 0x1000, 0x77, 4);
    CHECK(load_little(model.memory(bar{2}).subspan(0x1000, 4)) == 0x77);

    std::array<std::byte, 8> bytes{};
    CHECK(front.read({bar{2}, 0x8000, bytes}) == answer{0, error::invalid});
    CHECK(front.write({bar{2}, 0x8000, bytes}) == answer{0, error::invalid});
    CHECK(front.read({bar{2}, 0x7ffc, bytes}).count == 4);
    CHECK(front.next_area(bar{2}, 4_KiB, 0) == range{4_KiB, 28_KiB});
    CHECK(front.next_area(bar{2}, 4_KiB, 32_KiB).empty());
    CHECK_FALSE(front.mappable(bar{2}, {0x7000, 0x2000}));
    CHECK(front.memory(bar{2}).size() == 32_KiB);
    CHECK(front.memory_fd(bar{2}) == -1);
}

TEST_CASE("vf_half_bar: a format that it does not know is declined", "[vf_half_bar]") {
    const device::pci_function other{.id = acme::vf_device::id, .bar_sizes = {0, 0, 64_KiB, 0, 0, 0}};
    device::memory_device model{other};
    stack<device::memory_device, acme::vf_half_bar> front{model};
    CHECK(front.open().error() == error::no_device);
    model.bar_store(2, 0x8000, 4, 1);
    CHECK(front.open());
}
