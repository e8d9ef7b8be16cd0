// SPDX-License-Identifier: BSD-3-Clause
// The look-up and the checks of a registry's rules against what says the same in the plainest way: scans of all rules,
// as the PCI core looks them up, and of all pairs.
#include <mediant/provider/rule_conflicts.hpp>
#include <mediant/provider/rule_index.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <memory>
#include <random>
#include <set>
#include <vector>

using namespace mediant;

namespace {

using generator = std::mt19937_64;

/// Rules over few values, so that they meet often; all kinds of wildcards, and class masks that overlap.
template <std::size_t N>
std::array<owned_rule, N> random_rules(generator& random, std::uint32_t providers, std::uint32_t values) {
    const auto field = [&](unsigned one_in) {
        return random() % one_in == 0 ? any_id : 0xfff0 + static_cast<std::uint32_t>(random() % values);
    };
    const std::uint32_t masks[] = {0, 0, 0, 0xff0000, 0xffff00, 0xffffff, 0x0000ff, 0x00ff00, 0xffff0f};
    std::array<owned_rule, N> out{};
    for (owned_rule& each : out) {
        const auto class_code = 0x020000 + static_cast<std::uint32_t>(random() % 4) * 0x101;
        each.rule = {field(6), field(4), field(2), field(2), class_code,
                     masks[random() % std::size(masks)]};
        each.provider = static_cast<std::uint32_t>(random() % providers);
        each.rank = each.rule.rank();
    }
    return out;
}

device_id random_device(generator& random, std::uint32_t values) {
    const auto field = [&] { return 0xfff0 + static_cast<std::uint32_t>(random() % (values + 1)); };
    return {field(), field(), field(), field(), 0x020000 + static_cast<std::uint32_t>(random() % 5) * 0x101};
}

template <std::size_t N>
void compare_lookups(std::uint64_t seed, std::uint32_t values) {
    generator random{seed};
    const auto rules = random_rules<N>(random, 7, values);
    const auto index = std::make_unique<rule_index<N>>(rules);
    for (int i = 0; i < 500; ++i) {
        device_id id = random_device(random, values);
        if (i % 50 == 0) id.vendor = any_id; // no device says so; a tool may ask
        if (i % 51 == 0) id.device = any_id;
        std::uint32_t best = 0;
        std::size_t matching = 0;
        std::set<std::uint32_t> winners; // several, since these rules tie
        for (const owned_rule& each : rules)
            if (each.rule.matches(id)) {
                ++matching;
                if (each.rank > best) winners.clear();
                best = std::max(best, each.rank);
                if (each.rank == best) winners.insert(each.provider);
            }
        const auto found = index->best(id);
        REQUIRE(found.rank == best);
        if (best != 0) REQUIRE(winners.contains(found.provider));
        std::set<const owned_rule*> seen;
        index->each_match(id, [&](const owned_rule& rule) {
            REQUIRE(rule.rule.matches(id));
            seen.insert(&rule);
        });
        REQUIRE(seen.size() == matching);
    }
}

template <std::size_t N>
detail::rule_conflict fast_conflict(const std::array<owned_rule, N>& rules) {
    const auto shaped = std::make_unique<detail::shaped_rules<N>>(rules);
    for (std::uint32_t a = 0; a < shaped->shapes; ++a)
        for (std::uint32_t b = a; b < shaped->shapes; ++b) {
            if (shaped->rank(a) != shaped->rank(b)) continue;
            const detail::rule_conflict found =
                detail::conflict_between<detail::hash_slots(N)>(*shaped, detail::shape_pair{a, b});
            if (found.found) return found;
        }
    return {};
}

bool same_devices(const pci_id& a, const pci_id& b) {
    return a.vendor == b.vendor && a.device == b.device && a.subvendor == b.subvendor && a.subdevice == b.subdevice &&
           a.class_mask == b.class_mask && ((a.class_code ^ b.class_code) & a.class_mask) == 0;
}

/// Whether two rules contradict each other.
bool conflict(const owned_rule& a, const owned_rule& b) {
    if (a.provider == b.provider) return same_devices(a.rule, b.rule);
    return a.rank == b.rank && a.rule.meets(b.rule);
}

template <std::size_t N>
std::size_t compare_conflicts(std::uint64_t seed, std::uint32_t values) {
    generator random{seed};
    const auto rules = random_rules<N>(random, 1 + static_cast<std::uint32_t>(seed % 4), values);
    bool any = false;
    std::set<std::pair<std::uint32_t, std::uint32_t>> pairs;
    for (std::size_t i = 0; i < N; ++i)
        for (std::size_t j = i + 1; j < N; ++j)
            if (conflict(rules[i], rules[j])) {
                any = true;
                pairs.insert({rules[i].provider, rules[j].provider});
                pairs.insert({rules[j].provider, rules[i].provider});
            }
    const detail::rule_conflict found = fast_conflict(rules);
    REQUIRE(found.found == any);
    if (any) REQUIRE(pairs.contains({found.first, found.second}));
    return any ? 1 : 0;
}

} // namespace

TEST_CASE("a look-up gives what a scan of all rules gives") {
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        compare_lookups<1>(seed, 2);
        compare_lookups<2>(seed, 2);
        compare_lookups<30>(seed, 3);
        compare_lookups<200>(seed, 5);
    }
    for (std::uint64_t seed = 1; seed <= 4; ++seed) compare_lookups<3000>(seed, 15);
}

TEST_CASE("an index of no rules finds nothing") {
    const rule_index<0> none{std::array<owned_rule, 0>{}};
    CHECK(none.best({0x1234, 0x11e8, 0, 0, 0}).rank == 0);
}

TEST_CASE("rules contradict each other exactly where some pair does") {
    // From sizes at which nearly none does to sizes at which nearly each does.
    std::size_t conflicts = 0;
    std::size_t tried = 0;
    for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
        conflicts += compare_conflicts<2>(seed, 2) + compare_conflicts<5>(seed, 3) + compare_conflicts<12>(seed, 6) +
                     compare_conflicts<12>(seed, 14) + compare_conflicts<40>(seed, 15);
        tried += 5;
    }
    CHECK(conflicts > tried / 10);
    CHECK(conflicts < tried * 9 / 10);
}

TEST_CASE("a rule's rank is one, 16 for each ID, and its class mask's bits") {
    generator random{3};
    for (int i = 0; i < 1000; ++i) {
        const auto mask = static_cast<std::uint32_t>(random() & 0xff'ffff);
        unsigned bits = 1;
        for (unsigned b = 0; b < 24; ++b) bits += mask >> b & 1;
        CHECK(pci_id{.class_mask = mask}.rank() == bits);
        CHECK(pci_id{.vendor = 0x1234, .subdevice = 0, .class_mask = mask}.rank() == bits + 32);
    }
    CHECK(pci_id{}.rank() == 1);
    CHECK(pci_id{0x1234, 0x11e8, 0x1af4, 0x1100, 0x020000, 0xff'ffff}.rank() == 89);
}
