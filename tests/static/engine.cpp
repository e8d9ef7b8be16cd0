// SPDX-License-Identifier: BSD-3-Clause
// A whole stack runs at compile time: open, accesses through hooks, shadows and constants, reset, areas.
#include <mediant/mediant.hpp>
#include <mediant/provider/stack.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

namespace {
using namespace mediant;

/// 64 bytes of memory.
struct memory {
    std::array<std::byte, 64> bytes{};
    unsigned accesses = 0;
    unsigned widest = 4;

    [[nodiscard]] constexpr unsigned max_access() const { return widest; }
    constexpr result<std::uint64_t> load(region_index, std::uint64_t offset, unsigned width) {
        ++accesses;
        return load_little(std::span<const std::byte>{bytes}.subspan(static_cast<std::size_t>(offset), width));
    }
    constexpr result<void> store(region_index, std::uint64_t offset, unsigned width, std::uint64_t value) {
        ++accesses;
        store_little(std::span{bytes}.subspan(static_cast<std::size_t>(offset), width), value);
        return {};
    }
    constexpr result<get_region_info::answer> ioctl(const get_region_info& what) const {
        return get_region_info::answer{what.region == bar{0} ? 64u : 0u, region_flags::read | region_flags::write};
    }
};

struct policy {
    static constexpr auto bar0 = region_map{
        bar{0}, 64, reg{"IDENT", 0x00, ro, {.hook = on::read}},
        reg{"EVENTS", 0x08, w1c, {.backing = from::shadow, .value = 0xff}},
        reg{"VERSION", 0x0c, ro, {.backing = from::constant, .value = 0x0102, .bits = 16}},
        reg{"START", 0x10, rw, {.hook = on::write}},
        block{"SCRATCH", 0x20, 5, {.backing = from::shadow, .value = 0x5a}}};
    static constexpr auto regions = mediant::regions<bar0>{};

    std::uint32_t started = 0;

    constexpr result<std::uint32_t> read(at<bar0, "IDENT"> which, auto& next) {
        const result<std::uint32_t> below = next.read(which);
        if (!below) return below;
        return *below + 0x1000 + started;
    }
    constexpr result<void> write(at<bar0, "START"> which, std::uint32_t value, auto& next) {
        ++started;
        return next.write(which, value);
    }
};
static_assert(valid<policy>);

using device = stack<memory, policy>;

template <std::size_t N>
constexpr std::uint64_t read(device& s, std::uint64_t offset) {
    std::array<std::byte, N> bytes{};
    const answer done = s.read({bar{0}, offset, bytes});
    return done == answer{N} ? load_little(bytes) : ~std::uint64_t{0};
}
template <std::size_t N>
constexpr answer write(device& s, std::uint64_t offset, std::uint64_t value) {
    std::array<std::byte, N> bytes{};
    store_little(bytes, value);
    return s.write({bar{0}, offset, bytes});
}

/// The number of the first step that went wrong, 0 for none.
constexpr int run() {
    memory lower;
    device s{lower};
    if (!s.open()) return 1;
    if (read<4>(s, 0x00) != 0x1000) return 2;
    if (read<2>(s, 0x01) != 0x10) return 3;
    if (read<4>(s, 0x08) != 0xff) return 4;
    if (write<1>(s, 0x08, 0x0f) != answer{1}) return 5;
    if (read<4>(s, 0x08) != 0xf0) return 6;
    if (read<2>(s, 0x0c) != 0x0102) return 7;
    if (write<1>(s, 0x11, 0x77) != answer{1}) return 8;
    if (read<4>(s, 0x10) != 0x7700) return 9;
    if (read<4>(s, 0x00) != 0x1001) return 10;
    if (write<8>(s, 0x1e, 0x8877665544332211) != answer{8}) return 11;
    if (read<8>(s, 0x1e) != 0x8877665544332211) return 12;
    if (lower.bytes[0x1f] != std::byte{0x22} || lower.bytes[0x20] != std::byte{0}) return 13;
    s.reset();
    if (read<4>(s, 0x20) != 0x5a5a5a5a) return 14;
    if (read<4>(s, 0x08) != 0xff) return 15;
    if (read<8>(s, 60) != ~std::uint64_t{0}) return 16; // clamped
    std::array<std::byte, 8> beyond{};
    if (s.read({bar{0}, 60, beyond}) != answer{4}) return 17;
    if (s.read({bar{0}, 64, beyond}) != answer{0, error::invalid}) return 18;
    if (s.read({bar{1}, 0, beyond}) != answer{0, error::invalid}) return 19;
    const unsigned before = lower.accesses;
    if (read<4>(s, 0x20) != 0x5a5a5a5a || lower.accesses != before) return 20;
    s.release();
    return 0;
}
static_assert(run() == 0);

/// A device that takes no accesses: each is refused, and ends.
constexpr int run_without_accesses() {
    memory lower{.widest = 0};
    stack<memory> plain{lower};
    if (!plain.open()) return 1;
    std::array<std::byte, 8> bytes{};
    for (const std::size_t size : {1u, 3u, 4u, 8u}) {
        if (plain.read({bar{0}, 1, std::span{bytes}.first(size)}) != answer{0, error::invalid}) return 2;
        if (plain.write({bar{0}, 8, std::span{bytes}.first(size)}) != answer{0, error::invalid}) return 3;
    }
    device s{lower};
    if (!s.open()) return 4;
    if (read<4>(s, 0x08) != 0xff) return 5;
    if (s.read({bar{0}, 0x04, bytes}) != answer{0, error::invalid}) return 6;
    return lower.accesses == 0 ? 0 : 7;
}
static_assert(run_without_accesses() == 0);

} // namespace
