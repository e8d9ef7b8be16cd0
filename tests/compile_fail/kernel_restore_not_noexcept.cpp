// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a kernel module cannot carry a function that is not noexcept; the provider and its function are the arguments of check_noexcept
// expect: check_noexcept<false
// expect: "nic"
// expect: "restore"
#include <mediant/kernel/policy_object.hpp>
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;
struct nic {
    static constexpr auto info = provider{"nic", {pci_id{0x1234, 0x11e8}}};
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"MODE", 0x00, rw, {.backing = from::shadow}}};
    static constexpr auto regions = mediant::regions<bar0>{};
    static constexpr auto migration() { return saved_state{1, saved_registers<bar0>{}}; }
    result<std::size_t> save(std::uint64_t, std::span<std::byte>, auto&) noexcept { return std::size_t{0}; }
#ifndef MEDIANT_CORRECT
    result<void> restore(std::uint64_t, std::span<const std::byte>, auto&) { return {}; }
#else
    result<void> restore(std::uint64_t, std::span<const std::byte>, auto&) noexcept { return {}; }
#endif
};
} // namespace acme

extern const mediant_provider& table;
const mediant_provider& table = mediant::kernel::provider_table<acme::nic>;
