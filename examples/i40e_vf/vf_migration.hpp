// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "vf_driver.hpp"

#include <mediant/device/unique_fd.hpp>
#include <mediant/vfio_user/client.hpp>
#include <mediant/vfio_user/client_migration.hpp>

#include <linux/vfio.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace acme {

/// Throws what failed.
template <class T>
T must(mediant::result<T> what, const char* does) {
    if (!what) throw std::runtime_error{std::string{does} + ": " + std::strerror(mediant::to_errno(what.error()))};
    if constexpr (!std::is_void_v<T>) return std::move(*what);
}

/// A machine with the function that a server has, and memory that it shares with it.
class vf_machine {
public:
    explicit vf_machine(mediant::device::unique_fd connected)
        : vf_machine{mediant::vfio_user::client{std::move(connected)}} {}
    explicit vf_machine(const std::string& socket)
        : vf_machine{must(mediant::vfio_user::client::connect(socket), "connect")} {}
    vf_machine(const vf_machine&) = delete;
    ~vf_machine() {
        peer_.disconnect();
        ::munmap(memory_.data(), memory_.size());
    }

    [[nodiscard]] std::span<std::byte> memory() const noexcept { return memory_; }
    [[nodiscard]] vf_driver::registers registers() {
        return {[this](std::uint32_t offset) {
                    std::array<std::byte, 4> bytes{};
                    if (peer_.read({mediant::region_index::bar0, offset, bytes}).count != 4) fail("a register's read");
                    return static_cast<std::uint32_t>(mediant::load_little(bytes));
                },
                [this](std::uint32_t offset, std::uint32_t value) {
                    std::array<std::byte, 4> bytes{};
                    mediant::store_little(bytes, value);
                    if (peer_.write({mediant::region_index::bar0, offset, bytes}).count != 4)
                        fail("a register's write");
                }};
    }
    [[nodiscard]] mediant::vfio_user::client_migration migration() noexcept {
        return mediant::vfio_user::client_migration{peer_};
    }

    /// What a hypervisor keeps of the function itself, and sets again where it goes on: COMMAND, and the vectors.
    void configure() {
        const std::array command{std::byte{6}, std::byte{0}}; // memory, bus master
        if (peer_.write({mediant::region_index::config, 4, command}).count != 2) fail("COMMAND");
        for (std::uint32_t i = 0; i < vectors; ++i) {
            const std::array<std::byte, 4> unmasked{};
            if (peer_.write({mediant::region_index::bar3, 16 * i + 12, unmasked}).count != 4) fail("MSI-X");
        }
        std::array<int, vectors> events{};
        for (std::size_t i = 0; i < vectors; ++i) events[i] = events_[i].get();
        must(peer_.set_irqs({mediant::irq_index::msix, mediant::set_irqs::action::trigger,
                             mediant::set_irqs::data::eventfds, 0, vectors, {}, events}),
             "SET_IRQS");
        const std::array<std::byte, 2> enable{std::byte{4}, std::byte{0x80}};
        if (peer_.write({mediant::region_index::config, 0x72, enable}).count != 2) fail("MSI-X");
    }
    /// Interrupts that came since this was asked.
    [[nodiscard]] std::uint64_t interrupts() {
        std::uint64_t all = 0;
        for (const auto& each : events_)
            if (std::uint64_t count = 0; ::read(each.get(), &count, sizeof count) == sizeof count) all += count;
        return all;
    }

private:
    static constexpr std::uint32_t vectors = 5;

    explicit vf_machine(mediant::vfio_user::client peer) : peer_{std::move(peer)} {
        must(peer_.set_timeout(std::chrono::seconds{20}), "time limit");
        must(peer_.negotiate(), "VERSION");
        file_.reset(::memfd_create("vf-machine", MFD_CLOEXEC));
        if (!file_ || ::ftruncate(file_.get(), vf_driver::memory_size) != 0) fail("memory");
        void* const at = ::mmap(nullptr, vf_driver::memory_size, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
        if (at == MAP_FAILED) fail("memory");
        memory_ = {static_cast<std::byte*>(at), vf_driver::memory_size};
        must(peer_.map_dma(vf_driver::memory_at, memory_.size(),
                           mediant::vfio_user::wire::dma_map_read | mediant::vfio_user::wire::dma_map_write,
                           file_.get()),
             "DMA_MAP");
        for (auto& each : events_) each.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    }
    [[noreturn]] static void fail(const char* what) { throw std::runtime_error{std::string{what} + " failed"}; }

    mediant::vfio_user::client peer_;
    mediant::device::unique_fd file_;
    std::span<std::byte> memory_;
    std::array<mediant::device::unique_fd, vectors> events_;
};

/// What a migration under traffic was like.
struct vf_migration {
    struct round {
        std::size_t by_device; ///< pages that the log had
        std::size_t by_guest;  ///< pages that the driver wrote itself
        std::uint64_t packets; ///< that came back meanwhile
    };
    std::vector<round> rounds; ///< of pre-copy; the first copies everything
    round last{};              ///< when the machine stood still
    std::size_t early = 0;     ///< bytes of the stream that were sent before that
    std::size_t stream = 0;    ///< bytes of all of it
    std::chrono::microseconds stood{};
    bool memory_equal = false; ///< of both machines, when all was copied
    std::uint64_t before = 0;  ///< packets that had come back when it stood
    std::uint64_t on_the_way = 0; ///< and that had been sent and not come back
    std::uint64_t after = 0;   ///< packets that came back in all
    std::uint64_t acknowledged = 0, sent = 0;
    std::uint64_t interrupts = 0; ///< of the target
};

/// Runs a driver's traffic in the source, and moves function and memory to the target meanwhile, by the messages that
/// QEMU's VFIO migration makes of it, in its order (hw/vfio/migration.c, listener.c): the guest's memory and the
/// function in PRE_COPY, round by round; STOP_COPY; RESUMING; RUNNING. Then the traffic goes on. Throws where a packet
/// is lost, comes twice or is damaged, or a server refuses.
class vf_migrator {
public:
    /// Packets before, and after, at least; rounds of pre-copy.
    struct effort {
        std::uint64_t packets = 5000;
        int rounds = 5;
    };

    vf_migrator(vf_machine& source, vf_machine& target, effort how) : source_{source}, target_{target}, how_{how} {}

    /// Packets that there are without: false if memory need not be equal, where nobody tells what was written.
    vf_migration run() {
        vf_migration seen;
        source_.configure();
        vf_driver driver{source_.registers(), source_.memory()};
        driver.start();
        while (driver.received() < how_.packets) traffic(driver);

        // What QEMU asks when it is given a device.
        auto from = source_.migration(), to = target_.migration();
        for (auto* const each : {&from, &to}) {
            if ((must(each->flags(), "MIGRATION") & pre_copy_flags) != pre_copy_flags)
                throw std::runtime_error{"the function does not migrate with pre-copy"};
            must(each->probe(VFIO_DEVICE_FEATURE_DMA_LOGGING_START, VFIO_DEVICE_FEATURE_SET), "DMA_LOGGING_START");
        }

        // Pre-copy.
        const std::array all{mediant::range{vf_driver::memory_at, vf_driver::memory_size}};
        if (must(from.start_logging(page, all), "DMA_LOGGING_START") != page)
            throw std::runtime_error{"another page than 4 KiB is logged"};
        static_cast<void>(must(from.size(), "MIG_DATA_SIZE"));
        must(from.go(mediant::migration_state::pre_copy), "PRE_COPY");
        must(to.go(mediant::migration_state::resuming), "RESUMING");
        for (int i = 0; i < how_.rounds; ++i) {
            const std::uint64_t before = driver.received();
            const auto pages = dirty(driver, from, seen.rounds.emplace_back(), i == 0);
            for (std::size_t n = 0; n < pages.size(); ++n) {
                copy(pages[n]);
                if (n % 16 == 0) traffic(driver);
            }
            while (driver.received() < before + 200) traffic(driver);
            seen.rounds.back().packets = driver.received() - before;
            seen.early += stream(from, to);
        }

        // Its processors stop, then the function: what it does until then is in the log.
        const auto began = std::chrono::steady_clock::now();
        driver.send(8);
        seen.before = driver.received();
        seen.on_the_way = driver.sent() - driver.received();
        must(from.go(mediant::migration_state::stop_copy), "STOP_COPY");
        for (const std::size_t each : dirty(driver, from, seen.last, false)) copy(each);
        seen.stream = seen.early + stream(from, to);
        seen.memory_equal = std::ranges::equal(source_.memory(), target_.memory());
        must(from.stop_logging(), "DMA_LOGGING_STOP");
        must(from.go(mediant::migration_state::stop), "STOP");

        // And go on.
        target_.configure();
        must(to.go(mediant::migration_state::running), "RUNNING");
        driver.move_to(target_.registers(), target_.memory());
        seen.stood = std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - began);
        for (const std::uint64_t enough = driver.sent() + how_.packets; driver.sent() < enough;) {
            traffic(driver);
            seen.interrupts += target_.interrupts();
        }
        for (const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{20};
             driver.received() < driver.sent() && std::chrono::steady_clock::now() < until;)
            driver.reap();
        seen.after = driver.received();
        seen.acknowledged = driver.acknowledged();
        seen.sent = driver.sent();
        return seen;
    }

private:
    static constexpr std::uint64_t page = vf_driver::page;
    static constexpr std::uint64_t pre_copy_flags = mediant::migrates_by_stop_copy | mediant::migrates_with_pre_copy;

    static void traffic(vf_driver& driver) {
        driver.send(8);
        driver.reap();
        driver.enable_interrupts();
    }
    void copy(std::size_t which) {
        const std::size_t at = which * page;
        std::memcpy(target_.memory().data() + at, source_.memory().data() + at, page);
    }
    /// Pages to be copied: all at first, then those that the log has, and that the guest's processors wrote.
    static std::vector<std::size_t> dirty(vf_driver& driver, mediant::vfio_user::client_migration& from,
                                          vf_migration::round& seen, bool everything) {
        std::vector<std::uint64_t> bits(vf_driver::memory_size / page / 64);
        must(from.report(vf_driver::memory_at, vf_driver::memory_size, page, bits), "DMA_LOGGING_REPORT");
        for (const std::uint64_t each : bits) seen.by_device += static_cast<std::size_t>(std::popcount(each));
        const auto by_guest = driver.take_written();
        seen.by_guest = by_guest.size();
        for (const std::size_t each : by_guest) bits[each / 64] |= std::uint64_t{1} << (each % 64);
        std::vector<std::size_t> pages;
        for (std::size_t i = 0; i < bits.size() * 64; ++i)
            if (everything || (bits[i / 64] >> (i % 64) & 1) != 0) pages.push_back(i);
        return pages;
    }
    /// What there is of the stream now, from one server to the other; bytes.
    static std::size_t stream(mediant::vfio_user::client_migration& from, mediant::vfio_user::client_migration& to) {
        std::array<std::byte, 4096> piece;
        for (std::size_t all = 0;;) {
            const std::size_t came = must(from.read(piece), "MIG_DATA_READ");
            if (came != 0) must(to.write(std::span{piece}.first(came)), "MIG_DATA_WRITE");
            all += came;
            if (came < piece.size()) return all;
        }
    }

    vf_machine& source_;
    vf_machine& target_;
    effort how_;
};

} // namespace acme
