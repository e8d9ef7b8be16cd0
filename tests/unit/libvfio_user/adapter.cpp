// SPDX-License-Identifier: BSD-3-Clause
// The adapter to libvfio-user by itself: what it refuses, what it tells the library, and clients that misbehave.
#include "served.hpp"

#include "../vfio_user/holder.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <new>
#include <optional>
#include <stdexcept>

using namespace libvfio_user_test;
using Catch::Matchers::Contains;

namespace {

using plain = stack<edu>;

/// The device, but for some answers.
struct altered : plain {
    using plain::ioctl;
    using plain::plain;

    result<get_device_info::answer> ioctl(const get_device_info& what) {
        auto told = plain::ioctl(what);
        if (regions) (*told).regions = *regions;
        if (irqs) (*told).irqs = *irqs;
        return told;
    }
    result<get_region_info::answer> ioctl(const get_region_info& what) {
        auto told = plain::ioctl(what);
        if (what.region == bar{0} && size) (*told).size = *size;
        if (what.region == bar{0}) (*told).flags = flags;
        if (what.region == region_index::config && config_size) (*told).size = *config_size;
        return told;
    }
    result<void> ioctl(const map_dma& what) {
        return takes_memory ? plain::ioctl(what) : result<void>{error::no_space};
    }
    result<void> open() { return declines ? result<void>{error::no_device} : plain::open(); }

    std::optional<std::uint32_t> regions{};
    std::optional<std::uint32_t> irqs{};
    std::optional<std::uint64_t> size{};
    std::optional<std::uint64_t> config_size{};
    region_flags flags = region_flags::read | region_flags::write;
    bool takes_memory = true;
    bool declines = false;
};

/// Two pages of its BAR trap.
struct with_holes {
    static constexpr auto bar0 =
        region_map{bar{0}, 32_KiB, reg{"FIRST", 0x10, ro, {.backing = from::shadow}},
                   reg{"SECOND", 0x3ff0, rw, {.backing = from::shadow}}};
    static constexpr auto regions = mediant::regions<bar0>{};
};
static_assert(valid<with_holes>);

/// Why it is not served.
std::string refused(altered& device) {
    try {
        const by_library<altered> made{device, vfio_user_test::socket_path("refused")};
        return "";
    } catch (const libvfio_user::refusal& what) {
        return what.what();
    }
}

/// A context as a vendor makes it, and the adapter in it.
struct context {
    explicit context(plain& device) : adapter{device} {
        made = vfu_create_ctx(VFU_TRANS_SOCK, path.c_str(), LIBVFIO_USER_FLAG_ATTACH_NB, &adapter, VFU_DEV_TYPE_PCI);
        REQUIRE(made != nullptr);
    }
    ~context() {
        vfu_destroy_ctx(made);
        ::unlink(path.c_str());
    }

    std::string path = vfio_user_test::socket_path("context");
    libvfio_user::adapter<plain> adapter;
    vfu_ctx_t* made = nullptr;
};

} // namespace

TEST_CASE("libvfio-user: what it cannot carry is refused by name, before there is a client") {
    edu device;
    altered front{device};
    CHECK(refused(front).empty());
    SECTION("a large region") {
        front.size = std::uint64_t{1} << 32;
        CHECK_THAT(refused(front), Contains("region 0 has 4294967296 bytes"));
        front.size = (std::uint64_t{1} << 32) - 4096;
        CHECK(refused(front).empty());
    }
    SECTION("device regions") {
        front.regions = 10;
        CHECK_THAT(refused(front), Contains("it has 10 regions"));
    }
    SECTION("more kinds of interrupts") {
        front.irqs = 7;
        CHECK_THAT(refused(front), Contains("7 kinds of interrupts"));
    }
    SECTION("one more, of which clients are not told") {
        front.irqs = 6;
        const by_library<altered> made{front, vfio_user_test::socket_path("switching")};
        CHECK(std::ranges::count(made.remarks(), "dynamic ranges: clients are not told when one passes; they reach it by "
                                                 "messages alone") == 1);
    }
    SECTION("an odd config space") {
        front.config_size = 512;
        CHECK_THAT(refused(front), Contains("config space has 512 bytes"));
    }
    SECTION("a provider that declines") {
        front.declines = true;
        CHECK_THAT(refused(front), Contains("it cannot be opened: No such device"));
    }
}

TEST_CASE("libvfio-user: what clients are told otherwise is said") {
    edu device;
    plain front{device};
    const by_library<plain> made{front, vfio_user_test::socket_path("remarks")};
    if (libvfio_user::library_migrates) return; // unit.libvfio_user_v2.migration has what is said then
    CHECK(made.remarks() == std::vector<std::string>{
                                "INTx: clients are not told that it is MASKABLE AUTOMASKED",
                                "INTx: MASK and UNMASK by eventfds do nothing: the library drops them",
                                "MSI: clients are not told that it is NORESIZE",
                                "REQ: the library cannot send it; clients are told that there is none",
                                "migration: clients are not told of it; it cannot go through the library's callbacks "
                                "of version " + std::to_string(VFU_MIGR_CALLBACKS_VERS),
                                "DMA log: the library's lacks what the device writes to memory that clients share"});
}

TEST_CASE("libvfio-user: a context of the vendor's own") {
    edu device;
    plain front{device};
    SECTION("has the device's config space and capabilities") {
        context own{front};
        own.adapter.attach(own.made);
        const auto* const there = reinterpret_cast<const std::byte*>(vfu_pci_get_config_space(own.made));
        CHECK(front.open());
        for (std::uint64_t at = 0; at < 256; at += 4) {
            std::array<std::byte, 4> bytes{};
            CHECK(front.read({region_index::config, at, bytes}) == answer{4});
            CHECK(std::memcmp(bytes.data(), there + at, 4) == 0);
        }
        front.release();
        CHECK(vfu_pci_find_capability(own.made, false, PCI_CAP_ID_MSI) == 0x40);
        CHECK(vfu_pci_find_capability(own.made, false, PCI_CAP_ID_MSIX) == 0);
    }
    SECTION("serves without connected(), for a device that is the same at each open") {
        context own{front};
        own.adapter.attach(own.made);
        std::atomic<bool> stopping{false};
        std::thread loop{[&] {
            while (!stopping && vfu_attach_ctx(own.made) != 0) std::this_thread::sleep_for(1ms);
            while (!stopping && (vfu_run_ctx(own.made) >= 0 || errno == EAGAIN)) own.adapter.run();
        }};
        auto client = vfio_user::client::connect(own.path);
        REQUIRE(client);
        REQUIRE((*client).set_timeout(5s));
        REQUIRE((*client).negotiate());
        CHECK((*client).device_info()->can_reset);
        CHECK_FALSE(own.adapter.open());
        CHECK(get(*client, edu::ident) == edu::ident_value);
        CHECK(own.adapter.open());
        stopping = true;
        loop.join();
    }
    SECTION("must know the adapter") {
        const context own{front};
        libvfio_user::adapter<plain> other{front};
        CHECK_THROWS_WITH(other.attach(own.made), Contains("private pointer"));
    }
}

TEST_CASE("libvfio-user: what can be mapped, and its file") {
    device::memory_device memory{{.vendor = 0x1b36, .device = 0x0010}, {32_KiB}};
    using mediated = stack<device::memory_device, with_holes>;
    mediated front{memory};
    std::vector<std::vector<range>> areas;
    std::vector<std::uint64_t> sizes;
    const auto look = [&]<class Server>(const char* name) {
        const running<Server> there{front, name};
        auto client = there.connected();
        auto told = client.region_info(bar{0});
        REQUIRE(told);
        REQUIRE((*told).fd);
        areas.push_back(told->areas);
        sizes.push_back(told->info.size);
        REQUIRE_FALSE(told->areas.empty());
        const range area = told->areas[0];
        auto* const mapped = static_cast<char*>(::mmap(nullptr, area.size, PROT_READ | PROT_WRITE, MAP_SHARED,
                                                       told->fd.get(),
                                                       static_cast<off_t>(told->fd_offset + area.offset)));
        REQUIRE(mapped != MAP_FAILED);
        mapped[8] = 0x5a;
        CHECK((get(client, area.offset + 8) & 0xff) == 0x5a);
        ::munmap(mapped, area.size);
    };
    look.operator()<native<mediated>>("areas-native");
    look.operator()<by_library<mediated>>("areas-library");
    CHECK(areas[0] == std::vector<range>{{0x1000, 0x2000}, {0x4000, 0x4000}});
    CHECK(areas[1] == areas[0]);
    CHECK(sizes[0] == sizes[1]);
}

TEST_CASE("libvfio-user: what cannot be written is not, though the library asks") {
    edu device;
    altered front{device};
    front.flags = region_flags::read;
    const running<by_library<altered>> there{front, "read-only"};
    auto client = there.connected();
    CHECK(client.region_info(bar{0})->info.flags == region_flags::read);
    CHECK(get(client, edu::live) == 0);
    const std::array<std::byte, 4> ones{std::byte{1}, std::byte{1}, std::byte{1}, std::byte{1}};
    CHECK(client.write({bar{0}, edu::live, ones}).error == error::invalid);
    CHECK(get(client, edu::live) == 0);
}

TEST_CASE("libvfio-user: the same memory once more, and none, is no other map") {
    edu device;
    plain front{device};
    const running<by_library<plain>> there{front, "twice"};
    auto client = there.connected();
    const auto file = memory_file(4096);
    for (int i = 0; i < 2; ++i) CHECK(client.map_dma(0x1000, 4096, 3, file.get()));
    CHECK(client.map_dma(0x8000, 0, 3));
    CHECK(get(client, edu::ident) == edu::ident_value);
    CHECK(client.unmap_dma(0x1000, 4096));
    CHECK(client.map_dma(0x1000, 4096, 3, file.get()));
    CHECK(get(client, edu::ident) == edu::ident_value);
}

TEST_CASE("libvfio-user: a device that refuses memory refuses all, since the client was told that it worked") {
    edu device;
    altered front{device};
    front.takes_memory = false;
    const running<by_library<altered>> there{front, "refuses"};
    {
        auto client = there.connected();
        CHECK(get(client, edu::ident) == edu::ident_value);
        const auto file = memory_file(4096);
        CHECK(client.map_dma(0x1000, 4096, 3, file.get()));
        CHECK(get_fails(client, edu::ident) == error::io);
        CHECK(to_errno(client.reset().error()) == EIO);
        CHECK(client.unmap_dma(0x1000, 4096));
        CHECK(get(client, edu::ident) == edu::ident_value);
    }
    auto client = there.connected();
    CHECK(get(client, edu::ident) == edu::ident_value);
}

TEST_CASE("libvfio-user: a device that is not what it was, or declines, is served to nobody until it is again") {
    edu device;
    altered front{device};
    const running<by_library<altered>> there{front, "changes"};
    {
        front.size = 8192;
        auto client = there.connected();
        CHECK(get_fails(client, edu::ident) == error::no_device);
        CHECK(get_fails(client, edu::ident) == error::no_device);
        front.size.reset();
    }
    {
        front.declines = true;
        auto client = there.connected();
        CHECK(get_fails(client, edu::ident) == error::no_device);
        front.declines = false;
    }
    auto client = there.connected();
    CHECK(get(client, edu::ident) == edu::ident_value);
}

TEST_CASE("libvfio-user: memory that its client cuts short fails the client, and nobody else") {
    edu device;
    plain front{device};
    const running<by_library<plain>> there{front, "cut"};
    {
        auto client = there.connected();
        const auto file = memory_file(8192);
        REQUIRE(client.map_dma(0x1000, 8192, 3, file.get()));
        set_command(client, memory_and_master);
        REQUIRE(::ftruncate(file.get(), 0) == 0);
        start_dma(client, edu::buffer.offset, 0x1000, 64, edu::dma_to_memory);
        CHECK(soon([&] {
            std::array<std::byte, 4> bytes{};
            return client.read({bar{0}, edu::ident, bytes}).error == error::io;
        }));
    }
    auto client = there.connected();
    CHECK(get(client, edu::ident) == edu::ident_value);
}

TEST_CASE("libvfio-user: memory that a thread of the device holds stays until it lets go") {
    device::memory_device device{{.vendor = 0x1b36, .device = 0x0010}, {32_KiB}};
    stack<device::memory_device> front{device};
    device.dma().set_patience(1ms); // both answers come: not yet, and not in all that time
    const running<by_library<stack<device::memory_device>>> there{front, "held"};
    const auto file = memory_file(0x1000);
    const bool unmaps = GENERATE(true, false); // or goes away
    auto client = there.connected();
    REQUIRE(client.map_dma(0x1000, 0x1000, 3, file.get()));
    REQUIRE(get(client, 0) == 0);
    vfio_user_test::holder held{device.dma(), 0x1000, 20ms};
    REQUIRE(held.held());
    if (unmaps) {
        CHECK(client.unmap_dma(0x1000, 0x1000));
        CHECK(held.ended());
    } else {
        client.disconnect();
        auto next = there.connected();
        CHECK(get(next, 0) == 0);
        CHECK(held.ended());
    }
}

namespace {

/// Throws where it is told to.
struct throwing : plain {
    using plain::ioctl;
    using plain::plain;
    enum class place { nowhere, open, access, map, unmap, irqs, reset, advance };
    std::atomic<place> at{place::nowhere};
    std::atomic<bool> memory{true}; // is what it lacks

    void here(place where) const {
        if (at != where) return;
        if (memory) throw std::bad_alloc{};
        throw std::runtime_error{"a device's own"};
    }
    result<void> open() {
        here(place::open);
        return plain::open();
    }
    answer read(const read_access& what) {
        if (what.region == bar{0}) here(place::access);
        return plain::read(what);
    }
    result<void> ioctl(const map_dma& what) {
        here(place::map);
        return plain::ioctl(what);
    }
    result<void> ioctl(const unmap_dma& what) {
        here(place::unmap);
        return plain::ioctl(what);
    }
    result<void> ioctl(const set_irqs& what) {
        here(place::irqs);
        return plain::ioctl(what);
    }
    result<void> ioctl(const reset_device& what) {
        here(place::reset);
        return plain::ioctl(what);
    }
    std::optional<std::uint64_t> deadline() const {
        return at == place::advance ? std::optional{std::uint64_t{1}} : plain::deadline();
    }
    void advance(std::uint64_t now) {
        here(place::advance);
        plain::advance(now);
    }
};

/// Asks for memory that its client does not share, when some that it does is taken back.
struct curious : stack<device::memory_device> {
    explicit curious(device::memory_device& of) : stack<device::memory_device>{of}, memory{of} {}
    using stack<device::memory_device>::ioctl;
    result<void> ioctl(const unmap_dma& what) {
        std::array<std::byte, 8> bytes{};
        if (what.iova == 0x1000) came.store(memory.dma().read(0x8000, bytes).error);
        return stack<device::memory_device>::ioctl(what);
    }
    device::memory_device& memory;
    std::atomic<error> came{error::none};
};

/// Takes a line or messages, never both, as a real device does.
struct exclusive : stack<device::memory_device> {
    using stack<device::memory_device>::ioctl;
    using stack<device::memory_device>::stack;
    result<get_device_info::answer> ioctl(const get_device_info& what) {
        auto told = stack<device::memory_device>::ioctl(what);
        (*told).irqs = 3;
        return told;
    }
    result<get_irq_info::answer> ioctl(const get_irq_info& what) {
        if (what.index == irq_index::intx)
            return get_irq_info::answer{irq_flags::eventfd | irq_flags::maskable | irq_flags::automasked, 1};
        return stack<device::memory_device>::ioctl(what);
    }
    result<void> ioctl(const set_irqs& what) {
        if (what.how == set_irqs::data::eventfds) {
            if (bound && *bound != what.index) return error::invalid;
            bound = what.index;
        } else if (bound == what.index && what.count == 0) {
            bound.reset();
        }
        if (what.index != irq_index::intx) return stack<device::memory_device>::ioctl(what);
        if (what.how == set_irqs::data::eventfds) line = unique_fd::duplicate(what.eventfds[0]);
        return {};
    }
    [[nodiscard]] bool raise() const {
        const std::uint64_t one = 1;
        return ::write(line.get(), &one, sizeof one) == sizeof one;
    }
    std::optional<irq_index> bound;
    unique_fd line; // and it keeps the last one
};
const device::pci_function with_msix{
    .id = {0x1234, 0x5678},
    .bar_sizes = {0x4000},
    .msix = {.vectors = 8, .offset = 0x60, .table_offset = 0x1000, .pending_offset = 0x2000, .maskable = true}};

} // namespace

TEST_CASE("libvfio-user: what a device throws is an error of its client's") {
    edu device;
    throwing front{device};
    using place = throwing::place;
    const running<by_library<throwing>> there{front, "throws"};
    front.memory = GENERATE(true, false);
    const error expected = front.memory ? error::no_memory : error::io;
    const auto file = memory_file(4096);
    for (const auto where : {place::open, place::irqs}) {
        front.at = where;
        auto client = there.connected();
        CHECK(get_fails(client, edu::ident) == expected);
        front.at = place::nowhere;
    }
    {
        auto client = there.connected();
        CHECK(get(client, edu::ident) == edu::ident_value);
        front.at = place::access;
        CHECK(get_fails(client, edu::ident) == expected);
        front.at = place::reset;
        CHECK(client.reset().error() == expected);
        CHECK(get(client, edu::ident) == edu::ident_value);
        front.at = place::map;
        CHECK(client.map_dma(0x1000, 4096, 3, file.get()));
        CHECK(get_fails(client, edu::ident) == error::io);
        CHECK(client.unmap_dma(0x1000, 4096));
        CHECK(get(client, edu::ident) == edu::ident_value);
        front.at = place::irqs;
        enable_msi(client, true);
        CHECK(get_fails(client, edu::ident) == expected);
        front.at = place::nowhere;
        CHECK(get_fails(client, edu::ident) == expected); // its interrupts are lost
    }
    {
        auto client = there.connected();
        CHECK(client.map_dma(0x1000, 4096, 3, file.get()));
        front.at = place::unmap;
        CHECK(client.unmap_dma(0x1000, 4096));
        front.at = place::nowhere;
        CHECK(get_fails(client, edu::ident) == error::io);
        CHECK(device.dma().size() == 0);
    }
    {
        auto client = there.connected();
        CHECK(get(client, edu::ident) == edu::ident_value);
        front.at = place::advance;
        CHECK(get_fails(client, edu::ident) == error::io);
        front.at = place::nowhere;
        CHECK(get_fails(client, edu::ident) == error::io);
    }
    auto client = there.connected();
    CHECK(get(client, edu::ident) == edu::ident_value);
}

TEST_CASE("libvfio-user: nobody is asked for memory while some is taken back") {
    device::memory_device device{{.vendor = 0x1b36, .device = 0x0010}, {32_KiB}};
    curious front{device};
    const running<by_library<curious>> there{front, "curious"};
    const bool unmaps = GENERATE(true, false); // or goes away
    {
        auto client = there.connected();
        std::array<std::byte, 4096> kept{};
        const auto file = memory_file(0x1000);
        REQUIRE(client.map_dma(0x1000, 0x1000, 3, file.get())); // taken back first
        REQUIRE(client.map_dma(0x8000, kept));
        if (unmaps) CHECK(client.unmap_dma(0x1000, 0x1000));
    }
    auto client = there.connected();
    CHECK(get(client, 0) == 0);
    CHECK(front.came.load() == error::not_supported);
}

TEST_CASE("libvfio-user: a line is there again after messages, of a device that takes either") {
    device::memory_device device{with_msix};
    exclusive front{device};
    const running<by_library<exclusive>> there{front, "either"};
    auto client = there.connected();
    const auto event = event_file();
    bind(client, irq_index::intx, event.get());
    CHECK(get(client, 0) == 0);
    CHECK((front.raise() && signalled(event.get())));
    for (const std::uint64_t control : {0x8000u, 0u}) put(client, 0x62, control, 2, region_index::config);
    CHECK(front.bound == irq_index::intx);
    CHECK((front.raise() && signalled(event.get())));
}

TEST_CASE("libvfio-user: eventfds that were taken away are looked at no more, whoever has them") {
    device::memory_device device{with_msix};
    exclusive front{device};
    REQUIRE(front.open());
    libvfio_user::interrupts all;
    const auto readable = [&] {
        pollfd what{all.fd(), POLLIN, 0};
        return ::poll(&what, 1, 0) == 1;
    };
    REQUIRE(all.bind(front, irq_index::intx, 1));
    CHECK((front.raise() && readable()));
    const bool released = GENERATE(true, false);
    if (released)
        all.clear();
    else
        CHECK(all.bind(front, irq_index::intx, 0));
    CHECK_FALSE(readable());
    CHECK((front.raise() && !readable()));
    front.release();
}

TEST_CASE("libvfio-user: a client that goes while it is asked for memory") {
    edu device;
    plain front{device};
    const running<by_library<plain>> there{front, "goes"};
    for (int round = 0; round < 3; ++round) {
        auto client = there.connected();
        const auto file = memory_file(8192);
        std::array<std::byte, 4096> kept{};
        REQUIRE(client.map_dma(0x1000, kept));
        REQUIRE(client.map_dma(0x2000, 8192, 3, file.get()));
        set_command(client, memory_and_master);
        // Two pages: the first is asked for, the second is shared, and is touched when its mapping has gone.
        start_dma(client, 0x1800, edu::buffer.offset, 0x1000, 0);
        const auto asked = client.receive();
        REQUIRE(asked);
        CHECK(asked->header.command == static_cast<std::uint16_t>(vfio_user::wire::command::dma_read));
    }
    auto client = there.connected();
    CHECK(get(client, edu::ident) == edu::ident_value);
    CHECK(dma_ends(client));
}

TEST_CASE("libvfio-user: that a client went while it was asked for memory is known before another comes") {
    edu device;
    plain front{device};
    const auto path = vfio_user_test::socket_path("once");
    by_library<plain> made{front, path};
    std::atomic<bool> served{false};
    std::thread loop{[&] {
        while (made.served() == 0 && made.run_once(-1)) {}
        served = made.served() == 1;
    }};
    {
        auto client = vfio_user::client::connect(path);
        std::array<std::byte, 4096> kept{};
        const bool good = client && (*client).set_timeout(5s) && (*client).negotiate() &&
                          (*client).map_dma(0x1000, kept);
        CHECK(good);
        if (good) {
            set_command(*client, memory_and_master);
            start_dma(*client, 0x1000, edu::buffer.offset, 64, 0);
            CHECK((*client).receive());
        }
    }
    CHECK(soon([&] { return served.load(); }));
    made.stop();
    loop.join();
}

namespace {

/// Asks for memory when it is read.
struct asks : stack<device::memory_device> {
    explicit asks(device::memory_device& of) : stack<device::memory_device>{of}, memory{of} {}
    answer read(const read_access& what) {
        std::array<std::byte, 8> bytes{};
        if (what.region == bar{0} && what.offset == 8) came.store(memory.dma().read(0x8000, bytes).error);
        return stack<device::memory_device>::read(what);
    }
    device::memory_device& memory;
    std::atomic<error> came{error::none};
};

} // namespace

TEST_CASE("libvfio-user: the memory of a client that goes while it is asked stays for the device's threads") {
    device::memory_device device{{.vendor = 0x1b36, .device = 0x0010}, {32_KiB}};
    asks front{device};
    const running<by_library<asks>> there{front, "threads"};
    const auto file = memory_file(0x1000);
    {
        auto client = there.connected();
        std::array<std::byte, 4096> kept{};
        REQUIRE(client.map_dma(0x1000, 0x1000, 3, file.get()));
        REQUIRE(client.map_dma(0x8000, kept));
        vfio_user_test::holder held{device.dma(), 0x1000, 1min}; // writes when it lets go
        REQUIRE(held.held());
        CHECK(client.send(vfio_user_test::read_of(region_index::bar0, 8, 4)));
        CHECK(client.receive()); // DMA_READ
        client.disconnect();
        CHECK(soon([&] { return front.came.load() != error::none; }));
        held.stop();
    }
    auto client = there.connected();
    CHECK(get(client, 0) == 0);
    std::byte first{};
    CHECK(::pread(file.get(), &first, 1, 0) == 1);
    CHECK(first == std::byte{0x77});
}

TEST_CASE("libvfio-user: a client that has no word for VERSION holds up nobody for ever") {
    edu device;
    plain front{device};
    const running<by_library<plain>> there{front, "mute"};
    { CHECK(vfio_user::client::connect(there.path)); }
    auto client = there.connected();
    CHECK(get(client, edu::ident) == edu::ident_value);
}

TEST_CASE("libvfio-user: its socket file, and a stale one") {
    edu device;
    plain front{device};
    const auto path = vfio_user_test::socket_path("stale");
    {
        const by_library<plain> made{front, path};
        CHECK(::access(path.c_str(), F_OK) == 0);
        plain second{device};
        CHECK_THROWS_AS((by_library<plain>{second, path}), std::system_error);
        CHECK(::access(path.c_str(), F_OK) == 0);
    }
    CHECK(::access(path.c_str(), F_OK) != 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    {
        const vfio_user::unique_fd left{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        REQUIRE(::bind(left.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    }
    { const by_library<plain> made{front, path}; }
    CHECK(::access(path.c_str(), F_OK) != 0);
}
