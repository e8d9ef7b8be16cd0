// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/vfio_user/received_files.hpp>
#include <mediant/vfio_user/wire.hpp>

#include <fcntl.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mediant::vfio_user {

/// The most vectors of one kind: MSI-X has no more.
inline constexpr std::uint32_t most_vectors = 2048;

namespace detail {

/// The descriptors for `count` vectors: as many as came, or -1 for each where none came.
[[nodiscard]] inline result<std::span<const int>> eventfds(std::span<const int> came, std::uint32_t count) noexcept {
    static constexpr auto none = [] {
        std::array<int, most_vectors> fds{};
        fds.fill(-1);
        return fds;
    }();
    if (came.empty()) {
        if (count > none.size()) return error::invalid;
        return std::span<const int>{none.data(), count};
    }
    if (came.size() != count) return error::invalid;
    for (const int fd : came) {
        if (!may_be_eventfd(fd)) return error::invalid;
        // A counter that the client has filled up must not stop the server.
        const int flags = ::fcntl(fd, F_GETFL);
        if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) return error{errno};
    }
    return came;
}

} // namespace detail

/// What disables a kind.
[[nodiscard]] inline set_irqs disabled(std::uint32_t index) noexcept {
    return {mediant::irq_index{index}, set_irqs::action::trigger, set_irqs::data::none, 0, 0, {}, {}};
}

/// SET_IRQS as a request that a device can be given: exactly one action and one kind of data, vectors that there are,
/// data and descriptors of the right number; else error::invalid. `data` is what follows the struct, `info` the
/// device's word on this kind. The request refers to `data` and `fds`.
///
/// A count of 0 is good with the trigger action and no data alone, which disables the kind (linux/vfio.h). MASK and
/// UNMASK need a kind that is maskable, eventfds one that has them. Eventfds are made non-blocking.
[[nodiscard]] inline result<set_irqs> checked_irq_set(const wire::irq_set& request, std::span<const std::byte> data,
                                                      std::span<const int> fds, const get_irq_info::answer& info) {
    const auto able = [&](irq_flags flag) {
        return (static_cast<std::uint32_t>(info.flags) & static_cast<std::uint32_t>(flag)) != 0;
    };
    set_irqs set{mediant::irq_index{request.index}, {}, {}, request.start, request.count, {}, {}};

    switch (request.flags & VFIO_IRQ_SET_ACTION_TYPE_MASK) {
    case VFIO_IRQ_SET_ACTION_MASK: set.what = set_irqs::action::mask; break;
    case VFIO_IRQ_SET_ACTION_UNMASK: set.what = set_irqs::action::unmask; break;
    case VFIO_IRQ_SET_ACTION_TRIGGER: set.what = set_irqs::action::trigger; break;
    default: return error::invalid;
    }
    if (set.what != set_irqs::action::trigger && !able(irq_flags::maskable)) return error::invalid;
    constexpr auto known = static_cast<std::uint32_t>(VFIO_IRQ_SET_ACTION_TYPE_MASK | VFIO_IRQ_SET_DATA_TYPE_MASK);
    if ((request.flags & ~known) != 0) return error::invalid;
    if (request.start > info.count || request.count > info.count - request.start) return error::invalid;

    std::size_t length = 0; // of the data that belongs to it
    switch (request.flags & VFIO_IRQ_SET_DATA_TYPE_MASK) {
    case VFIO_IRQ_SET_DATA_NONE:
        set.how = set_irqs::data::none;
        if (request.count == 0 && (request.start != 0 || set.what != set_irqs::action::trigger)) return error::invalid;
        break;
    case VFIO_IRQ_SET_DATA_BOOL:
        set.how = set_irqs::data::bools;
        length = request.count;
        if (request.count == 0 || data.size() < length) return error::invalid;
        set.bools = {reinterpret_cast<const std::uint8_t*>(data.data()), length};
        break;
    case VFIO_IRQ_SET_DATA_EVENTFD:
        set.how = set_irqs::data::eventfds;
        if (request.count == 0 || !able(irq_flags::eventfd)) return error::invalid;
        if (const auto given = detail::eventfds(fds, request.count))
            set.eventfds = *given;
        else
            return given.error();
        break;
    default: return error::invalid;
    }
    if (request.argsz < sizeof request + length) return error::invalid;
    return set;
}

} // namespace mediant::vfio_user
