// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/mediant.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

namespace acme {
using namespace mediant;

/// What the physical function knows of an 82576's virtual function: what the latter has asked for, by messages in the
/// mailbox, and was granted. The VF cannot read any of it back, so that it is remembered as it goes by. The messages
/// are those between Linux's igb and igbvf (drivers/net/ethernet/intel/igb/e1000_mbx.h).
struct igb_requests {
    static constexpr std::size_t words = 16; ///< of the mailbox's memory
    using message = std::array<std::uint32_t, words>;

    static constexpr std::uint32_t acknowledged = 0x8000'0000, refused = 0x4000'0000;
    static constexpr std::uint32_t answered = acknowledged | refused;
    static constexpr std::uint32_t kind_of(std::uint32_t word) { return word & 0xffff; }
    static constexpr std::uint32_t info_of(std::uint32_t word) { return word >> 16 & 0xff; }

    struct kind {
        enum : std::uint32_t { reset = 1, address = 2, multicast = 3, vlan = 4, longest = 5, promiscuous = 6 };
    };
    enum : std::uint32_t { clear_filters = 1, add_filter = 2 }; ///< said with kind::address

    static constexpr std::size_t most_filters = 8;

    bool joined = false;         ///< it was reset by message, since when its queues may run
    bool foreign = false;        ///< the physical function granted something that is not known here
    std::uint32_t length = 0;    ///< of the longest frame; 0: never said
    std::uint32_t promiscuity = 0;
    std::array<std::uint32_t, 2> address{};  ///< as in the messages; 0: none
    std::array<std::uint32_t, 2 * most_filters> filters{};
    std::uint32_t filter_count = 0;
    message groups{};                        ///< hashes, as the message has them; first word 0: none
    std::array<std::uint32_t, 4096 / 32> vlans{};

    /// As after a reset: nothing was asked.
    void forget() {
        joined = foreign = false;
        length = promiscuity = filter_count = 0;
        address.fill(0);
        filters.fill(0);
        groups.fill(0);
        vlans.fill(0);
    }

    /// A message that the physical function has answered.
    void note(const message& asked, const message& answer) {
        const bool granted = (answer[0] & acknowledged) != 0;
        if (kind_of(asked[0]) == kind::reset) {
            // Refused where there is no address yet; all else that it does is done then, too.
            forget();
            joined = true;
            if (granted) address = {answer[1], answer[2] & 0xffff};
            return;
        }
        if (!granted) return;
        const std::uint32_t info = info_of(asked[0]);
        switch (kind_of(asked[0])) {
        case kind::address:
            if (info == 0) address = {asked[1], asked[2] & 0xffff};
            else if (info == clear_filters) filter_count = 0;
            else if (const std::uint32_t n = filter_count; info == add_filter && n < most_filters) {
                filters[2 * n] = asked[1]; // n: that it is within must be seen of the very value, as BPF
                filters[2 * n + 1] = asked[2] & 0xffff;
                filter_count = n + 1;
            } else foreign = true;
            break;
        case kind::multicast: groups = asked; break;
        case kind::vlan: {
            const std::uint32_t bit = 1u << asked[1] % 32;
            std::uint32_t& word = vlans[asked[1] / 32 % vlans.size()];
            word = info != 0 ? word | bit : word & ~bit;
            break;
        }
        case kind::longest: length = asked[1]; break;
        case kind::promiscuous: promiscuity = asked[0]; break;
        default: foreign = true;
        }
    }

    /// `ask(message)` for all that leads from nothing to this, until one fails. That a reset finds no address is no
    /// failure, and its message is not for `ask` to judge.
    template <class Ask>
    result<void> replay(const Ask& ask) const {
        if (!joined) return {};
        if (const auto done = ask(message{kind::reset}); !done) return done;
        if (length != 0)
            if (const auto done = ask(message{kind::longest, length}); !done) return done;
        if ((address[0] | address[1]) != 0)
            if (const auto done = ask(message{kind::address, address[0], address[1]}); !done) return done;
        for (std::size_t i = 0; i < filter_count && i < most_filters; ++i)
            if (const auto done = ask({kind::address | add_filter << 16, filters[2 * i], filters[2 * i + 1]}); !done)
                return done;
        if (groups[0] != 0)
            if (const auto done = ask(groups); !done) return done;
        for (std::uint32_t id = 0; id < 4096; ++id)
            if ((vlans[id / 32] >> id % 32 & 1) != 0)
                if (const auto done = ask(message{kind::vlan | 1u << 16, id}); !done) return done;
        if (promiscuity != 0)
            if (const auto done = ask(message{promiscuity}); !done) return done;
        return {};
    }
};

} // namespace acme
