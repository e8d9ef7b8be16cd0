// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// The bytes of a recording: what is written is read, and what is damaged is found where it is, with all that comes
/// before it.

#include "events.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

using namespace mediant;
using namespace mediant::trace;
using namespace mediant::test;

namespace {

std::vector<event> some_events(std::uint64_t seed, std::size_t count) {
    static std::vector<random_events> sources; // of the bytes
    sources.reserve(64);
    sources.emplace_back(seed);
    std::vector<event> out;
    for (std::size_t i = 0; i < count; ++i) out.push_back(sources.back().make());
    return out;
}

/// Whether these are the first of those.
bool begins(const std::vector<event>& all, const std::vector<event>& first) {
    return first.size() <= all.size() && std::equal(first.begin(), first.end(), all.begin());
}

std::vector<std::byte> bytes_of(std::initializer_list<unsigned> all) {
    std::vector<std::byte> out;
    for (const unsigned each : all) out.push_back(static_cast<std::byte>(each));
    return out;
}

/// A file with one block of events whose payload is this, and a good checksum.
damage damage_of_events(std::span<const std::byte> payload) {
    std::vector<std::byte> file = head_of_file();
    append_block(file, block_type::identity, payload_of(some_identity()));
    append_block(file, block_type::events, payload);
    reader from{file};
    while (from.next()) {}
    return from.damaged();
}

} // namespace

TEST_CASE("what is written is read") {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        const std::vector<event> events = some_events(seed, 1000);
        const auto file = recording_of(events, 1 + seed * 7);
        reader from{file};
        const auto read = all_of(from);
        CHECK(from.damaged().what == fault::none);
        CHECK(from.finished());
        CHECK(from.lost() == 0);
        REQUIRE(read.size() == events.size());
        for (std::size_t i = 0; i < read.size(); ++i) REQUIRE(read[i] == events[i]);
        CHECK(from.who().device == some_identity().device);
        CHECK(from.who().provider == "edu");
        CHECK(from.who().source == "test");
        CHECK(from.who().started == some_identity().started);
        CHECK(from.who().regions == some_identity().regions);
    }
}

TEST_CASE("the usual access takes few bytes") {
    encoder to;
    event one;
    one.what = action::write;
    one.size = one.count = 4;
    for (int i = 0; i < 1000; ++i) {
        one.time += 9000;
        one.offset = i % 2 == 0 ? 0x20 : 0x28;
        const std::array bytes{std::byte{1}, std::byte{0}, std::byte{0}, std::byte{0}};
        one.set_bytes(bytes);
        to.add(one);
    }
    CHECK(to.payload().size() <= 1000 * 5 + 8);
}

TEST_CASE("times do not go back, and bytes that are not meant are left out") {
    encoder to;
    event one;
    one.what = action::read;
    one.time = 100;
    one.size = 4;
    one.count = 1;
    const std::array bytes{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
    one.set_bytes(bytes);
    to.add(one);
    one.time = 50;
    to.add(one);
    std::vector<std::byte> file = head_of_file();
    append_block(file, block_type::identity, payload_of({}));
    append_block(file, block_type::events, to.payload());
    reader from{file};
    const auto read = all_of(from);
    REQUIRE(read.size() == 2);
    CHECK(read[1].time == 100);
    CHECK(read[0].bytes().size() == 1);
    CHECK_FALSE(from.finished());
    CHECK_FALSE(from.damaged());
}

TEST_CASE("a file that is cut anywhere has what comes before, and says so") {
    const std::vector<event> events = some_events(99, 120);
    const auto file = recording_of(events, 10);
    for (std::size_t size = 0; size < file.size(); ++size) {
        reader from{std::span{file}.first(size)};
        const auto read = all_of(from);
        CHECK_FALSE(from.finished());
        REQUIRE(begins(events, read));
        if (size < recording_magic.size()) {
            CHECK(from.damaged().what == fault::no_recording);
        } else if (from.damaged()) {
            // Only between blocks is there nothing wrong, but that it was not finished.
            CHECK(from.damaged().what == fault::truncated);
            CHECK(from.damaged().offset <= size);
        } else {
            CHECK(read.size() % 10 == 0);
        }
        // No whole block before the cut is lost.
        CHECK(read.size() % 10 == 0);
    }
}

TEST_CASE("each damaged bit is found, and what comes before it is kept") {
    const std::vector<event> events = some_events(5, 60);
    auto file = recording_of(events, 6);
    for (std::size_t at = 0; at < file.size(); ++at) {
        for (unsigned bit = 0; bit < 8; ++bit) {
            file[at] ^= std::byte{1} << bit;
            reader from{file};
            const auto read = all_of(from);
            REQUIRE(from.damaged());
            REQUIRE(from.damaged().offset <= at);
            REQUIRE_FALSE(to_text(from.damaged().what).empty());
            REQUIRE(begins(events, read));
            file[at] ^= std::byte{1} << bit;
        }
    }
    // With a checksum that is right again it is another recording, or none, and never anything worse.
    std::size_t refused = 0, taken = 0;
    encoder to;
    for (const event& each : events) to.add(each);
    std::vector<std::byte> payload{to.payload().begin(), to.payload().end()};
    for (std::size_t at = 0; at < payload.size(); ++at) {
        for (unsigned bit = 0; bit < 8; ++bit) {
            payload[at] ^= std::byte{1} << bit;
            ++(damage_of_events(payload) ? refused : taken);
            payload[at] ^= std::byte{1} << bit;
        }
    }
    CHECK(refused > 0);
    CHECK(taken > 0);
}

TEST_CASE("what makes no sense is refused with the place of the event") {
    using namespace mediant::trace::detail;
    const auto at = [](const damage& found) {
        return found.offset - (file_head + block_overhead + block_head) - payload_of(some_identity()).size();
    };
    // A time; then an access of 4 bytes: bits, since, value.
    const auto good = bytes_of({0, 2 << width_shift, 0, 7});
    CHECK_FALSE(damage_of_events(good));
    const auto check = [&](std::initializer_list<unsigned> event_bytes) {
        auto payload = good;
        const auto more = bytes_of(event_bytes);
        payload.insert(payload.end(), more.begin(), more.end());
        const damage found = damage_of_events(payload);
        CHECK(found.what == fault::event);
        CHECK(at(found) == good.size());
    };
    check({1 << width_shift});                               // nothing behind the bits
    check({1 << width_shift, 0, 0xff, 0xff, 0x7f});          // a value wider than its access
    check({bit_details, 64, 0, 0});                          // details that there are not
    check({bit_details, 3u << decision_shift, 0, 0});        // a decision that there is not
    check({bit_details, bit_count, 0, 2, 0});                // more done than asked for
    check({bit_details, bit_error, 0, 0x80, 0x20, 0});       // an errno of 4096
    check({bit_details, bit_partly, 0, 2, 0});               // more known than there is
    check({bit_region, 0, 0xff, 0xff, 0xff, 0xff, 0x10, 0}); // a region of more than 32 bits
    check({bit_offset, 0, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02, 0}); // an offset of 65 bits
    check({bit_offset | 2 << width_shift, 0, 0x01, 0});                        // from -1 on: its end is nowhere
    check({0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0}); // a time of 70 bits
    check({bit_other | 0u << action_shift, 0});                                // an access as something else
    check({bit_other | 17u << action_shift, 0, 0});                            // an action that there is not
    check({bit_other | 5u << action_shift, 0, 0, 0, 0, 0, 0, 0, 5, 1});        // fewer bytes than said
    CHECK(damage_of_events({}).what == fault::event);                          // not even a time
}

TEST_CASE("blocks have an order, and the end a count") {
    const auto damage_of = [](const std::vector<std::byte>& file) {
        reader from{file};
        while (from.next()) {}
        return from.damaged();
    };
    const auto identity_block = payload_of(some_identity());
    std::vector<std::byte> file = head_of_file();
    append_block(file, block_type::events, {});
    CHECK(damage_of(file).what == fault::block_order);

    file = head_of_file();
    append_block(file, block_type::identity, std::span{identity_block}.first(identity_block.size() - 1));
    CHECK(damage_of(file).what == fault::identity);

    file = head_of_file();
    append_block(file, block_type::identity, identity_block);
    const std::size_t after_identity = file.size();
    append_block(file, block_type::identity, identity_block);
    CHECK(damage_of(file).what == fault::block_order);
    CHECK(damage_of(file).offset == after_identity);

    file.resize(after_identity);
    append_block(file, block_type{'?'}, {});
    CHECK(damage_of(file).what == fault::block_order);

    file.resize(after_identity);
    append_block(file, block_type::end, bytes_of({1, 0}));
    CHECK(damage_of(file).what == fault::count);
    file.resize(after_identity);
    append_block(file, block_type::end, bytes_of({0, 3}));
    {
        reader from{file};
        CHECK_FALSE(from.next());
        CHECK(from.finished());
        CHECK(from.lost() == 3);
    }
    file.push_back(std::byte{0});
    CHECK(damage_of(file).what == fault::trailing);

    file.resize(after_identity);
    const auto huge = bytes_of({'E', 0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0});
    file.insert(file.end(), huge.begin(), huge.end());
    CHECK(damage_of(file).what == fault::block_size);

    file = head_of_file();
    file[recording_magic.size()] = std::byte{2};
    CHECK(damage_of(file).what == fault::unknown_format);
    CHECK(damage_of({}).what == fault::no_recording);
}
