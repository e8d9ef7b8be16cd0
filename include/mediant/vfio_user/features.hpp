// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/migration/state.hpp>
#include <mediant/vfio_user/servable.hpp>
#include <mediant/vfio_user/wire.hpp>

#include <linux/vfio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>

namespace mediant::vfio_user {

/// The most ranges in one DMA_LOGGING_START (LOG_MAX_RANGES in drivers/vfio/vfio_main.c is about as many).
inline constexpr std::uint32_t most_logging_ranges = 2048;

/// The words of a report's bitmap, or 0 where they would be more than fit `room` bytes, or nothing makes sense.
[[nodiscard]] constexpr std::size_t words_of_report(std::uint64_t length, std::uint64_t page,
                                                    std::size_t room) noexcept {
    if (page == 0 || length < page) return 0;
    const std::uint64_t words = (length / page - 1) / 64 + 1;
    return words <= room / sizeof(std::uint64_t) ? static_cast<std::size_t>(words) : 0;
}

/// Answers one DEVICE_FEATURE: `data` is its payload, of a struct device_feature at least; `to`, of at least as many
/// bytes, is where the reply's payload goes, whose size it gives. Errors as the kernel has them (vfio_main.c):
/// error::not_a_request (ENOTTY) for what is not supported, error::invalid for flags that contradict each other, data
/// of a wrong length, and logging that runs or does not.
template <class Device>
class device_features {
public:
    explicit device_features(Device& device) noexcept : device_{&device} {}

    [[nodiscard]] result<std::size_t> answer(std::span<const std::byte> payload, std::span<std::byte> to) {
        const auto asked = wire::load<wire::device_feature>(payload);
        constexpr std::uint32_t methods = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET;
        constexpr std::uint32_t known = VFIO_DEVICE_FEATURE_MASK | methods | VFIO_DEVICE_FEATURE_PROBE;
        if (asked.argsz < sizeof asked || (asked.flags & ~known) != 0) return error::invalid;
        const bool probe = (asked.flags & VFIO_DEVICE_FEATURE_PROBE) != 0;
        const std::uint32_t method = asked.flags & methods;
        if (!probe && (method == 0 || method == methods)) return error::invalid;

        const std::uint32_t feature = asked.flags & VFIO_DEVICE_FEATURE_MASK;
        const std::uint32_t can = supported(feature);
        if (can == 0 || (method & ~can) != 0) return error::not_a_request;
        if (probe) {
            std::copy(payload.begin(), payload.end(), to.begin());
            return payload.size();
        }
        const auto data = payload.subspan(sizeof asked);
        switch (feature) {
        case VFIO_DEVICE_FEATURE_DMA_LOGGING_START: return start(payload, data, to);
        case VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP:
            if (const auto stopped = device_->ioctl(stop_dma_logging{}); !stopped) return stopped.error();
            std::copy(payload.begin(), payload.end(), to.begin());
            return payload.size();
        case VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT: return report(asked, data, to);
        default: return migrate(asked, payload, to);
        }
    }

    /// Whether report_to() will succeed. error::not_supported: this device logs nothing.
    [[nodiscard]] result<void> check_report(std::uint64_t iova, std::uint64_t length, std::uint64_t page) {
        if (page == 0 || length == 0 || length - 1 > ~iova || length % page != 0) return error::invalid;
        std::uint64_t none = 0;
        const auto could = device_->ioctl(report_dma_logging{iova, page, page, {&none, 1}, false});
        return !could && could.error() == error::not_a_request ? error::not_supported : could;
    }

    /// A report into bytes that may lie anywhere; of whole words. An error is one of its arguments, and nothing is
    /// forgotten.
    [[nodiscard]] result<void> report_to(std::uint64_t iova, std::uint64_t length, std::uint64_t page,
                                         std::span<std::byte> to) {
        if (length == 0 || length - 1 > ~iova) return error::invalid;
        std::array<std::uint64_t, 1024> words;
        const std::uint64_t step = page <= std::numeric_limits<std::uint64_t>::max() / (64 * words.size())
                                       ? page * 64 * words.size()
                                       : length;
        for (std::uint64_t done = 0; done < length; done += std::min(step, length - done)) {
            const std::uint64_t now = std::min(step, length - done);
            const auto part = std::span{words}.first(words_of_report(now, page, sizeof words));
            if (const auto came = device_->ioctl(report_dma_logging{iova + done, now, page, part}); !came)
                return came.error();
            std::memcpy(to.data(), part.data(), part.size_bytes());
            to = to.subspan(part.size_bytes());
        }
        return {};
    }

private:
    /// The methods of a feature; 0: there is no such feature.
    [[nodiscard]] std::uint32_t supported(std::uint32_t feature) {
        std::uint32_t methods = 0;
        if constexpr (migratable<Device>) {
            if (device_->migration_flags() != 0) {
                if (feature == VFIO_DEVICE_FEATURE_MIGRATION || feature == wire::feature_migration_size)
                    return VFIO_DEVICE_FEATURE_GET;
                if (feature == VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE)
                    return VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET;
            }
        }
        switch (feature) {
        case VFIO_DEVICE_FEATURE_DMA_LOGGING_START:
        case VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP: methods = VFIO_DEVICE_FEATURE_SET; break;
        case VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT: methods = VFIO_DEVICE_FEATURE_GET; break;
        default: return 0;
        }
        // A report of nothing changes nothing, and says whether there is logging.
        const auto there = device_->ioctl(report_dma_logging{0, 0, 4096, {}});
        return there || there.error() != error::not_a_request ? methods : 0;
    }

    [[nodiscard]] result<std::size_t> start(std::span<const std::byte> payload, std::span<const std::byte> data,
                                            std::span<std::byte> to) {
        if (data.size() < sizeof(wire::logging_start)) return error::invalid;
        auto what = wire::load<wire::logging_start>(data);
        const auto listed = data.subspan(sizeof what);
        if (what.ranges > most_logging_ranges) return error::too_big;
        if (listed.size() != what.ranges * sizeof(wire::logging_range)) return error::invalid;
        std::array<range, most_logging_ranges> ranges;
        for (std::uint32_t i = 0; i < what.ranges; ++i) {
            const auto each = wire::load<wire::logging_range>(listed.subspan(i * sizeof(wire::logging_range)));
            ranges[i] = {each.iova, each.length};
        }
        const auto page = device_->ioctl(start_dma_logging{what.page, std::span{ranges}.first(what.ranges)});
        if (!page) return page.error();
        what.page = *page;
        std::copy(payload.begin(), payload.end(), to.begin());
        wire::store(to.data() + sizeof(wire::device_feature), what);
        return payload.size();
    }

    [[nodiscard]] result<std::size_t> report(wire::device_feature asked, std::span<const std::byte> data,
                                             std::span<std::byte> to) {
        constexpr std::size_t fixed = sizeof asked + sizeof(wire::logging_report);
        if (data.size() != sizeof(wire::logging_report)) return error::invalid;
        const auto what = wire::load<wire::logging_report>(data);
        const std::size_t words = words_of_report(what.length, what.page, to.size() - fixed);
        if (words == 0) return error::invalid;
        const std::size_t size = fixed + words * sizeof(std::uint64_t);
        const bool fits_reply = asked.argsz >= size;
        asked.argsz = static_cast<std::uint32_t>(size);
        wire::store(to.data(), asked);
        wire::store(to.data() + sizeof asked, what);
        // Too little room at the client's: it is told how much there must be, and nothing is forgotten.
        if (!fits_reply) return fixed;
        const auto done = report_to(what.iova, what.length, what.page,
                                    to.subspan(fixed, words * sizeof(std::uint64_t)));
        return done ? result<std::size_t>{size} : done.error();
    }

    /// The features of a device that migrates.
    [[nodiscard]] result<std::size_t> migrate(wire::device_feature asked, std::span<const std::byte> payload,
                                              std::span<std::byte> to) {
        if constexpr (migratable<Device>) {
            const std::uint32_t feature = asked.flags & VFIO_DEVICE_FEATURE_MASK;
            if (feature == VFIO_DEVICE_FEATURE_MIGRATION)
                return say(asked, wire::migration_flags{device_->migration_flags()}, to);
            if (feature == wire::feature_migration_size) {
                const auto size = device_->migration_size();
                if (!size) return size.error();
                return say(asked, wire::migration_size{*size}, to);
            }
            if ((asked.flags & VFIO_DEVICE_FEATURE_GET) != 0)
                return say(asked, wire::migration_state{static_cast<std::uint32_t>(device_->migration()), -1}, to);
            const auto data = payload.subspan(sizeof asked);
            if (data.size() != sizeof(wire::migration_state)) return error::invalid;
            const migration_state state{wire::load<wire::migration_state>(data).state};
            if (!has(device_->migration_flags(), state)) return error::invalid;
            if (state == migration_state::pre_copy && device_->migration() == migration_state::stop_copy)
                return error::invalid; // the one way that there is not
            if (const auto there = device_->migrate(state); !there) return there.error();
            std::copy(payload.begin(), payload.end(), to.begin());
            return payload.size();
        } else {
            return error::not_a_request;
        }
    }

    /// Whether a client may ask for this state. What concerns peers is not used in vfio-user.
    [[nodiscard]] static constexpr bool has(std::uint64_t flags, migration_state state) noexcept {
        switch (state) {
        case migration_state::stop:
        case migration_state::running:
        case migration_state::stop_copy:
        case migration_state::resuming: return true;
        case migration_state::pre_copy: return (flags & migrates_with_pre_copy) != 0;
        default: return false;
        }
    }

    /// The answer to a GET. Too little room at the client's: it is told how much there must be.
    template <class T>
    [[nodiscard]] static std::size_t say(wire::device_feature asked, const T& what, std::span<std::byte> to) noexcept {
        const bool fits_reply = asked.argsz >= sizeof asked + sizeof what;
        asked.argsz = sizeof asked + sizeof what;
        std::byte* const end = wire::store(to.data(), asked);
        if (!fits_reply) return sizeof asked;
        wire::store(end, what);
        return sizeof asked + sizeof what;
    }

    Device* device_;
};

} // namespace mediant::vfio_user
