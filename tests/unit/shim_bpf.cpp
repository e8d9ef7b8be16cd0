// SPDX-License-Identifier: BSD-3-Clause

#include <mediant/kernel/shim.hpp>
#include <mediant/mediant.hpp>

#include <unit/temporary_folder.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vendor {
using namespace mediant;

struct nic {
    static constexpr auto info =
        provider{"nic",
                 {pci_id{0x1234, 0x11e8}, pci_id{.vendor = 0x1234, .class_code = 0x020000, .class_mask = 0xffff00}},
                 {.description = "a card", .license = "GPL"}};
    static constexpr auto bar0 = region_map{bar{0}, 8_KiB, reg{"MARK", 0x10, rw, {.backing = from::shadow}},
                                            reg{"MASK", 0x14, rw, {.backing = from::shadow}},
                                            reg{"LIVE", 0x18},
                                            reg{"FAR", 0x1000, ro, {.backing = from::constant, .value = 7}}};
    static constexpr auto bar2 = region_map{bar{2}, 4_KiB, hide{"ALL", 0, 4_KiB}};
    static constexpr auto regions = mediant::regions<bar2, bar0>{};
    result<get_device_info::answer> ioctl(const get_device_info& what, auto& next) noexcept { return next.ioctl(what); }
    result<void> ioctl(const reset_device& what, auto& next) noexcept { return next.ioctl(what); }
    std::uint32_t words[3]{};
};
/// The same, but for what its state is.
struct longer : nic {
    std::uint64_t more = 0;
};
struct moves_along {
    static constexpr auto info = provider{"moves_along", {pci_id{0x1234, 0x11e8}}};
    static constexpr auto migration() { return saved_state{1, saved{"a", &moves_along::a}}; }
    std::uint32_t a = 0;
};

} // namespace vendor

/// What a BPF object cannot carry, each for another reason.
namespace unfit {
using namespace mediant;

constexpr pci_id rule[]{pci_id{0x1234, 1}};

struct config {
    static constexpr auto info = provider{"nic", rule};
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"MARK", 0, rw, {.backing = from::shadow}}};
    static constexpr auto space = config_map{hide_rom{}};
    static constexpr auto regions = mediant::regions<bar0, space>{};
};
struct reads {
    static constexpr auto info = provider{"nic", rule};
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"MARK", 0, rw, {.backing = from::shadow}}};
    static constexpr auto regions = mediant::regions<bar0>{};
    answer read(read_access a, auto& next) noexcept { return next.read(a); }
};
struct writes {
    static constexpr auto info = provider{"nic", rule};
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"MARK", 0, rw, {.backing = from::shadow}}};
    static constexpr auto regions = mediant::regions<bar0>{};
    answer write(write_access a, auto& next) noexcept { return next.write(a); }
};
struct switches {
    static constexpr auto info = provider{"nic", rule};
    static constexpr auto bar0 = region_map{bar{0}, 64_KiB, dynamic{"RING", 0x1000, 4_KiB}};
    static constexpr auto regions = mediant::regions<bar0>{};
};
struct logs {
    static constexpr auto info = provider{"nic", rule};
    result<void> ioctl(const report_dma_logging& what, auto& next) noexcept { return next.ioctl(what); }
};
struct half_a_log {
    static constexpr auto info = provider{"nic", rule};
    result<void> ioctl(const stop_dma_logging& what, auto& next) noexcept { return next.ioctl(what); }
};
struct virtuals {
    static constexpr auto info = provider{"nic", rule};
    constexpr virtual int f() const noexcept { return 1; }
};
struct copies {
    static constexpr auto info = provider{"nic", rule};
    copies() = default;
    constexpr copies(const copies&) noexcept {}
};
struct long_name {
    static constexpr auto info = provider{"a2345678901234567890123456789012", rule};
};
struct many_rules {
    static constexpr pci_id all[]{
        pci_id{0x1234, 0}, pci_id{0x1234, 1}, pci_id{0x1234, 2}, pci_id{0x1234, 3}, pci_id{0x1234, 4},
        pci_id{0x1234, 5}, pci_id{0x1234, 6}, pci_id{0x1234, 7}, pci_id{0x1234, 8}, pci_id{0x1234, 9},
        pci_id{0x1234, 10}, pci_id{0x1234, 11}, pci_id{0x1234, 12}, pci_id{0x1234, 13}, pci_id{0x1234, 14},
        pci_id{0x1234, 15}, pci_id{0x1234, 16}, pci_id{0x1234, 17}, pci_id{0x1234, 18}, pci_id{0x1234, 19},
        pci_id{0x1234, 20}, pci_id{0x1234, 21}, pci_id{0x1234, 22}, pci_id{0x1234, 23}, pci_id{0x1234, 24},
        pci_id{0x1234, 25}, pci_id{0x1234, 26}, pci_id{0x1234, 27}, pci_id{0x1234, 28}, pci_id{0x1234, 29},
        pci_id{0x1234, 30}, pci_id{0x1234, 31}, pci_id{0x1234, 32}};
    static constexpr auto info = provider{"nic", all};
};
struct many_ranges {
    static constexpr auto info = provider{"nic", rule};
    static constexpr auto bar0 =
        region_map{bar{0}, 64_KiB, reg{"SPARSE", 0, rw, {.backing = from::shadow, .count = 513, .stride = 8}}};
    static constexpr auto regions = mediant::regions<bar0>{};
};
struct loud {
    static constexpr auto info = provider{"nic", rule};
    result<void> open(auto&) { return {}; }
};
struct interrupts {
    static constexpr auto info = provider{"nic", rule};
    result<void> ioctl(const set_irqs& what, auto& next) noexcept { return next.ioctl(what); }
};

} // namespace unfit

namespace {
using namespace mediant;
using namespace mediant::kernel;
using Catch::Matchers::Contains;

/// A provider whose header is a file of the test's.
struct folder {
    test::temporary_folder at;
    folder() { at.put("nic.hpp", "#include <mediant/mediant.hpp>\n"); }
    [[nodiscard]] shim_options options(std::string name = {}) const {
        return {.target = "bpf", .name = std::move(name), .headers = {at / "nic.hpp"}};
    }
};
tree_files generate(const provider_facts& provider, const shim_options& options) {
    return shim_generator::generate(std::span{&provider, 1}, options);
}
std::string error_of(std::span<const provider_facts> providers, const shim_options& options) {
    try {
        static_cast<void>(shim_generator::generate(providers, options));
    } catch (const shim_error& wrong) {
        return wrong.what();
    }
    return "no error";
}
template <class P>
std::string error_of(const folder& at) {
    const provider_facts facts = facts_of<P>();
    return error_of(std::span{&facts, 1}, at.options());
}

} // namespace

TEST_CASE("a BPF provider's tree is whole, and the same each time") {
    const folder at;
    const tree_files files = generate(facts_of<vendor::nic>(), at.options());
    for (const char* const path :
         {"Makefile", "README.md", "object.mk", "ops.h", "policy.cpp", "provider.bpf.c", "reasons.awk",
          "LICENSES/GPL-2.0-only.txt", "LICENSES/BSD-3-Clause.txt", "include/nic.hpp", "include/mediant/mediant.hpp",
          "include/mediant/kernel/abi.h", "include/mediant/kernel/bpf.h", "include/mediant/kernel/bpf_policy.hpp"})
        CHECK(files.contains(path));
    for (const char* const path : {"Kbuild", "dkms.conf", "module.h", "module.mk", "policy.mk"})
        CHECK_FALSE(files.contains(path));
    for (const auto& [path, text] : files) {
        CHECK_FALSE(path.starts_with("include/mediant/tool"));
        CHECK_FALSE(path.starts_with("include/mediant/bpf"));
        CHECK(text.find(at.at.path().string()) == text.npos);
    }
    CHECK(files.at("object.mk") == "# SPDX-License-Identifier: GPL-2.0-only OR BSD-3-Clause\n"
                                   "MEDIANT_OBJECT := nic\nMEDIANT_PROVIDER := nic\n");
    CHECK(generate(facts_of<vendor::nic>(), at.options()) == files);
    const folder elsewhere;
    CHECK(generate(facts_of<vendor::nic>(), elsewhere.options()) == files);

    const tree_files named = generate(facts_of<vendor::nic>(), at.options("acme_nic"));
    CHECK_THAT(named.at("object.mk"), Contains("MEDIANT_OBJECT := acme_nic\nMEDIANT_PROVIDER := nic\n"));
    CHECK(named.at("ops.h") == files.at("ops.h")); // the provider keeps its name
}

TEST_CASE("ops.h says what a provider is") {
    const folder at;
    const std::string ops = generate(facts_of<vendor::nic>(), at.options()).at("ops.h");
    CHECK_THAT(ops, Contains("#define MEDIANT_OPS_NAME \"nic\"\n#define MEDIANT_OPS_LICENSE \"GPL\"\n"));
    const unsigned state = bpf_state_size<vendor::nic>;
    CHECK(state % 8 == 0);
    CHECK(state >= sizeof(layer_state<vendor::nic>));
    CHECK_THAT(ops, Contains("#define MEDIANT_OPS_STATE_SIZE " + std::to_string(state) + "u\n"));
    CHECK_THAT(ops, Contains("#define MEDIANT_OPS_MEDIATES " +
                             std::to_string(MEDIANT_DEVICE_INFO | MEDIANT_RESET_DEVICE) + "u\n"));
    CHECK_THAT(ops, Contains("#define MEDIANT_OPS_RULE_COUNT 2u\n#define MEDIANT_OPS_RANGE_COUNT 3u\n"));
    CHECK_THAT(ops, Contains("#define MEDIANT_OPS_RULES \\\n"
                             "\t{ 0x00001234, 0x000011e8, 0xffffffff, 0xffffffff, 0x000000, 0x000000 }, \\\n"
                             "\t{ 0x00001234, 0xffffffff, 0xffffffff, 0xffffffff, 0x020000, 0xffff00 },\n"));
    // By region, then by offset; registers that touch are one stretch.
    CHECK_THAT(ops, Contains("#define MEDIANT_OPS_RANGES \\\n"
                             "\t{ 0x10, 0x8, 0, 0 }, \\\n"
                             "\t{ 0x1000, 0x4, 0, 0 }, \\\n"
                             "\t{ 0x0, 0x1000, 2, 0 },\n"));
}

TEST_CASE("policy.cpp has the provider's functions, and compares ops.h with the headers") {
    const folder at;
    const std::string policy = generate(facts_of<vendor::nic>(), at.options()).at("policy.cpp");
    CHECK_THAT(policy,
               Contains("#include <nic.hpp>\n\n#include <mediant/kernel/bpf_policy.hpp>\n\n#include \"ops.h\"\n"));
    CHECK_THAT(policy, Contains("check_bpf_ops<vendor::nic>("));
    for (const char* const function :
         {"open(call)", "release(call)", "reset(call)", "read(call, region, offset, size)",
          "write(call, region, offset, size, value)", "device_info(call)", "region_info(call, region)",
          "irq_info(call, index)", "reset_device(call)"})
        CHECK_THAT(policy,
                   Contains("    return mediant::kernel::bpf_programs<vendor::nic>::" + std::string{function} + ";\n"));
}

TEST_CASE("an object is another's replacement where registers and state are the same") {
    CHECK(bpf_identity<vendor::nic> != bpf_identity<vendor::longer>);
    CHECK(bpf_identity<vendor::nic> != bpf_identity<vendor::moves_along>);
    const auto check = [](unsigned state, std::uint64_t identity, unsigned mediated, std::uint64_t first) consteval {
        return check_bpf_ops<vendor::nic>(state, identity, mediated,
                                          {{first, 8, 0, 0}, {0x1000, 4, 0, 0}, {0, 0x1000, 2, 0}});
    };
    constexpr unsigned size = bpf_state_size<vendor::nic>;
    constexpr std::uint64_t identity = bpf_identity<vendor::nic>;
    constexpr unsigned mediated = bpf_mediates<vendor::nic>;
    static_assert(check(size, identity, mediated, 0x10));
    static_assert(!check(size + 8, identity, mediated, 0x10));
    static_assert(!check(size, identity + 1, mediated, 0x10));
    static_assert(!check(size, identity, mediated | MEDIANT_IRQ_INFO, 0x10));
    static_assert(!check(size, identity, mediated, 0x14));
}

TEST_CASE("what a BPF object cannot carry is said before it is made") {
    const folder at;
    CHECK(error_of<vendor::nic>(at) == "no error");
    CHECK(error_of<unfit::config>(at) == "nic: its map of configuration space: a BPF provider mediates BARs alone");
    for (const std::string& said : {error_of<unfit::reads>(at), error_of<unfit::writes>(at)})
        CHECK(said == "nic: its read or write of whole accesses: a BPF provider has hooks of registers, and the host "
                      "splits accesses");
    CHECK(error_of<unfit::switches>(at) ==
          "nic: its dynamic ranges: what a BPF provider traps stays so while the device is open");
    for (const std::string& said : {error_of<unfit::logs>(at), error_of<unfit::half_a_log>(at)})
        CHECK(said == "nic: its log of what the device writes (report_dma_logging): a BPF provider marks that "
                      "(next.dirty), and keeps no log");
    CHECK(error_of<unfit::virtuals>(at) ==
          "nic: its policy has virtual functions: a program of a BPF provider calls the host alone");
    CHECK(error_of<unfit::copies>(at) ==
          "nic: its policy is not trivially copyable: a BPF provider's state lies in the host's memory and outlives "
          "its programs");
    CHECK_THAT(error_of<unfit::long_name>(at), Contains("its name has more than 31 characters"));
    CHECK(error_of<unfit::many_rules>(at) == "nic: it has more than 32 rules");
    CHECK(error_of<unfit::many_ranges>(at) == "nic: its maps trap more than 512 stretches that do not touch");
    // What holds of a module holds of it, in its own name.
    CHECK(error_of<unfit::loud>(at) == "nic: its open is not noexcept, as all that a BPF provider carries must be");
    CHECK_THAT(error_of<unfit::interrupts>(at),
               Contains("a BPF provider cannot carry a policy that mediates set_irqs"));

    const provider_facts nic = facts_of<vendor::nic>();
    const auto with = [&](auto change) {
        provider_facts out = nic;
        change(out);
        return error_of(std::span{&out, 1}, at.options());
    };
    CHECK_THAT(with([](provider_facts& p) { p.details.license = "Proprietary"; }),
               Contains("nic: licence \"Proprietary\": a BPF provider, as it calls the host's functions, needs one"));
    CHECK_THAT(with([](provider_facts& p) { p.rules = {pci_id{.class_code = 0x020000, .class_mask = 0xf00000}}; }),
               Contains("a BPF object's rule compares each byte of the class whole"));
    CHECK_THAT(error_of({}, at.options()), Contains("a BPF object needs a provider"));
    const std::vector<provider_facts> two{nic, facts_of<vendor::moves_along>()};
    CHECK(error_of(two, at.options()) ==
          "a BPF object holds one provider, by which it is attached; here are nic, moves_along");
    CHECK_THAT(error_of(two, at.options("both")), Contains("holds one provider"));
    for (const char* const name : {"Big", "a-b", "a b", "a.b"})
        CHECK_THAT(error_of(std::span{&nic, 1}, at.options(name)), Contains("object name \""));
    CHECK_THAT(error_of(std::span{&nic, 1}, at.options(std::string(56, 'a'))), Contains("longer than 55"));
    // It is no module, and has no version.
    CHECK(error_of(std::span{&nic, 1}, at.options("policy")) == "no error");
    shim_options versioned = at.options();
    versioned.version = "2";
    CHECK(error_of(std::span{&nic, 1}, versioned) == "version 2: a BPF object has none");
    CHECK_THAT(error_of(std::span{&nic, 1}, {.target = "guest"}),
               Contains("target guest: there are variant, provider, host, bpf"));
}

TEST_CASE("a provider that migrates is made, and it is said that its device will not") {
    const folder at;
    const auto notes = [](const provider_facts& provider, std::string target) {
        return shim_notes(std::span{&provider, 1}, {.target = std::move(target)});
    };
    const provider_facts moving = facts_of<vendor::moves_along>();
    CHECK(notes(moving, "bpf") ==
          std::vector<std::string>{"moves_along: what it states of migration is not in the BPF object: a device under "
                                   "it does not migrate; under a module of the same provider (--target provider, "
                                   "variant) it does"});
    CHECK(notes(moving, "provider").empty());
    CHECK(notes(facts_of<vendor::nic>(), "bpf").empty());
    CHECK_THAT(generate(moving, at.options()).at("README.md"), Contains("## Migration\n\nWhat this provider's policy"));
    CHECK(generate(facts_of<vendor::nic>(), at.options()).at("README.md").find("## Migration") == std::string::npos);
}

TEST_CASE("every mark of the README is filled in") {
    const folder at;
    for (const provider_facts& provider : {facts_of<vendor::nic>(), facts_of<vendor::moves_along>()}) {
        const std::string readme = generate(provider, at.options("acme_nic")).at("README.md");
        CHECK(readme.find('@') == std::string::npos);
        for (const char* const word : {"NAME", "DRIVER", "VERSION", "PROVIDER"})
            CHECK(readme.find(word) == std::string::npos);
        CHECK_THAT(readme, Contains("mediant-bpf attach acme_nic.bpf.o ") &&
                               Contains("mediant-bpf detach " + std::string{provider.name} + ' ') &&
                               Contains("driverctl set-override 0000:01:00.0 vfio_pci_mediate\n") &&
                               Contains("LICENSES/"));
        CHECK(readme.find("\n\n\n") == std::string::npos);
    }
}
