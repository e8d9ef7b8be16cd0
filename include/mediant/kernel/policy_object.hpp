// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
#pragma once

#include <mediant/kernel/abi.h>
#include <mediant/kernel/below_device.hpp>
#include <mediant/kernel/fitness.hpp>
#include <mediant/provider/layer.hpp>
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

/// One open device: built where the C half says, and never moved from there.
template <class P>
class open_state {
public:
    using layer_type = layer<P, bottom<below_device>>;

    explicit open_state(const mediant_below& below) noexcept
        : device_{below}, layers_{bottom<below_device>{device_}} {}
    open_state(const open_state&) = delete;
    open_state& operator=(const open_state&) = delete;

    [[nodiscard]] layer_type& layers() noexcept { return layers_; }

    result<void> open() noexcept {
        if (!device_.speaks_our_abi()) return error::invalid;
        if (!maps_fit()) return error::no_device;
        return layers_.open();
    }

private:
    /// A rule may match a device of another make: whose BAR does not hold the map is not the provider's.
    [[nodiscard]] bool maps_fit() const noexcept {
        return !mediant::detail::any_map(mediant::detail::maps_of<P>(), [this]<const auto& Map>() {
            const std::uint64_t size = device_.region_size(Map.region);
            if (size >= Map.size) return false;
            device_.log("declined: a BAR is smaller than its map (BAR, bytes, bytes of the map)",
                        std::uint64_t{static_cast<std::uint32_t>(Map.region)}, size, Map.size);
            return true;
        });
    }

    below_device device_;
    layer_type layers_;
};

/// Checks that a kernel module can carry a provider; one that it cannot carry does not compile.
template <class P>
[[nodiscard]] consteval bool check_kernel_fitness() {
    using next = next_of<typename open_state<P>::layer_type>;
    static_assert(mediant::detail::check_provider<P>());
    static_assert(
        gpl_compatible(P::info.details.license),
        "mediant: a module on vfio-pci-core needs a licence that is compatible with the GPL, in MODULE_LICENSE's "
        "spelling: \"GPL\", \"Dual BSD/GPL\", \"Dual MIT/GPL\" or \"Dual MPL/GPL\"");
    static_assert(
        [] {
            for (const pci_id& rule : P::info.rules)
                if (!has_module_alias(rule)) return false;
            return true;
        }(),
        "mediant: a module's rule compares each byte of the class whole or not at all");
    static_assert(sizeof(open_state<P>) <= most_state_bytes,
                  "mediant: a policy's state in a kernel module, shadows included, has at most 64 KiB");
    static_assert(alignof(open_state<P>) <= 8,
                  "mediant: a policy's state in a kernel module is aligned to at most 8 bytes");
    static_assert(!mediant::detail::has_ioctl<P, get_device_info, next> &&
                      !mediant::detail::has_ioctl<P, get_region_info, next> &&
                      !mediant::detail::has_ioctl<P, get_irq_info, next> &&
                      !mediant::detail::has_ioctl<P, set_irqs, next> &&
                      !mediant::detail::has_ioctl<P, reset_device, next> &&
                      !mediant::detail::has_ioctl<P, map_dma, next> && !mediant::detail::has_ioctl<P, unmap_dma, next>,
                  "mediant: a kernel module cannot carry a policy that mediates ioctl requests yet");
    static_assert(!mediant::detail::has_config_map<P>,
                  "mediant: a kernel module cannot carry a config map yet: config space is mediated in user space only");
    return true;
}

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
