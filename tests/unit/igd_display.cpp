// SPDX-License-Identifier: BSD-3-Clause
// A display of which pipes are watched at times, in process.
#include "igd_display/igd_device.hpp"
#include "igd_display/igd_display.hpp"

#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <sys/eventfd.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

using namespace mediant;
using acme::igd_device;

namespace {

struct screen {
    igd_device model;
    stack<igd_device, acme::igd_display> front{model};
    std::uint64_t now = 1;

    screen() {
        REQUIRE(front.open());
        put(region_index::config, 0x04, 2);
        put(bar{0}, igd_device::trans_conf, igd_device::enabled);
        put(bar{0}, igd_device::plane_ctl, igd_device::enabled);
    }
    std::uint32_t get(region_index region, std::uint64_t offset) {
        std::array<std::byte, 4> bytes{};
        REQUIRE(front.read({region, offset, bytes}) == answer{4});
        return static_cast<std::uint32_t>(load_little(bytes));
    }
    error try_put(region_index region, std::uint64_t offset, std::uint32_t value) {
        std::array<std::byte, 4> bytes{};
        store_little(bytes, value);
        return front.write({region, offset, bytes}).error;
    }
    void put(region_index region, std::uint64_t offset, std::uint32_t value) {
        REQUIRE(try_put(region, offset, value) == error::none);
    }
    void frame() {
        now += igd_device::frame_nanoseconds;
        front.advance(now);
    }
};
constexpr std::uint64_t watch = 0x78f00, flips = 0x78f10, surface = 0x78f20;

} // namespace

TEST_CASE("igd_display: flips of a pipe that is watched are counted on their way", "[igd_display]") {
    screen s;
    CHECK(s.get(bar{0}, watch) == 7);
    CHECK_FALSE(s.front.mappable(bar{0}, {0x70000, 0x1000}));
    CHECK(s.front.mappable(bar{0}, {0x60000, 0x1000}));
    CHECK(s.get(bar{0}, 0x78000) == 0); // no mediator that i915 knows
    s.put(bar{0}, igd_device::plane_surf, 0x1234'5003);
    CHECK(s.get(bar{0}, igd_device::plane_surf) == 0x1234'5003);
    CHECK(s.get(bar{0}, igd_device::plane_surflive) == 0);
    s.frame();
    CHECK(s.get(bar{0}, igd_device::plane_surflive) == 0x1234'5003);
    CHECK(s.get(bar{0}, igd_device::frame_count) == 1);
    CHECK(s.get(bar{0}, flips) == 1);
    CHECK(s.get(bar{0}, surface) == 0x1234'5000);
    s.put(bar{0}, igd_device::plane_surf + 0x100, 0x9000); // another plane
    CHECK(s.get(bar{0}, flips) == 2);
    CHECK(s.get(bar{0}, surface) == 0x1234'5000);
    s.put(bar{0}, igd_device::plane_surf + 0x2000, 0xa000);
    CHECK(s.get(bar{0}, flips + 8) == 1);
    CHECK(s.get(bar{0}, surface + 8) == 0xa000);
    CHECK(s.get(bar{0}, flips) == 2);
}

TEST_CASE("igd_display: a pipe that nobody watches is the guest's", "[igd_display]") {
    screen s;
    s.put(bar{0}, watch, 6);
    CHECK(s.get(bar{0}, watch) == 6);
    CHECK(s.model.irqs().triggered(irq_index::regions_changed, 0) == 1);
    CHECK(s.front.mappable(bar{0}, {0x70000, 0x1000}));
    CHECK_FALSE(s.front.mappable(bar{0}, {0x70000, 0x2000}));
    s.put(bar{0}, igd_device::plane_surf, 0x7000);
    s.frame();
    CHECK(s.get(bar{0}, igd_device::plane_surflive) == 0x7000);
    CHECK(s.get(bar{0}, flips) == 0);

    s.put(bar{0}, watch, 7);
    CHECK(s.get(bar{0}, watch) == 7);
    CHECK(s.get(bar{0}, igd_device::plane_surf) == 0x7000); // as the guest left it
    s.put(bar{0}, igd_device::plane_surf, 0x8000);
    CHECK(s.get(bar{0}, flips) == 1);
    CHECK(s.try_put(bar{0}, watch, 8) == error::invalid);
    CHECK(s.get(bar{0}, watch) == 7);
}

TEST_CASE("igd_display: the model shows what was written through a mapping, and tells by MSI", "[igd_display]") {
    screen s;
    s.put(bar{0}, watch, 0);
    const auto memory = s.front.memory(bar{0});
    store_little(memory.subspan(igd_device::plane_surf, 4), 0xc000);
    s.put(bar{0}, igd_device::de_imr, ~igd_device::flip_done);
    s.put(bar{0}, igd_device::de_ier, igd_device::flip_done);
    s.frame();
    CHECK(s.get(bar{0}, igd_device::plane_surflive) == 0xc000);
    CHECK(s.get(bar{0}, igd_device::de_iir) == igd_device::flip_done);
    CHECK(s.model.irqs().triggered(irq_index::msi, 0) == 0); // nobody has set it up
    const device::unique_fd signal{::eventfd(0, EFD_CLOEXEC)};
    const int fd = signal.get();
    REQUIRE(s.front.ioctl(set_irqs{irq_index::msi, set_irqs::action::trigger, set_irqs::data::eventfds, 0, 1, {}, {&fd, 1}}));
    store_little(memory.subspan(igd_device::plane_surf, 4), 0xd000);
    s.frame();
    CHECK(s.model.irqs().triggered(irq_index::msi, 0) == 1);
    s.put(bar{0}, igd_device::trans_conf, 0);
    s.frame();
    CHECK(s.get(bar{0}, igd_device::frame_count) == 2);
}
