// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <linux/aio_abi.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
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

/// What completes at once, and signals an eventfd as the kernel itself does (linux/fs/aio.c): 0 where there is no such
/// thing. One a process, never given back.
[[nodiscard]] inline aio_context_t completions() noexcept {
    static const aio_context_t all = [] {
        aio_context_t made = 0;
        return !orders_by_write && ::syscall(SYS_io_setup, 64, &made) == 0 ? made : aio_context_t{0};
    }();
    return all;
}

/// False: this kernel cannot do it so.
[[nodiscard]] inline bool signal_by_completion(int fd) noexcept {
    const aio_context_t all = completions();
    if (all == 0) return false;
    // A read that is too short for an eventfd, and ends with an error at once. What counts is that it ends.
    iocb nothing{};
    nothing.aio_lio_opcode = IOCB_CMD_PREAD;
    nothing.aio_fildes = static_cast<std::uint32_t>(fd);
    nothing.aio_flags = IOCB_FLAG_RESFD;
    nothing.aio_resfd = static_cast<std::uint32_t>(fd);
    iocb* list = &nothing;
    // The results fill the ring: nobody reads them, but to have room again, and another thread may have been quicker at
    // that. What is no eventfd is not signalled at all.
    std::array<io_event, 32> ended;
    while (::syscall(SYS_io_submit, all, 1L, &list) != 1 && errno == EAGAIN &&
           ::syscall(SYS_io_getevents, all, 0L, static_cast<long>(ended.size()), ended.data(), nullptr) >= 0) {}
    return true;
}

} // namespace detail

/// Adds one to an eventfd, and never waits. O_NONBLOCK would not do: it belongs to the file, which a client has too and
/// can make blocking again, and full, between any look and a write(2). Where the kernel offers no other way it is
/// written to. What was written to memory before is seen by who is woken.
inline void signal_eventfd(int fd) noexcept {
    if (detail::signal_by_completion(fd)) return;
    const std::uint64_t one = 1;
    ssize_t written = 0;
    do written = ::write(fd, &one, sizeof one);
    while (written < 0 && errno == EINTR);
    // A full counter (EAGAIN) is as good as signalled; nothing else can be done about a failure here.
}

} // namespace mediant::device
