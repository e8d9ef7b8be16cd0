// SPDX-License-Identifier: BSD-3-Clause
// Cases of what a client asks about: the device, its regions and its kinds of interrupts.
#include "suite.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <string>

namespace wire_conformance {

namespace {

constexpr std::uint32_t can_map = 4;
constexpr std::uint32_t has_caps = 8;

/// Region info with all capabilities: asked again with the size that is needed.
reply region_info(conversation& with, std::uint32_t index) {
    auto came = with.expect(region_info_of(index));
    const auto needed = at<std::uint32_t>(came.payload, 0);
    require(came.payload.size() >= 32, "answers with less than a region info");
    require(needed >= 32, "needs less than a region info");
    require(came.payload.size() <= 32, "answers with more than was asked for");
    if (needed > 32) {
        came = with.expect(region_info_of(index, needed));
        require(at<std::uint32_t>(came.payload, 0) == needed, "needs another size each time");
        require(came.payload.size() == needed, "does not send what it needed room for");
    }
    require(at<std::uint32_t>(came.payload, 8) == index, "answers about another region");
    return came;
}

void look_at(conversation& with, std::uint32_t index) {
    const auto came = region_info(with, index);
    const auto flags = at<std::uint32_t>(came.payload, 4);
    const auto size = at<std::uint64_t>(came.payload, 16);
    if ((flags & can_map) != 0) {
        require(!came.fds.empty(), "says that it can be mapped and sends no file");
        require(size != 0, "has nothing that could be mapped");
    } else {
        require(came.fds.empty(), "sends a file of what cannot be mapped");
    }
    auto cap = (flags & has_caps) != 0 ? at<std::uint32_t>(came.payload, 12) : 0u;
    require((flags & has_caps) == 0 || cap != 0, "has capabilities and says nowhere");
    std::vector<std::array<std::uint64_t, 2>> areas;
    for (int links = 0; cap != 0; ++links) {
        require(links < 16, "has capabilities without end");
        require(cap >= 32 && cap + std::size_t{8} <= came.payload.size(), "has a capability outside of the reply");
        if (at<std::uint16_t>(came.payload, cap) == 1) {
            require(at<std::uint16_t>(came.payload, cap + 2) == 1, "has a sparse mmap capability of another version");
            const auto count = at<std::uint32_t>(came.payload, cap + 8);
            require(cap + 16 + std::uint64_t{16} * count <= came.payload.size(), "has areas outside of the reply");
            for (std::size_t i = 0; i < count; ++i)
                areas.push_back({at<std::uint64_t>(came.payload, cap + 16 + 16 * i),
                                 at<std::uint64_t>(came.payload, cap + 24 + 16 * i)});
        }
        cap = at<std::uint32_t>(came.payload, cap + 4);
    }
    if ((flags & can_map) == 0) return;
    if (areas.empty()) areas.push_back({0, size});
    for (const auto& [offset, length] : areas) {
        require(length != 0 && offset < size && length <= size - offset, "has an area outside of the region");
        void* const there = ::mmap(nullptr, length, PROT_READ, MAP_SHARED, came.fds[0].get(),
                                   static_cast<off_t>(at<std::uint64_t>(came.payload, 24) + offset));
        require(there != MAP_FAILED, "has an area that cannot be mapped");
        ::munmap(there, length);
    }
}

/// `each(region, reply)` for what has sub-regions that are told by descriptors.
template <class F>
void for_io_fds(conversation& with, F each) {
    bool any = false;
    for (std::uint32_t i = 0; i < with.device().regions.size(); ++i) {
        const auto came = with.ask(io_fds_of(i));
        if (came.failed || came.payload.size() < 16 || at<std::uint32_t>(came.payload, 12) == 0) continue;
        any = true;
        within("region " + std::to_string(i), [&] { each(i, came); });
    }
    if (!any) throw not_offered{"no sub-regions with descriptors"};
}

} // namespace

void add_information_cases(test_cases& to) {
    const auto add = [&](const std::string& name, const char* section, const std::string& expects, auto run) {
        to.push_back({name, section, expects, run});
    };
    constexpr const char* info = "VFIO_USER_DEVICE_GET_INFO";
    constexpr const char* region = "VFIO_USER_DEVICE_GET_REGION_INFO";
    constexpr const char* io_fds = "VFIO_USER_DEVICE_GET_REGION_IO_FDS";
    constexpr const char* irq = "VFIO_USER_DEVICE_GET_IRQ_INFO";
    constexpr const char* sizes = "Message sizes";

    add("info/plain", info, "16 bytes: argsz 16, a PCI device with its regions and interrupts", [](conversation& with) {
        const auto came = with.expect(info_of(), 16);
        require(at<std::uint32_t>(came.payload, 0) == 16, "needs another size than it sends");
        require((at<std::uint32_t>(came.payload, 4) & 2) != 0, "is no PCI device");
        require(at<std::uint32_t>(came.payload, 8) > config_region, "has no config space");
    });
    add("info/argsz-larger", sizes, "16 bytes all the same", [](conversation& with) {
        require(at<std::uint32_t>(with.expect(info_of(4096), 16).payload, 0) == 16, "needs another size than it sends");
    });
    add("info/argsz-too-small", sizes, "an error: less than the reply's fixed part",
        [](conversation& with) { with.refused(info_of(15)); });

    add("region-info/all", region, "of each region: argsz, flags, areas that can be mapped, a file where flags say so",
        [](conversation& with) {
            for (std::uint32_t i = 0; i < with.device().regions.size(); ++i)
                within("region " + std::to_string(i), [&] { look_at(with, i); });
        });
    add("region-info/again", region, "the same each time, and no descriptor is left over", [](conversation& with) {
        for (std::uint32_t i = 0; i < with.device().regions.size(); ++i) {
            const auto first = region_info(with, i);
            for (int round = 0; round < 10; ++round)
                require(region_info(with, i).payload == first.payload, "answers differently each time");
        }
    });
    add("region-info/pipelined", region, "each file with its own reply", [](conversation& with) {
        std::vector<std::size_t> files;
        std::vector<std::uint32_t> argsz;
        for (std::uint32_t i = 0; i < with.device().regions.size(); ++i) {
            const auto came = region_info(with, i);
            files.push_back(came.fds.size());
            argsz.push_back(at<std::uint32_t>(came.payload, 0));
        }
        bytes all;
        for (std::uint32_t i = 0; i < files.size(); ++i) {
            auto whole = region_info_of(i, argsz[i]);
            set_id(whole, u16(i));
            all = all + whole;
        }
        with.wire().send(all);
        for (std::uint32_t i = 0; i < files.size(); ++i)
            require(with.answer_to(u16(i), get_region_info).fds.size() == files[i], "sends a file with another reply");
    });
    add("region-info/argsz-too-small", sizes, "an error: less than the reply's fixed part",
        [](conversation& with) { with.refused(region_info_of(config_region, 31)); });
    add("region-info/room-for-a-part", sizes, "no part of a capability where all do not fit", [](conversation& with) {
        for (std::uint32_t i = 0; i < with.device().regions.size(); ++i) {
            const auto needed = at<std::uint32_t>(region_info(with, i).payload, 0);
            if (needed <= 32) continue;
            const auto came = with.expect(region_info_of(i, needed - 1));
            require(came.payload.size() < needed && at<std::uint32_t>(came.payload, 0) == needed,
                    "answers with more than fits");
            require(at<std::uint32_t>(came.payload, 12) == 0, "has capabilities of which a part is there");
            return;
        }
        throw not_offered{"no region with capabilities"};
    });
    add("region-info/past-the-last", region, "an error",
        [](conversation& with) { with.refused(region_info_of(u32(with.device().regions.size()))); });
    add("region-info/wild-index", region, "an error", [](conversation& with) { with.refused(region_info_of(~0u)); });

    add("io-fds/all", io_fds, "of each region an error, or its index and count with a descriptor for each sub-region",
        [](conversation& with) {
            for (std::uint32_t i = 0; i < with.device().regions.size(); ++i) {
                const auto came = with.ask(io_fds_of(i));
                if (came.failed) continue;
                require(came.payload.size() >= 16 && at<std::uint32_t>(came.payload, 8) == i,
                        "answers about another region");
                const auto count = at<std::uint32_t>(came.payload, 12);
                require(at<std::uint32_t>(came.payload, 4) == 0, "sets flags");
                require(count == 0 || !came.fds.empty(), "sends no descriptor");
                require(came.payload.size() == at<std::uint32_t>(came.payload, 0), "sends another size than it says");
            }
            with.works();
        });
    add("io-fds/room-for-a-part", sizes, "the fixed part alone, with the size that all need", [](conversation& with) {
        for_io_fds(with, [&](std::uint32_t index, const reply& all) {
            const auto needed = u32(all.payload.size());
            for (const std::uint32_t argsz : {16u, needed - 1}) {
                const auto came = with.expect(io_fds_of(index, argsz), 16);
                require(at<std::uint32_t>(came.payload, 0) == needed, "needs another size than it sends");
                require(came.fds.empty(), "sends descriptors without saying what for");
            }
            require(with.expect(io_fds_of(index, needed), needed).payload == all.payload,
                    "answers differently each time");
        });
    });
    add("io-fds/sub-regions", io_fds, "within the region, of a type that there is, with descriptors that came along",
        [](conversation& with) {
            for_io_fds(with, [&](std::uint32_t index, const reply& all) {
                const auto count = at<std::uint32_t>(all.payload, 12);
                const std::size_t size = (all.payload.size() - 16) / count;
                require(size >= 40 && (all.payload.size() - 16) % count == 0, "sends entries of odd sizes");
                for (std::size_t i = 0, from = 16; i < count; ++i, from += size) {
                    const auto offset = at<std::uint64_t>(all.payload, from);
                    const auto length = at<std::uint64_t>(all.payload, from + 8);
                    const auto limit = with.device().regions[index].size;
                    require(offset <= limit && length <= limit - offset, "has a sub-region outside of the region");
                    require(at<std::uint32_t>(all.payload, from + 16) < all.fds.size(),
                            "names a descriptor that is not there");
                    const auto type = at<std::uint32_t>(all.payload, from + 20);
                    require(type <= 2, "has an unknown type");
                    require(type != 0 || (at<std::uint32_t>(all.payload, from + 24) & ~7u) == 0, "has unknown flags");
                    if (type != 2) continue;
                    require(size >= 48 && at<std::uint32_t>(all.payload, from + 28) < all.fds.size(),
                            "names memory that is not there");
                }
            });
        });
    add("io-fds/signalled", io_fds, "each eventfd, many times; the next command works", [](conversation& with) {
        for_io_fds(with, [&](std::uint32_t, const reply& all) {
            const auto count = at<std::uint32_t>(all.payload, 12);
            const std::size_t size = (all.payload.size() - 16) / count;
            for (int round = 0; round < 100; ++round) {
                for (std::size_t i = 0, from = 16; i < count; ++i, from += size) {
                    const std::uint64_t one = 1;
                    if (at<std::uint32_t>(all.payload, from + 20) == 1) continue; // ioregionfd has messages
                    require(::write(all.fds[at<std::uint32_t>(all.payload, from + 16)].get(), &one, sizeof one) ==
                                sizeof one,
                            "sends no eventfd");
                }
                with.works();
            }
        });
    });
    add("io-fds/gone-with-the-client", "Client Disconnection", "the server keeps no descriptor", [](conversation& with) {
        with.hang_up();
        with.connect();
        const auto before = with.server_files();
        for_io_fds(with, [](std::uint32_t, const reply&) {});
        with.hang_up();
        with.connect();
        require(with.server_files() <= before, "keeps descriptors");
    });
    add("io-fds/count", io_fds, "an error: all other fields must be zero", [](conversation& with) {
        auto whole = io_fds_of(0);
        whole[header_size + 12] = 1;
        with.refused(whole);
    });
    add("io-fds/flags", io_fds, "an error: they must be zero",
        [](conversation& with) { with.refused(io_fds_of(0, 4096, 1)); });
    add("io-fds/argsz-too-small", sizes, "an error: less than the reply's fixed part",
        [](conversation& with) { with.refused(io_fds_of(0, 15)); });
    add("io-fds/past-the-last", io_fds, "an error",
        [](conversation& with) { with.refused(io_fds_of(u32(with.device().regions.size()))); });
    add("io-fds/wild-index", io_fds, "an error", [](conversation& with) { with.refused(io_fds_of(~0u)); });

    add("irq-info/all", irq,
        "of each kind argsz 16, its index and no flags that there are not, or an error as the kernel has",
        [](conversation& with) {
            for (std::uint32_t i = 0; i < with.device().irqs.size(); ++i)
                within("kind " + std::to_string(i), [&] {
                    const auto came = with.ask(irq_info_of(i));
                    if (came.failed) return;
                    require(came.payload.size() == 16,
                            "answers with " + std::to_string(came.payload.size()) + " bytes");
                    require(at<std::uint32_t>(came.payload, 0) == 16, "needs another size than it sends");
                    require((at<std::uint32_t>(came.payload, 4) & ~15u) == 0, "has unknown flags");
                    require(at<std::uint32_t>(came.payload, 8) == i, "answers about another kind");
                });
        });
    add("irq-info/argsz-too-small", sizes, "an error: less than the reply's fixed part",
        [](conversation& with) { with.refused(irq_info_of(0, 15)); });
    add("irq-info/past-the-last", irq, "an error",
        [](conversation& with) { with.refused(irq_info_of(u32(with.device().irqs.size()))); });
    add("irq-info/wild-index", irq, "an error", [](conversation& with) { with.refused(irq_info_of(~0u)); });
}

} // namespace wire_conformance
