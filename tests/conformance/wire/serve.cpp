// SPDX-License-Identifier: BSD-3-Clause
// Servers for the suite, until they are killed:
//
//   serve edu SOCKET       QEMU's edu device
//   serve mediated SOCKET  the same through its provider
//   serve memory SOCKET    a device of memory, with message interrupts; of BAR 2 one page is mediated, with doorbells
#include "edu/edu.hpp"

#include <mediant/device/edu.hpp>
#include <mediant/device/memory_device.hpp>
#include <mediant/mediant.hpp>
#include <mediant/provider/stack.hpp>
#include <mediant/vfio_user/server.hpp>

#include <cstdio>
#include <exception>
#include <string>

using namespace mediant;

/// A register that is mediated and doorbells beside it: what is around them can be mapped.
struct spotted {
    static constexpr auto info = provider{"spotted", {pci_id{0x1234, 0x5678}}};
    static constexpr auto bar2 = region_map{bar{2}, 64_KiB,
                                            reg{"SPOT", 0x4000, ro, {.backing = from::constant, .value = 7}},
                                            reg{"RING", 0x4008, wo, {.hook = on::write, .doorbell = doorbell::any}},
                                            reg{"TAIL", 0x4010, wo, {.hook = on::write, .count = 4, .stride = 8,
                                                                     .doorbell = doorbell::valued}}};
    static constexpr auto regions = mediant::regions<bar2>{};
    result<void> write(at<bar2, "RING">, std::uint32_t, auto&) noexcept { return {}; }
    result<void> write(at<bar2, "TAIL">, std::size_t, std::uint32_t, auto&) noexcept { return {}; }
};
static_assert(valid<spotted>);

namespace {

template <class Device>
int serve(Device& device, const std::string& path) {
    vfio_user::server server{device, {.path = path}};
    server.run();
    return 0;
}
} // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::fprintf(stderr, "usage: %s edu|mediated|memory SOCKET\n", argv[0]);
        return 2;
    }
    try {
        const std::string what = argv[1];
        if (what == "memory") {
            device::memory_device lower{device::pci_function{
                .id = {0x1234, 0x5678, 0, 0, 0xff0000},
                .bar_sizes = {4_MiB, 0, 64_KiB, 0, 4_KiB, 0},
                .msi_vectors = 4,
                .msix = {.vectors = 8, .table_bar = 4, .pending_bar = 4, .pending_offset = 0x800}}};
            stack<device::memory_device, spotted> front{lower};
            return serve(front, argv[2]);
        }
        device::edu lower;
        if (what == "mediated") {
            stack<device::edu, acme::edu> front{lower};
            return serve(front, argv[2]);
        }
        stack<device::edu> front{lower};
        return serve(front, argv[2]);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "%s\n", e.what());
        return 1;
    }
}
