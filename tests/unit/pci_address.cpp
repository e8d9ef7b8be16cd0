// SPDX-License-Identifier: BSD-3-Clause

#include <mediant/device/pci_address.hpp>

#include <catch2/catch.hpp>

#include <string>
#include <system_error>

using mediant::device::pci_address;

TEST_CASE("a PCI address has one shape") {
    CHECK(pci_address::parse("0000:01:00.0")->text() == "0000:01:00.0");
    CHECK(pci_address::parse("01:00.7")->text() == "0000:01:00.7");
    CHECK(pci_address::parse("ABCD:EF:1F.0")->text() == "abcd:ef:1f.0");
    for (const char* const wrong : {"", "0000:01:00", "0000:01:00.8", "0000:01:00.00", "0000-01:00.0", "000g:01:00.0",
                                    "../../etc:00.0", "00000:01:00.0", "1:00.0", "0000:01:00.0 "}) {
        CAPTURE(wrong);
        CHECK_FALSE(pci_address::parse(wrong));
    }
}

TEST_CASE("a PCI device that is not there is named") {
    const auto none = pci_address::parse("ffff:ff:1f.7");
    CHECK(none->driver().empty());
    CHECK(none->iommu_group().empty());
    CHECK(none->vfio_name().empty());
    std::string said;
    try {
        static_cast<void>(none->id());
    } catch (const std::system_error& e) {
        said = e.what();
    }
    CHECK(said == "ffff:ff:1f.7: no such PCI device: No such device");
}
