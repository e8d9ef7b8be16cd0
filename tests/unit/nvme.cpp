// SPDX-License-Identifier: BSD-3-Clause
#include "recorder.hpp"

#include "nvme/nvme.hpp"
#include "nvme/nvme_bounded.hpp"
#include "nvme/nvme_device.hpp"

#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <string>
#include <vector>

using namespace mediant;
using namespace mediant::test;

namespace {

/// BAR 0 as QEMU's controller has it, remembering what reaches it, and what is logged.
struct controller : recorder {
    std::vector<std::string> logged;

    explicit controller(std::uint64_t size = 16_KiB, unsigned max = 4) : recorder{size, max} {
        memory[bar{0}].assign(size, std::byte{0});
        put(0x00, acme::nvme_device::cap, 8);
        put(0x08, acme::nvme_device::version, 4);
    }
    void put(std::uint64_t offset, std::uint64_t value, unsigned width) {
        for (unsigned i = 0; i < width; ++i)
            memory[bar{0}][offset + i] = static_cast<std::byte>(value >> (8 * i) & 0xff);
    }
    template <std::same_as<std::uint64_t>... Numbers>
    void log(const char* text, Numbers...) {
        logged.emplace_back(text);
    }
};

template <class Provider>
struct nvme_bench : bench<stack<controller, Provider>, controller> {
    using base = bench<stack<controller, Provider>, controller>;
    explicit nvme_bench(unsigned max = 4) : base{16_KiB, max} {}

    std::uint32_t get(std::uint64_t offset) {
        const auto answered = this->read(offset, 4);
        REQUIRE(answered.done == answer{4});
        return static_cast<std::uint32_t>(answered.value());
    }
    void put(std::uint64_t offset, std::uint64_t value, unsigned size = 4) {
        REQUIRE(this->write(offset, value, size) == answer{size});
    }
    /// Admin queues of 32 entries, as Linux asks for.
    void name_queues(std::uint32_t aqa = 0x001f'001f) {
        put(0x24, aqa);
        put(0x28, 0x1'0010'0000, 8);
        put(0x30, 0x1'0011'0000, 8);
    }
    void enable() {
        name_queues();
        put(0x14, cc_good);
        this->device.happened();
        this->device.logged.clear();
    }

    static constexpr std::uint32_t cc_good = 0x0046'0001;
};
using plain = nvme_bench<acme::nvme>;
using bounded_bench = nvme_bench<acme::nvme_bounded>;

const events queues_and_enable{store(0x24, 4, 0x001f'001f), store(0x28, 4, 0x0010'0000), store(0x2c, 4, 1),
                               store(0x30, 4, 0x0011'0000), store(0x34, 4, 1), store(0x14, 4, 0x0046'0001)};

} // namespace

TEST_CASE("nvme: trapped doorbells may be rung without an access", "[nvme]") {
    bounded_bench at;
    std::vector<std::uint64_t> where;
    at.front.each_doorbell(bar{0}, [&](const doorbell_write& one) {
        where.push_back(one.where.offset);
        CHECK(one.where.size == 4);
        CHECK(one.how == doorbell::valued);
    });
    std::sort(where.begin(), where.end());
    REQUIRE(where.size() == 2 * 65);
    for (std::size_t i = 0; i < where.size(); ++i) CHECK(where[i] == 0x1000 + 4 * i);
}

TEST_CASE("nvme: CAP has fewer entries and no feature that leads around the provider", "[nvme]") {
    plain b;
    CHECK(b.read(0x00, 8).value() == 0x0040'1820'0f01'00ff);
    CHECK(b.get(0x00) == 0x0f01'00ff);
    CHECK(b.get(0x04) == 0x0040'1820);
    CHECK(b.get(0x08) == 0x0001'0400);
    b.put(0x00, ~0ull, 8);
    CHECK(b.read(0x00, 8).value() == 0x0040'1820'0f01'00ff);
}

TEST_CASE("nvme: a controller with shallower queues keeps them, and NSSRS, BPS, PMRS and CMBS are off", "[nvme]") {
    controller device;
    device.put(0x00, 0x0300'3010'0f01'003f, 8);
    stack<controller, acme::nvme> front{device};
    REQUIRE(front.open());
    bytes got(8);
    REQUIRE(front.read({bar{0}, 0x00, got}) == answer{8});
    CHECK(value_of(got) == 0x0000'1000'0f01'003f);
}

TEST_CASE("nvme: of the controller's page, writes reach INTMS, INTMC and CC alone", "[nvme]") {
    plain b;
    for (std::uint64_t offset = 0; offset < 0x1000; offset += 4)
        if (offset != 0x14) b.put(offset, 0x4e56'4d65);
    CHECK(b.device.happened() == events{store(0x0c, 4, 0x4e56'4d65), store(0x10, 4, 0x4e56'4d65)});
    b.put(0x14, 0xffff'fffe);
    CHECK(b.device.happened() == events{store(0x14, 4, 0x00ff'fff0)});
    for (std::uint64_t offset = 0x38; offset < 0x1000; offset += 4) CHECK(b.get(offset) == 0);
    for (const std::uint64_t offset : {0x18u, 0x20u}) CHECK(b.get(offset) == 0);
    CHECK(b.device.happened().empty());
}

TEST_CASE("nvme: registers are accessed whole, or by halves where they have 64 bits", "[nvme]") {
    plain b;
    b.put(0x28, 0x1234'5000, 4);
    b.put(0x2c, 0x0000'0007, 4);
    CHECK(b.read(0x28, 8).value() == 0x7'1234'5000);
    CHECK(b.read(0x28, 2).value() == 0xffff);
    CHECK(b.read(0x14, 1).value() == 0xff);
    b.put(0x14, 0x01, 1);
    b.put(0x2a, 0xffff, 2);
    CHECK(b.read(0x28, 8).value() == 0x7'1234'5000);
    CHECK(b.device.happened().empty());
    b.put(0x0c, 0x0000'0002'0000'0001, 8); // two registers at once
    CHECK(b.device.happened() == events{store(0x0c, 4, 1), store(0x10, 4, 2)});
}

TEST_CASE("nvme: the admin queues reach the device when it is enabled, before that", "[nvme]") {
    plain b;
    b.name_queues();
    CHECK(b.get(0x24) == 0x001f'001f);
    CHECK(b.read(0x28, 8).value() == 0x1'0010'0000);
    CHECK(b.device.happened().empty());
    b.put(0x14, plain::cc_good);
    CHECK(b.device.happened() == queues_and_enable);
    CHECK(b.get(0x14) == plain::cc_good);
    CHECK(b.device.logged == std::vector<std::string>{"nvme: enabled with CC, AQA"});

    nvme_bench<acme::nvme> wide{8};
    wide.name_queues();
    wide.put(0x14, plain::cc_good);
    CHECK(wide.device.happened() == events{store(0x24, 4, 0x001f'001f), store(0x28, 8, 0x1'0010'0000),
                                           store(0x30, 8, 0x1'0011'0000), store(0x14, 4, 0x0046'0001)});
}

TEST_CASE("nvme: while it is enabled, what was checked stays", "[nvme]") {
    plain b;
    b.enable();
    b.put(0x24, 0x0fff'0fff);
    b.put(0x28, 0xdead'0000, 8);
    CHECK(b.device.happened().empty());
    b.put(0x14, 0x00ff'3ff1 | 0x4000); // everything, and a normal shutdown
    CHECK(b.get(0x14) == (plain::cc_good | 0x4000));
    CHECK(b.device.happened() == events{store(0x14, 4, plain::cc_good | 0x4000)});
    CHECK(b.device.logged.empty());
    b.put(0x14, 0x0046'0000);
    CHECK(b.device.happened() == events{store(0x14, 4, 0x0046'0000)});
    CHECK(b.device.logged == std::vector<std::string>{"nvme: disabled with CC, AQA"});
    CHECK(b.get(0x24) == 0x0fff'0fff);
}

TEST_CASE("nvme: what is refused does not reach the device, and shows as CSTS.CFS until EN is cleared", "[nvme]") {
    struct refusal {
        std::uint32_t cc;
        std::uint32_t aqa;
        std::uint64_t asq;
        std::uint64_t acq;
        const char* why;
    };
    const std::uint32_t good = plain::cc_good, aqa = 0x001f'001f;
    const refusal all[] = {
        {good | 5u << 7, aqa, 0, 0, "nvme: refused CC.MPS"},
        {good | 1u << 4, aqa, 0, 0, "nvme: refused CC.CSS"},
        {good | 1u << 11, aqa, 0, 0, "nvme: refused CC.AMS"},
        {good | 7u << 11, aqa, 0, 0, "nvme: refused CC.AMS"},
        {0x0045'0001, aqa, 0, 0, "nvme: refused CC.IOSQES or CC.IOCQES"},
        {0x0056'0001, aqa, 0, 0, "nvme: refused CC.IOSQES or CC.IOCQES"},
        {good, 0x001f'0000, 0, 0, "nvme: refused AQA"},
        {good, 0x0000'001f, 0, 0, "nvme: refused AQA"},
        {good, 0x001f'0100, 0, 0, "nvme: refused AQA"},
        {good, 0x0100'001f, 0, 0, "nvme: refused AQA"},
        {good | 1u << 7, aqa, 0x1000, 0, "nvme: refused ASQ or ACQ"},
        {good | 1u << 7, aqa, 0, 0x1000, "nvme: refused ASQ or ACQ"},
    };
    for (const refusal& r : all) {
        plain b;
        b.put(0x24, r.aqa);
        b.put(0x28, r.asq, 8);
        b.put(0x30, r.acq, 8);
        b.put(0x14, r.cc);
        INFO(r.why);
        CHECK(b.device.logged == std::vector<std::string>{r.why});
        CHECK(b.device.happened() == events{store(0x14, 4, r.cc & ~1u)});
        CHECK(b.get(0x14) == r.cc);
        CHECK(b.get(0x1c) == 0x2);
        b.put(0x14, r.cc | 0x4000); // a shutdown still reaches it, without EN
        CHECK(b.device.happened().back() == store(0x14, 4, (r.cc & ~1u) | 0x4000));
        CHECK(b.get(0x1c) == 0x2);
        b.put(0x14, 0);
        CHECK(b.get(0x1c) == 0);
        b.device.happened();
        b.name_queues();
        b.put(0x14, good);
        CHECK(b.device.happened() == queues_and_enable);
        CHECK(b.get(0x1c) == 0);
    }
}

TEST_CASE("nvme: what the limits allow is not refused", "[nvme]") {
    struct use {
        std::uint32_t cc;
        std::uint32_t aqa;
    };
    for (const use& u : {use{0x0046'0001, 0x00ff'00ff}, use{0x0046'0001, 0x0001'0001}, use{0x0046'0201, 0x001f'001f},
                         use{0x0046'0061, 0x001f'001f}, use{0x0000'0071, 0x001f'001f}}) { // the last: no I/O queues
        plain b;
        b.name_queues(u.aqa);
        b.put(0x14, u.cc);
        CHECK(b.device.happened().back() == store(0x14, 4, u.cc));
        CHECK(b.get(0x1c) == 0);
    }
}

TEST_CASE("nvme: pages are as large as the controller takes them, and no smaller", "[nvme]") {
    controller device;
    device.put(0x00, 0x0021'0020'0f01'07ff, 8); // 8 or 16 KiB
    stack<controller, acme::nvme> front{device};
    REQUIRE(front.open());
    REQUIRE(front.write({bar{0}, 0x24, little(0x001f'001f, 4)}) == answer{4});
    for (const unsigned pages : {0u, 1u, 2u, 3u}) {
        const bool taken = pages == 1 || pages == 2;
        REQUIRE(front.write({bar{0}, 0x14, little(0x0046'0001 | pages << 7, 4)}) == answer{4});
        CHECK(device.happened().back() == store(0x14, 4, 0x0046'0000 | pages << 7 | (taken ? 1u : 0u)));
        REQUIRE(front.write({bar{0}, 0x14, little(0, 4)}) == answer{4});
    }
}

TEST_CASE("nvme: CSTS is the device's, without NSSRO", "[nvme]") {
    plain b;
    b.device.put(0x1c, 0xffff'ffff, 4);
    CHECK(b.get(0x1c) == 0x2f);
    b.put(0x1c, 0x10);
    CHECK(b.device.happened() == events{load(0x1c, 4)});
}

TEST_CASE("nvme: a fault on the way leaves it disabled", "[nvme]") {
    for (int after = 0; after < 6; ++after) {
        plain b;
        b.name_queues();
        b.device.faults_after = after;
        CHECK(b.write(0x14, plain::cc_good, 4) == answer{0, error::io});
        b.device.faults_after = -1;
        CHECK(b.get(0x14) == 0);
        CHECK(b.device.logged.empty());
        b.device.happened();
        b.put(0x14, plain::cc_good);
        CHECK(b.device.happened() == queues_and_enable);
    }
}

TEST_CASE("nvme: a reset forgets queues and refusal, and CAP stays", "[nvme]") {
    plain b;
    b.name_queues(0x0fff'0fff);
    b.put(0x14, plain::cc_good);
    CHECK(b.get(0x1c) == 0x2);
    b.front.reset();
    CHECK(b.get(0x14) == 0);
    CHECK(b.get(0x1c) == 0);
    CHECK(b.get(0x24) == 0);
    CHECK(b.read(0x28, 8).value() == 0);
    CHECK(b.get(0x00) == 0x0f01'00ff);
}

TEST_CASE("nvme: newer controllers, and those that do not answer, are declined", "[nvme]") {
    for (const std::uint32_t version : {0x0002'0000u, 0xffff'ffffu}) {
        controller device;
        device.put(0x08, version, 4);
        stack<controller, acme::nvme> front{device};
        CHECK(front.open().error() == error::no_device);
    }
    controller silent;
    silent.faults_after = 0;
    stack<controller, acme::nvme> front{silent};
    CHECK(front.open().error() == error::io);
}

TEST_CASE("nvme: doorbells pass, and their page can be mapped", "[nvme]") {
    plain b;
    b.put(0x1000, 77);
    b.put(0x1208, 78); // behind the last
    CHECK(b.device.happened() == events{store(0x1000, 4, 77), store(0x1208, 4, 78)});
    CHECK(b.front.next_area(bar{0}, 4_KiB, 0) == range{0x1000, 0x3000}); // as in a kernel

    acme::nvme_device model;
    stack<acme::nvme_device, acme::nvme> front{model};
    REQUIRE(front.open());
    CHECK(front.next_area(bar{0}, 4_KiB, 0) == range{0x1000, 0x1000}); // without MSI-X
    CHECK(front.next_area(bar{0}, 16_KiB, 0).empty());
}

TEST_CASE("nvme_bounded: doorbells reach an enabled controller within their queue's entries", "[nvme]") {
    bounded_bench b;
    b.put(0x1000, 1);
    CHECK(b.get(0x1f00) == 1);
    CHECK(b.get(0x1f04) == 1);
    b.enable();

    b.put(0x1000, 31); // admin queues of 32 entries
    b.put(0x1004, 31);
    b.put(0x1008, 255); // others, of as many as CAP.MQES says
    b.put(0x1204, 0);   // the last
    CHECK(b.device.happened() ==
          events{store(0x1000, 4, 31), store(0x1004, 4, 31), store(0x1008, 4, 255), store(0x1204, 4, 0)});
    CHECK(b.get(0x1f04) == 1);
    b.put(0x1000, 32);
    b.put(0x1004, 32);
    b.put(0x1008, 256);
    b.put(0x100c, 0x0001'0000); // reserved bits count
    CHECK(b.device.happened().empty());
    CHECK(b.get(0x1f00) == 9);
    CHECK(b.get(0x1f04) == 5);

    b.put(0x1000, 0x0000'0002'0000'0001, 8);
    CHECK(b.device.happened() == events{store(0x1000, 4, 1), store(0x1004, 4, 2)});
    CHECK(b.read(0x1000, 8).value() == 0);
    b.put(0x1000, 1, 2); // a width that a doorbell does not have
    b.put(0x1208, 1);
    CHECK(b.device.happened().empty());
    CHECK(b.get(0x1f00) == 11);

    b.put(0x14, 0x0046'0000);
    b.device.happened();
    b.put(0x1000, 3);
    CHECK(b.device.happened().empty());
    CHECK(b.get(0x1f04) == 6);
    b.front.reset();
    CHECK(b.get(0x1f00) == 0);
    CHECK(b.get(0x1f04) == 0);
}

TEST_CASE("nvme_bounded: admin queues have the entries of when they were enabled, each its own", "[nvme]") {
    bounded_bench b;
    b.name_queues(0x0007'000f);
    b.put(0x14, bounded_bench::cc_good);
    b.put(0x24, 0x00ff'00ff);
    b.device.happened();
    b.put(0x1000, 15);
    b.put(0x1004, 7);
    b.put(0x1000, 16);
    b.put(0x1004, 8);
    CHECK(b.device.happened() == events{store(0x1000, 4, 15), store(0x1004, 4, 7)});
}

TEST_CASE("nvme_bounded: a refused controller has no doorbells either", "[nvme]") {
    bounded_bench b;
    b.name_queues(0x0fff'0fff);
    b.put(0x14, bounded_bench::cc_good);
    b.device.happened();
    b.put(0x1000, 1);
    b.put(0x1008, 1);
    CHECK(b.device.happened().empty());
    CHECK(b.get(0x1f04) == 2);
}

TEST_CASE("nvme_bounded: nothing of the doorbells can be mapped, and doorbells that lie apart are declined", "[nvme]") {
    acme::nvme_device model;
    stack<acme::nvme_device, acme::nvme_bounded> front{model};
    REQUIRE(front.open());
    CHECK_FALSE(front.mappable(bar{0}, {0x1000, 0x1000}));

    controller apart;
    apart.put(0x00, acme::nvme_device::cap | 1ull << 32, 8);
    stack<controller, acme::nvme_bounded> declines{apart};
    CHECK(declines.open().error() == error::no_device);
    stack<controller, acme::nvme> takes{apart};
    CHECK(takes.open());
}
