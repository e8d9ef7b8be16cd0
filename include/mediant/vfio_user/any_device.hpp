// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/doorbell.hpp>
#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/migration/state.hpp>
#include <mediant/vfio_user/servable.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace mediant::vfio_user {

/// A device of a type that is known at run time alone: what is made of it, a server above all, is compiled once, and
/// costs a virtual call an access.
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

    // Its memory, where it shows some.

    [[nodiscard]] virtual range next_area(region_index region, std::uint64_t page, std::uint64_t from) const = 0;
    [[nodiscard]] virtual bool reread(region_index region) = 0;
    [[nodiscard]] virtual int memory_fd(region_index region) const = 0;
    [[nodiscard]] virtual std::uint64_t memory_offset(region_index region) const = 0;
    [[nodiscard]] virtual std::span<std::byte> block(region_index region, std::uint64_t offset,
                                                     std::uint64_t size) const = 0;
    template <class F>
    void each_doorbell(region_index region, F each) const {
        tell_doorbells(region, [](void* to, const doorbell_write& one) { (*static_cast<F*>(to))(one); }, &each);
    }

    [[nodiscard]] virtual std::optional<std::uint64_t> deadline() const = 0;
    virtual void advance(std::uint64_t now) = 0;

    /// 0 where it cannot be migrated.
    [[nodiscard]] virtual std::uint64_t migration_flags() = 0;
    [[nodiscard]] virtual migration_state migration() = 0;
    virtual result<void> migrate(migration_state to) = 0;
    virtual result<std::size_t> read_migration(std::span<std::byte> to) = 0;
    virtual result<void> write_migration(std::span<const std::byte> from) = 0;
    [[nodiscard]] virtual result<std::uint64_t> migration_size() = 0;

private:
    virtual void tell_doorbells(region_index region, void (*each)(void* to, const doorbell_write& one),
                                void* to) const = 0;
};

static_assert(servable<any_device> && rereads<any_device> && has_memory_fd<any_device> && has_block<any_device> &&
              has_doorbells<any_device> && has_deadline<any_device> && migratable<any_device>);

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
    result<get_region_info::answer> ioctl(const get_region_info& what) override { return device_.ioctl(what); }
    result<get_irq_info::answer> ioctl(const get_irq_info& what) override { return device_.ioctl(what); }
    result<void> ioctl(const set_irqs& what) override { return device_.ioctl(what); }
    result<void> ioctl(const reset_device& what) override { return device_.ioctl(what); }
    result<void> ioctl(const map_dma& what) override { return device_.ioctl(what); }
    result<void> ioctl(const unmap_dma& what) override { return device_.ioctl(what); }
    result<std::uint64_t> ioctl(const start_dma_logging& what) override { return device_.ioctl(what); }
    result<void> ioctl(const stop_dma_logging& what) override { return device_.ioctl(what); }
    result<void> ioctl(const report_dma_logging& what) override { return device_.ioctl(what); }

    [[nodiscard]] range next_area(region_index region, std::uint64_t page, std::uint64_t from) const override {
        return device_.next_area(region, page, from);
    }
    [[nodiscard]] bool reread([[maybe_unused]] region_index region) override {
        if constexpr (rereads<Device>)
            return device_.reread(region);
        else
            return true;
    }
    [[nodiscard]] int memory_fd([[maybe_unused]] region_index region) const override {
        if constexpr (has_memory_fd<Device>)
            return device_.memory_fd(region);
        else
            return -1;
    }
    [[nodiscard]] std::uint64_t memory_offset([[maybe_unused]] region_index region) const override {
        if constexpr (requires { device_.memory_offset(region); })
            return device_.memory_offset(region);
        else
            return 0;
    }
    [[nodiscard]] std::span<std::byte> block([[maybe_unused]] region_index region,
                                             [[maybe_unused]] std::uint64_t offset,
                                             [[maybe_unused]] std::uint64_t size) const override {
        if constexpr (has_block<Device>)
            return device_.block(region, offset, size);
        else
            return {};
    }

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
    void tell_doorbells([[maybe_unused]] region_index region,
                        [[maybe_unused]] void (*each)(void* to, const doorbell_write& one),
                        [[maybe_unused]] void* to) const override {
        if constexpr (has_doorbells<Device>)
            device_.each_doorbell(region, [&](const doorbell_write& one) { each(to, one); });
    }

    Device& device_;
};

} // namespace mediant::vfio_user
