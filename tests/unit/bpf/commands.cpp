// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// The loader's commands, as far as they need no host. After a change that is meant: MEDIANT_UPDATE_GOLDEN=1 writes
/// tests/golden/bpf anew.

#include <mediant/tool/bpf_command.hpp>
#include <mediant/tool/loader.hpp>

#include <unit/temporary_folder.hpp>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

using namespace mediant;
using Catch::Matchers::Contains;

namespace {

struct outcome {
    int code = 0;
    std::string out;
    std::string err;
};

outcome run(std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "mediant-bpf");
    std::ostringstream out;
    std::ostringstream err;
    const int code = loader(static_cast<int>(arguments.size()), arguments.data(), out, err);
    return {code, out.str(), err.str()};
}

std::string object(std::string_view name) {
    return std::string{MEDIANT_BPF_OBJECTS} + '/' + std::string{name} + ".bpf.o";
}

void same_as_golden(const std::string& name, const std::string& text) {
    const std::filesystem::path path = std::filesystem::path{__FILE__}.parent_path() / "../../golden/bpf" / name;
    if (std::getenv("MEDIANT_UPDATE_GOLDEN") != nullptr) {
        std::filesystem::create_directories(path.parent_path());
        std::ofstream{path, std::ios::binary} << text;
    }
    std::ifstream in{path, std::ios::binary};
    INFO(path.string() << " differs from what is made now; MEDIANT_UPDATE_GOLDEN=1 replaces it");
    CHECK(text == std::string(std::istreambuf_iterator<char>{in}, {}));
}

} // namespace

TEST_CASE("an object is described without a host") {
    const outcome told = run({"attach", "--dry-run", object("edu").c_str()});
    CHECK(told.code == 0);
    same_as_golden("dry_run.txt", told.out);
    const outcome refused = run({"attach", "--dry-run", object("later_version").c_str()});
    CHECK(refused.code == 1);
    CHECK_THAT(refused.err, Contains("made for version 9"));
}

TEST_CASE("units are written, the same each time") {
    const outcome told = run({"units", object("edu").c_str()});
    CHECK(told.code == 0);
    same_as_golden("units.txt", told.out);

    const test::temporary_folder folder;
    CHECK(run({"units", object("edu").c_str(), "--out", folder.path().c_str()}).code == 0);
    CHECK(run({"units", object("edu").c_str(), "--out", folder.path().c_str()}).code == 0);
    std::string all;
    for (const char* file : {"systemd/system/mediant-bpf@.service", "udev/rules.d/90-mediant-bpf-edu.rules",
                             "modprobe.d/mediant-bpf-edu.conf"})
        all += std::string{"# ---- "} + file + '\n' + folder.get(file);
    CHECK(all == told.out);

    const outcome elsewhere = run(
        {"units", object("edu").c_str(), "--program", "/opt/x/loader", "--objects", "/opt/x/objects"});
    CHECK_THAT(elsewhere.out, Contains("ExecStart=/opt/x/loader attach --if-needed /opt/x/objects/%i.bpf.o"));
    CHECK_THAT(elsewhere.out, Contains("1234-11e8 /opt/x/loader attach --if-needed /opt/x/objects/edu.bpf.o"));
    CHECK(run({"units", object("edu").c_str(), "--program", "a b"}).code == 1);
    CHECK_THAT(run({"units", object("edu").c_str(), "--out", "/proc/nowhere"}).err, Contains("cannot be written"));
}

TEST_CASE("without a host it says so, in words and as JSON") {
    const test::temporary_folder folder;
    folder.put("sys/kernel/btf/vmlinux", "");
    folder.put("pins/edu", "");
    folder.put("pins/\xff\x1b[2J", ""); // a name that JSON cannot have, and no terminal should
    command_line::bpf_options options;
    options.sys = folder / "sys";
    options.pins = folder / "pins";
    std::ostringstream text;
    CHECK(command_line::run_status(options, text) == command_line::failure);
    CHECK_THAT(text.str(), Contains("the host is not loaded") && Contains("pins/edu: is not looked at"));
    CHECK_THAT(text.str(), !Contains("\x1b"));
    options.json = true;
    std::ostringstream json;
    CHECK(command_line::run_status(options, json) == command_line::failure);
    const nlohmann::json all = nlohmann::json::parse(json.str());
    CHECK(all["host"]["loaded"] == false);
    CHECK(all["host"]["takes_providers"] == false);
    CHECK_THAT(all["host"]["missing"].get<std::string>(), Contains("modprobe vfio_pci_mediate"));
    CHECK(all["other_pins"].size() == 2);
}

TEST_CASE("what is not needed is no failure where that is asked for") {
    const test::temporary_folder folder;
    const outcome none = run({"detach", "edu", "--if-attached", "--pin-dir", folder.path().c_str()});
    CHECK(none.code == 0);
    CHECK(none.out == "edu: not attached\n");
    CHECK(run({"detach", "edu", "--pin-dir", folder.path().c_str()}).code == 1);
}

TEST_CASE("wrong usage is told from failure") {
    CHECK(run({}).code == 2);
    CHECK(run({"attach"}).code == 2);
    CHECK(run({"attach", "a", "b"}).code == 2);
    CHECK(run({"nonesuch"}).code == 2);
    CHECK(run({"--help"}).code == 0);
    CHECK(run({"attach", "/nonexistent"}).code == 1);
}
