// SPDX-License-Identifier: BSD-3-Clause
// What a device does beside accesses, through mediant's own server and through libvfio-user: interrupts, DMA, reset,
// clients that come and go. The cases are the same.
#include "served.hpp"

#include "edu/edu.hpp"

using namespace libvfio_user_test;

namespace {

/// Calls it with each back end; the name of a section says which.
template <class Device, class F>
void with_both(F each) {
    SECTION("mediant's server") { each.template operator()<native<Device>>(); }
    SECTION("libvfio-user") { each.template operator()<by_library<Device>>(); }
}

} // namespace

TEST_CASE("both back ends: interrupts as messages") {
    with_both<stack<edu>>([]<class Server>() {
        edu device;
        stack<edu> front{device};
        const running<Server> there{front, "msi"};
        auto client = there.connected();
        const auto event = event_file();
        bind(client, irq_index::msi, event.get());
        enable_msi(client, true);
        put(client, edu::irq_raise, 0x5);
        CHECK(drain(event.get()) == 1); // sent before the reply
        CHECK(get(client, edu::irq_status) == 0x5);
        put(client, edu::irq_raise, 0x2);
        CHECK(drain(event.get()) == 1); // no line that must fall first
        put(client, edu::status, edu::status_interrupt);
        put(client, edu::factorial, 10);
        CHECK(signalled(event.get())); // by itself
        CHECK(get(client, edu::factorial) == 3628800);
    });
}

TEST_CASE("both back ends: the line, which masks itself") {
    with_both<stack<edu>>([]<class Server>() {
        edu device;
        stack<edu> front{device};
        const running<Server> there{front, "intx"};
        auto client = there.connected();
        const auto event = event_file();
        put(client, edu::irq_raise, 0x1); // before anybody listens
        bind(client, irq_index::intx, event.get());
        CHECK(signalled(event.get()));
        put(client, edu::irq_raise, 0x2);
        CHECK(drain(event.get()) == 0); // masked, and high anyway
        act(client, irq_index::intx, set_irqs::action::unmask);
        CHECK(signalled(event.get())); // still high
        put(client, edu::irq_ack, 0x3);
        act(client, irq_index::intx, set_irqs::action::unmask);
        CHECK(drain(event.get()) == 0);
        act(client, irq_index::intx, set_irqs::action::mask);
        put(client, edu::irq_raise, 0x4);
        CHECK(drain(event.get()) == 0);
        act(client, irq_index::intx, set_irqs::action::unmask);
        CHECK(signalled(event.get()));

        // To messages and back, as a driver does.
        put(client, edu::irq_ack, 0xff);
        CHECK(client.set_irqs({irq_index::intx, set_irqs::action::trigger, set_irqs::data::none, 0, 0, {}, {}}));
        const auto message = event_file();
        bind(client, irq_index::msi, message.get());
        enable_msi(client, true);
        put(client, edu::irq_raise, 0x8);
        CHECK(signalled(message.get()));
        put(client, edu::irq_ack, 0xff);
        CHECK(client.set_irqs({irq_index::msi, set_irqs::action::trigger, set_irqs::data::none, 0, 0, {}, {}}));
        enable_msi(client, false);
        bind(client, irq_index::intx, event.get());
        put(client, edu::irq_raise, 0x10);
        CHECK(signalled(event.get()));
    });
}

TEST_CASE("both back ends: MSI-X, triggered by a thread of the device's own") {
    with_both<stack<device::memory_device>>([]<class Server>() {
        device::memory_device device{device::pci_function{.id = {0x1234, 0x5678},
                                                          .bar_sizes = {0x4000},
                                                          .msix = {.vectors = 8,
                                                                   .offset = 0x60,
                                                                   .table_offset = 0x1000,
                                                                   .pending_offset = 0x2000,
                                                                   .maskable = true}}};
        stack<device::memory_device> front{device};
        const running<Server> there{front, "msix"};
        auto client = there.connected();
        std::array<unique_fd, 8> events;
        std::array<int, 8> numbers{};
        for (std::size_t i = 0; i < events.size(); ++i) {
            events[i] = event_file();
            numbers[i] = events[i].get();
        }
        const auto eventfds = set_irqs::data::eventfds;
        CHECK(client.set_irqs({irq_index::msix, set_irqs::action::trigger, eventfds, 0, 8, {}, numbers}));
        const auto fires = [&](std::uint32_t vector) {
            CHECK(device.trigger(irq_index::msix, vector));
            return signalled(numbers[vector]);
        };
        const auto waits = [&](std::uint32_t vector) {
            CHECK(device.trigger(irq_index::msix, vector));
            CHECK(get(client, 0x2000, 8) == std::uint64_t{1} << vector); // and with it all that is under way
            return drain(numbers[vector]) == 0;
        };
        CHECK(get(client, 0, 4) == 0); // the device is open
        // Before the client enables messages in config space, then, and after: what counts is SET_IRQS.
        for (const unsigned control : {0x0000u, 0x8000u, 0x0000u}) {
            put(client, 0x62, control, 2, region_index::config);
            CHECK(fires(0));
            CHECK(fires(7));
        }
        put(client, 0x62, 0x8000, 2, region_index::config);
        constexpr std::uint64_t control_of_3 = 0x1000 + 3 * 16 + 12;
        put(client, control_of_3, 1);
        CHECK(waits(3));
        put(client, control_of_3, 0);
        CHECK(signalled(numbers[3]));
        CHECK(client.set_irqs({irq_index::msix, set_irqs::action::mask, set_irqs::data::none, 3, 1, {}, {}}));
        CHECK(waits(3));
        CHECK(client.set_irqs({irq_index::msix, set_irqs::action::unmask, set_irqs::data::none, 3, 1, {}, {}}));
        CHECK(signalled(numbers[3]));
    });
}

TEST_CASE("both back ends: DMA to memory that is shared") {
    with_both<stack<edu>>([]<class Server>() {
        edu device;
        stack<edu> front{device};
        const running<Server> there{front, "dma"};
        auto client = there.connected();
        const auto file = memory_file(16384);
        auto* const memory = static_cast<char*>(
            ::mmap(nullptr, 16384, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0));
        REQUIRE(client.map_dma(0x10000, 8192, vfio_user::wire::dma_map_read | vfio_user::wire::dma_map_write,
                               file.get(), 4096));
        set_command(client, memory_and_master);
        std::strcpy(memory + 4096 + 100, "there and back");
        start_dma(client, 0x10000 + 100, edu::buffer.offset, 32, 0);
        CHECK(dma_ends(client));
        const auto event = event_file();
        bind(client, irq_index::msi, event.get());
        enable_msi(client, true);
        start_dma(client, edu::buffer.offset, 0x11000 + 7, 32, edu::dma_to_memory | edu::dma_interrupt);
        CHECK(signalled(event.get()));
        CHECK(std::string{memory + 8192 + 7} == "there and back");

        // What is unmapped is not reached, and does no harm.
        CHECK(client.unmap_dma(0x10000, 8192));
        std::memset(memory, 0, 16384);
        start_dma(client, edu::buffer.offset, 0x11000, 32, edu::dma_to_memory);
        CHECK(dma_ends(client));
        CHECK(memory[8192] == 0);
        ::munmap(memory, 16384);
    });
}

TEST_CASE("both back ends: DMA to memory that the client keeps") {
    with_both<stack<edu>>([]<class Server>() {
        edu device;
        stack<edu> front{device};
        const running<Server> there{front, "remote"};
        auto client = there.connected();
        std::array<std::byte, 8192> memory{};
        REQUIRE(client.map_dma(0x20000, memory));
        set_command(client, memory_and_master);
        std::memcpy(memory.data() + 10, "mine", 5);
        start_dma(client, 0x20000 + 10, edu::buffer.offset, 5, 0);
        CHECK(client.serve_dma(2s, [&] { return client.memory().reads() == 1; }));
        CHECK(dma_ends(client));
        start_dma(client, edu::buffer.offset, 0x21000, 5, edu::dma_to_memory);
        CHECK(client.serve_dma(2s, [&] { return client.memory().writes() == 1; }));
        CHECK(dma_ends(client));
        CHECK(std::memcmp(memory.data() + 4096, "mine", 5) == 0);
    });
}

TEST_CASE("both back ends: a reset reaches the policies, a new client finds nothing of the one before") {
    with_both<stack<edu, acme::edu>>([]<class Server>() {
        edu device;
        stack<edu, acme::edu> front{device};
        running<Server> there{front, "reset"};
        {
            auto client = there.connected();
            CHECK(get(client, edu::ident) == (edu::ident_value | 0x00ac'0000));
            put(client, edu::dma_source, 0x1122'3344, 8); // of the policy
            CHECK(get(client, edu::dma_source, 8) == 0x1122'3344);
            CHECK(client.reset());
            CHECK(get(client, edu::dma_source, 8) == 0);
            put(client, edu::dma_source, 0x55, 8);
        }
        auto client = there.connected();
        CHECK(get(client, edu::dma_source, 8) == 0);
        CHECK(soon([&] { return there.server.served() == 1; }));
    });
}
