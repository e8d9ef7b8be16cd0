// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/pci/id.hpp>

#include <array>
#include <cstddef>
#include <string_view>

/// What a provider says of itself.
namespace mediant {

/// What a kernel module made from the provider states about itself.
struct provider_details {
    std::string_view description{};
    std::string_view author{};
    std::string_view license = "Dual BSD/GPL"; ///< MODULE_LICENSE's spelling
    std::string_view version = "1.0";
};

/// `static constexpr auto info = provider{"edu", {pci_id{0x1234, 0x11e8}}};`: name and rules. The name is
/// lower-case letters, digits and '_', as it becomes part of a module's name.
template <std::size_t N>
struct provider {
    std::string_view name;
    std::array<pci_id, N> rules{};
    provider_details details;
    const char* header; ///< the file that says this; where the shim generator finds the provider's source

    consteval provider(std::string_view the_name, const pci_id (&the_rules)[N], provider_details the_details = {},
                       const char* file = __builtin_FILE())
        : name{the_name}, details{the_details}, header{file} {
        for (std::size_t i = 0; i < N; ++i) rules[i] = the_rules[i];
    }

    /// Rank of the best rule that matches, 0 where none does.
    [[nodiscard]] constexpr unsigned rank_for(const device_id& id) const noexcept {
        unsigned best = 0;
        for (const pci_id& rule : rules)
            if (rule.matches(id) && rule.rank() > best) best = rule.rank();
        return best;
    }
};

} // namespace mediant
