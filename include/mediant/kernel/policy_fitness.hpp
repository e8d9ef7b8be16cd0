// SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause
#pragma once

#include <mediant/core/text.hpp>
#include <mediant/kernel/fitness.hpp>
#include <mediant/kernel/open_state.hpp>
#include <mediant/provider/migration_parties.hpp>
#include <mediant/provider/registry.hpp>
#include <mediant/provider/valid.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

/// Whether a policy's code and state can live in a kernel: known to the program that writes a module's tree, which
/// refuses to, and to the module's own build, which fails. A provider for user space alone is free of all of it.
///
/// Ops and hooks must be noexcept. A module is built without exceptions, so that one which the program on the host
/// could throw would end there in nothing that anybody sees; and that nothing is thrown is the writer's to say.
namespace mediant::kernel {

namespace detail {

/// What a policy is asked with: that it can be called at all is known of this one.
template <class P>
using asked_next = next_of<layer<P, bottom<mediant::detail::probe_lower>>>;
template <class P>
using asked_through = next_through_map<layer<P, bottom<mediant::detail::probe_lower>>>;

template <class P, class Tag, class Next>
concept nothrow_read_hook = requires(P& p, Next& next, std::size_t element) {
    requires requires {
        requires !Tag::is_array;
        { p.read(Tag{}, next) } noexcept;
    } || requires {
        requires Tag::is_array;
        { p.read(Tag{}, element, next) } noexcept;
    };
};
template <class P, class Tag, class Next, class Value>
concept nothrow_write_hook = requires(P& p, Next& next, std::size_t element, Value value) {
    requires requires {
        requires !Tag::is_array;
        { p.write(Tag{}, value, next) } noexcept;
    } || requires {
        requires Tag::is_array;
        { p.write(Tag{}, element, value, next) } noexcept;
    };
};
template <class P, class Tag, class Next, class Value>
concept nothrow_written_hook = requires(P& p, Next& next, std::size_t element, Value value) {
    requires requires {
        requires !Tag::is_array;
        { p.written(Tag{}, value, next) } noexcept;
    } || requires {
        requires Tag::is_array;
        { p.written(Tag{}, element, value, next) } noexcept;
    };
};

/// How a function is called in a message.
using function_name = text_builder<64>;

template <class P, const auto& Map, std::size_t Index>
[[nodiscard]] consteval function_name throwing_hook() {
    using next = asked_next<P>;
    using tag = entry_tag<Map, Index>;
    using value = typename tag::value_type;
    constexpr on marks = Map.entries[Index].hook;
    constexpr std::string_view name = mediant::detail::name_text<Map, Index>.view();
    function_name out;
    if constexpr (has(marks, on::read))
        if constexpr (!nothrow_read_hook<P, tag, next>) return out.add("read of ").add(name);
    if constexpr (has(marks, on::write)) {
        constexpr bool in_lanes = mediant::detail::has_lanes_hook<P, tag, next>;
        if constexpr (!nothrow_write_hook<P, tag, next, std::conditional_t<in_lanes, lanes<value>, value>>)
            return out.add("write of ").add(name);
    }
    if constexpr (has(marks, on::written))
        if constexpr (!nothrow_written_hook<P, tag, next, lanes<value>>) return out.add("written of ").add(name);
    return out;
}

template <class P, const auto& Map>
[[nodiscard]] consteval function_name throwing_hook_of_map() {
    constexpr const auto& hooked = mediant::detail::hooked_entries<Map>;
    return [&]<std::size_t... I>(std::index_sequence<I...>) {
        const function_name each[] = {throwing_hook<P, Map, hooked[I]>()..., function_name{}};
        for (const function_name& one : each)
            if (!one.view().empty()) return one;
        return function_name{};
    }(std::make_index_sequence<hooked.size()>{});
}

template <class P, request R>
[[nodiscard]] consteval bool throws_from_ioctl() {
    using next = asked_next<P>;
    if constexpr (mediant::detail::has_ioctl<P, R, next>)
        return !requires(P& p, const R& what, next& n) { { p.ioctl(what, n) } noexcept; };
    else
        return false;
}

template <class P>
[[nodiscard]] consteval function_name throwing_op() {
    using next = asked_next<P>;
    using through = asked_through<P>;
    function_name out;
    if constexpr (!std::is_nothrow_default_constructible_v<P>) return out.add("constructor");
    if constexpr (mediant::detail::has_open<P, next>)
        if constexpr (!requires(P& p, next& n) { { p.open(n) } noexcept; }) return out.add("open");
    if constexpr (mediant::detail::has_release<P, next>)
        if constexpr (!requires(P& p, next& n) { { p.release(n) } noexcept; }) return out.add("release");
    if constexpr (mediant::detail::has_reset<P>)
        if constexpr (!requires(P& p) { { p.reset() } noexcept; }) return out.add("reset");
    if constexpr (mediant::detail::has_read<P, through>)
        if constexpr (!requires(P& p, read_access a, through& n) { { p.read(a, n) } noexcept; }) return out.add("read");
    if constexpr (mediant::detail::has_write<P, through>)
        if constexpr (!requires(P& p, write_access a, through& n) { { p.write(a, n) } noexcept; })
            return out.add("write");
    if constexpr (throws_from_ioctl<P, get_device_info>()) return out.add("ioctl of get_device_info");
    if constexpr (throws_from_ioctl<P, get_region_info>()) return out.add("ioctl of get_region_info");
    if constexpr (throws_from_ioctl<P, get_irq_info>()) return out.add("ioctl of get_irq_info");
    if constexpr (throws_from_ioctl<P, reset_device>()) return out.add("ioctl of reset_device");
    if constexpr (throws_from_ioctl<P, start_dma_logging>()) return out.add("ioctl of start_dma_logging");
    if constexpr (throws_from_ioctl<P, stop_dma_logging>()) return out.add("ioctl of stop_dma_logging");
    if constexpr (throws_from_ioctl<P, report_dma_logging>()) return out.add("ioctl of report_dma_logging");
    return out;
}

/// Of a policy that migrates.
template <class P>
[[nodiscard]] consteval function_name throwing_migration_hook() {
    using next = asked_next<P>;
    using bytes = std::span<std::byte>;
    using const_bytes = std::span<const std::byte>;
    function_name out;
    if constexpr (has_saved_state<P>) {
        if constexpr (mediant::detail::has_quiesce<P, next>)
            if constexpr (!requires(P& p, next& n) { { p.quiesce(n) } noexcept; }) return out.add("quiesce");
        if constexpr (mediant::detail::has_resume<P, next>)
            if constexpr (!requires(P& p, next& n) { { p.resume(n) } noexcept; }) return out.add("resume");
        if constexpr (mediant::detail::has_quiesce_p2p<P, next>)
            if constexpr (!requires(P& p, next& n) { { p.quiesce_p2p(n) } noexcept; }) return out.add("quiesce_p2p");
        if constexpr (mediant::detail::has_resume_p2p<P, next>)
            if constexpr (!requires(P& p, next& n) { { p.resume_p2p(n) } noexcept; }) return out.add("resume_p2p");
        if constexpr (mediant::detail::has_save<P, next>)
            if constexpr (!requires(P& p, bytes to, next& n) { { p.save(std::uint64_t{}, to, n) } noexcept; })
                return out.add("save");
        if constexpr (mediant::detail::has_restore<P, next>)
            if constexpr (!requires(P& p, const_bytes b, next& n) { { p.restore(std::uint64_t{}, b, n) } noexcept; })
                return out.add("restore");
        if constexpr (mediant::detail::has_restored<P, next>)
            if constexpr (!requires(P& p, next& n) { { p.restored(n) } noexcept; }) return out.add("restored");
    }
    return out;
}

/// Of what a config map observes.
template <class P, const auto& Map>
[[nodiscard]] consteval function_name throwing_observer() {
    return []<std::size_t... I>(std::index_sequence<I...>) {
        function_name out;
        const auto look = [&out]<std::size_t Index>() {
            if constexpr (Map.entries[Index].what == config_entry::shape::observe) {
                using tag = entry_tag<Map, Index>;
                if constexpr (!nothrow_written_hook<P, tag, asked_next<P>, lanes<typename tag::value_type>>)
                    if (out.view().empty()) out.add("written of ").add(Map.entries[Index].name);
            }
        };
        (look.template operator()<I>(), ...);
        return out;
    }(std::make_index_sequence<Map.entries.size()>{});
}

template <bool Ok, text Provider, text Function>
struct check_noexcept {
    static_assert(Ok, "mediant: a kernel module cannot carry a function that is not noexcept; the provider and its "
                      "function are the arguments of check_noexcept");
};
template <bool Ok, text Provider, std::size_t Bytes>
struct check_object_size {
    static_assert(Ok, "mediant: what a policy that migrates has in a kernel module, its state twice and its longest "
                      "chunk of a stream, has at most 256 KiB; the provider and its bytes are the arguments of "
                      "check_object_size");
};
template <bool Ok, text Provider, std::size_t Bytes>
struct check_state_size {
    static_assert(Ok, "mediant: a policy's state in a kernel module, shadows included, has at most 64 KiB; the "
                      "provider and its bytes are the arguments of check_state_size");
};

} // namespace detail

/// The first function of a policy that is not noexcept, as a message calls it: "open", "read of IDENT"; empty where all
/// are.
template <class P>
inline constexpr detail::function_name throwing_function = [] {
    detail::function_name found = detail::throwing_op<P>();
    if (found.view().empty()) found = detail::throwing_migration_hook<P>();
    mediant::detail::any_map(mediant::detail::maps_of<P>(), [&found]<const auto& Map>() {
        if (found.view().empty()) found = detail::throwing_hook_of_map<P, Map>();
        return false;
    });
    mediant::detail::any_map(mediant::detail::config_maps_of<P>(), [&found]<const auto& Map>() {
        if (found.view().empty()) found = detail::throwing_observer<P, Map>();
        return false;
    });
    return found;
}();

/// Bytes of state that one open device has in a kernel, without what a migration holds.
template <class P>
inline constexpr std::size_t state_bytes = open_state<P>::policy_bytes;

/// Whether a policy mediates a request.
template <class P, request R>
inline constexpr bool mediates = mediant::detail::has_ioctl<P, R, detail::asked_next<P>>;

/// Whether a policy mediates a request of memory that the device reaches. In the kernel these go to the container or to
/// IOMMUFD.
template <class P>
inline constexpr bool mediates_dma_requests = mediates<P, map_dma> || mediates<P, unmap_dma>;
/// Whether it mediates the begin or end of a log whose reports it leaves alone: in the kernel there is none then, since
/// nobody but a policy knows there what the device has written.
template <class P>
inline constexpr bool mediates_half_a_log =
    (mediates<P, start_dma_logging> || mediates<P, stop_dma_logging>) && !mediates<P, report_dma_logging>;

/// Checks that a kernel module can carry a provider; one that it cannot carry does not compile.
template <class P>
[[nodiscard]] consteval bool check_kernel_fitness() {
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
    static_assert(!mediates<P, set_irqs>,
                  "mediant: a kernel module cannot carry a policy that mediates set_irqs: the VFIO core reads the "
                  "request from user memory itself, so that what it does need not be what the policy saw");
    static_assert(!mediates_dma_requests<P>,
                  "mediant: a kernel module cannot carry a policy that mediates requests of DMA: none of them comes to "
                  "the device's driver");
    static_assert(!mediates_half_a_log<P>,
                  "mediant: a kernel module offers a log of what the device writes if the policy mediates its reports "
                  "(report_dma_logging), with what it knows of; this one mediates start or stop alone");
    static_assert(alignof(open_state<P>) <= 8,
                  "mediant: a policy's state in a kernel module is aligned to at most 8 bytes");
    constexpr auto& name = mediant::detail::provider_name<P>;
    static_cast<void>(detail::check_state_size<state_bytes<P> <= most_state_bytes, name, state_bytes<P>>{});
    static_cast<void>(
        detail::check_object_size<sizeof(open_state<P>) <= most_object_bytes, name, sizeof(open_state<P>)>{});
    constexpr std::string_view function = throwing_function<P>.view();
    static_cast<void>(detail::check_noexcept<function.empty(), name, text<function.size()>{function}>{});
    return true;
}

} // namespace mediant::kernel
