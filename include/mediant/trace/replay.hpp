// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/device/unique_fd.hpp>
#include <mediant/trace/event.hpp>
#include <mediant/trace/reader.hpp>

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace mediant::trace {

/// What of an answer is another than in the recording.
enum class differing : std::uint8_t {
    error, ///< or there was one of them only
    count,
    bytes,
    region, ///< the device's region has another size
};
[[nodiscard]] constexpr std::string_view to_text(differing what) noexcept {
    constexpr std::array<std::string_view, 4> words{"error", "count", "bytes", "region"};
    return words[static_cast<std::size_t>(what)];
}

struct difference {
    std::uint64_t number = 0; ///< of the event, from 0
    differing what = differing::error;
    event expected;                   ///< as in the recording
    answer got;                       ///< of a region: its size
    std::span<const std::byte> bytes; ///< that were read
};

struct replay_options {
    /// What of a region is not compared: registers that legitimately differ.
    std::vector<std::pair<region_index, range>> ignored;
    /// Waits as long between two things as it took then; else one comes right after the other.
    bool paced = false;
};

/// What a replay came to.
struct replay_summary {
    std::uint64_t done = 0;      ///< things that were done to the device
    std::uint64_t compared = 0;  ///< answers
    std::uint64_t different = 0; ///< of these
    std::uint64_t ignored = 0;   ///< reads of which nothing was left to compare
    std::uint64_t unknown = 0;   ///< writes whose bytes the recording does not have: they were not done
    /// Accesses past a region's end, which fronts refuse or shorten by rules of their own, and disabled interrupts of
    /// kinds that there are not.
    std::uint64_t outside = 0;
    std::uint64_t skipped = 0; ///< other actions that are not replayed: migration, gaps
};

/// Files with memory for the user's side of DMA: sparse, of zeros, as a recording has none of its contents.
class replay_memory {
public:
    /// Made, and kept apart until the device has answered: keep() or forget(). error::no_memory where there is none.
    result<map_dma> map(std::uint64_t iova, std::uint64_t size, std::uint64_t access) {
        if (size == 0 || size > most) return error::no_memory;
        device::unique_fd file{::memfd_create("mediant-replay", MFD_CLOEXEC)};
        if (!file || ::ftruncate(file.get(), static_cast<off_t>(size)) != 0) return error::no_memory;
        void* const at = ::mmap(nullptr, static_cast<std::size_t>(size), PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_NORESERVE, file.get(), 0);
        if (at == MAP_FAILED) return error::no_memory;
        piece made{std::move(file), {static_cast<std::byte*>(at), static_cast<std::size_t>(size)}};
        const map_dma out{.iova = iova,
                          .size = size,
                          .readable = (access & 1) != 0,
                          .writable = (access & 2) != 0,
                          .memory = made.bytes,
                          .file = made.file.get()};
        fresh_.emplace(std::move(made));
        return out;
    }
    /// The device has taken what map() made last. What it had there before stays: it may not have let go of it.
    void keep(std::uint64_t iova) {
        pieces_.emplace(iova, std::move(*fresh_));
        fresh_.reset();
    }
    /// It has not.
    void forget() { fresh_.reset(); }
    void drop(std::uint64_t iova) { pieces_.erase(iova); }
    void clear() {
        forget();
        pieces_.clear();
    }

private:
    static constexpr std::uint64_t most = std::uint64_t{1} << 40;

    struct piece {
        device::unique_fd file;
        std::span<std::byte> bytes;
        piece(device::unique_fd f, std::span<std::byte> b) noexcept : file{std::move(f)}, bytes{b} {}
        piece(piece&& other) noexcept : file{std::move(other.file)}, bytes{std::exchange(other.bytes, {})} {}
        piece& operator=(piece&&) = delete;
        ~piece() {
            if (!bytes.empty()) ::munmap(bytes.data(), bytes.size());
        }
    };
    std::multimap<std::uint64_t, piece> pieces_;
    std::optional<piece> fresh_;
};

/// Does to a device what a recording tells of the front, and compares the answers. A device is what has open, release,
/// read, write, and ioctl for set_irqs, reset_device, map_dma, unmap_dma, get_region_info and get_irq_info, as a stack
/// has; where it has advance(), it is called as it was then, so that a model's time is the recording's.
///
/// As worlds answer alike: where anything was done of an access the count is what counts, and not what stopped the
/// rest; an access over a region's end is replayed as far as it was done, and one that was refused there is not.
/// Interrupts get eventfds that nobody reads; DMA gets memory of zeros.
template <class Device>
class replay {
public:
    /// `tell(difference)` for each.
    template <class Tell>
    static replay_summary run(reader& from, Device& device, const replay_options& how, Tell tell) {
        replay all{from, device, how};
        try {
            all.each(tell);
        } catch (...) {
            if (all.open_) device.release();
            throw;
        }
        return all.summary_;
    }

private:
    replay(reader& from, Device& device, const replay_options& how) : from_{from}, device_{device}, how_{how} {}

    template <class Tell>
    void each(Tell& tell) {
        const auto begin = std::chrono::steady_clock::now();
        for (std::uint64_t number = 0;; ++number) {
            const std::optional<event> next = from_.next();
            if (!next) break;
            if (next->at != level::front) continue;
            if (how_.paced) {
                constexpr std::uint64_t year = 365ull * 24 * 3600 * 1'000'000'000;
                std::this_thread::sleep_until(begin + std::chrono::nanoseconds{std::min(next->time, year)});
            }
            one(number, *next, tell);
        }
        if (open_) close();
    }

    template <class Tell>
    void one(std::uint64_t number, const event& what, Tell& tell) {
        // A kernel's events tell of no open; what failed to open left nothing to do things to.
        if (!open_ && what.what != action::open && what.what != action::release) {
            if (failed_open_) return skip();
            const event implied = implied_open();
            open(number, implied, tell);
            if (!open_) return skip();
        }
        switch (what.what) {
        case action::open:
            if (open_) close();
            return open(number, what, tell);
        case action::release:
            failed_open_ = false;
            if (open_) close();
            return;
        case action::read:
        case action::write: return access(number, what, tell);
        case action::reset: return settle(number, what, device_.ioctl(reset_device{}), tell);
        case action::set_irqs: return irqs(number, what, tell);
        case action::map_dma: {
            const result<map_dma> made = memory_.map(what.numbers[0], what.numbers[1], what.numbers[2]);
            if (!made) return skip();
            const result<void> came = device_.ioctl(*made);
            if (came)
                memory_.keep(what.numbers[0]);
            else
                memory_.forget();
            return settle(number, what, came, tell);
        }
        case action::unmap_dma: {
            result<void> came = device_.ioctl(unmap_dma{what.numbers[0], what.numbers[1]});
            for (int tries = 0; came.error() == error::again && what.error != error::again && tries < 50'000; ++tries) {
                std::this_thread::sleep_for(std::chrono::microseconds{100});
                came = device_.ioctl(unmap_dma{what.numbers[0], what.numbers[1]});
            }
            settle(number, what, came, tell);
            if (came) memory_.drop(what.numbers[0]);
            return;
        }
        case action::advance:
            if constexpr (requires { device_.advance(std::uint64_t{}); }) {
                device_.advance(what.numbers[0]);
                ++summary_.done;
                return;
            } else {
                return skip();
            }
        case action::start_dma_log:
        case action::stop_dma_log:
        case action::report_dma_log:
        case action::migrate:
        case action::read_migration:
        case action::write_migration:
        case action::trigger:
        case action::gap: return skip();
        }
    }

    [[nodiscard]] static event implied_open() noexcept {
        event out;
        out.what = action::open;
        return out;
    }

    template <class Tell>
    void open(std::uint64_t number, const event& what, Tell& tell) {
        const result<void> came = device_.open();
        settle(number, what, came, tell);
        open_ = static_cast<bool>(came);
        failed_open_ = !open_;
        if (!open_ || sized_) return;
        sized_ = true;
        for (const identity::region& each : from_.who().regions) {
            const result<get_region_info::answer> info = device_.ioctl(get_region_info{each.index});
            const std::uint64_t size = info ? info->size : 0;
            ++summary_.compared;
            if (size == each.size) continue;
            ++summary_.different;
            event expected = what;
            expected.region = each.index;
            expected.size = each.size;
            tell(difference{number, differing::region, expected, {size}, {}});
        }
    }

    void close() {
        device_.release();
        memory_.clear();
        open_ = false;
        ++summary_.done;
    }

    template <class Tell>
    void settle(std::uint64_t number, const event& what, const result<void>& came, Tell& tell) {
        ++summary_.done;
        ++summary_.compared;
        if (came.error() == what.error) return;
        ++summary_.different;
        tell(difference{number, differing::error, what, {0, came.error()}, {}});
    }

    template <class Tell>
    void irqs(std::uint64_t number, const event& what, Tell& tell) {
        const auto how = static_cast<set_irqs::data>(what.numbers[2]);
        if (what.numbers[1] > 2 || what.numbers[2] > 2 || what.numbers[3] > 0xffff'ffff ||
            what.numbers[4] > 0xffff'ffff)
            return skip();
        set_irqs told{.index = irq_index{static_cast<std::uint32_t>(what.numbers[0])},
                      .what = static_cast<set_irqs::action>(what.numbers[1]),
                      .how = how,
                      .start = static_cast<std::uint32_t>(what.numbers[3]),
                      .count = static_cast<std::uint32_t>(what.numbers[4]),
                      .bools = {},
                      .eventfds = {}};
        std::vector<std::uint8_t> bools;
        std::vector<device::unique_fd> files;
        std::vector<int> numbers;
        constexpr std::size_t most_vectors = 2048; // of MSI-X
        if (what.bytes().size() > most_vectors) return skip();
        for (const std::byte each : what.bytes()) {
            bools.push_back(std::to_integer<std::uint8_t>(each));
            if (how == set_irqs::data::eventfds && each != std::byte{0}) {
                files.emplace_back(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
                if (!files.back()) return skip();
                numbers.push_back(files.back().get());
            } else {
                numbers.push_back(-1);
            }
        }
        if (how == set_irqs::data::bools) told.bools = bools;
        if (how == set_irqs::data::eventfds) told.eventfds = numbers;
        // Who made the recording had checked this.
        if (how != set_irqs::data::none && bools.size() != told.count &&
            !(how == set_irqs::data::eventfds && bools.empty()))
            return skip();
        if (how == set_irqs::data::none && told.count == 0) {
            // As a server does of itself when its client ends, for every kind; of a client it is refused.
            const result<get_irq_info::answer> info = device_.ioctl(get_irq_info{told.index});
            if (!info || info->count == 0) {
                ++summary_.outside;
                return;
            }
        }
        settle(number, what, device_.ioctl(told), tell);
    }

    template <class Tell>
    void access(std::uint64_t number, const event& what, Tell& tell) {
        std::uint64_t size = what.size;
        bool shortened = false;
        if (!from_.who().regions.empty()) {
            const identity::region* const region = from_.who().find(what.region);
            if (region == nullptr || !fits(what.offset, what.size, region->size)) {
                ++summary_.outside;
                if (what.count == 0) return;
                size = what.count;
                shortened = true;
            }
        }
        if (size > longest_bytes) return skip();
        if (what.what == action::write && what.bytes().size() < size) {
            ++summary_.unknown;
            return;
        }
        ++summary_.done;
        answer came;
        if (what.what == action::write) {
            came = device_.write(
                write_access{what.region, what.offset, what.bytes().first(static_cast<std::size_t>(size))});
        } else {
            bytes_.assign(static_cast<std::size_t>(size), std::byte{0});
            came = device_.read(read_access{what.region, what.offset, bytes_});
        }
        came.count = std::min(came.count, size);
        const std::uint64_t expected = what.count;
        const std::span<const std::byte> got{bytes_.data(),
                                             what.what == action::read ? static_cast<std::size_t>(came.count) : 0};
        std::optional<differing> found;
        if (expected != came.count)
            found = expected == 0 || came.count == 0 ? differing::error : differing::count;
        else if (expected == 0 && !shortened && what.error != came.error)
            found = differing::error;
        bool anything = true;
        if (!found && what.what == action::read && !what.bytes().empty()) {
            anything = false;
            for (std::size_t i = 0; i < what.bytes().size() && i < got.size(); ++i) {
                if (ignores(what.region, what.offset + i)) continue;
                anything = true;
                if (what.bytes()[i] != got[i]) found = differing::bytes;
            }
        } else if (found && ignores(what.region, what.offset)) {
            found = std::nullopt;
            anything = false;
        }
        if (!anything) {
            ++summary_.ignored;
            return;
        }
        ++summary_.compared;
        if (!found) return;
        ++summary_.different;
        tell(difference{number, *found, what, came, got});
    }

    [[nodiscard]] bool ignores(region_index region, std::uint64_t offset) const noexcept {
        return std::any_of(how_.ignored.begin(), how_.ignored.end(),
                           [&](const auto& each) { return each.first == region && each.second.contains(offset); });
    }

    void skip() noexcept { ++summary_.skipped; }

    reader& from_;
    Device& device_;
    const replay_options& how_;
    replay_summary summary_;
    replay_memory memory_;
    std::vector<std::byte> bytes_;
    bool open_ = false;
    bool failed_open_ = false;
    bool sized_ = false;
};

} // namespace mediant::trace
