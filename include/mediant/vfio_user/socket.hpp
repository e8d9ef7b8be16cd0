// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/result.hpp>
#include <mediant/device/unique_fd.hpp>
#include <mediant/vfio_user/options.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstring>
#include <ctime>
#include <optional>
#include <string>
#include <utility>

namespace mediant::vfio_user {

using device::unique_fd;

namespace detail {

/// error::invalid: empty, holds a NUL, or longer than a socket's address.
[[nodiscard]] inline result<sockaddr_un> socket_address(const std::string& path) {
    sockaddr_un address{};
    if (path.empty() || path.size() >= sizeof address.sun_path || path.find('\0') != std::string::npos) {
        return error::invalid;
    }
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return address;
}

[[nodiscard]] inline unique_fd stream_socket(int flags = 0) noexcept {
    return unique_fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0)};
}

} // namespace detail

/// A connection to the server that listens at `path`. One that accepts nobody is waited for no longer than `limit`
/// (error::again), and sends, later on, too; 0: for ever.
[[nodiscard]] inline result<unique_fd> connect_to(const std::string& path, std::chrono::milliseconds limit = {}) {
    const auto address = detail::socket_address(path);
    if (!address) return address.error();
    auto fd = detail::stream_socket();
    if (!fd) return error{errno};
    const timeval time{static_cast<time_t>(limit.count() / 1000), static_cast<suseconds_t>(limit.count() % 1000 * 1000)};
    if (::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time) != 0) return error{errno};
    while (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) != 0) {
        if (errno != EINTR) return error{errno};
    }
    return fd;
}

/// A listening socket with a path of its own.
///
/// A socket file at the path that nobody listens on is replaced; anything else there stays and is EADDRINUSE. The
/// check and the replacement are done under a lock (flock(2)) on the folder, so that of two servers that start at
/// once on one stale file only one wins. The file is unlinked at the end if it is still ours.
class listener {
public:
    listener() noexcept = default;
    listener(listener&& other) noexcept
        : fd_{std::move(other.fd_)}, path_{std::exchange(other.path_, {})}, device_{other.device_}, inode_{
                                                                                                        other.inode_} {}
    listener& operator=(listener&&) = delete;
    ~listener() {
        if (!fd_ || path_.empty()) return;
        struct stat there {};
        if (::lstat(path_.c_str(), &there) == 0 && there.st_dev == device_ && there.st_ino == inode_) {
            ::unlink(path_.c_str());
        }
    }

    /// Binds and listens, without blocking: once the path is there, clients can connect, if permissions let them. Errors
    /// are those of bind(2), listen(2), chmod(2), chown(2) and rename(2); error::invalid: a bad path.
    [[nodiscard]] static result<listener> open(const server_options& options) {
        const auto& path = options.path;
        const auto address = detail::socket_address(path);
        if (!address) return address.error();
        listener made;
        made.fd_ = detail::stream_socket(SOCK_NONBLOCK);
        if (!made.fd_) return error{errno};

        const auto folder = lock_folder(path);
        if (!folder) return folder.error();
        // Under another name first, so that nobody finds a socket that does not listen yet. By the folder's
        // descriptor, as that path is short, however long the folder's is.
        const std::string name = ".mediant-" + std::to_string(::getpid()) + "-" + std::to_string(made.fd_.get());
        const auto hidden = detail::socket_address("/proc/self/fd/" + std::to_string(folder->get()) + "/" + name);
        if (!hidden) return hidden.error();
        ::unlinkat(folder->get(), name.c_str(), 0); // of a process that had our number and died here
        // The file has the socket's own mode, less what umask takes: never more than is wanted.
        if (options.mode && ::fchmod(made.fd_.get(), *options.mode) != 0) return error{errno};
        if (::bind(made.fd_.get(), reinterpret_cast<const sockaddr*>(&*hidden), sizeof *hidden) != 0) return error{errno};
        const auto refuse = [&] {
            const error why{errno};
            ::unlinkat(folder->get(), name.c_str(), 0);
            return why;
        };
        const auto file = own_file(folder->get(), name);
        if (!file || !set_rights(*file, options)) return refuse();
        struct stat there {};
        if (::listen(made.fd_.get(), options.backlog) != 0 || ::fstat(file->get(), &there) != 0 ||
            !move_into_place(folder->get(), name, path, *address))
            return refuse();
        made.path_ = path;
        made.device_ = there.st_dev;
        made.inode_ = there.st_ino;
        return made;
    }

    /// Takes over a socket that listens already. error::invalid: it is no listening Unix stream socket.
    [[nodiscard]] static result<listener> adopt(int fd) {
        listener made;
        made.fd_ = unique_fd{fd};
        for (const auto& [option, wanted] : {std::pair{SO_DOMAIN, AF_UNIX}, {SO_TYPE, SOCK_STREAM}, {SO_ACCEPTCONN, 1}}) {
            int is = 0;
            socklen_t size = sizeof is;
            if (::getsockopt(fd, SOL_SOCKET, option, &is, &size) != 0) return error{errno == ENOTSOCK ? EINVAL : errno};
            if (is != wanted) return error::invalid;
        }
        const int flags = ::fcntl(fd, F_GETFL);
        if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 || ::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
            return error{errno};
        return made;
    }

    [[nodiscard]] int fd() const noexcept { return fd_.get(); }

    /// The file is not unlinked at the end: another process does that.
    void leave_file() noexcept { path_.clear(); }

private:
    /// A lock that lasts as long as the descriptor. Others hold it for a moment; who holds it longer is not one of us.
    [[nodiscard]] static result<unique_fd> lock_folder(const std::string& path) {
        const auto slash = path.rfind('/');
        const auto folder = slash == std::string::npos ? std::string{"."} : path.substr(0, slash + 1);
        unique_fd fd{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
        if (!fd) return error{errno};
        for (int tries = 0; ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0; ++tries) {
            if ((errno != EWOULDBLOCK && errno != EINTR) || tries == 200) return error{errno};
            const timespec pause{0, 10'000'000};
            ::nanosleep(&pause, nullptr);
        }
        return fd;
    }

    /// The file that was just bound, whatever is at its name since: others may write in the folder, and a link of theirs
    /// would give them whatever it leads to. A socket of ours with one name is the one, or as good.
    [[nodiscard]] static std::optional<unique_fd> own_file(int folder, const std::string& name) {
        unique_fd file{::openat(folder, name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC)};
        if (!file) return {};
        struct stat is {};
        if (::fstat(file.get(), &is) != 0) return {};
        errno = EPERM;
        if (!S_ISSOCK(is.st_mode) || is.st_uid != ::geteuid() || is.st_nlink != 1) return {};
        return file;
    }

    /// Mode and owner of that very file; else errno says why.
    [[nodiscard]] static bool set_rights(const unique_fd& file, const server_options& options) {
        const auto owner = options.owner.value_or(static_cast<uid_t>(-1));
        const auto group = options.group.value_or(static_cast<gid_t>(-1));
        if ((options.owner || options.group) && ::fchownat(file.get(), "", owner, group, AT_EMPTY_PATH) != 0) return false;
        // fchmod() takes no such descriptor, its name in /proc leads to it alone.
        return !options.mode || ::chmod(("/proc/self/fd/" + std::to_string(file.get())).c_str(), *options.mode) == 0;
    }

    /// Gives the socket its path: a free one, or that of a stale socket.
    [[nodiscard]] static bool move_into_place(int folder, const std::string& name, const std::string& path,
                                              const sockaddr_un& address) {
        if (::renameat2(folder, name.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) == 0) return true;
        if (errno != EEXIST) return false;
        return stale(path, address) && ::renameat(folder, name.c_str(), AT_FDCWD, path.c_str()) == 0;
    }

    /// Whether the path is a socket that nobody listens on; else errno says EADDRINUSE.
    [[nodiscard]] static bool stale(const std::string& path, const sockaddr_un& address) {
        struct stat there {};
        bool free = ::lstat(path.c_str(), &there) == 0 && S_ISSOCK(there.st_mode);
        if (free) {
            const auto probe = detail::stream_socket(SOCK_NONBLOCK);
            free = probe && ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
                   errno == ECONNREFUSED;
        }
        errno = EADDRINUSE;
        return free;
    }

    unique_fd fd_;
    std::string path_;
    dev_t device_ = 0;
    ino_t inode_ = 0;
};

} // namespace mediant::vfio_user
