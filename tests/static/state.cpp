// SPDX-License-Identifier: BSD-3-Clause
// The state of an open device is one trivially copyable blob, no larger than what it holds; symbols stay short.
#include <mediant/mediant.hpp>
#include <mediant/provider/stack.hpp>

#include <cstdint>
#include <string_view>
#include <type_traits>

namespace acme {
using namespace mediant;

struct lower {
    [[nodiscard]] unsigned max_access() const { return 4; }
    result<std::uint64_t> load(region_index, std::uint64_t, unsigned) { return std::uint64_t{0}; }
    result<void> store(region_index, std::uint64_t, unsigned, std::uint64_t) { return {}; }
};

struct stateless {
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"IDENT", 0x00, ro}};
    static constexpr auto regions = mediant::regions<bar0>{};
};
struct stateful {
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"IDENT", 0x00, ro},
                                            reg{"EVENTS", 0x28, w1c, {.backing = from::shadow}},
                                            block{"DMA", 0x80, 0x20, {.backing = from::shadow}}};
    static constexpr auto bar2 = region_map{bar{2}, 4_KiB, reg{"A", 0x00, rw, {.backing = from::shadow, .bits = 64}}};
    static constexpr auto regions = mediant::regions<bar0, bar2>{};
    std::uint64_t counter = 0;
};

template <class... P>
using on_lower = stack<lower, P...>;
static_assert(std::is_trivially_copyable_v<on_lower<stateless>>);
static_assert(std::is_trivially_copyable_v<on_lower<stateful, stateless>>);
static_assert(std::is_trivially_destructible_v<on_lower<stateful>>);

// Pointers, the front's sizes, and what the policies hold: a few words around it.
static_assert(sizeof(layer<stateless, bottom<lower>>) <= 3 * sizeof(void*));
static_assert(sizeof(layer<stateful, bottom<lower>>) <= sizeof(void*) + sizeof(stateful) + 0x28 + 8 + 4 * 8);

// A hook's parameter carries the map's own name and a number, not the map.
static_assert(type_name<at<stateful::bar0, "EVENTS">>().size() < 64);
static_assert(type_name<at<stateful::bar0, "EVENTS">>().find("EVENTS") == std::string_view::npos);

} // namespace acme
