// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/text.hpp>
#include <mediant/kernel/bpf_facts.hpp>
#include <mediant/kernel/policy_fitness.hpp>
#include <mediant/pci/id.hpp>
#include <mediant/provider/info.hpp>

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mediant::kernel {

/// What the object of a BPF provider says of itself.
struct bpf_facts {
    std::string_view unfit{}; ///< why there is none; empty where there can be one
    unsigned state_size = 0;
    std::uint64_t identity = 0;
    unsigned mediates = 0;
    std::span<const mediant_bpf_range> ranges{};
    bool migrates = false; ///< which a BPF provider does not
};

/// What a program knows of one of its providers, without the provider's type. All text lives as long as the program.
struct provider_facts {
    std::string_view name;
    std::string_view type; ///< as C++ spells it: acme::edu
    std::vector<pci_id> rules;
    provider_details details;
    std::string_view header; ///< the file that defines it, where it was compiled
    std::string unfit{};     ///< why a kernel module cannot carry its policy; empty where one can
    bpf_facts bpf{};

    /// The rank of its best rule.
    [[nodiscard]] unsigned best_rank() const noexcept {
        unsigned best = 0;
        for (const pci_id& rule : rules) best = std::max(best, rule.rank());
        return best;
    }
};

/// What check_kernel_fitness would say of a provider's policy, for a program that is asked for its module.
template <class P>
[[nodiscard]] std::string unfitness_of() {
    if (mediates<P, set_irqs>)
        return "a kernel module cannot carry a policy that mediates set_irqs: the VFIO core reads the request from user "
               "memory itself, so that what it does need not be what the policy saw";
    if (mediates_dma_requests<P>)
        return "a kernel module cannot carry a policy that mediates requests of DMA: none of them comes to the device's "
               "driver";
    if (mediates_half_a_log<P>)
        return "a kernel module offers a log of what the device writes if the policy mediates its reports "
               "(report_dma_logging), with what it knows of; this one mediates start or stop alone";
    if (alignof(open_state<P>) > 8) return "its state is aligned to more than 8 bytes, which a kernel module's is not";
    if (state_bytes<P> > most_state_bytes)
        return "its state, shadows included, has " + std::to_string(state_bytes<P>) +
               " bytes; in a kernel module at most " + std::to_string(most_state_bytes);
    if (sizeof(open_state<P>) > most_object_bytes)
        return "what it has to migrate, its state twice and a chunk of a stream, has " +
               std::to_string(sizeof(open_state<P>)) + " bytes; in a kernel module at most " +
               std::to_string(most_object_bytes);
    if (const std::string_view function = throwing_function<P>.view(); !function.empty())
        return "its " + std::string{function} + " is not noexcept, as all that a kernel module carries must be";
    return {};
}

template <class P>
[[nodiscard]] bpf_facts bpf_facts_of() {
    return {to_text(bpf_obstacle_of<P>()), bpf_state_size<P>, bpf_identity<P>, bpf_mediates<P>, bpf_ranges<P>,
            has_saved_state<P>};
}

template <class P>
[[nodiscard]] provider_facts facts_of() {
    return {P::info.name,    type_name<P>(), {P::info.rules.begin(), P::info.rules.end()},
            P::info.details, P::info.header, unfitness_of<P>(), bpf_facts_of<P>()};
}

} // namespace mediant::kernel
