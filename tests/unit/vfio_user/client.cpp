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

TEST_CASE("vfio-user client: what lies behind a message is not lost, wherever receives cut") {
    int pair[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    client ours{unique_fd{pair[0]}};
    const unique_fd server{pair[1]};
    REQUIRE(ours.set_timeout(std::chrono::seconds{5}));
    std::array<std::byte, 64> memory{std::byte{7}};
    ours.memory().add(0x1000, memory, wire::dma_map_read | wire::dma_map_write);
    const auto question = [](std::uint16_t id) {
        return client::compose({id, static_cast<std::uint16_t>(wire::command::dma_read), 0, 0, 0},
                               wire::dma_access{0x1000, 4});
    };
    const auto told = [](std::uint16_t id, std::uint32_t value) {
        return client::compose({id, static_cast<std::uint16_t>(wire::command::region_read), 0, wire::type_reply, 0},
                               wire::region_access{0x100, 0, 4}, std::as_bytes(std::span{&value, 1}));
    };
    const auto region = [](std::uint16_t id) {
        return client::compose({id, static_cast<std::uint16_t>(wire::command::device_get_region_info), 0,
                                wire::type_reply, 0},
                               wire::region_info{sizeof(wire::region_info), 3, 0, 0, 0x1000, 0});
    };
    const auto read = [&ours] {
        std::uint32_t got = 0;
        const auto came = ours.read({bar{0}, 0x100, std::as_writable_bytes(std::span{&got, 1})});
        return came.count == 4 ? got : 0;
    };
    const auto answered = [&](std::uint16_t id) {
        const auto came = receive_message(server.get());
        if (came && (*came).header.command == static_cast<std::uint16_t>(wire::command::dma_read) &&
            (*came).header.id == id)
            return (*came).payload.size() == sizeof(wire::dma_access) + 4 && (*came).payload.back() == std::byte{0};
        return false;
    };
    // A question is shorter than the reply that is waited for: a receive takes a part of what is behind it.
    bytes all = question(70);
    for (const auto& each : {question(71), told(1, 0x11), told(2, 0x22), question(72)})
        all.insert(all.end(), each.begin(), each.end());
    REQUIRE(send_message(server.get(), all));
    CHECK(read() == 0x11);
    REQUIRE(receive_message(server.get())); // the first read
    CHECK(answered(70));
    CHECK(answered(71));
    CHECK(read() == 0x22);
    REQUIRE(receive_message(server.get()));
    CHECK(ours.has_questions());
    bool once = false;
    CHECK(ours.serve_dma(std::chrono::seconds{5}, [&] { return std::exchange(once, true); }));
    CHECK(answered(72));
    CHECK_FALSE(ours.has_questions());

    // Descriptors are of the last message that a receive brought.
    const auto event = event_file();
    const auto before = open_files();
    for (const std::uint16_t id : {std::uint16_t{3}, std::uint16_t{4}}) {
        REQUIRE(send_message(server.get(), question(73)));
        REQUIRE(send_message(server.get(), region(id), std::array{event.get()}));
        const auto info = ours.region_info(bar{0});
        REQUIRE(info);
        CHECK((*info).fd);
        REQUIRE(receive_message(server.get()));
        CHECK(answered(73));
    }
    CHECK(open_files() == before);
    // A body that an error has is of no use, and not in the way.
    auto refused = told(5, 0x55);
    const wire::header head{5, static_cast<std::uint16_t>(wire::command::region_read),
                            static_cast<std::uint32_t>(refused.size()), wire::type_reply | wire::error_flag, EBUSY};
    wire::store(refused.data(), head);
    REQUIRE(send_message(server.get(), refused));
    std::array<std::byte, 4> to{};
    CHECK(ours.read({bar{0}, 0x100, to}) == answer{0, error::busy});
    REQUIRE(send_message(server.get(), told(6, 0x66)));
    CHECK(read() == 0x66);
}
