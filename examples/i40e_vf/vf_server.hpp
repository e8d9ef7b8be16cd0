// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "i40e_vf_device.hpp"

#include <mediant/device/unique_fd.hpp>
#include <mediant/provider/stack.hpp>
#include <mediant/vfio_user/server.hpp>

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cerrno>
#include <stdexcept>
#include <system_error>
#include <thread>
#include <utility>

namespace acme {

/// A process that serves one simulated function, of which nobody tells the log what it writes but policies, to one
/// client. A thread of its own moves packets meanwhile; or none does, and the server's loop moves them.
template <class... Policies>
class vf_server {
public:
    explicit vf_server(bool own_thread = true) {
        mediant::device::unique_fd listening{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        sockaddr_un where{};
        where.sun_family = AF_UNIX;
        socklen_t size = sizeof where.sun_family; // the kernel gives it a name
        auto* const name = reinterpret_cast<sockaddr*>(&where);
        if (!listening || ::bind(listening.get(), name, size) != 0 || ::listen(listening.get(), 1) != 0) fail();
        size = sizeof where;
        client_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (::getsockname(listening.get(), name, &size) != 0 || ::connect(client_.get(), name, size) != 0) fail();
        process_ = ::fork();
        if (process_ < 0) fail();
        if (process_ != 0) return;
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        client_.reset();
        ::_exit(serve(listening.release(), own_thread));
    }
    vf_server(const vf_server&) = delete;
    ~vf_server() {
        if (process_ <= 0) return;
        ::kill(process_, SIGKILL);
        ::waitpid(process_, nullptr, 0);
    }

    /// The connection to it, once.
    [[nodiscard]] mediant::device::unique_fd client() { return std::move(client_); }
    /// Waits for its end, when its client is gone; whether all was well.
    [[nodiscard]] bool ended() {
        int status = 0;
        return ::waitpid(std::exchange(process_, 0), &status, 0) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }

private:
    [[noreturn]] static void fail() { throw std::system_error{errno, std::generic_category(), "a server's process"}; }

    static int serve(int listening, bool own_thread) noexcept {
        try {
            i40e_vf_device device{i40e_vf_device::writes::untold};
            mediant::stack<i40e_vf_device, Policies...> front{device};
            mediant::vfio_user::server server{front, {.listen_fd = listening}};
            std::atomic<bool> over{!own_thread};
            std::thread mover{[&] {
                while (!over)
                    if (!device.work()) std::this_thread::sleep_for(std::chrono::microseconds{20});
            }};
            while (server.served() == 0 && server.run_once(-1)) {}
            over = true;
            mover.join();
            return device.dropped() == 0 ? 0 : 1;
        } catch (...) {
            return 2;
        }
    }

    mediant::device::unique_fd client_;
    pid_t process_ = 0;
};

} // namespace acme
