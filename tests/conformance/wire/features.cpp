// SPDX-License-Identifier: BSD-3-Clause
// Cases of DEVICE_FEATURE, MIG_DATA_READ and MIG_DATA_WRITE.
#include "suite.hpp"

#include <cstdint>
#include <string>
#include <utility>

namespace wire_conformance {

namespace {

constexpr const char* section = "VFIO_USER_DEVICE_FEATURE";
constexpr const char* log_section = "VFIO_DEVICE_FEATURE_DMA_LOGGING_START / _STOP";
constexpr const char* report_section = "VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT";
constexpr std::uint64_t page = 4096;
constexpr std::uint64_t place = 0x100000;
constexpr std::uint64_t size = 0x80000; // 128 pages

void logs(const conversation& with) {
    if (!with.device().logging) throw not_offered{"no DMA logging"};
}

bytes start_of(std::uint64_t pages = page, const bytes& ranges = pack(place, size), std::uint32_t count = 1) {
    return feature_of(feature_set | logging_start, pack(pages, count, u32(0)) + ranges);
}
bytes stop_of() { return feature_of(feature_set | logging_stop); }
bytes report_of(std::uint64_t iova, std::uint64_t length, std::uint64_t pages = page, std::uint32_t argsz = 65536) {
    return feature_of(feature_get | logging_report, pack(iova, length, pages), argsz);
}

void started(conversation& with) {
    logs(with);
    (void)with.expect(map_of(place, size), 0);
    (void)with.expect(start_of());
}

} // namespace

void add_feature_cases(test_cases& to) {
    const auto add = [&](const std::string& name, const char* where, const std::string& expects, auto run) {
        to.push_back({name, where, expects, run});
    };
    for (const std::uint32_t which : {0u, 1u, 2u, 3u, 6u, 7u, 8u, 9u, 0xffffu})
        add("feature/probe/" + std::to_string(which), section, "an error, or the request again",
            [which](conversation& with) {
                const auto whole = feature_of(feature_probe | which);
                const auto came = with.ask(whole);
                require(came.failed || bytes(whole.begin() + header_size, whole.end()) == came.payload,
                        "answers a probe with something else");
                require(!came.failed || !with.device().logging || which < 6 || which > 8, "cannot log after all");
                require(came.failed || which <= 9, "has a feature that there is not");
                with.works();
            });
    add("feature/probe-of-a-method", section, "an error: START cannot be got, REPORT cannot be set",
        [](conversation& with) {
            logs(with);
            with.refused(feature_of(feature_probe | feature_get | logging_start));
            with.refused(feature_of(feature_probe | feature_set | logging_report));
            with.refused(feature_of(feature_probe | feature_get | feature_set | logging_stop));
            (void)with.expect(feature_of(feature_probe | feature_set | logging_start));
        });
    for (const auto& [name, flags] : {std::pair{"no-method", logging_start},
                                      {"two-methods", feature_get | feature_set | logging_start},
                                      {"unknown-flags", feature_get | 1u << 20 | logging_report},
                                      {"unknown-feature", feature_get | 0xffffu}})
        add(std::string{"feature/"} + name, section, "an error",
            [flags](conversation& with) { with.refused(feature_of(flags, bytes(24))); });
    add("feature/argsz-too-small", "Message sizes", "an error: less than the reply's fixed part",
        [](conversation& with) { with.refused(feature_of(feature_probe | logging_start, {}, 7)); });

    add("log/start-report-stop", report_section, "as many bits as pages; none beyond the range",
        [](conversation& with) {
            started(with);
            const auto came = with.expect(report_of(place, size - 8 * page), 8 + 24 + 16);
            require(at<std::uint32_t>(came.payload, 0) == 8 + 24 + 16, "says another size than it sends");
            require(at<std::uint64_t>(came.payload, 8) == place && at<std::uint64_t>(came.payload, 24) == page,
                    "answers about another range");
            require(at<std::uint64_t>(came.payload, 8 + 24 + 8) >> 56 == 0, "sets bits beyond the range");
            (void)with.expect(stop_of());
        });
    add("log/start/reply", log_section, "the request, with the page size that is tracked", [](conversation& with) {
        logs(with);
        auto came = with.expect(start_of());
        const auto chosen = at<std::uint64_t>(came.payload, 8);
        require(chosen != 0 && (chosen & (chosen - 1)) == 0, "tracks pages of no power of two");
        require(came.payload.size() == start_of().size() - header_size, "answers with another size");
    });
    add("log/start/no-ranges", log_section, "success: everything is logged", [](conversation& with) {
        logs(with);
        (void)with.expect(start_of(page, {}, 0));
        (void)with.expect(stop_of());
    });
    add("log/start/odd-page", log_section, "a hint: success with another page size, or an error",
        [](conversation& with) {
            logs(with);
            with.answered(start_of(5000));
        });
    add("log/start/twice", log_section, "an error or a fresh start; reports go on", [](conversation& with) {
        started(with);
        with.answered(start_of());
        (void)with.expect(report_of(place, size));
    });
    add("log/start/fewer-ranges-than-the-count", log_section, "an error", [](conversation& with) {
        logs(with);
        with.refused(start_of(page, pack(place, size), 2));
    });
    add("log/start/wild-count", log_section, "an error", [](conversation& with) {
        logs(with);
        with.refused(start_of(page, pack(place, size), ~0u));
    });
    add("log/start/count-that-wraps", log_section, "an error", [](conversation& with) {
        logs(with);
        with.refused(start_of(page, pack(place, size), (1u << 28) + 1));
    });
    add("log/start/wrapping-range", log_section, "an error", [](conversation& with) {
        logs(with);
        with.refused(start_of(page, pack(~u64(0xfff), u64(0x2000))));
    });
    add("log/start/short", log_section, "an error", [](conversation& with) {
        logs(with);
        for (std::size_t less = 8; less < 24; ++less) with.refused(resized(start_of(), less));
    });
    add("log/report/not-started", report_section, "an error: it is valid after START alone", [](conversation& with) {
        logs(with);
        (void)with.expect(map_of(place, size), 0);
        with.refused(report_of(place, size));
    });
    add("log/report/stopped", report_section, "an error: it is valid after START alone", [](conversation& with) {
        started(with);
        (void)with.expect(stop_of());
        with.refused(report_of(place, size));
    });
    add("log/report/too-little-room", "Message sizes", "the size that is needed, and no bitmap",
        [](conversation& with) {
            started(with);
            const auto came = with.expect(report_of(place, size, page, 8 + 24));
            require(at<std::uint32_t>(came.payload, 0) == 8 + 24 + 16, "needs another size");
            require(came.payload.size() <= 8 + 24, "answers with more than fits");
            with.works();
        });
    add("log/report/larger-pages", report_section, "success: it need not be START's", [](conversation& with) {
        started(with);
        (void)with.expect(report_of(place, size, 16 * page), 8 + 24 + 8);
    });
    add("log/report/smaller-pages", report_section, "success: it need not be START's; bits are replicated",
        [](conversation& with) {
            logs(with);
            (void)with.expect(map_of(place, size), 0);
            (void)with.expect(start_of(16 * page));
            (void)with.expect(report_of(place, size), 8 + 24 + 16);
        });
    for (const auto& [name, whole] : {std::pair{"page-0", report_of(place, size, 0)},
                                      {"odd-page", report_of(place, size, 5000)},
                                      {"wild-page", report_of(place, size, ~u64(0))},
                                      {"nothing", report_of(place, 0)},
                                      {"wraps", report_of(~u64(0xfff), 0x2000)},
                                      {"more-than-can-be-sent", report_of(0, u64(1) << 62)}})
        add(std::string{"log/report/"} + name, report_section, "an error", [whole](conversation& with) {
            started(with);
            with.refused(whole);
        });
    add("log/report/short", report_section, "an error", [](conversation& with) {
        started(with);
        for (std::size_t less = 8; less < 32; ++less) with.refused(resized(report_of(place, size), less));
    });
    add("log/ends-with-the-client", "Client Disconnection", "the next may start", [](conversation& with) {
        started(with);
        with.hang_up();
        with.connect();
        started(with);
    });

    for (const auto& [name, what] : {std::pair{"MIG_DATA_READ", mig_data_read}, {"MIG_DATA_WRITE", mig_data_write}}) {
        const std::string text = std::string{"VFIO_USER_"} + name;
        to.push_back({std::string{"migration/"} + name, text, "an error: the device is running",
                      [what](conversation& with) { with.refused(message(what, pack(u32(16), u32(8), u64(0)))); }});
        to.push_back({std::string{"migration/"} + name + "/wild-size", text, "an error",
                      [what](conversation& with) { with.refused(message(what, pack(~0u, ~0u))); }});
    }
    add("migration/features", "VFIO_DEVICE_FEATURE_MIGRATION",
        "where it can be got, STOP_COPY; and the state is RUNNING", [](conversation& with) {
            const auto came = with.ask(feature_of(feature_get | migration, {}, 16));
            if (came.failed) throw not_offered{"no migration"};
            require((at<std::uint64_t>(came.payload, 8) & 1) != 0, "has no STOP_COPY");
            const auto state = with.expect(feature_of(feature_get | device_state, {}, 16));
            require(at<std::uint32_t>(state.payload, 8) == 2, "is not RUNNING");
        });
    const auto migrates = [](conversation& with) {
        if (with.ask(feature_of(feature_get | migration, {}, 16)).failed) throw not_offered{"no migration"};
    };
    const auto lead = [](conversation& with, std::uint32_t state) {
        (void)with.expect(feature_of(feature_set | device_state, pack(state, u32(0)), 16));
    };
    const auto state_of = [](conversation& with) {
        return at<std::uint32_t>(with.expect(feature_of(feature_get | device_state, {}, 16)).payload, 8);
    };
    constexpr std::uint32_t running = 2, stop_copy = 3, resuming = 4;
    add("migration/there-and-back", "VFIO_USER_MIG_DATA_READ",
        "what was read to its end can be written, and the device runs again", [=](conversation& with) {
            migrates(with);
            lead(with, stop_copy);
            bytes stream;
            for (;;) {
                const auto came = with.expect(message(mig_data_read, pack(u32(8 + 512), u32(512))));
                const auto size = at<std::uint32_t>(came.payload, 4);
                require(size <= 512 && came.payload.size() == 8 + size, "a reply of another size than it says");
                stream.insert(stream.end(), came.payload.begin() + 8, came.payload.end());
                if (size < 512) break;
                require(stream.size() < (std::size_t{64} << 20), "the stream has no end");
            }
            require(!stream.empty(), "there is nothing in it");
            lead(with, resuming);
            for (std::size_t done = 0; done < stream.size(); done += 100) {
                const auto size = std::min<std::size_t>(100, stream.size() - done);
                auto part = pack(u32(8 + size), u32(size));
                const auto from = stream.begin() + static_cast<std::ptrdiff_t>(done);
                part.insert(part.end(), from, from + static_cast<std::ptrdiff_t>(size));
                (void)with.expect(message(mig_data_write, part), 0);
            }
            lead(with, running);
            require(state_of(with) == running, "is not RUNNING");
        });
    add("migration/nonsense", "VFIO_USER_MIG_DATA_WRITE",
        "an error, there or when it is left; after a reset the device is RUNNING", [=](conversation& with) {
            migrates(with);
            lead(with, resuming);
            bool refused = false;
            for (int i = 0; i < 40; ++i) {
                auto part = pack(u32(8 + 1000), u32(1000));
                part.resize(part.size() + 1000, 0xa5);
                refused = with.ask(message(mig_data_write, part)).failed || refused;
            }
            refused = with.ask(feature_of(feature_set | device_state, pack(running, u32(0)), 16)).failed || refused;
            require(refused, "is taken");
            (void)with.expect(message(device_reset, {}), 0);
            require(state_of(with) == running, "is not RUNNING after a reset");
        });
    add("migration/ends-with-the-client", "Client Disconnection", "the next client finds the device RUNNING",
        [=](conversation& with) {
            migrates(with);
            lead(with, resuming);
            with.hang_up();
            with.connect();
            require(state_of(with) == running, "is not RUNNING");
        });
    add("migration/wild-state", "VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE", "an error", [](conversation& with) {
        for (const std::uint32_t state : {0u, 5u, 8u, ~0u})
            with.refused(feature_of(feature_set | device_state, pack(state, u32(0))));
    });
}

} // namespace wire_conformance
