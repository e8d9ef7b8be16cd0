// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/device/dirty_log.hpp>
#include <mediant/libvfio_user/api.hpp>
#include <mediant/libvfio_user/memory.hpp>
#include <mediant/libvfio_user/shape.hpp>
#include <mediant/migration/state.hpp>

#include <algorithm>
#include <bit>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

/// Migration by the library's callbacks of version 2 (libvfio-user since September 2023: include/libvfio-user.h and
/// lib/migration.c). The library keeps the state and finds the arcs between two; each is one transition(). It tells all
/// clients of STOP_COPY and PRE_COPY, and has no P2P states. It does not know the error state: where a device is in
/// that, the library stays where it was, and each transition fails until a reset. Versions differ in whether the library
/// is then in RUNNING, as the device is, or where it was.
namespace mediant::libvfio_user {

/// Whether the header that is included has callbacks of version 2: a stream that is read and written in order. Those of
/// version 1 are registers in a region.
template <class Callbacks>
concept migration_callbacks = requires(const Callbacks& all, vfu_ctx_t* context, vfu_migr_state_t state, void* bytes,
                                       std::uint64_t count) {
    { all.version } -> std::convertible_to<int>;
    { all.transition(context, state) } -> std::same_as<int>;
    { all.read_data(context, bytes, count) } -> std::same_as<ssize_t>;
    { all.write_data(context, bytes, count) } -> std::same_as<ssize_t>;
    { ::vfu_setup_device_migration_callbacks(context, &all) } -> std::same_as<int>;
};
inline constexpr bool library_migrates = migration_callbacks<vfu_migration_callbacks_t>;

/// The state that a transition() is to; none: the library has a state that is not known here.
[[nodiscard]] constexpr std::optional<migration_state> state_of(vfu_migr_state_t what) noexcept {
    switch (what) {
    case VFU_MIGR_STATE_STOP: return migration_state::stop;
    case VFU_MIGR_STATE_RUNNING: return migration_state::running;
    case VFU_MIGR_STATE_STOP_AND_COPY: return migration_state::stop_copy;
    case VFU_MIGR_STATE_PRE_COPY: return migration_state::pre_copy;
    case VFU_MIGR_STATE_RESUME: return migration_state::resuming;
    default: return std::nullopt;
    }
}

/// Before vfu_realize_ctx(). What the library says: 0, or -1 and errno.
template <vfio_user::migratable Device, migration_callbacks Callbacks = vfu_migration_callbacks_t>
[[nodiscard]] int set_up_migration(vfu_ctx_t* context, decltype(Callbacks::transition) transition,
                                   decltype(Callbacks::read_data) read, decltype(Callbacks::write_data) write) {
    Callbacks all{};
    all.version = VFU_MIGR_CALLBACKS_VERS;
    all.transition = transition;
    all.read_data = read;
    all.write_data = write;
    return ::vfu_setup_device_migration_callbacks(context, &all); // which copies them
}

/// A device's migration as the library asks for it. Calls throw what the device throws.
class migration_side {
public:
    /// transition(): 0. A device that cannot be read ahead, which clients are not told, runs on in PRE_COPY and has
    /// nothing to be read.
    template <vfio_user::migratable Device>
    [[nodiscard]] result<std::size_t> go(Device& device, vfu_migr_state_t state) {
        const auto to = state_of(state);
        // A stream of which the client has the beginning goes on no more: better told here than where it is restored.
        if (!to || (to == migration_state::stop_copy && cut_)) return error::invalid;
        cut_ = false;
        if (to != migration_state::stop_copy) begun_ = false;
        ahead_ = to == migration_state::pre_copy && (device.migration_flags() & migrates_with_pre_copy) == 0;
        const result<void> done = device.migrate(ahead_ ? migration_state::running : *to);
        return done ? result<std::size_t>{std::size_t{0}} : done.error();
    }
    /// Whether it can be read, or clients think so, and runs.
    template <vfio_user::migratable Device>
    [[nodiscard]] bool ahead(Device& device) const {
        return ahead_ || device.migration() == migration_state::pre_copy;
    }

    /// read_data(): bytes, fewer than there is room for at the end.
    template <vfio_user::migratable Device>
    [[nodiscard]] result<std::size_t> read(Device& device, std::span<std::byte> to) {
        if (ahead_ || to.empty()) return std::size_t{0};
        if (!saves(device.migration())) return error::invalid; // it was reset, which not every library takes up
        const auto came = device.read_migration(to);
        if (!came) return came;
        begun_ = begun_ || *came != 0;
        return std::min(*came, to.size());
    }
    /// write_data(): all of it.
    template <vfio_user::migratable Device>
    [[nodiscard]] result<std::size_t> write(Device& device, std::span<const std::byte> from) {
        if (device.migration() != migration_state::resuming) return error::invalid;
        const auto done = from.empty() ? result<void>{} : device.write_migration(from);
        return done ? result<std::size_t>{from.size()} : done.error();
    }

    /// The device was reset, and runs.
    void reset() noexcept { cut_ = std::exchange(begun_, false) || cut_; }
    /// It was opened.
    void restart() noexcept { cut_ = begun_ = ahead_ = false; }

private:
    bool begun_ = false; // something of a stream was read
    bool cut_ = false;   // and that one will not be read to its end
    bool ahead_ = false; // PRE_COPY of a device that has no such state
};

/// What a device writes to memory that its client shares, for the log that the library keeps for the client. The
/// library does not tell when that begins, or that it is read: the device keeps a log of its own as long as it is open,
/// and what is there is handed on from time to time, and when it has stopped. Nothing is lost where the client asks for
/// the last time when the device has stopped, as it must.
class write_log {
public:
    static constexpr std::uint64_t page = device::dirty_log::least_page;

    /// Of a device that was just opened.
    template <servable Device>
    void start(Device& device) {
        keeps_ = device.ioctl(start_dma_logging{page, {}}).has_value();
        due_ = {};
    }

    /// Marks what was written since the last time. Of a device that keeps no log: everything, where `stopped`. Throws
    /// what the device throws, and std::bad_alloc: something is missing then.
    template <servable Device>
    void hand_on(Device& device, client_memory& memory, bool stopped) {
        if (!keeps_ && !stopped) return;
        memory.each_shared([&](std::uint64_t iova, std::uint64_t size) {
            if (!keeps_ || !mark_written(device, memory, iova, size)) memory.mark(iova, size);
        });
        due_ = std::chrono::steady_clock::now() + pause;
    }
    /// Whether it is time to do so while the device runs: not at each access, since all the log is looked at.
    [[nodiscard]] bool due() const noexcept { return std::chrono::steady_clock::now() >= due_; }

private:
    static constexpr std::chrono::milliseconds pause{20};

    /// False: the log says nothing of this memory.
    template <servable Device>
    [[nodiscard]] bool mark_written(Device& device, client_memory& memory, std::uint64_t iova, std::uint64_t size) {
        if (((iova | size) & (page - 1)) != 0) return false;
        bits_.assign(static_cast<std::size_t>((size / page + 63) / 64), 0);
        if (!device.ioctl(report_dma_logging{iova, size, page, bits_})) return false;
        const std::uint64_t pages = size / page;
        for (std::uint64_t at = 0; at < pages;) {
            const std::uint64_t from = next(at, pages, true);
            at = next(from, pages, false);
            if (from < at) memory.mark(iova + from * page, (at - from) * page);
        }
        return true;
    }

    /// The first page from `at` on that was written, or was not.
    [[nodiscard]] std::uint64_t next(std::uint64_t at, std::uint64_t pages, bool written) const noexcept {
        while (at < pages) {
            const std::uint64_t word = bits_[static_cast<std::size_t>(at / 64)];
            const std::uint64_t left = (written ? word : ~word) >> (at % 64);
            if (left != 0) return std::min(pages, at + static_cast<unsigned>(std::countr_zero(left)));
            at = (at / 64 + 1) * 64;
        }
        return pages;
    }

    std::vector<std::uint64_t> bits_;
    std::chrono::steady_clock::time_point due_{};
    bool keeps_ = false;
};

} // namespace mediant::libvfio_user
