// SPDX-License-Identifier: BSD-3-Clause
// Registries of different headers joined to one, and devices offered to their providers.
#include <mediant/mediant.hpp>

#include <catch2/catch.hpp>

#include <string>
#include <string_view>
#include <vector>

using namespace mediant;

namespace acme {
struct board {
    static constexpr auto info = provider{"board", {pci_id{0x1234, 0x11e8, 0x1af4, 0x1100}}};
};
struct edu {
    static constexpr auto info = provider{"edu", {pci_id{0x1234, 0x11e8}}};
};
using devices = registry<edu, board>;
} // namespace acme

namespace other {
struct vendor {
    static constexpr auto info = provider{"vendor", {pci_id{0x1234}}};
};
using devices = registry<vendor>;
} // namespace other

namespace third {
struct network {
    static constexpr auto info = provider{"network", {pci_id{.class_code = 0x020000, .class_mask = 0xff0000}}};
};
using devices = registry<network>;
} // namespace third

namespace {

constexpr device_id full{0x1234, 0x11e8, 0x1af4, 0x1100, 0x020000};

template <class Registry>
std::vector<std::string> order(const device_id& id) {
    std::vector<std::string> out;
    for (const std::size_t i : Registry::matches(id))
        Registry::visit(i, [&]<class P>() { out.emplace_back(P::info.name); });
    return out;
}

using one_way = join<acme::devices, other::devices, third::devices>;
using another = join<third::devices, registry<>, join<other::devices, acme::devices>>;

} // namespace

TEST_CASE("joined registries are one, in whatever order") {
    using list = std::vector<std::string>;
    CHECK(one_way::size == 4);
    CHECK(another::size == 4);
    CHECK(order<one_way>(full) == list{"board", "edu", "vendor", "network"});
    CHECK(order<another>(full) == list{"board", "edu", "vendor", "network"});
    CHECK(order<one_way>({0x1234, 1, 0, 0, 0x030000}) == list{"vendor"});
    CHECK(order<another>({0x1234, 1, 0, 0, 0x030000}) == list{"vendor"});
    static_assert(std::is_same_v<join<acme::devices>, acme::devices>);
    static_assert(join<>::size == 0);
    static_assert(join<registry<>, registry<>>::find("edu") == registry<>::npos);
}

TEST_CASE("a device is offered best rule first, until one does not decline") {
    std::vector<std::string_view> asked;
    const auto offer = [&asked](std::string_view taker) {
        asked.clear();
        return another::offer(full, [&]<class P>() -> result<void> {
            asked.push_back(P::info.name);
            if (P::info.name == taker) return {};
            return error::no_device;
        });
    };
    using list = std::vector<std::string_view>;
    CHECK(*offer("board") == another::find("board"));
    CHECK(asked == list{"board"});
    CHECK(*offer("vendor") == another::find("vendor"));
    CHECK(asked == list{"board", "edu", "vendor"});
    CHECK(offer("nobody").error() == error::no_device);
    CHECK(asked == list{"board", "edu", "vendor", "network"});
    const auto unknown = another::offer({0x8086, 1, 0, 0, 0}, []<class P>() -> result<void> { return {}; });
    CHECK(unknown.error() == error::no_device);
}

TEST_CASE("a provider that fails otherwise ends the asking") {
    int asked = 0;
    const auto answer = another::offer(full, [&]<class P>() -> result<void> {
        ++asked;
        return P::info.name == "board" ? error::no_device : error::io;
    });
    CHECK(answer.error() == error::io);
    CHECK(asked == 2);
}
