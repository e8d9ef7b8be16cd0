// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "layout.hpp"
#include "virtchnl.hpp"

#include <mediant/device/simulated.hpp>
#include <mediant/migration/saved_state.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

namespace acme {

/// A virtual function of Intel's XL710, whose physical function loops each queue pair's packets back: the mailbox with
/// what a driver needs of virtchnl, rings in the client's memory, write-backs, MSI-X. A packet waits until there are
/// buffers for it: none is lost.
///
/// Packets move in advance(), or in work(), which threads of one's own may call.
class i40e_vf_device : public mediant::device::simulated<i40e_vf_device> {
public:
    static constexpr mediant::device_id id{0x8086, 0x154c, 0x8086, 0x0000, 0x020000};
    static constexpr std::size_t queues = 4;  ///< pairs
    static constexpr std::size_t vectors = 5; ///< the mailbox's, and one for each pair
    static constexpr std::size_t most_packet = 9728;

    /// Whether the log of written pages hears of what the function writes. Of hardware it does not.
    enum class writes : std::uint8_t { logged, untold };

    explicit i40e_vf_device(writes how = writes::logged)
        : simulated{{.id = id,
                     .revision = 2,
                     .bar_sizes = {64 * 1024, 0, 0, 16 * 1024},
                     .wide_bars = 1u << 0 | 1u << 3,
                     .intx = false,
                     .msi_vectors = 0,
                     .msix = {.vectors = vectors, .offset = 0x70, .table_bar = 3, .pending_bar = 3,
                              .pending_offset = 0x2000}}},
          how_{how} {}

    mediant::result<void> open() {
        reset_registers();
        return simulated::open();
    }

    std::uint64_t bar_load(std::uint32_t bar, std::uint64_t offset, unsigned width) {
        const std::lock_guard alone{lock_};
        if (bar != 0 || width != 4) return 0;
        const std::uint32_t* const found = find(offset);
        return found == nullptr ? 0 : *found;
    }
    void bar_store(std::uint32_t bar, std::uint64_t offset, unsigned width, std::uint64_t wide) {
        const std::lock_guard alone{lock_};
        master_ = config().bus_master();
        std::uint32_t* const found = bar == 0 && width == 4 ? find(offset) : nullptr;
        if (found == nullptr || offset == i40e::at::rstat) return;
        const auto value = static_cast<std::uint32_t>(wide);
        *found = value;
        if (offset == i40e::at::atqlen && (value & i40e::queue_enable) == 0) atq_[head] = 0;
        if (offset == i40e::at::arqlen && (value & i40e::queue_enable) == 0) arq_[head] = 0;
        if (offset == i40e::at::atqt || offset == i40e::at::arqt) take_messages();
        if (found >= tx_tail_.data() && found < tx_tail_.data() + queues) waits_[offset / 4] = false;
        if (found >= rx_tail_.data() && found < rx_tail_.data() + queues)
            waits_[(offset - i40e::at::qrx_tail) / 4] = false;
        if (offset == i40e::at::dyn_ctl0) control(0);
        if (vector_at(offset) != 0) control(vector_at(offset));
    }

    void reset_registers() {
        const std::lock_guard alone{lock_};
        reset_function();
        running_ = true;
    }

    /// Moves a packet, if there is one that can be moved. Of any thread.
    bool work() {
        const std::lock_guard alone{lock_};
        if (!running_ || !master_) return false;
        for (std::size_t i = 0; i < queues; ++i) {
            turn_ = (turn_ + 1) % queues;
            if (ready(turn_) && move_packet(turn_)) return true;
        }
        return false;
    }

    [[nodiscard]] std::optional<std::uint64_t> deadline() const {
        const std::lock_guard alone{lock_};
        for (std::size_t q = 0; q < queues; ++q)
            if (running_ && master_ && ready(q)) return 0;
        return std::nullopt;
    }
    void advance(std::uint64_t) {
        for (int i = 0; i < 64 && work(); ++i) {}
    }

    // Migration: it stops between two packets. What a driver posted stays posted.

    static constexpr auto migration() {
        using d = i40e_vf_device;
        using mediant::saved;
        constexpr std::uint32_t one = 1, ring = 4096;
        return mediant::saved_state{1,
                                    saved{"atq", &d::atq_},
                                    saved{"arq", &d::arq_},
                                    saved{"tx_tail", &d::tx_tail_},
                                    saved{"rx_tail", &d::rx_tail_},
                                    saved{"itr", &d::itr_},
                                    saved{"dyn_ctl", &d::dyn_ctl_},
                                    saved{"icr0", &d::icr0_},
                                    saved{"icr0_ena", &d::icr0_ena_},
                                    saved{"hena", &d::hena_},
                                    saved{"hkey", &d::hkey_},
                                    saved{"hlut", &d::hlut_},
                                    saved{"raised", &d::raised_},
                                    saved{"minor", &d::minor_, {.most = one}},
                                    saved{"tx_ring", &d::tx_ring_},
                                    saved{"tx_entries", &d::tx_entries_, {.most = ring}},
                                    saved{"tx_head", &d::tx_head_, {.most = ring - 1}},
                                    saved{"tx_on", &d::tx_on_},
                                    saved{"rx_ring", &d::rx_ring_},
                                    saved{"rx_entries", &d::rx_entries_, {.most = ring}},
                                    saved{"rx_head", &d::rx_head_, {.most = ring - 1}},
                                    saved{"rx_on", &d::rx_on_},
                                    saved{"rx_buffer", &d::rx_buffer_, {.most = 16 * 1024 - 128}},
                                    saved{"rx_most", &d::rx_most_, {.most = 16 * 1024 - 1}},
                                    saved{"tx_vector", &d::tx_vector_, {.most = vectors - 1}},
                                    saved{"rx_vector", &d::rx_vector_, {.most = vectors - 1}},
                                    saved{"packets", &d::packets_},
                                    saved{"bytes", &d::bytes_},
                                    saved{"dropped", &d::dropped_}};
    }
    mediant::result<void> quiesce() {
        const std::lock_guard alone{lock_};
        running_ = false;
        return {};
    }
    mediant::result<void> resume() {
        const std::lock_guard alone{lock_};
        running_ = true;
        // Vectors were set up since; what was raised and not taken is raised again.
        for (std::size_t v = 0; v < vectors; ++v)
            if (raised_[v]) interrupt(v);
        return {};
    }
    mediant::result<void> restored() {
        const std::lock_guard alone{lock_};
        for (std::size_t q = 0; q < queues; ++q)
            if ((tx_on_[q] && tx_head_[q] >= tx_entries_[q]) || (rx_on_[q] && rx_head_[q] >= rx_entries_[q]) ||
                (rx_on_[q] && rx_buffer_[q] == 0))
                return mediant::error::invalid;
        waits_ = {};
        master_ = config().bus_master();
        return {};
    }

    // For those who drive the device.

    /// Packets that were looped back.
    [[nodiscard]] std::uint64_t packets() const {
        const std::lock_guard alone{lock_};
        return packets_;
    }
    /// Packets that no driver should have sent, and unreadable messages.
    [[nodiscard]] std::uint64_t dropped() const {
        const std::lock_guard alone{lock_};
        return dropped_;
    }

private:
    enum : std::size_t { low, high, length, head, tail }; ///< of a mailbox queue
    using mailbox_queue = std::array<std::uint32_t, 5>;

    // All of what follows with the lock.

    /// Of VFINT_DYN_CTLN1; else 0.
    [[nodiscard]] static std::size_t vector_at(std::uint64_t offset) {
        return offset >= i40e::at::dyn_ctln && offset < i40e::at::dyn_ctln + 4 * (vectors - 1)
                   ? static_cast<std::size_t>(offset - i40e::at::dyn_ctln) / 4 + 1
                   : 0;
    }
    [[nodiscard]] std::uint32_t* find(std::uint64_t offset) {
        const auto in = [&]<std::size_t N>(std::array<std::uint32_t, N>& all, std::uint64_t first) -> std::uint32_t* {
            return offset >= first && offset - first < 4 * N ? &all[static_cast<std::size_t>(offset - first) / 4]
                                                             : nullptr;
        };
        for (auto* const found :
             {in(tx_tail_, i40e::at::qtx_tail), in(rx_tail_, i40e::at::qrx_tail), in(itr_, i40e::at::itrn),
              in(hena_, i40e::at::hena), in(hkey_, i40e::at::hkey), in(hlut_, i40e::at::hlut)})
            if (found != nullptr) return found;
        if (vector_at(offset) != 0) return &dyn_ctl_[vector_at(offset)];
        switch (offset) {
        case i40e::at::icr0: return &icr0_;
        case i40e::at::icr0_ena: return &icr0_ena_;
        case i40e::at::dyn_ctl0: return &dyn_ctl_[0];
        case i40e::at::atqbal: return &atq_[low];
        case i40e::at::atqbah: return &atq_[high];
        case i40e::at::atqlen: return &atq_[length];
        case i40e::at::atqh: return &atq_[head];
        case i40e::at::atqt: return &atq_[tail];
        case i40e::at::arqbal: return &arq_[low];
        case i40e::at::arqbah: return &arq_[high];
        case i40e::at::arqlen: return &arq_[length];
        case i40e::at::arqh: return &arq_[head];
        case i40e::at::arqt: return &arq_[tail];
        case i40e::at::rstat: return &state_;
        default: return nullptr;
        }
    }

    void reset_function() {
        atq_ = arq_ = {};
        tx_tail_ = rx_tail_ = {};
        itr_ = {}, dyn_ctl_ = {}, hena_ = {}, hkey_ = {}, hlut_ = {};
        icr0_ = icr0_ena_ = minor_ = 0;
        tx_ring_ = rx_ring_ = {};
        tx_entries_ = rx_entries_ = tx_head_ = rx_head_ = rx_buffer_ = rx_most_ = {};
        tx_vector_ = rx_vector_ = {};
        tx_on_ = rx_on_ = waits_ = {};
        raised_ = {};
        packets_ = bytes_ = dropped_ = 0;
    }

    // Memory

    bool get(std::uint64_t iova, std::span<std::byte> to) { return dma().read(iova, to).count == to.size(); }
    bool put(std::uint64_t iova, std::span<const std::byte> from) {
        const mediant::answer done = how_ == writes::logged ? dma().write(iova, from)
                                                            : dma().write_unlogged(iova, from);
        return done.count == from.size();
    }

    // Interrupts: one that comes while its vector is off is kept, once.

    void control(std::size_t vector) {
        std::uint32_t& now = dyn_ctl_[vector];
        if ((now & i40e::interrupt_by_software) != 0) raised_[vector] = true;
        now &= ~i40e::interrupt_by_software;
        if (raised_[vector]) interrupt(vector);
    }
    void interrupt(std::size_t vector) {
        raised_[vector] = true;
        std::uint32_t& now = dyn_ctl_[vector];
        if ((now & i40e::interrupt_enable) == 0 || !running_) return;
        now &= ~i40e::interrupt_enable;
        raised_[vector] = false;
        static_cast<void>(trigger(mediant::irq_index::msix, static_cast<std::uint32_t>(vector))); // there is such a one
    }

    // Packets

    [[nodiscard]] bool ready(std::size_t q) const {
        return tx_on_[q] && rx_on_[q] && !waits_[q] && tx_tail_[q] < tx_entries_[q] && rx_tail_[q] < rx_entries_[q] &&
               tx_head_[q] != tx_tail_[q];
    }
    /// False: it cannot be moved until a tail is written.
    bool move_packet(std::size_t q) {
        packet_.clear();
        reports_.clear();
        bool whole = false, good = true;
        std::uint32_t place = tx_head_[q];
        while (!whole && place != tx_tail_[q]) {
            std::array<std::byte, i40e::tx_descriptor::size> raw{};
            good = get(tx_ring_[q] + std::uint64_t{place} * raw.size(), raw) && good;
            const i40e::tx_descriptor each{mediant::load_little(std::span{raw}.first(8)),
                                           mediant::load_little(std::span{raw}.last(8))};
            if (each.data()) {
                const std::size_t before = packet_.size();
                if (before + each.length() <= most_packet) {
                    packet_.resize(before + each.length());
                    good = get(each.address, std::span{packet_}.subspan(before)) && good;
                } else {
                    good = false;
                }
                if ((each.control & i40e::tx_descriptor::report) != 0) reports_.push_back(place);
                whole = (each.control & i40e::tx_descriptor::end_of_packet) != 0;
            }
            place = (place + 1) % tx_entries_[q];
        }
        if (!whole) return waits(q); // the rest of it is not posted yet
        good = good && !packet_.empty() && packet_.size() <= rx_most_[q];
        if (good && !receive(q)) return waits(q);
        good ? ++packets_ : ++dropped_;
        if (good) bytes_ += packet_.size();
        for (const std::uint32_t each : reports_) {
            std::array<std::byte, 8> done{};
            mediant::store_little(done, i40e::tx_descriptor::done);
            static_cast<void>(put(tx_ring_[q] + std::uint64_t{each} * i40e::tx_descriptor::size + 8, done));
        }
        tx_head_[q] = place;
        if (!reports_.empty()) interrupt(tx_vector_[q]);
        return true;
    }
    bool waits(std::size_t q) {
        waits_[q] = true;
        return false;
    }
    bool receive(std::size_t q) {
        const std::uint32_t entries = rx_entries_[q];
        const std::size_t posted = (rx_tail_[q] + entries - rx_head_[q]) % entries;
        if ((packet_.size() + rx_buffer_[q] - 1) / rx_buffer_[q] > posted) return false;
        for (std::span<const std::byte> left{packet_}; !left.empty();) {
            const auto part = left.first(std::min<std::size_t>(left.size(), rx_buffer_[q]));
            left = left.subspan(part.size());
            const std::uint64_t ring = rx_ring_[q] + std::uint64_t{rx_head_[q]} * i40e::rx_descriptor::size;
            std::array<std::byte, 8> address{}, status{};
            static_cast<void>(get(ring, address)); // what fails here goes nowhere
            static_cast<void>(put(mediant::load_little(address), part));
            mediant::store_little(
                status, i40e::rx_descriptor::status_of(static_cast<std::uint32_t>(part.size()), left.empty()));
            static_cast<void>(put(ring, std::array<std::byte, 8>{}));
            static_cast<void>(put(ring + 8, status)); // last: who sees it finds the rest
            rx_head_[q] = (rx_head_[q] + 1) % entries;
        }
        interrupt(rx_vector_[q]);
        return true;
    }

    // The mailbox

    /// While there is a message, and room for what is said to it.
    void take_messages() {
        const auto places = [](const mailbox_queue& of) { return of[length] & i40e::queue_length; };
        const auto room = [&] {
            const std::uint32_t all = places(arq_);
            return (arq_[length] & i40e::queue_enable) == 0 || all == 0 ? 0 : (arq_[tail] + all - arq_[head]) % all;
        };
        while (master_ && (atq_[length] & i40e::queue_enable) != 0 && atq_[head] != atq_[tail] &&
               atq_[tail] < places(atq_) && room() >= 2) {
            const std::uint64_t where = base(atq_) + std::uint64_t{atq_[head]} * i40e::admin_descriptor::size;
            std::array<std::byte, i40e::admin_descriptor::size> raw{};
            if (!get(where, raw)) ++dropped_;
            auto asked = i40e::admin_descriptor::from(raw);
            std::vector<std::byte> content((asked.flags & i40e::admin_descriptor::has_buffer) != 0 ? asked.length : 0u);
            if (!get(asked.address, content)) content.clear();
            asked.flags = static_cast<std::uint16_t>(asked.flags | i40e::admin_descriptor::done |
                                                     i40e::admin_descriptor::complete);
            const bool known = asked.opcode == i40e::admin_descriptor::to_pf ||
                               asked.opcode == i40e::admin_descriptor::queue_shutdown;
            if (!known) asked.flags = static_cast<std::uint16_t>(asked.flags | i40e::admin_descriptor::failed);
            atq_[head] = (atq_[head] + 1) % places(atq_);
            static_cast<void>(put(where, asked.bytes()));
            if (asked.opcode == i40e::admin_descriptor::to_pf) answer_message(i40e::message{asked.message}, content);
        }
    }
    [[nodiscard]] static std::uint64_t base(const mailbox_queue& of) { return std::uint64_t{of[high]} << 32 | of[low]; }

    void say(i40e::message what, std::uint32_t result, std::span<const std::byte> content = {}) {
        const std::uint64_t where = base(arq_) + std::uint64_t{arq_[head]} * i40e::admin_descriptor::size;
        std::array<std::byte, i40e::admin_descriptor::size> raw{};
        static_cast<void>(get(where, raw));
        auto given = i40e::admin_descriptor::from(raw);
        const auto size = std::min<std::size_t>(content.size(), given.length);
        static_cast<void>(put(given.address, content.first(size)));
        given.flags = static_cast<std::uint16_t>(i40e::admin_descriptor::done | i40e::admin_descriptor::complete |
                                                 (size != 0 ? i40e::admin_descriptor::has_buffer : 0));
        given.opcode = i40e::admin_descriptor::to_vf;
        given.length = static_cast<std::uint16_t>(size);
        given.status = 0;
        given.message = static_cast<std::uint32_t>(what);
        given.result = result;
        arq_[head] = (arq_[head] + 1) % (arq_[length] & i40e::queue_length);
        static_cast<void>(put(where, given.bytes()));
        icr0_ |= i40e::cause_admin_queue;
        if ((icr0_ena_ & i40e::cause_admin_queue) != 0) interrupt(0);
    }

    void answer_message(i40e::message what, std::span<const std::byte> content) {
        using enum i40e::message;
        const auto number = [&](std::size_t offset, std::size_t size) {
            return offset + size <= content.size()
                       ? static_cast<std::uint32_t>(mediant::load_little(content.subspan(offset, size)))
                       : 0u;
        };
        bool good = true;
        switch (what) {
        case version: {
            std::array<std::byte, 8> ours{};
            mediant::store_little(std::span{ours}.first(4), 1);
            mediant::store_little(std::span{ours}.last(4), 1);
            minor_ = std::min(number(4, 4), 1u);
            return say(what, 0, ours);
        }
        case get_resources:
            return say(what, 0, i40e::resources_of(queues, vectors, most_packet, minor_ == 0 ? 1u : number(0, 4) & 1u));
        case config_queues: {
            const std::size_t pairs = number(2, 2);
            good = content.size() >= i40e::config_head + pairs * i40e::config_pair && pairs <= queues;
            for (std::size_t i = 0; good && i < pairs; ++i) {
                const auto pair = content.subspan(i40e::config_head + i * i40e::config_pair, i40e::config_pair);
                good = configure(i40e::tx_queue::from(pair)) &&
                       configure(i40e::rx_queue::from(pair.subspan(i40e::tx_queue::size)));
            }
            break;
        }
        case config_tx_queue:
            good = content.size() >= i40e::tx_queue::size && configure(i40e::tx_queue::from(content));
            break;
        case config_rx_queue:
            good = content.size() >= i40e::rx_queue::size && configure(i40e::rx_queue::from(content));
            break;
        case config_irq_map: good = map_vectors(content, number(0, 2)); break;
        case enable_queues: {
            good = content.size() >= i40e::select_size && enable(number(8, 4), number(4, 4));
            say(what, good ? 0 : i40e::result_parameter);
            if (!good) return;
            return say(event, 0, i40e::link_is_up());
        }
        case disable_queues:
            good = content.size() >= i40e::select_size;
            for (std::size_t q = 0; good && q < queues; ++q) {
                if ((number(8, 4) >> q & 1) != 0) tx_on_[q] = false;
                if ((number(4, 4) >> q & 1) != 0) rx_on_[q] = false;
            }
            break;
        case reset: return reset_function(); // without an answer
        case get_stats: return say(what, 0, i40e::statistics_of(bytes_, packets_, dropped_));
        case hena_caps: return say(what, 0, std::array<std::byte, 8>{});
        case add_address:
        case delete_address:
        case add_vlan:
        case delete_vlan:
        case promiscuous:
        case rss_key:
        case rss_lut:
        case set_hena: case vlan_stripping_on: case vlan_stripping_off: break; // all that is sent comes back
        default: return say(what, i40e::result_not_supported);
        }
        say(what, good ? 0 : i40e::result_parameter);
    }

    [[nodiscard]] static bool possible(std::uint32_t entries) {
        return entries >= 32 && entries <= 4096 && entries % 32 == 0;
    }
    bool configure(const i40e::tx_queue& what) {
        if (what.vsi != vsi || what.queue >= queues || tx_on_[what.queue] || !possible(what.entries) ||
            what.head_write_back)
            return false;
        tx_ring_[what.queue] = what.ring;
        tx_entries_[what.queue] = what.entries;
        return true;
    }
    bool configure(const i40e::rx_queue& what) {
        if (what.vsi != vsi || what.queue >= queues || rx_on_[what.queue] || !possible(what.entries) ||
            what.splits_headers || what.buffer == 0 || what.buffer > 16 * 1024 - 128 || what.most < 64 ||
            what.most >= 16 * 1024)
            return false;
        rx_ring_[what.queue] = what.ring;
        rx_entries_[what.queue] = what.entries;
        rx_buffer_[what.queue] = what.buffer;
        rx_most_[what.queue] = what.most;
        return true;
    }
    bool map_vectors(std::span<const std::byte> content, std::size_t count) {
        if (content.size() < i40e::irq_map_head + count * i40e::irq_map_vector) return false;
        for (std::size_t i = 0; i < count; ++i) {
            const auto each = content.subspan(i40e::irq_map_head + i * i40e::irq_map_vector);
            const auto vector = static_cast<std::uint8_t>(mediant::load_little(each.subspan(2, 2)));
            if (mediant::load_little(each.subspan(2, 2)) >= vectors) return false;
            for (std::size_t q = 0; q < queues; ++q) {
                if ((mediant::load_little(each.subspan(4, 2)) >> q & 1) != 0) rx_vector_[q] = vector;
                if ((mediant::load_little(each.subspan(6, 2)) >> q & 1) != 0) tx_vector_[q] = vector;
            }
        }
        return true;
    }
    bool enable(std::uint32_t tx, std::uint32_t rx) {
        if (((tx | rx) >> queues) != 0) return false;
        for (std::size_t q = 0; q < queues; ++q)
            if (((tx >> q & 1) != 0 && tx_entries_[q] == 0) || ((rx >> q & 1) != 0 && rx_entries_[q] == 0))
                return false;
        for (std::size_t q = 0; q < queues; ++q) {
            if ((tx >> q & 1) != 0 && !tx_on_[q]) tx_on_[q] = true, tx_head_[q] = 0;
            if ((rx >> q & 1) != 0 && !rx_on_[q]) rx_on_[q] = true, rx_head_[q] = 0;
            waits_[q] = false;
        }
        return true;
    }

    static constexpr std::uint16_t vsi = 1;

    writes how_;
    mutable std::mutex lock_;
    bool running_ = true;
    bool master_ = false; ///< as it was when a register was last written
    std::size_t turn_ = 0;
    std::array<bool, queues> waits_{}; ///< until a tail is written
    std::vector<std::byte> packet_;
    std::vector<std::uint32_t> reports_;

    std::uint32_t state_ = i40e::function_active;
    mailbox_queue atq_{}, arq_{};
    std::array<std::uint32_t, 16> tx_tail_{}, rx_tail_{};
    std::array<std::uint32_t, 48> itr_{};
    std::array<std::uint32_t, vectors> dyn_ctl_{}; ///< of each vector
    std::uint32_t icr0_ = 0, icr0_ena_ = 0;
    std::array<std::uint32_t, 2> hena_{};
    std::array<std::uint32_t, 13> hkey_{};
    std::array<std::uint32_t, 16> hlut_{};
    std::array<bool, vectors> raised_{};
    std::uint32_t minor_ = 0;
    std::array<std::uint64_t, queues> tx_ring_{}, rx_ring_{};
    std::array<std::uint32_t, queues> tx_entries_{}, rx_entries_{}, tx_head_{}, rx_head_{}, rx_buffer_{}, rx_most_{};
    std::array<bool, queues> tx_on_{}, rx_on_{};
    std::array<std::uint8_t, queues> tx_vector_{}, rx_vector_{};
    std::uint64_t packets_ = 0, bytes_ = 0, dropped_ = 0;
};

static_assert(mediant::lower<i40e_vf_device>);

} // namespace acme
