// SPDX-License-Identifier: BSD-3-Clause
// Cases of REGION_READ, REGION_WRITE, REGION_WRITE_MULTI and DEVICE_RESET.
#include "suite.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

namespace wire_conformance {

namespace {

constexpr const char* read_section = "VFIO_USER_REGION_READ";
constexpr const char* write_section = "VFIO_USER_REGION_WRITE";
constexpr const char* multi_section = "VFIO_USER_REGION_WRITE_MULTI";
constexpr const char* limits = "Read and Write Operations";

std::uint64_t config_size(const conversation& with) { return with.device().regions[config_region].size; }

const auto& memory(const conversation& with) {
    if (with.device().memory.size == 0) throw not_offered{"no plain memory"};
    return with.device().memory;
}

/// Both directions of an access that is to be refused.
void refused_both(conversation& with, std::uint64_t offset, std::uint32_t count, std::uint32_t region) {
    within("read", [&] { with.refused(read_of(offset, count, region)); });
    within("write", [&] { with.refused(write_of(offset, bytes(count), region)); });
}

void multi(const conversation& with) {
    if (!with.device().write_multi) throw not_offered{"no write_multiple"};
}

std::uint64_t done(const reply& came) { return at<std::uint64_t>(came.payload, 0); }

} // namespace

void add_access_cases(test_cases& to) {
    const auto add = [&](const std::string& name, const char* where, const std::string& expects, auto run) {
        to.push_back({name, where, expects, run});
    };
    add("read/config", read_section, "offset, region and count again, with as many bytes", [](conversation& with) {
        const auto ids = with.read(config_region, 0, 4);
        for (std::uint32_t width : {1u, 2u, 4u})
            for (std::uint32_t offset = 0; offset < 4; offset += width) {
                const auto part = with.read(config_region, offset, width);
                require(std::equal(part.begin(), part.end(), ids.begin() + offset),
                        "reads differently by another width");
            }
    });
    add("read/all-of-config", read_section, "all at once", [](conversation& with) {
        const auto all = with.read(config_region, 0, u32(config_size(with)));
        for (std::uint32_t offset : {0u, 8u, 0x2cu}) {
            const auto part = with.read(config_region, offset, 4);
            require(std::equal(part.begin(), part.end(), all.begin() + offset), "reads differently by another width");
        }
    });
    add("read/nothing", read_section, "an answer", [](conversation& with) { with.answered(read_of(0, 0)); });
    add("read/with-a-descriptor", read_section, "the data; nothing is kept", [](conversation& with) {
        const auto event = event_file();
        (void)with.expect(read_of(0, 4), 20, std::array{event.get()});
    });
    add("write/and-read-again", write_section, "what was written; offset, region and count in the reply",
        [](conversation& with) {
            for (const std::uint8_t value : bytes{1, 0xa5, 0xff, 0}) {
                with.write(config_region, scratch, {value});
                require(with.read(config_region, scratch, 1)[0] == value, "does not keep what was written");
            }
        });
    add("write/nothing", write_section, "an answer", [](conversation& with) { with.answered(write_of(0, {})); });
    add("write/with-a-descriptor", write_section, "success; nothing is kept", [](conversation& with) {
        const auto event = event_file();
        (void)with.expect(write_of(scratch, {1}), 16, std::array{event.get()});
    });
    for (const auto& [name, more] : {std::pair{"fewer", -1}, {"more", 1}, {"none", -4}, {"many-more", 4096}})
        add(std::string{"write/"} + name + "-bytes-than-the-count", write_section, "an error, and nothing is written",
            [more](conversation& with) {
                with.write(config_region, scratch, {0x11});
                const auto whole = write_of(scratch, {0x22, 0, 0, 0});
                with.refused(resized(whole, static_cast<std::size_t>(20 + more)));
                require(with.read(config_region, scratch, 1)[0] == 0x11, "writes what it refuses");
            });
    add("write/wild-count", write_section, "an error", [](conversation& with) {
        with.refused(message(region_write, pack(u64(scratch), config_region, ~0u, u32(0))));
    });

    add("range/at-the-end", read_section, "an error",
        [](conversation& with) { refused_both(with, config_size(with), 1, config_region); });
    add("range/over-the-end", read_section, "an error: no part of it is done",
        [](conversation& with) { refused_both(with, config_size(with) - 2, 4, config_region); });
    add("range/far-away", read_section, "an error",
        [](conversation& with) { refused_both(with, u64(1) << 40, 4, config_region); });
    add("range/wraps", read_section, "an error",
        [](conversation& with) { refused_both(with, ~u64(1), 4, config_region); });
    add("range/negative", read_section, "an error",
        [](conversation& with) { refused_both(with, u64(1) << 63, 4, config_region); });
    add("range/region-past-the-last", read_section, "an error",
        [](conversation& with) { refused_both(with, 0, 4, u32(with.device().regions.size())); });
    add("range/wild-region", read_section, "an error", [](conversation& with) { refused_both(with, 0, 4, ~0u); });
    add("range/region-without-size", read_section, "an error", [](conversation& with) {
        for (std::uint32_t i = 0; i < with.device().regions.size(); ++i)
            if (with.device().regions[i].size == 0) return refused_both(with, 0, 4, i);
        throw not_offered{"no region without a size"};
    });
    add("range/not-readable", "VFIO_USER_DEVICE_GET_REGION_INFO", "an error", [](conversation& with) {
        for (std::uint32_t i = 0; i < with.device().regions.size(); ++i)
            if (with.device().regions[i].size >= 4 && (with.device().regions[i].flags & 1) == 0)
                return with.refused(read_of(0, 4, i));
        throw not_offered{"no region that cannot be read"};
    });
    add("range/not-writable", "VFIO_USER_DEVICE_GET_REGION_INFO", "an error", [](conversation& with) {
        for (std::uint32_t i = 0; i < with.device().regions.size(); ++i)
            if (with.device().regions[i].size >= 4 && (with.device().regions[i].flags & 2) == 0)
                return with.refused(write_of(0, bytes(4), i));
        throw not_offered{"no region that cannot be written"};
    });
    add("range/over-max_data_xfer_size", limits, "an error",
        [](conversation& with) { with.refused(read_of(0, u32(with.device().max_data + 1))); });
    add("range/wild-count", limits, "an error", [](conversation& with) { with.refused(read_of(0, ~0u)); });

    add("memory/every-width", write_section, "each byte where it belongs", [](conversation& with) {
        const auto& there = memory(with);
        bytes kept = with.read(there.region, there.offset, 64);
        std::uint8_t next = 1;
        for (std::uint32_t width : {1u, 2u, 3u, 4u, 5u, 8u, 16u, 31u})
            for (std::uint32_t offset : {0u, 1u, 7u, 32u}) {
                bytes data(width);
                for (auto& each : data) each = next++;
                with.write(there.region, there.offset + offset, data);
                std::copy(data.begin(), data.end(), kept.begin() + offset);
                require(with.read(there.region, there.offset, 64) == kept, "writes elsewhere");
            }
    });
    add("memory/max_data_xfer_size", limits, "all of it, both ways", [](conversation& with) {
        const auto& there = memory(with);
        const auto size = u32(std::min(there.size, with.device().max_data));
        bytes data(size);
        for (std::size_t i = 0; i < size; ++i) data[i] = static_cast<std::uint8_t>(i * 2654435761u >> 13);
        with.write(there.region, there.offset, data);
        require(with.read(there.region, there.offset, size) == data, "does not keep what was written");
    });
    add("memory/reads-and-writes-in-one-send", "Command Concurrency", "done in order", [](conversation& with) {
        const auto& there = memory(with);
        bytes all;
        for (std::uint16_t i = 0; i < 200; ++i) {
            auto whole = i % 2 == 0 ? write_of(there.offset, pack(std::uint32_t{i}), there.region)
                                    : read_of(there.offset, 4, there.region);
            set_id(whole, i);
            all = all + whole;
        }
        with.wire().send(all);
        for (std::uint16_t i = 0; i < 200; ++i) {
            const auto came = with.answer_to(i, u16(i % 2 == 0 ? region_write : region_read));
            require(i % 2 == 0 || at<std::uint32_t>(came.payload, 16) == i - 1u,
                    "reads what was written later or before");
        }
    });

    add("multi/one", multi_section, "1 done", [](conversation& with) {
        multi(with);
        require(done(with.expect(multi_of(1, one_write(scratch, 1, 0x5a)), 8)) == 1, "does not do all");
        require(with.read(config_region, scratch, 1)[0] == 0x5a, "does not write");
    });
    add("multi/200", multi_section, "200 done, in order", [](conversation& with) {
        multi(with);
        bytes writes;
        for (std::uint64_t i = 0; i < 200; ++i) writes = writes + one_write(scratch, 1, i);
        require(done(with.expect(multi_of(200, writes), 8)) == 200, "does not do all");
        require(with.read(config_region, scratch, 1)[0] == 199, "does not write in order");
    });
    add("multi/every-width", multi_section, "of 1 to 8 bytes", [](conversation& with) {
        multi(with);
        const auto& there = memory(with);
        with.write(there.region, there.offset, bytes(64));
        bytes writes, wanted(64);
        for (std::uint32_t width = 1; width <= 8; ++width) {
            const std::uint64_t data = 0x0807060504030201 * width;
            writes = writes + one_write(there.offset + u64(8) * (width - 1), width, data, there.region);
            std::memcpy(wanted.data() + std::size_t{8} * (width - 1), &data, width);
        }
        require(done(with.expect(multi_of(8, writes), 8)) == 8, "does not do all");
        require(with.read(there.region, there.offset, 64) == wanted, "writes more or less than the counts");
    });
    add("multi/none", multi_section, "0 done, or an error", [](conversation& with) {
        multi(with);
        const auto came = with.ask(multi_of(0, {}));
        require(came.failed || done(came) == 0, "does more than there are");
        with.works();
    });
    for (const auto& [name, count] : {std::pair{"fewer-than-the-count", u64(2)},
                                      {"more-than-the-count", u64(0)},
                                      {"wild-count", ~u64(0)},
                                      {"count-that-wraps", (u64(1) << 61) + 1}})
        add(std::string{"multi/"} + name, multi_section, "an error", [count](conversation& with) {
            multi(with);
            with.refused(multi_of(count, one_write(scratch, 1, 1)));
        });
    add("multi/nine-bytes", multi_section, "an error, or not done: there are 8", [](conversation& with) {
        multi(with);
        const auto came = with.ask(multi_of(2, one_write(scratch, 1, 1) + one_write(scratch, 9, 1)));
        require(came.failed || done(came) == 1, "does what cannot be done");
        with.works();
    });
    add("multi/bad-in-the-middle", multi_section, "an error, or as many as were done before it",
        [](conversation& with) {
            multi(with);
            const auto came = with.ask(
                multi_of(3, one_write(scratch, 1, 7) + one_write(~u64(0), 4, 1) + one_write(scratch, 1, 9)));
            require(came.failed || done(came) == 1, "does what cannot be done");
            require(with.read(config_region, scratch, 1)[0] == 7, "goes on behind what failed");
            with.works();
        });
    to.push_back({"multi/not-agreed-on", "VFIO_USER_VERSION", "an error: write_multiple was not proposed",
                  [](conversation& with) {
                      (void)with.expect(version_of(R"({"capabilities":{"max_msg_fds":8}})"));
                      with.refused(multi_of(1, one_write(scratch, 1, 1)));
                  },
                  false});

    add("reset/plain", "VFIO_USER_DEVICE_RESET", "success, no payload; an error where the device has none",
        [](conversation& with) {
            if ((with.device().flags & 1) == 0) return with.refused(message(device_reset));
            (void)with.expect(message(device_reset), 0);
            with.works();
        });
    add("reset/with-a-payload", "VFIO_USER_DEVICE_RESET", "an error: it has none",
        [](conversation& with) { with.refused(message(device_reset, bytes(4))); });
    add("reset/twenty-in-one-send", "VFIO_USER_DEVICE_RESET", "all done", [](conversation& with) {
        if ((with.device().flags & 1) == 0) throw not_offered{"no reset"};
        bytes all;
        for (int i = 0; i < 20; ++i) all = all + message(device_reset);
        with.wire().send(all);
        for (int i = 0; i < 20; ++i) (void)with.answer_to(0, device_reset);
        with.works();
    });
}

} // namespace wire_conformance
