// SPDX-License-Identifier: BSD-3-Clause
// MASK and UNMASK by eventfds that the client signals.
#include "messages.hpp"

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <limits>
#include <thread>
#include <vector>

using namespace vfio_user_test;

namespace {

constexpr std::uint32_t none = VFIO_IRQ_SET_DATA_NONE, eventfds = VFIO_IRQ_SET_DATA_EVENTFD;
constexpr std::uint32_t mask = VFIO_IRQ_SET_ACTION_MASK, unmask = VFIO_IRQ_SET_ACTION_UNMASK,
                        trigger = VFIO_IRQ_SET_ACTION_TRIGGER;

void ring(int fd, std::uint64_t count = 1) { REQUIRE(::write(fd, &count, sizeof count) == sizeof count); }

bool readable(int fd) {
    pollfd what{fd, POLLIN, 0};
    return ::poll(&what, 1, 0) == 1;
}

/// As a loop does where the descriptor of the signals is readable.
void pump_signals(by_hand& at) {
    for (int turns = 0; turns < 1000 && readable(at.server->signals_fd()); ++turns) at.server->signalled();
}

} // namespace

TEST_CASE("vfio-user: interrupts are masked and unmasked by eventfds") {
    by_hand at;
    at.negotiate();
    auto& irqs = at.device.host.irqs;
    const auto fired = event_file(), done = event_file(), hold = event_file();
    const std::array to_trigger{fired.get()}, to_unmask{done.get()}, to_mask{hold.get()};
    REQUIRE(at.error_of(irqs_of(eventfds | trigger, 0, 0, 1), to_trigger) == 0);
    CHECK(at.server->signals_fd() < 0); // costs nothing where there are none
    const auto set_unmask = [&] { return at.error_of(irqs_of(eventfds | unmask, 0, 0, 1), to_unmask); };

    SECTION("a line that stays high comes again with each unmask, as KVM resamples INTx") {
        REQUIRE(set_unmask() == 0);
        CHECK(irqs.set_level(irq_index::intx, 0, true));
        CHECK(drain(fired.get()) == 1);
        CHECK(irqs.masked(irq_index::intx, 0)); // by itself
        for (int i = 0; i < 3; ++i) {
            ring(done.get());
            pump_signals(at);
            CHECK(drain(fired.get()) == 1);
            CHECK(drain(done.get()) == 0); // was taken
        }
        CHECK(irqs.set_level(irq_index::intx, 0, false));
        ring(done.get());
        pump_signals(at);
        CHECK(drain(fired.get()) == 0);
        CHECK_FALSE(irqs.masked(irq_index::intx, 0));
    }
    SECTION("and masked") {
        REQUIRE(at.error_of(irqs_of(eventfds | mask, 0, 0, 1), to_mask) == 0);
        ring(hold.get());
        pump_signals(at);
        CHECK(irqs.masked(irq_index::intx, 0));
        CHECK(irqs.trigger(irq_index::intx, 0));
        CHECK(drain(fired.get()) == 0);
        CHECK(at.error_of(irqs_of(none | unmask, 0, 0, 1)) == 0);
        CHECK(drain(fired.get()) == 1);
    }
    SECTION("one that was signalled before it was set counts") {
        REQUIRE(at.error_of(irqs_of(none | mask, 0, 0, 1)) == 0);
        ring(done.get());
        REQUIRE(set_unmask() == 0);
        pump_signals(at);
        CHECK_FALSE(irqs.masked(irq_index::intx, 0));
    }
    SECTION("taken away by none, replaced, and gone with the kind") {
        const auto again = event_file();
        const std::array other{again.get()};
        const auto still_masked = [&](int rung) {
            REQUIRE(at.error_of(irqs_of(none | mask, 0, 0, 1)) == 0);
            ring(rung);
            pump_signals(at);
            return irqs.masked(irq_index::intx, 0);
        };
        REQUIRE(set_unmask() == 0);
        CHECK_FALSE(still_masked(done.get()));
        REQUIRE(at.error_of(irqs_of(eventfds | unmask, 0, 0, 1)) == 0);
        CHECK(still_masked(done.get()));
        CHECK(drain(done.get()) == 1);
        REQUIRE(set_unmask() == 0);
        REQUIRE(at.error_of(irqs_of(eventfds | unmask, 0, 0, 1), other) == 0);
        CHECK(still_masked(done.get()));
        CHECK_FALSE(still_masked(again.get()));
        REQUIRE(at.error_of(irqs_of(none | trigger, 0, 0, 0)) == 0);
        CHECK(still_masked(again.get()));
    }
    SECTION("an error changes nothing, and leaves no descriptor") {
        REQUIRE(set_unmask() == 0);
        const int before = open_files();
        const auto memory = memory_file(8);
        CHECK(at.error_of(irqs_of(eventfds | unmask, 0, 0, 1), std::array{memory.get()}) == EINVAL);
        CHECK(at.error_of(irqs_of(eventfds | unmask, 0, 0, 2), std::array{done.get(), hold.get()}) == EINVAL);
        CHECK(at.error_of(irqs_of(eventfds | unmask, 1, 0, 1), to_unmask) == EINVAL); // MSI says that it cannot
        const unique_fd poller{::epoll_create1(EPOLL_CLOEXEC)};
        (void)at.error_of(irqs_of(eventfds | unmask, 0, 0, 1), std::array{poller.get()});
        REQUIRE(set_unmask() == 0);
        CHECK(open_files() == before + 2); // memory, poller
        REQUIRE(at.error_of(irqs_of(none | mask, 0, 0, 1)) == 0);
        ring(done.get());
        pump_signals(at);
        CHECK_FALSE(irqs.masked(irq_index::intx, 0));
    }
    SECTION("gone with the client") {
        const int before = open_files();
        REQUIRE(set_unmask() == 0);
        REQUIRE(at.error_of(irqs_of(eventfds | mask, 0, 0, 1), to_mask) == 0);
        CHECK(open_files() == before + 3); // two, and the session's own
        at.connect();
        at.negotiate();
        CHECK(open_files() == before - 1); // what it is triggered by is gone, too
        CHECK(at.server->signals_fd() < 0);
    }
}

TEST_CASE("vfio-user: no memory is had for more vectors than a kind can have") {
    signal_set signals;
    irq_signals all{signals};
    const auto hold = event_file();
    const std::array fds{hold.get()};
    const set_irqs what{irq_index::msix, set_irqs::action::mask, set_irqs::data::eventfds, 0, 1, {}, fds};
    CHECK(all.set(what, 2049).error() == error::invalid);
    CHECK(all.set(what, 2048));
    all.clear();
}

TEST_CASE("vfio-user: a client's eventfd cannot stop the server, nor keep it from others") {
    by_hand at;
    at.negotiate();
    auto& irqs = at.device.host.irqs;

    SECTION("emptied meanwhile, and made to block") {
        const unique_fd semaphore{::eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE)};
        const std::array one{semaphore.get()};
        REQUIRE(at.error_of(irqs_of(eventfds | mask, 0, 0, 1), one) == 0);
        REQUIRE(::fcntl(semaphore.get(), F_SETFL, 0) == 0);
        ring(semaphore.get());
        REQUIRE(readable(at.server->signals_fd()));
        std::uint64_t taken = 0;
        REQUIRE(::read(semaphore.get(), &taken, sizeof taken) == sizeof taken);
        ::alarm(20); // the end of who waits
        signal_set::drain(semaphore.get());
        at.server->signalled();
        ::alarm(0);
        CHECK(at.alive());

        // Read one by one it would be readable for ever.
        ring(semaphore.get(), std::uint64_t{1} << 60);
        pump_signals(at);
        CHECK_FALSE(readable(at.server->signals_fd()));
        CHECK(irqs.masked(irq_index::intx, 0));
    }
    SECTION("as many at once as there may be: a few in a turn") {
        constexpr std::uint32_t vectors = 64;
        irqs.provide(irq_index::msix, vectors, irq_flags::eventfd | irq_flags::maskable);
        std::vector<unique_fd> files;
        std::vector<int> fds;
        for (std::uint32_t i = 0; i < vectors; ++i) fds.push_back(files.emplace_back(event_file()).get());
        for (std::uint32_t i = 0; i < vectors; i += 16)
            REQUIRE(at.error_of(irqs_of(eventfds | mask, 2, i, 16), std::span{fds}.subspan(i, 16)) == 0);
        for (const int fd : fds) ring(fd);
        const auto masked = [&] {
            std::size_t count = 0;
            for (std::uint32_t i = 0; i < vectors; ++i) count += irqs.masked(irq_index::msix, i) ? 1 : 0;
            return count;
        };
        for (std::size_t turn = 1; turn <= vectors / signal_set::share; ++turn) {
            REQUIRE(readable(at.server->signals_fd()));
            at.server->signalled();
            CHECK(masked() == turn * signal_set::share);
        }
        CHECK_FALSE(readable(at.server->signals_fd()));
    }
}

TEST_CASE("vfio-user: a loop answers eventfds, whichever way it runs") {
    fake_device device;
    const auto path = socket_path("irq-signals");
    server<fake_device> serving{device, {.path = path}};
    const bool spinning = GENERATE(false, true);
    std::thread thread{[&] { spinning ? serving.spin() : serving.run(); }};
    {
        auto connected = client::connect(path);
        REQUIRE(connected);
        auto& peer = *connected;
        REQUIRE(peer.set_timeout(std::chrono::seconds{5}));
        REQUIRE(peer.negotiate());
        const auto fired = event_file(), done = event_file();
        const std::array to_trigger{fired.get()}, to_unmask{done.get()};
        using set = mediant::set_irqs;
        const auto bind = [&](set::action what, std::span<const int> fds) {
            return peer.set_irqs({irq_index::intx, what, set::data::eventfds, 0, 1, {}, fds});
        };
        REQUIRE(bind(set::action::trigger, to_trigger));
        REQUIRE(bind(set::action::unmask, to_unmask));
        CHECK(device.host.irqs.set_level(irq_index::intx, 0, true));
        CHECK(eventually([&] { return drain(fired.get()) == 1; }));
        for (int i = 0; i < 20; ++i) {
            ring(done.get());
            CHECK(eventually([&] { return drain(fired.get()) == 1; }));
            std::array<std::byte, 4> some{};
            CHECK(peer.read({region_index::config, 0, some}).count == 4); // messages go on
        }
        const int minus = -1;
        REQUIRE(bind(set::action::unmask, {&minus, 1}));
        ring(done.get());
        std::array<std::byte, 4> some{};
        CHECK(peer.read({region_index::config, 0, some}).count == 4);
        CHECK(drain(fired.get()) == 0);
    }
    serving.stop();
    thread.join();
}
