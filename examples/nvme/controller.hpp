// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/mediant.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace acme {
using namespace mediant;

/// What a user gets of an NVMe controller.
struct nvme_limits {
    static constexpr std::uint32_t queue_entries = 256; ///< at most, of the admin queues and as CAP.MQES says
    static constexpr std::uint32_t newest = 0x0001'0400; ///< VS of the specification that the map follows
};

namespace nvme_map {
/// A register is accessed whole, and one of 64 bits also by halves (3.1). Other widths read as ones and write nothing.
consteval reg_options whole(reg_options facts = {}) {
    facts.widths = facts.bits == 64 ? width::bits32 | width::bits64 : width::bits32;
    facts.otherwise = otherwise::swallow;
    return facts;
}
/// A register of an optional feature that users do not get.
consteval reg<> absent(std::string_view name, std::uint64_t offset, unsigned bits = 32) {
    return {name, offset, ro, whole({.backing = from::constant, .bits = bits})};
}
consteval block reserved_bytes(std::string_view name, std::uint64_t offset, std::uint64_t end) {
    return {name, offset, end - offset, {.kind = ro, .backing = from::constant}};
}
inline constexpr field_options none{.backing = from::constant};
inline constexpr field_options held{.backing = from::shadow};

/// Everything before the doorbells, by NVM Express Base 1.4, 3.1. What is not stated there is not reached.
inline constexpr auto controller = map_part{
    reg{"CAP", 0x00, fields{
        field{"MQES",    0, 16, ro},       // the hook lowers it
        field{"CQR",    16,  1, ro},
        field{"AMS",    17,  2, ro},
        reserved{19, 5},
        field{"TO",     24,  8, ro},
        field{"DSTRD",  32,  4, ro},
        field{"NSSRS",  36,  1, ro, none}, // no reset of what other controllers share
        field{"CSS",    37,  8, ro},
        field{"BPS",    45,  1, ro, none},
        reserved{46, 2},
        field{"MPSMIN", 48,  4, ro},
        field{"MPSMAX", 52,  4, ro},
        field{"PMRS",   56,  1, ro, none}, // queues and data stay in the user's memory
        field{"CMBS",   57,  1, ro, none},
        reserved{58, 6}}, whole({.hook = on::read, .bits = 64})},
    reg{"VS",     0x08, ro, whole()},
    reg{"INTMS",  0x0c, w1s, whole()},
    reg{"INTMC",  0x10, w1c, whole()},
    reg{"CC", 0x14, fields{
        field{"EN",      0, 1, rw, held},
        reserved{1, 3},
        field{"CSS",     4, 3, rw, held},
        field{"MPS",     7, 4, rw, held},
        field{"AMS",    11, 3, rw, held},
        field{"SHN",    14, 2, rw, held},
        field{"IOSQES", 16, 4, rw, held},
        field{"IOCQES", 20, 4, rw, held},
        reserved{24, 8}}, whole({.hook = on::write})},
    reserved_bytes("RESERVED_18", 0x18, 0x1c),
    reg{"CSTS", 0x1c, fields{
        field{"RDY",   0, 1, ro},
        field{"CFS",   1, 1, ro},          // also where the provider refused to enable
        field{"SHST",  2, 2, ro},
        field{"NSSRO", 4, 1, ro, none},
        field{"PP",    5, 1, ro},
        reserved{6, 26}}, whole({.hook = on::read})},
    absent("NSSR", 0x20),
    reg{"AQA", 0x24, fields{
        field{"ASQS",  0, 12, rw, held},
        reserved{12, 4},
        field{"ACQS", 16, 12, rw, held},
        reserved{28, 4}}, whole()},
    reg{"ASQ", 0x28, fields{reserved{0, 12}, field{"ASQB", 12, 52, rw, held}}, whole({.bits = 64})},
    reg{"ACQ", 0x30, fields{reserved{0, 12}, field{"ACQB", 12, 52, rw, held}}, whole({.bits = 64})},
    absent("CMBLOC", 0x38), absent("CMBSZ", 0x3c),
    absent("BPINFO", 0x40), absent("BPRSEL", 0x44), absent("BPMBL", 0x48, 64),
    absent("CMBMSC", 0x50, 64), absent("CMBSTS", 0x58),
    reserved_bytes("RESERVED_5C", 0x5c, 0xe00),
    absent("PMRCAP", 0xe00), absent("PMRCTL", 0xe04), absent("PMRSTS", 0xe08), absent("PMREBS", 0xe0c),
    absent("PMRSWTP", 0xe10), absent("PMRMSCL", 0xe14), absent("PMRMSCU", 0xe18),
    reserved_bytes("RESERVED_E1C", 0xe1c, 0x1000)};
} // namespace nvme_map

/// An NVMe controller whose configuration is checked before it takes effect; what providers differ in is who has the
/// doorbells. The admin queues are kept here until CC.EN is set, and reach the device then, whole. What is refused
/// shows as a controller's own refusal does: CSTS.CFS, until CC.EN is cleared.
template <const auto& Doorbells>
struct nvme_controller {
    static constexpr auto bar0 = region_map{bar{0}, 16_KiB, nvme_map::controller, Doorbells};
    static constexpr auto regions = mediant::regions<bar0>{};

    /// Declines a controller of a later specification, which may have more than the map knows.
    result<void> open(auto& next) noexcept {
        const auto version = next.read(at<bar0, "VS">{});
        if (!version) return version.error();
        const auto cap = next.read(at<bar0, "CAP">{});
        if (!cap) return cap.error();
        if (*version > nvme_limits::newest) {
            next.log("nvme: declined a controller that is newer than the map (VS)", *version);
            return error::no_device;
        }
        constexpr std::uint64_t most = nvme_limits::queue_entries - 1;
        capabilities = (*cap & 0xffff) > most ? (*cap & ~0xffffull) | most : *cap;
        return {};
    }
    void reset() noexcept { refused = false; }

    result<std::uint64_t> read(at<bar0, "CAP">, auto&) noexcept { return capabilities; }

    result<std::uint32_t> read(at<bar0, "CSTS"> reg, auto& next) noexcept {
        const auto status = next.read(reg);
        return status && refused ? result<std::uint32_t>{*status | csts_failed} : status;
    }

    result<void> write(at<bar0, "CC"> reg, std::uint32_t value, auto& next) noexcept {
        const std::uint32_t before = next.held(reg);
        const bool was = (before & cc_enable) != 0;
        const bool now = (value & cc_enable) != 0;
        bool refuse = now && refused;
        if (was && now) { // what was checked stays; only a shutdown may be asked for
            value = (before & ~cc_shutdown) | (value & cc_shutdown);
        } else if (now) {
            const char* const why = objection(value, next);
            refuse = why != nullptr;
            if (refuse)
                next.log(why, value, next.held(at<bar0, "AQA">{}));
            else if (const auto told = tell_queues(next); !told)
                return told;
        }
        value &= cc_defined;
        if (const auto told = to_device(reg, refuse ? value & ~cc_enable : value, next); !told) return told;
        if (was != now && !refuse && !refused)
            next.log(now ? "nvme: enabled with CC, AQA" : "nvme: disabled with CC, AQA", value, admin_queues);
        refused = refuse;
        return next.write(reg, value);
    }

protected:
    /// Whether the controller runs, or is on its way to it.
    [[nodiscard]] bool enabled(auto& next) const { return (next.held(at<bar0, "CC">{}) & cc_enable) != 0 && !refused; }

    /// Entries of a queue: an I/O queue's as many as it may have, since commands create it.
    [[nodiscard]] std::uint32_t submission_entries(std::size_t queue) const {
        return queue == 0 ? (admin_queues & 0xfff) + 1 : io_entries();
    }
    [[nodiscard]] std::uint32_t completion_entries(std::size_t queue) const {
        return queue == 0 ? (admin_queues >> 16 & 0xfff) + 1 : io_entries();
    }
    [[nodiscard]] unsigned doorbell_stride() const { return 4u << part(capabilities, 32, 4); }

private:
    static constexpr std::uint32_t cc_enable = 0x1;
    static constexpr std::uint32_t cc_shutdown = 0xc000;
    static constexpr std::uint32_t cc_defined = 0x00ff'fff1;
    static constexpr std::uint32_t csts_failed = 0x2;
    static constexpr unsigned admin_only = 7; ///< CC.CSS: no I/O queues
    static constexpr unsigned submission_entry = 6, completion_entry = 4; ///< of the NVM command set, as powers of two

    [[nodiscard]] static constexpr unsigned part(std::uint64_t value, unsigned low, unsigned bits) {
        return static_cast<unsigned>(value >> low & ((1u << bits) - 1));
    }
    [[nodiscard]] std::uint32_t io_entries() const { return part(capabilities, 0, 16) + 1; }

    /// Why the controller must not be enabled like this (CC, AQA); null where it may.
    [[nodiscard]] const char* objection(std::uint32_t cc, auto& next) const {
        const unsigned page = part(cc, 7, 4);
        if (page < part(capabilities, 48, 4) || page > part(capabilities, 52, 4)) return "nvme: refused CC.MPS";
        const unsigned commands = part(cc, 4, 3);
        if ((part(capabilities, 37, 8) >> commands & 1) == 0) return "nvme: refused CC.CSS";
        const unsigned arbitration = part(cc, 11, 3), offered = part(capabilities, 17, 2);
        if (arbitration != 0 && !(arbitration == 1 && (offered & 1) != 0) && !(arbitration == 7 && (offered & 2) != 0))
            return "nvme: refused CC.AMS";
        if (commands != admin_only && (part(cc, 16, 4) != submission_entry || part(cc, 20, 4) != completion_entry))
            return "nvme: refused CC.IOSQES or CC.IOCQES";
        const std::uint32_t admin = next.held(at<bar0, "AQA">{});
        for (const unsigned entries : {part(admin, 0, 12) + 1, part(admin, 16, 12) + 1})
            if (entries < 2 || entries > nvme_limits::queue_entries) return "nvme: refused AQA";
        const std::uint64_t within_page = (std::uint64_t{4096} << page) - 1;
        if (((next.held(at<bar0, "ASQ">{}) | next.held(at<bar0, "ACQ">{})) & within_page) != 0)
            return "nvme: refused ASQ or ACQ";
        return nullptr;
    }

    result<void> tell_queues(auto& next) {
        admin_queues = next.held(at<bar0, "AQA">{});
        if (const auto told = to_device(at<bar0, "AQA">{}, admin_queues, next); !told) return told;
        if (const auto told = to_device(at<bar0, "ASQ">{}, next.held(at<bar0, "ASQ">{}), next); !told) return told;
        return to_device(at<bar0, "ACQ">{}, next.held(at<bar0, "ACQ">{}), next);
    }

    /// Past the shadow.
    template <class Register>
    static result<void> to_device(Register, typename Register::value_type value, auto& next) {
        return next.store(Register::map.region, Register::facts().offset, value);
    }

    std::uint64_t capabilities = 0;  ///< CAP as users see it; the device's does not change
    std::uint32_t admin_queues = 0;  ///< AQA when the controller was enabled
    bool refused = false;
};

} // namespace acme
