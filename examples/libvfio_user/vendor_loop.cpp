// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// For a vendor who runs libvfio-user already: a program with a context and a loop of its own, as they are written for
/// that library, and the lines that put a mediated device into it (marked so). Serves one client.
///
///   mediant-vendor-loop SOCKET

#include "edu/edu.hpp"

#include <mediant/device/edu.hpp>
#include <mediant/libvfio_user/adapter.hpp> // mediant
#include <mediant/provider/stack.hpp>       // mediant

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <exception>

namespace {

/// The loop: until the client is gone.
template <class Adapter>
void serve(vfu_ctx_t* context, Adapter& adapter) {
    while (vfu_attach_ctx(context) != 0) {
        pollfd waiting{vfu_get_poll_fd(context), POLLIN, 0};
        (void)::poll(&waiting, 1, -1);
    }
    adapter.connected(); // mediant
    const auto ended = adapter.ended(); // mediant
    while (vfu_run_ctx(context) >= 0 || errno != ENOTCONN) {
        adapter.run();                         // mediant
        if (adapter.ended() != ended) return;  // mediant: the client went while the device asked it for memory
        pollfd waiting[]{{vfu_get_poll_fd(context), POLLIN, 0}, {adapter.fd(), POLLIN, 0}};
        (void)::poll(waiting, 2, -1);
    }
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "usage: %s SOCKET\n", argv[0]);
        return 2;
    }
    ::signal(SIGPIPE, SIG_IGN);
    mediant::device::edu hardware;                                  // mediant: a model here, a vfio_device elsewhere
    mediant::stack<mediant::device::edu, acme::edu> front{hardware}; // mediant
    mediant::libvfio_user::adapter adapter{front};                   // mediant

    vfu_ctx_t* const context =
        vfu_create_ctx(VFU_TRANS_SOCK, argv[1], LIBVFIO_USER_FLAG_ATTACH_NB, &adapter, VFU_DEV_TYPE_PCI);
    if (context == nullptr) {
        std::perror(argv[1]);
        return 1;
    }
    int code = 0;
    try {
        adapter.attach(context); // mediant: instead of vfu_pci_init, vfu_setup_region, ..., vfu_realize_ctx
        serve(context, adapter);
    } catch (const std::exception& what) {
        std::fprintf(stderr, "%s: %s\n", argv[0], what.what());
        code = 1;
    }
    vfu_destroy_ctx(context);
    ::unlink(argv[1]);
    return code;
}
