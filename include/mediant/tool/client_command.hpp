// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/little_endian.hpp>
#include <mediant/core/requests.hpp>
#include <mediant/tool/number.hpp>
#include <mediant/tool/program.hpp>
#include <mediant/vfio_user/client.hpp>

#include <fmt/core.h>
#include <fmt/ostream.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mediant::command_line {

inline constexpr std::array<std::string_view, fixed_regions> region_names{"bar0", "bar1", "bar2",   "bar3", "bar4",
                                                                          "bar5", "rom",  "config", "vga"};
inline constexpr std::array<std::string_view, fixed_irqs> irq_names{"intx", "msi", "msix", "err", "req"};

[[nodiscard]] inline std::string region_text(region_index region) {
    const auto i = static_cast<std::uint32_t>(region);
    return i < fixed_regions ? std::string{region_names[i]} : std::to_string(i);
}

/// One thing that a client is to do.
struct client_step {
    enum class action { info, read, write, reset, memory, get, put, serve };
    action what = action::info;
    region_index region{};
    std::uint64_t offset = 0; ///< or the I/O address of memory
    unsigned width = 0;
    std::uint64_t value = 0; ///< or bytes of memory, or milliseconds
    std::uint64_t count = 0; ///< commands to serve

    [[nodiscard]] std::string text() const {
        switch (what) {
        case action::info: return "info";
        case action::reset: return "reset";
        case action::read: return fmt::format("read {} {:#x} {}", region_text(region), offset, width);
        case action::memory: return fmt::format("memory {:#x} {:#x}", offset, value);
        case action::get: return fmt::format("get {:#x} {}", offset, width);
        case action::put: return fmt::format("put {:#x} {} {:#x}", offset, width, value);
        case action::serve: return fmt::format("serve {} {}", count, value);
        case action::write: break;
        }
        return fmt::format("write {} {:#x} {} {:#x}", region_text(region), offset, width, value);
    }
};

/// Words such as "info read bar0 0x0 4 write bar0 0x28 4 1 reset", as steps; usage_error where they make no sense.
[[nodiscard]] inline std::vector<client_step> parse_steps(std::span<const std::string> words) {
    std::size_t at = 0;
    const auto next = [&](const std::string& step, std::string_view what) -> const std::string& {
        if (at == words.size()) throw usage_error{fmt::format("{}: {} is missing", step, what)};
        return words[at++];
    };
    const auto number = [&](const std::string& step, std::string_view what) {
        const std::string& word = next(step, what);
        const std::optional<std::uint64_t> value = parse_number(word);
        if (!value) throw usage_error{fmt::format("{}: {} is not a number: {}", step, what, word)};
        return *value;
    };
    const auto region = [&](const std::string& step) {
        const std::string& word = next(step, "REGION");
        for (std::uint32_t i = 0; i < fixed_regions; ++i)
            if (region_names[i] == word) return region_index{i};
        const std::optional<std::uint64_t> value = parse_number(word);
        if (!value || *value > 0xffff'ffff) throw usage_error{fmt::format("{}: no region {}", step, word)};
        return region_index{static_cast<std::uint32_t>(*value)};
    };

    const auto value_of = [&](const std::string& step, client_step& of, bool written) {
        const std::uint64_t width = number(step, "WIDTH");
        if (width != 1 && width != 2 && width != 4 && width != 8)
            throw usage_error{fmt::format("{}: WIDTH is 1, 2, 4 or 8 bytes, not {}", step, width)};
        of.width = static_cast<unsigned>(width);
        if (!written) return;
        of.value = number(step, "VALUE");
        if ((of.value & ~low_bytes(of.width)) != 0)
            throw usage_error{fmt::format("{}: {:#x} has more than {} bytes", step, of.value, of.width)};
    };
    constexpr std::uint64_t most_memory = 1u << 30;

    using action = client_step::action;
    std::vector<client_step> steps;
    while (at < words.size()) {
        const std::string& word = words[at++];
        client_step step;
        if (word == "info" || word == "reset") {
            step.what = word == "info" ? action::info : action::reset;
        } else if (word == "read" || word == "write") {
            step.what = word == "read" ? action::read : action::write;
            step.region = region(word);
            step.offset = number(word, "OFFSET");
            value_of(word, step, step.what == action::write);
        } else if (word == "get" || word == "put") {
            step.what = word == "get" ? action::get : action::put;
            step.offset = number(word, "IOVA");
            value_of(word, step, step.what == action::put);
        } else if (word == "memory") {
            step.what = action::memory;
            step.offset = number(word, "IOVA");
            step.value = number(word, "BYTES");
            if (step.value == 0 || step.value > most_memory)
                throw usage_error{fmt::format("memory: BYTES is from 1 to {:#x}, not {:#x}", most_memory, step.value)};
        } else if (word == "serve") {
            step.what = action::serve;
            step.count = number(word, "COUNT");
            step.value = number(word, "MILLISECONDS");
            if (step.value > 3'600'000) throw usage_error{"serve: MILLISECONDS is an hour at most"};
        } else {
            throw usage_error{word + ": not info, read, write, reset, memory, put, get or serve"};
        }
        steps.push_back(step);
    }
    return steps;
}

/// A vfio-user client that does some steps in one connection, as policies begin afresh with each.
class client_session {
public:
    /// `twin_socket`: asks for the device's DMA on a socket of its own.
    client_session(const std::string& socket, bool twin_socket, std::ostream& out) : out_{out} {
        auto connected = vfio_user::client::connect(socket);
        if (!connected) fail(socket, connected.error());
        client_ = std::move(*connected);
        check(socket, client_.set_timeout(std::chrono::seconds{10}));
        const auto agreed = client_.negotiate({.max_msg_fds = 16, .twin_socket = twin_socket});
        if (!agreed) fail(socket, agreed.error());
    }

    void run(const client_step& step) {
        using action = client_step::action;
        switch (step.what) {
        case action::info: return info();
        case action::read: return read(step);
        case action::write: return write(step);
        case action::memory: return map(step);
        case action::get:
        case action::put: return own(step);
        case action::serve: return serve(step);
        case action::reset: break;
        }
        check("reset", client_.reset());
        fmt::print(out_, "reset\n");
    }

private:
    void info() {
        const auto device = client_.device_info();
        if (!device) fail("info", device.error());
        fmt::print(out_, "device  {} regions, {} interrupt kinds, {}\n", device->regions, device->irqs,
                   device->can_reset ? "can be reset" : "cannot be reset");
        for (std::uint32_t i = 0; i < device->regions; ++i) {
            const auto region = client_.region_info(region_index{i});
            if (!region) fail("info of " + region_text(region_index{i}), region.error());
            if (region->info.size == 0) continue;
            std::string areas;
            for (const range& area : region->areas)
                areas += fmt::format("{}{:#x}-{:#x}", areas.empty() ? "  mappable " : ", ", area.offset,
                                     area.end() - 1);
            fmt::print(out_, "region  {:<6} {:#010x} bytes  {}{}{}\n", region_text(region_index{i}), region->info.size,
                       has(region->info.flags, region_flags::read) ? 'r' : '-',
                       has(region->info.flags, region_flags::write) ? 'w' : '-', areas);
        }
        for (std::uint32_t i = 0; i < device->irqs; ++i) {
            const auto irq = client_.irq_info(irq_index{i});
            if (!irq) continue; // some kinds do not answer where the device has none
            if (irq->count != 0)
                fmt::print(out_, "irq     {:<6} vectors: {}\n",
                           i < fixed_irqs ? std::string{irq_names[i]} : std::to_string(i), irq->count);
        }
    }

    void read(const client_step& step) {
        std::array<std::byte, 8> bytes{};
        const std::span<std::byte> wanted{bytes.data(), step.width};
        const answer done = client_.read({step.region, step.offset, wanted});
        if (done.count != step.width) fail(step.text(), done.error, done.count);
        fmt::print(out_, "{} {:#0{}x}\n", step.text(), load_little(wanted), 2 + 2 * step.width);
    }

    void write(const client_step& step) {
        std::array<std::byte, 8> bytes{};
        const std::span<std::byte> all{bytes.data(), step.width};
        store_little(all, step.value);
        const answer done = client_.write({step.region, step.offset, all});
        if (done.count != step.width) fail(step.text(), done.error, done.count);
        fmt::print(out_, "{}\n", step.text());
    }

    /// Memory of this process, of zeros, which is not shared: the device's DMA comes by messages.
    void map(const client_step& step) {
        memory_.emplace_back(step.offset, std::vector<std::byte>(static_cast<std::size_t>(step.value)));
        check(step.text(), client_.map_dma(step.offset, memory_.back().second));
        fmt::print(out_, "{}\n", step.text());
    }

    void own(const client_step& step) {
        for (auto& [iova, bytes] : memory_) {
            if (step.offset < iova || !fits(step.offset - iova, step.width, bytes.size())) continue;
            const auto all = std::span{bytes}.subspan(static_cast<std::size_t>(step.offset - iova), step.width);
            if (step.what == client_step::action::put) {
                store_little(all, step.value);
                return fmt::print(out_, "{}\n", step.text());
            }
            return fmt::print(out_, "{} {:#0{}x}\n", step.text(), load_little(all), 2 + 2 * step.width);
        }
        throw command_error{step.text() + ": no memory was given to the device there"};
    }

    void serve(const client_step& step) {
        const auto& memory = client_.memory();
        const std::uint64_t reads = memory.reads();
        const std::uint64_t writes = memory.writes();
        const auto served = [&] { return memory.reads() - reads + (memory.writes() - writes); };
        check(step.text(),
              client_.serve_dma(std::chrono::milliseconds{step.value}, [&] { return served() >= step.count; }));
        if (served() < step.count) throw command_error{fmt::format("{}: the device asked {} times", step.text(), served())};
        fmt::print(out_, "{}: reads {}, writes {}\n", step.text(), memory.reads() - reads, memory.writes() - writes);
    }

    static void check(const std::string& what, result<void> done) {
        if (!done) fail(what, done.error());
    }
    [[noreturn]] static void fail(const std::string& what, error why, std::uint64_t count = 0) {
        if (why == error::none) throw command_error{fmt::format("{}: only {} bytes were done", what, count)};
        throw command_error{fmt::format("{}: {} (errno {})", what, std::strerror(to_errno(why)), to_errno(why))};
    }

    std::ostream& out_;
    std::vector<std::pair<std::uint64_t, std::vector<std::byte>>> memory_; // by I/O address
    vfio_user::client client_;
};

/// Connects to a vfio-user server and does what the words say, a line each.
inline exit_code run_client(const std::string& socket, bool twin_socket, std::span<const std::string> words,
                            std::ostream& out) {
    const std::vector<client_step> steps = parse_steps(words);
    client_session session{socket, twin_socket, out};
    for (const client_step& step : steps) {
        session.run(step);
        out.flush();
    }
    return success;
}

} // namespace mediant::command_line
