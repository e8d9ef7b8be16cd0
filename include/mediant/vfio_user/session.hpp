// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/vfio_user/bulk.hpp>
#include <mediant/vfio_user/client_memory.hpp>
#include <mediant/vfio_user/features.hpp>
#include <mediant/vfio_user/inbox.hpp>
#include <mediant/vfio_user/irq_set.hpp>
#include <mediant/vfio_user/options.hpp>
#include <mediant/vfio_user/region_table.hpp>
#include <mediant/vfio_user/replies.hpp>
#include <mediant/vfio_user/servable.hpp>
#include <mediant/vfio_user/socket.hpp>
#include <mediant/vfio_user/version.hpp>
#include <mediant/vfio_user/wire.hpp>

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace mediant::vfio_user {

/// One client's connection to one device: takes messages, answers them in order. Single-threaded; it waits for
/// nothing, unless receive() is asked to.
///
/// An error is a reply with the errno and the client's message ID, and the next message works. What ends the
/// connection: the client's end, a send that fails, a first message that is no acceptable VERSION, and shared memory
/// that turns out to have been cut short. Structs that carry an argsz may be longer than what is known, others must
/// have their exact size.
template <servable Device>
class session {
public:
    /// Takes over a connected stream socket. The device is opened when the client's VERSION is accepted.
    session(Device& device, unique_fd socket, const server_options& options)
        : device_{device}, socket_{std::move(socket)}, limits_{options}, max_data_{std::clamp<std::uint32_t>(
                                                                             options.max_data_xfer, 64 * 1024,
                                                                             1u << 30)},
          max_fds_{std::min(options.max_msg_fds, most_fds)}, in_{access_size + max_data_},
          out_{access_size + max_data_ + 64 * 1024}, memory_{options.max_dma_maps} {}
    session(const session&) = delete;
    session& operator=(const session&) = delete;
    ~session() { end(); }

    /// Receives once, answers what is complete, sends once. With `wait` it blocks until something comes.
    void receive(bool wait = false) {
        if (in_.partial() && open_) [[unlikely]]
            place_bulk(device_, regions_, max_data_, in_);
        switch (in_.receive(socket_.get(), wait ? 0 : MSG_DONTWAIT)) {
        case inbox::status::some: return process();
        case inbox::status::none: return;
        case inbox::status::closed: return end();
        }
    }

    /// Goes on after the socket took nothing (it does now), or after runnable().
    void resume() {
        blocked_ = false;
        if (flush()) process();
    }

    [[nodiscard]] int fd() const noexcept { return socket_.get(); }
    /// The connection is over: device released, maps gone. The destructor closes the socket.
    [[nodiscard]] bool closed() const noexcept { return closed_ || memory_.lost(); }
    /// VERSION was accepted and the device is open.
    [[nodiscard]] bool open() const noexcept { return open_; }
    /// It was open, if only until now.
    [[nodiscard]] bool opened() const noexcept { return opened_; }
    [[nodiscard]] bool wants_to_read() const noexcept { return !stalled_ && !runnable_; }
    [[nodiscard]] bool wants_to_write() const noexcept { return blocked_; }
    /// Has had its share of time and wants to go on: call resume() soon.
    [[nodiscard]] bool runnable() const noexcept { return runnable_; }
    /// Nothing is under way: the next thing to do is to wait for the client.
    [[nodiscard]] bool idle() const noexcept { return open_ && !(stalled_ | runnable_ | blocked_); }

    /// Releases the device; without effect where that was done.
    [[gnu::noinline]] void end() noexcept {
        if (open_) {
            open_ = false;
            for (const auto& each : memory_.all()) (void)device_.ioctl(unmap_dma{each.iova, each.size});
            for (std::uint32_t i = 0; i < irqs_; ++i) (void)device_.ioctl(disabled(i));
            device_.release();
        }
        memory_.clear();
        stalled_ = runnable_ = blocked_ = false;
        closed_ = true;
    }

private:
    static constexpr std::size_t header_size = sizeof(wire::header);
    static constexpr std::size_t access_size = header_size + sizeof(wire::region_access);
    /// Room for any reply but those of REGION_READ and GET_REGION_INFO.
    static constexpr std::size_t small_reply = header_size + sizeof(wire::version) + capabilities_room;
    /// How often the buffer of replies may fill up before others have their turn.
    static constexpr int share = 8;

    /// Answers what the inbox holds, as far as there is room for replies.
    void process() {
        stalled_ = runnable_ = false;
        int turns = 0;
        while (in_.next(next_)) {
            if (!handle(next_)) [[unlikely]] {
                const bool room = make_room();
                if (room && ++turns > share) {
                    runnable_ = true;
                    return;
                }
                if (!room || !handle(next_)) {
                    stalled_ = !closed_;
                    return;
                }
            }
            in_.pop(next_);
            if (closing_) [[unlikely]] {
                (void)flush();
                return end();
            }
        }
        if (!blocked_) (void)flush();
        if (memory_.lost()) [[unlikely]]
            end();
    }

    /// Sends what waits, all of it, or says that this must wait.
    [[nodiscard]] bool make_room() { return !blocked_ && flush(); }

    /// True when all is sent; false when some waits (blocked_) or the connection is closed.
    bool flush() {
        switch (out_.flush(socket_.get())) {
        case outbox::status::sent: return true;
        case outbox::status::blocked: blocked_ = true; return false;
        case outbox::status::broken: end(); return false;
        }
        return false;
    }

    /// False: there is no room for the reply, and nothing was done. With an empty outbox there always is.
    [[nodiscard]] bool handle(message& what) {
        const auto& header = what.header;
        if (!open_ || !what.plain || (header.flags & wire::type_mask) != wire::type_command) [[unlikely]] {
            if (!out_.has_room(small_reply)) return false;
            if (!open_ || what.error != 0 || (header.flags & wire::type_mask) != wire::type_command ||
                what.fds.size() > max_fds_) {
                handle_unusual(what);
                return true;
            }
        }
        const auto command = wire::command{header.command};
        if (command == wire::command::region_read) [[likely]]
            return region_read(what);
        if (!out_.has_room(small_reply)) [[unlikely]]
            return false;
        if (command == wire::command::region_write) [[likely]]
            region_write(what);
        else
            return handle_other(what, command);
        return true;
    }

    [[nodiscard, gnu::noinline]] bool handle_other(const message& what, wire::command command) {
        switch (command) {
        case wire::command::dma_map: out_.reply_result(what, map(what)); return true;
        case wire::command::dma_unmap: return unmap(what);
        case wire::command::device_get_info: get_info(what); return true;
        case wire::command::device_get_region_info: return region_info(what);
        case wire::command::device_get_irq_info: irq_info(what); return true;
        case wire::command::device_set_irqs: out_.reply_result(what, irq_set(what)); return true;
        case wire::command::device_reset:
            out_.reply_result(what, what.payload.empty() ? device_.ioctl(reset_device{}) : error::invalid);
            return true;
        case wire::command::region_write_multi: write_multi(what); return true;
        case wire::command::device_feature: return feature(what);
        case wire::command::device_get_region_io_fds: region_io_fds(what); return true;
        case wire::command::mig_data_read:
        case wire::command::mig_data_write: out_.reply_error(what, ENOTSUP); return true;
        case wire::command::region_read: // those two are served already
        case wire::command::region_write:
        case wire::command::version:  // once is enough
        case wire::command::dma_read: // these two are the server's to send
        case wire::command::dma_write: break;
        }
        out_.reply_error(what, EINVAL);
        return true;
    }

    [[gnu::noinline]] void handle_unusual(const message& what) {
        const bool usable = what.error == 0 && (what.header.flags & wire::type_mask) == wire::type_command &&
                            what.fds.size() <= max_fds_;
        if (open_ || !usable || wire::command{what.header.command} != wire::command::version) {
            out_.reply_error(what, what.error != 0 ? what.error : EINVAL);
            closing_ = !open_;
        } else if (const int why = negotiate(what)) {
            out_.reply_error(what, why);
            closing_ = true;
        }
    }

    // Accesses

    [[nodiscard]] bool region_read(const message& what) {
        wire::region_access access{};
        if (what.payload.size() == sizeof access) [[likely]]
            access = wire::load<wire::region_access>(what.payload);
        if (what.payload.size() != sizeof access || !regions_.valid(access, max_data_, region_flags::read))
            [[unlikely]] {
            if (!out_.has_room(small_reply)) return false;
            out_.reply_error(what, EINVAL);
            return true;
        }
        if (!out_.has_room(small_reply + access.count)) [[unlikely]]
            return false;
        if (access.count == 0) [[unlikely]]
            return out_.commit_reply(what, 0), true;
        if (read_bulk(device_, out_, what, access)) return true;
        const auto came = device_.read(
            read_access{region_index{access.region}, access.offset, {out_.tail() + access_size, access.count}});
        if (came.count == 0 && came.error != error::none) [[unlikely]]
            return out_.reply_error(what, came.error), true;
        access.count = static_cast<std::uint32_t>(std::min<std::uint64_t>(came.count, access.count));
        wire::store(out_.tail() + header_size, access);
        out_.commit_reply(what, sizeof access + access.count);
        return true;
    }

    void region_write(const message& what) {
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

    // VERSION

    /// 0, or the errno to refuse with.
    [[nodiscard]] int negotiate(const message& what) {
        if (what.payload.size() < sizeof(wire::version)) return EINVAL;
        auto version = wire::load<wire::version>(what.payload);
        const auto text = what.payload.subspan(sizeof version);
        if (version.major != wire::major_version || text.size() > limits_.max_version_data) return EINVAL;
        const auto theirs = parse_capabilities(text);
        if (!theirs) return to_errno(theirs.error());

        if (const auto opened = device_.open(); !opened) return to_errno(opened.error());
        open_ = true;
        peer_fds_ = theirs->max_msg_fds;
        write_multi_ = theirs->write_multiple;
        const auto info = device_.ioctl(get_device_info{});
        if (!info) return abandon(info.error());
        irqs_ = info->irqs;
        can_reset_ = info->can_reset;
        regions_.load(device_, std::min(info->regions, limits_.max_regions));

        version.minor = std::min(version.minor, wire::minor_version);
        std::array<char, capabilities_room> ours;
        const auto size = write_capabilities(ours, {.max_msg_fds = max_fds_,
                                                    .max_data_xfer_size = max_data_,
                                                    .max_dma_maps = limits_.max_dma_maps,
                                                    .pgsizes = client_memory::page,
                                                    .write_multiple = write_multi_});
        std::memcpy(wire::store(out_.tail() + header_size, version), ours.data(), size);
        out_.commit_reply(what, sizeof version + size);
        opened_ = true;
        return 0;
    }

    /// The device opened but cannot be served.
    [[nodiscard]] int abandon(error why) noexcept {
        open_ = false;
        device_.release();
        return to_errno(why);
    }

    // DMA

    [[nodiscard]] result<void> map(const message& what) {
        if (what.payload.size() < sizeof(wire::dma_map) || what.fds.size() > 1) return error::invalid;
        const auto request = wire::load<wire::dma_map>(what.payload);
        if (request.argsz < sizeof request) return error::invalid;
        const auto added = memory_.add(request, what.fds.empty() ? -1 : what.fds[0]);
        if (!added) return added.error();
        auto* const region = *added;
        if (region == nullptr) return {}; // an exact duplicate
        const auto told = device_.ioctl(map_dma{
            region->iova, region->size, (region->flags & wire::dma_map_read) != 0,
            (region->flags & wire::dma_map_write) != 0,
            region->memory == nullptr ? std::span<std::byte>{} : std::span<std::byte>{region->memory, region->size}});
        if (told) return {};
        if (told.error() != error::not_a_request) {
            memory_.remove(region);
            return told;
        }
        client_memory::unmap(*region); // the device does no DMA; clients map all the same
        return {};
    }

    /// False: there is no room for the bitmap, and nothing was done.
    [[nodiscard]] bool unmap(const message& what) {
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
                if (const auto gone = drop(&memory_.all().back()); !gone)
                    return out_.reply_error(what, gone.error()), true;
            }
            request.argsz = sizeof request;
            return out_.reply(what, request), true;
        }
        auto* const region = memory_.find(request.address, request.size);
        if (region == nullptr) return out_.reply_error(what, ENOENT), true;
        if (dirty) return unmap_with_bitmap(what, request, region);
        if (const auto gone = drop(region); !gone) return out_.reply_error(what, gone.error()), true;
        request.argsz = sizeof request;
        return out_.reply(what, request), true;
    }

    /// What the device wrote of the region since the last report, as of when it was gone.
    [[nodiscard]] bool unmap_with_bitmap(const message& what, wire::dma_unmap request, client_memory::region* region) {
        constexpr std::size_t fixed = sizeof request + sizeof(wire::dirty_bitmap);
        if (what.payload.size() != fixed) return out_.reply_error(what, EINVAL), true;
        const auto bitmap = wire::load<wire::dirty_bitmap>(what.payload.subspan(sizeof request));
        const std::size_t size = sizeof(std::uint64_t) *
                                 words_of_report(request.size, bitmap.page, out_.capacity() - header_size - fixed);
        if (size == 0 || bitmap.size < size || request.argsz < fixed + size)
            return out_.reply_error(what, EINVAL), true;
        if (!out_.empty() && !make_room()) return false;
        // What makes no sense must not unmap, and what was not unmapped must not be forgotten.
        device_features<Device> features{device_};
        if (const auto good = features.check_report(request.address, request.size, bitmap.page); !good)
            return out_.reply_error(what, good.error()), true;
        if (const auto gone = drop(region); !gone) return out_.reply_error(what, gone.error()), true;
        std::byte* const to = out_.tail() + header_size;
        if (const auto came = features.report_to(request.address, request.size, bitmap.page, {to + fixed, size}); !came)
            return out_.reply_error(what, came.error()), true;
        request.argsz = static_cast<std::uint32_t>(fixed + size);
        wire::store(wire::store(to, request), wire::dirty_bitmap{bitmap.page, size});
        out_.commit_reply(what, fixed + size);
        return true;
    }

    /// The mapping stays where the device does not let go of it.
    [[nodiscard]] result<void> drop(client_memory::region* which) {
        const auto told = device_.ioctl(unmap_dma{which->iova, which->size});
        if (!told && told.error() != error::not_a_request) return told;
        memory_.remove(which);
        return {};
    }

    // Information

    void get_info(const message& what) {
        if (what.payload.size() < sizeof(wire::device_info)) return out_.reply_error(what, EINVAL);
        if (wire::load<wire::device_info>(what.payload).argsz < sizeof(wire::device_info))
            return out_.reply_error(what, EINVAL);
        out_.reply(what, wire::device_info{sizeof(wire::device_info),
                                           static_cast<std::uint32_t>(VFIO_DEVICE_FLAGS_PCI) |
                                               (can_reset_ ? static_cast<std::uint32_t>(VFIO_DEVICE_FLAGS_RESET) : 0u),
                                           static_cast<std::uint32_t>(regions_.size()), irqs_});
    }

    [[nodiscard]] bool region_info(const message& what) {
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
        if (!out_.empty() && !make_room()) return false;
        out_.commit_reply(what, regions_.write(device_, found, out_.tail() + header_size));
        out_.attach(found.fd);
        (void)flush();
        return true;
    }

    /// Sub-regions whose writes are told by descriptors: a device has none of them.
    void region_io_fds(const message& what) {
        if (what.payload.size() < sizeof(wire::io_fds)) return out_.reply_error(what, EINVAL);
        const auto request = wire::load<wire::io_fds>(what.payload);
        if (request.argsz < sizeof request || request.flags != 0 || request.index >= regions_.size())
            return out_.reply_error(what, EINVAL);
        out_.reply(what, wire::io_fds{sizeof request, 0, request.index, 0});
    }

    /// False: there is no room for the reply, and nothing was done.
    [[nodiscard]] bool feature(const message& what) {
        if (what.payload.size() < sizeof(wire::device_feature)) return out_.reply_error(what, EINVAL), true;
        if (!out_.empty() && !make_room()) return false;
        const auto answered = device_features{device_}.answer(
            what.payload, {out_.tail() + header_size, out_.capacity() - header_size});
        if (answered)
            out_.commit_reply(what, *answered);
        else
            out_.reply_error(what, answered.error() == error::not_a_request ? ENOTTY : to_errno(answered.error()));
        return true;
    }

    // Interrupts

    void irq_info(const message& what) {
        if (what.payload.size() < sizeof(wire::irq_info)) return out_.reply_error(what, EINVAL);
        const auto request = wire::load<wire::irq_info>(what.payload);
        if (request.argsz < sizeof request || request.index >= irqs_) return out_.reply_error(what, EINVAL);
        const auto info = device_.ioctl(get_irq_info{mediant::irq_index{request.index}});
        if (!info) return out_.reply_error(what, info.error());
        out_.reply(what,
                   wire::irq_info{sizeof request, static_cast<std::uint32_t>(info->flags), request.index, info->count});
    }

    [[nodiscard]] result<void> irq_set(const message& what) {
        if (what.payload.size() < sizeof(wire::irq_set)) return error::invalid;
        const auto request = wire::load<wire::irq_set>(what.payload);
        if (request.index >= irqs_) return error::invalid;
        const auto info = device_.ioctl(get_irq_info{mediant::irq_index{request.index}});
        if (!info) return info.error();
        const auto set = checked_irq_set(request, what.payload.subspan(sizeof request), what.fds, *info);
        return set ? device_.ioctl(*set) : set.error();
    }

    Device& device_;
    unique_fd socket_;
    const server_options& limits_;
    std::uint32_t max_data_;
    std::uint32_t max_fds_;
    inbox in_;
    message next_;
    replies out_;
    client_memory memory_;
    region_table<Device> regions_;
    std::uint32_t irqs_ = 0;
    std::uint32_t peer_fds_ = 1;
    bool can_reset_ = false;
    bool write_multi_ = false; // the client may send it
    bool open_ = false;        // the device is, and VERSION was accepted
    bool opened_ = false;      // and stays so
    bool closed_ = false;      // for good
    bool closing_ = false;     // when what waits was tried to be sent
    bool blocked_ = false;     // the socket takes nothing
    bool stalled_ = false;     // a message waits for room for its reply
    bool runnable_ = false;    // had its share
};

} // namespace mediant::vfio_user
