// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/device/eventfd.hpp>
#include <mediant/device/spin_lock.hpp>
#include <mediant/device/unique_fd.hpp>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

namespace mediant::device {

/// The interrupts of a device that is simulated in user space: for each vector of each kind an eventfd or none, a
/// mask, and how often it was triggered. Masking follows vfio-pci's INTx: what arrives while masked is kept, once,
/// and delivered by the unmask; an automasked kind masks itself at each delivery; a line that is high when it gets its
/// first eventfd is delivered to it.
///
/// Once everything is provided, all may be called by several threads: a trigger goes to the eventfd that is set, or to the
/// one that takes its place, and to none that was taken away. What the thread wrote before, by DMA, is there before the
/// eventfd is signalled. A full eventfd holds up nobody (signal_eventfd).
class interrupts {
public:
    /// States that the device has `count` vectors of this kind; forgets what the kind had.
    void provide(irq_index index, std::uint32_t count, irq_flags flags) {
        auto& kind = kinds_[static_cast<std::size_t>(index)];
        kind.flags = flags;
        kind.vectors = std::vector<vector>(count);
    }

    /// error::invalid where there is no such kind.
    [[nodiscard]] result<get_irq_info::answer> info(irq_index index) const {
        if (static_cast<std::size_t>(index) >= kinds_.size()) return error::invalid;
        const auto& kind = kinds_[static_cast<std::size_t>(index)];
        return get_irq_info::answer{kind.flags, static_cast<std::uint32_t>(kind.vectors.size())};
    }

    /// VFIO_DEVICE_SET_IRQS. error::invalid: outside what was provided, or lists of the wrong length;
    /// error::not_supported: eventfds for mask or unmask. Nothing is changed where an eventfd cannot be duplicated.
    result<void> apply(const set_irqs& what) {
        if (static_cast<std::size_t>(what.index) >= kinds_.size()) return error::invalid;
        auto& kind = kinds_[static_cast<std::size_t>(what.index)];
        if (what.start > kind.vectors.size() || what.count > kind.vectors.size() - what.start) return error::invalid;
        switch (what.how) {
        case set_irqs::data::none:
            if (what.count == 0 && what.what == set_irqs::action::trigger) {
                disable(kind);
                return {};
            }
            for (std::uint32_t i = 0; i < what.count; ++i) act(kind, kind.vectors[what.start + i], what.what);
            return {};
        case set_irqs::data::bools:
            if (what.bools.size() != what.count) return error::invalid;
            for (std::uint32_t i = 0; i < what.count; ++i) {
                if (what.bools[i] != 0) act(kind, kind.vectors[what.start + i], what.what);
            }
            return {};
        case set_irqs::data::eventfds:
            if (what.eventfds.size() != what.count) return error::invalid;
            if (what.what != set_irqs::action::trigger) return error::not_supported;
            return bind(kind, what);
        }
        return error::invalid;
    }

    /// The device triggers a vector, as by an edge or a message. error::invalid where there is none.
    result<void> trigger(irq_index index, std::uint32_t number) {
        auto* const found = find(index, number);
        if (found == nullptr) return error::invalid;
        const std::lock_guard alone{found->lock};
        deliver(kinds_[static_cast<std::size_t>(index)], *found);
        return {};
    }

    /// The device drives a level-triggered line; while it is high each unmask delivers again.
    result<void> set_level(irq_index index, std::uint32_t number, bool high) {
        auto* const found = find(index, number);
        if (found == nullptr) return error::invalid;
        const std::lock_guard alone{found->lock};
        const bool rises = high && !found->level;
        found->level = high;
        if (rises) deliver(kinds_[static_cast<std::size_t>(index)], *found);
        if (!high) found->pending = false;
        return {};
    }

    /// How often the vector was triggered since it was provided or cleared, masked or not; 0 where there is none.
    [[nodiscard]] std::uint64_t triggered(irq_index index, std::uint32_t number) const {
        return seen(index, number).triggered;
    }
    [[nodiscard]] bool masked(irq_index index, std::uint32_t number) const {
        return seen(index, number).masked;
    }
    /// Whether an eventfd is set.
    [[nodiscard]] bool bound(irq_index index, std::uint32_t number) const {
        return seen(index, number).bound;
    }

    /// Drops eventfds, masks, levels and counts; the kinds stay as provided.
    void clear() noexcept {
        for (auto& kind : kinds_) {
            for (auto& each : kind.vectors) {
                unique_fd old; // closed when the lock is open again
                const std::lock_guard alone{each.lock};
                old = std::move(each.eventfd);
                each.triggered = 0;
                each.masked = each.pending = each.level = false;
            }
        }
    }

private:
    struct vector {
        unique_fd eventfd;
        std::uint64_t triggered = 0;
        bool masked = false;
        bool pending = false;
        bool level = false;
        mutable spin_lock lock; // for all of it
    };
    struct lines {
        irq_flags flags = irq_flags::none;
        std::vector<vector> vectors;
    };

    [[nodiscard]] const vector* find(irq_index index, std::uint32_t number) const {
        if (static_cast<std::size_t>(index) >= kinds_.size()) return nullptr;
        const auto& vectors = kinds_[static_cast<std::size_t>(index)].vectors;
        return number < vectors.size() ? &vectors[number] : nullptr;
    }
    [[nodiscard]] vector* find(irq_index index, std::uint32_t number) {
        return const_cast<vector*>(static_cast<const interrupts&>(*this).find(index, number));
    }

    struct sight {
        std::uint64_t triggered;
        bool masked;
        bool bound;
    };
    [[nodiscard]] sight seen(irq_index index, std::uint32_t number) const {
        const auto* const found = find(index, number);
        if (found == nullptr) return {};
        const std::lock_guard alone{found->lock};
        return {found->triggered, found->masked, static_cast<bool>(found->eventfd)};
    }

    // With the lock of the vector:

    static void signal(const lines& in, vector& to) noexcept {
        if (!to.eventfd) return;
        if ((static_cast<std::uint32_t>(in.flags) & static_cast<std::uint32_t>(irq_flags::automasked)) != 0) {
            to.masked = true;
        }
        signal_eventfd(to.eventfd.get());
    }

    static void deliver(const lines& in, vector& to) noexcept {
        ++to.triggered;
        if (to.masked)
            to.pending = true;
        else
            signal(in, to);
    }

    // Without it:

    static void act(const lines& in, vector& on, set_irqs::action what) noexcept {
        const std::lock_guard alone{on.lock};
        switch (what) {
        case set_irqs::action::mask: on.masked = true; return;
        case set_irqs::action::unmask:
            on.masked = false;
            if (on.pending || on.level) {
                on.pending = false;
                signal(in, on);
            }
            return;
        case set_irqs::action::trigger: deliver(in, on); return;
        }
    }

    /// The kind is off: eventfds and masks are gone, what was kept with them. The line and the counts are the device's.
    static void disable(lines& which) noexcept {
        for (auto& each : which.vectors) {
            unique_fd old;
            const std::lock_guard alone{each.lock};
            old = std::move(each.eventfd);
            each.masked = each.pending = false;
        }
    }

    static result<void> bind(lines& in, const set_irqs& what) {
        std::vector<unique_fd> fresh(what.count);
        for (std::uint32_t i = 0; i < what.count; ++i) {
            if (what.eventfds[i] < 0) continue;
            fresh[i] = unique_fd::duplicate(what.eventfds[i]);
            if (!fresh[i]) return error{errno};
        }
        for (std::uint32_t i = 0; i < what.count; ++i) {
            auto& each = in.vectors[what.start + i];
            const std::lock_guard alone{each.lock};
            const bool first = !each.eventfd;
            std::swap(each.eventfd, fresh[i]); // the old one is closed with `fresh`
            // As when the kernel enables a line that is high: nobody would unmask what was never delivered.
            if (first && each.level && !each.masked) signal(in, each);
        }
        return {};
    }

    std::array<lines, most_irqs> kinds_;
};

/// irq_index::regions_changed alone, for a lower whose other interrupts are another's.
struct changed_irq : interrupts {
    changed_irq() { provide(irq_index::regions_changed, 1, irq_flags::eventfd | irq_flags::maskable | irq_flags::automasked); }
};

} // namespace mediant::device
