// SPDX-License-Identifier: BSD-3-Clause
// Migration by libvfio-user's callbacks of version 2: the adapter, compiled against what that interface declares and
// called as the library calls it (library.hpp). No Debian has such a library; with one, the same calls come from it.
#include "../migration/policies.hpp"
#include "library.hpp"

#include <catch2/catch.hpp>

#include <string>
#include <thread>

// Not at global scope, where they would hide names of the library's.
namespace libvfio_user_v2_test {

using namespace mediant;
using namespace std::chrono_literals;
using edu = device::edu;
using state = migration_state;
using bytes = std::vector<std::byte>;
using addresses = std::set<std::uint64_t>;
using vfio_user_test::memory_file;

static_assert(libvfio_user::library_migrates);

using mediated = stack<edu, test::keeper>;

template <class Device = mediated>
struct attached {
    attached() : front{device}, adapter{front}, library{&adapter} {
        adapter.attach(&library);
        adapter.connected();
    }

    edu device;
    Device front;
    libvfio_user::adapter<Device> adapter;
    vfu_ctx library;

    [[nodiscard]] bytes rest(std::size_t piece = 100) {
        bytes out;
        for (;;) {
            bytes part(piece);
            const ssize_t came = library.read(part);
            REQUIRE(came >= 0);
            out.insert(out.end(), part.begin(), part.begin() + came);
            if (static_cast<std::size_t>(came) < piece) return out;
        }
    }
    [[nodiscard]] int take(std::span<const std::byte> stream, std::size_t piece = 77) {
        for (; !stream.empty(); stream = stream.subspan(std::min(piece, stream.size())))
            if (const int why = library.write(stream.first(std::min(piece, stream.size()))); why != 0) return why;
        return 0;
    }
    void put(std::uint64_t offset, std::uint64_t value, unsigned width = 4, region_index region = bar{0}) {
        std::array<std::byte, 8> data{};
        store_little(std::span{data}.first(width), value);
        REQUIRE(library.access(region, offset, std::span{data}.first(width), true) == answer{width});
    }
    /// From the device's buffer to the client's memory; done when this returns.
    void transfer(std::uint64_t to, std::uint64_t size) {
        put(edu::dma_source, edu::buffer.offset);
        put(edu::dma_target, to);
        put(edu::dma_count, size);
        put(edu::dma_command, edu::dma_run | edu::dma_to_memory);
        front.advance(1);
        front.advance(1 + edu::dma_nanoseconds);
    }
    void master() { put(0x04, 0x6, 2, region_index::config); }
};

/// One that cannot be read ahead.
struct plain_copy : mediated {
    using mediated::mediated;
    [[nodiscard]] std::uint64_t migration_flags() const noexcept { return migrates_by_stop_copy; }
};
/// One that keeps no log of what it writes.
struct unlogged : mediated {
    using mediated::ioctl;
    using mediated::mediated;
    result<std::uint64_t> ioctl(const start_dma_logging&) { return error::not_a_request; }
};
/// One whose reset takes MSI off, which vfio-pci's and edu's leave.
struct forgetful : stack<edu> {
    using stack::ioctl;
    using stack::stack;
    result<void> ioctl(const reset_device& what) {
        const std::array<std::byte, 2> off{};
        return stack::write({region_index::config, 0x42, off}).count == 2 ? stack::ioctl(what) : error::io;
    }
};
/// One that turns out not to migrate.
struct fixed : mediated {
    using mediated::mediated;
    [[nodiscard]] std::uint64_t migration_flags() const noexcept { return 0; }
};

TEST_CASE("libvfio-user migration: a device goes on where another stopped, behind the library and in process") {
    attached from, to;
    test::use(from.front);
    const auto seen = test::looks(from.front);
    bytes stream;
    SECTION("at once") {
        REQUIRE(from.library.set_state(state::stop_copy) == 0);
        stream = from.rest();
    }
    SECTION("read ahead") {
        REQUIRE(from.library.set_state(state::pre_copy) == 0);
        stream = from.rest();
        CHECK(!stream.empty());
        test::use(from.front); // it runs on
        REQUIRE(from.library.set_state(state::stop_copy) == 0);
        const bytes more = from.rest(13);
        stream.insert(stream.end(), more.begin(), more.end());
    }
    const auto left = test::looks(from.front);
    edu device;
    mediated in_process{device};
    REQUIRE(in_process.open());
    CHECK(test::restore(in_process, stream));
    CHECK(test::looks(in_process) == left);

    REQUIRE(to.library.set_state(state::resuming) == 0);
    CHECK(to.take(stream) == 0);
    CHECK(to.library.set_state(state::running) == 0);
    CHECK(test::looks(to.front) == left);
    CHECK(seen.size() == left.size());

    // And the other way round.
    test::use(in_process, 99);
    const bytes back = test::save(in_process);
    REQUIRE(to.library.set_state(state::resuming) == 0);
    CHECK(to.take(back) == 0);
    CHECK(to.library.set_state(state::running) == 0);
    CHECK(test::looks(to.front) == test::looks(in_process));
}

TEST_CASE("libvfio-user migration: every state that the library has is the device's") {
    const std::array all{state::stop, state::running, state::stop_copy, state::resuming, state::pre_copy};
    for (const state first : all) {
        for (const state then : all) {
            attached it;
            REQUIRE(it.library.set_state(first) == 0);
            CHECK(it.front.migration() == first);
            const bool cut = first == state::resuming && then != state::resuming; // of a stream that has not come
            const bool never = first == state::stop_copy && then == state::pre_copy;
            CHECK(it.library.set_state(then) == (cut || never ? EINVAL : 0));
            CHECK(it.front.migration() == (cut ? state::error : never ? first : then));
        }
    }
    attached it;
    CHECK(it.library.migration.transition(&it.library, static_cast<vfu_migr_state_t>(7)) == -1);
    CHECK(errno == EINVAL);
    CHECK(it.front.migration() == state::running);
}

TEST_CASE("libvfio-user migration: data in a state that has none is an error") {
    attached it;
    std::byte some[16]{};
    errno = 0;
    CHECK(it.library.migration.read_data(&it.library, some, sizeof some) == -1);
    CHECK(errno == EINVAL);
    errno = 0;
    CHECK(it.library.migration.write_data(&it.library, some, sizeof some) == -1);
    CHECK(errno == EINVAL);
    REQUIRE(it.library.set_state(state::stop_copy) == 0);
    CHECK(it.library.migration.read_data(&it.library, some, 0) == 0);
    CHECK(it.library.migration.read_data(&it.library, some, sizeof some) == sizeof some);
}

TEST_CASE("libvfio-user migration: a stream that is refused is an error, and a reset ends it") {
    attached from, to;
    to.library.reset_is_running = GENERATE(true, false);
    test::use(from.front);
    const auto fresh = test::looks(to.front);
    REQUIRE(from.library.set_state(state::stop_copy) == 0);
    bytes stream = from.rest();
    stream[stream.size() / 2] ^= std::byte{1};
    REQUIRE(to.library.set_state(state::resuming) == 0);
    CHECK(to.take(stream) == EINVAL);
    CHECK(to.take(stream) == EINVAL);
    CHECK(to.library.set_state(state::running) == EINVAL);
    CHECK(to.front.migration() == state::error);
    CHECK(to.library.set_state(state::running) == EINVAL);
    CHECK(to.library.reset() == 0);
    CHECK(to.front.migration() == state::running);
    CHECK(to.library.set_state(state::running) == 0);
    CHECK(test::looks(to.front) == fresh);

    stream[stream.size() / 2] ^= std::byte{1};
    REQUIRE(to.library.set_state(state::resuming) == 0);
    CHECK(to.take(stream) == 0);
    CHECK(to.library.set_state(state::running) == 0);
}

TEST_CASE("libvfio-user migration: a reset while a device is read ahead") {
    attached it;
    std::byte some[8];
    SECTION("of which a library knows nothing that keeps its state: the rest of the stream is refused") {
        it.library.reset_is_running = false;
        REQUIRE(it.library.set_state(state::pre_copy) == 0);
        REQUIRE(it.library.read(some) > 0);
        REQUIRE(it.library.reset() == 0);
        CHECK(it.library.read(some) == -EINVAL);
        CHECK(it.library.set_state(state::stop_copy) == EINVAL);
        CHECK(it.library.set_state(state::running) == 0);
        CHECK(it.library.set_state(state::stop_copy) == 0); // once more, from its beginning
        attached to;
        REQUIRE(to.library.set_state(state::resuming) == 0);
        CHECK(to.take(it.rest()) == 0);
        CHECK(to.library.set_state(state::running) == 0);
    }
    SECTION("and nothing was read") {
        it.library.reset_is_running = false;
        REQUIRE(it.library.set_state(state::pre_copy) == 0);
        REQUIRE(it.library.reset() == 0);
        CHECK(it.library.set_state(state::stop_copy) == 0);
        CHECK(!it.rest().empty());
    }
    SECTION("with a library that takes it up") {
        REQUIRE(it.library.set_state(state::pre_copy) == 0);
        REQUIRE(it.library.read(some) > 0);
        REQUIRE(it.library.reset() == 0);
        CHECK(it.library.set_state(state::stop_copy) == 0);
        CHECK(!it.rest().empty());
    }
}

TEST_CASE("libvfio-user migration: what the device writes to shared memory is in the library's log") {
    attached it;
    const auto file = memory_file(64 * vfu_ctx::page);
    it.library.map(0x100000, 64 * vfu_ctx::page, file.get());
    it.library.map(0x800000, vfu_ctx::page, -1); // of what is not shared the client knows
    it.master();
    it.transfer(0x100000, 16); // nobody asks yet
    REQUIRE(it.library.set_state(state::pre_copy) == 0);
    it.library.logs = true;
    SECTION("when it has stopped") {
        it.transfer(0x102ff8, 16);
        REQUIRE(it.library.set_state(state::stop) == 0);
        CHECK(it.library.report() == addresses{0x102000, 0x103000});
        REQUIRE(it.library.set_state(state::stop_copy) == 0);
        CHECK(it.library.report().empty());
    }
    SECTION("and from time to time") {
        it.transfer(0x13f000, vfu_ctx::page);
        std::this_thread::sleep_for(50ms);
        it.adapter.run();
        CHECK(it.library.report() == addresses{0x13f000});
    }
    SECTION("before memory goes") {
        it.transfer(0x110000, 1);
        it.library.quiesce(&it.library); // DMA_UNMAP may ask for the pages, and is answered before the memory goes
        CHECK(it.library.report() == addresses{0x110000});
    }
    it.library.lose_client();
    CHECK(it.library.maps.empty());
}

TEST_CASE("libvfio-user migration: of a device without a log all shared memory may have been written") {
    attached<unlogged> it;
    const auto file = memory_file(3 * vfu_ctx::page);
    it.library.map(0x100000, 3 * vfu_ctx::page, file.get());
    it.library.map(0x800000, vfu_ctx::page, -1);
    it.library.logs = true;
    REQUIRE(it.library.set_state(state::pre_copy) == 0);
    CHECK(it.library.report().empty());
    REQUIRE(it.library.set_state(state::stop_copy) == 0);
    CHECK(it.library.report() == addresses{0x100000, 0x101000, 0x102000});
    it.library.lose_client();
}

TEST_CASE("libvfio-user migration: a device that cannot be read ahead runs on, and has nothing to read") {
    attached<plain_copy> it;
    CHECK(it.adapter.remarks().back() ==
          "migration: clients are told of PRE_COPY, in which there is nothing to be read");
    REQUIRE(it.library.set_state(state::pre_copy) == 0);
    CHECK(it.front.migration() == state::running);
    CHECK(it.rest().empty());
    REQUIRE(it.library.set_state(state::stop_copy) == 0);
    const bytes stream = it.rest();
    attached to;
    REQUIRE(to.library.set_state(state::resuming) == 0);
    CHECK(to.take(stream) == 0);
    CHECK(to.library.set_state(state::running) == 0);
}

TEST_CASE("libvfio-user migration: who comes next finds the device running") {
    attached it;
    std::byte some[8];
    REQUIRE(it.library.set_state(state::pre_copy) == 0);
    REQUIRE(it.library.read(some) > 0);
    it.library.lose_client();
    it.adapter.connected();
    CHECK(it.front.migration() == state::running);
    CHECK(it.library.set_state(state::stop_copy) == 0);
    CHECK(!it.rest().empty());
}

TEST_CASE("libvfio-user migration: a device that does not migrate has no callbacks, and it is said what the log lacks") {
    attached<fixed> it;
    CHECK(it.library.migration.version == 0);
    CHECK(it.adapter.remarks().back() ==
          "DMA log: the library's lacks what the device writes to memory that clients share");
    attached other;
    CHECK(other.library.migration.version == 2);
    for (const std::string& line : other.adapter.remarks()) CHECK(line.find("DMA log") == std::string::npos);
}

TEST_CASE("libvfio-user: a device that a reset has led back to its line interrupts by it") {
    attached<forgetful> it;
    const auto line = [&] { // Interrupt Status
        std::array<std::byte, 2> status{};
        REQUIRE(it.library.access(region_index::config, 0x06, status, false) == answer{2});
        return (status[0] & std::byte{0x08}) != std::byte{0};
    };
    it.master();
    it.put(0x42, 1, 2, region_index::config); // MSI
    it.put(edu::irq_raise, 1);
    CHECK(it.library.interrupts == std::vector<std::uint32_t>{0});
    CHECK(!line());
    it.put(edu::irq_ack, 1);
    REQUIRE(it.library.reset() == 0);
    it.library.interrupts.clear();
    it.put(edu::irq_raise, 1);
    CHECK(it.library.interrupts == std::vector<std::uint32_t>{0});
    CHECK(line());
}

} // namespace libvfio_user_v2_test
