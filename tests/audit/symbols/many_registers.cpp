// SPDX-License-Identifier: BSD-3-Clause
// 500 registers with long names, each fourth with hooks, and a registry: what must not show in symbols' names.
#include <mediant/kernel/policy_object.hpp>
#include <mediant/mediant.hpp>

#include <array>
#include <string_view>
#include <utility>

namespace acme::products::network_adapters {
using namespace mediant;

inline constexpr std::size_t registers = 500;
inline constexpr auto names = [] {
    std::array<std::array<char, 31>, registers> out{};
    for (std::size_t i = 0; i < registers; ++i) {
        const std::string_view base = "RECEIVE_DESCRIPTOR_TAIL_OF_";
        for (std::size_t c = 0; c < base.size(); ++c) out[i][c] = base[c];
        for (std::size_t digit = 0, n = i; digit < 4; ++digit, n /= 10)
            out[i][30 - digit] = static_cast<char>('0' + n % 10);
    }
    return out;
}();

struct a_provider_with_a_long_name {
    static constexpr auto info = provider{"long_name", {pci_id{0x1234, 0x11e8}}};
    static constexpr auto bar0 = []<std::size_t... I>(std::index_sequence<I...>) {
        return region_map{
            bar{0}, 1_MiB,
            std::array<entry, registers>{reg{std::string_view{names[I].data(), 31},
                                             64 * I,
                                             rw,
                                             {.backing = I % 4 == 1 ? from::shadow : from::device,
                                              .hook = I % 4 == 0 ? on::read | on::write : on::nothing}}...}};
    }(std::make_index_sequence<registers>{});
    static constexpr auto regions = mediant::regions<bar0>{};

    template <std::size_t I>
        requires(I % 4 == 0)
    result<std::uint32_t> read(entry_tag<bar0, I> which, auto& next) noexcept { return next.read(which); }
    template <std::size_t I>
        requires(I % 4 == 0)
    result<void> write(entry_tag<bar0, I> which, std::uint32_t value, auto& next) noexcept {
        return next.write(which, value ^ 1);
    }
};
using devices = registry<a_provider_with_a_long_name>;

} // namespace acme::products::network_adapters

extern "C" {
extern constinit const mediant_provider* const mediant_providers[];
constinit const mediant_provider* const mediant_providers[] = {
    &mediant::kernel::provider_table<acme::products::network_adapters::a_provider_with_a_long_name>};
}
std::size_t find(const mediant::device_id& id);
std::size_t find(const mediant::device_id& id) { return acme::products::network_adapters::devices::find(id); }
