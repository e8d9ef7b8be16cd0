// SPDX-License-Identifier: BSD-3-Clause
#define MEDIANT_VERIFIED // what is written for the BPF verifier, run here

#include "differential.hpp"

#include <mediant/provider/layer.hpp>

// A part of an access at a time, as a BPF provider is asked by the host: what comes of it is what comes of the access
// anywhere else. Bytes beyond an access's end are read and written back there, so that there is room for them.

using namespace mediant;
using namespace mediant::test;

namespace {

template <class Policy, class Lower>
class parts_front {
public:
    explicit parts_front(Lower& device) : device_{&device} {}

    result<void> open() { return on_state().open(); }
    void release() { on_state().release(); }
    void reset() { on_state().reset(); }

    answer read(const read_access& a) {
        return split(a.offset, a.bytes.size(), [&](bool trapped, std::uint64_t offset, std::size_t done, std::size_t size) {
            if (!trapped) return below().read({a.region, offset, a.bytes.subspan(done, size)});
            std::uint64_t value = 0;
            const answer part = on_state().read_first(a.region, offset, std::min<std::size_t>(size, 8 - offset % 8), value);
            for (std::size_t i = 0; i < part.count; ++i) a.bytes[done + i] = static_cast<std::byte>(value >> 8 * i);
            return part;
        });
    }
    answer write(const write_access& a) {
        return split(a.offset, a.bytes.size(), [&](bool trapped, std::uint64_t offset, std::size_t done, std::size_t size) {
            const auto bytes = a.bytes.subspan(done, size);
            if (!trapped) return below().write({a.region, offset, bytes});
            const auto first = bytes.first(std::min<std::size_t>(size, 8 - offset % 8));
            return on_state().write_first(a.region, offset, first.size(), load_little(first));
        });
    }

private:
    using layers = layer<Policy, bottom<Lower>, layer_state<Policy>&>;

    bottom<Lower> below() { return bottom<Lower>{*device_}; }
    layers on_state() { return {below(), kept_.state}; }

    /// As the host takes an access apart: what passes whole, and what is trapped part by part.
    template <class F>
    answer split(std::uint64_t offset, std::size_t count, const F& part) {
        if (count == 0) return {};
        const std::uint64_t size = device_->memory[bar{0}].size();
        if (offset >= size) return {0, error::invalid};
        count = static_cast<std::size_t>(std::min<std::uint64_t>(count, size - offset));
        std::size_t done = 0;
        while (done < count) {
            const traps run = on_state().run_at_open(bar{0}, offset + done, count - done);
            const auto here = static_cast<std::size_t>(run.size);
            const answer a = part(run.trapped, offset + done, done, here);
            done += static_cast<std::size_t>(a.count);
            if (a.count == 0 || a.error != error::none) return {done, a.error};
        }
        return {done};
    }

    struct with_room {
        layer_state<Policy> state;
        std::byte room[16]{};
    };
    Lower* device_;
    with_room kept_;
};

template <class Policy>
void all_widths(int accesses) {
    compare_front<parts_front<Policy, revocable>, Policy>(seed(), 8, accesses);
    compare_front<parts_front<Policy, revocable>, Policy>(seed() + 1, 8, accesses);
}

} // namespace

TEST_CASE("parts of dwords of every kind, backing and hook as the model") { all_widths<dwords>(20000); }
TEST_CASE("parts of registers of every width as the model") { all_widths<widths>(20000); }
TEST_CASE("parts of fields, arrays, aliases, widths and hooks after writes as the model") { all_widths<shapes>(40000); }
TEST_CASE("parts of generated maps as the model") {
    all_widths<everything>(20000);
    all_widths<every_dword>(20000);
    all_widths<every_register>(20000);
    all_widths<bytewise>(5000);
    all_widths<dense>(5000);
    all_widths<aligned>(5000);
    all_widths<only_registers>(5000);
    all_widths<spread>(2500);
}
TEST_CASE("a part has the natural accesses of the whole") {
    for (std::uint64_t offset = 0; offset < 16; ++offset)
        for (std::size_t size = 1; size <= 8; ++size) {
            revocable whole{64, 8}, parts{64, 8};
            alignas(8) std::byte one[8]{}, other[8]{};
            const answer a = bottom<revocable>{whole}.read({bar{0}, offset, std::span{one}.first(size)});
            const answer b = bottom<revocable>{parts}.read_part({bar{0}, offset, std::span{other}.first(size)});
            CHECK(a == b);
            CHECK(whole.happened() == parts.happened());
            for (std::size_t i = 0; i < 8; ++i) one[i] = std::byte(17 * (i + 1));
            CHECK(bottom<revocable>{whole}.write({bar{0}, offset, std::span{one}.first(size)}) ==
                  bottom<revocable>{parts}.write_part({bar{0}, offset, std::span{one}.first(size)}));
            CHECK(whole.happened() == parts.happened());
            CHECK(whole.memory[bar{0}] == parts.memory[bar{0}]);
        }
}
