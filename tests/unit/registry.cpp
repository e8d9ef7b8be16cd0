// SPDX-License-Identifier: BSD-3-Clause
#include <mediant/provider/registry.hpp>
#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

using namespace mediant;

namespace {

struct exact {
    static constexpr auto info = provider{"exact", {pci_id{0x1234, 0x11e8, 0x1af4, 0x1100}}};
};
struct device {
    static constexpr auto info =
        provider{"device", {pci_id{0x1234, 0x11e8}, pci_id{0x1234, 0x11e9}},
                 {.description = "a device", .author = "Somebody", .license = "GPL", .version = "2.1"}};
};
struct vendor {
    static constexpr auto info = provider{"vendor", {pci_id{0x1234}}};
};
struct network {
    static constexpr auto info =
        provider{"network", {pci_id{.class_code = 0x020000, .class_mask = 0xff0000}}};
};
/// Ranks as `vendor` does, but no device matches both: no tie.
struct other_vendor {
    static constexpr auto info = provider{"other_vendor", {pci_id{0x8086}, pci_id{0x8086, 0x10d3}}};
};

using all = registry<vendor, network, exact, other_vendor, device>;

std::vector<std::string> names(const all::candidates& found) {
    std::vector<std::string> out;
    for (const std::size_t i : found)
        all::visit(i, [&]<class P>() { out.emplace_back(P::info.name); });
    return out;
}

} // namespace

TEST_CASE("candidates come best rule first, for the next to be asked where one declines") {
    using list = std::vector<std::string>;
    CHECK(names(all::matches({0x1234, 0x11e8, 0x1af4, 0x1100, 0x020000})) == list{"exact", "device", "vendor", "network"});
    CHECK(names(all::matches({0x1234, 0x11e8, 0x1af4, 0x1101, 0x00ff00})) == list{"device", "vendor"});
    CHECK(names(all::matches({0x1234, 0x0001, 0, 0, 0x020000})) == list{"vendor", "network"});
    CHECK(names(all::matches({0x8086, 0x10d3, 0, 0, 0x020000})) == list{"other_vendor", "network"});
    CHECK(names(all::matches({0x1af4, 0x1000, 0, 0, 0x020000})) == list{"network"});
    CHECK(names(all::matches({0x1af4, 0x1000, 0, 0, 0x010000})).empty());
}

TEST_CASE("find gives the best, or npos") {
    CHECK(all::find(device_id{0x1234, 0x11e8, 0x1af4, 0x1100, 0}) == 2);
    CHECK(all::find(device_id{0x1234, 0x11e9, 0, 0, 0}) == 4);
    CHECK(all::find(device_id{0x1234, 0x11e7, 0, 0, 0}) == 0);
    CHECK(all::find(device_id{0x1235, 0x11e8, 0, 0, 0}) == all::npos);
    static_assert(all::find(device_id{0x1234, 0x11e8, 0, 0, 0}) == 4);
}

TEST_CASE("find by name") {
    CHECK(all::find("vendor") == 0);
    CHECK(all::find("device") == 4);
    CHECK(all::find("devic") == all::npos);
    CHECK(all::find("devices") == all::npos);
    CHECK(all::find("") == all::npos);
}

TEST_CASE("visit calls with the provider's type, once") {
    int calls = 0;
    std::string name;
    CHECK(all::visit(2, [&]<class P>() {
        ++calls;
        name = P::info.name;
        CHECK(std::is_same_v<P, exact>);
    }));
    CHECK(calls == 1);
    CHECK(name == "exact");
    CHECK_FALSE(all::visit(all::size, [&]<class P>() { ++calls; }));
    CHECK_FALSE(all::visit(all::npos, [&]<class P>() { ++calls; }));
    CHECK(calls == 1);
}

TEST_CASE("for_each goes in the order in which providers are listed") {
    std::vector<std::string_view> seen;
    all::for_each([&]<class P>() { seen.push_back(P::info.name); });
    CHECK(seen == std::vector<std::string_view>{"vendor", "network", "exact", "other_vendor", "device"});
    CHECK(all::size == 5);
}

TEST_CASE("a registry without providers finds nothing") {
    using none = registry<>;
    CHECK(none::size == 0);
    CHECK(none::find(device_id{0x1234, 0x11e8, 0, 0, 0}) == none::npos);
    CHECK(none::find("edu") == none::npos);
    CHECK(none::matches({}).count == 0);
    CHECK_FALSE(none::visit(0, []<class P>() {}));
}

TEST_CASE("a provider says what a module made of it states") {
    CHECK(device::info.name == "device");
    CHECK(device::info.rules.size() == 2);
    CHECK(device::info.details.license == "GPL");
    CHECK(device::info.details.author == "Somebody");
    CHECK(device::info.details.version == "2.1");
    CHECK(vendor::info.details.license == "Dual BSD/GPL");
    CHECK(std::string_view{device::info.header}.ends_with("registry.cpp"));
}

TEST_CASE("a provider's rank for a device is its best rule's") {
    CHECK(other_vendor::info.rank_for({0x8086, 0x10d3, 0, 0, 0}) == pci_id{0x8086, 0x10d3}.rank());
    CHECK(other_vendor::info.rank_for({0x8086, 0x10d4, 0, 0, 0}) == pci_id{0x8086}.rank());
    CHECK(other_vendor::info.rank_for({0x8087, 0x10d4, 0, 0, 0}) == 0);
}
