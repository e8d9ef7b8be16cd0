// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/pci/id.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

/// The rules of many providers, laid out at compile time so that a look-up's cost does not grow with their number.
namespace mediant {

/// A rule, and the number of the provider that states it.
struct owned_rule {
    pci_id rule;
    std::uint32_t provider = 0;
    std::uint32_t rank = 0; ///< rule.rank(), kept since counting it takes longer than the rest of a look-up
};

/// N rules in buckets by what they say of vendor and device, "any" included, so that a device's rules lie in at most
/// four: (vendor, device), (vendor, any), (any, device), (any, any). Within a bucket the best comes first. 32 bytes a
/// rule and 2 to 8 a bucket; the PCI core's own table takes 40 a rule, and a scan.
template <std::size_t N>
class rule_index {
    static constexpr unsigned bucket_bits = [] {
        unsigned bits = 0;
        while ((std::size_t{1} << bits) < N) ++bits;
        return bits;
    }();
    static constexpr std::size_t buckets = std::size_t{1} << bucket_bits;
    using place = std::conditional_t<(N < 0x1'0000), std::uint16_t, std::uint32_t>;

public:
    static constexpr std::size_t size = N;

    constexpr explicit rule_index(const std::array<owned_rule, N>& rules) noexcept {
        const owned_rule* const all = rules.data();
        // Two counting sorts, by rank and then by bucket: few steps, of which compilers grant a constant expression
        // some hundred for each of 10,000 rules, and the same few for rules in any order.
        std::array<std::uint32_t, N + 1> by_rank{};
        std::array<std::uint32_t, ranks + 1> rank_starts{};
        for (std::size_t i = 0; i < N; ++i) ++rank_starts.data()[ranks - all[i].rank];
        for (std::size_t r = 0, sum = 0; r <= ranks; ++r) {
            const std::size_t count = rank_starts.data()[r];
            rank_starts.data()[r] = static_cast<std::uint32_t>(sum);
            sum += count;
        }
        for (std::size_t i = 0; i < N; ++i)
            by_rank.data()[rank_starts.data()[ranks - all[i].rank]++] = static_cast<std::uint32_t>(i);

        std::array<place, buckets + 1> fill{};
        for (std::size_t i = 0; i < N; ++i) ++fill.data()[bucket_of(all[i].rule.vendor, all[i].rule.device)];
        for (std::size_t b = 0, sum = 0; b <= buckets; ++b) {
            const std::size_t count = fill.data()[b];
            starts_[b] = fill.data()[b] = static_cast<place>(sum);
            sum += count;
        }
        for (std::size_t i = 0; i < N; ++i) {
            const owned_rule& from = all[by_rank.data()[i]];
            rules_[fill.data()[bucket_of(from.rule.vendor, from.rule.device)]++] = from;
            kinds_ |= 1u << kind_of(from.rule);
        }
    }

    /// Whose best rule for a device is, and its rank; rank 0 where no rule matches.
    struct winner {
        std::uint32_t provider = 0;
        std::uint32_t rank = 0;
    };
    [[nodiscard]] constexpr winner best(const device_id& id) const noexcept {
        winner found;
        each_bucket(id, [&](const owned_rule* rule, const owned_rule* end) {
            for (; rule != end && rule->rank > found.rank; ++rule)
                if (rule->rule.matches(id)) found = {rule->provider, rule->rank};
        });
        return found;
    }

    /// Calls f with each rule that matches a device, with some perhaps twice, in no order.
    template <class F>
    constexpr void each_match(const device_id& id, const F& f) const noexcept {
        each_bucket(id, [&](const owned_rule* rule, const owned_rule* end) {
            for (; rule != end; ++rule)
                if (rule->rule.matches(id)) f(*rule);
        });
    }

private:
    static constexpr unsigned ranks = 1 + 4 * 16 + 32; ///< the highest, whatever the class mask

    static constexpr std::size_t bucket_of(std::uint32_t vendor, std::uint32_t device) noexcept {
        return (vendor * 0x9e37'79b1u ^ device * 0x85eb'ca77u) >> (32 - bucket_bits - (bucket_bits == 0)) &
               (buckets - 1);
    }
    /// What a rule leaves open, as the place of a bit.
    static constexpr unsigned kind_of(const pci_id& rule) noexcept {
        return (rule.vendor == any_id ? 1u : 0u) + (rule.device == any_id ? 2u : 0u);
    }

    template <class F>
    constexpr void each_bucket(const device_id& id, const F& f) const noexcept {
        for (unsigned kind = 0; kind < 4; ++kind) {
            if ((kinds_ >> kind & 1) == 0) continue;
            const std::size_t b = bucket_of((kind & 1) != 0 ? any_id : id.vendor, (kind & 2) != 0 ? any_id : id.device);
            f(rules_.data() + starts_.data()[b], rules_.data() + starts_.data()[b + 1]);
        }
    }

    std::array<owned_rule, N == 0 ? 1 : N> rules_{};
    std::array<place, buckets + 1> starts_{};
    unsigned kinds_ = 0; ///< which kinds of rules there are
};

} // namespace mediant
