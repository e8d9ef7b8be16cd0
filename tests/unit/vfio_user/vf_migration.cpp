// SPDX-License-Identifier: BSD-3-Clause
// A virtual function that is migrated under traffic, from one process to another, by the messages that QEMU would send.
#include "i40e_vf/i40e_vf.hpp"
#include "i40e_vf/vf_migration.hpp"
#include "i40e_vf/vf_server.hpp"

#include <mediant/device/eventfd.hpp>

#include <catch2/catch.hpp>

using namespace mediant;
using namespace acme;

namespace {

// A race detector is right about what a function and who reads its descriptors do with memory: there is no thread then.
constexpr bool own_thread = !device::detail::orders_by_write;

template <class Server>
vf_migration migrate(Server& from, Server& to) {
    vf_machine source{from.client()}, target{to.client()};
    return vf_migrator{source, target, {}}.run();
}

} // namespace

TEST_CASE(
    "vfio-user migration: a function under traffic goes on in another process, and no packet is lost or comes twice") {
    vf_server<i40e_vf> source{own_thread}, target{own_thread};
    const vf_migration seen = migrate(source, target);
    CHECK(seen.memory_equal);
    CHECK(seen.after == seen.sent);
    CHECK(seen.acknowledged == seen.sent);
    CHECK(seen.sent >= 10'000);
    CHECK(seen.on_the_way > 0);
    CHECK(seen.interrupts > 0);
    CHECK(seen.early > 0);
    CHECK(seen.stream > seen.early);
    REQUIRE(seen.rounds.size() == 5);
    for (const auto& each : seen.rounds) {
        CHECK(each.packets >= 200);
        if (&each == &seen.rounds.front()) continue;
        CHECK(each.by_device > 0);
        CHECK(each.by_device < vf_driver::memory_size / vf_driver::page / 2); // not just everything
    }
    CHECK(source.ended());
    CHECK(target.ended());
}

TEST_CASE("vfio-user migration: without the provider nobody tells what the function wrote, and memory differs") {
    vf_server<> source{own_thread}, target{own_thread};
    vf_machine here{source.client()}, there{target.client()};
    bool equal = true;
    try {
        equal = vf_migrator{here, there, {}}.run().memory_equal;
    } catch (const std::runtime_error&) { // a packet is not as it was sent
        equal = false;
    }
    CHECK_FALSE(equal);
}
