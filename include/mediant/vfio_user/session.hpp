// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/vfio_user/client_memory.hpp>
#include <mediant/vfio_user/device_commands.hpp>
#include <mediant/vfio_user/dma_commands.hpp>
#include <mediant/vfio_user/dma_messages.hpp>
#include <mediant/vfio_user/inbox.hpp>
#include <mediant/vfio_user/migration_commands.hpp>
#include <mediant/vfio_user/options.hpp>
#include <mediant/vfio_user/region_commands.hpp>
#include <mediant/vfio_user/replies.hpp>
#include <mediant/vfio_user/servable.hpp>
#include <mediant/vfio_user/signal_set.hpp>
#include <mediant/vfio_user/socket.hpp>
#include <mediant/vfio_user/version.hpp>
#include <mediant/vfio_user/wire.hpp>

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <optional>
#include <thread>
#include <utility>

namespace mediant::vfio_user {

/// One client's connection to one device: takes messages, answers them in order. Single-threaded; it waits for
/// nothing, unless receive() is asked to.
///
/// An error is a reply with the errno and the client's message ID, and the next message works. What ends the
/// connection: the client's end, a send that fails, a first message that is no acceptable VERSION, and shared memory
/// that turns out to have been cut short. Structs that carry an argsz may be longer than what is known, others must
/// have their exact size. What a device throws is its answer: ENOMEM for want of memory, else EIO.
///
/// DMA_UNMAP, and the end of a connection, may have to wait for threads of the device that use the memory (error::again
/// of unmap_dma): nothing here does. waits() says so, and resume() goes on; till then no other message is taken.
template <servable Device>
class session {
public:
    /// Takes over a connected stream socket. The device is opened when the client's VERSION is accepted.
    session(Device& device, unique_fd socket, const server_options& options)
        : device_{device}, socket_{std::move(socket)}, limits_{options}, max_data_{std::clamp<std::uint32_t>(
                                                                             options.max_data_xfer, 64 * 1024,
                                                                             1u << 30)},
          max_fds_{std::min(options.max_msg_fds, most_fds)},
          in_{access_size + max_data_, std::clamp<std::uint32_t>(options.max_queued, 64 * 1024, 1u << 30)},
          out_{access_size + max_data_ + 64 * 1024},
          remote_{in_, next_, out_, socket_.get(), options.dma_timeout, options.dma_budget, options.dma_layout, closing_},
          regions_{device, out_, max_data_, signals_}, dma_{device, out_, options}, whole_{device, out_, signals_},
          migration_{device, out_, max_data_} {}
    session(const session&) = delete;
    session& operator=(const session&) = delete;
    /// Waits for the device's threads, however long that takes.
    ~session() {
        while (!closed_) {
            end(false);
            if (!closed_) std::this_thread::sleep_for(std::chrono::microseconds{50});
        }
    }

    /// Receives once, answers what is complete, sends once. With `wait` it blocks until something comes.
    void receive(bool wait = false) {
        remote_.own();
        // A client that writes and switches at once what it writes to has lost the write, and with it the connection.
        if (in_.partial() && open_) [[unlikely]]
            if (!regions_.place(in_)) return end();
        switch (in_.receive(socket_.get(), wait ? 0 : MSG_DONTWAIT)) {
        case inbox::status::some: return process();
        case inbox::status::none: return;
        case inbox::status::closed: return end();
        }
    }

    /// Goes on after the socket took nothing (it does now), or after runnable().
    void resume() {
        remote_.own();
        if (ending_) return end();
        blocked_ = false;
        if (flush()) process();
    }

    /// Gives the device its time, and answers what came while it asked the client for memory. True: it asked, or those
    /// that came did, and others should have their turn.
    bool advance(std::uint64_t now)
        requires has_deadline<Device>
    {
        remote_.own();
        try {
            device_.advance(now);
        } catch (...) {
            closing_ = true; // what it wanted to do is not done, and nobody could be told
        }
        if (closing_)
            end();
        else
            process();
        return remote_.used();
    }

    /// What the client told by eventfds, as much as one turn allows.
    void signalled() {
        remote_.own();
        signals_.take([this](std::uint64_t which) {
            if (!open_ || closing_) return;
            try {
                (which & doorbells<Device>::source) != 0 ? regions_.rung(which & ~doorbells<Device>::source)
                                                         : whole_.irq_signal(which);
            } catch (...) {} // nobody waits for an answer
        });
        if (closing_) return end();
        process();
    }

    [[nodiscard]] int fd() const noexcept { return socket_.get(); }
    /// Readable where signalled() has something to do; -1 as long as the client has given no eventfd of that kind.
    [[nodiscard]] int signals_fd() const noexcept { return signals_.fd(); }
    /// The connection is over: device released, maps gone. The destructor closes the socket.
    [[nodiscard]] bool closed() const noexcept { return closed_ || dma_.lost() || remote_.broken(); }
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
    /// A thread of the device has not let go of memory yet: nothing is to be done but to call resume() in a while.
    [[nodiscard]] bool waits() const noexcept { return later_ | (ending_ && !closed_); }

    /// Releases the device, as soon as its threads let go of the client's memory: closed(), or waits(). Without effect
    /// where that was done. `patient`: it is not released before, whatever it says.
    [[gnu::noinline]] void end(bool patient = true) noexcept {
        if (closed_) return;
        ending_ = stalled_ = true;
        remote_.close();
        open_ = runnable_ = blocked_ = later_ = false;
        if (taken_) {
            if (!dma_.unmap_all(patient)) return;
            taken_ = false;
            regions_.close();
            whole_.disable_irqs();
            device_.release();
        }
        dma_.clear();
        stalled_ = false;
        closed_ = true;
    }

private:
    static constexpr std::size_t header_size = sizeof(wire::header);
    static constexpr std::size_t access_size = header_size + sizeof(wire::region_access);
    /// How often the buffer of replies may fill up before others have their turn.
    static constexpr int share = 8;

    /// Answers what the inbox holds, as far as there is room for replies, and whatever the device throws.
    void process() {
        for (;;) {
            int why = EIO;
            try {
                return answer_all();
            } catch (const std::bad_alloc&) {
                why = ENOMEM;
            } catch (...) {}
            if (!answer_thrown(why)) return;
        }
    }

    /// False: the connection is over.
    [[gnu::noinline]] bool answer_thrown(int why) noexcept {
        later_ = false;
        // Room was looked for before the device was asked.
        if (!out_.has_room(small_reply)) return end(), false;
        out_.reply_error(next_, why);
        in_.pop(next_);
        if (opened_ && !closing_) return true;
        if (!remote_.broken()) (void)flush();
        return end(), false;
    }

    void answer_all() {
        stalled_ = runnable_ = later_ = false;
        int turns = 0;
        while (in_.next(next_)) {
            if (handle(next_)) [[likely]] {
                in_.pop(next_);
            } else if (dma_.waits()) {
                if (wait()) return;
            } else {
                next_.taken = 0; // it will be shown again
                const bool room = make_room();
                if (room && ++turns <= share) continue;
                runnable_ = room;
                stalled_ = !room && !closed_;
                return;
            }
            if (closing_) [[unlikely]] {
                // Behind a part of a command nothing can be told.
                if (!remote_.broken()) (void)flush();
                return end();
            }
        }
        if (!blocked_) (void)flush_here();
        if (dma_.lost()) [[unlikely]]
            end();
    }

    /// The message at hand is answered later; what was answered is not kept back. False: it is answered, since its
    /// place was given to what came while the device asked for memory.
    [[nodiscard, gnu::noinline]] bool wait() {
        if (next_.taken == 0) {
            out_.reply_error(next_, EBUSY);
            in_.pop(next_);
            dma_.wait_no_more();
            return false;
        }
        next_.taken = 0; // it will be shown again
        later_ = stalled_ = true;
        if (!blocked_) (void)flush();
        return true;
    }

    /// Sends what waits, all of it, or says that this must wait.
    [[nodiscard]] bool make_room() { return !blocked_ && flush(); }

    /// True when all is sent; false when some waits (blocked_) or the connection is closed.
    [[gnu::noinline]] bool flush() { return flush_here(); }
    [[gnu::always_inline]] bool flush_here() {
        switch (out_.flush(socket_.get())) {
        case outbox::status::sent: return true;
        case outbox::status::blocked: blocked_ = true; return false;
        case outbox::status::broken: end(); return false;
        }
        return false;
    }

    /// False: there is no room for the reply, and nothing was done. With an empty outbox there always is.
    [[nodiscard, gnu::always_inline]] bool handle(message& what) {
        const auto& header = what.header;
        if (!open_ || !what.plain || (header.flags & wire::type_mask) != wire::type_command) [[unlikely]] {
            if (remote_.takes(header)) return true;
            if (!out_.has_room(small_reply)) return false;
            if (!open_ || what.error != 0 || (header.flags & wire::type_mask) != wire::type_command ||
                what.fds.size() > max_fds_) {
                handle_unusual(what);
                return true;
            }
        }
        const auto command = wire::command{header.command};
        if (command == wire::command::region_read) [[likely]]
            return regions_.read(what);
        if (!out_.has_room(small_reply)) [[unlikely]]
            return false;
        if (command == wire::command::region_write) [[likely]]
            regions_.write(what);
        else
            return handle_other(what, command);
        return true;
    }

    [[nodiscard, gnu::noinline]] bool handle_other(const message& what, wire::command command) {
        switch (command) {
        case wire::command::dma_map:
            twin_end_.reset(); // it was sent: there is room for another reply
            out_.reply_result(what, dma_.map(what));
            return true;
        case wire::command::dma_unmap: return dma_.unmap(what);
        case wire::command::device_get_info: whole_.info(what, regions_.count()); return true;
        case wire::command::device_get_region_info: return regions_.info(what);
        case wire::command::device_get_irq_info: whole_.irq_info(what); return true;
        case wire::command::device_set_irqs: whole_.irqs(what); return true;
        case wire::command::device_reset: whole_.reset(what); return true;
        case wire::command::region_write_multi: regions_.write_multi(what); return true;
        case wire::command::device_feature: return whole_.feature(what);
        case wire::command::device_get_region_io_fds: return regions_.io_fds(what);
        case wire::command::mig_data_read: return migration_.read(what);
        case wire::command::mig_data_write: migration_.write(what); return true;
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
        open_ = taken_ = true;
        const auto info = device_.ioctl(get_device_info{});
        if (!info) return abandon(info.error());
        whole_.open(*info);
        regions_.open(std::min(info->regions, limits_.max_regions), theirs->max_msg_fds, theirs->write_multiple);
        const bool twin = theirs->twin_socket && theirs->max_msg_fds != 0 && limits_.twin_socket &&
                          limits_.dma_timeout.count() > 0 && (what.header.flags & wire::no_reply) == 0;
        remote_.open(std::min<std::uint64_t>(theirs->max_data_xfer_size, max_data_), twin ? twins() : unique_fd{});
        dma_.open(remote_.usable() ? &remote_ : nullptr);

        version.minor = std::min(version.minor, wire::minor_version);
        std::array<char, capabilities_room> ours;
        const auto size = write_capabilities(ours, {.max_msg_fds = max_fds_,
                                                    .max_data_xfer_size = max_data_,
                                                    .max_dma_maps = limits_.max_dma_maps,
                                                    .pgsizes = client_memory::page,
                                                    .write_multiple = theirs->write_multiple,
                                                    .twin_socket = static_cast<bool>(twin_end_),
                                                    .twin_fd_index = twin_end_ ? std::optional{0u} : std::nullopt,
                                                    .migration_pgsize = migration_.pgsize()});
        std::memcpy(wire::store(out_.tail() + header_size, version), ours.data(), size);
        out_.commit_reply(what, sizeof version + size);
        if (twin_end_) out_.attach(twin_end_.get());
        opened_ = true;
        return 0;
    }

    /// The server's end of a new twin socket; twin_end_ is the client's. None where descriptors have run out.
    [[nodiscard]] unique_fd twins() noexcept {
        int ends[2];
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return {};
        twin_end_ = unique_fd{ends[1]};
        return unique_fd{ends[0]};
    }

    /// The device opened but cannot be served.
    [[nodiscard]] int abandon(error why) noexcept {
        open_ = taken_ = false;
        device_.release();
        return to_errno(why);
    }

    Device& device_;
    unique_fd socket_;
    const server_options& limits_;
    std::uint32_t max_data_;
    std::uint32_t max_fds_;
    inbox in_;
    message next_;
    replies out_;
    dma_messages remote_;
    unique_fd twin_end_; // the client's, until it was sent
    signal_set signals_;
    region_commands<Device> regions_;
    dma_commands<Device> dma_;
    device_commands<Device> whole_;
    migration_commands<Device> migration_;
    bool open_ = false;        // the device is, and VERSION was accepted
    bool taken_ = false;       // the device is, still
    bool opened_ = false;      // and stays so
    bool ending_ = false;      // the connection is over
    bool closed_ = false;      // for good
    bool later_ = false;       // the message at hand is to be answered again
    bool closing_ = false;     // when what waits was tried to be sent
    bool blocked_ = false;     // the socket takes nothing
    bool stalled_ = false;     // a message waits, for room for its reply or whatever
    bool runnable_ = false;    // had its share
};

} // namespace mediant::vfio_user
