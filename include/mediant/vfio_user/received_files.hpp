// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/result.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <system_error>
#include <thread>

/// Files that a client sends. Who made a file may be a file system of its own (FUSE), or one whose server does not
/// answer (NFS): whatever asks it may never return. Nothing here does.
namespace mediant::vfio_user {

/// Whether the file is memory: of memfd_create(2), a tmpfs (/dev/shm, shm_open(3)) or a hugetlbfs. They are those that
/// can be sealed, whether they may be or not (mm/memfd.c).
[[nodiscard]] inline bool is_memory_file(int fd) noexcept { return ::fcntl(fd, F_GET_SEALS) >= 0; }

struct file_facts {
    mode_t type; ///< S_IFMT's; 0: of an anonymous inode
    std::uint64_t size;
    dev_t device;
    ino_t inode;
};

/// What the kernel knows of it, without asking whom it is from. Errors are those of statx(2).
[[nodiscard]] inline result<file_facts> look_at(int fd) noexcept {
    struct statx what {};
    if (::statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_SIZE | STATX_INO, &what) != 0)
        return error{errno};
    return file_facts{static_cast<mode_t>(what.stx_mode & S_IFMT), what.stx_size,
                      ::makedev(what.stx_dev_major, what.stx_dev_minor), what.stx_ino};
}

/// Whether writing eight bytes to `fd` can do no harm: true for an eventfd, false for a pipe or socket (which raise
/// SIGPIPE) and for a file. Other anonymous inodes pass; a write to those fails.
[[nodiscard]] inline bool may_be_eventfd(int fd) noexcept {
    const auto what = look_at(fd);
    return what && what->type == 0;
}

namespace detail {

/// Closes files in threads that live no longer than that takes. Such threads are few, and what they have not come to
/// waits: a file system that never answers keeps those that it has.
class file_closer {
public:
    static constexpr std::size_t most_threads = 4;
    static constexpr std::size_t most_waiting = 4096; // more stay open

    static void close(int fd) noexcept {
        static file_closer& all = *new file_closer; // threads may outlive main()
        {
            const std::lock_guard alone{all.one_};
            if (all.waiting_ == all.files_.size()) return;
            all.files_[all.waiting_++] = fd;
            if (all.threads_ == most_threads) return;
            ++all.threads_;
        }
        try {
            std::thread{[] { all.work(); }}.detach();
        } catch (const std::system_error&) { // the next one will
            const std::lock_guard alone{all.one_};
            --all.threads_;
        }
    }

private:
    void work() noexcept {
        std::unique_lock alone{one_};
        while (waiting_ != 0) {
            const int fd = files_[--waiting_];
            alone.unlock();
            ::close(fd);
            alone.lock();
        }
        --threads_;
    }

    std::mutex one_;
    std::array<int, most_waiting> files_{};
    std::size_t waiting_ = 0;
    std::size_t threads_ = 0;
};

} // namespace detail

/// Closes a file that a client sent, which may take for ever for what is no memory, eventfd or pipe: a file system is
/// told (flush), a socket may linger. That happens elsewhere.
inline void close_received(int fd) noexcept {
    if (!is_memory_file(fd)) {
        const auto what = look_at(fd);
        if (!what || (what->type != 0 && what->type != S_IFIFO)) return detail::file_closer::close(fd);
    }
    ::close(fd);
}

} // namespace mediant::vfio_user
