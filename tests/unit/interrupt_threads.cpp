// SPDX-License-Identifier: BSD-3-Clause
// Interrupts that threads of a device trigger while the user sets them up.
#include <mediant/device/interrupts.hpp>

#include <catch2/catch.hpp>

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <thread>
#include <vector>

using namespace mediant;
using device::interrupts;
using device::unique_fd;
using action = set_irqs::action;

namespace {

unique_fd event_file() { return unique_fd{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)}; }
std::uint64_t drain(const unique_fd& fd) {
    std::uint64_t count = 0;
    return ::read(fd.get(), &count, sizeof count) == sizeof count ? count : 0;
}
set_irqs none(irq_index index, action what, std::uint32_t start, std::uint32_t count) {
    return {index, what, set_irqs::data::none, start, count, {}, {}};
}
set_irqs bind(irq_index index, std::uint32_t start, std::span<const int> fds) {
    return {index, action::trigger, set_irqs::data::eventfds, start, static_cast<std::uint32_t>(fds.size()), {}, fds};
}

} // namespace

TEST_CASE("interrupt threads: each signal goes to the eventfd that is set, or to the one in its place") {
    interrupts irqs;
    irqs.provide(irq_index::msix, 2, irq_flags::eventfd);
    const std::array files{event_file(), event_file(), event_file()};
    REQUIRE(irqs.apply(bind(irq_index::msix, 0, std::array{files[0].get(), files[0].get()})));
    std::atomic<std::uint64_t> sent{0};
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (std::uint32_t who = 0; who < 3; ++who)
        threads.emplace_back([&, who] {
            std::uint32_t i = 0;
            for (; !stop; ++i) {
                static_cast<void>(irqs.trigger(irq_index::msix, (who + i) % 2));
                if (i % 64 == 0) std::this_thread::yield();
            }
            sent += i;
        });
    std::uint64_t seen = 0;
    for (std::size_t turn = 1; turn < 20'000 || seen < 20'000; ++turn) {
        const std::array fds{files[turn % 3].get(), files[(turn + 1) % 3].get()};
        REQUIRE(irqs.apply(bind(irq_index::msix, 0, fds)));
        seen += drain(files[turn % 3]);
    }
    stop = true;
    for (auto& thread : threads) thread.join();
    for (const auto& file : files) seen += drain(file);
    CHECK(seen == sent);
    CHECK(irqs.triggered(irq_index::msix, 0) + irqs.triggered(irq_index::msix, 1) == sent);
}

TEST_CASE("interrupt threads: nothing is written to what took the number of an eventfd that was closed") {
    interrupts irqs;
    irqs.provide(irq_index::msi, 1, irq_flags::eventfd);
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (int who = 0; who < 2; ++who)
        threads.emplace_back([&] {
            for (unsigned i = 0; !stop; ++i) {
                static_cast<void>(irqs.trigger(irq_index::msi, 0));
                if (i % 16 == 0) std::this_thread::yield();
            }
        });
    std::uint64_t signals = 0;
    bool stray = false;
    for (int turn = 0; turn < 3000 || signals == 0; ++turn) {
        const auto file = event_file();
        REQUIRE(irqs.apply(bind(irq_index::msi, 0, std::array{file.get()})));
        if (turn % 16 == 0) std::this_thread::yield();
        switch (turn % 3) {
        case 0: REQUIRE(irqs.apply(bind(irq_index::msi, 0, std::array{-1}))); break;
        case 1: REQUIRE(irqs.apply(none(irq_index::msi, action::trigger, 0, 0))); break;
        default: irqs.clear(); break;
        }
        // The lowest free numbers: what the eventfd's duplicate had.
        const unique_fd other{::memfd_create("other", MFD_CLOEXEC)};
        signals += drain(file);
        if (turn % 16 == 0) std::this_thread::yield();
        struct stat what {};
        REQUIRE(::fstat(other.get(), &what) == 0);
        stray |= what.st_size != 0;
    }
    stop = true;
    for (auto& thread : threads) thread.join();
    CHECK_FALSE(stray);
}

TEST_CASE("interrupt threads: an automasked line signals once an unmask, and keeps what comes meanwhile") {
    interrupts irqs;
    irqs.provide(irq_index::intx, 1, irq_flags::eventfd | irq_flags::maskable | irq_flags::automasked);
    const auto file = event_file();
    REQUIRE(irqs.apply(bind(irq_index::intx, 0, std::array{file.get()})));
    std::atomic<std::uint64_t> raised{0};
    std::uint64_t handled = 0; // of those raised, before the unmask that followed
    std::atomic<int> running{2};
    std::vector<std::thread> threads;
    for (int who = 0; who < 2; ++who)
        threads.emplace_back([&] {
            for (int i = 0; i < 5000; ++i) {
                ++raised;
                static_cast<void>(irqs.trigger(irq_index::intx, 0));
                if (i % 64 == 0) std::this_thread::yield();
            }
            --running;
        });
    std::uint64_t signals = 0;
    std::uint64_t unmasks = 0;
    for (bool last = false;;) {
        const bool over = running == 0;
        if (const std::uint64_t now = drain(file)) {
            signals += now;
            handled = raised;
            REQUIRE(irqs.apply(none(irq_index::intx, action::unmask, 0, 1)));
            ++unmasks;
            last = false;
        } else if (over) {
            if (last) break;
            last = true;
        }
    }
    for (auto& thread : threads) thread.join();
    CHECK(signals <= unmasks + 1);
    CHECK(handled == raised);
    CHECK(raised == 10'000);
}

TEST_CASE("interrupt threads: what was written before a trigger is there when its signal is") {
    interrupts irqs;
    irqs.provide(irq_index::msi, 1, irq_flags::eventfd);
    const auto file = event_file();
    REQUIRE(irqs.apply(bind(irq_index::msi, 0, std::array{file.get()})));
    std::atomic<std::uint64_t> memory{0};
    std::thread device{[&] {
        for (int i = 0; i < 20'000; ++i) {
            memory.fetch_add(1, std::memory_order_relaxed);
            static_cast<void>(irqs.trigger(irq_index::msi, 0));
        }
    }};
    std::uint64_t signals = 0;
    bool early = false;
    while (signals < 20'000) {
        signals += drain(file);
        early |= memory.load(std::memory_order_relaxed) < signals;
    }
    device.join();
    CHECK_FALSE(early);
}
