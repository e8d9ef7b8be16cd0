// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Interrupts that a policy raises, alike in process, over vfio-user and through the table by which a kernel module and
/// a plug-in have their policies: the policy of the guest's test of the kernel (tests/guest/interrupts.cpp).

#include <conformance/over_vfio_user.hpp>
#include <guest/interrupts/providers.hpp>

#include <mediant/device/edu.hpp>
#include <mediant/device/eventfd.hpp>
#include <mediant/kernel/policy_object.hpp>
#include <mediant/plugin/below_functions.hpp>
#include <mediant/provider/stack.hpp>

#include <catch2/catch.hpp>

#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

using namespace mediant;
using policy = interrupts_test::raising_edu;

namespace {

/// An eventfd, and what has come since it was last asked.
class bell {
public:
    bell() : fd_{::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)} { REQUIRE(fd_ >= 0); }
    bell(const bell&) = delete;
    bell& operator=(const bell&) = delete;
    ~bell() { ::close(fd_); }
    [[nodiscard]] int get() const { return fd_; }
    [[nodiscard]] std::uint64_t came() const {
        std::uint64_t count = 0;
        return ::read(fd_, &count, sizeof count) == sizeof count ? count : 0;
    }

private:
    int fd_;
};

/// How a test reaches a device: a write of RAISE, and what sets eventfds.
struct user {
    std::function<error(std::uint32_t)> raise;
    std::function<result<void>(const set_irqs&)> set;
};

[[nodiscard]] set_irqs eventfds(const int& fd) {
    return {irq_index::msi, set_irqs::action::trigger, set_irqs::data::eventfds, 0, 1, {}, {&fd, 1}};
}

constexpr std::uint32_t number_of(irq_index index, std::uint32_t vector) {
    return static_cast<std::uint32_t>(index) << 16 | vector;
}

void behaves(const user& by) {
    constexpr std::uint32_t first = number_of(irq_index::msi, 0);
    const bell one, other;
    const int to_one = one.get(), to_other = other.get(), to_none = -1;
    CHECK(by.raise(first) == error::none); // nobody has set it up
    REQUIRE(by.set(eventfds(to_one)));
    CHECK(one.came() == 0);
    for (int i = 0; i < 3; ++i) {
        CHECK(by.raise(first) == error::none);
        CHECK(one.came() == 1);
    }
    CHECK(by.raise(number_of(irq_index::msi, 1)) == error::invalid);
    CHECK(by.raise(number_of(irq_index::msix, 0)) == error::invalid);
    CHECK(by.raise(number_of(irq_index{9}, 0)) == error::invalid);
    REQUIRE(by.set(eventfds(to_other)));
    CHECK(by.raise(first) == error::none);
    CHECK(one.came() == 0);
    CHECK(other.came() == 1);
    REQUIRE(by.set(eventfds(to_none)));
    CHECK(by.raise(first) == error::none);
    REQUIRE(by.set(eventfds(to_one)));
    CHECK(by.raise(first) == error::none);
    CHECK(one.came() == 1);
    REQUIRE(by.set({irq_index::msi, set_irqs::action::trigger, set_irqs::data::none, 0, 0, {}, {}}));
    CHECK(by.raise(first) == error::none);
    CHECK(one.came() == 0);
    CHECK(other.came() == 0);
}

/// The bytes of an access that writes RAISE.
struct raise_bytes {
    explicit raise_bytes(std::uint32_t what) { store_little(bytes, what); }
    [[nodiscard]] write_access access() const { return {bar{0}, 0x200, bytes}; }
    std::array<std::byte, 4> bytes{};
};

} // namespace

TEST_CASE("raised interrupts: in process") {
    device::edu model;
    stack<device::edu, policy> front{model};
    REQUIRE(front.open());
    behaves({[&](std::uint32_t what) { return front.write(raise_bytes{what}.access()).error; },
             [&](const set_irqs& what) { return front.ioctl(what); }});
}

TEST_CASE("raised interrupts: over vfio-user") {
    device::edu model;
    stack<device::edu, policy> front{model};
    conformance::over_vfio_user world{front};
    behaves({[&](std::uint32_t what) { return world.client().write(raise_bytes{what}.access()).error; },
             [&](const set_irqs& what) { return world.client().set_irqs(what); }});
}

TEST_CASE("raised interrupts: through a table") {
    device::edu model;
    stack<device::edu> below{model};
    REQUIRE(below.open());
    const mediant_provider& table = kernel::provider_table<policy>;
    std::vector<std::uint64_t> state(table.state_size / 8 + 1);
    const mediant_below functions = plugin::detail::below_functions<device::edu>::table_of(model);
    table.construct(state.data(), &functions);
    REQUIRE(table.open(state.data()) == 0);
    behaves({[&](std::uint32_t what) {
                 const raise_bytes raise{what};
                 const auto* const bytes = reinterpret_cast<const unsigned char*>(raise.bytes.data());
                 const long long done = table.write(state.data(), 0, 0x200, bytes, 4);
                 return done == 4 ? error::none : kernel::from_errno(static_cast<int>(done));
             },
             [&](const set_irqs& what) { return below.ioctl(what); }});
    table.release(state.data());
}

TEST_CASE("raised interrupts: below a plug-in that has none") {
    struct bare {
        [[nodiscard]] static unsigned max_access() { return 4; }
        [[nodiscard]] static result<std::uint64_t> load(region_index, std::uint64_t, unsigned) { return error::io; }
        static result<void> store(region_index, std::uint64_t, unsigned, std::uint64_t) { return error::io; }
    } device;
    const mediant_below functions = plugin::detail::below_functions<bare>::table_of(device);
    CHECK(functions.trigger(functions.device, 1, 0) == -EOPNOTSUPP);
}
