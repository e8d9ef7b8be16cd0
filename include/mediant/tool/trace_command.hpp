// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/tool/identity.hpp>
#include <mediant/tool/program.hpp>
#include <mediant/tool/serve.hpp>
#include <mediant/tool/shim_command.hpp>
#include <mediant/tool/trace_html.hpp>
#include <mediant/tool/trace_names.hpp>
#include <mediant/tool/trace_print.hpp>
#include <mediant/trace/kernel_text.hpp>
#include <mediant/trace/reader.hpp>
#include <mediant/trace/recorder.hpp>
#include <mediant/trace/replay.hpp>
#include <mediant/vfio_user/any_device.hpp>
#include <mediant/vfio_user/client_device.hpp>

#include <fmt/core.h>
#include <fmt/ostream.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <ios>
#include <iterator>
#include <limits>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// What is done with recordings: `trace print`, `html`, `replay`, `convert`.
namespace mediant::command_line {

struct trace_request {
    std::filesystem::path file;
    std::filesystem::path out;
    std::string provider; ///< instead of the recorded one
    std::string address;  ///< convert: the device whose events are taken
    bool json = false;
    bool summary = false;
    bool in_process = false;
    bool paced = false;
    std::vector<std::string> ignored;
    std::uint64_t most_lines = 100; ///< of differences
};

/// All of a file's bytes. Throws command_error.
[[nodiscard]] inline std::string bytes_of_file(const std::filesystem::path& path) {
    std::ifstream in{path, std::ios::binary};
    std::string out{std::istreambuf_iterator<char>{in}, {}};
    if (!in.is_open() || in.bad()) throw command_error{path.string() + ": cannot be read"};
    return out;
}

/// Throws command_error for what is no recording at all.
[[nodiscard]] inline trace::reader reader_of(const trace_request& request, const std::string& bytes) {
    trace::reader out{std::as_bytes(std::span{bytes})};
    if (out.damaged())
        throw command_error{fmt::format("{}: byte {:#x}: {}", request.file.string(), out.damaged().offset,
                                        trace::to_text(out.damaged().what))};
    return out;
}

[[nodiscard]] inline trace_names names_of(const program& what, const trace_request& request,
                                          const trace::reader& from) {
    if (request.provider.empty()) return trace_names::of(what, from.who().provider);
    return trace_names{what.providers[find_provider(what, request.provider)].map()};
}

/// failure for a recording that is damaged; what comes before is printed.
inline exit_code run_trace_print(const program& what, const trace_request& request, std::ostream& out) {
    const std::string bytes = bytes_of_file(request.file);
    trace::reader from = reader_of(request, bytes);
    const trace_names names = names_of(what, request, from);
    if (request.json)
        print_trace_json(from, names, out);
    else
        print_trace(from, bytes.size(), names, request.summary, out);
    return from.damaged() ? failure : success;
}

inline exit_code run_trace_html(const program& what, const trace_request& request, std::ostream& out) {
    const std::string bytes = bytes_of_file(request.file);
    trace::reader first = reader_of(request, bytes);
    const trace_names names = names_of(what, request, first);
    const std::string text = trace_page::html(std::as_bytes(std::span{bytes}), request.file.filename().string(), names);
    if (request.out.empty()) {
        out << text;
        return success;
    }
    std::ofstream file{request.out, std::ios::binary | std::ios::trunc};
    file << text;
    file.close();
    if (!file) throw command_error{request.out.string() + ": cannot be written"};
    fmt::print(out, "{}: {} bytes\n", request.out.string(), text.size());
    return success;
}

/// Replays a recording into a device, and prints what differs.
class trace_replayer : public device_user {
public:
    trace_replayer(const trace_request& request, trace::reader from, const trace_names& names, std::ostream& out)
        : request_{request}, from_{std::move(from)}, names_{names}, out_{out} {
        for (const std::string& each : request.ignored)
            for (const auto& where : names.ranges_of(each)) how_.ignored.push_back(where);
        how_.paced = request.paced;
    }

    void use(vfio_user::any_device& device, std::string_view) override { into(device); }

    template <class Device>
    void into(Device& device) {
        summary_ = trace::replay<Device>::run(from_, device, how_, [this](const trace::difference& one) { tell(one); });
        done_ = true;
    }

    /// failure where something differs, or the recording is damaged.
    [[nodiscard]] exit_code finish() {
        if (summary_.different > request_.most_lines)
            fmt::print(out_, "... and {} more\n", summary_.different - request_.most_lines);
        fmt::print(out_, "{}: {} events, {} done, {} answers compared, {} different", request_.file.string(),
                   from_.seen(), summary_.done, summary_.compared, summary_.different);
        const auto more = [this](std::uint64_t count, std::string_view what) {
            if (count != 0) fmt::print(out_, ", {} {}", count, what);
        };
        more(summary_.ignored, "ignored");
        more(summary_.unknown, "writes of unknown bytes left out");
        more(summary_.outside, "past the end of a region");
        more(summary_.skipped, "not replayed");
        fmt::print(out_, "\n");
        if (const std::string ending = ending_text(from_); !ending.empty()) fmt::print(out_, "{}\n", ending);
        return done_ && summary_.different == 0 && !from_.damaged() ? success : failure;
    }

private:
    void tell(const trace::difference& one) {
        if (++told_ > request_.most_lines) return;
        const trace::event& what = one.expected;
        if (one.what == trace::differing::region) {
            fmt::print(out_, "different: {} has {}, not {}\n", region_text(what.region), size_text(one.got.count),
                       size_text(what.size));
            return;
        }
        std::string where{action_text(what)};
        if (what.is_access()) {
            where += fmt::format(" {} {:#x} {}", region_text(what.region), what.offset, what.size);
            if (const std::string name = names_.text(what); !name.empty()) where += "  " + name;
        }
        fmt::print(out_, "different: number {}: {}: expected {}, got {}\n", one.number, where,
                   answer_text(what, what.count, what.error, what.bytes()),
                   answer_text(what, one.got.count, one.got.error, one.bytes));
    }

    [[nodiscard]] static std::string answer_text(const trace::event& what, std::uint64_t count, error came,
                                                 std::span<const std::byte> bytes) {
        if (count == 0 && came != error::none) return error_text(came);
        if (!what.is_access()) return "success";
        if (count != what.size) return fmt::format("{} of {} bytes", count, what.size);
        return what.what == trace::action::read ? bytes_text(bytes) : std::string{"success"};
    }

    const trace_request& request_;
    trace::reader from_;
    const trace_names& names_;
    std::ostream& out_;
    trace::replay_options how_;
    trace::replay_summary summary_;
    std::uint64_t told_ = 0;
    bool done_ = false;
};

/// failure where an answer differs.
inline exit_code run_trace_replay(const program& what, const trace_request& request, serve_options where,
                                  std::ostream& out) {
    const std::string bytes = bytes_of_file(request.file);
    trace::reader from = reader_of(request, bytes);
    const trace_names names = names_of(what, request, from);
    const identity who{from.who().device};
    trace_replayer replayer{request, std::move(from), names, out};
    if (!where.socket.empty()) {
        vfio_user::client_device device{where.socket};
        replayer.into(device);
    } else {
        where.instead = &replayer;
        (void)run_serve(what, where.names_device() ? identity_of(where) : who, where, out);
    }
    return replayer.finish();
}

/// The kernel's events as a recording.
inline exit_code run_trace_convert(const program& what, const trace_request& request, std::ostream& out) {
    const std::string text = bytes_of_file(request.file);
    trace::identity who;
    who.device = {any_id, any_id, any_id, any_id, any_id};
    who.source = "kernel";
    if (!request.provider.empty()) {
        const kernel::provider_facts& facts = what.providers[find_provider(what, request.provider)].facts;
        who.provider = facts.name;
        if (!facts.rules.empty()) {
            const pci_id& rule = facts.rules.front();
            who.device = {rule.vendor, rule.device, rule.subvendor, rule.subdevice, any_id};
        }
    }
    trace::recorder to{{.path = request.out.string(), .limit = std::numeric_limits<std::uint64_t>::max() / 4}, who};
    std::string address = request.address;
    std::uint64_t number = 0, elsewhere = 0, begin = 0;
    bool any = false;
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        const std::string_view line = std::string_view{text}.substr(at, end - at);
        const bool cut = end == text.size(); // trace_pipe was ended within a line
        at = end + 1;
        ++number;
        trace::kernel_line found = trace::parse_kernel_line(line);
        if (found.what == trace::kernel_line::kind::malformed && !cut)
            throw command_error{fmt::format("{}:{}: not an event as the module prints it: {}", request.file.string(),
                                            number, plain_text(line.substr(0, 200)))};
        if (found.what != trace::kernel_line::kind::event) continue;
        if (found.event.is_access()) {
            if (address.empty()) address = found.device;
            if (found.device != address) {
                if (request.address.empty())
                    throw command_error{fmt::format("{}:{}: events of {} and of {}: choose one with --address",
                                                    request.file.string(), number, plain_text(address),
                                                    plain_text(found.device))};
                ++elsewhere;
                continue;
            }
            if (!std::exchange(any, true)) begin = found.event.time;
            found.event.time = found.event.time < begin ? 0 : found.event.time - begin;
        }
        to.add_as_is(found.event);
    }
    to.finish();
    if (to.failed() != 0) throw command_error{fmt::format("{}: {}", request.out.string(), std::strerror(to.failed()))};
    fmt::print(out, "{}: {} events of {} in {} bytes", request.out.string(), to.recorded(),
               address.empty() ? "no device" : plain_text(address), to.bytes());
    if (elsewhere != 0) fmt::print(out, ", {} of other devices left out", elsewhere);
    fmt::print(out, "\n");
    if (to.recorded() == 0) throw command_error{request.file.string() + ": no event of a mediant module"};
    return success;
}

} // namespace mediant::command_line
