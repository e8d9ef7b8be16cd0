// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/vfio_user/endpoint.hpp>
#include <mediant/vfio_user/event_loop.hpp>
#include <mediant/vfio_user/options.hpp>
#include <mediant/vfio_user/servable.hpp>

#include <cstdint>
#include <utility>

namespace mediant::vfio_user {

/// Serves one device with a loop of its own. For several devices on one thread: an event_loop, and an endpoint each.
///
/// Either run() or spin() on a thread of its own, with two system calls an access; or the user's own loop: when fd() is
/// readable call run_once(0). All but stop() belongs to one thread.
template <servable Device>
class server {
public:
    /// As endpoint's.
    server(Device& device, server_options options) : endpoint_{loop_, device, std::move(options)} {}

    /// Readable when run_once() has something to do: connections, messages, the device's deadlines, stop().
    [[nodiscard]] int fd() const noexcept { return loop_.fd(); }
    /// As event_loop's.
    bool run_once(int timeout) { return loop_.run_once(timeout); }
    /// Serves until stop(); the client that is connected then is dropped.
    void run() { loop_.run(); }
    /// Likewise, without ever sleeping.
    void spin() { loop_.spin(); }
    /// Ends run() and spin(), or makes run_once() return false. From any thread, and from a signal handler.
    void stop() noexcept { loop_.stop(); }

    /// Whether a client is connected, and its VERSION was accepted.
    [[nodiscard]] bool serving() const noexcept { return endpoint_.serving(); }
    /// How many clients were served to their end.
    [[nodiscard]] std::uint64_t served() const noexcept { return endpoint_.served(); }

private:
    event_loop loop_;
    endpoint<Device> endpoint_;
};

} // namespace mediant::vfio_user
