// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/little_endian.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

/// The bytes in which a device's state travels: a series of chunks, each with its size before it and a checksum behind
/// it, so that what is cut, damaged or goes on too long is seen before it is used. All numbers are little-endian.
///
///     chunk:  type (4 bytes), size of the payload (4), payload, CRC-32C of all that (4)
///     stream: one `begin`; a `party` for each policy and for the device, outermost first; any number of `device`; one
///             `end`, and nothing behind it
namespace mediant {

enum class chunk : std::uint32_t {
    begin = 1,  ///< stream_magic, the format, which device this is, and each party's name and version
    party = 2,  ///< each field's name (1 byte of length, then so many), size (4) and bytes
    device = 3, ///< bytes of the device's own, which only its hooks understand
    end = 4,    ///< without a payload
};

inline constexpr std::array stream_magic{'m', 'e', 'd', 'i', 'a', 'n', 't', '\0'};
inline constexpr std::uint32_t stream_format = 1;
inline constexpr std::size_t chunk_head = 8;
inline constexpr std::size_t chunk_overhead = chunk_head + 4;

/// CRC-32C (RFC 3720, appendix B.4) of what came before and these bytes; begins with 0.
[[nodiscard]] constexpr std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t before = 0) noexcept {
    std::uint32_t crc = ~before;
    for (const std::byte b : bytes) {
        crc ^= static_cast<std::uint32_t>(b);
        for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (0x82f6'3b78u & (0u - (crc & 1u)));
    }
    return ~crc;
}

/// Bytes of a payload as they are written. What does not fit is left out, and seen by fits().
class payload_writer {
public:
    constexpr explicit payload_writer(std::span<std::byte> room) noexcept : room_{room} {}

    template <std::unsigned_integral T>
    constexpr void number(T value) noexcept {
        if (std::byte* const at = take(sizeof value)) detail::store_bytes(at, value);
    }
    constexpr void name(std::string_view text) noexcept {
        number(static_cast<std::uint8_t>(text.size()));
        if (std::byte* const at = take(text.size()))
            for (std::size_t i = 0; i < text.size(); ++i) at[i] = static_cast<std::byte>(text[i]);
    }
    constexpr void bytes(std::span<const std::byte> what) noexcept {
        if (std::byte* const at = take(what.size()))
            for (std::size_t i = 0; i < what.size(); ++i) at[i] = what[i];
    }

    [[nodiscard]] constexpr bool fits() const noexcept { return fits_; }
    [[nodiscard]] constexpr std::size_t size() const noexcept { return size_; }

private:
    /// Called for each number: inlined into a policy of many fields, it is more code, of which GCC sees paths that there
    /// are not (-Wstringop-overflow).
    [[gnu::noinline]] constexpr std::byte* take(std::size_t count) noexcept {
        fits_ = fits_ && count <= room_.size() - size_;
        if (!fits_) return nullptr;
        std::byte* const at = room_.data() + size_;
        size_ += count;
        return at;
    }

    std::span<std::byte> room_;
    std::size_t size_ = 0;
    bool fits_ = true;
};

/// Bytes of a payload as somebody wrote them, who may be anybody: what is not there reads as zeros and is seen by
/// whole().
class payload_reader {
public:
    constexpr explicit payload_reader(std::span<const std::byte> bytes) noexcept : left_{bytes} {}

    template <std::unsigned_integral T>
    [[nodiscard]] constexpr T number() noexcept {
        const auto from = bytes(sizeof(T));
        return from.size() == sizeof(T) ? detail::load_bytes<T>(from.data()) : T{0};
    }
    /// Exactly `count` bytes, or none.
    [[nodiscard]] constexpr std::span<const std::byte> bytes(std::size_t count) noexcept {
        whole_ = whole_ && count <= left_.size();
        if (!whole_) return {};
        const auto out = left_.first(count);
        left_ = left_.subspan(count);
        return out;
    }
    /// Whether a name comes next; it is then passed.
    [[nodiscard]] constexpr bool name_is(std::string_view expected) noexcept {
        payload_reader ahead = *this;
        const auto size = ahead.number<std::uint8_t>();
        const auto text = ahead.bytes(size);
        if (!ahead.whole_ || text.size() != expected.size()) return false;
        for (std::size_t i = 0; i < text.size(); ++i)
            if (static_cast<char>(text[i]) != expected[i]) return false;
        *this = ahead;
        return true;
    }

    /// Whether all that was asked for was there.
    [[nodiscard]] constexpr bool whole() const noexcept { return whole_; }
    [[nodiscard]] constexpr bool at_end() const noexcept { return whole_ && left_.empty(); }

private:
    std::span<const std::byte> left_;
    bool whole_ = true;
};

} // namespace mediant
