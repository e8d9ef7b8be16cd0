// SPDX-License-Identifier: BSD-3-Clause
#include "dma.hpp"

#include "peer_dma.h"

#include <mediant/device/dma_map.hpp>
#include <mediant/device/unique_fd.hpp>

#include <fmt/core.h>

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace {
using namespace mediant;
using device::dma_map;
using device::unique_fd;

constexpr std::uint64_t page = 4096;
constexpr int rounds = 15;

struct destroy_peer {
    void operator()(peer_dma* what) const { peer_dma_destroy(what); }
};
using peer = std::unique_ptr<peer_dma, destroy_peer>;

/// Memory of a file, sparse, mapped here too.
class shared_memory {
public:
    explicit shared_memory(std::uint64_t size) : fd_{::memfd_create("memory", MFD_CLOEXEC)}, size_{size} {
        if (::ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) std::abort();
        at_ = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd_.get(), 0);
        if (at_ == MAP_FAILED) std::abort();
    }
    shared_memory(const shared_memory&) = delete;
    shared_memory& operator=(const shared_memory&) = delete;
    ~shared_memory() { ::munmap(at_, size_); }
    [[nodiscard]] int fd() const { return fd_.get(); }
    [[nodiscard]] std::span<std::byte> bytes() const { return {static_cast<std::byte*>(at_), size_}; }

private:
    unique_fd fd_;
    std::uint64_t size_;
    void* at_ = nullptr;
};

/// Keeps what was computed from being left out.
std::uint64_t sink = 0;

double seconds_of(const std::function<void()>& what) {
    const auto began = std::chrono::steady_clock::now();
    what();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

/// The best rounds of both, in turns: whatever else the machine does only makes them slower.
struct pair {
    double ours = 0;
    double theirs = 0; ///< 0 where there is no peer
};
pair compare(const std::function<void()>& ours, const std::function<void()>& theirs) {
    pair best{1e9, theirs ? 1e9 : 0};
    for (int i = 0; i < rounds; ++i) {
        best.ours = std::min(best.ours, seconds_of(ours));
        if (theirs) best.theirs = std::min(best.theirs, seconds_of(theirs));
    }
    return best;
}

void add_row(nlohmann::json& rows, const std::string& name, const pair& took, double each, const char* unit, double aim) {
    const double ratio = took.theirs / took.ours;
    fmt::print("{:44} {:>9.4g} {:2} {:>12} {:>8} {:>5}\n", name, took.ours / each, unit,
               took.theirs == 0 ? std::string{"-"} : fmt::format("{:.4g} {}", took.theirs / each, unit),
               took.theirs == 0 ? std::string{"-"} : fmt::format("{:.1f}", ratio),
               aim == 0 ? std::string{} : fmt::format("{}", aim));
    std::fflush(stdout);
    rows.push_back({{"case", name}, {"unit", unit}, {"mediant", took.ours / each}, {"libvfio_user", took.theirs / each},
                    {"ratio", ratio}, {"aim", aim}});
}

void translate(nlohmann::json& rows, const std::string& socket, std::size_t regions, double aim) {
    const shared_memory memory{2 << 20};
    const auto iova_of = [](std::uint64_t i) { return 0x1'0000'0000 + i * 0x30'0000; }; // with holes between
    dma_map map;
    const peer other{peer_dma_create(socket.c_str(), regions)};
    for (std::uint64_t i = 0; i < regions; ++i) {
        if (!map.map({iova_of(i), memory.bytes().size(), true, true, memory.bytes()})) std::abort();
        if (other && peer_dma_map(other.get(), iova_of(i), memory.bytes().size(), memory.fd()) != 0) std::abort();
    }
    std::mt19937_64 random{1};
    std::vector<std::uint64_t> where(20'000);
    for (auto& each : where) each = iova_of(random() % regions) + random() % (memory.bytes().size() - 64);
    const pair took = compare(
        [&] {
            for (const std::uint64_t at : where)
                sink += reinterpret_cast<std::uintptr_t>(map.translate(at, 64, dma_map::direction::read)->data());
        },
        other ? std::function<void()>{[&] {
            for (const std::uint64_t at : where)
                sink += reinterpret_cast<std::uintptr_t>(peer_dma_translate(other.get(), at, 64));
        }}
              : std::function<void()>{});
    add_row(rows, fmt::format("translate, any of {} region{}", regions, regions == 1 ? "" : "s"), took,
            static_cast<double>(where.size()) * 1e-9, "ns", aim);
}

void threads(nlohmann::json& rows) {
    const shared_memory memory{2 << 20};
    dma_map map;
    if (!map.map({0, memory.bytes().size(), true, true, memory.bytes()})) std::abort();
    constexpr int times = 20'000;
    const pair lease = compare(
        [&] {
            for (std::uint64_t i = 0; i < times; ++i)
                sink += map.lease(i * 64, 64, dma_map::direction::read)->bytes().size();
        },
        {});
    add_row(rows, "a lease and its end, for threads", lease, times * 1e-9, "ns", 0);
}

void dirty(nlohmann::json& rows, const std::string& socket) {
    constexpr std::uint64_t size = 16_GiB;
    constexpr std::uint64_t base = 0x1'0000'0000;
    const shared_memory memory{size};
    dma_map map;
    if (!map.map({base, size, true, true, memory.bytes()}) || !map.start_logging(page, {})) std::abort();
    const peer other{peer_dma_create(socket.c_str(), 1)};
    if (other && (peer_dma_map(other.get(), base, size, memory.fd()) != 0 || peer_dma_start_logging(other.get(), page) != 0))
        std::abort();

    std::vector<std::uint64_t> bitmap(size / page / 64);
    const auto ours = [&] {
        if (!map.log().report(base, size, page, bitmap)) std::abort();
        sink += bitmap[7];
    };
    const auto theirs = [&] {
        if (peer_dma_report(other.get(), base, size, page, bitmap.data(), bitmap.size() * 8) != 0) std::abort();
        sink += bitmap[7];
    };
    std::mt19937_64 random{2};
    std::vector<std::uint64_t> where(20'000);
    const auto mark = [&](const char* name, std::uint64_t bytes, double aim) {
        for (auto& each : where) each = base + random() % (size - bytes);
        const pair took = compare(
            [&] {
                for (const std::uint64_t at : where) map.log().mark_in_call(at, bytes);
            },
            other ? std::function<void()>{[&] {
                for (const std::uint64_t at : where) peer_dma_mark(other.get(), at, bytes);
            }}
                  : std::function<void()>{});
        add_row(rows, name, took, static_cast<double>(where.size()) * 1e-9, "ns", aim);
    };
    mark("mark 512 bytes as written, anywhere in 16 GiB", 512, 3);
    mark("mark 1 MiB as written, anywhere in 16 GiB", 1 << 20, 3);

    for (const std::uint64_t one_of : {0, 1000, 10, 1}) {
        pair took{1e9, other ? 1e9 : 0};
        for (int i = 0; i < rounds; ++i) {
            for (std::uint64_t n = 0; one_of != 0 && n < size / page; n += one_of) {
                map.log().mark_in_call(base + n * page, page);
                if (other) peer_dma_mark(other.get(), base + n * page, page);
            }
            const double mine = seconds_of(ours); // the first one after the marks
            took.ours = std::min(took.ours, i == 0 && one_of == 0 ? 1e9 : mine);
            if (other) took.theirs = std::min(took.theirs, i == 0 && one_of == 0 ? 1e9 : seconds_of(theirs));
        }
        const std::string pages = one_of == 0   ? "nothing"
                                  : one_of == 1 ? "all"
                                                : fmt::format("1 page in {}", one_of);
        add_row(rows, fmt::format("report of 16 GiB, {} written", pages), took, 1e-6, "us", 4);
    }
}

} // namespace

nlohmann::json measure_dma(const std::string& folder) {
    nlohmann::json rows = nlohmann::json::array();
    fmt::print("\nDMA in process, against libvfio-user's own calls; best of {} rounds, in turns. More than 1: mediant is as "
               "many times\nas fast.\n\n{:44} {:>12} {:>12} {:>8} {:>5}\n",
               rounds, "", "mediant", "libvfio-user", "ratio", "aim");
    translate(rows, folder + "/peer-1", 1, 2);
    translate(rows, folder + "/peer-16", 16, 10);
    translate(rows, folder + "/peer-512", 512, 25);
    threads(rows);
    dirty(rows, folder + "/peer-dirty");
    for (const char* name : {"/peer-1", "/peer-16", "/peer-512", "/peer-dirty"}) ::unlink((folder + name).c_str());
    if (sink == 1) fmt::print("\n");
    return rows;
}
