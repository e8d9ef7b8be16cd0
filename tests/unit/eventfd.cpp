// SPDX-License-Identifier: BSD-3-Clause

#include <mediant/device/eventfd.hpp>
#include <mediant/device/unique_fd.hpp>

#include <catch2/catch.hpp>

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <thread>
#include <vector>

using namespace mediant;

TEST_CASE("no signal is lost where several threads signal at once") {
    const device::unique_fd event{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    constexpr std::uint64_t each = 40'000;
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] {
            for (std::uint64_t done = 0; done < each; ++done) device::signal_eventfd(event.get());
        });
    }
    for (std::thread& one : threads) one.join();
    std::uint64_t count = 0;
    REQUIRE(::read(event.get(), &count, sizeof count) == sizeof count);
    CHECK(count == 4 * each);
}
