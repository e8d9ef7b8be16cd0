// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/device/memory_device.hpp>
#include <mediant/provider/stack.hpp>
#include <mediant/tool/identity.hpp>
#include <mediant/tool/listening.hpp>
#include <mediant/tool/program.hpp>
#include <mediant/tool/signals.hpp>
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

/// program_provider::serve.
template <class P, class... Models>
[[nodiscard]] bool serve_provider(std::size_t model, const device_id& id, const serve_options& options,
                                  std::ostream& out) {
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

/// Serves the first provider that takes the device: on the model of this identity, or on plain memory.
inline exit_code run_serve(const program& what, const identity& who, const serve_options& options, std::ostream& out) {
    std::size_t model = no_model;
    for (std::size_t i = 0; i < what.models.size() && model == no_model; ++i)
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
                                    model == no_model ? "; there is no model of it, only memory of zeros" : "")};
}

} // namespace mediant::command_line
