// SPDX-License-Identifier: BSD-3-Clause

#include "providers.hpp"

#include <conformance/compare.hpp>
#include <edu/edu.hpp>

#include <mediant/device/edu.hpp>
#include <mediant/device/memory_device.hpp>
#include <mediant/plugin/loaded.hpp>
#include <mediant/provider/stack.hpp>
#include <mediant/vfio_user/servable.hpp>

#include <catch2/catch.hpp>

#include <dlfcn.h>

#include <cstdint>
#include <random>
#include <string>
#include <vector>

using namespace mediant;
using plugin::loaded;
using plugin::search_path;

namespace {

const std::string all = MEDIANT_PLUGINS;

/// Where to look, and what was told.
struct finder {
    explicit finder(std::string folders, bool required = true)
        : options{search_path::parse(folders), required, [this](const std::string& line) { told.push_back(line); }} {}
    finder(const finder&) = delete;
    finder& operator=(const finder&) = delete;
    std::vector<std::string> told;
    plugin::loaded_options options;
};

[[nodiscard]] bool in_memory(const std::string& name) {
    void* const there = ::dlopen((all + "/providers/" + name).c_str(), RTLD_NOW | RTLD_NOLOAD);
    if (there != nullptr) ::dlclose(there);
    return there != nullptr;
}

[[nodiscard]] device::pci_function function(std::uint32_t number, std::uint32_t subvendor = 0,
                                            std::uint32_t subdevice = 0) {
    return {.id = {0x1234, number, subvendor, subdevice, 0x020000},
            .bar_sizes = {16384},
            .msi_vectors = 4};
}

template <class Device>
[[nodiscard]] std::uint32_t get(Device& from, std::uint64_t offset, region_index region = bar{0}) {
    std::byte bytes[4]{};
    REQUIRE(from.read({region, offset, bytes}) == answer{4});
    return static_cast<std::uint32_t>(load_little(std::span<const std::byte>{bytes}));
}

} // namespace

TEST_CASE("a provider that is loaded answers as one that is linked") {
    using namespace conformance;
    for (const rules& front : {kernel_6_1, kernel_wide}) {
        device::edu linked_edu{front.max_access};
        device::edu loaded_edu{front.max_access};
        stack<device::edu, acme::edu> linked{linked_edu};
        const finder where{all + "/providers"};
        loaded<device::edu> from_file{loaded_edu, where.options};
        REQUIRE(linked.open());
        REQUIRE(from_file.open());
        CHECK(where.told == std::vector<std::string>{"provider edu serves the device"});

        territory mediated = edu_territory();
        mediated.around<acme::edu::bar0>();
        mediated.untouched = {{device::edu::factorial, 4}};
        in_process<stack<device::edu, acme::edu>> expected{linked, front};
        in_process<loaded<device::edu>> got{from_file, front};
        settle_edu(expected);
        settle_edu(got);
        const auto operations = generator{mediated, 7}.make(10'000);
        CHECK(equal("loaded", 7, operations, perform(expected, operations), perform(got, operations)));

        for (std::uint64_t at = 0; at < device::edu::bar_size; at += 4096)
            REQUIRE(from_file.next_area(bar{0}, 4096, at) == linked.next_area(bar{0}, 4096, at));
        linked.release();
        from_file.release();
    }
}

TEST_CASE("so does one with a config map and requests") {
    device::pci_function what = function(1);
    what.msix = {.vectors = 8, .table_bar = 0, .table_offset = 0x3000, .pending_bar = 0, .pending_offset = 0x3800};
    device::memory_device linked_device{what};
    device::memory_device loaded_device{what};
    stack<device::memory_device, plugged::shaped> linked{linked_device};
    const finder where{all + "/providers"};
    loaded<device::memory_device> from_file{loaded_device, where.options};
    REQUIRE(linked.open());
    REQUIRE(from_file.open());

    std::mt19937 random{11};
    const auto below = [&](std::uint32_t limit) { return random() % limit; };
    for (int i = 0; i < 20'000; ++i) {
        const region_index region = below(3) == 0 ? region_index{bar{0}} : region_index::config;
        const std::uint64_t offset = region == region_index::config ? below(0x104) : below(0x2020);
        const std::size_t size = 1 + below(12);
        std::byte here[12]{}, there[12]{};
        for (std::size_t n = 0; n < size; ++n) here[n] = there[n] = static_cast<std::byte>(random());
        if (below(2) == 0) {
            // Memory stays on, mostly: what is off answers errors, which are all alike.
            if (region == region_index::config && offset <= 4 && offset + size > 4 && below(8) != 0)
                here[4 - offset] = there[4 - offset] = std::byte{2};
            REQUIRE(linked.write({region, offset, std::span{here}.first(size)}) ==
                    from_file.write({region, offset, std::span{there}.first(size)}));
        } else {
            REQUIRE(linked.read({region, offset, std::span{here}.first(size)}) ==
                    from_file.read({region, offset, std::span{there}.first(size)}));
            REQUIRE(std::equal(std::begin(here), std::end(here), std::begin(there)));
        }
    }
    for (std::uint32_t i = 0; i < fixed_regions; ++i) {
        const auto mine = linked.ioctl(get_region_info{region_index{i}});
        const auto theirs = from_file.ioctl(get_region_info{region_index{i}});
        REQUIRE(mine.error() == theirs.error());
        CHECK(mine->size == theirs->size);
        CHECK(mine->flags == theirs->flags);
    }
    for (std::uint32_t i = 0; i < fixed_irqs; ++i) {
        const auto mine = linked.ioctl(get_irq_info{irq_index{i}});
        const auto theirs = from_file.ioctl(get_irq_info{irq_index{i}});
        REQUIRE(mine.error() == theirs.error());
        CHECK(mine->count == theirs->count);
    }
    CHECK(from_file.ioctl(get_irq_info{irq_index::msix})->count == 4);
    CHECK(from_file.ioctl(get_irq_info{irq_index::msi})->count == 0);
    CHECK(from_file.ioctl(get_device_info{})->irqs == fixed_irqs - 1);
    const set_irqs on_msi{irq_index::msi, set_irqs::action::trigger, set_irqs::data::none, 0, 1, {}, {}};
    CHECK(from_file.ioctl(on_msi).error() == error::invalid);
    CHECK(from_file.ioctl(reset_device{}));
    CHECK(from_file.ioctl(reset_device{}).error() == error::busy);
    linked.release();
    from_file.release();
}

TEST_CASE("a provider that is loaded tells a log of what its device has written") {
    device::memory_device hardware{function(1)};
    finder where{all + "/providers"};
    loaded<device::memory_device> stack{hardware, where.options};
    REQUIRE(stack.open());
    std::vector<std::uint64_t> bits(160);
    const report_dma_logging all_of_it{0, bits.size() * 64 * 4096, 4096, bits};
    CHECK(stack.ioctl(all_of_it).error() == error::invalid);
    const range ranges[]{{0, 0x10000}, {5000 << 12, 0x2000}};
    CHECK(*stack.ioctl(start_dma_logging{4096, ranges}) == 4096);
    REQUIRE(stack.ioctl(all_of_it)); // in more than one piece
    for (std::size_t i = 0; i < bits.size() * 64; ++i)
        CHECK((bits[i / 64] >> i % 64 & 1) == (i == 7 || i == 5000 || i == 5001 ? 1u : 0u));
    CHECK(stack.ioctl(report_dma_logging{0, 4096, 2048, bits}).error() == error::invalid);
    CHECK(stack.ioctl(stop_dma_logging{}));
    CHECK(stack.ioctl(all_of_it).error() == error::invalid);
    stack.release();
}

TEST_CASE("a provider is there while a device of its is open") {
    const std::string name = search_path::file_name({0x1234, 0x11e8});
    CHECK(name == "vfio-pci-mediate-1234-11e8.so");
    CHECK_FALSE(in_memory(name));
    device::edu one, two;
    const finder where{all + "/providers"};
    loaded<device::edu> first{one, where.options};
    loaded<device::edu> second{two, where.options};
    for (int round = 0; round < 3; ++round) {
        REQUIRE(first.open());
        REQUIRE(second.open());
        CHECK(get(first, 0) == 0x01ac'00ed);
        first.release();
        CHECK(in_memory(name));
        CHECK(get(second, 0) == 0x01ac'00ed);
        CHECK(get(second, 0x2c) == 1); // a state of its own: read once
        second.release();
        CHECK_FALSE(in_memory(name));
    }
}

TEST_CASE("a reset of the device resets what is loaded") {
    device::edu edu;
    const finder where{all + "/providers"};
    loaded<device::edu> front{edu, where.options};
    REQUIRE(front.open());
    CHECK(get(front, 0) == 0x01ac'00ed);
    CHECK(get(front, 0x2c) == 1);
    REQUIRE(front.ioctl(reset_device{}));
    CHECK(get(front, 0x2c) == 0);
    front.release();
}

TEST_CASE("a provider that is loaded migrates, to one that is linked and back") {
    using lower = device::memory_device;
    using linked = stack<lower, plugged::fetched>;
    static_assert(vfio_user::migratable<loaded<lower>> && linked::migrates);
    const finder where{all + "/providers"};
    const auto put = [](auto& to, std::uint64_t offset, std::uint32_t value) {
        REQUIRE(to.write({bar{0}, offset, std::as_bytes(std::span{&value, 1})}) == answer{4});
    };
    const auto stream_of = [](auto& source) {
        REQUIRE(source.migrate(migration_state::stop_copy));
        std::vector<std::byte> stream(*source.migration_size() + 100);
        const auto size = source.read_migration(stream);
        REQUIRE(size);
        stream.resize(*size);
        return stream;
    };
    const auto take = [](auto& target, const std::vector<std::byte>& stream) {
        REQUIRE(target.migrate(migration_state::resuming));
        const auto taken = target.write_migration(stream);
        return taken ? target.migrate(migration_state::running) : taken;
    };
    const device_id id{0x1234, 4, 0, 0, 0xff0000};
    lower first_memory{id, {4096}}, second_memory{id, {4096}}, third_memory{id, {4096}};
    loaded<lower> first{first_memory, where.options};
    linked second{second_memory};
    loaded<lower> third{third_memory, where.options};
    CHECK(first.migration_flags() == 0); // nobody serves it yet
    REQUIRE(first.open());
    REQUIRE(second.open());
    REQUIRE(third.open());
    CHECK(first.migration_flags() == linked::migration_flags());
    put(first, 0x00, 0x1234);
    put(first, 0x10, 0xabcd'ef01);
    const auto stream = stream_of(first);
    CHECK(first.migration() == migration_state::stop_copy);
    REQUIRE(take(second, stream));
    CHECK(get(second, 0x00) == 0x1234);
    CHECK(get(second, 0x10) == 0xabcd'ef01);
    const auto again = stream_of(second);
    CHECK(again == stream);
    auto damaged = again;
    damaged[damaged.size() / 2] ^= std::byte{1};
    CHECK_FALSE(take(third, damaged));
    CHECK(third.migration() != migration_state::running);
    REQUIRE(third.ioctl(reset_device{}));
    CHECK(third.migration() == migration_state::running);
    REQUIRE(take(third, again));
    CHECK(get(third, 0x00) == 0x1234);
    CHECK(get(third, 0x10) == 0xabcd'ef01);
    // A device that tells of its own state does so to none that is loaded.
    device::edu edu;
    loaded<device::edu> model{edu, where.options};
    REQUIRE(model.open());
    CHECK(model.migration_flags() == 0);
    CHECK(model.migrate(migration_state::stop).error() == error::not_a_request);
}

TEST_CASE("the rule that says most goes first, and who declines is passed over") {
    for (const auto& [subsystem, mark, who] : {std::tuple{0x1af4u, 0u, 2u}, {0x1af4u, 1u, 1u}, {0x8086u, 0u, 1u}}) {
        device::memory_device device{function(2, subsystem, 0x1100)};
        REQUIRE(device.store(bar{0}, 0x800, 4, mark));
        const finder where{all + "/providers"};
        loaded<device::memory_device> front{device, where.options};
        REQUIRE(front.open());
        CHECK(get(front, 0) == who);
        front.release();
    }
}

TEST_CASE("a device without a provider does not open, unless that is allowed") {
    device::memory_device unknown{function(0x99)};
    const finder strict{all + "/providers:" + all};
    CHECK(loaded<device::memory_device>{unknown, strict.options}.open().error() == error::no_device);
    REQUIRE(strict.told.size() == 1);
    CHECK(strict.told[0] == "no vfio-pci-mediate-1234-0099.so in " + all + "/providers:" + all +
                                ", or no provider in it for this device");

    // The file is there, by a link, and serves other devices.
    device::memory_device linked{function(3)};
    CHECK(loaded<device::memory_device>{linked, strict.options}.open().error() == error::no_device);

    const finder lenient{all + "/providers", false};
    loaded<device::memory_device> front{unknown, lenient.options};
    REQUIRE(front.open());
    CHECK(get(front, 0x10) == 0);
    CHECK(front.ioctl(get_irq_info{irq_index::msi})->count == 4);
    front.release();
}

TEST_CASE("a provider that fails to open fails the open") {
    device::memory_device device{function(2, 0x1af4, 0x1100)};
    REQUIRE(device.store(bar{0}, 0x800, 4, 2));
    const finder where{all + "/providers", false};
    CHECK(loaded<device::memory_device>{device, where.options}.open().error() == error::io);
    REQUIRE(where.told.size() == 1);
    CHECK(where.told[0] == "provider branded failed to open: Input/output error");
    CHECK_FALSE(in_memory(search_path::file_name({0x1234, 0x0002})));
}

TEST_CASE("what is no provider of this ABI is refused, with the reason") {
    device::memory_device device{function(1)};
    const auto told_of = [&](const std::string& folder) {
        const finder where{all + "/" + folder, false};
        CHECK(loaded<device::memory_device>{device, where.options}.open().error() == error::invalid);
        REQUIRE(where.told.size() == 1);
        return where.told[0];
    };
    const std::string file = "/vfio-pci-mediate-1234-0001.so";
    const std::string version = std::to_string(MEDIANT_ABI_VERSION);
    const std::string later = std::to_string(MEDIANT_ABI_VERSION + 1);
    const std::string size = std::to_string(sizeof(mediant_provider));
    const std::string larger = std::to_string(sizeof(mediant_provider) + 8);
    CHECK(told_of("other_version") == all + "/other_version" + file + ": made for version " + later +
                                          " of mediant's ABI, " + larger + " bytes; this program has version " +
                                          version + ", " + size + " bytes");
    CHECK(told_of("no_providers") == all + "/no_providers" + file + ": defines no mediant_providers");
    CHECK(told_of("no_object").find("no_object" + file) != std::string::npos);
}

TEST_CASE("folders between colons") {
    CHECK(search_path::parse("").text().empty());
    CHECK(search_path::parse("a").text() == "a");
    CHECK(search_path::parse(":a::b/c:").text() == "a:b/c");
    // The first folder that has one goes first: the refusal is its.
    device::memory_device device{function(1)};
    const finder where{all + "/nowhere:" + all + "/no_providers:" + all + "/providers"};
    CHECK(loaded<device::memory_device>{device, where.options}.open().error() == error::invalid);
}
