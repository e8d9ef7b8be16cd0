// SPDX-License-Identifier: BSD-3-Clause
// The server around a connection: its socket file, clients that come and go, the loop.
#include "by_hand.hpp"

#include <mediant/vfio_user/sandbox.hpp>

#include <catch2/catch.hpp>

#include <csignal>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

using namespace vfio_user_test;
using wire::command;
using namespace std::chrono_literals;

namespace {

using fake_server = mediant::vfio_user::server<fake_device>;

client connected(const std::string& path) {
    auto made = client::connect(path);
    if (!made) return {};
    (void)(*made).set_timeout(5s);
    return std::move(*made);
}

int bound_socket(const std::string& path, bool listening) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return -1;
    if (listening) (void)::listen(fd, 1);
    return fd;
}
bool exists(const std::string& path) {
    struct stat there {};
    return ::lstat(path.c_str(), &there) == 0;
}
int failure(fake_device& device, const std::string& path) {
    try {
        const fake_server made{device, {.path = path}};
        return 0;
    } catch (const std::system_error& what) {
        return what.code().value();
    }
}

fake_server* to_stop = nullptr;
extern "C" void stop_it(int) { to_stop->stop(); }

} // namespace

TEST_CASE("vfio-user server: its socket file comes and goes") {
    fake_device device;
    const auto path = socket_path("file");
    const auto before = open_files();
    {
        const fake_server made{device, {.path = path}};
        CHECK(exists(path));
        CHECK(failure(device, path) == EADDRINUSE); // somebody listens
        CHECK(exists(path));
    }
    CHECK_FALSE(exists(path));

    { // a file that a server left behind
        const unique_fd stale{bound_socket(path, false)};
        REQUIRE(stale);
    }
    CHECK(exists(path));
    CHECK(failure(device, path) == 0);
    CHECK_FALSE(exists(path));

    { // somebody else's, listening
        const unique_fd other{bound_socket(path, true)};
        CHECK(failure(device, path) == EADDRINUSE);
        CHECK(exists(path));
        ::unlink(path.c_str());
    }
    { // no socket at all
        const unique_fd file{::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600)};
        CHECK(failure(device, path) == EADDRINUSE);
        struct stat there {};
        CHECK((::lstat(path.c_str(), &there) == 0 && S_ISREG(there.st_mode)));
        ::unlink(path.c_str());
    }
    { // not ours any more at the end
        std::optional<fake_server> made;
        made.emplace(device, server_options{.path = path});
        ::unlink(path.c_str());
        const unique_fd other{bound_socket(path, true)};
        made.reset();
        CHECK(exists(path));
        ::unlink(path.c_str());
    }
    CHECK(failure(device, "") == EINVAL);
    CHECK(failure(device, "/tmp/" + std::string(200, 'x')) == EINVAL);
    CHECK(failure(device, "/tmp/not-there/at/all") == ENOENT);
    CHECK(open_files() == before);
}

TEST_CASE("vfio-user server: whoever may write in the folder cannot have the rights of another file changed") {
    std::array<char, 32> folder{"/tmp/mediant-shared-XXXXXX"};
    REQUIRE(::mkdtemp(folder.data()) != nullptr);
    const std::string at = folder.data();
    const auto victim = at + "/victim";
    REQUIRE(unique_fd{::open(victim.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600)});
    std::atomic<bool> over{false};
    std::atomic<int> replaced{0};
    std::thread attacker{[&] {
        // The names that a listener binds to first.
        std::vector<std::string> names;
        for (int i = 3; i < 64; ++i)
            names.push_back(at + "/.mediant-" + std::to_string(::getpid()) + "-" + std::to_string(i));
        while (!over)
            for (const auto& each : names)
                if (::unlink(each.c_str()) == 0 && ::symlink(victim.c_str(), each.c_str()) == 0) ++replaced;
    }};
    for (int i = 0; i < 3000 && (i < 300 || replaced < 20); ++i)
        (void)listener::open({.path = at + "/socket", .mode = 0666});
    over = true;
    attacker.join();
    CHECK(replaced > 0);
    struct stat there {};
    REQUIRE(::stat(victim.c_str(), &there) == 0);
    CHECK((there.st_mode & 0777) == 0600);
    // And the socket's own are as they are to be, whatever umask says.
    const mode_t mask = ::umask(0077);
    const auto path = at + "/own";
    const auto made = listener::open({.path = path, .mode = 0666});
    ::umask(mask);
    REQUIRE(made);
    REQUIRE(::stat(path.c_str(), &there) == 0);
    CHECK((there.st_mode & 0777) == 0666);
    CHECK(std::system(("rm -r " + at).c_str()) == 0);
}

TEST_CASE("vfio-user server: a client that is gone, at any byte, leaves nothing behind") {
    fake_device device;
    const auto path = socket_path("gone");
    served at{device, {.path = path}};
    const auto memory = memory_file(0x1000);
    const auto event = event_file();
    const std::array two{event.get(), event.get()};
    const auto hello = version(R"({"capabilities":{"max_msg_fds":16}})");
    const std::vector<outgoing> talk{
        {hello, {}},
        {message_of(command::dma_map, wire::dma_map{32, 3, 0, 0x1000, 0x1000}), {memory.get()}},
        {message_of(command::device_set_irqs, wire::irq_set{20, 36, 1, 0, 2}), {event.get(), event.get()}},
        {message_of(command::device_get_region_info, wire::region_info{80, 0, 0, 0, 0, 0}), {}},
        {read_of(region_index::config, 0, 64), {}},
        {write_of(region_index::bar1, 0, bytes(32)), {}}};
    std::size_t size = 0;
    for (const auto& each : talk) size += each.what.size();

    const auto before = open_files();
    for (std::size_t stop = 0; stop <= size; ++stop) {
        auto peer = connected(path);
        REQUIRE(peer.fd() >= 0);
        std::size_t left = stop;
        for (const auto& each : talk) {
            const auto now = std::min(left, each.what.size());
            if (now == 0) break;
            REQUIRE(peer.send(std::span{each.what}.first(now), each.fds));
            left -= now;
        }
        peer.disconnect();
        auto next = connected(path); // at once
        const auto agreed = next.negotiate();
        if (!agreed) FAIL("after " << stop << " bytes: errno " << to_errno(agreed.error()));
        // The same map and vectors again: nothing of the other client is in the way.
        if (stop % 16 == 0) {
            REQUIRE(next.map_dma(0x1000, 0x1000, 3, memory.get()));
            REQUIRE(
                next.set_irqs({irq_index::msi, set_irqs::action::trigger, set_irqs::data::eventfds, 0, 2, {}, two}));
        }
    }
    CHECK(eventually([&] { return device.opens == device.releases && open_files() == before; }));
    CHECK(device.opens > 0);
    CHECK(device.host.dma.size() == 0);
    CHECK_FALSE(device.host.irqs.bound(irq_index::msi, 0));
}

TEST_CASE("vfio-user server: a second client waits for the first to go") {
    fake_device device;
    const auto path = socket_path("second");
    served at{device, {.path = path}};
    auto first = connected(path);
    REQUIRE(first.negotiate());
    auto second = connected(path);
    REQUIRE(second.fd() >= 0);
    REQUIRE(second.send(version()));
    REQUIRE(second.set_timeout(50ms));
    CHECK(second.receive().error() == error::again);
    CHECK(first.reset());
    first.disconnect();
    REQUIRE(second.set_timeout(5s));
    CHECK(second.receive());
    CHECK(second.reset());
    CHECK(device.opens == 2);
    CHECK(device.releases == 1);
}

TEST_CASE("vfio-user server: who does not say hello does not keep others out") {
    fake_device device;
    const auto path = socket_path("silent");
    served at{device, {.path = path, .handshake_timeout = 50ms}};
    auto silent = connected(path);
    auto second = connected(path);
    REQUIRE(second.negotiate());
    CHECK(silent.receive().error() == error{ECONNRESET});
    std::this_thread::sleep_for(100ms);
    CHECK(second.reset()); // the limit is for the handshake alone
}

TEST_CASE("vfio-user server: a client for whom there is no memory is dropped, and the loop goes on") {
    if (no_sandbox() != nullptr) return; // a sanitizer ends the process instead
    fake_device device;
    const auto path = socket_path("memory");
    fake_server made{device, {.path = path, .max_data_xfer = 1u << 30}};
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_AS, &before) == 0);
    {
        auto first = connected(path);
        const rlimit little{512u << 20, before.rlim_max};
        REQUIRE(::setrlimit(RLIMIT_AS, &little) == 0);
        const bool goes_on = made.run_once(1000);
        REQUIRE(::setrlimit(RLIMIT_AS, &before) == 0);
        CHECK(goes_on);
        CHECK(first.negotiate().error() == error{ECONNRESET});
    }
    auto second = connected(path);
    std::thread serving{[&] { made.run(); }};
    const bool agreed = second.negotiate().has_value();
    made.stop();
    serving.join();
    CHECK(agreed);
}

TEST_CASE("vfio-user server: the device's deadlines are kept while it waits") {
    fake_device device;
    const auto path = socket_path("deadline");
    served at{device, {.path = path}};
    auto peer = connected(path);
    REQUIRE(peer.negotiate());
    const auto expiries = [&] {
        std::uint64_t count = 0;
        const auto got = peer.read({region_index::bar4, 0, std::as_writable_bytes(std::span{&count, 1})});
        return got.count == 8 ? count : ~0ull;
    };
    for (std::uint64_t i = 1; i <= 3; ++i) {
        const std::uint64_t ahead = 20'000'000;
        REQUIRE(peer.write({region_index::bar4, 0, std::as_bytes(std::span{&ahead, 1})}).count == 8);
        CHECK(expiries() == i - 1);
        std::this_thread::sleep_for(40ms);
        CHECK(expiries() == i);
    }
    const std::uint64_t at_once = 0;
    REQUIRE(peer.write({region_index::bar4, 0, std::as_bytes(std::span{&at_once, 1})}).count == 8);
    CHECK(expiries() == 4); // due before the next message
}

TEST_CASE("vfio-user server: a deadline comes to a device whose only client is silent") {
    fake_device device;
    const auto path = socket_path("silent");
    served at{device, {.path = path}};
    auto peer = connected(path);
    REQUIRE(peer.negotiate());
    for (std::uint64_t i = 1; i <= 3; ++i) {
        // Some accesses first, after which the server waits for this client alone.
        for (int n = 0; n < 3; ++n) {
            std::uint64_t count = 0;
            REQUIRE(peer.read({region_index::bar4, 0, std::as_writable_bytes(std::span{&count, 1})}).count == 8);
        }
        const std::uint64_t ahead = 1'000'000;
        REQUIRE(peer.write({region_index::bar4, 0, std::as_bytes(std::span{&ahead, 1})}).count == 8);
        for (int tries = 0; device.expiries() < i && tries < 500; ++tries) std::this_thread::sleep_for(10ms);
        CHECK(device.expiries() == i);
    }
}

TEST_CASE("vfio-user server: stop() ends run(), whatever it waits for, and it can run again") {
    fake_device device;
    const auto path = socket_path("stop");
    fake_server server{device, {.path = path}};
    const auto before = open_files();
    SECTION("with nobody there") {
        std::thread runner{[&] { server.run(); }};
        std::this_thread::sleep_for(10ms);
        server.stop();
        runner.join();
    }
    SECTION("before it began") {
        server.stop();
        server.run();
    }
    SECTION("in the middle of serving, several times") {
        for (int i = 0; i < 20; ++i) {
            std::thread runner{[&] { server.run(); }};
            auto peer = connected(path);
            REQUIRE(peer.negotiate());
            if (i % 2 == 0) std::this_thread::sleep_for(1ms);
            server.stop();
            runner.join();
            CHECK_FALSE(server.serving());
            CHECK(peer.receive().error() == error{ECONNRESET});
        }
        CHECK(device.opens == 20);
        CHECK(device.releases == 20);
    }
    SECTION("from a signal handler") {
        std::thread runner{[&] { server.run(); }};
        auto peer = connected(path);
        REQUIRE(peer.negotiate());
        to_stop = &server;
        struct sigaction how {};
        how.sa_handler = stop_it;
        struct sigaction old {};
        ::sigaction(SIGUSR1, &how, &old);
        ::pthread_kill(runner.native_handle(), SIGUSR1);
        runner.join();
        ::sigaction(SIGUSR1, &old, nullptr);
    }
    CHECK(device.opens == device.releases);
    CHECK(open_files() == before);
    std::thread runner{[&] { server.run(); }};
    auto peer = connected(path);
    CHECK(peer.negotiate());
    server.stop();
    runner.join();
}

TEST_CASE("vfio-user server: the user's own loop") {
    fake_device device;
    const auto path = socket_path("loop");
    fake_server server{device, {.path = path}};
    const auto step = [&] {
        pollfd what{server.fd(), POLLIN, 0};
        const bool ready = ::poll(&what, 1, 1000) == 1;
        return ready && server.run_once(0);
    };
    CHECK(server.run_once(0)); // nothing to do
    auto peer = connected(path);
    CHECK(step());
    REQUIRE(peer.send(version()));
    CHECK(step());
    CHECK(peer.receive());
    CHECK(server.serving());
    const std::uint64_t ahead = 5'000'000;
    REQUIRE(peer.send(write_of(region_index::bar4, 0, std::as_bytes(std::span{&ahead, 1}))));
    CHECK(step());
    CHECK(peer.receive());
    CHECK(device.deadline());
    CHECK(step()); // the deadline makes fd() readable
    CHECK_FALSE(device.deadline());
    peer.disconnect();
    CHECK(step());
    CHECK_FALSE(server.serving());
    server.stop();
    CHECK_FALSE(step());
}

TEST_CASE("vfio-user server: a client that went while replies wait is noticed") {
    fake_device device;
    const auto path = socket_path("full");
    served at{device, {.path = path}};
    auto peer = connected(path);
    REQUIRE(peer.negotiate());
    bytes batch;
    for (std::uint16_t i = 0; i < 200; ++i) batch = std::move(batch) + read_of(region_index::bar1, 0, 1 << 20, i);
    REQUIRE(peer.send(batch));
    std::this_thread::sleep_for(20ms);
    CHECK(device.accesses < 10);
    peer.disconnect();
    CHECK(eventually([&] { return device.releases == 1; }));
    CHECK(connected(path).negotiate());
}
