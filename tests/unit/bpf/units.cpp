// SPDX-License-Identifier: BSD-3-Clause

#include <mediant/bpf/object.hpp>
#include <mediant/bpf/units.hpp>

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace mediant;

TEST_CASE("a rule becomes a match of udev") {
    CHECK(bpf::udev_match({0x1234, 0x11e8}) == R"(ATTR{vendor}=="0x1234", ATTR{device}=="0x11e8", )");
    CHECK(bpf::udev_match({.vendor = 0x8086}) == R"(ATTR{vendor}=="0x8086", )");
    CHECK(bpf::udev_match({.subvendor = 0x1af4, .subdevice = 1}) ==
          R"(ATTR{subsystem_vendor}=="0x1af4", ATTR{subsystem_device}=="0x0001", )");
    CHECK(bpf::udev_match({.class_code = 0x02'00'00, .class_mask = 0xff'ff'00}) == R"(ATTR{class}=="0x0200??", )");
    // Of a digit of which some bits count, all match: the host looks again.
    CHECK(bpf::udev_match({.class_code = 0x0c'03'30, .class_mask = 0xff'ff'e0}) == R"(ATTR{class}=="0x0c03??", )");
    CHECK(bpf::udev_match({}).empty());
}

TEST_CASE("a rule without vendor or device is none of modprobe's") {
    bpf::description what;
    what.name = "display";
    what.rules = {{0x8086, MEDIANT_ANY, MEDIANT_ANY, MEDIANT_ANY, 0x030000, 0xff0000}};
    const std::vector<bpf::unit_file> files = bpf::units(what, {});
    REQUIRE(files.size() == 3);
    CHECK(files[1].text.find(R"(ATTR{vendor}=="0x8086", ATTR{class}=="0x03????", TAG+="systemd")") !=
          std::string::npos);
    CHECK(files[2].text.find("\ninstall") == std::string::npos);
}

TEST_CASE("two rules of one device are one command of modprobe's") {
    bpf::description what;
    what.name = "card";
    what.rules = {{0x1234, 1, 2, 3, 0, 0}, {0x1234, 1, MEDIANT_ANY, MEDIANT_ANY, 0, 0}};
    const std::string text = bpf::units(what, {})[2].text;
    const std::string line = "install vfio-pci-mediate-1234-0001 /usr/bin/mediant-bpf attach --if-needed "
                             "/usr/lib/mediant/bpf/card.bpf.o\n";
    REQUIRE(text.find(line) != std::string::npos);
    CHECK(text.find("install", text.find(line) + 1) == std::string::npos);
}

TEST_CASE("what would need quotes is refused") {
    bpf::description what;
    what.name = "edu";
    for (const char* path : {"relative", "/with space", "/with%i", "/with\nline", "/with\"quote", ""}) {
        CHECK_THROWS_AS(bpf::units(what, {.program = path}), bpf::error);
        CHECK_THROWS_AS(bpf::units(what, {.objects = path}), bpf::error);
    }
}
