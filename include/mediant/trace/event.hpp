// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/little_endian.hpp>
#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/pci/id.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// What was done to a device and what it answered, one thing after the other.
namespace mediant::trace {

/// Where it was seen.
enum class level : std::uint8_t {
    front, ///< between the user and the policies
    below, ///< between the policies and the device: what came of the access that follows at the front
};

enum class action : std::uint8_t {
    read,
    write,
    open,
    release,
    reset,
    set_irqs,
    map_dma,
    unmap_dma,
    start_dma_log,
    stop_dma_log,
    report_dma_log,
    migrate,
    read_migration,
    write_migration,
    advance, ///< the device did what was due
    trigger, ///< a policy's interrupt
    gap,     ///< here something was not recorded
};
inline constexpr std::size_t action_count = 17;

/// What a policy's map made of an access, where what recorded it says.
enum class decision : std::uint8_t { unknown, passed, trapped };

/// What an action that is no access is told with: its numbers, whether it has an answer, and whether bytes.
struct action_facts {
    std::string_view name;
    std::array<std::string_view, 5> numbers{};
    bool answers = true;
    bool has_bytes = false;

    [[nodiscard]] constexpr std::size_t number_count() const noexcept {
        std::size_t n = 0;
        while (n < numbers.size() && !numbers[n].empty()) ++n;
        return n;
    }
};
inline constexpr std::array<action_facts, action_count> all_actions{{
    {"read"},
    {"write"},
    {"open"},
    {"release", {}, false},
    {"reset"},
    {"set_irqs", {"index", "action", "data", "start", "count"}, true, true}, // bools; of eventfds, which there were
    {"map_dma", {"iova", "size", "access", "shared"}},                       // access: 1 readable, 2 writable
    {"unmap_dma", {"iova", "size"}},
    {"start_dma_log", {"page", "ranges", "granted"}},
    {"stop_dma_log"},
    {"report_dma_log", {"iova", "length", "page", "written"}}, // pages
    {"migrate", {"state"}},
    {"read_migration", {"size", "count"}},
    {"write_migration", {"size"}},
    {"advance", {"now"}, false},
    {"trigger", {"index", "vector"}},
    {"gap", {"events"}, false},
}};
[[nodiscard]] constexpr const action_facts& facts_of(action what) noexcept {
    return all_actions[static_cast<std::size_t>(what)];
}

/// One of them. What does not belong to the action is 0.
struct event {
    action what = action::read;
    level at = level::front;
    decision decided = decision::unknown; ///< of an access
    std::uint64_t time = 0;               ///< nanoseconds from the recording's beginning to the answer
    region_index region{};
    std::uint64_t offset = 0;
    std::uint64_t size = 0;  ///< bytes that were asked for
    std::uint64_t count = 0; ///< and done
    mediant::error error = mediant::error::none;
    std::array<std::uint64_t, 5> numbers{}; ///< of other actions: facts_of(what).numbers

    [[nodiscard]] bool is_access() const noexcept { return what <= action::write; }

    /// What was written or read, as far as it is known; of set_irqs see facts_of. Bytes of more than 8 are somebody
    /// else's.
    [[nodiscard]] std::span<const std::byte> bytes() const noexcept {
        return many_.empty() ? std::span<const std::byte>{few_}.first(few_size_) : many_;
    }
    void set_bytes(std::span<const std::byte> what_bytes) noexcept {
        many_ = {};
        few_size_ = 0;
        if (what_bytes.size() > few_.size()) {
            many_ = what_bytes;
            return;
        }
        for (const std::byte b : what_bytes) few_[few_size_++] = b;
    }
    /// The first bytes as a number: all of it, of an access that has at most 8.
    [[nodiscard]] std::uint64_t value() const noexcept {
        return load_little(bytes().first(bytes().size() < 8 ? bytes().size() : 8));
    }
    /// How many bytes of an access are to be known: all that were to be written, or were read.
    [[nodiscard]] std::uint64_t meant() const noexcept { return what == action::write ? size : count; }

    [[nodiscard]] friend bool operator==(const event& a, const event& b) noexcept {
        const auto left = a.bytes(), right = b.bytes();
        if (left.size() != right.size()) return false;
        for (std::size_t i = 0; i < left.size(); ++i)
            if (left[i] != right[i]) return false;
        return a.what == b.what && a.at == b.at && a.decided == b.decided && a.time == b.time && a.region == b.region &&
               a.offset == b.offset && a.size == b.size && a.count == b.count && a.error == b.error &&
               a.numbers == b.numbers;
    }

private:
    std::array<std::byte, 8> few_{};
    std::uint8_t few_size_ = 0;
    std::span<const std::byte> many_{};
};

/// What a recording says of itself.
struct identity {
    struct region {
        region_index index{};
        std::uint64_t size = 0; ///< bytes, as the user sees it
        region_flags flags = region_flags::none;
        friend bool operator==(const region&, const region&) = default;
    };
    device_id device{};
    std::string provider;        ///< whose policies were recorded; empty: none's
    std::string source;          ///< what recorded it: "vfio-user", "kernel"
    std::uint64_t started = 0;   ///< nanoseconds of the epoch; 0: not known
    std::vector<region> regions; ///< those that there are; empty: not known

    [[nodiscard]] const region* find(region_index which) const noexcept {
        for (const region& each : regions)
            if (each.index == which) return &each;
        return nullptr;
    }
};

} // namespace mediant::trace
