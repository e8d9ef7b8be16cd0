// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <linux/aio_abi.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>

namespace mediant::device {

namespace detail {

/// Whether ThreadSanitizer is there, which takes write(2) and read(2) of an eventfd for what orders threads, and knows
/// nothing of io_submit(2).
inline constexpr bool orders_by_write =
#if defined(__SANITIZE_THREAD__)
    true;
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
    true;
#else
    false;
#endif
#else
    false;
#endif

/// What completes at once, and signals an eventfd as the kernel itself does (linux/fs/aio.c). One a process, made when
/// it is first needed and never given back; a child of fork(2) has not its parent's.
class completions {
public:
    /// Whether it can be done so, by this kernel and in this build.
    [[nodiscard]] static bool offered() noexcept {
        if (orders_by_write) return false;
        const aio_context_t in = all_.load(std::memory_order_acquire);
        return (in == 0 ? make(in) : in) != none;
    }

    /// False: it cannot.
    [[nodiscard]] static bool signal(int fd) noexcept {
        if (orders_by_write) return false;
        for (aio_context_t in = all_.load(std::memory_order_acquire);;) {
            if (in == none) return false;
            if (in == 0) {
                in = make(in);
                continue;
            }
            if (submit(in, fd) || exists(in)) return true; // what is no eventfd is not signalled at all
            in = make(in);
        }
    }

private:
    static constexpr aio_context_t none = ~aio_context_t{0};

    [[nodiscard]] static bool submit(aio_context_t in, int fd) noexcept {
        // A read that is too short for an eventfd, and ends with an error at once. What counts is that it ends.
        iocb nothing{};
        nothing.aio_lio_opcode = IOCB_CMD_PREAD;
        nothing.aio_fildes = static_cast<std::uint32_t>(fd);
        nothing.aio_flags = IOCB_FLAG_RESFD;
        nothing.aio_resfd = static_cast<std::uint32_t>(fd);
        iocb* list = &nothing;
        // The results fill the ring: nobody reads them, but to have room again, and another thread may have been quicker
        // at that.
        std::array<io_event, 32> ended;
        for (;;) {
            if (::syscall(SYS_io_submit, in, 1L, &list) == 1) return true;
            if (errno != EAGAIN ||
                ::syscall(SYS_io_getevents, in, 0L, static_cast<long>(ended.size()), ended.data(), nullptr) < 0)
                return false;
        }
    }

    /// Whether it is this process's: EINVAL, which a submission has from what is no eventfd, too.
    [[nodiscard]] static bool exists(aio_context_t in) noexcept {
        return ::syscall(SYS_io_getevents, in, 0L, 0L, nullptr, nullptr) == 0;
    }

    /// Another in the place of `old`, or the one that another thread has put there.
    [[nodiscard]] static aio_context_t make(aio_context_t old) noexcept {
        aio_context_t fresh = 0;
        if (::syscall(SYS_io_setup, 64, &fresh) != 0) fresh = none;
        if (all_.compare_exchange_strong(old, fresh)) return fresh;
        if (fresh != none) ::syscall(SYS_io_destroy, fresh);
        return old;
    }

    inline static std::atomic<aio_context_t> all_{0};
    static_assert(std::atomic<aio_context_t>::is_always_lock_free);
};

} // namespace detail

/// Adds one to an eventfd, and never waits. O_NONBLOCK would not do: it belongs to the file, which a client has too and
/// can make blocking again, and full, between any look and a write(2). Where the kernel offers no other way it is
/// written to. What was written to memory before is seen by who is woken.
inline void signal_eventfd(int fd) noexcept {
    if (detail::completions::signal(fd)) return;
    const std::uint64_t one = 1;
    ssize_t written = 0;
    do written = ::write(fd, &one, sizeof one);
    while (written < 0 && errno == EINTR);
    // A full counter (EAGAIN) is as good as signalled; nothing else can be done about a failure here.
}

} // namespace mediant::device
