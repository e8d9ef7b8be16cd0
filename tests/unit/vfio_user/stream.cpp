// SPDX-License-Identifier: BSD-3-Clause
// Framing: a message may be split anywhere, many may come at once, descriptors belong to the right one, and whatever
// is refused leaves the stream in step.
#include "by_hand.hpp"
#include "counted_allocations.hpp"

#include <catch2/catch.hpp>

#include <cerrno>
#include <fcntl.h>

using namespace vfio_user_test;
using wire::command;

namespace {

/// A conversation that uses every command, right and wrong, with descriptors on some.
class conversation {
public:
    std::vector<outgoing> messages;

    conversation() {
        const std::array<std::byte, 5> data{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}, std::byte{5}};
        add(version(R"({"capabilities":{"max_msg_fds":16}})"));
        add(message_of(command::dma_map, wire::dma_map{32, 3, 0, 0x1000, 0x1000}), {memory.get()});
        add(message_of(command::dma_map, wire::dma_map{32, 1, 0, 0x2000, 0x1000}));
        add(message_of(command::device_get_info, wire::device_info{16, 0, 0, 0}));
        add(message_of(command::device_get_region_info, wire::region_info{32, 0, 0, 0, 0, 0}));
        add(message_of(command::device_get_region_info, wire::region_info{80, 0, 0, 0, 0, 0}));
        add(message_of(command::device_get_irq_info, wire::irq_info{16, 0, 1, 0}));
        add(message_of(command::device_set_irqs, wire::irq_set{20, 36, 1, 0, 2}), {event.get(), event.get()});
        add(read_of(region_index::config, 0, 8, 21));
        add(message_of(command{77}, wire::device_info{}), {event.get()}); // unknown, with a stray file
        add(write_of(region_index::bar1, 3, data, 22));
        add(read_of(region_index::bar1, 2, 7, 23), {memory.get()}); // a stray file
        add(client::compose({24, 10, 8, 0, 0}));                    // a size below the header's
        add(write_of(region_index::bar1, 3, data, 25, wire::no_reply));
        add(read_of(region_index::bar1, ~0ull, 7, 26));
        add(message_of(command::device_set_irqs, wire::irq_set{20, 33, 1, 0, 2}));
        add(message_of(command::device_reset));
        add(message_of(command::dma_unmap, wire::dma_unmap{24, 0, 0x1000, 0x1000}));
        add(message_of(command::dma_unmap, wire::dma_unmap{24, 2, 0, 0}));
        add(message_of(command::device_get_info, wire::device_info{16, 0, 0, 0}, {}, 27));
    }
    [[nodiscard]] std::size_t size() const {
        std::size_t all = 0;
        for (const auto& each : messages) all += each.what.size();
        return all;
    }

private:
    unique_fd memory = memory_file(0x1000);
    unique_fd event = event_file();
    void add(bytes what, std::vector<int> fds = {}) { messages.push_back({std::move(what), std::move(fds)}); }
};

} // namespace

TEST_CASE("vfio-user stream: split at every byte, and into single bytes, the replies are the same") {
    const conversation talk;
    by_hand at;
    const auto before = open_files();
    std::vector<reply> expected;
    for (const auto& each : talk.messages) {
        for (auto& one : at.exchange(each.what, each.fds)) expected.push_back(std::move(one));
    }
    REQUIRE(expected.size() == talk.messages.size() - 1); // one asked for no reply

    // Descriptors go with the first or with the second piece of their message.
    for (const bool late : {false, true}) {
        for (std::size_t split = 1; split < talk.size(); ++split) {
            at.connect();
            std::vector<reply> got;
            std::size_t place = 0;
            for (const auto& each : talk.messages) {
                const auto cut = split > place && split < place + each.what.size() ? split - place : 0;
                if (cut != 0) {
                    at.send({each.what.begin(), each.what.begin() + static_cast<std::ptrdiff_t>(cut)},
                            late ? std::vector<int>{} : each.fds);
                    at.pump();
                }
                at.send({each.what.begin() + static_cast<std::ptrdiff_t>(cut), each.what.end()},
                        cut == 0 || late ? each.fds : std::vector<int>{});
                at.pump();
                for (auto& one : at.replies()) got.push_back(std::move(one));
                place += each.what.size();
            }
            if (got != expected) FAIL("split at byte " << split << (late ? ", files late" : ""));
        }
    }

    at.connect();
    std::vector<reply> got;
    for (const auto& each : talk.messages) {
        for (std::size_t i = 0; i < each.what.size(); ++i) {
            at.send({each.what[i]}, i == 0 ? each.fds : std::vector<int>{});
            at.pump();
        }
        for (auto& one : at.replies()) got.push_back(std::move(one));
    }
    CHECK(got == expected);
    CHECK(at.device.host.irqs.bound(irq_index::msi, 1));
    at.server.reset();
    CHECK_FALSE(at.device.host.irqs.bound(irq_index::msi, 1));
    CHECK(open_files() == before - 1); // but for the server's end of the socket
    CHECK(at.device.opens == at.device.releases);
}

TEST_CASE("vfio-user stream: a whole conversation at once is answered in order, each file on its own message") {
    const conversation talk;
    by_hand at;
    std::vector<reply> expected;
    for (const auto& each : talk.messages) {
        for (auto& one : at.exchange(each.what, each.fds)) expected.push_back(std::move(one));
    }
    at.connect();
    for (const auto& each : talk.messages) at.send(each.what, each.fds); // all lie there before the server looks
    at.pump();
    CHECK(at.replies() == expected);
}

TEST_CASE("vfio-user stream: messages before the one that a descriptor came with get none") {
    by_hand at;
    at.negotiate();
    const auto memory = memory_file(0x1000);
    const auto without = message_of(command::dma_map, wire::dma_map{32, 3, 0, 0x1000, 0x1000});
    const auto with = message_of(command::dma_map, wire::dma_map{32, 3, 0, 0x2000, 0x1000});
    at.send(without);
    at.send(with, std::array{memory.get()});
    at.send(message_of(command::dma_map, wire::dma_map{32, 3, 0, 0x3000, 0x1000}));
    at.pump();
    CHECK(at.replies().size() == 3);
    using direction = mediant::device::dma_map::direction;
    CHECK(at.device.host.dma.translate(0x1000, 1, direction::read).error() == error::not_supported);
    CHECK(at.device.host.dma.translate(0x2000, 1, direction::read));
    CHECK(at.device.host.dma.translate(0x3000, 1, direction::read).error() == error::not_supported);
}

TEST_CASE("vfio-user stream: two messages whose files come close together keep them apart") {
    by_hand at;
    at.negotiate();
    const auto first = memory_file(0x1000), second = memory_file(0x2000);
    const auto a = message_of(command::dma_map, wire::dma_map{32, 3, 0, 0x1000, 0x1000});
    const auto b = message_of(command::dma_map, wire::dma_map{32, 3, 0x1000, 0x2000, 0x1000});
    at.send({a.begin(), a.begin() + 20}, std::array{first.get()}); // a's file comes with its first part,
    at.pump();
    at.send(bytes(a.begin() + 20, a.end()) + b, std::array{second.get()}); // b's with the rest of a
    at.pump();
    const auto all = at.replies();
    REQUIRE(all.size() == 2);
    CHECK(all[0].flags == wire::type_reply);
    CHECK(all[1].flags == wire::type_reply); // the offset fits the second file alone
}

TEST_CASE("vfio-user stream: many accesses in one send are answered by one") {
    by_hand at;
    at.negotiate();
    bytes batch;
    for (std::uint16_t i = 0; i < 64; ++i) batch = std::move(batch) + read_of(region_index::config, i, 4, i);
    at.send(batch);
    at.server->receive(); // once
    std::array<std::byte, 64 * 36 + 1> got;
    REQUIRE(::recv(at.peer.fd(), got.data(), got.size(), MSG_DONTWAIT) == 64 * 36);
    for (std::uint16_t i = 0; i < 64; ++i) {
        const auto head = wire::load<wire::header>(std::span{got}.subspan(i * 36u));
        CHECK(head.id == i);
        CHECK(got[i * 36u + 32] == static_cast<std::byte>(i));
    }
}

TEST_CASE("vfio-user stream: NO_REPLY silences good messages and bad ones") {
    by_hand at;
    at.negotiate();
    const std::array data{std::byte{9}};
    const auto quiet = write_of(region_index::bar1, 0, data, 1, wire::no_reply) +
                       read_of(region_index::bar1, 0, 4, 2, wire::no_reply) +
                       read_of(region_index::bar1, ~0ull, 4, 3, wire::no_reply) +
                       read_of(region_index::bar3, 8, 4, 3, wire::no_reply) +
                       message_of(command{1234}, 4, wire::no_reply) +
                       message_of(command::device_get_region_info, wire::region_info{80, 0, 0, 0, 0, 0}, {}, 5,
                                  wire::no_reply) +
                       client::compose({5, 9, 3, wire::no_reply, 0});
    const auto all = at.exchange(quiet + read_of(region_index::bar1, 0, 1, 99));
    REQUIRE(all.size() == 1);
    CHECK(all[0].id == 99);
    CHECK(all[0].payload.back() == std::byte{9});
    CHECK(at.device.accesses == 4);
}

TEST_CASE("vfio-user stream: the body of a message that is too long is thrown away") {
    by_hand at;
    at.negotiate();
    const auto before = open_files();
    const auto event = event_file();
    const std::uint32_t long_size = 5 << 20;
    at.send(client::compose({40, 10, long_size, 0, 0}), std::array{event.get()});
    at.pump();
    auto all = at.replies();
    REQUIRE(all.size() == 1);
    CHECK(all[0].error == EINVAL);
    CHECK(all[0].id == 40);
    const bytes junk(60'000, std::byte{0x41});
    std::size_t left = long_size - 16;
    while (left != 0) { // the body looks like nothing else than messages, and is not taken for any
        const auto now = std::min(left, junk.size());
        at.send({junk.begin(), junk.begin() + static_cast<std::ptrdiff_t>(now)},
                left % 3 == 0 ? std::vector{event.get()} : std::vector<int>{});
        left -= now;
        if (left == 0) at.send(message_of(command::device_reset, 41)); // right behind it
        at.pump();
    }
    all = at.replies();
    REQUIRE(all.size() == 1);
    CHECK(all[0].id == 41);
    CHECK(all[0].flags == wire::type_reply);
    CHECK(open_files() == before + 1);
}

TEST_CASE("vfio-user stream: descriptors that do not belong, or are too many, are closed") {
    by_hand at;
    at.negotiate();
    const auto before = open_files();
    {
        const auto event = event_file();
        const std::vector<int> many(most_fds, event.get());
        const auto ask = message_of(command::device_get_info, wire::device_info{16, 0, 0, 0});
        const std::vector<int> allowed(16, event.get());
        CHECK(at.error_of(ask, allowed) == 0);   // not its business
        CHECK(at.error_of(ask, many) == EINVAL); // over what was agreed on
        CHECK(at.error_of(message_of(command::device_set_irqs, wire::irq_set{20, 36, 2, 0, most_fds}), many) == EINVAL);
        // Again and again within one message
        const auto slow = write_of(region_index::bar1, 0, bytes(64));
        for (const auto each : slow) {
            at.send({each}, many);
            at.pump();
        }
        const auto all = at.replies();
        REQUIRE(all.size() == 1);
        CHECK(all[0].error == E2BIG);
        CHECK(at.alive());
    }
    CHECK(open_files() == before);
}

TEST_CASE("vfio-user stream: a client that does not read is waited for, within bounds") {
    by_hand at;
    at.negotiate();
    ::fcntl(at.peer.fd(), F_SETFL, O_NONBLOCK);
    bytes batch;
    std::uint16_t sent = 0;
    // 64 KiB each until nothing moves any more: both socket buffers and the server's own are full.
    for (int still = 0; still < 2;) {
        const auto one = read_of(region_index::bar1, 0, 64 * 1024, sent);
        if (::send(at.peer.fd(), one.data(), one.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(one.size())) {
            ++sent;
            still = 0;
        } else {
            ++still;
        }
        at.pump();
        REQUIRE(sent < 20'000);
    }
    CHECK_FALSE(at.server->wants_to_read());
    CHECK(at.server->wants_to_write());
    const auto done = at.device.accesses.load();
    CHECK(done < 40); // the others wait as requests of 32 bytes
    at.pump();
    CHECK(at.device.accesses == done);

    ::fcntl(at.peer.fd(), F_SETFL, 0);
    std::thread mover{[&] {
        (void)eventually([&] {
            at.pump();
            return at.device.accesses == sent && at.server->idle();
        });
    }};
    std::uint16_t next = 0;
    while (next < sent) {
        const auto came = at.peer.receive();
        if (!came) break;
        if (came->header.id != next || came->payload.size() != 16 + 64 * 1024) break;
        ++next;
    }
    mover.join();
    CHECK(next == sent);
    CHECK(at.alive());
}

TEST_CASE("vfio-user stream: a long batch with long replies lets others have their turn") {
    by_hand at;
    at.negotiate();
    std::thread reader{[&] {
        for (std::uint16_t i = 0; i < 100; ++i) {
            const auto came = at.peer.receive();
            if (!came || came->header.id != i) return;
        }
    }};
    bytes batch;
    for (std::uint16_t i = 0; i < 100; ++i) batch = std::move(batch) + read_of(region_index::bar1, 0, 1 << 20, i);
    at.send(batch);
    CHECK(eventually([&] {
        at.pump();
        return at.device.accesses == 100 && at.server->idle();
    }));
    reader.join();
    CHECK(at.alive());
}

TEST_CASE("vfio-user stream: no allocation for an access") {
    by_hand at;
    at.negotiate();
    const std::array<std::byte, 4> data{};
    const auto one = read_of(region_index::config, 0, 4) + write_of(region_index::bar1, 0, data) +
                     write_of(region_index::bar1, 0, data, 7, wire::no_reply) + read_of(region_index::bar3, 8, 4) +
                     message_of(command{55}) +
                     message_of(command::device_get_region_info, wire::region_info{80, 0, 0, 0, 0, 0}) +
                     message_of(command::device_get_irq_info, wire::irq_info{16, 0, 1, 0}) +
                     message_of(command::device_set_irqs, wire::irq_set{20, 33, 1, 0, 1});
    std::array<std::byte, 4096> sink;
    const auto before = allocations;
    for (int i = 0; i < 1000; ++i) {
        (void)::send(at.peer.fd(), one.data(), one.size(), MSG_NOSIGNAL);
        at.server->receive();
        (void)::recv(at.peer.fd(), sink.data(), sink.size(), 0);
        (void)::recv(at.peer.fd(), sink.data(), sink.size(), MSG_DONTWAIT);
        (void)::recv(at.peer.fd(), sink.data(), sink.size(), MSG_DONTWAIT);
    }
    CHECK(allocations == before);
    CHECK(at.device.accesses == 4000);
}
