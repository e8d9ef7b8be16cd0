// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/kernel/provider_facts.hpp>
#include <mediant/provider/registry.hpp>
#include <mediant/tool/commands.hpp>
#include <mediant/tool/map_facts.hpp>
#include <mediant/tool/program.hpp>
#include <mediant/tool/serve.hpp>

#include <iostream>
#include <ostream>

namespace mediant {

namespace command_line {

/// What the commands need of a registry, and of models of devices.
template <class Registry, class... Models>
[[nodiscard]] program program_of() {
    program out;
    Registry::for_each([&out]<class P>() {
        out.providers.push_back({kernel::facts_of<P>(), serve_provider<P, Models...>, map_facts_of<P>});
    });
    out.models = {Models::id...};
    out.serve_loaded = serve_with_loaded<Models...>;
    return out;
}

} // namespace command_line

/// A vendor's program: `int main(int argc, char** argv) { return mediant::tool<acme::devices>(argc, argv); }`.
/// Commands: list, lookup, map, shim, serve, client, trace, and those of BPF providers; see --help. Returns 0 where it
/// is done, 1 where it failed or the answer is no, 2 for wrong usage.
///
/// A model is what `serve` offers instead of hardware: a lower that can be default-constructed, with the identity of
/// its device as `static constexpr device_id id`. Without one a provider is served on plain memory.
template <class Registry, class... Models>
[[nodiscard]] int tool(int argc, const char* const* argv, std::ostream& out = std::cout,
                       std::ostream& err = std::cerr) {
    const command_line::program what = command_line::program_of<Registry, Models...>();
    return command_line::commands{what, out, err}.run(argc, argv);
}

} // namespace mediant
