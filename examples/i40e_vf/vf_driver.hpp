// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "layout.hpp"
#include "virtchnl.hpp"

#include <mediant/core/little_endian.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace acme {

/// Acts as a guest's driver of the function: sets it up by its mailbox, sends numbered packets on each queue pair, and
/// checks that each that the function acknowledged comes back, once, in order, whole. It lives in the guest, so a
/// migration carries it from one function and memory to another's (move_to).
///
/// What it writes to memory itself it notes, as a hypervisor does of its guest's processors.
class vf_driver {
public:
    /// The function's registers.
    struct registers {
        std::function<std::uint32_t(std::uint32_t offset)> get;
        std::function<void(std::uint32_t offset, std::uint32_t value)> put;
    };

    static constexpr std::uint64_t page = 4096;
    static constexpr std::uint64_t memory_at = 0x1'0000'0000; ///< where the function sees the memory
    static constexpr std::size_t memory_size = 12 << 20;
    static constexpr std::size_t pairs = 2;
    static constexpr std::uint32_t tx_entries = 512, rx_entries = 512;
    static constexpr std::size_t buffer = 2048; ///< bytes; a packet may take two
    static constexpr std::size_t most_packet = 3000;

    // Where things are in the memory. What lies between them no device writes.
    static constexpr std::size_t atq_ring = 0x0000, arq_ring = 0x1000, atq_buffers = 0x2000, arq_buffers = 0x8000;
    static constexpr std::size_t mailbox_entries = 32, mailbox_buffer = 512;
    [[nodiscard]] static constexpr std::size_t pair_at(std::size_t q) { return 0x10000 + q * 0x400000; }
    [[nodiscard]] static constexpr std::size_t tx_ring(std::size_t q) { return pair_at(q); }
    [[nodiscard]] static constexpr std::size_t rx_ring(std::size_t q) { return pair_at(q) + 0x4000; }
    [[nodiscard]] static constexpr std::size_t tx_buffers(std::size_t q) { return pair_at(q) + 0x10000; }
    [[nodiscard]] static constexpr std::size_t rx_buffers(std::size_t q) { return pair_at(q) + 0x200000; }
    static constexpr std::size_t rx_pool = 1024; ///< buffers, used in turn
    [[nodiscard]] static constexpr std::size_t untouched() { return pair_at(pairs); } ///< from here on

    vf_driver(registers device, std::span<std::byte> memory)
        : device_{std::move(device)}, memory_{memory}, written_(memory_size / page) {
        if (memory.size() != memory_size) throw std::invalid_argument{"vf_driver: memory of another size"};
    }

    /// Sets up the function: version, resources, queues, vectors; and enables its queues. Throws where it refuses.
    void start() {
        for (std::size_t i = 0; i < mailbox_entries; ++i) post_mailbox_buffer(i);
        set_mailbox(i40e::at::atqh, i40e::at::atqt, i40e::at::atqlen, i40e::at::atqbal,
                    i40e::at::atqbah, atq_ring);
        set_mailbox(i40e::at::arqh, i40e::at::arqt, i40e::at::arqlen, i40e::at::arqbal,
                    i40e::at::arqbah, arq_ring);
        device_.put(i40e::at::arqt, mailbox_entries - 1);
        std::array<std::byte, 8> version{};
        version[0] = version[4] = std::byte{1};
        expect(ask(i40e::message::version, version) == std::vector(version.begin(), version.end()), "another version");
        expect(ask(i40e::message::get_resources, std::array{std::byte{1}, std::byte{0}, std::byte{0}, std::byte{0}})
                       .size() == 36,
               "no resources");
        ask(i40e::message::config_queues, configuration());
        std::array<std::byte, i40e::irq_map_head + pairs * i40e::irq_map_vector> vectors{};
        mediant::store_little(std::span{vectors}.first(2), pairs);
        for (std::size_t q = 0; q < pairs; ++q) {
            const auto each = std::span{vectors}.subspan(i40e::irq_map_head + q * i40e::irq_map_vector);
            mediant::store_little(each.subspan(0, 2), 1);
            mediant::store_little(each.subspan(2, 2), q + 1);
            mediant::store_little(each.subspan(4, 2), 1u << q);
            mediant::store_little(each.subspan(6, 2), 1u << q);
        }
        ask(i40e::message::config_irq_map, vectors);
        // Buffers are posted before queues are on, as Linux's driver does.
        for (std::size_t q = 0; q < pairs; ++q) {
            device_.put(tail(i40e::at::qtx_tail, q), 0);
            while (post_rx(q)) {}
            device_.put(tail(i40e::at::qrx_tail, q), queues_[q].rx_use);
            device_.put(vector(q), i40e::interrupt_enable);
        }
        select(i40e::message::enable_queues);
    }
    void stop() { select(i40e::message::disable_queues); }

    /// A message of the caller's own; its answer. Throws where it is refused.
    std::vector<std::byte> tell(i40e::message what, std::span<const std::byte> content) {
        auto came = ask(what, content);
        if (what == i40e::message::enable_queues) take_message(i40e::message::event);
        return came;
    }

    /// Posts up to `count` packets on each queue pair, as there is room; false where there was none.
    bool send(unsigned count) {
        bool any = false;
        for (std::size_t q = 0; q < pairs; ++q) {
            bool posted = false;
            for (unsigned i = 0; i < count && post_tx(q); ++i) posted = true;
            if (posted) device_.put(tail(i40e::at::qtx_tail, q), queues_[q].tx_use);
            any = any || posted;
        }
        return any;
    }
    /// Takes what the function has done, and gives it new buffers. Throws where a packet is lost, doubled or damaged.
    void reap() {
        for (std::size_t q = 0; q < pairs; ++q) {
            reap_tx(q);
            if (reap_rx(q)) device_.put(tail(i40e::at::qrx_tail, q), queues_[q].rx_use);
        }
    }
    /// Lets the pairs' vectors come again.
    void enable_interrupts() {
        for (std::size_t q = 0; q < pairs; ++q) device_.put(vector(q), i40e::interrupt_enable);
    }

    /// The same guest, with another function and other memory.
    void move_to(registers device, std::span<std::byte> memory) {
        device_ = std::move(device);
        memory_ = memory;
    }

    [[nodiscard]] std::uint64_t sent() const { return sum(&queue::sent); }
    [[nodiscard]] std::uint64_t acknowledged() const { return sum(&queue::acknowledged); }
    [[nodiscard]] std::uint64_t received() const { return sum(&queue::received); }

    /// Pages that it has written since it was last asked.
    [[nodiscard]] std::vector<std::size_t> take_written() {
        std::vector<std::size_t> all;
        for (std::size_t i = 0; i < written_.size(); ++i)
            if (written_[i]) all.push_back(i);
        written_.assign(written_.size(), false);
        return all;
    }
    /// As a processor of the guest writes.
    void store(std::size_t at, std::span<const std::byte> bytes) {
        std::memcpy(memory_.data() + at, bytes.data(), bytes.size());
        note(at, bytes.size());
    }

    /// The page of the buffer that will next be given to a queue pair's packets.
    [[nodiscard]] std::size_t next_buffer(std::size_t q) const {
        return rx_buffers(q) + queues_[q].posted % rx_pool * buffer;
    }

private:
    struct queue {
        std::uint32_t tx_use = 0, tx_clean = 0; ///< next to use, next to look at
        std::uint32_t rx_use = 0, rx_clean = 0;
        std::uint64_t sent = 0;                 ///< packets; each has its number
        std::uint64_t acknowledged = 0;
        std::uint64_t received = 0;
        std::uint64_t posted = 0;               ///< buffers
        std::deque<std::uint32_t> last_of; ///< of each packet that is on its way, the descriptor that is to be marked
        std::deque<std::size_t> buffers;        ///< that are posted, in order
        std::vector<std::byte> packet;          ///< of which a part has come
    };

    [[nodiscard]] std::uint64_t sum(std::uint64_t queue::*which) const {
        std::uint64_t all = 0;
        for (const queue& each : queues_) all += each.*which;
        return all;
    }
    static void expect(bool what, const char* why) {
        if (!what) throw std::runtime_error{std::string{"driver: "} + why};
    }
    [[nodiscard]] static std::uint32_t tail(std::uint32_t first, std::size_t q) {
        return first + static_cast<std::uint32_t>(4 * q);
    }
    [[nodiscard]] static std::uint32_t vector(std::size_t q) { return tail(i40e::at::dyn_ctln, q); }

    void note(std::size_t at, std::size_t size) {
        for (std::size_t i = at / page; i <= (at + size - 1) / page; ++i) written_[i] = true;
    }
    void store(std::size_t at, std::uint64_t value) {
        word(at).store(value, std::memory_order_relaxed);
        note(at, 8);
    }
    /// What a function may be writing.
    [[nodiscard]] std::atomic_ref<std::uint64_t> word(std::size_t at) const {
        return std::atomic_ref{*reinterpret_cast<std::uint64_t*>(memory_.data() + at)};
    }

    // Packets: a number, and what follows from it.

    [[nodiscard]] static std::size_t length_of(std::size_t q, std::uint64_t number) {
        return 16 + (number * 2654435761u + q * 97) % (most_packet - 16);
    }
    [[nodiscard]] static std::byte content_of(std::size_t q, std::uint64_t number, std::size_t i) {
        return static_cast<std::byte>(number * 31 + q * 7 + i * 5 + i / 251);
    }

    bool post_tx(std::size_t q) {
        queue& at = queues_[q];
        const std::size_t length = length_of(q, at.sent);
        const std::size_t parts = (length + buffer - 1) / buffer;
        const std::uint32_t used = (at.tx_use + tx_entries - at.tx_clean) % tx_entries;
        if (used + parts >= tx_entries) return false;
        std::vector<std::byte> packet(length);
        mediant::store_little(std::span{packet}.first(8), at.sent);
        mediant::store_little(std::span{packet}.subspan(8, 8), q);
        for (std::size_t i = 16; i < length; ++i) packet[i] = content_of(q, at.sent, i);
        for (std::size_t part = 0; part < parts; ++part) {
            const std::size_t size = std::min(buffer, length - part * buffer);
            const std::size_t where = tx_buffers(q) + at.tx_use * buffer;
            store(where, std::span{packet}.subspan(part * buffer, size));
            const bool last = part + 1 == parts;
            const std::size_t descriptor = tx_ring(q) + at.tx_use * i40e::tx_descriptor::size;
            store(descriptor, memory_at + where);
            store(descriptor + 8, i40e::tx_descriptor::control_of(
                                      static_cast<std::uint32_t>(size),
                                      last ? i40e::tx_descriptor::end_of_packet | i40e::tx_descriptor::report : 0));
            if (last) at.last_of.push_back(at.tx_use);
            at.tx_use = (at.tx_use + 1) % tx_entries;
        }
        ++at.sent;
        return true;
    }
    void reap_tx(std::size_t q) {
        queue& at = queues_[q];
        while (!at.last_of.empty()) {
            const std::uint32_t last = at.last_of.front();
            const std::uint64_t control = word(tx_ring(q) + last * i40e::tx_descriptor::size + 8)
                                              .load(std::memory_order_acquire);
            if ((control & 0xf) != i40e::tx_descriptor::done) return;
            at.last_of.pop_front();
            at.tx_clean = (last + 1) % tx_entries;
            ++at.acknowledged;
        }
    }
    bool post_rx(std::size_t q) {
        queue& at = queues_[q];
        if ((at.rx_use + 1) % rx_entries == at.rx_clean) return false;
        const std::size_t where = next_buffer(q);
        const std::size_t descriptor = rx_ring(q) + at.rx_use * i40e::rx_descriptor::size;
        store(descriptor, memory_at + where);
        store(descriptor + 8, std::uint64_t{0});
        at.buffers.push_back(where);
        ++at.posted;
        at.rx_use = (at.rx_use + 1) % rx_entries;
        return true;
    }
    bool reap_rx(std::size_t q) {
        queue& at = queues_[q];
        bool any = false;
        while (at.rx_clean != at.rx_use) {
            const std::uint64_t status = word(rx_ring(q) + at.rx_clean * i40e::rx_descriptor::size + 8)
                                             .load(std::memory_order_acquire);
            if ((status & i40e::rx_descriptor::done) == 0) break;
            const auto part = memory_.subspan(at.buffers.front(), i40e::rx_descriptor::length(status));
            at.packet.insert(at.packet.end(), part.begin(), part.end());
            at.buffers.pop_front();
            at.rx_clean = (at.rx_clean + 1) % rx_entries;
            if ((status & i40e::rx_descriptor::end_of_packet) != 0) {
                check(q, at.packet);
                at.packet.clear();
            }
            any = post_rx(q) || any;
        }
        return any;
    }
    void check(std::size_t q, std::span<const std::byte> packet) {
        queue& at = queues_[q];
        expect(packet.size() >= 16, "a packet is cut");
        const std::uint64_t number = mediant::load_little(packet.first(8));
        expect(number >= at.received, "a packet came twice");
        expect(number == at.received, "a packet is lost");
        expect(mediant::load_little(packet.subspan(8, 8)) == q, "a packet is another queue's");
        expect(packet.size() == length_of(q, number), "a packet has another length");
        for (std::size_t i = 16; i < packet.size(); ++i)
            expect(packet[i] == content_of(q, number, i), "a packet is damaged");
        ++at.received;
    }

    // The mailbox

    void set_mailbox(std::uint32_t head, std::uint32_t tail_at, std::uint32_t length, std::uint32_t low,
                     std::uint32_t high, std::size_t ring) {
        device_.put(head, 0);
        device_.put(tail_at, 0);
        device_.put(length, i40e::queue_enable | mailbox_entries);
        device_.put(low, static_cast<std::uint32_t>(memory_at + ring));
        device_.put(high, static_cast<std::uint32_t>((memory_at + ring) >> 32));
    }
    void put_descriptor(std::size_t at, const i40e::admin_descriptor& what) {
        const auto raw = what.bytes();
        store(at, std::span<const std::byte>{raw});
    }
    [[nodiscard]] i40e::admin_descriptor descriptor(std::size_t at) const {
        std::array<std::byte, i40e::admin_descriptor::size> raw;
        std::memcpy(raw.data(), memory_.data() + at, raw.size());
        return i40e::admin_descriptor::from(raw);
    }
    void post_mailbox_buffer(std::size_t i) {
        put_descriptor(arq_ring + i * i40e::admin_descriptor::size,
                       {.flags = i40e::admin_descriptor::has_buffer, .length = mailbox_buffer,
                        .address = memory_at + arq_buffers + i * mailbox_buffer});
    }
    [[nodiscard]] std::vector<std::byte> configuration() const {
        std::vector<std::byte> out(i40e::config_head + pairs * i40e::config_pair);
        mediant::store_little(std::span{out}.subspan(0, 2), 1);
        mediant::store_little(std::span{out}.subspan(2, 2), pairs);
        for (std::size_t q = 0; q < pairs; ++q) {
            const auto pair = std::span{out}.subspan(i40e::config_head + q * i40e::config_pair, i40e::config_pair);
            const auto number = static_cast<std::uint16_t>(q);
            i40e::tx_queue{1, number, tx_entries, memory_at + tx_ring(q)}.to(pair);
            i40e::rx_queue{1, number, rx_entries, memory_at + rx_ring(q), buffer, most_packet}.to(
                pair.subspan(i40e::tx_queue::size));
        }
        return out;
    }
    void select(i40e::message what) {
        std::array<std::byte, i40e::select_size> which{};
        which[0] = std::byte{1};
        mediant::store_little(std::span{which}.subspan(4, 4), (1u << pairs) - 1);
        mediant::store_little(std::span{which}.subspan(8, 4), (1u << pairs) - 1);
        tell(what, which);
    }
    std::vector<std::byte> ask(i40e::message what, std::span<const std::byte> content) {
        const std::size_t buffer_at = atq_buffers + atq_ * mailbox_buffer;
        expect(content.size() <= mailbox_buffer, "a message is too long");
        store(buffer_at, content);
        put_descriptor(atq_ring + atq_ * i40e::admin_descriptor::size,
                       {.flags = i40e::admin_descriptor::has_buffer | 0x400,
                        .opcode = i40e::admin_descriptor::to_pf,
                        .length = static_cast<std::uint16_t>(content.size()),
                        .message = static_cast<std::uint32_t>(what),
                        .address = memory_at + buffer_at});
        atq_ = (atq_ + 1) % mailbox_entries;
        device_.put(i40e::at::atqt, static_cast<std::uint32_t>(atq_));
        return take_message(what);
    }
    std::vector<std::byte> take_message(i40e::message what) {
        const std::size_t at = arq_ring + arq_ * i40e::admin_descriptor::size;
        i40e::admin_descriptor came = descriptor(at);
        for (int tries = 0; (came.flags & i40e::admin_descriptor::done) == 0; came = descriptor(at)) {
            expect(++tries < 1000, "a message is not answered");
            static_cast<void>(device_.get(i40e::at::rstat)); // gives the function time
        }
        expect(i40e::message{came.message} == what, "a message is answered by another");
        expect(came.result == 0, "a message is refused");
        const auto content = memory_.subspan(arq_buffers + arq_ * mailbox_buffer, came.length);
        std::vector<std::byte> out{content.begin(), content.end()};
        post_mailbox_buffer(arq_);
        device_.put(i40e::at::arqt, static_cast<std::uint32_t>(arq_));
        arq_ = (arq_ + 1) % mailbox_entries;
        return out;
    }

    registers device_;
    std::span<std::byte> memory_;
    std::vector<bool> written_;
    std::array<queue, pairs> queues_{};
    std::size_t atq_ = 0, arq_ = 0;
};

} // namespace acme
