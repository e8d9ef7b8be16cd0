// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Migrates a virtual function under traffic, from one vfio-user server to another, and prints what was seen:
///
///   migrate [SOURCE TARGET]
///
/// SOURCE and TARGET are sockets of servers that have the function; without them it starts two processes of its own, whose
/// functions tell no log what they write, as hardware does not.

#include "i40e_vf.hpp"
#include "vf_migration.hpp"
#include "vf_server.hpp"

#include <fmt/core.h>

#include <exception>

namespace {

void print(const acme::vf_migration& seen) {
    constexpr std::size_t pages = acme::vf_driver::memory_size / acme::vf_driver::page;
    fmt::print("{} pages of memory; packets of up to {} bytes on {} queue pairs\n\n", pages, acme::vf_driver::most_packet,
               acme::vf_driver::pairs);
    fmt::print("  round        pages that the function wrote   that the driver wrote   packets meanwhile\n");
    for (std::size_t i = 0; i < seen.rounds.size(); ++i)
        fmt::print("  pre-copy {:<2} {:>31} {:>23} {:>19}\n", i + 1, seen.rounds[i].by_device, seen.rounds[i].by_guest,
                   seen.rounds[i].packets);
    fmt::print("  stop-copy   {:>31} {:>23} {:>19}\n\n", seen.last.by_device, seen.last.by_guest, "");
    fmt::print("stream: {} bytes, {} of them ahead; the machine stood still for {:.1f} ms\n", seen.stream, seen.early,
               static_cast<double>(seen.stood.count()) / 1000);
    fmt::print("memory of both: {}\n", seen.memory_equal ? "equal" : "NOT equal");
    fmt::print("packets: {} sent, {} acknowledged, {} came back, in order, once; {} were on the way when it stood still\n",
               seen.sent, seen.acknowledged, seen.after, seen.on_the_way);
}

bool good(const acme::vf_migration& seen) {
    return seen.memory_equal && seen.after == seen.sent && seen.acknowledged == seen.sent;
}

int between(acme::vf_machine& source, acme::vf_machine& target) {
    const acme::vf_migration seen = acme::vf_migrator{source, target, {}}.run();
    print(seen);
    return good(seen) ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
    try {
        if (argc == 3) {
            acme::vf_machine source{std::string{argv[1]}}, target{std::string{argv[2]}};
            return between(source, target);
        }
        if (argc != 1) {
            fmt::print(stderr, "usage: {} [SOURCE TARGET]\n", argv[0]);
            return 2;
        }
        acme::vf_server<acme::i40e_vf> from, to;
        acme::vf_machine source{from.client()}, target{to.client()};
        return between(source, target);
    } catch (const std::exception& what) {
        fmt::print(stderr, "{}\n", what.what());
        return 1;
    }
}
