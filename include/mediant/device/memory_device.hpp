// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/device/range_set.hpp>
#include <mediant/device/simulated.hpp>
#include <mediant/device/unique_fd.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <system_error>
#include <utility>

namespace mediant::device {

/// A device whose BARs are memory that clients may map: what a provider is served on where no model of its hardware
/// exists. The memory is sparse, so that a large BAR costs what is touched. A reset zeroes it.
///
/// Each open shows clients files of its own, which hold none of what is withheld: a client that maps more than it was
/// told, or keeps its mapping after its end, reaches nothing of the device. Pages that trap while they are shown leave the
/// file once the client has said that it maps them no more; pages that pass come into it when the client asks.
class memory_device : public simulated<memory_device> {
public:
    /// `bar_sizes` as in pci_function. Throws std::invalid_argument for sizes that no BAR has, std::system_error
    /// where the memory cannot be had.
    memory_device(const device_id& id, const std::array<std::uint64_t, 6>& bar_sizes, unsigned max_access = 8)
        : memory_device{pci_function{.id = id, .bar_sizes = bar_sizes}, max_access} {}
    /// Likewise, with all that a function can have.
    explicit memory_device(const pci_function& what, unsigned max_access = 8) : simulated{what, max_access} {
        for (std::size_t i = 0; i < bars_.size(); ++i) {
            if (what.bar_sizes[i] != 0) bars_[i].create(what.bar_sizes[i]);
        }
    }

    // Clients access the same bytes through their mappings, hence the atomics: a naturally aligned access is whole.

    [[nodiscard]] std::uint64_t bar_load(std::uint32_t bar, std::uint64_t offset, unsigned width) noexcept {
        std::byte* const at = bars_[bar].bytes() + offset;
        switch (width) {
        case 1: return load_as<std::uint8_t>(at);
        case 2: return load_as<std::uint16_t>(at);
        case 4: return load_as<std::uint32_t>(at);
        default: return load_as<std::uint64_t>(at);
        }
    }

    void bar_store(std::uint32_t bar, std::uint64_t offset, unsigned width, std::uint64_t value) noexcept {
        std::byte* const at = bars_[bar].bytes() + offset;
        switch (width) {
        case 1: return store_as<std::uint8_t>(at, value);
        case 2: return store_as<std::uint16_t>(at, value);
        case 4: return store_as<std::uint32_t>(at, value);
        default: return store_as<std::uint64_t>(at, value);
        }
    }

    /// Bytes behind a stretch of a BAR, while memory is enabled: what is longer than a natural access is copied.
    [[nodiscard]] std::span<std::byte> block(region_index region, std::uint64_t offset, std::uint64_t size) const noexcept {
        if (!reachable(region, offset, size)) return {};
        return memory(region).subspan(static_cast<std::size_t>(offset), static_cast<std::size_t>(size));
    }

    void release() noexcept {
        simulated::release();
        for (memory_bar& bar : bars_) bar.unshare();
    }

    void reset_registers() noexcept {
        for (memory_bar& bar : bars_) bar.clear();
    }

    /// Until release(): these whole pages of a BAR trap, and are in no file that a client may map. Before the first
    /// memory_fd() of an open.
    void withhold(region_index region, range pages) {
        const auto i = static_cast<std::size_t>(region);
        if (i < bars_.size()) bars_[i].withhold(pages);
    }

    /// Pages are to trap from now on (revoke() asks). Done at once where they are in no file that a client may map; else
    /// error::again and the client is to be asked, or error::busy where it would not understand.
    result<void> take_back(region_index region, range pages, bool client_listens) {
        const auto i = static_cast<std::size_t>(region);
        return i < bars_.size() ? bars_[i].take_back(pages, client_listens) : result<void>{error::invalid};
    }
    /// A client is told what it may map of a region, and nothing of what it is to give back is among that.
    void told(region_index region) {
        const auto i = static_cast<std::size_t>(region);
        if (i < bars_.size()) bars_[i].told();
    }
    /// It maps no more than it was told: what it was to give back is in no file any more.
    void given_back() {
        for (memory_bar& bar : bars_) bar.given_back();
    }
    /// Pages do not trap any more, and may be in the file. False where there is no memory for that.
    [[nodiscard]] bool show(region_index region, range pages) {
        const auto i = static_cast<std::size_t>(region);
        return i >= bars_.size() || bars_[i].show(pages);
    }

    [[nodiscard]] std::span<std::byte> memory(region_index region) const noexcept {
        const auto i = static_cast<std::size_t>(region);
        return i < bars_.size() ? bars_[i].all() : std::span<std::byte>{};
    }
    /// The bytes start at offset 0. Owned by the device, until release(); -1 where it cannot be had.
    [[nodiscard]] int memory_fd(region_index region) {
        const auto i = static_cast<std::size_t>(region);
        return i < bars_.size() ? bars_[i].share() : -1;
    }

private:
    /// One BAR's memory: a file of its own, and while clients may map it one more with what they are shown. Neither
    /// can be resized, so that no client can take it away.
    class memory_bar {
    public:
        memory_bar() = default;
        memory_bar(const memory_bar&) = delete;
        memory_bar& operator=(const memory_bar&) = delete;
        ~memory_bar() {
            if (bytes_ != nullptr) ::munmap(bytes_, size_);
        }

        void create(std::uint64_t size) {
            own_ = file_of(size);
            if (!own_) throw std::system_error{errno, std::generic_category(), "file of a BAR"};
            void* const at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, own_.get(), 0);
            if (at == MAP_FAILED) throw std::system_error{errno, std::generic_category(), "memory of a BAR"};
            bytes_ = static_cast<std::byte*>(at);
            size_ = size;
        }

        void withhold(range pages) { withheld_.add(pages); }

        result<void> take_back(range pages, bool client_listens) {
            if (!shared_ || withheld_.holds(pages)) {
                withheld_.add(pages);
                return {};
            }
            if (!client_listens) return error::busy;
            if (!asked_.holds(pages)) {
                asked_.add(pages);
                told_.remove(pages);
            }
            return error::again;
        }
        void told() {
            for (const range& each : asked_.ranges()) told_.add(each);
        }
        void given_back() {
            const range_set back = std::exchange(told_, {});
            for (const range& each : back.ranges()) {
                asked_.remove(each);
                if (move(shared_, own_, each)) withheld_.add(each);
            }
        }

        [[nodiscard]] bool show(range pages) {
            asked_.remove(pages); // they pass after all
            told_.remove(pages);
            const bool moved = !shared_ || withheld_.each_in(pages, [&](const range& each) {
                punch(shared_, each); // a client may have mapped and written what it was not told of
                return copy_range(own_, shared_, each) && map_range(shared_, each) && (punch(own_, each), true);
            });
            if (moved) withheld_.remove(pages);
            return moved;
        }

        /// Moves what is not withheld to a file that may be given away.
        [[nodiscard]] int share() {
            if (shared_ || bytes_ == nullptr) return shared_.get();
            unique_fd fresh = file_of(size_);
            if (!fresh || !copy_all(own_, fresh) || !map_shown(fresh)) return -1;
            shared_ = std::move(fresh);
            return shared_.get();
        }

        /// Takes it back, as it is now.
        void unshare() noexcept {
            if (shared_) {
                each_shown([&](const range& shown) {
                    punch(own_, shown);
                    return true;
                });
                static_cast<void>(copy_all(shared_, own_) && map_shown(own_));
                shared_.reset();
            }
            withheld_.clear();
            asked_.clear();
            told_.clear();
        }

        void clear() noexcept {
            if (bytes_ == nullptr) return;
            punch(own_, {0, size_});
            if (shared_) punch(shared_, {0, size_});
        }

        [[nodiscard]] std::byte* bytes() const noexcept { return bytes_; }
        [[nodiscard]] std::span<std::byte> all() const noexcept { return {bytes_, size_}; }

    private:
        [[nodiscard]] static unique_fd file_of(std::uint64_t size) {
            unique_fd file{::memfd_create("mediant-bar", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
            if (file && (::ftruncate(file.get(), static_cast<off_t>(size)) != 0 ||
                         ::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0))
                file.reset();
            return file;
        }

        /// Frees pages, which then read as zeros. tmpfs always can.
        static void punch(const unique_fd& file, range where) noexcept {
            static_cast<void>(::fallocate(file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                          static_cast<off_t>(where.offset), static_cast<off_t>(where.size)));
        }

        /// `each(range)` for all that is not withheld, in order, while it returns true.
        template <class F>
        bool each_shown(F each) const {
            return withheld_.each_outside({0, size_}, each);
        }

        /// What of `pages` is shown, to the other file: read from the mapping, which is then the other file's.
        [[nodiscard]] bool move(const unique_fd& from, const unique_fd& to, range pages) const {
            return withheld_.each_outside(pages, [&](const range& each) {
                punch(to, each);
                return copy_range(from, to, each) && map_range(to, each) && (punch(from, each), true);
            });
        }

        /// Copies what is shown, but no holes, from the mapping, where it is that of `from`.
        [[nodiscard]] bool copy_all(const unique_fd& from, const unique_fd& to) const {
            return each_shown([&](const range& shown) { return copy_range(from, to, shown); });
        }
        [[nodiscard]] bool copy_range(const unique_fd& from, const unique_fd& to, range shown) const {
            const auto end = static_cast<off_t>(shown.end());
            for (off_t at = static_cast<off_t>(shown.offset); at < end;) {
                at = ::lseek(from.get(), at, SEEK_DATA);
                if (at < 0) return errno == ENXIO; // no more data
                const off_t stop = std::min(end, ::lseek(from.get(), at, SEEK_HOLE));
                while (at < stop) {
                    const auto done = ::pwrite(to.get(), bytes_ + at, static_cast<std::size_t>(stop - at), at);
                    if (done <= 0) return false;
                    at += done;
                }
            }
            return true;
        }

        [[nodiscard]] bool map_shown(const unique_fd& file) const {
            return each_shown([&](const range& shown) { return map_range(file, shown); });
        }
        [[nodiscard]] bool map_range(const unique_fd& file, range shown) const {
            return ::mmap(bytes_ + shown.offset, shown.size, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_FIXED | MAP_NORESERVE, file.get(),
                          static_cast<off_t>(shown.offset)) != MAP_FAILED;
        }

        unique_fd own_;
        unique_fd shared_;
        range_set withheld_;
        range_set asked_; // the client is to give it back
        range_set told_;  // and knows, of what follows when it has
        std::byte* bytes_ = nullptr;
        std::size_t size_ = 0;
    };

    template <class T>
    static std::uint64_t load_as(std::byte* at) noexcept {
        return std::atomic_ref<T>{*reinterpret_cast<T*>(at)}.load(std::memory_order_relaxed);
    }
    template <class T>
    static void store_as(std::byte* at, std::uint64_t value) noexcept {
        std::atomic_ref<T>{*reinterpret_cast<T*>(at)}.store(static_cast<T>(value), std::memory_order_relaxed);
    }

    std::array<memory_bar, 6> bars_;
};

static_assert(lower<memory_device> && has_blocks<memory_device>);

} // namespace mediant::device
