// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a save hook is public, takes (std::uint64_t offset, std::span<std::byte> to, auto& next)
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

struct edu {
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"MINE", 0x40, rw, {.backing = from::shadow}}};
    static constexpr auto regions = mediant::regions<bar0>{};
#ifndef MEDIANT_CORRECT
    static constexpr auto migration() { return saved_state{1, saved{"count", &edu::count}, saved_registers<bar0>{}}; }
    result<std::size_t> save(std::span<std::byte>, auto&) noexcept { return std::size_t{0}; }
    result<void> restore(std::uint64_t, std::span<const std::byte>, auto&) noexcept { return {}; }
#else
    static constexpr auto migration() { return saved_state{1, saved{"count", &edu::count}, saved_registers<bar0>{}}; }
    result<std::size_t> save(std::uint64_t, std::span<std::byte>, auto&) noexcept { return std::size_t{0}; }
    result<void> restore(std::uint64_t, std::span<const std::byte>, auto&) noexcept { return {}; }
#endif
    std::uint32_t count = 0;
};
static_assert(valid<edu>);

} // namespace acme
