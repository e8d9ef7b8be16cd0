// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "bytes.hpp"

#include <mediant/device/unique_fd.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace wire_conformance {

using mediant::device::unique_fd;
using clock = std::chrono::steady_clock;

/// What a server did instead of what was expected. The text is the same in every run.
struct observed {
    std::string what;
};
/// The server does not offer what the case is about.
struct not_offered {
    std::string what;
};

inline constexpr const char* hung_up = "closes the connection";
inline constexpr const char* silent = "does not answer";

/// EINVAL and the like.
[[nodiscard]] std::string name_of(std::uint32_t error);

struct reply {
    std::uint16_t id = 0;
    std::uint16_t command = 0;
    bytes payload{};
    std::uint32_t error = 0;
    bool failed = false;
    std::vector<unique_fd> fds{};
};

/// One connection to a server, by bytes. Nothing waits longer than the deadline; what goes wrong is thrown as observed.
/// While the server takes nothing, what it sends is taken, so that neither waits for the other.
class peer {
public:
    peer(const std::string& path, std::chrono::milliseconds deadline);

    /// Sends all of it; descriptors go with the first byte.
    void send(std::span<const std::uint8_t> what, std::span<const int> fds = {});
    /// The next reply, whole. Checks what holds for every one: that it is a reply, of a sane size, and if it is an
    /// error a header alone.
    [[nodiscard]] reply receive();
    /// Waits for the end of the connection.
    void expect_end();
    /// Whether the server has hung up, or does so before the deadline; replies that come are thrown away.
    [[nodiscard]] bool ends();

    /// Waits until the server has received all that was sent, for a while: what comes then comes by itself.
    void settle() const;

    void close() noexcept { socket_.reset(); }
    /// Says that no more will be sent.
    void finish();
    /// Whose socket it is (SO_PEERCRED).
    [[nodiscard]] int process() const;

private:
    [[nodiscard]] bool take(clock::time_point until); // false: the end
    void wait(short events, clock::time_point until) const;

    unique_fd socket_;
    std::chrono::milliseconds deadline_;
    bytes come_;
    /// What came with the bytes up to `end`: it belongs to the message that holds the last of them, as no receive goes
    /// on behind what descriptors were sent with.
    struct descriptor {
        std::size_t end;
        unique_fd fd;
    };
    std::vector<descriptor> fds_;
};

} // namespace wire_conformance
