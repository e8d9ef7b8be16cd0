// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/device/identify.hpp>
#include <mediant/device/memory_device.hpp>
#include <mediant/device/pci_address.hpp>
#include <mediant/device/vfio_device.hpp>
#include <mediant/plugin/loaded.hpp>
#include <mediant/provider/stack.hpp>
#include <mediant/tool/back_end.hpp>
#include <mediant/tool/confinement.hpp>
#include <mediant/tool/identity.hpp>
#include <mediant/tool/program.hpp>
#include <mediant/tool/signals.hpp>
#include <mediant/trace/event.hpp>
#include <mediant/trace/recorded.hpp>
#include <mediant/trace/recorder.hpp>
#include <mediant/vfio_user/any_device.hpp>
#include <mediant/vfio_user/remote_device.hpp>
#include <mediant/vfio_user/server.hpp>

#include <fmt/core.h>
#include <fmt/ostream.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ostream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace mediant::command_line {

/// Serves a device that can be opened, until a signal, or the end of the first client.
template <class Front>
void serve_openable(Front& front, std::string_view name, const serve_options& options, std::ostream& out) {
    if (by_libvfio_user(options)) return serve_by_libvfio_user(front, name, options, out);
    stop_on_signal signals;
    const confinement confined{options};
    vfio_user::server<Front> server{front, confined.where()};
    signals.stops(server);
    fmt::print(out, "listening on {}\n", confined.name());
    out.flush();
    if (!options.once) {
        server.run();
    } else {
        while (server.served() == 0 && server.run_once(-1)) {}
    }
    signals.stops_nothing();
}

/// Whether a device is there to be recorded, and for nothing else.
template <class Front>
inline constexpr bool is_tapped = requires(Front& front, trace::recorder* to) { front.lower().records_to(to); };

/// Likewise, as a device of any type, with a recording of all that is done to it, and by its policies to a lower that
/// is tapped.
template <class Front>
void serve_recorded(Front& front, std::string_view name, const trace::identity& who, const serve_options& options,
                    std::ostream& out) {
    if (by_libvfio_user(options)) refuse_uncarried<Front>(name);
    trace::recorder to{{.path = options.record, .limit = options.record_limit}, who};
    const auto tap = [&front]([[maybe_unused]] trace::recorder* where) {
        if constexpr (is_tapped<Front>) front.lower().records_to(where);
    };
    vfio_user::any_device_of<Front> any{front};
    trace::recorded<vfio_user::any_device> device{any, to};
    tap(&to);
    try {
        serve_openable(device, name, options, out);
    } catch (...) {
        tap(nullptr);
        throw;
    }
    tap(nullptr);
    to.finish();
    fmt::print(out, "{}: {} events in {} bytes{}\n", options.record, to.recorded(), to.bytes(),
               to.lost() == 0 ? std::string{}
               : to.failed() != 0
                   ? fmt::format("; {} are missing: {}", to.lost(), std::strerror(to.failed()))
                   : fmt::format("; {} are missing, as these are all that --record-limit allows", to.lost()));
}

/// Serves a device until a signal, or the end of the first client. False where its provider declines it.
template <class Front>
[[nodiscard]] bool serve_front(Front& front, std::string_view name, const serve_options& options, std::ostream& out) {
    const result<void> opened = front.open(); // each client opens it again
    if (!opened) {
        if (opened.error() == error::no_device) return false;
        throw command_error{fmt::format("{}: cannot be opened: {}", name, std::strerror(to_errno(opened.error())))};
    }
    // What is recorded has a type of its own, so that what is not has nothing of it.
    if constexpr (is_tapped<Front> || std::is_final_v<std::remove_cvref_t<decltype(front.lower())>>) {
        if (!options.record.empty()) {
            trace::identity who =
                trace::identity_of(front, std::string{name}, options.backend.empty() ? "vfio-user" : options.backend);
            who.device = device::identify(front.lower()).value_or(who.device); // policies may show another
            front.release();
            serve_recorded(front, name, who, options, out);
            return true;
        }
    }
    front.release();
    if constexpr (!is_tapped<Front>) {
        vfio_user::any_device_of<Front> any{front};
        if (options.instead != nullptr) {
            options.instead->use(any, name);
        } else {
            if (by_libvfio_user(options)) refuse_uncarried<Front>(name);
            serve_openable(static_cast<vfio_user::any_device&>(any), name, options, out);
        }
    }
    return true;
}

/// Serves a provider over a lower, likewise.
template <class P, class Lower>
[[nodiscard]] bool serve_over(Lower& device, const serve_options& options, std::ostream& out) {
    stack<Lower, P> front{device};
    return serve_front(front, P::info.name, options, out);
}

/// Memory for the BARs that a provider has maps of, or resizes, but for those that it adds to its devices.
template <class P>
[[nodiscard]] std::array<std::uint64_t, 6> mapped_bars() {
    std::array<std::uint64_t, 6> sizes{};
    detail::any_map(detail::maps_of<P>(), [&sizes]<const auto& Map>() {
        sizes[static_cast<std::size_t>(Map.region)] = Map.size;
        return false;
    });
    detail::any_map(detail::config_maps_of<P>(), [&sizes]<const auto& Map>() {
        for (const bar_statement& each : detail::bar_statements<Map>) {
            if (each.synthesised())
                sizes[each.number] = 0;
            else if (each.what == bar_statement::kind::resized && sizes[each.number] == 0)
                sizes[each.number] = each.size;
        }
        return false;
    });
    return sizes;
}

/// The device of this machine that is to be mediated.
[[nodiscard]] inline device::pci_address address_of(const serve_options& options) {
    const auto address = device::pci_address::parse(options.device);
    if (!address) throw usage_error{options.device + ": not the address of a PCI device, as in 0000:01:00.0"};
    return *address;
}

/// What the device says of itself that is to be mediated.
[[nodiscard]] inline identity identity_of(const serve_options& options) {
    if (!options.device.empty()) return {address_of(options).id()};
    vfio_user::remote_device remote{{.path = options.behind}};
    const auto opened = remote.open();
    const result<device_id> id = opened ? device::identify(remote) : opened.error();
    remote.release();
    if (!id) throw command_error{fmt::format("{}: {}", options.behind, std::strerror(to_errno(id.error())))};
    return {*id};
}

/// Calls `each(lower)` on one that is made of these arguments, tapped where that is recorded.
template <class Lower, class Each, class... Args>
[[nodiscard]] bool on_lower(const serve_options& options, const Each& each, Args&&... args) {
    if constexpr (!std::is_final_v<Lower>) {
        if (!options.record.empty()) {
            trace::tapped<Lower> device{std::forward<Args>(args)...};
            return each(device);
        }
    }
    Lower device{std::forward<Args>(args)...};
    return each(device);
}

/// Calls `each(lower)` on the device that the options name, if they do.
template <class Each>
[[nodiscard]] bool on_named_device(const serve_options& options, const Each& each) {
    if (!options.device.empty())
        return on_lower<device::vfio_device>(options, each, address_of(options),
                                             device::vfio_options{.shares_file = options.shares});
    return on_lower<vfio_user::remote_device>(
        options, each, vfio_user::remote_options{.path = options.behind, .shares_files = options.shares});
}

/// program_provider::serve.
template <class P, class... Models>
[[nodiscard]] bool serve_provider(std::size_t model, const device_id& id, const serve_options& options,
                                  std::ostream& out) {
    const auto serve = [&](auto& there) { return serve_over<P>(there, options, out); };
    if (options.names_device()) return on_named_device(options, serve);
    if (model == no_model) return on_lower<device::memory_device>(options, serve, id, mapped_bars<P>());
    bool done = false;
    std::size_t index = 0;
    [[maybe_unused]] const auto try_model = [&]<class Model>() {
        // No server is compiled for a provider that does not match the model.
        if constexpr (P::info.rank_for(Model::id) != 0) {
            if (index == model) done = on_lower<Model>(options, serve);
        }
        ++index;
    };
    (try_model.template operator()<Models>(), ...);
    return done;
}

/// program::serve_loaded.
template <class... Models>
[[nodiscard]] bool serve_with_loaded(std::size_t model, const serve_options& options, std::ostream& out) {
    const std::string name = options.providers.empty() ? "unmediated" : "provider from " + options.providers;
    const auto serve = [&](auto& device) {
        plugin::loaded front{device, {plugin::search_path::parse(options.providers), !options.unmediated}};
        return serve_front(front, name, options, out);
    };
    if (options.names_device()) return on_named_device(options, serve);
    bool done = false;
    std::size_t index = 0;
    [[maybe_unused]] const auto try_model = [&]<class Model>() {
        if (index++ == model) done = on_lower<Model>(options, serve);
    };
    (try_model.template operator()<Models>(), ...);
    return done;
}

/// Serves the first provider that takes the device: on the one that the options name, else on the model of this
/// identity, else on plain memory. Without one, a device or model as it is, where the options say so.
inline exit_code run_serve(const program& what, const identity& who, const serve_options& options, std::ostream& out) {
    const bool there = options.names_device();
    std::size_t model = no_model;
    for (std::size_t i = 0; i < what.models.size() && model == no_model && !there; ++i)
        if (who.fits(what.models[i])) model = i;
    const identity device{model == no_model ? who.filled() : what.models[model]};
    if (!options.providers.empty()) {
        if (model == no_model && !there)
            throw command_error{who.text() + ": there is no model of it that a provider could be loaded for"};
        if (!what.serve_loaded(model, options, out)) throw command_error{who.text() + ": no provider serves this device"};
        return success;
    }
    const std::vector<match> matches = matches_of(what, device);
    // As with a folder in which there is none; memory of zeros is nothing to serve.
    const auto passes_whole = [&] {
        return options.unmediated && (there || model != no_model) && what.serve_loaded(model, options, out);
    };
    if (matches.empty()) {
        if (passes_whole()) return success;
        throw command_error{who.text() + ": no provider serves this device"};
    }

    std::string declined;
    for (const match& each : matches) {
        const program_provider& provider = what.providers[each.provider];
        if (provider.serve(model, device.id, options, out)) return success;
        (declined += declined.empty() ? "" : ", ") += provider.facts.name;
    }
    if (passes_whole()) return success;
    throw command_error{fmt::format("{}: declined by {}{}", who.text(), declined,
                                    model == no_model && !there ? "; there is no model of it, only memory of zeros" : "")};
}

} // namespace mediant::command_line
