// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/device/unique_fd.hpp>
#include <mediant/vfio_user/irq_set.hpp>
#include <mediant/vfio_user/signal_set.hpp>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace mediant::vfio_user {

/// Eventfds that mask and unmask interrupts, which KVM signals when a guest is done with a level-triggered line: as
/// vfio-pci's UNMASK of INTx (drivers/vfio/pci/vfio_pci_intrs.c, virqfd.c), and MASK, which the kernel leaves out. Like
/// there, an eventfd that was signalled before it was set counts, and disabling the kind takes them away; unlike there,
/// one that is set already is replaced.
class irq_signals {
public:
    explicit irq_signals(signal_set& signals) noexcept : signals_{signals} {}

    /// A set_irqs that was checked, of eventfds, and whose action is no trigger; it has `vectors` in all, of which
    /// there are not more than most_vectors (error::invalid). Duplicates what it keeps; an error changes nothing.
    [[nodiscard]] result<void> set(const set_irqs& what, std::uint32_t vectors) {
        const auto kind = static_cast<std::size_t>(what.index);
        if (kind >= kinds_.size()) return error::not_supported;
        if (vectors > most_vectors) return error::invalid;
        auto& all = kinds_[kind];
        if (all.size() < vectors) all.resize(vectors);
        const std::size_t action = what.what == set_irqs::action::unmask ? 1 : 0;
        std::vector<device::unique_fd> fresh(what.count);
        for (std::uint32_t i = 0; i < what.count; ++i) {
            if (what.eventfds[i] < 0) continue;
            fresh[i] = device::unique_fd::duplicate(what.eventfds[i]);
            const std::uint64_t which = std::uint64_t{kind} << 32 | std::uint64_t{what.start + i} << 1 | action;
            const auto watched = fresh[i] ? signals_.watch(fresh[i].get(), which) : result<void>{error{errno}};
            if (watched) continue;
            fresh.resize(i);
            for (const auto& each : fresh) signals_.forget(each.get());
            return watched;
        }
        for (std::uint32_t i = 0; i < what.count; ++i) {
            auto& kept = all[what.start + i][action];
            signals_.forget(kept.get());
            kept = std::move(fresh[i]);
        }
        return {};
    }

    /// Takes away those of a kind.
    void disable(irq_index index) noexcept {
        if (static_cast<std::size_t>(index) >= kinds_.size()) return;
        for (auto& vector : kinds_[static_cast<std::size_t>(index)])
            for (auto& each : vector) {
                signals_.forget(each.get());
                each.reset();
            }
    }
    void clear() noexcept {
        for (std::uint32_t i = 0; i < kinds_.size(); ++i) disable(irq_index{i});
    }

    /// What a signal asks for, told as `which`.
    [[nodiscard]] set_irqs taken(std::uint64_t which) noexcept {
        const auto kind = static_cast<std::uint32_t>(which >> 32);
        const auto vector = static_cast<std::uint32_t>(which) >> 1;
        const bool unmask = (which & 1) != 0;
        signal_set::drain(kinds_[kind][vector][unmask ? 1 : 0].get());
        return {irq_index{kind}, unmask ? set_irqs::action::unmask : set_irqs::action::mask,
                set_irqs::data::none, vector, 1, {}, {}};
    }

private:
    signal_set& signals_;
    /// Of each vector those of MASK and UNMASK.
    std::array<std::vector<std::array<device::unique_fd, 2>>, most_irqs> kinds_;
};

} // namespace mediant::vfio_user
