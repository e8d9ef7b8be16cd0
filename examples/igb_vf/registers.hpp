// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "mailbox.hpp"

/// The registers of a virtual function of Intel's 82576 (datasheet, virtual function CSRs).
namespace acme::igb_vf_map {

/// Registers take 32 bits; other widths read as ones and write nothing.
consteval reg_options whole(reg_options facts) {
    facts.widths = width::bits32;
    facts.otherwise = otherwise::swallow;
    return facts;
}

inline constexpr auto bar0 = region_map{bar{0}, 16_KiB,
    reg{"VTCTRL",      0x0000, rw, whole({.hook = on::written})}, // its reset makes the PF forget what was asked
    reg{"STATUS",      0x0008},
    reg{"VMBMEM",      0x0800, rw, {.count = 16}},
    reg{"V2PMAILBOX",  0x0c40, rw, whole({.hook = on::read | on::write, .read_has_effect = true})},
    reg{"PSRTYPE",     0x0f0c},
    reg{"STATISTICS",  0x0f10, ro, whole({.hook = on::read, .count = 17})}, // go on where they were
    reg{"VTEICS",      0x1520},
    reg{"VTEIMS",      0x1524, rw, whole({.hook = on::written})},
    reg{"VTEIMC",      0x1528, rw, whole({.hook = on::written})},
    reg{"VTEIAC",      0x152c},
    reg{"VTEIAM",      0x1530},
    reg{"VTEICR",      0x1580},
    reg{"VTEITR",      0x1680, rw, {.count = 3}},
    reg{"VTIVAR",      0x1700},
    reg{"VTIVAR_MISC", 0x1740},
    repeat{"RX", 2, 0x100,
        reg{"RDBAL",  0x2800}, reg{"RDBAH", 0x2804}, reg{"RDLEN", 0x2808}, reg{"SRRCTL", 0x280c},
        reg{"RDH",    0x2810}, reg{"RXCTL", 0x2814}, reg{"RDT",   0x2818}, reg{"RXDCTL", 0x2828},
        reg{"RQDPC",  0x2830}},
    repeat{"TX", 2, 0x100,
        reg{"TDBAL",  0x3800}, reg{"TDBAH", 0x3804}, reg{"TDLEN", 0x3808}, reg{"TDH",    0x3810},
        reg{"TXCTL",  0x3814}, reg{"TDT",   0x3818}, reg{"TXDCTL", 0x3828},
        reg{"TDWBAL", 0x3838}, reg{"TDWBAH", 0x383c}}};

template <text Name>
inline constexpr std::uint64_t offset = at<bar0, Name>::facts().offset;

inline constexpr std::size_t queues = 2;
inline constexpr std::uint64_t queue_stride = 0x100;

template <std::size_t Registers>
consteval auto of_each_queue(const std::uint64_t (&first)[Registers]) {
    std::array<std::uint64_t, queues * Registers> out{};
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = first[i / queues] + i % queues * queue_stride;
    return out;
}

} // namespace acme::igb_vf_map

namespace acme {

/// What a migration reads and puts, as it lies in the stream.
struct igb_vf_layout {
    static constexpr std::size_t queues = igb_vf_map::queues;
    template <text Name>
    static constexpr std::uint64_t offset = igb_vf_map::offset<Name>;

    /// What is put while the queues are off; then what turns them on; then the tails, which tell that there is work.
    static constexpr std::array interrupt_setup{offset<"VTEIAC">, offset<"VTEIAM">, offset<"VTEITR">,
                                                offset<"VTEITR"> + 4, offset<"VTEITR"> + 8, offset<"VTIVAR">,
                                                offset<"VTIVAR_MISC">, offset<"PSRTYPE">};
    static constexpr auto heads = igb_vf_map::of_each_queue({offset<"RX.RDH">, offset<"TX.TDH">});
    static constexpr auto sizes = igb_vf_map::of_each_queue({offset<"RX.RDLEN">, offset<"TX.TDLEN">});
    static constexpr auto rings = igb_vf_map::of_each_queue(
        {offset<"RX.RDBAL">, offset<"RX.RDBAH">, offset<"RX.SRRCTL">, offset<"RX.RXCTL">, offset<"TX.TDBAL">,
         offset<"TX.TDBAH">, offset<"TX.TXCTL">, offset<"TX.TDWBAL">, offset<"TX.TDWBAH">});
    static constexpr auto controls = igb_vf_map::of_each_queue({offset<"RX.RXDCTL">, offset<"TX.TXDCTL">});
    static constexpr auto tails = igb_vf_map::of_each_queue({offset<"RX.RDT">, offset<"TX.TDT">});

    /// Where each begins in `values`.
    static constexpr std::size_t first_ring = interrupt_setup.size();
    static constexpr std::size_t first_size = first_ring + rings.size();
    static constexpr std::size_t first_head = first_size + sizes.size();
    static constexpr std::size_t first_control = first_head + heads.size();
    static constexpr std::size_t first_tail = first_control + controls.size();
    static constexpr std::size_t first_word = first_tail + tails.size();
    static constexpr std::size_t count = first_word + igb_requests::words;
    static constexpr std::size_t bytes = 4 * count;
};

} // namespace acme
