// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Runs in a guest with two processors: QEMU's edu device under moving_vfio_pci, whose policy says what its state is
/// and fetches the hardware's (migration/moving_edu.hpp). States, arcs, streams and their ends, as linux/vfio.h has
/// them; streams from the kernel restored in process and over vfio-user, and back; a stream that is cut, damaged and
/// goes on; resets; files that outlive their device; and a save under load.
///
///   migration [MODULE [PROVIDER]]
///
/// PROVIDER is the host's: unloaded at the end, while a file of its is open.

#include "expect.hpp"
#include "migration/moving_edu.hpp"
#include "migration/state_file.hpp"

#include <mediant/device/edu.hpp>
#include <mediant/migration/next_state.hpp>
#include <mediant/provider/stack.hpp>
#include <mediant/vfio_user/client.hpp>
#include <mediant/vfio_user/client_migration.hpp>
#include <mediant/vfio_user/server.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <numeric>
#include <thread>

#include <sys/syscall.h>
#include <sys/utsname.h>

namespace {

using namespace mediant::guest;
using mediant::migration_state;

constexpr std::uint32_t bar0 = VFIO_PCI_BAR0_REGION_INDEX;
constexpr std::uint64_t live = 0x04, factorial = 0x08, status = 0x20, events = 0x28, fail_hook = 0x30, level = 0x34,
                        quick = 0x38, spare = 0xa0, table = 0x1000, table_size = 0x2000;
constexpr std::size_t stream_head = 12; // of a chunk, and its checksum

/// The kernel that does not know PRE_COPY is the oldest.
bool knows_pre_copy() {
    utsname name{};
    ::uname(&name);
    return std::string{name.release}.rfind("6.1.", 0) != 0;
}

/// What a user of the device sees of its state.
struct picture {
    std::uint32_t live, factorial, status, events;
    std::uint64_t dma;
    std::vector<std::byte> table;
    friend bool operator==(const picture&, const picture&) = default;
};

template <class Get, class Read>
picture picture_of(const Get& get, const Read& read) {
    picture out{get(live), get(factorial), get(status), get(events), 0, std::vector<std::byte>(table_size)};
    out.dma = get(spare) | std::uint64_t{get(spare + 4)} << 32;
    read(out.table);
    return out;
}
picture look(const device& edu) {
    return picture_of([&](std::uint64_t at) { return edu.get<std::uint32_t>(bar0, at); },
                      [&](std::span<std::byte> to) {
                          if (edu.read(bar0, table, to).count != static_cast<std::int64_t>(to.size()))
                              fail(EIO, "the table");
                      });
}

void wait_for_factorial(const device& edu) {
    for (int i = 0; i < 1000 && (edu.get<std::uint32_t>(bar0, status) & 1) != 0; ++i) ::usleep(1000);
}

/// A state that differs from that of a reset wherever it can.
void prepare(const device& edu, std::uint32_t seed) {
    edu.put<std::uint32_t>(bar0, live, 0x1357'0000 + seed);
    edu.put<std::uint32_t>(bar0, status, 0);
    wait_for_factorial(edu); // of what was restored before
    edu.put<std::uint32_t>(bar0, factorial, 5 + seed % 6);
    wait_for_factorial(edu);
    edu.put<std::uint32_t>(bar0, events, 0xe000 + seed);
    edu.put<std::uint64_t>(bar0, spare, 0x1122'3344'5566'0000 + seed);
    std::vector<std::byte> bytes(table_size);
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 7 + seed);
    if (edu.write(bar0, table, bytes).count != static_cast<std::int64_t>(bytes.size())) fail(EIO, "the table");
}

// --- in process --------------------------------------------------------------------------------------

/// The simulated device as hardware is: it tells nothing of its own state, so that a stack over it has the very parties
/// that the kernel's has.
struct silent_edu : mediant::device::edu {
    static void migration() = delete;
};
using twin = mediant::stack<silent_edu, moving::edu>;
/// Here the model says its state, too: the stack has a party more.
using model = mediant::stack<mediant::device::edu, moving::edu>;

template <class Stack>
std::uint32_t get(Stack& stack, std::uint64_t at) {
    std::byte four[4]{};
    if (stack.read({mediant::bar{0}, at, four}).count != 4) fail(EIO, "read in process");
    return mediant::detail::load_bytes<std::uint32_t>(four);
}
template <class Stack>
void put(Stack& stack, std::uint64_t at, std::uint32_t value) {
    std::byte four[4]{};
    mediant::detail::store_bytes(four, value);
    if (stack.write({mediant::bar{0}, at, four}).count != 4) fail(EIO, "write in process");
}
template <class Stack>
picture look(Stack& stack) {
    return picture_of([&](std::uint64_t at) { return get(stack, at); },
                      [&](std::span<std::byte> to) {
                          if (stack.read({mediant::bar{0}, table, to}).count != to.size()) fail(EIO, "the table");
                      });
}
template <class Stack>
std::vector<std::byte> saved_in_process(Stack& stack) {
    if (!stack.migrate(migration_state::stop_copy)) fail(EIO, "stop_copy in process");
    std::vector<std::byte> out(1 << 16);
    const auto size = stack.read_migration(out);
    if (!size) fail(EIO, "a stream in process");
    out.resize(*size);
    return out;
}

// --- the tests ---------------------------------------------------------------------------------------

void features(const device& edu) {
    section("what it offers");
    const std::uint64_t all = mediant::migrates_by_stop_copy | mediant::migrates_with_p2p |
                              (knows_pre_copy() ? mediant::migrates_with_pre_copy : 0);
    expect("flags", migration_flags(edu), all);
    expect("the state", state_of(edu), VFIO_DEVICE_STATE_RUNNING);
    if (!knows_pre_copy()) return;
    expect("the size of the data", data_size(edu) > table_size, true);
}

/// Every state to every other: the core's table and the policy's arcs are one, and each is told of its stream.
void arcs(const device& edu) {
    section("from each state to each");
    edu.put<std::uint32_t>(bar0, quick, 1); // resets are the policy's alone: a bus reset takes a second
    const std::uint64_t flags = migration_flags(edu);
    unsigned made = 0, refused = 0;
    for (std::uint32_t from = 1; from < mediant::migration_states; ++from)
        for (std::uint32_t to = 0; to <= mediant::migration_states; ++to) {
            const auto first = migration_state{from}, last = migration_state{to};
            edu.reset();
            const std::string what = "from " + std::to_string(from) + " to " + std::to_string(to);
            transition way = set_state(edu, from);
            if (!mediant::has_state(flags, first)) {
                expect("a state that it lacks, " + what, static_cast<unsigned>(way.error), EINVAL);
                continue;
            }
            expect("the first " + what, static_cast<unsigned>(way.error), 0);
            // A device that is resuming has got nothing: it fails on the way out.
            const bool way_there = mediant::next_state(flags, first, last).has_value();
            const bool leaves = first == migration_state::resuming && last != first && way_there;
            const bool may = way_there && !leaves;
            const bool session = mediant::saves(first) && mediant::saves(last);
            transition then = set_state(edu, to);
            expect("the answer " + what, static_cast<unsigned>(then.error), may ? 0u : static_cast<unsigned>(EINVAL));
            expect("the state " + what, state_of(edu),
                   may ? to : leaves ? static_cast<std::uint32_t>(VFIO_DEVICE_STATE_ERROR) : from);
            const bool begins =
                (mediant::saves(last) && !session) || (last == migration_state::resuming && first != last);
            expect("a file " + what, then.file.get() >= 0, may && begins);
            const std::uint32_t now = state_of(edu);
            const std::uint32_t levels[] = {9, 2, 0, 2, 0, 1, 0, 1}; // resuming: as after a reset
            if (may) expect("the hooks " + what, edu.get<std::uint32_t>(bar0, level), levels[now]);
            // The first file is good while its session lasts, and for nothing then.
            if (way.file.get() >= 0 && mediant::saves(first)) {
                std::array<std::byte, 16> bytes{};
                const outcome got = read_stream(way.file, bytes);
                const bool same = !may || session;
                expect("the first file " + what, got, same ? outcome{16, 0} : outcome{-1, ENODEV});
            }
            ++(may ? made : refused);
        }
    expect("arcs that were tried", made > 10 && refused > 8, true);
    edu.put<std::uint32_t>(bar0, quick, 0);
    edu.reset();
}

void hooks_that_fail(const device& edu) {
    section("hooks that fail");
    edu.put<std::uint32_t>(bar0, fail_hook, moving::edu::quiesces);
    expect("stopping", static_cast<unsigned>(set_state(edu, VFIO_DEVICE_STATE_STOP).error), EIO);
    expect("where that ended", state_of(edu), VFIO_DEVICE_STATE_RUNNING_P2P);
    expect("again", static_cast<unsigned>(set_state(edu, VFIO_DEVICE_STATE_STOP_COPY).error), 0);
    edu.put<std::uint32_t>(bar0, fail_hook, moving::edu::resumes);
    expect("running again", static_cast<unsigned>(set_state(edu, VFIO_DEVICE_STATE_RUNNING).error), EIO);
    expect("where that ended", state_of(edu), VFIO_DEVICE_STATE_STOP);

    transition save = set_state(edu, VFIO_DEVICE_STATE_STOP_COPY);
    edu.put<std::uint32_t>(bar0, fail_hook, moving::edu::saves);
    std::vector<std::byte> bytes(1 << 16);
    outcome got = read_stream(save.file, bytes);
    while (got.count > 0) got = read_stream(save.file, bytes);
    expect("a stream that cannot be had", got, {-1, EIO});
    expect("and no more of it", read_stream(save.file, bytes), {-1, EIO});
    expect("its state", state_of(edu), VFIO_DEVICE_STATE_STOP_COPY);
    save = set_state(edu, VFIO_DEVICE_STATE_STOP);
    save = set_state(edu, VFIO_DEVICE_STATE_STOP_COPY);
    expect("a new one", saved(save.file).size() > table_size, true);
    edu.reset();
}

void there_and_back(const device& edu) {
    section("saved, reset and restored");
    prepare(edu, 1);
    const picture before = look(edu);
    const auto stream = save(edu);
    expect("what a user sees while it is stopped", look(edu) == before, true);
    edu.reset();
    expect("the state", state_of(edu), VFIO_DEVICE_STATE_RUNNING);
    edu.put<std::uint32_t>(bar0, live, 0);
    expect("another one then", look(edu) == before, false);
    expect("restoring", static_cast<unsigned>(restore(edu, stream)), 0);
    expect("stopped still", state_of(edu), VFIO_DEVICE_STATE_STOP);
    expect("running", static_cast<unsigned>(set_state(edu, VFIO_DEVICE_STATE_RUNNING).error), 0);
    wait_for_factorial(edu);
    expect("what a user sees", look(edu) == before, true);
    expect("the same stream of it", save(edu) == stream, true);
    edu.reset();

    // What it computes again when it is given its state takes the hardware some 50 ms, and may not show in that state.
    edu.put<std::uint32_t>(bar0, factorial, 50'000'000);
    wait_for_factorial(edu);
    const auto long_one = save(edu);
    expect("restoring", static_cast<unsigned>(restore(edu, long_one)), 0);
    expect("the same stream while it computes", save(edu) == long_one, true);
    wait_for_factorial(edu);
    edu.reset();

    // In pieces of any size.
    prepare(edu, 2);
    const picture second = look(edu);
    transition way = set_state(edu, VFIO_DEVICE_STATE_STOP_COPY);
    std::vector<std::byte> pieces(1 << 16);
    std::size_t at = 0, step = 1;
    for (;;) {
        const outcome got = read_stream(way.file, std::span{pieces}.subspan(at, step));
        if (got.count <= 0) break;
        at += static_cast<std::size_t>(got.count);
        step = step % 61 + 1;
    }
    pieces.resize(at);
    edu.reset();
    way = set_state(edu, VFIO_DEVICE_STATE_RESUMING);
    for (std::size_t i = 0; i < pieces.size(); i += step) {
        step = std::min<std::size_t>(step % 53 + 1, pieces.size() - i);
        const outcome done = write_stream(way.file, std::span{pieces}.subspan(i, step));
        expect("a piece", done, {static_cast<std::int64_t>(step), 0});
    }
    expect("restored", static_cast<unsigned>(set_state(edu, VFIO_DEVICE_STATE_RUNNING).error), 0);
    wait_for_factorial(edu);
    expect("what a user sees", look(edu) == second, true);
    edu.reset();
}

void pre_copy(const device& edu) {
    if (!knows_pre_copy()) return;
    section("ahead of the rest");
    prepare(edu, 3);
    transition way = set_state(edu, state_pre_copy);
    precopy_info info = precopy_of(way.file);
    expect("asking", static_cast<unsigned>(info.error), 0);
    expect("bytes ahead", info.initial_bytes > stream_head && info.initial_bytes < 256, true);
    expect("dirty bytes", info.dirty_bytes, 0);
    const std::uint64_t all = info.initial_bytes;
    std::vector<std::byte> stream(1 << 16);
    expect("a part of it", read_stream(way.file, std::span{stream}.first(10)), {10, 0});
    expect("bytes ahead then", precopy_of(way.file).initial_bytes, all - 10);
    outcome got = read_stream(way.file, std::span{stream}.subspan(10));
    expect("the rest of it", got, {static_cast<std::int64_t>(all - 10), 0});
    expect("none ahead", precopy_of(way.file).initial_bytes, 0);
    expect("no more for now", read_stream(way.file, std::span{stream}.subspan(all)), {-1, ENOMSG});
    expect("too short a question", static_cast<unsigned>(precopy_of(way.file, 8).error), EINVAL);
    expect("another request", ::ioctl(way.file.get(), VFIO_GET_API_VERSION) < 0 && errno == ENOTTY, true);
    // The device runs, and what it does now is in the stream all the same.
    edu.put<std::uint32_t>(bar0, events, 0x4242);
    expect("without P2P", static_cast<unsigned>(set_state(edu, state_pre_copy_p2p).error), 0);
    expect("still none", read_stream(way.file, std::span{stream}.subspan(all)), {-1, ENOMSG});
    const transition last = set_state(edu, VFIO_DEVICE_STATE_STOP_COPY);
    expect("no other file", last.error == 0 && last.file.get() < 0, true);
    expect("no longer ahead", static_cast<unsigned>(precopy_of(way.file).error), EINVAL);
    const auto rest = saved(way.file);
    stream.resize(all);
    stream.insert(stream.end(), rest.begin(), rest.end());
    edu.reset();
    expect("restoring", static_cast<unsigned>(restore(edu, stream)), 0);
    expect("what was written meanwhile", edu.get<std::uint32_t>(bar0, events), 0x4242);
    edu.reset();
    // A part that was fetched and not read is the rest's begin.
    way = set_state(edu, state_pre_copy);
    expect("a byte", read_stream(way.file, std::span{stream}.first(1)), {1, 0});
    static_cast<void>(set_state(edu, VFIO_DEVICE_STATE_STOP_COPY));
    const auto behind = saved(way.file);
    expect("the rest's begin", std::equal(behind.begin(), behind.begin() + 7, stream.begin() + 1), true);
    edu.reset();
}

void wrong_uses(const device& edu) {
    section("what a stream is not for");
    std::array<std::byte, 64> bytes{};
    transition way = set_state(edu, VFIO_DEVICE_STATE_STOP_COPY);
    expect("writing what is read", write_stream(way.file, bytes), {-1, EBADF});
    expect("reading at a place", ::pread(way.file.get(), bytes.data(), 4, 0) < 0 && errno == ESPIPE, true);
    const mapping unreachable{4096, -1, 0, PROT_NONE};
    const std::span<std::byte> nowhere = unreachable.bytes().first(64);
    expect("into nowhere", read_stream(way.file, nowhere), {-1, EFAULT});
    const auto stream = saved(way.file);
    const mapping last{8192};
    expect("nothing is lost by that", static_cast<unsigned>(restore(edu, stream)), 0);
    if (knows_pre_copy()) expect("looking ahead", static_cast<unsigned>(precopy_of(way.file).error), ENODEV);

    way = set_state(edu, VFIO_DEVICE_STATE_STOP_COPY);
    // Half of what is asked for lies behind the end of memory.
    ::mprotect(last.bytes().data() + 4096, 4096, PROT_NONE);
    const ssize_t half = ::read(way.file.get(), last.bytes().data() + 4000, 400);
    expect("up to a fault", static_cast<std::uint64_t>(half), 96);
    const auto behind = saved(way.file);
    expect("as much as is left", behind.size(), stream.size() - 96);
    const auto differs = std::mismatch(behind.begin(), behind.end(), stream.begin() + 96, stream.end()).first;
    expect("goes on there", static_cast<std::uint64_t>(differs - behind.begin()), behind.size());

    way = set_state(edu, VFIO_DEVICE_STATE_RESUMING);
    expect("reading what is written", read_stream(way.file, bytes), {-1, EBADF});
    expect("from nowhere", write_stream(way.file, nowhere), {-1, EFAULT});
    expect("the stream all the same", write_stream(way.file, stream), {static_cast<std::int64_t>(stream.size()), 0});
    expect("taken", static_cast<unsigned>(set_state(edu, VFIO_DEVICE_STATE_STOP).error), 0);
    expect("too late", write_stream(way.file, bytes), {-1, ENODEV});
    edu.reset();
}

/// Refused where it is met, the error state then, of which a reset is the end.
void damaged(const device& edu) {
    section("streams that nobody made");
    prepare(edu, 4);
    const auto stream = save(edu);
    edu.reset();
    edu.put<std::uint32_t>(bar0, quick, 1);
    unsigned tried = 0;
    const auto refused = [&](std::span<const std::byte> bytes, const std::string& what) {
        edu.put<std::uint32_t>(bar0, events, 0x77);
        transition way = set_state(edu, VFIO_DEVICE_STATE_RESUMING);
        static_cast<void>(write_stream(way.file, bytes));
        const int error = set_state(edu, VFIO_DEVICE_STATE_STOP).error;
        if (error != EINVAL || state_of(edu) != VFIO_DEVICE_STATE_ERROR) expect(what, 0, 1);
        if (edu.get<std::uint32_t>(bar0, events) != 0x77) expect("as before " + what, 0, 1);
        if (set_state(edu, VFIO_DEVICE_STATE_RUNNING).error != EINVAL) expect("no way out after " + what, 0, 1);
        edu.reset();
        if (state_of(edu) != VFIO_DEVICE_STATE_RUNNING) expect("a reset after " + what, 0, 1);
        ++tried;
    };
    const auto sampled = [&](std::size_t i) { return i < 160 || i + 80 > stream.size() || i % 31 == 0; };
    for (std::size_t i = 0; i < stream.size(); ++i) {
        if (!sampled(i)) continue;
        refused(std::span{stream}.first(i), "cut at " + std::to_string(i));
        auto flipped = stream;
        flipped[i] ^= std::byte{1} << i % 8;
        refused(flipped, "flipped at " + std::to_string(i));
    }
    for (const std::size_t more : {std::size_t{1}, std::size_t{12}, stream.size()}) {
        auto longer = stream;
        longer.insert(longer.end(), stream.begin(), stream.begin() + static_cast<std::ptrdiff_t>(more));
        refused(longer, "extended by " + std::to_string(more));
    }
    std::printf("  %u streams were refused\n", tried);
    expect("streams", tried > 500, true);
    edu.put<std::uint32_t>(bar0, fail_hook, 0);
    transition way = set_state(edu, VFIO_DEVICE_STATE_RESUMING);
    edu.put<std::uint32_t>(bar0, fail_hook, moving::edu::at_end);
    expect("a good one", write_stream(way.file, stream), {static_cast<std::int64_t>(stream.size()), 0});
    expect("that is not wanted", static_cast<unsigned>(set_state(edu, VFIO_DEVICE_STATE_STOP).error), EINVAL);
    expect("the state", state_of(edu), VFIO_DEVICE_STATE_ERROR);
    edu.reset();
    expect("a good one", static_cast<unsigned>(restore(edu, stream)), 0);
    expect("its state", edu.get<std::uint32_t>(bar0, events), 0xe004);
    edu.reset();
    edu.put<std::uint32_t>(bar0, quick, 0);
}

/// By ioctl, with the core's memory lock held, in each state; once through sysfs.
void resets(const device& edu, const std::string& address) {
    section("a reset in each state");
    const std::uint64_t flags = migration_flags(edu);
    for (std::uint32_t state = 1; state < mediant::migration_states; ++state) {
        if (!mediant::has_state(flags, migration_state{state})) continue;
        const std::string what = " in " + std::to_string(state);
        edu.put<std::uint32_t>(bar0, events, 0x99);
        transition way = set_state(edu, state);
        if (state == VFIO_DEVICE_STATE_STOP_COPY)
            write_attribute(sysfs(address) / "reset", "1");
        else
            edu.reset();
        expect("the state" + what, state_of(edu), VFIO_DEVICE_STATE_RUNNING);
        expect("the policy" + what, edu.get<std::uint32_t>(bar0, events), 0);
        std::array<std::byte, 4> bytes{};
        if (way.file.get() < 0) continue;
        const bool writes = state == VFIO_DEVICE_STATE_RESUMING;
        const outcome got = writes ? write_stream(way.file, bytes) : read_stream(way.file, bytes);
        expect("the file" + what, got, {-1, ENODEV});
    }
}

/// The same by a server's messages, over which a client moves it.
void over_vfio_user(const device& edu) {
    section("over vfio-user, and back");
    namespace vfio_user = mediant::vfio_user;
    prepare(edu, 6);
    const picture here = look(edu);
    const auto stream = save(edu);
    silent_edu hardware;
    twin behind{hardware};
    const std::string path = "/moved.sock";
    vfio_user::server<twin> server{behind, {.path = path}};
    std::thread turning{[&] { server.run(); }};
    auto peer = vfio_user::client::connect(path);
    if (!peer || !(*peer).negotiate()) fail(EIO, "a client");
    vfio_user::client_migration there{*peer};
    expect("resuming there", there.go(migration_state::resuming).has_value(), true);
    constexpr std::size_t step = 1000;
    bool written = true;
    for (std::size_t at = 0; at < stream.size(); at += step)
        written = written && there.write(std::span{stream}.subspan(at, std::min(step, stream.size() - at)));
    expect("written there", written, true);
    expect("running there", there.go(migration_state::running).has_value(), true);
    while ((get(*peer, status) & 1) != 0) std::this_thread::yield();
    expect("what a user sees there", look(*peer) == here, true);

    put(*peer, events, 0x3c3c);
    put(*peer, live, 0x4321);
    const picture changed = look(*peer);
    expect("saving there", there.go(migration_state::stop_copy).has_value(), true);
    std::vector<std::byte> back;
    for (std::array<std::byte, step> part;;) {
        const auto size = there.read(part);
        if (!size) fail(EIO, "a stream over vfio-user");
        back.insert(back.end(), part.begin(), part.begin() + static_cast<std::ptrdiff_t>(*size));
        if (*size < part.size()) break;
    }
    (*peer).disconnect();
    server.stop();
    turning.join();
    edu.reset();
    expect("restoring", static_cast<unsigned>(restore(edu, back)), 0);
    expect("running", static_cast<unsigned>(set_state(edu, VFIO_DEVICE_STATE_RUNNING).error), 0);
    wait_for_factorial(edu);
    expect("what a user sees here", look(edu) == changed, true);
    edu.reset();
}

void other_worlds(const device& edu) {
    section("in process, and back");
    prepare(edu, 5);
    const picture here = look(edu);
    const auto stream = save(edu);
    silent_edu hardware;
    twin other{hardware};
    if (!other.open() || !other.migrate(migration_state::resuming)) fail(EIO, "a stack in process");
    expect("written in process", other.write_migration(stream).has_value(), true);
    expect("restored in process", other.migrate(migration_state::running).has_value(), true);
    hardware.advance(0); // a factorial
    expect("what a user sees there", look(other) == here, true);

    put(other, events, 0x5aa5);
    put(other, live, 0x1234);
    const picture there = look(other);
    const auto back = saved_in_process(other);
    edu.reset();
    expect("restoring", static_cast<unsigned>(restore(edu, back)), 0);
    expect("running", static_cast<unsigned>(set_state(edu, VFIO_DEVICE_STATE_RUNNING).error), 0);
    wait_for_factorial(edu);
    expect("what a user sees here", look(edu) == there, true);
    edu.reset();

    over_vfio_user(edu);

    // A model that says its own state is a party more: neither takes the other's.
    mediant::device::edu simulated;
    model telling{simulated};
    if (!telling.open()) fail(EIO, "a stack in process");
    const auto more = saved_in_process(telling);
    expect("a stream with a party more", static_cast<unsigned>(restore(edu, more)), EINVAL);
    expect("the error state", state_of(edu), VFIO_DEVICE_STATE_ERROR);
    edu.reset();
    if (!telling.migrate(migration_state::resuming)) fail(EIO, "resuming in process");
    expect("one with a party less", telling.write_migration(stream).has_value(), false);
    expect("why", static_cast<std::uint64_t>(telling.migration_report().what),
           static_cast<std::uint64_t>(mediant::stream_fault::other_party));
}

/// A thread writes while another saves: what was acknowledged before the device had stopped is there.
void under_load(const device& edu) {
    section("saved under load");
    edu.put<std::uint32_t>(bar0, quick, 1);
    constexpr std::size_t words = table_size / 4;
    unsigned lost = 0, late = 0;
    for (unsigned round = 0; round < 20; ++round) {
        edu.reset();
        wait_for_factorial(edu); // that the last restore asked for: it would be busy with it
        std::atomic<std::uint32_t> acknowledged{0};
        std::jthread writer{[&](const std::stop_token& end) {
            for (std::uint32_t n = 1; !end.stop_requested(); ++n) {
                edu.put<std::uint32_t>(bar0, table + n % words * 4, n);
                acknowledged = n;
            }
        }};
        while (acknowledged < 100 + round * 37) {}
        transition way = set_state(edu, knows_pre_copy() ? state_pre_copy : std::uint32_t{VFIO_DEVICE_STATE_RUNNING});
        while (acknowledged < 300 + round * 61) {}
        const std::uint32_t before = acknowledged;
        transition stop = set_state(edu, VFIO_DEVICE_STATE_STOP_COPY);
        if (stop.error != 0) fail(stop.error, "a stop under load");
        const auto stream = saved(way.file.get() >= 0 ? way.file : stop.file);
        writer.request_stop();
        writer.join();
        const std::uint32_t written = acknowledged;
        edu.reset();
        if (restore(edu, stream) != 0) fail(EIO, "a stream that was saved under load");
        std::vector<std::byte> bytes(table_size);
        static_cast<void>(edu.read(bar0, table, bytes));
        std::uint32_t newest = 0;
        std::vector<std::uint32_t> values(words);
        std::memcpy(values.data(), bytes.data(), bytes.size());
        for (const std::uint32_t value : values) newest = std::max(newest, value);
        // Whole up to the newest, which is not older than what was acknowledged.
        for (std::uint32_t n = newest; n > 0 && n + words > newest; --n) lost += values[n % words] != n;
        lost += newest < before;
        late += newest > written;
    }
    expect("writes that were lost", lost, 0);
    expect("writes that nobody made", late, 0);
    edu.reset();
    edu.put<std::uint32_t>(bar0, quick, 0);
}

/// Threads that change states, read and write streams and reset, all at once: no order of them may hang or break it.
void races(const device& edu) {
    section("states, streams and resets at once");
    edu.put<std::uint32_t>(bar0, quick, 1);
    std::atomic<bool> end{false};
    std::atomic<int> file{-1};
    std::atomic<unsigned> unexpected{0}, changes{0}, bytes_read{0}, reads{0};
    const auto expected = [&](const outcome& got, std::initializer_list<int> errors) {
        if (got.count >= 0) return;
        if (std::find(errors.begin(), errors.end(), got.error) == errors.end()) ++unexpected;
    };
    std::thread reader{[&] {
        std::array<std::byte, 700> bytes{};
        while (!end) {
            const int fd = file;
            if (fd < 0) continue;
            const outcome got = read_stream(fd, bytes);
            ++reads;
            expected(got, {ENODEV, EBADF, ENOMSG});
            if (got.count > 0) bytes_read += static_cast<unsigned>(got.count);
            expected(write_stream(fd, bytes), {ENODEV, EBADF, EINVAL});
        }
    }};
    std::thread resetter{[&] {
        while (!end) {
            edu.reset();
            ::usleep(3000);
        }
    }};
    constexpr std::uint32_t states[] = {VFIO_DEVICE_STATE_STOP_COPY, VFIO_DEVICE_STATE_RESUMING,
                                        VFIO_DEVICE_STATE_RUNNING, state_pre_copy, VFIO_DEVICE_STATE_STOP};
    for (unsigned i = 0; i < 40000 && changes < 1500; ++i) {
        transition way = set_state(edu, states[i % std::size(states)]);
        if (way.error != 0 && way.error != EINVAL) ++unexpected;
        if (way.error != 0) edu.reset(); // of a stream that was not one
        changes += way.error == 0;
        if (way.file.get() < 0) continue;
        file = way.file.get();
        // Sometimes it is closed while it may be read still, sometimes when it was read.
        const unsigned before = reads;
        while (i % 2 == 0 && reads < before + 2) {}
        file = -1;
    }
    end = true;
    reader.join();
    resetter.join();
    expect("answers that there is no reason for", unexpected, 0);
    expect("states changed, bytes read", changes > 100 && bytes_read > 0, true);
    std::printf("  %u changes, %u bytes read\n", changes.load(), bytes_read.load());
    edu.put<std::uint32_t>(bar0, quick, 0);
    edu.reset();
    expect("the state", state_of(edu), VFIO_DEVICE_STATE_RUNNING);
}

/// delete_module(2): 0 or errno.
unsigned unload(const std::string& module) {
    return ::syscall(SYS_delete_module, module.c_str(), O_NONBLOCK) < 0 ? static_cast<unsigned>(errno) : 0;
}

void run(const std::string& module, const std::string& provider) {
    const auto address = find_pci(0x1234, 0x11e8);
    if (!address) fail(ENODEV, "no edu device");
    if (!mediant::guest::bind(*address, module)) fail(EBUSY, module + " did not take " + *address);
    unique_fd left, left_resuming;
    {
        const container space;
        const device edu{space, *address};
        edu.enable();
        features(edu);
        arcs(edu);
        hooks_that_fail(edu);
        there_and_back(edu);
        pre_copy(edu);
        wrong_uses(edu);
        resets(edu, *address);
        damaged(edu);
        other_worlds(edu);
        under_load(edu);
        races(edu);
        left = std::move(set_state(edu, VFIO_DEVICE_STATE_STOP_COPY).file);
        std::array<std::byte, 4> bytes{};
        expect("a file", read_stream(left, bytes), {4, 0});
    }
    section("files that outlive their device");
    std::array<std::byte, 4> bytes{};
    expect("closed", read_stream(left, bytes), {-1, ENODEV});
    {
        const container space;
        const device edu{space, *address};
        edu.enable();
        expect("open again", state_of(edu), VFIO_DEVICE_STATE_RUNNING);
        expect("and the old file", read_stream(left, bytes), {-1, ENODEV});
        left_resuming = std::move(set_state(edu, VFIO_DEVICE_STATE_RESUMING).file);
    }
    // Who mediates nothing migrates nothing, though it is the same driver.
    write_attribute("/sys/module/" + module + "/parameters/pass_through", "1");
    {
        const container space;
        const device edu{space, *address};
        const int error = error_of([&] { static_cast<void>(migration_flags(edu)); });
        expect("without a policy", static_cast<unsigned>(error), ENOTTY);
        expect("without a policy", static_cast<unsigned>(set_state(edu, VFIO_DEVICE_STATE_STOP).error), ENOTTY);
    }
    write_attribute("/sys/module/" + module + "/parameters/pass_through", "0");
    unbind(*address);
    expect("unbound", read_stream(left, bytes), {-1, ENODEV});
    expect("unbound", write_stream(left_resuming, bytes), {-1, ENODEV});
    expect("unloading what its files need", unload(module), EAGAIN);
    if (provider.empty()) return;
    expect("unloading the provider", unload(provider), 0);
    expect("without it", read_stream(left, bytes), {-1, ENODEV});
}

} // namespace

int main(int argc, char** argv) {
    return run_test("migration", [&] { run(argc > 1 ? argv[1] : "moving_vfio_pci", argc > 2 ? argv[2] : ""); });
}
