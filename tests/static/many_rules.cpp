// SPDX-License-Identifier: BSD-3-Clause
// 10,000 rules, of 100 providers and of one, and 300 providers, within compilers' usual limits.
#include <mediant/mediant.hpp>

#include <utility>

namespace {
using namespace mediant;

/// One of `Of` providers that share out vendors and devices, in an order that is not theirs; each tenth rule says
/// more than the others.
template <std::size_t Number, std::size_t Of, std::size_t Rules>
struct one_of_many {
    static constexpr char letter(std::size_t n) { return static_cast<char>('a' + n % 26); }
    static constexpr char name[] = {'p', letter(Number / 676), letter(Number / 26), letter(Number)};
    static consteval pci_id rule(std::size_t i) {
        // 7919 is prime: no two are alike.
        const auto n = static_cast<std::uint32_t>((i * Of + Number) * 7919 % (Of * Rules));
        const std::uint32_t vendor = 0x1000 + n % 50;
        const std::uint32_t device = n / 50;
        return n % 10 == 9 ? pci_id{vendor, device, 0x1af4, n % 7} : pci_id{vendor, device};
    }
    static constexpr auto info = []<std::size_t... I>(std::index_sequence<I...>) {
        return provider{std::string_view{name, sizeof name}, {rule(I)...}};
    }(std::make_index_sequence<Rules>{});
};

template <std::size_t Providers, std::size_t Rules, class Numbers = std::make_index_sequence<Providers>>
struct many;
template <std::size_t Providers, std::size_t Rules, std::size_t... I>
struct many<Providers, Rules, std::index_sequence<I...>> {
    using devices = registry<one_of_many<I, Providers, Rules>...>;
};

template <class Registry, std::size_t Rules>
constexpr bool finds_all() {
    for (std::uint32_t n = 0; n < Rules; n += 331) {
        const device_id id{0x1000 + n % 50, n / 50, 0x1af4, n % 7, 0};
        if (Registry::find(id) == Registry::npos || Registry::matches(id).count != 1) return false;
    }
    return Registry::find(device_id{0x0fff, 0, 0, 0, 0}) == Registry::npos;
}

static_assert(finds_all<many<1, 10'000>::devices, 10'000>());
static_assert(finds_all<many<100, 100>::devices, 10'000>());

using crowd = many<300, 10>::devices;
static_assert(finds_all<crowd, 3000>());
static_assert(crowd::find("paln") == 299);
static_assert([] {
    std::size_t seen = 0;
    crowd::for_each([&seen]<class P>() { seen += P::info.rules.size(); });
    bool called = false;
    return seen == 3000 && crowd::visit(299, [&]<class P>() { called = P::info.name == "paln"; }) && called;
}());

} // namespace
