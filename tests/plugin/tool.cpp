// SPDX-License-Identifier: BSD-3-Clause

#include <unit/temporary_folder.hpp>

#include <mediant/device/edu.hpp>
#include <mediant/mediant.hpp>
#include <mediant/provider/registry.hpp>
#include <mediant/tool/tool.hpp>

#include <catch2/catch.hpp>

#include <filesystem>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace {

/// A program whose own provider serves something else.
struct other {
    static constexpr auto info = mediant::provider{"other", {mediant::pci_id{0x8086, 0x0001}}};
};
using none_of_edu = mediant::registry<other>;

const std::string all = MEDIANT_PLUGINS;

struct outcome {
    int code;
    std::string out, err;
};
outcome run(std::vector<std::string> words) {
    words.insert(words.begin(), "acme");
    std::vector<const char*> argv;
    for (const std::string& word : words) argv.push_back(word.c_str());
    std::ostringstream out, err;
    const int code = mediant::tool<none_of_edu, mediant::device::edu>(static_cast<int>(argv.size()), argv.data(), out, err);
    return {code, out.str(), err.str()};
}

/// What IDENT reads as, through a server with these further words.
std::string ident_of(std::vector<std::string> words) {
    mediant::test::temporary_folder at;
    const std::string socket = (at / "socket").string();
    words.insert(words.begin(), {"serve", "1234:11e8", "--socket", socket, "--once"});
    outcome served{};
    std::thread server{[&] { served = run(words); }};
    while (!std::filesystem::exists(socket)) std::this_thread::yield();
    const outcome asked = run({"client", "--socket", socket, "read", "bar0", "0", "4"});
    server.join();
    CHECK(served.code == 0);
    return asked.out;
}

} // namespace

using Catch::Matchers::Contains;

TEST_CASE("serve loads the provider that it was not linked with") {
    CHECK(run({"serve", "1234:11e8", "--socket", "s"}).err ==
          "acme: error: 1234:11e8: no provider serves this device\n");
    CHECK(ident_of({"--providers", all + "/providers"}) == "read bar0 0x0 4 0x01ac00ed\n");
    CHECK(ident_of({"--providers", all, "--unmediated"}) == "read bar0 0x0 4 0x010000ed\n");
}

TEST_CASE("serve passes a device whole that no provider of the program's serves, where it is told to") {
    CHECK(ident_of({"--unmediated", "--sandbox", "off"}) == "read bar0 0x0 4 0x010000ed\n");
    CHECK(run({"serve", "1234:0001", "--socket", "s", "--unmediated"}).err ==
          "acme: error: 1234:0001: no provider serves this device\n"); // there is no such model either
}

TEST_CASE("serve says why no provider was loaded") {
    const outcome nowhere = run({"serve", "1234:11e8", "--socket", "s", "--providers", all});
    CHECK(nowhere.code == 1);
    CHECK(nowhere.err == "acme: error: 1234:11e8: no provider serves this device\n");
    const outcome no_model = run({"serve", "1234:0001", "--socket", "s", "--providers", all});
    CHECK(no_model.code == 1);
    CHECK_THAT(no_model.err, Contains("no model of it that a provider could be loaded for"));
    const outcome other = run({"serve", "1234:11e8", "--socket", "s", "--providers", all + "/no_object_for_edu"});
    CHECK(other.code == 1);
    CHECK_THAT(other.err, Contains("provider from " + all + "/no_object_for_edu: cannot be opened"));
}
