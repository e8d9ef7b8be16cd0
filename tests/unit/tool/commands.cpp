// SPDX-License-Identifier: BSD-3-Clause

#include <mediant/device/edu.hpp>
#include <mediant/mediant.hpp>
#include <mediant/tool/tool.hpp>
#include <mediant/vfio_user/server.hpp>

#include <unit/temporary_folder.hpp>

#include <catch2/catch.hpp>

#include <csignal>
#include <cstddef>
#include <filesystem>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace vendor {
using namespace mediant;

struct nic {
    static constexpr auto info = provider{"nic", {pci_id{0x8086, 0x10d3}}, {.description = "a card"}};
    static constexpr auto bar0 = region_map{bar{0}, 8_KiB,
                                            reg{"VERSION", 0x00, ro, {.backing = from::constant, .value = 7}},
                                            reg{"MARK", 0x10, rw, {.backing = from::shadow}}};
    static constexpr auto regions = mediant::regions<bar0>{};
};
struct card {
    static constexpr auto info = provider{"card", {pci_id{0x8086, 0x10d3, 0x1af4, 0x1100}}};
};
struct any {
    static constexpr auto info = provider{"any", {pci_id{.class_code = 0x020000, .class_mask = 0xffffff}}};
};
struct shy {
    static constexpr auto info = provider{"shy", {pci_id{0x1234, 0x0001}, pci_id{.vendor = 0x1234}}};
    result<void> open(auto&) { return error::no_device; }
};
using devices = registry<nic, card, any, shy>;
} // namespace vendor

/// What cannot live in a kernel, each for another reason.
namespace unfit {
using namespace mediant;

struct requests {
    static constexpr auto info = provider{"ioctl", {pci_id{0x1234, 0x0001}}};
    result<void> ioctl(const set_irqs& what, auto& next) noexcept { return next.ioctl(what); }
};
struct memory_requests {
    static constexpr auto info = provider{"memory", {pci_id{0x1234, 0x0001}}};
    result<void> ioctl(const unmap_dma& what, auto& next) noexcept { return next.ioctl(what); }
};
struct observer {
    static constexpr auto info = provider{"observer", {pci_id{0x1234, 0x0001}}};
    static constexpr auto overlays = config_map{observe_writes{"COMMAND", 0x04, 2}};
    static constexpr auto regions = mediant::regions<overlays>{};
    result<void> written(at<overlays, "COMMAND">, lanes<std::uint16_t>, auto&) { return {}; }
};
struct fit {
    static constexpr auto info = provider{"fit", {pci_id{0x1234, 0x0001}}};
    static constexpr auto overlays = config_map{hide_upper_half{2}};
    static constexpr auto regions = mediant::regions<overlays>{};
    result<get_irq_info::answer> ioctl(const get_irq_info& what, auto& next) noexcept { return next.ioctl(what); }
};
struct aligned {
    static constexpr auto info = provider{"aligned", {pci_id{0x1234, 0x0001}}};
    alignas(64) unsigned counter = 0;
};
struct large {
    static constexpr auto info = provider{"large", {pci_id{0x1234, 0x0001}}};
    unsigned char state[65536] = {};
};
struct hook {
    static constexpr auto info = provider{"hook", {pci_id{0x1234, 0x0001}}};
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB,
        reg{"IDENT", 0x00, ro, {.hook = on::read}},
        repeat{"QUEUE", 2, 0x40, reg{"TAIL", 0x100, wo, {.hook = on::write | on::written}}}};
    static constexpr auto regions = mediant::regions<bar0>{};
    result<std::uint32_t> read(at<bar0, "IDENT">, auto&) noexcept { return 0u; }
    result<void> write(at<bar0, "QUEUE.TAIL">, std::size_t, std::uint32_t, auto&) { return {}; }
    result<void> written(at<bar0, "QUEUE.TAIL">, std::size_t, lanes<std::uint32_t>, auto&) noexcept { return {}; }
};
} // namespace unfit

namespace {
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

struct outcome {
    int code;
    std::string out;
    std::string err;
};

outcome run(std::vector<std::string> words) {
    // The sandbox would bind all of this process, for good: it has tests of its own.
    if (words.size() > 1 && words[0] == "serve" && words[1] != "--help") words.emplace_back("--sandbox=off");
    words.insert(words.begin(), "/opt/acme/bin/acme-nics");
    std::vector<const char*> argv;
    for (const std::string& word : words) argv.push_back(word.c_str());
    std::ostringstream out, err;
    const int code = mediant::tool<vendor::devices>(static_cast<int>(argv.size()), argv.data(), out, err);
    return {code, out.str(), err.str()};
}

} // namespace

TEST_CASE("help fits a screen") {
    for (const std::vector<std::string>& command : std::vector<std::vector<std::string>>{
             {}, {"list"}, {"lookup"}, {"map"}, {"shim"}, {"serve"}, {"client"}, {"trace"}, {"trace", "print"},
             {"trace", "html"}, {"trace", "replay"}, {"trace", "convert"}}) {
        std::vector<std::string> words = command;
        words.emplace_back("--help");
        const outcome help = run(words);
        INFO(help.out);
        CHECK(help.code == 0);
        CHECK(help.err.empty());
        std::istringstream lines{help.out};
        std::size_t count = 0;
        for (std::string line; std::getline(lines, line); ++count) CHECK(line.size() <= 80);
        CHECK(count <= 30);
        CHECK(count >= 5);
    }
    CHECK_THAT(run({"--version"}).out, StartsWith("mediant "));
}

TEST_CASE("what is not understood ends with 2 and says where help is") {
    for (const std::vector<std::string>& words :
         std::vector<std::vector<std::string>>{{},
                                               {"bogus"},
                                               {"list", "more"},
                                               {"lookup"},
                                               {"lookup", "8086"},
                                               {"lookup", "8086:10d3:1af4"},
                                               {"lookup", "8086:10d33"},
                                               {"lookup", "8086:"},
                                               {"lookup", "8086:10d3", "--class", "network"},
                                               {"map", "nic", "--format", "pdf"},
                                               {"map", "nic", "card"},
                                               {"shim", "nic"},
                                               {"shim", "nic", "--target", "variant"},
                                               {"serve", "8086:10d3"},
                                               {"serve", "--socket", "s"},
                                               {"serve", "8086:10d3", "--behind", "t", "--socket", "s"},
                                               {"serve", "--behind", "t", "--device", "01:00.0", "--socket", "s"},
                                               {"serve", "--device", "1:2", "--socket", "s"},
                                               {"client", "--socket", "s"},
                                               {"client", "--socket", "s", "look"},
                                               {"client", "--socket", "s", "read", "bar0", "0"},
                                               {"client", "--socket", "s", "read", "bar6", "0", "4"},
                                               {"client", "--socket", "s", "read", "bar0", "zero", "4"},
                                               {"client", "--socket", "s", "read", "bar0", "0", "3"},
                                               {"client", "--socket", "s", "write", "bar0", "0", "1", "256"},
                                               {"client", "--socket", "s", "put", "0", "1", "256"},
                                               {"client", "--socket", "s", "get", "0", "3"},
                                               {"client", "--socket", "s", "memory", "0", "0"},
                                               {"client", "--socket", "s", "memory", "0", "0x40000001"},
                                               {"client", "--socket", "s", "serve", "1"},
                                               {"client", "--socket", "s", "serve", "1", "3600001"}}) {
        const outcome what = run(words);
        INFO(what.err);
        CHECK(what.code == 2);
        CHECK(what.out.empty());
        CHECK_THAT(what.err, StartsWith("acme-nics: error: "));
        CHECK_THAT(what.err, Contains(" --help.\n"));
    }
}

TEST_CASE("list shows providers, devices and aliases") {
    const outcome all = run({"list"});
    CHECK(all.code == 0);
    CHECK_THAT(all.out, Contains("nic  (vendor::nic)  a card\n  8086:10d3\n"
                                 "    variant  vfio_pci:v00008086d000010D3sv*sd*bc*sc*i*\n"
                                 "    provider vfio-pci-mediate-8086-10d3\n"));
    CHECK_THAT(all.out, Contains("any  (vendor::any)\n  any device, class 020000\n"
                                 "    variant  vfio_pci:v*d*sv*sd*bc02sc00i00*\nshy"));
}

TEST_CASE("lookup says who serves a device and why") {
    const outcome bare = run({"lookup", "8086:10d3"});
    CHECK(bare.code == 0);
    CHECK(bare.out == "8086:10d3 is served by\n"
                      "  nic (vendor::nic)  by 8086:10d3\n"
                      "    rank 33, for vendor, device\n"
                      "depending on what was not said, also\n"
                      "  card (vendor::card)  by 8086:10d3, subsystem 1af4:1100\n"
                      "    rank 65, for vendor, device, subvendor, subdevice; would be asked first\n"
                      "  any (vendor::any)  by any device, class 020000\n"
                      "    rank 25, for class; would be asked later\n"
                      "A rule's rank is 1 and a bit for each that it compares; the highest is asked first.\n");
    const outcome whole = run({"lookup", "8086:10d3:1af4:1100", "--class", "020000"});
    CHECK(whole.out == "8086:10d3:1af4:1100 class 020000 is served by\n"
                       "  card (vendor::card)  by 8086:10d3, subsystem 1af4:1100\n"
                       "    rank 65, for vendor, device, subvendor, subdevice\n"
                       "and, where that declines, in this order by\n"
                       "  nic (vendor::nic)  by 8086:10d3\n"
                       "    rank 33, for vendor, device\n"
                       "  any (vendor::any)  by any device, class 020000\n"
                       "    rank 25, for class\n"
                       "A rule's rank is 1 and a bit for each that it compares; the highest is asked first.\n");
    CHECK(run({"lookup", "1234:0001"}).out == "1234:0001 is served by\n"
                                              "  shy (vendor::shy)  by 1234:0001\n"
                                              "    rank 33, for vendor, device\n"
                                              "    matches by 1234:* too, rank 17\n"
                                              "depending on what was not said, also\n"
                                              "  any (vendor::any)  by any device, class 020000\n"
                                              "    rank 25, for class; would be asked later\n"
                                              "A rule's rank is 1 and a bit for each that it compares; the highest is "
                                              "asked first.\n");
    const outcome none = run({"lookup", "1:2", "--class", "0x030000"});
    CHECK(none.code == 1);
    CHECK(none.out == "0001:0002 class 030000: no provider\n");
}

TEST_CASE("map draws one provider, or all") {
    mediant::test::temporary_folder at;
    const outcome all = run({"map"});
    CHECK(all.code == 0);
    CHECK_THAT(all.out, StartsWith("nic  (vendor::nic)  8086:10d3\n\nbar0, 8 KiB, 2 entries\n"));
    CHECK_THAT(all.out, Contains("card  (vendor::card)  8086:10d3, subsystem 1af4:1100\n"
                                 "  no region maps: every region passes to the device\n"));
    const outcome one = run({"map", "8086:10d3", "--format", "json", "--out", (at / "nic.json").string()});
    CHECK(one.code == 0);
    const std::string json = run({"map", "nic", "--format", "json"}).out;
    CHECK(at.get("nic.json") == json);
    CHECK(one.out == (at / "nic.json").string() + ": " + std::to_string(json.size()) + " bytes\n");
    CHECK_THAT(run({"map", "nic", "--format", "markdown"}).out, StartsWith("# nic\n"));
    CHECK_THAT(run({"map", "nic", "--format", "html"}).out, StartsWith("<!DOCTYPE html>\n"));
    CHECK(run({"map", "nix"}).code == 1);
    CHECK_THAT(run({"map", "--out", (at / "no/nic.txt").string()}).err, Contains("no/nic.txt: cannot be written"));
}

TEST_CASE("shim writes a tree and checks it") {
    mediant::test::temporary_folder at;
    at.put("nic.hpp", "#include <mediant/mediant.hpp>\n");
    const std::string header = (at / "nic.hpp").string();
    const std::string tree = (at / "tree").string();
    const outcome made = run({"shim", "8086:10d3", "--target", "variant", "--out", tree, "--header", header});
    INFO(made.err);
    REQUIRE(made.code == 0);
    CHECK_THAT(made.out, Contains(tree + ": "));
    CHECK_THAT(at.get("tree/policy.cpp"), Contains("provider_table<vendor::nic>"));
    CHECK(run({"shim", "nic", "--target", "variant", "--check", tree, "--header", header}).code == 0);

    at.put("tree/policy.cpp", "");
    const outcome stale = run({"shim", "nic", "--target", "variant", "--check", tree, "--header", header});
    CHECK(stale.code == 1);
    CHECK(stale.out == "differs: policy.cpp\n" + tree + ": not up to date\n");

    const outcome both = run({"shim", "card", "nic", "--target", "variant", "--out", (at / "two").string(), "--header",
                              header, "-I", at.path().string(), "--name", "two_vfio_pci"});
    CHECK(both.code == 0);
    CHECK_THAT(at.get("two/module.h"), Contains("\"two_vfio_pci\""));

    const outcome unknown = run({"shim", "nix", "--target", "variant", "--out", tree});
    CHECK(unknown.code == 1);
    CHECK(unknown.err ==
          "acme-nics: error: nix: no provider of this name, and not VID:DID; there are: nic, card, any, shy\n");
    CHECK(run({"shim", "1:2", "--target", "variant", "--out", tree}).code == 1);
    CHECK(run({"shim", "nic", "--target", "guest", "--out", tree}).code == 1);
}

TEST_CASE("shim writes providers and the host") {
    mediant::test::temporary_folder at;
    at.put("nic.hpp", "#include <mediant/mediant.hpp>\n");
    const std::string header = (at / "nic.hpp").string();
    const std::string tree = (at / "tree").string();
    CHECK(run({"shim", "nic", "--target", "provider", "--out", tree, "--header", header}).code == 0);
    CHECK_THAT(at.get("tree/module.h"), Contains("\"vfio-pci-mediate-8086-10d3\""));
    CHECK(run({"shim", "nic", "--target", "provider", "--check", tree, "--header", header}).code == 0);
    const outcome other = run({"shim", "nic", "--target", "variant", "--check", tree, "--header", header});
    CHECK(other.code == 1);
    CHECK_THAT(other.out, Contains("missing: driver.c\n") && Contains("differs: module.h\n") &&
                              Contains("stale: provider.c\n"));
    const outcome classless = run({"shim", "any", "--target", "provider", "--out", tree, "--header", header});
    CHECK(classless.code == 1);
    CHECK(classless.err == "acme-nics: error: any: rule any device, class 020000: a provider module needs vendor and "
                           "device, by which the host asks for it; a variant (--target variant) needs neither\n");

    const std::string host = (at / "host").string();
    CHECK(run({"shim", "--target", "host", "--out", host}).code == 0);
    CHECK_THAT(at.get("host/module.h"), Contains("\"vfio_pci_mediate\""));
    CHECK(run({"shim", "--target", "host", "--check", host}).code == 0);
    const outcome with_provider = run({"shim", "nic", "--target", "host", "--out", host});
    CHECK(with_provider.code == 1);
    CHECK_THAT(with_provider.err, Contains("the host has no providers"));
}

TEST_CASE("shim refuses what cannot live in a kernel, and says what it is") {
    mediant::test::temporary_folder at;
    const std::string tree = (at / "tree").string();
    const outcome throwing = run({"shim", "shy", "--target", "variant", "--out", tree});
    CHECK(throwing.code == 1);
    CHECK(throwing.err == "acme-nics: error: shy: its open is not noexcept, as all that a kernel module carries must "
                          "be\n");
    CHECK_FALSE(std::filesystem::exists(at / "tree"));
    CHECK(mediant::kernel::facts_of<vendor::nic>().unfit.empty());
    CHECK(mediant::kernel::facts_of<unfit::requests>().unfit ==
          "a kernel module cannot carry a policy that mediates set_irqs: the VFIO core reads the request from user "
          "memory itself, so that what it does need not be what the policy saw");
    CHECK(mediant::kernel::facts_of<unfit::memory_requests>().unfit ==
          "a kernel module cannot carry a policy that mediates requests of DMA: none of them comes to the device's "
          "driver");
    CHECK(mediant::kernel::facts_of<unfit::observer>().unfit ==
          "its written of COMMAND is not noexcept, as all that a kernel module carries must be");
    CHECK(mediant::kernel::facts_of<unfit::fit>().unfit.empty());
    CHECK(mediant::kernel::facts_of<unfit::aligned>().unfit ==
          "its state is aligned to more than 8 bytes, which a kernel module's is not");
    CHECK_THAT(mediant::kernel::facts_of<unfit::large>().unfit,
               StartsWith("its state, shadows included, has 655") &&
                   Contains("bytes; in a kernel module at most 65536"));
    CHECK(mediant::kernel::facts_of<unfit::hook>().unfit ==
          "its write of QUEUE.TAIL is not noexcept, as all that a kernel module carries must be");
}

TEST_CASE("the header of a provider is known from where it was compiled") {
    mediant::test::temporary_folder at;
    // This file, whose headers no kernel can have.
    const outcome hosted = run({"shim", "nic", "--target", "variant", "--out", (at / "tree").string()});
    CHECK(hosted.code == 1);
    CHECK_THAT(hosted.err, Contains("commands.cpp:"));
    CHECK_FALSE(std::filesystem::exists(at / "tree"));
}

TEST_CASE("serve and client talk to each other") {
    mediant::test::temporary_folder at;
    const std::string socket = (at / "nic.sock").string();
    outcome served{};
    std::thread server{[&] { served = run({"serve", "8086:10d3", "--socket", socket, "--once"}); }};
    while (!std::filesystem::exists(socket)) std::this_thread::yield();
    const outcome asked = run({"client", "--socket", socket, "info",   "read", "bar0", "0",    "4", "write",
                               "bar0",   "0x10",     "4",    "0xabcd", "read", "bar0", "0x11", "1", "read",
                               "bar0",   "0x10",     "8",    "reset",  "read", "0",    "16",   "2"});
    server.join();
    INFO(asked.err);
    CHECK(asked.code == 0);
    CHECK_THAT(asked.out, Contains("region  bar0   0x00002000 bytes  rw  mappable 0x1000-0x1fff\n"));
    CHECK_THAT(asked.out, Contains("read bar0 0x0 4 0x00000007\nwrite bar0 0x10 4 0xabcd\nread bar0 0x11 1 0xab\n"
                                   "read bar0 0x10 8 0x000000000000abcd\nreset\nread bar0 0x10 2 0x0000\n"));
    CHECK(served.code == 0);
    CHECK(served.out == "listening on " + socket + "\n");
    CHECK_FALSE(std::filesystem::exists(socket));
}

TEST_CASE("serve: a back end that this program was not built with, and one that there is not") {
    const outcome without = run({"serve", "8086:10d3", "--socket", "s", "--backend", "libvfio-user"});
    CHECK(without.code == 1);
    CHECK(without.err == "acme-nics: error: serve: this program is built without libvfio-user "
                         "(mediant::libvfio_user in CMake)\n");
    CHECK(run({"serve", "8086:10d3", "--socket", "s", "--backend", "other"}).code == 2);
}

TEST_CASE("serve stands before another server") {
    mediant::test::temporary_folder at;
    const std::string behind = (at / "behind.sock").string();
    const std::string socket = (at / "nic.sock").string();
    mediant::device::memory_device memory{{.vendor = 0x8086, .device = 0x10d3}, {8192}};
    mediant::stack<mediant::device::memory_device> bare{memory};
    mediant::vfio_user::server<mediant::stack<mediant::device::memory_device>> other{bare, {.path = behind}};
    std::thread others{[&] { other.run(); }};
    outcome served{};
    std::thread server{[&] { served = run({"serve", "--behind", behind, "--share", "--socket", socket, "--once"}); }};
    while (!std::filesystem::exists(socket)) std::this_thread::yield();
    const outcome asked = run({"client", "--socket", socket, "info", "read", "bar0", "0", "4", "write", "bar0",
                               "0x1010", "4", "0xabcd"});
    server.join();
    INFO(asked.err << served.err);
    CHECK_THAT(asked.out, Contains("region  bar0   0x00002000 bytes  rw  mappable 0x1000-0x1fff\n"));
    CHECK_THAT(asked.out, Contains("read bar0 0x0 4 0x00000007\nwrite bar0 0x1010 4 0xabcd\n"));
    CHECK(served.code == 0);
    other.stop();
    others.join();
    CHECK(memory.load(mediant::region_index::bar0, 0x1010, 4).value_or(0) == 0xabcd);

    const outcome nobody = run({"serve", "--behind", (at / "none").string(), "--socket", socket});
    CHECK(nobody.code == 1);
    CHECK_THAT(nobody.err, Contains("none: No such file or directory"));
    const outcome missing = run({"serve", "--device", "ffff:ff:1f.7", "--socket", socket});
    CHECK(missing.code == 1);
    CHECK_THAT(missing.err, Contains("ffff:ff:1f.7: no such PCI device"));
}

TEST_CASE("serve --once ends with a client that greets and is gone at once") {
    mediant::test::temporary_folder at;
    const std::string socket = (at / "nic.sock").string();
    outcome served{};
    std::thread server{[&] { served = run({"serve", "8086:10d3", "--socket", socket, "--once"}); }};
    while (!std::filesystem::exists(socket)) std::this_thread::yield();
    {
        // One send, and the end before it is received.
        auto connection = mediant::vfio_user::connect_to(socket);
        REQUIRE(connection);
        mediant::vfio_user::client peer{std::move(*connection)};
        const auto hello = mediant::vfio_user::client::compose(
            {1, static_cast<std::uint16_t>(mediant::vfio_user::wire::command::version), 0, 0, 0},
            mediant::vfio_user::wire::version{0, 2});
        CHECK(peer.send(hello));
    }
    server.join();
    CHECK(served.code == 0);
}

TEST_CASE("serve: a socket's permissions, or a socket that is handed over") {
    mediant::test::temporary_folder at;
    const std::string socket = (at / "nic.sock").string();
    outcome served{};
    const auto ask = [&] {
        const outcome asked = run({"client", "--socket", socket, "read", "bar0", "0", "4"});
        CHECK(asked.code == 0);
    };
    SECTION("by path") {
        const std::string owner = std::to_string(::getuid()) + ":" + std::to_string(::getgid());
        std::thread server{[&] {
            served = run({"serve", "8086:10d3", "--socket-path", socket, "--socket-mode", "0600", "--socket-owner",
                          owner, "--once"});
        }};
        while (!std::filesystem::exists(socket)) std::this_thread::yield();
        CHECK(std::filesystem::status(socket).permissions() == std::filesystem::perms{0600});
        ask();
        server.join();
        CHECK(served.code == 0);
    }
    const auto listening = [&] {
        sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
        REQUIRE(socket.copy(address.sun_path, sizeof address.sun_path - 1) == socket.size());
        const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        REQUIRE(::listen(fd, 1) == 0);
        return fd;
    };
    SECTION("by number") {
        const std::string number = std::to_string(listening());
        std::thread server{[&] { served = run({"serve", "8086:10d3", "--fd", number, "--once"}); }};
        ask();
        server.join();
        CHECK(served.code == 0);
        CHECK(served.out == "listening on descriptor " + number + "\n");
        CHECK(std::filesystem::exists(socket)); // is not ours
    }
    SECTION("by systemd") {
        const int third = ::fcntl(3, F_DUPFD_CLOEXEC, 100); // whatever it was
        const int fd = listening();
        if (fd != 3) {
            REQUIRE(::dup2(fd, 3) == 3);
            ::close(fd);
        }
        ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
        ::setenv("LISTEN_FDS", "1", 1);
        std::thread server{[&] { served = run({"serve", "8086:10d3", "--once"}); }};
        ask();
        server.join();
        CHECK(served.code == 0);
        if (third >= 0) {
            ::dup2(third, 3);
            ::close(third);
        }
        ::setenv("LISTEN_FDS", "2", 1);
        CHECK_THAT(run({"serve", "8086:10d3"}).err, Contains("2 sockets"));
        ::setenv("LISTEN_PID", "1", 1);
        CHECK_THAT(run({"serve", "8086:10d3"}).err, Contains("--socket PATH and --fd NUMBER"));
        ::unsetenv("LISTEN_PID");
        ::unsetenv("LISTEN_FDS");
    }
    SECTION("what makes no sense") {
        const auto error_of = [&](std::vector<std::string> more) {
            std::vector<std::string> all{"serve", "8086:10d3"};
            all.insert(all.end(), more.begin(), more.end());
            const outcome refused = run(all);
            CHECK(refused.code != 0);
            return refused.err;
        };
        CHECK_THAT(error_of({}), Contains("--socket PATH and --fd NUMBER"));
        CHECK_THAT(error_of({"--socket", socket, "--fd", "7"}), Contains("excludes"));
        CHECK_THAT(error_of({"--socket", socket, "--socket-mode", "1777"}), Contains("--socket-mode 1777"));
        CHECK_THAT(error_of({"--socket", socket, "--socket-mode", "rw"}), Contains("octal"));
        CHECK_THAT(error_of({"--socket", socket, "--socket-owner", "nobody-of-that-name"}), Contains("no user"));
        CHECK_THAT(error_of({"--socket", socket, "--socket-owner", ":nobody-of-that-name"}), Contains("no group"));
        CHECK_THAT(error_of({"--socket", socket, "--socket-owner", ":"}), Contains("USER:GROUP"));
        CHECK_THAT(error_of({"--fd", "7", "--socket-mode", "0600"}), Contains("already"));
        CHECK_THAT(error_of({"--fd", "9999"}), Contains("Bad file descriptor"));
        const int file = ::open(at.path().c_str(), O_RDONLY | O_CLOEXEC);
        CHECK_THAT(error_of({"--fd", std::to_string(file)}), Contains("Invalid argument"));
        const int unbound = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CHECK_THAT(error_of({"--fd", std::to_string(unbound)}), Contains("Invalid argument"));
        CHECK_FALSE(std::filesystem::exists(socket));
    }
}

TEST_CASE("a client says what went wrong, and what was done before") {
    mediant::test::temporary_folder at;
    const std::string socket = (at / "nic.sock").string();
    std::thread server{[&] { static_cast<void>(run({"serve", "8086:10d3", "--socket", socket, "--once"})); }};
    while (!std::filesystem::exists(socket)) std::this_thread::yield();
    const outcome asked = run(
        {"client", "--socket", socket, "read", "bar0", "0", "4", "read", "bar0", "0x2000", "4", "reset"});
    server.join();
    CHECK(asked.code == 1);
    CHECK(asked.out == "read bar0 0x0 4 0x00000007\n");
    CHECK(asked.err == "acme-nics: error: read bar0 0x2000 4: Invalid argument (errno 22)\n");
    const outcome nobody = run({"client", "--socket", socket, "info"});
    CHECK(nobody.code == 1);
    CHECK_THAT(nobody.err, Contains("nic.sock: No such file or directory"));
}

TEST_CASE("a client gives the device memory that it does not share") {
    mediant::test::temporary_folder at;
    const std::string socket = (at / "edu.sock").string();
    mediant::device::edu model;
    mediant::stack<mediant::device::edu> device{model};
    mediant::vfio_user::server server{device, {.path = socket}};
    std::thread loop{[&] { server.run(); }};
    for (const bool twin : {false, true}) {
        std::vector<std::string> words{"client", "--socket", socket};
        if (twin) words.emplace_back("--twin-socket");
        for (const char* const word :
             {"write", "config", "4",      "2",      "6",          "memory", "0x1000", "0x2000", "put",   "0x1ffc", "8",
              "0x1122334455667788", "write", "bar0", "0x80",       "4",      "0x1ffc", "write",  "bar0",  "0x88",   "4",
              "0x40000", "write",  "bar0",  "0x90",  "4",          "8",      "write",  "bar0",   "0x98",  "4",      "1",
              "serve",  "2",       "20000", "write", "bar0",       "0x80",   "4",      "0x40000", "write", "bar0",  "0x88",
              "4",      "0x2804",  "write", "bar0",  "0x98",       "4",      "3",      "serve",  "1",     "20000",  "get",
              "0x2804", "8"})
            words.emplace_back(word);
        const outcome asked = run(words);
        INFO(asked.err);
        CHECK(asked.code == 0);
        CHECK_THAT(asked.out, Contains("memory 0x1000 0x2000\nput 0x1ffc 8 0x1122334455667788\n"));
        CHECK_THAT(asked.out, Contains("serve 2 20000: reads 2, writes 0\n")); // two pages
        CHECK_THAT(asked.out, Contains("serve 1 20000: reads 0, writes 1\nget 0x2804 8 0x1122334455667788\n"));
    }
    const outcome nothing = run({"client", "--socket", socket, "memory", "0", "0x1000", "serve", "1", "20"});
    CHECK(nothing.err == "acme-nics: error: serve 1 20: the device asked 0 times\n");
    const outcome elsewhere = run({"client", "--socket", socket, "memory", "0", "0x1000", "get", "0xffe", "4"});
    CHECK(elsewhere.err == "acme-nics: error: get 0xffe 4: no memory was given to the device there\n");
    server.stop();
    loop.join();
}

TEST_CASE("a signal ends serve cleanly") {
    mediant::test::temporary_folder at;
    const std::string socket = (at / "nic.sock").string();
    for (const int signal : {SIGINT, SIGTERM}) {
        outcome served{};
        std::thread server{[&] { served = run({"serve", "8086:10d3", "--socket", socket}); }};
        while (!std::filesystem::exists(socket)) std::this_thread::yield();
        ::kill(::getpid(), signal);
        server.join();
        CHECK(served.code == 0);
        CHECK_FALSE(std::filesystem::exists(socket));
    }
}

TEST_CASE("a program without libbpf says so, and what has the command") {
    const std::vector<std::vector<std::string>> all{
        {"attach", "x.bpf.o"}, {"detach", "x"}, {"replace", "x.bpf.o"}, {"status"}, {"units", "x.bpf.o"}};
    for (const std::vector<std::string>& arguments : all) {
        const auto done = run(arguments);
        CHECK(done.code == 1);
        CHECK(done.err.find(arguments[0] + ": this program is built without libbpf 1.4 (mediant::bpf in CMake") !=
              std::string::npos);
        CHECK(done.err.find("mediant-bpf has the command") != std::string::npos);
    }
}

TEST_CASE("serve says what it cannot serve") {
    mediant::test::temporary_folder at;
    const std::string socket = (at / "nic.sock").string();
    CHECK(run({"serve", "1:2", "--socket", socket}).err ==
          "acme-nics: error: 0001:0002: no provider serves this device\n");
    CHECK_THAT(run({"serve", "1234:1", "--socket", socket}).err, Contains("1234:0001: declined by shy"));
    CHECK(run({"serve", "8086:10d3", "--socket", (at / "no/nic.sock").string()}).code == 1);
}
