// SPDX-License-Identifier: BSD-3-Clause
#include "recorder.hpp"

#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <cstdint>

using namespace mediant;
using namespace mediant::test;

namespace {

/// Answers every request; counts them.
struct full_lower : recorder {
    using recorder::recorder;
    using recorder::ioctl;

    result<get_device_info::answer> ioctl(const get_device_info&) { return note("info"), get_device_info::answer{9, 5, true}; }
    result<get_irq_info::answer> ioctl(const get_irq_info& what) {
        return note("irq"), get_irq_info::answer{irq_flags::eventfd, static_cast<std::uint32_t>(what.index) + 1};
    }
    result<void> ioctl(const set_irqs& what) { return note("set", what.start), result<void>{}; }
    result<void> ioctl(const reset_device&) { return note("reset"), reset_fails ? result<void>{error::io} : result<void>{}; }
    result<void> ioctl(const map_dma& what) { return note("map", what.iova), result<void>{}; }
    result<void> ioctl(const unmap_dma& what) { return note("unmap", what.iova), result<void>{}; }

    bool reset_fails = false;

private:
    void note(const char* what, std::uint64_t value = 0) { seen.push_back({what, 0, 0, value}); }
};

struct passing {
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"R", 0, rw, {.backing = from::shadow, .value = 3}}};
    static constexpr auto regions = mediant::regions<bar0>{};
    void reset() { journal->push_back({"policy reset"}); }
};

/// Mediates every request.
struct mediating {
    result<get_device_info::answer> ioctl(const get_device_info& what, auto& next) {
        auto below = next.ioctl(what);
        if (below) below->can_reset = false;
        return below;
    }
    result<get_region_info::answer> ioctl(const get_region_info& what, auto& next) {
        if (what.region == region_index::rom) return get_region_info::answer{};
        if (what.region == bar{1}) return error::denied;
        auto below = next.ioctl(what);
        if (below && what.region == bar{0}) below->size = 2048;
        return below;
    }
    result<get_irq_info::answer> ioctl(const get_irq_info& what, auto& next) {
        if (what.index == irq_index::intx) return get_irq_info::answer{};
        return next.ioctl(what);
    }
    result<void> ioctl(const set_irqs& what, auto& next) {
        set_irqs moved = what;
        moved.start += 100;
        return next.ioctl(moved);
    }
    result<void> ioctl(const reset_device&, auto&) { return error::not_permitted; }
    result<void> ioctl(const map_dma& what, auto& next) {
        map_dma moved = what;
        moved.iova += 0x1000;
        return next.ioctl(moved);
    }
    result<void> ioctl(const unmap_dma&, auto&) { return error::not_found; }
};

constexpr set_irqs msi{irq_index::msi, set_irqs::action::trigger, set_irqs::data::none, 2, 1, {}, {}};
constexpr map_dma mapping{0x1000, 0x1000, true, true, {}};
constexpr unmap_dma unmapping{0x1000, 0x1000};

} // namespace

TEST_CASE("requests that no policy overloads pass to the device") {
    full_lower device;
    stack<full_lower, passing, passing> s{device};
    journal = &device.seen;
    REQUIRE(s.open());
    device.seen.clear();

    const auto info = s.ioctl(get_device_info{});
    REQUIRE(info);
    CHECK(info->regions == 9);
    CHECK(info->irqs == 5);
    CHECK(info->can_reset);
    const auto region = s.ioctl(get_region_info{bar{0}});
    REQUIRE(region);
    CHECK(region->size == 4096);
    const auto irq = s.ioctl(get_irq_info{irq_index::msix});
    REQUIRE(irq);
    CHECK(irq->count == 3);
    CHECK(s.ioctl(msi));
    CHECK(s.ioctl(mapping));
    CHECK(s.ioctl(unmapping));
    CHECK(device.happened() == events{{"info"}, {"irq"}, {"set", 0, 0, 2}, {"map", 0, 0, 0x1000}, {"unmap", 0, 0, 0x1000}});
}

TEST_CASE("a request that the device does not know is refused") {
    recorder device;
    stack<recorder, passing> s{device};
    journal = &device.seen;
    REQUIRE(s.open());
    CHECK(s.ioctl(get_device_info{}).error() == error::not_a_request);
    CHECK(s.ioctl(get_irq_info{irq_index::msi}).error() == error::not_a_request);
    CHECK(s.ioctl(msi).error() == error::not_a_request);
    CHECK(s.ioctl(reset_device{}).error() == error::not_a_request);
    CHECK(s.ioctl(mapping).error() == error::not_a_request);
    CHECK(s.ioctl(unmapping).error() == error::not_a_request);
}

TEST_CASE("a reset of the device resets the policies afterwards, if it succeeded") {
    full_lower device;
    stack<full_lower, passing, passing> s{device};
    journal = &device.seen;
    REQUIRE(s.open());
    device.seen.clear();
    const bytes data = little(77, 4);
    REQUIRE(s.write({bar{0}, 0, data}) == answer{4});
    bytes got(4);
    SECTION("success") {
        CHECK(s.ioctl(reset_device{}));
        CHECK(device.happened() == events{{"reset"}, {"policy reset"}, {"policy reset"}});
        CHECK(s.read({bar{0}, 0, got}) == answer{4});
        CHECK(value_of(got) == 3);
    }
    SECTION("failure") {
        device.reset_fails = true;
        CHECK(s.ioctl(reset_device{}).error() == error::io);
        CHECK(device.happened() == events{{"reset"}});
        CHECK(s.read({bar{0}, 0, got}) == answer{4});
        CHECK(value_of(got) == 77);
    }
}

TEST_CASE("each request can be mediated") {
    full_lower device;
    device.add(bar{1}, 64);
    device.add(region_index::rom, 64);
    stack<full_lower, mediating, passing> s{device};
    journal = &device.seen;
    REQUIRE(s.open());
    device.seen.clear();

    CHECK_FALSE(s.ioctl(get_device_info{})->can_reset);
    CHECK(s.ioctl(get_region_info{bar{0}})->size == 2048);
    CHECK(s.ioctl(get_region_info{bar{1}}).error() == error::denied);
    CHECK(s.ioctl(get_region_info{region_index::rom})->size == 0);
    CHECK(s.ioctl(get_irq_info{irq_index::intx})->count == 0);
    CHECK(s.ioctl(get_irq_info{irq_index::msi})->count == 2);
    CHECK(s.ioctl(reset_device{}).error() == error::not_permitted);
    CHECK(s.ioctl(unmapping).error() == error::not_found);
    device.seen.clear();
    CHECK(s.ioctl(msi));
    CHECK(s.ioctl(mapping));
    CHECK(device.happened() == events{{"set", 0, 0, 102}, {"map", 0, 0, 0x2000}});

    SECTION("the front goes by the mediated sizes") {
        bytes data(8);
        CHECK(s.read({bar{0}, 2044, data}) == answer{4});
        CHECK(s.read({bar{0}, 2048, data}) == answer{0, error::invalid});
        CHECK(s.read({bar{1}, 0, data}) == answer{0, error::invalid});
        CHECK(s.read({region_index::rom, 0, data}) == answer{0, error::invalid});
    }
}

TEST_CASE("region flags combine") {
    constexpr auto both = region_flags::read | region_flags::write;
    CHECK(has(both, region_flags::read));
    CHECK_FALSE(has(both, region_flags::mmap));
    CHECK_FALSE(has(both, region_flags::mmap | region_flags::read));
    CHECK(without(both, region_flags::read) == region_flags::write);
    CHECK(without(both, region_flags::mmap) == both);
}
