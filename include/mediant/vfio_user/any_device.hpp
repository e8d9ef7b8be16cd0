// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/migration/state.hpp>
#include <mediant/vfio_user/servable.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace mediant::vfio_user {

/// A device of a type that is known at run time alone: what is made of it is compiled once, and costs a virtual call an
/// access. Shows no memory: every access is a call.
class any_device {
public:
    any_device() = default;
    any_device(const any_device&) = delete;
    any_device& operator=(const any_device&) = delete;
    virtual ~any_device() = default;

    virtual result<void> open() = 0;
    virtual void release() = 0;
    virtual answer read(const read_access& what) = 0;
    virtual answer write(const write_access& what) = 0;

    virtual result<get_device_info::answer> ioctl(const get_device_info& what) = 0;
    virtual result<get_region_info::answer> ioctl(const get_region_info& what) = 0;
    virtual result<get_irq_info::answer> ioctl(const get_irq_info& what) = 0;
    virtual result<void> ioctl(const set_irqs& what) = 0;
    virtual result<void> ioctl(const reset_device& what) = 0;
    virtual result<void> ioctl(const map_dma& what) = 0;
    virtual result<void> ioctl(const unmap_dma& what) = 0;
    virtual result<std::uint64_t> ioctl(const start_dma_logging& what) = 0;
    virtual result<void> ioctl(const stop_dma_logging& what) = 0;
    virtual result<void> ioctl(const report_dma_logging& what) = 0;

    /// None: there is no memory to map.
    [[nodiscard]] static constexpr range next_area(region_index, std::uint64_t, std::uint64_t) noexcept { return {}; }

    [[nodiscard]] virtual std::optional<std::uint64_t> deadline() const = 0;
    virtual void advance(std::uint64_t now) = 0;

    /// 0 where it cannot be migrated.
    [[nodiscard]] virtual std::uint64_t migration_flags() = 0;
    [[nodiscard]] virtual migration_state migration() = 0;
    virtual result<void> migrate(migration_state to) = 0;
    virtual result<std::size_t> read_migration(std::span<std::byte> to) = 0;
    virtual result<void> write_migration(std::span<const std::byte> from) = 0;
    [[nodiscard]] virtual result<std::uint64_t> migration_size() = 0;
};

static_assert(servable<any_device> && has_deadline<any_device> && migratable<any_device>);

/// Some device as an any_device; the device stays the caller's.
template <servable Device>
class any_device_of final : public any_device {
public:
    explicit any_device_of(Device& device) noexcept : device_{device} {}

    result<void> open() override { return device_.open(); }
    void release() override { device_.release(); }
    answer read(const read_access& what) override { return device_.read(what); }
    answer write(const write_access& what) override { return device_.write(what); }

    result<get_device_info::answer> ioctl(const get_device_info& what) override { return device_.ioctl(what); }
    result<get_region_info::answer> ioctl(const get_region_info& what) override {
        auto info = device_.ioctl(what);
        if (info) info->flags = without(info->flags, region_flags::mmap);
        return info;
    }
    result<get_irq_info::answer> ioctl(const get_irq_info& what) override { return device_.ioctl(what); }
    result<void> ioctl(const set_irqs& what) override { return device_.ioctl(what); }
    result<void> ioctl(const reset_device& what) override { return device_.ioctl(what); }
    result<void> ioctl(const map_dma& what) override { return device_.ioctl(what); }
    result<void> ioctl(const unmap_dma& what) override { return device_.ioctl(what); }
    result<std::uint64_t> ioctl(const start_dma_logging& what) override { return device_.ioctl(what); }
    result<void> ioctl(const stop_dma_logging& what) override { return device_.ioctl(what); }
    result<void> ioctl(const report_dma_logging& what) override { return device_.ioctl(what); }

    [[nodiscard]] std::optional<std::uint64_t> deadline() const override {
        if constexpr (has_deadline<Device>)
            return device_.deadline();
        else
            return std::nullopt;
    }
    void advance([[maybe_unused]] std::uint64_t now) override {
        if constexpr (has_deadline<Device>) device_.advance(now);
    }

    [[nodiscard]] std::uint64_t migration_flags() override {
        if constexpr (migratable<Device>)
            return device_.migration_flags();
        else
            return 0;
    }
    [[nodiscard]] migration_state migration() override {
        if constexpr (migratable<Device>)
            return device_.migration();
        else
            return migration_state::running;
    }
    result<void> migrate([[maybe_unused]] migration_state to) override {
        if constexpr (migratable<Device>)
            return device_.migrate(to);
        else
            return error::not_a_request;
    }
    result<std::size_t> read_migration([[maybe_unused]] std::span<std::byte> to) override {
        if constexpr (migratable<Device>)
            return device_.read_migration(to);
        else
            return error::not_a_request;
    }
    result<void> write_migration([[maybe_unused]] std::span<const std::byte> from) override {
        if constexpr (migratable<Device>)
            return device_.write_migration(from);
        else
            return error::not_a_request;
    }
    [[nodiscard]] result<std::uint64_t> migration_size() override {
        if constexpr (migratable<Device>)
            return device_.migration_size();
        else
            return error::not_a_request;
    }

private:
    Device& device_;
};

} // namespace mediant::vfio_user
