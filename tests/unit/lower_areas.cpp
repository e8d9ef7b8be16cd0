// SPDX-License-Identifier: BSD-3-Clause

#include <mediant/mediant.hpp>
#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <cstdint>
#include <vector>

using namespace mediant;

namespace {

/// A lower that lets two parts of its BAR be mapped, from a file in which the BAR begins at 1 GiB.
struct partly_shared {
    static constexpr unsigned max_access() { return 4; }
    static result<std::uint64_t> load(region_index, std::uint64_t, unsigned) { return std::uint64_t{0}; }
    static result<void> store(region_index, std::uint64_t, unsigned, std::uint64_t) { return {}; }
    static result<get_region_info::answer> ioctl(const get_region_info& what) {
        if (what.region != bar{0}) return get_region_info::answer{};
        return get_region_info::answer{64_KiB, region_flags::read | region_flags::write | region_flags::mmap};
    }
    static range next_area(region_index, std::uint64_t from) {
        for (const range each : {range{0x1800, 0x4800}, range{0xa000, 0x6000}})
            if (from < each.end()) return from <= each.offset ? each : range{from, each.end() - from};
        return {};
    }
    static int memory_fd(region_index) { return 17; }
    static std::uint64_t memory_offset(region_index) { return 1_GiB; }
};
static_assert(lower<partly_shared>);

struct trapping {
    static constexpr auto bar0 = region_map{bar{0}, 64_KiB, reg{"DOORBELL", 0x4000, rw, {.backing = from::shadow}}};
    static constexpr auto regions = mediant::regions<bar0>{};
};

template <class Stack>
std::vector<range> areas_of(const Stack& front) {
    std::vector<range> out;
    for (range area = front.next_area(bar{0}, 4_KiB, 0); !area.empty();
         area = front.next_area(bar{0}, 4_KiB, area.end()))
        out.push_back(area);
    return out;
}

} // namespace

TEST_CASE("what a lower keeps to itself is in no mappable area") {
    partly_shared device;
    stack<partly_shared> plain{device};
    REQUIRE(plain.open());
    CHECK(areas_of(plain) == std::vector<range>{{0x2000, 0x4000}, {0xa000, 0x6000}});
    CHECK(plain.mappable(bar{0}, {0x2000, 0x1000}));
    CHECK_FALSE(plain.mappable(bar{0}, {0x1000, 0x1000}));

    stack<partly_shared, trapping> mediated{device};
    REQUIRE(mediated.open());
    CHECK(areas_of(mediated) == std::vector<range>{{0x2000, 0x2000}, {0x5000, 0x1000}, {0xa000, 0x6000}});
}

TEST_CASE("a lower's file may begin with something else") {
    partly_shared device;
    stack<partly_shared> front{device};
    REQUIRE(front.open());
    CHECK(front.memory_fd(bar{0}) == 17);
    CHECK(front.memory_offset(bar{0}) == 1_GiB);
}
