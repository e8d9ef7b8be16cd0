// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/little_endian.hpp>
#include <mediant/migration/stream.hpp>
#include <mediant/trace/event.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

/// The bytes of a recording. Fixed numbers are little-endian; "varint" is LEB128: seven bits a byte, low ones first.
///
///     file:      recording_magic, the format's number (4 bytes); blocks: one `identity`, any number of `events`, one
///                `end`. A file without an end was not finished; what it has is good.
///     block:     type (1 byte), size of the payload (4), payload, CRC-32C of all that (4)
///     identity:  vendor, device, subvendor, subdevice, class; provider, source: length and bytes; started; how many
///                regions, and of each index, size, flags (all numbers varints)
///     events:    time of the beginning; events. Nothing is remembered from one block to the next.
///     end:       how many events were recorded, how many were not
///
///     access:    bits (1 byte); [details (1 byte)]; time since the last event; [region]; [offset, minus the last one
///                of this level, its sign in bit 0]; [size]; [count]; [errno]; [bytes that are known]; the bytes: as
///                one varint where they are at most 8, else as they are
///     bits:      0 is clear; 1: write; 2: below; 3: a region is given, else as the last one of this level; 4: an
///                offset is given, else likewise; 5, 6: size 1, 2, 4, 8; 7: details are given
///     details:   0: another size; 1: a count, else the size; 2: an errno; 3, 4: the decision; 5: not all bytes that
///                are meant are known
///     other:     bits (1 byte): 0 is set; 1: below; 2 to 7: the action; time since the last event; its numbers;
///                [errno]; [how many bytes, bytes]
///
/// Numbers of the format grow with what a reader must know to read on; one that it does not know it refuses.
namespace mediant::trace {

inline constexpr std::array recording_magic{'m', 'e', 'd', 'i', 'a', 'n', 't', 'T'};
inline constexpr std::uint32_t recording_format = 1;

enum class block_type : std::uint8_t { identity = 'I', events = 'E', end = 'Z' };
inline constexpr std::size_t block_head = 5;
inline constexpr std::size_t block_overhead = block_head + 4;
inline constexpr std::size_t file_head = recording_magic.size() + 4;
/// Payloads that are longer are not believed.
inline constexpr std::size_t longest_block = 4u << 20;
/// Of one access, no more bytes are kept.
inline constexpr std::size_t longest_bytes = 1u << 20;
inline constexpr std::size_t most_regions = 256;

namespace detail {

inline constexpr auto crc_table = [] {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < table.size(); ++i) {
        std::uint32_t crc = i;
        for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (0x82f6'3b78u & (0u - (crc & 1u)));
        table[i] = crc;
    }
    return table;
}();

/// mediant::crc32c, a byte at a time.
[[nodiscard]] constexpr std::uint32_t checksum(std::span<const std::byte> bytes) noexcept {
    std::uint32_t crc = ~std::uint32_t{0};
    for (const std::byte b : bytes) crc = crc >> 8 ^ crc_table[(crc ^ std::to_integer<std::uint32_t>(b)) & 0xff];
    return ~crc;
}
static_assert(checksum(std::array{std::byte{'m'}, std::byte{'t'}}) ==
              crc32c(std::array{std::byte{'m'}, std::byte{'t'}}));

/// Bits of an event's first byte, and of an access's second.
inline constexpr unsigned bit_other = 1, bit_write = 2, bit_below = 4, bit_region = 8, bit_offset = 16, width_shift = 5,
                          bit_details = 128;
inline constexpr unsigned bit_other_below = 2, action_shift = 2;
inline constexpr unsigned bit_size = 1, bit_count = 2, bit_error = 4, decision_shift = 3, bit_partly = 32;

inline constexpr std::uint64_t most_errno = 4095;

/// What an access is told relative to.
struct last_access {
    region_index region{};
    std::uint64_t offset = 0;
};

/// Small either way is small.
[[nodiscard]] constexpr std::uint64_t folded(std::uint64_t difference) noexcept {
    return difference << 1 ^ (0 - (difference >> 63));
}
[[nodiscard]] constexpr std::uint64_t unfolded(std::uint64_t stored) noexcept {
    return stored >> 1 ^ (0 - (stored & 1));
}

} // namespace detail

/// Appends to bytes.
class byte_writer {
public:
    explicit byte_writer(std::vector<std::byte>& to) noexcept : to_{to} {}

    void byte(unsigned value) { to_.push_back(static_cast<std::byte>(value)); }
    void varint(std::uint64_t value) {
        while (value >= 0x80) {
            byte(static_cast<unsigned>(value & 0x7f) | 0x80u);
            value >>= 7;
        }
        byte(static_cast<unsigned>(value));
    }
    void bytes(std::span<const std::byte> what) { to_.insert(to_.end(), what.begin(), what.end()); }
    void text(std::string_view what) {
        varint(what.size());
        bytes(std::as_bytes(std::span{what}));
    }
    void fixed(std::uint32_t value) {
        for (unsigned i = 0; i < 4; ++i) byte(value >> 8 * i & 0xff);
    }

private:
    std::vector<std::byte>& to_;
};

/// What every recording begins with.
[[nodiscard]] inline std::vector<std::byte> head_of_file() {
    std::vector<std::byte> out;
    byte_writer to{out};
    to.bytes(std::as_bytes(std::span{recording_magic}));
    to.fixed(recording_format);
    return out;
}

/// A payload with what goes around it.
inline void append_block(std::vector<std::byte>& out, block_type type, std::span<const std::byte> payload) {
    const std::size_t from = out.size();
    byte_writer to{out};
    to.byte(static_cast<unsigned>(type));
    to.fixed(static_cast<std::uint32_t>(payload.size()));
    to.bytes(payload);
    to.fixed(detail::checksum(std::span{out}.subspan(from)));
}

[[nodiscard]] inline std::vector<std::byte> payload_of(const identity& who) {
    std::vector<std::byte> out;
    byte_writer to{out};
    for (const std::uint32_t each :
         {who.device.vendor, who.device.device, who.device.subvendor, who.device.subdevice, who.device.class_code})
        to.varint(each);
    to.text(who.provider);
    to.text(who.source);
    to.varint(who.started);
    const std::size_t regions = std::min(who.regions.size(), most_regions);
    to.varint(regions);
    for (const identity::region& each : std::span{who.regions}.first(regions)) {
        to.varint(static_cast<std::uint32_t>(each.index));
        to.varint(each.size);
        to.varint(static_cast<std::uint32_t>(each.flags));
    }
    return out;
}

/// Makes payloads of events.
class encoder {
public:
    /// Appends an event. Its time, where it is before the last one's, becomes that; of an access's bytes those that are
    /// meant are kept, longest_bytes at most.
    void add(const event& what) {
        byte_writer to{payload_};
        if (payload_.empty()) {
            begin_ = last_time_ = what.time;
            to.varint(begin_);
            last_ = {};
        }
        const std::uint64_t time = std::max(what.time, last_time_);
        const std::uint64_t since = time - last_time_;
        last_time_ = time;
        ++events_;
        if (what.is_access())
            access(to, what, since);
        else
            other(to, what, since);
    }

    [[nodiscard]] std::span<const std::byte> payload() const noexcept { return payload_; }
    [[nodiscard]] std::uint64_t events() const noexcept { return events_; }
    void clear() noexcept {
        payload_.clear();
        events_ = 0;
    }

    /// No event takes more, but for its bytes.
    static constexpr std::size_t longest_event = 96;

private:
    void access(byte_writer& to, const event& what, std::uint64_t since) {
        using namespace detail;
        last_access& last = last_[static_cast<std::size_t>(what.at)];
        std::span<const std::byte> bytes = what.bytes();
        bytes = bytes.first(
            static_cast<std::size_t>(std::min<std::uint64_t>({bytes.size(), what.meant(), longest_bytes})));
        const bool natural = what.size == 1 || what.size == 2 || what.size == 4 || what.size == 8;
        const bool partly = bytes.size() != what.meant();
        unsigned details = static_cast<unsigned>(what.decided) << decision_shift;
        if (!natural) details |= bit_size;
        if (what.count != what.size) details |= bit_count;
        if (what.error != error::none) details |= bit_error;
        if (partly) details |= bit_partly;
        unsigned bits = details != 0 ? bit_details : 0;
        if (what.what == action::write) bits |= bit_write;
        if (what.at == level::below) bits |= bit_below;
        if (what.region != last.region) bits |= bit_region;
        if (what.offset != last.offset) bits |= bit_offset;
        if (natural) bits |= static_cast<unsigned>(std::countr_zero(what.size)) << width_shift;
        to.byte(bits);
        if (details != 0) to.byte(details);
        to.varint(since);
        if (what.region != last.region) to.varint(static_cast<std::uint32_t>(what.region));
        if (what.offset != last.offset) to.varint(folded(what.offset - last.offset));
        if (!natural) to.varint(what.size);
        if (what.count != what.size) to.varint(what.count);
        if (what.error != error::none) to.varint(static_cast<std::uint32_t>(to_errno(what.error)) & most_errno);
        if (partly) to.varint(bytes.size());
        if (bytes.size() > 8)
            to.bytes(bytes);
        else if (!bytes.empty())
            to.varint(load_little(bytes));
        last = {what.region, what.offset};
    }

    void other(byte_writer& to, const event& what, std::uint64_t since) {
        using namespace detail;
        const action_facts& facts = facts_of(what.what);
        to.byte(bit_other | (what.at == level::below ? bit_other_below : 0u) |
                static_cast<unsigned>(what.what) << action_shift);
        to.varint(since);
        for (std::size_t i = 0; i < facts.number_count(); ++i) to.varint(what.numbers[i]);
        if (facts.answers) to.varint(static_cast<std::uint32_t>(to_errno(what.error)) & most_errno);
        if (!facts.has_bytes) return;
        const auto bytes = what.bytes().first(std::min(what.bytes().size(), longest_bytes));
        to.varint(bytes.size());
        to.bytes(bytes);
    }

    std::vector<std::byte> payload_;
    std::array<detail::last_access, 2> last_{};
    std::uint64_t begin_ = 0;
    std::uint64_t last_time_ = 0;
    std::uint64_t events_ = 0;
};

} // namespace mediant::trace
