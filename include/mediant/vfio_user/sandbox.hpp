// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/result.hpp>

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <vector>

namespace mediant::vfio_user {

namespace detail {
/// As the kernel calls it; 0: not one whose system calls are listed here.
inline constexpr std::uint32_t sandbox_architecture =
#if defined(__x86_64__)
    AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
    AUDIT_ARCH_AARCH64;
#else
    0;
#endif
} // namespace detail

/// Why this program cannot enter the sandbox, or null where it can: an architecture whose system calls are not listed,
/// or a sanitizer, which opens files and has memory of its own.
[[nodiscard]] constexpr const char* no_sandbox() noexcept {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return "this build has a sanitizer";
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
    return "this build has a sanitizer";
#endif
#endif
    return detail::sandbox_architecture == 0 ? "not on this architecture" : nullptr;
}

/// Becomes this user and group for good, with no other groups; for a process that is root. Errors are those of
/// setgroups(2), setresgid(2) and setresuid(2).
[[nodiscard]] inline result<void> become(uid_t user, gid_t group) noexcept {
    if (::setgroups(0, nullptr) != 0 || ::setresgid(group, group, group) != 0 || ::setresuid(user, user, user) != 0)
        return error{errno};
    // What cannot be is tried: to be root again.
    if (user != 0 && ::setresuid(static_cast<uid_t>(-1), 0, static_cast<uid_t>(-1)) == 0) return error::not_permitted;
    return {};
}

/// Takes from all threads of this process, and from those that they start later, all but the system calls that serving
/// devices needs, for good (seccomp(2) with SECCOMP_FILTER_FLAG_TSYNC, no_new_privs): it takes clients, moves bytes, maps memory that is not executable, signals
/// eventfds, makes memory files and threads. It opens no file, connects to nothing, starts no program, and changes no
/// right.
///
/// Whoever tries gets EPERM, and a line on standard error says what it was; `hint` ends that line. A system call of
/// another architecture ends the process. `more` are system calls that the program's own devices need (__NR_…). Errors
/// are those of prctl(2) and seccomp(2); error::busy: another thread has a filter of its own already, and then none is
/// bound; error::not_supported where no_sandbox() says so.
///
/// Everything that needs a path is to be open before: listen, look up users, load what is to be loaded.
[[nodiscard]] result<void> enter_sandbox(std::string_view hint = {}, std::span<const int> more = {});

namespace detail {

/// The filter: a program for the kernel, which has jumps forward alone.
class sandbox_filter {
public:
    explicit sandbox_filter(std::span<const int> more) {
        load(offsetof(seccomp_data, arch));
        add(BPF_JMP | BPF_JEQ | BPF_K, sandbox_architecture, 1, 0);
        answer(SECCOMP_RET_KILL_PROCESS);
        load(offsetof(seccomp_data, nr));
#ifdef __x86_64__
        // The x32 numbers are another architecture in all but its name.
        add(BPF_JMP | BPF_JGE | BPF_K, 0x40000000u, 0, 1);
        answer(SECCOMP_RET_KILL_PROCESS);
#endif
        for (const int number : always()) allow(number);
        for (const int number : more) allow(number);
        // What is not executable now never will be.
        without(__NR_mmap, 2, PROT_EXEC);
        without(__NR_mprotect, 2, PROT_EXEC);
        // Threads alone; what clone3() asks for a filter cannot see, and the C library then takes clone().
        with_all(__NR_clone, 0, CLONE_VM | CLONE_THREAD | CLONE_SIGHAND);
        instead(__NR_clone3, ENOSYS);
        one_of(__NR_fcntl, 1, {F_GETFL, F_SETFL, F_GETFD, F_SETFD, F_DUPFD_CLOEXEC, F_GET_SEALS, F_ADD_SEALS});
        // Connected pairs, which cannot send to somebody else's address.
        is(__NR_socketpair, 7);
        argument(0);
        add(BPF_JMP | BPF_JEQ | BPF_K, AF_UNIX, 0, 4);
        argument(1);
        add(BPF_ALU | BPF_AND | BPF_K, 0xf);
        add(BPF_JMP | BPF_JEQ | BPF_K, SOCK_STREAM, 0, 1);
        answer(SECCOMP_RET_ALLOW);
        answer(SECCOMP_RET_TRAP);
        one_of(__NR_tgkill, 0, {::getpid()}); // abort()
        // Output asks whether it is a terminal's.
        instead(__NR_ioctl, ENOTTY);
        answer(SECCOMP_RET_TRAP);
    }

    [[nodiscard]] std::span<sock_filter> program() noexcept { return program_; }

private:
    /// Those of a message first, though kernels from 5.11 on remember what is always allowed.
    [[nodiscard]] static std::initializer_list<int> always() noexcept {
        static constexpr std::initializer_list<int> all{
            __NR_recvmsg,
            __NR_sendto,
            __NR_sendmsg,
            __NR_recvfrom,
            __NR_epoll_pwait,
            __NR_write,
            __NR_read,
            __NR_futex,
            __NR_epoll_ctl,
            __NR_accept4,
            __NR_close,
            __NR_shutdown,
            __NR_getsockopt,
            __NR_setsockopt,
            __NR_ppoll,
            __NR_readv,
            __NR_preadv2, // of eventfds, without waiting
            __NR_writev,
            __NR_pread64,
            __NR_pwrite64,
            __NR_lseek,
            __NR_munmap,
            __NR_mremap,
            __NR_madvise,
            __NR_brk,
            __NR_memfd_create,
            __NR_ftruncate,
            __NR_fallocate,
            __NR_fstat,
            __NR_newfstatat,
            __NR_statx,
            __NR_fstatfs, // the second with a path too, which tells little
            __NR_eventfd2,
            __NR_io_setup, // signal_eventfd()
            __NR_io_submit,
            __NR_io_getevents,
            __NR_io_destroy,
            __NR_timerfd_create,
            __NR_timerfd_settime,
            __NR_timerfd_gettime,
            __NR_epoll_create1,
            __NR_clock_gettime,
            __NR_clock_getres,
            __NR_clock_nanosleep,
            __NR_nanosleep,
            __NR_gettimeofday,
            __NR_rt_sigreturn,
            __NR_rt_sigaction,
            __NR_rt_sigprocmask,
            __NR_sigaltstack,
            __NR_restart_syscall,
            __NR_getpid,
            __NR_gettid,
            __NR_getuid,
            __NR_geteuid,
            __NR_wait4,
            __NR_sched_yield,
            __NR_sched_getaffinity,
            __NR_getcpu,
            __NR_getrandom,
            __NR_set_robust_list,
            __NR_rseq,
            __NR_set_tid_address,
            __NR_exit,
            __NR_exit_group,
#ifdef __x86_64__
            __NR_epoll_wait,
            __NR_poll,
            __NR_time,
            __NR_arch_prctl,
#endif
        };
        return all;
    }

    void add(unsigned code, std::uint32_t value, std::uint8_t yes = 0, std::uint8_t no = 0) {
        program_.push_back({static_cast<std::uint16_t>(code), yes, no, value});
    }
    void load(std::size_t offset) { add(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset)); }
    void answer(std::uint32_t what) { add(BPF_RET | BPF_K, what); }

    void allow(int number) {
        is(number, 1);
        answer(SECCOMP_RET_ALLOW);
    }
    void instead(int number, int error) {
        is(number, 1);
        answer(SECCOMP_RET_ERRNO | (static_cast<std::uint32_t>(error) & SECCOMP_RET_DATA));
    }
    /// The next `length` statements are for this system call alone.
    void is(int number, std::uint8_t length) {
        add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(number), 0, length);
    }
    /// The low half of an argument; what is looked at here has nothing in the other that means anything.
    void argument(unsigned index) { load(offsetof(seccomp_data, args) + index * sizeof(std::uint64_t)); }
    void without(int number, unsigned index, std::uint32_t bits) {
        is(number, 4);
        argument(index);
        add(BPF_JMP | BPF_JSET | BPF_K, bits, 1, 0);
        answer(SECCOMP_RET_ALLOW);
        answer(SECCOMP_RET_TRAP);
    }
    void with_all(int number, unsigned index, std::uint32_t bits) {
        is(number, 5);
        argument(index);
        add(BPF_ALU | BPF_AND | BPF_K, bits);
        add(BPF_JMP | BPF_JEQ | BPF_K, bits, 0, 1);
        answer(SECCOMP_RET_ALLOW);
        answer(SECCOMP_RET_TRAP);
    }
    void one_of(int number, unsigned index, std::initializer_list<int> values) {
        is(number, static_cast<std::uint8_t>(2 + 2 * values.size()));
        argument(index);
        for (const int each : values) {
            add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(each), 0, 1);
            answer(SECCOMP_RET_ALLOW);
        }
        answer(SECCOMP_RET_TRAP);
    }

    std::vector<sock_filter> program_;
};

/// Says what was refused, and gives EPERM to who tried it.
class sandbox_refusal {
public:
    [[nodiscard]] static bool install(std::string_view end) noexcept {
        end_size_ = std::min(end.size(), end_.size());
        std::copy_n(end.begin(), end_size_, end_.begin());
        struct sigaction ours {};
        ours.sa_sigaction = handle;
        ours.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER; // the handler's own calls are allowed ones
        ::sigemptyset(&ours.sa_mask);
        return ::sigaction(SIGSYS, &ours, nullptr) == 0;
    }

private:
    static constexpr int most_lines = 20; // a device that tries again and again is not to fill a disk

    static void handle(int, siginfo_t* what, void* context) {
        const int saved = errno;
        auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext;
#if defined(__x86_64__)
        registers.gregs[REG_RAX] = -EPERM;
#elif defined(__aarch64__)
        registers.regs[0] = static_cast<unsigned long long>(-EPERM);
#else
        static_cast<void>(registers);
#endif
        if (const int line = lines_.fetch_add(1); line < most_lines) say(what->si_syscall, line == most_lines - 1);
        errno = saved;
    }

    static void say(int number, bool last) noexcept {
        std::array<char, 256> text;
        std::size_t size = 0;
        const auto put = [&](std::string_view part) {
            for (const char each : part)
                if (size < text.size() - 1) text[size++] = each;
        };
        put("sandbox: refused ");
        if (const auto name = name_of(number); !name.empty()) {
            put(name);
        } else {
            put("system call ");
            std::array<char, 12> digits;
            std::size_t at = digits.size();
            do digits[--at] = static_cast<char>('0' + number % 10);
            while ((number /= 10) != 0);
            put({digits.data() + at, digits.size() - at});
        }
        put({end_.data(), end_size_});
        if (last) put("; what else is refused is not told");
        text[size++] = '\n';
        [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), size);
    }

    [[nodiscard]] static std::string_view name_of(int number) noexcept {
        switch (number) {
#ifdef __x86_64__
        case __NR_open: return "open";
        case __NR_fork: return "fork";
        case __NR_vfork: return "vfork";
        case __NR_unlink: return "unlink";
#endif
        case __NR_openat: return "openat";
        case __NR_execve: return "execve";
        case __NR_socket: return "socket";
        case __NR_connect: return "connect";
        case __NR_bind: return "bind";
        case __NR_clone: return "clone";
        case __NR_mmap: return "mmap of executable memory";
        case __NR_mprotect: return "mprotect of executable memory";
        case __NR_fcntl: return "fcntl";
        case __NR_ptrace: return "ptrace";
        case __NR_kill: return "kill";
        case __NR_tgkill: return "tgkill";
        case __NR_socketpair: return "socketpair";
        case __NR_unlinkat: return "unlinkat";
        case __NR_prctl: return "prctl";
        default: return {};
        }
    }

    inline static std::array<char, 96> end_{};
    inline static std::size_t end_size_ = 0;
    inline static std::atomic<int> lines_{0};
    static_assert(std::atomic<int>::is_always_lock_free);
};

} // namespace detail

inline result<void> enter_sandbox(std::string_view hint, std::span<const int> more) {
    if (no_sandbox() != nullptr) return error::not_supported;
    detail::sandbox_filter filter{more};
    const auto program = filter.program();
    const sock_fprog what{static_cast<unsigned short>(program.size()), program.data()};
    if (!detail::sandbox_refusal::install(hint)) return error{errno};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return error{errno};
    const long left = ::syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &what);
    if (left < 0) return error{errno};
    return left == 0 ? result<void>{} : error::busy; // else the ID of such a thread
}

} // namespace mediant::vfio_user
