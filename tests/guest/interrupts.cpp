// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Runs in a guest: interrupts that a policy raises, MSI of an edu device and, where there is one, MSI-X of an e1000e.
/// The core signals the user's eventfds when it is asked to (VFIO_IRQ_SET_DATA_NONE), and the hardware has its own
/// way: what the policy raises must come where those come.
///
///   interrupts DRIVER [exact]
///
/// After a request that fails, older cores do not say which eventfds are left, and of the policy's there may be fewer;
/// with `exact` there may not.

#include "expect.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <fstream>
#include <functional>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace mediant::guest;

constexpr std::uint32_t bar0 = VFIO_PCI_BAR0_REGION_INDEX;
constexpr std::uint32_t intx = VFIO_PCI_INTX_IRQ_INDEX;
constexpr std::uint32_t msi = VFIO_PCI_MSI_IRQ_INDEX;
constexpr std::uint32_t msix = VFIO_PCI_MSIX_IRQ_INDEX;
constexpr std::uint32_t eventfds = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
constexpr outcome whole{4, 0};
constexpr outcome refused(int error) { return {-1, error}; }

/// A device whose policy raises what is written to RAISE.
struct subject {
    const device& at;
    std::uint64_t raise_at;

    [[nodiscard]] outcome raise(std::uint32_t index, std::uint32_t vector) const {
        const std::uint32_t value = index << 16 | vector;
        return at.write(bar0, raise_at, std::as_bytes(std::span{&value, 1}));
    }
    [[nodiscard]] std::uint32_t count() const { return at.get<std::uint32_t>(bar0, raise_at + 4); }
};

/// What has come by now. A signal is there when the call that made it has returned.
std::uint64_t now(const event& in) { return in.wait(0); }

/// The hardware's own: through the interrupt controller, so that it may take its time.
std::uint64_t by_hardware(const device& edu, const event& in) {
    edu.put<std::uint32_t>(bar0, 0x60, 1);
    const std::uint64_t came = in.wait(2000);
    edu.put<std::uint32_t>(bar0, 0x64, 1);
    return came;
}

void one_vector(const std::string& address) {
    section("MSI");
    const event first, second;
    {
        const container space;
        const device edu{space, address};
        const subject it{edu, 0x200};
        edu.enable();
        expect("COUNT after open", it.count(), 0);
        expect("raised before it is set up", it.raise(msi, 0), whole);

        edu.set_irqs(msi, 0, std::array{first.get()});
        expect("what was raised before", now(first), 0);
        for (int i = 0; i < 100; ++i) {
            expect("raised", it.raise(msi, 0), whole);
            expect("signals of one write", now(first), 1);
        }
        for (int i = 0; i < 5; ++i) expect("raised", it.raise(msi, 0), whole);
        expect("signals of five writes", now(first), 5);
        expect("COUNT", it.count(), 106);
        expect("signals of the hardware", by_hardware(edu, first), 1);
        edu.trigger_irq(msi, 0);
        expect("signals of the core", now(first), 1);

        section("vectors that there are not");
        expect("vector 1", it.raise(msi, 1), refused(EINVAL));
        expect("vector 65535", it.raise(msi, 0xffff), refused(EINVAL));
        expect("MSI-X", it.raise(msix, 0), refused(EINVAL));
        expect("index 5", it.raise(5, 0), refused(EINVAL));
        expect("index 65535", it.raise(0xffff, 0), refused(EINVAL));
        expect("INTx", it.raise(intx, 0), refused(EOPNOTSUPP));
        expect("ERR", it.raise(VFIO_PCI_ERR_IRQ_INDEX, 0), refused(EOPNOTSUPP));
        expect("REQ", it.raise(VFIO_PCI_REQ_IRQ_INDEX, 0), refused(EOPNOTSUPP));
        expect("signals of these", now(first), 0);

        section("set anew, taken away, reset");
        edu.set_irqs(msi, 0, std::array{second.get()});
        expect("raised", it.raise(msi, 0), whole);
        expect("signals of the one before", now(first), 0);
        expect("signals of the one after", now(second), 1);
        expect("signals of the hardware", by_hardware(edu, second), 1);
        edu.set_irqs(msi, 0, std::array{-1});
        expect("raised without an eventfd", it.raise(msi, 0), whole);
        expect("signals without an eventfd", now(first) + now(second), 0);
        edu.set_irqs(msi, 0, std::array{first.get()});
        edu.reset();
        expect("raised after a reset", it.raise(msi, 0), whole);
        expect("signals after a reset", now(first), 1);
        edu.enable();
        expect("signals of the hardware after a reset", by_hardware(edu, first), 1);
        edu.disable_irqs(msi);
        expect("raised while MSI is off", it.raise(msi, 0), whole);
        expect("signals while MSI is off", now(first) + now(second), 0);
        edu.set_irqs(msi, 0, std::array{second.get()});
        expect("raised while MSI is on again", it.raise(msi, 0), whole);
        expect("signals while MSI is on again", now(second), 1);

        section("requests that fail");
        const unique_fd none = open_file("/dev/null");
        const auto still = [&](const std::string& after) {
            expect("raised after " + after, it.raise(msi, 0), whole);
            const std::uint64_t raised = now(second);
            const int error = error_of([&] { edu.trigger_irq(msi, 0); });
            expect("signals after " + after, raised, error == 0 ? now(second) : 0);
            return raised;
        };
        const auto refuses = [&](const std::function<void()>& request) { return error_of(request) != 0; };
        expect("two vectors", refuses([&] { edu.set_irqs(msi, 0, std::array{first.get(), first.get()}); }), true);
        expect("still set", still("two vectors"), 1);
        expect("MSI-X", refuses([&] { edu.set_irqs(msix, 0, std::array{first.get()}); }), true);
        expect("still set", still("MSI-X"), 1);
        expect("MSI-X off", refuses([&] { edu.disable_irqs(msix); }), true);
        expect("still set", still("MSI-X off"), 1);
        const mapping pages{0x2000};
        if (::mprotect(pages.bytes().data() + 0x1000, 0x1000, PROT_NONE) != 0) fail(errno, "mprotect");
        vfio_irq_set head{};
        head.argsz = sizeof head + sizeof(int);
        head.flags = eventfds;
        head.index = msi;
        head.count = 1;
        std::byte* const edge = pages.bytes().data() + 0x1000 - sizeof head;
        std::memcpy(edge, &head, sizeof head);
        expect("eventfds that fault", static_cast<std::uint64_t>(edu.raw_ioctl(VFIO_DEVICE_SET_IRQS, edge)), EFAULT);
        expect("still set", still("a fault"), 1);
        expect("no eventfd", refuses([&] { edu.set_irqs(msi, 0, std::array{none.get()}); }), true);
        still("no eventfd");
        edu.set_irqs(msi, 0, std::array{second.get()});
        expect("set", still("all of it"), 1);

        section("an eventfd that its user has closed");
        {
            const event third;
            edu.set_irqs(msi, 0, std::array{third.get()});
        }
        expect("raised", it.raise(msi, 0), whole);
        edu.set_irqs(msi, 0, std::array{second.get()});
    }
    section("opened again");
    expect("signals since", now(first) + now(second), 0);
    const container space;
    const device edu{space, address};
    const subject it{edu, 0x200};
    edu.enable();
    expect("raised", it.raise(msi, 0), whole);
    expect("signals of who was set up before", now(first) + now(second), 0);
    edu.set_irqs(msi, 0, std::array{first.get()});
    expect("raised", it.raise(msi, 0), whole);
    expect("signals", now(first), 1);
}

/// Vectors of MSI-X set and taken away in ranges: the policy's signals go where the core's go.
void many_vectors(const std::string& address, bool exact) {
    section("MSI-X");
    const container space;
    const device nic{space, address};
    const subject it{nic, 0x1f000};
    nic.enable();
    const std::uint32_t count = nic.irq(msix).count;
    expect("vectors of an e1000e", count, 5);
    std::vector<event> events(8);

    // Bit by event: who was signalled, each once.
    const auto came = [&] {
        std::uint64_t out = 0;
        for (std::size_t i = 0; i < events.size(); ++i) {
            const std::uint64_t times = now(events[i]);
            if (times != 0) out |= times == 1 ? std::uint64_t{1} << i : ~std::uint64_t{0};
        }
        return out;
    };
    const auto raised = [&](std::uint32_t vector) {
        expect("raised", it.raise(msix, vector), whole);
        return came();
    };
    const auto triggered = [&](std::uint32_t vector) { // EINVAL while MSI-X is off
        static_cast<void>(error_of([&] { nic.trigger_irq(msix, vector); }));
        return came();
    };

    std::vector<int> all;
    for (std::uint32_t i = 0; i < count; ++i) all.push_back(events[i].get());
    nic.set_irqs(msix, 0, all);
    for (std::uint32_t i = 0; i < count; ++i) expect("signals of a vector", raised(i), std::uint64_t{1} << i);
    expect("a vector too many", it.raise(msix, count), refused(EINVAL));
    expect("MSI meanwhile", it.raise(msi, 0), whole);
    expect("signals of MSI", came(), 0);
    nic.set_irqs(msix, 2, std::array{events[6].get(), events[7].get()});
    nic.set_irqs(msix, 1, std::array{-1});
    constexpr std::array<std::uint64_t, 5> wanted{1, 0, 1 << 6, 1 << 7, 1 << 4};
    for (std::uint32_t i = 0; i < count; ++i) expect("signals of a vector, some set anew", raised(i), wanted[i]);
    nic.set_irqs(msix, 0, std::array{events[5].get(), events[5].get()});
    expect("signals of one that shares", raised(0), 1 << 5);
    expect("signals of another that shares", raised(1), 1 << 5);
    nic.disable_irqs(msix);
    for (std::uint32_t i = 0; i < count; ++i) expect("signals while MSI-X is off", raised(i), 0);
    nic.set_irqs(msi, 0, std::array{events[0].get()});
    expect("MSI", it.raise(msi, 0), whole);
    expect("signals of MSI", came(), 1);
    expect("signals of MSI-X meanwhile", raised(0), 0);
    nic.disable_irqs(msi);

    section("random requests");
    const unique_fd none = open_file("/dev/null");
    std::mt19937 random{7};
    const auto below = [&](std::uint32_t end) { return static_cast<std::uint32_t>(random() % end); };
    long refusals = 0, signals = 0;
    bool failed = false; // since MSI-X was off
    for (int step = 0; step < 400; ++step) {
        const std::uint32_t start = below(count + 1), asked = below(count + 1);
        std::vector<int> fds;
        for (std::uint32_t i = 0; i < asked; ++i)
            fds.push_back(below(24) == 0 ? none.get() : below(4) == 0 ? -1 : events[below(8)].get());
        const bool off = below(12) == 0;
        const int error = error_of([&] {
            if (off) nic.disable_irqs(msix);
            else nic.set_irqs(msix, start, fds);
        });
        failed = failed || (error != 0 && !off);
        if (off && error == 0) failed = false;
        refusals += error != 0;
        for (std::uint32_t i = 0; i < count; ++i) {
            const std::uint64_t core = triggered(i), policy = raised(i);
            signals += policy != 0;
            expect("signals of vector " + std::to_string(i) + " in step " + std::to_string(step), policy,
                   !exact && failed && policy == 0 ? 0 : core);
        }
    }
    std::printf("interrupts: %ld refused, %ld signals\n", refusals, signals);
    expect("some requests are refused", refusals > 20, true);
    expect("many vectors are signalled", signals > 500, true);
}

/// Interrupts that threads raise while others set them up.
void races(const std::string& address) {
    const container space;
    const device edu{space, address};
    const subject it{edu, 0x200};
    edu.enable();
    const std::array<event, 2> events;
    const auto set = [&](std::size_t which) { edu.set_irqs(msi, 0, std::array{events[which].get()}); };

    section("raised by two threads while eventfds are exchanged");
    set(0);
    std::atomic<std::uint64_t> raised{0}, came{0};
    std::atomic<int> raising{2};
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i)
        threads.emplace_back([&] {
            for (int n = 0; n < 4000; ++n) {
                if (it.raise(msi, 0) == whole) ++raised;
            }
            --raising;
        });
    threads.emplace_back([&] { // what the policy did before it raised an interrupt is there when the signal is
        while (raising != 0) {
            for (const event& each : events) came += each.wait(1);
            const std::uint64_t seen = came, done = it.count();
            expect("COUNT is not behind the signals", done >= seen, true);
        }
    });
    long exchanges = 0;
    for (; raising != 0; ++exchanges) set(static_cast<std::size_t>(exchanges % 2));
    for (std::thread& each : threads) each.join();
    for (const event& each : events) came += now(each);
    std::printf("interrupts: %ld exchanges\n", exchanges);
    expect("raised", raised, 8000);
    expect("signals, none lost and none doubled", came, raised);
    expect("some exchanges", exchanges > 10, true);

    section("raised while MSI is turned off and on");
    raised = came = 0;
    threads.clear();
    std::atomic<bool> stopped{false};
    for (int i = 0; i < 2; ++i)
        threads.emplace_back([&] {
            while (!stopped) {
                if (it.raise(msi, 0) == whole) ++raised;
            }
        });
    std::size_t cycles = 0;
    for (; cycles < 300 || came < 300; ++cycles) {
        edu.disable_irqs(msi);
        for (const event& each : events) came += now(each);
        ::usleep(200);
        for (const event& each : events) expect("signals while MSI is off", now(each), 0);
        set(cycles % 2);
        ::usleep(200);
    }
    stopped = true;
    for (std::thread& each : threads) each.join();
    for (const event& each : events) came += now(each);
    std::printf("interrupts: MSI turned on %zu times, %llu of %llu signalled\n", cycles,
                static_cast<unsigned long long>(came), static_cast<unsigned long long>(raised));
    expect("signals at most as often as raised", came <= raised, true);

    section("two threads that set an eventfd each");
    for (int round = 0; round < 1000; ++round) {
        std::atomic<int> ready{0}, left{2};
        std::vector<std::thread> setters;
        for (std::size_t i = 0; i < 2; ++i)
            setters.emplace_back([&, i] {
                for (++ready; ready != 2;) {}
                const int error = error_of([&] { set(i); });
                expect("set by one of two", static_cast<std::uint64_t>(error), 0);
                --left;
            });
        while (left != 0) static_cast<void>(it.raise(msi, 0)); // so that they wait for the policy
        for (std::thread& each : setters) each.join();
        for (const event& each : events) static_cast<void>(now(each));
        edu.trigger_irq(msi, 0);
        const std::array<std::uint64_t, 2> core{now(events[0]), now(events[1])};
        expect("raised", it.raise(msi, 0), whole);
        for (std::size_t i = 0; i < 2; ++i) expect("signals of the last", now(events[i]), core[i]);
    }

    section("a request that changes while it is read");
    // A header of five words, and four eventfds.
    std::array<std::atomic<std::uint32_t>, 9> request{};
    static_assert(sizeof request == sizeof(vfio_irq_set) + 4 * sizeof(int));
    request[0] = sizeof request;
    stopped = false;
    std::thread writer{[&] {
        std::mt19937 random{11};
        while (!stopped) {
            request[1] = random() % 3 == 0 ? std::uint32_t{VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER} : eventfds;
            request[2] = random() % 4 == 0 ? msix : msi;
            request[3] = random() % 5 == 0;
            request[4] = static_cast<std::uint32_t>(random() % 3);
            for (std::size_t i = 5; i < request.size(); ++i)
                request[i] = static_cast<std::uint32_t>(random() % 3 == 0 ? -1 : events[random() % 2].get());
        }
    }};
    std::thread raiser{[&] {
        while (!stopped) static_cast<void>(it.raise(msi, 0));
    }};
    long accepted = 0, refusals = 0;
    while (accepted < 500 || refusals < 500) {
        ++(edu.raw_ioctl(VFIO_DEVICE_SET_IRQS, request.data()) == 0 ? accepted : refusals);
        if ((accepted + refusals) % 16 == 0) std::this_thread::yield(); // for who changes it
    }
    stopped = true;
    writer.join();
    raiser.join();
    std::printf("interrupts: %ld accepted, %ld refused\n", accepted, refusals);
    static_cast<void>(error_of([&] { edu.disable_irqs(msi); }));
    set(0);
    for (const event& each : events) static_cast<void>(now(each));
    expect("raised", it.raise(msi, 0), whole);
    expect("signals", now(events[0]), 1);
    expect("signals of the other", now(events[1]), 0);
}

/// The kernel's number of a new eventfd: the lowest that no other has, be it only a driver that holds it.
std::string number_of_eventfd() {
    const event fresh;
    std::ifstream info{"/proc/self/fdinfo/" + std::to_string(fresh.get())};
    for (std::string line; std::getline(info, line);)
        if (line.starts_with("eventfd-id:")) return line;
    fail(ENOENT, "no number of an eventfd");
}

void test(const std::string& driver, bool exact) {
    const std::string lowest = number_of_eventfd();
    const auto edu = find_pci(0x1234, 0x11e8), nic = find_pci(0x8086, 0x10d3);
    if (!edu) fail(ENODEV, "no edu device");
    if (!bind(*edu, driver)) fail(EBUSY, driver + " did not take " + *edu);
    one_vector(*edu);
    races(*edu);
    unbind(*edu);
    expect("eventfds left", number_of_eventfd(), lowest);
    if (!nic) return;
    if (!bind(*nic, driver)) fail(EBUSY, driver + " did not take " + *nic);
    many_vectors(*nic, exact);
    unbind(*nic);
    expect("eventfds left", number_of_eventfd(), lowest);
}

} // namespace

int main(int argc, char** argv) {
    return run_test("interrupts", [&] { test(argc > 1 ? argv[1] : "raising_vfio_pci", argc > 2); });
}
