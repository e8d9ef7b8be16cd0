// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/device/memory_device.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace acme {

/// The display of such graphics, as far as igd_display and a driver that flips need it: registers are memory, and at each
/// vertical blank, 60 times a second, an enabled pipe shows the surfaces that were set, counts the frame, and says so by
/// MSI where its interrupts are enabled. It finds what was written through a mapping, too, as hardware does.
///
/// Registers: as igd_display.hpp; PIPE_FRMCNT, TRANS_CONF, PLANE_CTL and the interrupts of the display engine of the same
/// volume.
class igd_device : public mediant::device::memory_device {
public:
    static constexpr mediant::device_id id{0x8086, 0x193b, 0x8086, 0x2064, 0x030000};
    static constexpr std::uint64_t frame_nanoseconds = 16'666'667;

    enum pipe_register : std::uint64_t { ///< in BAR 0, of pipe A; others 0x1000 apart
        trans_conf = 0x70008,  ///< enabled in bit 31
        frame_count = 0x70040, ///< read-only
        plane_ctl = 0x70180,   ///< of plane 1; others 0x100 apart. Enabled in bit 31
        plane_surf = 0x7019c,
        plane_surflive = 0x701ac, ///< read-only: what is shown
    };
    enum pipe_interrupt : std::uint64_t { de_imr = 0x44404, de_iir = 0x44408, de_ier = 0x4440c }; ///< 0x10 apart
    static constexpr std::uint32_t enabled = 0x8000'0000;
    static constexpr std::uint32_t vblank = 1u << 0;
    static constexpr std::uint32_t flip_done = 1u << 3; ///< of plane 1; the others' follow
    static constexpr unsigned pipes = 3;
    static constexpr unsigned planes = 3;

    igd_device()
        : memory_device{{.id = id,
                         .bar_sizes = {16 * 1024 * 1024, 0, 256 * 1024 * 1024, 0, 0, 0},
                         .wide_bars = 1u << 0 | 1u << 2,
                         .msi_vectors = 1}} {}

    [[nodiscard]] std::optional<std::uint64_t> deadline() const noexcept { return next_; }
    void advance(std::uint64_t now_ns) {
        if (now_ns < next_) return;
        next_ = now_ns + frame_nanoseconds;
        for (unsigned pipe = 0; pipe < pipes; ++pipe) blank(pipe);
    }

private:
    void blank(unsigned pipe) {
        const std::uint64_t base = pipe * 0x1000u;
        if ((get(trans_conf + base) & enabled) == 0) return;
        put(frame_count + base, get(frame_count + base) + 1);
        std::uint32_t what = vblank;
        for (unsigned plane = 0; plane < planes; ++plane) {
            const std::uint64_t at = base + plane * 0x100u;
            if ((get(plane_ctl + at) & enabled) == 0) continue;
            const std::uint32_t surface = get(plane_surf + at);
            if (surface == get(plane_surflive + at)) continue;
            put(plane_surflive + at, surface);
            what |= flip_done << plane;
        }
        const std::uint64_t interrupts = pipe * 0x10u;
        what &= ~get(de_imr + interrupts);
        put(de_iir + interrupts, get(de_iir + interrupts) | what);
        if ((get(de_iir + interrupts) & get(de_ier + interrupts)) != 0 && msi_active())
            static_cast<void>(trigger(mediant::irq_index::msi, 0)); // cannot fail: there is a vector 0
    }

    [[nodiscard]] std::uint32_t get(std::uint64_t offset) {
        return static_cast<std::uint32_t>(bar_load(0, offset, 4));
    }
    void put(std::uint64_t offset, std::uint32_t value) { bar_store(0, offset, 4, value); }

    std::uint64_t next_ = 0;
};

} // namespace acme
