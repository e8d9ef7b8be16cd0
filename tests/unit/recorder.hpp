// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/lower.hpp>
#include <mediant/core/requests.hpp>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <cstdlib>
#include <map>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace mediant {
inline std::ostream& operator<<(std::ostream& out, const answer& a) {
    return out << '{' << a.count << ", error " << to_errno(a.error) << '}';
}
inline std::ostream& operator<<(std::ostream& out, range r) {
    return out << std::hex << '[' << r.offset << ", +" << r.size << ')' << std::dec;
}
} // namespace mediant

/// A lower that remembers everything that reaches it, and that faults when told to.
namespace mediant::test {

/// One thing that happened: an access to the lower, a hook or an op of a policy.
struct event {
    std::string what;              ///< "load", "store", or a name of the test's
    std::uint64_t offset = 0;
    unsigned width = 0;
    std::uint64_t value = 0;
    std::uint64_t mask = 0;
    region_index region = bar{0};

    friend bool operator==(const event&, const event&) = default;
    friend std::ostream& operator<<(std::ostream& out, const event& e) {
        return out << e.what << '(' << static_cast<unsigned>(e.region) << std::hex << ':' << e.offset << ' ' << e.width
                   << " = " << e.value << '/' << e.mask << ')' << std::dec;
    }
};
using events = std::vector<event>;

inline event load(std::uint64_t offset, unsigned width, region_index region = bar{0}) {
    return {"load", offset, width, 0, 0, region};
}
inline event store(std::uint64_t offset, unsigned width, std::uint64_t value, region_index region = bar{0}) {
    return {"store", offset, width, value, 0, region};
}

/// Where the hooks and ops of a test's policies put what they saw: the log of the bench in use, so that one
/// sequence tells the order of everything. (A policy is trivially copyable and made by the stack.)
inline events* journal = nullptr;

/// Byte i of a recorder's memory before anything is written: never 0 or all ones, and different for neighbours.
constexpr std::byte initial(std::uint64_t i) {
    return static_cast<std::byte>(1 + (i * 37 + (i >> 8) * 11) % 251);
}

struct recorder {
    unsigned widest = 4;
    std::map<region_index, std::vector<std::byte>> memory;
    events seen;
    bool recording = true;
    int faults_after = -1; ///< how many more accesses succeed; -1 for all
    error fault = error::io;
    int opened = 0;
    int released = 0;
    error refuses_open = error::none;

    explicit recorder(std::uint64_t size = 4096, unsigned max = 4) : widest{max} { add(bar{0}, size); }

    void add(region_index region, std::uint64_t size) {
        auto& bytes = memory[region];
        for (std::uint64_t i = 0; i < size; ++i) bytes.push_back(initial(i));
    }

    [[nodiscard]] unsigned max_access() const { return widest; }

    result<std::uint64_t> load(region_index region, std::uint64_t offset, unsigned width) {
        if (recording) seen.push_back({"load", offset, width, 0, 0, region});
        if (faulty()) return fault;
        auto& bytes = memory.at(region);
        std::uint64_t value = 0;
        for (unsigned i = 0; i < width; ++i) value |= std::to_integer<std::uint64_t>(bytes.at(offset + i)) << (8 * i);
        return value;
    }

    result<void> store(region_index region, std::uint64_t offset, unsigned width, std::uint64_t value) {
        if (recording) seen.push_back({"store", offset, width, value, 0, region});
        if (faulty()) return fault;
        auto& bytes = memory.at(region);
        for (unsigned i = 0; i < width; ++i) bytes.at(offset + i) = static_cast<std::byte>(value >> (8 * i) & 0xff);
        return {};
    }

    result<void> open() {
        seen.push_back({"lower.open"});
        if (refuses_open != error::none) return refuses_open;
        ++opened;
        return {};
    }
    void release() {
        seen.push_back({"lower.release"});
        ++released;
    }

    result<get_region_info::answer> ioctl(const get_region_info& what) {
        const auto found = memory.find(what.region);
        if (found == memory.end()) return get_region_info::answer{};
        return get_region_info::answer{found->second.size(), region_flags::read | region_flags::write | region_flags::mmap};
    }

    /// What happened since the last call.
    events happened() { return std::exchange(seen, {}); }

private:
    bool faulty() {
        if (faults_after < 0) return false;
        if (faults_after == 0) return true;
        --faults_after;
        return false;
    }
};

/// Bytes of an access, in a test's spelling.
using bytes = std::vector<std::byte>;

inline bytes little(std::uint64_t value, unsigned size) {
    bytes out;
    for (unsigned i = 0; i < size; ++i) out.push_back(static_cast<std::byte>(value >> (8 * i) & 0xff));
    return out;
}
inline std::uint64_t value_of(const bytes& from) {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < from.size(); ++i) value |= std::to_integer<std::uint64_t>(from[i]) << (8 * i);
    return value;
}

/// A stack over a recorder, open, with an empty log.
template <class Stack, class Lower = recorder>
struct bench {
    Lower device;
    Stack front{device};

    struct sized_region {
        region_index where;
        std::uint64_t size;
    };
    /// With `size` bytes in BAR 0, and more regions.
    explicit bench(std::uint64_t size = 4096, unsigned max = 4, std::initializer_list<sized_region> more = {})
        : device{size, max} {
        for (const sized_region& each : more) device.add(each.where, each.size);
        journal = &device.seen;
        if (!front.open()) std::abort();
        device.seen.clear();
    }
    ~bench() { journal = nullptr; }
    bench(const bench&) = delete;
    bench& operator=(const bench&) = delete;

    struct got {
        answer done;
        bytes data;
        [[nodiscard]] std::uint64_t value() const { return value_of(data); }
    };
    got read(std::uint64_t offset, std::size_t size, region_index region = bar{0}) {
        got out{{}, bytes(size, std::byte{0xcc})};
        out.done = front.read({region, offset, out.data});
        return out;
    }
    answer write(std::uint64_t offset, const bytes& data, region_index region = bar{0}) {
        return front.write({region, offset, data});
    }
    answer write(std::uint64_t offset, std::uint64_t value, unsigned size) { return write(offset, little(value, size)); }
};

/// What initial memory reads as.
inline std::uint64_t initial_value(std::uint64_t offset, unsigned size) {
    std::uint64_t value = 0;
    for (unsigned i = 0; i < size; ++i) value |= std::to_integer<std::uint64_t>(initial(offset + i)) << (8 * i);
    return value;
}

} // namespace mediant::test
