// SPDX-License-Identifier: BSD-3-Clause

#include <mediant/bpf/object.hpp>

#include <unit/temporary_folder.hpp>

#include <catch2/catch.hpp>

#include <elf.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

using namespace mediant;

namespace {

std::filesystem::path object(std::string_view name) {
    return std::filesystem::path{MEDIANT_BPF_OBJECTS} / (std::string{name} + ".bpf.o");
}

/// What an object is refused with, or "" where it is not.
std::string refusal(bpf::bytes file) {
    try {
        static_cast<void>(bpf::describe(file, "it"));
        return {};
    } catch (const bpf::error& wrong) {
        return wrong.what();
    }
}
std::string refusal(std::string_view name) { return refusal(bpf::read_object(object(name))); }

/// Where a text lies in a file.
std::size_t place(const std::vector<std::byte>& file, std::string_view text) {
    const std::string_view all{reinterpret_cast<const char*>(file.data()), file.size()};
    const std::size_t at = all.find(text);
    REQUIRE(at != all.npos);
    return at;
}

} // namespace

TEST_CASE("an object says what it is") {
    const bpf::object_description what = bpf::describe(bpf::read_object(object("edu")), "edu");
    CHECK(what.name == "edu");
    CHECK(what.variable == "edu");
    CHECK(what.version == MEDIANT_BPF_VERSION);
    CHECK(what.identity == 0x1234567890abcdef);
    CHECK(what.state_size == 8);
    CHECK(what.mediates == 0);
    CHECK(what.license == "GPL");
    REQUIRE(what.rules.size() == 2);
    CHECK(what.rules[0].vendor == 0x1234);
    CHECK(what.rules[0].device == 0x11e8);
    CHECK(what.rules[0].subvendor == MEDIANT_ANY);
    CHECK(what.rules[1].subdevice == 0x1100);
    CHECK(what.rules[1].class_code == 0x020000);
    CHECK(what.rules[1].class_mask == 0xffff00);
    REQUIRE(what.ranges.size() == 2);
    CHECK(what.ranges[1].offset == 0x28);
    CHECK(what.ranges[1].size == 8);
    REQUIRE(what.programs.size() == 5);
    CHECK(what.programs[0].op == "open");
    CHECK(what.programs[0].program == "edu_open");
    CHECK(what.programs[3].op == "read");
    CHECK(what.programs[3].program == "edu_read");
    CHECK(what.programs[3].sleepable);
    CHECK(what.programs[3].instructions > 5);
}

TEST_CASE("what is no provider is refused, with what it is") {
    CHECK(refusal("no_types") == "it: it has no BTF (.BTF); it must be built with -g");
    CHECK(refusal("no_ops") == "it: it has no struct_ops (no section .struct_ops.link), so it is no provider");
    CHECK_THAT(refusal("no_link"), Catch::Matchers::Contains("section .struct_ops, which has no link"));
    CHECK(refusal("twice") == "it: it has 2 variables in .struct_ops.link; a provider is one");
    CHECK(refusal("other_type") == "it: its struct_ops is a struct other_ops, not a struct mediant_bpf_ops");
    CHECK(refusal("many_rules") == "it: rule_count is 33, and there are not so many rules");
    CHECK_THAT(refusal("bad_name"), Catch::Matchers::Contains("name is not one of 1 to 31 lower-case letters"));
    CHECK(refusal("long_name").empty());

    const std::string_view text = "no object";
    CHECK(refusal(bpf::bytes{reinterpret_cast<const std::byte*>(text.data()), text.size()}) ==
          "it: it is no ELF file, so no BPF object");
    CHECK_THAT(refusal(bpf::read_object("/proc/self/exe")), Catch::Matchers::Contains("not for BPF (247)"));
}

TEST_CASE("a name without an end is refused") {
    std::vector<std::byte> file = bpf::read_object(object("long_name"));
    const std::size_t at = place(file, "abcdefghijklmnopqrstuvwxyzabcde" + std::string(1, '\0'));
    // 31 characters and a 0 were there, and the 0 is gone.
    REQUIRE(bpf::describe(file, "it").name.size() == 31);
    file[at + 31] = std::byte{'x'};
    CHECK_THAT(refusal(file), Catch::Matchers::Contains("name is not one of"));
}

TEST_CASE("what is shown of an object cannot drive a terminal") {
    std::vector<std::byte> file = bpf::read_object(object("edu"));
    const std::string_view all{reinterpret_cast<const char*>(file.data()), file.size()};
    for (std::size_t at = 0; (at = all.find("edu_open", at)) != all.npos; ++at) file[at] = std::byte{0x1b};
    file[place(file, std::string_view{"GPL\0", 4})] = std::byte{0x9};
    const bpf::object_description what = bpf::describe(file, "it");
    CHECK(what.license == "\tPL");
    REQUIRE(what.programs.size() == 5);
    CHECK(what.programs[0].program == "?du_open");
    CHECK(bpf::printable("a\x1b[2J\nb\t\x7f\r") == "a?[2J\nb\t??");
}

TEST_CASE("every object that is cut short is refused, or says what the whole one says") {
    const std::vector<std::byte> file = bpf::read_object(object("edu"));
    std::size_t refused = 0;
    for (std::size_t size = 0; size < file.size(); size += size < 4096 || size > file.size() - 4096 ? 1 : 97)
        refused += refusal(bpf::bytes{file}.first(size)).empty() ? 0 : 1;
    CHECK(refused > file.size() / 97);
    CHECK(refusal(bpf::bytes{file}.first(file.size() - 1)) != "");
}

TEST_CASE("every changed byte is refused or read, and nothing else") {
    const std::vector<std::byte> file = bpf::read_object(object("edu"));
    std::size_t refused = 0;
    for (std::size_t at = 0; at < file.size(); at += 7) {
        std::vector<std::byte> changed = file;
        changed[at] = ~changed[at];
        refused += refusal(changed).empty() ? 0 : 1;
    }
    CHECK(refused > 20);
}

TEST_CASE("what is read of an object is bounded by its bytes") {
    const auto header = [](std::vector<std::byte>& file, std::size_t index, auto&& change) {
        Elf64_Ehdr about;
        std::memcpy(&about, file.data(), sizeof about);
        std::byte* const at = file.data() + about.e_shoff + (index == 0 ? about.e_shstrndx : index) * sizeof(Elf64_Shdr);
        Elf64_Shdr section;
        std::memcpy(&section, at, sizeof section);
        change(section);
        std::memcpy(at, &section, sizeof section);
    };
    std::vector<std::byte> file = bpf::read_object(object("edu"));
    const std::uint64_t size = file.size();
    header(file, 2, [size](Elf64_Shdr& one) { one.sh_offset = 0, one.sh_size = size - 64; });
    CHECK(refusal(file) == "it: its sections overlap");

    // Names of which the table has no end, each.
    file = bpf::read_object(object("edu"));
    file.resize(file.size() + 10000, std::byte{'a'});
    header(file, 0, [size](Elf64_Shdr& one) { one.sh_offset = size, one.sh_size = 10000; });
    CHECK(bpf::elf{file, "it"}.sections()[2].name == std::string(4096, 'a'));
}

TEST_CASE("what cannot be read says why") {
    const test::temporary_folder folder;
    CHECK_THROWS_WITH(bpf::read_object(folder / "none"), Catch::Matchers::Contains("No such file"));
    CHECK_THROWS_WITH(bpf::read_object(folder.path()), Catch::Matchers::Contains("Is a directory"));
    CHECK_THROWS_WITH(bpf::read_object("/dev/zero"), Catch::Matchers::Contains("more than 64 MiB"));
}
