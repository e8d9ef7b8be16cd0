// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/device/edu.hpp>
#include <mediant/mediant.hpp>
#include <mediant/provider/stack.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

/// Policies with every kind of state, and what the tests of migration do with stacks of them.
namespace mediant::test {

enum class mode : std::uint8_t { idle, fast, slow };

struct keeper {
    static constexpr auto info = provider{"keeper", {pci_id{0x1234, 0x11e8}}};
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB,
        reg{"SCRATCH", 0x40, rw, {.backing = from::shadow, .value = 0x11}},
        reg{"ONCE",    0x44, w1, {.backing = from::shadow}},
        reg{"EVENTS",  0x48, w1c, {.backing = from::shadow, .count = 4}},
        block{"TABLE", 0x100, 0x40, {.backing = from::shadow}},
        reg{"POKE",    0x60, rw, {.hook = on::read | on::write}}};
    static constexpr auto regions = mediant::regions<bar0>{};

    result<std::uint32_t> read(at<bar0, "POKE">, auto&) noexcept { return static_cast<std::uint32_t>(total); }
    result<void> write(at<bar0, "POKE">, std::uint32_t value, auto& next) noexcept {
        total += value;
        flag = value % 2 != 0;
        how = static_cast<mode>(value % 3);
        balance -= static_cast<std::int32_t>(value);
        history[value % 4][value % 2] = static_cast<std::uint16_t>(value);
        next.assign(at<bar0, "EVENTS">{}, value % 4, value);
        return {};
    }

    static constexpr auto migration() {
        return saved_state{1,
            saved{"total", &keeper::total},
            saved{"flag", &keeper::flag},
            saved{"how", &keeper::how, {.most = 2}},
            saved{"balance", &keeper::balance, {.least = -1'000'000}},
            saved{"history", &keeper::history},
            saved_registers<bar0>{}};
    }

    std::uint64_t total = 0;
    bool flag = false;
    mode how = mode::idle;
    std::int32_t balance = 0;
    std::array<std::array<std::uint16_t, 2>, 4> history{};
};
static_assert(valid<keeper>);

/// Without state of its own: in every stream by its name.
struct bystander {
    static constexpr auto info = provider{"bystander", {pci_id{0x1234, 0x11e8}}};
};
static_assert(valid<bystander>);

/// All that a device would be read by.
inline constexpr std::array<std::uint64_t, 14> places{0x00, 0x04, 0x08, 0x20, 0x40, 0x44, 0x48,
                                                      0x4c, 0x50, 0x54, 0x60, 0x100, 0x120, 0x13c};
template <class Stack>
[[nodiscard]] std::vector<std::uint32_t> looks(Stack& device) {
    std::vector<std::uint32_t> out;
    for (const std::uint64_t offset : places) {
        std::byte bytes[4]{};
        static_cast<void>(device.read({region_index::bar0, offset, bytes}));
        out.push_back(detail::load_bytes<std::uint32_t>(bytes));
    }
    return out;
}
template <class Stack>
void put(Stack& device, std::uint64_t offset, std::uint32_t value) {
    std::byte bytes[4]{};
    detail::store_bytes(bytes, value);
    static_cast<void>(device.write({region_index::bar0, offset, bytes}));
}
template <class Stack>
void use(Stack& device, std::uint32_t seed = 7) {
    put(device, 0x04, 0x1234'0000 + seed);
    for (std::uint32_t i = 0; i < 5; ++i) put(device, 0x60, seed + i);
    put(device, 0x40, 0xcafe'0000 + seed);
    put(device, 0x44, 0x00ff'0000 + seed);
    put(device, 0x48, 1);
    put(device, 0x120, ~seed);
}

/// The rest of the stream, in pieces of a size.
template <class Stack>
[[nodiscard]] std::vector<std::byte> rest_of_stream(Stack& device, std::size_t piece = 7) {
    std::vector<std::byte> out;
    for (;;) {
        std::vector<std::byte> part(piece);
        const auto came = device.read_migration(part);
        if (!came) return {};
        out.insert(out.end(), part.begin(), part.begin() + static_cast<std::ptrdiff_t>(*came));
        if (*came < piece) return out;
    }
}
template <class Stack>
[[nodiscard]] std::vector<std::byte> save(Stack& device) {
    if (!device.migrate(migration_state::stop_copy)) return {};
    auto out = rest_of_stream(device);
    static_cast<void>(device.migrate(migration_state::running));
    return out;
}
/// Whether all was taken; the device then runs.
template <class Stack>
[[nodiscard]] bool restore(Stack& device, std::span<const std::byte> stream, std::size_t piece = 11) {
    if (!device.migrate(migration_state::resuming)) return false;
    bool taken = true;
    while (!stream.empty() && taken) {
        const auto part = stream.first(std::min(piece, stream.size()));
        taken = static_cast<bool>(device.write_migration(part));
        stream = stream.subspan(part.size());
    }
    const bool led = static_cast<bool>(device.migrate(migration_state::running));
    return taken && led;
}

/// A chunk's checksum made right again.
inline void mend(std::vector<std::byte>& stream) {
    for (std::size_t at = 0; at + chunk_overhead <= stream.size();) {
        const std::size_t size = detail::load_bytes<std::uint32_t>(stream.data() + at + 4);
        if (size > stream.size() - at - chunk_overhead) return;
        detail::store_bytes(stream.data() + at + chunk_head + size,
                            crc32c(std::span{stream}.subspan(at, chunk_head + size)));
        at += size + chunk_overhead;
    }
}

} // namespace mediant::test
