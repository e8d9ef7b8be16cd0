// SPDX-License-Identifier: BSD-3-Clause
#include <mediant/device/host.hpp>

#include <catch2/catch.hpp>

#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cstdint>

using namespace mediant;
using device::interrupts;
using device::unique_fd;

namespace {

unique_fd event_file() { return unique_fd{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)}; }
std::uint64_t drain(const unique_fd& fd) {
    std::uint64_t count = 0;
    return ::read(fd.get(), &count, sizeof count) == sizeof count ? count : 0;
}
set_irqs none(irq_index index, set_irqs::action what, std::uint32_t start, std::uint32_t count) {
    return {index, what, set_irqs::data::none, start, count, {}, {}};
}
set_irqs bind(irq_index index, std::uint32_t start, std::span<const int> fds) {
    return {
        index, set_irqs::action::trigger, set_irqs::data::eventfds, start, static_cast<std::uint32_t>(fds.size()), {},
        fds};
}

} // namespace

TEST_CASE("interrupts signal the eventfds that were set") {
    interrupts irqs;
    irqs.provide(irq_index::msi, 4, irq_flags::eventfd | irq_flags::noresize);
    CHECK(irqs.info(irq_index::msi)->count == 4);
    CHECK(irqs.info(irq_index::msix)->count == 0);
    CHECK_FALSE(irqs.info(irq_index{most_irqs}));

    auto first = event_file();
    auto second = event_file();
    REQUIRE(irqs.apply(bind(irq_index::msi, 1, std::array{first.get(), second.get()})));
    CHECK(irqs.trigger(irq_index::msi, 0)); // no eventfd: only counted
    CHECK(irqs.trigger(irq_index::msi, 1));
    CHECK(irqs.trigger(irq_index::msi, 2));
    CHECK(irqs.trigger(irq_index::msi, 2));
    CHECK(irqs.trigger(irq_index::msi, 4).error() == error::invalid);
    CHECK(irqs.trigger(irq_index::err, 0).error() == error::invalid);
    CHECK(drain(first) == 1);
    CHECK(drain(second) == 2);
    CHECK(irqs.triggered(irq_index::msi, 0) == 1);
    CHECK(irqs.triggered(irq_index::msi, 2) == 2);

    REQUIRE(irqs.apply(bind(irq_index::msi, 1, std::array{-1})));
    CHECK_FALSE(irqs.bound(irq_index::msi, 1));
    CHECK(irqs.bound(irq_index::msi, 2));
    REQUIRE(irqs.apply(none(irq_index::msi, set_irqs::action::trigger, 0, 0)));
    CHECK_FALSE(irqs.bound(irq_index::msi, 2));
}

TEST_CASE("interrupts own a duplicate of each eventfd") {
    interrupts irqs;
    irqs.provide(irq_index::msi, 1, irq_flags::eventfd);
    auto theirs = event_file();
    auto kept = unique_fd::duplicate(theirs.get());
    REQUIRE(irqs.apply(bind(irq_index::msi, 0, std::array{theirs.get()})));
    theirs.reset();
    CHECK(irqs.trigger(irq_index::msi, 0));
    CHECK(drain(kept) == 1);
    irqs.clear();
    CHECK(irqs.trigger(irq_index::msi, 0));
    CHECK(drain(kept) == 0);
    CHECK(irqs.triggered(irq_index::msi, 0) == 1);
}

TEST_CASE("interrupts change nothing where an eventfd is bad") {
    interrupts irqs;
    irqs.provide(irq_index::msi, 2, irq_flags::eventfd);
    auto good = event_file();
    CHECK_FALSE(irqs.apply(bind(irq_index::msi, 0, std::array{good.get(), 1'000'000})));
    CHECK_FALSE(irqs.bound(irq_index::msi, 0));
}

TEST_CASE("interrupts check ranges and lists") {
    interrupts irqs;
    irqs.provide(irq_index::intx, 1, irq_flags::eventfd | irq_flags::maskable);
    using action = set_irqs::action;
    CHECK(irqs.apply(none(irq_index{9}, action::trigger, 0, 0)).error() == error::invalid);
    CHECK(irqs.apply(none(irq_index::intx, action::mask, 0, 2)).error() == error::invalid);
    CHECK(irqs.apply(none(irq_index::intx, action::mask, 1, 1)).error() == error::invalid);
    CHECK(irqs.apply(none(irq_index::intx, action::mask, 0xffffffff, 2)).error() == error::invalid);
    const std::array<std::uint8_t, 2> two{1, 1};
    CHECK(irqs.apply({irq_index::intx, action::mask, set_irqs::data::bools, 0, 1, two, {}}).error() == error::invalid);
    const std::array fds{-1};
    CHECK(irqs.apply({irq_index::intx, action::unmask, set_irqs::data::eventfds, 0, 1, {}, fds}).error() ==
          error::not_supported);
    CHECK(irqs.apply({irq_index::intx, action::trigger, set_irqs::data::eventfds, 0, 0, {}, fds}).error() ==
          error::invalid);
}

TEST_CASE("interrupts keep what comes while masked, once") {
    interrupts irqs;
    irqs.provide(irq_index::intx, 1, irq_flags::eventfd | irq_flags::maskable);
    auto fd = event_file();
    REQUIRE(irqs.apply(bind(irq_index::intx, 0, std::array{fd.get()})));
    const std::array<std::uint8_t, 1> off{0};
    const std::array<std::uint8_t, 1> on{1};
    REQUIRE(irqs.apply({irq_index::intx, set_irqs::action::mask, set_irqs::data::bools, 0, 1, off, {}}));
    CHECK_FALSE(irqs.masked(irq_index::intx, 0));
    REQUIRE(irqs.apply({irq_index::intx, set_irqs::action::mask, set_irqs::data::bools, 0, 1, on, {}}));
    CHECK(irqs.masked(irq_index::intx, 0));
    CHECK(irqs.trigger(irq_index::intx, 0));
    CHECK(irqs.trigger(irq_index::intx, 0));
    CHECK(drain(fd) == 0);
    REQUIRE(irqs.apply(none(irq_index::intx, set_irqs::action::unmask, 0, 1)));
    CHECK(drain(fd) == 1);
    REQUIRE(irqs.apply(none(irq_index::intx, set_irqs::action::unmask, 0, 1)));
    CHECK(drain(fd) == 0);
    REQUIRE(irqs.apply(none(irq_index::intx, set_irqs::action::trigger, 0, 1))); // the user's own trigger
    CHECK(drain(fd) == 1);
    CHECK(irqs.triggered(irq_index::intx, 0) == 3);
}

TEST_CASE("interrupts mask an automasked line at each delivery, and deliver again while it is high") {
    device::host host;
    host.irqs.provide(irq_index::intx, 1, irq_flags::eventfd | irq_flags::maskable | irq_flags::automasked);
    auto fd = event_file();
    REQUIRE(host.ioctl(bind(irq_index::intx, 0, std::array{fd.get()})));
    CHECK(host.irqs.set_level(irq_index::intx, 0, true));
    CHECK(drain(fd) == 1);
    CHECK(host.irqs.masked(irq_index::intx, 0));
    REQUIRE(host.ioctl(none(irq_index::intx, set_irqs::action::unmask, 0, 1)));
    CHECK(drain(fd) == 1); // still high
    CHECK(host.irqs.set_level(irq_index::intx, 0, false));
    REQUIRE(host.ioctl(none(irq_index::intx, set_irqs::action::unmask, 0, 1)));
    CHECK(drain(fd) == 0);
    CHECK_FALSE(host.irqs.masked(irq_index::intx, 0));
    host.release();
    CHECK_FALSE(host.irqs.bound(irq_index::intx, 0));
    CHECK(host.ioctl(get_irq_info{irq_index::intx})->count == 1);
}

TEST_CASE("interrupts deliver a line that was high before its eventfd came") {
    device::host host;
    host.irqs.provide(irq_index::intx, 1, irq_flags::eventfd | irq_flags::maskable | irq_flags::automasked);
    CHECK(host.irqs.set_level(irq_index::intx, 0, true)); // before the user set anything up, or as the last one left it
    CHECK_FALSE(host.irqs.masked(irq_index::intx, 0));
    auto fd = event_file();
    REQUIRE(host.ioctl(bind(irq_index::intx, 0, std::array{fd.get()})));
    CHECK(drain(fd) == 1);
    CHECK(host.irqs.masked(irq_index::intx, 0));
    auto other = event_file(); // takes the first one's place, masked as it was
    REQUIRE(host.ioctl(bind(irq_index::intx, 0, std::array{other.get()})));
    CHECK(drain(other) == 0);
    REQUIRE(host.ioctl(none(irq_index::intx, set_irqs::action::trigger, 0, 0)));
    REQUIRE(host.ioctl(bind(irq_index::intx, 0, std::array{other.get()})));
    CHECK(drain(other) == 1);
    CHECK(host.irqs.set_level(irq_index::intx, 0, false));
    REQUIRE(host.ioctl(none(irq_index::intx, set_irqs::action::trigger, 0, 0)));
    REQUIRE(host.ioctl(bind(irq_index::intx, 0, std::array{fd.get()})));
    CHECK(drain(fd) == 0);
}
