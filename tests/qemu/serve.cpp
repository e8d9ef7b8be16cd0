// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Serves two edu devices to QEMU from one loop, one as it is and one through its provider:
///
///   serve FOLDER      listens on FOLDER/plain.sock and FOLDER/mediated.sock until SIGTERM
///
/// and says at the end how many clients each had.

#include "edu/edu.hpp"

#include <mediant/device/edu.hpp>
#include <mediant/provider/stack.hpp>
#include <mediant/tool/signals.hpp>
#include <mediant/vfio_user/endpoint.hpp>
#include <mediant/vfio_user/event_loop.hpp>

#include <cstdio>
#include <exception>
#include <string>

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    try {
        const std::string folder = argv[1];
        mediant::command_line::stop_on_signal signals;
        mediant::device::edu plain_model;
        mediant::device::edu mediated_model;
        mediant::stack<mediant::device::edu> plain{plain_model};
        mediant::stack<mediant::device::edu, acme::edu> mediated{mediated_model};
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
