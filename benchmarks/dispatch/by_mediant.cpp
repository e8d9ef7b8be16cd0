// SPDX-License-Identifier: BSD-3-Clause
// The same mediation as a map and two hooks.
#include "device.h"

#include <mediant/mediant.hpp>
#include <mediant/provider/stack.hpp>

#include <cerrno>
#include <span>

namespace {
using namespace mediant;

template <std::size_t Registers>
constexpr auto names = [] {
    std::array<std::array<char, 5>, Registers> out{};
    for (std::size_t i = 0; i < Registers; ++i)
        out[i] = {'R', static_cast<char>('0' + i / 1000), static_cast<char>('0' + i / 100 % 10),
                  static_cast<char>('0' + i / 10 % 10), static_cast<char>('0' + i % 10)};
    return out;
}();

template <std::size_t Registers>
consteval entry register_of(std::size_t i) {
    const std::string_view name{names<Registers>[i].data(), 5};
    switch (i % 4) {
    case 0: return reg{name, 4 * i, ro, {.backing = from::constant, .value = 0xc000'0000 + i}};
    case 1: return reg{name, 4 * i, rw, {.backing = from::shadow}};
    case 2: return reg{name, 4 * i, w1c, {.backing = from::shadow}};
    default: return reg{name, 4 * i, rw, {.hook = on::read | on::write}};
    }
}

template <std::size_t Registers>
struct mediated {
    static constexpr auto bar0 = []<std::size_t... I>(std::index_sequence<I...>) {
        return region_map{bar{0}, DEVICE_SIZE, std::array<entry, Registers>{register_of<Registers>(I)...}};
    }(std::make_index_sequence<Registers>{});
    static constexpr auto regions = mediant::regions<bar0>{};

    template <std::size_t I>
        requires(I % 4 == 3)
    result<std::uint32_t> read(entry_tag<bar0, I> which, auto& next) {
        const auto value = next.read(which);
        if (!value) return value;
        return *value ^ 0x5a5a5a5a;
    }
    template <std::size_t I>
        requires(I % 4 == 3)
    result<void> write(entry_tag<bar0, I> which, std::uint32_t value, auto& next) {
        return next.write(which, value ^ 0x5a5a5a5a);
    }
};

struct device {
    void* memory;

    static constexpr unsigned max_access() noexcept { return 4; }
    result<std::uint64_t> load(region_index region, std::uint64_t offset, unsigned width) const {
        std::uint64_t value;
        const int rc = device_load(memory, static_cast<std::uint32_t>(region), offset, width, &value);
        if (rc < 0) return error{-rc};
        return value;
    }
    result<void> store(region_index region, std::uint64_t offset, unsigned width, std::uint64_t value) const {
        const int rc = device_store(memory, static_cast<std::uint32_t>(region), offset, width, value);
        if (rc < 0) return error{-rc};
        return {};
    }
    result<get_region_info::answer> ioctl(const get_region_info& what) const {
        return get_region_info::answer{device_region_size(memory, static_cast<std::uint32_t>(what.region)),
                                       region_flags::read | region_flags::write};
    }
};

template <std::size_t Registers>
struct open_device {
    device below;
    stack<device, mediated<Registers>> front{below};
};

std::int64_t count_or_errno(answer a) {
    return a.count != 0 ? static_cast<std::int64_t>(a.count) : -std::int64_t{to_errno(a.error)};
}

template <std::size_t Registers>
constexpr contender contender_of{
    "mediant", static_cast<unsigned>(Registers),
    [](void* state, std::uint32_t region, std::uint64_t offset, std::uint8_t* bytes, std::size_t count) {
        return count_or_errno(static_cast<open_device<Registers>*>(state)->front.read(
            {region_index{region}, offset, std::as_writable_bytes(std::span{bytes, count})}));
    },
    [](void* state, std::uint32_t region, std::uint64_t offset, const std::uint8_t* bytes, std::size_t count) {
        return count_or_errno(static_cast<open_device<Registers>*>(state)->front.write(
            {region_index{region}, offset, std::as_bytes(std::span{bytes, count})}));
    },
    [](void* memory) -> void* {
        auto* made = new open_device<Registers>{.below = {memory}};
        if (!made->front.open()) return nullptr;
        return made;
    }};

} // namespace

const contender by_mediant[4] = {contender_of<8>, contender_of<64>, contender_of<512>, contender_of<4096>};
