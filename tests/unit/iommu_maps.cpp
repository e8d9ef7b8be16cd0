// SPDX-License-Identifier: BSD-3-Clause
// What a device reaches through an IOMMU that fails, which no real one does when it is asked to.
#include <mediant/device/iommu_maps.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <cstddef>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace mediant;

namespace {

struct page_table {
    struct state {
        std::set<std::pair<std::uint64_t, std::uint64_t>> mapped;
        error fails = error::none;
    };
    state* in;

    [[nodiscard]] result<void> map(const map_dma& what) const {
        if (in->fails != error::none) return in->fails;
        return in->mapped.insert({what.iova, what.size}).second ? error::none : error::exists;
    }
    [[nodiscard]] result<void> unmap(const unmap_dma& what) const {
        if (in->fails != error::none) return in->fails;
        return in->mapped.erase({what.iova, what.size}) == 1 ? error::none : error::not_found;
    }
    [[nodiscard]] result<void> unmap_all() const noexcept {
        if (in->fails != error::none) return in->fails;
        in->mapped.clear();
        return {};
    }
};

} // namespace

TEST_CASE("what an IOMMU does not unmap is told, and unmapped when it is asked for again") {
    page_table::state table;
    device::iommu_maps<page_table> maps{page_table{&table}};
    std::vector<std::string> lines;
    device::logger log;
    log.set_sink([&](std::string_view text, auto) { lines.emplace_back(text); });
    std::array<std::byte, 0x2000> memory{};
    const map_dma one{0x1000, 0x1000, true, true, std::span{memory}.first(0x1000)};
    const unmap_dma gone{0x1000, 0x1000};

    REQUIRE(maps.map(one, log));
    CHECK(maps.dma().size() == 1);
    table.fails = error::io;
    CHECK(maps.unmap(gone, log).error() == error::io);
    CHECK(maps.unmap(gone, log).error() == error::io);
    CHECK(lines.size() == 2);
    CHECK(maps.unmap({0x1000, 0x2000}, log).error() == error::not_found); // what never was
    CHECK(maps.dma().size() == 0); // policies reach it no more
    table.fails = error::none;
    CHECK(maps.map(one, log).error() == error::exists); // for the device it is there
    CHECK(maps.dma().size() == 0);
    CHECK(maps.unmap(gone, log));
    CHECK(table.mapped.empty());
    CHECK(maps.unmap(gone, log).error() == error::not_found);
    REQUIRE(maps.map(one, log));
    CHECK(maps.unmap(gone, log));
    // What is not shared is not there.
    REQUIRE(maps.map({0x5000, 0x1000, true, true, {}}, log));
    CHECK(maps.unmap({0x5000, 0x1000}, log));

    REQUIRE(maps.map(one, log));
    table.fails = error::io;
    CHECK(maps.unmap(gone, log).error() == error::io);
    lines.clear();
    maps.clear(log);
    CHECK(lines.size() == 1);
    table.fails = error::none;
    maps.clear(log);
    CHECK(table.mapped.empty());
    CHECK(maps.unmap(gone, log).error() == error::not_found); // nothing of it is remembered
}
