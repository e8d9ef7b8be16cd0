// SPDX-License-Identifier: BSD-3-Clause
// Cases of the header, and of the stream that messages come in.
#include "suite.hpp"

#include <array>
#include <cstdint>
#include <string>

namespace wire_conformance {

namespace {

constexpr const char* section = "Header";

void bad_size(conversation& with, std::uint32_t size) {
    auto odd = info_of();
    odd.resize(header_size);
    set_size(odd, size);
    with.refused(odd);
}

/// What a message of too many bytes brings must not be taken for messages.
void too_long(conversation& with) {
    const std::uint64_t size = with.device().max_data + (std::uint64_t{8} << 20);
    auto odd = read_of(0, 4);
    set_size(odd, u32(size));
    const auto id = with.send(odd);
    bytes rest;
    // Looks like commands, in case somebody takes it for some.
    while (rest.size() + odd.size() + 32 <= size) rest = rest.empty() ? info_of() : rest + rest;
    rest.resize(size - odd.size());
    with.wire().send(rest);
    require(with.answer_to(id, region_read).failed, "succeeds");
    with.works();
}

/// Sends the message in two pieces, cut at each byte.
void split(conversation& with, const bytes& whole, const bytes& undo = {}, bool with_file = false) {
    for (std::size_t cut = 1; cut < whole.size(); ++cut) {
        within("at byte " + std::to_string(cut), [&] {
            auto now = whole;
            const auto id = static_cast<std::uint16_t>(cut);
            set_id(now, id);
            const auto file = memory_file(1 << 20);
            const std::array fds{file.get()};
            const std::span<const std::uint8_t> all{now};
            with.wire().send(all.first(cut), with_file ? std::span<const int>{fds} : std::span<const int>{});
            with.wire().settle();
            with.wire().send(all.subspan(cut));
            const auto came = with.answer_to(id, at<std::uint16_t>(whole, 2));
            require(!came.failed, "fails with " + name_of(came.error));
            if (!undo.empty()) (void)with.expect(undo);
        });
    }
    with.works();
}

/// Hangs up after each byte of the message; the next client is served.
void cut_off(conversation& with, const bytes& whole, bool agree = true) {
    for (std::size_t cut = 0; cut <= whole.size(); ++cut) {
        within("at byte " + std::to_string(cut), [&] {
            with.wire().send(std::span{whole}.first(cut));
            with.hang_up();
            with.connect(agree);
        });
    }
    if (agree) return with.works();
    (void)with.expect(version_of(usual_capabilities));
}

} // namespace

void add_header_cases(test_cases& to) {
    const auto add = [&](const std::string& name, const std::string& expects, auto run, const char* where = section) {
        to.push_back({"header/" + name, where, expects, run});
    };
    add("any-id", "each reply has the ID of its command", [](conversation& with) {
        for (const unsigned id : {0u, 1u, 0x8000u, 0xffffu}) {
            auto whole = info_of();
            set_id(whole, u16(id));
            with.wire().send(whole);
            (void)with.answer_to(u16(id), get_info);
        }
    });
    add("one-id-for-many", "IDs may repeat: five replies with it", [](conversation& with) {
        bytes all;
        for (int i = 0; i < 5; ++i) {
            auto whole = i % 2 == 0 ? info_of() : read_of(0, 4);
            set_id(whole, 77);
            all = all + whole;
        }
        with.wire().send(all);
        for (int i = 0; i < 5; ++i)
            require(!with.answer_to(77, u16(i % 2 == 0 ? get_info : region_read)).failed, "fails");
    });
    for (const std::uint32_t what : {0u, 19u, 100u, 0xffffu})
        add(
            "unknown-command/" + std::to_string(what), "an error, and the next command works",
            [what](conversation& with) { with.refused(message(u16(what), bytes(16))); }, "Commands");
    for (const auto& [name, what] : {std::pair{"DMA_READ", dma_read}, {"DMA_WRITE", dma_write}})
        add(
            std::string{"from-a-client/"} + name, "an error: this command is the server's",
            [what](conversation& with) { with.refused(message(what, pack(u64(0), u64(16)) + bytes(16))); }, "Commands");
    add("unasked-reply", "the next command works", [](conversation& with) {
        auto odd = message(get_info, {}, type_reply);
        set_id(odd, 999);
        with.wire().send(odd);
        const auto id = with.send(info_of());
        auto came = with.wire().receive();
        // A server may say that it wanted none.
        if (came.id == 999) came = with.wire().receive();
        require(came.id == id && !came.failed, "the next command is not answered");
    });
    for (const std::uint32_t type : {2u, 15u})
        add("type/" + std::to_string(type), "an error, and the next command works", [type](conversation& with) {
            with.refused(message(get_info, pack(u32(16), u32(0), u32(0), u32(0)), type));
        });
    for (const std::uint32_t size : {0u, 1u, 15u})
        add("size/" + std::to_string(size), "an error: less than the header itself; the next command works",
            [size](conversation& with) { bad_size(with, size); });
    add("size/too-long", "an error; none of its bytes is taken for a message", too_long);
    add("error-field", "reserved in a command: it works", [](conversation& with) {
        auto whole = info_of();
        std::memset(whole.data() + 12, 0xff, 4);
        (void)with.expect(whole, 16);
    });
    add("no-reply/success", "no reply", [](conversation& with) {
        auto quiet = info_of();
        quiet[8] |= no_reply;
        (void)with.send(quiet);
        with.works();
    });
    add("no-reply/failure", "no reply, of an error neither", [](conversation& with) {
        auto quiet = region_info_of(0xffff);
        quiet[8] |= no_reply;
        (void)with.send(quiet);
        with.works();
    });
    add("no-reply/unknown-command", "no reply", [](conversation& with) {
        (void)with.send(message(100, {}, no_reply));
        with.works();
    });
    add(
        "no-reply/comes-first", "it is done before the reply to the command behind it",
        [](conversation& with) {
            for (std::uint8_t value = 1; value < 20; ++value) {
                (void)with.send(write_of(scratch, {value}, config_region, no_reply));
                require(with.read(config_region, scratch, 1)[0] == value, "is overtaken by the command behind it");
            }
        },
        "Command Concurrency");
    add("error-is-a-header", "no payload in the reply", [](conversation& with) {
        const auto came = with.ask(read_of(~u64(0), 4));
        require(came.failed, "succeeds"); // and peer::receive() has looked at the rest
        require(came.fds.empty(), "sends descriptors with an error");
    });
}

void add_stream_cases(test_cases& to) {
    const auto add = [&](const std::string& name, const std::string& expects, auto run, bool agree = true,
                         const char* where = section) {
        to.push_back({"stream/" + name, where, expects, run, agree});
    };
    add("split/DEVICE_GET_INFO", "cut at any byte it works", [](conversation& with) { split(with, info_of()); });
    add("split/REGION_READ", "cut at any byte it works", [](conversation& with) { split(with, read_of(0, 4)); });
    add("split/REGION_WRITE", "cut at any byte it works",
        [](conversation& with) { split(with, write_of(scratch, {1})); });
    add("split/DMA_MAP", "cut at any byte it works",
        [](conversation& with) { split(with, map_of(0x10000, 0x1000), unmap_of(0x10000, 0x1000)); });
    add("split/DMA_MAP-with-a-file", "cut at any byte it works",
        [](conversation& with) { split(with, map_of(0x10000, 0x1000), unmap_of(0x10000, 0x1000), true); });
    add("byte-by-byte", "it works", [](conversation& with) {
        for (int i = 0; i < 20; ++i) {
            auto whole = i % 2 == 0 ? info_of() : read_of(0, 4);
            set_id(whole, u16(std::uint64_t(i)));
            for (const std::uint8_t each : whole) {
                with.wire().send({&each, 1});
                with.wire().settle();
            }
        }
        for (int i = 0; i < 20; ++i)
            require(!with.answer_to(u16(std::uint64_t(i)), u16(i % 2 == 0 ? get_info : region_read)).failed, "fails");
    });
    add(
        "many-in-one-send", "as many replies, in order",
        [](conversation& with) {
            bytes all;
            for (std::uint16_t i = 0; i < 500; ++i) {
                auto whole = i % 2 == 0 ? info_of() : read_of(0, 4);
                set_id(whole, i);
                all = all + whole;
            }
            with.wire().send(all);
            for (std::uint16_t i = 0; i < 500; ++i)
                require(!with.answer_to(i, u16(i % 2 == 0 ? get_info : region_read)).failed, "fails");
        },
        true, "Command Concurrency");
    add("one-and-a-half", "the whole one is answered before the rest has come", [](conversation& with) {
        auto first = info_of();
        auto second = read_of(0, 4);
        set_id(first, 1);
        set_id(second, 2);
        const auto both = first + second;
        const std::size_t cut = first.size() + second.size() / 2;
        with.wire().send(std::span{both}.first(cut));
        (void)with.answer_to(1, get_info);
        with.wire().send(std::span{both}.subspan(cut));
        (void)with.answer_to(2, region_read);
    });
    add("good-after-each-bad", "errors and replies in order", [](conversation& with) {
        bytes all;
        for (std::uint16_t i = 0; i < 100; ++i) {
            auto whole = i % 4 == 0   ? message(100)
                         : i % 4 == 1 ? info_of()
                         : i % 4 == 2 ? resized(read_of(0, 4), 3)
                                      : read_of(0, 4);
            set_id(whole, i);
            all = all + whole;
        }
        with.wire().send(all);
        constexpr std::array<std::uint16_t, 4> commands{100, get_info, region_read, region_read};
        for (std::uint16_t i = 0; i < 100; ++i)
            require(with.answer_to(i, commands[i % 4]).failed == (i % 2 == 0), "good and bad are mixed up");
    });
    add(
        "flood",
        "20,000 commands, none of whose replies is read before the server takes no more: all answered, in order",
        [](conversation& with) {
            constexpr int count = 20'000;
            bytes all;
            for (int i = 0; i < count; ++i) {
                auto whole = read_of(0, 64);
                set_id(whole, u16(std::uint64_t(i)));
                all.insert(all.end(), whole.begin(), whole.end());
            }
            with.wire().send(all);
            for (int i = 0; i < count; ++i) (void)with.answer_to(u16(std::uint64_t(i)), region_read);
        },
        true, "Command Concurrency");
    add(
        "flood-without-replies", "100,000 posted reads, and the one behind them is answered",
        [](conversation& with) {
            auto one = read_of(0, 64);
            one[8] |= no_reply;
            bytes all;
            for (int i = 0; i < 1000; ++i) all.insert(all.end(), one.begin(), one.end());
            for (int i = 0; i < 100; ++i) with.wire().send(all);
            with.works();
        },
        true, "Command Concurrency");

    constexpr const char* end = "Client Disconnection";
    add(
        "cut-off/VERSION", "at any byte; the next client is served",
        [](conversation& with) { cut_off(with, version_of(usual_capabilities), false); }, false, end);
    add(
        "cut-off/DEVICE_GET_INFO", "at any byte; the next client is served",
        [](conversation& with) { cut_off(with, info_of()); }, true, end);
    add(
        "cut-off/REGION_WRITE", "at any byte; the next client is served",
        [](conversation& with) { cut_off(with, write_of(scratch, {1})); }, true, end);
    add(
        "cut-off/DMA_MAP", "at any byte; the next client is served",
        [](conversation& with) { cut_off(with, map_of(0x10000, 0x1000)); }, true, end);
    add(
        "cut-off/replies-unread", "the next client is served",
        [](conversation& with) {
            for (int round = 0; round < 5; ++round) {
                bytes all;
                for (int i = 0; i < 500; ++i) all = all + read_of(0, 64);
                with.wire().send(all);
                with.hang_up();
                with.connect();
            }
            with.works();
        },
        true, end);
    add(
        "half-closed", "what was sent before is served, or the connection ends; the next client is served",
        [](conversation& with) {
            with.wire().send(info_of() + info_of());
            with.wire().finish();
            with.wire().expect_end();
            with.connect();
            with.works();
        },
        true, end);
    add(
        "many-clients", "200 in turn",
        [](conversation& with) {
            for (int i = 0; i < 200; ++i) with.connect();
            with.works();
        },
        true, end);
    add(
        "second-client", "does not disturb the first",
        [](conversation& with) {
            const auto other = with.another();
            for (int i = 0; i < 10; ++i) with.works();
        },
        true, "Socket");
}

} // namespace wire_conformance
