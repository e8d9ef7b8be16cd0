// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Runs in a guest: mediant-bpf, linked statically, with the host as it is loaded on demand. What it says of a machine
/// that lacks something, what it attaches, replaces and takes away under an open device, what it says of refusals, that
/// one that is killed leaves nothing behind, and that the kernel's request for a provider runs it by modprobe.
///
///   bpf_loader able|unable
///
/// unable is a kernel on which the host takes no BPF providers. Needs an edu device, /mediant-bpf, and the objects of
/// tests/unit/bpf in /objects; kmod's modprobe as /kmod/modprobe.

#include "expect.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <linux/bpf.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace mediant::guest;

constexpr std::uint32_t bar0 = VFIO_PCI_BAR0_REGION_INDEX;
constexpr std::uint64_t counter = 0x28;
const std::filesystem::path pin = "/sys/fs/bpf/mediant/edu";

struct answer {
    int code = 0;
    std::string text; ///< of both
};

/// A command of the loader's.
answer loader(const std::string& arguments) {
    answer out;
    std::FILE* const pipe = ::popen(("/mediant-bpf " + arguments + " 2>&1").c_str(), "r");
    if (pipe == nullptr) fail(errno, "popen");
    char some[4096];
    while (const std::size_t size = std::fread(some, 1, sizeof some, pipe)) out.text.append(some, size);
    const int status = ::pclose(pipe);
    out.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return out;
}

/// Runs one, which ends with a code and says something.
void expect_loader(const std::string& arguments, int code, std::initializer_list<const char*> says) {
    const answer got = loader(arguments);
    expect(arguments, static_cast<unsigned>(got.code), static_cast<unsigned>(code));
    bool all = got.code == code;
    for (const char* const text : says) {
        const bool said = got.text.find(text) != got.text.npos;
        expect(arguments + " says \"" + text + '"', said, true);
        all = all && said;
    }
    if (!all) std::printf("%s\n", got.text.c_str());
}

void expect_success(const std::string& command) {
    expect(command, static_cast<unsigned>(std::system(command.c_str())), 0);
}

void lacking(bool able) {
    section("what the machine lacks");
    expect_loader("attach /objects/edu.bpf.o", 1, {"the host is not loaded", "modprobe vfio_pci_mediate"});
    expect_loader("status", 1, {"the host is not loaded"});
    expect_success("modprobe vfio_pci_mediate");
    if (!able) {
        expect_loader("attach /objects/edu.bpf.o", 1, {"BPF providers"});
        expect_loader("status", 1, {"BPF providers"});
        return;
    }
    expect_loader("status", 0, {"takes BPF providers"});
    expect_loader("attach /objects/edu.bpf.o", 1, {"there is no bpffs", "mount -t bpf bpf /sys/fs/bpf"});
    expect_loader("attach /objects/later_version.bpf.o", 1, {"made for version 9", "for version 1"});
    expect_loader("attach /init", 1, {"no ELF file"});
    const ::pid_t child = ::fork();
    if (child == 0) {
        if (::setresuid(65534, 65534, 65534) != 0) ::_exit(2);
        const answer got = loader("attach /objects/edu.bpf.o");
        ::_exit(got.code == 1 && got.text.find("this needs CAP_SYS_ADMIN") != got.text.npos ? 0 : 1);
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    expect("as nobody it says what it needs", static_cast<unsigned>(status), 0);
}

void under_an_open_device(const std::string& address) {
    section("attached, replaced and taken away under an open device");
    expect_loader("attach --mount-bpffs /objects/edu.bpf.o", 0,
                  {"edu: attached as link ", "pinned at /sys/fs/bpf/mediant/edu"});
    expect_loader("attach /objects/edu.bpf.o", 1, {"attached already; replace"});
    expect_loader("attach --if-needed /objects/edu.bpf.o", 0, {"attached already"});
    expect_loader(
        "attach --pin-dir /sys/fs/bpf/other /objects/edu.bpf.o", 1,
        {"File exists", "attached by another pin", "the kernel's log says", "a BPF provider of the name edu"});
    expect("a module that is needed", static_cast<unsigned>(std::system("rmmod vfio_pci_mediate 2>/dev/null") == 0), 0);
    expect_loader("status", 0,
                  {"pinned at /sys/fs/bpf/mediant/edu", "0x1234567890abcdef", "1234:11e8", "read = edu_read"});

    const container space;
    std::optional<device> edu{std::in_place, space, address};
    edu->put<std::uint64_t>(bar0, counter, 41);
    expect("what was written", edu->get<std::uint64_t>(bar0, counter), 41);
    expect_loader("status", 0, {("open      " + address).c_str()});
    expect_loader("status --json", 0, {("\"" + address + '"').c_str(), "\"withdrawn\": []"});

    expect_loader("replace /objects/edu_again.bpf.o", 0, {"edu: replaced, as link "});
    expect("the state, by the new one", edu->get<std::uint64_t>(bar0, counter), 42);
    expect_loader("replace /objects/other_identity.bpf.o", 1, {"its identity differs", "Invalid argument"});
    expect_loader("replace /objects/out_of_bounds.bpf.o", 1,
                  {"call->value = state[context[2]]; @ provider.c:", "processed ", // the log, with source lines
                   "the kernel's verifier refuses the program edu_read"});
    const answer whole = loader("replace /objects/long_log.bpf.o");
    expect("a log of more than a buffer, as long", whole.text.size() > (std::size_t{64} << 10), true);
    expect("its beginning", whole.text.find("\n0: R1=ctx() R10=fp0\n") != whole.text.npos, true);
    expect("its end", whole.text.find("\nprocessed ") != whole.text.npos, true);
    expect("the one before", edu->get<std::uint64_t>(bar0, counter), 42);

    expect_loader("detach edu", 0, {"edu: detached"});
    expect("its pin", std::filesystem::exists(pin), false);
    expect("withdrawn",
           static_cast<unsigned>(error_of([&] { static_cast<void>(edu->get<std::uint64_t>(bar0, counter)); })), EIO);
    expect_loader("status", 0, {"edu: withdrawn", address.c_str()});
    expect_loader("detach edu", 1, {"nothing is pinned there"});
    expect_loader("detach edu --if-attached", 0, {"not attached"});
    expect_loader("replace /objects/edu.bpf.o", 1, {"nothing is pinned there"});
    expect_loader("attach /objects/other_identity.bpf.o", 1, {"before it was withdrawn", "the kernel's log says"});
    expect_loader("attach /objects/out_of_bounds.bpf.o", 1, {"the kernel's verifier refuses"});
    expect("nothing is left", std::filesystem::exists(pin), false);
    expect_loader("attach /objects/edu.bpf.o", 0, {"attached as link"});
    expect("the state is still there", edu->get<std::uint64_t>(bar0, counter), 41);
    edu.reset();
    expect_loader("detach edu", 0, {});
}

/// Another program's map in the folder, of a type whose number is that of a link's.
void foreign_pins() {
    section("what else is pinned");
    union bpf_attr map {};
    map.map_type = BPF_MAP_TYPE_LRU_HASH;
    static_assert(int{BPF_MAP_TYPE_LRU_HASH} == int{BPF_LINK_TYPE_STRUCT_OPS});
    map.key_size = 8;
    map.value_size = 8;
    map.max_entries = 64;
    const auto fd = static_cast<std::uint32_t>(::syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof map));
    union bpf_attr to {};
    to.pathname = reinterpret_cast<std::uintptr_t>(pin.c_str());
    to.bpf_fd = fd;
    expect("a map is pinned", static_cast<std::uint64_t>(::syscall(SYS_bpf, BPF_OBJ_PIN, &to, sizeof to)), 0);
    expect_loader("status", 0, {"edu: is no provider's link"});
    expect_loader("detach edu", 1, {"it is no provider's link; it is left as it is"});
    expect_loader("replace /objects/edu.bpf.o", 1, {"it is no provider's link"});
    expect_loader("attach --if-needed /objects/edu.bpf.o", 1, {"is no provider's link; remove it"});
    expect("it is left", std::filesystem::remove(pin), true);
    ::close(static_cast<int>(fd));
}

void killed() {
    section("a loader that is killed");
    // At any moment of what it takes here, and of some time more.
    const auto began = std::chrono::steady_clock::now();
    expect_loader("attach /objects/edu.bpf.o", 0, {});
    const auto whole = std::chrono::steady_clock::now() - began;
    expect_loader("detach edu", 0, {});
    unsigned pinned = 0;
    for (int part = 0; part < 20; ++part) {
        const ::pid_t child = ::fork();
        if (child == 0) {
            if (std::freopen("/dev/null", "w", stdout) != nullptr)
                ::execl("/mediant-bpf", "mediant-bpf", "attach", "/objects/edu.bpf.o", nullptr);
            ::_exit(127);
        }
        std::this_thread::sleep_for(whole * part / 7);
        const bool kills = part != 19;
        if (kills) ::kill(child, SIGKILL);
        int ended = -1;
        ::waitpid(child, &ended, 0);
        if (!kills) expect("one that is left alone", static_cast<unsigned>(ended), 0);
        const answer status = loader("status");
        const bool there = std::filesystem::exists(pin);
        pinned += there ? 1 : 0;
        expect("attached, but not pinned", status.text.find("not pinned") != status.text.npos, false);
        expect("pinned, but not attached", status.text.find("identity") != status.text.npos, there);
        expect_loader("detach --if-attached edu", 0, {});
    }
    std::printf("it was done before it was killed %u times of 20\n", pinned);
}

/// What units writes for modprobe, with kmod's own modprobe as the kernel calls it.
void on_demand(const std::string& address) {
    section("attached when a device is opened");
    expect_loader("units /objects/edu.bpf.o --out /etc --program /mediant-bpf --objects /objects", 0,
                  {"/etc/modprobe.d/mediant-bpf-edu.conf"});
    std::ofstream{"/proc/sys/kernel/modprobe"} << "/kmod/modprobe";
    expect("before", std::filesystem::exists(pin), false);
    const container space;
    {
        const device edu{space, address};
        expect("when it is open", std::filesystem::exists(pin), true);
        edu.put<std::uint64_t>(bar0, counter, 7);
        expect("it is mediated", edu.get<std::uint64_t>(bar0, counter), 7);
    }
    const device again{space, address};
    expect("a new state", again.get<std::uint64_t>(bar0, counter), 0);
}

} // namespace

int main(int argc, char** argv) {
    return run_test("bpf_loader", [&] {
        const bool able = argc == 2 && std::string{argv[1]} == "able";
        lacking(able);
        if (!able) return;
        const auto address = find_pci(0x1234, 0x11e8);
        if (!address || !bind(*address, "vfio_pci_mediate")) fail(ENODEV, "no edu device under the host");
        under_an_open_device(*address);
        foreign_pins();
        killed();
        on_demand(*address);
    });
}
