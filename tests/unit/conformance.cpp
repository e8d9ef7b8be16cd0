// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// The comparison itself: that its list is the same everywhere and reaches what it should, and that it finds what
/// differs.

#include "../conformance/compare.hpp"

#include "../../examples/edu/edu.hpp"

#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

using namespace mediant;
using namespace mediant::conformance;

namespace {

territory mediated() {
    territory where = edu_territory();
    where.around<acme::edu::bar0>();
    return where;
}

bool same(const operation& a, const operation& b) {
    return a.what == b.what && a.region == b.region && a.offset == b.offset && a.size == b.size && a.bytes == b.bytes;
}

} // namespace

TEST_CASE("conformance: a seed makes one list", "[conformance]") {
    const territory where = mediated();
    const auto one = generator{where, 1}.make(2000);
    const auto again = generator{where, 1}.make(2000);
    const auto other = generator{where, 2}.make(2000);
    REQUIRE(one.size() == 2000);
    CHECK(std::equal(one.begin(), one.end(), again.begin(), same));
    CHECK_FALSE(std::equal(one.begin(), one.end(), other.begin(), same));
}

TEST_CASE("conformance: the list reaches every entry's edges and leaves alone what it must", "[conformance]") {
    const territory where = mediated();
    const auto all = generator{where, 3}.make(20'000);
    for (const std::uint64_t edge : where.edges) {
        for (const auto what : {operation::kind::read, operation::kind::write}) {
            const auto found = [&](auto&& test) {
                return std::any_of(all.begin(), all.end(), [&](const operation& one) {
                    return one.region == bar{0} && one.what == what && test(one);
                });
            };
            CAPTURE(edge, static_cast<int>(what));
            // What is left alone hides some edges from writes, or from both.
            const range around{edge == 0 ? 0 : edge - 1, edge == 0 ? 1u : 2u};
            if (!where.allows({what, bar{0}, around.offset, around.size, {}})) continue;
            CHECK(found([&](const operation& one) { return one.offset == edge; }));
            const auto straddles = [&](const operation& one) { return one.offset < edge && one.where().end() > edge; };
            if (edge != 0) CHECK(found(straddles));
        }
    }
    for (const operation& one : all) {
        if (one.region != bar{0}) continue;
        REQUIRE(where.allows(one));
        REQUIRE_FALSE(overlap(one.where(), {device::edu::factorial, 4}));
    }
    const auto is_reset = [](const operation& one) { return one.what == operation::kind::reset; };
    CHECK(std::count_if(all.begin(), all.end(), is_reset) == 4);
}

TEST_CASE("conformance: the table's rules", "[conformance]") {
    device::edu model;
    stack<device::edu> front{model};
    REQUIRE(front.open());
    in_process kernel{front, kernel_6_1};
    in_process vfio_user{front, vfio_user_4};
    const std::uint64_t end = device::edu::bar_size;

    CHECK(kernel.perform(read_of(end - 4, 8)).count == 4);
    CHECK(vfio_user.perform(read_of(end - 4, 8)).error == error::invalid);
    CHECK(vfio_user.perform(read_of(end - 4, 4)).count == 4);
    CHECK(kernel.perform(read_of(end, 4)).error == error::invalid);

    operation config = read_of(0xfe, 4);
    config.region = region_index::config;
    CHECK(kernel.perform(config).error == error::fault);
    CHECK(vfio_user.perform(config).error == error::invalid);

    // What was refused was not done.
    vfio_user.perform(memory(false));
    CHECK(kernel.perform(read_of(0, 4)).error == error::io);
    kernel.perform(memory(true));
    CHECK(kernel.perform(read_of(0, 4)).count == 4);
    CHECK(kernel.perform({operation::kind::reset, {}, 0, 0, {}}) == outcome{});
}

TEST_CASE("conformance: differences are found", "[conformance]") {
    const territory where = mediated();
    const auto all = generator{where, 4}.make(2000);
    const auto run = [&]<class... Policies>(const rules& front) {
        device::edu model{front.max_access};
        stack<device::edu, Policies...> device{model};
        REQUIRE(device.open());
        in_process here{device, front};
        settle_edu(here);
        return perform(here, all);
    };
    const auto mine = run.operator()<acme::edu>(kernel_6_1);
    CHECK(equal("the same", 4, all, mine, run.operator()<acme::edu>(kernel_6_1)));
    CHECK_FALSE(equal("no provider (differences are meant)", 4, all, mine, run.operator()<>(kernel_6_1)));
    CHECK_FALSE(equal("another width (differences are meant)", 4, all, run.operator()<>(kernel_6_1),
                      run.operator()<>(kernel_wide)));
    CHECK_FALSE(equal("another front (differences are meant)", 4, all, mine, run.operator()<acme::edu>(vfio_user_4)));
}
