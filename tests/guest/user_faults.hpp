// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// A page that is made when it is first touched, by code of the test's (userfaultfd(2)): whoever reads it in the kernel
/// waits meanwhile. So what other memory says can be changed between two of a call's readings of it.

#ifndef MEDIANT_TESTS_GUEST_USER_FAULTS_HPP
#define MEDIANT_TESTS_GUEST_USER_FAULTS_HPP

#include "vfio_client.hpp"

#include <functional>
#include <thread>

#include <linux/userfaultfd.h>
#include <sys/syscall.h>

namespace mediant::guest {

/// Whether this kernel has userfaultfd(2).
inline bool has_user_faults() {
    const unique_fd fd{static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC))};
    return fd.get() >= 0 || errno != ENOSYS;
}

/// The page at `at`, which must be private anonymous memory: absent until somebody touches it, who finds `content`
/// there once `meanwhile` has run, in a thread of this object's. Somebody must.
class late_page {
public:
    static constexpr std::size_t size = 0x1000;

    late_page(std::byte* at, std::span<const std::byte> content, std::function<void()> meanwhile)
        : fd_{static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC))}, page_{size} {
        if (fd_.get() < 0) fail(errno, "userfaultfd");
        std::copy(content.begin(), content.end(), page_.bytes().begin());
        uffdio_api api{};
        api.api = UFFD_API;
        control(fd_.get(), UFFDIO_API, "UFFDIO_API", &api);
        if (::madvise(at, size, MADV_DONTNEED) != 0) fail(errno, "madvise");
        uffdio_register range{};
        range.range = {reinterpret_cast<std::uintptr_t>(at), size};
        range.mode = UFFDIO_REGISTER_MODE_MISSING;
        control(fd_.get(), UFFDIO_REGISTER, "UFFDIO_REGISTER", &range);
        thread_ = std::thread{[this, at, what = std::move(meanwhile)] {
            uffd_msg message{};
            if (::read(fd_.get(), &message, sizeof message) == sizeof message) what();
            uffdio_copy copy{};
            copy.dst = reinterpret_cast<std::uintptr_t>(at);
            copy.src = reinterpret_cast<std::uintptr_t>(page_.data());
            copy.len = size;
            static_cast<void>(::ioctl(fd_.get(), UFFDIO_COPY, &copy));
        }};
    }
    late_page(late_page&&) = delete;
    ~late_page() { thread_.join(); }

private:
    unique_fd fd_;
    mapping page_;
    std::thread thread_;
};

} // namespace mediant::guest

#endif
