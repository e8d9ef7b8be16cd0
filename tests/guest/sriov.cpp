// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Runs in a guest with QEMU's igb card: virtual functions under the host, the provider of which the kernel loads when
/// one is opened. Beside it a function under plain vfio-pci, with which the other is compared. Who may create functions
/// and who may open them, with VF tokens, when the card itself belongs to VFIO; resets; and the functions taken away
/// while one is open.
///
///   sriov
///
/// Where the kernel has igb, the card is its driver's at first. Ends with 0 if all is as expected.

#include "expect.hpp"

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace mediant::guest;

constexpr std::uint32_t bar0 = VFIO_PCI_BAR0_REGION_INDEX;
constexpr std::uint32_t config = VFIO_PCI_CONFIG_REGION_INDEX;
const std::string host = "vfio_pci_mediate";
const std::string plain = "vfio-pci";

constexpr std::uint64_t message = 0x800;
constexpr std::uint64_t mailbox = 0xc40;
constexpr std::uint32_t mailbox_mark = 0x4d000000;
constexpr std::uint64_t scratch = 0x3f00;
constexpr std::uint32_t scratch_reset = 0x5c4a7c11;

const std::string token = "8f2d1c3a-0b4e-4d6f-9a57-1e2c3b4d5f60";
const std::string other_token = "8f2d1c3a-0b4e-4d6f-9a57-1e2c3b4d5f61";

std::vector<std::string> functions() { return find_all_pci(0x8086, 0x10ca); }

void parameter(const std::string& module, const std::string& name, bool value) {
    write_attribute("/sys/module/" + module + "/parameters/" + name, value ? "1" : "0");
}

int create(const std::string& card, int count) {
    return error_of([&] { write_attribute(sysfs(card) / "sriov_numvfs", std::to_string(count)); });
}

std::string override_of(const std::string& address) {
    std::string driver;
    std::ifstream{sysfs(address) / "driver_override"} >> driver;
    return driver;
}

void take(const std::string& address, const std::string& driver) {
    if (!bind(address, driver)) fail(EBUSY, driver + " did not take " + address);
}

/// One open device in an address space of its own.
struct user {
    container space{false};
    device at;
    explicit user(const std::string& address, const std::string& vf_token = {}) : at{space, address, vf_token} {}
};

int open_error(const std::string& address, const std::string& vf_token = {}) {
    return error_of([&] { const user opened{address, vf_token}; });
}

void expect_error(const std::string& what, int got, int wanted) {
    expect(what, static_cast<unsigned>(got), static_cast<unsigned>(wanted));
}

/// A function-level reset, asked for in configuration space.
void flr(const device& function) {
    const std::uint8_t express = function.capability(PCI_CAP_ID_EXP);
    if (express == 0) fail(ENODEV, "no PCI Express capability");
    const auto control = function.get<std::uint16_t>(config, express + std::uint64_t{PCI_EXP_DEVCTL});
    function.put(config, express + std::uint64_t{PCI_EXP_DEVCTL}, static_cast<std::uint16_t>(control | PCI_EXP_DEVCTL_BCR_FLR));
}

/// One function mediated, one as it is, at once.
void accesses(const std::string& first, const std::string& second) {
    section("a virtual function, mediated");
    take(first, host);
    take(second, plain);
    expect("the provider is loaded at first", std::filesystem::exists("/sys/module/vf_provider"), false);
    const user mediated{first};
    const user bare{second};
    expect("the provider comes with the first open", std::filesystem::exists("/sys/module/vf_provider"), true);

    // The IDs, which a function's own configuration space does not have, and what else the core makes of it.
    expect("vendor and device", mediated.at.get<std::uint32_t>(config, PCI_VENDOR_ID), 0x10ca8086);
    for (const std::uint64_t offset : {0x04u, 0x08u, 0x0cu, 0x2cu, 0x34u, 0x3cu})
        expect("configuration space at " + std::to_string(offset), mediated.at.get<std::uint32_t>(config, offset),
               bare.at.get<std::uint32_t>(config, offset));
    for (std::uint32_t index = 0; index < VFIO_PCI_NUM_IRQS; ++index) {
        expect("interrupts", mediated.at.irq(index).count, bare.at.irq(index).count);
        expect("their flags", mediated.at.irq(index).flags, bare.at.irq(index).flags);
    }
    for (std::uint32_t index = 0; index < VFIO_PCI_CONFIG_REGION_INDEX; ++index)
        expect("size of a region", mediated.at.region(index).size, bare.at.region(index).size);
    const auto areas = mediated.at.region(bar0).sparse;
    expect("sparse areas", areas && *areas == std::vector<area>{{0x1000, 0x2000}}, true);
    expect_error("a mapping of a trapped page", error_of([&] { static_cast<void>(mediated.at.map(bar0, 0, 0x1000)); }), EINVAL);
    static_cast<void>(mediated.at.map(bar0, 0x1000, 0x2000));

    const std::uint32_t status = bare.at.get<std::uint32_t>(bar0, 0x8);
    expect("STATUS is a register", status != 0 && status != ~0u, true);
    expect("STATUS, which passes", mediated.at.get<std::uint32_t>(bar0, 0x8), status);
    for (const device* const function : {&mediated.at, &bare.at}) function->put<std::uint32_t>(bar0, message, 0x11223344);
    const std::uint32_t kept = bare.at.get<std::uint32_t>(bar0, message);
    std::printf("sriov: STATUS %08x, message memory %08x\n", status, kept);
    expect("message memory, which passes", mediated.at.get<std::uint32_t>(bar0, message), kept);
    expect("a message was written", kept, 0x11223344);
    const std::uint32_t box = bare.at.get<std::uint32_t>(bar0, mailbox);
    expect("the bare mailbox has no mark", box & mailbox_mark, 0);
    expect("MAILBOX, which asks the device", mediated.at.get<std::uint32_t>(bar0, mailbox) & mailbox_mark, mailbox_mark);
    expect("SCRATCH, which is the policy's", mediated.at.get<std::uint32_t>(bar0, scratch), scratch_reset);
    mediated.at.put<std::uint32_t>(bar0, scratch, 0xbadbad);
    expect("SCRATCH, written", mediated.at.get<std::uint32_t>(bar0, scratch), 0xbadbad);

    // A function has no memory enable of its own: the card's counts.
    for (const device* const function : {&mediated.at, &bare.at}) function->put<std::uint16_t>(config, PCI_COMMAND, 0);
    expect("STATUS with COMMAND 0", mediated.at.get<std::uint32_t>(bar0, 0x8), bare.at.get<std::uint32_t>(bar0, 0x8));
    expect("MAILBOX with COMMAND 0", mediated.at.get<std::uint32_t>(bar0, mailbox) & mailbox_mark, mailbox_mark);
}

void resets(const std::string& address) {
    section("resets of a virtual function");
    const user opened{address};
    const auto reset_by = [&](const std::string& name, const auto& reset) {
        opened.at.put<std::uint32_t>(bar0, scratch, 0xbadbad);
        expect("SCRATCH before " + name, opened.at.get<std::uint32_t>(bar0, scratch), 0xbadbad);
        expect_error(name, error_of(reset), 0);
        expect("SCRATCH after " + name, opened.at.get<std::uint32_t>(bar0, scratch), scratch_reset);
    };
    reset_by("VFIO_DEVICE_RESET", [&] { opened.at.reset(); });
    reset_by("an FLR in configuration space", [&] { flr(opened.at); });
    reset_by("a reset from sysfs", [&] { write_attribute(sysfs(address) / "reset", "1"); });
}

std::array<std::uint8_t, 16> uuid_of(const std::string& text) {
    std::array<std::uint8_t, 16> out{};
    for (std::size_t i = 0, at = 0; i < text.size(); i += text[i] == '-' ? 1u : 2u)
        if (text[i] != '-') out.at(at++) = static_cast<std::uint8_t>(std::stoul(text.substr(i, 2), nullptr, 16));
    return out;
}

/// Whoever opens one of this card's functions must know the token from now on.
void set_token(const device& card) {
    std::array<std::uint8_t, 24> set{24, 0, 0, 0, VFIO_DEVICE_FEATURE_PCI_VF_TOKEN, 0, 2, 0};
    const auto uuid = uuid_of(token);
    std::copy(uuid.begin(), uuid.end(), set.begin() + 8);
    expect_error("setting the card's token", card.raw_ioctl(VFIO_DEVICE_FEATURE, set.data()), 0);
}

/// Opens a device by its own file: errno.
int file_error(const std::string& address, const std::string& vf_token = {}) {
    const container space{true};
    const unique_fd file = open_file(device_file(address));
    const auto uuid = vf_token.empty() ? std::array<std::uint8_t, 16>{} : uuid_of(vf_token);
    iommufd::bind_with_token bind;
    bind.iommufd = space.get();
    if (vf_token.empty()) bind.flags = 0;
    else bind.token = reinterpret_cast<std::uintptr_t>(uuid.data());
    return ::ioctl(file.get(), iommufd::bind_device, &bind) < 0 ? errno : 0;
}

/// The same by the devices' own files, where the kernel has these, and tokens of these (6.17).
void tokens_of_files(const std::string& card) {
    take(card, plain);
    if (!std::filesystem::exists("/dev/vfio/devices")) {
        unbind(card);
        return;
    }
    section("tokens of device files");
    parameter("vfio_pci", "enable_sriov", true);
    expect_error("creating functions", create(card, 2), 0);
    const std::string function = functions().at(0);
    {
        const user owner{card};
        set_token(owner.at);
    }
    std::array<std::vector<int>, 2> answers;
    for (const std::string& by : {plain, host}) {
        take(function, by);
        for (const std::string& with : {std::string{}, other_token, token})
            answers[by == host].push_back(file_error(function, with));
    }
    // A kernel without them knows no such flag.
    const bool known = answers[0][2] != EINVAL;
    if (known) {
        expect_error("without a token", answers[0][0], EACCES);
        expect_error("with another", answers[0][1], EACCES);
        expect_error("with the card's", answers[0][2], 0);
    }
    for (std::size_t i = 0; i < 3; ++i)
        expect_error("what the host answers, call " + std::to_string(i), answers[1][i], answers[0][i]);
    std::printf("sriov: tokens of device files are %s\n", known ? "known" : "not known");
    expect_error("functions taken away", create(card, 0), 0);
    parameter("vfio_pci", "enable_sriov", false);
    unbind(card);
    write_attribute(sysfs(card) / "driver_override", "\n");
}

/// Whether functions can be created on a card that belongs to VFIO, which driver they are for, and who may open one.
void tokens(const std::string& card, const std::string& driver) {
    const std::string module = driver == plain ? "vfio_pci" : driver;
    section(("the card under " + driver).c_str());
    take(card, driver);
    expect_error("creating functions without enable_sriov", create(card, 2), ENOENT);
    parameter(module, "enable_sriov", true);
    expect_error("creating functions", create(card, 2), 0);
    expect("functions", functions().size(), 2);
    expect("the driver that they are for", override_of(functions().at(0)), driver);
    expect("the driver that has them", driver_of(functions().at(1)), driver);

    // Both drivers answer alike, whoever has the card. A token outlives its owner's last close.
    for (const std::string& by : {plain, host}) {
        const std::string function = functions().at(0);
        take(function, by);
        expect_error("without a token, by " + by, open_error(function), EACCES);
        if (by == plain) expect_error("with a token that nobody set", open_error(function, token), EACCES);
        {
            const user owner{card};
            set_token(owner.at);
            expect_error("with another token, by " + by, open_error(function, other_token), EACCES);
            expect_error("without one, by " + by, open_error(function), EACCES);
            {
                const user opened{function, token};
                expect("SCRATCH", opened.at.get<std::uint32_t>(bar0, scratch) == scratch_reset, by == host);
            }
        }
        // While a function is open, who opens the card must know the token, too.
        const user opened{function, token};
        expect_error("the card without the token, by " + by, open_error(card), EACCES);
        expect_error("the card with it, by " + by, open_error(card, token), 0);
    }
    expect_error("functions taken away", create(card, 0), 0);
    expect("functions", functions().size(), 0);
    parameter(module, "enable_sriov", false);
    unbind(card);
    write_attribute(sysfs(card) / "driver_override", "\n");
}

/// Functions go while one is open: its user is asked to let go, and until then all of it works.
template <class F>
void goes_while_open(const char* what, const std::string& address, const std::string& vf_token, F&& remove) {
    section(what);
    std::atomic<bool> gone{false};
    std::thread removes;
    {
        const event asked;
        const user opened{address, vf_token};
        opened.at.set_irqs(VFIO_PCI_REQ_IRQ_INDEX, 0, std::array{asked.get()});
        opened.at.put<std::uint32_t>(bar0, scratch, 0xbadbad);
        removes = std::thread{[&] {
            expect_error("the removal", error_of(remove), 0);
            gone = true;
        }};
        expect("its user is asked", asked.wait(5000) != 0, true);
        for (int i = 0; i < 20; ++i) {
            expect("SCRATCH meanwhile", opened.at.get<std::uint32_t>(bar0, scratch), 0xbadbad);
            expect("MAILBOX meanwhile", opened.at.get<std::uint32_t>(bar0, mailbox) & mailbox_mark, mailbox_mark);
        }
        expect("it waits for the user", gone, false);
    }
    removes.join();
    expect("functions at the end", functions().size(), 0);
    int users = -1;
    std::ifstream{"/sys/module/vf_provider/refcnt"} >> users;
    expect("users of the provider", static_cast<unsigned>(users), 0);
}

void run() {
    const auto found = find_pci(0x8086, 0x10c9);
    if (!found) fail(ENODEV, "no igb card");
    const std::string card = *found;
    const bool stock = driver_of(card) == "igb";
    std::printf("sriov: the card is %s's\n", stock ? "igb" : plain.c_str());
    write_attribute(sysfs(card) / "sriov_drivers_autoprobe", stock ? "0" : "1");

    if (stock) {
        expect_error("igb creates functions", create(card, 2), 0);
        accesses(functions().at(0), functions().at(1));
        // A token that nobody asks for is refused, as by vfio-pci.
        expect_error("a token of a card that is not VFIO's", open_error(functions().at(0), token), EINVAL);
        expect_error("the same, plain", open_error(functions().at(1), token), EINVAL);
        resets(functions().at(0));
        goes_while_open("the card taken from igb", functions().at(0), {}, [&] { unbind(card); });
    }
    // The provider of virtual functions does not know the card; it is opened as under vfio-pci.
    parameter(host, "require_provider", false);
    write_attribute(sysfs(card) / "sriov_drivers_autoprobe", "1");
    tokens(card, plain);
    tokens(card, host);
    tokens_of_files(card);

    take(card, host);
    parameter(host, "enable_sriov", true);
    for (const bool whole : {false, true}) {
        expect_error("creating functions", create(card, 1), 0);
        set_token(user{card}.at);
        goes_while_open(whole ? "the card taken from the bus" : "functions taken away", functions().at(0), token, [&] {
            if (whole) write_attribute(sysfs(card) / "remove", "1");
            else write_attribute(sysfs(card) / "sriov_numvfs", "0");
        });
    }
    expect("the card at the end", std::filesystem::exists(sysfs(card)), false);
}

} // namespace

int main() { return run_test("sriov", run); }
