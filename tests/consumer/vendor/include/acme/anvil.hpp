// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <acme/parts.hpp>
#include <mediant/mediant.hpp>

namespace acme {
using namespace mediant;

/// A device of a vendor's own: identification marked, one register that exists only here, the rest passes.
struct anvil {
    static constexpr auto info = provider{"anvil", {pci_id{0x1b36, 0x0abc}}, {.author = "ACME"}};

    static constexpr auto bar0 = region_map{bar{0}, 64_KiB,
        reg{"IDENT", 0x00, ro, {.hook = on::read}},
        reg{"BLOWS", 0x10, rw, {.backing = from::shadow}}};
    static constexpr auto regions = mediant::regions<bar0>{};

    result<std::uint32_t> read(at<bar0, "IDENT">, auto&) noexcept { return anvil_magic; }
};

using devices = registry<anvil>;

} // namespace acme
