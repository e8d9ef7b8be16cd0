// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/tool/app.hpp>
#include <mediant/tool/bpf_commands.hpp>
#include <mediant/tool/client_command.hpp>
#include <mediant/tool/identity.hpp>
#include <mediant/tool/list.hpp>
#include <mediant/tool/lookup.hpp>
#include <mediant/tool/map_command.hpp>
#include <mediant/tool/program.hpp>
#include <mediant/tool/serve.hpp>
#include <mediant/tool/shim_command.hpp>
#include <mediant/tool/trace_command.hpp>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <filesystem>
#include <ostream>
#include <string>
#include <vector>

namespace mediant::command_line {

/// The command line of a program: the commands and their options.
class commands : public app {
public:
    commands(const program& what, std::ostream& out, std::ostream& err)
        : app{"Mediation providers for PCI devices, as kernel modules and vfio-user servers.", out, err}, what_{what},
          out_{out}, err_{err} {
        add_list();
        add_lookup();
        add_map();
        add_shim();
        add_serve();
        add_client();
        add_trace();
        add_bpf_commands(*this, bpf_, out_);
    }

private:
    static constexpr const char* identity_type = "VID:DID[:SUBVID:SUBDID]";

    void add_list() {
        does(add("list", "the providers, their devices and module aliases"),
             [this] { return run_list(what_, out_); });
    }

    void add_lookup() {
        CLI::App& command = add("lookup", "who serves a device, and by which rule");
        command.add_option("ID", id_, "vendor, device, maybe subsystem; hexadecimal")
            ->required()
            ->option_text(identity_type);
        command.add_option("--class", class_, "the device's class, as in 020000")->option_text("CLASS");
        does(command, [this] { return run_lookup(what_, identity_of(id_, class_), out_); });
    }

    void add_map() {
        CLI::App& command = add("map", "a provider's regions, drawn or as tables");
        command.add_option("PROVIDER", map_.provider, "a name, or VID:DID that it serves; none: all");
        command.add_option("--format", map_.format, "text (the default), html, markdown or json")
            ->option_text("FORMAT");
        command.add_option("--out", map_.out, "the file to write; none: standard output")->option_text("FILE");
        command.footer("html is one page with drawings to scale. In text, the bar is\n"
                       "the whole region: a letter for what lies there, * for several, '.' for what\n"
                       "passes and can be mapped in pages of 4 KiB, ':' for what merely passes,\n"
                       "'-' for what a config map keeps from the user.");
        does(command, [this] { return run_map(what_, map_, out_); });
    }

    void add_shim() {
        CLI::App& command = add("shim", "the sources of a kernel module or a BPF provider");
        command.add_option("PROVIDER", shim_.providers, "names, or VID:DID that they serve; none: all")
            ->option_text("...");
        command.add_option("--target", shim_.options.target, "variant, provider, host or bpf, see below")
            ->required()->option_text("KIND");
        command.add_option("--out", shim_.out, "the tree: a new folder, or one that shim made")->option_text("DIR");
        command.add_option("--check", check_, "writes nothing; exits with 0 if DIR is up to date")->option_text("DIR");
        command.add_option("--header", shim_.options.headers, "what defines the providers; can be repeated")
            ->option_text("FILE")->expected(1)->take_all();
        command.add_option("-I", shim_.options.include_dirs, "where its #includes are; can be repeated")
            ->option_text("DIR")->expected(1)->take_all();
        command.add_option("--name", shim_.options.name, "the module's; needed if it has several providers")
            ->option_text("NAME");
        command.add_option("--module-version", shim_.options.version, "the module's; else the providers' own; bpf: none")
            ->option_text("TEXT");
        command.add_option("--mediant", shim_.options.own_root, "where <mediant/...> is, if it has moved")
            ->option_text("DIR");
        command.footer("A variant is a driver of its own on vfio-pci; the host is one for any device,\n"
                       "has no PROVIDER, and loads a provider when its device is opened; bpf is one\n"
                       "PROVIDER as an object that the kernel's verifier checks, for any kernel. The\n"
                       "tree is made of the providers' headers and all that they include. The same\n"
                       "input gives the same tree; files that would not change are not touched.");
        does(command, [this] {
            if (shim_.out.empty() == check_.empty())
                throw usage_error{"shim: one of --out DIR and --check DIR is needed"};
            shim_.check = shim_.out.empty();
            if (shim_.check) shim_.out = check_;
            return run_shim(what_, shim_, out_, err_);
        });
    }

    void add_serve() {
        CLI::App& command = add("serve", "serves a device over vfio-user");
        command.add_option("ID", id_, "vendor, device, maybe subsystem; hexadecimal")->option_text(identity_type);
        command.add_option("--class", class_, "the device's class, as in 020000")->option_text("CLASS");
        command.add_option("--device", serve_.device, "instead: a PCI device that VFIO holds")
            ->option_text("ADDRESS");
        command.add_option("--behind", serve_.behind, "instead: what another server offers")
            ->option_text("PATH");
        command.add_flag("--share", serve_.shares, "of these, let clients map what passes");
        command.add_option("--providers", serve_.providers, "load the provider from here")
            ->option_text("DIR[:DIR]");
        command.add_flag("--unmediated", serve_.unmediated, "serve a device without a provider, too")
            ->option_text(" ");
        CLI::Option& path = *command.add_option("--socket,--socket-path", serve_.socket, "the Unix socket to listen on");
        path.option_text("PATH");
        command.add_option("--socket-mode", serve_.mode, "its permissions, as in 0660")->option_text("MODE");
        command.add_option("--socket-owner", serve_.owner, "whose it is")->option_text("USER:GROUP");
        command.add_option("--fd", serve_.fd, "instead: a socket that listens already")
            ->check(CLI::NonNegativeNumber)
            ->excludes(&path)
            ->option_text("NUMBER");
        command.add_flag("--once", serve_.once, "end after one client");
        command.add_option("--backend", serve_.backend, "what serves: native (the default), libvfio-user")
            ->check(CLI::IsMember({"native", "libvfio-user"}))
            ->option_text("NAME");
        command.add_option("--user", serve_.user, "be this user when the socket is there")->option_text("USER[:GROUP]");
        command.add_option("--sandbox", serve_.sandbox, "no files, no programs for models: on, off, auto")
            ->check(CLI::IsMember({"auto", "on", "off"}))
            ->option_text("WHEN");
        command.add_flag("--any-file", serve_.any_file, "DMA to files that are no memory, too");
        command.add_option("--record", serve_.record, "keep all that is done to it")->option_text("FILE");
        command.add_option("--record-limit", serve_.record_limit, "its bytes at most (256 MiB)")
            ->check(CLI::Range(trace::least_limit, std::uint64_t{1} << 62))
            ->option_text("BYTES");
        command.footer("An ID's device is the program's model of it, else plain memory; that of an\n"
                       "ADDRESS is bound to vfio-pci. Files that are shared hold what is trapped, too.\n"
                       "Prints \"listening on PATH\" when clients can connect; SIGINT and SIGTERM end it.\n"
                       "Without --socket and --fd it takes a socket from systemd.");
        does(command, [this] {
            if (int{id_.empty()} + int{serve_.device.empty()} + int{serve_.behind.empty()} != 2)
                throw usage_error{"serve: one of ID, --device ADDRESS and --behind PATH is needed"};
            const identity who = id_.empty() ? identity_of(serve_) : identity_of(id_, class_);
            return run_serve(what_, who, serve_, out_);
        });
    }

    void add_client() {
        CLI::App& command = add("client", "talks to a vfio-user server");
        command.add_option("--socket", serve_.socket, "the server's Unix socket")->required()->option_text("PATH");
        command.add_flag("--twin-socket", twin_socket_, "take the device's DMA on a socket of its own");
        command.add_option("STEP", steps_, "what to do, see below")->required()->option_text("...");
        command.footer("Steps, all in one connection; a line is printed for each:\n"
                       "  info                               the device, its regions and interrupts\n"
                       "  read REGION OFFSET WIDTH           WIDTH is 1, 2, 4 or 8 bytes\n"
                       "  write REGION OFFSET WIDTH VALUE\n"
                       "  reset\n"
                       "  memory IOVA BYTES                  memory that is not shared: the device\n"
                       "                                     asks for it\n"
                       "  put IOVA WIDTH VALUE               into that memory\n"
                       "  get IOVA WIDTH\n"
                       "  serve COUNT MILLISECONDS           answers so often, in that time\n"
                       "REGION is bar0 to bar5, rom, config, vga or a number; numbers are decimal, or\n"
                       "hexadecimal after 0x. Example: client --socket S read bar0 0 4 write bar0 4 4 1");
        does(command, [this] { return run_client(serve_.socket, twin_socket_, steps_, out_); });
    }

    void add_trace() {
        CLI::App& command = add("trace", "recordings: prints, draws, replays, converts them");
        command.require_subcommand(1);
        const auto add_one = [&](const std::string& name, const std::string& about) -> CLI::App& {
            CLI::App& one = *command.add_subcommand(name, about);
            one.set_help_flag("-h,--help", "print this help");
            one.get_formatter()->column_width(30);
            one.add_option("FILE", trace_.file, name == "convert" ? "the text" : "the recording")
                ->required()
                ->option_text(" ");
            one.add_option("--provider", trace_.provider, "whose registers these are; else the recorded one's")
                ->option_text("NAME");
            return one;
        };
        CLI::App& print = add_one("print", "a line for each event");
        print.add_flag("--json", trace_.json, "each as a JSON object");
        print.add_flag("--summary", trace_.summary, "only what it comes to");
        does(print, [this] { return run_trace_print(what_, trace_, out_); });

        CLI::App& html = add_one("html", "a timeline and a heat map, as one page");
        html.add_option("-o,--out", trace_.out, "the file to write; none: standard output")->option_text("FILE");
        does(html, [this] { return run_trace_html(what_, trace_, out_); });

        CLI::App& replay = add_one("replay", "does it again, and compares the answers");
        replay.add_option("--socket", serve_.socket, "to what a vfio-user server offers")->option_text("PATH");
        replay.add_flag("--in-process", trace_.in_process, "to this program's policies on its model");
        replay.add_option("--device", serve_.device, "to these on a PCI device that VFIO holds")
            ->option_text("ADDRESS");
        replay.add_option("--behind", serve_.behind, "to these on what another server offers")->option_text("PATH");
        replay.add_option("--ignore", trace_.ignored, "a register whose value may differ; can be repeated")
            ->option_text("REGISTER")->expected(1)->take_all();
        replay.add_flag("--paced", trace_.paced, "as slowly as it was");
        replay.add_option("--lines", trace_.most_lines, "of differences, at most (100)")->option_text("NUMBER");
        replay.footer("A REGISTER is a name, as in map, or REGION:OFFSET[:BYTES]. Exits with 1 where\n"
                      "an answer differs. Memory for DMA is there, but of zeros.");
        does(replay, [this] {
            if (int{serve_.socket.empty()} + int{!trace_.in_process} + int{serve_.device.empty()} +
                    int{serve_.behind.empty()} != 3)
                throw usage_error{"trace replay: one of --socket, --in-process, --device and --behind is needed"};
            return run_trace_replay(what_, trace_, serve_, out_);
        });

        CLI::App& convert = add_one("convert", "makes one of the kernel's tracepoints, of tracefs");
        convert.add_option("-o,--out", trace_.out, "the recording")->required()->option_text("FILE");
        convert.add_option("--address", trace_.address, "of this device alone")->option_text("ADDRESS");
        does(convert, [this] { return run_trace_convert(what_, trace_, out_); });
    }

    const program& what_;
    std::ostream& out_;
    std::ostream& err_;

    std::string id_;
    std::string class_;
    bool twin_socket_ = false;
    std::filesystem::path check_;
    map_request map_;
    shim_request shim_;
    trace_request trace_;
    serve_options serve_;
    std::vector<std::string> steps_;
    bpf_options bpf_;
};

} // namespace mediant::command_line
