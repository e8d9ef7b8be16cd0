// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/vfio_user/bulk.hpp>
#include <mediant/vfio_user/doorbells.hpp>
#include <mediant/vfio_user/inbox.hpp>
#include <mediant/vfio_user/region_table.hpp>
#include <mediant/vfio_user/replies.hpp>
#include <mediant/vfio_user/servable.hpp>
#include <mediant/vfio_user/signal_set.hpp>
#include <mediant/vfio_user/wire.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mediant::vfio_user {

/// The commands on regions: REGION_READ, REGION_WRITE, REGION_WRITE_MULTI, GET_REGION_INFO, GET_REGION_IO_FDS.
///
/// Each answers one message into the replies, of which small_reply bytes are free; false: that is too little, or there
/// must be no other reply, and nothing was done.
template <servable Device>
class region_commands {
public:
    /// `max_data`: bytes in one access at most.
    region_commands(Device& device, replies& out, std::uint32_t max_data, signal_set& signals) noexcept
        : device_{device}, out_{out}, max_data_{max_data}, doorbells_{device, signals} {}

    /// The device is open and has so many regions; what this connection agreed on.
    void open(std::uint32_t regions, std::uint32_t peer_fds, bool write_multi) {
        regions_.load(device_, regions);
        peer_fds_ = peer_fds;
        write_multi_ = write_multi;
    }
    [[nodiscard]] std::size_t count() const noexcept { return regions_.size(); }

    /// Looks for room by itself.
    [[nodiscard]] bool read(const message& what) {
        wire::region_access access{};
        if (what.payload.size() == sizeof access) [[likely]]
            access = wire::load<wire::region_access>(what.payload);
        if (what.payload.size() != sizeof access || !regions_.valid(access, max_data_, region_flags::read))
            [[unlikely]] {
            if (!out_.has_room(small_reply)) return false;
            out_.reply_error(what, EINVAL);
            return true;
        }
        replies& out = out_;
        if (!out.has_room(small_reply + access.count)) [[unlikely]]
            return false;
        if (access.count == 0) [[unlikely]]
            return out.commit_reply(what, 0), true;
        if (access.count >= least_bulk && read_bulk(device_, out, what, access)) [[unlikely]]
            return true;
        // Kept, since the compiler must think that what is stored there changes where it is.
        std::byte* const at = out.tail();
        const auto came = device_.read(
            read_access{region_index{access.region}, access.offset, {at + header_size + sizeof access, access.count}});
        if (came.count == 0 && came.error != error::none) [[unlikely]]
            return out.reply_error(what, came.error), true;
        access.count = static_cast<std::uint32_t>(std::min<std::uint64_t>(came.count, access.count));
        out.commit_reply_at(at, what, sizeof access + access.count);
        wire::store(at + header_size, access);
        return true;
    }

    void write(const message& what) {
        if (what.payload.size() < sizeof(wire::region_access)) return out_.reply_error(what, EINVAL);
        auto access = wire::load<wire::region_access>(what.payload);
        if (what.placed != 0) return out_.reply(what, access);
        const auto data = what.payload.subspan(sizeof access);
        if (data.size() != access.count || !regions_.valid(access, max_data_, region_flags::write))
            return out_.reply_error(what, EINVAL);
        if (access.count == 0) return out_.commit_reply(what, 0);
        const auto came = device_.write(write_access{region_index{access.region}, access.offset, data});
        if (came.count == 0 && came.error != error::none) return out_.reply_error(what, came.error);
        access.count = static_cast<std::uint32_t>(std::min<std::uint64_t>(came.count, access.count));
        out_.reply(what, access);
    }

    /// Leads a long REGION_WRITE of which a part has come to its place, if it has one. False: it had, and what is there
    /// traps since then (a doorbell's hook may have said so): no policy would see the rest.
    [[nodiscard]] bool place(inbox& in) {
        if (!in.placing()) {
            placed_ = place_bulk(device_, regions_, max_data_, in);
            return true;
        }
        if constexpr (rereads<Device>)
            return !bulk_of(device_, placed_).empty();
        else
            return true;
    }

    /// Several writes in one message, each of 8 bytes at most; the first that fails is the last.
    void write_multi(const message& what) {
        if (!write_multi_) return out_.reply_error(what, ENOTSUP);
        if (what.payload.size() < sizeof(std::uint64_t)) return out_.reply_error(what, EINVAL);
        const auto count = wire::load<std::uint64_t>(what.payload);
        auto writes = what.payload.subspan(sizeof count);
        if (writes.size() % sizeof(wire::region_write) != 0 || writes.size() / sizeof(wire::region_write) != count)
            return out_.reply_error(what, EINVAL);
        std::uint64_t done = 0;
        for (; done < count; ++done, writes = writes.subspan(sizeof(wire::region_write))) {
            const auto each = wire::load<wire::region_write>(writes);
            const wire::region_access access{each.offset, each.region, each.count};
            error why = error::invalid;
            if (each.count <= sizeof each.data && regions_.valid(access, max_data_, region_flags::write)) {
                if (each.count == 0) continue;
                const auto data = writes.subspan(offsetof(wire::region_write, data), each.count);
                const auto came = device_.write(write_access{region_index{each.region}, each.offset, data});
                if (came.count >= each.count) continue;
                why = came.error == error::none ? error::io : came.error;
            }
            if (done == 0) return out_.reply_error(what, why);
            break;
        }
        out_.reply(what, done);
    }

    [[nodiscard]] bool info(const message& what) {
        constexpr std::size_t fixed = sizeof(wire::region_info);
        if (what.payload.size() < fixed) return out_.reply_error(what, EINVAL), true;
        const auto request = wire::load<wire::region_info>(what.payload);
        if (request.argsz < fixed || request.index >= regions_.size()) return out_.reply_error(what, EINVAL), true;
        const std::size_t room = out_.capacity() - header_size;
        const auto found = regions_.describe(device_, request.index, peer_fds_ != 0, room);
        // Without a descriptor, or where the client takes less than there is: it asks again with what it is told.
        if (found.fd < 0 || request.argsz < found.info.argsz) return out_.reply(what, found.info), true;

        // What carries a descriptor goes out alone.
        if ((what.header.flags & wire::no_reply) != 0) return true;
        if (!out_.empty()) return false;
        out_.commit_reply(what, regions_.write(device_, found, out_.tail() + header_size));
        out_.attach(found.fd);
        return true;
    }

    /// Sub-regions whose writes are told by descriptors.
    [[nodiscard]] bool io_fds(const message& what) {
        if (what.payload.size() < sizeof(wire::io_fds)) return out_.reply_error(what, EINVAL), true;
        const auto request = wire::load<wire::io_fds>(what.payload);
        if (request.argsz < sizeof request || request.flags != 0 || request.count != 0 ||
            request.index >= regions_.size())
            return out_.reply_error(what, EINVAL), true;
        const auto found = doorbells_.of(request.index, peer_fds_);
        if (!found) return out_.reply_error(what, found.error()), true;
        const auto& list = **found;
        const wire::io_fds reply{static_cast<std::uint32_t>(sizeof request + list.entries.size()), 0, request.index,
                                 list.count};
        // As with region info: who has too little room asks again.
        if (list.count == 0 || request.argsz < reply.argsz) return out_.reply(what, reply), true;
        if ((what.header.flags & wire::no_reply) != 0) return true;
        if (!out_.empty()) return false;
        std::ranges::copy(list.entries, wire::store(out_.tail() + header_size, reply));
        out_.commit_reply(what, reply.argsz);
        out_.attach(list.fds);
        return true;
    }

    /// One of them was told of.
    void rung(std::uint64_t which) { doorbells_.rung(which); }
    /// The device is about to be released.
    void close() noexcept { doorbells_.clear(); }

private:
    static constexpr std::size_t header_size = sizeof(wire::header);

    Device& device_;
    replies& out_;
    std::uint32_t max_data_;
    std::uint32_t peer_fds_ = 1;
    bool write_multi_ = false; // the client may send it
    wire::region_access placed_{}; // the write that goes on
    region_table<Device> regions_;
    doorbells<Device> doorbells_;
};

} // namespace mediant::vfio_user
