// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/device/simulated.hpp>
#include <mediant/device/unique_fd.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <system_error>

namespace mediant::device {

/// A device whose BARs are memory that clients may map: what a provider is served on where no model of its hardware
/// exists. The memory is sparse, so that a large BAR costs what is touched. A reset zeroes it.
class memory_device : public simulated<memory_device> {
public:
    /// `bar_sizes` as in pci_function. Throws std::invalid_argument for sizes that no BAR has, std::system_error
    /// where the memory cannot be had.
    memory_device(const device_id& id, const std::array<std::uint64_t, 6>& bar_sizes, unsigned max_access = 8)
        : memory_device{pci_function{.id = id, .bar_sizes = bar_sizes}, max_access} {}
    /// Likewise, with all that a function can have.
    explicit memory_device(const pci_function& what, unsigned max_access = 8) : simulated{what, max_access} {
        for (std::size_t i = 0; i < bars_.size(); ++i)
            if (what.bar_sizes[i] != 0) bars_[i].create(what.bar_sizes[i]);
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

    void reset_registers() noexcept {
        for (memory_bar& bar : bars_) bar.clear();
    }

    [[nodiscard]] std::span<std::byte> memory(region_index region) const noexcept {
        const auto i = static_cast<std::size_t>(region);
        return i < bars_.size() ? bars_[i].all() : std::span<std::byte>{};
    }
    /// The bytes start at offset 0. Owned by the device.
    [[nodiscard]] int memory_fd(region_index region) const noexcept {
        const auto i = static_cast<std::size_t>(region);
        return i < bars_.size() ? bars_[i].fd() : -1;
    }

private:
    /// One BAR's memory: a memfd that cannot be resized, so that no client can take it away, and its mapping.
    class memory_bar {
    public:
        memory_bar() = default;
        memory_bar(const memory_bar&) = delete;
        memory_bar& operator=(const memory_bar&) = delete;
        ~memory_bar() {
            if (bytes_ != nullptr) ::munmap(bytes_, size_);
        }

        void create(std::uint64_t size) {
            fd_.reset(::memfd_create("mediant-bar", MFD_CLOEXEC | MFD_ALLOW_SEALING));
            if (!fd_ || ::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0 ||
                ::fcntl(fd_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
                throw std::system_error{errno, std::generic_category(), "memory of a BAR"};
            void* const at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd_.get(), 0);
            if (at == MAP_FAILED) throw std::system_error{errno, std::generic_category(), "mapping of a BAR"};
            bytes_ = static_cast<std::byte*>(at);
            size_ = size;
        }

        void clear() noexcept {
            if (bytes_ == nullptr) return;
            // A hole frees what was touched; a page size that has none is written over.
            if (::fallocate(fd_.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(size_)) != 0)
                std::memset(bytes_, 0, size_);
        }

        [[nodiscard]] std::byte* bytes() const noexcept { return bytes_; }
        [[nodiscard]] std::span<std::byte> all() const noexcept { return {bytes_, size_}; }
        [[nodiscard]] int fd() const noexcept { return fd_.get(); }

    private:
        unique_fd fd_;
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

static_assert(lower<memory_device>);

} // namespace mediant::device
