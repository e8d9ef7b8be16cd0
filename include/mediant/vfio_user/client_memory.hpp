// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/vfio_user/memory_guard.hpp>
#include <mediant/vfio_user/received_files.hpp>
#include <mediant/vfio_user/wire.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/vfs.h>

#include <linux/magic.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

namespace mediant::vfio_user {

/// The DMA maps of one client, with the memory that it shares mapped into this process while they last.
///
/// A client can cut a file short after it was mapped. Whoever touches what is gone finds zeros, and lost() says that
/// it came to that (memory_guard); a file that is sealed against it (F_SEAL_SHRINK) needs no such watch.
class client_memory {
public:
    struct region {
        std::uint64_t iova;
        std::uint64_t size;
        std::uint32_t flags;  // wire::dma_map_*
        bool shared;          // came with a file
        std::uint64_t offset; // in the file
        dev_t device;         // the file
        ino_t inode;
        std::byte* memory;    // null where nothing is mapped
        std::uint64_t before; // bytes of the mapping before `memory`, and after its `size`: it is in the file's pages
        std::uint64_t behind;
        memory_guard guard{}; // where the file can be cut short
        bool left = false;    // by the device, at the client's end
    };

    /// What DMA maps are a multiple of, in address, size and file offset.
    static constexpr std::uint64_t page = 4096;

    /// As many maps at most, and so many bytes of address space for those that are shared; `memory_only`: by files that
    /// are memory.
    client_memory(std::size_t most, std::uint64_t most_bytes, bool memory_only = false)
        : most_{most}, most_bytes_{most_bytes}, memory_only_{memory_only} {}
    client_memory(const client_memory&) = delete;
    client_memory& operator=(const client_memory&) = delete;
    ~client_memory() { clear(); }

    /// What came of add(): the new region, or null for one that was there already, in every detail.
    using added = region*;

    /// Checks a DMA_MAP and takes it up; `fd` is -1 where no file came. The caller keeps the descriptor: a mapping
    /// needs none. The specification: what overlaps is error::exists. error::invalid: unknown or no flags, empty,
    /// misaligned, wraps, or past the file's end; error::no_space: too many, or too large together;
    /// error::not_permitted: a file that is no memory; else what mmap(2) says. Throws std::bad_alloc, and then nothing changed.
    [[nodiscard]] result<added> add(const wire::dma_map& what, int fd) {
        if ((what.flags & ~(wire::dma_map_read | wire::dma_map_write)) != 0 || what.flags == 0) return error::invalid;
        if (what.size == 0 || ((what.address | what.size) & (page - 1)) != 0) return error::invalid;
        if (what.size - 1 > std::numeric_limits<std::uint64_t>::max() - what.address) return error::invalid;

        region fresh{what.address, what.size, what.flags, fd >= 0, fd >= 0 ? what.offset : 0, 0, 0, nullptr, 0, 0, {}};
        if (fd >= 0) {
            if (memory_only_ && !is_memory_file(fd)) return error::not_permitted; // before anything is asked of it
            const auto file = look_at(fd);
            if (!file) return file.error();
            fresh.device = file->device;
            fresh.inode = file->inode;
            constexpr std::uint64_t most = std::numeric_limits<off_t>::max();
            if ((what.offset & (page - 1)) != 0 || what.offset > most || what.size > most - what.offset) {
                return error::invalid;
            }
            if (file->type == S_IFREG && !fits(what.offset, what.size, file->size)) return error::invalid;
        }

        const auto next = after(what.address);
        if (next != regions_.begin()) {
            const auto& before = *(next - 1);
            if (what.address - before.iova < before.size) {
                return same(before, fresh) ? result<added>{nullptr} : error::exists;
            }
        }
        if (next != regions_.end() && next->iova - what.address < what.size) return error::exists;
        if (regions_.size() >= most_) return error::no_space;
        const auto place = next - regions_.begin();
        if (regions_.size() == regions_.capacity()) regions_.reserve(std::max<std::size_t>(2 * regions_.size(), 8));

        if (fd >= 0) {
            const int how = ((what.flags & wire::dma_map_read) != 0 ? PROT_READ : 0) |
                            ((what.flags & wire::dma_map_write) != 0 ? PROT_WRITE : 0);
            const std::uint64_t unit = page_of(fd);
            fresh.before = what.offset % unit;
            fresh.behind = (unit - (fresh.before + what.size) % unit) % unit;
            const std::uint64_t whole = fresh.before + what.size + fresh.behind;
            if (whole > most_bytes_ - bytes_) return error::no_space;
            void* const at = ::mmap(nullptr, whole, how, MAP_SHARED | MAP_NORESERVE, fd,
                                    static_cast<off_t>(what.offset - fresh.before));
            if (at == MAP_FAILED) return error{errno};
            bytes_ += whole;
            fresh.memory = static_cast<std::byte*>(at) + fresh.before;
            try {
                if (const int seals = ::fcntl(fd, F_GET_SEALS); seals < 0 || (seals & F_SEAL_SHRINK) == 0)
                    fresh.guard = memory_guard{at, whole, lost_};
            } catch (...) {
                unmap(fresh);
                throw;
            }
        }
        return &*regions_.insert(regions_.begin() + place, std::move(fresh));
    }

    /// The region that is exactly [iova, iova + size), or null.
    [[nodiscard]] region* find(std::uint64_t iova, std::uint64_t size) noexcept {
        const auto next = after(iova);
        if (next == regions_.begin()) return nullptr;
        auto& found = *(next - 1);
        return found.iova == iova && found.size == size ? &found : nullptr;
    }

    void remove(region* which) noexcept {
        unmap(*which);
        regions_.erase(regions_.begin() + (which - regions_.data()));
    }

    /// Gives the mapping back and keeps the entry: for a device that does no DMA.
    void unmap(region& which) noexcept {
        which.guard = {};
        if (auto* const memory = std::exchange(which.memory, nullptr)) {
            const std::uint64_t whole = which.before + which.size + which.behind;
            ::munmap(memory - which.before, whole);
            bytes_ -= whole;
        }
    }

    /// Memory of the client was touched that its file had lost: what was read are zeros, what was written is gone.
    [[nodiscard]] bool lost() const noexcept { return lost_.load(std::memory_order_relaxed); }

    [[nodiscard]] std::span<region> all() noexcept { return regions_; }

    void clear() noexcept {
        for (auto& each : regions_) unmap(each);
        regions_.clear();
    }

private:
    /// What a mapping of the file is a multiple of. The kernel maps huge pages whole whatever it is asked for, and
    /// takes back whole ones alone: a client that maps a part of one would leave it mapped here for good.
    [[nodiscard]] static std::uint64_t page_of(int fd) noexcept {
        struct statfs where {};
        if (!is_memory_file(fd)) return page; // fstatfs() may wait for the file system
        if (::fstatfs(fd, &where) != 0 || where.f_type != HUGETLBFS_MAGIC) return page;
        return std::max(page, static_cast<std::uint64_t>(where.f_bsize));
    }

    [[nodiscard]] static bool same(const region& a, const region& b) noexcept {
        return a.iova == b.iova && a.size == b.size && a.flags == b.flags && a.shared == b.shared &&
               a.offset == b.offset && a.device == b.device && a.inode == b.inode;
    }

    [[nodiscard]] std::vector<region>::iterator after(std::uint64_t iova) noexcept {
        return std::upper_bound(regions_.begin(), regions_.end(), iova,
                                [](std::uint64_t at, const region& each) { return at < each.iova; });
    }

    std::size_t most_;
    std::uint64_t most_bytes_;
    bool memory_only_;
    std::uint64_t bytes_ = 0;       // mapped
    std::atomic<bool> lost_{false}; // set by a signal handler
    std::vector<region> regions_;   // sorted by iova, never overlapping
};

} // namespace mediant::vfio_user
