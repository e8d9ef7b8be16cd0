// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/result.hpp>
#include <mediant/migration/state.hpp>
#include <mediant/vfio_user/client.hpp>
#include <mediant/vfio_user/wire.hpp>

#include <linux/vfio.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace mediant::vfio_user {

/// What a client asks of a device to migrate it: DEVICE_FEATURE as VFIO has it (linux/vfio.h, version 2), and
/// MIG_DATA_READ and WRITE. Errors as of the client; error::not_a_request: the device has none of it.
class client_migration {
public:
    explicit client_migration(client& peer) noexcept : peer_{&peer} {}

    /// Whether there is a feature, with these methods (VFIO_DEVICE_FEATURE_GET, SET).
    [[nodiscard]] result<void> probe(std::uint32_t feature, std::uint32_t methods) {
        const auto came = ask(feature | methods | VFIO_DEVICE_FEATURE_PROBE, {}, 0);
        return came ? result<void>{} : came.error();
    }

    /// migrates_by_stop_copy, migrates_with_pre_copy, …
    [[nodiscard]] result<std::uint64_t> flags() {
        const auto came = get<wire::migration_flags>(VFIO_DEVICE_FEATURE_MIGRATION);
        return came ? result<std::uint64_t>{came->flags} : came.error();
    }
    /// About how many bytes stop_copy will have.
    [[nodiscard]] result<std::uint64_t> size() {
        const auto came = get<wire::migration_size>(wire::feature_migration_size);
        return came ? result<std::uint64_t>{came->stop_copy_length} : came.error();
    }
    [[nodiscard]] result<migration_state> state() {
        const auto came = get<wire::migration_state>(VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE);
        return came ? result<migration_state>{migration_state{came->state}} : came.error();
    }
    result<void> go(migration_state to) {
        const wire::migration_state what{static_cast<std::uint32_t>(to), -1};
        const auto came = ask(VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
                              std::as_bytes(std::span{&what, 1}), sizeof what);
        return came ? result<void>{} : came.error();
    }

    /// MIG_DATA_READ: how many bytes came; fewer than there is room for are the last, of what there is so far.
    [[nodiscard]] result<std::size_t> read(std::span<std::byte> to) {
        const wire::migration_data request{static_cast<std::uint32_t>(sizeof(wire::migration_data) + to.size()),
                                           static_cast<std::uint32_t>(to.size())};
        const auto came = peer_->call(wire::command::mig_data_read, request);
        if (!came) return came.error();
        if (came->size() < sizeof request || came->size() - sizeof request > to.size()) return error{EPROTO};
        const auto data = std::span{*came}.subspan(sizeof request);
        if (wire::load<wire::migration_data>(*came).size != data.size()) return error{EPROTO};
        std::copy(data.begin(), data.end(), to.begin());
        return data.size();
    }
    /// MIG_DATA_WRITE.
    result<void> write(std::span<const std::byte> from) {
        const wire::migration_data request{sizeof(wire::migration_data), static_cast<std::uint32_t>(from.size())};
        const auto came = peer_->call(wire::command::mig_data_write, request, from);
        return came ? result<void>{} : came.error();
    }

    // The log of pages that the device writes.

    /// Answers the page that is tracked, bytes.
    [[nodiscard]] result<std::uint64_t> start_logging(std::uint64_t page, std::span<const range> ranges) {
        std::vector<std::byte> data(sizeof(wire::logging_start) + ranges.size() * sizeof(wire::logging_range));
        std::byte* at = wire::store(data.data(),
                                    wire::logging_start{page, static_cast<std::uint32_t>(ranges.size()), 0});
        for (const range& each : ranges) at = wire::store(at, wire::logging_range{each.offset, each.size});
        const auto came = ask(VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START, data, data.size());
        if (!came) return came.error();
        if (came->size() < sizeof(wire::logging_start)) return error{EPROTO};
        return wire::load<wire::logging_start>(*came).page;
    }
    result<void> stop_logging() {
        const auto came = ask(VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, {}, 0);
        return came ? result<void>{} : came.error();
    }
    /// Which pages were written since the last report: a bit each, in words of 64.
    result<void> report(std::uint64_t iova, std::uint64_t length, std::uint64_t page, std::span<std::uint64_t> to) {
        const wire::logging_report what{iova, length, page};
        const auto came = ask(VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
                              std::as_bytes(std::span{&what, 1}), sizeof what + to.size_bytes());
        if (!came) return came.error();
        if (came->size() != sizeof what + to.size_bytes()) return error{EPROTO};
        std::memcpy(to.data(), came->data() + sizeof what, to.size_bytes());
        return {};
    }

private:
    /// The reply's data, of which there may be `room` bytes.
    [[nodiscard]] result<std::vector<std::byte>> ask(std::uint32_t flags, std::span<const std::byte> data,
                                                     std::size_t room) {
        const wire::device_feature request{static_cast<std::uint32_t>(sizeof(wire::device_feature) + room), flags};
        auto came = peer_->call(wire::command::device_feature, request, data);
        if (!came) return came.error();
        if (came->size() < sizeof request) return error{EPROTO};
        return std::vector<std::byte>{came->begin() + sizeof request, came->end()};
    }
    template <class T>
    [[nodiscard]] result<T> get(std::uint32_t feature) {
        const auto came = ask(VFIO_DEVICE_FEATURE_GET | feature, {}, sizeof(T));
        if (!came) return came.error();
        if (came->size() < sizeof(T)) return error{EPROTO};
        return wire::load<T>(*came);
    }

    client* peer_;
};

} // namespace mediant::vfio_user
