// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/provider/rule_index.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

/// Which rules contradict each other, found in a number of steps that grows with the number of rules and not with its
/// square. Rules are sorted by what they speak of, their shape; two of one rank can meet in a device exactly if they
/// agree on what both speak of, and who agrees is found by hashing that part.
namespace mediant::detail {

/// A rule's fields in two words, and the bits of them that it speaks of.
struct packed_rule {
    std::uint64_t ids = 0;
    std::uint64_t ids_mask = 0;
    std::uint32_t class_code = 0;
    std::uint32_t class_mask = 0;
    std::uint32_t provider = 0;
    std::uint32_t rank = 0;
};

[[nodiscard]] constexpr packed_rule packed(const owned_rule& from) noexcept {
    const pci_id& r = from.rule;
    const std::uint64_t mask = (r.vendor == any_id ? 0 : 0xffff'0000'0000'0000u) |
                               (r.device == any_id ? 0 : 0xffff'0000'0000u) |
                               (r.subvendor == any_id ? 0 : 0xffff'0000u) | (r.subdevice == any_id ? 0 : 0xffffu);
    const std::uint64_t ids = std::uint64_t{r.vendor & 0xffff} << 48 | std::uint64_t{r.device & 0xffff} << 32 |
                              std::uint64_t{r.subvendor & 0xffff} << 16 | (r.subdevice & 0xffff);
    return {ids & mask, mask, r.class_code & r.class_mask, r.class_mask, from.provider, from.rank};
}

/// Two providers at fault, or one whose rule stands twice.
struct rule_conflict {
    bool found = false;
    std::uint32_t first = 0;
    std::uint32_t second = 0; ///< the same as first where the rule stands twice

    [[nodiscard]] constexpr bool is_tie() const noexcept { return found && first != second; }
    [[nodiscard]] constexpr bool is_duplicate() const noexcept { return found && first == second; }
};

[[nodiscard]] constexpr std::size_t hash_slots(std::size_t entries) noexcept {
    std::size_t slots = 2;
    while (slots < 2 * entries) slots *= 2;
    return slots;
}
[[nodiscard]] constexpr std::size_t hash_of(std::uint64_t a, std::uint64_t b) noexcept {
    const std::uint64_t mixed = (a ^ b << 7) * 0x9e37'79b9'7f4a'7c15u;
    return static_cast<std::size_t>((mixed ^ mixed >> 29) * 0xbf58'476d'1ce4'e5b9u >> 24);
}

/// N rules by shape. IDs have 16 bits, class codes and masks 24.
template <std::size_t N>
struct shaped_rules {
    std::array<packed_rule, N + 1> rules{};    ///< those of a shape stand together
    std::array<std::uint32_t, N + 1> starts{}; ///< of each shape
    std::size_t shapes = 0;

    constexpr explicit shaped_rules(const std::array<owned_rule, N>& from) noexcept {
        constexpr std::size_t slots = hash_slots(N);
        std::array<std::uint32_t, slots> slot{}; // 1 + shape
        std::array<packed_rule, N + 1> all{};
        std::array<std::uint32_t, N + 1> shape_of{};
        std::array<std::uint32_t, N + 1> example{}; // a rule of each shape
        std::array<std::uint32_t, N + 2> fill{};
        for (std::size_t i = 0; i < N; ++i) {
            const packed_rule r = all.data()[i] = packed(from.data()[i]);
            std::size_t at = hash_of(r.ids_mask, r.class_mask) & (slots - 1);
            std::uint32_t found = slot.data()[at];
            while (found != 0) {
                const packed_rule& other = all.data()[example.data()[found - 1]];
                if (other.ids_mask == r.ids_mask && other.class_mask == r.class_mask) break;
                found = slot.data()[at = (at + 1) & (slots - 1)];
            }
            if (found == 0) {
                example.data()[shapes] = static_cast<std::uint32_t>(i);
                slot.data()[at] = found = static_cast<std::uint32_t>(++shapes);
            }
            shape_of.data()[i] = found - 1;
            ++fill.data()[found - 1];
        }
        for (std::size_t s = 0, sum = 0; s <= shapes; ++s) {
            const std::size_t count = fill.data()[s];
            starts.data()[s] = fill.data()[s] = static_cast<std::uint32_t>(sum);
            sum += count;
        }
        for (std::size_t i = 0; i < N; ++i) rules.data()[fill.data()[shape_of.data()[i]]++] = all.data()[i];
    }

    [[nodiscard]] constexpr std::uint32_t rank(std::size_t shape) const noexcept {
        return rules.data()[starts.data()[shape]].rank;
    }
    [[nodiscard]] constexpr std::size_t count(std::size_t shape) const noexcept {
        return starts.data()[shape + 1] - starts.data()[shape];
    }
    /// How many pairs of shapes have one rank, each shape with itself included.
    [[nodiscard]] constexpr std::size_t pairs() const noexcept {
        std::size_t n = 0;
        for (std::size_t a = 0; a < shapes; ++a)
            for (std::size_t b = a; b < shapes; ++b) n += rank(a) == rank(b) ? 1 : 0;
        return n;
    }
};

struct shape_pair {
    std::uint32_t first = 0;
    std::uint32_t second = 0;
};
template <std::size_t Pairs, std::size_t N>
[[nodiscard]] constexpr std::array<shape_pair, Pairs> pairs_of(const shaped_rules<N>& all) noexcept {
    std::array<shape_pair, Pairs> out{};
    std::size_t n = 0;
    for (std::uint32_t a = 0; a < all.shapes; ++a)
        for (std::uint32_t b = a; b < all.shapes; ++b)
            if (all.rank(a) == all.rank(b)) out[n++] = {a, b};
    return out;
}

/// A conflict between a rule of one shape and one of another (or the same) that ranks alike; slots: a power of two, at
/// least twice the number of rules of the first. The rules of the first shape go into a hash table by what both speak
/// of, with two different providers of each entry; those of the second are looked up there.
template <std::size_t Slots, std::size_t N>
[[nodiscard]] constexpr rule_conflict conflict_between(const shaped_rules<N>& all, shape_pair pair) noexcept {
    struct entry {
        std::uint32_t rule = 0;  // 1 + index
        std::uint32_t other = 0; // 1 + index of a rule of another provider, if there is one
    };
    std::array<entry, Slots> table{};
    const packed_rule* const rules = all.rules.data();
    const packed_rule& a = rules[all.starts.data()[pair.first]];
    const packed_rule& b = rules[all.starts.data()[pair.second]];
    const std::uint64_t ids_mask = a.ids_mask & b.ids_mask;
    const std::uint32_t class_mask = a.class_mask & b.class_mask;
    const bool same = pair.first == pair.second;
    const auto agree = [&](const packed_rule& x, const packed_rule& y) {
        return ((x.ids ^ y.ids) & ids_mask) == 0 && ((x.class_code ^ y.class_code) & class_mask) == 0;
    };

    const std::size_t end = all.starts.data()[pair.first + 1];
    for (std::size_t i = all.starts.data()[pair.first]; i < end; ++i) {
        const packed_rule& r = rules[i];
        std::size_t at = hash_of(r.ids & ids_mask, r.class_code & class_mask) & (Slots - 1);
        for (; table.data()[at].rule != 0; at = (at + 1) & (Slots - 1)) {
            const packed_rule& there = rules[table.data()[at].rule - 1];
            if (!agree(there, r)) continue;
            if (same) return {true, there.provider, r.provider};
            if (there.provider != r.provider) table.data()[at].other = static_cast<std::uint32_t>(i + 1);
            break;
        }
        if (table.data()[at].rule == 0) table.data()[at].rule = static_cast<std::uint32_t>(i + 1);
    }
    if (same) return {};
    const std::size_t second_end = all.starts.data()[pair.second + 1];
    for (std::size_t i = all.starts.data()[pair.second]; i < second_end; ++i) {
        const packed_rule& r = rules[i];
        std::size_t at = hash_of(r.ids & ids_mask, r.class_code & class_mask) & (Slots - 1);
        for (; table.data()[at].rule != 0; at = (at + 1) & (Slots - 1)) {
            const packed_rule& there = rules[table.data()[at].rule - 1];
            if (!agree(there, r)) continue;
            if (there.provider != r.provider) return {true, there.provider, r.provider};
            if (const std::uint32_t other = table.data()[at].other; other != 0)
                return {true, rules[other - 1].provider, r.provider};
            break;
        }
    }
    return {};
}

} // namespace mediant::detail
