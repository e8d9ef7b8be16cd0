// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
#pragma once

#include <mediant/kernel/abi.h>
#include <mediant/kernel/open_state.hpp>
#include <mediant/kernel/policy_fitness.hpp>
#include <mediant/migration/fault.hpp>
#include <mediant/migration/state.hpp>
#include <mediant/provider/registry.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <new>
#include <span>
#include <string_view>
#include <type_traits>

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
    static constexpr bool migrates = state::migrates;

    static unsigned int match(const mediant_device_id* id) noexcept {
        return P::info.rank_for({id->vendor, id->device, id->subvendor, id->subdevice, id->class_code});
    }

    static void construct(void* at, const mediant_below* below) noexcept { ::new (at) state{*below}; }
    static int open(void* at) noexcept { return -to_errno(of(at).open().error()); }
    static void release(void* at) noexcept { of(at).layers().release(); }
    static void reset(void* at) noexcept { of(at).reset(); }

    static long long read(void* at, unsigned int region, unsigned long long offset, unsigned char* bytes,
                          unsigned int count) noexcept {
        return outcome(
            of(at).layers().read({region_index{region}, offset, {reinterpret_cast<std::byte*>(bytes), count}}));
    }
    /// Of configuration space it is given what does not pass, and tells nobody.
    static long long write(void* at, unsigned int region, unsigned long long offset, const unsigned char* bytes,
                           unsigned int count) noexcept {
        const write_access a{region_index{region}, offset, {reinterpret_cast<const std::byte*>(bytes), count}};
        if constexpr (has_config) {
            if (a.region == region_index::config) {
                of(at).layers().keep_config(a);
                return count;
            }
        }
        return outcome(of(at).layers().write(a));
    }

    static unsigned long long run(const void* at, unsigned int region, unsigned long long offset,
                                  unsigned long long count, unsigned int* trapped) noexcept {
        const traps here = of(at).layers().run_at_open(region_index{region}, offset, count);
        *trapped = here.trapped ? 1 : 0;
        return here.size;
    }
    static void next_area(const void* at, unsigned int region, unsigned long long region_size,
                          unsigned long long page_size, unsigned long long from, unsigned long long* offset,
                          unsigned long long* size) noexcept {
        const range area = of(at).layers().next_area_now(region_index{region}, region_size, page_size, from);
        *offset = area.offset;
        *size = area.size;
    }

    static unsigned int config_run(void* at, unsigned int write, unsigned int offset, unsigned int count,
                                   unsigned int* treatment) noexcept {
        *treatment = 0;
        if constexpr (has_config) {
            const mediant::detail::config_run here = of(at).layers().config_run(write != 0, offset, count);
            *treatment = (here.taken ? MEDIANT_TAKEN : 0) | (here.observed ? MEDIANT_OBSERVED : 0);
            return here.size;
        } else {
            return count;
        }
    }
    static int config_written(void* at, unsigned int offset, const unsigned char* bytes, unsigned int count) noexcept {
        if constexpr (has_config)
            return -to_errno(of(at)
                                 .layers()
                                 .config_written({region_index::config, offset,
                                                  {reinterpret_cast<const std::byte*>(bytes), count}})
                                 .error());
        else
            return 0;
    }

    static int device_info(void* at, unsigned int* regions, unsigned int* irqs, unsigned int* can_reset) noexcept {
        const auto info = of(at).layers().ioctl(get_device_info{});
        if (!info) return -to_errno(info.error());
        *regions = info->regions;
        *irqs = info->irqs;
        *can_reset = info->can_reset ? 1 : 0;
        return 0;
    }
    static int region_info(void* at, unsigned int region, unsigned long long* size, unsigned int* flags) noexcept {
        const auto info = of(at).layers().ioctl(get_region_info{region_index{region}});
        if (!info) return -to_errno(info.error());
        *size = info->size;
        *flags = static_cast<unsigned int>(info->flags);
        return 0;
    }
    static int irq_info(void* at, unsigned int index, unsigned int* flags, unsigned int* count) noexcept {
        const auto info = of(at).layers().ioctl(get_irq_info{irq_index{index}});
        if (!info) return -to_errno(info.error());
        *flags = static_cast<unsigned int>(info->flags);
        *count = info->count;
        return 0;
    }
    static int reset_device(void* at) noexcept {
        return -to_errno(of(at).layers().ioctl(mediant::reset_device{}).error());
    }

    static int start_dma_logging(void* at, unsigned long long page, mediant_range* ranges, unsigned int count,
                                 unsigned long long* tracked) noexcept {
        // In place, since there may be more of them than a stack has room for: of one layout, but not of one type.
        static_assert(sizeof(range) == sizeof(mediant_range) && alignof(range) == alignof(mediant_range) &&
                      std::is_trivially_destructible_v<mediant_range>);
        range* first = nullptr;
        for (unsigned i = 0; i < count; ++i) {
            const mediant_range each = ranges[i];
            range* const here = ::new (static_cast<void*>(ranges + i)) range{each.offset, each.size};
            if (i == 0) first = here;
        }
        const auto page_now = of(at).layers().ioctl(mediant::start_dma_logging{page, {first, count}});
        if (!page_now) return -to_errno(page_now.error());
        *tracked = *page_now;
        return 0;
    }
    static int stop_dma_logging(void* at) noexcept {
        return -to_errno(of(at).layers().ioctl(mediant::stop_dma_logging{}).error());
    }
    static int report_dma_logging(void* at, unsigned long long iova, unsigned long long length, unsigned long long page,
                                  unsigned long long* bits, unsigned int words, unsigned int forgets) noexcept {
        std::uint64_t now[MEDIANT_REPORT_WORDS]{}; // a policy need not pass the question on
        if (words > MEDIANT_REPORT_WORDS) return -to_errno(error::invalid);
        const std::span<std::uint64_t> to{now, words};
        const auto done = of(at).layers().ioctl(mediant::report_dma_logging{iova, length, page, to, forgets != 0});
        for (unsigned i = 0; i < words && done; ++i) bits[i] = now[i];
        return -to_errno(done.error());
    }

    static constexpr unsigned long long migration_flags = [] {
        if constexpr (migrates)
            return state::progress_type::flags;
        else
            return 0;
    }();
    static unsigned int migration_state(const void* at) noexcept {
        if constexpr (migrates)
            return static_cast<unsigned>(of(at).progress().state());
        else
            return static_cast<unsigned>(mediant::migration_state::running);
    }
    static int migrate(void* at, unsigned int to) noexcept {
        if constexpr (migrates)
            return -to_errno(of(at).migrate(mediant::migration_state{to}).error());
        else
            return -to_errno(error::not_a_request);
    }
    static long long read_migration(void* at, unsigned char* bytes, unsigned int count) noexcept {
        if constexpr (migrates) {
            const auto done = of(at).read_migration({reinterpret_cast<std::byte*>(bytes), count});
            return done ? static_cast<long long>(*done) : -to_errno(done.error());
        } else {
            return -to_errno(error::not_a_request);
        }
    }
    static int write_migration(void* at, const unsigned char* bytes, unsigned int count) noexcept {
        if constexpr (migrates)
            return -to_errno(of(at).write_migration({reinterpret_cast<const std::byte*>(bytes), count}).error());
        else
            return -to_errno(error::not_a_request);
    }
    static unsigned long long migration_ahead(const void* at) noexcept {
        if constexpr (migrates)
            return of(at).progress().ahead();
        else
            return 0;
    }
    static unsigned long long migration_size(const void*) noexcept {
        if constexpr (migrates)
            return state::progress_type::stream_size;
        else
            return 0;
    }
    static void migration_report(const void* at, mediant_stream_report* report) noexcept {
        *report = {};
        if constexpr (migrates) {
            const stream_report& now = of(at).progress().report();
            const std::string_view what = to_text(now.what);
            *report = {what.data(), now.party.data(), now.field.data(), static_cast<unsigned>(what.size()),
                       static_cast<unsigned>(now.party.size()), static_cast<unsigned>(now.field.size()),
                       now.what == stream_fault::none ? 0u : 1u, now.offset};
        }
    }

private:
    static constexpr bool has_config = mediant::detail::has_config_map<P>;

    [[nodiscard]] static state& of(void* at) noexcept { return *static_cast<state*>(at); }
    [[nodiscard]] static const state& of(const void* at) noexcept { return *static_cast<const state*>(at); }

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

/// What a provider mediates beside accesses to BARs, as the C half asks it.
template <class P>
inline constexpr unsigned mediated = [] {
    using config = mediant::detail::config_of<P>;
    unsigned out = mediant::detail::has_config_map<P> ? MEDIANT_CONFIG : 0;
    if (mediates<P, get_device_info>) out |= MEDIANT_DEVICE_INFO;
    if (mediates<P, get_region_info> || config::shapes_bars) out |= MEDIANT_REGION_INFO;
    if (mediates<P, get_irq_info> || config::hides_irqs) out |= MEDIANT_IRQ_INFO;
    if (mediates<P, reset_device>) out |= MEDIANT_RESET_DEVICE;
    if (mediant::detail::have_dynamic_ranges<typename open_state<P>::layer_type>()) out |= MEDIANT_DYNAMIC;
    if (mediates<P, report_dma_logging>) out |= MEDIANT_DMA_LOGGING;
    return out;
}();

/// The interrupts of the capabilities that it hides, a bit each.
template <class P>
inline constexpr unsigned hidden_irqs = [] {
    unsigned out = 0;
    if constexpr (mediant::detail::config_of<P>::hides_irqs)
        for (unsigned i = 0; i < fixed_irqs; ++i)
            if (mediant::detail::config_of<P>::hides(irq_index{i})) out |= 1u << i;
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
    .mediates = mediated<P>,
    .hidden_irqs = hidden_irqs<P>,
    .config_run = provider_functions<P>::config_run,
    .config_written = provider_functions<P>::config_written,
    .device_info = provider_functions<P>::device_info,
    .region_info = provider_functions<P>::region_info,
    .irq_info = provider_functions<P>::irq_info,
    .reset_device = provider_functions<P>::reset_device,
    .migration_flags = provider_functions<P>::migration_flags,
    .migration_state = provider_functions<P>::migration_state,
    .migrate = provider_functions<P>::migrate,
    .read_migration = provider_functions<P>::read_migration,
    .write_migration = provider_functions<P>::write_migration,
    .migration_ahead = provider_functions<P>::migration_ahead,
    .migration_size = provider_functions<P>::migration_size,
    .migration_report = provider_functions<P>::migration_report,
    .start_dma_logging = provider_functions<P>::start_dma_logging,
    .stop_dma_logging = provider_functions<P>::stop_dma_logging,
    .report_dma_logging = provider_functions<P>::report_dma_logging,
};

} // namespace mediant::kernel
