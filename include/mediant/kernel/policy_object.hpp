// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
#pragma once

#include <mediant/kernel/abi.h>
#include <mediant/kernel/open_state.hpp>
#include <mediant/kernel/policy_fitness.hpp>
#include <mediant/provider/registry.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <new>

/// The C++ half of a kernel module: a provider behind the functions of mediant/kernel/abi.h. A module's policy.cpp
/// includes the provider's header and this one, and lists its providers:
///
///     extern "C" {
///     constinit const mediant_provider* const mediant_providers[] = {&mediant::kernel::provider_table<acme::edu>};
///     constinit const unsigned int mediant_provider_count = 1;
///     }
///
/// Freestanding, without dynamic initialisation, and the same in user space.
namespace mediant::kernel {

/// The functions of one provider. What they answer is said in mediant/kernel/abi.h.
template <class P>
struct provider_functions {
    static_assert(check_kernel_fitness<P>());

    using state = open_state<P>;
    using layers = typename state::layer_type;

    static unsigned int match(const mediant_device_id* id) noexcept {
        return P::info.rank_for({id->vendor, id->device, id->subvendor, id->subdevice, id->class_code});
    }

    static void construct(void* at, const mediant_below* below) noexcept { ::new (at) state{*below}; }
    static int open(void* at) noexcept { return -to_errno(of(at).open().error()); }
    static void release(void* at) noexcept { of(at).layers().release(); }
    static void reset(void* at) noexcept { of(at).layers().reset(); }

    static long long read(void* at, unsigned int region, unsigned long long offset, unsigned char* bytes,
                          unsigned int count) noexcept {
        return outcome(
            of(at).layers().read({region_index{region}, offset, {reinterpret_cast<std::byte*>(bytes), count}}));
    }
    static long long write(void* at, unsigned int region, unsigned long long offset, const unsigned char* bytes,
                           unsigned int count) noexcept {
        return outcome(
            of(at).layers().write({region_index{region}, offset, {reinterpret_cast<const std::byte*>(bytes), count}}));
    }

    static unsigned long long run(unsigned int region, unsigned long long offset, unsigned long long count,
                                  unsigned int* trapped) noexcept {
        const traps here = layers::run(region_index{region}, offset, count);
        *trapped = here.trapped ? 1 : 0;
        return here.size;
    }
    static void next_area(unsigned int region, unsigned long long region_size, unsigned long long page_size,
                          unsigned long long from, unsigned long long* offset, unsigned long long* size) noexcept {
        const range area = layers::next_area(region_index{region}, region_size, page_size, from);
        *offset = area.offset;
        *size = area.size;
    }

private:
    [[nodiscard]] static state& of(void* at) noexcept { return *static_cast<state*>(at); }

    /// As a system call has it: what was done counts before what stopped it.
    [[nodiscard]] static constexpr long long outcome(const answer& done) noexcept {
        return done.count != 0 ? static_cast<long long>(done.count) : -to_errno(done.error);
    }
};

/// A provider's rules, as C reads them.
template <class P>
inline constexpr auto rule_table = [] {
    static_assert(any_id == MEDIANT_ANY);
    std::array<mediant_rule, std::size(P::info.rules)> out{};
    for (std::size_t i = 0; i < out.size(); ++i) {
        const pci_id& rule = P::info.rules[i];
        out[i] = {rule.vendor, rule.device, rule.subvendor, rule.subdevice, rule.class_code & rule.class_mask,
                  rule.class_mask};
    }
    return out;
}();

/// What a module's C half sees of a provider.
template <class P>
inline constexpr mediant_provider provider_table{
    .size = sizeof(mediant_provider),
    .version = MEDIANT_ABI_VERSION,
    .name = mediant::detail::provider_name<P>.c_str(),
    .state_size = sizeof(open_state<P>),
    .state_align = alignof(open_state<P>),
    .match = provider_functions<P>::match,
    .construct = provider_functions<P>::construct,
    .open = provider_functions<P>::open,
    .release = provider_functions<P>::release,
    .reset = provider_functions<P>::reset,
    .read = provider_functions<P>::read,
    .write = provider_functions<P>::write,
    .run = provider_functions<P>::run,
    .next_area = provider_functions<P>::next_area,
    .rules = rule_table<P>.data(),
    .rule_count = rule_table<P>.size(),
};

} // namespace mediant::kernel
