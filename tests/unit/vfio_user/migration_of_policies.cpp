// SPDX-License-Identifier: BSD-3-Clause
// A mediated device that migrates from one server to another, by the messages that a client sends.
#include "../migration/policies.hpp"
#include "messages.hpp"

#include <catch2/catch.hpp>

#include <edu/edu.hpp>

#include <cerrno>

using namespace vfio_user_test;
using wire::command;

namespace {

struct edu_below {
    device::edu edu;
};
struct mediated : edu_below, stack<device::edu, acme::edu> {
    mediated() : stack{edu} {}
};
static_assert(servable<mediated> && migratable<mediated>);
using hand = by_hand_of<mediated>;

constexpr std::uint32_t get = VFIO_DEVICE_FEATURE_GET, set = VFIO_DEVICE_FEATURE_SET;

bytes state(migration_state to) {
    const wire::migration_state data{static_cast<std::uint32_t>(to), -1};
    return message_of(command::device_feature, wire::device_feature{64, set | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE},
                      std::as_bytes(std::span{&data, 1}));
}
void lead(hand& at, migration_state to) {
    const auto all = at.exchange(state(to));
    REQUIRE(all.size() == 1);
    REQUIRE(all[0].flags == wire::type_reply);
}
std::uint32_t state_of(hand& at) {
    const auto all = at.exchange(
        message_of(command::device_feature, wire::device_feature{64, get | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE}));
    REQUIRE(all.size() == 1);
    return wire::load<wire::migration_state>(std::span{all[0].payload}.subspan(sizeof(wire::device_feature))).state;
}

bytes save_by(hand& at) {
    lead(at, migration_state::stop_copy);
    bytes out;
    for (;;) {
        const auto all = at.exchange(message_of(command::mig_data_read, wire::migration_data{8 + 100, 100}));
        REQUIRE(all.size() == 1);
        REQUIRE(all[0].flags == wire::type_reply);
        const auto part = std::span{all[0].payload}.subspan(sizeof(wire::migration_data));
        out.insert(out.end(), part.begin(), part.end());
        if (part.size() < 100) return out;
    }
}
bytes data_write(std::span<const std::byte> part) {
    return message_of(command::mig_data_write, wire::migration_data{8, static_cast<std::uint32_t>(part.size())}, part);
}

} // namespace

TEST_CASE("vfio-user migration: a mediated device goes on where another stopped") {
    hand source, target;
    source.negotiate();
    target.negotiate();
    auto& from = source.device;
    mediant::test::put(from, 0x34, 0x55);       // DOORBELL raises EVENTS
    mediant::test::put(from, 0x04, 0x1234'5678); // the device's own
    for (int i = 0; i < 3; ++i) static_cast<void>(mediant::test::looks(from));

    const bytes stream = save_by(source);
    lead(target, migration_state::resuming);
    for (std::span<const std::byte> left{stream}; !left.empty();) {
        const auto part = left.first(std::min<std::size_t>(left.size(), 77));
        CHECK(target.error_of(data_write(part)) == 0);
        left = left.subspan(part.size());
    }
    lead(target, migration_state::running);
    lead(source, migration_state::running);
    std::byte here[4]{}, there[4]{};
    for (const std::uint64_t offset : {0x04u, 0x28u, 0x2cu, 0x30u}) {
        REQUIRE(from.read({region_index::bar0, offset, there}).count == 4);
        REQUIRE(target.device.read({region_index::bar0, offset, here}).count == 4);
        CHECK(std::equal(here, here + 4, there));
    }
    CHECK(here[0] == std::byte{0x00});
    REQUIRE(target.device.read({region_index::bar0, 0x28, here}).count == 4);
    CHECK(here[0] == std::byte{0x55});
}

TEST_CASE("vfio-user migration: a stream that is refused is an error of its message, and a reset ends it") {
    hand source, target;
    source.negotiate();
    target.negotiate();
    bytes stream = save_by(source);
    stream[stream.size() / 2] ^= std::byte{1};
    lead(target, migration_state::resuming);
    CHECK(target.error_of(data_write(stream)) == EINVAL);
    CHECK(target.error_of(data_write(stream)) == EINVAL);
    CHECK(target.error_of(state(migration_state::running)) == EINVAL);
    CHECK(state_of(target) == VFIO_DEVICE_STATE_ERROR);
    CHECK(target.error_of(state(migration_state::running)) == EINVAL);
    CHECK(target.error_of(message_of(command::device_reset)) == 0);
    CHECK(state_of(target) == VFIO_DEVICE_STATE_RUNNING);
    CHECK(target.alive());
}
