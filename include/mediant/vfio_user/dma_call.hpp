// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/result.hpp>
#include <mediant/vfio_user/options.hpp>
#include <mediant/vfio_user/wire.hpp>

#include <poll.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <span>

namespace mediant::vfio_user {

/// A point in time until which something is waited for.
class patience {
public:
    explicit patience(std::chrono::nanoseconds length) noexcept : end_{std::chrono::steady_clock::now() + length} {}

    [[nodiscard]] std::chrono::steady_clock::time_point end() const noexcept { return end_; }
    /// 0 where it is over.
    [[nodiscard]] std::chrono::nanoseconds left() const noexcept {
        return std::max(end_ - std::chrono::steady_clock::now(), std::chrono::steady_clock::duration{0});
    }

    /// Waits until the descriptor is ready for one of `events` and says for which; 0: it is over. A hang-up or an
    /// error of the descriptor is POLLIN: a receive tells more.
    [[nodiscard]] short wait(int fd, short events) const noexcept {
        for (;;) {
            const auto now = left();
            const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now);
            const timespec time{static_cast<time_t>(seconds.count()), static_cast<long>((now - seconds).count())};
            pollfd what{fd, events, 0};
            const int ready = ::ppoll(&what, 1, &time, nullptr);
            if (ready > 0)
                return (what.revents & ~(POLLIN | POLLOUT)) != 0 ? static_cast<short>(what.revents | POLLIN)
                                                                 : what.revents;
            if (ready == 0 || errno != EINTR) return 0;
        }
    }

private:
    std::chrono::steady_clock::time_point end_;
};

/// One DMA_READ or DMA_WRITE to a client.
class dma_call {
public:
    static constexpr std::size_t head_size = sizeof(wire::header) + sizeof(wire::dma_access);

    dma_call(std::uint16_t id, std::uint64_t address, std::span<std::byte> to,
             dma_layout layout = dma_layout::specification) noexcept
        : dma_call{wire::command::dma_read, id, address, to.size(), {}, to, layout} {}
    dma_call(std::uint16_t id, std::uint64_t address, std::span<const std::byte> from,
             dma_layout layout = dma_layout::specification) noexcept
        : dma_call{wire::command::dma_write, id, address, from.size(), from, {}, layout} {}

    /// The message, in its parts: what is before the data, the data, and what is behind it.
    [[nodiscard]] std::array<iovec, 3> message() noexcept {
        const std::size_t before = sizeof(wire::header) + data_at();
        // Only sendmsg's declaration wants to write to the data.
        return {iovec{head_.data(), before}, iovec{const_cast<std::byte*>(from_.data()), from_.size()},
                iovec{head_.data() + before, head_.size() - before}};
    }
    /// Where the data lies behind the header, in the message and in the reply.
    [[nodiscard]] std::size_t data_at() const noexcept {
        return layout_ == dma_layout::short_count ? short_reply : sizeof(wire::dma_access);
    }

    /// Where the reply's data goes; empty for a write.
    [[nodiscard]] std::span<std::byte> to() const noexcept { return to_; }
    [[nodiscard]] std::uint16_t id() const noexcept { return id_; }
    [[nodiscard]] std::uint16_t command() const noexcept { return static_cast<std::uint16_t>(command_); }

    /// What a reply says, of which `fixed` is what follows the header, without data: the bytes that were transferred, or
    /// the client's error. error{EPROTO}: it makes no sense. A write may be answered with the address and a count of
    /// 8 bytes (libvfio-user, QEMU), of 4 (the specification), or with nothing.
    [[nodiscard]] result<std::uint64_t> judge(const wire::header& header, std::span<const std::byte> fixed) const
        noexcept {
        if ((header.flags & wire::error_flag) != 0) {
            if (header.size != sizeof header) return error{EPROTO};
            return wire::error_of(header);
        }
        const std::size_t size = header.size - sizeof header;
        const bool write = command_ == wire::command::dma_write;
        if (write && size == 0) return count_;
        if (size < short_reply || fixed.size() < std::min(size, sizeof(wire::dma_access))) return error{EPROTO};
        wire::dma_access said{};
        if (size >= sizeof said) {
            said = wire::load<wire::dma_access>(fixed);
            if (layout_ == dma_layout::short_count) said.count = static_cast<std::uint32_t>(said.count);
        } else {
            if (!write || size != short_reply) return error{EPROTO};
            said.address = wire::load<std::uint64_t>(fixed);
            said.count = wire::load<std::uint32_t>(fixed.subspan(sizeof said.address));
        }
        if (said.address != address_ || said.count > count_) return error{EPROTO};
        if (size > short_reply && size != sizeof said + (write ? 0 : said.count)) return error{EPROTO};
        return said.count;
    }

private:
    static constexpr std::size_t short_reply = sizeof(std::uint64_t) + sizeof(std::uint32_t);

    dma_call(wire::command what, std::uint16_t id, std::uint64_t address, std::uint64_t count,
             std::span<const std::byte> from, std::span<std::byte> to, dma_layout layout) noexcept
        : command_{what}, layout_{layout}, id_{id}, address_{address}, count_{count}, from_{from}, to_{to} {
        wire::store(wire::store(head_.data(),
                                wire::header{id, command(), static_cast<std::uint32_t>(head_size + from.size()),
                                             wire::type_command, 0}),
                    wire::dma_access{address, count});
    }

    wire::command command_;
    dma_layout layout_;
    std::uint16_t id_;
    std::uint64_t address_;
    std::uint64_t count_;
    std::span<const std::byte> from_;
    std::span<std::byte> to_;
    std::array<std::byte, head_size> head_;
};

} // namespace mediant::vfio_user
