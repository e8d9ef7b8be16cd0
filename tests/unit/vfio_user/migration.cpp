// SPDX-License-Identifier: BSD-3-Clause
// MIG_DATA_READ, MIG_DATA_WRITE and the features of migration, with a device that migrates and one that does not:
// valid forms and malformed ones.
#include "messages.hpp"

#include <catch2/catch.hpp>

#include <cerrno>
#include <tuple>
#include <utility>

using namespace vfio_user_test;
using wire::command;

namespace {

/// Its state is the first bytes of BAR 1, and a mark.
class migrating : public fake_device {
public:
    static constexpr std::size_t size = 300'000;

    std::uint64_t flags = migrates_by_stop_copy | migrates_with_pre_copy;
    migration_state state = migration_state::running;
    std::vector<migration_state> asked;
    error fails = error::none;
    bytes stream;
    std::size_t at = 0;

    void release() {
        state = migration_state::running;
        stream.clear();
        fake_device::release();
    }
    [[nodiscard]] std::uint64_t migration_flags() const { return flags; }
    [[nodiscard]] migration_state migration() const { return state; }
    result<void> migrate(migration_state to) {
        asked.push_back(to);
        if (fails != error::none) return fails;
        if (saves(to) && !saves(state)) {
            stream.resize(size);
            const auto came = read({region_index::bar1, 0, stream});
            if (came.count != size) return error::io;
            at = 0;
        }
        if (to == migration_state::resuming) stream.clear();
        if (state == migration_state::resuming && to != state &&
            (stream.size() != size || write({region_index::bar1, 0, stream}).count != size)) {
            state = migration_state::error;
            return error::invalid;
        }
        state = to;
        return {};
    }
    result<std::size_t> read_migration(std::span<std::byte> to) {
        const std::size_t now = std::min(to.size(), stream.size() - at);
        std::copy_n(stream.begin() + static_cast<std::ptrdiff_t>(at), now, to.begin());
        at += now;
        return now;
    }
    result<void> write_migration(std::span<const std::byte> from) {
        if (stream.size() + from.size() > size) return error::no_space;
        stream.insert(stream.end(), from.begin(), from.end());
        return {};
    }
    result<std::uint64_t> migration_size() { return std::uint64_t{size}; }
};
static_assert(servable<migrating> && migratable<migrating> && !migratable<fake_device>);

using hand = by_hand_of<migrating>;

constexpr std::uint32_t get = VFIO_DEVICE_FEATURE_GET, set = VFIO_DEVICE_FEATURE_SET, probe = VFIO_DEVICE_FEATURE_PROBE;
constexpr std::uint32_t flags_of = VFIO_DEVICE_FEATURE_MIGRATION, state_of = VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE;
constexpr std::uint32_t size_of = wire::feature_migration_size;

template <class T>
bytes feature(std::uint32_t flags, const T& data, std::uint32_t argsz = 64) {
    return message_of(command::device_feature, wire::device_feature{argsz, flags}, std::as_bytes(std::span{&data, 1}));
}
bytes feature(std::uint32_t flags, std::uint32_t argsz = 64) {
    return message_of(command::device_feature, wire::device_feature{argsz, flags});
}
bytes state(std::uint32_t to) { return feature(set | state_of, wire::migration_state{to, -1}); }
bytes state(migration_state to) { return state(static_cast<std::uint32_t>(to)); }
bytes data_read(std::uint32_t size, std::uint32_t argsz) {
    return message_of(command::mig_data_read, wire::migration_data{argsz, size});
}
bytes data_read(std::uint32_t size) { return data_read(size, size + 8); }
bytes data_write(std::span<const std::byte> data, std::uint32_t size, std::uint32_t argsz = 8) {
    return message_of(command::mig_data_write, wire::migration_data{argsz, size}, data);
}
bytes data_write(std::span<const std::byte> data) { return data_write(data, static_cast<std::uint32_t>(data.size())); }

template <class T>
T payload_of(hand& at, const bytes& what, std::size_t skip = sizeof(wire::device_feature)) {
    const auto all = at.exchange(what);
    REQUIRE(all.size() == 1);
    REQUIRE(all[0].flags == wire::type_reply);
    REQUIRE(all[0].payload.size() == skip + sizeof(T));
    CHECK(wire::load<wire::device_feature>(all[0].payload).argsz == all[0].payload.size());
    return wire::load<T>(std::span{all[0].payload}.subspan(skip));
}
std::uint32_t state_now(hand& at) {
    return payload_of<wire::migration_state>(at, feature(get | state_of)).state;
}

} // namespace

TEST_CASE("vfio-user migration: VERSION says that a device migrates, and its dirty pages' size") {
    const auto said = [](auto& at) {
        const auto all = at.exchange(version(R"({"capabilities":{"migration":{"pgsize":65536}}})"));
        REQUIRE(all.size() == 1);
        REQUIRE(all[0].flags == wire::type_reply);
        const auto ours = parse_capabilities(std::span{all[0].payload}.subspan(sizeof(wire::version)));
        REQUIRE(ours);
        return ours->migration_pgsize;
    };
    hand able;
    CHECK(said(able) == 4096u);
    hand not_now;
    not_now.device.flags = 0;
    CHECK(said(not_now) == std::nullopt);
    by_hand plain;
    CHECK(said(plain) == std::nullopt);
}

TEST_CASE("vfio-user migration: what the other side says of it") {
    const auto of = [](const std::string& text) {
        const auto found = parse_capabilities(std::as_bytes(std::span{text.c_str(), text.size() + 1}));
        REQUIRE(found);
        return found->migration_pgsize;
    };
    CHECK(of("{}") == std::nullopt);
    CHECK(of(R"({"capabilities":{}})") == std::nullopt);
    CHECK(of(R"({"capabilities":{"migration":{"max_bitmap_size":268435456}}})") == 4096u);
    CHECK(of(R"({"capabilities":{"migration":{"pgsize":65536},"other":{"migration":{"pgsize":8192}}}})") == 65536u);
    CHECK(of(R"({"migration":{"pgsize":8192}})") == std::nullopt);
    std::array<char, capabilities_room> text{};
    const capabilities most{.max_msg_fds = 1024,
                            .max_data_xfer_size = ~0ull,
                            .max_dma_maps = ~0u,
                            .pgsizes = ~0ull,
                            .write_multiple = true,
                            .twin_socket = true,
                            .twin_fd_index = 1023,
                            .migration_pgsize = 1ull << 63};
    const auto size = write_capabilities(text, most);
    CHECK(size < text.size()); // all of it has room
    const auto read = parse_capabilities(std::as_bytes(std::span{text}.first(size)));
    REQUIRE(read);
    CHECK(*read == most);
}

TEST_CASE("vfio-user migration: a device that has none of it says so") {
    by_hand plain;
    plain.negotiate();
    hand not_this;
    not_this.device.flags = 0;
    not_this.negotiate();
    const auto check = [](auto& at) {
        for (const std::uint32_t which : {flags_of, state_of, size_of}) {
            CHECK(at.error_of(feature(probe | which)) == ENOTTY);
            CHECK(at.error_of(feature(probe | get | which)) == ENOTTY);
            CHECK(at.error_of(feature(get | which)) == ENOTTY);
        }
        CHECK(at.error_of(state(1)) == ENOTTY);
        CHECK(at.error_of(data_read(16)) == ENOTTY);
        CHECK(at.error_of(data_write(bytes(16))) == ENOTTY);
        CHECK(at.alive());
    };
    check(plain);
    check(not_this);
    CHECK(not_this.device.asked.empty());
}

TEST_CASE("vfio-user migration: what a device can is found out") {
    hand at;
    at.negotiate();
    for (const auto& [flags, error] :
         {std::pair{flags_of, 0}, {get | flags_of, 0}, {set | flags_of, ENOTTY}, {get | set | flags_of, ENOTTY},
          {state_of, 0}, {get | state_of, 0}, {set | state_of, 0}, {get | set | state_of, 0},
          {size_of, 0}, {get | size_of, 0}, {set | size_of, ENOTTY}}) {
        const auto all = at.exchange(feature(probe | flags, 8u));
        REQUIRE(all.size() == 1);
        CHECK(all[0].error == static_cast<std::uint32_t>(error));
        if (error == 0) CHECK(wire::load<wire::device_feature>(all[0].payload).flags == (probe | flags));
    }
    CHECK(payload_of<wire::migration_flags>(at, feature(get | flags_of)).flags == 5);
    CHECK(payload_of<wire::migration_size>(at, feature(get | size_of)).stop_copy_length == migrating::size);
    const auto said = payload_of<wire::migration_state>(at, feature(get | state_of));
    CHECK(said.state == VFIO_DEVICE_STATE_RUNNING);
    CHECK(said.data_fd == -1);
    // Too little room: how much there must be.
    const auto all = at.exchange(feature(get | state_of, 15u));
    REQUIRE(all.size() == 1);
    REQUIRE(all[0].payload.size() == 8);
    CHECK(wire::load<wire::device_feature>(all[0].payload).argsz == 16);
    CHECK(at.device.asked.empty());
}

TEST_CASE("vfio-user migration: states are asked for") {
    hand at;
    at.negotiate();
    using enum migration_state;
    for (const auto to : {pre_copy, stop_copy, stop, resuming, running}) {
        if (to == running) at.device.stream.resize(migrating::size);
        CHECK(at.error_of(state(to)) == 0);
        CHECK(state_now(at) == static_cast<std::uint32_t>(to));
    }
    CHECK(at.device.asked == std::vector{pre_copy, stop_copy, stop, resuming, running});
    SECTION("those that there are") {
        // Error is nobody's wish, peers are not known, others there are not.
        for (const std::uint32_t no : {0u, 5u, 7u, 8u, 0xffffffffu}) CHECK(at.error_of(state(no)) == EINVAL);
        at.device.flags = migrates_by_stop_copy;
        CHECK(at.error_of(state(pre_copy)) == EINVAL);
        CHECK(at.device.asked.size() == 5);
    }
    SECTION("but for the one way that there is not") {
        CHECK(at.error_of(state(stop_copy)) == 0);
        CHECK(at.error_of(state(pre_copy)) == EINVAL);
        CHECK(state_now(at) == static_cast<std::uint32_t>(stop_copy));
    }
    SECTION("in messages of the right size") {
        CHECK(at.error_of(feature(set | state_of)) == EINVAL);
        CHECK(at.error_of(cut(state(stop), 31)) == EINVAL);
        CHECK(at.error_of(grown(state(stop), 4)) == EINVAL);
        CHECK(at.error_of(feature(get | set | state_of)) == EINVAL);
    }
    SECTION("a device may fail") {
        at.device.fails = error::busy;
        CHECK(at.error_of(state(stop)) == EBUSY);
    }
    CHECK(at.alive());
}

TEST_CASE("vfio-user migration: the stream goes from one device to another") {
    hand from;
    hand to;
    from.negotiate();
    to.negotiate();
    bytes content(migrating::size);
    for (std::size_t i = 0; i < content.size(); ++i) content[i] = static_cast<std::byte>(i * 31 + i / 1021);
    REQUIRE(from.device.write({region_index::bar1, 0, content}).count == content.size());

    REQUIRE(from.error_of(state(migration_state::stop_copy)) == 0);
    REQUIRE(to.error_of(state(migration_state::resuming)) == 0);
    constexpr std::uint32_t step = 40'000;
    int messages = 0;
    for (bool last = false; !last; ++messages) {
        const auto came = from.exchange(data_read(step));
        REQUIRE(came.size() == 1);
        REQUIRE(came[0].flags == wire::type_reply);
        const auto head = wire::load<wire::migration_data>(came[0].payload);
        CHECK(head.argsz == came[0].payload.size());
        CHECK(head.size == came[0].payload.size() - 8);
        last = head.size < step;
        CHECK(to.error_of(data_write(std::span{came[0].payload}.subspan(8))) == 0);
    }
    CHECK(messages == 8);
    CHECK(to.error_of(state(migration_state::running)) == 0);
    bytes back(migrating::size);
    CHECK(to.device.read({region_index::bar1, 0, back}).count == back.size());
    CHECK(back == content);

    // What is not whole fails, and a reset is not the wire's to make.
    CHECK(to.error_of(state(migration_state::resuming)) == 0);
    CHECK(to.error_of(data_write(std::span{content}.first(10))) == 0);
    CHECK(to.error_of(state(migration_state::running)) == EINVAL);
    CHECK(state_now(to) == static_cast<std::uint32_t>(migration_state::error));
    // A client that goes away amid it locks nobody out.
    to.connect();
    to.negotiate();
    CHECK(state_now(to) == static_cast<std::uint32_t>(migration_state::running));
}

TEST_CASE("vfio-user migration: messages of data, malformed or in a wrong state") {
    hand at;
    at.negotiate();
    const bytes some(16);
    for (const auto now : {migration_state::running, migration_state::stop}) {
        REQUIRE(at.error_of(state(now)) == 0);
        CHECK(at.error_of(data_read(16)) == EINVAL);
        CHECK(at.error_of(data_write(some)) == EINVAL);
    }
    REQUIRE(at.error_of(state(migration_state::stop_copy)) == 0);
    CHECK(at.error_of(data_write(some)) == EINVAL);
    CHECK(at.error_of(cut(data_read(16), 23)) == EINVAL);
    CHECK(at.error_of(cut(data_read(16), 16)) == EINVAL);
    CHECK(at.error_of(data_read(16, 7)) == EINVAL);
    CHECK(at.error_of(data_read(16, 23)) == EINVAL);
    CHECK(at.error_of(data_read((1 << 20) + 1)) == EINVAL);
    CHECK(at.error_of(data_read(0xffffffff, 0xffffffff)) == EINVAL);
    CHECK(at.error_of(data_read(0xffffffff, 7)) == EINVAL);
    CHECK(at.device.at == 0); // none of it was lost
    auto all = at.exchange(data_read(0));
    REQUIRE(all.size() == 1);
    CHECK(all[0].payload.size() == 8);
    all = at.exchange(data_read(16, 0xffffffff));
    REQUIRE(all.size() == 1);
    CHECK(all[0].payload.size() == 24);

    REQUIRE(at.error_of(state(migration_state::resuming)) == 0);
    CHECK(at.error_of(data_read(16)) == EINVAL);
    CHECK(at.error_of(cut(data_write({}, 0), 23)) == EINVAL);
    CHECK(at.error_of(data_write(some, 15)) == EINVAL);
    CHECK(at.error_of(data_write(some, 17)) == EINVAL);
    CHECK(at.error_of(data_write(some, 0xffffffff)) == EINVAL);
    CHECK(at.error_of(data_write(some, 16, 7)) == EINVAL);
    CHECK(at.device.stream.empty());
    CHECK(at.error_of(data_write({}, 0)) == 0);
    CHECK(at.error_of(data_write(some)) == 0);
    CHECK(at.device.stream.size() == 16);
    hand small{{.max_data_xfer = 64 * 1024}};
    small.negotiate();
    REQUIRE(small.error_of(state(migration_state::stop_copy)) == 0);
    CHECK(small.error_of(data_read(64 * 1024)) == 0);
    CHECK(small.error_of(data_read(64 * 1024 + 1)) == EINVAL);
    REQUIRE(small.error_of(state(migration_state::resuming)) == 0);
    CHECK(small.error_of(data_write(bytes(64 * 1024))) == 0);
    CHECK(small.error_of(data_write(bytes(64 * 1024 + 1))) == EINVAL);
    CHECK(small.alive());
    // Many in one piece, more than the replies' buffer holds at once.
    hand few{{.max_data_xfer = 64 * 1024}};
    few.negotiate();
    REQUIRE(few.error_of(state(migration_state::stop_copy)) == 0);
    bytes many;
    for (int i = 0; i < 16; ++i) many = std::move(many) + data_read(10'000);
    std::size_t sum = 0;
    for (const auto& each : few.exchange(many)) sum += each.payload.size() - 8;
    CHECK(sum == 160'000);
    CHECK(few.device.at == sum);
}
