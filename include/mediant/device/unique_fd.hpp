// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <utility>

namespace mediant::device {

/// Owns one file descriptor, or none (-1).
class unique_fd {
public:
    unique_fd() noexcept = default;
    explicit unique_fd(int fd) noexcept : fd_{fd} {}
    unique_fd(unique_fd&& other) noexcept : fd_{other.release()} {}
    unique_fd& operator=(unique_fd&& other) noexcept {
        reset(other.release());
        return *this;
    }
    ~unique_fd() { reset(); }

    [[nodiscard]] int get() const noexcept { return fd_; }
    [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }

    /// Closes what it has and takes `fd`.
    void reset(int fd = -1) noexcept {
        if (const int old = std::exchange(fd_, fd); old >= 0) ::close(old);
    }

    /// A descriptor of its own for the same open file, closed on exec; empty (and errno set) on failure.
    [[nodiscard]] static unique_fd duplicate(int fd) noexcept { return unique_fd{::fcntl(fd, F_DUPFD_CLOEXEC, 0)}; }

private:
    int fd_ = -1;
};

} // namespace mediant::device
