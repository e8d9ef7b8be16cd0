// SPDX-License-Identifier: BSD-3-Clause
#include <mediant/pci/alias.hpp>

#include <catch2/catch.hpp>

#include <string>

using namespace mediant;

namespace {
std::string override_of(const pci_id& rule) { return std::string{override_alias(rule).view()}; }
std::string mediate_of(const pci_id& rule) { return std::string{mediate_alias(rule).view()}; }
} // namespace

// The expected texts are what modinfo showed for modules with these rules in a table of PCI_DRIVER_OVERRIDE_DEVICE_VFIO
// entries (Linux 6.1); vfio-pci's own is the first.
TEST_CASE("override aliases are those of modinfo") {
    CHECK(override_of({}) == "vfio_pci:v*d*sv*sd*bc*sc*i*");
    CHECK(override_of({0x1234, 0x11e8}) == "vfio_pci:v00001234d000011E8sv*sd*bc*sc*i*");
    CHECK(override_of({0x8086}) == "vfio_pci:v00008086d*sv*sd*bc*sc*i*");
    CHECK(override_of({0x15b3, 0x101e, 0x15b3, 0x0042}) == "vfio_pci:v000015B3d0000101Esv000015B3sd00000042bc*sc*i*");
    CHECK(override_of({.class_code = 0x010802, .class_mask = 0xffffff}) == "vfio_pci:v*d*sv*sd*bc01sc08i02*");
    CHECK(override_of({.class_code = 0x0c0300, .class_mask = 0xffff00}) == "vfio_pci:v*d*sv*sd*bc0Csc03i*");
    CHECK(override_of({.class_code = 0x020000, .class_mask = 0xff0000}) == "vfio_pci:v*d*sv*sd*bc02sc*i*");
    CHECK(override_of({.class_code = 0x0000fe, .class_mask = 0x0000ff}) == "vfio_pci:v*d*sv*sd*bc*sc*iFE*");
    CHECK(override_of({0x144d, 0xa808, any_id, any_id, 0x010802, 0xffffff}) ==
          "vfio_pci:v0000144Dd0000A808sv*sd*bc01sc08i02*");
    CHECK(override_of({0xffff, 0xffff, 0xffff, 0xffff, 0xffffff, 0xffffff}) ==
          "vfio_pci:v0000FFFFd0000FFFFsv0000FFFFsd0000FFFFbcFFscFFiFF*");
}

TEST_CASE("class bits outside the mask are not shown") {
    CHECK(override_of({.class_code = 0x0203ff, .class_mask = 0xff0000}) == "vfio_pci:v*d*sv*sd*bc02sc*i*");
}

TEST_CASE("mediate aliases have four lower-case digits each") {
    CHECK(mediate_of({0x1234, 0x11e8}) == "vfio-pci-mediate-1234-11e8");
    CHECK(mediate_of({0x0001, 0xabcd}) == "vfio-pci-mediate-0001-abcd");
    CHECK(mediate_of({0xffff, 0x0000}) == "vfio-pci-mediate-ffff-0000");
}

TEST_CASE("aliases are made at compile time") {
    constexpr alias_text overriding = override_alias({0x1234, 0x11e8});
    constexpr alias_text mediating = mediate_alias({0x1234, 0x11e8});
    STATIC_REQUIRE(overriding.view() == "vfio_pci:v00001234d000011E8sv*sd*bc*sc*i*");
    STATIC_REQUIRE(mediating.view() == "vfio-pci-mediate-1234-11e8");
}
