// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// As serve.cpp, with both devices behind libvfio-user, each on a thread of its own:
///
///   by_libvfio_user FOLDER

#include "edu/edu.hpp"

#include <mediant/device/edu.hpp>
#include <mediant/libvfio_user/server.hpp>
#include <mediant/provider/stack.hpp>
#include <mediant/tool/signals.hpp>

#include <signal.h>

#include <cstdio>
#include <exception>
#include <string>
#include <thread>

namespace {

using plain_edu = mediant::stack<mediant::device::edu>;
using mediated_edu = mediant::stack<mediant::device::edu, acme::edu>;

struct both {
    mediant::libvfio_user::server<plain_edu>& first;
    mediant::libvfio_user::server<mediated_edu>& second;
    void stop() noexcept {
        first.stop();
        second.stop();
    }
};

} // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
        return 2;
    }
    try {
        const std::string folder = argv[1];
        mediant::command_line::stop_on_signal signals;
        ::signal(SIGPIPE, SIG_IGN);
        mediant::device::edu plain_model;
        mediant::device::edu mediated_model;
        plain_edu plain{plain_model};
        mediated_edu mediated{mediated_model};
        mediant::libvfio_user::server first{plain, folder + "/plain.sock"};
        mediant::libvfio_user::server second{mediated, folder + "/mediated.sock"};
        both all{first, second};
        signals.stops(all);
        std::thread other{[&] { second.run(); }};
        first.run();
        other.join();
        signals.stops_nothing();
        std::printf("serve: %llu clients of the plain device, %llu of the mediated one\n",
                    static_cast<unsigned long long>(first.served()), static_cast<unsigned long long>(second.served()));
        return 0;
    } catch (const std::exception& e) {
        std::fprintf(stderr, "serve: %s\n", e.what());
        return 1;
    }
}
