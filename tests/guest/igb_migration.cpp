// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Runs in a guest with QEMU's igb card, which is igb's: a driver of a virtual function, written here, sends and
/// receives by rings of its own in memory that the function reaches through the IOMMU. Between two frames, the function
/// that acme::igb_vf mediates is saved, and another goes on in its place: at the very descriptors, under the same
/// addresses, with what the physical function had granted. Over and over, there and back. A third function is the peer.
///
///   igb_migration [DRIVER DRIVER]
///
/// Who holds the first two functions: vfio-pci, over which the policy is mediated in process, or its variant.
///
/// Ends with 0 if no frame was lost or came twice but for those sent to nobody, and all else is as expected.

#include "expect.hpp"
#include "migration/state_file.hpp"

#include "../../examples/igb_vf/igb_vf.hpp"

#include <mediant/device/vfio_device.hpp>
#include <mediant/provider/stack.hpp>

#include <net/if.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace mediant;
using device::pci_address;
using device::vfio_device;
using device::vfio_options;
using guest::expect;
using guest::fail;
using guest::section;

using address = std::array<std::uint8_t, 6>;
constexpr address of_driver{0x02, 0, 0, 0, 0, 0xaa}, of_peer{0x02, 0, 0, 0, 0, 0xbb}, of_group{0x01, 0, 0x5e, 0, 0, 5};

constexpr std::uint64_t iova = 0x1000'0000;
constexpr std::size_t memory_size = 256 * 1024;

template <class T>
void must(const T& answer, const char* what) {
    if (!answer) fail(to_errno(answer.error()), what);
}

/// A function that is mediated and migrates. The memory is its driver's, always at the same I/O address.
class function {
public:
    virtual ~function() = default;

    /// As for the next user: the kernel resets the function.
    void reopen() {
        close();
        open();
    }
    virtual void access(region_index region, std::uint64_t offset, std::span<std::byte> bytes, bool write) = 0;
    /// The device's state, with which it is stopped.
    virtual std::vector<std::byte> save() = 0;
    /// Resumes from a stream: 0, or errno of what was refused, with the device in its error state.
    virtual int restore(std::span<const std::byte> stream) = 0;
    virtual void run_on() = 0;
    [[nodiscard]] virtual migration_state state() = 0;
    virtual void reset() = 0;

    [[nodiscard]] const guest::mapping& memory() const { return memory_; }
    [[nodiscard]] const guest::event& vector(std::size_t i) const { return events_.at(i); }
    /// Memory and bus mastering, which a machine takes along with the rest of configuration space.
    void enable() {
        std::array command{std::byte{6}, std::byte{0}};
        access(region_index::config, 4, command, true);
    }

protected:
    explicit function(int memory_file) : memory_{memory_size, memory_file}, file_{memory_file} {}
    virtual void open() = 0;
    virtual void close() = 0;

    [[nodiscard]] std::array<std::int32_t, 3> vectors() const {
        return {events_[0].get(), events_[1].get(), events_[2].get()};
    }
    [[nodiscard]] int file() const { return file_; }

private:
    guest::mapping memory_;
    int file_;
    std::array<guest::event, 3> events_;
};

/// By the policy in this process.
class in_process final : public function {
public:
    in_process(const std::string& where, int memory_file)
        : function{memory_file},
          hardware_{*pci_address::parse(where), vfio_options{.how = vfio_options::iommu::type1}}, served_{hardware_} {
        in_process::open();
    }
    in_process(const in_process&) = delete;
    in_process& operator=(const in_process&) = delete;
    ~in_process() override { in_process::close(); }

    void access(region_index region, std::uint64_t offset, std::span<std::byte> bytes, bool write) override {
        const answer done = write ? served_.write({region, offset, bytes}) : served_.read({region, offset, bytes});
        if (done.count != bytes.size()) fail(to_errno(shortfall(done)), "access");
    }
    std::vector<std::byte> save() override {
        must(served_.migrate(migration_state::stop_copy), "stop_copy");
        std::vector<std::byte> stream;
        for (std::array<std::byte, 777> part{};;) {
            const auto came = served_.read_migration(part);
            must(came, "reading the stream");
            stream.insert(stream.end(), part.begin(), part.begin() + static_cast<std::ptrdiff_t>(*came));
            if (*came < part.size()) return stream;
        }
    }
    int restore(std::span<const std::byte> stream) override {
        must(served_.migrate(migration_state::resuming), "resuming");
        if (const auto done = served_.write_migration(stream); !done) return to_errno(done.error());
        const auto done = served_.migrate(migration_state::running);
        return done ? 0 : to_errno(done.error());
    }
    void run_on() override { must(served_.migrate(migration_state::running), "running"); }
    migration_state state() override { return served_.migration(); }
    void reset() override { must(served_.ioctl(reset_device{}), "reset"); }

private:
    void open() override {
        must(served_.open(), "open");
        must(served_.ioctl(map_dma{iova, memory_size, true, true, memory().bytes(), nullptr, file(), 0}), "map");
        must(served_.ioctl(set_irqs{irq_index::msix, set_irqs::action::trigger, set_irqs::data::eventfds, 0, 3, {},
                                    vectors()}),
             "set_irqs");
        enable();
    }
    void close() override { served_.release(); }

    vfio_device hardware_;
    stack<vfio_device, acme::igb_vf> served_;
};

/// By a variant: all is asked of VFIO.
class in_kernel final : public function {
public:
    in_kernel(std::string where, int memory_file) : function{memory_file}, where_{std::move(where)} {
        in_kernel::open();
    }

    void access(region_index region, std::uint64_t offset, std::span<std::byte> bytes, bool write) override {
        const auto index = static_cast<std::uint32_t>(region);
        const guest::outcome done = write ? at_->write(index, offset, bytes) : at_->read(index, offset, bytes);
        if (done.count != static_cast<std::int64_t>(bytes.size())) fail(done.error, "access");
    }
    std::vector<std::byte> save() override { return guest::save(*at_); }
    int restore(std::span<const std::byte> stream) override {
        const int error = guest::restore(*at_, stream);
        return error != 0 ? error : guest::set_state(*at_, VFIO_DEVICE_STATE_RUNNING).error;
    }
    void run_on() override {
        const int error = guest::set_state(*at_, VFIO_DEVICE_STATE_RUNNING).error;
        if (error != 0) fail(error, "RUNNING");
    }
    migration_state state() override { return migration_state{guest::state_of(*at_)}; }
    void reset() override { at_->reset(); }

private:
    void open() override {
        space_.emplace(false);
        at_.emplace(*space_, where_);
        space_->map_dma(memory().bytes(), iova);
        at_->set_irqs(VFIO_PCI_MSIX_IRQ_INDEX, 0, vectors());
        enable();
    }
    void close() override {
        at_.reset();
        space_.reset();
    }

    std::string where_;
    std::optional<guest::container> space_;
    std::optional<guest::device> at_;
};

std::unique_ptr<function> open_function(const std::string& driver, const std::string& where, int memory_file) {
    if (!guest::bind(where, driver)) fail(EBUSY, driver + " did not take " + where);
    if (driver == "vfio-pci") return std::make_unique<in_process>(where, memory_file);
    return std::make_unique<in_kernel>(where, memory_file);
}

std::uint32_t get(function& at, std::uint64_t offset) {
    std::array<std::byte, 4> bytes{};
    at.access(bar{0}, offset, bytes, false);
    return static_cast<std::uint32_t>(load_little(bytes));
}
void put(function& at, std::uint64_t offset, std::uint32_t value) {
    std::array<std::byte, 4> bytes{};
    store_little(bytes, value);
    at.access(bar{0}, offset, bytes, true);
}
/// Until it is so; half a minute at most, for what a busy machine takes.
template <class F>
void until(const char* what, const F& so) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds{30};
    while (!so()) {
        if (std::chrono::steady_clock::now() > limit) fail(ETIMEDOUT, what);
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
}

namespace reg {
constexpr std::uint64_t control = 0x0000, status = 0x0008, words = 0x0800, mailbox = 0x0c40, received = 0x0f10,
                        sent = 0x0f14, masks = 0x1524, unmasks = 0x1528, clears = 0x152c, throttle = 0x1680,
                        causes = 0x1700, causes_misc = 0x1740, rx = 0x2800, tx = 0x3800;
// In a queue's registers.
constexpr std::uint64_t low = 0x00, high = 0x04, length = 0x08, buffers = 0x0c, head = 0x10, tail = 0x18,
                        enable = 0x28, write_back = 0x38;
} // namespace reg

/// Who drives a function: all that it knows lies in its own variables and memory, and stays when the function is
/// exchanged.
class driver {
public:
    static constexpr std::uint32_t descriptors = 16;

    driver(function& at, const address& own) : at_{&at}, own_{own} {}
    void goes_on_with(function& at) { at_ = &at; }

    /// A message to the physical function, and its answer's first word.
    std::uint32_t say(const std::vector<std::uint32_t>& message) {
        until("the mailbox", [&] {
            put(*at_, reg::mailbox, 0x4);
            return (get(*at_, reg::mailbox) & 0x4) != 0;
        });
        for (std::size_t i = 0; i < message.size(); ++i) put(*at_, reg::words + 4 * i, message[i]);
        put(*at_, reg::mailbox, 0x1);
        until("an answer", [&] { return (get(*at_, reg::mailbox) & 0x10) != 0; });
        const std::uint32_t answer = get(*at_, reg::words);
        put(*at_, reg::mailbox, 0x2);
        return answer;
    }

    void start() {
        put(*at_, reg::control, 1u << 26);
        say({1});
        const std::array<std::uint32_t, 2> mac{load(own_, 0) | load(own_, 2) << 16, load(own_, 4)};
        expect("an address is granted", say({2, mac[0], mac[1]}) >> 31, 1);
        put(*at_, reg::clears, 0x7);
        put(*at_, reg::throttle, 0x10);
        put(*at_, reg::causes, 0x8180); // received: vector 0; sent: vector 1
        put(*at_, reg::causes_misc, 0x82);
        put(*at_, reg::unmasks, 0x7);
        put(*at_, reg::masks, 0x1);
        put(*at_, reg::masks, 0x6);
        put(*at_, reg::unmasks, 0x2);
        for (const std::uint64_t queue : {reg::rx, reg::tx}) {
            put(*at_, queue + reg::low, static_cast<std::uint32_t>(iova + (queue == reg::rx ? rx_ring : tx_ring)));
            put(*at_, queue + reg::high, 0);
            put(*at_, queue + reg::length, descriptors * 16);
            put(*at_, queue + reg::head, 0);
            put(*at_, queue + reg::tail, 0);
        }
        put(*at_, reg::rx + reg::buffers, 2 | 1u << 25); // 2 KiB each, advanced descriptors
        for (const std::uint64_t queue : {reg::rx, reg::tx}) put(*at_, queue + reg::enable, 1u << 25 | 1u << 16);
        for (std::uint32_t i = 0; i < descriptors; ++i) arm(i);
        put(*at_, reg::rx + reg::tail, descriptors - 1);
    }

    /// Puts a frame into the ring; tell() then says so.
    void post(const address& to, std::uint32_t number) {
        const std::uint64_t at = tx_buffers + tx_next_ * buffer_size;
        std::array<std::uint8_t, frame_size> frame{};
        std::copy(to.begin(), to.end(), frame.begin());
        std::copy(own_.begin(), own_.end(), frame.begin() + 6);
        frame[12] = 0x88;
        frame[13] = 0xb5;
        std::memcpy(frame.data() + 14, &number, sizeof number);
        std::memcpy(bytes(at), frame.data(), frame.size());
        write(tx_ring + 16 * tx_next_, iova + at);
        write(tx_ring + 16 * tx_next_ + 8, frame_size | 0x2b30'0000u | std::uint64_t{frame_size} << 46);
        tx_next_ = (tx_next_ + 1) % descriptors;
    }
    void tell() {
        put(*at_, reg::tx + reg::tail, tx_next_);
        const std::uint64_t last = tx_ring + 16 * ((tx_next_ + descriptors - 1) % descriptors);
        until("a frame to be sent", [&] { return (read(last + 8) >> 32 & 1) != 0; });
    }
    void send(const address& to, std::uint32_t number) {
        post(to, number);
        tell();
    }

    /// The numbers of frames that have come, at most so many.
    std::vector<std::uint32_t> take(std::size_t most = descriptors) {
        std::vector<std::uint32_t> out;
        while (out.size() < most) {
            const std::uint64_t descriptor = rx_ring + 16 * rx_next_;
            if ((read(descriptor + 8) & 1) == 0) break;
            const std::byte* const frame = bytes(rx_buffers + rx_next_ * buffer_size);
            const bool ours = frame[12] == std::byte{0x88} && frame[13] == std::byte{0xb5};
            std::uint32_t number = 0;
            std::memcpy(&number, frame + 14, sizeof number);
            if (ours) out.push_back(number);
            arm(rx_next_);
            put(*at_, reg::rx + reg::tail, rx_next_);
            rx_next_ = (rx_next_ + 1) % descriptors;
        }
        return out;
    }
    /// What has come and was not taken.
    [[nodiscard]] std::size_t waits() const {
        std::size_t count = 0;
        while (count < descriptors && (read(rx_ring + 16 * ((rx_next_ + count) % descriptors) + 8) & 1) != 0) ++count;
        return count;
    }

private:
    static constexpr std::uint64_t rx_ring = 0, tx_ring = 0x1000, rx_buffers = 0x10000, tx_buffers = 0x20000,
                                   buffer_size = 2048;
    static constexpr std::uint32_t frame_size = 64;

    [[nodiscard]] static std::uint32_t load(const address& from, std::size_t at) {
        return from[at] | static_cast<std::uint32_t>(from[at + 1]) << 8;
    }
    [[nodiscard]] std::byte* bytes(std::uint64_t at) const { return at_->memory().bytes().data() + at; }
    [[nodiscard]] std::uint64_t read(std::uint64_t at) const { return at_->memory().load<std::uint64_t>(at); }
    void write(std::uint64_t at, std::uint64_t value) const { at_->memory().store<std::uint64_t>(at, value); }
    void arm(std::uint64_t i) {
        write(rx_ring + 16 * i, iova + rx_buffers + i * buffer_size);
        write(rx_ring + 16 * i + 8, 0);
    }

    function* at_;
    address own_;
    std::uint64_t tx_next_ = 0, rx_next_ = 0;

    void put(function& at, std::uint64_t offset, std::uint64_t value) {
        ::put(at, offset, static_cast<std::uint32_t>(value));
    }
};

/// What a driver can read back of its function.
std::vector<std::pair<std::uint64_t, std::uint32_t>> registers(function& at) {
    std::vector<std::pair<std::uint64_t, std::uint32_t>> out;
    for (std::uint64_t i = 0; i < 16; ++i) out.emplace_back(reg::words + 4 * i, 0);
    for (const std::uint64_t offset : {reg::received, reg::sent, reg::clears, reg::throttle, reg::throttle + 4,
                                       reg::causes, reg::causes_misc})
        out.emplace_back(offset, 0);
    for (const std::uint64_t queue : {reg::rx, reg::rx + 0x100, reg::tx, reg::tx + 0x100})
        for (const std::uint64_t offset : {reg::low, reg::high, reg::length, reg::head, reg::tail, reg::enable})
            out.emplace_back(queue + offset, 0);
    out.emplace_back(reg::rx + reg::buffers, 0);
    out.emplace_back(reg::tx + reg::write_back, 0);
    for (auto& [offset, value] : out) value = get(at, offset);
    return out;
}

void restore(function& to, const std::vector<std::byte>& stream) {
    if (const int error = to.restore(stream); error != 0) fail(error, "a stream was refused");
}

/// Half a stream is refused, and a reset makes good for it.
void cut(function& to, const std::vector<std::byte>& stream) {
    const int refused = to.restore(std::span{stream}.first(stream.size() / 2));
    expect("half a stream is refused", static_cast<unsigned>(refused), EINVAL);
    expect("in an error", static_cast<unsigned>(to.state()), static_cast<unsigned>(migration_state::error));
    to.reset();
    to.enable();
}

/// The function is exchanged while a thread of the peer's sends on, unasked whether anybody takes it: what is not
/// acknowledged in time it sends again. No frame comes more often than it was sent.
void under_traffic(driver& mover, driver& peer, function*& from, function*& to) {
    section("under traffic");
    constexpr std::uint32_t total = 400, window = 6, a_migration = 50;
    std::vector<std::uint32_t> sent(total), came(total);
    std::atomic<bool> stop{false};
    std::string wrong;
    std::thread sends{[&] {
        try {
            std::uint32_t acknowledged = 0, next = 0;
            auto last = std::chrono::steady_clock::now();
            while (acknowledged < total && !stop) {
                for (; next < total && next < acknowledged + window; ++next) {
                    ++sent[next];
                    peer.send(of_driver, next);
                }
                for (const std::uint32_t number : peer.take()) acknowledged = std::max(acknowledged, number);
                const auto now = std::chrono::steady_clock::now();
                if (acknowledged == next) last = now;
                if (now - last > std::chrono::milliseconds{20}) {
                    next = acknowledged;
                    last = now;
                }
            }
        } catch (const std::exception& e) {
            wrong = e.what();
        }
    }};
    std::uint32_t taken = 0, migrations = 0;
    std::string failed;
    try {
        until("all frames", [&] {
            for (const std::uint32_t number : mover.take()) {
                if (number < total) ++came[number];
                if (number == taken) ++taken;
                mover.send(of_peer, taken);
            }
            if (taken / a_migration > migrations && taken < total) {
                restore(*to, from->save());
                from->reopen();
                mover.goes_on_with(*to);
                std::swap(from, to);
                ++migrations;
            }
            return taken == total;
        });
    } catch (const std::exception& e) {
        failed = e.what();
        stop = true;
    }
    sends.join();
    expect("the peer's thread", wrong, "");
    expect("the driver", failed, "");
    std::uint32_t all = 0;
    for (std::uint32_t i = 0; i < total; ++i) {
        all += sent[i];
        expect("a frame came", came[i] != 0, true);
        expect("no more often than it was sent", came[i] <= sent[i], true);
    }
    expect("migrations", migrations != 0, true);
    std::printf("igb_migration: %u frames, %u times sent, %u migrations\n", total, all, migrations);
}

/// The card's interface is up, so that igb answers functions; and says nothing by itself.
void raise(const std::string& card) {
    std::string name;
    for (const auto& entry : std::filesystem::directory_iterator{guest::sysfs(card) / "net"})
        name = entry.path().filename().string();
    static_cast<void>(guest::error_of(
        [&] { guest::write_attribute("/proc/sys/net/ipv6/conf/" + name + "/disable_ipv6", "1"); }));
    const guest::unique_fd any{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    if (any.get() < 0) fail(errno, "socket");
    ifreq request{};
    name.copy(request.ifr_name, IFNAMSIZ - 1);
    guest::control(any.get(), SIOCGIFFLAGS, "SIOCGIFFLAGS", &request);
    request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
    guest::control(any.get(), SIOCSIFFLAGS, "SIOCSIFFLAGS", &request);
}

guest::unique_fd shared_memory() {
    guest::unique_fd file{::memfd_create("rings", MFD_CLOEXEC)};
    if (file.get() < 0 || ::ftruncate(file.get(), memory_size) != 0) fail(errno, "memfd");
    return file;
}

void run(const std::string& of_first, const std::string& of_second) {
    const auto card = guest::find_pci(0x8086, 0x10c9);
    if (!card || guest::driver_of(*card) != "igb") fail(ENODEV, "no card under igb");
    section("three functions");
    guest::write_attribute(guest::sysfs(*card) / "sriov_drivers_autoprobe", "0");
    guest::write_attribute(guest::sysfs(*card) / "sriov_numvfs", "0");
    guest::write_attribute(guest::sysfs(*card) / "sriov_numvfs", "3");
    raise(*card);
    const auto functions = guest::find_all_pci(0x8086, 0x10ca);
    expect("functions", functions.size(), 3);
    const guest::unique_fd memory = shared_memory(), of_peers = shared_memory();
    const auto first_open = open_function(of_first, functions.at(0), memory.get());
    const auto second_open = open_function(of_second, functions.at(1), memory.get());
    const auto third_open = open_function("vfio-pci", functions.at(2), of_peers.get());
    function& first = *first_open;
    function& third = *third_open;
    section("a link");
    until("a link", [&] { return (get(first, reg::status) & 2) != 0; });
    // igb tells all functions of it; so that it does not while registers are compared.
    for (function* const each : {&first, second_open.get(), &third})
        until("igb to speak of it", [&] { return (get(*each, reg::words) & 0xffff) == 0x100; });

    section("two drivers");
    driver mover{first, of_driver}, peer{third, of_peer};
    mover.start();
    peer.start();
    expect("a group is granted", mover.say({3 | 1u << 16, 0x50}) >> 31, 1);

    function* from = &first;
    function* to = second_open.get();
    std::uint32_t sent = 0, taken_by_peer = 0, said = 0, taken = 0;
    const auto peer_takes_all = [&] {
        for (const std::uint32_t number : peer.take()) expect("what the peer takes", number, taken_by_peer++);
        expect("all that was sent", taken_by_peer, sent);
    };
    const auto mover_takes = [&](std::size_t most) {
        for (const std::uint32_t number : mover.take(most)) expect("what the driver takes", number, taken++);
    };
    constexpr std::uint32_t rounds = 7;
    for (std::uint32_t round = 0; round < rounds; ++round) {
        section(("there and back, " + std::to_string(round)).c_str());
        for (std::uint32_t i = 0; i < 5 + round; ++i) mover.send(of_peer, sent++);
        peer_takes_all();
        for (std::uint32_t i = 0; i < 6; ++i) peer.send(i % 3 == 2 ? of_group : of_driver, said++);
        mover_takes(3);
        expect("frames in memory that the driver has not seen", mover.waits(), 3);
        for (std::uint32_t i = 0; i < 3; ++i) mover.post(of_peer, sent++); // in the ring, and nobody was told
        for (std::size_t i = 0; i < 3; ++i) static_cast<void>(to->vector(i).wait(0));

        const auto before = registers(*from);
        expect("the queue is on", before.at(16 + 7 + 5).second >> 25 & 1, 1);
        const auto stream = from->save();
        peer.send(of_driver, said); // to nobody
        peer.send(of_group, said);
        expect("a stopped function takes nothing", mover.waits(), 3);
        if (round == 0) cut(*to, stream);
        restore(*to, stream);
        const auto after = registers(*to);
        for (std::size_t i = 0; i < before.size(); ++i) {
            char where[32];
            std::snprintf(where, sizeof where, "register 0x%04x", static_cast<unsigned>(before[i].first));
            expect(where, after[i].second, before[i].second);
        }
        expect("an interrupt, for what may have been pending", to->vector(0).wait(5000) != 0, true);
        expect("of a vector that was set by another write", to->vector(2).wait(5000) != 0, true);
        expect("none of a vector that was masked", to->vector(1).wait(0), 0);
        from->reopen();
        mover.goes_on_with(*to);
        std::swap(from, to);

        mover.tell();
        peer_takes_all();
        peer.send(of_driver, said++); // what nobody had taken, again
        peer.send(of_group, said++);
        expect("an interrupt of a frame", from->vector(0).wait(5000) != 0, true);
        mover_takes(driver::descriptors);
        expect("all that was said", taken, said);
    }

    section("a queue that its driver had off");
    put(*from, reg::tx + reg::enable, 0);
    mover.post(of_peer, sent++);
    mover.post(of_peer, sent++);
    const std::uint32_t head = get(*from, reg::tx + reg::head);
    put(*from, reg::tx + reg::tail, (head + 2) % driver::descriptors);
    restore(*to, from->save());
    from->reopen();
    mover.goes_on_with(*to);
    std::swap(from, to);
    expect("its head", get(*from, reg::tx + reg::head), head);
    expect("its tail", get(*from, reg::tx + reg::tail), (head + 2) % driver::descriptors);
    expect("nothing was sent", peer.waits(), 0);
    put(*from, reg::tx + reg::enable, 1u << 25);
    mover.tell();
    peer_takes_all();

    section("a migration that is given up");
    static_cast<void>(from->save());
    from->run_on();
    mover.send(of_peer, sent++);
    peer_takes_all();
    peer.send(of_driver, said++);
    mover_takes(driver::descriptors);
    expect("all that was said", taken, said);
    std::printf("igb_migration: %u frames one way, %u the other, %u migrations\n", sent, said, rounds + 1);

    under_traffic(mover, peer, from, to);
}

} // namespace

int main(int argc, char** argv) {
    const std::string first = argc > 2 ? argv[1] : "vfio-pci";
    const std::string second = argc > 2 ? argv[2] : "vfio-pci";
    std::printf("igb_migration: under %s and %s\n", first.c_str(), second.c_str());
    return guest::run_test("igb_migration", [&] { run(first, second); });
}
