// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// BARs through a config map: sized as Linux's PCI core does it, and reached no further than they are seen.

#include "raw_function.hpp"

#include <mediant/mediant.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

using namespace mediant;
using namespace mediant::test;

namespace {

template <const auto&... Maps>
struct with {
    static constexpr auto regions = mediant::regions<Maps...>{};
};
template <const auto&... Maps>
using front_of = stack<raw_function, with<Maps...>>;

constexpr auto smaller = config_map{resize_bar{2, 16_KiB}};
constexpr auto larger = config_map{resize_bar{2, 128_KiB}};
constexpr auto huge = config_map{resize_bar{2, 16_GiB}};
constexpr auto half = config_map{hide_upper_half{2}};
constexpr auto hidden = config_map{hide_bar{2}, hide_rom{}};
constexpr auto port = config_map{io_bar{0, 32}};
constexpr auto added = config_map{memory_bar{4, 64_KiB, {.wide = true, .prefetchable = true}}};
constexpr auto narrow = config_map{memory_bar{5, 4_KiB}};

constexpr auto bar0_registers = region_map{bar{0}, 32, reg{"A", 0x00, rw, {.backing = from::shadow, .value = 0x1234}}};
constexpr auto bar2_registers = region_map{bar{2}, 64_KiB, reg{"LOW", 0x00, rw, {.backing = from::shadow}},
                                           reg{"HIGH", 0xc000, rw, {.backing = from::shadow, .value = 0x99}}};

constexpr auto lower_registers = region_map{bar{2}, 32_KiB, reg{"LOW", 0x00, rw, {.backing = from::shadow}}};

struct sized {
    std::uint64_t size = 0; ///< 0: there is no BAR
    std::uint32_t flags = 0;
    unsigned registers = 1;
};

/// The conversation of __pci_read_base (drivers/pci/probe.c): decoding off, ones, what comes back, the old value, on.
template <class Front>
sized probe(Front& front, std::uint32_t number) {
    const std::uint32_t at = number == 6 ? 0x30 : 0x10 + 4 * number;
    const std::uint32_t ones = number == 6 ? 0xffff'f800 : 0xffff'ffff;
    const auto command = get(front, 0x04, 2);
    REQUIRE(put(front, 0x04, command & ~3u, 2));
    const auto before = get(front, at, 4);
    REQUIRE(put(front, at, ones, 4));
    std::uint64_t mask = get(front, at, 4);
    REQUIRE(put(front, at, before, 4));
    CHECK(get(front, at, 4) == before);
    sized out;
    if (mask == 0 || mask == 0xffff'ffff) {
        REQUIRE(put(front, 0x04, command, 2));
        return out;
    }
    const bool io = number != 6 && (mask & 1) != 0;
    out.flags = static_cast<std::uint32_t>(mask & (number == 6 ? 0x7ff : io ? 3 : 0xf));
    mask &= number == 6 ? ~std::uint64_t{0x7ff} : io ? ~std::uint64_t{3} : ~std::uint64_t{0xf};
    if (!io && (out.flags & 6) == 4) {
        out.registers = 2;
        const auto above = get(front, at + 4, 4);
        REQUIRE(put(front, at + 4, 0xffff'ffff, 4));
        mask |= get(front, at + 4, 4) << 32;
        REQUIRE(put(front, at + 4, above, 4));
        CHECK(get(front, at + 4, 4) == above);
    } else {
        mask |= ~std::uint64_t{0xffff'ffff};
    }
    REQUIRE(put(front, 0x04, command, 2));
    out.size = ~mask + 1;
    return out;
}

raw_function make() {
    raw_function f;
    f.put(0x04, 4, 0x0000'0002, 0x0507);
    f.put(0x00, 4, 0x1041'1af4);
    return f;
}

template <class Front>
[[nodiscard]] answer read(Front& front, region_index region, std::uint64_t offset, std::size_t size) {
    std::array<std::byte, 16> bytes{};
    return front.read({region, offset, std::span{bytes}.first(size)});
}

/// Nothing at or beyond `end` can be read, written or mapped.
template <class Front>
void check_end(Front& front, std::uint32_t number, std::uint64_t end) {
    CHECK(front.ioctl(get_region_info{bar{number}})->size == end);
    CHECK(read(front, bar{number}, end, 4) == answer{0, error::invalid});
    if (end >= 4) CHECK(read(front, bar{number}, end - 2, 4) == answer{2});
    std::array<std::byte, 4> bytes{};
    CHECK(front.write({bar{number}, end, bytes}) == answer{0, error::invalid});
    CHECK_FALSE(front.mappable(bar{number}, {end, 4_KiB}));
    for (const std::uint64_t page : {4_KiB, 16_KiB, 64_KiB}) {
        for (range area = front.next_area(bar{number}, page, 0); !area.empty();
             area = front.next_area(bar{number}, page, area.end()))
            CHECK(area.end() <= end);
        CHECK(front.next_area(bar{number}, page, end).empty());
    }
}

} // namespace

TEST_CASE("BARs: one seen smaller, of 32 and of 64 bits", "[config]") {
    const std::uint32_t flags = GENERATE(0x0u, 0x8u, 0x4u, 0xcu);
    CAPTURE(flags);
    raw_function f = make();
    f.bar(2, 64_KiB, flags);
    front_of<smaller> front{f};
    REQUIRE(front.open());
    const sized seen = probe(front, 2);
    CHECK(seen.size == 16_KiB);
    CHECK(seen.flags == flags);
    CHECK(seen.registers == ((flags & 4) != 0 ? 2 : 1));
    check_end(front, 2, 16_KiB);
    CHECK(front.next_area(bar{2}, 4_KiB, 0) == range{0, 16_KiB});
    CHECK(get(front, 0x3ffc, 4, bar{2}) == load_little(std::span{f.memory[2]}.subspan(0x3ffc, 4)));

    // The address that the user gives it, and only the bits that its size leaves.
    CHECK(put(front, 0x18, 0xfebd'4321, 4));
    CHECK(get(front, 0x18, 4) == (0xfebd'4000 | flags));
    CHECK(get(front, 0x19, 2) == 0xbd40);
    CHECK(put(front, 0x1b, 0x12, 1));
    CHECK(get(front, 0x18, 4) == (0x12bd'4000 | flags));
    // Below, it is the device's BAR, and the write has passed.
    CHECK(f.get(0x18, 4) == (0x12bd'0000 | flags));
    if (seen.registers == 2) {
        CHECK(put(front, 0x1c, 0x7, 4));
        CHECK(get(front, 0x18, 8) == (0x7'12bd'4000 | flags));
        CHECK(f.get(0x18, 8) == (0x7'12bd'0000 | flags));
    } else {
        CHECK(get(front, 0x1c, 4) == 0);
    }
    REQUIRE(front.ioctl(reset_device{})); // vfio-pci restores addresses
    CHECK(get(front, 0x1b, 1) == 0x12);
}

TEST_CASE("BARs: the address at open is the device's", "[config]") {
    raw_function f = make();
    f.bar(2, 64_KiB, 0xc);
    f.put(0x18, 8, 0x0000'0003'c001'000c, ~std::uint64_t{0xffff});
    front_of<smaller> front{f};
    REQUIRE(front.open());
    CHECK(get(front, 0x18, 8) == 0x0000'0003'c001'000c);
}

TEST_CASE("BARs: what did not arrive below is not seen", "[config]") {
    raw_function f = make();
    f.bar(2, 64_KiB, 0x4);
    front_of<smaller> front{f};
    REQUIRE(front.open());
    f.faulty = 0x1c;
    std::array<std::byte, 8> ones;
    ones.fill(std::byte{0xff});
    CHECK(front.write({region_index::config, 0x18, ones}) == answer{4, error::fault});
    CHECK(get(front, 0x18, 8) == 0x0000'0000'ffff'c004);
}

TEST_CASE("BARs: one seen larger than it is", "[config]") {
    raw_function f = make();
    f.bar(2, 64_KiB, 0x4);
    front_of<larger> front{f};
    REQUIRE(front.open());
    CHECK(probe(front, 2).size == 128_KiB);
    check_end(front, 2, 128_KiB);
    CHECK(front.next_area(bar{2}, 4_KiB, 0) == range{0, 64_KiB}); // what is there
    CHECK(front.next_area(bar{2}, 4_KiB, 64_KiB).empty());
    CHECK(get(front, 64_KiB - 2, 4, bar{2}) == (0xffff'0000 | load_little(std::span{f.memory[2]}.subspan(0xfffe, 2))));
    CHECK(get(front, 96_KiB, 8, bar{2}) == ~0ull);
    CHECK(put(front, 64_KiB - 2, 0x4433'2211, 4, bar{2}));
    CHECK(load_little(std::span{f.memory[2]}.subspan(0xfffe, 2)) == 0x2211);
    CHECK(put(front, 96_KiB, 0, 4, bar{2}));

    SECTION("of 16 GiB, only with 64 bits") {
        front_of<huge> big{f};
        REQUIRE(big.open());
        CHECK(probe(big, 2).size == 16_GiB);
        f.bar(2, 64_KiB, 0x0);
        CHECK(big.open().error() == error::no_device);
        CHECK(f.logged == "declined: a BAR cannot have the size that the config map gives it");
    }
}

TEST_CASE("BARs: the upper half is hidden from the user, and not from the policy", "[config]") {
    raw_function f = make();
    f.bar(2, 64_KiB, 0x4);
    front_of<half> front{f};
    REQUIRE(front.open());
    CHECK(probe(front, 2).size == 32_KiB);
    check_end(front, 2, 32_KiB);
    CHECK(has(front.ioctl(get_region_info{bar{2}})->flags, region_flags::mmap));

    SECTION("its size follows the device's") {
        f.bar(2, 8_KiB, 0x0);
        REQUIRE(front.open());
        CHECK(probe(front, 2).size == 4_KiB);
        check_end(front, 2, 4_KiB);
        f.sizes[2] = 0;
        CHECK(front.open().error() == error::no_device);
        f.bar(2, 16, 0x0);
        CHECK(front.open().error() == error::no_device);
        f.sizes[2] = 24_KiB;
        CHECK(front.open().error() == error::no_device);
    }
    SECTION("a layer above and the policy's own registers") {
        layer<with<half, bar2_registers>, bottom<raw_function>> inner{bottom<raw_function>{f}};
        REQUIRE(inner.open());
        std::array<std::byte, 8> bytes{};
        CHECK(inner.read({bar{2}, 0x7ffc, bytes}) == answer{4, error::invalid});
        CHECK(inner.read({bar{2}, 0xc000, bytes}) == answer{0, error::invalid});
        CHECK(inner.write({bar{2}, 0x7ffc, bytes}) == answer{4, error::invalid});
        CHECK(inner.read_map({bar{2}, 0xc000, bytes}) == answer{8}); // what next offers
        CHECK(std::to_integer<unsigned>(bytes[0]) == 0x99);
        CHECK(inner.run_now(bar{2}, 0x7000, 0x9000).size == 0x1000);
        CHECK(inner.run_now(bar{2}, 0x8000, 0x8000).trapped);
    }
    SECTION("a policy above sees what the user sees") {
        stack<raw_function, with<bar2_registers>, with<half>> whole{f};
        CHECK(whole.open().error() == error::no_device); // its map is of more than is seen
        stack<raw_function, with<lower_registers>, with<half>> both{f};
        REQUIRE(both.open());
        check_end(both, 2, 32_KiB);
        CHECK(both.next_area(bar{2}, 4_KiB, 0) == range{4_KiB, 28_KiB});
        CHECK(put(both, 0, 0x55, 1, bar{2}));
        CHECK(get(both, 0, 1, bar{2}) == 0x55);
        CHECK(f.memory[2][0] != std::byte{0x55});
    }
}

TEST_CASE("BARs: hidden, with both registers where it has two", "[config]") {
    const std::uint32_t flags = GENERATE(0x0u, 0xcu, 0x1u);
    CAPTURE(flags);
    raw_function f = make();
    f.bar(2, flags == 1 ? 32 : 64_KiB, flags);
    if (flags != 0xc) f.bar(3, 4_KiB);
    f.bar(6, 64_KiB);
    front_of<hidden> front{f};
    REQUIRE(front.open());
    CHECK(probe(front, 2).size == 0);
    CHECK(probe(front, 3).size == (flags == 0xc ? 0 : 4_KiB));
    CHECK(probe(front, 6).size == 0);
    check_end(front, 2, 0);
    CHECK(front.ioctl(get_region_info{bar{2}})->flags == region_flags::none);
    CHECK(front.ioctl(get_region_info{region_index::rom})->size == 0);
    CHECK(read(front, region_index::rom, 0, 4) == answer{0, error::invalid});
}

TEST_CASE("BARs: an I/O BAR that the device has not", "[config]") {
    raw_function f = make();
    f.bar(4, 16_KiB, 0xc);
    front_of<port, bar0_registers> front{f};
    REQUIRE(front.open());
    const sized seen = probe(front, 0);
    CHECK(seen.size == 32);
    CHECK(seen.flags == 0x1);
    CHECK(probe(front, 4).size == 16_KiB); // as it was
    const auto info = front.ioctl(get_region_info{bar{0}});
    CHECK(info->size == 32);
    CHECK(info->flags == (region_flags::read | region_flags::write));
    CHECK(front.next_area(bar{0}, 4_KiB, 0).empty());
    CHECK(front.memory_fd(bar{0}) == -1);

    CHECK(read(front, bar{0}, 0, 4) == answer{0, error::io}); // as COMMAND has it
    CHECK(put(front, 0x04, 0x0007, 2));
    CHECK(get(front, 0x04, 2) == 0x0007);
    CHECK(get(front, 0, 4, bar{0}) == 0x1234);
    CHECK(put(front, 0, 0x5678, 4, bar{0}));
    CHECK(get(front, 0, 2, bar{0}) == 0x5678);
    CHECK(get(front, 4, 8, bar{0}) == ~0ull); // in no register
    CHECK(put(front, 4, 0, 4, bar{0}));
    CHECK(read(front, bar{0}, 32, 1) == answer{0, error::invalid});
    CHECK(put(front, 0x10, 0xc05a, 4));
    CHECK(get(front, 0x10, 4) == 0xc041);
    CHECK(put(front, 0x04, 0x0006, 2));
    CHECK(read(front, bar{0}, 0, 4) == answer{0, error::io});
    CHECK(put(front, 0x04, 0x0007, 2));
    REQUIRE(front.ioctl(reset_device{}));
    CHECK(get(front, 0x04, 2) == 0x0006);
    CHECK(read(front, bar{0}, 0, 4) == answer{0, error::io});
    CHECK(get(front, 0x10, 4) == 0xc041);

    SECTION("I/O space can be set although the device has none") {
        f.put(0x04, 2, 0x0002, 0x0506);
        REQUIRE(front.open());
        CHECK(put(front, 0x04, 0x0003, 2));
        CHECK(f.get(0x04, 2) == 0x0002);
        CHECK(get(front, 0x04, 2) == 0x0003);
        CHECK(get(front, 0, 4, bar{0}) == 0x1234);
    }
    SECTION("a device that has the BAR is declined") {
        f.bar(0, 4_KiB);
        CHECK(front.open().error() == error::no_device);
        CHECK(f.logged == "declined: the device has a BAR where the config map adds one");
    }
}

TEST_CASE("BARs: a memory BAR that the device has not", "[config]") {
    raw_function f = make();
    front_of<added> front{f};
    REQUIRE(front.open());
    const sized seen = probe(front, 4);
    CHECK(seen.size == 64_KiB);
    CHECK(seen.flags == 0xc);
    CHECK(seen.registers == 2);
    CHECK(front.next_area(bar{4}, 4_KiB, 0).empty());
    CHECK(get(front, 0, 4, bar{4}) == 0xffff'ffff);
    CHECK(put(front, 0x04, 0, 2));
    CHECK(read(front, bar{4}, 0, 4) == answer{0, error::io});
    f.bar(5, 4_KiB);
    CHECK(front.open().error() == error::no_device);
    f = make();
    f.bar(4, 64_KiB, 0x4);
    front_of<narrow> upper{f};
    CHECK(upper.open().error() == error::no_device);
    CHECK(f.logged == "declined: the config map has a BAR where the device has the upper half of one");
}

TEST_CASE("BARs: registers that make no sense", "[config]") {
    raw_function f = make();
    static constexpr auto last = config_map{hide_bar{5}};
    f.put(0x24, 4, 0x4, ~std::uint64_t{0xfff});
    f.sizes[5] = 4_KiB;
    front_of<last> front{f};
    CHECK(front.open().error() == error::no_device); // 64 bits have no room
    f = make();
    f.bar(1, 64_KiB, 0x4);
    front_of<smaller> in_upper_half{f};
    CHECK(in_upper_half.open().error() == error::no_device);
    f = make();
    f.bar(2, 128, 0x1);
    CHECK(in_upper_half.open().error() == error::no_device); // no I/O BAR is that large
}

TEST_CASE("MSI-X: its table is never trapped, nor mapped", "[config]") {
    raw_function f = make();
    f.bar(2, 64_KiB);
    f.list({{0x50, 0x01}, {0x60, 0x11}});
    f.put(0x62, 2, 16 - 1);
    f.put(0x64, 4, 0x2002);
    f.put(0x68, 4, 0x6002);

    using trapping = with<bar2_registers>; // LOW at 0, HIGH at 0xc000
    stack<raw_function, trapping> front{f};
    REQUIRE(front.open());
    CHECK(front.next_area(bar{2}, 4_KiB, 0) == range{0x1000, 0x1000});
    CHECK(front.next_area(bar{2}, 4_KiB, 0x2000) == range{0x3000, 0x3000});
    CHECK(front.next_area(bar{2}, 4_KiB, 0x6000) == range{0x7000, 0x5000});
    CHECK_FALSE(front.mappable(bar{2}, {0x2000, 0x1000}));
    CHECK(get(front, 0x2000, 4, bar{2}) == load_little(std::span{f.memory[2]}.subspan(0x2000, 4)));
    stack<raw_function> plain{f};
    REQUIRE(plain.open());
    CHECK(plain.next_area(bar{2}, 4_KiB, 0) == range{0, 0x2000});

    const auto declines = [&] {
        f.logged.clear();
        return front.open().error() == error::no_device &&
               f.logged == "declined: a region map traps accesses to the MSI-X table or its pending bits";
    };
    f.put(0x64, 4, 0xbf02); // its last entry lies at HIGH
    f.put(0x62, 2, 17 - 1);
    CHECK(declines());
    f.put(0x62, 2, 16 - 1);
    CHECK(front.open());
    f.put(0x68, 4, 0xc002);
    CHECK(declines());
    f.put(0x68, 4, 0xc003); // another BAR
    CHECK(front.open());
    f.put(0x64, 4, 0xc007); // no BAR
    CHECK(front.open());
    CHECK(front.next_area(bar{2}, 4_KiB, 0) == range{0x1000, 0xb000});
    f.put(0x62, 2, 0x7ff);
    f.put(0x64, 4, 0xffff'fff8 | 2); // far beyond the BAR
    CHECK(front.open());
    f.put(0x61, 1, 0x60); // a loop
    CHECK(front.open());
}
