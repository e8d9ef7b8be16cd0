// SPDX-License-Identifier: BSD-3-Clause
#include "recorder.hpp"

#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <cstdint>

using namespace mediant;
using namespace mediant::test;

namespace {

/// Passed and trapped bytes by turns, with hooks of which one can fail.
struct mixed {
    static constexpr auto bar0 = region_map{
        bar{0}, 4_KiB,
        reg{"SHADOW", 0x08, rw, {.backing = from::shadow, .value = 0x11111111}},
        reg{"DEVICE", 0x10, ro},
        reg{"HOOK", 0x18, rw, {.backing = from::shadow, .hook = on::read | on::write, .value = 0x22222222}},
        block{"BLOCK", 0x20, 0x10, {.backing = from::shadow}}};
    static constexpr auto regions = mediant::regions<bar0>{};

    static inline error fails = error::none;

    result<std::uint32_t> read(at<bar0, "HOOK"> which, auto& next) {
        journal->push_back({"read HOOK"});
        if (fails != error::none) return fails;
        return next.read(which);
    }
    result<void> write(at<bar0, "HOOK"> which, std::uint32_t value, auto& next) {
        journal->push_back({"write HOOK"});
        if (fails != error::none) return fails;
        return next.write(which, value);
    }
};
using faulty = bench<stack<recorder, mixed>>;

} // namespace

TEST_CASE("a fault of the k-th access below gives the count of what was done before it, for every k") {
    for (const unsigned max : {4u, 8u})
        for (const bool writes : {false, true}) {
            // 0x01..0x31: everything passed is split naturally, shadows need no access. A write of DEVICE is swallowed.
            mixed::fails = error::none;
            faulty whole{4096, max};
            bytes data(0x30, std::byte{0x5a});
            if (writes)
                CHECK(whole.write(1, data) == answer{0x30});
            else
                CHECK(whole.read(1, 0x30).done == answer{0x30});
            events all;
            for (const event& e : whole.device.happened())
                if (e.what == "load" || e.what == "store") all.push_back(e);
            REQUIRE(all.size() >= 6);

            for (std::size_t k = 0; k < all.size(); ++k) {
                CAPTURE(max, writes, k);
                faulty b{4096, max};
                b.device.faults_after = static_cast<int>(k);
                b.device.fault = error::fault;
                const answer expected{all[k].offset - 1, error::fault};
                if (writes) {
                    CHECK(b.write(1, data) == expected);
                } else {
                    const auto got = b.read(1, 0x30);
                    CHECK(got.done == expected);
                    for (std::size_t i = expected.count; i < got.data.size(); ++i) CHECK(got.data[i] == std::byte{0xcc});
                }
                events seen;
                for (const event& e : b.device.happened())
                    if (e.what == "load" || e.what == "store") seen.push_back(e);
                CHECK(seen == events(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(k) + 1));
                // What lies behind the fault was not touched.
                b.device.faults_after = -1;
                if (writes) {
                    const bool hook_done = expected.count >= 0x1b;
                    CHECK(b.read(0x18, 4).value() == (hook_done ? 0x5a5a5a5au : 0x22222222u));
                    CHECK(b.read(0x2f, 1).value() == (expected.count > 0x2e ? 0x5au : 0u));
                }
            }
        }
}

TEST_CASE("a hook's error partway gives the count of what was done before it") {
    faulty b;
    mixed::fails = error::busy;
    CHECK(b.read(0x14, 0x10).done == answer{4, error::busy});
    CHECK(b.device.happened() == events{load(0x14, 4), {"read HOOK"}});
    CHECK(b.write(0x14, bytes(0x10)) == answer{4, error::busy});
    CHECK(b.device.happened() == events{store(0x14, 4, 0), {"write HOOK"}});
    CHECK(b.read(0x18, 4).done == answer{0, error::busy});
    CHECK(b.read(0x1a, 1).done == answer{0, error::busy});
    mixed::fails = error::none;
    CHECK(b.read(0x18, 4).value() == 0x22222222);
    CHECK(b.read(0x14, 0x10).done == answer{0x10});
}

TEST_CASE("after a fault the next access works") {
    faulty b;
    mixed::fails = error::none;
    b.device.faults_after = 0;
    CHECK(b.read(0x00, 4).done == answer{0, error::io});
    CHECK(b.read(0x08, 8).done == answer{4, error::io});
    b.device.faults_after = -1;
    CHECK(b.read(0x00, 8).done == answer{8});
}
