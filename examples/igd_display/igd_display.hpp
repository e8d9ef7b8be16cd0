// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/mediant.hpp>

#include <cstddef>
#include <cstdint>

namespace acme {
using namespace mediant;

/// Intel's graphics of generation 9 (Iris Pro 580, Iris Plus 650), passed through to a guest, of which a user follows what
/// the guest shows: while a pipe is watched, the page of its planes' registers traps, and each flip is counted and its
/// surface kept. A pipe that nobody watches is the guest's alone, and its page may be mapped.
///
/// Registers: Intel Open Source Graphics Programmer's Reference Manual, Skylake and Kaby Lake, volume 2c, "Command
/// Reference: Registers": PLANE_SURF, PLANE_SURFLIVE. WATCH and what follows are this provider's, in the page that i915
/// keeps for mediators (drivers/gpu/drm/i915/i915_pvinfo.h).
struct igd_display {
    static constexpr auto info = provider{"igd_display", {pci_id{0x8086, 0x193b}, pci_id{0x8086, 0x5927}},
        {.description = "Intel display whose planes are watched at times", .author = "Acme"}};

    static constexpr unsigned pipes = 3;
    static constexpr auto bar0 = region_map{bar{0}, 16_MiB,
        dynamic{"PIPE_A", 0x70000, 4_KiB},
        dynamic{"PIPE_B", 0x71000, 4_KiB},
        dynamic{"PIPE_C", 0x72000, 4_KiB},
        reg{"SURF_A",  0x7019c, rw, {.hook = on::write, .count = 3, .stride = 0x100}},   // of each plane
        reg{"SURF_B",  0x7119c, rw, {.hook = on::write, .count = 3, .stride = 0x100}},
        reg{"SURF_C",  0x7219c, rw, {.hook = on::write, .count = 2, .stride = 0x100}},
        reg{"WATCH",   0x78f00, rw, {.hook = on::read | on::write}},                     // a bit a pipe
        reg{"FLIPS",   0x78f10, ro, {.backing = from::shadow, .count = pipes}},          // of all its planes
        reg{"SURFACE", 0x78f20, ro, {.backing = from::shadow, .count = pipes}}};         // of its first plane
    static constexpr auto regions = mediant::regions<bar0>{};

    result<void> write(at<bar0, "SURF_A"> surface, std::size_t plane, std::uint32_t value, auto& next) noexcept {
        return flip(surface, 0, plane, value, next);
    }
    result<void> write(at<bar0, "SURF_B"> surface, std::size_t plane, std::uint32_t value, auto& next) noexcept {
        return flip(surface, 1, plane, value, next);
    }
    result<void> write(at<bar0, "SURF_C"> surface, std::size_t plane, std::uint32_t value, auto& next) noexcept {
        return flip(surface, 2, plane, value, next);
    }

    /// Which pipes are watched; a user may still have to give the page of one back that was asked for.
    result<std::uint32_t> read(at<bar0, "WATCH">, auto& next) noexcept {
        return (next.trapped(at<bar0, "PIPE_A">{}) ? 1u : 0u) | (next.trapped(at<bar0, "PIPE_B">{}) ? 2u : 0u) |
               (next.trapped(at<bar0, "PIPE_C">{}) ? 4u : 0u);
    }
    /// EBUSY where the page of a pipe is mapped for good; those before it are switched then.
    result<void> write(at<bar0, "WATCH">, std::uint32_t wanted, auto& next) noexcept {
        if ((wanted & ~7u) != 0) return error::invalid;
        result<void> done = watch(at<bar0, "PIPE_A">{}, (wanted & 1) != 0, next);
        if (done) done = watch(at<bar0, "PIPE_B">{}, (wanted & 2) != 0, next);
        if (done) done = watch(at<bar0, "PIPE_C">{}, (wanted & 4) != 0, next);
        return done;
    }

private:
    static result<void> watch(auto pipe, bool on, auto& next) noexcept {
        const result<void> done = on ? next.trap(pipe) : next.untrap(pipe);
        return done.error() == error::again ? result<void>{} : done; // WATCH says when
    }

    static result<void> flip(auto surface, std::size_t pipe, std::size_t plane, std::uint32_t value,
                             auto& next) noexcept {
        const result<void> done = next.write(surface, plane, value);
        if (!done) return done;
        next.assign(at<bar0, "FLIPS">{}, pipe, next.held(at<bar0, "FLIPS">{}, pipe) + 1);
        if (plane == 0) next.assign(at<bar0, "SURFACE">{}, pipe, value & ~0xfffu); // the rest are flags
        return {};
    }
};
static_assert(valid<igd_display>);

} // namespace acme
