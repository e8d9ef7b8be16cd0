// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/result.hpp>
#include <mediant/device/dirty_log.hpp>
#include <mediant/migration/state.hpp>
#include <mediant/vfio_user/inbox.hpp>
#include <mediant/vfio_user/replies.hpp>
#include <mediant/vfio_user/servable.hpp>
#include <mediant/vfio_user/wire.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace mediant::vfio_user {

/// MIG_DATA_READ and MIG_DATA_WRITE: the stream of a device's state. A device that does not migrate answers ENOTTY, one
/// that is in a state without such a stream EINVAL.
///
/// Each answers one message into the replies, of which small_reply bytes are free; false: that is too little, and
/// nothing was done.
template <servable Device>
class migration_commands {
public:
    /// `max_data`: bytes of the stream in one message at most.
    migration_commands(Device& device, replies& out, std::uint32_t max_data) noexcept
        : device_{device}, out_{out}, max_data_{max_data} {}

    /// What VERSION says of a device that migrates: the page size of its log of what it wrote.
    [[nodiscard]] std::optional<std::uint64_t> pgsize() {
        if constexpr (migratable<Device>) {
            if (device_.migration_flags() != 0) return device::dirty_log::least_page;
        }
        return {};
    }

    /// Fewer bytes than were asked for are the last ones.
    [[nodiscard]] bool read(const message& what) {
        if constexpr (migratable<Device>) {
            if (what.payload.size() < sizeof(wire::migration_data)) return out_.reply_error(what, EINVAL), true;
            auto request = wire::load<wire::migration_data>(what.payload);
            if (request.size > max_data_ || request.argsz < sizeof request ||
                request.argsz - sizeof request < request.size)
                return out_.reply_error(what, EINVAL), true;
            if (!out_.has_room(small_reply + request.size)) return false;
            if (device_.migration_flags() == 0) return out_.reply_error(what, ENOTTY), true;
            if (!saves(device_.migration())) return out_.reply_error(what, EINVAL), true;
            std::byte* const to = out_.tail() + sizeof(wire::header);
            if (request.size != 0) {
                const auto came = device_.read_migration({to + sizeof request, request.size});
                if (!came) return out_.reply_error(what, came.error()), true;
                request.size = static_cast<std::uint32_t>(std::min<std::size_t>(*came, request.size));
            }
            request.argsz = static_cast<std::uint32_t>(sizeof request) + request.size;
            wire::store(to, request);
            out_.commit_reply(what, request.argsz);
        } else {
            out_.reply_error(what, ENOTTY);
        }
        return true;
    }

    void write(const message& what) {
        if constexpr (migratable<Device>) {
            if (what.payload.size() < sizeof(wire::migration_data)) return out_.reply_error(what, EINVAL);
            const auto request = wire::load<wire::migration_data>(what.payload);
            const auto data = what.payload.subspan(sizeof request);
            if (request.argsz < sizeof request || request.size > max_data_ || data.size() != request.size)
                return out_.reply_error(what, EINVAL);
            if (device_.migration_flags() == 0) return out_.reply_error(what, ENOTTY);
            if (device_.migration() != migration_state::resuming) return out_.reply_error(what, EINVAL);
            out_.reply_result(what, data.empty() ? result<void>{} : device_.write_migration(data));
        } else {
            out_.reply_error(what, ENOTTY);
        }
    }

private:
    Device& device_;
    replies& out_;
    std::uint32_t max_data_;
};

} // namespace mediant::vfio_user
