// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Runs in a guest with more than one processor: the host, with providers that are BPF programs (bpf/edu.bpf.c,
/// bpf/refused.bpf.c). What the verifier and the host refuse, that what is trapped stays so while a provider is
/// withdrawn, that state outlives its programs, and that no access is lost or done twice when they are exchanged.
///
///   bpf_providers able|unable|typeless
///   bpf_providers exchanged OBJECT
///   bpf_providers attach
///
/// unable is a kernel on which there are none, typeless a host that was built without types; attach is for itself.
/// exchanged does what exchanges providers under load, and no more, with an object that mediant has written
/// (bpf/policies.hpp, counted). Needs an edu device with a reset (behind a port) and one without, and /edu.bpf.o,
/// /refused.bpf.o, /edu_provider.ko.
/// MEDIANT_GUEST_CYCLES says how often providers are exchanged under load; 1,000 unless told.

#include "bpf/loader.hpp"
#include "bpf/registers.h"
#include "expect.hpp"

#include <mediant/registers/areas.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <fstream>
#include <optional>
#include <random>
#include <sstream>
#include <thread>
#include <vector>

#include <bpf/btf.h>
#include <linux/capability.h>
#include <sys/klog.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

namespace {

using namespace mediant::guest;

constexpr std::uint32_t bar0 = VFIO_PCI_BAR0_REGION_INDEX;
const std::string host = "vfio_pci_mediate";
std::string object = "/edu.bpf.o";
const char* ops_name = "edu";
bool has_generations = true; // as objects have that are made by hand
const char* const pin = "/sys/fs/bpf/edu";
constexpr std::uint32_t ident = 0x01bf00ed;

// --- what the host says -----------------------------------------------------------------------------

std::string status() {
    std::ifstream file{"/sys/bus/pci/drivers/" + host + "/bpf_providers"};
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

/// Whether the kernel has logged this since the last call.
bool logged(const std::string& text) {
    std::vector<char> log(1 << 20);
    const int size = ::klogctl(4, log.data(), static_cast<int>(log.size())); // reads and clears
    return size > 0 && std::string{log.data(), static_cast<std::size_t>(size)}.find(text) != std::string::npos;
}

int unload(const std::string& module) {
    return ::syscall(SYS_delete_module, module.c_str(), O_NONBLOCK) == 0 ? 0 : errno;
}

int load(const std::string& file) {
    const unique_fd fd{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
    if (fd.get() < 0) fail(errno, "open " + file);
    return ::syscall(SYS_finit_module, fd.get(), "", 0) == 0 ? 0 : errno;
}

/// Waits for what a process that was killed leaves to the kernel's workers.
template <class F>
bool soon(F&& condition) {
    for (int i = 0; i < 1000; ++i) {
        if (condition()) return true;
        ::usleep(10'000);
    }
    return false;
}

// --- a device -----------------------------------------------------------------------------------------

struct user {
    container space;
    device at;
    explicit user(const std::string& address) : at{space, address} { at.enable(); }

    [[nodiscard]] std::uint32_t get(std::uint64_t offset) const { return at.get<std::uint32_t>(bar0, offset); }
    [[nodiscard]] outcome read(std::uint64_t offset, std::size_t size = 4) const {
        std::vector<std::byte> bytes(size);
        return at.read(bar0, offset, bytes);
    }
    [[nodiscard]] outcome write(std::uint64_t offset, std::size_t size = 4) const {
        const std::vector<std::byte> bytes(size, std::byte{0x5a});
        return at.write(bar0, offset, bytes);
    }
};

constexpr outcome refused{-1, EIO};

int open_error(const std::string& address) {
    return error_of([&] { const user opened{address}; });
}

void expect_zero(const std::string& what, int got) { expect(what, static_cast<unsigned>(got), 0); }
void expect_errno(const std::string& what, int got, int wanted) {
    expect(what, static_cast<unsigned>(got), static_cast<unsigned>(wanted));
}

// --- what is tested ----------------------------------------------------------------------------------

/// Whether the kernel has this struct.
bool knows(const char* name) {
    btf* const types = btf__load_vmlinux_btf();
    const bool known = types != nullptr && btf__find_by_name_kind(types, name, BTF_KIND_STRUCT) > 0;
    btf__free(types);
    return known;
}

void verifier_refuses() {
    section("what the verifier refuses");
    constexpr std::pair<const char*, const char*> all[]{
        {"outside", "invalid access to memory, mem_size=64"},
        {"unchecked", "invalid mem access 'mem_or_null'"},
        {"made_up", "STRUCT mediant_bpf_call"},
        {"moved", "STRUCT mediant_bpf_call"},
        {"nothing", "ossibly NULL pointer passed to trusted"},
        {"host", "a provider may write to value and answers of its call, not 8 bytes at 32"},
        {"behind", "a provider may write to value and answers of its call, not 8 bytes at 128"},
        {"awake", "must be sleepable to call sleepable kfunc mediant_bpf_load"},
        {"helper", "bpf_get_prandom_u32"},
        {"foreign", "calling kernel function mediant_bpf_state is not allowed"},
    };
    for (const auto& [ops, why] : all) {
        if (std::string{ops} == "foreign" && !knows("bpf_struct_ops_tcp_congestion_ops")) continue;
        const bpf_provider provider{"/refused.bpf.o", ops};
        expect(std::string{ops} + " is refused", provider.error() != 0, true);
        const bool told = bpf_log.find(why) != bpf_log.npos;
        expect(std::string{ops} + ": why", told, true);
        if (!told) std::printf("%s: %s\n", ops, bpf_log.c_str());
    }
}

void ops_refused() {
    section("what the host refuses of an ops object");
    using change = std::function<void(mediant_bpf_ops&)>;
    const auto last_range = [](mediant_bpf_ops& ops) -> mediant_bpf_range& { return ops.ranges[ops.range_count - 1]; };
    const std::pair<change, const char*> all[]{
        {[](auto& ops) { ops.version = 0; }, "BPF provider edu is of version 0, this module of 1"},
        {[](auto& ops) { ops.version = 2; }, "BPF provider edu is of version 2, this module of 1"},
        {[](auto& ops) { ops.name[0] = 0; }, "at 0 it does not"},
        {[](auto& ops) { ops.name[1] = '\n'; }, "at 1 it does not"},
        {[](auto& ops) { std::memset(ops.name, 'x', sizeof ops.name); }, "at 32 it does not"},
        {[](auto& ops) { ops.state_size = 12; }, "BPF provider edu wants 12 bytes of state"},
        {[](auto& ops) { ops.state_size = 256 << 10; }, "BPF provider edu wants 262144 bytes of state"},
        {[](auto& ops) { ops.mediates |= MEDIANT_CONFIG; }, "of which 0x1 is nothing that it can"},
        {[](auto& ops) { ops.mediates |= 1u << 31; }, "of which 0x80000000 is nothing that it can"},
        {[](auto& ops) { ops.rule_count = 0; }, "BPF provider edu has 0 rules"},
        {[](auto& ops) { ops.rule_count = 33; }, "BPF provider edu has 33 rules"},
        {[](auto& ops) { ops.range_count = 513; }, "BPF provider edu has 513 trapped ranges"},
        {[](auto& ops) { ops.reserved = 1; }, "reserved is 1"},
        {[&](auto& ops) { last_range(ops).region = 7; }, "trapped range 4, region 7, 0x40000 + 0x1000, is of no BAR"},
        {[&](auto& ops) { last_range(ops).region = ~0u; }, "is of no BAR"},
        {[&](auto& ops) { last_range(ops).size = 0; }, "is empty, or wraps around"},
        {[&](auto& ops) { last_range(ops).size = ~0ull; }, "is empty, or wraps around"},
        {[&](auto& ops) { last_range(ops).reserved = 1; }, "has something in reserved"},
        {[&](auto& ops) { last_range(ops).offset = 0x9f; }, "trapped range 4, region 0, 0x9f + 0x1000, lies before the end"},
        {[](auto& ops) { ops.ranges[0].region = 1; }, "trapped range 1, region 0, 0x8 + 0x4, lies before the end"},
        {[](auto& ops) { ops.read = nullptr; }, "BPF provider edu has no program read"},
        {[](auto& ops) { ops.write = nullptr; }, "BPF provider edu has no program write"},
        {[](auto& ops) { ops.open = nullptr; }, "BPF provider edu has no program open"},
        {[](auto& ops) { ops.release = nullptr; }, "BPF provider edu has no program release"},
        {[](auto& ops) { ops.reset = nullptr; }, "BPF provider edu has no program reset"},
        {[](auto& ops) { ops.device_info = nullptr; }, "BPF provider edu has no program device_info"},
        {[](auto& ops) { ops.region_info = nullptr; }, "BPF provider edu has no program region_info"},
        {[](auto& ops) { ops.irq_info = nullptr; }, "BPF provider edu has no program irq_info"},
        {[](auto& ops) { ops.reset_device = nullptr; }, "BPF provider edu has no program reset_device"},
    };
    for (const auto& [changes, why] : all) {
        bpf_provider provider{object, "edu", 1, changes};
        expect_zero(std::string{why} + ": loading", provider.error());
        logged("");
        expect_errno(why, bpf_attachment{provider}.error(), EINVAL);
        expect(std::string{"the log has: "} + why, logged(why), true);
    }
    expect("none is left", status(), "");

    bpf_provider fewer{object, "edu", 1, [](auto& ops) {
        ops.mediates = 0;
        ops.device_info = nullptr;
        ops.region_info = nullptr;
        ops.irq_info = nullptr;
        ops.reset_device = nullptr;
    }};
    expect_zero("one without what is optional", bpf_attachment{fewer}.error());
}

void mediated(const std::string& address) {
    section("a device behind programs");
    bpf_provider provider{object};
    expect_zero("loading", provider.error());
    if (provider.error() != 0) std::printf("%s\n", bpf_log.c_str());
    expect_errno("an open without it", open_error(address), ENODEV);
    bpf_attachment attached{provider};
    expect_zero("attaching", attached.error());
    logged("");
    {
        const user edu{address};
        expect("open could log", logged("a BPF provider opens 0x10000ed 0x1"), true);
        expect("status", status(), "edu identity=0xed0123456789abcd state=56 attached=1 devices=" + address + "\n");
        expect("IDENT", edu.get(REG_IDENT), ident);
        expect("a byte of it", edu.at.get<std::uint8_t>(bar0, 2), 0xbf);
        expect("two of them", edu.at.get<std::uint16_t>(bar0, 2), 0x01bf);
        edu.at.put<std::uint32_t>(bar0, REG_COUNT, 0x12345678);
        expect("COUNT", edu.get(REG_COUNT), 1);
        expect("what its write stored", edu.get(REG_LIVE), ~0x12345678u);
        edu.at.put<std::uint64_t>(bar0, REG_SHADOW, 0x8877665544332211);
        expect("SHADOW", edu.at.get<std::uint64_t>(bar0, REG_SHADOW), 0x8877665544332211);
        expect("IDENT, LIVE and COUNT at once", edu.read(0, 12), outcome{12, 0});
        std::array<std::byte, 0x24> bytes{};
        for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i + 1);
        expect("the block and 4 bytes behind it", edu.at.write(bar0, REG_BLOCK, bytes), outcome{0x24, 0});
        bytes = {};
        expect("and read", edu.at.read(bar0, REG_BLOCK, bytes), outcome{0x24, 0});
        for (std::size_t i = 0; i < REG_BLOCK_SIZE; ++i)
            expect("a byte of the block", static_cast<unsigned>(bytes[i]), i + 1);
        expect("a hidden page", edu.at.get<std::uint64_t>(bar0, REG_HIDDEN + 0xff8), ~0ull);
        expect("what lies behind it", edu.get(REG_HIDDEN + REG_HIDDEN_SIZE) != 0x5a5a5a5a, true);

        const auto areas = edu.at.region(bar0).sparse;
        expect("areas to map", areas ? areas->size() : 0, 2);
        if (areas && areas->size() == 2) {
            expect("the first", areas->at(0).offset, 0x1000);
            expect("its size", areas->at(0).size, REG_HIDDEN - 0x1000);
            expect("the second", areas->at(1).offset, REG_HIDDEN + REG_HIDDEN_SIZE);
            expect("its size", areas->at(1).size, 0x100000 - REG_HIDDEN - REG_HIDDEN_SIZE);
        }
        expect_errno("a mapping of a trapped page", error_of([&] { static_cast<void>(edu.at.map(bar0, 0, 0x1000)); }), EINVAL);
        static_cast<void>(edu.at.map(bar0, 0x1000, 0x1000));

        expect("no MSI", edu.at.irq(VFIO_PCI_MSI_IRQ_INDEX).count, 0);
        expect("INTx", edu.at.irq(VFIO_PCI_INTX_IRQ_INDEX).count, 1);
        expect("regions", edu.at.info().num_regions, VFIO_PCI_NUM_REGIONS);

        expect("resets so far", edu.get(REG_RESETS), 0);
        edu.at.reset();
        expect("resets", edu.get(REG_RESETS), 1);
        expect("no load within one", edu.get(REG_WITHIN), EIO);
        expect("SHADOW after it", edu.at.get<std::uint64_t>(bar0, REG_SHADOW), 0);

        bpf_provider no_reset{object, "edu", RESETS_NOT};
        expect_zero("replacing", attached.replace(no_reset));
        edu.at.reset();
        expect("a read when programs did not take notice", edu.read(REG_RESETS), refused);
        expect("a write then", edu.write(REG_COUNT), refused);
        expect_zero("replacing", attached.replace(provider));
        expect("resets, of which these did", edu.get(REG_RESETS), 2);
        expect("COUNT", edu.get(REG_COUNT), 1);

        section("answers that are none");
        const std::pair<unsigned, outcome> odd[]{{ODD_NONE_DONE, refused}, {ODD_TOO_MUCH, refused},
                                                 {ODD_RESTARTS, refused}, {ODD_NO_ERROR, refused},
                                                 {ODD_ERROR, {-1, EPERM}}, {ODD_NOT, {4, 0}}};
        for (const auto& [how, answer] : odd) {
            edu.at.put<std::uint32_t>(bar0, REG_ODD, how);
            logged("");
            expect("ODD", edu.read(REG_ODD), answer);
            if (answer == refused) expect("the log says so", logged("BPF provider edu: its program read answered"), true);
            if (how != ODD_NOT) expect("a read that ends there", edu.read(REG_WITHIN, 8), outcome{4, 0});
        }
        bpf_provider too_much{object, "edu", ANSWERS_ODDLY};
        expect_zero("replacing", attached.replace(too_much));
        logged("");
        expect_errno("a number of 64 bits", error_of([&] { static_cast<void>(edu.at.info()); }), EIO);
        expect("the log says so", logged("its program device_info gave 0x100000000 as number 1 of its answer"), true);
        expect_zero("and back", attached.replace(provider));
        expect("regions", edu.at.info().num_regions, VFIO_PCI_NUM_REGIONS);
    }
    expect("closing could log", logged("a BPF provider closes 0x1"), true);
    expect("status without devices", status(), "edu identity=0xed0123456789abcd state=56 attached=1 devices=\n");
    expect_errno("rmmod while it is attached", unload(host), EWOULDBLOCK);
}

/// CAP_SYS_ADMIN among the capabilities of this thread that are in force.
void administrate(bool may) {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[2]{};
    if (::syscall(SYS_capget, &header, data) != 0) fail(errno, "capget");
    data[0].effective = may ? data[0].effective | 1u << CAP_SYS_ADMIN : data[0].effective & ~(1u << CAP_SYS_ADMIN);
    if (::syscall(SYS_capset, &header, data) != 0) fail(errno, "capset");
}

void without_privilege() {
    section("who may attach");
    bpf_provider provider{object}, next{object, "edu", 2};
    expect_zero("loading", provider.error());
    logged("");
    administrate(false);
    const int attaching = bpf_attachment{provider}.error();
    administrate(true);
    expect_errno("attaching with all but CAP_SYS_ADMIN", attaching, EPERM);
    expect("the log says so", logged("BPF providers are attached and replaced with CAP_SYS_ADMIN alone"), true);
    bpf_attachment attached{provider};
    expect_zero("attaching with it", attached.error());
    administrate(false);
    const int replacing = attached.replace(next);
    administrate(true);
    expect_errno("replacing without", replacing, EPERM);
    expect_zero("and with it", attached.replace(next));
}

/// What only numbers say is not followed to where they wrap around.
void boundless(const std::string& address) {
    section("a region without end");
    bpf_provider provider{object, "edu", BOUNDLESS, [](auto& ops) {
        mediant_bpf_range& last = ops.ranges[ops.range_count - 1];
        last.size = ~0ull - last.offset;
    }};
    const bpf_attachment attached{provider};
    expect_zero("attaching", attached.error());
    logged("");
    const user edu{address};
    expect("the log says so", logged("its program region_info gave region 0 0xffffffffffffffff bytes"), true);
    expect_errno("GET_REGION_INFO", error_of([&] { static_cast<void>(edu.at.region(bar0)); }), EIO);
    expect("a read", edu.read(REG_IDENT), outcome{-1, EINVAL});
    expect_errno("a mapping", error_of([&] { static_cast<void>(edu.at.map(bar0, 0x1000, 0x1000)); }), EINVAL);
}

void lines(const std::string& address) {
    section("a text of two lines");
    bpf_provider provider{object, "edu", LOGS_ODDLY};
    const bpf_attachment attached{provider};
    expect_zero("attaching", attached.error());
    logged("");
    const user edu{address};
    expect("the log has one", logged("a BPF provider's text with control characters 0x10000ed 0x5d"), true);
}

void many() {
    section("more than a page of them");
    std::vector<std::unique_ptr<bpf_provider>> providers;
    std::vector<std::unique_ptr<bpf_attachment>> attached;
    const std::string line = " identity=0xed0123456789abcd state=56 attached=1 devices=\n";
    for (unsigned i = 0; i < 55; ++i) {
        const std::string name = "of_a_long_name_" + std::to_string(100 + i);
        providers.push_back(std::make_unique<bpf_provider>(object, "edu", 1, [&](auto& ops) {
            std::strcpy(ops.name, name.c_str());
            ops.rules[0].device = i;
        }));
        attached.push_back(std::make_unique<bpf_attachment>(*providers.back()));
        expect_zero(name, attached.back()->error());
    }
    const std::string all = status();
    expect("a page of it, and no more", all.size() > 3900 && all.size() < 4096, true);
    expect("that there are more", all.ends_with(line + "...\n"), true);
}

void ranks(const std::string& address, const std::string& other_address) {
    section("several providers");
    bpf_provider general{object};
    bpf_provider classy{object, "edu", 6, [](auto& ops) {
        std::strcpy(ops.name, "classy");
        ops.rules[0].class_code = 0x00ff17; // what is not under the mask does not count
        ops.rules[0].class_mask = 0xffff00;
    }};
    bpf_provider other_class{object, "edu", 8, [](auto& ops) {
        std::strcpy(ops.name, "other_class");
        ops.rules[0].class_code = 0x020000;
        ops.rules[0].class_mask = 0xffffff;
    }};
    bpf_provider special{object, "edu", 7, [](auto& ops) {
        std::strcpy(ops.name, "special");
        ops.rules[0].subvendor = 0x1af4;
        ops.rules[0].subdevice = 0x1100;
        ops.rules[1] = ops.rules[0];
        ops.rules[1].device = 0x11e9;
        ops.rule_count = 2;
    }};
    const bpf_attachment first{general};
    {
        const bpf_attachment third{classy}, fourth{other_class};
        expect_zero("one for its class", third.error());
        expect("which says more", user{address}.get(REG_GENERATION), 6);
        const bpf_attachment second{special};
        expect_zero("a second one", second.error());
        const user edu{address};
        expect("the more specific one serves", edu.get(REG_GENERATION), 7);
        const user other{other_address};
        expect("both are told of", status().find("special identity=0xed0123456789abcd state=56 attached=1 devices=" +
                                                 address + "," + other_address + "\n") != std::string::npos, true);
        bpf_provider again{object};
        logged("");
        expect_errno("a second one of the name", bpf_attachment{again}.error(), EEXIST);
        expect("why", logged("a BPF provider of the name edu is attached"), true);
        bpf_provider same_rule{object, "edu", 1, [](auto& ops) { std::strcpy(ops.name, "twin"); }};
        expect_errno("another one with its rule", bpf_attachment{same_rule}.error(), EBUSY);
        expect("why", logged("provider twin: provider edu is registered with the same rule"), true);
        expect_errno("a module of its name", load("/edu_provider.ko"), EBUSY);
        expect("why", logged("a provider of the name edu is registered"), true);
    }
    expect("the other one serves", user{address}.get(REG_GENERATION), 1);

    const std::pair<unsigned, int> opens[]{{DECLINES, 0}, {FAILS, EPERM}, {OPENS_ODDLY, EIO}};
    for (const auto& [how, error] : opens) {
        bpf_provider odd{object, "edu", how, [](auto& ops) {
            std::strcpy(ops.name, "odd");
            ops.rules[0].subvendor = 0x1af4;
        }};
        const bpf_attachment attached{odd};
        expect_zero("one that does not open", attached.error());
        expect_errno("an open", open_error(address), error);
        expect("nothing is left of that", status().find("odd identity=0xed0123456789abcd state=56 attached=1 devices=\n") !=
                                              std::string::npos, true);
    }
}

/// Programs that reach for more state than their ops have asked for get none.
void small(const std::string& address) {
    section("less state than programs reach for");
    bpf_provider provider{object, "edu", 1, [](auto& ops) { ops.state_size -= 8; }};
    const bpf_attachment attached{provider};
    const user edu{address};
    expect("COUNT", edu.read(REG_COUNT), refused);
    expect("its write", edu.write(REG_COUNT), refused);
}

/// What is trapped and what can be mapped, against how a policy object has it (registers/areas.hpp).
void maps(const std::string& address) {
    section("maps");
    std::mt19937 random{7};
    const auto up_to = [&random](std::uint64_t most) { return std::uniform_int_distribution<std::uint64_t>{0, most}(random); };
    constexpr std::uint64_t size = 0x100000, page = 0x1000;
    for (int round = 0; round < 25; ++round) {
        std::vector<mediant_bpf_range> ranges;
        const std::uint64_t gap = std::array<std::uint64_t, 4>{16, 0x800, 0x3000, 0x20000}[round % 4u];
        const std::uint64_t length = std::array<std::uint64_t, 3>{8, 0x1800, 0x4000}[round % 3u];
        std::uint64_t at = up_to(gap);
        while (at < size + 0x1000 && ranges.size() < MEDIANT_BPF_RANGES) { // also behind the end
            const std::uint64_t bytes = up_to(2) == 0 ? page * (1 + up_to(2)) : 1 + up_to(length);
            ranges.push_back({at, bytes, 0, 0});
            at += bytes + (up_to(3) == 0 ? 0 : up_to(gap));
            if (up_to(3) == 0) at = (at + page - 1) / page * page;
        }
        if (round == 0) ranges.clear();
        ranges.push_back({0, 4, 1, 0}); // of a BAR that edu has not
        if (ranges.size() > MEDIANT_BPF_RANGES) ranges.erase(ranges.begin());
        bpf_provider provider{object, "edu", 1, [&](auto& ops) {
            ops.range_count = static_cast<unsigned>(ranges.size());
            std::copy(ranges.begin(), ranges.end(), ops.ranges);
        }};
        bpf_attachment attached{provider};
        expect_zero("attaching", attached.error());
        ranges.pop_back();

        const auto run = [&](std::uint64_t offset, std::uint64_t count) {
            for (const mediant_bpf_range& each : ranges) {
                if (each.offset + each.size <= offset) continue;
                if (each.offset > offset) return mediant::traps{std::min<std::uint64_t>(count, each.offset - offset), false};
                return mediant::traps{std::min<std::uint64_t>(count, each.offset + each.size - offset), true};
            }
            return mediant::traps{count, false};
        };
        const user edu{address};
        const auto seen = edu.at.region(bar0).sparse.value_or(std::vector<area>{});
        std::size_t count = 0;
        for (std::uint64_t from = 0;; ++count) {
            const mediant::range wanted = mediant::untrapped_pages(run, size, page, from);
            if (wanted.size == 0 || (round == 0 && count == 1)) break;
            from = wanted.offset + wanted.size;
            if (round == 0) continue; // nothing is trapped: no areas are stated
            expect("where an area begins", count < seen.size() ? seen[count].offset : ~0ull, wanted.offset);
            expect("its size", count < seen.size() ? seen[count].size : ~0ull, wanted.size);
        }
        if (round != 0) expect("areas", seen.size(), count);
        expect_zero("withdrawing", attached.withdraw());
        for (int i = 0; i < 40; ++i) {
            std::uint64_t offset = up_to(size - 4);
            if (i % 2 == 0 && !ranges.empty()) { // about an edge
                const mediant_bpf_range& each = ranges[up_to(ranges.size() - 1)];
                offset = each.offset + (up_to(1) == 0 ? each.size : 0) + up_to(2) - 1;
                if (offset >= size) continue;
            }
            expect("whether it is trapped", edu.read(offset, 1), run(offset, 1).trapped ? refused : outcome{1, 0});
        }
    }
}

/// When a device is opened modprobe is asked, once, which may attach a provider.
void on_demand(const std::string& address) {
    section("attached when a device is opened");
    const std::string script = "/tmp/request";
    std::ofstream{script} << "#!/bin/sh\necho \"$*\" >>/tmp/requests\nexec /bpf_providers attach\n";
    ::chmod(script.c_str(), 0755);
    std::string before;
    std::getline(std::ifstream{"/proc/sys/kernel/modprobe"}, before);
    write_attribute("/proc/sys/kernel/modprobe", script);
    const auto requests = [] {
        std::ifstream file{"/tmp/requests"};
        int count = 0;
        for (std::string line; std::getline(file, line);) count += line.ends_with(" vfio-pci-mediate-1234-11e8") ? 1 : 0;
        return static_cast<unsigned>(count);
    };
    expect("IDENT", user{address}.get(REG_IDENT), ident);
    expect("requests", requests(), 1);
    // It is asked each time, since there may be a module that is more specific; what cannot be had delays nobody.
    expect("IDENT of the second time", user{address}.get(REG_IDENT), ident);
    expect("requests", requests(), 2);
    write_attribute("/proc/sys/kernel/modprobe", before);
    bpf_attachment attached{pin};
    expect_zero("withdrawing", attached.withdraw());
    expect_zero("unpinning", attached.unpin());
}

int attach() {
    bpf_provider provider{object};
    bpf_attachment attached{provider};
    return attached.error() != 0 || attached.pin(pin) != 0 ? 1 : 0;
}

void module_first() {
    section("a module beside it");
    expect_zero("the module", load("/edu_provider.ko"));
    bpf_provider provider{object};
    logged("");
    expect_errno("one of its name", bpf_attachment{provider}.error(), EBUSY);
    expect("why", logged("a provider of the name edu is registered"), true);
    expect("nothing is left of it", status(), "");
    expect_zero("rmmod", unload("edu_provider"));
    expect_zero("and then", bpf_attachment{provider}.error());
}

void withdrawn(const std::string& address) {
    section("withdrawn, and attached again");
    bpf_provider provider{object};
    std::optional<bpf_attachment> attached{provider};
    {
        const user edu{address};
        edu.at.put<std::uint64_t>(bar0, REG_SHADOW, 0x1122334455667788);
        for (int i = 0; i < 3; ++i) edu.at.put<std::uint32_t>(bar0, REG_COUNT, 0x600d);
        expect_zero("withdrawing", attached->withdraw());
        expect("status", status(), "edu identity=0xed0123456789abcd state=56 attached=0 devices=" + address + "\n");
        expect("IDENT", edu.read(REG_IDENT), refused);
        expect("COUNT", edu.write(REG_COUNT), refused);
        expect("the block", edu.write(REG_BLOCK, 32), refused);
        expect("a hidden page", edu.read(REG_HIDDEN), refused);
        expect("what passes into what does not", edu.read(REG_LIVE, 8), outcome{4, 0});
        expect("nothing came through", edu.get(REG_LIVE), ~0x600du);
        expect_errno("a mapping of a trapped page", error_of([&] { static_cast<void>(edu.at.map(bar0, 0, 0x1000)); }), EINVAL);
        static_cast<void>(edu.at.map(bar0, 0x1000, 0x1000));
        expect_errno("an ioeventfd", error_of([&] { edu.at.ioeventfd(bar0, 0x98, 1, 4, event{}.get()); }), EINVAL);
        expect_errno("a request", error_of([&] { static_cast<void>(edu.at.info()); }), EIO);
        expect_errno("a reset that it would mediate", error_of([&] { edu.at.reset(); }), EIO);
        expect_errno("rmmod", unload(host), EWOULDBLOCK);
        write_attribute(sysfs(address) / "reset", "1"); // nobody can say no to that

        section("what may take its place");
        const std::pair<std::function<void(mediant_bpf_ops&)>, const char*> all[]{
            {[](auto& ops) { ops.identity = 1; }, "has identity 0xed0123456789abcd, and what would take its place has 0x1"},
            {[](auto& ops) { ops.state_size += 8; }, "has 56 bytes of state, and what would take its place has 64"},
            {[](auto& ops) { ops.rules[0].class_mask = 0xff0000; }, "has another table of rules"},
            {[](auto& ops) { ops.ranges[0].size = 2; }, "has another table of trapped ranges"},
            {[](auto& ops) { ops.mediates &= ~MEDIANT_IRQ_INFO; }, "has another set of mediated requests"},
        };
        for (const auto& [changes, why] : all) {
            bpf_provider other{object, "edu", 1, changes};
            logged("");
            expect_errno(std::string{why} + ": attaching", bpf_attachment{other}.error(), EBUSY);
            expect("the log has it", logged(why), true);
        }
        attached.emplace(provider);
        expect_zero("attaching again", attached->error());
        expect("COUNT stayed", edu.get(REG_COUNT), 3);
        expect("the reset was made up for", edu.get(REG_RESETS), 1);
        expect("SHADOW after it", edu.at.get<std::uint64_t>(bar0, REG_SHADOW), 0);
        edu.at.put<std::uint64_t>(bar0, REG_SHADOW, 5);

        section("replaced");
        bpf_provider second{object, "edu", 2};
        expect("by itself", static_cast<unsigned>(attached->replace(provider)), 0);
        expect_zero("by a second", attached->replace(second));
        expect("it serves", edu.get(REG_GENERATION), 2);
        expect("SHADOW stayed", edu.at.get<std::uint64_t>(bar0, REG_SHADOW), 5);
        // Neighbours that are stated apart are the same.
        bpf_provider apart{object, "edu", 3, [](auto& ops) {
            for (unsigned i = ops.range_count; i > 0; --i) ops.ranges[i] = ops.ranges[i - 1];
            ++ops.range_count;
            ops.ranges[0].size = 2;
            ops.ranges[1].offset = 2;
            ops.ranges[1].size = 2;
        }};
        expect_zero("by one whose ranges are cut otherwise", attached->replace(apart));
        expect("it serves", edu.get(REG_GENERATION), 3);
        for (const auto& [changes, why] : all) {
            bpf_provider other{object, "edu", 4, changes};
            logged("");
            expect_errno(std::string{why} + ": replacing", attached->replace(other), EINVAL);
            expect("the log has it", logged(why), true);
        }
        bpf_provider renamed{object, "edu", 4, [](auto& ops) { ops.name[0] = 'E'; }};
        expect_errno("by one of another name", attached->replace(renamed), EINVAL);
        expect("the log has it", logged("has another name"), true);
        expect("who serves", edu.get(REG_GENERATION), 3);
        expect("SHADOW stayed", edu.at.get<std::uint64_t>(bar0, REG_SHADOW), 5);

        section("closed while it is withdrawn");
        expect_zero("withdrawing", attached->withdraw());
        logged("");
    }
    expect("nothing was released", logged("a BPF provider closes"), false);
    expect("nothing is left", status(), "");
    expect_errno("no provider", open_error(address), ENODEV);
    bpf_provider other{object, "edu", 5, [](auto& ops) { ops.identity = 1; }};
    attached.emplace(other);
    expect_zero("another one in its place", attached->error());
    const user edu{address};
    expect("it serves", edu.get(REG_GENERATION), 5);
    expect("its state is fresh", edu.get(REG_COUNT), 0);
}

/// What becomes of what a process attached that is killed.
void killed(const std::string& address) {
    section("the loader is killed");
    for (const bool pins : {false, true}) {
        int ready[2];
        if (::pipe(ready) != 0) fail(errno, "pipe");
        const pid_t loader = ::fork();
        if (loader == 0) {
            bpf_provider provider{object};
            bpf_attachment attached{provider};
            char failed = attached.error() != 0 || (pins && attached.pin(pin) != 0) ? 1 : 0;
            if (::write(ready[1], &failed, 1) == 1) ::pause();
            ::_exit(0);
        }
        char failed = 1;
        expect("the loader is ready", ::read(ready[0], &failed, 1) == 1 && failed == 0, true);
        ::close(ready[0]);
        ::close(ready[1]);
        const user edu{address};
        expect("IDENT", edu.get(REG_IDENT), ident);
        edu.at.put<std::uint64_t>(bar0, REG_SHADOW, 77);
        ::kill(loader, SIGKILL);
        ::waitpid(loader, nullptr, 0);
        if (pins) {
            ::usleep(200'000);
            expect("pinned, it stays", edu.get(REG_IDENT), ident);
            bpf_attachment attached{pin};
            bpf_provider second{object, "edu", 2};
            expect_zero("replaced by its pin", attached.replace(second));
            expect("which serves", edu.get(REG_GENERATION), 2);
            expect_zero("withdrawn by its pin", attached.withdraw());
            expect_zero("unpinned", attached.unpin());
        }
        expect("it goes", soon([] { return status().find("attached=0") != std::string::npos; }), true);
        expect("IDENT", edu.read(REG_IDENT), refused);
        bpf_provider provider{object};
        const bpf_attachment attached{provider};
        expect_zero("attached by another process", attached.error());
        expect("SHADOW stayed", edu.at.get<std::uint64_t>(bar0, REG_SHADOW), 77);
    }
}

/// The object that is exchanged under load, of a generation if it has them.
bpf_provider exchanged_provider(unsigned generation) {
    return bpf_provider{object, ops_name, has_generations ? generation : 0};
}

/// Providers are replaced, withdrawn and attached while threads access a device, open another and reset it.
void storm(const std::string& address, const std::string& other_address, int cycles) {
    section("exchanged under load");
    std::array<bpf_provider, 2> providers{exchanged_provider(1), exchanged_provider(2)};
    std::optional<bpf_attachment> attached{providers[0]};
    const user edu{address};
    std::atomic<bool> stopped{false};
    std::atomic<std::uint64_t> written{0}, failed{0}, odd{0}, blocks{0}, opened{0}, declined{0};
    std::atomic<std::uint64_t> reads{0};

    const auto writes = [&] {
        std::uint64_t good = 0, bad = 0;
        while (!stopped) {
            const outcome got = edu.write(REG_COUNT);
            if (got == outcome{4, 0}) ++good;
            else if (got == refused) ++bad;
            else ++odd;
        }
        written += good;
        failed += bad;
    };
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) threads.emplace_back(writes);
    threads.emplace_back([&] { // a chunk is whole, by one provider's programs, or refused
        while (!stopped) {
            const outcome got = edu.write(REG_BLOCK, 32);
            if (got != outcome{32, 0} && got != refused) ++odd;
            const outcome generation = edu.read(REG_RESETS, 16);
            if (generation != outcome{16, 0} && generation != refused) ++odd;
            ++blocks;
        }
    });
    threads.emplace_back([&] {
        while (!stopped) {
            const outcome got = edu.read(REG_IDENT);
            if (got != outcome{4, 0} && got != refused) ++odd;
            ++reads;
        }
    });
    threads.emplace_back([&] { // no reset that makes each open last a second
        while (!stopped) {
            const int error = open_error(other_address);
            if (error == 0) ++opened;
            else if (error == ENODEV || error == EIO) ++declined;
            else ++odd;
        }
    });

    const auto start = std::chrono::steady_clock::now();
    int errors = 0;
    for (int i = 0; i < cycles; ++i) {
        errors += attached->replace(providers[1]) != 0;
        errors += attached->withdraw() != 0;
        ::usleep(200); // so that accesses meet it, too
        attached.emplace(providers[0]);
        errors += attached->error() != 0;
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    stopped = true;
    for (std::thread& each : threads) each.join();

    expect_zero("calls that failed", errors);
    expect("accesses that ended otherwise", odd, 0);
    expect("COUNT", edu.get(REG_COUNT), written);
    expect("no reset was seen", edu.get(REG_RESETS), 0);
    expect("some were done", written > 100, true);
    expect("some were refused", failed > 0, true);
    std::printf("exchanged %d times in %.1f s: %llu writes done and counted, %llu refused, %llu reads, %llu blocks, "
                "%llu opens, %llu without a provider\n",
                cycles, seconds, static_cast<unsigned long long>(written), static_cast<unsigned long long>(failed),
                static_cast<unsigned long long>(reads), static_cast<unsigned long long>(blocks),
                static_cast<unsigned long long>(opened), static_cast<unsigned long long>(declined));
}

/// Whether a thread sleeps in a program.
bool in_program(pid_t thread) {
    std::ifstream file{"/proc/self/task/" + std::to_string(thread) + "/stack"};
    std::ostringstream text;
    text << file.rdbuf();
    return text.str().find(" bpf_prog_") != std::string::npos;
}

/// Resets from sysfs, which hold the core's memory lock, against programs that wait for it.
void resets(const std::string& address, int seconds) {
    section("exchanged under resets");
    bpf_provider provider = exchanged_provider(1);
    std::optional<bpf_attachment> attached{provider};
    const user edu{address};
    std::atomic<bool> stopped{false};
    std::uint32_t done = 0;
    std::atomic<std::uint64_t> odd{0};
    std::thread resets{[&] {
        while (!stopped) {
            const int error = error_of([&] { write_attribute(sysfs(address) / "reset", "1"); });
            if (error == 0) ++done;
            else if (error != EAGAIN) ++odd;
        }
    }};
    // A reset turns memory off. One thread turns it on again, where it waits, too; the other waits in programs alone.
    std::thread turns_on{[&] {
        while (!stopped) {
            const int error = error_of([&] { edu.at.enable(); });
            if (error != 0 && error != EIO) ++odd;
            ::usleep(1'000);
        }
    }};
    std::atomic<pid_t> accessing{0};
    std::thread accesses{[&] {
        accessing = ::gettid();
        while (!stopped) {
            const outcome got = edu.write(REG_COUNT);
            if (got != outcome{4, 0} && got != refused) ++odd;
        }
    }};
    int errors = 0, rounds = 0, asleep = 0, left = 0;
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{seconds};
    for (; std::chrono::steady_clock::now() < end; ++rounds) {
        errors += attached->replace(provider) != 0;
        for (int i = 0; i < 100 && !in_program(accessing); ++i) ::usleep(100);
        asleep += in_program(accessing) ? 1 : 0;
        errors += attached->withdraw() != 0;
        left += in_program(accessing) ? 1 : 0;
        ::usleep(20'000);
        attached.emplace(provider);
        errors += attached->error() != 0;
        ::usleep(20'000);
    }
    stopped = true;
    resets.join();
    turns_on.join();
    accesses.join();
    expect_zero("calls that failed", errors);
    expect("accesses that ended otherwise", odd, 0);
    expect("resets", done > 0, true);
    expect("programs that slept when they were withdrawn", asleep > 0, true);
    expect("programs that ran when they had been", left, 0);
    // Those while it was withdrawn count as one.
    const std::uint32_t seen = edu.get(REG_RESETS);
    expect("resets that were seen", seen > 0 && seen <= done, true);
    std::printf("%u resets, %u seen, in %d rounds, %d with a program asleep\n", done, seen, rounds, asleep);
}

/// A kernel or a host for which there are none, and which says so.
void none(const std::string& edu, const std::string& why) {
    section("no BPF providers");
    expect("why", logged("no BPF providers: " + why), true);
    expect("status", status(), "");
    bpf_provider provider{object};
    expect("loading", provider.error() != 0, true);
    expect_errno("an open", open_error(edu), ENODEV);
    expect_zero("a module as ever", load("/edu_provider.ko"));
    expect("which serves", user{edu}.get(0), 0x01ac00ed);
}

void run(const std::string& mode, const char* given) {
    if (mode == "exchanged") {
        object = given;
        ops_name = "mediant_ops";
        has_generations = false;
    }
    libbpf_set_print(keep_log);
    if (::mount("bpf", "/sys/fs/bpf", "bpf", 0, nullptr) != 0 && errno != EBUSY) fail(errno, "mount of bpffs");
    const std::vector<std::string> edus = find_all_pci(0x1234, 0x11e8);
    if (edus.size() != 2) fail(ENODEV, "two edu devices");
    const bool behind_port = std::filesystem::exists(sysfs(edus[1]) / "reset");
    const std::string& edu = edus[behind_port ? 1 : 0];
    const std::string& plain = edus[behind_port ? 0 : 1];
    const char* const asked = std::getenv("MEDIANT_GUEST_CYCLES");
    const int cycles = asked != nullptr ? std::atoi(asked) : 1000;

    int able = -1;
    std::ifstream{"/sys/bus/pci/drivers/" + host + "/bpf"} >> able;
    expect("whether the host takes BPF providers", static_cast<unsigned>(able), mode == "able" || given != nullptr ? 1 : 0);
    expect("whether its types are there", std::filesystem::exists("/sys/kernel/btf/" + host),
           mode == "able" || given != nullptr);
    for (const std::string& address : edus)
        if (!bind(address, host)) fail(EBUSY, host + " did not take " + address);

    if (mode == "unable") return none(edu, "this kernel has no struct_ops of modules");
    if (mode == "typeless") return none(edu, "this module has no BTF");
    if (mode == "able") {
        verifier_refuses();
        ops_refused();
        without_privilege();
        mediated(edu);
        boundless(plain);
        lines(plain);
        many();
        ranks(plain, edu);
        small(plain);
        maps(plain);
        on_demand(plain);
        module_first();
        withdrawn(edu);
        killed(plain);
    }
    storm(edu, plain, cycles);
    resets(edu, cycles < 1000 ? 2 : 8);

    for (const std::string& address : edus) unbind(address);
    expect("nothing is left", status(), "");
    // Maps are freed a little later, and hold the module as long.
    expect("rmmod in the end", soon([] { return unload(host) == 0; }), true);
}

} // namespace

int main(int argc, char** argv) {
    if (argc > 1 && std::string{argv[1]} == "attach") return attach();
    return run_test("BPF providers", [&] { run(argc > 1 ? argv[1] : "able", argc > 2 ? argv[2] : nullptr); });
}
