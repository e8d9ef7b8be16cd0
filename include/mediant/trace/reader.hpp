// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/little_endian.hpp>
#include <mediant/trace/event.hpp>
#include <mediant/trace/format.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace mediant::trace {

/// What is wrong with a recording.
enum class fault : std::uint8_t {
    none,
    no_recording,   ///< it begins with something else
    unknown_format, ///< of a later version
    truncated,      ///< it ends within a block
    checksum,       ///< a block is not what was written
    block_size,     ///< longer than any that is written
    block_order,    ///< an unknown block, or one where none such may be
    identity,       ///< the identity makes no sense
    event,          ///< an event makes no sense
    trailing,       ///< something behind the end
    count,          ///< the end tells of another number of events
};
[[nodiscard]] constexpr std::string_view to_text(fault what) noexcept {
    switch (what) {
    case fault::none: return "nothing";
    case fault::no_recording: return "this is no recording";
    case fault::unknown_format: return "a format that is not known here";
    case fault::truncated: return "it is cut off here";
    case fault::checksum: return "the block here is damaged (its checksum is another)";
    case fault::block_size: return "the block here has an impossible size";
    case fault::block_order: return "a block that may not be here";
    case fault::identity: return "the identity makes no sense";
    case fault::event: return "the event here makes no sense";
    case fault::trailing: return "something follows the end";
    case fault::count: return "the end tells of another number of events";
    }
    return "";
}

struct damage {
    fault what = fault::none;
    std::uint64_t offset = 0; ///< in the file: of the block or of the event
    [[nodiscard]] explicit operator bool() const noexcept { return what != fault::none; }
};

/// Bytes as somebody wrote them, who may be anybody: what is not there reads as 0 and is seen by whole().
class byte_reader {
public:
    explicit byte_reader(std::span<const std::byte> from) noexcept : all_{from.size()}, left_{from} {}

    [[nodiscard]] std::uint8_t byte() noexcept {
        const auto one = bytes(1);
        return one.empty() ? std::uint8_t{0} : std::to_integer<std::uint8_t>(one[0]);
    }
    /// Of at most 64 bits.
    [[nodiscard]] std::uint64_t varint() noexcept {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            const std::uint64_t next = byte();
            if (shift == 63 && next > 1) break;
            value |= (next & 0x7f) << shift;
            if ((next & 0x80) == 0) return whole_ ? value : 0;
        }
        whole_ = false;
        return 0;
    }
    /// At most `most`.
    [[nodiscard]] std::uint64_t varint(std::uint64_t most) noexcept {
        const std::uint64_t value = varint();
        if (value > most) whole_ = false;
        return whole_ ? value : 0;
    }
    /// Exactly so many, or none.
    [[nodiscard]] std::span<const std::byte> bytes(std::uint64_t count) noexcept {
        whole_ = whole_ && count <= left_.size();
        if (!whole_) return {};
        const auto out = left_.first(static_cast<std::size_t>(count));
        left_ = left_.subspan(out.size());
        return out;
    }
    [[nodiscard]] std::string text(std::uint64_t most) {
        const auto raw = bytes(varint(most));
        return {reinterpret_cast<const char*>(raw.data()), raw.size()};
    }

    [[nodiscard]] bool whole() const noexcept { return whole_; }
    [[nodiscard]] bool empty() const noexcept { return left_.empty(); }
    [[nodiscard]] std::size_t at() const noexcept { return all_ - left_.size(); }

private:
    std::size_t all_;
    std::span<const std::byte> left_;
    bool whole_ = true;
};

/// The events of a recording, from bytes that anybody may have written: nothing in them is trusted. What comes before
/// damage is given out; what a block's checksum does not cover is not.
class reader {
public:
    /// The bytes stay the caller's, and where they are.
    explicit reader(std::span<const std::byte> file) : file_{file}, events_{std::span<const std::byte>{}} { begin(); }

    [[nodiscard]] const identity& who() const noexcept { return identity_; }

    /// The next event; nullopt at the end, and where it is damaged.
    [[nodiscard]] std::optional<event> next() {
        while (events_.empty()) {
            if (damage_ || finished_) return std::nullopt;
            if (at_ == file_.size()) return std::nullopt; // it was not finished
            const std::uint64_t from = at_;
            const auto found = next_block();
            if (!found) return std::nullopt;
            if (found->type == block_type::end) {
                finish(found->payload, from);
                return std::nullopt;
            }
            if (found->type != block_type::events) {
                broken(fault::block_order, from);
                return std::nullopt;
            }
            events_ = byte_reader{found->payload};
            events_from_ = from + block_head;
            last_ = {};
            time_ = events_.varint();
            if (!events_.whole()) {
                broken(fault::event, events_from_);
                return std::nullopt;
            }
        }
        const std::uint64_t from = events_from_ + events_.at();
        event out;
        const bool good = read_event(out) && events_.whole();
        if (!good) {
            broken(fault::event, from);
            return std::nullopt;
        }
        ++seen_;
        return out;
    }

    /// Events that next() gave out.
    [[nodiscard]] std::uint64_t seen() const noexcept { return seen_; }
    /// What was wrong; asked for when next() gives nothing.
    [[nodiscard]] const damage& damaged() const noexcept { return damage_; }
    /// Whether the end was reached that its writer made. A recording without one was not finished.
    [[nodiscard]] bool finished() const noexcept { return finished_; }
    /// Events that found no room at the end.
    [[nodiscard]] std::uint64_t lost() const noexcept { return lost_; }

private:
    void begin() {
        if (file_.size() < recording_magic.size() ||
            !std::equal(recording_magic.begin(), recording_magic.end(), file_.begin(),
                        [](char a, std::byte b) { return static_cast<std::byte>(a) == b; }))
            return broken(fault::no_recording, 0);
        if (file_.size() < file_head) return broken(fault::truncated, recording_magic.size());
        if (mediant::detail::load_bytes<std::uint32_t>(file_.data() + recording_magic.size()) != recording_format)
            return broken(fault::unknown_format, recording_magic.size());
        at_ = file_head;
        const auto first = next_block();
        if (!first) return;
        if (first->type != block_type::identity) return broken(fault::block_order, file_head);
        if (!read_identity(first->payload)) broken(fault::identity, file_head);
    }

    struct found_block {
        block_type type;
        std::span<const std::byte> payload;
    };

    void broken(fault what, std::uint64_t offset) noexcept {
        damage_ = {what, offset};
        events_ = byte_reader{std::span<const std::byte>{}};
    }

    [[nodiscard]] std::optional<found_block> next_block() noexcept {
        const auto left = file_.subspan(static_cast<std::size_t>(at_));
        const auto cut = [this] {
            broken(fault::truncated, at_);
            return std::nullopt;
        };
        if (left.size() < block_overhead) return cut();
        const std::size_t size = mediant::detail::load_bytes<std::uint32_t>(left.data() + 1);
        if (size > longest_block) {
            broken(fault::block_size, at_);
            return std::nullopt;
        }
        if (size > left.size() - block_overhead) return cut();
        const auto whole = left.first(block_head + size);
        if (mediant::detail::load_bytes<std::uint32_t>(whole.data() + whole.size()) != detail::checksum(whole)) {
            broken(fault::checksum, at_);
            return std::nullopt;
        }
        at_ += size + block_overhead;
        return found_block{block_type{std::to_integer<std::uint8_t>(whole[0])}, whole.subspan(block_head)};
    }

    [[nodiscard]] bool read_identity(std::span<const std::byte> payload) {
        byte_reader from{payload};
        device_id& id = identity_.device;
        for (std::uint32_t* const field : {&id.vendor, &id.device, &id.subvendor, &id.subdevice, &id.class_code})
            *field = static_cast<std::uint32_t>(from.varint(any_id));
        identity_.provider = from.text(256);
        identity_.source = from.text(256);
        identity_.started = from.varint();
        const std::uint64_t regions = from.varint(most_regions);
        for (std::uint64_t i = 0; i < regions && from.whole(); ++i) {
            identity::region each;
            each.index = region_index{static_cast<std::uint32_t>(from.varint(0xffff'ffff))};
            each.size = from.varint();
            each.flags = region_flags{static_cast<std::uint32_t>(from.varint(7))};
            if (from.whole()) identity_.regions.push_back(each);
        }
        return from.whole() && from.empty();
    }

    void finish(std::span<const std::byte> payload, std::uint64_t from) noexcept {
        byte_reader numbers{payload};
        const std::uint64_t recorded = numbers.varint();
        lost_ = numbers.varint();
        if (!numbers.whole() || !numbers.empty() || recorded != seen_) return broken(fault::count, from);
        if (at_ != file_.size()) return broken(fault::trailing, at_);
        finished_ = true;
    }

    [[nodiscard]] bool read_event(event& out) noexcept {
        const unsigned bits = events_.byte();
        return (bits & detail::bit_other) != 0 ? read_other(bits, out) : read_access(bits, out);
    }

    [[nodiscard]] bool take_time(event& out) noexcept {
        const std::uint64_t since = events_.varint();
        if (since > ~std::uint64_t{0} - time_) return false;
        out.time = time_ += since;
        return true;
    }

    [[nodiscard]] bool read_access(unsigned bits, event& out) noexcept {
        using namespace detail;
        out.what = (bits & bit_write) != 0 ? action::write : action::read;
        out.at = (bits & bit_below) != 0 ? level::below : level::front;
        last_access& last = last_[static_cast<std::size_t>(out.at)];
        const unsigned details = (bits & bit_details) != 0 ? events_.byte() : 0u;
        const unsigned decided = details >> decision_shift & 3;
        if (details >= 64 || decided > static_cast<unsigned>(decision::trapped)) return false;
        out.decided = static_cast<decision>(decided);
        if (!take_time(out)) return false;
        if ((bits & bit_region) != 0)
            last.region = region_index{static_cast<std::uint32_t>(events_.varint(0xffff'ffff))};
        if ((bits & bit_offset) != 0) last.offset += unfolded(events_.varint());
        out.region = last.region;
        out.offset = last.offset;
        out.size = (details & bit_size) != 0 ? events_.varint() : std::uint64_t{1} << (bits >> width_shift & 3);
        out.count = (details & bit_count) != 0 ? events_.varint() : out.size;
        if (out.count > out.size || out.size > ~std::uint64_t{0} - out.offset) return false;
        if ((details & bit_error) != 0) out.error = error{static_cast<std::int32_t>(events_.varint(most_errno))};
        const std::uint64_t known = (details & bit_partly) != 0 ? events_.varint(longest_bytes) : out.meant();
        if (known > out.meant() || known > longest_bytes || !events_.whole()) return false;
        if (known > 8) {
            out.set_bytes(events_.bytes(known));
        } else if (known != 0) {
            std::array<std::byte, 8> few{};
            store_little(few, events_.varint(low_bytes(static_cast<std::size_t>(known))));
            out.set_bytes(std::span{few}.first(static_cast<std::size_t>(known)));
        }
        return true;
    }

    [[nodiscard]] bool read_other(unsigned bits, event& out) noexcept {
        using namespace detail;
        const unsigned number = bits >> action_shift;
        if (number >= action_count || number <= static_cast<unsigned>(action::write)) return false;
        out.what = static_cast<action>(number);
        out.at = (bits & bit_other_below) != 0 ? level::below : level::front;
        if (!take_time(out)) return false;
        const action_facts& facts = facts_of(out.what);
        for (std::size_t i = 0; i < facts.number_count(); ++i) out.numbers[i] = events_.varint();
        if (facts.answers) out.error = error{static_cast<std::int32_t>(events_.varint(most_errno))};
        if (facts.has_bytes) out.set_bytes(events_.bytes(events_.varint(longest_bytes)));
        return true;
    }

    std::span<const std::byte> file_;
    std::uint64_t at_ = 0; ///< the next block
    identity identity_;
    byte_reader events_;            ///< of a block
    std::uint64_t events_from_ = 0; ///< where that is in the file
    std::array<detail::last_access, 2> last_{};
    std::uint64_t time_ = 0;
    std::uint64_t seen_ = 0;
    std::uint64_t lost_ = 0;
    damage damage_;
    bool finished_ = false;
};

} // namespace mediant::trace
