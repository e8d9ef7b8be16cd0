// SPDX-License-Identifier: BSD-3-Clause

#include <mediant/device/memory_device.hpp>
#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <sys/mman.h>
#include <sys/stat.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

using namespace mediant;
using device::memory_device;

namespace {

constexpr device_id some_id{0x8086, 0x100e, 0x1af4, 0x0001, 0x020000};

std::uint64_t get(auto& front, region_index region, std::uint64_t offset, std::size_t width) {
    std::array<std::byte, 8> bytes{};
    REQUIRE(front.read({region, offset, std::span{bytes}.first(width)}) == answer{width});
    return load_little(std::span{bytes}.first(width));
}
void put(auto& front, region_index region, std::uint64_t offset, std::uint64_t value, std::size_t width) {
    std::array<std::byte, 8> bytes{};
    store_little(std::span{bytes}.first(width), value);
    REQUIRE(front.write({region, offset, std::span{bytes}.first(width)}) == answer{width});
}

} // namespace

TEST_CASE("memory device: memory of any width, seen by mappings too", "[memory_device]") {
    memory_device model{some_id, {64_KiB, 0, 4_KiB, 0, 0, 0}};
    stack<memory_device> front{model};
    REQUIRE(front.open());
    CHECK(get(front, region_index::config, 0, 4) == 0x100e8086);
    CHECK(get(front, region_index::config, 8, 4) == 0x02000000);

    put(front, bar{0}, 0, 0x1122334455667788, 8);
    put(front, bar{0}, 3, 0xaabb, 2);
    CHECK(get(front, bar{0}, 0, 8) == 0x112233aabb667788);
    CHECK(get(front, bar{0}, 1, 7) == 0x112233aabb6677);
    put(front, bar{2}, 0xfff, 0x5a, 1);
    CHECK(model.memory(bar{2})[0xfff] == std::byte{0x5a});
    CHECK(model.memory(bar{2}).size() == 4_KiB);
    CHECK(model.memory(bar{1}).empty());
    CHECK(model.memory(region_index::config).empty());

    CHECK(has(front.ioctl(get_region_info{bar{0}})->flags, region_flags::mmap));
    CHECK_FALSE(has(front.ioctl(get_region_info{region_index::config})->flags, region_flags::mmap));
    CHECK(front.next_area(bar{0}, 4_KiB, 0) == range{0, 64_KiB});
    CHECK(front.memory_fd(bar{1}) == -1);
    const int fd = front.memory_fd(bar{0});
    REQUIRE(fd >= 0);
    void* const at = ::mmap(nullptr, 64_KiB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    REQUIRE(at != MAP_FAILED);
    auto* const mapped = static_cast<std::uint32_t*>(at);
    mapped[4] = 0xcafe;
    CHECK(get(front, bar{0}, 16, 4) == 0xcafe);
    CHECK(::ftruncate(fd, 0) != 0); // a client cannot take the memory away

    REQUIRE(front.ioctl(reset_device{}));
    CHECK(get(front, bar{0}, 16, 4) == 0);
    CHECK(mapped[0] == 0);
    ::munmap(at, 64_KiB);
}

TEST_CASE("memory device: a large BAR is sparse and 64 bits wide", "[memory_device]") {
    memory_device model{some_id, {16_GiB, 0, 0, 0, 0, 0}};
    stack<memory_device> front{model};
    REQUIRE(front.open());
    put(front, bar{0}, 16_GiB - 8, 42, 8);
    CHECK(get(front, bar{0}, 16_GiB - 8, 8) == 42);
    struct stat info{};
    REQUIRE(::fstat(front.memory_fd(bar{0}), &info) == 0);
    CHECK(info.st_blocks * 512 <= 4 * 1024 * 1024);

    CHECK(get(front, region_index::config, 0x10, 8) == 0x4);
    put(front, region_index::config, 0x10, ~std::uint64_t{0}, 8);
    CHECK(get(front, region_index::config, 0x10, 8) == 0xfffffffc'00000004);
}

TEST_CASE("memory device: sizes that no BAR has", "[memory_device]") {
    using sizes = std::array<std::uint64_t, 6>;
    CHECK_THROWS_AS((memory_device{some_id, sizes{3000}}), std::invalid_argument);
    CHECK_THROWS_AS((memory_device{some_id, sizes{8}}), std::invalid_argument);
    CHECK_THROWS_AS((memory_device{some_id, sizes{8_GiB, 4_KiB}}), std::invalid_argument);
    CHECK_THROWS_AS((memory_device{some_id, sizes{0, 0, 0, 0, 0, 8_GiB}}), std::invalid_argument);
    CHECK_NOTHROW(memory_device{some_id, sizes{}});
}
