// SPDX-License-Identifier: BSD-3-Clause
// A map of 600 registers with 300 hooks of each kind is within what compilers allow without options.
#include <mediant/mediant.hpp>
#include <mediant/provider/stack.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace {
using namespace mediant;

constexpr std::size_t registers = 600;

constexpr auto names = [] {
    std::array<char, 3 * registers> out{};
    for (std::size_t i = 0; i < registers; ++i) {
        out[3 * i] = static_cast<char>('0' + i / 100);
        out[3 * i + 1] = static_cast<char>('0' + i / 10 % 10);
        out[3 * i + 2] = static_cast<char>('0' + i % 10);
    }
    return out;
}();

template <std::size_t I>
consteval auto one() {
    return reg{std::string_view{names.data() + 3 * I, 3}, 4 * I, rw,
               {.backing = from::shadow, .hook = I % 2 == 0 ? on::read | on::write : on::nothing}};
}

struct large {
    static constexpr auto bar0 = []<std::size_t... I>(std::index_sequence<I...>) {
        return region_map{bar{0}, 4_KiB, one<I>()...};
    }(std::make_index_sequence<registers>{});
    static constexpr auto regions = mediant::regions<bar0>{};

    template <std::size_t I>
        requires(I % 2 == 0)
    constexpr result<std::uint32_t> read(entry_tag<bar0, I> which, auto& next) {
        return next.read(which);
    }
    template <std::size_t I>
        requires(I % 2 == 0)
    constexpr result<void> write(entry_tag<bar0, I> which, std::uint32_t value, auto& next) {
        return next.write(which, value + I);
    }
};
static_assert(valid<large>);

struct lower {
    [[nodiscard]] constexpr unsigned max_access() const { return 4; }
    constexpr result<std::uint64_t> load(region_index, std::uint64_t, unsigned) { return std::uint64_t{0}; }
    constexpr result<void> store(region_index, std::uint64_t, unsigned, std::uint64_t) { return {}; }
    constexpr result<get_region_info::answer> ioctl(const get_region_info&) const {
        return get_region_info::answer{4096, region_flags::read};
    }
};

/// Each register answers for itself: hooks are found by number, however many there are.
constexpr bool run() {
    lower device;
    stack<lower, large> s{device};
    if (!s.open()) return false;
    for (std::size_t i : {std::size_t{0}, std::size_t{1}, std::size_t{255}, std::size_t{256}, std::size_t{510}, std::size_t{512}, std::size_t{598}, std::size_t{599}}) {
        std::array<std::byte, 4> bytes{};
        store_little(bytes, 1000);
        if (s.write({bar{0}, 4 * i, bytes}) != answer{4} || s.read({bar{0}, 4 * i, bytes}) != answer{4}) return false;
        if (load_little(bytes) != (i % 2 == 0 ? 1000 + i : 1000)) return false;
    }
    return true;
}
static_assert(run());

} // namespace
