// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// The maps that the tool draws: what is on them is what back ends do, and they are stable. After a change that is
/// meant: MEDIANT_UPDATE_GOLDEN=1 writes tests/golden/map anew.

#include "map_providers.hpp"

#include <edu/edu.hpp>
#include <vf_half_bar/vf_device.hpp>
#include <vf_half_bar/vf_half_bar.hpp>
#include <virtio_net_transitional/virtio_net_device.hpp>
#include <virtio_net_transitional/virtio_net_transitional.hpp>

#include <mediant/device/memory_device.hpp>
#include <mediant/provider/layer.hpp>
#include <mediant/provider/stack.hpp>
#include <mediant/tool/map_command.hpp>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <ios>
#include <iterator>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

using namespace mediant;
using namespace mediant::command_line;
using Catch::Matchers::Contains;

namespace {

const std::filesystem::path golden = std::filesystem::path{__FILE__}.parent_path() / "../../golden/map";

void same_as_golden(const std::string& name, const std::string& text) {
    const std::filesystem::path path = golden / name;
    if (std::getenv("MEDIANT_UPDATE_GOLDEN") != nullptr) {
        std::filesystem::create_directories(golden);
        std::ofstream{path, std::ios::binary} << text;
    }
    std::ifstream in{path, std::ios::binary};
    const std::string expected{std::istreambuf_iterator<char>{in}, {}};
    INFO(path.string() << " differs from what is made now; MEDIANT_UPDATE_GOLDEN=1 replaces it");
    std::size_t at = 0;
    while (at < text.size() && at < expected.size() && text[at] == expected[at]) ++at;
    INFO("from byte " << at << ": " << text.substr(at, 120));
    CHECK((text == expected));
}

template <class P>
std::array<map_facts, 1> facts() {
    return {map_facts_of<P>()};
}

const entry_facts& entry_of(const region_facts& region, std::string_view name) {
    for (const entry_facts& e : region.entries)
        if (e.name == name) return e;
    FAIL("no entry " << name);
    return region.entries.front();
}

/// What stands between `before` and `after`, wherever it does.
std::vector<std::string> all_between(const std::string& text, std::string_view before, char after) {
    std::vector<std::string> out;
    for (std::size_t at = text.find(before); at != text.npos; at = text.find(before, at)) {
        at += before.size();
        out.push_back(text.substr(at, text.find(after, at) - at));
    }
    return out;
}

/// Areas of a provider on memory, as a stack asks for them now. (Not opened, since no hook is wanted.)
template <class P>
void check_areas() {
    const map_facts drawn = map_facts_of<P>();
    std::array<std::uint64_t, 6> sizes{};
    for (const region_facts& region : drawn.regions) sizes[static_cast<std::size_t>(region.region)] = region.size;
    device::memory_device memory{device_id{0x1234, 0x1}, sizes};
    using whole = layer<P, bottom<device::memory_device>>;
    const whole layers{bottom<device::memory_device>{memory}};
    for (const region_facts& region : drawn.regions)
        for (const area_facts& areas : region.areas) {
            std::vector<range> asked;
            for (range next = layers.next_area_now(region.region, region.size, areas.page_size, 0); !next.empty();
                 next = layers.next_area_now(region.region, region.size, areas.page_size, next.end()))
                asked.push_back(next);
            CHECK(asked == areas.at_open);
        }
}

/// What is drawn of config space and of what a config map does to BARs, against an open device.
template <class P, class Model>
void check_shapes(Model& model) {
    stack<Model, P> front{model};
    REQUIRE(front.open());
    const map_facts drawn = map_facts_of<P>();
    for (const region_facts& region : drawn.regions) {
        if (region.is_config()) continue;
        const auto info = front.ioctl(get_region_info{region.region});
        REQUIRE(info);
        CHECK(info->size == std::min(region.visible, std::max(region.size, info->size)));
        for (const area_facts& areas : region.areas) {
            std::vector<range> asked;
            for (range next = front.next_area(region.region, areas.page_size, 0); !next.empty();
                 next = front.next_area(region.region, areas.page_size, next.end()))
                asked.push_back(next);
            CHECK(asked == areas.at_open);
        }
    }
    const region_facts& config = drawn.regions.back();
    REQUIRE(config.is_config());
    const auto byte = [&front](std::uint64_t offset) {
        std::array<std::byte, 1> out{};
        REQUIRE(front.read({region_index::config, offset, out}) == answer{1});
        return std::to_integer<std::uint64_t>(out[0]);
    };
    for (const entry_facts& e : config.entries) {
        INFO(e.name);
        for (std::uint64_t i = 0; i < e.size && i < 8; ++i)
            if ((e.reset_bits >> (8 * i) & 0xff) != 0) CHECK(byte(e.offset + i) == (e.reset >> (8 * i) & 0xff));
        for (std::size_t i = 0; i < e.bytes.size(); ++i) CHECK(byte(e.offset + i) == e.bytes[i]);
    }
    for (const capability_facts& c : config.capabilities) {
        if (c.what != capability_facts::change::added) continue;
        const std::uint64_t header = c.extended ? 4 : 2;
        CHECK(c.size == c.bytes.size() + header);
        CHECK(byte(c.offset) == c.id);
        for (std::size_t i = 0; i < c.bytes.size(); ++i) CHECK(byte(c.offset + header + i) == c.bytes[i]);
    }
}

/// Sees every access to its region itself.
struct all_seen {
    static constexpr auto info = provider{"all_seen", {pci_id{0x1234, 0x0009}}};
    static constexpr auto bar0 = region_map{bar{0}, 64_KiB, reg{"A", 0}};
    static constexpr auto regions = mediant::regions<bar0>{};
    answer read(read_access a, auto& next) { return next.read(a); }
};

} // namespace

TEST_CASE("maps are as they were") {
    const auto edu = facts<acme::edu>();
    const auto rich = facts<vendor::rich>();
    same_as_golden("edu.txt", map_summary::text(edu));
    same_as_golden("edu.html", map_page::html(edu));
    same_as_golden("edu.md", map_tables::markdown(edu));
    same_as_golden("edu.json", map_document::text(edu));
    same_as_golden("rich.txt", map_summary::text(rich));
    same_as_golden("rich.html", map_page::html(rich));
    same_as_golden("rich.md", map_tables::markdown(rich));
    same_as_golden("rich.json", map_document::text(rich));
    const auto configured = facts<vendor::configured>();
    same_as_golden("configured.txt", map_summary::text(configured));
    same_as_golden("configured.html", map_page::html(configured));
    same_as_golden("configured.md", map_tables::markdown(configured));
    same_as_golden("configured.json", map_document::text(configured));
    same_as_golden("vf_half_bar.txt", map_summary::text(facts<acme::vf_half_bar>()));
    same_as_golden("vf_half_bar.html", map_page::html(facts<acme::vf_half_bar>()));
    same_as_golden("virtio_net_transitional.txt", map_summary::text(facts<acme::virtio_net_transitional>()));
    same_as_golden("virtio_net_transitional.html", map_page::html(facts<acme::virtio_net_transitional>()));
}

TEST_CASE("facts come from the map") {
    const map_facts rich = map_facts_of<vendor::rich>();
    REQUIRE(rich.regions.size() == 3);
    CHECK(rich.regions[0].region == region_index::bar0);
    CHECK(rich.regions[1].region == region_index::bar2);
    CHECK(rich.regions[2].region == region_index::bar4);
    const region_facts& bar0 = rich.regions[0];
    CHECK(bar0.has_dynamic);
    CHECK_FALSE(bar0.has_ops);

    const entry_facts& ctrl = entry_of(bar0, "CTRL");
    CHECK(ctrl.what == look::mixed);
    CHECK(ctrl.trapped);
    CHECK(ctrl.reset == 0x210a);
    CHECK(ctrl.reset_bits == 0xffee);
    CHECK(reset_text(ctrl) == "0xxxxx21xx");
    REQUIRE(ctrl.fields.size() == 6);
    CHECK(ctrl.fields[0].what == look::pass);
    CHECK(ctrl.fields[1].what == look::shadow);
    CHECK(ctrl.fields[2].what == look::trap);
    CHECK(ctrl.fields[3].reserved());
    CHECK(ctrl.fields[4].what == look::constant);

    const entry_facts& legacy = entry_of(bar0, "ID_LEGACY");
    CHECK(legacy.what == look::constant);
    CHECK(legacy.size == 4);
    CHECK(legacy.reset == 0x1af41041);
    CHECK(entry_of(bar0, "HALF").what == look::pass);
    CHECK_FALSE(entry_of(bar0, "HALF").trapped);
    CHECK(entry_of(bar0, "STATUS").what == look::trap);
    CHECK(entry_of(bar0, "FUSES").what == look::deny);
    CHECK(entry_of(bar0, "APERTURE").what == look::dynamic);
    CHECK(entry_of(bar0, "DEBUG").what == look::hide);
    CHECK(entry_of(bar0, "QUEUE.TAIL").end() == 0x2004 + 63 * 0x40 + 4);
    CHECK(bar0.areas[0].untrapped.size() + 1 == bar0.areas[0].at_open.size());
}

TEST_CASE("areas are those that a back end answers") {
    check_areas<acme::edu>();
    check_areas<vendor::small>();
    check_areas<vendor::rich>();
    check_areas<vendor::large>();
    check_areas<all_seen>();
    const map_facts seen = map_facts_of<all_seen>();
    CHECK(seen.regions[0].has_ops);
    CHECK(seen.regions[0].areas[0].at_open.empty());
    CHECK(seen.regions[0].areas[0].untrapped.empty());
}

TEST_CASE("config space and BARs are drawn as the user of an open device sees them") {
    acme::vf_device vf;
    check_shapes<acme::vf_half_bar>(vf);
    acme::virtio_net_device virtio;
    check_shapes<acme::virtio_net_transitional>(virtio);
    device::memory_device memory{device::pci_function{.id = {0x1234, 0x0004},
                                                      .bar_sizes = {0, 4_KiB, 64_KiB, 0, 1_MiB, 0},
                                                      .extended_capabilities = {{0x000d, 0x100, {5, 6, 7, 8}, {}}}}};
    check_shapes<vendor::configured>(memory);
}

TEST_CASE("what a config map states is told, and each byte by one entry") {
    const map_facts drawn = map_facts_of<vendor::configured>();
    REQUIRE(drawn.regions.size() == 2);
    const region_facts& bar2 = drawn.regions[0];
    CHECK(bar2.visible == 32_KiB);
    CHECK(seen_text(bar2) == "The user sees the lower half, 32 KiB; from 0x8000 on it is the provider's alone");
    CHECK(entry_of(bar2, "MODE").more.empty());
    CHECK(entry_of(bar2, "STATE").more == std::vector<std::string>{"the user does not see it"});

    const region_facts& config = drawn.regions[1];
    CHECK(config.size == 4_KiB);
    std::uint64_t at = 0;
    for (const entry_facts& e : config.entries) {
        CHECK(e.offset >= at);
        at = e.end();
    }
    const entry_facts& command = entry_of(config, "COMMAND");
    CHECK(command.hook == on::written);
    CHECK(command.more == std::vector<std::string>{"bit 0, I/O Space, reads as it was written"});
    CHECK(entry_of(config, "at 0xa0").reset == 0x0807'0605'0403'0201);
    const entry_facts& watched = entry_of(config, "at 0xa0 + WATCHED");
    CHECK(watched.offset == 0xa8);
    CHECK(watched.what == look::constant);
    CHECK(watched.hook == on::written);
    CHECK(watched.reset == 0x0c0b'0a09);
    CHECK(entry_of(config, "BAR1").reset_bits == 0xffff'ffff);

    REQUIRE(config.bars.size() == 5);
    CHECK(config.bars[3].text == "256 MiB");
    REQUIRE(config.capabilities.size() == 7);
    CHECK(config.capabilities[0].what == capability_facts::change::hidden);
    CHECK(name_of(config.capabilities[1]) == "SR-IOV, extended");
    CHECK(place_text(config.capabilities[2]) == "0xe0, 8 bytes");
    CHECK(value_text(config.capabilities[4]) == "0x0 in the bits 0x10000000");
    CHECK(value_text(config.capabilities[5]) == "01 10 01 10");
    CHECK(config.capabilities[6].is == look::trap);
}

TEST_CASE("a drawing holds each byte once, and stays short") {
    for (const map_facts& drawn :
         {map_facts_of<acme::edu>(), map_facts_of<vendor::small>(), map_facts_of<vendor::rich>(),
          map_facts_of<vendor::large>(), map_facts_of<vendor::configured>(), map_facts_of<acme::vf_half_bar>(),
          map_facts_of<acme::virtio_net_transitional>()})
        for (const region_facts& region : drawn.regions) {
            const map_layout layout{region};
            std::uint64_t at = 0;
            for (const map_band& band : layout.bands()) {
                CHECK(band.begin == at);
                CHECK(band.end > band.begin);
                at = band.end;
            }
            CHECK(at == region.size);
            CHECK(layout.bands().size() <= 40 + region.entries.size() / 4);
            for (const map_stretch& s : layout.stretches()) {
                const map_band& band = layout.bands()[layout.band_at(s.begin)];
                CHECK((band.begin <= s.begin && s.begin < band.end));
                CHECK(band.what != map_band::shape::gap);
            }
        }
}

TEST_CASE("arrays and register files are drawn once and continued") {
    const map_facts rich = map_facts_of<vendor::rich>();
    const map_layout bells{rich.regions[2]};
    REQUIRE(bells.bands().size() == 5);
    CHECK(bells.bands()[2].what == map_band::shape::repeat);
    CHECK(bells.bands()[2].cells.front().element == 16);
    CHECK(bells.bands()[2].cells.back().element == 247);
    CHECK(bells.bands()[3].cells.front().element == 248);
    CHECK(bells.bands()[4].what == map_band::shape::gap);
    const map_layout layout{rich.regions[0]};
    const map_band& middle = layout.bands()[layout.band_at(0x2800)];
    CHECK(middle.what == map_band::shape::repeat);
    CHECK(middle.begin == 0x2080);
    CHECK(middle.cells.front().element == 2);
    CHECK(middle.cells.back().element == 62);
}

TEST_CASE("a page needs nothing else, and all of its links lead somewhere") {
    std::vector<map_facts> all{map_facts_of<acme::edu>(),         map_facts_of<vendor::small>(),
                               map_facts_of<vendor::rich>(),      map_facts_of<vendor::large>(),
                               map_facts_of<all_seen>(),          map_facts_of<vendor::configured>(),
                               map_facts_of<acme::vf_half_bar>(), map_facts_of<acme::virtio_net_transitional>()};
    const std::string page = map_page::html(all);
    CHECK(page.find("://") == page.npos);
    CHECK(page.find("src=") == page.npos);
    CHECK(page.find("@import") == page.npos);
    std::set<std::string> ids;
    for (const std::string& id : all_between(page, " id=\"", '"')) {
        INFO(id);
        CHECK(ids.insert(id).second);
    }
    for (const std::string_view link : {" href=\"", " for=\""})
        for (const std::string& to : all_between(page, link, '"')) {
            INFO(to);
            CHECK(ids.contains(to.starts_with('#') ? to.substr(1) : to));
        }
    for (const std::string& pattern : all_between(page, "url(#", ')')) CHECK(ids.contains(pattern));
    CHECK(all_between(page, "<script", '>').size() == 1);
    CHECK_THAT(page, Contains("&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;|`"));
    CHECK_THAT(page, Contains("&lt;b&gt;All&lt;/b&gt; that a map can state &amp; more: &quot;|`*_&quot;"));
    CHECK(map_page::html(all) == page);
}

TEST_CASE("vendors' text stays text") {
    CHECK(html_text("a<b>&\"'\n\x01") == "a&lt;b&gt;&amp;&quot;&#39;\n\xef\xbf\xbd");
    CHECK(map_tables::text("a|b*c_<d>`e`\n\\") == "a\\|b\\*c\\_\\<d\\>\\`e\\` \\\\");
    CHECK(map_tables::code("A_B") == "`A_B`");
    CHECK(map_tables::code("A|B") == "A\\|B");
    CHECK(cut_text("IDENT", 5) == "IDENT");
    CHECK(cut_text("RING_BASE_132", 12) == "RING_BA\xe2\x80\xa6_132");
    CHECK(cut_text("IDENTITY", 4) == "IDE\xe2\x80\xa6");
    CHECK(cut_text("IDENT", 2).empty());
    CHECK(cut_text("\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f", 3) == "\xc3\xa4\xc3\xb6\xe2\x80\xa6");
    CHECK(cut_text("", 0).empty());
}

TEST_CASE("the JSON is complete") {
    std::vector<map_facts> all{map_facts_of<vendor::rich>(), map_facts_of<vendor::large>()};
    const auto read = nlohmann::json::parse(map_document::text(all));
    CHECK(read["format"] == "mediant-map");
    CHECK(read["providers"].size() == 2);
    const std::array configured{map_facts_of<vendor::configured>()};
    const auto config = nlohmann::json::parse(map_document::text(configured))["providers"][0]["regions"];
    CHECK(config[0]["user_sees_bytes"] == 32_KiB);
    CHECK(config[1]["bars"].size() == 5);
    CHECK(config[1]["bars"][0]["is"] == "io");
    CHECK(config[1]["bars"][4]["bar"] == "rom");
    CHECK(config[1]["capabilities"][0]["change"] == "hidden");
    CHECK(config[1]["capabilities"][2]["bytes"] == nlohmann::json{8, 1, 2, 3, 4, 5});
    CHECK(config[1]["capabilities"][4]["mask"] == nlohmann::json{0, 0, 0, 0x10});
    CHECK(config[1]["mappable"].empty());
    const auto& bar0 = read["providers"][0]["regions"][0];
    CHECK(bar0["size"] == 16_MiB);
    CHECK(bar0["entries"].size() == vendor::rich::bar0.entries.size());
    CHECK(bar0["entries"][1]["fields"].size() == 6);
    CHECK(bar0["entries"][1]["hooks"] == nlohmann::json{"written"});
    CHECK(bar0["mappable"][2]["page_size"] == 64_KiB);
    CHECK(read["providers"][1]["regions"][0]["entries"].size() == 502);
    map_facts odd = map_facts_of<vendor::small>();
    odd.provider.details.description = "\xff";
    CHECK_THAT(map_document::text(std::span{&odd, 1}), Contains("\xef\xbf\xbd"));
}

TEST_CASE("sizes and ranges are spelt in whole units") {
    CHECK(size_text(0) == "0 bytes");
    CHECK(size_text(1) == "1 byte");
    CHECK(size_text(4032) == "4032 bytes");
    CHECK(size_text(252_KiB) == "252 KiB");
    CHECK(size_text(16_GiB) == "16 GiB");
    CHECK(range_text({0x1000, 0x1000}) == "0x1000-0x1fff");
    CHECK(areas_text({}) == "none");
    CHECK(areas_text({{0, 1}, {2, 1}, {4, 1}}, 2) == "0x0-0x0, 0x2-0x2, and 1 more");
}

TEST_CASE("a region of any size can be drawn") {
    for (const std::uint64_t size : {std::uint64_t{1}, std::uint64_t{16}, 4_KiB, 16_GiB, std::uint64_t{1} << 52}) {
        map_facts facts = map_facts_of<vendor::small>();
        region_facts& region = facts.regions[0];
        region.size = size;
        for (area_facts& areas : region.areas) areas.at_open = areas.untrapped = {};
        if (size < 1_MiB) region.entries.clear();
        if (size >= 1_MiB) region.areas[0].at_open = {{0x1000, size - 0x1000}};
        const map_layout layout{region};
        CHECK(layout.bands().back().end == size);
        CHECK_THAT(map_page::html(std::span{&facts, 1}), Contains(size_text(size)));
        CHECK_THAT(map_summary::text(std::span{&facts, 1}), Contains(size_text(size)));
    }
}
