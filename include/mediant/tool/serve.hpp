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
#include <vector>

namespace mediant::command_line {

/// Serves a device until a signal, or the end of the first client. False where its provider declines it.
template <class Front>
[[nodiscard]] bool serve_front(Front& front, std::string_view name, const serve_options& options, std::ostream& out) {
    const result<void> opened = front.open(); // each client opens it again
    if (!opened) {
        if (opened.error() == error::no_device) return false;
        throw command_error{fmt::format("{}: cannot be opened: {}", name, std::strerror(to_errno(opened.error())))};
    }
    front.release();

    if (by_libvfio_user(options)) {
        serve_by_libvfio_user(front, name, options, out);
        return true;
    }
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

/// Calls `each(lower)` on the device that the options name, if they do.
template <class Each>
[[nodiscard]] bool on_named_device(const serve_options& options, Each each) {
    if (!options.device.empty()) {
        device::vfio_device hardware{address_of(options), {.shares_file = options.shares}};
        return each(hardware);
    }
    vfio_user::remote_device remote{{.path = options.behind, .shares_files = options.shares}};
    return each(remote);
}

/// program_provider::serve.
template <class P, class... Models>
[[nodiscard]] bool serve_provider(std::size_t model, const device_id& id, const serve_options& options,
                                  std::ostream& out) {
    if (options.names_device()) {
        return on_named_device(options, [&](auto& there) { return serve_over<P>(there, options, out); });
    }
    if (model == no_model) {
        device::memory_device memory{id, mapped_bars<P>()};
        return serve_over<P>(memory, options, out);
    }
    bool done = false;
    std::size_t index = 0;
    [[maybe_unused]] const auto try_model = [&]<class Model>() {
        // No server is compiled for a provider that does not match the model.
        if constexpr (P::info.rank_for(Model::id) != 0) {
            if (index == model) {
                Model device{};
                done = serve_over<P>(device, options, out);
            }
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
        if (index++ != model) return;
        Model device{};
        done = serve(device);
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
