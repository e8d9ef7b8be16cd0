// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/little_endian.hpp>
#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/device/config_space.hpp>
#include <mediant/device/interrupts.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace mediant::device {

/// The MSI-X table and the pending bits of a simulated function (PCI Local Bus Specification 3.0, 6.8.2), and what
/// stands between its vectors and their eventfds: a vector that is triggered while it is masked is pending, once, and
/// is delivered when nothing masks it any more.
///
/// What masks: the function mask in config space; the vector's mask bit in the table; SET_IRQS. All mask bits are set
/// at first, as the specification has it, and each counts from the first write to it on: clients such as QEMU keep the
/// table of their guest themselves, and ask for what they want by SET_IRQS alone.
///
/// trigger() may be called by several threads, beside all else; that is done by one at a time.
class msix_table {
public:
    /// `irqs` is where messages go; it has the vectors already.
    msix_table(const simulated_msix& what, interrupts& irqs)
        : irqs_{irqs}, entries_(what.vectors), table_bar_{what.table_bar}, pending_bar_{what.pending_bar},
          bars_{what.vectors == 0 ? 0 : 1u << what.table_bar | 1u << what.pending_bar},
          table_{what.table_offset, std::uint64_t{what.vectors} * entry_size},
          pending_{what.pending_offset, (what.vectors + 63u) / 64 * 8} {}

    /// Bytes that an access to BAR `bar` finds here and not in the device's own: naturally aligned ones lie here whole,
    /// or not at all.
    [[nodiscard]] bool covers(std::uint32_t bar, std::uint64_t offset) const noexcept {
        if ((bars_ >> bar & 1) == 0) [[likely]]
            return false;
        return (bar == table_bar_ && table_.contains(offset)) || (bar == pending_bar_ && pending_.contains(offset));
    }
    /// Whether some of a stretch is here.
    [[nodiscard]] bool touches(std::uint32_t bar, range stretch) const noexcept {
        const auto meets = [&](const range& mine) {
            return !mine.empty() && stretch.offset < mine.end() && mine.offset < stretch.end();
        };
        return (bar == table_bar_ && meets(table_)) || (bar == pending_bar_ && meets(pending_));
    }

    /// `width` bytes at an offset that it covers.
    [[nodiscard, gnu::noinline]] std::uint64_t load(std::uint32_t bar, std::uint64_t offset, unsigned width) const noexcept {
        std::array<std::byte, 8> bytes{};
        for (unsigned i = 0; i < width; ++i) {
            const std::uint64_t at = offset + i;
            bytes[i] = bar == table_bar_ && table_.contains(at) ? entry_byte(at - table_.offset)
                                                                : pending_byte(at - pending_.offset);
        }
        return load_little(std::span<const std::byte>{bytes.data(), width});
    }
    [[gnu::noinline]] void store(std::uint32_t bar, std::uint64_t offset, unsigned width, std::uint64_t value) noexcept {
        if (bar != table_bar_ || !table_.contains(offset)) return; // the pending bits are read-only
        for (unsigned i = 0; i < width; ++i, value >>= 8) {
            const std::uint64_t at = offset + i - table_.offset;
            entry& in = entries_[static_cast<std::size_t>(at / entry_size)];
            const auto byte = static_cast<std::size_t>(at % entry_size);
            if (byte < in.message.size())
                in.message[byte] = static_cast<std::byte>(value);
            else if (byte == in.message.size()) // the mask bit; what lies behind it is reserved
                set(in, static_cast<std::uint8_t>(in_table | ((value & 1) != 0 ? table_mask : 0)),
                    static_cast<std::uint8_t>(in_table | table_mask));
        }
    }

    /// The function mask in config space.
    void mask_function(bool masked) noexcept {
        if (function_masked_.exchange(masked) && !masked)
            for (entry& each : entries_) deliver_pending(each);
    }

    /// SET_IRQS with the actions mask and unmask. Errors as of interrupts::apply().
    result<void> mask(const set_irqs& what) noexcept {
        if (what.start > entries_.size() || what.count > entries_.size() - what.start) return error::invalid;
        if (what.how == set_irqs::data::eventfds) return error::not_supported;
        if (what.how == set_irqs::data::bools && what.bools.size() != what.count) return error::invalid;
        for (std::uint32_t i = 0; i < what.count; ++i) {
            if (what.how == set_irqs::data::bools && what.bools[i] == 0) continue;
            set(entries_[what.start + i], what.what == set_irqs::action::mask ? user_mask : std::uint8_t{0}, user_mask);
        }
        return {};
    }

    /// The device triggers a vector. error::invalid: there is none.
    result<void> trigger(std::uint32_t vector) noexcept {
        if (vector >= entries_.size()) return error::invalid;
        entry& in = entries_[vector];
        if (!masked(in)) return irqs_.trigger(irq_index::msix, vector);
        in.state.fetch_or(pending_bit);
        if (!masked(in)) deliver_pending(in); // unmasked just now, by somebody who saw nothing pending
        return {};
    }

    /// Whether a trigger waits, of a vector that there is.
    [[nodiscard]] bool pending(std::uint32_t vector) const noexcept {
        return (entries_[vector].state.load() & pending_bit) != 0;
    }

    /// The kind was disabled: what waits is gone, and what SET_IRQS masked.
    void disable() noexcept {
        for (entry& each : entries_) each.state.fetch_and(static_cast<std::uint8_t>(~(pending_bit | user_mask)));
    }
    /// All as at first, but for the function mask.
    void clear() noexcept {
        for (entry& each : entries_) {
            each.message = {};
            each.state.store(table_mask);
        }
    }

private:
    static constexpr std::size_t entry_size = 16;
    // Bits of a vector's state.
    static constexpr std::uint8_t table_mask = 1; ///< the mask bit
    static constexpr std::uint8_t in_table = 2;   ///< it was written to, and counts
    static constexpr std::uint8_t user_mask = 4;  ///< of SET_IRQS
    static constexpr std::uint8_t pending_bit = 8;

    struct entry {
        std::array<std::byte, 12> message{}; ///< address and data
        std::atomic<std::uint8_t> state{table_mask};
    };

    [[nodiscard]] bool masked(const entry& in) const noexcept {
        const auto state = in.state.load();
        return function_masked_.load() || (state & user_mask) != 0 ||
               (state & (table_mask | in_table)) == (table_mask | in_table);
    }
    /// Changes the bits of `which` to those of `to`, and delivers what nothing masks any more.
    void set(entry& in, std::uint8_t to, std::uint8_t which) noexcept {
        auto state = in.state.load();
        while (!in.state.compare_exchange_weak(state, static_cast<std::uint8_t>((state & ~which) | to))) {}
        deliver_pending(in);
    }
    /// Of those who find it pending one delivers it.
    void deliver_pending(entry& in) noexcept {
        if (masked(in) || (in.state.load() & pending_bit) == 0) return;
        if ((in.state.fetch_and(static_cast<std::uint8_t>(~pending_bit)) & pending_bit) != 0)
            static_cast<void>(irqs_.trigger(irq_index::msix, static_cast<std::uint32_t>(&in - entries_.data())));
    }

    [[nodiscard]] std::byte entry_byte(std::uint64_t at) const noexcept {
        const entry& in = entries_[static_cast<std::size_t>(at / entry_size)];
        const auto byte = static_cast<std::size_t>(at % entry_size);
        if (byte < in.message.size()) return in.message[byte];
        return byte == in.message.size() ? std::byte(in.state.load() & table_mask) : std::byte{0};
    }
    [[nodiscard]] std::byte pending_byte(std::uint64_t at) const noexcept {
        unsigned bits = 0;
        for (std::uint32_t i = 0; i < 8; ++i) {
            const auto vector = static_cast<std::uint32_t>(at) * 8 + i;
            if (vector < entries_.size() && pending(vector)) bits |= 1u << i;
        }
        return std::byte(bits);
    }

    interrupts& irqs_;
    std::vector<entry> entries_;
    std::uint32_t table_bar_;
    std::uint32_t pending_bar_;
    std::uint32_t bars_; ///< a bit for each that holds one of them
    range table_;
    range pending_;
    std::atomic<bool> function_masked_{false};
};

} // namespace mediant::device
