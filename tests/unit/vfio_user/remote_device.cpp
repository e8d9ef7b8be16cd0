// SPDX-License-Identifier: BSD-3-Clause

#include "../../conformance/over_vfio_user.hpp"

#include <mediant/device/edu.hpp>
#include <mediant/device/memory_device.hpp>
#include <mediant/mediant.hpp>
#include <mediant/provider/stack.hpp>
#include <mediant/vfio_user/remote_device.hpp>
#include <mediant/vfio_user/socket.hpp>

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <thread>
#include <type_traits>
#include <vector>

using namespace mediant;
using conformance::must;
using conformance::over_vfio_user;
using conformance::served;
using vfio_user::remote_device;

namespace {

/// Traps one page of a memory-like BAR.
struct bell {
    static constexpr auto bar0 = region_map{bar{0}, 64_KiB,
                                            reg{"DOORBELL", 0x4000, rw, {.backing = from::shadow, .value = 0x11}}};
    static constexpr auto regions = mediant::regions<bar0>{};
};

[[nodiscard]] std::uint32_t read(vfio_user::client& from, std::uint64_t offset) {
    std::array<std::byte, 4> bytes{};
    REQUIRE(from.read({bar{0}, offset, bytes}) == answer{4});
    return static_cast<std::uint32_t>(load_little(std::span<const std::byte>{bytes}));
}
void write(vfio_user::client& to, std::uint64_t offset, std::uint32_t value, region_index region = bar{0}) {
    std::array<std::byte, 4> bytes{};
    store_little(std::span{bytes}, value);
    REQUIRE(to.write({region, offset, bytes}) == answer{4});
}
void enable(vfio_user::client& device) { write(device, 0x04, 0x0006, region_index::config); }

} // namespace

TEST_CASE("what passes is mapped straight from the other server's memory") {
    device::memory_device memory{device_id{0x1234, 0x0001, 0, 0, 0}, {64_KiB}};
    stack<device::memory_device> bare{memory};
    const served back{bare};
    const bool shares = GENERATE(false, true);
    remote_device remote{{.path = back.socket(), .shares_files = shares}};
    stack<remote_device, bell> mediated{remote};
    over_vfio_user front{mediated};
    enable(front.client());

    CHECK(read(front.client(), 0x4000) == 0x11);
    write(front.client(), 0x5000, 0xabcd);
    const auto info = must(front.client().region_info(bar{0}), "region info");
    CHECK(has(info.info.flags, region_flags::mmap) == shares);
    if (!shares) return;
    REQUIRE(info.areas == std::vector<range>{{0, 0x4000}, {0x5000, 0xb000}});
    auto* const page = static_cast<volatile std::uint32_t*>(::mmap(
        nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, info.fd.get(), static_cast<off_t>(info.fd_offset + 0x5000)));
    REQUIRE(page != MAP_FAILED);
    CHECK(page[0] == 0xabcd);
    page[1] = 0x1234;
    CHECK(read(front.client(), 0x5004) == 0x1234);
    ::munmap(const_cast<std::uint32_t*>(page), 4096);
}

namespace {
/// A range that SWITCH passes, and traps again.
struct apertures {
    static constexpr auto bar0 = region_map{bar{0}, 64_KiB, reg{"SWITCH", 0x00, wo, {.hook = on::write}},
                                            dynamic{"APERTURE", 0x8000, 4_KiB}};
    static constexpr auto regions = mediant::regions<bar0>{};
    result<void> write(at<bar0, "SWITCH">, std::uint32_t passes, auto& next) {
        return passes != 0 ? next.untrap(at<bar0, "APERTURE">{}) : next.trap(at<bar0, "APERTURE">{});
    }
};
} // namespace

TEST_CASE("dynamic ranges above another server: what its file shows is not taken back") {
    device::memory_device memory{device_id{0x1234, 0x0001, 0, 0, 0}, {64_KiB}};
    stack<device::memory_device> bare{memory};
    const served back{bare};
    const bool shares = GENERATE(false, true);
    remote_device remote{{.path = back.socket(), .shares_files = shares}};
    stack<remote_device, apertures> mediated{remote};
    over_vfio_user front{mediated};
    vfio_user::client& client = front.client();
    enable(client);
    CHECK(must(client.device_info(), "device info").irqs == most_irqs);
    const auto turn = [&](std::uint32_t passes) {
        std::array<std::byte, 4> bytes{};
        store_little(std::span{bytes}, passes);
        return client.write({bar{0}, 0, bytes}).error;
    };
    const device::unique_fd changed{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    const int fd = changed.get();
    REQUIRE(client.set_irqs(
        {irq_index::regions_changed, set_irqs::action::trigger, set_irqs::data::eventfds, 0, 1, {}, {&fd, 1}}));
    CHECK(turn(1) == error::none);
    std::uint64_t told = 0;
    CHECK(::read(fd, &told, sizeof told) == sizeof told);
    CHECK(must(client.region_info(bar{0}), "region info").areas.size() == (shares ? 1u : 0u));
    CHECK(turn(0) == (shares ? error::busy : error::none));
}

TEST_CASE("DMA and interrupts go past the server between") {
    device::edu edu;
    stack<device::edu> bare{edu};
    const served back{bare};
    remote_device remote{{.path = back.socket()}};
    remote.set_log([](auto, auto) {});
    stack<remote_device> between{remote};
    over_vfio_user front{between};
    vfio_user::client& client = front.client();
    enable(client);

    const device::unique_fd file{::memfd_create("memory", MFD_CLOEXEC)};
    REQUIRE(::ftruncate(file.get(), 3 * 4096) == 0);
    std::array<std::byte, 8> bytes{};
    store_little(std::span{bytes}, 0x1122'3344'5566'7788);
    REQUIRE(::pwrite(file.get(), bytes.data(), bytes.size(), 4096 + 16) == 8);
    constexpr std::uint64_t iova = 0x10'0000;
    constexpr std::uint32_t both = vfio_user::wire::dma_map_read | vfio_user::wire::dma_map_write;
    must(client.map_dma(iova, 8192, both, file.get(), 4096), "map");
    must(client.map_dma(0x80'0000, 4096, both), "map what is not shared");

    const device::unique_fd event{::eventfd(0, EFD_CLOEXEC)};
    must(client.set_irqs(
             {irq_index::msi, set_irqs::action::trigger, set_irqs::data::eventfds, 0, 1, {}, std::array{event.get()}}),
         "set an eventfd");
    const auto signalled = [&] {
        pollfd entry{event.get(), POLLIN, 0};
        std::uint64_t count = 0;
        return ::poll(&entry, 1, 5000) == 1 && ::read(event.get(), &count, sizeof count) == 8;
    };
    const auto transfer = [&](std::uint32_t source, std::uint32_t target, std::uint32_t command) {
        write(client, 0x80, source);
        write(client, 0x88, target);
        write(client, 0x90, 8);
        write(client, 0x98, command | 0x4);
        CHECK(signalled());
        write(client, 0x64, 0x100);
    };
    transfer(iova + 16, 0x40000, 0x1);
    transfer(0x40000, iova + 4096, 0x3);
    std::array<std::byte, 8> back_again{};
    REQUIRE(::pread(file.get(), back_again.data(), back_again.size(), 8192) == 8);
    CHECK(back_again == bytes);

    // A policy between reaches the memory too.
    std::array<std::byte, 8> seen{};
    CHECK(remote.dma().read(iova + 16, seen) == answer{8});
    CHECK(seen == bytes);

    CHECK(remote.trigger(irq_index::msi, 0));
    CHECK(signalled());
    // An eventfd is taken away alone: nothing is sent in its place, and the connection goes on.
    must(client.set_irqs({irq_index::msi, set_irqs::action::trigger, set_irqs::data::eventfds, 0, 1, {}, {}}),
         "take an eventfd away");
    CHECK(remote.trigger(irq_index::msi, 0));
    must(between.ioctl(set_irqs{
             irq_index::msi, set_irqs::action::trigger, set_irqs::data::eventfds, 0, 1, {}, std::array{event.get()}}),
         "set it again");
    std::uint64_t none = 0;
    CHECK(::fcntl(event.get(), F_SETFL, O_NONBLOCK) == 0);
    CHECK(::read(event.get(), &none, sizeof none) < 0);
    must(client.unmap_dma(iova, 8192), "unmap");
    CHECK(client.unmap_dma(iova, 8192).error() == error::not_found);
    must(client.unmap_all_dma(), "unmap what was not shared");
    transfer(0x40000, iova + 4096, 0x3); // into nothing
}

TEST_CASE("memory that no client shares goes past the server between, by messages") {
    const bool twin = GENERATE(false, true);
    CAPTURE(twin);
    device::edu edu;
    stack<device::edu> bare{edu};
    const served back{bare};
    remote_device remote{{.path = back.socket()}};
    stack<remote_device> between{remote};
    const served front{between};
    vfio_user::client client = must(vfio_user::client::connect(front.socket()), "connect");
    must(client.set_timeout(std::chrono::seconds{10}), "a limit");
    static_cast<void>(must(client.negotiate({.max_msg_fds = 16, .twin_socket = twin}), "negotiate"));
    enable(client);
    std::vector<std::byte> memory(8192), before;
    for (std::size_t i = 0; i < memory.size(); ++i) memory[i] = static_cast<std::byte>(i * 7);
    before = memory;
    constexpr std::uint64_t iova = 0x10'0000;
    must(client.map_dma(iova, memory), "map");
    const auto transfer = [&](std::uint32_t source, std::uint32_t target, std::uint32_t command) {
        write(client, 0x80, source);
        write(client, 0x88, target);
        write(client, 0x90, 64);
        const auto asked = client.memory().reads() + client.memory().writes();
        write(client, 0x98, command);
        must(client.serve_dma(std::chrono::seconds{10},
                              [&] { return client.memory().reads() + client.memory().writes() != asked; }),
             "serve");
    };
    transfer(iova + 16, 0x40000, 0x1);
    transfer(0x40000, iova + 4096, 0x3);
    CHECK(client.memory().reads() == 1);
    CHECK(client.memory().writes() == 1);
    CHECK(std::equal(before.begin() + 16, before.begin() + 80, memory.begin() + 4096));
    CHECK(memory[4096 + 64] == before[4096 + 64]);
    must(client.unmap_dma(iova, memory.size()), "unmap");
    must(client.reset(), "and all goes on");
}

TEST_CASE("a map that the other server refuses is refused") {
    device::edu edu;
    stack<device::edu> bare{edu};
    const served back{bare};
    remote_device remote{{.path = back.socket()}};
    stack<remote_device> between{remote};
    REQUIRE(between.open());
    const device::unique_fd file{::memfd_create("memory", MFD_CLOEXEC)};
    REQUIRE(::ftruncate(file.get(), 4096) == 0);
    std::array<std::byte, 8192> memory{};
    CHECK(between.ioctl(map_dma{0, 8192, true, true, memory, nullptr, file.get(), 0}).error() ==
          error::invalid); // past its end
    CHECK(remote.dma().size() == 0);
    between.release();
}

namespace {

/// Refuses to unmap, so many times.
struct refusing {
    static constexpr auto bar0 = region_map{bar{0}, 64_KiB};
    static constexpr auto regions = mediant::regions<bar0>{};
    static inline std::atomic<int> times{0};

    result<void> ioctl(const unmap_dma& what, auto& next) {
        if (times-- > 0) return error::busy;
        return next.ioctl(what);
    }
};

} // namespace

TEST_CASE("an unmap that the other server refuses can be repeated, and not for ever") {
    device::memory_device model{device_id{0x1234, 0x0001, 0, 0, 0}, {64_KiB}};
    stack<device::memory_device, refusing> bare{model};
    const served back{bare};
    remote_device remote{{.path = back.socket(), .patience = std::chrono::milliseconds{2000}}};
    REQUIRE(remote.open());
    const device::unique_fd file{::memfd_create("memory", MFD_CLOEXEC)};
    REQUIRE(::ftruncate(file.get(), 3 * 4096) == 0);
    std::array<std::byte, 4096> memory{};
    const auto iovas = {0x1000u, 0x4000u};
    for (const std::uint64_t iova : iovas)
        REQUIRE(remote.ioctl(map_dma{iova, 4096, true, true, memory, nullptr, file.get(), 0}));
    refusing::times = 2;
    for (const std::uint64_t iova : iovas) {
        CHECK(remote.ioctl(unmap_dma{iova, 4096}).error() == error::busy);
        CHECK_FALSE(remote.dma().lease(iova, 1, device::dma_map::direction::read));
    }
    for (const std::uint64_t iova : iovas) CHECK(remote.ioctl(unmap_dma{iova, 4096}));
    CHECK(model.dma().size() == 0);
    CHECK(remote.ioctl(unmap_dma{0x1000, 4096}).error() == error::not_found);
    // As at the end of a client's connection: asked until it is done.
    REQUIRE(remote.ioctl(map_dma{0x1000, 4096, true, true, memory, nullptr, file.get(), 0}));
    refusing::times = std::numeric_limits<int>::max();
    result<void> done = error::busy;
    while (done.error() == error::busy) done = remote.ioctl(unmap_dma{0x1000, 4096});
    refusing::times = 0;
    CHECK(done);
    CHECK(remote.load(bar{0}, 0, 4).error() == error::io);
    remote.release();
    CHECK(remote.open());
    remote.release();
}

TEST_CASE("another server that is gone is an error, until it is back") {
    device::edu edu;
    stack<device::edu> bare{edu};
    std::optional<served<stack<device::edu>>> back{std::in_place, bare};
    remote_device remote{{.path = back->socket()}};
    stack<remote_device> between{remote};
    REQUIRE(between.open());
    std::array<std::byte, 4> bytes{};
    CHECK(between.read({region_index::config, 0, bytes}) == answer{4});
    back.reset();
    CHECK(between.read({region_index::config, 0, bytes}) == answer{0, error::io});
    CHECK(between.write({region_index::config, 4, bytes}) == answer{0, error::io});
    CHECK(between.ioctl(reset_device{}).error() == error::io);
    CHECK(between.ioctl(get_irq_info{irq_index::msi}).error() == error::io);
    between.release();
    CHECK_FALSE(between.open());
}

TEST_CASE("another server that is silent costs its patience once") {
    const conformance::folder where;
    const auto listening = vfio_user::unique_fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    where.socket().copy(name.sun_path, sizeof name.sun_path - 1);
    REQUIRE(::bind(listening.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
    REQUIRE(::listen(listening.get(), 1) == 0);
    remote_device remote{{.path = where.socket(), .patience = std::chrono::milliseconds{50}}};
    CHECK(remote.open().error() == error::io);
    CHECK(remote.load(bar{0}, 0, 4).error() == error::invalid); // there are no regions
}

TEST_CASE("another server that accepts nobody, or answers just in time, costs the patience of one answer") {
    const bool accepts = GENERATE(false, true);
    const conformance::folder where;
    const auto listening = vfio_user::unique_fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    where.socket().copy(name.sun_path, sizeof name.sun_path - 1);
    REQUIRE(::bind(listening.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
    REQUIRE(::listen(listening.get(), 0) == 0);
    remote_device remote{{.path = where.socket(), .patience = std::chrono::milliseconds{200}}};
    std::vector<vfio_user::unique_fd> others;
    std::thread server;
    int answered = 0;
    if (!accepts) {
        for (int i = 0; i < 8; ++i) { // more than may wait
            others.emplace_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
            static_cast<void>(::connect(others.back().get(), reinterpret_cast<const sockaddr*>(&name), sizeof name));
        }
    } else {
        server = std::thread{[&] {
            namespace wire = vfio_user::wire;
            const vfio_user::unique_fd peer{::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC)};
            for (;;) {
                const auto asked = vfio_user::receive_message(peer.get());
                if (!asked) return;
                std::this_thread::sleep_for(std::chrono::milliseconds{60});
                auto head = (*asked).header;
                head.flags = wire::type_reply;
                head.size = 0;
                const auto command = wire::command{head.command};
                const auto reply = command == wire::command::version
                                       ? vfio_user::client::compose(head, wire::version{0, 1})
                                   : command == wire::command::device_get_info
                                       ? vfio_user::client::compose(head, wire::device_info{16, 2, 9, 5})
                                       : vfio_user::client::compose(head, wire::region_info{32, 3, 0, 0, 64, 0});
                if (vfio_user::send_message(peer.get(), reply)) ++answered;
            }
        }};
    }
    CHECK(remote.open().error() == error::io);
    if (server.joinable()) server.join();
    CHECK(answered <= 4); // each of 60 ms; of eleven that would all have come
}

namespace {

/// A server by hand, which answers the VERSION of the one that connects and then misbehaves.
class hostile {
public:
    using wire_header = vfio_user::wire::header;

    template <class F>
    explicit hostile(F misbehave) {
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_.data()) == 0);
        client_ = vfio_user::client{vfio_user::unique_fd{ends_[0]}};
        end_ = vfio_user::unique_fd{ends_[1]};
        thread_ = std::thread{[this, misbehave] {
            if (const auto asked = vfio_user::receive_message(end_.get())) misbehave(end_.get(), (*asked).header);
        }};
    }
    ~hostile() {
        client_.disconnect();
        thread_.join();
    }
    [[nodiscard]] vfio_user::client& client() noexcept { return client_; }

private:
    std::array<int, 2> ends_{};
    vfio_user::client client_;
    vfio_user::unique_fd end_;
    std::thread thread_;
};

[[nodiscard]] vfio_user::wire::header reply_to(const vfio_user::wire::header& asked, std::uint32_t size) {
    return {asked.id, asked.command, size, vfio_user::wire::type_reply, 0};
}

} // namespace

TEST_CASE("patience ends though a byte comes now and then, or one command after another") {
    const bool trickles = GENERATE(true, false);
    hostile server{[trickles](int socket, const vfio_user::wire::header& asked) {
        const auto reply = vfio_user::client::compose(reply_to(asked, 1000));
        if (!trickles) {
            const auto command = vfio_user::client::compose({1, 11, 0, vfio_user::wire::no_reply, 0});
            while (vfio_user::send_message(socket, command)) {}
            return;
        }
        if (!vfio_user::send_message(socket, reply)) return;
        do std::this_thread::sleep_for(std::chrono::milliseconds{5});
        while (vfio_user::send_message(socket, std::span{reply}.first(1)));
    }};
    must(server.client().set_timeout(std::chrono::milliseconds{100}), "a limit");
    CHECK(server.client().reset().error() == error::again);
    CHECK(server.client().fd() < 0);
}

TEST_CASE("patience with commands ends though a byte comes now and then") {
    hostile server{[](int socket, const vfio_user::wire::header&) {
        const auto command = vfio_user::client::compose({1, 11, 1000, 0, 0});
        if (!vfio_user::send_message(socket, command)) return;
        do std::this_thread::sleep_for(std::chrono::milliseconds{5});
        while (vfio_user::send_message(socket, std::span{command}.first(1)));
    }};
    must(server.client().set_timeout(std::chrono::milliseconds{100}), "a limit");
    must(server.client().send(vfio_user::client::compose({1, 13, 0, 0, 0})), "a first message");
    CHECK(server.client().serve_dma(std::chrono::milliseconds{50}).error() == error::again);
}

TEST_CASE("a reply that brings descriptors without end is refused") {
    hostile server{[](int socket, const vfio_user::wire::header& asked) {
        const std::vector<int> fds(200, socket);
        const auto reply = vfio_user::client::compose(reply_to(asked, 1000));
        std::array<std::byte, 1> one{};
        bool there = static_cast<bool>(vfio_user::send_message(socket, reply, fds));
        for (int i = 0; there && i < 984; ++i)
            there = static_cast<bool>(vfio_user::send_message(socket, one, std::span{fds}.first(i < 5 ? 200 : 0)));
    }};
    CHECK(server.client().reset().error() == error{EPROTO});
}

namespace {
/// Claims more vectors than there can be.
struct boastful : device::memory_device {
    boastful() : memory_device{device_id{0x1234, 0x0001, 0, 0, 0}, {64_KiB}} {}
    template <request R>
    result<typename R::answer> ioctl(const R& what) {
        if constexpr (std::is_same_v<R, get_irq_info>)
            return get_irq_info::answer{irq_flags::eventfd | irq_flags::maskable, 0xffff'ffff};
        else
            return memory_device::ioctl(what);
    }
};
} // namespace

TEST_CASE("no more vectors are believed than a kind can have") {
    boastful model;
    stack<boastful> bare{model};
    const served back{bare};
    remote_device remote{{.path = back.socket()}};
    REQUIRE(remote.open());
    CHECK(must(remote.ioctl(get_irq_info{irq_index::msix}), "irq info").count == 2048);
    remote.release();
}

TEST_CASE("areas beyond their region are not believed") {
    const std::uint64_t end = GENERATE(0x1000u, 0x2000u);
    hostile server{[end](int socket, const vfio_user::wire::header& asked) {
        namespace wire = vfio_user::wire;
        std::array<std::byte, sizeof(wire::region_info) + sizeof(wire::sparse_mmap) + sizeof(wire::sparse_area)> body{};
        const auto tell = [&](const wire::header& to, std::uint32_t argsz, std::uint32_t size) {
            wire::store(wire::store(wire::store(body.data(), wire::region_info{argsz, 0xf, 0, 32, 0x1000, 0}),
                                    wire::sparse_mmap{1, 1, 0, 1, 0}),
                        wire::sparse_area{0, end});
            const auto reply = vfio_user::client::compose(reply_to(to, size + 16));
            return vfio_user::send_message(socket, reply) &&
                   vfio_user::send_message(socket, std::span{body}.first(size));
        };
        if (!tell(asked, body.size(), 32)) return;
        if (const auto again = vfio_user::receive_message(socket))
            (void)tell((*again).header, body.size(), body.size());
    }};
    const auto info = server.client().region_info(bar{0});
    CHECK(info.has_value() == (end == 0x1000));
}
