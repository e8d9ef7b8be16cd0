// SPDX-License-Identifier: BSD-3-Clause

#include <mediant/bpf/host.hpp>
#include <mediant/bpf/loader.hpp>
#include <mediant/bpf/messages.hpp>
#include <mediant/bpf/pins.hpp>
#include <mediant/bpf/verifier_log.hpp>

#include <unit/temporary_folder.hpp>

#include <catch2/catch.hpp>

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

using namespace mediant;
using Catch::Matchers::Contains;

namespace {

/// A kernel as its files show it, and a folder that is on no bpffs.
struct machine {
    machine() {
        folder.put("proc/sys/kernel/osrelease", "6.12.95+deb13-amd64\n");
        folder.put("proc/self/status", "Name:\tx\nCapEff:\t000001ffffffffff\n");
        where.sys = folder / "sys";
        where.proc = folder / "proc";
        where.pins = folder / "pins";
    }
    /// BTF of a kernel, with one struct, and of the host's, with what BTF says it is.
    void types(std::string_view module_struct) {
        ::btf* const base = ::btf__new_empty();
        ::btf__add_int(base, "int", 4, BTF_INT_SIGNED);
        put("sys/kernel/btf/vmlinux", base);
        ::btf* const module = ::btf__new_empty_split(base);
        const int ops = ::btf__add_struct(module, "mediant_bpf_ops", 4);
        ::btf__add_field(module, "version", 1, 0, 0);
        ::btf__add_struct(module, std::string{module_struct}.c_str(), 8);
        ::btf__add_field(module, "common", 1, 0, 0);
        ::btf__add_field(module, "data", ops, 32, 0);
        put("sys/kernel/btf/vfio_pci_mediate", module);
        ::btf__free(module);
        ::btf__free(base);
    }
    void put(std::string_view name, const ::btf* types) {
        std::uint32_t size = 0;
        const void* const data = ::btf__raw_data(types, &size);
        folder.put(name, {static_cast<const char*>(data), size});
    }

    test::temporary_folder folder;
    bpf::places where;
};

std::vector<std::byte> object(std::string_view name) {
    return bpf::read_object(std::filesystem::path{MEDIANT_BPF_OBJECTS} / (std::string{name} + ".bpf.o"));
}

std::string attach_error(const machine& of, std::string_view name = "edu") {
    try {
        static_cast<void>(bpf::attach(object(name), name, of.where));
        return {};
    } catch (const bpf::error& wrong) {
        return wrong.what();
    }
}

} // namespace

TEST_CASE("what the machine lacks is named, with what helps, one after the other") {
    machine here;
    CHECK_THAT(attach_error(here), Contains("has no BTF") && Contains("CONFIG_DEBUG_INFO_BTF"));
    here.types("something_else");
    CHECK_THAT(attach_error(here), Contains("the host is not loaded") && Contains("modprobe vfio_pci_mediate"));
    here.folder.put("sys/module/vfio_pci_mediate/version", "0.1.0\n");
    std::filesystem::rename(here.folder / "sys/kernel/btf/vfio_pci_mediate", here.folder / "away");
    CHECK_THAT(attach_error(here), Contains("the host has no BTF") && Contains("pahole"));
    std::filesystem::rename(here.folder / "away", here.folder / "sys/kernel/btf/vfio_pci_mediate");
    CHECK_THAT(attach_error(here), Contains("the host takes no BPF providers"));
    here.folder.put("proc/sys/kernel/osrelease", "6.1.0-50-amd64\n");
    CHECK_THAT(attach_error(here), Contains("this kernel (6.1.0-50-amd64) is too old: 6.12"));
    here.folder.put("proc/sys/kernel/osrelease", "7.3.4\n");
    CHECK_FALSE(bpf::look_at_host(here.where).takes_providers);
    here.types("bpf_struct_ops_mediant_bpf_ops");
    CHECK(bpf::look_at_host(here.where).takes_providers);
    CHECK(bpf::look_at_host(here.where).version == "0.1.0");
    CHECK_THAT(attach_error(here), Contains("there is no bpffs") && Contains("mount -t bpf bpf /sys/fs/bpf"));
    here.folder.put("sys/kernel/btf/vfio_pci_mediate", "nothing that BTF is");
    CHECK_THAT(attach_error(here), Contains("this kernel's BTF cannot be read"));
    here.folder.put("proc/self/status", "CapEff:\t0000000000000000\n");
    CHECK_THAT(attach_error(here), Contains("CAP_SYS_ADMIN"));
}

TEST_CASE("an object of a later version is refused before the host is looked at") {
    CHECK_THAT(attach_error(machine{}, "later_version"),
               Contains("made for version 9") &&
                   Contains("this program for version " + std::to_string(MEDIANT_BPF_VERSION)));
}

TEST_CASE("the ops are where the host has them") {
    machine here;
    here.types("bpf_struct_ops_mediant_bpf_ops");
    const auto types = bpf::host_types::load(here.where);
    REQUIRE(types);
    CHECK(types->ops_offset() == 4);
    CHECK(types->value().size() == 8);
    CHECK(types->ops().count() == 1);
    CHECK(types->ops().find("version"));
    CHECK_FALSE(types->ops().find("name"));
}

TEST_CASE("what is pinned nowhere cannot be detached or replaced") {
    const machine here;
    CHECK_THROWS_WITH(bpf::detach("edu", here.where), Contains("there is no bpffs"));
    CHECK_THROWS_WITH(bpf::detach("../edu", here.where), Contains("no provider can have that name"));
    CHECK(bpf::pins_in(here.where.pins).empty());
}

TEST_CASE("the host's list is read, whatever a later one adds") {
    const machine here;
    here.folder.put("sys/bus/pci/drivers/vfio_pci_mediate/bpf_providers",
                    "edu identity=0x1234567890abcdef state=8 attached=1 devices=0000:01:00.0,0000:02:00.0\n"
                    "gone identity=0x2 state=16 attached=0 devices= more=3\n\n");
    const std::vector<bpf::host_provider> told = bpf::host_providers(here.where);
    REQUIRE(told.size() == 2);
    CHECK(told[0].name == "edu");
    CHECK(told[0].identity == 0x1234567890abcdef);
    CHECK(told[0].state_size == 8);
    CHECK(told[0].attached);
    CHECK(told[0].devices == std::vector<std::string>{"0000:01:00.0", "0000:02:00.0"});
    CHECK(told[1].name == "gone");
    CHECK_FALSE(told[1].attached);
    CHECK(told[1].devices.empty());
    CHECK(bpf::host_providers(machine{}.where).empty());
}

TEST_CASE("a verifier's log comes to its last words and the source before them") {
    const bpf::verdict why = bpf::verdict_of(
        "func#0 @0\n"
        "0: R1=ctx() R10=fp0\n"
        "; const auto size = context[3]; @ edu.hpp:12\n"
        "0: (79) r6 = *(u64 *)(r1 +24)\n"
        "; call->value = state[offset]; @ edu.hpp:17\n"
        "9: (71) r1 = *(u8 *)(r0 +0)\n"
        "R0 unbounded memory access, make sure to bounds check any such access\n"
        "processed 10 insns (limit 1000000) max_states_per_insn 0 total_states 1\n");
    CHECK(why.reason == "R0 unbounded memory access, make sure to bounds check any such access");
    CHECK(why.source == "call->value = state[offset]; @ edu.hpp:17");
    // As 7.3 says it, with more behind.
    const bpf::verdict newer = bpf::verdict_of(
        "; call->value = state[context[2]]; @ provider.c:53\n"
        "9: (0f) r1 += r2\n"
        "math between mem pointer and register is not allowed\n\n"
        "Verification failed: Register Type Safety: Pointer offset is not safe\n\n"
        "Suggestion:\n  Clamp or bounds-check the scalar offset.\n\n"
        "processed 10 insns (limit 1000000)\n");
    CHECK(newer.reason == "math between mem pointer and register is not allowed");
    CHECK(newer.source == "call->value = state[context[2]]; @ provider.c:53");
    const bpf::verdict endless = bpf::verdict_of(
        "; while (busy(next)) {} @ edu.hpp:20\n"
        "1377: (15) if r1 == 0x0 goto pc-9\n"
        "infinite loop detected at insn 1377\n"
        "cur state: R0=scalar() R10=fp0\n"
        "old state: R0_r=Pscalar() R10=fp0\n"
        "processed 416 insns (limit 1000000)\n");
    CHECK(endless.reason == "infinite loop detected at insn 1377");
    CHECK(endless.source == "while (busy(next)) {} @ edu.hpp:20");
    CHECK(bpf::verdict_of("").reason.empty());
    CHECK(bpf::verdict_of("; only source @ a:1\n\n").source.empty());
    CHECK(bpf::verdict_of("one line").reason == "one line");
}

TEST_CASE("what libbpf says is kept, not printed") {
    const bpf::captured_messages said;
    const std::string_view text = "no object";
    ::bpf_object_open_opts options{};
    options.sz = sizeof options;
    options.object_name = "x";
    CHECK(::bpf_object__open_mem(text.data(), text.size(), &options) == nullptr);
    CHECK_THAT(bpf::captured_messages::lines(), Contains("elf") && !Contains("libbpf: "));
}
