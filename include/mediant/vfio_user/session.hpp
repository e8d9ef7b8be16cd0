// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/vfio_user/client_memory.hpp>
#include <mediant/vfio_user/inbox.hpp>
#include <mediant/vfio_user/irq_set.hpp>
#include <mediant/vfio_user/options.hpp>
#include <mediant/vfio_user/outbox.hpp>
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
#include <vector>

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
            for (std::uint32_t i = 0; i < irqs_; ++i) (void)device_.ioctl(disable(i));
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

    struct shape {
        std::uint64_t size = 0;
        region_flags flags = region_flags::none;
    };

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
        case wire::command::dma_map: reply_result(what, map(what)); return true;
        case wire::command::dma_unmap: unmap(what); return true;
        case wire::command::device_get_info: get_info(what); return true;
        case wire::command::device_get_region_info: return region_info(what);
        case wire::command::device_get_irq_info: irq_info(what); return true;
        case wire::command::device_set_irqs: reply_result(what, irq_set(what)); return true;
        case wire::command::device_reset:
            reply_result(what, what.payload.empty() ? device_.ioctl(reset_device{}) : error::invalid);
            return true;
        case wire::command::device_get_region_io_fds:
        case wire::command::region_write_multi:
        case wire::command::device_feature:
        case wire::command::mig_data_read:
        case wire::command::mig_data_write: reply_error(what, ENOTSUP); return true;
        case wire::command::region_read: // those two are served already
        case wire::command::region_write:
        case wire::command::version:  // once is enough
        case wire::command::dma_read: // these two are the server's to send
        case wire::command::dma_write: break;
        }
        reply_error(what, EINVAL);
        return true;
    }

    [[gnu::noinline]] void handle_unusual(const message& what) {
        const bool usable = what.error == 0 && (what.header.flags & wire::type_mask) == wire::type_command &&
                            what.fds.size() <= max_fds_;
        if (open_ || !usable || wire::command{what.header.command} != wire::command::version) {
            reply_error(what, what.error != 0 ? what.error : EINVAL);
            closing_ = !open_;
        } else if (const int why = negotiate(what)) {
            reply_error(what, why);
            closing_ = true;
        }
    }

    // Replies

    /// Fills the header for a payload of `size` bytes that lies behind it, and queues both.
    void commit(const message& to, std::size_t size) noexcept {
        if ((to.header.flags & wire::no_reply) != 0) return;
        wire::store(out_.tail(), wire::header{to.header.id, to.header.command,
                                              static_cast<std::uint32_t>(header_size + size), wire::type_reply, 0});
        out_.commit(header_size + size);
    }

    template <class T>
    void reply(const message& to, const T& payload) noexcept {
        wire::store(out_.tail() + header_size, payload);
        commit(to, sizeof payload);
    }

    [[gnu::noinline]] void reply_error(const message& to, int why) noexcept {
        if ((to.header.flags & wire::no_reply) != 0) return;
        wire::store(out_.tail(), wire::header{to.header.id, to.header.command, header_size,
                                              wire::type_reply | wire::error_flag, static_cast<std::uint32_t>(why)});
        out_.commit(header_size);
    }
    void reply_error(const message& to, error why) noexcept {
        reply_error(to, why == error::not_a_request ? ENOTSUP : to_errno(why));
    }

    void reply_result(const message& to, result<void> what) noexcept {
        if (what)
            commit(to, 0);
        else
            reply_error(to, what.error());
    }

    // Accesses

    [[nodiscard]] bool valid(const wire::region_access& what, region_flags needs) const noexcept {
        return what.count <= max_data_ && what.region < regions_.size() &&
               fits(what.offset, what.count, regions_[what.region].size) && has(regions_[what.region].flags, needs);
    }

    [[nodiscard]] bool region_read(const message& what) {
        wire::region_access access{};
        if (what.payload.size() == sizeof access) [[likely]]
            access = wire::load<wire::region_access>(what.payload);
        if (what.payload.size() != sizeof access || !valid(access, region_flags::read)) [[unlikely]] {
            if (!out_.has_room(small_reply)) return false;
            reply_error(what, EINVAL);
            return true;
        }
        if (!out_.has_room(small_reply + access.count)) [[unlikely]]
            return false;
        if (access.count == 0) [[unlikely]]
            return commit(what, 0), true;
        const auto came = device_.read(
            read_access{region_index{access.region}, access.offset, {out_.tail() + access_size, access.count}});
        if (came.count == 0 && came.error != error::none) [[unlikely]]
            return reply_error(what, came.error), true;
        access.count = static_cast<std::uint32_t>(std::min<std::uint64_t>(came.count, access.count));
        wire::store(out_.tail() + header_size, access);
        commit(what, sizeof access + access.count);
        return true;
    }

    void region_write(const message& what) {
        if (what.payload.size() < sizeof(wire::region_access)) return reply_error(what, EINVAL);
        auto access = wire::load<wire::region_access>(what.payload);
        const auto data = what.payload.subspan(sizeof access);
        if (data.size() != access.count || !valid(access, region_flags::write)) return reply_error(what, EINVAL);
        if (access.count == 0) return commit(what, 0);
        const auto came = device_.write(write_access{region_index{access.region}, access.offset, data});
        if (came.count == 0 && came.error != error::none) return reply_error(what, came.error);
        access.count = static_cast<std::uint32_t>(std::min<std::uint64_t>(came.count, access.count));
        reply(what, access);
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
        const auto info = device_.ioctl(get_device_info{});
        if (!info) return abandon(info.error());
        irqs_ = info->irqs;
        can_reset_ = info->can_reset;
        regions_.resize(std::min(info->regions, limits_.max_regions));
        for (std::uint32_t i = 0; i < regions_.size(); ++i) {
            const auto each = device_.ioctl(get_region_info{region_index{i}});
            if (each) regions_[i] = {each->size, each->flags};
        }

        version.minor = std::min(version.minor, wire::minor_version);
        std::array<char, capabilities_room> ours;
        const auto size = write_capabilities(ours, {.max_msg_fds = max_fds_,
                                                    .max_data_xfer_size = max_data_,
                                                    .max_dma_maps = limits_.max_dma_maps,
                                                    .pgsizes = client_memory::page});
        std::memcpy(wire::store(out_.tail() + header_size, version), ours.data(), size);
        commit(what, sizeof version + size);
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

    void unmap(const message& what) {
        if (what.payload.size() < sizeof(wire::dma_unmap)) return reply_error(what, EINVAL);
        auto request = wire::load<wire::dma_unmap>(what.payload);
        if (request.argsz < sizeof request) return reply_error(what, EINVAL);
        if ((request.flags & ~(wire::dma_unmap_all | wire::dma_unmap_dirty_bitmap)) != 0)
            return reply_error(what, EINVAL);
        if ((request.flags & wire::dma_unmap_dirty_bitmap) != 0) return reply_error(what, ENOTSUP);
        if ((request.flags & wire::dma_unmap_all) != 0) {
            if (request.address != 0 || request.size != 0) return reply_error(what, EINVAL);
            while (!memory_.all().empty()) {
                if (const auto gone = drop(&memory_.all().back()); !gone) return reply_error(what, gone.error());
            }
        } else {
            auto* const region = memory_.find(request.address, request.size);
            if (region == nullptr) return reply_error(what, ENOENT);
            if (const auto gone = drop(region); !gone) return reply_error(what, gone.error());
        }
        request.argsz = sizeof request;
        reply(what, request);
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
        if (what.payload.size() < sizeof(wire::device_info)) return reply_error(what, EINVAL);
        if (wire::load<wire::device_info>(what.payload).argsz < sizeof(wire::device_info))
            return reply_error(what, EINVAL);
        reply(what, wire::device_info{sizeof(wire::device_info),
                                      static_cast<std::uint32_t>(VFIO_DEVICE_FLAGS_PCI) |
                                          (can_reset_ ? static_cast<std::uint32_t>(VFIO_DEVICE_FLAGS_RESET) : 0u),
                                      static_cast<std::uint32_t>(regions_.size()), irqs_});
    }

    /// The file that a client may map a region's areas from, or -1.
    [[nodiscard]] int shared_fd(region_index which) {
        if constexpr (has_memory_fd<Device>) {
            if (peer_fds_ != 0) return device_.memory_fd(which);
        }
        return -1;
    }

    [[nodiscard]] bool region_info(const message& what) {
        constexpr std::size_t fixed = sizeof(wire::region_info);
        if (what.payload.size() < fixed) return reply_error(what, EINVAL), true;
        const auto request = wire::load<wire::region_info>(what.payload);
        if (request.argsz < fixed || request.index >= regions_.size()) return reply_error(what, EINVAL), true;
        const auto index = region_index{request.index};
        const auto& region = regions_[request.index];
        wire::region_info info{fixed, static_cast<std::uint32_t>(region.flags), request.index, 0, region.size, 0};

        // How much of it can be mapped: nothing, all, or some areas, which a capability lists.
        const int fd = has(region.flags, region_flags::mmap) ? shared_fd(index) : -1;
        std::size_t areas = 0;
        bool whole = false;
        if (fd >= 0) {
            for (auto area = next_area(index, region, 0); !area.empty(); area = next_area(index, region, area.end())) {
                whole = area == range{0, region.size};
                ++areas;
            }
        }
        const std::size_t caps = areas == 0 || whole ? 0
                                                     : sizeof(wire::sparse_mmap) + areas * sizeof(wire::sparse_area);
        const bool mappable = areas != 0 && header_size + fixed + caps <= out_.capacity();
        if (!mappable) info.flags &= ~static_cast<std::uint32_t>(VFIO_REGION_INFO_FLAG_MMAP);
        if (mappable && caps != 0) info.flags |= static_cast<std::uint32_t>(VFIO_REGION_INFO_FLAG_CAPS);
        if (mappable) info.argsz = static_cast<std::uint32_t>(fixed + caps);
        if (!mappable || request.argsz < info.argsz) return reply(what, info), true;

        // What carries a descriptor goes out alone.
        if ((what.header.flags & wire::no_reply) != 0) return true;
        if (!out_.empty() && !make_room()) return false;
        if (caps != 0) {
            info.cap_offset = fixed;
            auto* to = wire::store(
                out_.tail() + header_size + fixed,
                wire::sparse_mmap{VFIO_REGION_INFO_CAP_SPARSE_MMAP, 1, 0, static_cast<std::uint32_t>(areas), 0});
            for (auto area = next_area(index, region, 0); !area.empty(); area = next_area(index, region, area.end())) {
                to = wire::store(to, wire::sparse_area{area.offset, area.size});
            }
        }
        wire::store(out_.tail() + header_size, info);
        commit(what, fixed + caps);
        out_.attach(fd);
        (void)flush();
        return true;
    }

    /// The first mappable area at or after `from`, within the region.
    [[nodiscard]] range next_area(region_index index, const shape& in, std::uint64_t from) const {
        if (from >= in.size) return {};
        const range found = device_.next_area(index, client_memory::page, from);
        return found.empty() || found.offset < from || !fits(found.offset, found.size, in.size) ? range{} : found;
    }

    // Interrupts

    void irq_info(const message& what) {
        if (what.payload.size() < sizeof(wire::irq_info)) return reply_error(what, EINVAL);
        const auto request = wire::load<wire::irq_info>(what.payload);
        if (request.argsz < sizeof request || request.index >= irqs_) return reply_error(what, EINVAL);
        const auto info = device_.ioctl(get_irq_info{mediant::irq_index{request.index}});
        if (!info) return reply_error(what, info.error());
        reply(what,
              wire::irq_info{sizeof request, static_cast<std::uint32_t>(info->flags), request.index, info->count});
    }

    [[nodiscard]] static set_irqs disable(std::uint32_t index) noexcept {
        return {mediant::irq_index{index}, set_irqs::action::trigger, set_irqs::data::none, 0, 0, {}, {}};
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
    outbox out_;
    client_memory memory_;
    std::vector<shape> regions_; // as they were at open
    std::uint32_t irqs_ = 0;
    std::uint32_t peer_fds_ = 1;
    bool can_reset_ = false;
    bool open_ = false;     // the device is, and VERSION was accepted
    bool opened_ = false;   // and stays so
    bool closed_ = false;   // for good
    bool closing_ = false;  // when what waits was tried to be sent
    bool blocked_ = false;  // the socket takes nothing
    bool stalled_ = false;  // a message waits for room for its reply
    bool runnable_ = false; // had its share
};

} // namespace mediant::vfio_user
