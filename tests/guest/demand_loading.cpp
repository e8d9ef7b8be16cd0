// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Runs in a guest: the host, which must not be loaded yet, and providers that the kernel can load by themselves
/// (edu_provider, nic_provider) or that lie in /extra. Which provider serves a device that is opened, what holds which
/// module, what is refused, and that opening never fails while a provider's module comes and goes.
///
///   demand_loading
///
/// Needs two edu devices that open fast (no reset: on the root bus), an e1000e and a pci-testdev. MEDIANT_GUEST_ROUNDS
/// says how often devices are opened against rmmod and modprobe; 200 unless told. Ends with 0 if all is as expected.

#include "expect.hpp"

#include <mediant/kernel/abi.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include <sys/klog.h>
#include <sys/syscall.h>
#include <sys/wait.h>

namespace {

using namespace mediant::guest;

constexpr std::uint32_t bar0 = VFIO_PCI_BAR0_REGION_INDEX;
constexpr std::uint32_t config = VFIO_PCI_CONFIG_REGION_INDEX;
const std::string host = "vfio_pci_mediate";
const std::string registry = "vfio_pci_mediate_core";

constexpr std::uint32_t edu_plain = 0x010000ed;
constexpr std::uint32_t edu_mediated = 0x01ac00ed;
constexpr std::uint32_t edu_branded = 0xb4a40ded;
constexpr std::uint64_t nic_mark = 0x1f000;
constexpr std::uint32_t nic_mediated = 0x6e696331;

// --- modules -----------------------------------------------------------------------------------------

bool loaded(const std::string& module) { return std::filesystem::exists("/sys/module/" + module + "/refcnt"); }

int users(const std::string& module) {
    int count = -1;
    std::ifstream{"/sys/module/" + module + "/refcnt"} >> count;
    return count;
}

/// modprobe by name or alias: 0 if it is there now.
int modprobe(const std::string& name) { return std::system(("modprobe " + name + " 2>/dev/null").c_str()) == 0 ? 0 : 1; }

/// rmmod, which never waits: 0 or errno.
int unload(const std::string& module) {
    return ::syscall(SYS_delete_module, module.c_str(), O_NONBLOCK) == 0 ? 0 : errno;
}

/// insmod of a file: 0 or errno.
int load(const std::string& file) {
    const unique_fd fd{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
    if (fd.get() < 0) fail(errno, "open " + file);
    return ::syscall(SYS_finit_module, fd.get(), "", 0) == 0 ? 0 : errno;
}

void parameter(const std::string& name, bool value) {
    write_attribute("/sys/module/" + host + "/parameters/" + name, value ? "1" : "0");
}

/// Whether the kernel has logged this since the last call.
bool logged(const std::string& text) {
    std::vector<char> log(1 << 20);
    const int size = ::klogctl(4, log.data(), static_cast<int>(log.size())); // reads and clears
    return size > 0 && std::string{log.data(), static_cast<std::size_t>(size)}.find(text) != std::string::npos;
}

// --- devices -----------------------------------------------------------------------------------------

/// One open device in an address space of its own.
struct user {
    container space;
    device at;
    explicit user(const std::string& address) : at{space, address} { at.enable(); }
    [[nodiscard]] std::uint32_t ident() const { return at.get<std::uint32_t>(bar0, 0); }
};

int open_error(const std::string& address) {
    return error_of([&] { const user opened{address}; });
}

void take(const std::string& address, const std::string& driver = host) {
    if (!bind(address, driver)) fail(EBUSY, driver + " did not take " + address);
}

struct devices {
    std::string edu, other_edu, nic, unlisted;
};

// --- what is tested ----------------------------------------------------------------------------------

void on_demand(const devices& all) {
    section("the provider comes with the first open, and can go after the last close");
    expect("loaded at first", loaded("edu_provider"), false);
    {
        const user edu{all.edu};
        expect("IDENT", edu.ident(), edu_mediated);
        expect("users of the provider", static_cast<unsigned>(users("edu_provider")), 1);
        expect("rmmod of it", static_cast<unsigned>(unload("edu_provider")), EWOULDBLOCK);
        expect("rmmod of the host", static_cast<unsigned>(unload(host)), EWOULDBLOCK);
        expect("rmmod of the registry", static_cast<unsigned>(unload(registry)), EWOULDBLOCK);
        {
            const user other{all.other_edu};
            expect("users for two devices", static_cast<unsigned>(users("edu_provider")), 2);
        }
        expect("users after one was closed", static_cast<unsigned>(users("edu_provider")), 1);
    }
    expect("loaded after close", loaded("edu_provider"), true);
    expect("users after close", static_cast<unsigned>(users("edu_provider")), 0);
    expect("rmmod after close", static_cast<unsigned>(unload("edu_provider")), 0);
    {
        const user edu{all.edu};
        expect("IDENT of the second time", edu.ident(), edu_mediated);
    }
}

void orders(const devices& all) {
    section("host, registry and provider in other orders");
    // The host goes while the provider stays, and comes back.
    unbind(all.edu);
    for (const std::string& address : {all.other_edu, all.nic, all.unlisted}) unbind(address);
    expect("rmmod of the host", static_cast<unsigned>(unload(host)), 0);
    expect("the provider stays", loaded("edu_provider"), true);
    expect("rmmod of the registry under a provider", static_cast<unsigned>(unload(registry)), EWOULDBLOCK);
    expect("modprobe of the host", static_cast<unsigned>(modprobe(host)), 0);
    take(all.edu);
    expect("IDENT by the provider that stayed", user{all.edu}.ident(), edu_mediated);
    // All go, the provider first by hand, and before the host.
    unbind(all.edu);
    for (const std::string& module : {std::string{"edu_provider"}, host, registry})
        expect("rmmod of " + module, static_cast<unsigned>(unload(module)), 0);
    expect("modprobe of the provider alone", static_cast<unsigned>(modprobe("edu_provider")), 0);
    expect("the registry comes with it", loaded(registry), true);
    expect("the host does not", loaded(host), false);
    // The host finds devices that wait for it by driver_override.
    expect("modprobe of the host", static_cast<unsigned>(modprobe(host)), 0);
    expect("a device that waited", driver_of(all.edu) == host, true);
    expect("IDENT", user{all.edu}.ident(), edu_mediated);
    for (const std::string& address : {all.other_edu, all.nic, all.unlisted}) take(address);
}

void two_providers(const devices& all) {
    section("two devices, two providers, at once");
    const user edu{all.edu};
    const user nic{all.nic};
    expect("IDENT of edu", edu.ident(), edu_mediated);
    expect("MARK of the card", nic.at.get<std::uint32_t>(bar0, nic_mark), nic_mediated);
    expect("what the card's provider passes", nic.at.get<std::uint32_t>(bar0, 0x8) != nic_mediated, true);
    expect("users of edu's", static_cast<unsigned>(users("edu_provider")), 1);
    expect("users of the card's", static_cast<unsigned>(users("nic_provider")), 1);
    expect("rmmod of the card's", static_cast<unsigned>(unload("nic_provider")), EWOULDBLOCK);
}

void ranks(const devices& all) {
    section("several providers of one device, one of which declines");
    expect("insmod of more providers", static_cast<unsigned>(load("/extra/demand_providers.ko")), 0);
    logged("");
    {
        const user edu{all.edu};
        expect("IDENT by the subsystem's provider", edu.ident(), edu_branded);
        expect("who is more specific was asked first", logged("picky declines"), true);
        expect("users of the one that took it", static_cast<unsigned>(users("demand_providers")), 1);
        expect("users of the less specific one", static_cast<unsigned>(users("edu_provider")), 0);
        expect("rmmod of the less specific one", static_cast<unsigned>(unload("edu_provider")), 0);
    }
    expect("a map over the MSI-X table is declined, and the next one asked",
           user{all.nic}.at.get<std::uint32_t>(bar0, nic_mark), nic_mediated);
    expect("why", logged("declined: a region map traps accesses to the MSI-X table"), true);
    expect("a device whose only provider declines", static_cast<unsigned>(open_error(all.unlisted)), ENODEV);
    expect("why", logged("every provider declined (vfio-pci-mediate-1b36-0005)"), true);
    expect("users of the one that declined", static_cast<unsigned>(users("demand_providers")), 0);
    expect("rmmod of it", static_cast<unsigned>(unload("demand_providers")), 0);
    expect("IDENT without them", user{all.edu}.ident(), edu_mediated);
}

void parameters(const devices& all) {
    section("strict, and not");
    logged("");
    expect("a device without a provider", static_cast<unsigned>(open_error(all.unlisted)), ENODEV);
    expect("why", logged("there is no provider (vfio-pci-mediate-1b36-0005)"), true);
    parameter("require_provider", false);
    expect("it passes then", user{all.unlisted}.at.get<std::uint32_t>(config, PCI_VENDOR_ID), 0x00051b36);
    expect("one with a provider", user{all.edu}.ident(), edu_mediated);
    parameter("require_provider", true);
    expect("strict again", static_cast<unsigned>(open_error(all.unlisted)), ENODEV);

    expect("rmmod", static_cast<unsigned>(unload("edu_provider")), 0);
    parameter("pass_through", true);
    {
        const user edu{all.edu};
        expect("IDENT of the hardware", edu.ident(), edu_plain);
        expect("BAR0 has no sparse areas", edu.at.region(bar0).sparse.has_value(), false);
        expect("no provider is asked for", loaded("edu_provider"), false);
        parameter("pass_through", false);
        expect("what was opened stays as it is", edu.ident(), edu_plain);
    }
    parameter("mmap_trapped_bars", false);
    {
        const user edu{all.edu};
        const auto info = edu.at.region(bar0);
        expect("flags of a BAR that must not be mapped", info.flags,
               VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE);
        expect("a mapping of it", static_cast<unsigned>(error_of([&] { static_cast<void>(edu.at.map(bar0, 0x1000, 0x1000)); })),
               EINVAL);
        expect("IDENT", edu.ident(), edu_mediated);
    }
    parameter("mmap_trapped_bars", true);
    static_cast<void>(user{all.edu}.at.map(bar0, 0x1000, 0x1000));
}

void refused(const devices& all) {
    section("what cannot be registered");
    if (!loaded("edu_provider")) expect("modprobe", static_cast<unsigned>(modprobe("edu_provider")), 0);
    logged("");
    expect("a second provider of the name", static_cast<unsigned>(load("/extra/edu_twin.ko")), EBUSY);
    expect("why", logged("a provider of the name edu is registered"), true);
    expect("one with the same rule", static_cast<unsigned>(load("/extra/again_provider.ko")), EBUSY);
    expect("why", logged("provider again: provider edu is registered with the same rule, 00001234:000011e8"), true);
    expect("insmod says so, too", static_cast<unsigned>(std::system("insmod /extra/edu_twin.ko 2>/dev/null") == 0), 0);
    expect("the first one serves", user{all.edu}.ident(), edu_mediated);

    expect("rmmod", static_cast<unsigned>(unload("edu_provider")), 0);
    expect("one of another ABI version", static_cast<unsigned>(load("/extra/other_version.ko")), EINVAL);
    expect("both numbers", logged("policy object has ABI version 99 ("), true);
    expect("one of another ABI size", static_cast<unsigned>(load("/extra/other_size.ko")), EINVAL);
    expect("both numbers", logged(" bytes), module has " + std::to_string(MEDIANT_ABI_VERSION) + " ("), true);
    expect("the second one, now that the first is gone", static_cast<unsigned>(load("/extra/again_provider.ko")), 0);
    expect("and gone", static_cast<unsigned>(unload("again_provider")), 0);
}

/// A device is opened while its provider is loaded and unloaded, and never fails for it. Loading is done by a process
/// of its own: a child that is about to become modprobe would hold a copy of an open group, which opens only once.
void storm(const devices& all, long rounds) {
    section("opened and closed against rmmod and modprobe");
    struct counters {
        std::atomic<bool> stopped{false};
        std::atomic<long> unloads{0};
    };
    const mapping shared{sizeof(counters), -1, 0, PROT_READ | PROT_WRITE, MAP_SHARED};
    counters& count = *new (shared.data()) counters;
    const pid_t churn = ::fork();
    if (churn < 0) fail(errno, "fork");
    if (churn == 0) {
        while (!count.stopped) {
            if (unload("edu_provider") == 0) ++count.unloads;
            if (count.unloads % 2 == 0) static_cast<void>(modprobe("edu_provider"));
        }
        ::_exit(0);
    }
    const auto open_and_close = [rounds](const std::string& address) {
        for (long i = 0; i < rounds / 2; ++i) {
            std::string error;
            try {
                expect("IDENT in a storm", user{address}.ident(), edu_mediated);
            } catch (const std::system_error& e) {
                error = e.what();
            }
            expect("an open in a storm: " + error, error.empty(), true);
        }
    };
    std::thread second{open_and_close, all.other_edu};
    open_and_close(all.edu);
    second.join();
    count.stopped = true;
    int ended = 0;
    expect("the process that loads and unloads", ::waitpid(churn, &ended, 0) == churn && ended == 0, true);
    const long unloads = count.unloads;
    std::printf("demand loading: %ld opens of two devices against %ld unloads\n", rounds, unloads);
    expect("unloads that met opens", unloads > rounds / 20, true);
    // Whatever it ended with, nothing is held.
    if (loaded("edu_provider")) expect("users at the end", static_cast<unsigned>(users("edu_provider")), 0);
    expect("users of the registry", static_cast<unsigned>(users(registry)), 1u + (loaded("edu_provider") ? 1 : 0) + (loaded("nic_provider") ? 1 : 0));
}

void unbind_while_open(const devices& all) {
    section("unbound while it is open");
    std::thread unbinds;
    std::atomic<bool> unbound{false};
    {
        const user edu{all.edu};
        unbinds = std::thread{[&] {
            unbind(all.edu);
            unbound = true;
        }};
        for (int i = 0; i < 20; ++i) expect("IDENT", edu.ident(), edu_mediated);
        expect("users", static_cast<unsigned>(users("edu_provider")), 1);
        ::usleep(100'000);
        expect("it waits for the user", unbound, false);
    }
    unbinds.join();
    expect("unbound after close", driver_of(all.edu).empty(), true);
    expect("users after close", static_cast<unsigned>(users("edu_provider")), 0);
}

void run() {
    const std::vector<std::string> edus = find_all_pci(0x1234, 0x11e8);
    const auto nic = find_pci(0x8086, 0x10d3);
    const auto unlisted = find_pci(0x1b36, 0x0005);
    if (edus.size() < 2 || !nic || !unlisted) fail(ENODEV, "two edu, an e1000e and a pci-testdev");
    const devices all{edus[0], edus[1], *nic, *unlisted};
    const char* const asked = std::getenv("MEDIANT_GUEST_ROUNDS");
    const long rounds = asked != nullptr ? std::atol(asked) : 200;

    expect("modprobe of the host", static_cast<unsigned>(modprobe(host)), 0);
    for (const std::string& address : {all.edu, all.other_edu, all.nic, all.unlisted}) take(address);
    on_demand(all);
    orders(all);
    two_providers(all);
    ranks(all);
    parameters(all);
    refused(all);
    storm(all, rounds);
    unbind_while_open(all);

    // All of it can go.
    for (const std::string& address : {all.edu, all.other_edu, all.nic, all.unlisted}) {
        unbind(address);
        write_attribute(sysfs(address) / "driver_override", "\n");
    }
    for (const std::string& module : {std::string{"edu_provider"}, std::string{"nic_provider"}, host, registry})
        expect("rmmod of " + module + " in the end", static_cast<unsigned>(unload(module)), 0);
}

} // namespace

int main() { return run_test("demand loading", run); }
