// SPDX-License-Identifier: BSD-3-Clause

// Matching of PCI functions, and the spellings of aliases.
#include <mediant/pci/alias.hpp>
#include <mediant/pci/id.hpp>

namespace {
using namespace mediant;

constexpr device_id edu{0x1234, 0x11e8, 0x1af4, 0x1100, 0x00ff00};

static_assert(pci_id{}.matches(edu));
static_assert(pci_id{0x1234, 0x11e8}.matches(edu));
static_assert(pci_id{0x1234, any_id, 0x1af4}.matches(edu));
static_assert(!pci_id{0x1234, 0x11e9}.matches(edu));
static_assert(!pci_id{0x1235, 0x11e8}.matches(edu));
static_assert(!pci_id{0x1234, 0x11e8, 0x1af5}.matches(edu));
static_assert(!pci_id{0x1234, 0x11e8, any_id, 0x1101}.matches(edu));
static_assert(pci_id{.class_code = 0x00ff12, .class_mask = 0xffff00}.matches(edu));
static_assert(!pci_id{.class_code = 0x00ff12, .class_mask = 0xffffff}.matches(edu));

// Fewer wildcards rank higher; the class counts by the bits that are compared.
static_assert(pci_id{0x1234, 0x11e8, 0x1af4}.rank() > pci_id{0x1234, 0x11e8}.rank());
static_assert(pci_id{0x1234, 0x11e8}.rank() > pci_id{0x1234}.rank());
static_assert(pci_id{.class_code = 0x020000, .class_mask = 0xffffff}.rank() >
              pci_id{.class_code = 0x020000, .class_mask = 0xffff00}.rank());
static_assert(pci_id{}.rank() > 0);

// Two rules meet where some function matches both.
static_assert(pci_id{0x1234, any_id, 0x1af4}.meets(pci_id{0x1234, 0x11e8}));
static_assert(!pci_id{0x1234, 0x11e8}.meets(pci_id{0x1234, 0x11e9}));
static_assert(pci_id{.class_code = 0x020000, .class_mask = 0xff0000}.meets(
    pci_id{.class_code = 0x020013, .class_mask = 0xffffff}));
static_assert(!pci_id{.class_code = 0x020000, .class_mask = 0xff0000}.meets(
    pci_id{.class_code = 0x030000, .class_mask = 0xffffff}));

static_assert(mediate_alias({0x1234, 0x11e8}).view() == "vfio-pci-mediate-1234-11e8");
static_assert(mediate_alias({0x8, 0xabcd}).view() == "vfio-pci-mediate-0008-abcd");
// As file2alias.c spells entries of a variant's table.
static_assert(override_alias({0x1234, 0x11e8}).view() == "vfio_pci:v00001234d000011E8sv*sd*bc*sc*i*");
static_assert(override_alias({0x1af4, 0x1041, 0x1af4, 0x0041}).view() ==
              "vfio_pci:v00001AF4d00001041sv00001AF4sd00000041bc*sc*i*");
static_assert(override_alias({.vendor = 0x8086, .class_code = 0x020000, .class_mask = 0xffff00}).view() ==
              "vfio_pci:v00008086d*sv*sd*bc02sc00i*");
} // namespace
