// SPDX-License-Identifier: BSD-3-Clause
// MSI-X of a simulated function: its table, its pending bits, and the three masks that hold a message back.
#include <mediant/core/little_endian.hpp>
#include <mediant/device/memory_device.hpp>

#include <catch2/catch.hpp>

#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

using namespace mediant;
using device::unique_fd;

namespace {

constexpr std::uint32_t vectors = 70;
constexpr std::uint64_t table = 0x1000, pending = 0x2008;
constexpr std::uint64_t control = 0x62; // MSI-X control in config space
constexpr region_index bar1{1};
constexpr auto msix = irq_index::msix;

device::pci_function function(bool maskable = false) {
    return {.id = {0x1234, 0x5678},
            .bar_sizes = {4096, 16384},
            .msix = {.vectors = vectors,
                     .offset = 0x60,
                     .table_bar = 1,
                     .table_offset = table,
                     .pending_bar = 1,
                     .pending_offset = pending,
                     .maskable = maskable}};
}

std::uint64_t drain(const unique_fd& fd) {
    std::uint64_t count = 0;
    return ::read(fd.get(), &count, sizeof count) == sizeof count ? count : 0;
}

/// An open device with an eventfd for each of its vectors.
struct bench {
    device::memory_device device;
    std::vector<unique_fd> events;

    explicit bench(bool maskable = false) : device{function(maskable)} {
        REQUIRE(device.open());
        bind();
    }
    ~bench() { device.release(); }
    void bind() {
        events.clear();
        std::vector<int> fds;
        for (std::uint32_t i = 0; i < vectors; ++i) {
            events.emplace_back(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
            fds.push_back(events.back().get());
        }
        REQUIRE(device.ioctl(
            set_irqs{msix, set_irqs::action::trigger, set_irqs::data::eventfds, 0, vectors, {}, fds}));
    }
    std::uint64_t came(std::uint32_t vector) { return drain(events[vector]); }
    void store(std::uint64_t offset, std::uint64_t value, unsigned width = 4) {
        REQUIRE(device.store(bar1, offset, width, value));
    }
    std::uint64_t load(std::uint64_t offset, unsigned width = 4) { return *device.load(bar1, offset, width); }
    void mask(std::uint32_t vector, bool on) { store(table + 16 * vector + 12, on ? 1 : 0); }
    void mask_function(bool on) { REQUIRE(device.store(region_index::config, control, 2, on ? 0xc000 : 0x8000)); }
    result<void> by_request(set_irqs::action what, std::uint32_t start, std::uint32_t count) {
        return device.ioctl(set_irqs{msix, what, set_irqs::data::none, start, count, {}, {}});
    }
    /// A trigger, and whether it was delivered.
    bool trigger(std::uint32_t vector) {
        REQUIRE(device.trigger(msix, vector));
        return came(vector) == 1;
    }
};

} // namespace

TEST_CASE("MSI-X: the table keeps messages, and mask bits that are set at first") {
    bench at;
    for (const std::uint32_t vector : {0u, 1u, vectors - 1}) {
        const std::uint64_t entry = table + 16 * vector;
        CHECK(at.load(entry, 8) == 0);
        CHECK(at.load(entry + 12) == 1);
        at.store(entry, 0x11223344'fee00000, 8);
        at.store(entry + 8, 0xcafe);
        CHECK(at.load(entry) == 0xfee00000);
        CHECK(at.load(entry + 4) == 0x11223344);
        CHECK(at.load(entry + 8, 8) == 0x1'0000cafe);
        CHECK(at.load(entry + 9, 1) == 0xca);
        at.store(entry + 12, 0xffff'fffe); // the others are reserved
        CHECK(at.load(entry + 12) == 0);
        at.store(entry + 8, 0x1'00000001, 8);
        CHECK(at.load(entry + 8, 8) == 0x1'00000001);
    }
    // What lies around it is the device's memory.
    at.store(table - 4, 0x55aa55aa);
    at.store(table + 16 * vectors, 0x5a5a5a5a);
    CHECK(at.load(table - 4) == 0x55aa55aa);
    CHECK(at.load(table + 16 * vectors) == 0x5a5a5a5a);
    CHECK(at.device.memory(bar1)[table] == std::byte{0});
    CHECK(*at.device.load(region_index::bar0, 0, 4) == 0); // not in the other BAR
    CHECK(at.device.block(bar1, table + 16 * vectors, 64).size() == 64);
    CHECK(at.device.block(bar1, table + 16 * vectors - 4, 64).empty());
    CHECK(at.device.block(bar1, table - 60, 64).empty());
    CHECK(at.device.block(bar1, pending + 8, 64).empty());
}

TEST_CASE("MSI-X: a mask bit counts from the first write to it on") {
    // As with QEMU, which keeps its guest's table and asks by SET_IRQS alone.
    bench at;
    CHECK(at.load(table + 12) == 1);
    CHECK(at.trigger(0));
    at.mask(0, true);
    CHECK_FALSE(at.trigger(0));
}

TEST_CASE("MSI-X: what comes while it is masked is pending, once, and delivered when nothing masks it") {
    bench at{true};
    at.mask(0, false);
    at.mask(65, false);
    CHECK(at.trigger(0));
    CHECK(at.trigger(65));
    CHECK(at.trigger(65));

    SECTION("the vector's mask") {
        at.mask(65, true);
        CHECK_FALSE(at.trigger(65));
        CHECK_FALSE(at.trigger(65));
        CHECK(at.trigger(0)); // another is not concerned
        CHECK(at.load(pending, 8) == 0);
        CHECK(at.load(pending + 8, 8) == 2);
        CHECK(at.load(pending + 8, 1) == 2);
        at.store(pending + 8, 0, 8); // read-only
        CHECK(at.load(pending + 8, 8) == 2);
        at.mask(65, false);
        CHECK(at.came(65) == 1);
        CHECK(at.load(pending + 8, 8) == 0);
        at.mask(65, true);
        at.mask(65, false);
        CHECK(at.came(65) == 0);
    }
    SECTION("the function mask") {
        at.mask_function(true);
        CHECK_FALSE(at.trigger(0));
        CHECK_FALSE(at.trigger(65));
        CHECK(at.load(pending) == 1);
        at.mask_function(true);
        CHECK(at.came(0) == 0);
        at.mask_function(false);
        CHECK(at.came(0) == 1);
        CHECK(at.came(65) == 1);
        CHECK(at.load(pending) == 0);
    }
    SECTION("SET_IRQS") {
        REQUIRE(at.by_request(set_irqs::action::mask, 60, 10));
        CHECK_FALSE(at.trigger(65));
        CHECK(at.load(pending + 8, 8) == 2);
        CHECK(at.load(table + 16 * 65 + 12) == 0); // the table is another matter
        const std::array<std::uint8_t, 2> second{0, 1};
        REQUIRE(at.device.ioctl(
            set_irqs{msix, set_irqs::action::unmask, set_irqs::data::bools, 65, 2, second, {}}));
        CHECK(at.came(65) == 0);
        REQUIRE(at.device.ioctl(
            set_irqs{msix, set_irqs::action::unmask, set_irqs::data::bools, 64, 2, second, {}}));
        CHECK(at.came(65) == 1);
        CHECK(at.by_request(set_irqs::action::mask, vectors, 1).error() == error::invalid);
        CHECK(at.by_request(set_irqs::action::mask, 0, vectors + 1).error() == error::invalid);
        CHECK(at.device.ioctl(set_irqs{msix, set_irqs::action::mask, set_irqs::data::bools, 0, 3, second, {}})
                  .error() == error::invalid);
        const std::array fd{at.events[0].get()};
        CHECK(at.device.ioctl(set_irqs{msix, set_irqs::action::unmask, set_irqs::data::eventfds, 0, 1, {}, fd})
                  .error() == error::not_supported);
    }
    SECTION("all of them at once") {
        at.mask(65, true);
        at.mask_function(true);
        REQUIRE(at.by_request(set_irqs::action::mask, 65, 1));
        CHECK_FALSE(at.trigger(65));
        at.mask(65, false);
        at.mask_function(false);
        CHECK(at.came(65) == 0);
        REQUIRE(at.by_request(set_irqs::action::unmask, 65, 1));
        CHECK(at.came(65) == 1);
    }
    CHECK(at.device.trigger(msix, vectors).error() == error::invalid);
}

TEST_CASE("MSI-X: what waits ends with the kind, with a reset and with the user") {
    bench at{true};
    REQUIRE(at.by_request(set_irqs::action::mask, 3, 1));
    at.mask(4, true);
    CHECK_FALSE(at.trigger(3));
    CHECK_FALSE(at.trigger(4));
    CHECK(at.load(pending) == 0x18);
    SECTION("disabled") {
        REQUIRE(at.by_request(set_irqs::action::trigger, 0, 0));
        CHECK(at.load(pending) == 0);
        at.bind();
        CHECK(at.trigger(3));
        CHECK_FALSE(at.trigger(4)); // the table stays
        at.mask(4, false);
        CHECK(at.came(4) == 1);
    }
    SECTION("reset") {
        at.store(table, 0x1234);
        REQUIRE(at.device.ioctl(reset_device{}));
        CHECK(at.load(pending) == 0);
        CHECK(at.load(table) == 0);
        CHECK(at.load(table + 16 * 4 + 12) == 1);
        CHECK(at.trigger(3));
        CHECK(at.trigger(4));
    }
    SECTION("released") {
        at.mask_function(true);
        at.device.release();
        REQUIRE(at.device.open());
        at.bind();
        CHECK(at.load(pending) == 0);
        CHECK(at.trigger(3));
        CHECK(at.trigger(4));
    }
}

TEST_CASE("MSI-X: a function says that SET_IRQS masks where it is told to") {
    bench silent;
    CHECK(silent.device.ioctl(get_irq_info{msix})->flags == (irq_flags::eventfd | irq_flags::noresize));
    bench says{true};
    CHECK(says.device.ioctl(get_irq_info{msix})->flags ==
          (irq_flags::eventfd | irq_flags::noresize | irq_flags::maskable));
}

TEST_CASE("MSI-X: no trigger is lost between masks, from several threads") {
    bench at{true};
    at.mask(0, false);
    constexpr int rounds = 20'000;
    std::atomic<bool> over{false};
    std::atomic<std::uint64_t> heard{0};
    std::thread device{[&] {
        for (int i = 0; i < rounds; ++i) {
            // The next only when this one was heard: each must come through, whatever is masked when.
            if (!at.device.trigger(msix, 0)) break;
            while (at.came(0) == 0) {
                if (over.load()) return;
                std::this_thread::yield();
            }
            ++heard;
        }
        over = true;
    }};
    for (int i = 0; !over.load(); ++i) {
        const bool on = i % 2 == 0;
        switch (i / 2 % 3) {
        case 0: at.mask(0, on); break;
        case 1: at.mask_function(on); break;
        default: static_cast<void>(at.by_request(on ? set_irqs::action::mask : set_irqs::action::unmask, 0, 1)); break;
        }
    }
    at.mask(0, false);
    at.mask_function(false);
    device.join();
    CHECK(heard == rounds);
}
