// SPDX-License-Identifier: BSD-3-Clause
// Files that a client sends: which of them are taken for memory, and that none of them holds the server.
#include "messages.hpp"
#include "silent_files.hpp"

#include <catch2/catch.hpp>

#include <netinet/in.h>
#include <sys/mman.h>

#include <array>
#include <cerrno>
#include <string>
#include <vector>

using namespace vfio_user_test;
using wire::command;

namespace {

/// A file on a disk, or whatever the folder is on.
unique_fd file_in(const char* folder) {
    std::string name = std::string{folder} + "/mediant-XXXXXX";
    unique_fd made{::mkostemp(name.data(), O_CLOEXEC)};
    ::unlink(name.c_str());
    if (made && ::ftruncate(made.get(), 0x10000) != 0) made.reset();
    return made;
}

} // namespace

TEST_CASE("vfio-user files: which are memory") {
    CHECK(is_memory_file(memory_file(4096).get()));
    CHECK(is_memory_file(unique_fd{::memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING)}.get()));
    if (const unique_fd huge{::memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB)}) CHECK(is_memory_file(huge.get()));
    if (const auto shared = file_in("/dev/shm")) CHECK(is_memory_file(shared.get()));
    CHECK_FALSE(is_memory_file(event_file().get()));
    CHECK_FALSE(is_memory_file(unique_fd{::open("/proc/self/exe", O_RDONLY | O_CLOEXEC)}.get()));
    CHECK_FALSE(is_memory_file(unique_fd{::open("/dev/zero", O_RDWR | O_CLOEXEC)}.get()));
    CHECK_FALSE(is_memory_file(-1));
    const auto file = memory_file(0x3000);
    struct stat known {};
    REQUIRE(::fstat(file.get(), &known) == 0);
    const auto looked = look_at(file.get());
    REQUIRE(looked);
    CHECK((looked->type == S_IFREG && looked->size == 0x3000));
    CHECK((looked->device == known.st_dev && looked->inode == known.st_ino));
    CHECK(look_at(-1).error() == error{EBADF});
}

TEST_CASE("vfio-user files: a server that wants memory takes nothing else, and says so") {
    std::vector<std::string> lines;
    by_hand at{{.memory_files_only = true, .log = [&](std::string_view text, std::span<const std::uint64_t> numbers) {
                    lines.emplace_back(text);
                    CHECK((numbers.size() == 2 && numbers[0] == 0x1000 && numbers[1] == 0x1000));
                }}};
    at.negotiate();
    const unique_fd other{::open("/dev/zero", O_RDWR | O_CLOEXEC)};
    const auto memory = memory_file(0x1000), event = event_file();
    const auto files = open_files();
    for (const int each : {other.get(), event.get()})
        CHECK(at.error_of(map_of(0x1000, 0x1000), std::array{each}) == EPERM);
    CHECK(lines.size() == 2);
    CHECK(lines[0].find("tmpfs") != std::string::npos);
    CHECK(at.error_of(map_of(0x1000, 0x1000), std::array{memory.get()}) == 0);
    CHECK(at.error_of(map_of(0x2000, 0x1000)) == 0); // not shared
    for (int i = 0; i < 10; ++i) CHECK(at.error_of(map_of(0x1000, 0x1000), std::array{other.get()}) == EPERM);
    CHECK(lines.size() == 4); // a client does not fill a disk
    CHECK(eventually([&] { return open_files() <= files; }));
}

TEST_CASE("vfio-user files: one that is no memory is taken where that is wanted") {
    by_hand at;
    at.negotiate();
    const unique_fd other{::open("/dev/zero", O_RDWR | O_CLOEXEC)};
    CHECK(at.error_of(map_of(0x1000, 0x1000), std::array{other.get()}) == 0);
}

TEST_CASE("vfio-user files: a file system that does not answer holds nobody") {
    const bool memory_only = GENERATE(false, true);
    const auto before = open_files();
    {
        silent_file_system silent;
        if (!silent.mounted()) {
            WARN("no file system of our own here: /dev/fuse, or the right to mount, is missing");
            return;
        }
        const auto file = silent.open();
        REQUIRE(file);
        const std::array one{file.get()};
        const std::array two{file.get(), file.get()};
        by_hand at{{.memory_files_only = memory_only, .log = [](auto, auto) {}}};
        at.negotiate();
        const auto files = open_files();
        CHECK(at.error_of(map_of(0x1000, 0x1000), one) == (memory_only ? EPERM : 0));
        CHECK(at.error_of(irqs_of(1 << 2 | 1 << 5, 1, 0, 1), one) == EINVAL);
        CHECK(at.error_of(map_of(0x10000, 0x1000), two) == EINVAL);
        // Where none belongs, and far more than are closed at a time.
        for (int i = 0; i < 20; ++i)
            CHECK(at.error_of(message_of(command::device_get_info, wire::device_info{16, 0, 0, 0}), two) == 0);
        CHECK(at.error_of(unmap_of(0x1000, 0x1000)) == (memory_only ? ENOENT : 0));
        CHECK(at.alive());
        at.peer.disconnect();
        at.pump();
        CHECK(at.server->closed());
        // It was told of them, if not by who serves.
        CHECK(eventually([&] { return silent.asked() != 0; }));
        CHECK(silent.hung() == 0);
        silent.answer();
        CHECK(eventually([&] { return open_files() <= files - 1; })); // the peer's end is gone
    }
    CHECK(eventually([&] { return open_files() <= before; }));
}

TEST_CASE("vfio-user files: a socket that lingers holds nobody") {
    const unique_fd listening{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(listening.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(listening.get(), 1) == 0);
    REQUIRE(::getsockname(listening.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    by_hand at;
    at.negotiate();
    const auto files = open_files();
    unique_fd taken;
    {
        const unique_fd lingers{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        REQUIRE(::connect(lingers.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0);
        taken = unique_fd{::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC)};
        // More than the other side has room for, which reads nothing.
        const bytes much(8 << 20);
        while (::send(lingers.get(), much.data(), much.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {}
        const linger patient{1, 600};
        REQUIRE(::setsockopt(lingers.get(), SOL_SOCKET, SO_LINGER, &patient, sizeof patient) == 0);
        at.send(message_of(command::device_get_info, wire::device_info{16, 0, 0, 0}), std::array{lingers.get()});
    } // the server's is the last, now
    at.pump();
    CHECK(at.replies().size() == 1);
    CHECK(at.alive());
    taken.reset(); // with what was not read: a reset, which ends the wait
    CHECK(eventually([&] { return open_files() <= files; }));
}
