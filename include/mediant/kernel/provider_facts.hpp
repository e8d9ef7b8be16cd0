// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/text.hpp>
#include <mediant/pci/id.hpp>
#include <mediant/provider/info.hpp>

#include <algorithm>
#include <string_view>
#include <vector>

namespace mediant::kernel {

/// What a program knows of one of its providers, without the provider's type. All text lives as long as the program.
struct provider_facts {
    std::string_view name;
    std::string_view type; ///< as C++ spells it: acme::edu
    std::vector<pci_id> rules;
    provider_details details;
    std::string_view header; ///< the file that defines it, where it was compiled

    /// The rank of its best rule.
    [[nodiscard]] unsigned best_rank() const noexcept {
        unsigned best = 0;
        for (const pci_id& rule : rules) best = std::max(best, rule.rank());
        return best;
    }
};

template <class P>
[[nodiscard]] provider_facts facts_of() {
    return {
        P::info.name, type_name<P>(), {P::info.rules.begin(), P::info.rules.end()}, P::info.details, P::info.header};
}

} // namespace mediant::kernel
