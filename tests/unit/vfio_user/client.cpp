// SPDX-License-Identifier: BSD-3-Clause
// The client header against the server.
#include "by_hand.hpp"

#include <catch2/catch.hpp>

#include <sys/mman.h>

using namespace vfio_user_test;

TEST_CASE("vfio-user: the client header against the server") {
    fake_device device;
    const auto path = socket_path("client");
    served at{device, {.path = path}};
    auto made = client::connect(path);
    REQUIRE(made);
    auto& peer = *made;
    REQUIRE(peer.set_timeout(std::chrono::seconds{5}));
    const auto agreed = peer.negotiate();
    REQUIRE(agreed);
    CHECK(agreed->minor == 2);
    CHECK(agreed->server.max_data_xfer_size == 1 << 20);
    const auto info = peer.device_info();
    REQUIRE(info);
    CHECK(info->regions == 9);
    CHECK(info->can_reset);

    auto bar0 = peer.region_info(region_index::bar0);
    REQUIRE(bar0);
    CHECK(bar0->info.size == fake_device::bar0_size);
    CHECK(bar0->areas == std::vector<range>{{0, 0x1000}, {0x2000, 0x2000}});
    REQUIRE(bar0->fd);
    auto* const view = static_cast<std::byte*>(
        ::mmap(nullptr, 0x2000, PROT_READ | PROT_WRITE, MAP_SHARED, bar0->fd.get(), 0x2000));
    REQUIRE(view != MAP_FAILED);
    view[5] = std::byte{0x5a};
    std::array<std::byte, 1> one{};
    CHECK(peer.read({region_index::bar0, 0x2005, one}) == answer{1, error::none});
    CHECK(one[0] == std::byte{0x5a});
    ::munmap(view, 0x2000);
    CHECK(peer.region_info(region_index::bar5)->areas.size() == 128);
    CHECK(peer.region_info(region_index::bar2)->areas == std::vector<range>{{0, fake_device::bar2_size}});
    CHECK(peer.region_info(region_index::bar1)->areas.empty());
    CHECK(peer.region_info(region_index{9}).error() == error::invalid);

    CHECK(peer.irq_info(irq_index::msix)->count == 2048);
    const auto event = event_file();
    const std::array fds{event.get()};
    CHECK(peer.set_irqs({irq_index::msi, set_irqs::action::trigger, set_irqs::data::eventfds, 0, 1, {}, fds}));
    CHECK(peer.set_irqs({irq_index::msi, set_irqs::action::trigger, set_irqs::data::none, 0, 1, {}, {}}));
    CHECK(drain(event.get()) == 1);

    const std::array data{std::byte{1}, std::byte{2}, std::byte{3}};
    CHECK(peer.write({region_index::config, 0x40, data}) == answer{3, error::none});
    std::array<std::byte, 3> back{};
    CHECK(peer.read({region_index::config, 0x40, back}) == answer{3, error::none});
    CHECK(back == data);
    CHECK(peer.read({region_index::config, 0x100, back}) == answer{0, error::invalid});
    CHECK(peer.read({region_index::bar3, 6, back}) == answer{2, error::none});

    const auto memory = memory_file(0x1000);
    CHECK(peer.map_dma(0x1000, 0x1000, 3, memory.get()));
    CHECK(peer.map_dma(0x1000, 0x2000, 3, memory.get()).error() == error::invalid);
    CHECK(peer.unmap_dma(0x1000, 0x1000));
    CHECK(peer.unmap_dma(0x1000, 0x1000).error() == error::not_found);
    CHECK(peer.unmap_all_dma());
    CHECK(peer.reset());
    CHECK(device.resets == 1);
}

TEST_CASE("vfio-user: what a server calls an error and is no errno is EIO to the client") {
    for (const std::uint32_t said : {0u, 4096u, 0x7fff'ffffu, 0x8000'0000u, 0xffff'fff4u}) {
        int pair[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
        client ours{unique_fd{pair[0]}}, server{unique_fd{pair[1]}};
        REQUIRE(server.send(client::compose({1, static_cast<std::uint16_t>(wire::command::device_reset), 0,
                                             wire::type_reply | wire::error_flag, said})));
        CHECK(ours.reset().error() == error::io);
    }
    CHECK(wire::error_of({0, 0, 0, 0, 4095}) == error{4095});
    CHECK(wire::error_of({0, 0, 0, 0, EBUSY}) == error::busy);
}
