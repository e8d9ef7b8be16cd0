// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "registers.hpp"

namespace acme {

/// A virtual function of Intel's 82576, migrated through its own registers. Its queues' registers are the user's and
/// can be mapped; trapped are the mailbox and the interrupt masks, of which the hardware does not tell all afterwards.
/// Registers by the 82576's datasheet (virtual function CSRs), as QEMU's igb has them.
struct igb_vf : igb_requests, igb_vf_layout {
    static constexpr auto info = provider{"igb_vf", {pci_id{0x8086, 0x10ca}},
        {.description = "A VF of Intel's 82576 that migrates", .author = "Acme"}};

    static constexpr auto bar0 = igb_vf_map::bar0;
    static constexpr auto regions = mediant::regions<bar0>{};

    // What the user does to what the hardware does not show.

    result<void> written(at<bar0, "VTCTRL">, lanes<std::uint32_t> bits, auto&) noexcept {
        if ((bits.value & software_reset) == 0) return {};
        forget();
        waiting = false;
        return {};
    }
    result<void> written(at<bar0, "VTEIMS">, lanes<std::uint32_t> bits, auto&) noexcept {
        unmasked |= bits.value & vectors;
        return {};
    }
    result<void> written(at<bar0, "VTEIMC">, lanes<std::uint32_t> bits, auto&) noexcept {
        unmasked &= ~bits.value;
        return {};
    }

    result<std::uint32_t> read(at<bar0, "V2PMAILBOX">, auto& next) noexcept {
        const auto value = look(next);
        if (value) carried = 0;
        return value;
    }
    result<void> write(at<bar0, "V2PMAILBOX"> reg, std::uint32_t value, auto& next) noexcept {
        if ((value & request) != 0) {
            if (const auto got = memory(asked, next); !got) return got;
            waiting = true;
        }
        return next.write(reg, value);
    }

    result<std::uint32_t> read(at<bar0, "STATISTICS"> reg, std::size_t which, auto& next) noexcept {
        const auto counted = next.read(reg, which);
        if (!counted) return counted;
        return *counted + before[which];
    }

    void reset() noexcept {
        forget();
        unmasked = carried = 0;
        waiting = holds_buffer = false;
        asked.fill(0);
        before.fill(0);
        totals.fill(0);
        values.fill(0);
        taken = 0;
    }

    // Migration.

    static constexpr auto migration() {
        return saved_state{1,
            saved{"unmasked", &igb_vf::unmasked, {.most = vectors}},
            saved{"mailbox", &igb_vf::carried, {.most = cleared_by_reading}},
            saved{"holds_buffer", &igb_vf::holds_buffer},
            saved{"waiting", &igb_vf::waiting},
            saved{"asked", &igb_vf::asked},
            saved{"statistics", &igb_vf::totals},
            saved{"joined", &igb_vf::joined},
            saved{"length", &igb_vf::length},
            saved{"promiscuity", &igb_vf::promiscuity},
            saved{"address", &igb_vf::address},
            saved{"filters", &igb_vf::filters},
            saved{"filter_count", &igb_vf::filter_count, {.most = igb_requests::most_filters}},
            saved{"groups", &igb_vf::groups},
            saved{"vlans", &igb_vf::vlans}};
    }

    /// The queues stop, and what the hardware knows is read: where the rings are, above all.
    result<void> quiesce(auto& next) noexcept {
        if (foreign) {
            next.log("igb_vf: the physical function was asked for what cannot be asked again");
            return error::not_supported;
        }
        // An answer on its way is waited for. There may never be one: so does the user find out.
        for (std::uint32_t tries = 0;; ++tries) {
            const auto mailbox = look(next);
            if (!mailbox) return mailbox.error();
            carried = *mailbox & cleared_by_reading;
            holds_buffer = (*mailbox & buffer_taken) != 0;
            if (!waiting || tries == patience) break;
        }
        if (const auto done = read_all(controls, first_control, next); !done) return done;
        if (const auto done = read_all(tails, first_tail, next); !done) return done;
        const result<void> stopped = stop(next);
        if (!stopped) static_cast<void>(start(next)); // as far as it goes; what failed first is told
        return stopped;
    }

    /// Of a device that quiesced, or that restored() has made like one.
    result<void> resume(auto& next) noexcept {
        if (const auto done = place(next); !done) return done;
        if (const auto done = start(next); !done) return done;
        // Causes that were pending are not known. One interrupt too many does no harm.
        return put(offset<"VTEICS">, unmasked, next);
    }

    /// What quiesce() read.
    result<std::size_t> save(std::uint64_t from, std::span<std::byte> to, auto&) noexcept {
        std::size_t done = 0;
        for (; done < to.size() && from + done < bytes; ++done)
            to[done] = static_cast<std::byte>(values[(from + done) / 4] >> (from + done) % 4 * 8 & 0xff);
        return done;
    }
    result<void> restore(std::uint64_t from, std::span<const std::byte> what, auto&) noexcept {
        if (from > bytes || what.size() > bytes - from) return error::invalid;
        for (std::size_t i = 0; i < what.size(); ++i) {
            const unsigned at = static_cast<unsigned>((from + i) % 4 * 8);
            std::uint32_t& value = values[(from + i) / 4];
            value = (value & ~(0xffu << at)) | std::to_integer<std::uint32_t>(what[i]) << at;
        }
        taken = from + what.size();
        return {};
    }

    /// Asks this function's physical function for all that the other's had granted, and puts the rings where they were.
    result<void> restored(auto& next) noexcept {
        if (taken != bytes) return error::invalid;
        if (const auto done = check_heads(); !done) return done;
        if (!joined)
            if (const auto done = put(offset<"VTCTRL">, software_reset, next); !done) return done;
        const auto again = [&](const message& what) { return ask(what, next); };
        if (const auto done = replay(again); !done) return done;
        if (const auto done = place(next); !done) return done;
        // The user's words, and whether it had taken the buffer.
        if (const auto done = take_buffer(next); !done) return done;
        for (std::size_t i = 0; i < words; ++i)
            if (const auto done = put(offset<"VMBMEM"> + 4 * i, values[first_word + i], next); !done) return done;
        if (!holds_buffer)
            if (const auto done = put(offset<"V2PMAILBOX">, 0, next); !done) return done;
        for (std::size_t i = 0; i < totals.size(); ++i) {
            const auto now = get(offset<"STATISTICS"> + 4 * i, next);
            if (!now) return now.error();
            before[i] = totals[i] - *now;
        }
        return {};
    }

private:
    static constexpr std::uint32_t software_reset = 1u << 26; ///< VTCTRL
    static constexpr std::uint32_t enabled = 1u << 25;        ///< RXDCTL, TXDCTL
    static constexpr std::uint32_t vectors = 0x7;
    // V2PMAILBOX
    static constexpr std::uint32_t request = 0x01, acknowledge = 0x02, buffer_taken = 0x04, message_came = 0x10;
    static constexpr std::uint32_t cleared_by_reading = 0xb0; ///< PFSTS, PFACK, RSTD
    /// Reads of a register before what is waited for counts as not coming: a fraction of a second.
    static constexpr std::uint32_t patience = 50'000;

    static result<std::uint32_t> get(std::uint64_t where, auto& next) {
        return next.template load<std::uint32_t>(bar0.region, where);
    }
    static result<void> put(std::uint64_t where, std::uint32_t value, auto& next) {
        return next.store(bar0.region, where, value);
    }
    static result<void> memory(message& to, auto& next) {
        for (std::size_t i = 0; i < words; ++i) {
            const auto word = get(offset<"VMBMEM"> + 4 * i, next);
            if (!word) return word.error();
            to[i] = *word;
        }
        return {};
    }
    /// Reads a register until `done(value)`; error::busy if it never is.
    static result<std::uint32_t> await(std::uint64_t where, auto& next, const auto& done) {
        for (std::uint32_t tries = 0; tries < patience; ++tries) {
            const auto value = get(where, next);
            if (!value || done(*value)) return value;
        }
        return error::busy;
    }

    /// The mailbox as the user is to see it. An answer in it is what the physical function knows from now on.
    result<std::uint32_t> look(auto& next) {
        const auto value = get(offset<"V2PMAILBOX">, next);
        if (!value) return value;
        if (waiting && (*value & message_came) != 0) {
            message answer{};
            if (const auto got = memory(answer, next); !got) return got.error();
            if (kind_of(answer[0]) == kind_of(asked[0]) && (answer[0] & answered) != 0) {
                note(asked, answer);
                waiting = false;
            }
        }
        return *value | carried;
    }

    static result<void> take_buffer(auto& next) {
        for (std::uint32_t tries = 0; tries < patience; ++tries) {
            if (const auto done = put(offset<"V2PMAILBOX">, buffer_taken, next); !done) return done;
            const auto now = get(offset<"V2PMAILBOX">, next);
            if (!now) return now.error();
            if ((*now & buffer_taken) != 0) return {};
        }
        return error::busy;
    }

    /// Asks as the user's driver does; error::not_permitted where it is refused.
    static result<void> ask(const message& what, auto& next) {
        if (const auto done = take_buffer(next); !done) return done;
        for (std::size_t i = 0; i < words; ++i)
            if (const auto done = put(offset<"VMBMEM"> + 4 * i, what[i], next); !done) return done;
        if (const auto done = put(offset<"V2PMAILBOX">, request, next); !done) return done;
        for (std::uint32_t tries = 0; tries < patience; ++tries) {
            const auto came =
                await(offset<"V2PMAILBOX">, next, [](std::uint32_t now) { return (now & message_came) != 0; });
            if (!came) return came.error();
            const auto answer = get(offset<"VMBMEM">, next);
            if (!answer) return answer.error();
            if (const auto done = put(offset<"V2PMAILBOX">, acknowledge, next); !done) return done;
            // What is no answer the physical function says of itself, of which a driver hears by the interrupt.
            if (kind_of(*answer) != kind_of(what[0]) || (*answer & answered) == 0) continue;
            if ((*answer & acknowledged) != 0 || kind_of(what[0]) == kind::reset) return {};
            next.log("igb_vf: the physical function refused a message", what[0], what[1], what[2]);
            return error::not_permitted;
        }
        return error::busy;
    }

    [[nodiscard]] result<void> check_heads() const {
        for (std::size_t i = 0; i < heads.size(); ++i)
            if ((values[first_control + i] & enabled) != 0 &&
                std::uint64_t{values[first_head + i]} * 16 >= values[first_size + i])
                return error::out_of_range;
        return {};
    }

    /// Frames that were begun end; then everything is read.
    result<void> stop(auto& next) {
        for (std::size_t i = 0; i < controls.size(); ++i) {
            const std::uint32_t control = values[first_control + i];
            if ((control & enabled) == 0) continue;
            const bool sends = i >= queues;
            if (sends) // what was handed over goes out, unless nothing does: then it goes along, by the head
                for (std::uint32_t tries = 0; tries < patience; ++tries) {
                    const auto head = get(heads[i], next);
                    const auto tail = get(tails[i], next);
                    if (!head || !tail) return head ? tail.error() : head.error();
                    if (*head == *tail) break;
                }
            if (const auto done = put(controls[i], control & ~enabled, next); !done) return done;
            const auto off = await(controls[i], next, [](std::uint32_t now) { return (now & enabled) == 0; });
            if (!off) return off.error();
        }
        if (const auto done = read_all(interrupt_setup, 0, next); !done) return done;
        if (const auto done = read_all(rings, first_ring, next); !done) return done;
        if (const auto done = read_all(sizes, first_size, next); !done) return done;
        if (const auto done = read_all(heads, first_head, next); !done) return done;
        for (std::size_t i = 0; i < words; ++i) {
            const auto word = get(offset<"VMBMEM"> + 4 * i, next);
            if (!word) return word.error();
            values[first_word + i] = *word;
        }
        for (std::size_t i = 0; i < totals.size(); ++i) {
            const auto now = get(offset<"STATISTICS"> + 4 * i, next);
            if (!now) return now.error();
            totals[i] = *now + before[i];
        }
        return {};
    }

    /// All but what sets it going. error::io where a head does not stay where it was put.
    result<void> place(auto& next) {
        if (const auto done = put(offset<"VTEIMC">, vectors, next); !done) return done;
        for (std::size_t i = 0; i < interrupt_setup.size(); ++i) {
            // Only what differs: QEMU's VTEIAM and VTIVAR add what is written to what there is.
            const auto now = get(interrupt_setup[i], next);
            if (!now) return now.error();
            if (*now == values[i]) continue;
            if (const auto done = put(interrupt_setup[i], values[i], next); !done) return done;
        }
        if (const auto done = put_all(rings, first_ring, next); !done) return done;
        if (const auto done = put_all(sizes, first_size, next); !done) return done;
        if (const auto done = put_all(heads, first_head, next); !done) return done;
        for (std::size_t i = 0; i < heads.size(); ++i) {
            const auto now = get(heads[i], next);
            if (!now) return now.error();
            if (*now != values[first_head + i]) return error::io;
        }
        return {};
    }

    result<void> start(auto& next) {
        for (std::size_t i = 0; i < controls.size(); ++i) {
            if (const auto done = put(controls[i], values[first_control + i], next); !done) return done;
            if ((values[first_control + i] & enabled) == 0) continue;
            const auto on = await(controls[i], next, [](std::uint32_t now) { return (now & enabled) != 0; });
            if (!on) return on.error();
        }
        if (const auto done = put_all(tails, first_tail, next); !done) return done;
        return put(offset<"VTEIMS">, unmasked, next);
    }

    result<void> read_all(const auto& registers, std::size_t first, auto& next) {
        for (std::size_t i = 0; i < registers.size(); ++i) {
            const auto now = get(registers[i], next);
            if (!now) return now.error();
            values[first + i] = *now;
        }
        return {};
    }
    result<void> put_all(const auto& registers, std::size_t first, auto& next) const {
        for (std::size_t i = 0; i < registers.size(); ++i)
            if (const auto done = put(registers[i], values[first + i], next); !done) return done;
        return {};
    }

    std::uint32_t unmasked = 0; ///< vectors, as the user set and cleared them
    std::uint32_t carried = 0;  ///< bits of the mailbox that were read here, and that the user has not seen
    bool holds_buffer = false;  ///< the user had, when it was stopped
    bool waiting = false;       ///< for the answer to `asked`
    message asked{};
    std::array<std::uint32_t, 17> before{}; ///< what other functions had counted before
    std::array<std::uint32_t, 17> totals{}; ///< of the counters, when it was stopped
    std::array<std::uint32_t, count> values{};
    std::uint64_t taken = 0; ///< bytes of `values`, from a stream
};
static_assert(valid<igb_vf>);

} // namespace acme
