// SPDX-License-Identifier: BSD-3-Clause
#pragma once

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
#include <vector>

namespace mediant::device {

/// A device whose BARs are memory that clients may map: what a provider is served on where no model of its hardware
/// exists. The memory is sparse, so that a large BAR costs what is touched. A reset zeroes it.
///
/// Each open shows clients files of its own, which hold none of what is withheld: a client that maps more than it was
/// told, or keeps its mapping after its end, reaches nothing of the device.
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

        void withhold(range pages) { withheld_.push_back(pages); }

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
                each_shown([&](range shown) {
                    punch(own_, shown);
                    return true;
                });
                static_cast<void>(copy_all(shared_, own_) && map_shown(own_));
                shared_.reset();
            }
            withheld_.clear();
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
            std::uint64_t at = 0;
            for (const range& hidden : withheld_) {
                if (hidden.offset > at && !each(range{at, hidden.offset - at})) return false;
                at = hidden.end();
            }
            return at >= size_ || each(range{at, size_ - at});
        }

        /// Copies what is shown, but no holes, from the mapping, where it is that of `from`.
        [[nodiscard]] bool copy_all(const unique_fd& from, const unique_fd& to) const {
            return each_shown([&](range shown) {
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
            });
        }

        [[nodiscard]] bool map_shown(const unique_fd& file) const {
            return each_shown([&](range shown) {
                return ::mmap(bytes_ + shown.offset, shown.size, PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_FIXED | MAP_NORESERVE, file.get(),
                              static_cast<off_t>(shown.offset)) != MAP_FAILED;
            });
        }

        unique_fd own_;
        unique_fd shared_;
        std::vector<range> withheld_; // in order, apart
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
