// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/result.hpp>
#include <mediant/vfio_user/inbox.hpp>
#include <mediant/vfio_user/outbox.hpp>
#include <mediant/vfio_user/version.hpp>
#include <mediant/vfio_user/wire.hpp>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mediant::vfio_user {

/// Room for any reply but those that carry data, or a list: whoever sends such looks for more.
inline constexpr std::size_t small_reply = sizeof(wire::header) + sizeof(wire::version) + capabilities_room;

/// An outbox of replies. Room for each was asked for before (has_room); one to a message with no_reply is dropped.
class replies : public outbox {
public:
    using outbox::outbox;

    /// Fills the header for a payload of `size` bytes that lies behind it at the tail, and queues both.
    void commit_reply(const message& to, std::size_t size) noexcept { commit_reply_at(tail(), to, size); }
    /// The same for who knows the tail.
    void commit_reply_at(std::byte* tail, const message& to, std::size_t size) noexcept {
        if ((to.header.flags & wire::no_reply) != 0) return;
        constexpr std::size_t header = sizeof(wire::header);
        commit(header + size);
        wire::store(tail, wire::header{to.header.id, to.header.command, static_cast<std::uint32_t>(header + size),
                                    wire::type_reply, 0});
    }

    /// The same for a payload of `size` bytes at the tail and those of `block`, which are sent from where they are.
    void commit_reply(const message& to, std::size_t size, std::span<const std::byte> block) noexcept {
        if ((to.header.flags & wire::no_reply) != 0) return;
        constexpr std::size_t header = sizeof(wire::header);
        wire::store(tail(), wire::header{to.header.id, to.header.command,
                                         static_cast<std::uint32_t>(header + size + block.size()), wire::type_reply, 0});
        commit(header + size);
        attach(block);
    }

    template <class T>
    void reply(const message& to, const T& payload) noexcept {
        wire::store(tail() + sizeof(wire::header), payload);
        commit_reply(to, sizeof payload);
    }

    [[gnu::noinline]] void reply_error(const message& to, int why) noexcept {
        if ((to.header.flags & wire::no_reply) != 0) return;
        wire::store(tail(), wire::header{to.header.id, to.header.command, sizeof(wire::header),
                                         wire::type_reply | wire::error_flag, static_cast<std::uint32_t>(why)});
        commit(sizeof(wire::header));
    }
    void reply_error(const message& to, error why) noexcept {
        reply_error(to, why == error::not_a_request ? ENOTSUP : to_errno(why));
    }

    void reply_result(const message& to, result<void> what) noexcept {
        if (what)
            commit_reply(to, 0);
        else
            reply_error(to, what.error());
    }
};

} // namespace mediant::vfio_user
