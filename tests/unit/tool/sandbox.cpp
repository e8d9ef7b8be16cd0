// SPDX-License-Identifier: BSD-3-Clause
// The sandbox: each test enters it in a process of its own, as there is no way back.
#include <mediant/device/memory_device.hpp>
#include <mediant/vfio_user/client.hpp>
#include <mediant/vfio_user/sandbox.hpp>
#include <mediant/vfio_user/server.hpp>

#include "../temporary_folder.hpp"
#include "../vfio_user/by_hand.hpp"

#include <mediant/mediant.hpp>
#include <mediant/tool/tool.hpp>

#include <catch2/catch.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace escaping {
using namespace mediant;

/// A policy that is not to be trusted.
struct policy {
    static constexpr auto info = provider{"escaping", {pci_id{0x1234, 0x0bad}}};
    static constexpr auto bar0 = region_map{bar{0},
                                            4_KiB,
                                            reg{"OPEN", 0x00, ro, {.hook = on::read}},
                                            reg{"RUN", 0x04, ro, {.hook = on::read}},
                                            reg{"CALL", 0x08, ro, {.hook = on::read}},
                                            reg{"FINE", 0x0c, ro, {.backing = from::constant, .value = 42}}};
    static constexpr auto regions = mediant::regions<bar0>{};

    static result<std::uint32_t> outcome(long done) { return done < 0 ? result<std::uint32_t>{error{errno}} : 1u; }
    result<std::uint32_t> read(at<bar0, "OPEN">, auto&) { return outcome(::open("/etc/passwd", O_RDONLY | O_CLOEXEC)); }
    result<std::uint32_t> read(at<bar0, "RUN">, auto&) {
        return outcome(::execl("/bin/true", "true", static_cast<char*>(nullptr)));
    }
    result<std::uint32_t> read(at<bar0, "CALL">, auto&) { return outcome(::socket(AF_INET, SOCK_STREAM, 0)); }
};
static_assert(valid<policy>);
using devices = registry<policy>;
} // namespace escaping

namespace {
using namespace mediant::vfio_user;
using vfio_user_test::eventually;

struct ended {
    int code = -1;   // of exit(), or
    int signal = -1; // what it died of
    std::string said;
};

/// Runs it in a process of its own.
ended apart(const std::function<int()>& what) {
    std::array<int, 2> ends{};
    REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    const pid_t process = ::fork();
    if (process == 0) {
        ::dup2(ends[1], STDERR_FILENO);
        ::_exit(what());
    }
    ::close(ends[1]);
    ended found;
    std::array<char, 4096> buffer;
    for (ssize_t got; (got = ::read(ends[0], buffer.data(), buffer.size())) > 0;)
        found.said.append(buffer.data(), static_cast<std::size_t>(got));
    ::close(ends[0]);
    int status = 0;
    ::waitpid(process, &status, 0);
    if (WIFEXITED(status)) found.code = WEXITSTATUS(status);
    if (WIFSIGNALED(status)) found.signal = WTERMSIG(status);
    return found;
}

/// 0 where `what` fails with EPERM in the sandbox.
ended refused(const std::function<long()>& what) {
    return apart([&] {
        if (!enter_sandbox("; so there")) return 100;
        errno = 0;
        if (what() >= 0) return 101;
        return errno == EPERM ? 0 : errno;
    });
}

/// Whether there is a sandbox in this build.
bool here() {
    const char* const why = no_sandbox();
    if (why == nullptr) return true;
    WARN("no sandbox: " << why);
    CHECK(enter_sandbox().error() == mediant::error::not_supported);
    return false;
}

} // namespace

TEST_CASE("what serving does not need is refused and told") {
    if (!here()) return;
    const auto check = [](const char* name, const std::function<long()>& what) {
        INFO(name);
        const auto end = refused(what);
        CHECK(end.code == 0);
        CHECK(end.said == std::string{"sandbox: refused "} + name + "; so there\n");
    };
    check("openat", [] { return ::open("/etc/passwd", O_RDONLY); });
    check("execve", [] { return ::execl("/bin/true", "true", static_cast<char*>(nullptr)); });
    check("socket", [] { return ::socket(AF_UNIX, SOCK_STREAM, 0); });
    check("clone", [] { return ::fork(); });
    check("kill", [] { return ::kill(1, 0); });
    check("unlinkat", [] { return ::unlinkat(AT_FDCWD, "/nowhere", 0); });
    check("prctl", [] { return ::prctl(PR_SET_DUMPABLE, 1); });
    check("ptrace", [] { return ::syscall(__NR_ptrace, 0, 0, 0, 0); });
    check("mmap of executable memory", [] {
        return ::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0;
    });
    check("mprotect of executable memory", [] {
        void* const memory = ::mmap(nullptr, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return ::mprotect(memory, 4096, PROT_READ | PROT_EXEC);
    });
    check("fcntl", [] { return ::fcntl(0, F_SETOWN, 1); });
    check("socketpair", [] {
        int pair[2];
        return ::socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
    });
    check("tgkill", [] { return ::syscall(__NR_tgkill, 1, 1, 0); });
}

TEST_CASE("what serving needs is there") {
    if (!here()) return;
    const auto end = apart([] {
        if (!enter_sandbox()) return 100;
        int pair[2];
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) return 1;
        bool ran = false;
        std::thread{[&ran] {
            std::vector<int> memory(10'000'000, 1);
            ran = memory.back() == 1;
        }}.join();
        if (!ran) return 2;
        try {
            throw std::runtime_error{"this unwinds"};
        } catch (const std::exception&) {}
        const auto file = vfio_user_test::memory_file(1 << 20);
        void* const at = ::mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
        if (at == MAP_FAILED || ::munmap(at, 1 << 20) != 0) return 3;
        if (!vfio_user_test::event_file()) return 4;
        // Threads are in it too.
        bool kept = true;
        std::thread{[&kept] { kept = ::open("/etc/passwd", O_RDONLY) < 0 && errno == EPERM; }}.join();
        return kept ? 0 : 5;
    });
    INFO(end.said);
    CHECK(end.code == 0);
    CHECK(end.said == "sandbox: refused openat\n");
}

TEST_CASE("threads that were there before are in it, too") {
    if (!here()) return;
    const auto end = apart([] {
        std::atomic<int> turn{0};
        bool kept = false;
        std::thread before{[&] {
            turn = 1;
            while (turn != 2) std::this_thread::yield();
            kept = ::open("/etc/passwd", O_RDONLY) < 0 && errno == EPERM;
        }};
        while (turn != 1) std::this_thread::yield();
        const bool entered = enter_sandbox().has_value();
        turn = 2;
        before.join();
        return entered && kept ? 0 : 1;
    });
    CHECK(end.code == 0);
}

TEST_CASE("a program may have system calls of its own left") {
    if (!here()) return;
    CHECK(apart([] {
              const std::array more{__NR_openat};
              return enter_sandbox({}, more) && ::open("/etc/passwd", O_RDONLY) >= 0 ? 0 : 1;
          }).code == 0);
}

TEST_CASE("who tries again and again does not fill a disk") {
    if (!here()) return;
    const auto end = apart([] {
        if (!enter_sandbox()) return 100;
        for (int i = 0; i < 1000; ++i) (void)::open("/etc/passwd", O_RDONLY);
        return 0;
    });
    CHECK(end.code == 0);
    CHECK(std::count(end.said.begin(), end.said.end(), '\n') == 20);
    CHECK(end.said.ends_with("; what else is refused is not told\n"));
}

#ifdef __x86_64__
TEST_CASE("system calls of another architecture end the process") {
    if (!here()) return;
    // 32-bit and x32 numbers mean other things than those that are looked at.
    CHECK(apart([] {
              if (!enter_sandbox()) return 100;
              long number = 20; // getpid, as 32-bit programs call it
              asm volatile("int $0x80" : "+a"(number) : : "memory");
              return 1;
          }).signal == SIGSYS);
    CHECK(apart([] {
              if (!enter_sandbox()) return 100;
              (void)::syscall(0x40000000 | __NR_getpid);
              return 1;
          }).signal == SIGSYS);
}
#endif

TEST_CASE("serve keeps a device that is not to be trusted in") {
    if (!here()) return;
    const mediant::test::temporary_folder at;
    const std::string socket = (at / "bad.sock").string();
    const pid_t tester = ::getpid();
    std::thread client{[&] {
        mediant::result<mediant::vfio_user::client> peer = mediant::error::not_found;
        if (!eventually([&] { return (peer = client::connect(socket)).has_value(); })) return;
        REQUIRE((*peer).negotiate());
        std::array<std::byte, 4> bytes{};
        const auto read = [&](std::uint64_t offset) {
            return (*peer).read({mediant::region_index::bar0, offset, bytes}).error;
        };
        CHECK(read(0) == mediant::error::not_permitted);
        CHECK(read(4) == mediant::error::not_permitted);
        CHECK(read(8) == mediant::error::not_permitted);
        CHECK(read(12) == mediant::error::none);
        CHECK(bytes[0] == std::byte{42});
    }};
    const auto end = apart([&] {
        const std::array<const char*, 5> words{"acme", "serve", "1234:0bad", "--socket", socket.c_str()};
        std::vector<const char*> all{words.begin(), words.end()};
        all.push_back("--once");
        std::ostringstream out;
        return mediant::tool<escaping::devices>(static_cast<int>(all.size()), all.data(), out, std::cerr);
    });
    client.join();
    CHECK(::getpid() == tester);
    CHECK(end.code == 0);
    CHECK(end.said == "sandbox: refused openat; serve --sandbox=off would allow it\n"
                      "sandbox: refused execve; serve --sandbox=off would allow it\n"
                      "sandbox: refused socket; serve --sandbox=off would allow it\n");
    CHECK(!std::filesystem::exists(socket)); // by the process that stayed outside
}

TEST_CASE("serve becomes another user, where it may") {
    if (!here()) return;
    const mediant::test::temporary_folder at;
    const std::string socket = (at / "user.sock").string();
    const auto serve = [&](const char* user) {
        return apart([&] {
            const std::array<const char*, 7> words{"acme",         "serve",  "1234:0bad", "--socket",
                                                   socket.c_str(), "--user", user};
            std::vector<const char*> all{words.begin(), words.end()};
            all.push_back("--once");
            std::ostringstream out;
            const int code = mediant::tool<escaping::devices>(static_cast<int>(all.size()), all.data(), out, std::cerr);
            return code != 0 ? code : ::getuid() == 65534 ? 0 : 50;
        });
    };
    CHECK(serve("no-such-user").code == 2);
    if (::getuid() == 0) {
        std::thread client{[&] {
            mediant::result<mediant::vfio_user::client> peer = mediant::error::not_found;
            if (eventually([&] { return (peer = client::connect(socket)).has_value(); })) REQUIRE((*peer).negotiate());
        }};
        const auto end = serve("65534:65534");
        client.join();
        INFO(end.said);
        CHECK(end.code == 0);
        CHECK(!std::filesystem::exists(socket));
    } else {
        const auto end = serve("65534:65534");
        CHECK(end.code == 1);
        CHECK(end.said.find("Operation not permitted") != end.said.npos);
    }
}
