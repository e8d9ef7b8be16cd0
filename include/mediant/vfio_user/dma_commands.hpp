// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/device/log.hpp>
#include <mediant/vfio_user/client_memory.hpp>
#include <mediant/vfio_user/features.hpp>
#include <mediant/vfio_user/inbox.hpp>
#include <mediant/vfio_user/options.hpp>
#include <mediant/vfio_user/replies.hpp>
#include <mediant/vfio_user/servable.hpp>
#include <mediant/vfio_user/wire.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mediant::vfio_user {

/// DMA_MAP and DMA_UNMAP, and the maps that they leave.
///
/// Each answers one message into the replies, of which small_reply bytes are free; false: that is too little, and
/// nothing was done, or the device has not let go of the memory yet (waits()), and it is to be asked again.
template <servable Device>
class dma_commands {
public:
    dma_commands(Device& device, replies& out, const server_options& options)
        : device_{device}, out_{out}, memory_{options.max_dma_maps, options.max_dma_bytes, options.memory_files_only} {
        if (options.log) log_.set_sink(options.log);
    }

    /// Whom to ask for memory that is not shared; null: it cannot be reached.
    void open(remote_memory* remote) noexcept { remote_ = remote; }

    /// As client_memory's.
    [[nodiscard]] bool lost() const noexcept { return memory_.lost(); }

    /// Takes all maps away from the device, which is still open. clear() follows once it is released. False: it has not
    /// let go of some yet, and is to be asked again; `patient`: also where it said error::busy.
    [[nodiscard]] bool unmap_all(bool patient) noexcept {
        bool all = true;
        for (auto& each : memory_.all()) {
            if (each.left) continue;
            error said = error::none;
            try {
                said = device_.ioctl(unmap_dma{each.iova, each.size}).error();
            } catch (...) {} // release() is what counts
            each.left = said != error::again && (said != error::busy || !patient);
            all = all && each.left;
        }
        return all;
    }
    /// Whether the device is to be asked again, before anything else is.
    [[nodiscard]] bool waits() const noexcept { return waits_; }
    /// The message was answered otherwise.
    void wait_no_more() noexcept { waits_ = false; }
    void clear() noexcept { memory_.clear(); }

    [[nodiscard]] result<void> map(const message& what) {
        if (what.payload.size() < sizeof(wire::dma_map) || what.fds.size() > 1) return error::invalid;
        const auto request = wire::load<wire::dma_map>(what.payload);
        if (request.argsz < sizeof request) return error::invalid;
        const auto added = memory_.add(request, what.fds.empty() ? -1 : what.fds[0]);
        if (!added) {
            if (added.error() == error::not_permitted && lines_++ < most_lines)
                log_("vfio-user: a client's file is no memfd, and not of a tmpfs or hugetlbfs, and was refused; it was "
                     "for I/O address and bytes",
                     std::uint64_t{request.address}, std::uint64_t{request.size});
            return added.error();
        }
        auto* const region = *added;
        if (region == nullptr) return {}; // an exact duplicate
        result<void> told;
        try {
            told = device_.ioctl(map_dma{
                region->iova, region->size, (region->flags & wire::dma_map_read) != 0,
                (region->flags & wire::dma_map_write) != 0,
                region->memory == nullptr ? std::span<std::byte>{} : std::span<std::byte>{region->memory, region->size},
                region->memory == nullptr ? remote_ : nullptr, what.fds.empty() ? -1 : what.fds[0], region->offset});
        } catch (...) {
            // It may have taken it up and failed at what comes then: the mapping stays where it does not give it back.
            const auto gone = device_.ioctl(unmap_dma{region->iova, region->size});
            if (gone || gone.error() == error::not_found || gone.error() == error::not_a_request)
                memory_.remove(region);
            throw;
        }
        if (told) return {};
        if (told.error() != error::not_a_request) {
            memory_.remove(region);
            return told;
        }
        memory_.unmap(*region); // the device does no DMA; clients map all the same
        return {};
    }

    [[nodiscard]] bool unmap(const message& what) {
        waits_ = false;
        if (what.payload.size() < sizeof(wire::dma_unmap)) return out_.reply_error(what, EINVAL), true;
        auto request = wire::load<wire::dma_unmap>(what.payload);
        const bool all = (request.flags & wire::dma_unmap_all) != 0;
        const bool dirty = (request.flags & wire::dma_unmap_dirty_bitmap) != 0;
        if (request.argsz < sizeof request || (all && dirty) ||
            (request.flags & ~(wire::dma_unmap_all | wire::dma_unmap_dirty_bitmap)) != 0)
            return out_.reply_error(what, EINVAL), true;
        if (all) {
            if (request.address != 0 || request.size != 0) return out_.reply_error(what, EINVAL), true;
            while (!memory_.all().empty()) {
                if (const auto gone = drop(&memory_.all().back()); !gone) return refused(what, gone.error());
            }
            request.argsz = sizeof request;
            return out_.reply(what, request), true;
        }
        auto* const region = memory_.find(request.address, request.size);
        if (region == nullptr) return out_.reply_error(what, ENOENT), true;
        if (dirty) return unmap_with_bitmap(what, request, region);
        if (const auto gone = drop(region); !gone) return refused(what, gone.error());
        request.argsz = sizeof request;
        return out_.reply(what, request), true;
    }

private:
    static constexpr std::size_t header_size = sizeof(wire::header);
    static constexpr unsigned most_lines = 4; // of a connection, in the log

    /// What the device wrote of the region since the last report, as of when it was gone.
    [[nodiscard]] bool unmap_with_bitmap(const message& what, wire::dma_unmap request, client_memory::region* region) {
        constexpr std::size_t fixed = sizeof request + sizeof(wire::dirty_bitmap);
        if (what.payload.size() != fixed) return out_.reply_error(what, EINVAL), true;
        const auto bitmap = wire::load<wire::dirty_bitmap>(what.payload.subspan(sizeof request));
        const std::size_t size = sizeof(std::uint64_t) *
                                 words_of_report(request.size, bitmap.page, out_.capacity() - header_size - fixed);
        if (size == 0 || bitmap.size < size || request.argsz < fixed + size)
            return out_.reply_error(what, EINVAL), true;
        if (!out_.empty()) return false;
        // What makes no sense must not unmap, and what was not unmapped must not be forgotten.
        device_features<Device> features{device_};
        if (const auto good = features.check_report(request.address, request.size, bitmap.page); !good)
            return out_.reply_error(what, good.error()), true;
        if (const auto gone = drop(region); !gone) return refused(what, gone.error());
        std::byte* const to = out_.tail() + header_size;
        if (const auto came = features.report_to(request.address, request.size, bitmap.page, {to + fixed, size}); !came)
            return out_.reply_error(what, came.error()), true;
        request.argsz = static_cast<std::uint32_t>(fixed + size);
        wire::store(wire::store(to, request), wire::dirty_bitmap{bitmap.page, size});
        out_.commit_reply(what, fixed + size);
        return true;
    }

    /// False where it is only not yet.
    [[nodiscard]] bool refused(const message& what, error why) noexcept {
        waits_ = why == error::again;
        if (!waits_) out_.reply_error(what, why);
        return !waits_;
    }

    /// The mapping stays where the device does not let go of it.
    [[nodiscard]] result<void> drop(client_memory::region* which) {
        const auto told = device_.ioctl(unmap_dma{which->iova, which->size});
        if (!told && told.error() != error::not_a_request) return told;
        memory_.remove(which);
        return {};
    }

    Device& device_;
    replies& out_;
    client_memory memory_;
    remote_memory* remote_ = nullptr;
    device::logger log_;
    unsigned lines_ = 0;
    bool waits_ = false;
};

} // namespace mediant::vfio_user
