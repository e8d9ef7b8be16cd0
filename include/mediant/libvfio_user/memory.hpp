// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/device/remote_memory.hpp>
#include <mediant/libvfio_user/api.hpp>
#include <mediant/libvfio_user/shape.hpp>
#include <mediant/vfio_user/memory_guard.hpp>

#include <pthread.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <thread>
#include <utility>
#include <vector>

namespace mediant::libvfio_user {

/// The client's memory as the library registers it, told to the device. What the client shares is given to it as it is
/// mapped; what it does not is asked for by vfu_sgl_read and vfu_sgl_write, by the thread of the library's loop alone.
class client_memory : private remote_memory {
public:
    /// The library's context. All calls are of one thread, but for the device's that ask for memory.
    void open(vfu_ctx_t* context) {
        context_ = context;
        list_.resize((::dma_sg_size() + sizeof(std::max_align_t) - 1) / sizeof(std::max_align_t));
    }

    /// The thread that calls the library.
    void own() noexcept { owner_.store(::pthread_self(), std::memory_order_relaxed); }
    /// While this lives nobody is asked for memory: the library is in the midst of taking maps away, or has lost the
    /// client, and would abort the process.
    class silence {
    public:
        explicit silence(client_memory& of) noexcept : of_{of}, before_{std::exchange(of.silent_, true)} {}
        silence(const silence&) = delete;
        silence& operator=(const silence&) = delete;
        ~silence() { of_.silent_ = before_; }

    private:
        client_memory& of_;
        bool before_;
    };

    /// A device is being called: what ends meanwhile is told to it afterwards.
    [[nodiscard]] bool asking() const noexcept { return asking_; }

    /// From vfu_dma_register_cb_t. The library has told the client that it worked: of what the device refuses,
    /// refused() tells. A range of no bytes, or past the end of all addresses, is nothing that it could reach.
    template <servable Device>
    void add(Device& device, const vfu_dma_info_t& what) {
        const auto iova = reinterpret_cast<std::uintptr_t>(what.iova.iov_base);
        const std::uint64_t size = what.iova.iov_len;
        if (size == 0 || size - 1 > ~std::uint64_t{iova} || find(iova) != maps_.end()) return; // or once more the same
        map& made = maps_.emplace_back(map{iova, size, static_cast<std::byte*>(what.vaddr), what.mapping});
        made.writable = (what.prot & PROT_WRITE) != 0;
        if (what.vaddr != nullptr) {
            made.own = second_mapping{what.mapping};
            if (made.own) {
                made.memory = made.own.base() + (made.memory - static_cast<std::byte*>(made.mapping.iov_base));
                made.mapping.iov_base = made.own.base();
            }
            made.guard = vfio_user::memory_guard{made.mapping.iov_base, made.mapping.iov_len, lost_};
        }
        try {
            const result<void> told = device.ioctl(
                map_dma{iova, size, (what.prot & PROT_READ) != 0, made.writable,
                        what.vaddr == nullptr ? std::span<std::byte>{} : std::span<std::byte>{made.memory, made.size},
                        what.vaddr == nullptr ? this : nullptr, -1, 0});
            made.known = told.has_value();
            made.refused = !told && told.error() != error::not_a_request;
        } catch (...) {
            made.known = made.refused = true; // it may have taken it up and failed at what comes then
        }
    }

    /// From vfu_dma_unregister_cb_t, after which the library unmaps it: waits until the device has let go. False: it
    /// threw, and nobody knows whether it has; release() is what is left.
    template <servable Device>
    [[nodiscard]] bool remove(Device& device, const vfu_dma_info_t& what) noexcept {
        const auto found = find(reinterpret_cast<std::uintptr_t>(what.iova.iov_base));
        if (found == maps_.end()) return true;
        if (!found->own) found->guard = {};
        if (asking_) {
            found->gone = true;
            return true;
        }
        const bool done = forget(device, *found);
        found->guard = {};
        maps_.erase(found);
        return done;
    }

    /// What went while a device was asking. False: as of remove().
    template <servable Device>
    [[nodiscard]] bool settle(Device& device) noexcept {
        bool all = true;
        for (auto each = maps_.begin(); each != maps_.end();) {
            if (!each->gone) {
                ++each;
                continue;
            }
            all = forget(device, *each) && all;
            each->guard = {};
            if (each->stands_in) ::munmap(each->mapping.iov_base, each->mapping.iov_len);
            each = maps_.erase(each);
        }
        return all;
    }

    /// Something that the client mapped, and was told that it worked, the device could not take.
    [[nodiscard]] bool refused() const noexcept {
        return std::any_of(maps_.begin(), maps_.end(), [](const map& each) { return each.refused; });
    }
    /// f(iova, size) of what the client shares, and the device may write.
    template <class F>
    void each_shared(F f) const {
        for (const map& each : maps_)
            if (each.memory != nullptr && each.known && each.writable && !each.gone) f(each.iova, each.size);
    }
    /// The device has written this, of what is shared: the library's log of it, where it keeps one.
    void mark(std::uint64_t iova, std::uint64_t size) noexcept {
        auto* const list = reinterpret_cast<dma_sg_t*>(list_.data());
        if (::vfu_addr_to_sgl(context_, reinterpret_cast<vfu_dma_addr_t>(iova), static_cast<std::size_t>(size), list, 1,
                              PROT_WRITE) == 1)
            ::vfu_sgl_mark_dirty(context_, list, 1);
    }

    /// Shared memory was touched that its file had lost.
    [[nodiscard]] bool lost() const noexcept { return lost_.load(std::memory_order_relaxed); }
    /// With a client that is gone.
    void clear() noexcept {
        maps_.clear();
        lost_ = false;
    }

private:
    /// What the library has mapped, once more: it unmaps its own as it likes, a client's that is gone while a device is
    /// in the midst of its call, or a thread of it. Empty where Linux will not (hugetlbfs).
    class second_mapping {
    public:
        second_mapping() noexcept = default;
        explicit second_mapping(const iovec& what) noexcept
            : base_{::mremap(what.iov_base, 0, what.iov_len, MREMAP_MAYMOVE)}, size_{what.iov_len} {}
        second_mapping(second_mapping&& other) noexcept
            : base_{std::exchange(other.base_, MAP_FAILED)}, size_{other.size_} {}
        second_mapping& operator=(second_mapping&& other) noexcept {
            std::swap(base_, other.base_);
            std::swap(size_, other.size_);
            return *this;
        }
        ~second_mapping() {
            if (*this) ::munmap(base_, size_);
        }
        explicit operator bool() const noexcept { return base_ != MAP_FAILED; }
        [[nodiscard]] std::byte* base() const noexcept { return static_cast<std::byte*>(base_); }

    private:
        void* base_ = MAP_FAILED;
        std::size_t size_ = 0;
    };

    struct map {
        std::uint64_t iova;
        std::uint64_t size;
        std::byte* memory; // null where none is shared
        iovec mapping;     // all that is mapped for it
        second_mapping own{};
        vfio_user::memory_guard guard{};
        bool writable = false;
        bool known = false;     // the device has it
        bool refused = false;   // and this one it would not have
        bool gone = false;      // while the device was asking
        bool stands_in = false; // memory of ours is at its place since
    };

    [[nodiscard]] std::vector<map>::iterator find(std::uint64_t iova) noexcept {
        return std::find_if(maps_.begin(), maps_.end(),
                            [&](const map& each) { return each.iova == iova && !each.gone; });
    }

    /// The callback cannot fail: the memory must be let go of, however long that takes.
    template <servable Device>
    [[nodiscard]] bool forget(Device& device, const map& what) noexcept {
        while (what.known) {
            error said = error::none;
            try {
                said = device.ioctl(unmap_dma{what.iova, what.size}).error();
            } catch (...) {
                return false;
            }
            if (said != error::again && said != error::busy) break;
            std::this_thread::sleep_for(std::chrono::microseconds{50}); // who lets go tells nobody
        }
        return true;
    }

    template <class Transfer>
    [[nodiscard]] answer ask(std::uint64_t iova, std::size_t size, int how, Transfer transfer) noexcept {
        if (size == 0) return {0};
        if (::pthread_equal(owner_.load(std::memory_order_relaxed), ::pthread_self()) == 0 || asking_ || silent_)
            return {0, error::not_supported};
        auto* const list = reinterpret_cast<dma_sg_t*>(list_.data());
        errno = 0;
        // An I/O address is a void* in this API.
        if (::vfu_addr_to_sgl(context_, reinterpret_cast<vfu_dma_addr_t>(iova), size, list, 1, how) != 1)
            return {0, errno != 0 ? error{errno} : error::fault};
        if (!aim(iova)) return {0, error::not_supported};
        asking_ = true;
        const int done = transfer(list);
        const error why{errno};
        asking_ = false;
        if (done == 0) return {size};
        keep_places();
        return {0, why == error::none ? error::io : why};
    }

    /// vfu_sgl_read and vfu_sgl_write of Debian's copy ask for the beginning of the region, whatever the address: they
    /// leave out the entry's offset. An entry that begins at the address, at offset 0, means the same to a library with
    /// the fault and to one without. False: it is not of the layout that they have in common; which region it is, a
    /// number or in newer ones a pointer, is theirs.
    [[nodiscard]] bool aim(std::uint64_t iova) noexcept {
        struct entry {
            std::uint64_t region_iova;
            std::array<std::byte, 8> region;
            std::uint64_t length;
            std::uint64_t offset;
        };
        entry first{};
        if (list_.size() * sizeof list_[0] < sizeof first) return false;
        std::memcpy(&first, list_.data(), sizeof first);
        if (find(first.region_iova) == maps_.end() || first.offset != iova - first.region_iova) return false;
        first.region_iova = iova;
        first.offset = 0;
        std::memcpy(list_.data(), &first, sizeof first);
        return true;
    }

    [[nodiscard]] answer read(std::uint64_t iova, std::span<std::byte> to) noexcept override {
        return ask(iova, to.size(), PROT_READ,
                   [&](dma_sg_t* list) { return ::vfu_sgl_read(context_, list, 1, to.data()); });
    }
    [[nodiscard]] answer write(std::uint64_t iova, std::span<const std::byte> from) noexcept override {
        return ask(iova, from.size(), PROT_WRITE, [&](dma_sg_t* list) {
            return ::vfu_sgl_write(context_, list, 1, const_cast<std::byte*>(from.data()));
        });
    }

    /// The client was gone when it was asked, and the library has unmapped all that it shared; the device, in the midst
    /// of its call, may still touch that.
    void keep_places() noexcept {
        for (map& each : maps_) {
            if (!each.gone || each.memory == nullptr || each.own || each.stands_in) continue;
            each.stands_in = ::mmap(each.mapping.iov_base, each.mapping.iov_len, PROT_READ | PROT_WRITE,
                                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1,
                                    0) == each.mapping.iov_base;
        }
    }

    vfu_ctx_t* context_ = nullptr;
    std::vector<std::max_align_t> list_; // a dma_sg_t, whose size only the library knows
    std::vector<map> maps_;
    std::atomic<pthread_t> owner_{};
    std::atomic<bool> lost_{false};
    bool asking_ = false;
    bool silent_ = false;
};

} // namespace mediant::libvfio_user
