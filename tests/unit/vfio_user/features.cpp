// SPDX-License-Identifier: BSD-3-Clause
// REGION_WRITE_MULTI, DEVICE_FEATURE, bitmaps of DMA_UNMAP and REGION_IO_FDS: valid forms and malformed ones; after each
// error the next message works.
#include "messages.hpp"

#include <catch2/catch.hpp>

#include <cerrno>

using namespace vfio_user_test;
using wire::command;

namespace {

constexpr std::uint32_t get = VFIO_DEVICE_FEATURE_GET, set = VFIO_DEVICE_FEATURE_SET, probe = VFIO_DEVICE_FEATURE_PROBE;
constexpr std::uint32_t log_start = VFIO_DEVICE_FEATURE_DMA_LOGGING_START;
constexpr std::uint32_t log_stop = VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP;
constexpr std::uint32_t log_report = VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT;

template <class... T>
bytes packed(const T&... all) {
    bytes out;
    (
        [&] {
            const auto raw = std::as_bytes(std::span{&all, 1});
            out.insert(out.end(), raw.begin(), raw.end());
        }(),
        ...);
    return out;
}
bytes feature_of(std::uint32_t flags, const bytes& data = {}, std::uint32_t argsz = 4096) {
    return message_of(command::device_feature, wire::device_feature{argsz, flags}, data);
}
bytes start_of(std::uint64_t page, const std::vector<wire::logging_range>& ranges) {
    bytes data = packed(wire::logging_start{page, static_cast<std::uint32_t>(ranges.size()), 0});
    for (const auto& each : ranges) data = std::move(data) + packed(each);
    return feature_of(set | log_start, data);
}
bytes report_of(std::uint64_t iova, std::uint64_t length, std::uint64_t page, std::uint32_t argsz = 4096) {
    return feature_of(get | log_report, packed(wire::logging_report{iova, length, page}), argsz);
}

/// One reply, which is no error.
bytes payload_of(by_hand& at, const bytes& what, std::span<const int> fds = {}) {
    const auto all = at.exchange(what, fds);
    REQUIRE(all.size() == 1);
    CHECK(all[0].error == 0);
    REQUIRE(all[0].flags == wire::type_reply);
    return all[0].payload;
}
/// The bitmap of a report, one word.
std::uint64_t dirty(by_hand& at, std::uint64_t iova, std::uint64_t length, std::uint64_t page = 4096) {
    const auto payload = payload_of(at, report_of(iova, length, page));
    REQUIRE(payload.size() == 40);
    CHECK(wire::load<wire::device_feature>(payload).argsz == 40);
    return wire::load<std::uint64_t>(std::span{payload}.subspan(32));
}

} // namespace

TEST_CASE("vfio-user: REGION_WRITE_MULTI") {
    by_hand at;
    const auto agreed = at.exchange(version(R"({"capabilities":{"max_msg_fds":16,"write_multiple":true}})"));
    REQUIRE(agreed.size() == 1);
    CHECK(parse_capabilities(std::span{agreed[0].payload}.subspan(4))->write_multiple);
    const auto send = [&](const std::vector<wire::region_write>& writes, std::uint64_t count) {
        bytes list = packed(count);
        for (const auto& each : writes) list = std::move(list) + packed(each);
        bytes whole = message_of(command::region_write_multi) + list;
        const auto size = static_cast<std::uint32_t>(whole.size());
        std::memcpy(whole.data() + 4, &size, sizeof size);
        return whole;
    };
    const auto done = [&](const std::vector<wire::region_write>& writes) {
        const auto payload = payload_of(at, send(writes, writes.size()));
        REQUIRE(payload.size() == 8);
        return wire::load<std::uint64_t>(payload);
    };
    const auto held = [&](std::uint64_t offset) {
        std::uint64_t value = 0;
        REQUIRE(at.device.read({region_index::bar1, offset, std::as_writable_bytes(std::span{&value, 1})}).count == 8);
        return value;
    };
    SECTION("in order, of any size to 8") {
        CHECK(done({{0, 1, 8, 0x1111111111111111}, {4, 1, 4, 0x22222222}, {8, 1, 1, 0xffaa}, {4, 1, 2, 0x3333}}) == 4);
        CHECK(held(0) == 0x2222333311111111);
        CHECK(held(8) == 0xaa);
        CHECK(done({}) == 0);
        CHECK(done({{16, 1, 0, 7}, {16, 1, 8, 9}}) == 2); // of no bytes: nothing is written
        CHECK(held(16) == 9);
    }
    SECTION("the first that fails is the last") {
        CHECK(done({{0, 1, 8, 1}, {0, 3, 8, 1}, {8, 3, 4, 1}, {8, 1, 8, 2}}) == 2); // BAR 3 faults from 8 on
        CHECK(held(0) == 1);
        CHECK(held(8) == 0);
        CHECK(done({{0, 1, 8, 3}, {~0ull, 1, 8, 4}}) == 1);
        CHECK(done({{0, 1, 8, 5}, {0, 99, 8, 4}}) == 1);
        CHECK(done({{0, 1, 8, 6}, {0, 1, 9, 4}}) == 1);
        CHECK(at.error_of(send({{8, 3, 4, 1}}, 1)) == EIO);
        CHECK(at.error_of(send({{0, 6, 4, 1}}, 1)) == EINVAL); // read only
        CHECK(done({{0, 1, 8, 7}, {4, 3, 8, 0}}) == 1);        // short counts as failed
        CHECK(held(0) == 7);
    }
    SECTION("malformed") {
        for (const std::uint64_t count : {0ull, 2ull, ~0ull, 1ull << 61, (1ull << 61) + 1})
            CHECK(at.error_of(send({{0, 1, 8, 1}}, count)) == EINVAL);
        CHECK(at.error_of(cut(send({{0, 1, 8, 1}}, 1), 16 + 8 + 23)) == EINVAL);
        CHECK(at.error_of(grown(send({{0, 1, 8, 1}}, 1), 1)) == EINVAL);
        CHECK(at.error_of(cut(send({}, 0), 16 + 7)) == EINVAL);
        CHECK(at.error_of(message_of(command::region_write_multi)) == EINVAL);
        CHECK(held(0) == 0);
    }
    SECTION("without a reply") {
        auto posted = send({{0, 1, 8, 77}}, 1);
        const std::uint32_t flags = wire::no_reply;
        std::memcpy(posted.data() + 8, &flags, sizeof flags);
        CHECK(at.exchange(posted).empty());
        CHECK(held(0) == 77);
    }
    CHECK(at.alive());
}

TEST_CASE("vfio-user: probes of features") {
    by_hand at;
    at.negotiate();
    const auto probed = [&](std::uint32_t flags) { return at.error_of(feature_of(probe | flags)); };
    for (std::uint32_t feature = 0; feature < 40; ++feature) {
        CAPTURE(feature);
        const bool sets = feature == log_start || feature == log_stop;
        const bool gets = feature == log_report;
        CHECK(probed(feature) == (sets || gets ? 0 : ENOTTY));
        CHECK(probed(set | feature) == (sets ? 0 : ENOTTY));
        CHECK(probed(get | feature) == (gets ? 0 : ENOTTY));
        CHECK(probed(get | set | feature) == ENOTTY);
        if (!gets) CHECK(at.error_of(feature_of(get | feature)) == ENOTTY);
        if (!sets) CHECK(at.error_of(feature_of(set | feature)) == ENOTTY);
        CHECK(at.error_of(feature_of(feature)) == EINVAL);             // no method
        CHECK(at.error_of(feature_of(get | set | feature)) == EINVAL); // both
    }
    CHECK(probed(0xffff) == ENOTTY);
    const bytes echoed = payload_of(at, feature_of(probe | set | log_start, bytes(16)));
    CHECK(echoed.size() == 24); // as it was sent
    CHECK(at.error_of(feature_of(probe | log_start | 1u << 19)) == EINVAL);
    CHECK(at.error_of(feature_of(probe | log_start, {}, 7)) == EINVAL);
    CHECK(at.error_of(cut(feature_of(probe | log_start), 16 + 7)) == EINVAL);
    at.device.no_logging = true;
    for (const std::uint32_t feature : {log_start, log_stop, log_report}) CHECK(probed(feature) == ENOTTY);
    CHECK(at.alive());
}

TEST_CASE("vfio-user: DMA logging") {
    by_hand at;
    at.negotiate();
    auto& dma = at.device.host.dma;
    const auto memory = memory_file(0x10000);
    REQUIRE(at.error_of(map_of(0x10000, 0x10000, 3), std::array{memory.get()}) == 0);
    const std::array<std::byte, 2> two{};
    const auto write = [&](std::uint64_t iova) { REQUIRE(dma.write(iova, two).count == 2); };

    SECTION("what is written is reported once") {
        CHECK(at.error_of(report_of(0x10000, 0x10000, 4096)) == EINVAL); // not started
        const auto started = payload_of(at, start_of(4096, {{0x10000, 0x8000}, {0x1c000, 0x4000}}));
        CHECK(wire::load<wire::logging_start>(std::span{started}.subspan(8)).page == 4096);
        CHECK(started.size() == 8 + 16 + 32);
        for (const std::uint64_t iova : {0x10000ull, 0x12fffull, 0x17ffeull, 0x19000ull, 0x1f000ull}) write(iova);
        CHECK(dirty(at, 0x10000, 0x4000) == 0b1101);
        CHECK(dirty(at, 0x10000, 0x10000) == 0b1000'0000'1000'0000);
        CHECK(dirty(at, 0x10000, 0x10000) == 0);
        write(0x11000);
        CHECK(dirty(at, 0x10000, 0x10000, 0x4000) == 1);
        CHECK(at.error_of(feature_of(set | log_stop)) == 0);
        CHECK(at.error_of(report_of(0x10000, 0x10000, 4096)) == EINVAL);
    }
    SECTION("a client that takes too little is told how much there is, and nothing is forgotten") {
        REQUIRE(at.error_of(start_of(4096, {})) == 0);
        write(0x12000);
        const auto told = payload_of(at, report_of(0x10000, 0x10000, 4096, 39));
        CHECK(told.size() == 32);
        CHECK(wire::load<wire::device_feature>(told).argsz == 40);
        CHECK(dirty(at, 0x10000, 0x10000) == 4);
    }
    SECTION("long reports come in one piece") {
        constexpr std::uint64_t length = 1ull << 32;
        REQUIRE(at.error_of(start_of(4096, {{0, length}})) == 0);
        write(0x1e000);
        dma.log().mark(length - 1, 1);
        dma.log().mark(64 * 1024 * 4096 - 1, 2); // across two pieces of the device's answer
        const auto came = payload_of(at, report_of(0, length, 4096, 1 << 20));
        REQUIRE(came.size() == 32 + length / 4096 / 8);
        const auto bits = std::span{came}.subspan(32);
        std::vector<std::uint64_t> set_bits;
        for (std::uint64_t i = 0; i < length / 4096; ++i)
            if ((std::to_integer<unsigned>(bits[i / 8]) >> (i % 8) & 1) != 0) set_bits.push_back(i);
        CHECK(set_bits == std::vector<std::uint64_t>{0x1e, 64 * 1024 - 1, 64 * 1024, (1u << 20) - 1});
        CHECK(at.error_of(report_of(0, 1ull << 48, 4096, ~0u)) == EINVAL); // over any message
    }
    SECTION("malformed") {
        CHECK(at.error_of(start_of(0, {})) == EINVAL);
        CHECK(at.error_of(start_of(4095, {})) == EINVAL);
        CHECK(at.error_of(start_of(4096, {{0, 0}})) == EINVAL);
        CHECK(at.error_of(start_of(4096, {{~0ull, 2}})) == EINVAL);
        CHECK(at.error_of(start_of(4096, {{0, 4096}, {0, 4096}})) == EINVAL);
        CHECK(at.error_of(start_of(4096, {{0, ~0ull}})) == E2BIG);
        CHECK(at.error_of(start_of(4096, std::vector<wire::logging_range>(2049, {0, 0}))) == E2BIG);
        CHECK(at.error_of(cut(start_of(4096, {{0, 4096}}), 16 + 8 + 16 + 15)) == EINVAL);
        CHECK(at.error_of(grown(start_of(4096, {{0, 4096}}), 16)) == EINVAL);
        CHECK(at.error_of(feature_of(set | log_start, bytes(15))) == EINVAL);
        CHECK(at.error_of(feature_of(set | log_start, packed(wire::logging_start{4096, ~0u, 0}))) == E2BIG);
        REQUIRE(at.error_of(start_of(4096, {{0x10000, 0x10000}})) == 0);
        write(0x10000);
        CHECK(at.error_of(feature_of(get | log_report, bytes(23))) == EINVAL);
        CHECK(at.error_of(feature_of(get | log_report, bytes(24))) == EINVAL);
        CHECK(at.error_of(report_of(0x10000, 0x10000, 0)) == EINVAL);
        CHECK(at.error_of(report_of(0x10000, 0x10000, 2048)) == EINVAL);
        CHECK(at.error_of(report_of(0x10001, 0x10000, 4096)) == EINVAL);
        CHECK(at.error_of(report_of(0x10000, 0x10001, 4096)) == EINVAL);
        CHECK(at.error_of(report_of(~0xfffull, 0x2000, 4096)) == EINVAL);
        CHECK(dirty(at, 0x10000, 0x10000) == 1); // nothing was forgotten
    }
    SECTION("it ends with the client") {
        REQUIRE(at.error_of(start_of(4096, {})) == 0);
        at.connect();
        at.negotiate();
        CHECK_FALSE(dma.log().running());
        CHECK(at.error_of(report_of(0x10000, 0x10000, 4096)) == EINVAL);
    }
    CHECK(at.alive());
}

TEST_CASE("vfio-user: DMA_UNMAP with a bitmap of what was written") {
    by_hand at;
    at.negotiate();
    auto& dma = at.device.host.dma;
    const auto memory = memory_file(0x8000);
    REQUIRE(at.error_of(map_of(0x10000, 0x8000, 3), std::array{memory.get()}) == 0);
    const auto unmap = [&](std::uint64_t page, std::uint64_t size, std::uint32_t argsz = 48, std::uint32_t flags = 1) {
        return message_of(command::dma_unmap, wire::dma_unmap{argsz, flags, 0x10000, 0x8000},
                          packed(wire::dirty_bitmap{page, size}));
    };
    CHECK(at.error_of(unmap(4096, 8)) == EINVAL); // nothing is logged
    REQUIRE(at.error_of(start_of(4096, {})) == 0);
    const std::array<std::byte, 1> one{};
    REQUIRE(dma.write(0x13000, one).count == 1);
    CHECK(at.error_of(unmap(4096, 7)) == EINVAL);
    CHECK(at.error_of(unmap(4096, 8, 47)) == EINVAL);
    CHECK(at.error_of(unmap(3000, 8)) == EINVAL);
    CHECK(at.error_of(unmap(0, 8)) == EINVAL);
    CHECK(at.error_of(unmap(0x10000, 8)) == EINVAL);
    CHECK(at.error_of(unmap(4096, 8, 48, 3)) == EINVAL); // all at once has none
    CHECK(at.error_of(cut(unmap(4096, 8), 16 + 24 + 15)) == EINVAL);
    at.device.unmap_error = error::busy;
    CHECK(at.error_of(unmap(4096, 8)) == EBUSY);
    at.device.unmap_error = error::none;
    at.device.no_logging = true;
    CHECK(at.error_of(unmap(4096, 8)) == ENOTSUP);
    at.device.no_logging = false;
    CHECK(dma.size() == 1);
    const auto came = payload_of(at, unmap(4096, 64));
    REQUIRE(came.size() == 48);
    CHECK(wire::load<wire::dma_unmap>(came).argsz == 48);
    CHECK(wire::load<wire::dirty_bitmap>(std::span{came}.subspan(24)).size == 8);
    CHECK(wire::load<std::uint64_t>(std::span{came}.subspan(40)) == 8);
    CHECK(dma.size() == 0);
    CHECK(at.alive());
}

TEST_CASE("vfio-user: DEVICE_GET_REGION_IO_FDS") {
    by_hand at;
    at.negotiate();
    const auto ask = [](std::uint32_t argsz, std::uint32_t flags, std::uint32_t index) {
        return message_of(command::device_get_region_io_fds, wire::io_fds{argsz, flags, index, 0});
    };
    const auto came = payload_of(at, ask(16, 0, 2));
    const auto info = wire::load<wire::io_fds>(came);
    CHECK(came.size() == 16);
    CHECK((info.argsz == 16 && info.index == 2 && info.count == 0));
    CHECK(at.error_of(ask(15, 0, 2)) == EINVAL);
    CHECK(at.error_of(ask(16, 1, 2)) == EINVAL);
    CHECK(at.error_of(ask(16, 0, 99)) == EINVAL);
    CHECK(at.error_of(cut(ask(16, 0, 2), 16 + 15)) == EINVAL);
    CHECK(at.alive());
}
