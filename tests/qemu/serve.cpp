// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Serves two edu devices to QEMU from one loop, one as it is and one through its provider:
///
///   serve FOLDER [messages]   listens on FOLDER/plain.sock and FOLDER/mediated.sock until SIGTERM
///
/// and says at the end how many clients each had. With `messages` no memory that the client shares is used: it must be
/// asked for all of it.

#include "edu/edu.hpp"

#include <mediant/device/edu.hpp>
#include <mediant/provider/stack.hpp>
#include <mediant/tool/signals.hpp>
#include <mediant/vfio_user/endpoint.hpp>
#include <mediant/vfio_user/event_loop.hpp>

#include <cstdio>
#include <exception>
#include <string>

namespace {

/// Keeps shared memory from the device.
struct by_messages {
    static constexpr auto info = mediant::provider{"by_messages", {mediant::pci_id{0x1234, 0x11e8}}};

    mediant::result<void> ioctl(mediant::map_dma what, auto& next) {
        what.memory = {};
        what.file = -1;
        return next.ioctl(what);
    }
};
static_assert(mediant::valid<by_messages>);

template <class... Outer>
int serve(const std::string& folder) {
    try {
        mediant::command_line::stop_on_signal signals;
        mediant::device::edu plain_model;
        mediant::device::edu mediated_model;
        mediant::stack<mediant::device::edu, Outer...> plain{plain_model};
        mediant::stack<mediant::device::edu, Outer..., acme::edu> mediated{mediated_model};
        mediant::vfio_user::event_loop loop;
        mediant::vfio_user::endpoint first{loop, plain, {.path = folder + "/plain.sock"}};
        mediant::vfio_user::endpoint second{loop, mediated, {.path = folder + "/mediated.sock"}};
        signals.stops(loop);
        loop.run();
        signals.stops_nothing();
        std::printf("serve: %llu clients of the plain device, %llu of the mediated one\n",
                    static_cast<unsigned long long>(first.served()), static_cast<unsigned long long>(second.served()));
        return 0;
    } catch (const std::exception& e) {
        std::fprintf(stderr, "serve: %s\n", e.what());
        return 1;
    }
}

} // namespace

int main(int argc, char** argv) {
    if (argc == 2) return serve(argv[1]);
    if (argc == 3 && std::string{argv[2]} == "messages") return serve<by_messages>(argv[1]);
    std::fprintf(stderr, "usage: %s FOLDER [messages]\n", argv[0]);
    return 2;
}
