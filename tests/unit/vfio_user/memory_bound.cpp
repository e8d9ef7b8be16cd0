// SPDX-License-Identifier: BSD-3-Clause
// The memory that a connection can make the server hold is what server_options says, whatever the client does.
#include "messages.hpp"

#include <catch2/catch.hpp>

#include <malloc.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

using namespace vfio_user_test;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MEDIANT_OTHER_MALLOC
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MEDIANT_OTHER_MALLOC
#endif
#endif

namespace {

/// Bytes that malloc has given out.
[[maybe_unused]] std::size_t taken() {
    const auto now = ::mallinfo2();
    return now.uordblks + now.hblkhd;
}

/// Sends as many bytes as the server's socket takes by itself.
[[maybe_unused]] std::size_t push(int fd, std::span<const std::byte> what) {
    std::size_t sent = 0;
    while (sent < what.size()) {
        const auto now = ::send(fd, what.data() + sent, what.size() - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (now <= 0) break;
        sent += static_cast<std::size_t>(now);
    }
    return sent;
}

[[maybe_unused]] bytes many(const bytes& one, std::size_t count) {
    bytes all;
    for (std::size_t i = 0; i < count; ++i) all.insert(all.end(), one.begin(), one.end());
    return all;
}

} // namespace

TEST_CASE("a connection holds no more memory than its options say") {
#ifdef MEDIANT_OTHER_MALLOC
    WARN("malloc is the sanitizer's, which does not say how much it has given out");
#else
    constexpr std::uint32_t data = 64 * 1024;
    constexpr std::uint32_t maps = 100;
    const server_options options{.max_data_xfer = data, .max_dma_maps = maps};
    const std::size_t bound = 2 * (std::size_t{data} + options.max_queued) + maps * 100 + 64 * 1024;

    auto endless = read_of(mediant::region_index::bar0, 0, 4);
    std::memset(endless.data() + 4, 0xff, 4);
    bytes logged(4000 * sizeof(wire::logging_range));
    for (std::uint64_t i = 0; i < 4000; ++i)
        wire::store(logged.data() + i * sizeof(wire::logging_range),
                    wire::logging_range{i << 32, std::uint64_t{1} << 31});
    bytes mapped;
    for (std::uint64_t i = 0; i < 10 * maps; ++i) mapped = mapped + map_of(i << 20, 4096);
    struct hostile {
        const char* what;
        bytes sends;
        bool agrees = true;
    };
    const std::vector<hostile> clients{
        {"says nothing", {}, false},
        {"begins a VERSION and never ends it", cut(version(std::string(data, ' ')), 1000), false},
        {"sends much JSON", version("{\"capabilities\":" + std::string(16000, '[') + "}"), false},
        {"never reads its replies", many(read_of(mediant::region_index::bar0, 0, 4096), 100)},
        {"writes as much as goes in one message", write_of(mediant::region_index::bar0, 0, bytes(data))},
        {"has a message without end", endless + bytes(1 << 20)},
        {"maps more than it may", mapped},
        {"logs more ranges than there can be",
         message_of(wire::command::device_feature, wire::device_feature{1 << 20, VFIO_DEVICE_FEATURE_SET | 6}, logged)},
    };

    by_hand with{options};
    for (std::size_t i = 0; i < 2 * clients.size(); ++i) {
        const hostile& each = clients[i % clients.size()];
        // What the device keeps room for, it has room for in the second round.
        const bool again = i >= clients.size();
        INFO("a client that " << each.what);
        with.server.reset();
        const std::size_t before = taken();
        with.connect();
        if (each.agrees) with.negotiate();
        std::size_t most = taken() - before;
        for (int turn = 0; turn < 50; ++turn) {
            const auto sent = push(with.peer.fd(), each.sends);
            with.pump();
            most = std::max(most, taken() - before);
            if (sent == 0) break;
        }
        INFO(most << " of " << bound << " bytes");
        CHECK(most <= bound);
        CHECK(most > data); // it is seen at all
        with.peer.disconnect();
        with.pump();
        with.server.reset();
        if (again) CHECK(taken() <= before + 4096); // and all of it is given back
    }
#endif
}
