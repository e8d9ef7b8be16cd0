// SPDX-License-Identifier: BSD-3-Clause
// The hooks of a migration, on every way from every state to every other, and with each of them failing in turn.
#include "policies.hpp"

#include <catch2/catch.hpp>

#include <set>

using namespace mediant;
using namespace mediant::test;
using enum migration_state;

namespace {

/// How far each party is stopped, as its hooks were called, and which call fails.
struct journal {
    std::array<int, 2> level{};
    int calls = 0;
    int fails_at = -1;
    int fails_also_at = -1;
    std::vector<std::string> said;
    std::vector<std::byte> bytes; ///< of the device's own
    std::vector<std::byte> taken;
    bool accepts = true;
    int saves_left = 1000;

    result<void> change(std::size_t party, int from, int to, const char* name) {
        said.push_back(std::string{name} + std::to_string(party));
        CHECK(level[party] == from);
        const int now = calls++;
        if (now == fails_at || now == fails_also_at) return error::io;
        level[party] = to;
        return {};
    }
};
journal* now = nullptr;

template <std::size_t Party>
struct hooked {
    static constexpr auto info = provider{Party == 0 ? "outer" : "inner", {pci_id{0x1234, 0x11e8}}};
    static constexpr auto migration() { return saved_state{1}; }
    result<void> quiesce(auto&) noexcept { return now->change(Party, 1, 2, "stop"); }
    result<void> resume(auto&) noexcept { return now->change(Party, 2, 1, "go"); }
    result<void> quiesce_p2p(auto&) noexcept { return now->change(Party, 0, 1, "stop_p2p"); }
    result<void> resume_p2p(auto&) noexcept { return now->change(Party, 1, 0, "go_p2p"); }
};
struct fetching : hooked<1> {
    result<std::size_t> save(std::uint64_t offset, std::span<std::byte> to, auto&) noexcept {
        if (now->saves_left-- == 0) return error::io;
        const auto size = std::min(to.size(), now->bytes.size() - static_cast<std::size_t>(offset));
        std::copy_n(now->bytes.data() + offset, size, to.data());
        return size;
    }
    result<void> restore(std::uint64_t offset, std::span<const std::byte> from, auto&) noexcept {
        CHECK(offset == now->taken.size());
        now->taken.insert(now->taken.end(), from.begin(), from.end());
        return {};
    }
    result<void> restored(auto&) noexcept { return now->accepts ? result<void>{} : error::invalid; }
};
static_assert(valid<hooked<0>> && valid<fetching>);

/// A device that does not say what its state is: the policy fetches it.
struct silent : device::simulated<silent> {
    silent() : simulated{device::pci_function{.id = {0x1234, 0x11e8, 1, 2, 0}, .bar_sizes = {4096}}, 4} {}
    std::uint64_t bar_load(std::uint32_t, std::uint64_t, unsigned) { return 0; }
    void bar_store(std::uint32_t, std::uint64_t, unsigned, std::uint64_t) {}
};

using device_stack = stack<silent, hooked<0>, fetching>;
static_assert(device_stack::migrates);
static_assert(device_stack::migration_flags() ==
              (migrates_by_stop_copy | migrates_with_p2p | migrates_with_pre_copy));
// Nobody fetches the device's state, or a policy has state and does not say which.
static_assert(!stack<silent, hooked<0>>::migrates);
static_assert(!stack<silent>::migrates);
static_assert(stack<device::edu>::migrates);
struct forgetful {
    static constexpr auto info = provider{"forgetful", {pci_id{0x1234, 0x11e8}}};
    int state = 0;
};
static_assert(!stack<device::edu, forgetful>::migrates);

int level_of(migration_state state) {
    if (state == running || state == pre_copy) return 0;
    return state == running_p2p || state == pre_copy_p2p ? 1 : 2;
}

struct machine {
    journal log;
    silent below;
    device_stack device{below};
    machine() {
        now = &log;
        REQUIRE(device.open());
    }

    /// Where a resuming device is to be left, there must be a stream.
    bool lead(migration_state to) {
        if (device.migration() == resuming && to != resuming) {
            machine other;
            const auto stream = save(other.device);
            now = &log;
            if (!device.write_migration(stream)) return false;
        }
        return static_cast<bool>(device.migrate(to));
    }
    bool consistent() const {
        const int level = level_of(device.migration());
        return log.level == std::array{level, level};
    }
};

constexpr std::array states{stop, running, stop_copy, resuming, running_p2p, pre_copy, pre_copy_p2p};

} // namespace

TEST_CASE("migration: from every state to every other, with all parties at one level") {
    for (const migration_state from : states)
        for (const migration_state to : states) {
            machine at;
            REQUIRE(at.lead(from));
            REQUIRE(at.consistent());
            at.log.said.clear();
            const bool led = at.lead(to);
            CHECK(led == !(from == stop_copy && (to == pre_copy || to == pre_copy_p2p)));
            CHECK(at.device.migration() == (led ? to : from));
            CHECK(at.consistent());
        }
}

TEST_CASE("migration: policies stop before what is below them, and go on after it") {
    machine at;
    REQUIRE(at.lead(stop));
    CHECK(at.log.said == std::vector<std::string>{"stop_p2p0", "stop_p2p1", "stop0", "stop1"});
    at.log.said.clear();
    REQUIRE(at.lead(running));
    CHECK(at.log.said == std::vector<std::string>{"go1", "go0", "go_p2p1", "go_p2p0"});
}

TEST_CASE("migration: a hook that fails leaves the device in a state that it has") {
    for (const migration_state from : states)
        for (const migration_state to : states)
            for (int fails = 0; fails < 8; ++fails) {
                machine at;
                REQUIRE(at.lead(from));
                at.log.calls = 0;
                at.log.fails_at = fails;
                const bool led = at.lead(to);
                CHECK(at.consistent());
                if (at.log.calls > fails) {
                    CHECK_FALSE(led);
                    CHECK(at.device.migration() != to);
                    // It can be tried again.
                    at.log.fails_at = -1;
                    CHECK(at.lead(to));
                    CHECK(at.consistent());
                }
            }
}

TEST_CASE("migration: what can be neither done nor undone is an error, and a reset its end") {
    machine at;
    at.log.fails_at = 1;      // the inner one does not stop
    at.log.fails_also_at = 2; // and the outer one does not go on
    CHECK(at.device.migrate(stop).error() == mediant::error::io);
    CHECK(at.device.migration() == migration_state::error);
    for (const migration_state to : states) CHECK(at.device.migrate(to).error() == mediant::error::invalid);
    REQUIRE(at.device.ioctl(reset_device{}));
    CHECK(at.device.migration() == running);
}

TEST_CASE("migration: a device's own bytes pass in pieces, from any offset on") {
    for (const std::size_t size : {0u, 1u, 4091u, 4092u, 4093u, 100'000u}) {
        machine at;
        for (std::size_t i = 0; i < size; ++i) at.log.bytes.push_back(static_cast<std::byte>(i * 7 + i / 251));
        const auto stream = save(at.device);
        CHECK(stream.size() >= size);
        machine to;
        REQUIRE(restore(to.device, stream, 999)); // whose journal it is now
        CHECK(to.log.taken == at.log.bytes);
    }
}

TEST_CASE("migration: the policy's own check is the last word") {
    machine source;
    source.log.bytes.resize(10);
    const auto stream = save(source.device);
    machine at;
    at.log.accepts = false;
    CHECK_FALSE(restore(at.device, stream));
    CHECK(at.device.migration() == migration_state::error);
    CHECK(at.device.migration_report().what == stream_fault::refused);
    CHECK(at.device.migration_report().party == "inner");
}

TEST_CASE("migration: a stopped device does nothing by itself") {
    device::edu edu;
    stack<device::edu> device{edu};
    REQUIRE(device.open());
    put(device, 0x08, 5);
    REQUIRE(device.deadline());
    REQUIRE(device.migrate(stop));
    CHECK_FALSE(device.deadline());
    device.advance(1'000'000'000);
    std::byte bytes[4]{};
    REQUIRE(device.read({region_index::bar0, 0x20, bytes}).count == 4);
    CHECK(bytes[0] == std::byte{1}); // still busy
    REQUIRE(device.migrate(running));
    device.advance(1'000'000'000);
    REQUIRE(device.read({region_index::bar0, 0x08, bytes}).count == 4);
    CHECK(bytes[0] == std::byte{120});
}

TEST_CASE("migration: a stream of which a part could not be saved has no more") {
    machine at;
    at.log.bytes.resize(20'000);
    at.log.saves_left = 2;
    REQUIRE(at.device.migrate(stop_copy));
    std::vector<std::byte> all(100'000);
    CHECK(at.device.read_migration(all).error() == mediant::error::io); // and what it had so far is lost
    at.log.saves_left = 1000;
    CHECK(at.device.read_migration(all).error() == mediant::error::io);
    REQUIRE(at.device.migrate(stop));
    CHECK(save(at.device).size() > 20'000); // from the beginning again
}

TEST_CASE("migration: a chunk of the device's own bytes that is missing, or comes twice, is refused") {
    machine source;
    source.log.bytes.resize(10'000, std::byte{7});
    const auto stream = save(source.device);
    std::vector<std::size_t> chunks; // where the device's own begin
    for (std::size_t at = 0; at < stream.size();) {
        if (detail::load_bytes<std::uint32_t>(stream.data() + at) == static_cast<std::uint32_t>(chunk::device))
            chunks.push_back(at);
        at += detail::load_bytes<std::uint32_t>(stream.data() + at + 4) + chunk_overhead;
    }
    REQUIRE(chunks.size() == 3);
    const auto place = [&](std::size_t i) { return stream.begin() + static_cast<std::ptrdiff_t>(chunks[i]); };
    std::vector<std::byte> without(stream.begin(), place(1)), twice(stream.begin(), place(1));
    without.insert(without.end(), place(2), stream.end());
    twice.insert(twice.end(), place(0), stream.end());
    for (const auto& bad : {without, twice}) {
        machine target;
        CHECK_FALSE(restore(target.device, bad));
        CHECK(target.device.migration_report().what == stream_fault::order);
        CHECK(target.device.migration_report().party == "inner");
    }
}
