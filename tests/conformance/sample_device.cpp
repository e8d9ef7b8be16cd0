// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// A device of which libvfio-user's own client sample (samples/client.c) can use as much as its expectations allow:
/// dead:beef, ten regions, every kind of interrupt. Served for one client.
///
///   sample_device native|libvfio-user SOCKET

#include <mediant/device/memory_device.hpp>
#include <mediant/libvfio_user/server.hpp>
#include <mediant/provider/stack.hpp>
#include <mediant/vfio_user/server.hpp>

#include <signal.h>

#include <cstdio>
#include <exception>
#include <string>
#include <string_view>

namespace {

using namespace mediant;

/// So that what can be mapped comes as a capability: the sample has no room for a descriptor without one.
struct with_holes {
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"TIME", 0, rw, {.backing = from::shadow}}};
    static constexpr auto bar1 = region_map{bar{1}, 16_KiB, reg{"HOLE", 0x2000, rw, {.backing = from::shadow}}};
    static constexpr auto regions = mediant::regions<bar0, bar1>{};
};
using plain = stack<device::memory_device, with_holes>;

struct sample_device : plain {
    using plain::ioctl;
    sample_device(device::memory_device& memory, std::uint32_t regions) : plain{memory}, regions_{regions} {}

    /// The sample counts the region of the old migration, too.
    result<get_device_info::answer> ioctl(const get_device_info&) {
        return get_device_info::answer{regions_, fixed_irqs, true};
    }
    /// It ends where it is told that a kind is not there.
    result<get_irq_info::answer> ioctl(const get_irq_info& what) {
        return plain::ioctl(what).value_or(get_irq_info::answer{});
    }

private:
    std::uint32_t regions_;
};

template <class Server>
void serve_one(Server& server) {
    std::puts("listening");
    std::fflush(stdout);
    while (server.served() == 0 && server.run_once(-1)) {}
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    ::signal(SIGPIPE, SIG_IGN);
    try {
        device::memory_device memory{
            {.vendor = 0xdead, .device = 0xbeef, .subvendor = 0xcafe, .subdevice = 0xbabe}, {4_KiB, 16_KiB}};
        const bool native = std::string_view{argv[1]} == "native";
        sample_device front{memory, native ? 10u : fixed_regions}; // the library has ten of its own
        if (native) {
            vfio_user::server server{front, {.path = argv[2]}};
            serve_one(server);
        } else {
            libvfio_user::server server{front, argv[2]};
            serve_one(server);
        }
        return 0;
    } catch (const std::exception& what) {
        std::fprintf(stderr, "%s\n", what.what());
        return 1;
    }
}
