// SPDX-License-Identifier: BSD-3-Clause
// Dynamic ranges over vfio-user: what a client has mapped is taken back when it says so, and refused where it would not
// know; no write is lost or done twice while ranges are switched under load.
#include "by_hand.hpp"

#include <mediant/device/memory_device.hpp>
#include <mediant/mediant.hpp>
#include <mediant/provider/stack.hpp>
#include <mediant/vfio_user/server.hpp>

#include <catch2/catch.hpp>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <thread>
#include <vector>

using namespace mediant;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t cells = 3;
constexpr std::uint64_t aperture = 0x4000;
constexpr std::uint64_t aperture_size = 16_KiB;

/// SWITCH passes and traps the aperture; while it traps, writes of the cells are counted on their way to the device.
struct switching {
    static constexpr auto bar0 = region_map{
        bar{0}, 64_KiB,
        reg{"SWITCH", 0x0, rw, {.hook = on::read | on::write}},
        reg{"TRAPPED", 0x8, ro, {.backing = from::shadow}},
        dynamic{"APERTURE", aperture, aperture_size},
        dynamic{"OTHER", 0xc000, 4_KiB},
        reg{"CELL", aperture, rw, {.hook = on::write, .bits = 64, .count = cells, .stride = 0x1000}}};
    static constexpr auto bar2 = region_map{bar{2}, 64_KiB, dynamic{"WHOLE", 0, 64_KiB}};
    static constexpr auto regions = mediant::regions<bar0, bar2>{};

    enum what : std::uint32_t { trap, pass, trap_other, pass_other, trap_whole, pass_whole };

    result<std::uint32_t> read(at<bar0, "SWITCH">, auto& next) noexcept {
        return next.trapped(at<bar0, "APERTURE">{}) ? 0u : 1u;
    }
    result<void> write(at<bar0, "SWITCH">, std::uint32_t to, auto& next) noexcept {
        switch (to) {
        case trap: return next.trap(at<bar0, "APERTURE">{});
        case pass: return next.untrap(at<bar0, "APERTURE">{});
        case trap_other: return next.trap(at<bar0, "OTHER">{});
        case pass_other: return next.untrap(at<bar0, "OTHER">{});
        case trap_whole: return next.trap(at<bar2, "WHOLE">{});
        case pass_whole: return next.untrap(at<bar2, "WHOLE">{});
        default: return error::invalid;
        }
    }
    result<void> write(at<bar0, "CELL"> cell, std::size_t which, std::uint64_t value, auto& next) noexcept {
        next.assign(at<bar0, "TRAPPED">{}, next.held(at<bar0, "TRAPPED">{}) + 1);
        return next.write(cell, which, value);
    }
};
static_assert(valid<switching>);

/// Counts the stores that come to each cell.
struct counting_device : device::memory_device {
    counting_device() : memory_device{device_id{0x1234, 0x0001, 0, 0, 0}, {64_KiB, 0, 64_KiB, 0, 0, 0}} {}
    std::array<std::atomic<std::uint64_t>, cells> stores{};

    result<void> store(region_index region, std::uint64_t offset, unsigned width, std::uint64_t value) {
        if (region == bar{0} && offset >= aperture && (offset - aperture) / 0x1000 < cells)
            ++stores[(offset - aperture) / 0x1000];
        return memory_device::store(region, offset, width, value);
    }
};
using device_type = stack<counting_device, switching>;
static_assert(vfio_user::rereads<device_type>);

/// First come, first served: several threads ask all the time.
class fair_lock {
public:
    void lock() {
        const unsigned mine = next_++;
        while (serving_ != mine) std::this_thread::yield();
    }
    void unlock() { ++serving_; }

private:
    std::atomic<unsigned> next_{0};
    std::atomic<unsigned> serving_{0};
};

struct remote {
    counting_device model;
    device_type front{model};
    std::string path = vfio_user_test::socket_path("dynamic_ranges");
    vfio_user::server<device_type> server{front, {.path = path}};
    std::thread thread{[this] { server.run(); }};
    vfio_user::client client;
    fair_lock alone; // one message at a time
    device::unique_fd changed{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};

    explicit remote(bool takes_fds = true) {
        auto made = vfio_user::client::connect(path);
        REQUIRE(made);
        client = std::move(*made);
        REQUIRE(client.set_timeout(20s));
        REQUIRE(client.negotiate({.max_msg_fds = takes_fds ? 16u : 0u}));
        enable_memory();
    }
    ~remote() {
        client.disconnect();
        server.stop();
        thread.join();
    }

    error put(region_index region, std::uint64_t offset, std::uint64_t value, std::size_t size) {
        std::array<std::byte, 8> bytes{};
        store_little(std::span{bytes}.first(size), value);
        const std::lock_guard one{alone};
        return client.write({region, offset, std::span{bytes}.first(size)}).error;
    }
    std::uint64_t get(region_index region, std::uint64_t offset, std::size_t size) {
        std::array<std::byte, 8> bytes{};
        const std::lock_guard one{alone};
        return client.read({region, offset, std::span{bytes}.first(size)}) == answer{size} ? load_little(bytes) : ~0ull;
    }
    void enable_memory() { REQUIRE(put(region_index::config, 0x04, 2, 2) == error::none); }
    error turn(switching::what to) { return put(bar{0}, 0, to, 4); }

    void listen() {
        const int fd = changed.get();
        const std::lock_guard one{alone};
        REQUIRE(client.set_irqs({irq_index::regions_changed, set_irqs::action::trigger, set_irqs::data::eventfds, 0, 1,
                                 {}, {&fd, 1}}));
    }
    bool heard() {
        std::uint64_t count = 0;
        return ::read(changed.get(), &count, sizeof count) == sizeof count;
    }
    vfio_user::client::region info(region_index region) {
        const std::lock_guard one{alone};
        auto found = client.region_info(region);
        REQUIRE(found);
        return std::move(*found);
    }
    void unmask() {
        const std::lock_guard one{alone};
        REQUIRE(client.set_irqs(
            {irq_index::regions_changed, set_irqs::action::unmask, set_irqs::data::none, 0, 1, {}, {}}));
    }
};

struct mapping {
    std::byte* at = nullptr;
    std::size_t size = 0;
    mapping(const vfio_user::client::region& of, range area) : size{area.size} {
        void* const made = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, of.fd.get(),
                                  static_cast<off_t>(of.fd_offset + area.offset));
        REQUIRE(made != MAP_FAILED);
        at = static_cast<std::byte*>(made);
    }
    mapping(const mapping&) = delete;
    mapping& operator=(const mapping&) = delete;
    ~mapping() { ::munmap(at, size); }
    std::atomic_ref<std::uint64_t> cell(std::uint64_t offset) const {
        return std::atomic_ref{*reinterpret_cast<std::uint64_t*>(at + offset)};
    }
};

using areas = std::vector<range>;
const areas while_trapped{{0x1000, 0x3000}, {0x8000, 0x4000}, {0xd000, 0x3000}};
const areas while_passed{{0x1000, 0xb000}, {0xd000, 0x3000}};

} // namespace

TEST_CASE("vfio-user: a device with dynamic ranges has an interrupt that tells of them") {
    remote there;
    const auto info = there.client.device_info();
    REQUIRE(info);
    CHECK(info->irqs == most_irqs);
    const auto irq = there.client.irq_info(irq_index::regions_changed);
    REQUIRE(irq);
    CHECK(irq->count == 1);
    CHECK(irq->flags == (irq_flags::eventfd | irq_flags::maskable | irq_flags::automasked));
    there.listen();
    CHECK(there.turn(switching::pass) == error::none);
    CHECK(there.heard());
    CHECK(there.turn(switching::pass_other) == error::none);
    CHECK_FALSE(there.heard()); // it masks itself
    there.unmask();
    CHECK(there.heard());
}

TEST_CASE("vfio-user: areas are asked for each time, and what passes is in the file") {
    remote there;
    CHECK(there.info(bar{0}).areas == while_trapped);
    CHECK(there.put(bar{0}, aperture, 0x1122334455667788, 8) == error::none);
    CHECK(there.turn(switching::pass) == error::none);
    const auto now = there.info(bar{0});
    CHECK(now.areas == while_passed);
    const mapping all{now, {0, 64_KiB}};
    CHECK(all.cell(aperture) == 0x1122334455667788);
    all.cell(aperture) = 0x99;
    CHECK(there.get(bar{0}, aperture, 8) == 0x99);
    CHECK(there.put(bar{0}, aperture, 0x77, 8) == error::none);
    CHECK(all.cell(aperture) == 0x77);
    CHECK(there.put(bar{0}, 0xc000, 0x55, 8) == error::none); // traps still: in no file
    CHECK(all.cell(0xc000) == 0);

    CHECK(there.info(bar{2}).areas.empty());
    CHECK_FALSE(there.info(bar{2}).fd);
    CHECK(there.turn(switching::pass_whole) == error::none);
    CHECK(there.info(bar{2}).areas == areas{{0, 64_KiB}});
}

TEST_CASE("vfio-user: pages that no client was given trap at once") {
    remote there;
    CHECK(there.turn(switching::pass) == error::none);
    CHECK(there.turn(switching::trap) == error::none); // nobody has asked
    CHECK(there.get(bar{0}, 0, 4) == 0);
    CHECK(there.info(bar{0}).areas == while_trapped);
    CHECK(there.turn(switching::pass_other) == error::none);
    CHECK(there.turn(switching::pass) == error::none);
    CHECK(there.turn(switching::trap) == error::none); // the file was given, but without them
}

TEST_CASE("vfio-user: pages of a client that takes no files trap at once") {
    remote without{false};
    CHECK(without.turn(switching::pass) == error::none);
    CHECK(without.info(bar{0}).areas.empty());
    CHECK(without.turn(switching::trap) == error::none);
}

TEST_CASE("vfio-user: what a client may have mapped is not taken from one that does not listen") {
    remote there;
    CHECK(there.turn(switching::pass) == error::none);
    const mapping mapped{there.info(bar{0}), {aperture, aperture_size}};
    mapped.cell(0) = 5;
    CHECK(there.turn(switching::trap) == error::busy);
    CHECK(there.get(bar{0}, 0, 4) == 1);
    CHECK(there.info(bar{0}).areas == while_passed);
    mapped.cell(0) = 6;
    CHECK(there.get(bar{0}, aperture, 8) == 6);
    CHECK(there.turn(switching::trap_other) == error::none);

    there.client.disconnect(); // the next client finds everything trapped
    auto again = vfio_user::client::connect(there.path);
    REQUIRE(again);
    there.client = std::move(*again);
    REQUIRE(there.client.set_timeout(20s));
    REQUIRE(there.client.negotiate());
    CHECK(there.info(bar{0}).areas == while_trapped);
    mapped.cell(0) = 7; // reaches nothing
    there.enable_memory();
    CHECK(there.get(bar{0}, aperture, 8) == 6);
}

TEST_CASE("vfio-user: a client that listens gives back, and then the range traps") {
    remote there;
    there.listen();
    CHECK(there.turn(switching::pass) == error::none);
    CHECK(there.heard());
    auto info = there.info(bar{0});
    const mapping mapped{info, {aperture, aperture_size}};
    there.unmask();
    mapped.cell(0) = 41;

    CHECK(there.turn(switching::trap) == error::again);
    CHECK(there.heard());
    CHECK(there.get(bar{0}, 0, 4) == 1); // passes until then
    mapped.cell(0) = 42;
    CHECK(there.get(bar{0}, aperture, 8) == 42);
    CHECK(there.turn(switching::trap) == error::again);
    SECTION("once it has asked what it may map, and unmasked") {
        there.unmask(); // of what it was not told: told again
        CHECK(there.get(bar{0}, 0, 4) == 1);
        CHECK(there.info(bar{0}).areas == while_trapped);
        CHECK(there.get(bar{0}, 0, 4) == 1);
        mapped.cell(0) = 43; // it has not unmapped yet
        const std::array<std::uint8_t, 1> none{0};
        REQUIRE(there.client.set_irqs(
            {irq_index::regions_changed, set_irqs::action::unmask, set_irqs::data::bools, 0, 1, none, {}}));
        CHECK(there.get(bar{0}, 0, 4) == 1); // which unmasks nothing
        there.unmask();
        CHECK(there.get(bar{0}, 0, 4) == 0);
        CHECK(there.get(bar{0}, aperture, 8) == 43);
        mapped.cell(0) = 44; // too late: it said so
        CHECK(there.get(bar{0}, aperture, 8) == 43);
        CHECK(there.put(bar{0}, aperture, 50, 8) == error::none);
        CHECK(mapped.cell(0) != 50);
        CHECK(there.get(bar{0}, 8, 4) == 1);
        CHECK(there.turn(switching::trap) == error::none);
    }
    SECTION("but not by an unmask that unmasks nothing") {
        const auto unmask_if = [&](std::uint8_t yes) {
            return there.client.set_irqs({irq_index::regions_changed, set_irqs::action::unmask, set_irqs::data::bools,
                                          0, 1, {&yes, 1}, {}});
        };
        CHECK(there.info(bar{0}).areas == while_trapped);
        CHECK(unmask_if(0));
        CHECK(there.get(bar{0}, 0, 4) == 1);
        mapped.cell(0) = 47;
        CHECK(there.get(bar{0}, aperture, 8) == 47);
        CHECK(unmask_if(1));
        CHECK(there.get(bar{0}, 0, 4) == 0);
    }
    SECTION("unless the policy thinks better of it") {
        CHECK(there.info(bar{0}).areas == while_trapped);
        CHECK(there.turn(switching::pass) == error::none);
        CHECK(there.info(bar{0}).areas == while_passed);
        there.unmask();
        CHECK(there.get(bar{0}, 0, 4) == 1);
        mapped.cell(0) = 45;
        CHECK(there.get(bar{0}, aperture, 8) == 45);
    }
    SECTION("or it stops listening") {
        REQUIRE(there.client.set_irqs(vfio_user::disabled(static_cast<std::uint32_t>(irq_index::regions_changed))));
        CHECK(there.turn(switching::trap) == error::busy);
        CHECK(there.info(bar{0}).areas == while_passed);
        mapped.cell(0) = 46;
        CHECK(there.get(bar{0}, aperture, 8) == 46);
    }
}

TEST_CASE("vfio-user: ranges are switched under load, and no write is lost or done twice") {
    constexpr int switches = 2000;
    remote there;
    there.listen();
    std::atomic<bool> stop{false};
    std::atomic<int> wrong{0};
    std::atomic<std::uint64_t> mapped_writes{0};
    std::atomic<bool> turn{false};
    std::shared_mutex maps; // held by who uses the mapping
    std::unique_ptr<mapping> mapped;
    std::array<std::uint64_t, cells> written{};
    std::array<std::uint64_t, cells> messages{};

    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < cells; ++i)
        threads.emplace_back([&, i] {
            const std::uint64_t offset = i * 0x1000;
            while (!stop) {
                while (turn) std::this_thread::yield(); // a reader may starve writers
                const std::shared_lock hold{maps};
                if (mapped) {
                    const auto cell = mapped->cell(offset);
                    if (cell.load() != written[i]) ++wrong;
                    cell.store(++written[i]);
                    if (++mapped_writes % 16 == 0) std::this_thread::yield();
                } else {
                    if (there.get(bar{0}, aperture + offset, 8) != written[i]) ++wrong;
                    if (there.put(bar{0}, aperture + offset, ++written[i], 8) != error::none) ++wrong;
                    ++messages[i];
                }
            }
        });
    std::thread listener{[&] {
        while (!stop) {
            pollfd wait{there.changed.get(), POLLIN, 0};
            if (::poll(&wait, 1, 20) != 1 || !there.heard()) continue;
            const auto info = there.info(bar{0});
            const bool passes = info.areas == while_passed;
            if (!passes && info.areas != while_trapped) ++wrong;
            if (passes != (mapped != nullptr)) {
                turn = true;
                const std::unique_lock all{maps};
                turn = false;
                mapped = passes ? std::make_unique<mapping>(info, range{aperture, aperture_size}) : nullptr;
            }
            there.unmask();
        }
    }};

    int waited = 0;
    const auto patience = std::chrono::steady_clock::now() + 100s;
    for (int n = 0; n < switches && wrong == 0; ++n) {
        if (there.turn(switching::pass) != error::none) ++wrong;
        // Half of the time, right away: the client is told of both, or of none.
        for (const auto before = mapped_writes.load(); n % 2 == 0 && mapped_writes == before && wrong == 0;
             std::this_thread::yield())
            if (std::chrono::steady_clock::now() > patience) ++wrong;
        const error first = there.turn(switching::trap);
        if (first == error::again) ++waited;
        if (first != error::none && first != error::again) ++wrong;
        while (there.get(bar{0}, 0, 4) != 0 && wrong == 0)
            if (std::chrono::steady_clock::now() > patience) ++wrong;
    }
    stop = true;
    for (std::thread& each : threads) each.join();
    listener.join();

    CHECK(wrong == 0);
    CHECK(waited != 0);
    CHECK(mapped_writes != 0);
    const std::uint64_t trapped = there.get(bar{0}, 8, 4);
    CHECK(trapped != 0);
    for (std::size_t i = 0; i < cells; ++i) {
        CAPTURE(i, written[i], messages[i], trapped, waited);
        CHECK(messages[i] != 0);
        CHECK(there.model.stores[i] == messages[i]);
        CHECK(there.get(bar{0}, aperture + i * 0x1000, 8) == written[i]);
    }
    INFO(mapped_writes << " writes through mappings");
}
