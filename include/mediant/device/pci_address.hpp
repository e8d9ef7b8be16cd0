// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/pci/id.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

/// The machine's own PCI functions, as sysfs shows them (Documentation/ABI/testing/sysfs-bus-pci).
namespace mediant::device {

/// Where a PCI function of this machine is: DDDD:BB:DD.F, in hexadecimal.
class pci_address {
public:
    /// nullopt where the text has another shape. Without a domain it is 0000's.
    [[nodiscard]] static std::optional<pci_address> parse(std::string_view text) {
        constexpr std::string_view shape = "hhhh:hh:hh.o";
        constexpr std::size_t domain = 5;
        std::string full{text};
        if (full.size() == shape.size() - domain) full.insert(0, "0000:");
        if (full.size() != shape.size()) return std::nullopt;
        for (std::size_t i = 0; i < shape.size(); ++i) {
            char& c = full[i];
            if (c >= 'A' && c <= 'F') c = static_cast<char>(c - 'A' + 'a');
            const bool octal = c >= '0' && c <= '7';
            const bool hexadecimal = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
            if (shape[i] == 'h' ? !hexadecimal : shape[i] == 'o' ? !octal : c != shape[i]) return std::nullopt;
        }
        return pci_address{std::move(full)};
    }

    [[nodiscard]] const std::string& text() const noexcept { return text_; }

    /// What the function says of itself. Throws std::system_error where there is none.
    [[nodiscard]] device_id id() const {
        return {number("vendor"), number("device"), number("subsystem_vendor"), number("subsystem_device"),
                number("class")};
    }

    /// The driver that holds it; empty if none does.
    [[nodiscard]] std::string driver() const { return link("driver"); }
    /// Its IOMMU group's number; empty where no IOMMU translates for it.
    [[nodiscard]] std::string iommu_group() const { return link("iommu_group"); }
    /// What VFIO calls it; its character device, if there is one, has that name below /dev/vfio/devices. Empty where no
    /// driver of VFIO's holds it, or one of a kernel before 6.1.
    [[nodiscard]] std::string vfio_name() const {
        std::error_code none;
        for (const auto& each : std::filesystem::directory_iterator{folder() / "vfio-dev", none})
            return each.path().filename().string();
        return {};
    }

private:
    explicit pci_address(std::string text) : text_{std::move(text)} {}

    [[nodiscard]] std::filesystem::path folder() const { return std::filesystem::path{"/sys/bus/pci/devices"} / text_; }

    [[nodiscard]] std::string link(const char* name) const {
        std::error_code none;
        return std::filesystem::read_symlink(folder() / name, none).filename().string();
    }

    [[nodiscard]] std::uint32_t number(const char* attribute) const {
        std::uint32_t value = 0;
        if (!(std::ifstream{folder() / attribute} >> std::hex >> value))
            throw std::system_error{ENODEV, std::generic_category(), text_ + ": no such PCI device"};
        return value;
    }

    std::string text_;
};

} // namespace mediant::device
