// SPDX-License-Identifier: BSD-3-Clause
#include "recorder.hpp"

#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <cstdint>

using namespace mediant;
using namespace mediant::test;

namespace {

/// One trapped dword with open ground on both sides, and one with no neighbour after it.
struct island {
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB,
                                            reg{"ISLAND", 0x20, rw, {.backing = from::shadow, .value = 0x44332211}},
                                            reg{"LAST", 0xffc, rw, {.backing = from::shadow, .value = 0x88776655}}};
    static constexpr auto regions = mediant::regions<bar0>{};
};

constexpr std::byte shadow_byte(std::uint64_t offset) {
    return static_cast<std::byte>(0x11 * (1 + offset % 4 + (offset < 0x24 ? 0 : 4)));
}
constexpr bool trapped(std::uint64_t offset) { return (offset >= 0x20 && offset < 0x24) || offset >= 0xffc; }

/// Which bytes the accesses of a log touch.
std::vector<std::uint64_t> touched(const events& log) {
    std::vector<std::uint64_t> out;
    for (const event& e : log)
        for (unsigned i = 0; i < e.width; ++i) out.push_back(e.offset + i);
    return out;
}

} // namespace

TEST_CASE("an access over a trap's edge is split there, in both directions and at every width") {
    for (const unsigned max : {4u, 8u})
        for (std::uint64_t offset = 0x14; offset < 0x28; ++offset)
            for (unsigned size = 1; size <= 16; ++size) {
                CAPTURE(max, offset, size);
                bench<stack<recorder, island>> b{4096, max};
                const auto got = b.read(offset, size);
                CHECK(got.done == answer{size});
                std::vector<std::uint64_t> passed;
                for (unsigned i = 0; i < size; ++i) {
                    CHECK(got.data[i] == (trapped(offset + i) ? shadow_byte(offset + i) : initial(offset + i)));
                    if (!trapped(offset + i)) passed.push_back(offset + i);
                }
                CHECK(touched(b.device.happened()) == passed);

                bytes data;
                for (unsigned i = 0; i < size; ++i) data.push_back(static_cast<std::byte>(0xa0 + i));
                CHECK(b.write(offset, data) == answer{size});
                CHECK(touched(b.device.happened()) == passed);
                CHECK(b.read(offset, size).data == data);
                for (unsigned i = 0; i < size; ++i)
                    CHECK(b.device.memory[bar{0}][offset + i] == (trapped(offset + i) ? initial(offset + i) : data[i]));
            }
}

TEST_CASE("the exact accesses at a trap's edges") {
    bench<stack<recorder, island>> b{4096, 8};
    SECTION("into it") {
        CHECK(b.read(0x1c, 8).value() == (std::uint64_t{0x44332211} << 32 | initial_value(0x1c, 4)));
        CHECK(b.device.happened() == events{load(0x1c, 4)});
        CHECK(b.write(0x1f, 0x2211, 2) == answer{2});
        CHECK(b.device.happened() == events{store(0x1f, 1, 0x11)});
        CHECK(b.read(0x20, 4).value() == 0x44332222);
    }
    SECTION("out of it") {
        CHECK(b.read(0x22, 4).value() == (initial_value(0x24, 2) << 16 | 0x4433));
        CHECK(b.device.happened() == events{load(0x24, 2)});
        CHECK(b.read(0x20, 16).done == answer{16});
        CHECK(b.device.happened() == events{load(0x24, 4), load(0x28, 8)});
    }
    SECTION("over all of it") {
        CHECK(b.read(0x18, 24).done == answer{24});
        CHECK(b.device.happened() == events{load(0x18, 8), load(0x24, 4), load(0x28, 8)});
    }
    SECTION("at the region's end, where the front clamps") {
        CHECK(b.read(0xffa, 8).done == answer{6});
        CHECK(b.device.happened() == events{load(0xffa, 2)});
        CHECK(b.write(0xffe, 0xaabbccdd, 4) == answer{2});
        CHECK(b.device.happened().empty());
        CHECK(b.read(0xffc, 4).value() == 0xccdd6655);
    }
}
