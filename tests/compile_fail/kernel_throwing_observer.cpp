// SPDX-License-Identifier: BSD-3-Clause
// expect: mediant: a kernel module cannot carry a function that is not noexcept; the provider and its function are the arguments of check_noexcept
// expect: check_noexcept<false
// expect: "nic"
// expect: "written of COMMAND"
#include <mediant/kernel/policy_object.hpp>
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;
struct nic {
    static constexpr auto info = provider{"nic", {pci_id{0x1234, 0x11e8}}};
    static constexpr auto config = config_map{observe_writes{"COMMAND", 0x04, 2}};
    static constexpr auto regions = mediant::regions<config>{};
#ifndef MEDIANT_CORRECT
    result<void> written(at<config, "COMMAND">, lanes<std::uint16_t>, auto&) { return {}; }
#else
    result<void> written(at<config, "COMMAND">, lanes<std::uint16_t>, auto&) noexcept { return {}; }
#endif
};
} // namespace acme

extern const mediant_provider& table;
const mediant_provider& table = mediant::kernel::provider_table<acme::nic>;
