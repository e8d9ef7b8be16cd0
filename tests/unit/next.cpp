// SPDX-License-Identifier: BSD-3-Clause
#include "recorder.hpp"

#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <cstdint>
#include <limits>

using namespace mediant;
using namespace mediant::test;

namespace {

/// A recorder with services.
struct serving : recorder {
    using recorder::recorder;
    struct memory_bus {
        int asked = 0;
    } bus;
    memory_bus& dma() { return bus; }
    void log_line(const char* text, std::uint64_t a, std::uint64_t b, std::uint64_t c) { seen.push_back({text, a, 0, b, c}); }
    void log(const char* text, std::uint64_t a = 0, std::uint64_t b = 0, std::uint64_t c = 0) { log_line(text, a, b, c); }
    void dirty(std::uint64_t iova, std::uint64_t size) { seen.push_back({"dirty", iova, 0, size}); }
    result<void> trigger(irq_index index, std::uint32_t vector) {
        seen.push_back({"trigger", static_cast<std::uint64_t>(index), vector});
        return vector < 4 ? result<void>{} : result<void>{error::invalid};
    }
};

/// The hook of "CALL" runs what the test put here.
struct caller {
    static constexpr auto bar0 = region_map{
        bar{0}, 4_KiB,
        reg{"CALL", 0x00, rw, {.hook = on::write}},
        reg{"PLAIN", 0x04},
        reg{"LOCKED", 0x08, ro},
        reg{"SENT", 0x0c, wo},
        reg{"EVENTS", 0x10, w1c, {.backing = from::shadow, .value = 0x0f}},
        reg{"WIDE", 0x18, ro, {.backing = from::shadow, .value = 0x1122334455667788, .bits = 64}},
        reg{"BYTE", 0x21, rw, {.backing = from::shadow, .value = 0x5a, .bits = 8}},
        reg{"FIXED", 0x24, ro, {.backing = from::constant, .value = 0xc0ffee}},
        reg{"HOOKED", 0x28, rw, {.hook = on::read | on::write}},
        reg{"KEPT", 0x2c, wo, {.backing = from::shadow, .value = 0x55}}};
    static constexpr auto regions = mediant::regions<bar0>{};

    result<void> write(at<bar0, "CALL">, std::uint32_t what, auto& next);
    result<std::uint32_t> read(at<bar0, "HOOKED">, auto&) { return error::busy; }
    result<void> write(at<bar0, "HOOKED">, std::uint32_t, auto&) { return error::busy; }
};

result<void> caller::write(at<bar0, "CALL">, std::uint32_t what, auto& next) {
    switch (what) {
    case 0: // values from and to the layer below
        CHECK(*next.template load<std::uint8_t>(bar{0}, 0x41) == initial_value(0x41, 1));
        CHECK(*next.template load<std::uint32_t>(bar{0}, 0x42) == initial_value(0x42, 4));
        CHECK(*next.template load<std::uint64_t>(bar{0}, 0x48) == initial_value(0x48, 8));
        CHECK(next.store(bar{0}, 0x50, std::uint16_t{0x1234}));
        CHECK(next.store(bar{0}, 0x54, std::uint64_t{0x1122334455667788}));
        break;
    case 1: { // next is below the policy's own map
        CHECK(*next.template load<std::uint32_t>(bar{0}, 0x10) == initial_value(0x10, 4));
        bytes data(6);
        CHECK(next.read({bar{0}, 0x22, data}) == answer{6});
        CHECK(value_of(data) == initial_value(0x22, 6));
        CHECK(next.write({bar{0}, 0x10, data}) == answer{6});
        break;
    }
    case 2: // a register by its kind and backing, whatever its hooks
        CHECK(*next.read(at<bar0, "PLAIN">{}) == initial_value(0x04, 4));
        CHECK(*next.read(at<bar0, "LOCKED">{}) == initial_value(0x08, 4));
        CHECK(*next.read(at<bar0, "SENT">{}) == 0);
        CHECK(*next.read(at<bar0, "EVENTS">{}) == 0x0f);
        CHECK(*next.read(at<bar0, "WIDE">{}) == 0x1122334455667788);
        CHECK(*next.read(at<bar0, "BYTE">{}) == 0x5a);
        CHECK(*next.read(at<bar0, "FIXED">{}) == 0xc0ffee);
        CHECK(*next.read(at<bar0, "HOOKED">{}) == initial_value(0x28, 4));
        CHECK(*next.read(at<bar0, "KEPT">{}) == 0);
        CHECK(next.held(at<bar0, "KEPT">{}) == 0x55);
        CHECK(next.held(at<bar0, "BYTE">{}) == 0x5a);
        break;
    case 3:
        CHECK(next.write(at<bar0, "PLAIN">{}, 1u));
        CHECK(next.write(at<bar0, "LOCKED">{}, 2u));
        CHECK(next.write(at<bar0, "SENT">{}, 3u));
        CHECK(next.write(at<bar0, "EVENTS">{}, 5u));
        CHECK(*next.read(at<bar0, "EVENTS">{}) == 0x0a);
        CHECK(next.write(at<bar0, "WIDE">{}, 0u));
        CHECK(*next.read(at<bar0, "WIDE">{}) == 0x1122334455667788);
        CHECK(next.write(at<bar0, "BYTE">{}, std::uint8_t{0xa5}));
        CHECK(*next.read(at<bar0, "BYTE">{}) == 0xa5);
        CHECK(next.write(at<bar0, "FIXED">{}, 0u));
        CHECK(*next.read(at<bar0, "FIXED">{}) == 0xc0ffee);
        CHECK(next.write(at<bar0, "HOOKED">{}, 6u));
        break;
    case 4: // a shadow, whatever its kind
        next.assign(at<bar0, "EVENTS">{}, 0xf0u);
        next.assign(at<bar0, "WIDE">{}, 0xaabbccddeeff0011u);
        next.assign(at<bar0, "BYTE">{}, std::uint8_t{1});
        break;
    case 5:
        next.log("none");
        next.log("one", 1);
        next.log("three", 1u, std::uint8_t{2}, std::uint64_t{3});
        next.log("negative", -1);
        break;
    case 6:
        CHECK(next.trigger(line{irq_index::msi, 3}));
        CHECK(next.trigger(line{irq_index::msix, 4}).error() == error::invalid);
        CHECK(next.trigger(line{irq_index::intx}));
        break;
    case 7:
        ++next.dma().asked;
        next.dirty(0x1'0000'1000, 64);
        break;
    case 8: { // errors of the layer below
        CHECK(next.template load<std::uint32_t>(bar{0}, 0x40).error() == error::fault);
        CHECK(next.store(bar{0}, 0x40, std::uint32_t{0}).error() == error::fault);
        CHECK(next.read(at<bar0, "LOCKED">{}).error() == error::fault);
        CHECK(next.write(at<bar0, "SENT">{}, 0u).error() == error::fault);
        CHECK(*next.read(at<bar0, "EVENTS">{}) == 0x0f);
        break;
    }
    case 9: { // no bytes
        bytes data;
        CHECK(next.read({bar{0}, 0x10, data}) == answer{0});
        CHECK(next.write({bar{0}, 0x10, data}) == answer{0});
        break;
    }
    default: return error::invalid;
    }
    return {};
}

using calling = bench<stack<serving, caller>, serving>;

} // namespace

TEST_CASE("next: values from and to the layer below") {
    calling b;
    CHECK(b.write(0, 0, 4) == answer{4});
    CHECK(b.device.happened() == events{load(0x41, 1), load(0x42, 2), load(0x44, 2), load(0x48, 4), load(0x4c, 4),
                                        store(0x50, 2, 0x1234), store(0x54, 4, 0x55667788), store(0x58, 4, 0x11223344)});
}

TEST_CASE("next is below the policy's own map") {
    calling b;
    CHECK(b.write(0, 1, 4) == answer{4});
    CHECK(b.read(0x10, 4).value() == 0x0f);
}

TEST_CASE("next: a register answers by its kind and backing, whatever its hooks") {
    calling b;
    CHECK(b.write(0, 2, 4) == answer{4});
    CHECK(b.device.happened() == events{load(0x04, 4), load(0x08, 4), load(0x28, 4)});
}

TEST_CASE("next: a register is written by its kind and backing, whatever its hooks") {
    calling b;
    CHECK(b.write(0, 3, 4) == answer{4});
    CHECK(b.device.happened() == events{store(0x04, 4, 1), store(0x0c, 4, 3), store(0x28, 4, 6)});
    SECTION("bytes beside a narrow shadow are left alone") {
        CHECK(b.read(0x20, 4).value() == ((initial_value(0x20, 4) & 0xffff00ff) | 0xa500));
    }
}

TEST_CASE("next: assign sets a shadow whatever its kind") {
    calling b;
    CHECK(b.write(0, 4, 4) == answer{4});
    CHECK(b.device.happened().empty());
    CHECK(b.read(0x10, 4).value() == 0xf0);
    CHECK(b.read(0x18, 8).value() == 0xaabbccddeeff0011);
    CHECK(b.read(0x21, 1).value() == 1);
}

TEST_CASE("next: services go to the world") {
    calling b;
    CHECK(b.write(0, 5, 4) == answer{4});
    CHECK(b.device.happened() == events{{"none"}, {"one", 1}, {"three", 1, 0, 2, 3},
                                        {"negative", std::numeric_limits<std::uint64_t>::max()}});
    CHECK(b.write(0, 6, 4) == answer{4});
    CHECK(b.device.happened() == events{{"trigger", 1, 3}, {"trigger", 2, 4}, {"trigger", 0, 0}});
    CHECK(b.write(0, 7, 4) == answer{4});
    CHECK(b.device.bus.asked == 1);
    CHECK(b.device.happened() == events{{"dirty", 0x1'0000'1000, 0, 64}});
}

TEST_CASE("next: errors of the layer below arrive as they are") {
    calling b;
    b.device.faults_after = 0;
    b.device.fault = error::fault;
    CHECK(b.write(0, 8, 4) == answer{4});
}

TEST_CASE("next: an access of no bytes does nothing in any layer") {
    bench<stack<serving, caller, caller>, serving> b;
    b.device.seen.clear();
    CHECK(b.write(0, 9, 4) == answer{4});
    CHECK(b.device.happened().empty());
}

TEST_CASE("next: in a stack, below is the next policy, and services are the world's") {
    bench<stack<serving, caller, caller>, serving> b;
    SECTION("what is assigned is this layer's own") {
        CHECK(b.write(0, 4, 4) == answer{4});
        CHECK(b.read(0x10, 4).value() == 0xf0);
    }
    SECTION("log") {
        CHECK(b.write(0, 6, 4) == answer{4});
        CHECK(b.device.happened().size() == 3);
    }
}
