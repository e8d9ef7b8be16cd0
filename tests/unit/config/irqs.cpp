// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Interrupts of a capability that a config map hides: there are none, and none can be set.

#include <mediant/device/memory_device.hpp>
#include <mediant/mediant.hpp>
#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <cstdint>

using namespace mediant;

namespace {

template <const auto& Config>
struct with {
    static constexpr auto regions = mediant::regions<Config>{};
    /// Whatever a policy says of vectors, a hidden capability has none.
    result<get_irq_info::answer> ioctl(const get_irq_info& what, auto& next) { return next.ioctl(what); }
};

constexpr auto hides_msi = config_map{hide_capability{cap::msi}};
constexpr auto hides_msix = config_map{hide_capability{cap::msix}};
constexpr auto hides_both = config_map{hide_capability{cap::msix}, hide_capability{cap::msi}};
constexpr auto hides_vpd = config_map{hide_capability{cap::vpd}, hide_extended_capability{extended_cap{0x11}}};

device::pci_function function() {
    return {.id = {0x1234, 0x1111},
            .bar_sizes = {16_KiB},
            .msi_vectors = 8,
            .msix = {.vectors = 4, .offset = 0x60, .table_offset = 0x1000, .pending_offset = 0x2000}};
}

using vectors = std::array<std::uint32_t, 3>; ///< of INTx, MSI, MSI-X

/// How many vectors the user is told of, after none of those that it is not told of could be set.
template <const auto& Config>
vectors counts() {
    device::memory_device model{function()};
    stack<device::memory_device, with<Config>> front{model};
    REQUIRE(front.open());
    vectors out{};
    for (std::uint32_t i = 0; i < out.size(); ++i) {
        const auto info = front.ioctl(get_irq_info{irq_index{i}});
        REQUIRE(info);
        out[i] = info->count;
        CHECK((info->count != 0) == (info->flags != irq_flags::none));
        const std::array<int, 1> eventfds{-1};
        const auto set = front.ioctl(
            set_irqs{irq_index{i}, set_irqs::action::trigger, set_irqs::data::eventfds, 0, 1, {}, eventfds});
        CHECK(set.has_value() == (info->count != 0));
    }
    return out;
}

} // namespace

TEST_CASE("irqs: a hidden MSI or MSI-X capability has no vectors", "[config]") {
    CHECK(counts<hides_vpd>() == vectors{1, 8, 4});
    CHECK(counts<hides_msi>() == vectors{1, 0, 4});
    CHECK(counts<hides_msix>() == vectors{1, 8, 0});
    CHECK(counts<hides_both>() == vectors{1, 0, 0});
}
