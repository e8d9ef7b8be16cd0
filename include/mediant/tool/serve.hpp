// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/device/memory_device.hpp>
#include <mediant/device/pci_address.hpp>
#include <mediant/device/vfio_device.hpp>
#include <mediant/provider/stack.hpp>
#include <mediant/tool/identity.hpp>
#include <mediant/tool/listening.hpp>
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
#include <vector>

namespace mediant::command_line {

/// Serves a provider over a lower until a signal, or the end of the first client. False where it declines.
template <class P, class Lower>
[[nodiscard]] bool serve_over(Lower& device, const serve_options& options, std::ostream& out) {
    using served = stack<Lower, P>;
    served front{device};
    const result<void> opened = front.open(); // each client opens it again
    if (!opened) {
        if (opened.error() == error::no_device) return false;
        throw command_error{
            fmt::format("{}: cannot be opened: {}", P::info.name, std::strerror(to_errno(opened.error())))};
    }
    front.release();

    stop_on_signal signals;
    const vfio_user::server_options where = listening(options);
    vfio_user::server<served> server{front, where};
    signals.stops(server);
    fmt::print(out, "listening on {}\n", described(where));
    out.flush();
    if (!options.once) {
        server.run();
    } else {
        while (server.served() == 0 && server.run_once(-1)) {}
    }
    signals.stops_nothing();
    return true;
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
    const auto id = opened ? remote.id() : opened.error();
    remote.release();
    if (!id) throw command_error{fmt::format("{}: {}", options.behind, std::strerror(to_errno(id.error())))};
    return {*id};
}

/// program_provider::serve.
template <class P, class... Models>
[[nodiscard]] bool serve_provider(std::size_t model, const device_id& id, const serve_options& options,
                                  std::ostream& out) {
    if (!options.device.empty()) {
        device::vfio_device hardware{address_of(options), {.shares_file = options.shares}};
        return serve_over<P>(hardware, options, out);
    }
    if (!options.behind.empty()) {
        vfio_user::remote_device remote{{.path = options.behind, .shares_files = options.shares}};
        return serve_over<P>(remote, options, out);
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

/// Serves the first provider that takes the device: on the one that the options name, else on the model of this
/// identity, else on plain memory.
inline exit_code run_serve(const program& what, const identity& who, const serve_options& options, std::ostream& out) {
    const bool there = !options.device.empty() || !options.behind.empty();
    std::size_t model = no_model;
    for (std::size_t i = 0; i < what.models.size() && model == no_model && !there; ++i)
        if (who.fits(what.models[i])) model = i;
    const identity device{model == no_model ? who.filled() : what.models[model]};
    const std::vector<match> matches = matches_of(what, device);
    if (matches.empty()) throw command_error{who.text() + ": no provider serves this device"};

    std::string declined;
    for (const match& each : matches) {
        const program_provider& provider = what.providers[each.provider];
        if (provider.serve(model, device.id, options, out)) return success;
        (declined += declined.empty() ? "" : ", ") += provider.facts.name;
    }
    throw command_error{fmt::format("{}: declined by {}{}", who.text(), declined,
                                    model == no_model && !there ? "; there is no model of it, only memory of zeros" : "")};
}

} // namespace mediant::command_line
