// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/device/dirty_log.hpp>
#include <mediant/device/dma_index.hpp>
#include <mediant/device/remote_memory.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <thread>
#include <utility>

namespace mediant::device {

/// A stretch of a client's memory that stays mapped while this lives; of one thread at a time. Where it is to be
/// written it counts as written when it begins, and again when it ends.
class dma_lease {
public:
    dma_lease() noexcept = default;
    dma_lease(dma_lease&& other) noexcept { swap(other); }
    dma_lease& operator=(dma_lease&& other) noexcept {
        dma_lease{std::move(other)}.swap(*this);
        return *this;
    }
    ~dma_lease() {
        if (region_ == nullptr) return;
        if (log_ != nullptr) {
            region_->settle();
            log_->mark(iova_, bytes_.size());
        }
        region_->unpin();
    }

    [[nodiscard]] std::span<std::byte> bytes() const noexcept { return bytes_; }

private:
    friend class dma_map;
    dma_lease(detail::dma_region& region, dirty_log* log, std::uint64_t iova, std::span<std::byte> bytes) noexcept
        : region_{&region}, log_{log}, iova_{iova}, bytes_{bytes} {
        if (log_ != nullptr) log_->mark(iova_, bytes_.size());
    }
    void swap(dma_lease& other) noexcept {
        std::swap(region_, other.region_);
        std::swap(log_, other.log_);
        std::swap(iova_, other.iova_);
        std::swap(bytes_, other.bytes_);
    }

    detail::dma_region* region_ = nullptr;
    dirty_log* log_ = nullptr; // where it is written
    std::uint64_t iova_ = 0;
    std::span<std::byte> bytes_{};
};

/// What a device that is simulated in user space may reach by DMA: I/O addresses and the memory behind them.
///
/// Regions never overlap and never wrap; one may end at the very top of the address space. It owns none of the
/// memory: what a region's span shows must stay until unmap() or clear() returned. What is written goes into the log,
/// if that runs.
///
/// Calls that a device is given (accesses, requests, advance) may use all of it. Other threads, from open until release,
/// may call read(), write(), lease() and log().mark() at any time, which wait for no call that is being made; a region is
/// not unmapped before what they have begun has ended. Who holds leases for long is told to end them by the unmap_dma
/// request, which a policy sees before it comes here.
class dma_map {
public:
    /// Adds a region. error::invalid: empty, wraps, or a span of another size; error::exists: overlaps one;
    /// error::no_space: too many.
    result<void> map(const map_dma& what) {
        if (what.size == 0 || what.size - 1 > ~what.iova) return error::invalid;
        if (!what.memory.empty() && what.memory.size() != what.size) return error::invalid;
        const auto all = index_.all();
        const std::size_t next = index_.after(what.iova);
        if (next != all.size() && all[next]->iova() - what.iova < what.size) return error::exists;
        if (next != 0 && all[next - 1]->holds(what.iova)) return error::exists;
        if (all.size() == detail::dma_index::most) return error::no_space;
        if (what.writable) {
            if (const auto logged = log_.cover({what.iova, what.size}); !logged) return logged;
        }
        index_.add(next, what);
        return {};
    }

    /// Takes away exactly what one map() added; error::not_found otherwise. Nothing more of it is found, and when this
    /// succeeds nobody uses it. It does not wait: error::again: some lease has not ended; error::busy: nor in all the
    /// time from the first such answer on, and the region is as it was.
    result<void> unmap(const unmap_dma& what) {
        const std::size_t next = index_.after(what.iova);
        if (next == 0) return error::not_found;
        detail::dma_region& found = *index_.all()[next - 1];
        if (found.iova() != what.iova || found.size() != what.size) return error::not_found;
        found.close();
        if (!soon(found)) {
            const auto now = std::chrono::steady_clock::now();
            if (found.patience() == std::chrono::steady_clock::time_point{}) found.set_patience(now + patience_);
            if (now < found.patience()) return error::again;
            found.set_patience({});
            found.reopen();
            return error::busy;
        }
        index_.remove(next - 1);
        return {};
    }
    /// How long unmap() says error::again.
    void set_patience(std::chrono::milliseconds most) noexcept { patience_ = most; }

    /// From now on, writes are logged: in `ranges` or, with none, to all memory that is mapped now or later. Answers
    /// the page size that is tracked; errors as of dirty_log::start().
    result<std::uint64_t> start_logging(std::uint64_t page, std::span<const range> ranges) {
        if (const auto started = log_.start(page, ranges); !started) return started.error();
        for (const auto* const each : index_.all()) {
            if (!each->writable()) continue;
            if (const auto covered = log_.cover({each->iova(), each->size()}); !covered) {
                log_.stop();
                return covered.error();
            }
        }
        return log_.page();
    }
    [[nodiscard]] dirty_log& log() noexcept { return log_; }

    /// Waits for all leases, however long that takes.
    void clear() noexcept {
        for (auto* const each : index_.all()) each->close();
        while (!index_.all().empty()) {
            // Whoever ends a lease tells nobody: it may be the last thing that is done to this map.
            while (!soon(*index_.all().back())) std::this_thread::sleep_for(std::chrono::microseconds{50});
            index_.remove(index_.all().size() - 1);
        }
        log_.stop();
    }
    [[nodiscard]] std::size_t size() const noexcept { return index_.all().size(); }

    /// What the device does to the memory.
    enum class direction : std::uint8_t { read, write, both };

    /// The memory behind [iova, iova + size), which must lie in one region: until the next unmap(), and only in calls
    /// that the device is given. To be written, it counts as written at once: who keeps it and writes later tells
    /// log().mark() again. error::fault: not mapped whole; error::denied: the region forbids the direction;
    /// error::not_supported: its memory is not shared, and only read() and write() reach it.
    [[nodiscard]] result<std::span<std::byte>> translate(std::uint64_t iova, std::uint64_t size, direction how) const {
        const auto* const in = index_.find(iova);
        if (in == nullptr) return error::fault;
        const auto memory = part_of(*in, iova, size, how);
        if (memory && how != direction::read) log_.mark_in_call(iova, size);
        return memory;
    }

    /// The same across regions that touch: as many spans as it takes, in order, the first of `to`. error::too_big:
    /// `to` has not so many.
    [[nodiscard]] result<std::size_t> translate(std::uint64_t iova, std::uint64_t size, direction how,
                                                std::span<std::span<std::byte>> to) const {
        std::size_t count = 0;
        for (std::uint64_t done = 0; done < size; ++count) {
            const std::uint64_t at = iova + done;
            const auto* const in = at < iova ? nullptr : index_.find(at); // wrapped past the top: nothing is there
            if (in == nullptr || !in->holds(at)) return error::fault;
            const auto memory = part_of(*in, at, std::min(size - done, in->size() - (at - in->iova())), how);
            if (!memory) return memory.error();
            if (count == to.size()) return error::too_big;
            to[count] = *memory;
            done += memory->size();
        }
        if (how != direction::read) log_.mark_in_call(iova, size);
        return count;
    }

    /// The memory behind [iova, iova + size), which must lie in one region, for as long as the lease lives; errors as
    /// of translate().
    [[nodiscard]] result<dma_lease> lease(std::uint64_t iova, std::uint64_t size, direction how) {
        auto* const in = pinned(iova);
        if (in == nullptr) return error::fault;
        const auto memory = part_of(*in, iova, size, how);
        if (!memory) {
            in->unpin();
            return memory.error();
        }
        return dma_lease{*in, how == direction::read ? nullptr : &log_, iova, *memory};
    }

    /// Copies from the client's memory, across regions that touch. A fault partway is a short count. What is not shared
    /// is asked for (map_dma::remote), and waited for.
    [[nodiscard]] answer read(std::uint64_t iova, std::span<std::byte> to) const {
        return copy(
            iova, to.size(), direction::read,
            [&](std::span<std::byte> memory, std::size_t done) {
                std::memcpy(to.data() + done, memory.data(), memory.size());
            },
            [&](remote_memory& from, std::size_t done, std::size_t size) {
                return from.read(iova + done, to.subspan(done, size));
            });
    }

    /// Copies to the client's memory, likewise.
    [[nodiscard]] answer write(std::uint64_t iova, std::span<const std::byte> from) const { return put(iova, from, true); }
    /// The same, and it is not logged: as hardware writes, of which only those know who look (and say next.dirty).
    [[nodiscard]] answer write_unlogged(std::uint64_t iova, std::span<const std::byte> from) const {
        return put(iova, from, false);
    }

private:
    using region = detail::dma_region;

    [[nodiscard]] static result<std::span<std::byte>> part_of(const region& in, std::uint64_t iova, std::uint64_t size,
                                                              direction how) noexcept {
        const std::uint64_t offset = iova - in.iova();
        const std::uint64_t whole = in.size();
        if (offset >= whole || size > whole - offset) return error::fault;
        if ((how != direction::write && !in.readable()) || (how != direction::read && !in.writable()))
            return error::denied;
        if (in.memory().empty()) return error::not_supported;
        return in.memory().subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(size));
    }

    /// The region that holds `iova`, pinned; or null.
    [[nodiscard]] region* pinned(std::uint64_t iova) const noexcept {
        for (;;) {
            const std::uint64_t version = index_.version();
            auto* const found = index_.find(iova);
            if (found != nullptr && found->pin()) {
                if (found->holds(iova)) return found;
                found->unpin();
            }
            if (index_.stable(version)) return nullptr;
            std::this_thread::yield();
        }
    }

    /// Whether it is used no more, or only for as long as a copy may take.
    [[nodiscard]] static bool soon(const region& which) noexcept {
        for (unsigned tries = 0; tries < 100; ++tries) {
            if (which.idle()) return true;
            std::this_thread::yield();
        }
        return which.idle();
    }

    [[nodiscard]] answer put(std::uint64_t iova, std::span<const std::byte> from, bool logged) const {
        return copy(
            iova, from.size(), direction::write,
            [&](std::span<std::byte> memory, std::size_t done) {
                std::memcpy(memory.data(), from.data() + done, memory.size());
            },
            [&](remote_memory& to, std::size_t done, std::size_t size) {
                return to.write(iova + done, from.subspan(done, size));
            },
            logged);
    }

    template <class Copy, class Ask>
    [[nodiscard]] answer copy(std::uint64_t iova, std::size_t size, direction how, Copy each, Ask ask,
                              bool logged = true) const {
        std::size_t done = 0;
        while (done < size) {
            const std::uint64_t at = iova + done;
            auto* const in = at >= iova ? pinned(at) : nullptr; // wrapped past the top: nothing is there
            if (in == nullptr) return {done, error::fault};
            const auto part = std::min<std::uint64_t>(size - done, in->size() - (at - in->iova()));
            answer came{part};
            if (const auto memory = part_of(*in, at, part, how))
                each(*memory, done);
            else if (memory.error() == error::not_supported && in->remote() != nullptr)
                came = ask(*in->remote(), done, static_cast<std::size_t>(part));
            else
                came = {0, memory.error()};
            if (logged && how != direction::read && came.count != 0) {
                // Logged when it is there: who takes the log and then the memory misses nothing.
                in->settle();
                log_.mark(at, came.count);
            }
            in->unpin();
            done += static_cast<std::size_t>(came.count);
            if (came.count != part) return {done, came.error};
        }
        return {done, error::none};
    }

    detail::dma_index index_;
    mutable dirty_log log_;
    std::chrono::milliseconds patience_{1000};
};

} // namespace mediant::device
