// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// What is recorded is what was done, and a replay finds what answers otherwise.

#include "events.hpp"

#include <conformance/compare.hpp>
#include <edu/edu.hpp>
#include <unit/temporary_folder.hpp>

#include <mediant/device/edu.hpp>
#include <mediant/device/memory_device.hpp>
#include <mediant/provider/stack.hpp>
#include <mediant/trace/reader.hpp>
#include <mediant/trace/recorded.hpp>
#include <mediant/trace/recorder.hpp>
#include <mediant/trace/replay.hpp>
#include <mediant/vfio_user/servable.hpp>

#include <catch2/catch.hpp>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <ios>
#include <iterator>
#include <span>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace mediant;
using namespace mediant::trace;
using namespace mediant::test;
using conformance::operation;

namespace {

using tapped_edu = tapped<device::edu>;
using edu_stack = stack<tapped_edu, acme::edu>;
static_assert(vfio_user::servable<recorded<edu_stack>> && vfio_user::has_deadline<recorded<edu_stack>>);
static_assert(vfio_user::has_block<stack<device::memory_device>> &&
              !vfio_user::has_block<stack<tapped<device::memory_device>>>);
static_assert(!vfio_user::has_memory_fd<recorded<stack<device::memory_device>>>);

/// The provider with one register that answers otherwise.
struct other_edu {
    static constexpr auto info = provider{"edu", {pci_id{0x1234, 0x11e8}}};
    static constexpr auto bar0 = region_map{bar{0}, 1_MiB, reg{"EVENTS", 0x28, w1c, {.backing = from::shadow}},
                                            reg{"IDENT", 0x00, ro, {.backing = from::constant, .value = 0x1ac00ee}}};
    static constexpr auto regions = mediant::regions<bar0>{};
};

std::vector<std::byte> bytes_of(const std::filesystem::path& path) {
    std::ifstream in{path, std::ios::binary};
    std::vector<char> all{std::istreambuf_iterator<char>{in}, {}};
    const auto bytes = std::as_bytes(std::span{all});
    return {bytes.begin(), bytes.end()};
}

std::vector<operation> some_operations(std::uint64_t seed, std::size_t count) {
    conformance::territory where = conformance::edu_territory();
    where.around<acme::edu::bar0>();
    where.untouched = {};
    where.unwritten = {};
    return conformance::generator{where, seed}.make(count);
}

/// Does them, and keeps what was done and came of it as it should be recorded.
template <class Device>
std::vector<event> perform(Device& device, const std::vector<operation>& all,
                           std::vector<std::array<std::byte, 16>>& kept) {
    std::vector<event> out;
    kept.resize(all.size());
    for (std::size_t i = 0; i < all.size(); ++i) {
        const operation& one = all[i];
        event expected;
        if (one.what == operation::kind::reset) {
            expected.what = action::reset;
            expected.error = device.ioctl(reset_device{}).error();
        } else {
            kept[i] = one.bytes;
            const auto bytes = std::span{kept[i]}.first(one.size);
            const bool write = one.what == operation::kind::write;
            const answer came = write ? device.write(write_access{one.region, one.offset, bytes})
                                      : device.read(read_access{one.region, one.offset, bytes});
            expected.what = write ? action::write : action::read;
            expected.region = one.region;
            expected.offset = one.offset;
            expected.size = one.size;
            expected.count = came.count;
            expected.error = came.error;
            expected.set_bytes(write ? bytes : bytes.first(came.count));
        }
        out.push_back(expected);
        if (i % 50 == 0) {
            device.advance(i * 1'000'000);
        }
    }
    return out;
}

/// A recording of random accesses to the example's provider.
struct made {
    temporary_folder at;
    std::vector<operation> operations = some_operations(1, 4000);
    std::vector<std::array<std::byte, 16>> kept;
    std::vector<event> expected;
    std::vector<std::byte> file;

    explicit made(bool below = false) {
        tapped_edu edu{4};
        edu_stack bare{edu};
        REQUIRE(bare.open());
        const identity who = identity_of(bare, "edu", "in process");
        bare.release();
        recorder to{{.path = (at / "recording").string()}, who};
        if (below) edu.records_to(&to);
        recorded<edu_stack> device{bare, to};
        REQUIRE(device.open());
        expected = perform(device, operations, kept);
        device.release();
        to.finish();
        CHECK(to.lost() == 0);
        file = bytes_of(at / "recording");
        CHECK(to.bytes() == file.size());
    }
};

struct tried {
    replay_summary summary;
    std::vector<event> different;
};
template <class Device>
tried replayed(std::span<const std::byte> file, Device& device, const replay_options& how = {}) {
    reader from{file};
    tried out;
    out.summary = replay<Device>::run(from, device, how,
                                      [&](const difference& one) { out.different.push_back(one.expected); });
    CHECK_FALSE(from.damaged());
    return out;
}

} // namespace

TEST_CASE("what is recorded is what was done") {
    const made one;
    reader from{one.file};
    CHECK(from.who().device == device::edu::id);
    REQUIRE(from.who().find(region_index::bar0) != nullptr);
    CHECK(from.who().find(region_index::bar0)->size == device::edu::bar_size);
    CHECK_FALSE(has(from.who().find(region_index::bar0)->flags, region_flags::mmap));
    auto all = all_of(from);
    REQUIRE(from.finished());
    std::uint64_t time = 0;
    REQUIRE(all.size() >= one.expected.size() + 2);
    CHECK(all.front().what == action::open);
    CHECK(all.back().what == action::release);
    std::size_t i = 0, advances = 0;
    for (event& each : std::span{all}.subspan(1, all.size() - 2)) {
        CHECK(each.time >= time);
        time = each.time;
        if (each.what == action::advance) {
            ++advances;
            continue;
        }
        each.time = 0;
        REQUIRE(i < one.expected.size());
        REQUIRE(each == one.expected[i]);
        ++i;
    }
    CHECK(i == one.expected.size());
    CHECK(advances > 0);
    // A dozen bytes an access, values of 16 bytes and errors included.
    CHECK(one.file.size() < 12 * one.expected.size());
}

TEST_CASE("the tap below shows what policies did to the device") {
    temporary_folder at;
    tapped_edu edu{4};
    edu_stack bare{edu};
    recorder to{{.path = (at / "recording").string()}, {}};
    recorded<edu_stack> device{bare, to};
    REQUIRE(device.open());
    edu.records_to(&to);
    std::array<std::byte, 4> bytes{};
    CHECK(device.read({bar{0}, 0x00, bytes}).count == 4); // asks the device, and marks what it answers
    CHECK(device.read({bar{0}, 0x04, bytes}).count == 4); // passes
    CHECK(device.read({bar{0}, 0x28, bytes}).count == 4); // a shadow
    CHECK(device.read({bar{0}, 0x02, bytes}).count == 4); // both
    edu.records_to(nullptr);
    CHECK(device.read({bar{0}, 0x00, bytes}).count == 4);
    to.finish();
    const auto file = bytes_of(at / "recording");
    reader from{file};
    std::string seen;
    std::uint64_t marked = 0, asked = 0;
    for (const event& each : all_of(from)) {
        if (!each.is_access() || each.region != bar{0}) continue;
        seen += each.at == level::below ? 'b' : 'f';
        if (each.offset == 0 && each.at == level::below) asked = each.value();
        if (each.offset == 0 && each.at == level::front) marked = each.value();
    }
    CHECK(seen == "bf"
                  "bf"
                  "f"
                  "bbf"
                  "f");
    CHECK(asked == device::edu::ident_value);
    CHECK(marked == 0x1ac00ed);
}

TEST_CASE("requests are recorded with what they were told") {
    temporary_folder at;
    tapped_edu edu{4};
    edu_stack bare{edu};
    recorder to{{.path = (at / "recording").string()}, {}};
    recorded<edu_stack> device{bare, to};
    REQUIRE(device.open());
    const int eventfd = ::eventfd(0, EFD_CLOEXEC);
    const std::array fds{eventfd};
    CHECK(device.ioctl(set_irqs{irq_index::intx, set_irqs::action::trigger, set_irqs::data::eventfds, 0, 1, {}, fds}));
    const std::array bools{std::uint8_t{1}};
    CHECK(device.ioctl(set_irqs{irq_index::intx, set_irqs::action::trigger, set_irqs::data::bools, 0, 1, bools, {}}));
    std::vector<std::byte> memory(8192);
    CHECK(device.ioctl(map_dma{.iova = 0x10000, .size = 8192, .readable = true, .writable = false, .memory = memory}));
    CHECK_FALSE(device.ioctl(unmap_dma{0x10000, 4096}));
    CHECK(device.ioctl(unmap_dma{0x10000, 8192}));
    CHECK(device.ioctl(reset_device{}));
    CHECK(device.ioctl(get_device_info{})->regions == 9);
    device.release();
    to.finish();
    ::close(eventfd);
    const auto file = bytes_of(at / "recording");
    reader from{file};
    const auto all = all_of(from);
    REQUIRE(all.size() == 8);
    CHECK(all[1].what == action::set_irqs);
    CHECK(all[1].numbers == std::array<std::uint64_t, 5>{0, 2, 2, 0, 1});
    CHECK(all[1].value() == 1);
    CHECK(all[2].numbers == std::array<std::uint64_t, 5>{0, 2, 1, 0, 1});
    CHECK(all[3].what == action::map_dma);
    CHECK(all[3].numbers == std::array<std::uint64_t, 5>{0x10000, 8192, 1, 1, 0});
    CHECK(all[4].what == action::unmap_dma);
    CHECK(all[4].error != error::none);
    CHECK(all[5].error == error::none);
    CHECK(all[6].what == action::reset);

    device::edu other{4};
    stack<device::edu, acme::edu> target{other};
    const tried same = replayed(file, target);
    CHECK(same.summary.different == 0);
    CHECK(same.summary.skipped == 0);
}

TEST_CASE("a replay into the same provider has the same answers, and into another one finds the register") {
    for (const bool below : {false, true}) {
        const made one{below};
        device::edu edu{4};
        stack<device::edu, acme::edu> same{edu};
        const tried good = replayed(one.file, same);
        CHECK(good.summary.different == 0);
        CHECK(good.summary.compared + good.summary.outside >= one.expected.size());
        CHECK(good.summary.unknown == 0);

        device::edu plain{4};
        stack<device::edu, other_edu> planted{plain};
        replay_options how;
        // All that differs but for IDENT: what the example's other registers do.
        how.ignored = {{region_index::bar0, {0x20, 1_MiB - 0x20}}};
        const tried found = replayed(one.file, planted, how);
        CHECK(found.summary.different > 0);
        CHECK(found.summary.different == found.different.size());
        for (const event& each : found.different) {
            CHECK(each.region == bar{0});
            CHECK(each.offset < 4);
        }
        how.ignored.push_back({region_index::bar0, {0, 4}});
        device::edu again{4};
        stack<device::edu, other_edu> ignoring{again};
        const tried nothing = replayed(one.file, ignoring, how);
        CHECK(nothing.summary.different == 0);
        CHECK(nothing.summary.ignored > 0);

        device::memory_device small{device::edu::id, {512_KiB}};
        stack<device::memory_device> smaller{small};
        const tried shaped = replayed(one.file, smaller);
        REQUIRE_FALSE(shaped.different.empty());
        CHECK(shaped.different.front().what == action::open); // a region of another size
        CHECK(shaped.different.front().size == 1_MiB);
    }
}

TEST_CASE("the file is never larger than its limit, and says what is missing") {
    for (const std::uint64_t limit : {4096u, 5000u, 20'000u, 40'000u}) {
        temporary_folder at;
        const std::string path = (at / "recording").string();
        std::uint64_t recorded = 0, lost = 0;
        std::vector<event> expected;
        random_events source{limit};
        {
            recorder to{{.path = path, .limit = limit}, some_identity()};
            for (int i = 0; i < 20'000; ++i) {
                expected.push_back(source.make());
                to.add_as_is(expected.back());
                if (i % 1000 == 0) {
                    to.flush();
                    REQUIRE(std::filesystem::file_size(path) <= limit);
                }
            }
            recorded = to.recorded();
            lost = to.lost();
            to.finish();
            CHECK(recorded == to.recorded());
        }
        CHECK(recorded + lost == 20'000);
        CHECK(lost > 0);
        const auto file = bytes_of(path);
        CHECK(file.size() <= limit);
        CHECK(file.size() > limit - limit / 4); // and not much smaller
        reader from{file};
        const auto all = all_of(from);
        CHECK(from.finished());
        CHECK(from.lost() == lost);
        REQUIRE(all.size() == recorded);
        for (std::size_t i = 0; i < all.size(); ++i) REQUIRE(all[i] == expected[i]);
    }
    temporary_folder at;
    CHECK_THROWS_AS((recorder{{.path = (at / "x").string(), .limit = 100}, {}}), std::system_error);
    CHECK_THROWS_AS((recorder{{.path = (at / "no" / "x").string()}, {}}), std::system_error);
}

TEST_CASE("a file system without room ends the recording, not the device") {
    temporary_folder at;
    recorder to{{.path = (at / "recording").string()}, some_identity()};
    const std::uint64_t before = to.bytes();
    rlimit old{};
    ::getrlimit(RLIMIT_FSIZE, &old);
    const rlimit none{before + 100, old.rlim_max};
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    ::setrlimit(RLIMIT_FSIZE, &none);
    random_events source{1};
    for (int i = 0; i < 1000; ++i) to.add_as_is(source.make());
    to.flush();
    ::setrlimit(RLIMIT_FSIZE, &old);
    std::signal(SIGXFSZ, handler);
    CHECK(to.failed() == EFBIG);
    CHECK(to.recorded() == 0);
    CHECK(to.lost() == 1000);
    to.finish();
    const auto file = bytes_of(at / "recording");
    CHECK(file.size() == before); // what was whole
    reader from{file};
    CHECK_FALSE(from.next());
    CHECK_FALSE(from.damaged());
}

TEST_CASE("a recording is its owner's alone") {
    temporary_folder at;
    const auto old = ::umask(0);
    const recorder to{{.path = (at / "recording").string()}, some_identity()};
    ::umask(old);
    namespace files = std::filesystem;
    CHECK(files::status(at / "recording").permissions() == (files::perms::owner_read | files::perms::owner_write));
}

TEST_CASE("what was flushed is there without an end") {
    temporary_folder at;
    recorder to{{.path = (at / "recording").string()}, some_identity()};
    to.add(trace::detail::event_of(action::open, level::front));
    to.add(trace::detail::event_of(action::release, level::front));
    to.add(trace::detail::event_of(action::open, level::front));
    const auto file = bytes_of(at / "recording"); // as a program that is killed leaves it
    reader from{file};
    CHECK(all_of(from).size() == 2);
    CHECK_FALSE(from.damaged());
    CHECK_FALSE(from.finished());
}

TEST_CASE("threads may add at once") {
    temporary_folder at;
    const std::string path = (at / "recording").string();
    constexpr std::uint64_t each_adds = 5000;
    {
        recorder to{{.path = path}, some_identity()};
        std::vector<std::thread> threads;
        for (std::uint32_t thread = 0; thread < 4; ++thread)
            threads.emplace_back([&to, thread] {
                event one;
                one.what = action::write;
                one.region = region_index{thread};
                one.size = one.count = 8;
                for (std::uint64_t i = 0; i < each_adds; ++i) {
                    std::array<std::byte, 8> bytes{};
                    store_little(bytes, i);
                    one.set_bytes(bytes);
                    to.add(one);
                }
            });
        for (std::thread& each : threads) each.join();
    }
    const auto file = bytes_of(path);
    reader from{file};
    std::array<std::uint64_t, 4> next{};
    std::uint64_t time = 0;
    while (const auto one = from.next()) {
        REQUIRE(one->value() == next[static_cast<std::uint32_t>(one->region)]++);
        REQUIRE(one->time >= time);
        time = one->time;
    }
    CHECK(from.finished());
    CHECK(next == std::array<std::uint64_t, 4>{each_adds, each_adds, each_adds, each_adds});
}
