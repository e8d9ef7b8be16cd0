// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <string_view>

/// Why a state could not be restored, for the log: its answer is one errno number.
namespace mediant {

enum class stream_fault : std::uint8_t {
    none,
    damaged,      ///< a chunk's checksum is wrong
    no_stream,    ///< does not begin as one
    format,       ///< of another format
    other_device, ///< of a device with other IDs
    other_party,  ///< of other policies than are here, or in another order
    version,      ///< of a version that cannot be taken: newer, or older than what is still known
    too_long,     ///< a chunk, or what a field has
    order,        ///< a chunk where none of its type belongs
    missing,      ///< a field that this version has
    unexpected,   ///< a field that this version does not have
    size,         ///< a field of another size
    bounds,       ///< a field's value that it cannot have
    refused,      ///< by a policy's, or the device's, own check
    cut,          ///< ended too early
    extended,     ///< goes on behind its end
};

[[nodiscard]] constexpr std::string_view to_text(stream_fault what) noexcept {
    switch (what) {
    case stream_fault::none: return "nothing is wrong";
    case stream_fault::damaged: return "a chunk's checksum is wrong";
    case stream_fault::no_stream: return "it does not begin as a stream of mediant's";
    case stream_fault::format: return "its format is not known here";
    case stream_fault::other_device: return "it comes from a device with other IDs";
    case stream_fault::other_party: return "it comes from other policies than are here";
    case stream_fault::version: return "its version cannot be taken here";
    case stream_fault::too_long: return "a chunk is too long";
    case stream_fault::order: return "a chunk is where it does not belong";
    case stream_fault::missing: return "a field is missing";
    case stream_fault::unexpected: return "there is a field that is not known here";
    case stream_fault::size: return "a field has another size";
    case stream_fault::bounds: return "a field has a value that it cannot have";
    case stream_fault::refused: return "the state was refused";
    case stream_fault::cut: return "it ends too early";
    case stream_fault::extended: return "it goes on behind its end";
    }
    return "";
}

/// What is wrong with a stream, and where.
struct stream_report {
    stream_fault what = stream_fault::none;
    std::string_view party{}; ///< the policy, or "device"; empty where it is the stream's own matter
    std::string_view field{}; ///< of those, or empty
    std::uint64_t offset = 0; ///< in the stream, of the chunk
};

} // namespace mediant
