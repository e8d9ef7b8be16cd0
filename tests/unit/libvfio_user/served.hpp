// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include "../vfio_user/by_hand.hpp"

#include <mediant/core/little_endian.hpp>
#include <mediant/device/edu.hpp>
#include <mediant/device/memory_device.hpp>
#include <mediant/libvfio_user/server.hpp>
#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <thread>
#include <utility>

/// A device behind either server, on a thread of its own, and clients of it.
namespace libvfio_user_test {

using namespace mediant;
using namespace std::chrono_literals;
using vfio_user_test::drain;
using vfio_user_test::event_file;
using vfio_user_test::memory_file;
using vfio_user::unique_fd;
using edu = device::edu;

template <class Device>
using native = vfio_user::server<Device>;
template <class Device>
using by_library = libvfio_user::server<Device>;

template <class Server>
class running {
public:
    template <class Device>
    running(Device& device, const char* name)
        : path{vfio_user_test::socket_path(name)}, server{device, where{path}}, thread_{[this] { server.run(); }} {}
    ~running() {
        server.stop();
        thread_.join();
    }

    [[nodiscard]] vfio_user::client connected() const {
        auto made = vfio_user::client::connect(path);
        REQUIRE(made);
        REQUIRE((*made).set_timeout(5s));
        REQUIRE((*made).negotiate());
        return std::move(*made);
    }

    std::string path;
    Server server;

private:
    /// Either takes it.
    struct where {
        std::string path;
        operator std::string() const { return path; }
        operator vfio_user::server_options() const { return {.path = path}; }
    };

    std::thread thread_;
};

inline std::uint64_t get(vfio_user::client& from, std::uint64_t offset, unsigned width = 4,
                         region_index region = bar{0}) {
    std::array<std::byte, 8> bytes{};
    const auto came = from.read({region, offset, std::span{bytes}.first(width)});
    CHECK(came == answer{width});
    return load_little(std::span<const std::byte>{bytes}.first(width));
}
inline void put(vfio_user::client& to, std::uint64_t offset, std::uint64_t value, unsigned width = 4,
                region_index region = bar{0}) {
    std::array<std::byte, 8> bytes{};
    store_little(std::span{bytes}.first(width), value);
    CHECK(to.write({region, offset, std::span<const std::byte>{bytes}.first(width)}) == answer{width});
}
inline error get_fails(vfio_user::client& from, std::uint64_t offset, region_index region = bar{0}) {
    std::array<std::byte, 4> bytes{};
    return from.read({region, offset, bytes}).error;
}

inline void bind(vfio_user::client& of, irq_index index, int fd) {
    const std::array fds{fd};
    CHECK(of.set_irqs({index, set_irqs::action::trigger, set_irqs::data::eventfds, 0, 1, {}, fds}));
}
inline void act(vfio_user::client& of, irq_index index, set_irqs::action what) {
    CHECK(of.set_irqs({index, what, set_irqs::data::none, 0, 1, {}, {}}));
}

/// Within two seconds.
template <class F>
[[nodiscard]] bool soon(F done) {
    for (int i = 0; i < 400; ++i) {
        if (done()) return true;
        std::this_thread::sleep_for(5ms);
    }
    return false;
}
[[nodiscard]] inline bool signalled(int fd) {
    return soon([&] { return drain(fd) != 0; });
}

// Registers of config space that a driver writes.
inline void set_command(vfio_user::client& of, std::uint16_t value) { put(of, 0x04, value, 2, region_index::config); }
inline void enable_msi(vfio_user::client& of, bool on) { put(of, 0x42, on ? 1 : 0, 2, region_index::config); }
inline constexpr std::uint16_t memory_and_master = 0x6;

inline void start_dma(vfio_user::client& of, std::uint64_t from, std::uint64_t to, std::uint64_t size,
                      std::uint64_t how) {
    put(of, edu::dma_source, from, 8);
    put(of, edu::dma_target, to, 8);
    put(of, edu::dma_count, size, 8);
    put(of, edu::dma_command, how | edu::dma_run, 8);
}
[[nodiscard]] inline bool dma_ends(vfio_user::client& of) {
    return soon([&] { return (get(of, edu::dma_command, 8) & edu::dma_run) == 0; });
}

} // namespace libvfio_user_test
