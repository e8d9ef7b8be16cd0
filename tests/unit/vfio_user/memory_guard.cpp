// SPDX-License-Identifier: BSD-3-Clause
// Files that are cut short below a mapping, several at once, and a SIGBUS that is none of the guard's.
#include <mediant/device/unique_fd.hpp>
#include <mediant/vfio_user/memory_guard.hpp>

#include <catch2/catch.hpp>

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <deque>
#include <thread>
#include <utility>
#include <vector>

using mediant::device::unique_fd;
using mediant::vfio_user::memory_guard;

namespace {

constexpr std::size_t size = 0x3000;

/// Before the first watch: what the guard passes on ends a process, also where a sanitizer has a handler of its own.
const bool plain = ::signal(SIGBUS, SIG_DFL) != SIG_ERR;

/// A file, mapped.
struct mapped_file {
    mapped_file() {
        REQUIRE(::ftruncate(file.get(), size) == 0);
        at = static_cast<volatile char*>(
            ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0));
        REQUIRE(at != MAP_FAILED);
    }
    mapped_file(const mapped_file&) = delete;
    mapped_file& operator=(const mapped_file&) = delete;
    ~mapped_file() { ::munmap(const_cast<char*>(at), size); }
    void cut() const { REQUIRE(::ftruncate(file.get(), 0) == 0); }

    unique_fd file{::memfd_create("guarded", MFD_CLOEXEC)};
    volatile char* at = nullptr;
};

/// The signal that ends a child process that does `what`, 0 where none does.
template <class F>
int signal_of(F what) {
    const pid_t child = ::fork();
    if (child == 0) {
        what();
        ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

} // namespace

TEST_CASE("memory guard: the mapping that lost its file, and no other") {
    REQUIRE(plain);
    const mapped_file first;
    const mapped_file second;
    std::atomic<bool> lost_first{false};
    std::atomic<bool> lost_second{false};
    {
        const memory_guard one{const_cast<char*>(first.at), size, lost_first};
        const memory_guard two{const_cast<char*>(second.at), size, lost_second};
        second.at[0x2000] = 'x';
        first.cut();
        CHECK(first.at[0x2fff] == 0);
        CHECK(lost_first);
        first.at[0] = 'y'; // memory of our own by now
        CHECK(first.at[0] == 'y');
        CHECK_FALSE(lost_second);
        CHECK(second.at[0x2000] == 'x');
    }
    CHECK(signal_of([&] {
              second.cut();
              second.at[0] = 'z';
          }) == SIGBUS); // its watch is over
}

TEST_CASE("memory guard: a watch moves with its owner") {
    const mapped_file file;
    std::atomic<bool> lost{false};
    memory_guard first{const_cast<char*>(file.at), size, lost};
    memory_guard second{std::move(first)};
    first = {};
    memory_guard third;
    third = std::move(second);
    file.cut();
    CHECK(file.at[0x1000] == 0);
    CHECK(lost);
}

TEST_CASE("memory guard: another handler gets what is not ours") {
    // In a child, since a handler that is installed first stays the one before ours.
    CHECK(signal_of([] {
              const mapped_file watched;
              const mapped_file unwatched;
              std::atomic<bool> lost{false};
              const memory_guard guard{const_cast<char*>(watched.at), size, lost};
              unwatched.cut();
              watched.cut();
              if (watched.at[0] != 0 || !lost) ::_exit(1);
              unwatched.at[0] = 1;
          }) == SIGBUS);
    CHECK(signal_of([] {
              const mapped_file watched;
              std::atomic<bool> lost{false};
              const memory_guard guard{const_cast<char*>(watched.at), size, lost};
              ::raise(SIGBUS); // somebody's kill
          }) == SIGBUS);
}

TEST_CASE("memory guard: more watches than one block holds, by several threads at once") {
    std::vector<std::thread> threads;
    std::atomic<int> found{0};
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&found] {
            for (int round = 0; round < 20; ++round) {
                std::atomic<bool> lost{false};
                std::deque<std::vector<char>> memory; // never touched by the handler
                std::vector<memory_guard> guards;
                const int fd = ::memfd_create("guarded", MFD_CLOEXEC);
                if (::ftruncate(fd, size) != 0) continue;
                auto* const at =
                    static_cast<volatile char*>(::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
                for (int i = 0; i < 50; ++i) {
                    guards.emplace_back(memory.emplace_back(64).data(), 64, lost);
                    if (i == 25) guards.emplace_back(const_cast<char*>(at), size, lost);
                }
                if (::ftruncate(fd, 0) == 0 && at[0x1000] == 0 && lost) found.fetch_add(1);
                guards.clear();
                ::munmap(const_cast<char*>(at), size);
                ::close(fd);
            }
        });
    }
    for (auto& each : threads) each.join();
    CHECK(found == 80);
}
