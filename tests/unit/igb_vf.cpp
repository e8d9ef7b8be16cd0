// SPDX-License-Identifier: BSD-3-Clause

// What the example of igb's VF remembers, reads and puts, over a function that stops slowly or not at all, and a
// physical function that refuses, is late, or never answers: what that of the guest's test (igb_migration) does not do.

#include <igb_vf/igb_vf.hpp>

#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <map>
#include <optional>
#include <set>
#include <vector>

using namespace mediant;

namespace {

using message = std::vector<std::uint32_t>;

constexpr std::uint64_t control = 0x0000, words = 0x0800, mailbox = 0x0c40, statistics = 0x0f10, raises = 0x1520,
                        masks = 0x1524, unmasks = 0x1528, rx = 0x2800, tx = 0x3800;
constexpr std::uint32_t enabled = 1u << 25;

/// Registers, and a physical function behind the mailbox.
struct card_function {
    std::map<std::uint64_t, std::uint32_t> registers;
    std::map<std::uint64_t, int> stores;
    std::vector<message> heard;         ///< messages, without the zeros behind
    std::set<std::uint32_t> refuses;    ///< first words
    bool answers = true;
    int late = 0;                       ///< reads of the mailbox before an answer
    bool never_stops = false;           ///< the queue that sends
    bool keeps_heads = false;           ///< heads cannot be written
    int to_send = 0;                    ///< reads of a head before it is at its tail

    std::optional<message> asked;

    [[nodiscard]] static unsigned max_access() { return 4; }

    result<std::uint64_t> load(region_index region, std::uint64_t offset, unsigned) {
        if (region == region_index::config) return 0;
        if (offset == mailbox) {
            if (asked && answers && late-- <= 0) answer();
            const std::uint32_t value = registers[mailbox];
            registers[mailbox] = value & ~0xb0u;
            return value;
        }
        if (offset == tx + 0x10 && to_send > 0 && --to_send == 0) registers[offset] = registers[tx + 0x18];
        return registers[offset];
    }
    result<void> store(region_index, std::uint64_t offset, unsigned, std::uint64_t value64) {
        const auto value = static_cast<std::uint32_t>(value64);
        ++stores[offset];
        if (offset == mailbox) {
            registers[mailbox] = (registers[mailbox] & ~0x4u) | (value & 0x4);
            if ((value & 1) == 0) return {};
            asked.emplace();
            for (std::uint64_t i = 0; i < 16; ++i) asked->push_back(registers[words + 4 * i]);
            message short_one = *asked;
            while (!short_one.empty() && short_one.back() == 0) short_one.pop_back();
            heard.push_back(short_one);
            return {};
        }
        if (keeps_heads && (offset == rx + 0x10 || offset == tx + 0x10)) return {};
        registers[offset] = never_stops && offset == tx + 0x28 ? value | enabled : value;
        return {};
    }
    result<get_region_info::answer> ioctl(const get_region_info& what) const {
        get_region_info::answer out{};
        out.size = what.region == bar{0} ? 16_KiB : what.region == region_index::config ? 4096u : 0u;
        return out;
    }
    result<void> ioctl(const reset_device&) {
        registers.clear();
        return {};
    }
    void log(const char*, auto...) {}

    void answer() {
        const bool refused = refuses.contains((*asked)[0]);
        registers[words] = (*asked)[0] | (refused ? 0x4000'0000u : 0x8000'0000u) | 0x2000'0000u;
        registers[mailbox] |= 0x30;
        asked.reset();
    }
};

using mediated = stack<card_function, acme::igb_vf>;

void put(mediated& at, std::uint64_t offset, std::uint32_t value) {
    std::byte bytes[4]{};
    detail::store_bytes(bytes, value);
    REQUIRE(at.write({bar{0}, offset, bytes}) == answer{4});
}
std::uint32_t get(mediated& at, std::uint64_t offset) {
    std::byte bytes[4]{};
    REQUIRE(at.read({bar{0}, offset, bytes}) == answer{4});
    return detail::load_bytes<std::uint32_t>(bytes);
}
void ask(mediated& at, const message& what) {
    put(at, mailbox, 0x4);
    for (std::size_t i = 0; i < 16; ++i) put(at, words + 4 * i, i < what.size() ? what[i] : 0);
    put(at, mailbox, 0x1);
}
void say(mediated& at, const message& what) {
    ask(at, what);
    while ((get(at, mailbox) & 0x10) == 0) {}
    put(at, mailbox, 0x2);
}

std::vector<std::byte> saved_of(mediated& at) {
    std::vector<std::byte> out(8192);
    const auto size = at.read_migration(out);
    REQUIRE(size);
    out.resize(*size);
    return out;
}
std::vector<std::byte> save(mediated& at) {
    REQUIRE(at.migrate(migration_state::stop_copy));
    return saved_of(at);
}
bool restore(mediated& at, std::span<const std::byte> stream) {
    REQUIRE(at.migrate(migration_state::resuming));
    REQUIRE(at.write_migration(stream));
    return at.migrate(migration_state::running).has_value();
}

struct pair {
    card_function from_card, to_card;
    mediated from{from_card}, to{to_card};
    pair() {
        REQUIRE(from.open());
        REQUIRE(to.open());
    }
    void run_queues() {
        for (const std::uint64_t queue : {rx, tx}) {
            put(from, queue + 0x08, 256);
            put(from, queue + 0x28, enabled);
        }
    }
};

} // namespace

TEST_CASE("queues are the user's to map, the mailbox and the masks are not") {
    pair both;
    CHECK(both.from.next_area(bar{0}, 4096, 0) == range{0x2000, 0x2000});
}

TEST_CASE("what was granted is asked again, and what was refused is not") {
    pair both;
    say(both.from, {4 | 1u << 16, 33}); // forgotten by the reset
    say(both.from, {1});
    say(both.from, {5, 9000});
    both.from_card.refuses = {5};
    say(both.from, {2, 0x33221102, 0x5544});
    say(both.from, {2 | 1u << 16});
    say(both.from, {2 | 2u << 16, 0x99, 0x77});
    say(both.from, {3 | 2u << 16, 0x00500051});
    say(both.from, {4 | 1u << 16, 7});
    say(both.from, {4 | 1u << 16, 4095});
    say(both.from, {4, 7});
    say(both.from, {5, 1500});
    say(both.from, {6 | 2u << 16});
    REQUIRE(restore(both.to, save(both.from)));
    const std::vector<message> again{{1}, {5, 9000}, {2, 0x33221102, 0x5544}, {2 | 2u << 16, 0x99, 0x77},
                                     {3 | 2u << 16, 0x00500051}, {4 | 1u << 16, 4095}, {6 | 2u << 16}};
    CHECK(both.to_card.heard == again);
    for (std::uint64_t i = 0; i < 16; ++i) CHECK(get(both.to, words + 4 * i) == get(both.from, words + 4 * i));
}

TEST_CASE("a function that its driver has reset has asked for nothing") {
    pair both;
    say(both.from, {1});
    say(both.from, {2, 0x33221102, 0x5544});
    put(both.from, control, 1u << 26);
    REQUIRE(restore(both.to, save(both.from)));
    CHECK(both.to_card.heard.empty());
    CHECK(both.to_card.registers[control] == 1u << 26);
}

TEST_CASE("a stream whose address is refused is refused") {
    pair both;
    say(both.from, {1});
    say(both.from, {2, 0x33221102, 0x5544});
    both.to_card.refuses = {1, 2}; // a reset that finds no address is refused, and goes on
    CHECK_FALSE(restore(both.to, save(both.from)));
    CHECK(both.to_card.heard == std::vector<message>{{1}, {2, 0x33221102, 0x5544}});
    CHECK(both.to.migration() == migration_state::error);
    CHECK(both.to.migration_report().what == stream_fault::refused);
}

TEST_CASE("a physical function that does not answer makes a stream refused") {
    pair both;
    say(both.from, {1});
    both.to_card.answers = false;
    CHECK_FALSE(restore(both.to, save(both.from)));
}

TEST_CASE("what is not known cannot be asked again: it does not migrate, and runs on") {
    pair both;
    both.run_queues();
    say(both.from, {1});
    SECTION("a message") { say(both.from, {9}); }
    SECTION("a filter too many") {
        for (std::uint32_t i = 0; i < 9; ++i) say(both.from, {2 | 2u << 16, i});
    }
    CHECK(both.from.migrate(migration_state::stop).error() == error::not_supported);
    CHECK(both.from.migration() == migration_state::running);
    CHECK((get(both.from, tx + 0x28) & enabled) != 0);
}

TEST_CASE("an answer on its way comes to the next function's driver") {
    pair both;
    both.from_card.late = 100;
    ask(both.from, {1});
    REQUIRE(restore(both.to, save(both.from)));
    CHECK(both.to_card.heard == std::vector<message>{{1}});
    CHECK(get(both.to, words) == 0xa000'0001);
    CHECK((get(both.to, mailbox) & 0x30) == 0x30);
    CHECK((get(both.to, mailbox) & 0x30) == 0);
}

TEST_CASE("an answer that does not come is not invented") {
    pair both;
    both.from_card.answers = false;
    ask(both.from, {1});
    REQUIRE(restore(both.to, save(both.from)));
    CHECK(both.to_card.heard.empty());
    CHECK((get(both.to, mailbox) & 0x30) == 0);
}

TEST_CASE("a buffer that the driver has taken stays its") {
    for (const std::uint32_t taken : {0u, 4u}) {
        pair both;
        put(both.from, mailbox, taken);
        REQUIRE(restore(both.to, save(both.from)));
        CHECK((get(both.to, mailbox) & 4) == taken);
        REQUIRE(both.from.migrate(migration_state::running)); // which goes on itself
        put(both.from, mailbox, 0);
        CHECK((get(both.from, mailbox) & 4) == 0);
    }
}

TEST_CASE("frames that were handed over are sent before the queue stops") {
    pair both;
    both.run_queues();
    put(both.from, tx + 0x18, 9);
    both.from_card.to_send = 1000;
    REQUIRE(restore(both.to, save(both.from)));
    CHECK(get(both.to, tx + 0x10) == 9);
    CHECK(get(both.to, tx + 0x18) == 9);
}

TEST_CASE("frames that are not sent go along, where they are") {
    pair both;
    both.run_queues();
    put(both.from, tx + 0x10, 3);
    put(both.from, tx + 0x18, 9);
    REQUIRE(restore(both.to, save(both.from)));
    CHECK(get(both.to, tx + 0x10) == 3);
    CHECK(get(both.to, tx + 0x18) == 9);
    CHECK(get(both.to, tx + 0x28) == enabled);
    CHECK((get(both.from, tx + 0x28) & enabled) == 0);
}

TEST_CASE("a queue that does not stop is told of") {
    pair both;
    both.run_queues();
    put(both.from, rx + 0x18, 5);
    both.from_card.never_stops = true;
    CHECK(both.from.migrate(migration_state::stop).error() == error::busy);
    CHECK(both.from.migration() == migration_state::running);
    CHECK(get(both.from, rx + 0x28) == enabled); // which had stopped
    CHECK(get(both.from, rx + 0x18) == 5);
}

TEST_CASE("heads that are not within their ring, or do not stay where they are put, are refused") {
    pair both;
    both.run_queues();
    put(both.from, rx + 0x10, 15);
    SECTION("within") {
        CHECK(restore(both.to, save(both.from)));
        CHECK(get(both.to, rx + 0x10) == 15);
    }
    SECTION("not within") {
        put(both.from, rx + 0x10, 16);
        CHECK_FALSE(restore(both.to, save(both.from)));
    }
    SECTION("do not stay") {
        both.to_card.keeps_heads = true;
        CHECK_FALSE(restore(both.to, save(both.from)));
    }
}

TEST_CASE("counters go on where they were, also twice") {
    pair both;
    both.from_card.registers[statistics + 8] = 1000;
    both.to_card.registers[statistics + 8] = 77;
    REQUIRE(restore(both.to, save(both.from)));
    CHECK(get(both.to, statistics + 8) == 1000);
    both.to_card.registers[statistics + 8] += 5;
    CHECK(get(both.to, statistics + 8) == 1005);
    REQUIRE(both.from.migrate(migration_state::running));
    REQUIRE(restore(both.from, save(both.to)));
    CHECK(get(both.from, statistics + 8) == 1005);
}

TEST_CASE("interrupts are set up as they were, and what is so already is not written") {
    pair both;
    put(both.from, 0x1680, 0x10);
    put(both.from, 0x1700, 0x8180);
    put(both.from, 0x152c, 0x7);
    both.to_card.registers[0x152c] = 0x7;
    REQUIRE(restore(both.to, save(both.from)));
    for (const std::uint64_t offset : {0x1680u, 0x1700u, 0x152cu})
        CHECK(get(both.to, offset) == get(both.from, offset));
    for (const std::uint64_t offset : {0x152cu, 0x1530u}) CHECK(both.to_card.stores[offset] == 0);
}

TEST_CASE("vectors are unmasked as they were by all writes together, and raised once") {
    pair both;
    put(both.from, masks, 0x1);
    put(both.from, masks, 0x6);
    put(both.from, unmasks, 0x2);
    REQUIRE(restore(both.to, save(both.from)));
    CHECK(both.to_card.registers[masks] == 0x5);
    CHECK(both.to_card.registers[unmasks] == 0x7);
    CHECK(both.to_card.registers[raises] == 0x5);
}

TEST_CASE("a reset of the function forgets") {
    pair both;
    say(both.from, {1});
    put(both.from, masks, 0x7);
    REQUIRE(both.from.ioctl(reset_device{}));
    REQUIRE(restore(both.to, save(both.from)));
    CHECK(both.to_card.heard.empty());
    CHECK(both.to_card.registers[raises] == 0);
}
