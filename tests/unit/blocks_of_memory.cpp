// SPDX-License-Identifier: BSD-3-Clause
// Lowers that are memory: long accesses are copies, as far as no policy traps.
#include "recorder.hpp"

#include <mediant/device/memory_device.hpp>
#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <vector>

using namespace mediant;
using namespace mediant::test;
using device::memory_device;

namespace {

/// Memory that counts how it is reached.
class counted : public memory_device {
public:
    explicit counted(std::uint64_t size)
        : memory_device{device_id{0x1234, 0x5678, 0, 0, 0xff0000}, {size, 0, 0, 0, 0, 0}} {}

    result<std::uint64_t> load(region_index region, std::uint64_t offset, unsigned width) {
        ++loads;
        return memory_device::load(region, offset, width);
    }
    result<void> store(region_index region, std::uint64_t offset, unsigned width, std::uint64_t value) {
        ++stores;
        return memory_device::store(region, offset, width, value);
    }
    [[nodiscard]] std::span<std::byte> block(region_index region, std::uint64_t offset, std::uint64_t size) {
        blocks.push_back({offset, size});
        return memory_device::block(region, offset, size - short_by);
    }

    int loads = 0;
    int stores = 0;
    std::uint64_t short_by = 0;
    std::vector<range> blocks;
};
static_assert(has_blocks<counted> && has_blocks<memory_device> && !has_blocks<recorder>);

/// A register of the policy's own and a hidden stretch amid memory.
struct amid {
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"NAMED", 0x10},
                                            reg{"SHADOW", 0x8004, rw, {.backing = from::shadow, .value = 0x11223344}},
                                            hide{"HIDDEN", 0x9000, 0x1000}};
    static constexpr auto regions = mediant::regions<bar0>{};
};

std::vector<std::byte> pattern(std::size_t size) {
    std::vector<std::byte> bytes(size);
    for (std::size_t i = 0; i < size; ++i) bytes[i] = initial(i);
    return bytes;
}

} // namespace

TEST_CASE("memory: a long access is one copy, a short one natural accesses") {
    counted device{64_KiB};
    stack<counted> front{device};
    REQUIRE(front.open());
    device.loads = 0;
    const auto data = pattern(0x1003);
    CHECK(front.write({bar{0}, 0x101, data}) == answer{0x1003});
    CHECK(device.stores == 0);
    std::vector<std::byte> back(0x1003);
    CHECK(front.read({bar{0}, 0x101, back}) == answer{0x1003});
    CHECK(back == data);
    CHECK(device.loads == 0);
    CHECK(device.blocks == std::vector<range>{{0x101, 0x1003}, {0x101, 0x1003}});

    device.blocks.clear();
    back.resize(63);
    CHECK(front.read({bar{0}, 0x108, back}) == answer{63});
    CHECK(back == std::vector(data.begin() + 7, data.begin() + 70));
    CHECK(device.blocks.empty());
    CHECK(device.loads == 7 + 3); // 8 bytes each, then 4, 2 and 1
}

TEST_CASE("memory: a lower that has no such block, or another, is asked word by word") {
    counted device{64_KiB};
    stack<counted> front{device};
    REQUIRE(front.open());
    const auto data = pattern(256);
    std::vector<std::byte> back(256);

    device.loads = 0;
    device.short_by = 8;
    CHECK(front.write({bar{0}, 0, data}) == answer{256});
    CHECK(front.read({bar{0}, 0, back}) == answer{256});
    CHECK(back == data);
    CHECK(device.stores == 32);
    CHECK(device.loads == 32);
    CHECK(front.block(bar{0}, 0, 256).empty());
    device.short_by = 0;

    // Memory that is disabled answers an error, not its bytes.
    const std::vector<std::byte> off(2);
    REQUIRE(front.write({region_index::config, 4, off}) == answer{2});
    CHECK(front.read({bar{0}, 0, back}) == answer{0, error::io});
    CHECK(front.write({bar{0}, 0, data}) == answer{0, error::io});
    CHECK(front.block(bar{0}, 0, 256).empty());
    // Config space is no memory.
    CHECK(front.read({region_index::config, 0, back}) == answer{256});
    CHECK(back[4] == std::byte{0});
}

TEST_CASE("memory: what a policy traps within a long access stays its own") {
    counted device{1_MiB};
    stack<counted, amid> front{device};
    REQUIRE(front.open());
    device.loads = 0;
    const auto data = pattern(1_MiB);
    CHECK(front.write({bar{0}, 0, data}) == answer{1_MiB});
    CHECK(device.stores == 0);
    CHECK(device.blocks == std::vector<range>{{0, 0x8004}, {0x8008, 0xff8}, {0xa000, 0xf6000}});
    const auto memory = device.memory(bar{0});
    CHECK(memory[0x8003] == data[0x8003]);
    CHECK(memory[0x8004] == std::byte{0}); // the shadow's
    CHECK(memory[0x9000] == std::byte{0}); // hidden
    CHECK(memory[0xa000] == data[0xa000]);

    std::vector<std::byte> back(1_MiB);
    CHECK(front.read({bar{0}, 0, back}) == answer{1_MiB});
    auto expected = data;
    for (std::size_t i = 0x9000; i < 0xa000; ++i) expected[i] = std::byte{0xff};
    CHECK(back == expected);
    CHECK(device.loads == 0);
}

TEST_CASE("memory: a front gives away what no policy traps, and no more") {
    counted device{1_MiB};
    stack<counted, amid> front{device};
    CHECK(front.block(bar{0}, 0, 0x1000).empty()); // not open
    REQUIRE(front.open());
    const auto memory = device.memory(bar{0});
    CHECK(front.block(bar{0}, 0, 0x8004).data() == memory.data());
    CHECK(front.block(bar{0}, 0, 0x8004).size() == 0x8004);
    CHECK(front.block(bar{0}, 0, 0x8005).empty());
    CHECK(front.block(bar{0}, 0x8004, 4).empty());
    CHECK(front.block(bar{0}, 0x8008, 0xff8).data() == memory.data() + 0x8008);
    CHECK(front.block(bar{0}, 0x8008, 0xff9).empty());
    CHECK(front.block(bar{0}, 0xa000, 0xf6000).size() == 0xf6000);
    CHECK(front.block(bar{0}, 0xa000, 0xf6001).empty());
    CHECK(front.block(bar{0}, 0xa000, ~std::uint64_t{0}).empty());
    CHECK(front.block(bar{1}, 0, 64).empty());
    CHECK(front.block(region_index::config, 0, 64).empty());
}
