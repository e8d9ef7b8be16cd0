// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Recordings on the command line: made while a device is served, printed, drawn, replayed, converted.

#include <edu/edu.hpp>
#include <unit/temporary_folder.hpp>
#include <unit/trace/events.hpp>

#include <mediant/device/edu.hpp>
#include <mediant/mediant.hpp>
#include <mediant/tool/tool.hpp>
#include <mediant/trace/recorder.hpp>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <ios>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace changed {
using namespace mediant;
/// The example's provider, of which one register answers otherwise.
struct edu {
    static constexpr auto info = provider{"edu", {pci_id{0x1234, 0x11e8}}};
    static constexpr auto bar0 = region_map{
        bar{0}, 1_MiB, reg{"IDENT", 0x00, ro, {.backing = from::constant, .value = 0x1ac00ee}},
        reg{"EVENTS", 0x28, w1c, {.backing = from::shadow}}, reg{"MARK", 0x30, rw, {.backing = from::shadow}}};
    static constexpr auto regions = mediant::regions<bar0>{};
};
} // namespace changed

namespace {
using namespace mediant;
using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;

struct outcome {
    int code;
    std::string out;
    std::string err;
};

template <class Provider = acme::edu>
outcome run(std::vector<std::string> words) {
    if (words[0] == "serve") words.emplace_back("--sandbox=off"); // it would bind all of this process
    words.insert(words.begin(), "edu");
    std::vector<const char*> argv;
    for (const std::string& word : words) argv.push_back(word.c_str());
    std::ostringstream out, err;
    const int code = tool<registry<Provider>, device::edu>(static_cast<int>(argv.size()), argv.data(), out, err);
    return {code, out.str(), err.str()};
}

/// Serves the device to something that is done with its socket, once.
template <class Provider = acme::edu, class Do>
outcome served(const test::temporary_folder& at, std::vector<std::string> more, Do what) {
    const std::string socket = (at / "socket").string();
    std::vector<std::string> words{"serve", "1234:11e8", "--socket", socket, "--once"};
    words.insert(words.end(), more.begin(), more.end());
    outcome came{};
    std::thread server{[&] { came = run<Provider>(words); }};
    while (!std::filesystem::exists(socket)) std::this_thread::yield();
    what(socket);
    server.join();
    return came;
}

/// A recording of a few accesses.
std::string record(const test::temporary_folder& at) {
    const std::string file = (at / "recording").string();
    const outcome came = served(at, {"--record", file}, [](const std::string& socket) {
        const outcome asked = run({"client", "--socket", socket, "info",  "read", "bar0", "0",    "4", "read",
                                   "bar0",   "4",        "4",    "write", "bar0", "0x34", "4",    "5", "read",
                                   "bar0",   "0x28",     "4",    "write", "bar0", "0x28", "1",    "1", "read",
                                   "bar0",   "0x28",     "4",    "reset", "read", "bar0", "0x28", "4"});
        INFO(asked.err);
        CHECK(asked.code == 0);
        // Mappings would not be seen.
        CHECK_THAT(asked.out, Contains("region  bar0   0x00100000 bytes  rw\n"));
    });
    CHECK(came.code == 0);
    CHECK_THAT(came.out, Contains(file + ": ") && EndsWith(" bytes\n"));
    return file;
}

/// What is wrong with a page, which is to be XML but for its first line, and to need nothing else; empty if nothing is.
std::string flaw_of(const std::string& page) {
    constexpr std::string_view first = "<!DOCTYPE html>\n";
    if (!page.starts_with(first)) return "no DOCTYPE";
    std::vector<std::string> open;
    std::set<std::string> ids;
    const auto is_name = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-'; };
    const auto text_flaw = [](std::string_view text) -> std::string {
        for (std::size_t i = 0; i < text.size(); ++i) {
            if (text[i] == '>') return "a > in a text";
            if (text[i] != '&') continue;
            const std::string_view rest = text.substr(i);
            bool known = false;
            for (const std::string_view each : {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"})
                known |= rest.starts_with(each);
            if (!known) return "an & in " + std::string{rest.substr(0, 20)};
        }
        return {};
    };
    for (std::size_t at = first.size(); at < page.size();) {
        const std::size_t begin = page.find('<', at);
        const std::string_view text = std::string_view{page}.substr(at, std::min(begin, page.size()) - at);
        if (const std::string flaw = text_flaw(text); !flaw.empty()) return flaw;
        if (begin == page.npos) {
            if (text.find_first_not_of('\n') != text.npos) return "text behind the end";
            break;
        }
        at = begin + 1;
        const bool closes = page[at] == '/';
        if (closes) ++at;
        std::string name;
        while (is_name(page[at])) name += page[at++];
        if (name.empty()) return "a < that begins nothing at " + page.substr(begin, 30);
        if (closes) {
            if (page[at++] != '>') return "an odd end of " + name;
            if (open.empty() || open.back() != name)
                return "</" + name + "> closes <" + (open.empty() ? "" : open.back());
            open.pop_back();
            continue;
        }
        std::set<std::string> attributes;
        while (page[at] == ' ') {
            ++at;
            std::string key;
            while (is_name(page[at])) key += page[at++];
            if (key.empty() || page.compare(at, 2, "=\"") != 0)
                return "an odd attribute of " + name + ": " + page.substr(at, 20);
            const std::size_t end = page.find('"', at + 2);
            const std::string value = page.substr(at + 2, end - at - 2);
            if (const std::string flaw = text_flaw(value); !flaw.empty() || value.find('<') != value.npos)
                return key + ": " + value;
            if (!attributes.insert(key).second) return key + " twice in " + name;
            if (key == "id" && !ids.insert(value).second) return "two have the id " + value;
            if (key == "src" || (key == "href" && !value.starts_with('#')) || key.starts_with("on"))
                return key + "=" + value;
            at = end + 1;
        }
        if (page.compare(at, 2, "/>") == 0) {
            at += 2;
            continue;
        }
        if (page[at++] != '>') return "an odd tag " + page.substr(begin, 40);
        if (name == "script" || name == "style") {
            const std::size_t end = page.find("</" + name + ">", at);
            if (end == page.npos) return name + " has no end";
            const std::string_view inside = std::string_view{page}.substr(at, end - at);
            for (const std::string_view each : {"http", "@import", "fetch(", "XMLHttp"})
                if (inside.find(each) != inside.npos) return name + " has " + std::string{each};
            at = end;
        }
        open.push_back(name);
    }
    return open.empty() ? std::string{} : open.back() + " is not closed";
}

const std::filesystem::path golden = std::filesystem::path{__FILE__}.parent_path() / "../../golden/trace";

} // namespace

TEST_CASE("serve --record keeps what is done, and print tells it with the registers' names") {
    test::temporary_folder at;
    const std::string file = record(at);
    const outcome text = run({"trace", "print", file});
    INFO(text.out);
    CHECK(text.code == 0);
    CHECK_THAT(text.out, StartsWith("# edu, 1234:11e8:1af4:1100 class 00ff00, recorded by vfio-user, "));
    CHECK_THAT(text.out, Contains("# bar0   1 MiB\n") && Contains("# config 256 bytes\n"));
    CHECK_THAT(text.out, Contains("    load   bar0   0x000000 4  0x010000ed  IDENT\n"));
    CHECK_THAT(text.out, Contains("  read   bar0   0x000000 4  0x01ac00ed  IDENT  trapped\n"));
    CHECK_THAT(text.out, Contains("  read   bar0   0x000004 4  0x00000000  LIVE  passed\n"));
    CHECK_THAT(text.out, Contains("  write  bar0   0x000028 1  0x01  EVENTS  shadow\n"));
    CHECK_THAT(text.out, Contains("  reset\n") && Contains("  release\n"));
    CHECK_THAT(text.out, Contains(" an event: 5 reads, 2 writes; below "));
    // The order: what came of an access comes before it.
    const std::size_t read = text.out.find("  read   bar0   0x000000");
    CHECK(text.out.rfind("load   bar0   0x000000", read) < read);

    const outcome summary = run({"trace", "print", file, "--summary"});
    CHECK(std::count(summary.out.begin(), summary.out.end(), '\n') == 4);

    const outcome json = run({"trace", "print", file, "--json"});
    CHECK(json.code == 0);
    std::istringstream lines{json.out};
    std::vector<nlohmann::json> all;
    for (std::string line; std::getline(lines, line);) all.push_back(nlohmann::json::parse(line));
    REQUIRE(all.size() > 10);
    CHECK(all.front()["provider"] == "edu");
    CHECK(all.back()["events"] == all.size() - 2);
    CHECK(all.back()["finished"] == true);
    bool found = false;
    for (const auto& each : all)
        found |= each.value("register", "") == "IDENT" && each["level"] == "front" && each["bytes"] == "ed00ac01" &&
                 each["decision"] == "trapped";
    CHECK(found);
}

TEST_CASE("replay has the same answers of the same policies, and tells the register of others") {
    test::temporary_folder at;
    const std::string file = record(at);
    const outcome same = run({"trace", "replay", file, "--in-process"});
    INFO(same.out << same.err);
    CHECK(same.code == 0);
    CHECK_THAT(same.out, Contains(" 0 different"));

    const outcome other = run<changed::edu>({"trace", "replay", file, "--in-process"});
    CHECK(other.code == 1);
    CHECK_THAT(other.out, Contains(": read bar0 0x0 4  IDENT: expected 0x01ac00ed, got 0x01ac00ee\n"));
    CHECK_THAT(other.out, Contains(": read bar0 0x28 4  EVENTS: expected 0x00000005, got 0x00000000\n"));
    const outcome few = run<changed::edu>({"trace", "replay", file, "--in-process", "--lines", "1"});
    CHECK_THAT(few.out, Contains("\n... and "));
    CHECK(run<changed::edu>({"trace", "replay", file, "--in-process", "--ignore", "IDENT"}).code == 1);
    const outcome ignoring = run<changed::edu>(
        {"trace", "replay", file, "--in-process", "--ignore", "IDENT", "--ignore", "bar0:0x28:4"});
    INFO(ignoring.out);
    CHECK(ignoring.code == 0);
    CHECK_THAT(ignoring.out, Contains(" 0 different, 4 ignored"));

    outcome over{};
    served(at, {}, [&](const std::string& socket) { over = run({"trace", "replay", file, "--socket", socket}); });
    INFO(over.out << over.err);
    CHECK(over.code == 0);
    served<changed::edu>(at, {}, [&](const std::string& socket) {
        over = run({"trace", "replay", file, "--socket", socket});
    });
    CHECK(over.code == 1);

    // This program's policies over what another server offers.
    const outcome nobody = run({"trace", "replay", file, "--socket", (at / "none").string()});
    CHECK(nobody.code == 1);
    CHECK_THAT(nobody.out, Contains("open: expected success, got No such file or directory"));
    CHECK(run({"trace", "replay", file}).code == 2);
    CHECK(run({"trace", "replay", file, "--in-process", "--socket", "s"}).code == 2);
    CHECK(run({"trace", "replay", file, "--in-process", "--ignore", "NOTHING"}).code == 2);
    CHECK(run({"trace", "replay", file, "--in-process", "--ignore", "bar0:x"}).code == 2);
}

TEST_CASE("html is one page that is well formed and needs nothing") {
    test::temporary_folder at;
    const std::string file = record(at);
    const std::string page = (at / "page.html").string();
    const outcome made = run({"trace", "html", file, "-o", page});
    CHECK(made.code == 0);
    const std::string text = at.get("page.html");
    CHECK(made.out == page + ": " + std::to_string(text.size()) + " bytes\n");
    CHECK(run({"trace", "html", file}).out == text);
    CHECK(flaw_of(text) == "");
    CHECK_THAT(text, Contains("<h1>recording</h1>") && Contains(">IDENT</text>") && Contains("id=\"timeline\"") &&
                         Contains("id=\"heat\"") && Contains("<b>EVENTS</b>") &&
                         Contains("prefers-color-scheme: dark"));
    CHECK(text.find("This is not all") == text.npos);
    // The check itself finds something.
    CHECK(flaw_of(text.substr(0, text.size() - 10)) != "");
    for (const std::string_view each : {"</svg>", "\"/>", "</title></rect>"}) {
        std::string broken = text;
        broken.erase(broken.find(each), each.size());
        CHECK(flaw_of(broken) != "");
    }

    // Whatever is in a recording; and many places and long ones do not make it grow.
    trace::identity who = test::some_identity();
    who.provider = "<script>alert(1)</script>\"'&\n\x01\xff";
    who.source = "]]>";
    const std::string hostile = (at / "<b>&\"hostile").string();
    {
        trace::recorder to{{.path = hostile}, who};
        test::random_events source{3};
        for (int i = 0; i < 60'000; ++i) to.add_as_is(source.make());
    }
    const std::string drawn = run({"trace", "html", hostile}).out;
    CHECK(flaw_of(drawn) == "");
    CHECK(drawn.size() < 4'000'000);
    CHECK_THAT(drawn, Contains(", the busiest of "));
    const outcome printed = run({"trace", "print", hostile, "--summary"});
    CHECK(std::all_of(printed.out.begin(), printed.out.end(),
                      [](char c) { return c == '\n' || (c >= ' ' && c < 0x7f); }));
    CHECK(run({"trace", "print", hostile, "--json"}).code == 0);
}

TEST_CASE("a damaged recording is told up to the damage, and with what is wrong") {
    test::temporary_folder at;
    const std::string file = record(at);
    const std::string whole = at.get("recording");
    at.put("cut", whole.substr(0, whole.size() - 3));
    const outcome cut = run({"trace", "print", (at / "cut").string()});
    CHECK(cut.code == 1);
    CHECK_THAT(cut.out, Contains("  read   bar0   0x000000 4  0x01ac00ed  IDENT  trapped\n") &&
                            Contains("# damaged at byte 0x") && Contains(": it is cut off here\n"));
    CHECK(run({"trace", "replay", (at / "cut").string(), "--in-process"}).code == 1);
    CHECK_THAT(run({"trace", "html", (at / "cut").string()}).out, Contains("This is not all: damaged at byte 0x"));
    at.put("text", "nothing of the kind");
    const outcome none = run({"trace", "print", (at / "text").string()});
    CHECK(none.code == 1);
    CHECK_THAT(none.err, Contains("text: byte 0x0: this is no recording"));
    CHECK(run({"trace", "print", (at / "missing").string()}).code == 1);
    CHECK(run({"trace", "replay", (at / "missing").string(), "--in-process"}).code == 1);
    CHECK(run({"trace"}).code == 2);
}

TEST_CASE("the limit of a recording is kept, and told") {
    test::temporary_folder at;
    const std::string file = (at / "recording").string();
    const outcome came = served(at, {"--record", file, "--record-limit", "4096"}, [](const std::string& socket) {
        std::vector<std::string> words{"client", "--socket", socket};
        for (int i = 0; i < 1000; ++i)
            for (const char* const each : {"write", "bar0", "0x80", "8", "0x1122334455667788"})
                words.emplace_back(each);
        CHECK(run(words).code == 0);
    });
    CHECK_THAT(came.out, Contains(" are missing, as these are all that --record-limit allows\n"));
    CHECK(std::filesystem::file_size(file) <= 4096);
    const outcome text = run({"trace", "print", file});
    CHECK(text.code == 0);
    CHECK_THAT(text.out, Contains(" events are missing at the end, for which there was no room\n"));
    CHECK(run({"trace", "replay", file, "--in-process"}).code == 0);
    CHECK(run({"serve", "1234:11e8", "--socket", "s", "--record", file, "--record-limit", "10"}).code == 2);
    const outcome nowhere = run(
        {"serve", "1234:11e8", "--socket", (at / "s").string(), "--record", (at / "no/file").string()});
    CHECK(nowhere.code == 1);
    CHECK_THAT(nowhere.err, Contains("no/file"));
}

TEST_CASE("tracepoints of the kernel module become a recording, which replays in process") {
    test::temporary_folder at;
    const std::string file = (at / "recording").string();
    const std::string sample = (golden / "edu.trace.txt").string();
    const outcome made = run({"trace", "convert", sample, "-o", file, "--provider", "edu"});
    INFO(made.err);
    REQUIRE(made.code == 0);
    const outcome text = run({"trace", "print", file});
    INFO(text.out);
    CHECK_THAT(text.out, StartsWith("# edu, 1234:11e8, recorded by kernel\n"));
    CHECK_THAT(text.out, Contains("    load   bar0   0x000000 4  0x010000ed  IDENT\n"));
    CHECK_THAT(text.out, Contains("  read   bar0   0x000000 4  0x01ac00ed  IDENT  trapped\n"));
    CHECK_THAT(text.out, Contains("  read   bar0   0x000004 4  ?  LIVE  passed\n")); // the kernel does not look
    CHECK_THAT(text.out, Contains("  write  bar0   0x000082 2  0xabcd  DMA+0x2  shadow\n") ||
                             Contains("  write  bar0   0x000082 2  0xabcd  DMA+0x2  trapped\n"));
    CHECK_THAT(text.out, Contains("    store  bar0   0x000020 4  0x00000000  STATUS\n"));
    const outcome same = run({"trace", "replay", file, "--in-process"});
    INFO(same.out << same.err);
    CHECK(same.code == 0);
    const outcome other = run<changed::edu>({"trace", "replay", file, "--in-process"});
    CHECK(other.code == 1);
    CHECK_THAT(other.out, Contains("IDENT: expected 0x01ac00ed, got 0x01ac00ee"));
    CHECK(flaw_of(run({"trace", "html", file}).out) == "");
}

TEST_CASE("what is no tracepoint is passed over or refused with its line") {
    test::temporary_folder at;
    const std::string file = (at / "recording").string();
    const std::string
        good = "  client-93      [000] .....     3.500000: mediant_access: 0000:00:04.0 region=0 offset=0x28 count=4 "
               "read trapped value=0x5 result=4\n";
    const auto convert = [&](const std::string& text, std::initializer_list<std::string> more = {}) {
        at.put("text", text);
        std::vector<std::string> words{"trace", "convert", (at / "text").string(), "-o", file};
        words.insert(words.end(), more.begin(), more.end());
        return run(words);
    };
    const std::string two = convert("# tracer: nop\n" + good + "  bash-1 [000] d.... 4.0: sched_switch: x\n" + good)
                                .out;
    CHECK(two ==
          file + ": 2 events of 0000:00:04.0 in " + std::to_string(std::filesystem::file_size(file)) + " bytes\n");
    const outcome odd = convert(good + "client-93 [000] ..... 4.000000: mediant_access: 0000:00:04.0 region=x\n");
    CHECK(odd.code == 1);
    CHECK_THAT(odd.err, Contains("text:2: not an event as the module prints it: "));
    // Cut off, as who ends trace_pipe leaves it.
    CHECK(convert(good + good.substr(0, 90)).code == 0);
    CHECK(convert("nothing\n").code == 1);
    std::string other = good;
    other.replace(other.find("04.0"), 4, "05.0");
    CHECK_THAT(convert(good + other).err,
               Contains("text:2: events of 0000:00:04.0 and of 0000:00:05.0: choose one with --address"));
    CHECK_THAT(convert(good + other, {"--address", "0000:00:05.0"}).out,
               Contains(": 1 events of 0000:00:05.0 in ") && Contains(", 1 of other devices left out"));
    CHECK(convert("CPU:1 [LOST 12 EVENTS]\n" + good).code == 0);
    CHECK_THAT(run({"trace", "print", file}).out, Contains("gap events=0xc\n"));
    CHECK(convert(good, {"--provider", "nix"}).code == 1);
    std::string refused = good;
    refused.replace(refused.find("result=4"), 8, "result=-5");
    CHECK(convert(refused).code == 0);
    CHECK_THAT(run({"trace", "print", file}).out, Contains("Input/output error (errno 5)"));
    for (const auto& [what, instead] : {std::pair{"count=4", "count=3"},
                                        {"result=4", "result=-5000"},
                                        {"trapped", "traped"},
                                        {"offset=0x28", "offset=28"},
                                        {"3.500000", "3.x"},
                                        {"value=0x5", "value=0x11112222333344445"}}) {
        std::string wrong = good;
        wrong.replace(wrong.find(what), std::string_view{what}.size(), instead);
        CHECK(convert(wrong).code == 1);
    }
}
