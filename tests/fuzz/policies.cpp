// SPDX-License-Identifier: BSD-3-Clause
// libFuzzer target: accesses to stacks of policies, against the naive model of tests/unit: the same {count, error,
// bytes}, the same accesses below in the same order, the same calls of hooks.
//
// The first byte chooses the stack and the widest access of what is below. Then each access takes what it needs: how it
// is (a write? how long? does something fail, or is all reset before?), where (a place at which something begins or
// ends, by two bytes, and how far before it), what it fails at, and a write's bytes.
// runs: 5000
// long: 800000
#include "../unit/hooked_policies.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <vector>

using namespace mediant;
using namespace mediant::test;

namespace {

using few = generated<24, map_shape{.seed = 31, .size = 1024, .gap = 5, .everything = true}>;
using few_dwords = generated<24, map_shape{.seed = 32, .size = 1024, .gap = 12, .dwords = true, .everything = true}>;

class input {
public:
    explicit input(std::span<const std::uint8_t> all) : left_{all} {}
    [[nodiscard]] bool empty() const { return left_.empty(); }
    std::uint8_t byte() {
        if (left_.empty()) return 0;
        const auto first = left_.front();
        left_ = left_.subspan(1);
        return first;
    }

private:
    std::span<const std::uint8_t> left_;
};

[[noreturn]] void differs(std::size_t access, bool writes, std::uint64_t offset, std::size_t length) {
    std::fprintf(stderr, "access %zu, a %s of %zu bytes at 0x%llx, differs from the model's\n", access,
                 writes ? "write" : "read", length, static_cast<unsigned long long>(offset));
    std::abort();
}

template <class... Policies>
std::vector<std::uint64_t> corners() {
    std::vector<std::uint64_t> out{0};
    const auto add = [&](const auto& map) {
        out.push_back(map.size);
        for (const entry& e : map.entries)
            for (std::uint32_t i = 0; i < e.count; ++i)
                out.insert(out.end(), {e.offset + i * e.stride, e.offset + i * e.stride + e.size});
    };
    (add(Policies::bar0), ...);
    return out;
}

template <class... Policies>
void compare(input from, unsigned max) {
    static const std::vector<std::uint64_t> places = corners<Policies...>();
    static const std::uint64_t size = *std::max_element(places.begin(), places.end());
    static const model fresh = [] {
        model m;
        (m.layers.push_back(model_layer::of<Policies::bar0>(Policies::lane_hooks)), ...);
        return m;
    }();
    bench<stack<revocable, Policies...>, revocable> b{size, max};
    hook_failures = {};
    model m = fresh;
    m.memory = b.device.memory[bar{0}];
    m.widest = max;

    for (std::size_t i = 0; !from.empty() && i < 64; ++i) {
        const unsigned how = from.byte();
        const unsigned where = from.byte() | static_cast<unsigned>(from.byte()) << 8;
        const unsigned detail = from.byte();
        std::uint64_t offset = places[(where >> 4) % places.size()];
        if (const std::uint64_t before = where & 15; offset >= before) offset -= before;
        const bool writes = (how & 1) != 0;
        const std::size_t length = (how & 2) != 0 ? std::size_t{1} << (how >> 2 & 3) : how >> 2 & 31;
        b.device.faults_after = m.faults_after = (detail & 0x80) != 0 ? static_cast<int>(detail & 7) : -1;
        hook_failures.left = m.hooks.left = (detail & 0x40) != 0 ? static_cast<int>(detail >> 3 & 3) : -1;
        if (how >> 6 == 3) {
            b.front.reset();
            m.reset();
        }

        bytes expected_data(length, std::byte{0xcc});
        if (writes)
            for (auto& each : expected_data) each = static_cast<std::byte>(from.byte());
        bytes got_data = expected_data;
        const answer expected = writes ? m.write(offset, expected_data) : m.read(offset, expected_data);
        const answer got = writes ? b.front.write({bar{0}, offset, got_data}) : b.front.read({bar{0}, offset, got_data});
        if (got != expected || got_data != expected_data || b.device.happened() != m.log) differs(i, writes, offset, length);
        m.log.clear();
    }
    if (b.device.memory[bar{0}] != m.memory) differs(0, true, 0, 0);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    input from{{data, size}};
    const unsigned what = from.byte();
    const unsigned max = (what & 0x80) != 0 ? 8 : 4;
    switch (what % 8) {
    case 0: compare<dwords>(from, max); break;
    case 1: compare<widths>(from, max); break;
    case 2: compare<shapes>(from, max); break;
    case 3: compare<few>(from, max); break;
    case 4: compare<few_dwords>(from, max); break;
    case 5: compare<widths, dwords>(from, max); break;
    case 6: compare<few, shapes, few_dwords>(from, max); break;
    default: compare<switched>(from, max); break;
    }
    return 0;
}
