// SPDX-License-Identifier: BSD-3-Clause
// Cases of DMA_MAP and DMA_UNMAP.
#include "suite.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <string>
#include <thread>

namespace wire_conformance {

namespace {

constexpr const char* map_section = "VFIO_USER_DMA_MAP";
constexpr const char* unmap_section = "VFIO_USER_DMA_UNMAP";
constexpr std::uint64_t place = 0x100000;
constexpr std::uint64_t size = 0x10000;

void maps(conversation& with, const bytes& whole, std::span<const int> fds = {}) { (void)with.expect(whole, 0, fds); }

/// Maps, then sends `second`, which is to be refused as it overlaps.
void overlaps(conversation& with, const bytes& second) {
    maps(with, map_of(place, size));
    with.refused(second, EEXIST);
    (void)with.expect(unmap_of(place, size), 24);
}

/// Whether nobody has the file mapped so that it could be written: only then can it be sealed.
bool let_go(int file) { return ::fcntl(file, F_ADD_SEALS, F_SEAL_WRITE) == 0; }

void not_a_file(conversation& with, int fd) {
    const std::array fds{fd};
    with.refused(map_of(place, size), 0, fds);
    maps(with, map_of(place, size)); // nothing of it is left
}

} // namespace

void add_dma_cases(test_cases& to) {
    const auto add = [&](const std::string& name, const std::string& expects, auto run,
                         const char* where = map_section) {
        to.push_back({name, where, expects, run});
    };
    add("map/with-a-file", "success, no payload", [](conversation& with) {
        const auto file = memory_file(size);
        maps(with, map_of(place, size), std::array{file.get()});
        with.works();
    });
    add("map/without-a-file", "success, no payload", [](conversation& with) { maps(with, map_of(place, size)); });
    add("map/read-only", "success", [](conversation& with) { maps(with, map_of(place, size, 1)); });
    add("map/write-only", "success", [](conversation& with) { maps(with, map_of(place, size, 2)); });
    add("map/offset-in-the-file", "success", [](conversation& with) {
        const auto file = memory_file(2 * size);
        maps(with, map_of(place, size, 3, size), std::array{file.get()});
    });
    add("map/several", "success; beside each other is not over each other", [](conversation& with) {
        for (std::uint64_t i = 0; i < 8; ++i) maps(with, map_of(place + i * size, size));
    });
    add("map/at-the-end", "success: the last page of the address space", [](conversation& with) {
        maps(with, map_of(~u64(0xfff), 0x1000));
        (void)with.expect(unmap_of(~u64(0xfff), 0x1000), 24);
    });
    add("map/over/the-same", "EEXIST", [](conversation& with) { overlaps(with, map_of(place, size)); });
    add("map/over/other-flags", "EEXIST", [](conversation& with) { overlaps(with, map_of(place, size, 1)); });
    add("map/over/head", "EEXIST", [](conversation& with) { overlaps(with, map_of(place - 0x1000, 0x2000)); });
    add("map/over/tail", "EEXIST", [](conversation& with) { overlaps(with, map_of(place + size - 0x1000, 0x2000)); });
    add("map/over/inside", "EEXIST", [](conversation& with) { overlaps(with, map_of(place + 0x1000, 0x1000)); });
    add("map/over/around", "EEXIST", [](conversation& with) { overlaps(with, map_of(place - 0x1000, size + 0x2000)); });
    add("map/over/with-a-file", "EEXIST, and the file is let go", [](conversation& with) {
        maps(with, map_of(place, size));
        const auto file = memory_file(size);
        with.refused(map_of(place + 0x1000, 0x1000), EEXIST, std::array{file.get()});
        require(let_go(file.get()), "holds the file");
    });
    add("map/empty", "an error", [](conversation& with) { with.refused(map_of(place, 0)); });
    add("map/wraps", "an error", [](conversation& with) { with.refused(map_of(~u64(0xfff), 0x2000)); });
    add("map/wraps-to-all", "an error", [](conversation& with) { with.refused(map_of(0x2000, ~u64(0xfff))); });
    add("map/file-offset-wraps", "an error", [](conversation& with) {
        const auto file = memory_file(size);
        with.refused(map_of(place, size, 3, ~u64(0xfff)), 0, std::array{file.get()});
    });
    add(
        "map/misaligned-address", "an error: 4 KiB pages are what is supported",
        [](conversation& with) { with.refused(map_of(place + 0x800, 0x1000)); }, "VFIO_USER_VERSION");
    add(
        "map/misaligned-size", "an error: 4 KiB pages are what is supported",
        [](conversation& with) { with.refused(map_of(place, 0x1800)); }, "VFIO_USER_VERSION");
    add("map/unknown-flags", "an error", [](conversation& with) { with.refused(map_of(place, size, 0x83)); });
    add("map/argsz-too-small", "an error: it is the size of the structure",
        [](conversation& with) { with.refused(map_of(place, size, 3, 0, 31)); });
    add("map/two-files", "an error, and both are let go", [](conversation& with) {
        const auto one = memory_file(size);
        const auto two = memory_file(size);
        with.refused(map_of(place, size), 0, std::array{one.get(), two.get()});
        require(let_go(one.get()) && let_go(two.get()), "holds a file");
    });
    add("map/past-the-file's-end", "success or an error; the next command works", [](conversation& with) {
        const auto file = memory_file(0x1000);
        with.answered(map_of(place, size), std::array{file.get()});
    });
    add("map/an-eventfd", "an error: it cannot be mapped",
        [](conversation& with) { not_a_file(with, event_file().get()); });
    add("map/a-pipe", "an error: it cannot be mapped", [](conversation& with) {
        std::array<int, 2> ends{};
        require(::pipe2(ends.data(), O_CLOEXEC) == 0, "no pipe here");
        const unique_fd in{ends[0]}, out{ends[1]};
        not_a_file(with, in.get());
    });
    add("map/a-read-only-file", "an error: it cannot be mapped as it is to be", [](conversation& with) {
        const auto file = memory_file(size);
        const unique_fd again{::open(("/proc/self/fd/" + std::to_string(file.get())).c_str(), O_RDONLY | O_CLOEXEC)};
        with.refused(map_of(place, size), 0, std::array{again.get()});
    });
    add(
        "map/as-many-as-announced", "success of max_dma_maps, and an error of one more",
        [](conversation& with) {
            const std::uint32_t most = with.device().max_maps;
            constexpr std::uint32_t batch = 256;
            for (std::uint32_t done = 0; done <= most; done += batch) {
                const auto end = std::min(done + batch, most + 1);
                bytes all;
                for (auto i = done; i < end; ++i) {
                    auto whole = map_of(place + i * u64(0x1000), 0x1000);
                    set_id(whole, u16(i));
                    all = all + whole;
                }
                with.wire().send(all);
                for (auto i = done; i < end; ++i) {
                    const auto came = with.answer_to(u16(i), dma_map);
                    require(!came.failed || i == most, "takes " + std::to_string(i));
                    require(came.failed || i != most, "takes more than it announces");
                }
            }
            with.works();
        },
        "VFIO_USER_VERSION");

    add(
        "unmap/exact", "success, with the entry",
        [](conversation& with) {
            maps(with, map_of(place, size));
            const auto came = with.expect(unmap_of(place, size), 24);
            require(at<std::uint64_t>(came.payload, 8) == place && at<std::uint64_t>(came.payload, 16) == size,
                    "answers with another entry");
            with.refused(unmap_of(place, size)); // there is none now
        },
        unmap_section);
    add(
        "unmap/releases", "the file is let go before the reply",
        [](conversation& with) {
            for (int i = 0; i < 50; ++i) {
                const auto file = memory_file(size);
                maps(with, map_of(place, size), std::array{file.get()});
                (void)with.expect(unmap_of(place, size), 24);
                require(let_go(file.get()), "holds the file");
            }
        },
        unmap_section);
    for (const auto& [name, whole] : {std::pair{"unknown", unmap_of(place - size, size)},
                                      {"head", unmap_of(place, 0x1000)},
                                      {"tail", unmap_of(place + size - 0x1000, 0x1000)},
                                      {"inside", unmap_of(place + 0x1000, 0x1000)},
                                      {"around", unmap_of(place - 0x1000, size + 0x2000)},
                                      {"two-at-once", unmap_of(place, 2 * size)},
                                      {"empty", unmap_of(place, 0)},
                                      {"wraps", unmap_of(place, ~u64(0xfff))}})
        add(
            std::string{"unmap/"} + name, "an error: not exactly one mapping; all stay",
            [whole](conversation& with) {
                maps(with, map_of(place, size));
                maps(with, map_of(place + size, size));
                with.refused(whole);
                (void)with.expect(unmap_of(place, size), 24);
                (void)with.expect(unmap_of(place + size, size), 24);
            },
            unmap_section);
    add(
        "unmap/argsz-too-small", "an error, and it stays",
        [](conversation& with) {
            maps(with, map_of(place, size));
            with.refused(unmap_of(place, size, 0, 23));
            (void)with.expect(unmap_of(place, size), 24);
        },
        "Message sizes");
    add(
        "unmap/and-map-again", "200 times",
        [](conversation& with) {
            for (int i = 0; i < 200; ++i) {
                maps(with, map_of(place, size));
                (void)with.expect(unmap_of(place, size), 24);
            }
        },
        unmap_section);
    add(
        "unmap/at-the-client's-end", "the files are let go",
        [](conversation& with) {
            std::vector<unique_fd> files;
            for (std::uint64_t i = 0; i < 8; ++i) {
                files.push_back(memory_file(size));
                maps(with, map_of(place + i * size, size), std::array{files.back().get()});
            }
            with.hang_up();
            with.connect();
            for (const auto& each : files) require(let_go(each.get()), "holds the file");
            maps(with, map_of(place, size)); // those of another client are no obstacle
        },
        "Client Disconnection");
}

} // namespace wire_conformance
