// SPDX-License-Identifier: BSD-3-Clause
// MSI-X over the wire: a client masks by its table, by config space and by SET_IRQS.
#include "messages.hpp"

#include <mediant/device/memory_device.hpp>
#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <cerrno>

using namespace vfio_user_test;
using wire::command;

namespace {

template <bool Maskable>
struct model {
    device::memory_device memory_{device::pci_function{.id = {0x1234, 0x5678},
                                                     .bar_sizes = {0x4000},
                                                     .msix = {.vectors = 8,
                                                              .offset = 0x60,
                                                              .table_offset = 0x1000,
                                                              .pending_offset = 0x2000,
                                                              .maskable = Maskable}}};
};
/// A stack over a function with MSI-X.
template <bool Maskable>
struct function : model<Maskable>, stack<device::memory_device> {
    function() : stack<device::memory_device>{this->memory_} {}
};

bytes dword(std::uint32_t value) {
    const auto raw = std::as_bytes(std::span{&value, 1});
    return {raw.begin(), raw.end()};
}

constexpr std::uint32_t none = VFIO_IRQ_SET_DATA_NONE, bools = VFIO_IRQ_SET_DATA_BOOL, files = VFIO_IRQ_SET_DATA_EVENTFD;
constexpr std::uint32_t mask = VFIO_IRQ_SET_ACTION_MASK, unmask = VFIO_IRQ_SET_ACTION_UNMASK,
                        trigger = VFIO_IRQ_SET_ACTION_TRIGGER;

} // namespace

TEST_CASE("vfio-user MSI-X: a client masks vectors, and what comes meanwhile waits") {
    by_hand_of<function<true>> at;
    at.negotiate();
    const auto event = event_file();
    REQUIRE(at.error_of(irqs_of(files | trigger, 2, 3, 1), std::array{event.get()}) == 0);
    const auto pending = [&] {
        const auto all = at.exchange(read_of(region_index::bar0, 0x2000, 8));
        return wire::load<std::uint64_t>(std::span{all.at(0).payload}.subspan(16));
    };
    const auto fire = [&] { return at.device.lower().trigger(irq_index::msix, 3) && drain(event.get()) == 1; };
    const auto write = [&](region_index region, std::uint64_t offset, std::uint32_t value) {
        return at.error_of(write_of(region, offset, dword(value))) == 0;
    };
    constexpr std::uint64_t vector_control = 0x1000 + 3 * 16 + 12;

    CHECK(fire());
    REQUIRE(write(region_index::bar0, vector_control, 1));
    CHECK_FALSE(fire());
    CHECK(pending() == 8);
    REQUIRE(write(region_index::bar0, vector_control, 0));
    CHECK(drain(event.get()) == 1);

    REQUIRE(at.error_of(write_of(region_index::config, 0x62, bytes{std::byte{0}, std::byte{0xc0}})) == 0);
    CHECK_FALSE(fire());
    CHECK(pending() == 8);
    REQUIRE(at.error_of(write_of(region_index::config, 0x62, bytes{std::byte{0}, std::byte{0x80}})) == 0);
    CHECK(drain(event.get()) == 1);

    REQUIRE(at.error_of(irqs_of(none | mask, 2, 0, 8)) == 0);
    CHECK_FALSE(fire());
    CHECK(pending() == 8);
    REQUIRE(at.error_of(irqs_of(bools | unmask, 2, 3, 1, {std::byte{1}})) == 0);
    CHECK(drain(event.get()) == 1);
    CHECK(pending() == 0);

    // The next client finds nothing of it.
    REQUIRE(at.error_of(irqs_of(none | mask, 2, 0, 8)) == 0);
    REQUIRE(write(region_index::bar0, vector_control, 1));
    at.connect();
    at.negotiate();
    REQUIRE(at.error_of(irqs_of(files | trigger, 2, 3, 1), std::array{event.get()}) == 0);
    CHECK(fire());
}

TEST_CASE("vfio-user MSI-X: a kind that does not say so cannot be masked by SET_IRQS") {
    by_hand_of<function<false>> at;
    at.negotiate();
    CHECK(at.error_of(irqs_of(none | mask, 2, 0, 1)) == EINVAL);
    CHECK(at.error_of(irqs_of(none | unmask, 2, 0, 1)) == EINVAL);
    CHECK(at.error_of(irqs_of(none | mask, 0, 0, 1)) == 0); // INTx can
}
