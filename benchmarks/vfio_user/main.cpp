// SPDX-License-Identifier: BSD-3-Clause
// The vfio-user server against the limit: a server that answers the same bytes with one receive and one send a batch,
// and looks at nothing; and against libvfio-user, where this is built with it. The same client drives all, in turns. Then
// doorbells, DMA in process, and a thousand devices.
//
//   vfio_user [--json FILE] [--part server|doorbells|dma|many] [--only TEXT] [--rounds N]
//
// --only: the server's cases whose name has it.

#include "dma.hpp"
#include "doorbells.hpp"
#include "many.hpp"
#include "theirs.hpp"

#include <mediant/device/memory_device.hpp>
#include <mediant/provider/stack.hpp>
#include <mediant/vfio_user/client.hpp>
#include <mediant/vfio_user/server.hpp>
#include <mediant/vfio_user/wire.hpp>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <sched.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {
using namespace mediant;
using namespace mediant::vfio_user;
using bytes = std::vector<std::byte>;
using memory = stack<device::memory_device>;

void pin(int processor) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(processor, &set);
    (void)::sched_setaffinity(0, sizeof set, &set);
}

[[noreturn]] void die(const char* what) {
    fmt::print(stderr, "vfio_user: {}\n", what);
    std::_Exit(1);
}

/// What goes over the socket in one round of a case: `times` sends of `request`, after each of which, or after the last
/// one alone, `reply_size` bytes come back.
struct exchange {
    std::string name;
    std::string unit;
    bytes request;
    std::size_t reply_size = 0;
    int times = 1;        ///< sends a round
    double accesses = 1;  ///< a send
    bool posted = false;  ///< only the last send, of `last`, is answered
    bytes last{};
    bool spinning = false; ///< both sides, each on a processor of its own; else both on one
    double aim = 0;        ///< of the limit, at least
    double their_aim = 0;  ///< of libvfio-user's, at least
    bytes their_request{}; ///< where it does not know `request`: the same by what it knows, and the size of its reply
    std::size_t their_reply = 0;
};

/// One side's connection, as fast as it goes.
struct wire_end {
    unique_fd socket;
    bool spinning = false;
    bool takes_fds = false; ///< as every server of this protocol must: what comes by recv(2) is lost

    void send(std::span<const std::byte> what) const {
        while (!what.empty()) {
            const auto sent = ::send(socket.get(), what.data(), what.size(), MSG_NOSIGNAL | (spinning ? MSG_DONTWAIT : 0));
            if (sent < 0 && errno != EAGAIN && errno != EINTR) die("a send failed");
            if (sent > 0) what = what.subspan(static_cast<std::size_t>(sent));
        }
    }
    /// 0: the peer's end.
    [[nodiscard]] std::size_t receive(std::span<std::byte> to) const {
        for (;;) {
            const int flags = spinning ? MSG_DONTWAIT : 0;
            const auto got = takes_fds ? receive_with_fds(to, flags) : ::recv(socket.get(), to.data(), to.size(), flags);
            if (got >= 0) return static_cast<std::size_t>(got);
            if (errno != EAGAIN && errno != EINTR) return 0;
        }
    }
    void expect(std::size_t size, std::span<std::byte> buffer) const {
        while (size != 0) {
            const auto got = receive(buffer.first(std::min(size, buffer.size())));
            if (got == 0) die("the server hung up");
            size -= got;
        }
    }

private:
    [[nodiscard]] ssize_t receive_with_fds(std::span<std::byte> to, int flags) const {
        iovec part{to.data(), to.size()};
        alignas(cmsghdr) std::byte control[CMSG_SPACE(sizeof(int) * most_fds)];
        msghdr how{};
        how.msg_iov = &part;
        how.msg_iovlen = 1;
        how.msg_control = control;
        how.msg_controllen = sizeof control;
        return ::recvmsg(socket.get(), &how, flags | MSG_CMSG_CLOEXEC);
    }
};

/// Seconds of one round.
double round_of(const exchange& what, const wire_end& client, std::span<std::byte> buffer) {
    const auto began = std::chrono::steady_clock::now();
    for (int i = 0; i < what.times; ++i) {
        client.send(what.request);
        if (!what.posted) client.expect(what.reply_size, buffer);
    }
    if (what.posted) {
        client.send(what.last);
        client.expect(what.reply_size, buffer);
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

/// The same, warmed up; the client is gone afterwards.
double measured(const exchange& what, wire_end client) {
    bytes buffer(2 << 20);
    static_cast<void>(round_of(what, client, buffer));
    const double seconds = round_of(what, client, buffer);
    client.socket.reset();
    return seconds;
}

/// Whether a server does this at all: it answers the first send, with no error, within a second.
bool does(const exchange& what, const wire_end& client) {
    const timeval second{1, 0};
    for (const int which : {SO_RCVTIMEO, SO_SNDTIMEO})
        if (::setsockopt(client.socket.get(), SOL_SOCKET, which, &second, sizeof second) != 0) die("a socket option");
    for (std::span<const std::byte> left{what.posted ? what.last : what.request}; !left.empty();) {
        const auto sent = ::send(client.socket.get(), left.data(), left.size(), MSG_NOSIGNAL);
        if (sent <= 0) return false;
        left = left.subspan(static_cast<std::size_t>(sent));
    }
    std::array<std::byte, sizeof(wire::header)> head;
    if (::recv(client.socket.get(), head.data(), head.size(), MSG_WAITALL) != static_cast<ssize_t>(head.size()))
        return false;
    return (wire::load<wire::header>(head).flags & wire::error_flag) == 0;
}

/// The limit: knows how many bytes make a batch, and that so many go back; takes descriptors, and does nothing with them.
class limit {
public:
    limit(const exchange& what, wire_end server)
        : thread_{[&what, server = std::move(server)] {
              pin(what.spinning ? 1 : 0);
              bytes buffer(2 << 20);
              const bytes reply(what.reply_size);
              const std::size_t batch = what.posted ? what.request.size() * static_cast<std::size_t>(what.times) +
                                                          what.last.size()
                                                    : what.request.size();
              std::size_t have = 0;
              while (const auto got = server.receive(buffer)) {
                  for (have += got; have >= batch; have -= batch) server.send(reply);
              }
          }} {}
    ~limit() { thread_.join(); }

private:
    std::thread thread_;
};

/// Ours, on memory.
class ours {
public:
    ours(const exchange& what, const std::string& path)
        : server_{front_, {.path = path}}, thread_{[this, spinning = what.spinning] {
              pin(spinning ? 1 : 0);
              spinning ? server_.spin() : server_.run();
          }} {}
    ~ours() {
        server_.stop();
        thread_.join();
    }

private:
    device::memory_device device_{{0x1234, 0x5678, 0, 0, 0xff0000}, {4_MiB, 0, 0, 0, 0, 0}};
    memory front_{device_};
    server<memory> server_;
    std::thread thread_;
};

double median(std::vector<double> all) {
    std::sort(all.begin(), all.end());
    return all[all.size() / 2];
}

bytes access(wire::command what, std::uint32_t count, bool posted = false, std::size_t data = 0) {
    return client::compose({1, static_cast<std::uint16_t>(what), 0, posted ? wire::no_reply : 0u, 0},
                           wire::region_access{0x100, 0, count}, bytes(data));
}
bytes operator+(bytes first, const bytes& second) {
    first.insert(first.end(), second.begin(), second.end());
    return first;
}
bytes times(const bytes& one, std::size_t count) {
    bytes all;
    for (std::size_t i = 0; i < count; ++i) all.insert(all.end(), one.begin(), one.end());
    return all;
}

std::vector<exchange> cases() {
    constexpr std::uint32_t mega = 1 << 20;
    const bytes read = access(wire::command::region_read, 4);
    const bytes posted = access(wire::command::region_write, 4, true, 4);
    bytes multi(8 + 200 * sizeof(wire::region_write));
    const std::uint64_t writes = 200;
    std::memcpy(multi.data(), &writes, sizeof writes);
    for (std::size_t i = 0; i < writes; ++i)
        wire::store(multi.data() + 8 + i * sizeof(wire::region_write), wire::region_write{0x100, 0, 4, i});
    const bytes write_multi = client::compose(
        {1, static_cast<std::uint16_t>(wire::command::region_write_multi), 0, 0, 0}, writes, std::span{multi}.subspan(8));
    // What libvfio-user has instead of one message of many writes: posted ones in one send, the last of them answered.
    const bytes singles = times(posted, 199) + access(wire::command::region_write, 4, false, 4);
    std::vector<exchange> all;
    all.push_back({.name = "4-byte read, one at a time, same core", .unit = "reads", .request = read, .reply_size = 36,
                   .times = 20'000, .aim = 0.95, .their_aim = 1.1});
    all.push_back({.name = "4-byte read, one at a time, spinning", .unit = "reads", .request = read, .reply_size = 36,
                   .times = 50'000, .spinning = true, .aim = 0.95, .their_aim = 1.1});
    all.push_back({.name = "posted writes, spinning", .unit = "writes", .request = posted, .reply_size = 36,
                   .times = 100'000, .posted = true, .last = read, .spinning = true, .aim = 0.95, .their_aim = 1.3});
    for (const std::size_t batch : {16u, 64u})
        all.push_back({.name = fmt::format("{} reads in one send, same core", batch), .unit = "reads",
                       .request = times(read, batch), .reply_size = 36 * batch, .times = 4000,
                       .accesses = static_cast<double>(batch), .aim = 0.6, .their_aim = batch == 16 ? 10. : 25.});
    all.push_back({.name = "200 writes in one message, same core", .unit = "writes", .request = write_multi,
                   .reply_size = 24, .times = 4000, .accesses = 200, .their_aim = 25, .their_request = singles,
                   .their_reply = 32});
    all.push_back({.name = "read of 1 MiB, same core", .unit = "MiB", .request = access(wire::command::region_read, mega),
                   .reply_size = 32 + mega, .times = 300, .aim = 0.9, .their_aim = 1.8});
    all.push_back({.name = "write of 1 MiB, same core", .unit = "MiB",
                   .request = access(wire::command::region_write, mega, false, mega), .reply_size = 32, .times = 300,
                   .aim = 0.9});
    return all;
}

nlohmann::json measure_server(const std::string& folder, const std::string& only, int rounds) {
    const std::string path = folder + "/socket";
    nlohmann::json rows = nlohmann::json::array();
    fmt::print("The vfio-user server against the limit, a server that answers the same bytes and looks at nothing, and\n"
               "against libvfio-user; one client, in turns, medians of {} rounds. 1.00: as fast as that.\n\n"
               "{:40} {:>12} {:>12} {:>9} {:>6} {:>13} {:>9} {:>6}\n",
               rounds, "", "mediant, 1/s", "limit, 1/s", "of limit", "aim", "libvfio-user", "of that", "aim");
    pin(0);
    const auto agree = [&path](bool multi) {
        auto connection = client::connect(path);
        if (!connection || !(*connection).negotiate({.max_msg_fds = 16, .write_multiple = multi})) die("no connection");
        return unique_fd::duplicate((*connection).fd());
    };
    for (const exchange& what : cases()) {
        if (what.name.find(only) == what.name.npos) continue;
        // One server at a time, since those that spin would take each other's processor.
        std::vector<double> mine, least, peer;
        exchange its = what;
        if (!what.their_request.empty()) {
            its.request = what.their_request;
            its.reply_size = what.their_reply;
        }
        bool they_can = theirs::there();
        if (they_can) {
            ::unlink(path.c_str()); // which theirs leaves
            const theirs server{path, 4_MiB, false, 0};
            wire_end asking{agree(false)};
            they_can = does(its, asking);
            asking.socket.reset();
        }
        for (int round = 0; round < rounds; ++round) {
            {
                const ours server{what, path};
                mine.push_back(measured(what, {agree(true), what.spinning}));
            }
            if (they_can) {
                const theirs server{path, 4_MiB, what.spinning, what.spinning ? 1 : 0};
                peer.push_back(measured(its, {agree(false), what.spinning}));
            }
            int pair[2];
            if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) die("no sockets");
            const limit server{what, {unique_fd{pair[1]}, what.spinning, true}};
            least.push_back(measured(what, {unique_fd{pair[0]}, what.spinning}));
        }
        const double done = what.accesses * what.times;
        // Rounds lie side by side in time, so that the machine's other work is in both.
        const auto ratio_to = [&mine](const std::vector<double>& other) {
            std::vector<double> ratios;
            for (std::size_t i = 0; i < other.size(); ++i) ratios.push_back(other[i] / mine[i]);
            return median(ratios);
        };
        const auto number = [](double value, int digits) { return value == 0 ? std::string{} : fmt::format("{:.{}f}", value, digits); };
        const double ratio = ratio_to(least);
        const double of_theirs = peer.empty() ? 0 : ratio_to(peer);
        const std::string their_rate = !theirs::there() ? "" : peer.empty() ? "fails" : number(done / median(peer), 0);
        fmt::print("{:40} {:>12.0f} {:>12.0f} {:>9.2f} {:>6} {:>13} {:>9} {:>6}\n", what.name, done / median(mine),
                   done / median(least), ratio, number(what.aim, 2), their_rate, number(of_theirs, of_theirs < 10 ? 2 : 1),
                   number(what.their_aim, 1));
        std::fflush(stdout);
        nlohmann::json row{{"case", what.name}, {"unit", what.unit}, {"mediant", done / median(mine)},
                           {"limit", done / median(least)}, {"ratio", ratio}, {"aim", what.aim},
                           {"libvfio-user aim", what.their_aim}};
        if (!peer.empty()) row.update({{"libvfio-user", done / median(peer)}, {"libvfio-user ratio", of_theirs}});
        rows.push_back(std::move(row));
    }
    return rows;
}

} // namespace

int main(int argc, char** argv) {
    std::string json, part, only;
    int rounds = 9;
    for (int i = 1; i + 1 < argc; i += 2) {
        const std::string option = argv[i];
        if (option == "--json")
            json = argv[i + 1];
        else if (option == "--part")
            part = argv[i + 1];
        else if (option == "--only")
            only = argv[i + 1];
        else if (option == "--rounds")
            rounds = std::max(1, std::atoi(argv[i + 1]));
        else
            die("--json FILE, --part server|doorbells|dma|many, --only TEXT, --rounds N");
    }
    std::string folder = "/tmp/mediant-benchmark-XXXXXX"; // a template of mkdtemp(3)
    if (::mkdtemp(folder.data()) == nullptr) die("no temporary folder");
    nlohmann::json rows = nlohmann::json::array();
    const auto add = [&](const char* name, auto measure) {
        if (!part.empty() && part != name) return;
        const nlohmann::json more = measure();
        rows.insert(rows.end(), more.begin(), more.end());
    };
    add("server", [&] { return measure_server(folder, only, rounds); });
    add("doorbells", [&] { return measure_doorbells(folder, rounds); });
    add("dma", [&] { return measure_dma(folder); });
    add("many", [&] { return measure_many(folder); });
    ::rmdir(folder.c_str());
    if (!json.empty()) std::ofstream{json} << rows.dump(2) << '\n';
    return 0;
}
