// SPDX-License-Identifier: BSD-3-Clause
#include <mediant/pci/id.hpp>

#include <catch2/catch.hpp>

#include <cstdint>
#include <vector>

using namespace mediant;

namespace {
constexpr device_id nic{0x8086, 0x10d3, 0x8086, 0xa01f, 0x020000};
}

TEST_CASE("what a rule leaves out matches anything") {
    CHECK(pci_id{}.matches(nic));
    CHECK(pci_id{}.matches(device_id{}));
    CHECK(pci_id{0x8086}.matches(nic));
    CHECK_FALSE(pci_id{0x8087}.matches(nic));
    CHECK(pci_id{0x8086, 0x10d3}.matches(nic));
    CHECK_FALSE(pci_id{0x8086, 0x10d4}.matches(nic));
    CHECK(pci_id{any_id, 0x10d3}.matches(nic));
    CHECK(pci_id{0x8086, 0x10d3, 0x8086, 0xa01f}.matches(nic));
    CHECK_FALSE(pci_id{0x8086, 0x10d3, 0x8086, 0xa020}.matches(nic));
    CHECK_FALSE(pci_id{0x8086, 0x10d3, 0x8087}.matches(nic));
    CHECK(pci_id{.subdevice = 0xa01f}.matches(nic));
}

TEST_CASE("the class is compared under its mask") {
    CHECK(pci_id{.class_code = 0x020000, .class_mask = 0xffffff}.matches(nic));
    CHECK_FALSE(pci_id{.class_code = 0x020001, .class_mask = 0xffffff}.matches(nic));
    CHECK(pci_id{.class_code = 0x020001, .class_mask = 0xffff00}.matches(nic));
    CHECK(pci_id{.class_code = 0x02ffff, .class_mask = 0xff0000}.matches(nic));
    CHECK_FALSE(pci_id{.class_code = 0x03ffff, .class_mask = 0xff0000}.matches(nic));
    CHECK(pci_id{.class_code = 0x030000, .class_mask = 0xfe0000}.matches(nic));
    CHECK(pci_id{.class_code = 0x123456, .class_mask = 0}.matches(nic));
    CHECK_FALSE(pci_id{0x8087, any_id, any_id, any_id, 0x020000, 0xffffff}.matches(nic));
}

TEST_CASE("a vendor of all ones is a wildcard in a rule, as in the kernel, and not in a device") {
    constexpr device_id absent{0xffff, 0xffff, 0, 0, 0};
    CHECK(pci_id{}.matches(absent));
    CHECK(pci_id{0xffff}.matches(absent));
    CHECK_FALSE(pci_id{0x1234}.matches(absent));
    CHECK_FALSE(pci_id{0xffff}.matches(nic));
}

TEST_CASE("a rule that says more ranks higher") {
    const unsigned anything = pci_id{}.rank();
    CHECK(anything > 0);
    const unsigned vendor = pci_id{0x8086}.rank();
    const unsigned device = pci_id{0x8086, 0x10d3}.rank();
    const unsigned subvendor = pci_id{0x8086, 0x10d3, 0x8086}.rank();
    const unsigned subdevice = pci_id{0x8086, 0x10d3, 0x8086, 0xa01f}.rank();
    const unsigned full = pci_id{0x8086, 0x10d3, 0x8086, 0xa01f, 0x020000, 0xffffff}.rank();
    CHECK(anything < vendor);
    CHECK(vendor < device);
    CHECK(device < subvendor);
    CHECK(subvendor < subdevice);
    CHECK(subdevice < full);
    CHECK(pci_id{.class_code = 0x020000, .class_mask = 0xff0000}.rank() < pci_id{.class_code = 0x020000, .class_mask = 0xffff00}.rank());
    CHECK(pci_id{0x8086}.rank() < pci_id{0x8086, any_id, any_id, any_id, 0x020000, 0xff0000}.rank());
    SECTION("what it says does not matter") {
        CHECK(pci_id{0x1, 0x2}.rank() == device);
        CHECK(pci_id{any_id, 0x2, 0x3}.rank() == device);
        CHECK(pci_id{0x8086, any_id, any_id, any_id, 0xffffff, 0xff0000}.rank() ==
              pci_id{0x8086, any_id, any_id, any_id, 0, 0xff}.rank());
    }
}

TEST_CASE("rules meet exactly where a device matches both") {
    // Every combination of a few values of each field, against every device over the same values.
    const std::uint32_t ids[] = {any_id, 1, 2};
    struct of_class {
        std::uint32_t code, mask;
    };
    const of_class classes[] = {{0, 0}, {0x020000, 0xff0000}, {0x020100, 0xffff00}, {0x030000, 0xff0000}, {0x000101, 0x0000ff}};
    std::vector<pci_id> rules;
    for (const auto vendor : ids)
        for (const auto device : ids)
            for (const auto& c : classes) rules.push_back({vendor, device, any_id, any_id, c.code, c.mask});
    std::vector<device_id> devices;
    for (const std::uint32_t vendor : {1u, 2u, 3u})
        for (const std::uint32_t device : {1u, 2u, 3u})
            for (const std::uint32_t code : {0x020000u, 0x020100u, 0x020101u, 0x030001u, 0x030000u, 0x020001u})
                devices.push_back({vendor, device, 7, 8, code});
    for (const pci_id& a : rules)
        for (const pci_id& b : rules) {
            bool common = false;
            for (const device_id& d : devices) common |= a.matches(d) && b.matches(d);
            if (a.meets(b) != common) {
                CAPTURE(a.vendor, a.device, a.class_code, a.class_mask, b.vendor, b.device, b.class_code, b.class_mask);
                CHECK(a.meets(b) == common);
            }
            CHECK(a.meets(b) == b.meets(a));
        }
}
