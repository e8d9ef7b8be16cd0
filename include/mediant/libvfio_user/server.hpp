// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/libvfio_user/adapter.hpp>
#include <mediant/libvfio_user/api.hpp>
#include <mediant/vfio_user/socket.hpp>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace mediant::libvfio_user {

/// Serves one device by libvfio-user, with a loop of its own; as vfio_user::server does without the library. What the
/// library has no way to be told is no option here: who may connect, and a socket that listens already.
///
/// All but stop() belongs to one thread. Ignore SIGPIPE: the library writes to whatever a client gave it as an eventfd,
/// which may be a pipe.
template <servable Device>
class server {
public:
    /// Listens at once; a stale socket file there is replaced. Throws as adapter::attach, and std::system_error.
    server(Device& device, std::string path)
        : file_{std::move(path)}, adapter_{device}, wake_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)} {
        if (!wake_) throw std::system_error{errno, std::generic_category(), "eventfd"};
        file_.remove_stale();
        context_.reset(::vfu_create_ctx(VFU_TRANS_SOCK, file_.path.c_str(), LIBVFIO_USER_FLAG_ATTACH_NB, &adapter_,
                                        VFU_DEV_TYPE_PCI));
        if (!context_) throw std::system_error{errno, std::generic_category(), "vfio-user socket " + file_.path};
        file_.ours = true;
        adapter_.attach(context_.get());
    }

    /// Waits at most `timeout` milliseconds (-1: for ever), does what there is to do and returns; false when stop() was
    /// called.
    bool run_once(int timeout) {
        std::array<pollfd, 3> all{{{::vfu_get_poll_fd(context_.get()), POLLIN, 0}, {adapter_.fd(), POLLIN, 0},
                                   {wake_.get(), POLLIN, 0}}};
        if (::poll(all.data(), all.size(), timeout) <= 0) return !stopped_.load();
        if (stopped_.load()) return false;
        if (all[0].revents != 0) {
            if (!attached_)
                attach();
            else if (::vfu_run_ctx(context_.get()) < 0 && errno == ENOTCONN)
                hang_up();
        }
        adapter_.run();
        if (attached_ && adapter_.ended() != ended_) hang_up();
        return !stopped_.load();
    }
    /// Serves until stop(). The client that is connected then stays so, unanswered, until this is destroyed.
    void run() {
        while (run_once(-1)) {}
    }
    /// Ends run(), or makes run_once() return false. From any thread, and from a signal handler.
    void stop() noexcept {
        const int saved = errno;
        stopped_.store(true);
        const std::uint64_t one = 1;
        (void)!::write(wake_.get(), &one, sizeof one);
        errno = saved;
    }

    [[nodiscard]] bool serving() const noexcept { return attached_; }
    [[nodiscard]] std::uint64_t served() const noexcept { return served_; }
    /// As adapter's.
    [[nodiscard]] std::vector<std::string> remarks() const { return adapter_.remarks(); }

private:
    struct destroy {
        void operator()(vfu_ctx_t* context) const noexcept { ::vfu_destroy_ctx(context); }
    };

    /// What the library binds to, and leaves there.
    struct socket_file {
        std::string path;
        bool ours = false;

        explicit socket_file(std::string where) : path{std::move(where)} {}
        socket_file(const socket_file&) = delete;
        socket_file& operator=(const socket_file&) = delete;
        ~socket_file() {
            if (ours) ::unlink(path.c_str());
        }
        /// A file that nobody listens on would be in its way.
        void remove_stale() const {
            struct stat there {};
            if (::lstat(path.c_str(), &there) != 0 || !S_ISSOCK(there.st_mode)) return;
            const auto probe = vfio_user::connect_to(path);
            if (!probe && to_errno(probe.error()) == ECONNREFUSED) ::unlink(path.c_str());
        }
    };

    void attach() noexcept {
        attached_ = ::vfu_attach_ctx(context_.get()) == 0; // else nobody, or who speaks no VERSION
        ended_ = adapter_.ended();
        if (attached_) adapter_.connected();
    }
    void hang_up() noexcept {
        attached_ = false;
        ++served_;
    }

    socket_file file_;
    adapter<Device> adapter_; // outlives the context
    std::unique_ptr<vfu_ctx_t, destroy> context_;
    unique_fd wake_;
    std::atomic<bool> stopped_{false};
    static_assert(std::atomic<bool>::is_always_lock_free);
    bool attached_ = false;
    std::uint64_t served_ = 0;
    std::uint64_t ended_ = 0; // of the adapter, before this client
};

} // namespace mediant::libvfio_user
