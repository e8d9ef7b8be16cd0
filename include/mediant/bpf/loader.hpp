// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/bpf/api.hpp>
#include <mediant/bpf/attachments.hpp>
#include <mediant/bpf/error.hpp>
#include <mediant/bpf/host.hpp>
#include <mediant/bpf/kernel_log.hpp>
#include <mediant/bpf/messages.hpp>
#include <mediant/bpf/object.hpp>
#include <mediant/bpf/pins.hpp>
#include <mediant/bpf/verifier_log.hpp>
#include <mediant/device/unique_fd.hpp>

#include <linux/capability.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

/// Puts providers under the host, and takes them away.
namespace mediant::bpf {

/// Longest log of the verifier that is taken; of a longer one the end.
inline constexpr std::size_t most_log = std::size_t{256} << 20;

/// Throws what keeps this process from loading providers, with what helps.
inline void require_host(const places& where) {
    if (!has_capability(where, CAP_SYS_ADMIN))
        throw error{"this needs CAP_SYS_ADMIN (run it as root): the kernel tells the types of a module to no one else"};
    if (const host_state host = look_at_host(where); !host.takes_providers) throw error{host.missing};
}

/// Throws where an object is made for a later version of the interface than this program, or for none. (A host that is
/// older than both says so itself.)
inline void require_version(const description& what, std::string_view where) {
    if (what.version == 0 || what.version > MEDIANT_BPF_VERSION)
        throw error{std::string{where} + ": it is made for version " + std::to_string(what.version) +
                    " of mediant_bpf_ops, and this program for version " + std::to_string(MEDIANT_BPF_VERSION)};
}

/// An object whose programs the verifier has taken, not attached yet.
class loaded_object {
public:
    /// Throws refused where the verifier refuses a program, error for what else goes wrong.
    [[nodiscard]] static loaded_object load(bytes file, const description& what, std::string_view where) {
        std::string long_one; // the program whose log has more than the last buffer
        for (std::size_t room = std::size_t{64} << 10;; room = std::min(room * 8, most_log)) {
            loaded_object out;
            const captured_messages said;
            ::bpf_object_open_opts options{};
            options.sz = sizeof options;
            options.object_name = what.name.c_str();
            out.object_.reset(::bpf_object__open_mem(file.data(), file.size(), &options));
            if (!out.object_) throw failure(where, "libbpf cannot open it", errno);
            struct one_log {
                ::bpf_program* program;
                std::vector<char> text;
            };
            std::vector<one_log> logs;
            ::bpf_program* program = nullptr;
            // A log for each, since libbpf does not say otherwise which one is refused. It is written when a program
            // that was refused without one is loaded again.
            while ((program = ::bpf_object__next_program(out.object_.get(), program)) != nullptr) {
                if (!long_one.empty() && long_one != ::bpf_program__name(program)) continue;
                logs.push_back({program, std::vector<char>(room)});
                ::bpf_program__set_log_buf(program, logs.back().text.data(), room);
            }
            if (::bpf_object__load(out.object_.get()) == 0) {
                for (::bpf_map* map = nullptr; (map = ::bpf_object__next_map(out.object_.get(), map)) != nullptr;)
                    if (::bpf_map__type(map) == BPF_MAP_TYPE_STRUCT_OPS) out.map_ = map;
                if (out.map_ == nullptr) throw error{std::string{where} + ": libbpf finds no struct_ops in it"};
                for (const one_log& log : logs) ::bpf_program__set_log_buf(log.program, nullptr, 0);
                return out;
            }
            const int number = errno;
            for (const one_log& log : logs) {
                const std::string_view text{log.text.data(), ::strnlen(log.text.data(), room)};
                if (text.empty()) continue;
                long_one = ::bpf_program__name(log.program);
                if (number == ENOSPC && room < most_log) break;
                throw refusal(where, ::bpf_program__name(log.program), text, room == most_log && number == ENOSPC);
            }
            if (number != ENOSPC || long_one.empty() || room == most_log)
                throw failure(where, "it cannot be loaded", number);
        }
    }

    [[nodiscard]] int map() const noexcept { return ::bpf_map__fd(map_); }

    /// Gives the map its ops, as bpf_map__attach_struct_ops does, so that it can be attached or take another's place.
    void fill(const host_types& types, std::string_view where) const {
        const layout mine{*::bpf_object__btf(object_.get()), ::bpf_map__btf_value_type_id(map_)};
        const layout host = types.ops();
        std::size_t size = 0;
        const void* const data = ::bpf_map__initial_value(map_, &size);
        std::vector<std::byte> value(types.value().size());
        for (std::size_t index = 0; index < mine.count(); ++index) {
            const auto from = mine.at(index);
            // What the host does not know is 0: libbpf has seen to that.
            const auto to = from ? host.find(from->name) : std::nullopt;
            if (!to) continue;
            const std::uint64_t place = types.ops_offset() + to->offset;
            if (to->size != from->size || from->offset + from->size > mine.size() || place + to->size > value.size())
                throw error{std::string{where} + ": its " + from->name + " has another size than the host's"};
            const std::byte* const source = static_cast<const std::byte*>(data) + from->offset;
            if (from->function) {
                ::bpf_program* program = nullptr; // libbpf has put it there
                std::memcpy(&program, source, sizeof program);
                if (program == nullptr) continue;
                const auto fd = static_cast<std::uint64_t>(::bpf_program__fd(program));
                std::memcpy(value.data() + place, &fd, sizeof fd);
            } else {
                std::memcpy(value.data() + place, source, from->size);
            }
        }
        const std::uint32_t zero = 0;
        const host_log kernel;
        if (::bpf_map_update_elem(map(), &zero, value.data(), 0) != 0)
            throw failure(where, "the host does not take its ops", errno, kernel.lines());
    }

    /// What libbpf and the kernel's log say of something that failed.
    [[nodiscard]] static error failure(std::string_view where, const std::string& what, int number,
                                       const std::string& kernel = {}) {
        std::string text = system_failure(where, what, number).what();
        if (number == EPERM) text += " (it needs CAP_SYS_ADMIN, and a kernel that is not locked down)";
        if (const std::string lines = captured_messages::lines(); !lines.empty()) text += "\nlibbpf says:\n" + lines;
        if (!kernel.empty()) text += "\nthe kernel's log says:\n" + kernel;
        return error{text};
    }

private:
    loaded_object() = default;

    [[nodiscard]] static refused refusal(std::string_view where, const char* program, std::string_view log, bool cut) {
        const verdict why = verdict_of(log);
        std::string text = std::string{where} + ": the kernel's verifier refuses the program " + program;
        if (!why.reason.empty()) text += ":\n    " + why.reason;
        if (!why.source.empty()) text += "\nat the source line\n    " + why.source;
        if (cut) text += "\n(the log has more than " + std::to_string(most_log >> 20) + " MiB; this is its end)";
        return refused{printable(text), printable(log)};
    }

    struct closes {
        void operator()(::bpf_object* what) const noexcept { ::bpf_object__close(what); }
    };
    std::unique_ptr<::bpf_object, closes> object_;
    ::bpf_map* map_ = nullptr;
};

/// What was attached or put in another's place.
struct attached {
    std::filesystem::path pin;
    std::uint32_t link = 0;
};

/// The pin of a provider.
[[nodiscard]] inline std::filesystem::path pin_of(const places& where, std::string_view name) {
    return where.pins / name;
}

/// Whether a provider that is attached is pinned there: a link that was detached stays pinned, with nothing behind it.
[[nodiscard]] inline bool is_attached(const std::filesystem::path& pin) {
    std::uint32_t id = 0;
    const device::unique_fd link{::bpf_obj_get(pin.c_str())};
    return link && struct_ops_map(link.get(), id).value_or(0) != 0;
}

/// Loads an object and attaches it, pinned under its provider's name, so that it stays when this process is gone.
/// Whoever dies on the way leaves nothing.
[[nodiscard]] inline attached attach(bytes file, std::string_view where, const places& system) {
    const object_description what = describe(file, where);
    require_version(what, where);
    require_host(system);
    require_bpffs(system.pins);
    const std::filesystem::path pin = pin_of(system, what.name);
    if (is_attached(pin))
        throw error{pin.string() + ": " + what.name + " is attached already; replace puts another object in its place"};
    std::error_code wrong;
    if (std::filesystem::exists(pin, wrong))
        throw error{pin.string() +
                    ": what is pinned there is not attached any more, or is no provider's link; remove it"};
    make_pin_folder(system.pins);
    const auto types = host_types::load(system);
    if (!types) throw error{look_at_host(system).missing};

    const loaded_object object = loaded_object::load(file, what, where);
    object.fill(*types, where);
    const host_log kernel;
    const captured_messages said;
    const device::unique_fd link{::bpf_link_create(object.map(), 0, BPF_STRUCT_OPS, nullptr)};
    if (!link) {
        const int number = errno;
        std::string why = "the host does not attach it";
        if (number == EEXIST) why += ": a BPF provider of that name is attached by another pin or program (see status)";
        if (number == EBUSY)
            why += ": another provider, as BPF or as a module, has its name or one of its rules, or devices are open "
                   "that "
                   "one of its name with other registers, ranges or state served before it was withdrawn";
        if (number == EINVAL) why += ": what it says of itself is not what the host takes";
        throw loaded_object::failure(where, why, number, kernel.lines());
    }
    attached out{pin, 0};
    static_cast<void>(struct_ops_map(link.get(), out.link));
    if (::bpf_obj_pin(link.get(), pin.c_str()) != 0)
        throw system_failure(pin.string(), "the link cannot be pinned", errno);
    return out;
}

/// Throws where nothing is pinned for a name; errors are about that pin.
[[nodiscard]] inline device::unique_fd open_pin(const std::filesystem::path& pin) {
    device::unique_fd link{::bpf_obj_get(pin.c_str())};
    if (!link && errno == ENOENT)
        throw error{pin.string() + ": nothing is pinned there, so it is not attached from there"};
    if (!link) throw system_failure(pin.string(), "cannot be opened", errno);
    return link;
}

/// Loads an object and puts it in the place of the provider of its name, at once and with the state of open devices
/// kept. The link and its pin stay.
[[nodiscard]] inline attached replace(bytes file, std::string_view where, const places& system) {
    const object_description what = describe(file, where);
    require_version(what, where);
    require_host(system);
    require_bpffs(system.pins);
    const auto types = host_types::load(system);
    if (!types) throw error{look_at_host(system).missing};
    attached out{pin_of(system, what.name), 0};
    const device::unique_fd link = open_pin(out.pin);
    const auto before = look_at_link(link.get(), *types);
    if (!before) throw error{out.pin.string() + ": it is no provider's link"};
    out.link = before->link;

    const loaded_object object = loaded_object::load(file, what, where);
    object.fill(*types, where);
    const host_log kernel;
    const captured_messages said;
    if (::bpf_link_update(link.get(), object.map(), nullptr) == 0) return out;
    const int number = errno;
    std::string why = "the host does not put it in the place of " + what.name;
    if (before->map == 0) {
        why += "; its link is detached: detach removes the pin, then attach";
    } else {
        if (what.state_size != before->provider.state_size) why += "; the size of its state differs";
        if (what.identity != before->provider.identity) why += "; its identity differs: registers, ranges or state";
        if (what.state_size != before->provider.state_size || what.identity != before->provider.identity)
            why += "; detach and attach do it, without keeping the state";
    }
    throw loaded_object::failure(where, why, number, kernel.lines());
}

/// Takes a provider away: its devices' trapped registers fail with EIO until one is attached again. Throws where it was
/// not attached, and where it still is afterwards.
inline void detach(std::string_view name, const places& system) {
    if (!is_provider_name(name)) throw error{std::string{name} + ": no provider can have that name"};
    require_bpffs(system.pins);
    const std::filesystem::path pin = pin_of(system, name);
    std::uint32_t id = 0;
    {
        const device::unique_fd link = open_pin(pin);
        if (!struct_ops_map(link.get(), id))
            throw error{pin.string() + ": it is no provider's link; it is left as it is"};
        // At once, whoever else holds the link. Kernels before 6.11 cannot: there it goes with its last holder.
        if (::bpf_link_detach(link.get()) != 0 && errno != EOPNOTSUPP)
            throw system_failure(pin.string(), "cannot be detached", errno);
        if (::unlink(pin.c_str()) != 0) throw system_failure(pin.string(), "cannot be removed", errno);
    }
    // The kernel drops what was pinned a moment later.
    using namespace std::chrono_literals;
    for (auto waited = 0ms;; waited += 10ms) {
        const device::unique_fd link{::bpf_link_get_fd_by_id(id)};
        if (!link && errno == ENOENT) return;
        if (!link && errno != EAGAIN)
            throw system_failure(pin.string(), "whether it is detached cannot be seen", errno);
        std::uint32_t same = 0;
        if (link && struct_ops_map(link.get(), same).value_or(1) == 0) return;
        if (waited >= 2s)
            throw error{pin.string() + ": its pin is removed, but something else holds link " + std::to_string(id) +
                        ", so it is still attached"};
        std::this_thread::sleep_for(10ms);
    }
}

} // namespace mediant::bpf
