// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/migration/state.hpp>
#include <mediant/trace/event.hpp>
#include <mediant/trace/recorder.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace mediant::trace {

namespace detail {

[[nodiscard]] inline event event_of(action what, level at, error came = error::none) noexcept {
    event out;
    out.what = what;
    out.at = at;
    out.error = came;
    return out;
}

/// Records a request that changes something; a question is none.
template <request R>
void add_request(recorder& to, level at, const R& what, const result<typename R::answer>& came) {
    const auto add = [&](action as, std::array<std::uint64_t, 5> numbers, std::span<const std::byte> bytes = {}) {
        event out = event_of(as, at, came.error());
        out.numbers = numbers;
        out.set_bytes(bytes);
        to.add(out);
    };
    if constexpr (std::is_same_v<R, reset_device>) {
        add(action::reset, {});
    } else if constexpr (std::is_same_v<R, set_irqs>) {
        std::vector<std::byte> bytes;
        for (const std::uint8_t each : what.bools) bytes.push_back(std::byte{each});
        for (const int each : what.eventfds) bytes.push_back(std::byte{each >= 0});
        add(action::set_irqs,
            {static_cast<std::uint64_t>(what.index), static_cast<std::uint64_t>(what.what),
             static_cast<std::uint64_t>(what.how), what.start, what.count},
            bytes);
    } else if constexpr (std::is_same_v<R, map_dma>) {
        add(action::map_dma, {what.iova, what.size, (what.readable ? 1u : 0u) | (what.writable ? 2u : 0u),
                              what.memory.empty() ? 0u : 1u});
    } else if constexpr (std::is_same_v<R, unmap_dma>) {
        add(action::unmap_dma, {what.iova, what.size});
    } else if constexpr (std::is_same_v<R, start_dma_logging>) {
        add(action::start_dma_log, {what.page, what.ranges.size(), came.value_or(0)});
    } else if constexpr (std::is_same_v<R, stop_dma_logging>) {
        add(action::stop_dma_log, {});
    } else if constexpr (std::is_same_v<R, report_dma_logging>) {
        std::uint64_t written = 0;
        if (came)
            for (const std::uint64_t word : what.bitmap) written += static_cast<unsigned>(std::popcount(word));
        add(action::report_dma_log, {what.iova, what.length, what.page, written});
    }
}

template <class Byte>
void add_access(recorder& to, action what, level at, const basic_access<Byte>& access, const answer& came) {
    event out = event_of(what, at, came.error);
    out.region = access.region;
    out.offset = access.offset;
    out.size = access.bytes.size();
    out.count = came.count <= out.size ? came.count : out.size;
    out.set_bytes(what == action::write ? access.bytes : access.bytes.first(static_cast<std::size_t>(out.count)));
    to.add(out);
}

} // namespace detail

/// What a device says of itself to who has it open, as a recording begins with it.
template <class Device>
[[nodiscard]] identity identity_of(Device& device, std::string provider, std::string source) {
    identity out;
    out.provider = std::move(provider);
    out.source = std::move(source);
    out.started = recorder::epoch_now();
    const auto dword = [&device](std::uint64_t offset) {
        std::array<std::byte, 4> bytes{};
        (void)device.read(read_access{region_index::config, offset, bytes});
        return static_cast<std::uint32_t>(load_little(std::span<const std::byte>{bytes}));
    };
    const std::uint32_t ids = dword(0x00), subsystem = dword(0x2c);
    out.device = {ids & 0xffff, ids >> 16, subsystem & 0xffff, subsystem >> 16, dword(0x08) >> 8};
    const result<get_device_info::answer> all = device.ioctl(get_device_info{});
    for (std::uint32_t i = 0; all && i < all->regions && i < most_regions; ++i) {
        const result<get_region_info::answer> info = device.ioctl(get_region_info{region_index{i}});
        if (info && info->size != 0) out.regions.push_back({region_index{i}, info->size, info->flags});
    }
    return out;
}

/// A device (vfio_user::servable) of which all that is done to it is recorded, but for questions: a stack, for
/// instance, between a server and its clients. It shows clients no memory, blocks or doorbells, as what they do there
/// could not be seen; all else is the device's. What a device throws is recorded as error::io. The device and the
/// recorder stay the caller's; threads as of the device.
template <class Device>
class recorded {
public:
    recorded(Device& device, recorder& to) noexcept : device_{device}, log_{to} {}

    result<void> open() {
        const result<void> came = device_.open();
        add(action::open, came.error());
        return came;
    }
    void release() {
        device_.release();
        try {
            add(action::release, error::none);
        } catch (...) { // no memory for it; who releases cannot be told
        }
    }

    answer read(const read_access& what) {
        return access(action::read, what, [&] { return device_.read(what); });
    }
    answer write(const write_access& what) {
        return access(action::write, what, [&] { return device_.write(what); });
    }

    template <request R>
    result<typename R::answer> ioctl(const R& what) {
        auto came = device_.ioctl(what);
        if constexpr (std::is_same_v<R, get_region_info>) {
            if (came) came->flags = without(came->flags, region_flags::mmap);
        }
        detail::add_request(log_, level::front, what, came);
        return came;
    }

    [[nodiscard]] static constexpr range next_area(region_index, std::uint64_t, std::uint64_t) noexcept { return {}; }

    [[nodiscard]] std::optional<std::uint64_t> deadline() const requires requires(const Device& d) { d.deadline(); }
    { return device_.deadline(); }
    void advance(std::uint64_t now) requires requires(Device& d) { d.advance(now); }
    {
        // Of calls that find nothing to do there would be many.
        bool due = true;
        if constexpr (requires { device_.deadline(); }) due = device_.deadline().value_or(~std::uint64_t{0}) <= now;
        device_.advance(now);
        if (!due) return;
        event out = detail::event_of(action::advance, level::front);
        out.numbers[0] = now;
        log_.add(out);
    }

    [[nodiscard]] std::uint64_t migration_flags() requires requires(Device& d) { d.migration_flags(); }
    { return device_.migration_flags(); }
    [[nodiscard]] migration_state migration() requires requires(Device& d) { d.migration(); }
    { return device_.migration(); }
    result<void> migrate(migration_state to) requires requires(Device& d) { d.migrate(to); }
    {
        const result<void> came = device_.migrate(to);
        add(action::migrate, came.error(), {static_cast<std::uint64_t>(to)});
        return came;
    }
    result<std::size_t> read_migration(std::span<std::byte> to) requires requires(Device& d) { d.read_migration(to); }
    {
        const result<std::size_t> came = device_.read_migration(to);
        add(action::read_migration, came.error(), {to.size(), came.value_or(0)});
        return came;
    }
    result<void> write_migration(std::span<const std::byte> from) requires requires(Device& d) {
        d.write_migration(from);
    }
    {
        const result<void> came = device_.write_migration(from);
        add(action::write_migration, came.error(), {from.size()});
        return came;
    }
    [[nodiscard]] result<std::uint64_t> migration_size() requires requires(Device& d) { d.migration_size(); }
    { return device_.migration_size(); }

private:
    template <class Byte, class Do>
    answer access(action what, const basic_access<Byte>& where, const Do& perform) {
        answer came;
        try {
            came = perform();
        } catch (...) {
            detail::add_access(log_, what, level::front, where, {0, error::io});
            throw;
        }
        detail::add_access(log_, what, level::front, where, came);
        return came;
    }
    void add(action what, error came, std::array<std::uint64_t, 5> numbers = {}) {
        event out = detail::event_of(what, level::front, came);
        out.numbers = numbers;
        log_.add(out);
    }

    Device& device_;
    recorder& log_;
};

/// A lower of which is recorded what policies do to it, from records_to() on: a model, a VFIO device, a remote device.
/// It has what the lower has, but for blocks: what lies in one is loaded and stored. What policies do to the user's
/// memory is not seen.
template <class Lower>
class tapped : public Lower {
public:
    using Lower::Lower;

    /// Null: nowhere.
    void records_to(recorder* to) noexcept { log_ = to; }

    result<std::uint64_t> load(region_index region, std::uint64_t offset, unsigned width) {
        const result<std::uint64_t> came = Lower::load(region, offset, width);
        if (log_ != nullptr) add(action::read, region, offset, width, came.value_or(0), came.error());
        return came;
    }
    result<void> store(region_index region, std::uint64_t offset, unsigned width, std::uint64_t value) {
        const result<void> came = Lower::store(region, offset, width, value);
        if (log_ != nullptr) add(action::write, region, offset, width, value, came.error());
        return came;
    }
    answer read(const read_access& what) requires requires(Lower& d) { d.read(what); }
    {
        const answer came = Lower::read(what);
        if (log_ != nullptr) detail::add_access(*log_, action::read, level::below, what, came);
        return came;
    }
    answer write(const write_access& what) requires requires(Lower& d) { d.write(what); }
    {
        const answer came = Lower::write(what);
        if (log_ != nullptr) detail::add_access(*log_, action::write, level::below, what, came);
        return came;
    }

    template <request R>
        requires requires(Lower& d, const R& what) { d.ioctl(what); }
    result<typename R::answer> ioctl(const R& what) {
        auto came = Lower::ioctl(what);
        if (log_ != nullptr) detail::add_request(*log_, level::below, what, came);
        return came;
    }

    result<void> trigger(irq_index index, std::uint32_t vector) requires requires(Lower& d) {
        d.trigger(index, vector);
    }
    {
        const result<void> came = Lower::trigger(index, vector);
        if (log_ != nullptr) {
            event out = detail::event_of(action::trigger, level::below, came.error());
            out.numbers = {static_cast<std::uint64_t>(index), vector};
            log_->add(out);
        }
        return came;
    }

    void block(region_index, std::uint64_t, std::uint64_t) const = delete;

private:
    void add(action what, region_index region, std::uint64_t offset, unsigned width, std::uint64_t value, error came) {
        event out = detail::event_of(what, level::below, came);
        out.region = region;
        out.offset = offset;
        out.size = width;
        out.count = came == error::none ? width : 0;
        std::array<std::byte, 8> bytes{};
        store_little(bytes, value);
        if (width <= bytes.size())
            out.set_bytes(std::span{bytes}.first(static_cast<std::size_t>(what == action::write ? width : out.count)));
        log_->add(out);
    }

    recorder* log_ = nullptr;
};

} // namespace mediant::trace
