// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/mediant.hpp>

#include <cstdint>

/// Providers that raise interrupts when a user asks for them: of QEMU's edu device, which has MSI, and of its e1000e,
/// which has MSI-X. A test of the kernel's modules, and of the same policy in user space.
namespace interrupts_test {
using namespace mediant;

/// RAISE takes an index in its upper half and a vector in its lower one; COUNT is how often it was written.
consteval auto bells(std::uint64_t base, std::uint64_t size) {
    return region_map{bar{0}, size,
        reg{"RAISE", base, wo, {.hook = on::write}},
        reg{"COUNT", base + 4, ro, {.backing = from::shadow}}};
}
inline constexpr auto edu_bells = bells(0x200, 1_MiB);
inline constexpr auto nic_bells = bells(0x1f000, 128_KiB);

template <const auto& Map>
struct raises {
    static constexpr auto regions = mediant::regions<Map>{};

    /// Nobody can have set an interrupt up yet: what comes too early is lost.
    result<void> open(auto& next) noexcept { return next.trigger(line{irq_index::msi, 0}); }

    result<void> write(at<Map, "RAISE">, std::uint32_t what, auto& next) noexcept {
        next.assign(at<Map, "COUNT">{}, next.held(at<Map, "COUNT">{}) + 1);
        return next.trigger(line{irq_index{what >> 16}, what & 0xffff});
    }
};

struct raising_edu : raises<edu_bells> {
    static constexpr auto info = provider{"raising_edu", {pci_id{0x1234, 0x11e8}}};
};
struct raising_nic : raises<nic_bells> {
    static constexpr auto info = provider{"raising_nic", {pci_id{0x8086, 0x10d3}}};
};
static_assert(valid<raising_edu> && valid<raising_nic>);

} // namespace interrupts_test
