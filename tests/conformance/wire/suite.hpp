// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "bytes.hpp"
#include "peer.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

/// The cases, and what they are written with.
namespace wire_conformance {

/// What a server says of its device, asked once.
struct device_facts {
    struct region {
        std::uint32_t flags = 0;
        std::uint64_t size = 0;
    };
    struct irq {
        std::uint32_t flags = 0;
        std::uint32_t count = 0;
    };
    std::uint32_t flags = 0;
    std::vector<region> regions;
    std::vector<irq> irqs;
    std::uint64_t max_data = 1u << 20; // the specification's default
    std::uint32_t max_maps = 65535;
    std::uint32_t max_fds = 1;
    bool write_multi = false;
    bool logging = false;
    /// Plain memory: a region, an offset and a size, given on the command line.
    struct {
        std::uint32_t region = 0;
        std::uint64_t offset = 0;
        std::uint64_t size = 0;
    } memory;
};

/// What is agreed on unless a case says something else.
inline constexpr const char* usual_capabilities = R"({"capabilities":{"max_msg_fds":16,"write_multiple":true}})";

/// A client in the hands of a case. Its connection is made anew for each, with VERSION agreed on unless the case is
/// about that.
class conversation {
public:
    /// `connect` makes a fresh connection, with a fresh server where it serves one client; `second` one beside it.
    conversation(const device_facts& facts, std::function<peer()> connect, std::function<peer()> second)
        : facts_{facts}, connect_{std::move(connect)}, second_{std::move(second)} {}

    [[nodiscard]] const device_facts& device() const noexcept { return facts_; }
    [[nodiscard]] peer& wire() { return *wire_; }

    /// Hangs up and connects anew; `agree` says the usual VERSION.
    void connect(bool agree = true);
    void hang_up() {
        if (wire_) wire_->close();
    }
    /// One more client.
    [[nodiscard]] peer another() const { return second_(); }

    /// Sends a command under an ID of its own, which it gives.
    std::uint16_t send(bytes whole, std::span<const int> fds = {});
    /// The next reply, which must be the one to `id` and of `what`.
    [[nodiscard]] reply answer_to(std::uint16_t id, std::uint16_t what);

    /// Sends a command and gives its reply.
    [[nodiscard]] reply ask(const bytes& whole, std::span<const int> fds = {});
    /// Likewise; it must succeed, with a payload of this size where one is given.
    reply expect(const bytes& whole, std::optional<std::size_t> payload = {}, std::span<const int> fds = {});
    /// Likewise; it must fail, with this error where one is given, and the next command must work.
    void refused(const bytes& whole, std::uint32_t error = 0, std::span<const int> fds = {});
    /// It may succeed or fail, and the next command must work.
    void answered(const bytes& whole, std::span<const int> fds = {});
    /// A good command works.
    void works();

    [[nodiscard]] bytes read(std::uint32_t region, std::uint64_t offset, std::uint32_t count);
    void write(std::uint32_t region, std::uint64_t offset, const bytes& data);
    /// Descriptors that the server has open; 0 where that cannot be seen.
    [[nodiscard]] std::size_t server_files();

private:
    const device_facts& facts_;
    std::function<peer()> connect_;
    std::function<peer()> second_;
    std::optional<peer> wire_;
    std::uint16_t id_ = 0x1000;
};

struct test_case {
    std::string name;    ///< group/what
    std::string section; ///< of the specification
    std::string expects;
    std::function<void(conversation&)> run;
    bool agree = true; ///< VERSION is agreed on before
};
using test_cases = std::vector<test_case>;

void add_header_cases(test_cases& to);
void add_stream_cases(test_cases& to);
void add_version_cases(test_cases& to);
void add_dma_cases(test_cases& to);
void add_information_cases(test_cases& to);
void add_interrupt_cases(test_cases& to);
void add_access_cases(test_cases& to);
void add_feature_cases(test_cases& to);
void add_malformed_cases(test_cases& to);

// What several groups use.

/// Throws what was observed where the condition does not hold.
inline void require(bool good, const std::string& otherwise) {
    if (!good) throw observed{otherwise};
}
/// Runs `what` and puts `where` in front of what it throws.
template <class F>
void within(const std::string& where, F&& what) {
    try {
        what();
    } catch (const observed& seen) {
        throw observed{where + ": " + seen.what};
    }
}
[[nodiscard]] unique_fd memory_file(std::uint64_t size);
[[nodiscard]] unique_fd event_file();
/// The count of an eventfd, which is 0 afterwards.
[[nodiscard]] std::uint64_t drain(int fd);
/// An index of a kind of interrupts that has eventfds; throws not_offered.
[[nodiscard]] std::uint32_t signalling_irq(const device_facts& device);
/// A byte of config space that can be written and read back: the interrupt line.
inline constexpr std::uint64_t scratch = 0x3c;

} // namespace wire_conformance
