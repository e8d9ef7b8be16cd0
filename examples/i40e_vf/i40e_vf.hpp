// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "layout.hpp"
#include "virtchnl.hpp"

#include <mediant/mediant.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace acme {
using namespace mediant;

/// What a user gets of the function.
struct i40e_vf_limits {
    static constexpr std::size_t queues = 4;             ///< pairs
    static constexpr std::uint32_t descriptors = 512;    ///< of a ring
    static constexpr std::uint32_t mailbox_entries = 128;
};

namespace i40e_vf_map {
/// A register that hands something over: trapped, and accessed whole. Other widths read as ones and write nothing.
consteval reg_options tail(std::uint32_t count = no_array) {
    return {.hook = on::write, .count = count, .widths = width::bits32, .otherwise = otherwise::swallow};
}
} // namespace i40e_vf_map

/// A virtual function of Intel's XL710 that can be migrated: tails and the mailbox are trapped, so that it is known
/// which rings there are and which buffers the function was given; and what it has written is told to the log of
/// written pages, by the marks that it leaves in descriptors when it has.
///
/// For user space: it reads descriptors, which a kernel module has no service for.
struct i40e_vf {
    static constexpr auto info = provider{"i40e_vf", {pci_id{0x8086, 0x154c}, pci_id{0x8086, 0x1889}},
        {.description = "A virtual function of an XL710 that migrates under traffic", .author = "Acme"}};

    static constexpr auto bar0 = region_map{bar{0}, 64_KiB,
        reg{"QTX_TAIL1",       i40e::at::qtx_tail, rw, i40e_vf_map::tail(16)},
        reg{"QRX_TAIL1",       i40e::at::qrx_tail, rw, i40e_vf_map::tail(16)},
        reg{"VFINT_DYN_CTLN1", i40e::at::dyn_ctln, rw, {.count = 16}},
        reg{"VFINT_DYN_CTL01", i40e::at::dyn_ctl0},
        reg{"VF_ARQBAH1",      i40e::at::arqbah},
        reg{"VF_ATQH1",        i40e::at::atqh},
        reg{"VF_ATQLEN1",      i40e::at::atqlen, rw, i40e_vf_map::tail()},
        reg{"VF_ARQBAL1",      i40e::at::arqbal},
        reg{"VF_ARQT1",        i40e::at::arqt, rw, i40e_vf_map::tail()},
        reg{"VF_ARQH1",        i40e::at::arqh},
        reg{"VF_ATQBAH1",      i40e::at::atqbah},
        reg{"VF_ATQBAL1",      i40e::at::atqbal},
        reg{"VF_ARQLEN1",      i40e::at::arqlen, rw, i40e_vf_map::tail()},
        reg{"VF_ATQT1",        i40e::at::atqt, rw, i40e_vf_map::tail()},
        reg{"VFGEN_RSTAT",     i40e::at::rstat},
        // The provider's own, where the hardware has nothing: tails that were written, and those that went no further.
        reg{"RUNG",    0xf000, ro, {.backing = from::shadow}},
        reg{"DROPPED", 0xf004, ro, {.backing = from::shadow}}};
    static constexpr auto regions = mediant::regions<bar0>{};

    void reset() noexcept { *this = {}; }

    // Tails: a queue's are told when it is on, and lie within its ring. What they hand over is learnt before that.

    result<void> write(at<bar0, "QTX_TAIL1"> reg, std::size_t queue, std::uint32_t tail, auto& next) noexcept {
        raise(at<bar0, "RUNG">{}, next);
        if (queue >= queues) return drop(next);
        if (!tx_on[queue]) return hold(tx_tail[queue], tail);
        if (tail >= tx_entries[queue] || !learn_tx(queue, tail, next)) return drop(next);
        tx_tail[queue] = static_cast<std::uint16_t>(tail);
        return next.write(reg, queue, tail);
    }
    result<void> write(at<bar0, "QRX_TAIL1"> reg, std::size_t queue, std::uint32_t tail, auto& next) noexcept {
        raise(at<bar0, "RUNG">{}, next);
        if (queue >= queues) return drop(next);
        if (!rx_on[queue]) return hold(rx_tail[queue], tail);
        if (tail >= rx_entries[queue] || !learn_rx(queue, tail, next)) return drop(next);
        rx_tail[queue] = static_cast<std::uint16_t>(tail);
        return next.write(reg, queue, tail);
    }

    // The mailbox: what the driver asks of the physical function's says where rings are.

    result<void> write(at<bar0, "VF_ATQT1"> reg, std::uint32_t tail, auto& next) noexcept {
        if (atq_entries == 0) return tail == 0 ? next.write(reg, tail) : drop(next);
        if (tail >= atq_entries) return drop(next);
        const auto ring = base(at<bar0, "VF_ATQBAL1">{}, at<bar0, "VF_ATQBAH1">{}, next);
        if (!ring) return ring.error();
        atq_ring = *ring;
        while (atq_next != tail) {
            std::array<std::byte, i40e::admin_descriptor::size> raw{};
            if (!fetch(atq_ring + atq_next * raw.size(), raw, next)) return drop(next);
            if (test(atq_pending, atq_next)) next.dirty(atq_ring + atq_next * raw.size(), raw.size());
            set(atq_pending, atq_next, true);
            consider(i40e::admin_descriptor::from(raw), next);
            atq_next = static_cast<std::uint16_t>((atq_next + 1u) % atq_entries);
        }
        return next.write(reg, tail);
    }
    result<void> write(at<bar0, "VF_ARQT1"> reg, std::uint32_t tail, auto& next) noexcept {
        if (arq_entries == 0) return tail == 0 ? next.write(reg, tail) : drop(next);
        if (tail >= arq_entries) return drop(next);
        // A driver hears here that its queues are off, and takes their rings down afterwards.
        if (stopping) settle_queues(next);
        const auto ring = base(at<bar0, "VF_ARQBAL1">{}, at<bar0, "VF_ARQBAH1">{}, next);
        if (!ring) return ring.error();
        arq_ring = *ring;
        while (arq_next != tail) {
            std::array<std::byte, i40e::admin_descriptor::size> raw{};
            if (!fetch(arq_ring + arq_next * raw.size(), raw, next)) return drop(next);
            if (test(arq_pending, arq_next)) mark_message(arq_next, arq_length[arq_next], next);
            const auto given = i40e::admin_descriptor::from(raw);
            arq_address[arq_next] = given.address;
            arq_length[arq_next] = given.length;
            set(arq_pending, arq_next, true);
            arq_next = static_cast<std::uint16_t>((arq_next + 1u) % arq_entries);
        }
        return next.write(reg, tail);
    }
    result<void> write(at<bar0, "VF_ATQLEN1"> reg, std::uint32_t value, auto& next) noexcept {
        settle_mailbox(next);
        atq_entries = entries_of(value, next);
        atq_next = 0;
        atq_pending = {};
        return next.write(reg, value);
    }
    result<void> write(at<bar0, "VF_ARQLEN1"> reg, std::uint32_t value, auto& next) noexcept {
        settle_mailbox(next);
        arq_entries = entries_of(value, next);
        arq_next = 0;
        arq_pending = {};
        return next.write(reg, value);
    }

    // Whoever asks which pages were written is told of all that the function has finished.

    result<std::uint64_t> ioctl(const start_dma_logging& what, auto& next) noexcept {
        settle(next); // before it; nobody asked
        return next.ioctl(what);
    }
    result<void> ioctl(const report_dma_logging& what, auto& next) noexcept {
        settle(next);
        return next.ioctl(what);
    }
    result<void> ioctl(const reset_device& what, auto& next) noexcept {
        settle(next);
        return next.ioctl(what);
    }

    // Migration: what was learnt goes along; the function's own state is the device's to save.

    static constexpr auto migration() {
        constexpr std::uint16_t ring = i40e_vf_limits::descriptors, mailbox = i40e_vf_limits::mailbox_entries;
        return saved_state{1,
            saved{"tx_ring", &i40e_vf::tx_ring}, saved{"tx_entries", &i40e_vf::tx_entries, {.most = ring}},
            saved{"tx_next", &i40e_vf::tx_next, {.most = ring - 1}}, saved{"tx_tail", &i40e_vf::tx_tail},
            saved{"tx_on", &i40e_vf::tx_on}, saved{"tx_pending", &i40e_vf::tx_pending},
            saved{"rx_ring", &i40e_vf::rx_ring}, saved{"rx_entries", &i40e_vf::rx_entries, {.most = ring}},
            saved{"rx_next", &i40e_vf::rx_next, {.most = ring - 1}}, saved{"rx_tail", &i40e_vf::rx_tail},
            saved{"rx_on", &i40e_vf::rx_on}, saved{"rx_pending", &i40e_vf::rx_pending},
            saved{"rx_buffer", &i40e_vf::rx_buffer, {.most = most_buffer}}, saved{"rx_address", &i40e_vf::rx_address},
            saved{"stopping", &i40e_vf::stopping},
            saved{"atq_ring", &i40e_vf::atq_ring}, saved{"atq_entries", &i40e_vf::atq_entries, {.most = mailbox}},
            saved{"atq_next", &i40e_vf::atq_next, {.most = mailbox - 1}}, saved{"atq_pending", &i40e_vf::atq_pending},
            saved{"arq_ring", &i40e_vf::arq_ring}, saved{"arq_entries", &i40e_vf::arq_entries, {.most = mailbox}},
            saved{"arq_next", &i40e_vf::arq_next, {.most = mailbox - 1}}, saved{"arq_pending", &i40e_vf::arq_pending},
            saved{"arq_address", &i40e_vf::arq_address}, saved{"arq_length", &i40e_vf::arq_length},
            saved_registers<bar0>{}};
    }
    /// A place lies within its ring, and a queue that is on has one.
    result<void> restored(auto&) noexcept {
        const auto within = [](std::uint32_t place, std::uint32_t entries) { return place == 0 || place < entries; };
        for (std::size_t q = 0; q < queues; ++q)
            if (!within(tx_next[q], tx_entries[q]) || !within(rx_next[q], rx_entries[q]) ||
                (tx_on[q] && tx_entries[q] == 0) || (rx_on[q] && rx_entries[q] == 0))
                return error::invalid;
        if (!within(atq_next, atq_entries) || !within(arq_next, arq_entries)) return error::invalid;
        return {};
    }

private:
    static constexpr std::size_t queues = i40e_vf_limits::queues;
    static constexpr std::uint32_t most_buffer = 16 * 1024 - 128; ///< as the hardware has it
    static constexpr std::size_t group = 32;                      ///< descriptors that are read at once

    using ring_bits = std::array<std::uint32_t, i40e_vf_limits::descriptors / 32>;
    using mailbox_bits = std::array<std::uint32_t, i40e_vf_limits::mailbox_entries / 32>;
    template <class Bits>
    [[nodiscard]] static constexpr bool test(const Bits& bits, std::size_t i) noexcept {
        return (bits[i / 32] >> (i % 32) & 1) != 0;
    }
    template <class Bits>
    static constexpr void set(Bits& bits, std::size_t i, bool to) noexcept {
        bits[i / 32] = (bits[i / 32] & ~(1u << (i % 32))) | std::uint32_t{to} << (i % 32);
    }
    template <class Register>
    static void raise(Register which, auto& next) {
        next.assign(which, next.held(which) + 1);
    }
    static result<void> drop(auto& next) {
        raise(at<bar0, "DROPPED">{}, next);
        return {};
    }
    /// A queue that is off takes it when it is enabled: drivers post buffers before they ask for that.
    static result<void> hold(std::uint16_t& where, std::uint32_t tail) {
        where = static_cast<std::uint16_t>(std::min<std::uint32_t>(tail, 0xffff));
        return {};
    }
    static bool fetch(std::uint64_t iova, std::span<std::byte> to, auto& next) {
        return next.dma().read(iova, to).count == to.size();
    }
    template <class Low, class High>
    static result<std::uint64_t> base(Low low, High high, auto& next) {
        const auto lower = next.read(low);
        const auto upper = next.read(high);
        if (!lower || !upper) return error::io;
        return std::uint64_t{*upper} << 32 | *lower;
    }
    /// Of a mailbox queue as its length register is written; with one that is too long there is none.
    static std::uint16_t entries_of(std::uint32_t& value, auto& next) {
        if ((value & i40e::queue_enable) == 0) return 0;
        const std::uint32_t entries = value & i40e::queue_length;
        if (entries <= i40e_vf_limits::mailbox_entries) return static_cast<std::uint16_t>(entries);
        next.log("i40e_vf: refused a mailbox queue of as many entries", entries);
        value &= ~i40e::queue_enable;
        return 0;
    }

    // What the function is given.

    /// Calls each(place, descriptor) for those of a ring from `from` up to `to`; false where they cannot be read.
    template <std::size_t Size, class Each>
    static bool walk(std::uint64_t ring, std::uint32_t entries, std::uint16_t& from, std::uint32_t to, auto& next,
                     Each each) {
        std::array<std::byte, group * Size> raw;
        while (from != to) {
            const auto run = std::min<std::uint32_t>(group, (to > from ? to : entries) - from);
            if (!fetch(ring + std::uint64_t{from} * Size, std::span{raw}.first(run * Size), next)) return false;
            for (std::uint32_t i = 0; i < run; ++i)
                each(from + i, std::span<const std::byte>{raw}.subspan(i * Size, Size));
            from = static_cast<std::uint16_t>((from + run) % entries);
        }
        return true;
    }
    bool learn_tx(std::size_t q, std::uint32_t to, auto& next) {
        using descriptor = i40e::tx_descriptor;
        return walk<descriptor::size>(tx_ring[q], tx_entries[q], tx_next[q], to, next, [&](std::size_t i, auto raw) {
            // Used again: the earlier one was done, though nobody looked in time.
            if (test(tx_pending[q], i)) next.dirty(tx_ring[q] + i * descriptor::size, descriptor::size);
            const descriptor now{load_little(raw.first(8)), load_little(raw.subspan(8, 8))};
            set(tx_pending[q], i, now.data() && (now.control & descriptor::report) != 0);
        });
    }
    bool learn_rx(std::size_t q, std::uint32_t to, auto& next) {
        using descriptor = i40e::rx_descriptor;
        return walk<descriptor::size>(rx_ring[q], rx_entries[q], rx_next[q], to, next, [&](std::size_t i, auto raw) {
            if (test(rx_pending[q], i)) mark_packet(q, i, rx_buffer[q], next); // likewise; how long it was is gone
            rx_address[q][i] = load_little(raw.first(8));
            set(rx_pending[q], i, true);
        });
    }
    void mark_packet(std::size_t q, std::size_t i, std::uint32_t length, auto& next) const {
        mark(rx_address[q][i], std::min(length, rx_buffer[q]), next);
        mark(rx_ring[q] + i * i40e::rx_descriptor::size, i40e::rx_descriptor::size, next);
    }
    void mark_message(std::size_t i, std::uint32_t length, auto& next) const {
        mark(arq_address[i], std::min<std::uint32_t>(length, arq_length[i]), next);
        mark(arq_ring + i * i40e::admin_descriptor::size, i40e::admin_descriptor::size, next);
    }
    /// Addresses are a guest's, or a stream's.
    static void mark(std::uint64_t iova, std::uint64_t size, auto& next) {
        if (size != 0 && size - 1 <= ~iova) next.dirty(iova, size);
    }

    // What it has done with it.

    void settle(auto& next) {
        settle_queues(next);
        settle_mailbox(next);
    }
    /// Looks at each descriptor that is pending: done(place, bytes) says whether the function is done with it.
    template <std::size_t Size, class Bits, class Done>
    static void look(Bits& pending, std::uint64_t ring, std::uint32_t entries, auto& next, Done done) {
        std::array<std::byte, group * Size> raw;
        for (std::uint32_t at = 0; at < entries; at += group) {
            if (pending[at / 32] == 0) continue;
            const std::uint32_t run = std::min<std::uint32_t>(group, entries - at);
            if (!fetch(ring + std::uint64_t{at} * Size, std::span{raw}.first(run * Size), next)) continue;
            for (std::uint32_t i = 0; i < run; ++i)
                if (test(pending, at + i) && done(at + i, std::span<const std::byte>{raw}.subspan(i * Size, Size)))
                    set(pending, at + i, false);
        }
    }
    void settle_queues(auto& next) {
        for (std::size_t q = 0; q < queues; ++q) {
            look<i40e::tx_descriptor::size>(
                tx_pending[q], tx_ring[q], tx_entries[q], next, [&](std::size_t i, auto raw) {
                    if ((load_little(raw.subspan(8, 8)) & 0xf) != i40e::tx_descriptor::done) return false;
                    mark(tx_ring[q] + i * i40e::tx_descriptor::size, i40e::tx_descriptor::size, next);
                    return true;
                });
            look<i40e::rx_descriptor::size>(rx_pending[q], rx_ring[q], rx_entries[q], next,
                                            [&](std::size_t i, auto raw) {
                                                const std::uint64_t status = load_little(raw.subspan(8, 8));
                                                if ((status & i40e::rx_descriptor::done) == 0) return false;
                                                mark_packet(q, i, i40e::rx_descriptor::length(status), next);
                                                return true;
                                            });
        }
    }
    void settle_mailbox(auto& next) {
        constexpr std::size_t size = i40e::admin_descriptor::size;
        const auto flags = [](auto raw) { return load_little(raw.first(2)); };
        look<size>(atq_pending, atq_ring, atq_entries, next, [&](std::size_t i, auto raw) {
            if ((flags(raw) & i40e::admin_descriptor::done) == 0) return false;
            mark(atq_ring + i * size, size, next);
            return true;
        });
        look<size>(arq_pending, arq_ring, arq_entries, next, [&](std::size_t i, auto raw) {
            if ((flags(raw) & i40e::admin_descriptor::done) == 0) return false;
            mark_message(i, static_cast<std::uint32_t>(load_little(raw.subspan(4, 2))), next);
            return true;
        });
    }

    // What the driver asks for.

    void consider(const i40e::admin_descriptor& asked, auto& next) {
        using enum i40e::message;
        if (asked.opcode != i40e::admin_descriptor::to_pf) return;
        std::array<std::byte, i40e::config_pair> raw{};
        const auto part = [&](std::size_t offset, std::size_t size) {
            return (asked.flags & i40e::admin_descriptor::has_buffer) != 0 && offset + size <= asked.length &&
                   fetch(asked.address + offset, std::span{raw}.first(size), next);
        };
        switch (i40e::message{asked.message}) {
        case config_queues: {
            if (!part(0, i40e::config_head)) return;
            const std::uint64_t pairs = load_little(std::span{raw}.subspan(2, 2));
            for (std::size_t i = 0; i < std::min<std::uint64_t>(pairs, 16); ++i) {
                if (!part(i40e::config_head + i * i40e::config_pair, i40e::config_pair)) return;
                configure(i40e::tx_queue::from(raw), next);
                configure(i40e::rx_queue::from(std::span{raw}.subspan(i40e::tx_queue::size)), next);
            }
            return;
        }
        case config_tx_queue:
            if (part(0, i40e::tx_queue::size)) configure(i40e::tx_queue::from(raw), next);
            return;
        case config_rx_queue:
            if (part(0, i40e::rx_queue::size)) configure(i40e::rx_queue::from(raw), next);
            return;
        case enable_queues:
        case disable_queues:
            if (!part(0, i40e::select_size)) return;
            select(i40e::message{asked.message} == enable_queues, load_little(std::span{raw}.subspan(8, 4)),
                   load_little(std::span{raw}.subspan(4, 4)), next);
            return;
        case reset: select(false, ~0ull, ~0ull, next); return;
        default: return;
        }
    }
    void configure(const i40e::tx_queue& what, auto& next) {
        if (what.queue >= queues || tx_on[what.queue]) return;
        settle_queues(next); // of what the ring was before
        tx_pending[what.queue] = {};
        tx_ring[what.queue] = what.ring;
        tx_entries[what.queue] = bounded(what.entries, next);
        tx_next[what.queue] = 0;
    }
    void configure(const i40e::rx_queue& what, auto& next) {
        if (what.queue >= queues || rx_on[what.queue]) return;
        settle_queues(next);
        rx_pending[what.queue] = {};
        rx_ring[what.queue] = what.ring;
        rx_entries[what.queue] = bounded(what.entries, next);
        rx_buffer[what.queue] = std::min(what.buffer, most_buffer);
        rx_next[what.queue] = 0;
    }
    /// Without entries a queue is never on here, and the function gets none of its tails.
    static std::uint16_t bounded(std::uint32_t entries, auto& next) {
        if (entries <= i40e_vf_limits::descriptors) return static_cast<std::uint16_t>(entries);
        next.log("i40e_vf: refused a ring of as many descriptors", entries);
        return 0;
    }
    void select(bool on, std::uint64_t tx, std::uint64_t rx, auto& next) {
        settle_queues(next);
        if (!on) stopping = true; // it may go on for a moment: what is pending stays so
        for (std::size_t q = 0; q < queues; ++q) {
            if ((tx >> q & 1) != 0 && tx_on[q] != on && tx_entries[q] != 0) {
                tx_on[q] = on;
                if (on) {
                    tx_next[q] = 0;
                    tx_pending[q] = {};
                    tell(at<bar0, "QTX_TAIL1">{}, q, tx_tail[q],
                         learn_held(tx_entries[q], tx_tail[q], [&](std::uint32_t t) { return learn_tx(q, t, next); }),
                         next);
                }
            }
            if ((rx >> q & 1) != 0 && rx_on[q] != on && rx_entries[q] != 0) {
                rx_on[q] = on;
                if (on) {
                    rx_next[q] = 0;
                    rx_pending[q] = {};
                    tell(at<bar0, "QRX_TAIL1">{}, q, rx_tail[q],
                         learn_held(rx_entries[q], rx_tail[q], [&](std::uint32_t t) { return learn_rx(q, t, next); }),
                         next);
                }
            }
        }
        if (on) stopping = false;
    }
    template <class Learn>
    static bool learn_held(std::uint32_t entries, std::uint32_t tail, Learn learn) {
        return tail < entries && learn(tail);
    }
    /// The tail that was held back; the function starts there when the message reaches it.
    template <class Register>
    static void tell(Register reg, std::size_t q, std::uint16_t& tail, bool good, auto& next) {
        if (!good) {
            static_cast<void>(drop(next));
            tail = 0;
        }
        static_cast<void>(next.write(reg, q, tail)); // a device that faults here has no traffic
    }

    std::array<std::uint64_t, queues> tx_ring{}, rx_ring{};
    std::array<std::uint16_t, queues> tx_entries{}, rx_entries{}; ///< 0: not configured
    std::array<std::uint16_t, queues> tx_next{}, rx_next{};       ///< up to which descriptors were learnt
    std::array<std::uint16_t, queues> tx_tail{}, rx_tail{};       ///< as it was written last
    std::array<std::uint32_t, queues> rx_buffer{};                ///< bytes
    std::array<bool, queues> tx_on{}, rx_on{};
    bool stopping = false;                                        ///< queues were switched off, and may not be yet
    std::array<ring_bits, queues> tx_pending{}, rx_pending{};     ///< the function has it, and will write
    std::array<std::array<std::uint64_t, i40e_vf_limits::descriptors>, queues>
        rx_address{}; ///< it overwrites the ring's
    std::uint64_t atq_ring = 0, arq_ring = 0;
    std::uint16_t atq_entries = 0, arq_entries = 0; ///< 0: off
    std::uint16_t atq_next = 0, arq_next = 0;
    mailbox_bits atq_pending{}, arq_pending{};
    std::array<std::uint64_t, i40e_vf_limits::mailbox_entries> arq_address{};
    std::array<std::uint16_t, i40e_vf_limits::mailbox_entries> arq_length{};
};
static_assert(valid<i40e_vf>);

} // namespace acme
