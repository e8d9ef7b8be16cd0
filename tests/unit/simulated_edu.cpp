// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// The simulated edu device against what QEMU 7.2's answers through vfio-pci 6.1.

#include <mediant/device/edu.hpp>
#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace mediant;
using device::edu;
using device::unique_fd;

namespace {

constexpr std::uint32_t ones = 0xffff'ffff;
constexpr std::uint64_t millisecond = 1'000'000;

/// A stack without policies: what splits and clamps.
struct bench {
    explicit bench(unsigned max_access = 4) : model{max_access}, front{model} { REQUIRE(front.open()); }

    std::uint64_t get(std::uint64_t offset, std::size_t width = 4, region_index region = bar{0}) {
        std::array<std::byte, 8> bytes{};
        const auto part = std::span{bytes}.first(width);
        REQUIRE(front.read({region, offset, part}) == answer{width});
        return load_little(part);
    }
    void put(std::uint64_t offset, std::uint64_t value, std::size_t width = 4, region_index region = bar{0}) {
        std::array<std::byte, 8> bytes{};
        const auto part = std::span{bytes}.first(width);
        store_little(part, value);
        REQUIRE(front.write({region, offset, part}) == answer{width});
    }
    void command(std::uint64_t value) { put(0x04, value, 2, region_index::config); }
    result<void> bind(irq_index index, int fd) {
        return front.ioctl(set_irqs{index, set_irqs::action::trigger, set_irqs::data::eventfds, 0, 1, {}, {&fd, 1}});
    }
    result<void> act(irq_index index, set_irqs::action what) {
        return front.ioctl(set_irqs{index, what, set_irqs::data::none, 0, 1, {}, {}});
    }
    void transfer(std::uint64_t source, std::uint64_t target, std::uint64_t count, std::uint64_t how) {
        put(edu::dma_source, source);
        put(edu::dma_target, target);
        put(edu::dma_count, count);
        put(edu::dma_command, edu::dma_run | how);
        model.advance(0);
        model.advance(edu::dma_nanoseconds);
        REQUIRE((get(edu::dma_command) & edu::dma_run) == 0);
    }

    edu model;
    stack<edu> front;
};

struct event {
    unique_fd fd{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};

    /// Signals since the last call.
    std::uint64_t take() const {
        std::uint64_t count = 0;
        return ::read(fd.get(), &count, sizeof count) == sizeof count ? count : 0;
    }
};

} // namespace

TEST_CASE("edu: what is there", "[edu]") {
    bench b;
    const auto device = b.front.ioctl(get_device_info{});
    REQUIRE(device);
    CHECK(device->regions == 9);
    CHECK(device->irqs == 5);
    CHECK(device->can_reset);

    CHECK(b.front.ioctl(get_region_info{bar{0}})->size == 1_MiB);
    CHECK(b.front.ioctl(get_region_info{bar{0}})->flags == (region_flags::read | region_flags::write));
    for (const region_index none : {region_index::bar1, region_index::bar5, region_index::rom}) {
        CHECK(b.front.ioctl(get_region_info{none})->size == 0);
        CHECK(b.front.ioctl(get_region_info{none})->flags == region_flags::none);
    }
    CHECK(b.front.ioctl(get_region_info{region_index::config})->size == 0x100);
    CHECK(b.front.ioctl(get_region_info{region_index::vga}).error() == error::invalid);
    CHECK(b.front.ioctl(get_region_info{region_index{9}}).error() == error::invalid);

    CHECK(b.front.ioctl(get_irq_info{irq_index::intx})->count == 1);
    CHECK(b.front.ioctl(get_irq_info{irq_index::intx})->flags ==
          (irq_flags::eventfd | irq_flags::maskable | irq_flags::automasked));
    CHECK(b.front.ioctl(get_irq_info{irq_index::msi})->count == 1);
    CHECK(b.front.ioctl(get_irq_info{irq_index::msi})->flags == (irq_flags::eventfd | irq_flags::noresize));
    CHECK(b.front.ioctl(get_irq_info{irq_index::msix})->count == 0);
    CHECK(b.front.ioctl(get_irq_info{irq_index::err}).error() == error::invalid);
    CHECK(b.front.ioctl(get_irq_info{irq_index::req})->count == 1);
    CHECK(b.front.ioctl(get_irq_info{irq_index{5}}).error() == error::invalid);
}

TEST_CASE("edu: registers of four bytes", "[edu]") {
    bench b;
    CHECK(b.get(edu::ident) == 0x010000ed);
    CHECK(b.get(edu::live) == 0);
    b.put(edu::ident, ones);
    b.put(edu::live, 0x12345678);
    CHECK(b.get(edu::ident) == 0x010000ed);
    CHECK(b.get(edu::live) == 0xedcba987);
    b.put(edu::status, 0x7f);
    CHECK(b.get(edu::status) == 0);
    b.put(edu::status, ones);
    CHECK(b.get(edu::status) == 0x80);
    b.put(edu::irq_status, ones);
    CHECK(b.get(edu::irq_status) == 0);
    b.put(edu::dma_source, 0x99887766);
    CHECK(b.get(edu::dma_source) == 0x99887766);
    b.put(edu::dma_command, 0x6); // without RUN nothing is stored
    CHECK(b.get(edu::dma_command) == 0);
    for (const std::uint64_t nothing :
         {0x0cu, 0x1cu, 0x28u, 0x5cu, 0x60u, 0x64u, 0x68u, 0x7cu, 0x84u, 0x9cu, 0xa0u, 0x40000u, 0xffffcu}) {
        b.put(nothing, 0);
        CHECK(b.get(nothing) == ones);
    }
}

TEST_CASE("edu: other widths", "[edu]") {
    bench b;
    b.put(edu::live, 0x12345678);
    SECTION("narrower than a register: 0, and nothing is written") {
        for (const std::uint64_t offset : {0x00u, 0x04u, 0x28u, 0x80u, 0xffffcu}) {
            for (std::uint64_t lane = 0; lane < 4; ++lane) CHECK(b.get(offset + lane, 1) == 0);
            CHECK(b.get(offset, 2) == 0);
            CHECK(b.get(offset + 2, 2) == 0);
        }
        b.put(edu::live, 0xaa, 1);
        b.put(edu::live + 2, 0xbbbb, 2);
        CHECK(b.get(edu::live) == 0xedcba987);
        CHECK(b.get(1, 4) == 0); // 1, 2 and 1
        CHECK(b.get(1, 8) == 0x00edcba9'87000000);
    }
    SECTION("wider, where the kernel splits") {
        CHECK(b.get(0, 8) == 0xedcba987'010000ed);
        b.put(0, 0x0000000f'ffffffff, 8);
        CHECK(b.get(edu::live) == 0xfffffff0);
        b.put(edu::dma_source, 0xaabbccdd'99887766, 8);
        CHECK(b.get(edu::dma_source, 8) == 0xffffffff'99887766);
    }
    SECTION("wider, where the device sees it") {
        bench wide{8};
        wide.put(edu::live, 0x12345678);
        CHECK(wide.get(0, 8) == ~std::uint64_t{0});
        wide.put(0, 0, 8);
        CHECK(wide.get(edu::live) == 0xedcba987);
        wide.put(edu::dma_source, 0xaabbccdd'99887766, 8);
        CHECK(wide.get(edu::dma_source, 8) == 0xaabbccdd'99887766);
        CHECK(wide.get(edu::dma_source) == 0x99887766);
        wide.put(edu::dma_source, 1, 4);
        CHECK(wide.get(edu::dma_source, 8) == 1);
    }
    SECTION("what is not natural is refused") {
        CHECK(b.model.load(bar{0}, 0, 8).error() == error::invalid);
        CHECK(b.model.load(bar{0}, 0, 3).error() == error::invalid);
        CHECK(b.model.load(bar{0}, 2, 4).error() == error::invalid);
        CHECK(b.model.load(bar{0}, 1_MiB, 4).error() == error::invalid);
        CHECK(b.model.load(bar{0}, ~std::uint64_t{3}, 4).error() == error::invalid);
        CHECK(b.model.load(bar{1}, 0, 4).error() == error::invalid);
        CHECK(b.model.store(region_index::config, 0x100, 4, 0).error() == error::fault);
        CHECK_THROWS_AS(edu{3}, std::invalid_argument);
    }
}

TEST_CASE("edu: a region's end and disabled memory", "[edu]") {
    bench b;
    std::array<std::byte, 8> bytes{};
    CHECK(b.front.read({bar{0}, 1_MiB - 4, bytes}) == answer{4});
    CHECK(b.front.read({bar{0}, 1_MiB - 3, bytes}) == answer{3});
    CHECK(b.front.read({bar{0}, 1_MiB, bytes}) == answer{0, error::invalid});
    CHECK(b.front.read({bar{1}, 0, bytes}) == answer{0, error::invalid});

    b.put(edu::live, 5);
    b.command(0x0000);
    CHECK(b.front.read({bar{0}, 0, bytes}) == answer{0, error::io});
    CHECK(b.front.write({bar{0}, edu::live, bytes}) == answer{0, error::io});
    CHECK(b.front.read({bar{0}, 1_MiB, bytes}) == answer{0, error::invalid});
    b.command(0x0002);
    CHECK(b.get(edu::live) == ~5u);
}

TEST_CASE("edu: the factorial", "[edu]") {
    bench b;
    CHECK_FALSE(b.model.deadline());
    b.put(edu::status, edu::status_interrupt);
    b.put(edu::factorial, 5);
    CHECK(b.get(edu::status) == 0x81);
    CHECK(b.get(edu::factorial) == 5);
    b.put(edu::factorial, 6); // busy: ignored
    b.put(edu::status, 0x01); // busy stays; the interrupt is what is chosen at the end
    CHECK(b.get(edu::status) == 0x01);
    b.put(edu::status, ones);
    REQUIRE(b.model.deadline());
    b.model.advance(*b.model.deadline());
    CHECK_FALSE(b.model.deadline());
    CHECK(b.get(edu::factorial) == 120);
    CHECK(b.get(edu::status) == 0x80);
    CHECK(b.get(edu::irq_status) == edu::interrupt_factorial);

    b.put(edu::irq_ack, ones);
    b.put(edu::status, 0);
    const std::vector<std::pair<std::uint32_t, std::uint32_t>> known{
        {0, 1}, {1, 1}, {2, 2}, {3, 6}, {12, 479001600}, {13, 1932053504}, {14, 1278945280},
        {20, 2192834560}, {33, 2147483648}, {34, 0}, {35, 0}, {1000, 0}, {ones, 0}};
    for (const auto& [n, result] : known) {
        b.put(edu::factorial, n);
        b.model.advance(0);
        CHECK(b.get(edu::factorial) == result);
        CHECK(b.get(edu::irq_status) == 0);
    }
}

TEST_CASE("edu: DMA", "[edu]") {
    bench b;
    std::vector<std::byte> memory(8192);
    for (std::size_t i = 0; i < 4096; ++i) memory[i] = static_cast<std::byte>(i + 1);
    REQUIRE(b.front.ioctl(map_dma{0x100000, memory.size(), true, true, memory}));
    b.command(0x0006);
    const auto half = [&](long which) {
        return std::vector<std::byte>(memory.begin() + 4096 * which, memory.begin() + 4096 * (which + 1));
    };
    const auto zeros = [&](long from, long to) {
        return std::all_of(memory.begin() + from, memory.begin() + to, [](std::byte x) { return x == std::byte{0}; });
    };
    const std::uint64_t buffer = edu::buffer.offset;

    SECTION("there and back, in a hundred milliseconds each") {
        b.put(edu::dma_source, 0x100000);
        b.put(edu::dma_target, buffer);
        b.put(edu::dma_count, 4096);
        b.put(edu::dma_command, 0x7 & ~edu::dma_to_memory);
        b.put(edu::dma_command, 0x1); // running: ignored
        b.put(edu::dma_source, 0);
        CHECK(b.get(edu::dma_source) == 0x100000);
        CHECK(b.get(edu::dma_command) == 0x5);
        REQUIRE(b.model.deadline());
        b.model.advance(7 * millisecond); // finds it started
        REQUIRE(b.model.deadline() == 107 * millisecond);
        b.model.advance(106 * millisecond);
        CHECK(b.get(edu::dma_command) == 0x5);
        b.model.advance(107 * millisecond);
        CHECK_FALSE(b.model.deadline());
        CHECK(b.get(edu::dma_command) == 0x4);
        CHECK(b.get(edu::irq_status) == edu::interrupt_dma);
        CHECK(b.get(edu::dma_count) == 4096);

        b.transfer(buffer, 0x101000, 4096, edu::dma_to_memory);
        CHECK(half(0) == half(1));
    }
    SECTION("addresses have 28 bits") {
        b.transfer(0xf010'0000, buffer, 16, 0);
        b.transfer(buffer, 0x1010'1000, 16, edu::dma_to_memory);
        CHECK(std::equal(memory.begin(), memory.begin() + 16, memory.begin() + 4096));
    }
    SECTION("what is not mapped reads as zeros and is not written") {
        b.transfer(0x100000, buffer, 4096, 0);
        b.transfer(0x100ff0 - 4096, buffer, 4096, 0); // the first page is not there
        b.transfer(buffer, 0x101000, 4096, edu::dma_to_memory);
        CHECK(zeros(4096, 4096 + 16));
        CHECK(std::equal(memory.begin(), memory.begin() + 4080, memory.begin() + 4096 + 16));
        b.transfer(buffer, 0x800000, 4096, edu::dma_to_memory);
    }
    SECTION("without bus mastering nothing is reached") {
        b.transfer(0x100000, buffer, 32, 0);
        b.command(0x0002);
        b.transfer(0x100000, buffer, 16, 0);
        b.transfer(buffer, 0x101000, 32, edu::dma_to_memory);
        CHECK(half(1) == std::vector<std::byte>(4096));
        b.command(0x0006);
        b.transfer(buffer, 0x101000, 32, edu::dma_to_memory);
        CHECK(zeros(4096, 4096 + 16));
        CHECK(std::equal(memory.begin() + 16, memory.begin() + 32, memory.begin() + 4096 + 16));
    }
    SECTION("outside the buffer nothing is transferred") {
        const auto before = memory;
        for (const auto& [at, count] : std::vector<std::pair<std::uint64_t, std::uint64_t>>{
                 {buffer - 1, 1}, {buffer + 4096, 1}, {buffer + 1, 4096}, {0, 16}, {buffer, ones}}) {
            b.transfer(0x100000, at, count, 0);
            b.transfer(at, 0x100000, count, edu::dma_to_memory);
        }
        bench wide{8};
        wide.put(edu::dma_target, ~std::uint64_t{0} - 3, 8);
        wide.put(edu::dma_count, 8, 8);
        wide.put(edu::dma_command, edu::dma_run, 8);
        wide.model.advance(0);
        wide.model.advance(edu::dma_nanoseconds);
        CHECK((wide.get(edu::dma_command) & edu::dma_run) == 0);
        CHECK(memory == before);
    }
    SECTION("memory that is gone") {
        b.put(edu::dma_source, 0x100000);
        b.put(edu::dma_target, buffer);
        b.put(edu::dma_count, 16);
        b.put(edu::dma_command, edu::dma_run);
        REQUIRE(b.front.ioctl(unmap_dma{0x100000, memory.size()}));
        b.model.advance(0);
        b.model.advance(edu::dma_nanoseconds);
        CHECK(b.get(edu::dma_command) == 0);
    }
    b.front.release();
}

TEST_CASE("edu: MSI", "[edu]") {
    bench b;
    const event interrupt;
    b.put(edu::irq_raise, 0x1); // nobody listens
    b.put(edu::irq_ack, 0x1);
    REQUIRE(b.bind(irq_index::msi, interrupt.fd.get()));
    b.put(edu::irq_raise, 0x5);
    CHECK(interrupt.take() == 1);
    CHECK(b.get(edu::irq_status) == 0x5);
    b.put(edu::irq_raise, 0x0); // something is pending: signals again
    b.put(edu::irq_raise, 0x2);
    CHECK(interrupt.take() == 2);
    b.put(edu::irq_ack, 0x4);
    CHECK(b.get(edu::irq_status) == 0x3);
    b.put(edu::irq_ack, ones);
    b.put(edu::irq_raise, 0x0);
    CHECK(interrupt.take() == 0);
    REQUIRE(b.front.ioctl(reset_device{}));
    b.put(edu::irq_raise, 0x1);
    CHECK(interrupt.take() == 1);
    REQUIRE(b.act(irq_index::msi, set_irqs::action::trigger));
    CHECK(interrupt.take() == 1);
    const std::array two{-1, -1};
    CHECK_FALSE(b.front.ioctl(
        set_irqs{irq_index::msi, set_irqs::action::trigger, set_irqs::data::eventfds, 0, 2, {}, two}));
}

TEST_CASE("edu: INTx", "[edu]") {
    bench b;
    const event interrupt;
    const auto asserted = [&] { return (b.get(0x06, 2, region_index::config) & 0x8) != 0; };
    REQUIRE(b.bind(irq_index::intx, interrupt.fd.get()));
    b.put(edu::irq_raise, 0x1);
    CHECK(asserted());
    CHECK(interrupt.take() == 1);
    b.put(edu::irq_raise, 0x2); // masked since it was delivered
    CHECK(interrupt.take() == 0);
    REQUIRE(b.act(irq_index::intx, set_irqs::action::unmask)); // still asserted
    CHECK(interrupt.take() == 1);
    b.put(edu::irq_ack, 0x1);
    CHECK(asserted());
    b.put(edu::irq_ack, 0x2);
    CHECK_FALSE(asserted());
    REQUIRE(b.act(irq_index::intx, set_irqs::action::unmask));
    CHECK(interrupt.take() == 0);

    b.command(0x0402); // disabled: no signal, but the status shows it
    b.put(edu::irq_raise, 0x1);
    CHECK(asserted());
    CHECK(interrupt.take() == 0);
    b.command(0x0002);
    CHECK(interrupt.take() == 1);

    const event message;
    REQUIRE(b.bind(irq_index::msi, message.fd.get())); // messages instead of the line
    CHECK_FALSE(asserted());
    b.put(edu::irq_raise, 0x1);
    CHECK_FALSE(asserted());
    CHECK(message.take() == 1);
}

TEST_CASE("edu: config space", "[edu]") {
    bench b;
    constexpr auto config = region_index::config;
    CHECK(b.get(0x00, 4, config) == 0x11e81234);
    CHECK(b.get(0x04, 2, config) == 0x0002);
    CHECK(b.get(0x06, 2, config) == 0x0010);
    CHECK(b.get(0x08, 4, config) == 0x00ff0010);
    CHECK(b.get(0x2c, 4, config) == 0x11001af4);
    CHECK(b.get(0x34, 1, config) == 0x40);
    CHECK(b.get(0x3d, 1, config) == 1);
    CHECK(b.get(0x40, 4, config) == 0x00800005);
    CHECK(b.get(0x3e, 3, config) == 0x050000); // any width and alignment: plain bytes

    b.put(0x00, ones, 4, config);
    CHECK(b.get(0x00, 4, config) == 0x11e81234);
    b.put(0x04, 0xffff, 2, config);
    CHECK(b.get(0x04, 2, config) == 0x0507);
    b.put(0x10, ones, 4, config);
    CHECK(b.get(0x10, 4, config) == 0xfff00000);
    b.put(0x10, 0x12345678, 4, config);
    CHECK(b.get(0x10, 4, config) == 0x12300000);
    b.put(0x14, ones, 4, config);
    CHECK(b.get(0x14, 4, config) == 0);
    b.put(0x30, ones, 4, config);
    CHECK(b.get(0x30, 4, config) == 0);
    b.put(0x3c, 0x0b0b, 2, config);
    CHECK(b.get(0x3c, 2, config) == 0x010b);
    b.put(0x42, 0xffff, 2, config);
    CHECK(b.get(0x42, 2, config) == 0x0081); // one vector: none can be granted
    b.put(0x44, ~std::uint64_t{0}, 8, config);
    CHECK(b.get(0x44, 8, config) == 0xffffffff'fffffffc);

    REQUIRE(b.front.ioctl(reset_device{})); // changes nothing of it
    CHECK(b.get(0x10, 4, config) == 0x12300000);
}

TEST_CASE("edu: registers outlive reset and release, config space does not outlive release", "[edu]") {
    bench b;
    b.put(edu::live, 1);
    b.put(0x10, ones, 4, region_index::config);
    const event interrupt;
    REQUIRE(b.bind(irq_index::msi, interrupt.fd.get()));
    REQUIRE(b.front.ioctl(reset_device{}));
    CHECK(b.get(edu::live) == 0xfffffffe);
    b.front.release();
    REQUIRE(b.front.open());
    CHECK(b.get(edu::live) == 0xfffffffe);
    CHECK(b.get(0x10, 4, region_index::config) == 0);
    b.put(edu::irq_raise, 1);
    CHECK(interrupt.take() == 0);
}

TEST_CASE("edu: services for policies", "[edu]") {
    edu model;
    std::vector<std::string> lines;
    model.set_log([&](std::string_view text, std::span<const std::uint64_t> numbers) {
        std::string line{text};
        for (const std::uint64_t n : numbers) line += ' ' + std::to_string(n);
        lines.push_back(line);
    });
    model.log("none");
    model.log("two", std::uint64_t{1}, std::uint64_t{2});
    CHECK(lines == std::vector<std::string>{"none", "two 1 2"});
    CHECK(model.trigger(irq_index::msi, 0));
    CHECK(model.irqs().triggered(irq_index::msi, 0) == 1);
    CHECK(model.trigger(irq_index::msi, 1).error() == error::invalid);
    CHECK(model.dma().size() == 0);
}
