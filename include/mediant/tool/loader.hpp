// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/tool/app.hpp>
#include <mediant/tool/bpf_commands.hpp>

#include <iostream>
#include <ostream>

namespace mediant {

/// A program that loads BPF providers and has none of its own: attach, detach, replace, status, units; see --help. Exit
/// codes are as tool()'s.
[[nodiscard]] inline int loader(int argc, const char* const* argv, std::ostream& out = std::cout,
                                std::ostream& err = std::cerr) {
    command_line::bpf_options options;
    command_line::app app{"Loads BPF providers of mediated PCI devices under vfio_pci_mediate.", out, err};
    command_line::add_bpf_commands(app, options, out);
    return app.run(argc, argv);
}

} // namespace mediant
