// SPDX-License-Identifier: BSD-3-Clause
// Streams of older and newer versions of a policy, and what maps keep besides registers: dynamic ranges, config space.
#include "policies.hpp"

#include <catch2/catch.hpp>

using namespace mediant;
using namespace mediant::test;

namespace {

struct first {
    static constexpr auto info = provider{"grown", {pci_id{0x1234, 0x11e8}}};
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"OLD", 0x40, rw, {.backing = from::shadow}},
                                            reg{"GONE", 0x44, rw, {.backing = from::shadow}}};
    static constexpr auto regions = mediant::regions<bar0>{};
    static constexpr auto migration() {
        return saved_state{1, saved{"count", &first::count}, saved{"errors", &first::errors}, saved_registers<bar0>{}};
    }
    std::uint32_t count = 1;
    std::uint16_t errors = 2;
};
/// Another width of nothing, a register less and one more, a field less and one more; takes what version 1 wrote.
struct second {
    static constexpr auto info = first::info;
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"OLD", 0x40, rw, {.backing = from::shadow}},
                                            reg{"NEW", 0x48, rw, {.backing = from::shadow, .value = 77}}};
    static constexpr auto regions = mediant::regions<bar0>{};
    static constexpr auto migration() {
        return saved_state{2, {.oldest = 1}, saved{"count", &second::count},
                           saved{"limit", &second::limit, {.most = 100, .since = 2}}, saved_registers<bar0>{},
                           no_longer_saved{"errors"}, no_longer_saved{"GONE"}};
    }
    std::uint32_t count = 0;
    std::uint8_t limit = 50;
};
/// The same, but takes its own version alone.
struct strict : second {
    static constexpr auto migration() {
        return saved_state{2, saved{"count", &strict::count}, saved{"limit", &strict::limit}, saved_registers<bar0>{}};
    }
};
static_assert(valid<first> && valid<second> && valid<strict>);

template <class Policy>
struct machine {
    device::edu edu;
    stack<device::edu, Policy> device{edu};
    machine() { REQUIRE(device.open()); }
    std::uint32_t look(std::uint64_t offset) {
        std::byte bytes[4]{};
        CHECK(device.read({region_index::bar0, offset, bytes}).count == 4);
        return detail::load_bytes<std::uint32_t>(bytes);
    }
};

struct shaped {
    static constexpr auto info = provider{"shaped", {pci_id{0x1234, 0x11e8}}};
    static constexpr auto config = config_map{
        shadow_bytes{"MINE", 0xe0, 4, {.value = 5}},
        add_capability{cap::vendor, 0xf0, {6, 1, 2, 3}, {.writable = true}},
        io_bar{2, 32}};
    static constexpr auto bar2 = region_map{bar{2}, 32, reg{"PORT", 0, rw, {.backing = from::shadow}}};
    static constexpr auto regions = mediant::regions<bar2, config>{};
    static constexpr auto migration() { return saved_state{1, saved_registers<bar2>{}, saved_registers<config>{}}; }
};
static_assert(valid<shaped>);

/// A device of a world that can take mappings back.
struct revoking : device::edu {
    std::vector<std::uint64_t> revoked;
    error refuses = error::none;
    result<void> revoke(region_index, range where) {
        revoked.push_back(where.offset);
        if (refuses != error::none) return refuses;
        return {};
    }
    void regions_changed() {}
};
struct switching {
    static constexpr auto info = provider{"switching", {pci_id{0x1234, 0x11e8}}};
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"SWITCH", 0x100, wo, {.hook = on::write}},
                                            dynamic{"ONE", 0x10000, 4_KiB}, dynamic{"TWO", 0x20000, 4_KiB}};
    static constexpr auto regions = mediant::regions<bar0>{};
    static constexpr auto migration() { return saved_state{1, saved_registers<bar0>{}}; }
    result<void> write(at<bar0, "SWITCH">, std::uint32_t what, auto& next) {
        if (what == 1) return next.untrap(at<bar0, "ONE">{});
        return next.untrap(at<bar0, "TWO">{});
    }
};
static_assert(valid<switching>);
/// Holds against a stream that ONE traps while TWO does not, whatever it says.
struct holding : switching {
    static constexpr auto info = provider{"switching", {pci_id{0x1234, 0x11e8}}};
    result<void> restored(auto& next) {
        if (next.will_trap(at<bar0, "TWO">{})) return {};
        return next.will_trap(at<bar0, "ONE">{}) ? result<void>{} : next.trap(at<bar0, "ONE">{});
    }
};
static_assert(valid<holding>);
struct world {
    revoking below;
    stack<revoking, switching> device{below};
    world() { REQUIRE(device.open()); }
    bool mapped(std::uint64_t offset) const { return device.mappable(bar{0}, {offset, 0x1000}); }
};

} // namespace

TEST_CASE("migration: an older version's stream is converted where that is said, else refused") {
    machine<first> old;
    put(old.device, 0x40, 0xabcd);
    put(old.device, 0x44, 1);
    const auto stream = save(old.device);

    machine<second> next;
    put(next.device, 0x48, 3); // not in the stream: as after a reset, then
    REQUIRE(restore(next.device, stream));
    CHECK(next.look(0x40) == 0xabcd);
    CHECK(next.look(0x48) == 77);

    machine<strict> other;
    CHECK_FALSE(restore(other.device, stream));
    CHECK(other.device.migration_report().what == stream_fault::version);

    machine<first> back;
    CHECK_FALSE(restore(back.device, save(next.device)));
    CHECK(back.device.migration_report().what == stream_fault::version);
}

TEST_CASE("migration: what its own version has may not be missing, nor what it dropped be there") {
    machine<first> old;
    auto stream = save(old.device);
    // Says that it is of version 2.
    const std::string_view name = "grown";
    const auto at = std::search(stream.begin(), stream.end(), name.begin(), name.end(),
                                [](std::byte a, char b) { return static_cast<char>(a) == b; });
    *(at + 5) = std::byte{2};
    mend(stream);
    machine<second> next;
    CHECK_FALSE(restore(next.device, stream));
    CHECK(next.device.migration_report().what == stream_fault::missing);
    CHECK(next.device.migration_report().field == "limit");
}

TEST_CASE("migration: what a config map keeps is restored, but for what is not the guest's to write") {
    const auto config = [](auto& device, std::uint64_t offset) {
        std::byte bytes[4]{};
        CHECK(device.read({region_index::config, offset, bytes}).count == 4);
        return detail::load_bytes<std::uint32_t>(bytes);
    };
    const auto put_config = [](auto& device, std::uint64_t offset, std::uint32_t value) {
        std::byte bytes[4]{};
        detail::store_bytes(bytes, value);
        CHECK(device.write({region_index::config, offset, bytes}).count == 4);
    };
    machine<shaped> source;
    put_config(source.device, 0xe0, 0xabcd'ef01);
    put_config(source.device, 0xf0, 0x9988'7766);
    put_config(source.device, 0x18, 0xc001);
    put_config(source.device, 0x04, 0x0001);
    std::byte port[4]{std::byte{0x5a}};
    REQUIRE(source.device.write({region_index::bar2, 0, port}).count == 4);
    const auto stream = save(source.device);
    machine<shaped> target;
    REQUIRE(target.device.read({region_index::bar2, 0, port}).error == error::io); // I/O Space is off
    REQUIRE(restore(target.device, stream));
    for (const std::uint64_t offset : {0x18u, 0xe0u, 0xf0u})
        CHECK(config(target.device, offset) == config(source.device, offset));
    CHECK(target.device.read({region_index::bar2, 0, port}).count == 4);
    CHECK(port[0] == std::byte{0x5a});

    // The capability's ID is a constant.
    auto bad = stream;
    const std::array size{std::byte{6}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0x09}};
    const auto at = std::search(bad.begin(), bad.end(), size.begin(), size.end());
    REQUIRE(at != bad.end());
    *(at + 4) = std::byte{0x11};
    mend(bad);
    machine<shaped> other;
    CHECK_FALSE(restore(other.device, bad));
    CHECK(other.device.migration_report().what == stream_fault::bounds);
}

TEST_CASE("migration: dynamic ranges are trapped as they were, or the stream is refused") {
    world source;
    put(source.device, 0x100, 1);
    const auto stream = save(source.device);
    world target;
    put(target.device, 0x100, 2);
    REQUIRE(target.mapped(0x20000));
    REQUIRE(restore(target.device, stream));
    CHECK(target.mapped(0x10000));
    CHECK_FALSE(target.mapped(0x20000));
    CHECK(target.below.revoked == std::vector<std::uint64_t>{0x20000});

    world keeps;
    put(keeps.device, 0x100, 2);
    keeps.below.refuses = error::busy;
    CHECK_FALSE(restore(keeps.device, stream));
    CHECK(keeps.device.migration_report().what == stream_fault::refused);
    CHECK(keeps.mapped(0x20000));
}

TEST_CASE("migration: what a policy says of dynamic ranges outlives what a stream says") {
    for (const bool both : {false, true}) {
        world source;
        put(source.device, 0x100, 1);
        if (both) put(source.device, 0x100, 2);
        revoking below;
        stack<revoking, holding> target{below};
        REQUIRE(target.open());
        REQUIRE(restore(target, save(source.device)));
        CHECK(target.mappable(bar{0}, {0x10000, 0x1000}) == !both);
        CHECK(target.mappable(bar{0}, {0x20000, 0x1000}) == both);
    }
}

TEST_CASE("migration: a stream that is refused untraps nothing") {
    world source;
    put(source.device, 0x100, 1);
    auto stream = save(source.device);
    stream.resize(stream.size() - chunk_overhead); // without its end
    world target;
    CHECK_FALSE(restore(target.device, stream));
    CHECK_FALSE(target.mapped(0x10000));
    REQUIRE(target.device.ioctl(reset_device{}));
    CHECK_FALSE(target.mapped(0x10000));
}
