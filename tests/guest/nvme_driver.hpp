// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// As much of an NVMe driver as a test needs (NVM Express Base and NVM Command Set 1.4): admin queues, one pair of I/O
/// queues, one command at a time. Set-up throws std::system_error.

#ifndef MEDIANT_TESTS_GUEST_NVME_DRIVER_HPP
#define MEDIANT_TESTS_GUEST_NVME_DRIVER_HPP

#include "vfio_client.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <functional>
#include <span>
#include <string>
#include <utility>

namespace mediant::guest::nvme {

/// Registers in BAR 0.
enum offset : std::uint64_t {
    cap = 0x00,
    vs = 0x08,
    cc = 0x14,
    csts = 0x1c,
    nssr = 0x20,
    aqa = 0x24,
    asq = 0x28,
    acq = 0x30,
    cmbloc = 0x38,
    cmbsz = 0x3c,
    cmbmsc = 0x50,
    doorbells = 0x1000,
};

constexpr std::uint32_t cc_enable = 0x0046'0001; ///< entries of 64 and 16 bytes, pages of 4 KiB
constexpr std::uint32_t cc_shutdown = 0x4000;
constexpr std::uint32_t csts_ready = 0x1;
constexpr std::uint32_t csts_failed = 0x2;

/// A submission queue's entry, of which only what is needed has a name.
struct command {
    std::uint32_t opcode = 0; ///< and, in the upper half, what the completion is told by
    std::uint32_t space = 0;
    std::array<std::uint32_t, 4> unused{};
    std::uint64_t data = 0; ///< PRP entry 1
    std::uint64_t more_data = 0;
    std::array<std::uint32_t, 6> dwords{}; ///< from the tenth on
};
static_assert(sizeof(command) == 64);

/// A completion queue's entry.
struct completion {
    std::uint32_t result = 0;
    std::uint32_t reserved = 0;
    std::uint32_t queue = 0;  ///< and, in the lower half, how far its submission queue was read
    std::uint32_t status = 0; ///< above the phase, bit 16, and what it is told by, the lower half
};
static_assert(sizeof(completion) == 16);

/// How a doorbell is rung: its offset in BAR 0, and the value.
using bell = std::function<void(std::uint64_t, std::uint32_t)>;

/// A submission queue and its completion queue, with the memory that both lie in.
class queue_pair {
public:
    /// `memory` holds the completions in its first 4 KiB, and the commands behind that; it is the device's at `iova`.
    queue_pair(std::span<std::byte> memory, std::uint64_t iova, std::uint32_t number, std::uint32_t entries, bell ring)
        : memory_{memory}, iova_{iova}, number_{number}, entries_{entries}, ring_{std::move(ring)} {}

    [[nodiscard]] std::uint64_t completions_at() const { return iova_; }
    [[nodiscard]] std::uint64_t commands_at() const { return iova_ + 4096; }
    [[nodiscard]] std::uint64_t tail_doorbell() const { return doorbells + 8 * number_; }

    /// Status code type and code of a command, 0 for success, after `interrupt` told that it is done.
    std::uint32_t run(command what, const event& interrupt) {
        what.opcode |= ++told_by_ << 16;
        std::memcpy(memory_.data() + 4096 + tail_ * sizeof what, &what, sizeof what);
        std::atomic_thread_fence(std::memory_order_seq_cst);
        tail_ = (tail_ + 1) % entries_;
        ring_(tail_doorbell(), tail_);

        if (interrupt.wait(5000) == 0) fail(ETIMEDOUT, "interrupt of queue " + std::to_string(number_));
        std::atomic_thread_fence(std::memory_order_seq_cst);
        completion done;
        std::memcpy(&done, memory_.data() + head_ * sizeof done, sizeof done);
        if ((done.status >> 16 & 1) != phase_ || (done.status & 0xffff) != (told_by_ & 0xffff))
            fail(EPROTO, "completion of queue " + std::to_string(number_));
        head_ = (head_ + 1) % entries_;
        if (head_ == 0) phase_ ^= 1;
        ring_(tail_doorbell() + 4, head_);
        return done.status >> 17 & 0x7ff;
    }

private:
    std::span<std::byte> memory_;
    std::uint64_t iova_;
    std::uint32_t number_;
    std::uint32_t entries_;
    bell ring_;
    std::uint32_t tail_ = 0;
    std::uint32_t head_ = 0;
    std::uint32_t phase_ = 1;
    std::uint32_t told_by_ = 0;
};

/// Waits for bits of CSTS; false when they do not come in five seconds.
inline bool reaches(const device& controller, std::uint32_t mask, std::uint32_t wanted) {
    for (int i = 0; i < 5000; ++i) {
        if ((controller.get<std::uint32_t>(VFIO_PCI_BAR0_REGION_INDEX, csts) & mask) == wanted) return true;
        constexpr timespec millisecond{0, 1'000'000};
        ::nanosleep(&millisecond, nullptr);
    }
    return false;
}

/// What Identify Controller says of a controller, without the spaces behind it.
inline std::string text(std::span<const std::byte> identity, std::size_t offset, std::size_t size) {
    std::string out(reinterpret_cast<const char*>(identity.data() + offset), size);
    out.erase(out.find_last_not_of(' ') + 1);
    return out;
}

inline command identify_controller(std::uint64_t to) { return {.opcode = 0x06, .data = to, .dwords = {1}}; }
/// With the interrupt vector of the same number as the queue.
inline command create_completion_queue(const queue_pair& which, std::uint32_t number, std::uint32_t entries) {
    return {.opcode = 0x05, .data = which.completions_at(), .dwords = {(entries - 1) << 16 | number, number << 16 | 3}};
}
inline command create_submission_queue(const queue_pair& which, std::uint32_t number, std::uint32_t entries) {
    return {.opcode = 0x01, .data = which.commands_at(), .dwords = {(entries - 1) << 16 | number, number << 16 | 1}};
}
/// One block of namespace 1.
inline command read_block(std::uint32_t block, std::uint64_t to) {
    return {.opcode = 0x02, .space = 1, .data = to, .dwords = {block}};
}

} // namespace mediant::guest::nvme

#endif
