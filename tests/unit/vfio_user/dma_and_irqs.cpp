// SPDX-License-Identifier: BSD-3-Clause
// DMA_MAP, DMA_UNMAP and SET_IRQS: valid forms and malformed ones; after each error the next message works.
#include "messages.hpp"

#include <catch2/catch.hpp>

#include <sys/wait.h>

#include <cerrno>
#include <fcntl.h>
#include <fstream>
#include <limits>
#include <linux/memfd.h>
#include <string>

using namespace vfio_user_test;
using wire::command;

namespace {

/// How many mappings of files with this name the process has.
int mappings_of(const std::string& name) {
    std::ifstream maps{"/proc/self/maps"};
    int count = 0;
    for (std::string line; std::getline(maps, line);) count += line.find(name) != std::string::npos ? 1 : 0;
    return count;
}

} // namespace

TEST_CASE("vfio-user: DMA_MAP and DMA_UNMAP") {
    by_hand at;
    at.negotiate();
    const auto memory = memory_file(0x4000);
    const std::array one{memory.get()};
    auto& dma = at.device.host.dma;

    SECTION("with a file: the memory is the client's") {
        REQUIRE(at.error_of(map_of(0x10000, 0x2000, 3, 0x1000), one) == 0);
        const std::array text{std::byte{'h'}, std::byte{'i'}};
        CHECK(dma.write(0x10ffe, text) == answer{2, error::none});
        std::array<std::byte, 2> got{};
        CHECK(::pread(memory.get(), got.data(), 2, 0x1ffe) == 2);
        CHECK(got == text);
        const auto all = at.exchange(unmap_of(0x10000, 0x2000));
        REQUIRE(all.size() == 1);
        CHECK(all[0].flags == wire::type_reply);
        const auto echo = wire::load<wire::dma_unmap>(all[0].payload);
        CHECK(echo.address == 0x10000);
        CHECK(echo.size == 0x2000);
        CHECK(dma.size() == 0);
    }
    SECTION("directions are honoured") {
        REQUIRE(at.error_of(map_of(0x0000, 0x1000, wire::dma_map_read), one) == 0);
        REQUIRE(at.error_of(map_of(0x1000, 0x1000, wire::dma_map_write), one) == 0);
        std::array<std::byte, 4> some{};
        CHECK(dma.read(0, some).count == 4);
        CHECK(dma.write(0, some) == answer{0, error::denied});
        CHECK(dma.write(0x1000, some).count == 4);
        CHECK(dma.read(0x1000, some) == answer{0, error::denied});
    }
    SECTION("without a file it is known and not shared") {
        REQUIRE(at.error_of(map_of(0x10000, 0x2000)) == 0);
        CHECK(dma.translate(0x10000, 1, device::dma_map::direction::read).error() == error::not_supported);
        CHECK(at.error_of(unmap_of(0x10000, 0x2000)) == 0);
    }
    SECTION("an exact duplicate is good, any other overlap is not") {
        REQUIRE(at.error_of(map_of(0x10000, 0x2000), one) == 0);
        CHECK(at.error_of(map_of(0x10000, 0x2000), one) == 0);
        CHECK(dma.size() == 1);
        const auto other = memory_file(0x4000);
        CHECK(at.error_of(map_of(0x10000, 0x2000), std::array{other.get()}) == EEXIST);
        CHECK(at.error_of(map_of(0x10000, 0x2000)) == EEXIST);
        CHECK(at.error_of(map_of(0x10000, 0x2000, 1), one) == EEXIST);
        CHECK(at.error_of(map_of(0x10000, 0x2000, 3, 0x1000), one) == EEXIST);
        CHECK(at.error_of(map_of(0x10000, 0x1000), one) == EEXIST);
        CHECK(at.error_of(map_of(0x11000, 0x1000), one) == EEXIST);
        CHECK(at.error_of(map_of(0xf000, 0x2000), one) == EEXIST);
        CHECK(at.error_of(map_of(0, 0x100000)) == EEXIST);
        CHECK(dma.size() == 1);
        CHECK(at.error_of(map_of(0xf000, 0x1000), one) == 0);
        CHECK(at.error_of(map_of(0x12000, 0x1000), one) == 0);
    }
    SECTION("a part of a huge page is mapped, and its mapping does not stay") {
        constexpr std::uint64_t huge = 2 << 20;
        const unique_fd pages{::memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB | MFD_HUGE_2MB)};
        if (!pages || ::ftruncate(pages.get(), 2 * huge) != 0) return; // this kernel has none of that size
        const std::array given{pages.get()};
        const auto before = mappings_of("/memfd:huge");
        REQUIRE(at.error_of(map_of(0, 0xa0000), given) == 0);
        REQUIRE(at.error_of(map_of(0xc0000, 2 * huge - 0xc0000, 3, 0xc0000), given) == 0);
        CHECK(mappings_of("/memfd:huge") == before + 2);
        const auto part = dma.translate(0xc0000, 0x1000, device::dma_map::direction::both);
        REQUIRE(part);
        CHECK(reinterpret_cast<std::uintptr_t>((*part).data()) % huge == 0xc0000);
        CHECK(at.error_of(unmap_of(0, 0xa0000)) == 0);
        CHECK(mappings_of("/memfd:huge") == before + 1);
        CHECK(at.error_of(unmap_of(0, 0, wire::dma_unmap_all)) == 0);
        CHECK(mappings_of("/memfd:huge") == before);
    }
    SECTION("malformed maps") {
        CHECK(at.error_of(map_of(0, 0)) == EINVAL);
        CHECK(at.error_of(map_of(0x10, 0x1000)) == EINVAL);
        CHECK(at.error_of(map_of(0, 0x1001)) == EINVAL);
        CHECK(at.error_of(map_of(~0xfffull, 0x2000)) == EINVAL); // wraps
        CHECK(at.error_of(map_of(0x2000, ~0xfffull)) == EINVAL);
        CHECK(at.error_of(map_of(0, 0x1000, 0)) == EINVAL);
        CHECK(at.error_of(map_of(0, 0x1000, 7)) == EINVAL);
        CHECK(at.error_of(map_of(0, 0x1000, 3, 0, 31)) == EINVAL);
        CHECK(at.error_of(cut(map_of(0, 0x1000), 47)) == EINVAL);
        CHECK(at.error_of(map_of(0, 0x5000), one) == EINVAL); // past the file's end
        CHECK(at.error_of(map_of(0, 0x1000, 3, 0x4000), one) == EINVAL);
        CHECK(at.error_of(map_of(0, 0x1000, 3, ~0xfffull), one) == EINVAL);
        CHECK(at.error_of(map_of(0, 0x1000, 3, 0x10), one) == EINVAL);
        CHECK(at.error_of(map_of(0, 0x1000), std::array{memory.get(), memory.get()}) == EINVAL);
        const auto event = event_file();
        CHECK(at.error_of(map_of(0, 0x1000), std::array{event.get()}) == ENODEV); // no such thing as its memory
        const unique_fd reader{::open("/proc/self/exe", O_RDONLY | O_CLOEXEC)};
        CHECK(at.error_of(map_of(0, 0x1000, 3), std::array{reader.get()}) == EACCES);
        CHECK(dma.size() == 0);
        CHECK(at.error_of(map_of(~0xfffull, 0x1000)) == 0); // the very top
        CHECK(at.alive());
    }
    SECTION("unmaps must be exact") {
        REQUIRE(at.error_of(map_of(0x10000, 0x2000), one) == 0);
        REQUIRE(at.error_of(map_of(0x12000, 0x2000), one) == 0);
        CHECK(at.error_of(unmap_of(0x10000, 0x1000)) == ENOENT);
        CHECK(at.error_of(unmap_of(0x10000, 0x4000)) == ENOENT);
        CHECK(at.error_of(unmap_of(0x11000, 0x1000)) == ENOENT);
        CHECK(at.error_of(unmap_of(0, 0)) == ENOENT);
        CHECK(at.error_of(unmap_of(0x10000, 0x2000, 4)) == EINVAL);
        CHECK(at.error_of(unmap_of(0x10000, 0x2000, wire::dma_unmap_dirty_bitmap)) == EINVAL);
        CHECK(at.error_of(unmap_of(0x10000, 0x2000, wire::dma_unmap_all)) == EINVAL);
        CHECK(at.error_of(unmap_of(0x10000, 0x2000, 0, 23)) == EINVAL);
        CHECK(at.error_of(cut(unmap_of(0x10000, 0x2000), 39)) == EINVAL);
        CHECK(dma.size() == 2);
        CHECK(at.error_of(unmap_of(0, 0, wire::dma_unmap_all)) == 0);
        CHECK(dma.size() == 0);
        CHECK(at.error_of(unmap_of(0, 0, wire::dma_unmap_all)) == 0);
        CHECK(at.error_of(map_of(0x10000, 0x2000), one) == 0);
    }
    SECTION("a device that refuses, or does no DMA") {
        at.device.map_error = error::denied;
        CHECK(at.error_of(map_of(0, 0x1000), one) == EACCES);
        at.device.map_error = at.device.unmap_error = error::not_a_request;
        CHECK(at.error_of(map_of(0, 0x1000), one) == 0);
        CHECK(at.error_of(unmap_of(0, 0x1000)) == 0);
        at.device.map_error = error::none;
        CHECK(at.error_of(map_of(0, 0x1000), one) == 0);
        at.device.unmap_error = error::busy;
        CHECK(at.error_of(unmap_of(0, 0x1000)) == EBUSY);
        CHECK(at.error_of(unmap_of(0, 0, wire::dma_unmap_all)) == EBUSY);
        at.device.unmap_error = error::none;
        CHECK(at.error_of(unmap_of(0, 0x1000)) == 0);
    }
    SECTION("as many as the limit says") {
        by_hand few{{.max_dma_maps = 3}};
        few.negotiate();
        for (std::uint64_t i = 0; i < 3; ++i) CHECK(few.error_of(map_of(i * 0x1000, 0x1000)) == 0);
        CHECK(few.error_of(map_of(0x3000, 0x1000)) == ENOSPC);
        CHECK(few.error_of(unmap_of(0, 0x1000)) == 0);
        CHECK(few.error_of(map_of(0x3000, 0x1000)) == 0);
    }
    SECTION("as much of what is shared as the limit says") {
        by_hand small{{.max_dma_bytes = 0x3000}};
        small.negotiate();
        const auto large = memory_file(0x4000);
        const std::array fds{large.get()};
        CHECK(small.error_of(map_of(0, 0x4000), fds) == ENOSPC);
        CHECK(small.error_of(map_of(0, 0x2000), fds) == 0);
        CHECK(small.error_of(map_of(0x10000, 0x2000), fds) == ENOSPC);
        CHECK(small.error_of(map_of(0x10000, 0x4000)) == 0); // not shared
        CHECK(small.error_of(map_of(0x20000, 0x1000), fds) == 0);
        CHECK(small.error_of(unmap_of(0, 0x2000)) == 0);
        small.device.map_error = error::not_a_request; // does no DMA: nothing stays mapped
        CHECK(small.error_of(map_of(0, 0x2000), fds) == 0);
        CHECK(small.error_of(map_of(0x30000, 0x2000), fds) == 0);
    }
}

TEST_CASE("vfio-user: SET_IRQS") {
    by_hand at;
    at.negotiate();
    auto& irqs = at.device.host.irqs;
    constexpr std::uint32_t none = VFIO_IRQ_SET_DATA_NONE, bools = VFIO_IRQ_SET_DATA_BOOL,
                            eventfd = VFIO_IRQ_SET_DATA_EVENTFD;
    constexpr std::uint32_t mask = VFIO_IRQ_SET_ACTION_MASK, unmask = VFIO_IRQ_SET_ACTION_UNMASK,
                            trigger = VFIO_IRQ_SET_ACTION_TRIGGER;
    const auto a = event_file(), b = event_file();
    const std::array one{a.get()};
    const std::array two{a.get(), b.get()};

    SECTION("eventfds are set, signalled and taken away") {
        REQUIRE(at.error_of(irqs_of(eventfd | trigger, 1, 1, 2), two) == 0);
        CHECK(irqs.trigger(irq_index::msi, 2));
        CHECK(drain(a.get()) == 0);
        CHECK(drain(b.get()) == 1);
        CHECK(at.error_of(irqs_of(none | trigger, 1, 1, 2)) == 0); // the client's own trigger
        CHECK(drain(a.get()) == 1);
        CHECK(drain(b.get()) == 1);
        CHECK(at.error_of(irqs_of(bools | trigger, 1, 1, 2, {std::byte{0}, std::byte{1}})) == 0);
        CHECK(drain(a.get()) == 0);
        CHECK(drain(b.get()) == 1);
        CHECK(at.error_of(irqs_of(eventfd | trigger, 1, 1, 1)) == 0); // none came: unset
        CHECK_FALSE(irqs.bound(irq_index::msi, 1));
        CHECK(irqs.bound(irq_index::msi, 2));
        CHECK(at.error_of(irqs_of(none | trigger, 1, 0, 0)) == 0); // disable
        CHECK_FALSE(irqs.bound(irq_index::msi, 2));
        CHECK(at.error_of(irqs_of(eventfd | trigger, 2, 0, 2048)) == 0); // all of MSI-X unset
    }
    SECTION("masks") {
        REQUIRE(at.error_of(irqs_of(eventfd | trigger, 0, 0, 1), one) == 0);
        CHECK(at.error_of(irqs_of(none | mask, 0, 0, 1)) == 0);
        CHECK(irqs.trigger(irq_index::intx, 0));
        CHECK(drain(a.get()) == 0);
        CHECK(at.error_of(irqs_of(bools | unmask, 0, 0, 1, {std::byte{1}})) == 0);
        CHECK(drain(a.get()) == 1);
        CHECK(at.error_of(irqs_of(none | mask, 1, 0, 1)) == EINVAL); // MSI says that it cannot
        CHECK(at.error_of(irqs_of(eventfd | unmask, 1, 0, 1), one) == EINVAL);
    }
    SECTION("exactly one action and one kind of data") {
        for (const std::uint32_t flags :
             {0u, none, trigger, none | bools | trigger, none | trigger | mask, eventfd | bools | trigger,
              none | trigger | 64u, none | trigger | 0x80000000u, 0xffffffffu}) {
            CHECK(at.error_of(irqs_of(flags, 1, 0, 1)) == EINVAL);
        }
    }
    SECTION("ranges and lengths") {
        CHECK(at.error_of(irqs_of(none | trigger, 5, 0, 1)) == EINVAL);
        CHECK(at.error_of(irqs_of(none | trigger, 0xffffffff, 0, 1)) == EINVAL);
        CHECK(at.error_of(irqs_of(none | trigger, 1, 4, 1)) == EINVAL);
        CHECK(at.error_of(irqs_of(none | trigger, 1, 0, 5)) == EINVAL);
        CHECK(at.error_of(irqs_of(none | trigger, 1, 0xffffffff, 2)) == EINVAL);
        CHECK(at.error_of(irqs_of(none | trigger, 1, 2, 0xffffffff)) == EINVAL);
        CHECK(at.error_of(irqs_of(none | trigger, 1, 1, 0)) == EINVAL);
        CHECK(at.error_of(irqs_of(none | mask, 0, 0, 0)) == EINVAL);
        CHECK(at.error_of(irqs_of(bools | trigger, 1, 0, 0)) == EINVAL);
        CHECK(at.error_of(irqs_of(eventfd | trigger, 1, 0, 0)) == EINVAL);
        CHECK(at.error_of(irqs_of(bools | trigger, 1, 0, 2, {std::byte{1}})) == EINVAL);
        CHECK(at.error_of(irqs_of(bools | trigger, 1, 0, 2, {std::byte{1}, std::byte{1}}, 21)) == EINVAL);
        CHECK(at.error_of(irqs_of(none | trigger, 1, 0, 1, {}, 19)) == EINVAL);
        CHECK(at.error_of(cut(irqs_of(none | trigger, 1, 0, 1), 35)) == EINVAL);
        CHECK(at.error_of(irqs_of(eventfd | trigger, 1, 0, 1), two) == EINVAL);
        CHECK(at.error_of(irqs_of(eventfd | trigger, 1, 0, 3), two) == EINVAL);
        CHECK(irqs.triggered(irq_index::msi, 0) == 0);
        CHECK(at.alive());
    }
    SECTION("only eventfds: a pipe or socket could stop the server, or end it with SIGPIPE") {
        int pipe[2];
        REQUIRE(::pipe2(pipe, O_CLOEXEC) == 0);
        const unique_fd in{pipe[0]}, out{pipe[1]};
        CHECK(at.error_of(irqs_of(eventfd | trigger, 1, 0, 1), std::array{out.get()}) == EINVAL);
        CHECK(at.error_of(irqs_of(eventfd | trigger, 1, 0, 1), std::array{at.peer.fd()}) == EINVAL);
        CHECK(at.error_of(irqs_of(eventfd | trigger, 1, 0, 1), std::array{memory_file(8).get()}) == EINVAL);
    }
    SECTION("a full counter does not stop the server") {
        const unique_fd full{::eventfd(0, EFD_CLOEXEC)}; // blocking
        const std::uint64_t most = std::numeric_limits<std::uint64_t>::max() - 1;
        REQUIRE(::write(full.get(), &most, sizeof most) == sizeof most);
        REQUIRE(at.error_of(irqs_of(eventfd | trigger, 1, 0, 1), std::array{full.get()}) == 0);
        CHECK(at.error_of(irqs_of(none | trigger, 1, 0, 1)) == 0);
        CHECK(at.alive());
        if (!device::detail::completions::offered()) return; // this build, or this kernel, can only write
        // The file is the client's too, whatever the server made of it.
        REQUIRE(::fcntl(full.get(), F_SETFL, ::fcntl(full.get(), F_GETFL) & ~O_NONBLOCK) == 0);
        ::alarm(20); // the end of who waits
        for (int i = 0; i < 1000; ++i) CHECK(at.error_of(irqs_of(none | trigger, 1, 0, 1)) == 0);
        ::alarm(0);
        CHECK(at.alive());
    }
}

TEST_CASE("vfio-user: eventfds are signalled in a child of fork(2), too") {
    const auto event = event_file();
    device::signal_eventfd(event.get());
    REQUIRE(drain(event.get()) == 1);
    const pid_t child = ::fork();
    if (child == 0) {
        device::signal_eventfd(event.get());
        device::signal_eventfd(event.get());
        device::signal_eventfd(-1); // and nothing of what is none
        ::_exit(0);
    }
    REQUIRE(child > 0);
    int status = -1;
    CHECK(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    CHECK(drain(event.get()) == 2);
    device::signal_eventfd(event.get());
    CHECK(drain(event.get()) == 1);
}

TEST_CASE("vfio-user: a client that cuts its memory short loses its connection, and nobody else notices") {
    by_hand at;
    at.negotiate();
    auto& dma = at.device.host.dma;
    const auto memory = memory_file(0x4000);
    REQUIRE(at.error_of(map_of(0x10000, 0x4000, 3), std::array{memory.get()}) == 0);
    const std::array text{std::byte{'h'}, std::byte{'i'}};
    std::array<std::byte, 2> got{};
    REQUIRE(dma.write(0x13000, text) == answer{2, error::none});

    REQUIRE(::ftruncate(memory.get(), 0x1000) == 0);
    CHECK(dma.read(0x10000, got) == answer{2, error::none}); // is there still
    CHECK_FALSE(at.server->closed());
    CHECK(dma.read(0x13000, got) == answer{2, error::none});
    CHECK(got == std::array<std::byte, 2>{});
    CHECK(dma.write(0x13000, text) == answer{2, error::none}); // goes nowhere
    CHECK(at.server->closed());
    struct stat file {};
    REQUIRE(::fstat(memory.get(), &file) == 0);
    CHECK(file.st_size == 0x1000);
    at.server.reset();
    CHECK(at.device.releases == 1);
    CHECK(mappings_of("memfd:memory") == 0);

    at.connect();
    at.negotiate();
    const auto other = memory_file(0x4000);
    REQUIRE(at.error_of(map_of(0x10000, 0x4000, 3), std::array{other.get()}) == 0);
    CHECK(dma.write(0x13000, text) == answer{2, error::none});
    CHECK_FALSE(at.server->closed());
}
