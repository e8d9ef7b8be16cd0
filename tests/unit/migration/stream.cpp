// SPDX-License-Identifier: BSD-3-Clause
// What is saved is restored; what is not a whole, undamaged stream of the same device and policies is refused, and
// leaves nothing behind.
#include "policies.hpp"

#include <catch2/catch.hpp>

using namespace mediant;
using namespace mediant::test;

namespace {

using device_stack = stack<device::edu, bystander, keeper>;

struct machine {
    device::edu edu;
    device_stack device{edu};
    machine() { REQUIRE(device.open()); }
};

template <class... Policies>
std::vector<std::byte> stream_of() {
    device::edu edu;
    stack<device::edu, Policies...> device{edu};
    REQUIRE(device.open());
    return save(device);
}

} // namespace

TEST_CASE("migration: CRC-32C is that of RFC 3720") {
    std::array<std::byte, 32> bytes{};
    CHECK(crc32c(bytes) == 0x8a91'36aa);
    bytes.fill(std::byte{0xff});
    CHECK(crc32c(bytes) == 0x62a8'ab43);
    for (unsigned i = 0; i < 32; ++i) bytes[i] = static_cast<std::byte>(i);
    CHECK(crc32c(bytes) == 0x46dd'794e);
    CHECK(crc32c(std::span{bytes}.last(20), crc32c(std::span{bytes}.first(12))) == 0x46dd'794e);
}

TEST_CASE("migration: a device is the same in another place, however its stream is cut") {
    machine source;
    use(source.device);
    const auto before = looks(source.device);
    const auto stream = save(source.device);
    CHECK(looks(source.device) == before); // and still in the first
    CHECK(stream.size() == *device_stack::migration_size());
    for (const std::size_t piece : {std::size_t{1}, std::size_t{2}, std::size_t{13}, std::size_t{4096}, stream.size()}) {
        machine target;
        use(target.device, 1000);
        REQUIRE(looks(target.device) != before);
        REQUIRE(restore(target.device, stream, piece));
        CHECK(target.device.migration() == migration_state::running);
        CHECK(looks(target.device) == before);
        // It goes on as the first would: what was written once stays, what is counted goes on from there.
        for (auto* const each : {&source.device, &target.device}) put(*each, 0x44, ~0u), put(*each, 0x60, 9);
        CHECK(looks(target.device) == looks(source.device));
        machine anew;
        REQUIRE(restore(anew.device, stream));
        REQUIRE(restore(source.device, stream)); // also where it came from
    }
}

TEST_CASE("migration: a stream that is cut, damaged or goes on is refused at every byte, and leaves nothing") {
    machine source;
    use(source.device);
    const auto stream = save(source.device);
    machine fresh;
    const auto untouched = looks(fresh.device);

    const auto refused = [&](const std::vector<std::byte>& bad, stream_fault expected) {
        machine target;
        if (restore(target.device, bad)) return false;
        if (target.device.migration() != migration_state::error) return false;
        const auto what = target.device.migration_report().what;
        if (expected != stream_fault::none && what != expected) return false;
        // Only a reset leads out, and it is as if there had been no stream.
        if (target.device.migrate(migration_state::running).error() != error::invalid) return false;
        if (target.device.migrate(migration_state::resuming)) return false;
        if (!target.device.ioctl(reset_device{})) return false;
        if (target.device.migration() != migration_state::running) return false;
        auto seen = looks(target.device);
        for (const std::size_t i : {4u, 5u, 6u, 7u, 8u, 9u, 10u, 11u, 12u, 13u}) // the policy's
            if (seen[i] != untouched[i]) return false;
        return restore(target.device, stream);
    };

    std::size_t bad = 0;
    for (std::size_t size = 0; size < stream.size(); ++size)
        bad += refused({stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(size)}, stream_fault::cut) ? 0 : 1;
    CHECK(bad == 0);
    for (std::size_t at = 0; at < stream.size(); ++at)
        for (const unsigned bit : {0u, 3u, 7u}) {
            auto damaged = stream;
            damaged[at] ^= static_cast<std::byte>(1u << bit);
            bad += refused(damaged, stream_fault::none) ? 0 : 1;
        }
    CHECK(bad == 0);
    for (const std::size_t more : {1u, 12u, 5000u}) {
        auto longer = stream;
        longer.resize(stream.size() + more);
        CHECK(refused(longer, stream_fault::extended));
    }
    auto twice = stream;
    twice.insert(twice.end(), stream.begin(), stream.end());
    CHECK(refused(twice, stream_fault::extended));
}

TEST_CASE("migration: a stream of something else is refused, and the report says of what") {
    const auto refused = [](std::vector<std::byte> stream) {
        machine target;
        CHECK_FALSE(restore(target.device, stream));
        return target.device.migration_report();
    };
    CHECK(refused(stream_of<keeper, bystander>()).what == stream_fault::other_party);
    CHECK(refused(stream_of<keeper>()).what == stream_fault::other_party);
    CHECK(refused(stream_of<bystander>()).what == stream_fault::other_party);
    CHECK(refused(std::vector<std::byte>(4000)).what == stream_fault::no_stream);
    CHECK(refused(std::vector<std::byte>(4000, std::byte{0xff})).what == stream_fault::too_long);

    const auto good = stream_of<bystander, keeper>();
    const auto with = [&](std::size_t at, std::byte value) {
        auto out = good;
        out[at] = value;
        mend(out);
        return refused(out);
    };
    CHECK(with(chunk_head, std::byte{'x'}).what == stream_fault::no_stream);
    CHECK(with(chunk_head + 8, std::byte{2}).what == stream_fault::format);
    CHECK(with(chunk_head + 12, std::byte{1}).what == stream_fault::other_device);
    CHECK(with(0, std::byte{2}).what == stream_fault::no_stream);
    // The keeper's version, behind its name and before "device".
    const std::size_t keeper_at = chunk_head + 24 + 1 + 9 + 4;
    const auto newer = with(keeper_at + 1 + 6, std::byte{2});
    CHECK(newer.what == stream_fault::version);
    CHECK(newer.party == "keeper");
    CHECK(with(keeper_at + 1, std::byte{'x'}).what == stream_fault::other_party);
}

TEST_CASE("migration: values that a field cannot have are refused before anything is taken") {
    machine source;
    use(source.device);
    const auto good = save(source.device);
    const auto find = [&](std::string_view name) {
        const auto at = std::search(good.begin(), good.end(), name.begin(), name.end(),
                                    [](std::byte a, char b) { return static_cast<char>(a) == b; });
        REQUIRE(at != good.end());
        return static_cast<std::size_t>(at - good.begin()) + name.size() + 4;
    };
    const auto refused = [&](std::string_view name, std::size_t more, std::uint8_t value, stream_fault expected,
                             std::string_view where) {
        auto bad = good;
        bad[find(name) + more] = static_cast<std::byte>(value);
        mend(bad);
        machine target;
        use(target.device, 3);
        CHECK_FALSE(restore(target.device, bad));
        CHECK(target.device.migration_report().what == expected);
        CHECK(target.device.migration_report().party == "keeper");
        CHECK(target.device.migration_report().field == where);
    };
    refused("flag", 0, 2, stream_fault::bounds, "flag");
    refused("how", 0, 3, stream_fault::bounds, "how");
    refused("balance", 3, 0x80, stream_fault::bounds, "balance");
    refused("history", static_cast<std::size_t>(-4), 4, stream_fault::size, "history");
    refused("TABLE", static_cast<std::size_t>(-4), 4, stream_fault::size, "TABLE");
    refused("ONCE", static_cast<std::size_t>(-5), 'X', stream_fault::missing, "ONCE");
}

TEST_CASE("migration: ahead of its end a stream tells who it is for, and nothing that can change") {
    machine source;
    use(source.device);
    REQUIRE(source.device.migrate(migration_state::pre_copy));
    auto stream = rest_of_stream(source.device);
    CHECK(stream.size() > 40);
    CHECK(rest_of_stream(source.device).empty());
    use(source.device, 99); // it runs
    const auto before = looks(source.device);
    REQUIRE(source.device.migrate(migration_state::stop_copy));
    const auto rest = rest_of_stream(source.device);
    stream.insert(stream.end(), rest.begin(), rest.end());
    machine target;
    REQUIRE(restore(target.device, stream));
    CHECK(looks(target.device) == before);
    // Who turns back begins anew.
    REQUIRE(source.device.migrate(migration_state::running));
    REQUIRE(source.device.migrate(migration_state::pre_copy));
    static_cast<void>(rest_of_stream(source.device));
    REQUIRE(source.device.migrate(migration_state::running));
    CHECK(save(source.device).size() == stream.size());
}

TEST_CASE("migration: data is read and written in its states only") {
    machine at;
    std::array<std::byte, 16> bytes{};
    for (const auto state : {migration_state::running, migration_state::stop, migration_state::resuming}) {
        REQUIRE(at.device.migrate(state == migration_state::resuming ? migration_state::stop : state));
        if (state == migration_state::resuming) REQUIRE(at.device.migrate(state));
        CHECK(at.device.read_migration(bytes).error() == error::invalid);
        if (state != migration_state::resuming) CHECK(at.device.write_migration(bytes).error() == error::invalid);
    }
    at.device.reset();
    REQUIRE(at.device.migrate(migration_state::stop_copy));
    CHECK(at.device.write_migration(bytes).error() == error::invalid);
    CHECK(at.device.read_migration(bytes));
    REQUIRE(at.device.migrate(migration_state::stop)); // ends the stream
    CHECK(at.device.read_migration(bytes).error() == error::invalid);
}

TEST_CASE("migration: who opens next finds a running device") {
    machine at;
    REQUIRE(at.device.migrate(migration_state::resuming));
    at.device.release();
    REQUIRE(at.device.open());
    CHECK(at.device.migration() == migration_state::running);
}

namespace {

/// Finds out at open what it may be given, and has its say on what comes.
struct opened {
    static constexpr auto info = provider{"opened", {pci_id{0x1234, 0x11e8}}};
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"LIMIT", 0x60, rw, {.hook = on::read | on::write}}};
    static constexpr auto regions = mediant::regions<bar0>{};
    static constexpr auto migration() {
        return saved_state{1, saved{"limit", &opened::limit}, saved{"words", &opened::words}};
    }
    result<void> open(auto&) noexcept {
        limit = 5;
        return {};
    }
    result<std::uint32_t> read(at<bar0, "LIMIT">, auto&) noexcept { return limit; }
    result<void> write(at<bar0, "LIMIT">, std::uint32_t value, auto&) noexcept {
        limit = value;
        return {};
    }
    result<void> restored(auto&) noexcept { return limit < 1000 ? result<void>{} : error::invalid; }

    std::uint32_t limit = 0;
    std::uint16_t words[2][3]{}; // arrays of C, too
};
static_assert(valid<opened>);

} // namespace

TEST_CASE("migration: a reset while a stream comes, or after it was refused, leaves nothing of it") {
    const auto limit_of = [](auto& device) {
        std::byte bytes[4]{};
        REQUIRE(device.read({region_index::bar0, 0x60, bytes}).count == 4);
        return detail::load_bytes<std::uint32_t>(bytes);
    };
    device::edu there, here;
    stack<device::edu, opened> source{there}, target{here};
    REQUIRE(source.open());
    REQUIRE(target.open());
    put(source, 0x60, 2000); // which the check of no target takes
    const auto stream = save(source);
    // All but its end has come, and the policy's own check is still to come.
    REQUIRE(target.migrate(migration_state::resuming));
    REQUIRE(target.write_migration(std::span{stream}.first(stream.size() - chunk_overhead)));
    REQUIRE(target.ioctl(reset_device{}));
    CHECK(target.migration() == migration_state::running);
    CHECK(limit_of(target) == 5); // as open() found it
    CHECK_FALSE(restore(target, stream));
    CHECK(target.migration_report().what == stream_fault::refused);
    CHECK(limit_of(target) == 5);
    REQUIRE(target.ioctl(reset_device{}));
    CHECK(limit_of(target) == 5);
    put(source, 0x60, 700);
    REQUIRE(restore(target, save(source)));
    CHECK(limit_of(target) == 700);
}
