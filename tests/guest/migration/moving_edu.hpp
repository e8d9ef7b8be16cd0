// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/mediant.hpp>

/// A provider for the tests of migration: of QEMU's edu device, whose state it fetches through its registers, since the
/// hardware tells nothing of it.
namespace moving {
using namespace mediant;

struct edu {
    static constexpr auto info = provider{"moving", {pci_id{0x1234, 0x11e8}}, {.author = "Acme"}};

    static constexpr auto bar0 = region_map{bar{0}, 1_MiB,
        reg{"LIVE", 0x04},
        reg{"FACTORIAL", 0x08, rw, {.hook = on::write}},                        // what was asked is kept
        reg{"STATUS", 0x20},
        reg{"EVENTS", 0x28, rw, {.backing = from::shadow}},
        reg{"FAIL", 0x30, rw, {.backing = from::shadow, .hook = on::write}},    // which hook fails, once
        reg{"LEVEL", 0x34, ro, {.backing = from::constant, .hook = on::read}},  // as the hooks were called
        reg{"QUICK", 0x38, rw, {.backing = from::shadow, .hook = on::write}},   // a reset is the policy's alone
        reg{"MARK", 0x40, wo, {.backing = from::shadow, .hook = on::write}},    // a page that a test calls written
        reg{"MARKS", 0x44, wo, {.backing = from::shadow, .hook = on::write}},   // and three
        reg{"TARGET", 0x88, rw, {.hook = on::write}},                           // of a transfer, its size, its begin
        reg{"COUNT", 0x90, rw, {.hook = on::write}},
        reg{"COMMAND", 0x98, rw, {.hook = on::write}},
        block{"SPARE", 0xa0, 0x20, {.backing = from::shadow}},
        block{"TABLE", 0x1000, 0x2000, {.backing = from::shadow}}};
    static constexpr auto regions = mediant::regions<bar0>{};

    enum failure : std::uint32_t { none, quiesces, resumes, saves, restores, at_end };

    /// While it computes the hardware takes no other.
    result<void> write(at<bar0, "FACTORIAL"> reg, std::uint32_t value, auto& next) noexcept {
        const auto busy = next.read(at<bar0, "STATUS">{});
        if (!busy) return busy.error();
        if ((*busy & 1) != 0) return {};
        operand = value;
        return next.write(reg, value);
    }
    result<void> write(at<bar0, "FAIL"> reg, std::uint32_t value, auto& next) noexcept {
        fail = value;
        return next.write(reg, 0u);
    }
    result<void> write(at<bar0, "QUICK"> reg, std::uint32_t value, auto& next) noexcept {
        quick = value != 0;
        return next.write(reg, value);
    }
    result<void> write(at<bar0, "MARK">, std::uint32_t page, auto& next) noexcept {
        next.dirty(std::uint64_t{page} << 12, 1);
        return {};
    }
    result<void> write(at<bar0, "MARKS">, std::uint32_t page, auto& next) noexcept {
        next.dirty(std::uint64_t{page} << 12, std::uint64_t{4096} * 3);
        return {};
    }
    /// What the hardware writes to memory begins here, and is over some time later.
    result<void> write(at<bar0, "TARGET"> reg, std::uint32_t value, auto& next) noexcept {
        if (!transferring) target = value;
        return next.write(reg, value);
    }
    result<void> write(at<bar0, "COUNT"> reg, std::uint32_t value, auto& next) noexcept {
        if (!transferring) count = value;
        return next.write(reg, value);
    }
    result<void> write(at<bar0, "COMMAND"> reg, std::uint32_t value, auto& next) noexcept {
        if (const auto done = note_transfer(next); !done) return done;
        transferring = transferring || (value & 3) == 3;
        return next.write(reg, value);
    }
    result<void> ioctl(const report_dma_logging& what, auto& next) noexcept {
        if (const auto done = note_transfer(next); !done) return done;
        return next.ioctl(what);
    }
    result<std::uint32_t> read(at<bar0, "LEVEL">, auto&) noexcept { return level; }
    result<void> ioctl(const reset_device& what, auto& next) noexcept {
        if (quick) return {};
        return next.ioctl(what);
    }
    /// What the hardware does by itself goes on: a factorial that is asked for now.
    void reset() noexcept {
        const bool was = quick;
        *this = {};
        quick = was; // a test asks for it once
    }

    static constexpr auto migration() {
        return saved_state{3, saved{"operand", &edu::operand}, saved{"level", &edu::level, {.most = 2}},
                           saved_registers<bar0>{}};
    }

    /// Not while the hardware computes: what it would answer then cannot be moved.
    result<void> quiesce(auto& next) noexcept {
        if (failing(quiesces)) return error::io;
        const auto status = next.read(at<bar0, "STATUS">{});
        if (!status) return status.error();
        if (const auto done = note_transfer(next); !done) return done;
        if ((*status & 1) != 0 || transferring) return error::busy;
        level = 2;
        return {};
    }
    result<void> resume(auto&) noexcept {
        if (failing(resumes)) return error::io;
        level = 1;
        return {};
    }
    result<void> quiesce_p2p(auto&) noexcept {
        level = 1;
        return {};
    }
    result<void> resume_p2p(auto&) noexcept {
        level = 0;
        return {};
    }
    /// The registers that the hardware has, 8 bytes. A device that was just restored may compute still, which is no
    /// part of its state: who is given that computes by itself.
    result<std::size_t> save(std::uint64_t offset, std::span<std::byte> to, auto& next) noexcept {
        if (failing(saves)) return error::io;
        if (offset >= 8) return std::size_t{0};
        const auto live = next.read(at<bar0, "LIVE">{});
        const auto status = next.read(at<bar0, "STATUS">{});
        if (!live || !status) return error::io;
        const std::uint64_t both = *live | std::uint64_t{*status & ~1u} << 32;
        std::size_t done = 0;
        for (; done < to.size() && offset + done < 8; ++done)
            to[done] = static_cast<std::byte>(both >> 8 * (offset + done) & 0xff);
        return done;
    }
    result<void> restore(std::uint64_t offset, std::span<const std::byte> from, auto&) noexcept {
        if (failing(restores) || offset + from.size() > 8) return error::invalid;
        for (std::size_t i = 0; i < from.size(); ++i) {
            const auto shift = 8 * (offset + i);
            const auto byte = std::uint64_t{static_cast<std::uint8_t>(from[i])};
            fetched = (fetched & ~(std::uint64_t{0xff} << shift)) | byte << shift;
        }
        whole = offset + from.size() == 8;
        return {};
    }
    /// The hardware computes again what it had computed: its FACTORIAL can be had in no other way.
    result<void> restored(auto& next) noexcept {
        if (failing(at_end) || !whole) return error::invalid;
        level = 2;
        if (!next.write(at<bar0, "LIVE">{}, static_cast<std::uint32_t>(~fetched))) return error::io; // reads inverted
        if (!next.write(at<bar0, "STATUS">{}, static_cast<std::uint32_t>(fetched >> 32))) return error::io;
        return next.write(at<bar0, "FACTORIAL">{}, operand);
    }

private:
    /// Marked at each report as long as it may be written, and once more when that is over.
    result<void> note_transfer(auto& next) noexcept {
        if (!transferring) return {};
        const auto command = next.read(at<bar0, "COMMAND">{});
        if (!command) return command.error();
        transferring = (*command & 1) != 0;
        next.dirty(target, count);
        return {};
    }
    constexpr bool failing(failure what) noexcept {
        if (fail != what) return false;
        fail = none;
        return true;
    }

    std::uint32_t target = 0;
    std::uint32_t count = 0;
    bool transferring = false;
    std::uint32_t operand = 0;
    std::uint32_t fail = none;
    std::uint32_t level = 0;
    std::uint64_t fetched = 0;
    bool whole = false;
    bool quick = false;
};
static_assert(valid<edu>);

} // namespace moving
