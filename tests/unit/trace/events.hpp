// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/trace/event.hpp>
#include <mediant/trace/format.hpp>
#include <mediant/trace/reader.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

/// Recordings that tests make by themselves.
namespace mediant::test {

/// Random events of every kind; their long bytes are here.
class random_events {
public:
    explicit random_events(std::uint64_t seed) : random_{seed}, pool_(4096) {
        for (std::byte& b : pool_) b = static_cast<std::byte>(random_());
    }

    [[nodiscard]] trace::event make() {
        trace::event out;
        out.time = time_ += below(3) == 0 ? random_() >> (24 + below(40)) : below(20'000);
        out.at = below(2) == 0 ? trace::level::front : trace::level::below;
        if (below(4) != 0) {
            out.what = below(2) == 0 ? trace::action::read : trace::action::write;
            out.decided = static_cast<trace::decision>(below(3));
            out.region = region_index{static_cast<std::uint32_t>(below(3) == 0 ? random_() : below(9))};
            out.offset = below(4) == 0 ? random_() >> 1 : below(0x2000);
            constexpr std::uint64_t sizes[]{1, 2, 4, 4, 4, 8, 3, 16, 0, 300};
            out.size = sizes[below(std::size(sizes))];
            out.count = below(5) == 0 ? below(out.size + 1) : out.size;
            if (out.count != out.size || below(20) == 0) out.error = error{static_cast<std::int32_t>(1 + below(4095))};
            const std::uint64_t known = below(8) == 0 ? below(out.meant() + 1) : out.meant();
            out.set_bytes(some(known));
        } else {
            out.what = static_cast<trace::action>(2 + below(trace::action_count - 2));
            const trace::action_facts& facts = trace::facts_of(out.what);
            for (std::size_t i = 0; i < facts.number_count(); ++i) out.numbers[i] = random_() >> below(64);
            if (facts.answers && below(4) == 0) out.error = error{static_cast<std::int32_t>(1 + below(4095))};
            if (facts.has_bytes) out.set_bytes(some(below(20)));
        }
        return out;
    }

private:
    std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
    std::span<const std::byte> some(std::uint64_t count) {
        return std::span{pool_}.subspan(below(pool_.size() - count), count);
    }

    std::mt19937_64 random_;
    std::vector<std::byte> pool_;
    std::uint64_t time_ = 0;
};

[[nodiscard]] inline trace::identity some_identity() {
    trace::identity out;
    out.device = {0x1234, 0x11e8, 0x1af4, 0x1100, 0x00ff00};
    out.provider = "edu";
    out.source = "test";
    out.started = 1'700'000'000'000'000'000;
    out.regions = {{region_index::bar0, 1 << 20, region_flags::read | region_flags::write},
                   {region_index::config, 256, region_flags::read}};
    return out;
}

/// A file of these events, so many a block.
[[nodiscard]] inline std::vector<std::byte> recording_of(std::span<const trace::event> events, std::size_t in_block,
                                                         bool with_end = true) {
    using namespace trace;
    std::vector<std::byte> out = head_of_file();
    append_block(out, block_type::identity, payload_of(some_identity()));
    for (std::size_t i = 0; i < events.size();) {
        encoder to;
        for (; i < events.size() && to.events() < in_block; ++i) to.add(events[i]);
        append_block(out, block_type::events, to.payload());
    }
    if (!with_end) return out;
    std::vector<std::byte> end;
    byte_writer to{end};
    to.varint(events.size());
    to.varint(0);
    append_block(out, block_type::end, end);
    return out;
}

[[nodiscard]] inline std::vector<trace::event> all_of(trace::reader& from) {
    std::vector<trace::event> out;
    while (const auto next = from.next()) out.push_back(*next);
    return out;
}

} // namespace mediant::test
