// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/tool/app.hpp>
#include <mediant/tool/bpf_options.hpp>
#include <mediant/tool/program.hpp>

#ifdef MEDIANT_HAS_LIBBPF // of programs that are linked with mediant::bpf
#include <mediant/tool/bpf_command.hpp>
#endif

#include <CLI/CLI.hpp>
#include <fmt/core.h>

#include <ostream>
#include <string>

/// The commands of BPF providers, which concern no registry: attach, detach, replace, status, units. In programs that
/// are without libbpf they say so.
namespace mediant::command_line {

#ifndef MEDIANT_HAS_LIBBPF
namespace bpf_detail {
[[noreturn]] inline void without_libbpf(const char* command) {
    throw command_error{fmt::format("{}: this program is built without libbpf 1.4 (mediant::bpf in CMake, where "
                                    "cmake/setup/libbpf can make one); the program mediant-bpf has the command",
                                    command)};
}
} // namespace bpf_detail
[[noreturn]] inline int run_attach(const bpf_options&, std::ostream&) { bpf_detail::without_libbpf("attach"); }
[[noreturn]] inline int run_detach(const bpf_options&, std::ostream&) { bpf_detail::without_libbpf("detach"); }
[[noreturn]] inline int run_replace(const bpf_options&, std::ostream&) { bpf_detail::without_libbpf("replace"); }
[[noreturn]] inline int run_status(const bpf_options&, std::ostream&) { bpf_detail::without_libbpf("status"); }
[[noreturn]] inline int run_units(const bpf_options&, std::ostream&) { bpf_detail::without_libbpf("units"); }
#endif

/// Adds them. What is given outlives the app.
inline void add_bpf_commands(app& to, bpf_options& options, std::ostream& out) {
    const auto pins = [&options](CLI::App& command) {
        command.add_option("--pin-dir", options.pins, "where links are pinned (/sys/fs/bpf/mediant)")
            ->option_text("DIR");
    };
    const auto object = [&options](CLI::App& command) {
        command.add_option("OBJECT", options.object, "the provider: clang's object file")->required()->option_text(" ");
    };

    CLI::App& attach = to.add("attach", "loads a BPF provider under the host");
    object(attach);
    pins(attach);
    attach.add_flag("--dry-run", options.dry_run, "loads nothing, and says what it is");
    attach.add_flag("--if-needed", options.if_needed, "success where its name is pinned already");
    attach.add_flag("--mount-bpffs", options.mounts, "mount one on /sys/fs/bpf where there is none");
    attach.footer("The kernel's verifier checks it first; when it refuses, its whole log is shown.\n"
                  "Devices use it from their next open on, or where it was withdrawn at once.");
    to.does(attach, [&options, &out] { return run_attach(options, out); });

    CLI::App& detach = to.add("detach", "takes a BPF provider away");
    detach.add_option("NAME", options.name, "the provider's")->required()->option_text(" ");
    pins(detach);
    detach.add_flag("--if-attached", options.if_needed, "success where nothing is pinned for it");
    detach.footer("Devices that are open with it stay open: what it traps fails with EIO until\n"
                  "it is attached again, and never reaches the hardware.");
    to.does(detach, [&options, &out] { return run_detach(options, out); });

    CLI::App& replace = to.add("replace", "puts a new object in the place of a BPF provider");
    object(replace);
    pins(replace);
    replace.footer("At once, with the state of open devices kept: so registers, ranges and state\n"
                   "must be those of the attached one.");
    to.does(replace, [&options, &out] { return run_replace(options, out); });

    CLI::App& status = to.add("status", "the BPF providers that are attached, and the host");
    pins(status);
    status.add_flag("--json", options.json, "as JSON");
    to.does(status, [&options, &out] { return run_status(options, out); });

    CLI::App& units = to.add("units", "writes what attaches a BPF provider on demand");
    object(units);
    units.add_option("-o,--out", options.out, "the folder to write to, as /etc; none: to print them")
        ->option_text("DIR");
    units.add_option("--program", options.program, "where this program will be (/usr/bin/mediant-bpf)")
        ->option_text("PATH");
    units.add_option("--objects", options.objects, "where NAME.bpf.o will be (/usr/lib/mediant/bpf)")
        ->option_text("DIR");
    units.footer("A service for systemd (mediant-bpf@NAME), a rule for udev that starts it when a\n"
                 "device of its is given to the host, and a command for modprobe that attaches it\n"
                 "when the host asks for the provider of a device that is opened.");
    to.does(units, [&options, &out] { return run_units(options, out); });
}

} // namespace mediant::command_line
