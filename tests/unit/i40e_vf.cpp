// SPDX-License-Identifier: BSD-3-Clause
// The provider of an XL710's virtual functions over a simulated one: what its tails and mailbox let through, and that
// the log of written pages has each page that the function wrote, and no other.
#include "i40e_vf/i40e_vf.hpp"
#include "i40e_vf/i40e_vf_device.hpp"
#include "i40e_vf/vf_driver.hpp"
#include "migration/policies.hpp"

#include <mediant/device/eventfd.hpp>
#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <random>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace mediant;
using acme::i40e_vf_device;
using acme::vf_driver;
namespace at_offset = acme::i40e::at;

namespace {

/// A function with memory, and a driver of it. Of threads that move packets there may be some.
template <class... Policies>
struct world {
    std::vector<std::uint64_t> words = std::vector<std::uint64_t>(vf_driver::memory_size / 8);
    std::span<std::byte> memory = std::as_writable_bytes(std::span{words});
    i40e_vf_device device;
    stack<i40e_vf_device, Policies...> front{device};
    vf_driver driver{registers(), memory};

    explicit world(i40e_vf_device::writes how = i40e_vf_device::writes::untold) : device{how} {
        device.set_log([](auto&&...) {});
        REQUIRE(front.open());
        REQUIRE(front.ioctl(map_dma{vf_driver::memory_at, memory.size(), true, true, memory}));
        std::byte command[2]{std::byte{6}, std::byte{0}}; // memory, bus master
        REQUIRE(front.write({region_index::config, 4, command}).count == 2);
    }
    ~world() {
        REQUIRE(front.ioctl(unmap_dma{vf_driver::memory_at, memory.size()}));
        front.release();
    }

    vf_driver::registers registers() {
        return {[this](std::uint32_t offset) { return get(offset); },
                [this](std::uint32_t offset, std::uint32_t value) { put(offset, value); }};
    }
    std::uint32_t get(std::uint32_t offset) {
        std::byte bytes[4]{};
        REQUIRE(front.read({region_index::bar0, offset, bytes}).count == 4);
        return detail::load_bytes<std::uint32_t>(bytes);
    }
    void put(std::uint32_t offset, std::uint32_t value) {
        std::byte bytes[4]{};
        detail::store_bytes(bytes, value);
        REQUIRE(front.write({region_index::bar0, offset, bytes}).count == 4);
    }
    void start_log() { REQUIRE(front.ioctl(start_dma_logging{vf_driver::page, {}})); }
    /// Pages, counted from the memory's begin.
    std::set<std::size_t> report() {
        std::vector<std::uint64_t> bits(vf_driver::memory_size / vf_driver::page / 64);
        REQUIRE(front.ioctl(report_dma_logging{vf_driver::memory_at, vf_driver::memory_size, vf_driver::page, bits}));
        std::set<std::size_t> out;
        for (std::size_t i = 0; i < bits.size() * 64; ++i)
            if ((bits[i / 64] >> (i % 64) & 1) != 0) out.insert(i);
        return out;
    }
    /// Pages whose bytes are others than they were.
    std::set<std::size_t> changed(const std::vector<std::uint64_t>& before) const {
        std::set<std::size_t> out;
        for (std::size_t i = 0; i < words.size(); ++i)
            if (words[i] != before[i]) out.insert(i * 8 / vf_driver::page);
        return out;
    }
};
using mediated = world<acme::i40e_vf>;

/// Below the provider: the function is busy until it takes a message.
struct late {
    static constexpr auto info = provider{"late", {pci_id{0x8086, 0x154c}}};
    static constexpr auto bar0 = region_map{bar{0}, 64_KiB, reg{"VF_ATQT1", at_offset::atqt, rw, {.hook = on::write}}};
    static constexpr auto regions = mediant::regions<bar0>{};
    inline static i40e_vf_device* device = nullptr;

    result<void> write(at<bar0, "VF_ATQT1"> reg, std::uint32_t value, auto& next) {
        while (device != nullptr && device->work()) {}
        return next.write(reg, value);
    }
};
static_assert(valid<late>);

constexpr std::size_t page_of(std::size_t at) { return at / vf_driver::page; }

} // namespace

TEST_CASE("i40e_vf: a driver's packets come back through the function", "[i40e_vf]") {
    mediated w;
    w.driver.start();
    for (int i = 0; i < 500; ++i) {
        w.driver.send(7);
        w.device.advance(0);
        w.driver.reap();
    }
    while (w.device.work()) {}
    w.driver.reap();
    CHECK(w.driver.sent() > 3000);
    CHECK(w.driver.acknowledged() == w.driver.sent());
    CHECK(w.driver.received() == w.driver.sent());
    CHECK(w.device.dropped() == 0);
    CHECK(w.get(0xf000) > 500); // RUNG
    CHECK(w.get(0xf004) == 0);  // DROPPED
}

TEST_CASE("i40e_vf: the log has what the function wrote, report by report, as if the function itself had told it",
          "[i40e_vf]") {
    mediated w;                                          // nobody but the provider tells the log
    world<> truth{i40e_vf_device::writes::logged};       // no provider, and all writes are logged as they are made
    std::uint64_t random = 7;
    const auto below = [&](std::uint64_t n) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        return (random >> 33) % n;
    };
    const auto both = [&](auto what) {
        what(w);
        what(truth);
    };
    both([](auto& each) { each.start_log(); });
    both([](auto& each) { each.driver.start(); });
    CHECK(w.report() == truth.report()); // the mailbox's
    std::size_t reported = 0, reports = 0;
    for (int i = 0; i < 4000; ++i) {
        const auto count = static_cast<unsigned>(below(20));
        switch (below(4)) {
        case 0: both([&](auto& each) { each.driver.send(count); }); break;
        case 1: both([&](auto& each) { for (unsigned n = 0; n < count; ++n) each.device.work(); }); break;
        case 2: both([&](auto& each) { each.driver.reap(); }); break;
        default:
            // Now and then, so that rings go round and buffers are used again in between.
            if (below(i % 1000 < 500 ? 4 : 60) != 0) break;
            const auto pages = w.report();
            if (const auto exact = truth.report(); pages != exact) {
                CAPTURE(i, pages, exact);
                REQUIRE(pages == exact);
            }
            reported += pages.size();
            ++reports;
        }
    }
    CHECK(w.driver.received() > 2000);
    CHECK(reported > 2000);
    CHECK(reports > 20);
    CHECK(w.memory[0] == truth.memory[0]);
    CHECK(w.words == truth.words);
}

TEST_CASE("i40e_vf: what was written before the log began is not in it, what is pending then is", "[i40e_vf]") {
    mediated w;
    w.driver.start();
    const std::size_t first = page_of(w.driver.rx_buffers(0));
    w.driver.send(3);
    while (w.device.work()) {}
    w.start_log();
    CHECK(w.report().empty());
    w.driver.send(3);
    CHECK(w.report().empty()); // posted, and nothing of it is written
    while (w.device.work()) {}
    const auto pages = w.report();
    CHECK(pages.count(page_of(w.driver.tx_ring(0))) == 1);
    CHECK(pages.count(page_of(w.driver.rx_ring(1))) == 1);
    CHECK(pages.count(first) == 0); // the first two buffers, which the first packets filled
    CHECK(w.report().empty());
    // Begun anew, it has forgotten.
    w.driver.send(1);
    while (w.device.work()) {}
    w.start_log();
    CHECK(w.report().empty());
}

TEST_CASE("i40e_vf: what was received before queues went off is reported when their rings are gone", "[i40e_vf]") {
    mediated w;
    w.driver.start();
    w.start_log();
    w.driver.send(1);
    const std::size_t buffer = w.driver.rx_buffers(0);
    while (w.device.work()) {}
    w.driver.stop();
    std::ranges::fill(w.memory.subspan(w.driver.rx_ring(0), 0x4000), std::byte{0}); // as Linux's driver leaves it
    const auto pages = w.report();
    CHECK(pages.count(page_of(buffer)) == 1);
    CHECK(pages.count(page_of(w.driver.rx_ring(0))) == 1);
}

TEST_CASE("i40e_vf: nor is lost what comes while the function still hears that they go off", "[i40e_vf]") {
    world<acme::i40e_vf, late> w;
    w.driver.start();
    w.start_log();
    w.driver.send(1);
    const std::size_t buffer = w.driver.rx_buffers(0);
    late::device = &w.device;
    w.driver.stop();
    late::device = nullptr;
    REQUIRE(w.device.packets() == vf_driver::pairs);
    std::ranges::fill(w.memory.subspan(w.driver.rx_ring(0), 0x4000), std::byte{0});
    CHECK(w.report().count(page_of(buffer)) == 1);
}

TEST_CASE("i40e_vf: descriptors that are used again before anybody asks were written all the same", "[i40e_vf]") {
    mediated w;
    w.driver.start();
    w.start_log();
    const auto go = [&] {
        while (w.driver.send(1)) {} // until rings are full
    };
    go();
    while (w.device.work()) {}
    w.driver.reap();
    w.report();
    go();
    while (w.device.work()) {}
    w.driver.reap();
    go(); // and nothing of these is done
    const auto pages = w.report();
    for (std::size_t q = 0; q < vf_driver::pairs; ++q)
        for (const std::size_t at : {0u, 0x1000u}) CHECK(pages.count(page_of(w.driver.tx_ring(q) + at)) == 1);
}

TEST_CASE("i40e_vf: a copy that takes what is reported becomes the same, while threads move packets", "[i40e_vf]") {
    // The function's threads and the driver share memory as hardware and processors do, which a race detector is right
    // to see; there the function moves packets between the driver's turns.
    constexpr int threads = device::detail::orders_by_write ? 0 : 2;
    const auto differs_at_the_end = [](auto& w) {
        w.driver.start();
        std::vector<std::byte> copy(w.memory.begin(), w.memory.end());
        static_cast<void>(w.driver.take_written());
        w.start_log();
        std::atomic<bool> over{false};
        std::vector<std::thread> movers;
        for (int i = 0; i < threads; ++i)
            movers.emplace_back([&] {
                while (!over)
                    if (!w.device.work()) std::this_thread::yield();
            });
        std::set<std::size_t> ever;
        const auto harvest = [&] {
            auto pages = w.report();
            ever.insert(pages.begin(), pages.end());
            for (const std::size_t each : w.driver.take_written()) pages.insert(each);
            for (const std::size_t each : pages)
                std::copy_n(w.memory.begin() + static_cast<std::ptrdiff_t>(each * vf_driver::page), vf_driver::page,
                            copy.begin() + static_cast<std::ptrdiff_t>(each * vf_driver::page));
        };
        const std::uint64_t enough = w.driver.received() + 20'000;
        for (int turn = 0; w.driver.received() < enough; ++turn) {
            w.driver.send(16);
            if (threads == 0) w.device.advance(0);
            w.driver.reap();
            if (turn % 7 == 0) harvest();
        }
        REQUIRE(w.front.migrate(migration_state::stop));
        harvest();
        over = true;
        for (auto& each : movers) each.join();
        for (const std::size_t each : ever) {
            const std::size_t at = each * vf_driver::page;
            const bool could = at < vf_driver::tx_buffers(0) ||
                               (at >= vf_driver::rx_buffers(0) && at < vf_driver::tx_buffers(1)) ||
                               (at >= vf_driver::rx_buffers(1) && at < vf_driver::untouched());
            CHECK(could); // no page that only the driver writes, or nobody
        }
        return !std::equal(copy.begin(), copy.end(), w.memory.begin());
    };
    mediated told;
    CHECK_FALSE(differs_at_the_end(told));
    CHECK(told.get(0xf004) == 0);
    world<> untold; // the same without the provider: nobody tells
    CHECK(differs_at_the_end(untold));
}

TEST_CASE("i40e_vf: tails beyond a ring, and of queues that there are not, go no further", "[i40e_vf]") {
    mediated w;
    w.driver.start();
    const auto dropped = [&] { return w.get(0xf004); };
    w.put(at_offset::qtx_tail, vf_driver::tx_entries);
    w.put(at_offset::qrx_tail + 4, vf_driver::rx_entries);
    w.put(at_offset::qtx_tail, 0xffff'ffff);
    CHECK(dropped() == 3);
    CHECK(w.get(at_offset::qtx_tail) == 0);
    CHECK(w.get(at_offset::qrx_tail + 4) == vf_driver::rx_entries - 1);
    w.put(at_offset::qtx_tail + 4 * 4, 1);
    w.put(at_offset::qrx_tail + 4 * 15, 1);
    CHECK(dropped() == 5);
    // Those of a queue that is off wait; the function has none.
    w.put(at_offset::qtx_tail + 4 * 3, 9);
    CHECK(dropped() == 5);
    CHECK(w.get(at_offset::qtx_tail + 4 * 3) == 0);
    // Of the mailbox likewise, and parts of a register are none.
    w.put(at_offset::atqt, vf_driver::mailbox_entries);
    w.put(at_offset::arqt, 0x8000'0000);
    CHECK(dropped() == 7);
    std::byte half[2]{std::byte{7}, std::byte{0}};
    CHECK(w.front.write({region_index::bar0, at_offset::qtx_tail, half}).count == 2);
    CHECK(w.get(at_offset::qtx_tail) == 0);
    // It works all the same.
    w.driver.send(5);
    while (w.device.work()) {}
    w.driver.reap();
    CHECK(w.driver.received() == 10);
}

TEST_CASE("i40e_vf: tails that were written before queues are on reach the function when they are", "[i40e_vf]") {
    mediated w;
    CHECK(w.get(at_offset::qrx_tail) == 0);
    w.driver.start(); // posts first
    CHECK(w.get(at_offset::qrx_tail) == vf_driver::rx_entries - 1);
    CHECK(w.get(at_offset::qrx_tail + 4) == vf_driver::rx_entries - 1);
    CHECK(w.get(0xf004) == 0);
}

TEST_CASE("i40e_vf: rings and mailboxes that are longer than the provider knows are of no use", "[i40e_vf]") {
    mediated w;
    w.put(at_offset::atqlen, acme::i40e::queue_enable | 129);
    CHECK(w.get(at_offset::atqlen) == 129);
    w.put(at_offset::atqt, 1);
    CHECK(w.get(0xf004) == 1);
    CHECK(w.get(at_offset::atqt) == 0);
    w.driver.start();
    w.driver.stop();
    // By hand, a ring of 1024 for queue 0; the function would take it.
    std::array<std::byte, acme::i40e::rx_queue::size> ring{};
    acme::i40e::rx_queue{1, 0, 1024, vf_driver::memory_at + vf_driver::untouched(), 2048, 3000}.to(ring);
    w.driver.tell(acme::i40e::message::config_rx_queue, ring);
    std::array<std::byte, acme::i40e::select_size> which{};
    which[0] = which[4] = std::byte{1};
    const std::uint32_t before = w.get(at_offset::qrx_tail), count = w.get(0xf004);
    w.driver.tell(acme::i40e::message::enable_queues, which);
    w.put(at_offset::qrx_tail, 600);
    CHECK(w.get(at_offset::qrx_tail) == before);
    CHECK(w.get(0xf004) == count);
}

TEST_CASE("i40e_vf: no range of a client's memory, and none at all, is needed for the provider to live", "[i40e_vf]") {
    mediated w;
    w.driver.start();
    w.start_log();
    w.driver.send(3);
    REQUIRE(w.front.ioctl(unmap_dma{vf_driver::memory_at, w.memory.size()}));
    while (w.device.work()) {}
    w.put(at_offset::qtx_tail, 5); // its descriptors cannot be read
    CHECK(w.get(0xf004) == 1);
    CHECK(w.report().empty());
    REQUIRE(w.front.ioctl(map_dma{vf_driver::memory_at, w.memory.size(), true, true, w.memory}));
    REQUIRE(w.front.ioctl(reset_device{}));
    CHECK(w.get(at_offset::atqlen) == 0);
    CHECK(w.get(0xf004) == 0);
}

namespace {

/// The bytes of a field in a stream, of whose name there is one.
std::span<std::byte> field_of(std::vector<std::byte>& stream, std::string_view name) {
    const auto begin = reinterpret_cast<const char*>(stream.data());
    const auto at = std::string_view{begin, stream.size()}.find(static_cast<char>(name.size()) + std::string{name});
    REQUIRE(at != std::string_view::npos);
    const auto size = detail::load_bytes<std::uint32_t>(stream.data() + at + 1 + name.size());
    return std::span{stream}.subspan(at + 1 + name.size() + 4, size);
}

} // namespace

TEST_CASE("i40e_vf: a function goes on where another stopped, and what was raised is raised there", "[i40e_vf]") {
    mediated from, to;
    from.driver.start();
    from.driver.send(30);
    for (int i = 0; i < 11; ++i) from.device.work();
    from.driver.reap();
    auto stream = test::save(from.front);
    to.words = from.words;
    // A vector was off when a packet came: it was raised at the source, and nobody enabled it again.
    REQUIRE(test::restore(to.front, stream));
    CHECK(to.get(0xf000) == from.get(0xf000));
    const std::uint64_t before = to.device.irqs().triggered(irq_index::msix, 1);
    to.put(at_offset::dyn_ctln, acme::i40e::interrupt_enable);
    CHECK(to.device.irqs().triggered(irq_index::msix, 1) == before + 1);
    from.driver.move_to(to.registers(), to.memory);
    for (int i = 0; i < 300; ++i) {
        from.driver.send(5);
        to.device.advance(0);
        from.driver.reap();
    }
    while (to.device.work()) {}
    from.driver.reap();
    CHECK(from.driver.received() == from.driver.sent());
    CHECK(from.driver.received() > 1000);
    CHECK(from.device.packets() == 11); // none since
}

TEST_CASE("i40e_vf: what was pending at the source is told at the target", "[i40e_vf]") {
    mediated from, to;
    from.driver.start();
    from.driver.send(2);
    auto stream = test::save(from.front);
    to.words = from.words;
    REQUIRE(test::restore(to.front, stream));
    to.start_log();
    while (to.device.work()) {}
    const auto pages = to.report();
    CHECK(pages.count(page_of(vf_driver::rx_buffers(0))) == 1);
    CHECK(pages.count(page_of(vf_driver::tx_ring(1))) == 1);
}

TEST_CASE("i40e_vf: places beyond their rings are refused in a stream", "[i40e_vf]") {
    mediated from, to;
    from.driver.start();
    const auto good = test::save(from.front);
    REQUIRE(test::restore(to.front, good));
    const auto refused = [&](std::string_view name, std::size_t at, std::size_t size, std::uint64_t value) {
        auto stream = good;
        store_little(field_of(stream, name).subspan(at, size), value);
        test::mend(stream);
        INFO(name << ' ' << value);
        CHECK_FALSE(test::restore(to.front, stream));
        CHECK(to.front.migration() == migration_state::error);
        REQUIRE(to.front.ioctl(reset_device{}));
        CHECK(test::restore(to.front, good));
    };
    // The provider's: entries, places, flags; and what is only wrong together.
    refused("tx_entries", 0, 2, 513);
    refused("rx_next", 2, 2, 512);
    refused("rx_buffer", 0, 4, 16 * 1024);
    refused("atq_entries", 0, 2, 129);
    refused("arq_next", 0, 2, 128);
    refused("atq_next", 0, 2, 32);
    refused("tx_entries", 0, 2, 0);
    refused("rx_on", 3, 1, 1);
    refused("rx_on", 0, 1, 2);
    // The function's own.
    refused("rx_vector", 0, 1, 5);
    refused("minor", 0, 4, 2);
    refused("rx_most", 0, 4, 16 * 1024);
    refused("rx_head", 0, 4, vf_driver::rx_entries);
    refused("tx_head", 4, 4, vf_driver::tx_entries);
}

TEST_CASE("i40e_vf: whatever a guest writes to registers, rings and messages, a reset makes all well again", "[i40e_vf]") {
    std::mt19937_64 random{77};
    const auto below = [&](std::uint64_t n) { return random() % n; };
    constexpr std::array<std::uint32_t, 22> places{
        at_offset::qtx_tail, at_offset::qtx_tail + 4, at_offset::qtx_tail + 60, at_offset::qrx_tail,
        at_offset::qrx_tail + 4, at_offset::qrx_tail + 60, at_offset::dyn_ctl0, at_offset::dyn_ctln,
        at_offset::icr0_ena, at_offset::atqlen, at_offset::atqbal, at_offset::atqbah, at_offset::atqh, at_offset::atqt,
        at_offset::arqlen, at_offset::arqbal, at_offset::arqbah, at_offset::arqh, at_offset::arqt, at_offset::atqt,
        at_offset::arqt, at_offset::rstat};
    for (int round = 0; round < 30; ++round) {
        mediated w;
        if (below(2) == 0) w.driver.start();
        if (below(2) == 0) w.start_log();
        for (int step = 0; step < 3000; ++step) {
            switch (below(8)) {
            case 0: // what a queue's length, a place, an address, or nothing at all may be
            case 1:
            case 2: {
                const std::uint64_t values[]{below(64), below(1024), below(2) == 0 ? 0u : 1u, random(),
                                             acme::i40e::queue_enable | below(256), below(4) << 12};
                w.put(places[below(places.size())], static_cast<std::uint32_t>(values[below(6)]));
                break;
            }
            case 3: // a descriptor of sorts, mostly with a good address
                for (std::uint64_t i = 0, at = below(w.words.size() - 4); i < 4; ++i)
                    w.words[at + i] = below(3) == 0 ? random() : vf_driver::memory_at + below(vf_driver::memory_size);
                break;
            case 4: { // a message of sorts, where the driver's mailbox would be
                acme::i40e::admin_descriptor what{
                    .flags = static_cast<std::uint16_t>(below(2) == 0 ? random() : 0x1400u),
                    .opcode = static_cast<std::uint16_t>(below(8) == 0 ? random() : 0x801u),
                    .length = static_cast<std::uint16_t>(below(600)),
                    .message = static_cast<std::uint32_t>(below(32)),
                    .address = vf_driver::memory_at + below(vf_driver::memory_size)};
                const auto raw = what.bytes();
                w.driver.store(below(64) * raw.size(), std::span<const std::byte>{raw});
                break;
            }
            case 5: w.device.work(); break;
            case 6:
                if (below(50) == 0) w.start_log();
                if (below(20) == 0) {
                    std::uint64_t bits = 0;
                    static_cast<void>(w.front.ioctl(report_dma_logging{vf_driver::memory_at, 4096, 4096, {&bits, 1}}));
                }
                break;
            default: w.get(places[below(places.size())]); break;
            }
            if (below(200) == 0) {
                REQUIRE(w.front.migrate(migration_state::stop_copy));
                CHECK_FALSE(test::rest_of_stream(w.front, 4096).empty());
                REQUIRE(w.front.migrate(migration_state::running));
            }
        }
        // Its state, as it is now, is one that can be restored; and the function works when it was reset.
        const auto stream = test::save(w.front);
        CHECK(test::restore(w.front, stream));
        REQUIRE(w.front.ioctl(reset_device{}));
        std::ranges::fill(w.memory, std::byte{0});
        vf_driver fresh{w.registers(), w.memory};
        fresh.start();
        for (int i = 0; i < 20; ++i) {
            fresh.send(9);
            w.device.advance(0);
            fresh.reap();
        }
        while (w.device.work()) {}
        fresh.reap();
        CHECK(fresh.received() == fresh.sent());
        CHECK(fresh.received() == 360);
    }
}
