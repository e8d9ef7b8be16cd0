// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Random accesses to QEMU's edu device through /dev/vfio, compared answer by answer with those of the example
/// provider on the simulated edu device in this process. For a static program that runs in a guest, on a device
/// that the module made from that provider holds; with --plain on one that vfio-pci holds, without a provider; with
/// --user-space on one that vfio-pci holds, with the provider in a vfio-user server of this process.
///
///   guest [--plain|--user-space] [--provider NAME] [--seed N|random] [--count N] [--max-access 4|8] [ADDRESS]
///   guest --show-max-access       prints how wide the kernel's accesses to a plain edu device are, 4 or 8
///   guest --settle                brings a plain edu device to a known state, also what a provider would keep
///
/// NAME is edu, shaped_edu or every_kind; unless told, it is shaped_edu where shaped_edu_vfio_pci holds the device, else
/// edu.

#include "compare.hpp"
#include "over_vfio_user.hpp"

#include "../../examples/edu/edu.hpp"
#include "../guest/vfio_client.hpp"

#include <mediant/device/vfio_device.hpp>
#include <mediant/provider/stack.hpp>

#include <ctime>
#include <exception>

namespace {

using namespace mediant;
using namespace mediant::conformance;

/// A device that the kernel hands out.
class kernel {
public:
    explicit kernel(const std::string& address) : device_{space_, address} {}

    outcome perform(const operation& what) {
        if (what.what == operation::kind::reset) return {0, error{guest::error_of([&] { device_.reset(); })}, {}};
        auto bytes = what.bytes;
        const auto region = static_cast<std::uint32_t>(what.region);
        const auto part = std::span{bytes}.first(what.size);
        const guest::outcome came = what.what == operation::kind::read ? device_.read(region, what.offset, part)
                                                                       : device_.write(region, what.offset, part);
        return settle(what, {came.count < 0 ? 0 : static_cast<std::uint64_t>(came.count), error{came.error}}, bytes);
    }

    static void pass_time() {
        constexpr timespec millisecond{0, 1'000'000};
        ::nanosleep(&millisecond, nullptr);
    }

    [[nodiscard]] const guest::device& device() const { return device_; }

private:
    guest::container space_;
    guest::device device_;
};

/// What of BAR 0 can be mapped must be what the map says.
template <class Stack>
bool same_areas(const Stack& expected, const guest::device& got) {
    const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    std::vector<guest::area> areas;
    const auto next = [&](std::uint64_t from) { return expected.next_area(bar{0}, page, from); };
    for (range area = next(0); !area.empty(); area = next(area.end())) areas.push_back({area.offset, area.size});
    const guest::region_info info = got.region(VFIO_PCI_BAR0_REGION_INDEX);
    const bool whole = areas == std::vector<guest::area>{{0, info.size}};
    const bool same = info.sparse ? *info.sparse == areas : whole;
    std::printf("mappable areas: %zu, %s\n", areas.size(), same ? "equal" : "DIFFERENT");
    return same;
}

/// The accesses and the script, on the simulated device in this process and on the one that is there.
template <class Local, world There>
bool compare(const std::string& title, const territory& where, const options& how, const rules& front, Local& local,
             There& got) {
    in_process<Local> expected{local, front};
    settle_edu(expected);
    settle_edu(got);
    if (!where.shaped_config.empty()) {
        settle_bars(expected);
        settle_bars(got);
    }

    const auto all = generator{where, how.seed}.make(how.count);
    describe(where, all);
    const std::string name = title + ", " + std::string{front.name};
    bool same = equal(name, how.seed, all, perform(expected, all), perform(got, all));

    std::vector<operation> steps;
    const transcript polled = polled_script(expected, steps);
    steps.clear();
    const transcript polled_there = polled_script(got, steps);
    same &= equal(name + ", script", how.seed, steps, polled, polled_there);
    return same;
}

template <class... Policies>
bool compare_kernel(const char* title, const territory& where, const options& how, const std::string& address) {
    const rules& front = how.max_access == 8 ? kernel_wide : kernel_6_1;
    device::edu here{front.max_access};
    stack<device::edu, Policies...> local{here};
    if (!local.open()) throw std::runtime_error{"the simulated device does not open"};
    kernel got{address};
    bool same = compare(title, where, how, front, local, got);
    same &= same_areas(local, got.device());
    local.release();
    return same;
}

/// The provider in user space, over the device that vfio-pci holds.
template <class... Policies>
bool compare_user_space(const char* title, const territory& where, const options& how, const std::string& address) {
    const rules& front = how.max_access == 8 ? vfio_user_8 : vfio_user_4;
    device::edu here{front.max_access};
    stack<device::edu, Policies...> local{here};
    if (!local.open()) throw std::runtime_error{"the simulated device does not open"};
    const char* const iommufd = std::getenv("MEDIANT_IOMMUFD");
    device::vfio_device there{*device::pci_address::parse(address),
                              {.how = iommufd != nullptr ? device::vfio_options::iommu::iommufd
                                                         : device::vfio_options::iommu::type1}};
    stack<device::vfio_device, Policies...> served{there};
    over_vfio_user got{served};
    const bool same = compare(title, where, how, front, local, got);
    local.release();
    return same;
}

/// edu answers accesses of 8 bytes to its registers below 0x80 with ones, and those of 4 bytes with what they hold.
unsigned plain_max_access(const std::string& address) {
    const guest::container space;
    const guest::device edu{space, address};
    edu.enable();
    return edu.get<std::uint64_t>(VFIO_PCI_BAR0_REGION_INDEX, 0) == ~std::uint64_t{0} ? 8 : 4;
}

} // namespace

int main(int argc, char** argv) {
    // Line by line, so that a guest that dies shows how far it came.
    std::setvbuf(stdout, nullptr, _IOLBF, 0);
    try {
        const bool show = argc == 2 && std::string_view{argv[1]} == "--show-max-access";
        const options how = parse(show ? 1 : argc, argv);
        std::string address = how.device;
        if (address.empty()) {
            const auto found = guest::find_pci(device::edu::id.vendor, device::edu::id.device);
            if (!found) throw std::runtime_error{"there is no edu device"};
            address = *found;
        }
        if (show) {
            std::printf("%u\n", plain_max_access(address));
            return 0;
        }
        std::printf("%s, held by %s\n", address.c_str(), guest::driver_of(address).c_str());
        if (how.plain) return compare_kernel<>("no provider", edu_territory(), how, address) ? 0 : 1;
        if (how.settle) {
            kernel plain{address};
            settle_edu(plain);
            settle_dma(plain);
            return 0;
        }

        if (how.provider == "every_kind")
            return compare_kernel<every_kind>("every_kind", every_kind_territory(), how, address) ? 0 : 1;
        if (how.provider == "shaped_edu" ||
            (how.provider.empty() && guest::driver_of(address) == "shaped_edu_vfio_pci"))
            return compare_kernel<shaped_edu>("shaped_edu", shaped_edu_territory(), how, address) ? 0 : 1;
        if (!how.provider.empty() && how.provider != "edu") throw std::invalid_argument{"no provider " + how.provider};
        territory mediated = edu_territory();
        mediated.around<acme::edu::bar0>();
        mediated.untouched = {{device::edu::factorial, 4}}; // the DMA block is virtual
        if (!how.user_space) return compare_kernel<acme::edu>("acme::edu", mediated, how, address) ? 0 : 1;
        bool same = compare_user_space<acme::edu>("acme::edu over VFIO", mediated, how, address);
        same &= compare_user_space<>("no provider, over VFIO", edu_territory(), how, address);
        same &= compare_user_space<shaped_edu>("shaped_edu over VFIO", shaped_edu_territory(), how, address);
        return same ? 0 : 1;
    } catch (const std::exception& e) {
        std::printf("error: %s\n", e.what());
        return 2;
    }
}
