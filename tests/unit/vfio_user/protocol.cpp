// SPDX-License-Identifier: BSD-3-Clause
// VERSION, the information commands and accesses: valid forms and malformed ones; after each error the next message
// works.
#include "messages.hpp"

#include <catch2/catch.hpp>

#include <cerrno>
#include <thread>
#include <utility>

using namespace vfio_user_test;
using wire::command;

TEST_CASE("vfio-user: VERSION is agreed on") {
    by_hand at;
    SECTION("the minor is the lesser one") {
        for (const auto& [asked, given] : {std::pair{0, 0}, {1, 1}, {2, 2}, {77, 2}}) {
            at.connect();
            const auto all = at.exchange(version({}, {0, static_cast<std::uint16_t>(asked)}));
            REQUIRE(all.size() == 1);
            const auto got = wire::load<wire::version>(all[0].payload);
            CHECK(got.major == 0);
            CHECK(got.minor == given);
            CHECK(all[0].flags == wire::type_reply);
            CHECK(all[0].id == 7);
            CHECK(at.device.opens - at.device.releases == 1);
        }
    }
    SECTION("the capabilities say the limits") {
        const auto all = at.exchange(version(R"({"capabilities":{"max_msg_fds":16,"novel":[1,{}]},"other":null})"));
        REQUIRE(all.size() == 1);
        const auto ours = parse_capabilities(std::span{all[0].payload}.subspan(4));
        REQUIRE(ours);
        CHECK(ours->max_msg_fds == at.options.max_msg_fds);
        CHECK(ours->max_data_xfer_size == at.options.max_data_xfer);
        CHECK(ours->max_dma_maps == at.options.max_dma_maps);
        CHECK(ours->pgsizes == 4096);
        CHECK_FALSE(ours->write_multiple);
        CHECK_FALSE(ours->twin_socket);
    }
    SECTION("what QEMU sends") {
        CHECK(at.error_of(
                  version(R"({"capabilities": {"pgsizes": 4294971392, "max_msg_fds": 16, "max_dma_maps": 65535,)"
                          R"( "max_data_xfer_size": 1048576, "migration": {"pgsize": 4096}, "write_multiple": true}})",
                          {0, 0})) == 0);
        CHECK(at.alive());
    }
    SECTION("what is unknown, twice there, or filled up with NULs is no harm") {
        for (const std::string& text :
             {std::string{R"({})"}, std::string{R"({"capabilities":{"max_msg_fds":1,"max_msg_fds":2}})"},
              std::string{R"({"capabilities":{"twin_socket":{"supported":false,"fd_index":3,"more":[]}}})"},
              std::string{"{}\0\0\0", 5}, R"({"a":)" + std::string(8000, '[') + std::string(8000, ']') + "}"}) {
            at.connect();
            CHECK(at.error_of(version(text)) == 0);
            CHECK(at.alive());
        }
    }
    SECTION("a second one is an error and the connection lives") {
        at.negotiate();
        CHECK(at.error_of(version()) == EINVAL);
        CHECK(at.alive());
    }
    SECTION("without a reply") {
        CHECK(at.exchange(message_of(command::version, wire::version{0, 2}, {}, 7, wire::no_reply)).empty());
        CHECK(at.alive());
    }
}

TEST_CASE("vfio-user: a first message that is no acceptable VERSION is refused and the connection closed") {
    const auto bad = GENERATE(
        values<bytes>({version({}, {1, 0}),
                       cut(version(), 16),
                       cut(version(), 19),
                       message_of(command::version, wire::version{0, 2}, std::as_bytes(std::span{"{}", 2})), // no NUL
                       version("{"),
                       version("[]"),
                       version("nul"),
                       version(R"({"capabilities":[]})"),
                       version(R"({"capabilities":{"max_msg_fds":"8"}})"),
                       version(R"({"capabilities":{"max_msg_fds":-1}})"),
                       version(R"({"capabilities":{"max_msg_fds":1025}})"),
                       version(R"({"capabilities":{"max_msg_fds":1.5}})"),
                       version(R"({"capabilities":{"pgsizes":0}})"),
                       version(R"({"capabilities":{"pgsizes":"4k"}})"),
                       version(R"({"capabilities":{"migration":{"pgsize":3}}})"),
                       version(R"({"capabilities":{"migration":1}})"),
                       version(R"({"capabilities":{"twin_socket":true}})"),
                       version(R"({"capabilities":{"write_multiple":1}})"),
                       version(R"({"capabilities":{"write_multiple":"true"}})"),
                       version(R"({"capabilities":{"twin_socket":{"supported":1}}})"),
                       version(R"({"capabilities":{"twin_socket":{"supported":true,"fd_index":-1}}})"),
                       version(R"({"capabilities":{"twin_socket":{"supported":true,"fd_index":"0"}}})"),
                       version(R"({"capabilities":{"twin_socket":{"supported":true,"fd_index":1024}}})"),
                       version(R"({"capabilities":{"max_data_xfer_size":-1}})"),
                       version(R"({"capabilities":{"max_data_xfer_size":1e3}})"),
                       version(R"({"capabilities":{"max_data_xfer_size":18446744073709551616}})"),
                       version(R"({"capabilities":{"max_dma_maps":4294967296}})"),
                       version(R"({"capabilities":{"max_dma_maps":null}})"),
                       version(R"({"capabilities":null})"),
                       version(R"({"capabilities":{}} x)"),
                       version(R"({"capabilities":{}},)"),
                       version(R"({"capabilities":{},})"),
                       version(R"({'capabilities':{}})"),
                       version(" "),
                       version(std::string(10000, '[')),
                       version(R"({"a":)" + std::string(8000, '[') + std::string(8000, ']')),
                       version(std::string{"{}\0{}", 5}),
                       version(std::string(20000, ' ') + "{}"),
                       version("{\"a\":\"\xff\"}"),
                       message_of(command::device_reset),
                       message_of(command{99}),
                       message_of(command::version, wire::version{0, 2}, {}, 7, wire::type_reply)}));
    by_hand at;
    const auto all = at.exchange(bad);
    REQUIRE(all.size() == 1);
    CHECK(all[0].flags == (wire::type_reply | wire::error_flag));
    CHECK(all[0].error == EINVAL);
    CHECK(all[0].id == 7);
    CHECK(at.server->closed());
    CHECK(at.device.opens == 0);
}

TEST_CASE("vfio-user: a device that does not open refuses the client") {
    by_hand at;
    at.device.open_error = error::no_device;
    CHECK(at.error_of(version()) == ENODEV);
    CHECK(at.server->closed());
    CHECK(at.device.releases == 0);
    at.device.open_error = error::none;
    at.connect();
    at.negotiate();
    CHECK(at.alive());
}

TEST_CASE("vfio-user: DEVICE_GET_INFO, GET_IRQ_INFO and RESET") {
    by_hand at;
    at.negotiate();
    const auto info = message_of(command::device_get_info, wire::device_info{16, 0, 0, 0});
    auto all = at.exchange(info);
    REQUIRE(all.size() == 1);
    const auto got = wire::load<wire::device_info>(all[0].payload);
    CHECK(all[0].payload.size() == 16);
    CHECK(got.argsz == 16);
    CHECK(got.flags == (VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET));
    CHECK(got.regions == fixed_regions);
    CHECK(got.irqs == fixed_irqs);
    CHECK(at.error_of(grown(info, 8)) == 0);
    CHECK(at.error_of(cut(info, 31)) == EINVAL);
    CHECK(at.error_of(cut(info, 16)) == EINVAL);
    CHECK(at.error_of(message_of(command::device_get_info, wire::device_info{15, 0, 0, 0})) == EINVAL);

    const auto irq = [](std::uint32_t index, std::uint32_t argsz = 16) {
        return message_of(command::device_get_irq_info, wire::irq_info{argsz, 0, index, 0});
    };
    all = at.exchange(irq(2));
    REQUIRE(all.size() == 1);
    const auto msix = wire::load<wire::irq_info>(all[0].payload);
    CHECK(msix.index == 2);
    CHECK(msix.count == 2048);
    CHECK(msix.flags == (VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE));
    CHECK(at.error_of(irq(5)) == EINVAL);
    CHECK(at.error_of(irq(0xffffffff)) == EINVAL);
    CHECK(at.error_of(irq(0, 15)) == EINVAL);
    CHECK(at.error_of(cut(irq(0), 31)) == EINVAL);

    CHECK(at.error_of(message_of(command::device_reset)) == 0);
    CHECK(at.device.resets == 1);
    CHECK(at.error_of(grown(message_of(command::device_reset), 1)) == EINVAL);
    CHECK(at.device.resets == 1);
    CHECK(at.alive());
}

TEST_CASE("vfio-user: what is not there yet, or never will be, is an error and the stream goes on") {
    by_hand at;
    at.negotiate();
    CHECK(at.error_of(grown(message_of(command::region_write_multi), 24)) == ENOTSUP);
    for (const auto what : {command::mig_data_read, command::mig_data_write})
        CHECK(at.error_of(grown(message_of(what), 24)) == ENOTTY);
    for (const auto what :
         {command{0}, command{14}, command{19}, command{0xffff}, command::dma_read, command::dma_write}) {
        CHECK(at.error_of(grown(message_of(what), 100)) == EINVAL);
    }
    for (const std::uint32_t type : {1u, 2u, 15u}) {
        CHECK(at.error_of(message_of(command::device_reset, 7, type)) == EINVAL);
    }
    CHECK(at.error_of(message_of(command::device_reset, 7, 0xffffffc0u)) == 0); // reserved flags
    CHECK(at.alive());
}

TEST_CASE("vfio-user: DEVICE_GET_REGION_INFO tells sizes, areas and files") {
    by_hand at;
    at.negotiate();
    const auto ask = [&](std::uint32_t index, std::uint32_t argsz) {
        const auto all = at.exchange(region_info_of(index, argsz));
        REQUIRE(all.size() == 1);
        REQUIRE((all[0].flags & wire::error_flag) == 0);
        return std::pair{wire::load<wire::region_info>(all[0].payload), all[0]};
    };
    SECTION("not mappable") {
        const auto [info, raw] = ask(1, 32);
        CHECK(info.argsz == 32);
        CHECK(info.flags == 3);
        CHECK(info.index == 1);
        CHECK(info.size == fake_device::bar1_size);
        CHECK(raw.fds == 0);
        CHECK(raw.payload.size() == 32);
        CHECK(ask(8, 32).first.size == 0); // VGA: not there
    }
    SECTION("mappable whole: a file and no capability") {
        const auto [info, raw] = ask(2, 32);
        CHECK(info.argsz == 32);
        CHECK(info.flags == 7);
        CHECK(raw.fds == 1);
    }
    SECTION("mappable in parts: the room needed first, areas and file when there is room") {
        const auto [small, first] = ask(0, 32);
        CHECK(small.argsz == 32 + 16 + 2 * 16);
        CHECK(small.cap_offset == 0);
        CHECK(first.payload.size() == 32);
        CHECK(first.fds == 0);
        CHECK(ask(0, small.argsz - 1).second.fds == 0);
        for (const std::uint32_t room : {small.argsz, small.argsz + 100, 0xffffffffu}) {
            const auto [info, raw] = ask(0, room);
            CHECK(info.argsz == small.argsz);
            CHECK(info.flags == 15);
            CHECK(info.cap_offset == 32);
            CHECK(raw.payload.size() == small.argsz);
            CHECK(raw.fds == 1);
            const auto sparse = wire::load<wire::sparse_mmap>(std::span{raw.payload}.subspan(32));
            CHECK(sparse.id == VFIO_REGION_INFO_CAP_SPARSE_MMAP);
            CHECK(sparse.version == 1);
            CHECK(sparse.next == 0);
            CHECK(sparse.areas == 2);
            const auto second = wire::load<wire::sparse_area>(std::span{raw.payload}.subspan(64));
            CHECK(second.offset == 0x2000);
            CHECK(second.size == 0x2000);
        }
    }
    SECTION("a client that takes no files gets none, and is told that it cannot map") {
        at.connect();
        at.negotiate(R"({"capabilities":{"max_msg_fds":0}})");
        const auto [info, raw] = ask(2, 32);
        CHECK(info.flags == 3);
        CHECK(raw.fds == 0);
    }
    SECTION("malformed") {
        CHECK(at.error_of(region_info_of(9)) == EINVAL);
        CHECK(at.error_of(region_info_of(0xffffffff)) == EINVAL);
        CHECK(at.error_of(region_info_of(0, 31)) == EINVAL);
        CHECK(at.error_of(region_info_of(0, 0)) == EINVAL);
        CHECK(at.error_of(cut(region_info_of(0), 47)) == EINVAL);
        CHECK(at.error_of(cut(region_info_of(0), 16)) == EINVAL);
        CHECK(at.alive());
    }
}

TEST_CASE("vfio-user: REGION_READ and REGION_WRITE") {
    by_hand at;
    at.negotiate();
    bytes data(64);
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i + 1);

    SECTION("what was written is read") {
        for (const std::size_t size : {1u, 2u, 3u, 4u, 8u, 64u}) {
            const auto part = bytes(data.begin(), data.begin() + static_cast<std::ptrdiff_t>(size));
            auto all = at.exchange(write_of(region_index::bar1, 0x101, part));
            REQUIRE(all.size() == 1);
            CHECK(all[0].payload.size() == 16); // the access, no data
            CHECK(wire::load<wire::region_access>(all[0].payload).count == size);
            all = at.exchange(read_of(region_index::bar1, 0x101, static_cast<std::uint32_t>(size)));
            REQUIRE(all.size() == 1);
            const auto head = wire::load<wire::region_access>(all[0].payload);
            CHECK(head.offset == 0x101);
            CHECK(head.region == 1);
            CHECK(head.count == size);
            CHECK(bytes(all[0].payload.begin() + 16, all[0].payload.end()) == part);
        }
    }
    SECTION("as large as agreed, and no larger") {
        bytes large(1 << 20);
        for (std::size_t i = 0; i < large.size(); ++i) large[i] = static_cast<std::byte>(i >> 3 ^ i);
        std::thread sender{[&] { at.send(write_of(region_index::bar1, 0x80000, large)); }};
        std::vector<reply> all;
        REQUIRE(eventually([&] {
            at.pump();
            for (auto& each : at.replies()) all.push_back(std::move(each));
            return !all.empty();
        }));
        sender.join();
        CHECK(wire::load<wire::region_access>(all[0].payload).count == large.size());

        bytes back;
        std::thread reader{[&] {
            auto came = at.peer.receive();
            if (came) back = std::move((*came).payload);
        }};
        at.send(read_of(region_index::bar1, 0x80000, 1 << 20));
        REQUIRE(eventually([&] {
            at.pump();
            return at.server->idle();
        }));
        reader.join();
        REQUIRE(back.size() == 16 + large.size());
        CHECK(std::equal(large.begin(), large.end(), back.begin() + 16));

        CHECK(at.error_of(read_of(region_index::bar1, 0, (1 << 20) + 1)) == EINVAL);
        CHECK(at.error_of(read_of(region_index::bar1, 0, 0xffffffff)) == EINVAL);
    }
    SECTION("nothing") {
        const auto all = at.exchange(read_of(region_index::bar1, 0, 0) + write_of(region_index::bar1, 5, {}));
        REQUIRE(all.size() == 2);
        for (const auto& each : all) {
            CHECK(each.flags == wire::type_reply);
            CHECK(each.payload.empty());
        }
        CHECK(at.device.accesses == 0);
    }
    SECTION("past the end, and other nonsense") {
        CHECK(at.error_of(read_of(region_index::config, 252, 4)) == 0);
        CHECK(at.error_of(read_of(region_index::config, 253, 4)) == EINVAL);
        CHECK(at.error_of(read_of(region_index::config, 256, 1)) == EINVAL);
        CHECK(at.error_of(read_of(region_index::config, ~0ull, 1)) == EINVAL);
        CHECK(at.error_of(read_of(region_index::config, ~0ull - 3, 8)) == EINVAL);
        CHECK(at.error_of(write_of(region_index::config, 250, data)) == EINVAL);
        CHECK(at.error_of(read_of(region_index::vga, 0, 1)) == EINVAL);
        CHECK(at.error_of(read_of(region_index{9}, 0, 1)) == EINVAL);
        CHECK(at.error_of(read_of(region_index{0xffffffff}, 0, 1)) == EINVAL);
        CHECK(at.error_of(write_of(region_index::rom, 0, data)) == EINVAL); // read only
        CHECK(at.error_of(read_of(region_index::rom, 0, 4)) == 0);
        CHECK(at.error_of(cut(read_of(region_index::bar1, 0, 4), 31)) == EINVAL);
        CHECK(at.error_of(cut(read_of(region_index::bar1, 0, 4), 16)) == EINVAL);
        CHECK(at.error_of(grown(read_of(region_index::bar1, 0, 4), 4)) == EINVAL);
        CHECK(at.error_of(cut(write_of(region_index::bar1, 0, data), 31)) == EINVAL);
        CHECK(at.error_of(cut(write_of(region_index::bar1, 0, data), 95)) == EINVAL);
        CHECK(at.error_of(grown(write_of(region_index::bar1, 0, data), 1)) == EINVAL);
        CHECK(at.error_of(message_of(command::region_write,
                                     wire::region_access{0, r32(region_index::bar1), 0xffffffff})) == EINVAL);
        CHECK(at.alive());
    }
    SECTION("a fault partway is a short count, a fault at once its errno") {
        auto all = at.exchange(read_of(region_index::bar3, 4, 8));
        REQUIRE(all.size() == 1);
        CHECK(all[0].flags == wire::type_reply);
        CHECK(wire::load<wire::region_access>(all[0].payload).count == 4);
        CHECK(all[0].payload.size() == 16 + 4);
        all = at.exchange(write_of(region_index::bar3, 4, std::span{data}.first(8)));
        CHECK(wire::load<wire::region_access>(all.at(0).payload).count == 4);
        CHECK(at.error_of(read_of(region_index::bar3, 8, 4)) == EIO);
        CHECK(at.error_of(write_of(region_index::bar3, 8, std::span{data}.first(4))) == EIO);
        CHECK(at.alive());
    }
}
