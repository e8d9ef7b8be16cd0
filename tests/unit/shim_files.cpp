// SPDX-License-Identifier: BSD-3-Clause

#include <mediant/kernel/shim.hpp>

#include <unit/temporary_folder.hpp>

#include <catch2/catch.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace {
using namespace mediant;
using namespace mediant::kernel;
using Catch::Matchers::Contains;

/// A provider whose header is a file of the test's.
struct vendor {
    test::temporary_folder at;
    std::string header = (at / "nic.hpp").string();
    vendor() {
        at.put("nic.hpp", "#include <mediant/mediant.hpp>\n#include \"regs.hpp\"\n"),
            at.put("regs.hpp", "#pragma once\n");
    }

    [[nodiscard]] provider_facts facts(std::string_view name = "nic") const {
        return {name, "acme::nic", {pci_id{0x1234, 0x11e8}}, {.author = "Acme"}, header};
    }
};

tree_files generate(const std::vector<provider_facts>& providers, const shim_options& options = {}) {
    return shim_generator::generate(providers, options);
}
std::string error_of(const std::vector<provider_facts>& providers, const shim_options& options = {}) {
    try {
        static_cast<void>(generate(providers, options));
    } catch (const shim_error& wrong) {
        return wrong.what();
    }
    return "no error";
}

} // namespace

TEST_CASE("a module tree is whole, and the same each time") {
    const vendor acme;
    const tree_files files = generate({acme.facts()});
    for (const char* const path :
         {"Kbuild", "Makefile", "README.md", "dkms.conf", "module.h", "module.mk", "policy.cpp", "driver.c",
          "providers.c", "abi_check.h", "LICENSES/GPL-2.0-only.txt", "LICENSES/BSD-3-Clause.txt",
          "include/nic.hpp", "include/regs.hpp", "include/mediant/mediant.hpp", "include/mediant/kernel/abi.h",
          "include/mediant/kernel/policy_object.hpp"})
        CHECK(files.contains(path));
    for (const auto& [path, text] : files) {
        CHECK_FALSE(path.starts_with("include/mediant/tool"));
        CHECK_FALSE(path.starts_with("include/mediant/vfio_user"));
        // Nothing of where it was made.
        CHECK(text.find(acme.at.path().string()) == text.npos);
    }
    CHECK(files.at("module.mk") ==
          "# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause\nMEDIANT_MODULE := nic_vfio_pci\n");
    CHECK(generate({acme.facts()}) == files);

    const vendor elsewhere;
    CHECK(generate({elsewhere.facts()}) == files);
}

TEST_CASE("policy.cpp lists the providers, most specific first") {
    const vendor acme;
    provider_facts wide = acme.facts("wide");
    wide.type = "acme::wide<2>";
    wide.rules = {pci_id{.vendor = 0x1234}};
    const tree_files files = generate({wide, acme.facts()}, {.name = "acme_vfio_pci"});
    CHECK_THAT(files.at("policy.cpp"), Contains("#include <nic.hpp>\n\n#include <mediant/kernel/policy_object.hpp>\n"));
    CHECK_THAT(files.at("policy.cpp"), Contains("    &mediant::kernel::provider_table<acme::nic>,\n"
                                                "    &mediant::kernel::provider_table<acme::wide<2>>,\n};\n"
                                                "constinit const unsigned int mediant_provider_count = 2;\n"));
    CHECK_THAT(files.at("README.md"), Contains("| `wide` | 1234:* |"));
}

TEST_CASE("module.h has every rule, most specific first") {
    const vendor acme;
    provider_facts nic = acme.facts();
    nic.rules = {pci_id{.class_code = 0x020000, .class_mask = 0xffff00}, pci_id{0x1234, 0x11e8}, pci_id{0x1234, 0x11e9},
                 pci_id{0x1234, 0x11e8, 0x1af4, 0x1100}};
    CHECK_THAT(generate({nic}).at("module.h"),
               Contains("#define MEDIANT_MODULE_IDS \\\n"
                        "\tMEDIANT_ID(0x1234, 0x11e8, 0x1af4, 0x1100, 0x000000, 0x000000), \\\n"
                        "\tMEDIANT_ID(0x1234, 0x11e8, PCI_ANY_ID, PCI_ANY_ID, 0x000000, 0x000000), \\\n"
                        "\tMEDIANT_ID(0x1234, 0x11e9, PCI_ANY_ID, PCI_ANY_ID, 0x000000, 0x000000), \\\n"
                        "\tMEDIANT_ID(PCI_ANY_ID, PCI_ANY_ID, PCI_ANY_ID, PCI_ANY_ID, 0x020000, 0xffff00),\n"));
}

TEST_CASE("what a vendor says cannot break the files that it is written into") {
    const vendor acme;
    provider_facts nic = acme.facts();
    nic.details.author = "A \"quoted\" \\ back'slash\nPACKAGE_NAME=evil ?\?/ $(id) `id`";
    nic.details.description = "a | b\n#define X */";
    const tree_files files = generate({nic});
    CHECK_THAT(files.at("module.h"), Contains("#define MEDIANT_MODULE_AUTHOR \"A \\\"quoted\\\" \\\\ "
                                              "back'slash\\012PACKAGE_NAME=evil \\?\\?/ $(id) `id`\"\n"));
    CHECK_THAT(files.at("module.h"), Contains("#define MEDIANT_MODULE_DESCRIPTION \"a | b\\012#define X */\"\n"));
    CHECK_THAT(files.at("dkms.conf"),
               Contains("# Author: A \"quoted\" \\ back'slash PACKAGE_NAME=evil ?\?/ $(id) `id`\n"));
    CHECK_THAT(files.at("README.md"), Contains("| a \\| b #define X */ |"));
    CHECK(c_string(std::string_view{"\x01\x7f", 2} ) == "\"\\001\\177\"");
    CHECK(shell_word("it's") == "'it'\\''s'");
}

TEST_CASE("dkms.conf names the module and its version") {
    const vendor acme;
    provider_facts nic = acme.facts();
    nic.details.version = "2.1~rc1";
    const std::string conf = generate({nic}).at("dkms.conf");
    CHECK_THAT(
        conf,
        Contains("\nPACKAGE_NAME='nic_vfio_pci'\nPACKAGE_VERSION='2.1~rc1'\nBUILT_MODULE_NAME[0]='nic_vfio_pci'\n"));
    CHECK_THAT(conf, Contains("\n# Author: Acme\n# License: Dual BSD/GPL\n"));
    CHECK_THAT(generate({nic}, {.version = "3"}).at("dkms.conf"), Contains("PACKAGE_VERSION='3'"));
}

TEST_CASE("the header can be said, and found below -I") {
    const vendor acme;
    provider_facts nic = acme.facts();
    nic.header = "gone/nic.hpp";
    CHECK_THAT(error_of({nic}),
               Contains("nic: the header that defines it is not at gone/nic.hpp (--header says where it is)"));
    acme.at.put("sdk/acme/nic.hpp", "#include <acme/regs.hpp>\n");
    acme.at.put("sdk/acme/regs.hpp", "");
    const tree_files files = generate({nic},
                                      {.headers = {acme.at / "sdk/acme/nic.hpp"}, .include_dirs = {acme.at / "sdk"}});
    CHECK_THAT(files.at("policy.cpp"), Contains("#include <acme/nic.hpp>\n"));
    CHECK(files.contains("include/acme/regs.hpp"));
}

TEST_CASE("what a module cannot be is said before it is made") {
    const vendor acme;
    const provider_facts nic = acme.facts();
    const auto with = [&nic](auto change) {
        provider_facts out = nic;
        change(out);
        return error_of({out});
    };
    CHECK(with([](provider_facts&) {}) == "no error");
    CHECK_THAT(with([](provider_facts& p) { p.details.license = "Proprietary"; }),
               Contains("nic: licence \"Proprietary\""));
    CHECK_THAT(with([](provider_facts& p) { p.details.version = "1/2"; }), Contains("version \"1/2\""));
    CHECK_THAT(with([](provider_facts& p) { p.details.version = ""; }), Contains("version \"\""));
    CHECK_THAT(with([](provider_facts& p) { p.type = "{anonymous}::nic"; }), Contains("no name outside its file"));
    CHECK_THAT(with([](provider_facts& p) { p.type = "(anonymous namespace)::nic"; }),
               Contains("no name outside its file"));
    CHECK_THAT(with([](provider_facts& p) { p.rules = {pci_id{.class_code = 0x020000, .class_mask = 0xf00000}}; }),
               Contains("compares each byte of the class whole"));
    CHECK_THAT(with([](provider_facts& p) { p.details.author = std::string_view{"a\0b", 3}; }), Contains("NUL"));
    CHECK_THAT(error_of({}), Contains("needs a provider"));
    CHECK_THAT(error_of({nic, acme.facts("other")}), Contains("needs a name"));
    CHECK_THAT(error_of({nic}, {.target = "guest"}), Contains("target guest: there are variant, provider, host"));
    for (const char* const name :
         {"Big", "a-b", "vfio_pci", "vfio_pci_mediate", "vfio_pci_mediate_core", "driver", "policy", "a b"})
        CHECK_THAT(error_of({nic}, {.name = name}), Contains("module name"));
    CHECK_THAT(error_of({nic}, {.name = std::string(56, 'a')}), Contains("longer than 55"));
    CHECK(error_of({nic}, {.name = std::string(55, 'a')}) == "no error");
    CHECK_THAT(error_of({nic}, {.own_root = acme.at.path()}), Contains("mediant's headers are not here"));
    provider_facts other = acme.facts("other");
    other.details.license = "GPL";
    CHECK_THAT(error_of({nic, other}, {.name = "two"}),
               Contains("nic and other differ in their licence: Dual BSD/GPL, GPL"));
}

TEST_CASE("a provider module has what registers it, and an alias for each device") {
    const vendor acme;
    provider_facts nic = acme.facts();
    nic.rules = {pci_id{0x1234, 0x11e9}, pci_id{0x1234, 0x11e8}, pci_id{0x1234, 0x11e8, 0x1af4, 0x1100}};
    const tree_files files = generate({nic}, {.target = "provider"});
    for (const char* const path :
         {"Kbuild", "Makefile", "README.md", "dkms.conf", "module.h", "module.mk", "policy.cpp", "provider.c",
          "policy.mk", "abi_check.h", "registry/registry.c", "registry/Kbuild", "include/mediant/kernel/abi.h",
          "LICENSES/GPL-2.0-only.txt"})
        CHECK(files.contains(path));
    CHECK_FALSE(files.contains("driver.c"));
    CHECK_THAT(files.at("module.mk"), Contains("MEDIANT_MODULE := nic_provider\n"));
    CHECK_THAT(files.at("module.h"), Contains("#define MEDIANT_MODULE_ALIASES \\\n"
                                              "\tMODULE_ALIAS(\"vfio-pci-mediate-1234-11e8\"); \\\n"
                                              "\tMODULE_ALIAS(\"vfio-pci-mediate-1234-11e9\")\n"));
    CHECK(files.at("module.h").find("MEDIANT_MODULE_IDS") == std::string::npos);
    CHECK_THAT(files.at("dkms.conf"), Contains("BUILT_MODULE_NAME[0]='nic_provider'\n"));
    // The device is bound to the host; the module has its own name.
    CHECK_THAT(files.at("README.md"), Contains("driverctl set-override 0000:01:00.0 vfio_pci_mediate\n"));
    CHECK_THAT(files.at("README.md"), Contains("sudo dkms install nic_provider/1.0\n"));
    CHECK_THAT(files.at("README.md"), Contains("(`modinfo nic_provider` shows"));

    for (const pci_id& rule : {pci_id{.vendor = 0x1234}, pci_id{.class_code = 0x020000, .class_mask = 0xffff00},
                               pci_id{.device = 0x11e8}}) {
        nic.rules = {pci_id{0x1234, 0x11e9}, rule};
        CHECK_THAT(error_of({nic}, {.target = "provider"}),
                   Contains("nic: rule ") && Contains("a provider module needs vendor and device"));
        CHECK(error_of({nic}) == "no error");
    }
}

TEST_CASE("the host is the same for everyone") {
    const vendor acme;
    const tree_files files = generate({}, {.target = "host", .version = "1.2"});
    for (const char* const path :
         {"Kbuild", "Makefile", "README.md", "dkms.conf", "module.h", "driver.c", "providers.c", "abi_check.h",
          "registry/registry.c", "registry/Kbuild", "include/mediant/kernel/abi.h", "include/mediant/kernel/bpf.h",
          "bpf.c", "LICENSES/GPL-2.0-only.txt"})
        CHECK(files.contains(path));
    CHECK_FALSE(files.contains("policy.cpp"));
    CHECK_FALSE(files.contains("policy.mk"));
    CHECK_THAT(files.at("module.h"), Contains("#define MEDIANT_MODULE_NAME \"vfio_pci_mediate\"\n"));
    CHECK(files.at("module.h").find("MEDIANT_MODULE_IDS") == std::string::npos);
    CHECK_THAT(files.at("dkms.conf"), Contains("BUILT_MODULE_NAME[0]='vfio_pci_mediate'\n") &&
                                          Contains("BUILT_MODULE_NAME[1]='vfio_pci_mediate_core'\n"
                                                   "BUILT_MODULE_LOCATION[1]='registry'\n"));
    CHECK_THAT(files.at("README.md"), Contains("driverctl set-override 0000:01:00.0 vfio_pci_mediate\n"));
    CHECK(generate({}, {.target = "host", .name = "vfio_pci_mediate", .version = "1.2"}) == files);
    CHECK_THAT(error_of({}, {.target = "host", .name = "other", .version = "1.2"}), Contains("the host is vfio_pci_mediate"));
    CHECK_THAT(error_of({acme.facts()}, {.target = "host", .version = "1.2"}), Contains("the host has no providers"));
    CHECK_THAT(error_of({}, {.target = "host"}), Contains("version \"\""));

    // One source of what mediates: variant and host have the same files, but for where providers come from.
    const tree_files variant = generate({acme.facts()});
    for (const char* const path : {"access.c", "below.c", "regions.c", "reset.c", "open.c", "driver.c", "device.h"})
        CHECK(files.at(path) == variant.at(path));
    CHECK(files.at("providers.c") != variant.at("providers.c"));
}

TEST_CASE("every mark of a README is filled in") {
    const vendor acme;
    for (const tree_files& files : {generate({acme.facts()}), generate({acme.facts()}, {.target = "provider"}),
                                    generate({}, {.target = "host", .version = "1.2"})}) {
        const std::string& readme = files.at("README.md");
        CHECK(readme.find("@") == std::string::npos);
        for (const char* const word : {"NAME", "DRIVER", "VERSION"}) CHECK(readme.find(word) == std::string::npos);
        for (const char* const way : {"driver_override", "driverctl", "libvirt", "dkms install", "LICENSES/"})
            CHECK_THAT(readme, Contains(way));
    }
}
