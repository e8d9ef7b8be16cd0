// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Runs in a guest: every ioctl of a device's file with arguments that make sense and with those that do not, first
/// under plain vfio-pci, then under the driver that is named, mediated and passed through. What is answered, errno and
/// what was written to the argument, is compared call by call; the two places where a provider's own answer is due
/// (ioeventfd, and the size of what region info says) are held to that.
///
///   ioctls DRIVER VENDOR:DEVICE...
///
/// Each device must be alone in its IOMMU group. The driver's provider traps accesses to BAR0 of each.

#include "expect.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace mediant::guest;

/// How a mediated answer may differ from vfio-pci's.
enum class rule {
    same,    ///< not at all
    error,   ///< in what is said, not in whether it is
    refused, ///< EINVAL, whatever vfio-pci says
};

struct answer {
    std::string call;
    rule mediated = rule::same;
    int error = 0;
    std::vector<std::byte> argument; ///< as it was left
};

using words = std::vector<std::uint32_t>;

std::string text(const char* name, const words& numbers) {
    std::string out = name;
    for (const std::uint32_t number : numbers) {
        std::array<char, 12> digits{};
        std::snprintf(digits.data(), digits.size(), " %x", number);
        out += digits.data();
    }
    return out;
}

constexpr std::size_t page = 0x1000;

/// One device's answers.
class sweep {
public:
    sweep(const device& at, const event& signal) : at_{at}, signal_{signal.get()}, memory_{2 * page} {
        if (::mprotect(memory_.bytes().data() + page, page, PROT_NONE) != 0) fail(errno, "mprotect");
        device_info();
        region_info();
        irq_info();
        for (std::uint32_t index = 0; index <= VFIO_PCI_NUM_IRQS; ++index) set_irqs(index);
        set_irqs(~0u);
        features();
        hot_resets();
        ioeventfds();
        numbers();
    }

    [[nodiscard]] std::vector<answer> take() { return std::move(answers_); }

private:
    /// One call, with `argument` filled up to `size` bytes, of which memory ends after `there`.
    int call(const char* name, unsigned long request, const words& argument, std::size_t size, std::size_t there,
             rule mediated = rule::same) {
        there = std::min(there, size);
        std::byte* const begin = memory_.bytes().data() + page - there;
        std::vector<std::byte> bytes(size, std::byte{0});
        std::memcpy(bytes.data(), argument.data(), std::min(size, 4 * argument.size()));
        std::memcpy(begin, bytes.data(), there);
        const int error = at_.raw_ioctl(request, begin);
        std::string call = text(name, argument);
        if (there != size) call += ", " + std::to_string(there) + " of " + std::to_string(size) + " bytes there";
        answers_.push_back({std::move(call), mediated, error, {begin, begin + there}});
        return error;
    }
    /// ... with memory that ends before, at and within each part of the argument.
    void faults(const char* name, unsigned long request, const words& argument, std::size_t size,
                rule mediated = rule::same) {
        for (std::size_t there = 0; there <= size; ++there) call(name, request, argument, size, there, mediated);
    }

    void device_info() {
        for (std::uint32_t argsz = 0; argsz <= 32; ++argsz)
            call("GET_INFO", VFIO_DEVICE_GET_INFO, {argsz}, 32, 32);
        call("GET_INFO", VFIO_DEVICE_GET_INFO, {~0u, ~0u, ~0u, ~0u, ~0u, ~0u}, 256, 256);
        faults("GET_INFO", VFIO_DEVICE_GET_INFO, {32}, 32);
    }

    void region_info() {
        for (const std::uint32_t index : {0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u, 9u, 10u, 0x7fffffffu, ~0u}) {
            const rule here = index == 0 ? rule::error : rule::same;
            for (std::uint32_t argsz = 0; argsz <= 40; ++argsz)
                call("GET_REGION_INFO", VFIO_DEVICE_GET_REGION_INFO, {argsz, 0, index}, 256, 256, here);
            // A flag, a capability's offset, a size: what is the kernel's to write.
            call("GET_REGION_INFO", VFIO_DEVICE_GET_REGION_INFO, {256, ~0u, index, ~0u, ~0u, ~0u}, 256, 256, here);
            for (std::size_t there = 0; there <= 32; ++there)
                call("GET_REGION_INFO", VFIO_DEVICE_GET_REGION_INFO, {32, 0, index}, 32, there, here);
        }
    }

    void irq_info() {
        for (const std::uint32_t index : {0u, 1u, 2u, 3u, 4u, 5u, 6u, 0x7fffffffu, ~0u}) {
            for (std::uint32_t argsz = 0; argsz <= 20; ++argsz)
                call("GET_IRQ_INFO", VFIO_DEVICE_GET_IRQ_INFO, {argsz, 0, index}, 32, 32);
            call("GET_IRQ_INFO", VFIO_DEVICE_GET_IRQ_INFO, {32, ~0u, index, ~0u}, 32, 32);
            faults("GET_IRQ_INFO", VFIO_DEVICE_GET_IRQ_INFO, {16, 0, index}, 16);
        }
    }

    /// All off, as before each call.
    void quiet() {
        for (std::uint32_t index = 0; index < VFIO_PCI_NUM_IRQS; ++index) {
            std::array<std::uint32_t, 5> off{20, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, index, 0, 0};
            static_cast<void>(at_.raw_ioctl(VFIO_DEVICE_SET_IRQS, off.data()));
        }
    }

    void irqs(words argument, std::size_t size, std::size_t there) {
        const bool done = call("SET_IRQS", VFIO_DEVICE_SET_IRQS, argument, size, there) == 0;
        if (done) quiet();
    }

    void set_irqs(std::uint32_t index) {
        constexpr std::uint32_t head = sizeof(vfio_irq_set);
        const auto signal = static_cast<std::uint32_t>(signal_);
        std::uint32_t count = 0;
        static_cast<void>(error_of([&] { count = at_.irq(index).count; }));
        quiet();
        // Each set of flags, and some that there are not, with each start and count; data for two interrupts.
        for (std::uint32_t flags = 0; flags < 66; ++flags)
            for (const std::uint32_t start : {0u, 1u, count - 1, count, ~0u})
                for (const std::uint32_t many : {0u, 1u, 2u, count + 1, 0x40000001u, ~0u})
                    for (const std::uint32_t data : {signal, ~0u, 0u})
                        irqs({head + 8, flags < 64 ? flags : 1u << (flags == 64 ? 6 : 31), index, start, many, data, data},
                             head + 8, head + 8);
        constexpr std::uint32_t eventfd = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
        constexpr std::uint32_t boolean = VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_ACTION_TRIGGER;
        for (const std::uint32_t flags : {eventfd, boolean, eventfd ^ VFIO_IRQ_SET_ACTION_TRIGGER ^ VFIO_IRQ_SET_ACTION_UNMASK}) {
            // Sizes that leave the data out, cut it off, or are beyond it.
            for (std::uint32_t argsz = 0; argsz <= head + 8; ++argsz) irqs({argsz, flags, index, 0, 1, signal, signal}, head + 8, head + 8);
            irqs({~0u, flags, index, 0, 1, signal}, head + 8, head + 8);
            // Files that are none, or not an eventfd.
            for (const std::uint32_t file : {9999u, 0x7fffffffu, ~1u, 0x80000000u, static_cast<std::uint32_t>(at_.get()), 0u})
                irqs({head + 4, flags, index, 0, 1, file}, head + 4, head + 4);
            // A good one, then a bad one: the first must not stay.
            irqs({head + 8, flags, index, 0, 2, signal, 9999}, head + 8, head + 8);
            for (std::size_t there = 0; there <= head + 8; ++there)
                irqs({head + 8, flags, index, 0, 2, signal, signal}, head + 8, there);
        }
    }

    void features() {
        const auto signal = static_cast<std::uint32_t>(signal_);
        const auto feature = [&](const words& argument, std::size_t size, std::size_t there) {
            call("FEATURE", VFIO_DEVICE_FEATURE, argument, size, there);
            // Out of the low-power state, in which the device may now be.
            std::array<std::uint32_t, 2> leave{8, 5u | VFIO_DEVICE_FEATURE_SET};
            static_cast<void>(at_.raw_ioctl(VFIO_DEVICE_FEATURE, leave.data()));
        };
        for (const std::uint32_t number : {0u, 1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u, 9u, 10u, 11u, 12u, 13u, 14u, 0xffffu}) {
            for (std::uint32_t operation = 0; operation < 16; ++operation) {
                const std::uint32_t flags = number | operation << 16;
                for (const std::uint32_t argsz : {0u, 7u, 8u, 9u, 12u, 15u, 16u, 24u, 40u, ~0u}) {
                    feature({argsz, flags}, 64, 64);
                    feature({argsz, flags, signal}, 64, 64);
                    feature({argsz, flags, 0xeeeeeeee, 0xeeeeeeee, 0xeeeeeeee, 0xeeeeeeee}, 64, 64);
                }
            }
            for (std::uint32_t operation = 0; operation < 4; ++operation)
                for (std::size_t there = 0; there <= 24; ++there) feature({24, number | operation << 16}, 24, there);
        }
        // BUS_MASTER may have been turned off.
        at_.enable();
    }

    void hot_resets() {
        for (std::uint32_t argsz = 0; argsz <= 40; ++argsz)
            call("HOT_RESET_INFO", VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, {argsz}, 64, 64);
        faults("HOT_RESET_INFO", VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, {64}, 64);
        for (std::uint32_t argsz = 0; argsz <= 20; ++argsz)
            call("HOT_RESET", VFIO_DEVICE_PCI_HOT_RESET, {argsz, 0, 1, ~0u}, 20, 20);
        for (const std::uint32_t flags : {0u, 1u, ~0u})
            for (const std::uint32_t count : {0u, 1u, 2u, 3u, 0x10000u, 0x40000000u, ~0u})
                for (const std::uint32_t file : {~0u, 9999u, 0x7fffffffu, static_cast<std::uint32_t>(signal_), static_cast<std::uint32_t>(at_.get())})
                    call("HOT_RESET", VFIO_DEVICE_PCI_HOT_RESET, {20, flags, count, file, file}, 20, 20);
        faults("HOT_RESET", VFIO_DEVICE_PCI_HOT_RESET, {20, 0, 2, 9999, 9999}, 20);
    }

    void ioeventfds() {
        const auto signal = static_cast<std::uint32_t>(signal_);
        const auto at = [&](std::uint32_t argsz, std::uint32_t flags, std::uint64_t offset, std::uint32_t file) {
            call("IOEVENTFD", VFIO_DEVICE_IOEVENTFD,
                 {argsz, flags, static_cast<std::uint32_t>(offset), static_cast<std::uint32_t>(offset >> 32), 1, 0, file}, 32, 32,
                 rule::refused);
        };
        for (std::uint32_t argsz = 0; argsz <= 32; ++argsz) at(argsz, 4, 0x100, signal);
        for (std::uint64_t index = 0; index <= VFIO_PCI_NUM_REGIONS; ++index)
            for (const std::uint64_t offset : {0x0u, 0x2u, 0x100u, 0x1001u, 0x3ffcu, 0x7fffffffu})
                for (std::uint32_t flags = 0; flags <= 17; ++flags)
                    for (const std::uint32_t file : {signal, ~0u, 9999u}) at(32, flags, index << 40 | offset, file);
        for (std::size_t there = 0; there <= 32; ++there)
            call("IOEVENTFD", VFIO_DEVICE_IOEVENTFD, {32, 4, 0x100, 0, 1, 0, 9999}, 32, there, rule::refused);
    }

    void numbers() {
        for (std::uint32_t number = 0; number < 256; ++number) {
            const unsigned long request = _IO(VFIO_TYPE, number);
            const bool doorbell = request == VFIO_DEVICE_IOEVENTFD;
            call(("ioctl " + std::to_string(number)).c_str(), request, {}, 64, 0, doorbell ? rule::refused : rule::same);
            call(("ioctl " + std::to_string(number)).c_str(), _IOWR(VFIO_TYPE, number, vfio_region_info), {}, 64, 64);
            call(("another's ioctl " + std::to_string(number)).c_str(), _IO('x', number), {}, 64, 64);
        }
    }

    const device& at_;
    int signal_;
    mapping memory_;
    std::vector<answer> answers_;
};

std::vector<answer> answers_of(const std::string& address, const std::string& driver, const event& signal) {
    if (!bind(address, driver)) fail(EBUSY, driver + " did not take " + address);
    const container space;
    const device opened{space, address};
    opened.enable();
    return sweep{opened, signal}.take();
}

void compare(const std::vector<answer>& plain, const std::vector<answer>& other, bool mediated) {
    expect("calls", plain.size(), other.size());
    for (std::size_t i = 0; i < std::min(plain.size(), other.size()); ++i) {
        const answer& one = other[i];
        const rule by = mediated ? one.mediated : rule::same;
        expect(one.call, static_cast<unsigned>(one.error), static_cast<unsigned>(by == rule::refused ? EINVAL : plain[i].error));
        if (by == rule::same) expect(one.call + ": what was written", one.argument == plain[i].argument, true);
    }
}

void run(const std::string& driver, const std::string& id) {
    const auto colon = id.find(':');
    const auto address = find_pci(static_cast<std::uint16_t>(std::stoul(id, nullptr, 16)),
                                  static_cast<std::uint16_t>(std::stoul(id.substr(colon + 1), nullptr, 16)));
    if (!address) fail(ENODEV, id);
    const std::string pass_through = "/sys/module/" + driver + "/parameters/pass_through";
    const event signal;

    section(("the ioctls of " + id).c_str());
    const std::vector<answer> plain = answers_of(*address, "vfio-pci", signal);
    std::map<int, long> errors;
    for (const answer& one : plain) ++errors[one.error];
    for (const auto& [error, count] : errors) std::printf("  %ld: %s\n", count, error != 0 ? std::strerror(error) : "no error");
    for (const int error : {0, EINVAL, EFAULT, ENOTTY, EBADF}) expect("an errno that must occur", errors[error] != 0, true);

    compare(plain, answers_of(*address, driver, signal), true);
    write_attribute(pass_through, "1");
    compare(plain, answers_of(*address, driver, signal), false);
    write_attribute(pass_through, "0");
    unbind(*address);
}

} // namespace

int main(int argc, char** argv) {
    return run_test("ioctls", [&] {
        if (argc < 3) fail(EINVAL, "a driver and a device are needed");
        for (int i = 2; i < argc; ++i) run(argv[1], argv[i]);
    });
}
