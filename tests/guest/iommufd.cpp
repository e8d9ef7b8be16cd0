// SPDX-License-Identifier: BSD-3-Clause

/// \file
/// Runs in a guest whose kernel has VFIO's character devices: the life of a device that is opened by its own file and
/// bound to IOMMUFD, under plain vfio-pci and then under the variant module of acme::edu. (The other tests take the
/// same way with MEDIANT_IOMMUFD in their environment.)
///
///   iommufd [MODULE]
///
/// Ends with 0 if all is as expected.

#include "expect.hpp"

#include <array>
#include <string>
#include <vector>

namespace {

using namespace mediant::guest;

constexpr std::uint32_t bar0 = VFIO_PCI_BAR0_REGION_INDEX;

std::uint64_t error_number(auto&& call) { return static_cast<std::uint64_t>(error_of(call)); }

void life(const std::string& address, std::uint32_t ident) {
    const container space{true};
    const auto bind = [&](const unique_fd& fd) {
        iommufd::bind request;
        request.iommufd = space.get();
        control(fd.get(), iommufd::bind_device, "VFIO_DEVICE_BIND_IOMMUFD", &request);
    };
    const auto attach = [&](const unique_fd& fd) {
        iommufd::attach request;
        request.pt_id = *space.ioas();
        control(fd.get(), iommufd::attach_device, "VFIO_DEVICE_ATTACH_IOMMUFD_PT", &request);
    };
    const auto detach = [&](const unique_fd& fd) {
        iommufd::detach request;
        control(fd.get(), iommufd::detach_device, "VFIO_DEVICE_DETACH_IOMMUFD_PT", &request);
    };
    std::array<std::byte, 4> bytes{};
    {
        const unique_fd file = open_file(device_file(address));
        // Bound to nothing yet, it answers nothing.
        vfio_device_info info{};
        info.argsz = sizeof info;
        expect("information before binding",
               error_number([&] { control(file.get(), VFIO_DEVICE_GET_INFO, "VFIO_DEVICE_GET_INFO", &info); }), EINVAL);
        expect("read before binding", static_cast<std::uint64_t>(::pread(file.get(), bytes.data(), bytes.size(), 0)),
               static_cast<std::uint64_t>(-1));
        expect("attaching before binding", error_number([&] { attach(file); }), EINVAL);

        bind(file);
        expect("binding twice", error_number([&] { bind(file); }), EINVAL);
        expect("opening the group beside it", error_number([&] { open_file("/dev/vfio/" + iommu_group(address)); }), EBUSY);
        const unique_fd other = open_file(device_file(address));
        expect("binding a second file", error_number([&] { bind(other); }) != 0, true);

        attach(file);
        detach(file);
        attach(file);
        // Left attached: closing does the rest.
    }
    for (int round = 0; round < 20; ++round) {
        const device edu{space, address};
        edu.enable();
        expect("IDENT", edu.get<std::uint32_t>(bar0, 0), ident);
        edu.reset();
        edu.enable();
        expect("IDENT after a reset", edu.get<std::uint32_t>(bar0, 0), ident);
    }
}

/// How address spaces of PASIDs are answered, which need not be there: errno of each call.
std::vector<int> pasids(const std::string& address) {
    const container space{true};
    const unique_fd file = open_file(device_file(address));
    iommufd::bind bind;
    bind.iommufd = space.get();
    control(file.get(), iommufd::bind_device, "VFIO_DEVICE_BIND_IOMMUFD", &bind);
    std::vector<int> errors;
    const auto call = [&](unsigned long what, auto request) {
        errors.push_back(::ioctl(file.get(), what, &request) < 0 ? errno : 0);
    };
    iommufd::attach_pasid attach;
    attach.pt_id = *space.ioas();
    iommufd::attach_pasid nowhere = attach, cut_off = attach;
    nowhere.pt_id = 0xffff;
    cut_off.argsz = 12;
    iommufd::attach whole;
    whole.pt_id = attach.pt_id;
    for (int round = 0; round < 2; ++round) {
        call(iommufd::attach_device, attach);
        call(iommufd::attach_device, nowhere);
        call(iommufd::attach_device, cut_off);
        call(iommufd::detach_device, iommufd::detach_pasid{});
        call(iommufd::attach_device, whole); // then beside the device's own
    }
    return errors;
}

} // namespace

int main(int argc, char** argv) {
    return run_test("iommufd", [&] {
        const std::string module = argc > 1 ? argv[1] : "edu_vfio_pci";
        const auto address = find_pci(0x1234, 0x11e8);
        if (!address) fail(ENODEV, "no edu device");
        section("plain vfio-pci");
        if (!bind(*address, "vfio-pci")) fail(EBUSY, "vfio-pci did not take " + *address);
        life(*address, 0x010000ed);
        const std::vector<int> plain = pasids(*address);
        section(module.c_str());
        if (!bind(*address, module)) fail(EBUSY, module + " did not take " + *address);
        life(*address, 0x01ac00ed);
        const std::vector<int> mediated = pasids(*address);
        for (std::size_t i = 0; i < plain.size(); ++i) {
            std::printf("iommufd: call %zu of PASIDs: %s\n", i, std::strerror(plain[i]));
            expect("the errno of call " + std::to_string(i), static_cast<unsigned>(mediated[i]),
                   static_cast<unsigned>(plain[i]));
        }
    });
}
