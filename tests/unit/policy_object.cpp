// SPDX-License-Identifier: BSD-3-Clause

// The policy object as a module's C half calls it, in user space: through the functions of mediant/kernel/abi.h.

#include <mediant/device/edu.hpp>
#include <mediant/kernel/policy_object.hpp>
#include <mediant/mediant.hpp>
#include <mediant/provider/stack.hpp>

#include <guest/interrupts/providers.hpp>
#include <guest/migration/moving_edu.hpp>

#include <catch2/catch.hpp>

#include <cerrno>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace {
using namespace mediant;

struct nic {
    static constexpr auto info = provider{"nic", {pci_id{0x1234, 0x11e8}, pci_id{0x1234, 0x11e8, 0x1af4, 0x1100}}};

    static constexpr auto bar0 = region_map{bar{0}, 16_KiB,
        reg{"IDENT", 0x00, ro, {.hook = on::read}},
        reg{"EVENTS", 0x28, w1c, {.backing = from::shadow, .value = 0xff}},
        block{"DMA", 0x1000, 0x20, {.backing = from::shadow}}};
    static constexpr auto bar2 = region_map{bar{2}, 4_KiB, hide{"ALL", 0, 4_KiB}};
    static constexpr auto regions = mediant::regions<bar0, bar2>{};

    result<std::uint32_t> read(at<bar0, "IDENT"> which, auto& next) noexcept {
        const auto ident = next.read(which);
        if (!ident) return ident;
        next.log("ident", *ident, ++reads);
        return *ident ^ 0xffff'0000;
    }
    result<void> open(auto& next) noexcept {
        const auto status = next.template load<std::uint32_t>(bar{0}, 0x2000);
        if (!status) return status.error();
        if (*status == 0xdead) return error::no_device;
        const auto size = next.ioctl(get_region_info{bar{0}});
        if (!size || size->size < 16_KiB) return error::invalid;
        return {};
    }
    void release(auto& next) noexcept { next.log("released"); }
    void reset() noexcept { reads = 0; }

    std::uint32_t reads = 0;
};

/// Mediates nothing and matches a class.
struct plain {
    static constexpr auto info = provider{"plain", {pci_id{.class_code = 0x020000, .class_mask = 0xffff00}}};
};

/// A config map, BARs shaped by it, and requests.
struct shaped {
    static constexpr auto info = provider{"shaped", {pci_id{0x1234, 0x11e9}}};
    static constexpr auto bar0 = region_map{bar{0}, 4_KiB, reg{"IDENT", 0x00, ro, {.backing = from::constant}}};
    static constexpr auto bar4 = region_map{bar{4}, 16, reg{"MARK", 0x00, rw, {.backing = from::shadow, .value = 7}}};
    static constexpr auto config = config_map{
        config_id{.device = 0x5555},
        shadow_bytes{"SCRATCH", 0x62, 2, {.value = 0x1122, .writable = 0x00ff}},
        observe_writes{"COMMAND", 0x04, 2},
        hide_capability{cap::msi},
        hide_upper_half{0},
        memory_bar{4, 16}};
    static constexpr auto regions = mediant::regions<bar0, bar4, config>{};

    result<void> written(at<config, "COMMAND">, lanes<std::uint16_t> what, auto& next) noexcept {
        next.log("COMMAND", what.value, what.mask);
        return what.value == 0xdead ? error::denied : error::none;
    }
    result<get_device_info::answer> ioctl(const get_device_info& what, auto& next) noexcept {
        auto out = next.ioctl(what);
        if (out) out->irqs -= 1;
        return out;
    }
    result<get_region_info::answer> ioctl(const get_region_info& what, auto& next) noexcept {
        auto out = next.ioctl(what);
        if (out && what.region == bar{2}) out->flags = without(out->flags, region_flags::mmap);
        return out;
    }
    result<get_irq_info::answer> ioctl(const get_irq_info& what, auto& next) noexcept {
        auto out = next.ioctl(what);
        if (out) out->count /= 2;
        return out;
    }
    result<void> ioctl(const reset_device& what, auto& next) noexcept {
        if (++asked == 2) return error::busy;
        return next.ioctl(what);
    }
    int asked = 0;
};

/// A part of its BAR is switched by a register.
struct switched {
    static constexpr auto info = provider{"switched", {pci_id{0x1234, 0x11ea}}};
    static constexpr auto bar0 = region_map{bar{0}, 16_KiB,
        reg{"SWITCH", 0x00, wo, {.hook = on::write}},
        dynamic{"BESIDE", 0x1000, 4_KiB},
        dynamic{"APERTURE", 0x2000, 8_KiB},
        reg{"INSIDE", 0x2000, ro, {.backing = from::constant, .value = 0x77}}};
    static constexpr auto regions = mediant::regions<bar0>{};
    result<void> write(at<bar0, "SWITCH">, std::uint32_t passes, auto& next) noexcept {
        return passes != 0 ? next.untrap(at<bar0, "APERTURE">{}) : next.trap(at<bar0, "APERTURE">{});
    }
};

/// A device as the C half offers it.
struct hardware {
    std::vector<std::uint8_t> bar0 = std::vector<std::uint8_t>(16384);
    std::map<unsigned, unsigned long long> sizes{{0, 16384}, {2, 4096}, {7, 256}};
    std::vector<std::uint8_t> config = std::vector<std::uint8_t>(256);
    std::vector<std::string> log;
    unsigned accesses = 0;
    int fault = 0; ///< what every access answers, if not 0
    unsigned long long fault_from = 0;
    int resets = 0;
    mediant_below below{sizeof(mediant_below), MEDIANT_ABI_VERSION, 4, 0, this, load, store, region_size, write_log,
                        device_info, region_info, irq_info, reset_device, revoke, regions_changed, start_log,
                        stop_log, report_log, dirty, trigger};
    int refuses = 0; ///< what revoke and trigger answer

    std::vector<std::pair<unsigned long long, unsigned long long>> ranges; ///< that are logged
    std::vector<std::pair<unsigned long long, unsigned long long>> marks;
    static int start_log(void* device, unsigned long long page, const mediant_range* ranges, unsigned count,
                         unsigned long long* tracked) {
        of(device).ranges.clear();
        for (unsigned i = 0; i < count; ++i) {
            mediant_range each{};
            std::memcpy(&each, ranges + i, sizeof each); // what C++ made of them is another type
            of(device).ranges.emplace_back(each.offset, each.size);
        }
        *tracked = 2 * page;
        return 0;
    }
    static int stop_log(void* device) { return of(device).ranges.clear(), 0; }
    static int report_log(void* device, unsigned long long iova, unsigned long long length, unsigned long long page,
                          unsigned long long* bits, unsigned words, unsigned forgets) {
        if (of(device).ranges.empty()) return -EINVAL;
        const std::uint64_t number =
            of(device).marks.size() | std::uint64_t{forgets} << 32 | std::uint64_t{words} << 40;
        std::memcpy(bits, &number, sizeof number);
        return iova + length == 8 * page ? 0 : -ERANGE;
    }
    static void dirty(void* device, unsigned long long iova, unsigned long long size) {
        of(device).marks.emplace_back(iova, size);
    }
    static int trigger(void* device, unsigned index, unsigned vector) {
        of(device).log.push_back("trigger " + std::to_string(index) + ' ' + std::to_string(vector));
        return of(device).refuses;
    }

    static hardware& of(void* device) { return *static_cast<hardware*>(device); }
    static int load(void* device, unsigned region, unsigned long long offset, unsigned width,
                    unsigned long long* value) {
        hardware& self = of(device);
        ++self.accesses;
        if (self.fault != 0 && offset >= self.fault_from) return self.fault;
        const std::vector<std::uint8_t>& from = region == 7 ? self.config : self.bar0;
        if ((region != 0 && region != 7) || offset % width != 0 || offset + width > from.size()) return -EINVAL;
        *value = 0;
        std::memcpy(value, &from[offset], width);
        return 0;
    }
    static int store(void* device, unsigned region, unsigned long long offset, unsigned width,
                     unsigned long long value) {
        hardware& self = of(device);
        ++self.accesses;
        if (self.fault != 0 && offset >= self.fault_from) return self.fault;
        if (region != 0 || offset % width != 0 || offset + width > self.bar0.size()) return -EINVAL;
        std::memcpy(&self.bar0[offset], &value, width);
        return 0;
    }
    static unsigned long long region_size(void* device, unsigned region) {
        const auto found = of(device).sizes.find(region);
        return found == of(device).sizes.end() ? 0 : found->second;
    }
    static int device_info(void*, unsigned* regions, unsigned* irqs, unsigned* can_reset) {
        *regions = 9;
        *irqs = 5;
        *can_reset = 1;
        return 0;
    }
    static int region_info(void* device, unsigned region, unsigned long long* size, unsigned* flags) {
        if (region > 7) return -EINVAL;
        *size = region_size(device, region);
        *flags = *size == 0 ? 0 : region < 6 ? 7 : 3;
        return 0;
    }
    static int irq_info(void*, unsigned index, unsigned* flags, unsigned* count) {
        if (index > 4) return -EINVAL;
        *flags = 9;
        *count = 8;
        return 0;
    }
    static int reset_device(void* device) { return of(device).fault != 0 ? of(device).fault : (++of(device).resets, 0); }
    static int revoke(void* device, unsigned region, unsigned long long offset, unsigned long long size) {
        of(device).log.push_back("revoke " + std::to_string(region) + ' ' + std::to_string(offset) + ' ' +
                                 std::to_string(size));
        return of(device).refuses;
    }
    static void regions_changed(void* device) { of(device).log.push_back("changed"); }
    static void write_log(void* device, const char* text, unsigned count, unsigned long long a, unsigned long long b,
                          unsigned long long c) {
        std::string line = text;
        for (unsigned i = 0; i < count; ++i) line += ' ' + std::to_string(i == 0 ? a : i == 1 ? b : c);
        of(device).log.push_back(line);
    }
};

/// One open as the C half makes it: zeroed memory of the size that is asked for.
struct opened {
    const mediant_provider& provider;
    std::vector<std::uint64_t> memory;

    opened(const mediant_provider& which, hardware& device) : provider{which}, memory(which.state_size / 8 + 1) {
        provider.construct(state(), &device.below);
    }
    void* state() { return memory.data(); }
    long long read(unsigned region, unsigned long long offset, unsigned char* to, unsigned count) {
        return provider.read(state(), region, offset, to, count);
    }
    std::uint32_t dword(unsigned long long offset) {
        std::uint32_t value = 0;
        unsigned char bytes[4]{};
        REQUIRE(read(0, offset, bytes, 4) == 4);
        std::memcpy(&value, bytes, 4);
        return value;
    }
    long long write(unsigned long long offset, std::uint32_t value, unsigned count = 4) {
        unsigned char bytes[4];
        std::memcpy(bytes, &value, 4);
        return provider.write(state(), 0, offset, bytes, count);
    }
};

} // namespace

// As the generator writes it.
extern "C" {
constinit const mediant_provider* const mediant_providers[] = {
    &mediant::kernel::provider_table<nic>,
    &mediant::kernel::provider_table<plain>,
    &mediant::kernel::provider_table<shaped>,
    &mediant::kernel::provider_table<switched>,
};
constinit const unsigned int mediant_provider_count = 4;
}

TEST_CASE("a provider's table says who made it and what it needs") {
    REQUIRE(mediant_provider_count == 4);
    for (unsigned i = 0; i < mediant_provider_count; ++i) {
        const mediant_provider& table = *mediant_providers[i];
        CHECK(table.size == sizeof(mediant_provider));
        CHECK(table.version == MEDIANT_ABI_VERSION);
        CHECK(table.state_size > 0);
        CHECK(table.state_size <= 64 * 1024);
        CHECK((table.state_align == 1 || table.state_align == 2 || table.state_align == 4 || table.state_align == 8));
    }
    CHECK(mediant_providers[0]->name == std::string{"nic"});
}

TEST_CASE("match gives the rank of the best rule") {
    const mediant_device_id bare{0x1234, 0x11e8, 0, 0, 0x00ff00};
    const mediant_device_id card{0x1234, 0x11e8, 0x1af4, 0x1100, 0x00ff00};
    const mediant_device_id ethernet{0x8086, 0x10d3, 0, 0, 0x020000};
    CHECK(mediant_providers[0]->match(&bare) == pci_id{0x1234, 0x11e8}.rank());
    CHECK(mediant_providers[0]->match(&card) == pci_id{0x1234, 0x11e8, 0x1af4, 0x1100}.rank());
    CHECK(mediant_providers[0]->match(&ethernet) == 0);
    CHECK(mediant_providers[1]->match(&ethernet) == 17);
}

TEST_CASE("accesses through the table are mediated, and pass below") {
    hardware device;
    device.bar0[0] = 0xed;
    device.bar0[4] = 0x11;
    opened nic_open{*mediant_providers[0], device};
    REQUIRE(nic_open.provider.open(nic_open.state()) == 0);

    CHECK(nic_open.dword(0) == 0xffff'00ed);
    CHECK(nic_open.dword(4) == 0x11);
    CHECK(nic_open.dword(0x28) == 0xff);
    CHECK(nic_open.write(0x28, 0x0f) == 4);
    CHECK(nic_open.dword(0x28) == 0xf0);
    CHECK(device.bar0[0x28] == 0);
    CHECK(nic_open.write(0x40, 0xabcd, 2) == 2);
    CHECK(device.bar0[0x40] == 0xcd);
    CHECK(device.bar0[0x41] == 0xab);

    unsigned char bytes[8]{};
    CHECK(nic_open.read(2, 0, bytes, 8) == 8); // hidden: ones, though the device has no such load
    CHECK(bytes[7] == 0xff);
    CHECK(nic_open.read(0, 2, bytes, 4) == 4); // across the edge of a trap
    CHECK(bytes[0] == 0xff);
    CHECK(bytes[2] == 0x11);

    nic_open.provider.reset(nic_open.state());
    CHECK(nic_open.dword(0x28) == 0xff);
    nic_open.provider.release(nic_open.state());
    CHECK(device.log.back() == "released");
    CHECK(device.log.front() == "ident 237 1");
}

TEST_CASE("what the device below answers reaches the caller") {
    hardware device;
    opened nic_open{*mediant_providers[0], device};
    REQUIRE(nic_open.provider.open(nic_open.state()) == 0);
    unsigned char bytes[16]{};
    device.fault = -EIO;
    CHECK(nic_open.read(0, 0, bytes, 4) == -EIO);
    CHECK(nic_open.write(0x40, 1) == -EIO);
    device.fault = -EAGAIN;
    CHECK(nic_open.read(0, 0x40, bytes, 4) == -EAGAIN);
    for (const int unknown : {-512, -ENOSYS, 1, INT_MIN}) {
        device.fault = unknown;
        CHECK(nic_open.read(0, 0x40, bytes, 4) == -EIO);
    }
    device.fault = -EIO;
    device.fault_from = 0x48;
    CHECK(nic_open.read(0, 0x40, bytes, 16) == 8); // partway: what was done
    device.fault = 0;
    CHECK(nic_open.read(3, 0, bytes, 4) == -EINVAL); // a region that neither knows
    CHECK(nic_open.read(77, 0, bytes, 4) == -EINVAL);
}

TEST_CASE("open declines a device that does not hold the maps") {
    hardware device;
    opened nic_open{*mediant_providers[0], device};
    SECTION("a BAR is missing") { device.sizes.erase(2); }
    SECTION("a BAR is smaller") { device.sizes[0] = 8192; }
    CHECK(nic_open.provider.open(nic_open.state()) == -ENODEV);
    REQUIRE(device.log.size() == 1);
    CHECK(device.log[0].starts_with("declined: "));
    CHECK(device.accesses == 0);
}

TEST_CASE("open passes on what the policy decides") {
    hardware device;
    opened nic_open{*mediant_providers[0], device};
    SECTION("it declines") {
        device.bar0[0x2000] = 0xad;
        device.bar0[0x2001] = 0xde;
        CHECK(nic_open.provider.open(nic_open.state()) == -ENODEV);
    }
    SECTION("it fails") {
        device.fault = -EIO;
        CHECK(nic_open.provider.open(nic_open.state()) == -EIO);
    }
    SECTION("a larger BAR serves") {
        device.sizes[0] = 1 << 20;
        CHECK(nic_open.provider.open(nic_open.state()) == 0);
    }
}

TEST_CASE("open refuses a C half that it does not know") {
    hardware device;
    opened nic_open{*mediant_providers[0], device};
    SECTION("version") { device.below.version = MEDIANT_ABI_VERSION + 1; }
    SECTION("size") { device.below.size = sizeof(mediant_below) - 1; }
    SECTION("widest access") { device.below.max_access = 0; }
    CHECK(nic_open.provider.open(nic_open.state()) == -EINVAL);
    CHECK(device.accesses == 0);
}

TEST_CASE("each open begins afresh in whatever memory it is given") {
    hardware device;
    const mediant_provider& provider = *mediant_providers[0];
    std::vector<std::uint64_t> memory(provider.state_size / 8 + 1, ~std::uint64_t{0});
    provider.construct(memory.data(), &device.below);
    REQUIRE(provider.open(memory.data()) == 0);
    unsigned char bytes[4]{1, 2, 3, 4};
    CHECK(provider.read(memory.data(), 0, 0x1000, bytes, 4) == 4);
    CHECK(bytes[0] == 0);
    CHECK(bytes[3] == 0);
    CHECK(memory.back() >> 32 == 0xffff'ffff); // and keeps to its size
}

TEST_CASE("run and next_area follow from the map") {
    hardware device;
    opened nic_open{*mediant_providers[0], device};
    const mediant_provider& provider = nic_open.provider;
    const void* state = nic_open.state();
    REQUIRE(provider.open(nic_open.state()) == 0);
    unsigned trapped = 7;
    CHECK(provider.run(state, 0, 0, 16384, &trapped) == 4);
    CHECK(trapped == 1);
    CHECK(provider.run(state, 0, 4, 16384 - 4, &trapped) == 0x24);
    CHECK(trapped == 0);
    CHECK(provider.run(state, 0, 0x1010, 4, &trapped) == 4);
    CHECK(trapped == 1);
    CHECK(provider.run(state, 5, 0, 4096, &trapped) == 4096); // no map
    CHECK(trapped == 0);

    unsigned long long offset = 1, size = 1;
    provider.next_area(state, 0, 16384, 4096, 0, &offset, &size);
    CHECK(offset == 0x2000);
    CHECK(size == 0x2000);
    provider.next_area(state, 0, 16384, 4096, 0x4000, &offset, &size);
    CHECK(size == 0);
    provider.next_area(state, 2, 4096, 4096, 0, &offset, &size);
    CHECK(size == 0);
    provider.next_area(state, 4, 8192, 4096, 0, &offset, &size);
    CHECK(offset == 0);
    CHECK(size == 8192);
    provider.next_area(state, 0, 16384, 65536, 0, &offset, &size);
    CHECK(size == 0);
}

TEST_CASE("what is switched is asked of at each access, and mapped at times") {
    hardware device;
    opened one{*mediant_providers[3], device};
    const mediant_provider& provider = one.provider;
    REQUIRE(provider.open(one.state()) == 0);
    CHECK((provider.mediates & MEDIANT_DYNAMIC) != 0);
    CHECK((mediant_providers[0]->mediates & MEDIANT_DYNAMIC) == 0);
    unsigned trapped = 7;
    const auto mappable = [&] {
        unsigned long long offset = 0, size = 0;
        provider.next_area(one.state(), 0, 16384, 4096, 0, &offset, &size);
        return size;
    };
    const auto stays = [&] {
        CHECK(provider.run(one.state(), 0, 0x2000, 0x2000, &trapped) == 0x2000);
        CHECK(trapped == 1);
    };
    stays();
    // A range ends by itself, where its neighbour begins or what is always trapped.
    CHECK(provider.run(one.state(), 0, 0x1000, 0x3000, &trapped) == 0x1000);
    CHECK(trapped == 1);
    CHECK(provider.run(one.state(), 0, 0, 0x4000, &trapped) == 4);
    CHECK(mappable() == 0);
    CHECK(one.dword(0x2000) == 0x77);
    CHECK(one.write(0, 1) == 4);
    CHECK(device.log == std::vector<std::string>{"changed"});
    stays(); // accesses come to the policy, which passes them
    CHECK(mappable() == 0x2000);
    device.bar0[0x2000] = 0x55;
    CHECK(one.dword(0x2000) == 0x55);
    device.refuses = -EBUSY;
    CHECK(one.write(0, 0) == -EBUSY);
    CHECK(mappable() == 0x2000);
    CHECK(one.dword(0x2000) == 0x55);
    device.refuses = 0;
    device.log.clear();
    CHECK(one.write(0, 0) == 4);
    CHECK(device.log == std::vector<std::string>{"revoke 0 8192 8192", "changed"});
    CHECK(mappable() == 0);
    CHECK(one.dword(0x2000) == 0x77);
}

TEST_CASE("the rules are there to be compared") {
    const mediant_provider& ids = *mediant_providers[0];
    REQUIRE(ids.rule_count == 2);
    CHECK(ids.rules[0].vendor == 0x1234);
    CHECK(ids.rules[0].device == 0x11e8);
    CHECK(ids.rules[0].subvendor == MEDIANT_ANY);
    CHECK(ids.rules[0].class_mask == 0);
    CHECK(ids.rules[1].subvendor == 0x1af4);
    CHECK(ids.rules[1].subdevice == 0x1100);
    const mediant_provider& by_class = *mediant_providers[1];
    REQUIRE(by_class.rule_count == 1);
    CHECK(by_class.rules[0].vendor == MEDIANT_ANY);
    CHECK(by_class.rules[0].class_code == 0x020000);
    CHECK(by_class.rules[0].class_mask == 0xffff00);
}

TEST_CASE("a provider without a map passes all") {
    hardware device;
    device.bar0[9] = 0x99;
    opened plain_open{*mediant_providers[1], device};
    REQUIRE(plain_open.provider.open(plain_open.state()) == 0);
    CHECK(plain_open.dword(8) == 0x9900);
    plain_open.provider.reset(plain_open.state());
    plain_open.provider.release(plain_open.state());
}

TEST_CASE("a table says what its provider mediates beside BARs") {
    CHECK(mediant_providers[0]->mediates == 0);
    CHECK(mediant_providers[0]->hidden_irqs == 0);
    CHECK(mediant_providers[1]->mediates == 0);
    CHECK(mediant_providers[2]->mediates == (MEDIANT_CONFIG | MEDIANT_DEVICE_INFO | MEDIANT_REGION_INFO |
                                             MEDIANT_IRQ_INFO | MEDIANT_RESET_DEVICE));
    CHECK(mediant_providers[2]->hidden_irqs == 1u << 1);
}

TEST_CASE("a config map's accesses are cut into what passes, what is taken and what is observed") {
    hardware device;
    device.config[0] = 0x34;
    device.config[0x50] = 0x77;
    opened open{*mediant_providers[2], device};
    const mediant_provider& provider = open.provider;
    REQUIRE(provider.open(open.state()) == 0);
    unsigned how = 9;

    // Reads: vendor, device, from there on, with COMMAND's bit for memory, which is the synthesised BAR's.
    CHECK(provider.config_run(open.state(), 0, 0x00, 256, &how) == 2);
    CHECK(how == 0);
    CHECK(provider.config_run(open.state(), 0, 0x02, 254, &how) == 3);
    CHECK(how == MEDIANT_TAKEN);
    CHECK(provider.config_run(open.state(), 0, 0x60, 4, &how) == 2);
    CHECK(how == 0);
    CHECK(provider.config_run(open.state(), 0, 0x62, 1, &how) == 1);
    CHECK(how == MEDIANT_TAKEN);

    // Writes: COMMAND passes among others, and is observed.
    CHECK(provider.config_run(open.state(), 1, 0x04, 4, &how) == 4);
    CHECK(how == MEDIANT_OBSERVED);
    CHECK(provider.config_run(open.state(), 1, 0x06, 2, &how) == 2);
    CHECK(how == 0);
    CHECK(provider.config_run(open.state(), 1, 0x10, 4, &how) == 4); // a BAR's, which is remembered
    CHECK(how == MEDIANT_OBSERVED);
    CHECK(provider.config_run(open.state(), 1, 0x18, 4, &how) == 4); // another BAR's
    CHECK(how == 0);
    CHECK(provider.config_run(open.state(), 1, 0x02, 2, &how) == 2);
    CHECK(how == MEDIANT_TAKEN);
    CHECK(mediant_providers[1]->config_run(open.state(), 1, 0x02, 2, &how) == 2); // without a config map
    CHECK(how == 0);

    unsigned char bytes[4]{0xaa, 0xbb, 0xcc, 0xdd};
    const unsigned accesses = device.accesses;
    CHECK(provider.write(open.state(), 7, 0x62, bytes, 2) == 2);
    CHECK(device.accesses == accesses);
    CHECK(open.read(7, 0x60, bytes, 4) == 4);
    CHECK(bytes[2] == 0xaa);
    CHECK(bytes[3] == 0x11);
    CHECK(open.read(7, 0x00, bytes, 4) == 4);
    CHECK(bytes[0] == 0x34);
    CHECK(bytes[2] == 0x55);
    provider.reset(open.state());
    CHECK(open.read(7, 0x60, bytes, 4) == 4);
    CHECK(bytes[2] == 0x22);
}

TEST_CASE("what was written of config space is told and remembered") {
    hardware device;
    opened open{*mediant_providers[2], device};
    const mediant_provider& provider = open.provider;
    REQUIRE(provider.open(open.state()) == 0);
    unsigned char bytes[4]{};

    CHECK(open.read(4, 0, bytes, 4) == -EIO); // memory is off
    const unsigned char on[4]{0x06, 0x01, 0, 0};
    CHECK(provider.config_written(open.state(), 0x04, on, 4) == 0);
    CHECK(device.log.back() == "COMMAND 262 65535");
    CHECK(open.read(4, 0, bytes, 4) == 4);
    CHECK(bytes[0] == 7);
    CHECK(provider.config_written(open.state(), 0x05, on, 1) == 0);
    CHECK(device.log.back() == "COMMAND 1536 65280");
    const unsigned char refused[2]{0xad, 0xde};
    CHECK(provider.config_written(open.state(), 0x04, refused, 2) == -EACCES);
    CHECK(mediant_providers[1]->config_written(open.state(), 0x04, refused, 2) == 0);

    const unsigned char ones[4]{0xff, 0xff, 0xff, 0xff};
    CHECK(provider.config_written(open.state(), 0x10, ones, 4) == 0);
    CHECK(open.read(7, 0x10, bytes, 4) == 4);
    CHECK(bytes[1] == 0xe0); // half of 16 KiB
}

TEST_CASE("what the user sees of regions follows from what open found") {
    hardware device;
    opened open{*mediant_providers[2], device};
    const mediant_provider& provider = open.provider;
    REQUIRE(provider.open(open.state()) == 0);
    unsigned long long size = 0, offset = 0;
    unsigned flags = 0, trapped = 0;

    CHECK(provider.region_info(open.state(), 0, &size, &flags) == 0);
    CHECK(size == 8192);
    CHECK(flags == 7);
    CHECK(provider.region_info(open.state(), 4, &size, &flags) == 0);
    CHECK(size == 16);
    CHECK(flags == 3);
    CHECK(provider.region_info(open.state(), 2, &size, &flags) == 0);
    CHECK(size == 4096);
    CHECK(flags == 3);
    CHECK(provider.region_info(open.state(), 8, &size, &flags) == -EINVAL);
    CHECK(provider.run(open.state(), 0, 4, 16384, &trapped) == 8188);
    CHECK(trapped == 0);
    CHECK(provider.run(open.state(), 0, 8192, 4, &trapped) == 4);
    CHECK(trapped == 1);
    provider.next_area(open.state(), 0, 8192, 4096, 0, &offset, &size);
    CHECK(offset == 4096);
    CHECK(size == 4096);
    unsigned char bytes[4]{};
    CHECK(open.read(0, 8190, bytes, 4) == 2);
    CHECK(open.read(0, 8192, bytes, 4) == -EINVAL);
}

TEST_CASE("requests reach the policy, and the device below") {
    hardware device;
    opened open{*mediant_providers[2], device};
    const mediant_provider& provider = open.provider;
    REQUIRE(provider.open(open.state()) == 0);
    unsigned regions = 0, irqs = 0, can_reset = 0, flags = 0, count = 9;

    CHECK(provider.device_info(open.state(), &regions, &irqs, &can_reset) == 0);
    CHECK(regions == 9);
    CHECK(irqs == 4);
    CHECK(can_reset == 1);
    CHECK(provider.irq_info(open.state(), 0, &flags, &count) == 0);
    CHECK(flags == 9);
    CHECK(count == 4);
    CHECK(provider.irq_info(open.state(), 1, &flags, &count) == 0); // of the capability that is hidden
    CHECK(flags == 0);
    CHECK(count == 0);
    CHECK(provider.irq_info(open.state(), 5, &flags, &count) == -EINVAL);
    CHECK(provider.reset_device(open.state()) == 0);
    CHECK(device.resets == 1);
    CHECK(provider.reset_device(open.state()) == -EBUSY);
    CHECK(device.resets == 1);
    device.fault = -EAGAIN;
    CHECK(provider.reset_device(open.state()) == -EAGAIN);
}

TEST_CASE("what does not fetch the device's state does not migrate") {
    for (unsigned i = 0; i < mediant_provider_count; ++i) {
        hardware device;
        opened open{*mediant_providers[i], device};
        CHECK(open.provider.migration_flags == 0);
        CHECK(open.provider.migration_state(open.state()) == 2);
        CHECK(open.provider.migrate(open.state(), 1) == -ENOTTY);
        unsigned char byte{};
        CHECK(open.provider.read_migration(open.state(), &byte, 1) == -ENOTTY);
        CHECK(open.provider.write_migration(open.state(), &byte, 1) == -ENOTTY);
    }
    // One that says its own state alone, of hardware that has more.
    struct halfway : nic {
        static constexpr auto migration() { return saved_state{1, saved{"reads", &halfway::reads}}; }
    };
    CHECK_FALSE(kernel::open_state<halfway>::migrates);
}

TEST_CASE("a policy's state migrates through its table") {
    constexpr const mediant_provider& provider = kernel::provider_table<moving::edu>;
    constexpr unsigned error_state = 0, stop = 1, running = 2, stop_copy = 3, resuming = 4, pre_copy = 6;
    hardware from;
    from.bar0.resize(from.sizes[0] = 1 << 20);
    opened source{provider, from};
    void* const state = source.state();
    REQUIRE(provider.open(state) == 0);
    CHECK(provider.migration_flags == 7);
    CHECK(provider.migration_size(state) > 8192);
    CHECK(provider.migration_ahead(state) == 0);

    REQUIRE(source.write(0x28, 0x1234) == 4);
    REQUIRE(provider.migrate(state, pre_copy) == 0);
    const unsigned long long ahead = provider.migration_ahead(state);
    std::vector<unsigned char> stream(1 << 16);
    CHECK(provider.read_migration(state, stream.data(), 5) == 5);
    CHECK(provider.migration_ahead(state) == ahead - 5);
    CHECK(provider.read_migration(state, stream.data() + 5, 1 << 15) == static_cast<long long>(ahead - 5));
    CHECK(provider.migration_ahead(state) == 0);
    CHECK(provider.read_migration(state, stream.data(), 1) == 0);
    REQUIRE(provider.migrate(state, stop_copy) == 0);
    const long long rest = provider.read_migration(state, stream.data() + ahead, 1 << 15);
    REQUIRE(rest > 8192);
    stream.resize(ahead + static_cast<unsigned long long>(rest));

    hardware to;
    to.bar0.resize(to.sizes[0] = 1 << 20);
    opened target{provider, to};
    REQUIRE(provider.open(target.state()) == 0);
    REQUIRE(provider.migrate(target.state(), resuming) == 0);
    REQUIRE(provider.write_migration(target.state(), stream.data(), static_cast<unsigned>(stream.size())) == 0);
    REQUIRE(provider.migrate(target.state(), running) == 0);
    CHECK(target.dword(0x28) == 0x1234);

    // What is refused leaves the policy as it was, and says why.
    REQUIRE(provider.migrate(target.state(), resuming) == 0);
    stream[ahead + 40] ^= 1;
    CHECK(provider.write_migration(target.state(), stream.data(), static_cast<unsigned>(stream.size())) == -EINVAL);
    mediant_stream_report report{};
    provider.migration_report(target.state(), &report);
    CHECK(report.wrong == 1);
    CHECK(std::string(report.what, report.what_size) == to_text(stream_fault::damaged));
    CHECK(report.offset == ahead);
    CHECK(provider.migrate(target.state(), stop) == -EINVAL);
    CHECK(provider.migration_state(target.state()) == error_state);
    CHECK(target.dword(0x28) == 0x1234);
    provider.reset(target.state());
    CHECK(provider.migration_state(target.state()) == running);
    CHECK(target.dword(0x28) == 0);

    // A reset in the middle of a stream: nothing of it stays.
    REQUIRE(provider.migrate(target.state(), resuming) == 0);
    CHECK(provider.write_migration(target.state(), stream.data(), static_cast<unsigned>(ahead)) == 0);
    provider.reset(target.state());
    CHECK(provider.migration_state(target.state()) == running);
    CHECK(provider.write_migration(target.state(), stream.data(), 1) == -EINVAL);
    CHECK(provider.migrate(target.state(), 8) == -EINVAL);
    CHECK(provider.migrate(target.state(), error_state) == -EINVAL);
}

TEST_CASE("a log of what the device writes is the policy's to tell, and the C half's to keep") {
    constexpr const mediant_provider& provider = kernel::provider_table<moving::edu>;
    CHECK((provider.mediates & MEDIANT_DMA_LOGGING) != 0);
    CHECK((mediant_providers[0]->mediates & MEDIANT_DMA_LOGGING) == 0);
    hardware device;
    device.bar0.resize(device.sizes[0] = 1 << 20);
    opened open{provider, device};
    REQUIRE(provider.open(open.state()) == 0);
    unsigned long long tracked = 0, bits[2]{};
    CHECK(provider.report_dma_logging(open.state(), 0, 8 * 8192, 8192, bits, 1, 1) == -EINVAL);
    std::vector<mediant_range> ranges{{0x1000, 0x2000}, {0x8000, 0x1000}};
    CHECK(provider.start_dma_logging(open.state(), 4096, ranges.data(), 2, &tracked) == 0);
    CHECK(tracked == 8192);
    using pairs = std::vector<std::pair<unsigned long long, unsigned long long>>;
    CHECK(device.ranges == pairs{{0x1000, 0x2000}, {0x8000, 0x1000}});
    open.write(0x40, 5);
    open.write(0x44, 0xffff'f000);
    CHECK(device.marks == pairs{{0x5000, 1}, {0xfff'ff00'0000, 3 * 4096}});
    CHECK(provider.report_dma_logging(open.state(), 0, 8 * 8192, 8192, bits, 1, 1) == 0);
    CHECK(bits[0] == (2u | std::uint64_t{1} << 32 | std::uint64_t{1} << 40));
    CHECK(provider.report_dma_logging(open.state(), 0, 8192, 8192, bits, 1, 0) == -ERANGE);
    CHECK(provider.report_dma_logging(open.state(), 0, 8192, 8192, bits, 33, 1) == -EINVAL);
    CHECK(provider.stop_dma_logging(open.state()) == 0);
    CHECK(device.ranges.empty());
}

TEST_CASE("interrupts are the C half's to raise, or to refuse") {
    constexpr const mediant_provider& provider = kernel::provider_table<interrupts_test::raising_edu>;
    hardware device;
    device.bar0.resize(device.sizes[0] = 1 << 20);
    opened open{provider, device};
    REQUIRE(provider.open(open.state()) == 0);
    CHECK(open.write(0x200, 2 << 16 | 5) == 4);
    CHECK(device.log == std::vector<std::string>{"trigger 1 0", "trigger 2 5"});
    CHECK(open.write(0x202, 2, 2) == -EINVAL); // a part of the register
    CHECK(device.log.size() == 2);
    device.refuses = -EOPNOTSUPP;
    CHECK(open.write(0x200, 0) == -EOPNOTSUPP);
    provider.release(open.state());
    opened refused{provider, device};
    CHECK(provider.open(refused.state()) == -EOPNOTSUPP);
}

TEST_CASE("in process a policy marks the log of what it stands on") {
    device::edu simulated;
    stack<device::edu, moving::edu> edu{simulated};
    REQUIRE(edu.open());
    const range all[]{{0, 64 * 4096}};
    REQUIRE(edu.ioctl(start_dma_logging{4096, all}));
    std::byte three[4]{std::byte{61}};
    REQUIRE(edu.write({bar{0}, 0x44, three}).count == 4);
    std::uint64_t bits[1]{};
    REQUIRE(edu.ioctl(report_dma_logging{0, 64 * 4096, 4096, bits}));
    CHECK(bits[0] == std::uint64_t{7} << 61);
    edu.release();
}

TEST_CASE("errors and errno numbers are each other's inverse") {
    for (const error known :
         {error::none, error::io, error::no_device, error::invalid, error::not_supported, error::fault})
        CHECK(kernel::from_errno(-to_errno(known)) == known);
    CHECK(kernel::from_errno(-71) == error::io);
}
