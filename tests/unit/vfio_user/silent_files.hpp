// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/device/unique_fd.hpp>

#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <vector>

namespace vfio_user_test {

/// A file system with one file, which is opened and then answered for no more: who asks for anything waits until
/// answer(), or for a second each time, so that a test fails and does not hang. A process of its own answers, and ends
/// with this one: else nobody could end who waits for it. Needs /dev/fuse and the right to mount.
class silent_file_system {
public:
    silent_file_system() {
        void* const shared = ::mmap(nullptr, sizeof(state), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (shared == MAP_FAILED || ::mkdtemp(folder_.data()) == nullptr) return;
        state_ = new (shared) state;
        fuse_.reset(::open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK));
        const std::string options =
            "fd=" + std::to_string(fuse_.get()) + ",rootmode=40000,user_id=" + std::to_string(::getuid()) +
            ",group_id=" + std::to_string(::getgid());
        if (!fuse_ || ::mount("silent", folder_.data(), "fuse", MS_NOSUID | MS_NODEV, options.c_str()) != 0) return;
        daemon_ = ::fork();
        if (daemon_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            work();
            ::_exit(0);
        }
        fuse_.reset();
    }
    ~silent_file_system() {
        if (daemon_ > 0) {
            answer();
            ::umount2(folder_.data(), MNT_DETACH);
            ::kill(daemon_, SIGKILL);
            while (::waitpid(daemon_, nullptr, 0) < 0 && errno == EINTR) {}
        }
        ::rmdir(folder_.data());
        if (state_ != nullptr) ::munmap(state_, sizeof(state));
    }
    silent_file_system(const silent_file_system&) = delete;
    silent_file_system& operator=(const silent_file_system&) = delete;

    [[nodiscard]] bool mounted() const noexcept { return daemon_ > 0; }
    /// The file, which nobody answers for from now on.
    [[nodiscard]] mediant::device::unique_fd open() {
        mediant::device::unique_fd file{::open((std::string{folder_.data()} + "/file").c_str(), O_RDWR | O_CLOEXEC)};
        state_->silent = true;
        return file;
    }
    void answer() noexcept { state_->silent = false; }
    /// How many requests were kept waiting, and how many of them for too long.
    [[nodiscard]] int asked() const noexcept { return state_->asked; }
    [[nodiscard]] int hung() const noexcept { return state_->hung; }

private:
    struct state {
        std::atomic<bool> silent{false};
        std::atomic<int> asked{0}, hung{0};
    };
    static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

    void work() {
        std::vector<std::byte> request(1 << 17);
        for (;;) {
            pollfd what{fuse_.get(), POLLIN, 0};
            if (::poll(&what, 1, -1) < 0) continue;
            const auto got = ::read(fuse_.get(), request.data(), request.size());
            if (got < 0 && errno == ENODEV) return; // unmounted
            if (got < static_cast<ssize_t>(sizeof(fuse_in_header))) continue;
            fuse_in_header head;
            std::memcpy(&head, request.data(), sizeof head);
            if (head.opcode == FUSE_FORGET || head.opcode == FUSE_BATCH_FORGET || head.opcode == FUSE_INTERRUPT) continue;
            if (head.opcode != FUSE_RELEASE && state_->silent) {
                ++state_->asked;
                for (int i = 0; i < 1000 && state_->silent; ++i) ::usleep(1000);
                if (state_->silent) ++state_->hung;
            }
            reply(head);
        }
    }

    void reply(const fuse_in_header& head) {
        fuse_attr attributes{};
        attributes.ino = head.nodeid;
        attributes.mode = head.nodeid == FUSE_ROOT_ID && head.opcode != FUSE_LOOKUP ? S_IFDIR | 0700 : S_IFREG | 0600;
        attributes.nlink = 1;
        attributes.uid = ::getuid();
        attributes.gid = ::getgid();
        attributes.size = 1 << 20;
        switch (head.opcode) {
        case FUSE_INIT: {
            fuse_init_out out{};
            out.major = FUSE_KERNEL_VERSION;
            out.minor = FUSE_KERNEL_MINOR_VERSION;
            out.max_write = 4096;
            return put(head, 0, out);
        }
        case FUSE_LOOKUP: {
            fuse_entry_out out{};
            out.nodeid = attributes.ino = 2;
            out.attr = attributes;
            return put(head, 0, out);
        }
        case FUSE_GETATTR: {
            fuse_attr_out out{};
            out.attr = attributes;
            return put(head, 0, out);
        }
        case FUSE_OPEN: return put(head, 0, fuse_open_out{});
        case FUSE_FLUSH:
        case FUSE_RELEASE: return put(head, 0);
        default: return put(head, -ENOSYS);
        }
    }
    template <class... T>
    void put(const fuse_in_header& to, int why, const T&... what) {
        std::array<std::byte, 512> out{};
        const fuse_out_header head{static_cast<std::uint32_t>((sizeof(fuse_out_header) + ... + sizeof(T))), why, to.unique};
        std::memcpy(out.data(), &head, sizeof head);
        (std::memcpy(out.data() + sizeof head, &what, sizeof what), ...);
        [[maybe_unused]] const auto written = ::write(fuse_.get(), out.data(), head.len);
    }

    std::array<char, 32> folder_{"/tmp/mediant-silent-XXXXXX"};
    mediant::device::unique_fd fuse_;
    state* state_ = nullptr;
    pid_t daemon_ = -1;
};

} // namespace vfio_user_test
