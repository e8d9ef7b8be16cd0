// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/registers/kinds.hpp>

#include <cstdint>
#include <string_view>

/// What access kinds do, bit by bit, written from IEEE 1800.2 (the access policies of uvm_reg_field::configure) without
/// a look at kinds.hpp.
namespace mediant::test {

struct access_policy {
    kind what;
    const char* name;
    const char* write; ///< what a bit holds after (held, written) = (0, 0), (0, 1), (1, 0), (1, 1)
    const char* read;  ///< what a bit holds after a read of 0, of 1
    bool readable = true;
    bool once = false; ///< only the first write counts

    [[nodiscard]] constexpr std::uint64_t written(std::uint64_t held, std::uint64_t value) const {
        std::uint64_t out = 0;
        for (unsigned i = 0; i < 64; ++i) {
            const bool bit = write[2 * (held >> i & 1) + (value >> i & 1)] == '1';
            out |= std::uint64_t{bit} << i;
        }
        return out;
    }
    [[nodiscard]] constexpr std::uint64_t after_read(std::uint64_t held) const {
        std::uint64_t out = 0;
        for (unsigned i = 0; i < 64; ++i) out |= std::uint64_t{read[held >> i & 1] == '1'} << i;
        return out;
    }
    /// Whether a write can ever change something.
    [[nodiscard]] constexpr bool takes_writes() const { return std::string_view{write} != "0011"; }
    [[nodiscard]] constexpr bool read_changes() const { return std::string_view{read} != "01"; }
};

inline constexpr access_policy policies[] = {
    {kind::ro, "RO", "0011", "01"},
    {kind::rw, "RW", "0101", "01"},
    {kind::rc, "RC", "0011", "00"},
    {kind::rs, "RS", "0011", "11"},
    {kind::wrc, "WRC", "0101", "00"},
    {kind::wrs, "WRS", "0101", "11"},
    {kind::wc, "WC", "0000", "01"},
    {kind::ws, "WS", "1111", "01"},
    {kind::wsrc, "WSRC", "1111", "00"},
    {kind::wcrs, "WCRS", "0000", "11"},
    {kind::w1c, "W1C", "0010", "01"},
    {kind::w1s, "W1S", "0111", "01"},
    {kind::w1t, "W1T", "0110", "01"},
    {kind::w0c, "W0C", "0001", "01"},
    {kind::w0s, "W0S", "1011", "01"},
    {kind::w0t, "W0T", "1001", "01"},
    {kind::w1src, "W1SRC", "0111", "00"},
    {kind::w1crs, "W1CRS", "0010", "11"},
    {kind::w0src, "W0SRC", "1011", "00"},
    {kind::w0crs, "W0CRS", "0001", "11"},
    {kind::wo, "WO", "0101", "01", false},
    {kind::woc, "WOC", "0000", "01", false},
    {kind::wos, "WOS", "1111", "01", false},
    {kind::w1, "W1", "0101", "01", true, true},
    {kind::wo1, "WO1", "0101", "01", false, true},
};

constexpr const access_policy& policy_of(kind what) {
    for (const access_policy& p : policies)
        if (p.what == what) return p;
    throw "no such kind";
}

} // namespace mediant::test
