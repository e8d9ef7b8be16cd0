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

namespace {
/// The second page of 16 KiB is trapped, and the last register of the third.
struct traps_pages {
    static constexpr auto bar0 = region_map{bar{0}, 16_KiB, block{"SHADOW", 0x1000, 0x40, {.backing = from::shadow}},
                                            reg{"PASSED_BY_HOOK", 0x2ffc, rw, {.hook = on::read}}};
    static constexpr auto regions = mediant::regions<bar0>{};

    result<std::uint32_t> read(at<bar0, "PASSED_BY_HOOK"> reg, auto& next) { return next.read(reg); }
};

void put(memory_device& model, std::uint64_t offset, std::uint32_t value) { model.bar_store(0, offset, 4, value); }

/// A client's own mapping of a whole file, whatever it was told that it may map.
class mapping {
public:
    mapping(int fd, std::size_t size)
        : at_{::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0)}, size_{size} {
        REQUIRE(at_ != MAP_FAILED);
    }
    mapping(const mapping&) = delete;
    mapping& operator=(const mapping&) = delete;
    ~mapping() { ::munmap(at_, size_); }
    std::uint32_t& operator[](std::size_t offset) const { return static_cast<std::uint32_t*>(at_)[offset / 4]; }

private:
    void* at_;
    std::size_t size_;
};
} // namespace

TEST_CASE("memory device: what a client maps of the file shows no trapped page", "[memory_device]") {
    memory_device model{some_id, {16_KiB, 0, 0, 0, 0, 0}};
    stack<memory_device, traps_pages> front{model};
    REQUIRE(front.open());
    const mapping client{front.memory_fd(bar{0}), 16_KiB};
    put(front, bar{0}, 0x2ffc, 0x11, 4); // passes to the device
    put(front, bar{0}, 0x0ffc, 0x22, 4);
    CHECK(get(front, bar{0}, 0x2ffc, 4) == 0x11);
    CHECK(client[0x2ffc] == 0);
    CHECK(client[0x0ffc] == 0x22);
    client[0x2ffc] = 0x33;
    client[0x3000] = 0x44;
    CHECK(get(front, bar{0}, 0x2ffc, 4) == 0x11);
    CHECK(get(front, bar{0}, 0x3000, 4) == 0x44);
    REQUIRE(front.ioctl(reset_device{}));
    CHECK(get(front, bar{0}, 0x2ffc, 4) == 0);
    CHECK(get(front, bar{0}, 0x3000, 4) == 0);
}

TEST_CASE("memory device: what an earlier client has mapped is no longer the device's", "[memory_device]") {
    memory_device model{some_id, {16_KiB, 0, 0, 0, 0, 0}};
    stack<memory_device, traps_pages> front{model};
    put(model, 0x0ffc, 0x01);
    put(model, 0x2ffc, 0x02);
    REQUIRE(front.open());
    const mapping earlier{front.memory_fd(bar{0}), 16_KiB};
    CHECK(earlier[0x0ffc] == 0x01);
    earlier[0] = 0x11;
    put(front, bar{0}, 0x2ffc, 0x22, 4);
    front.release();
    earlier[0] = 0x12;
    earlier[0x0ffc] = 0x13;
    REQUIRE(front.open()); // registers outlive opens
    CHECK(get(front, bar{0}, 0, 4) == 0x11);
    CHECK(get(front, bar{0}, 0x0ffc, 4) == 0x01);
    CHECK(get(front, bar{0}, 0x2ffc, 4) == 0x22);
    const mapping later{front.memory_fd(bar{0}), 16_KiB};
    CHECK(later[0] == 0x11);
    CHECK(later[0x2ffc] == 0);
    later[0] = 0x33;
    CHECK(get(front, bar{0}, 0, 4) == 0x33);
    CHECK(earlier[0] == 0x12);
}

TEST_CASE("memory device: what a client wrote to a page before it was shown is not in it", "[memory_device]") {
    memory_device model{some_id, {16_KiB, 0, 0, 0, 0, 0}};
    REQUIRE(model.open());
    model.withhold(bar{0}, {0x1000, 0x2000});
    const mapping client{model.memory_fd(bar{0}), 16_KiB};
    put(model, 0x2004, 0x22);
    client[0x1000] = 0xbad; // of pages that it was not told of
    client[0x2000] = 0xbad;
    REQUIRE(model.show(bar{0}, {0x1000, 0x2000}));
    CHECK(model.bar_load(0, 0x1000, 4) == 0);
    CHECK(model.bar_load(0, 0x2000, 4) == 0);
    CHECK(model.bar_load(0, 0x2004, 4) == 0x22);
    CHECK(client[0x2004] == 0x22);
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
