// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/result.hpp>
#include <mediant/device/remote_memory.hpp>
#include <mediant/vfio_user/wire.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace mediant::vfio_user {

/// A client's memory that it does not share: a server's DMA_READ and DMA_WRITE are answered from it, or by whoever has
/// it.
class own_memory {
public:
    /// `flags` as of DMA_MAP. The bytes stay the caller's, until remove().
    void add(std::uint64_t iova, std::span<std::byte> memory, std::uint32_t flags) {
        parts_.push_back({iova, memory.size(), memory, nullptr, flags});
    }
    /// The same of another, who is asked at the same I/O addresses.
    void add(std::uint64_t iova, std::uint64_t size, remote_memory& whose, std::uint32_t flags) {
        parts_.push_back({iova, size, {}, &whose, flags});
    }
    void remove(std::uint64_t iova, std::uint64_t size) {
        std::erase_if(parts_, [&](const part& each) { return each.iova == iova && each.size == size; });
    }
    void clear() noexcept { parts_.clear(); }
    [[nodiscard]] bool empty() const noexcept { return parts_.empty(); }

    /// Bytes that one command may ask for, as VERSION said.
    void limit(std::uint64_t most) noexcept { most_ = most; }

    /// How many commands were served without an error.
    [[nodiscard]] std::uint64_t reads() const noexcept { return reads_; }
    [[nodiscard]] std::uint64_t writes() const noexcept { return writes_; }

    /// The reply to a server's command; empty where it wants none. Errors: EINVAL for other commands and wrong sizes,
    /// E2BIG over the limit, EFAULT outside of the memory, EACCES against its flags; then nothing was done. Else what
    /// who has the memory says.
    [[nodiscard]] std::vector<std::byte> answer(const wire::header& command, std::span<const std::byte> payload) {
        std::vector<std::byte> reply(sizeof(wire::header));
        const int why = serve(command, payload, reply);
        if (why != 0) reply.resize(sizeof(wire::header));
        if ((command.flags & wire::no_reply) != 0) return {};
        wire::store(reply.data(),
                    wire::header{command.id, command.command, static_cast<std::uint32_t>(reply.size()),
                                 why == 0 ? wire::type_reply : wire::type_reply | wire::error_flag,
                                 static_cast<std::uint32_t>(why)});
        return reply;
    }

private:
    struct part {
        std::uint64_t iova;
        std::uint64_t size;
        std::span<std::byte> memory;
        remote_memory* whose; // where it is not here
        std::uint32_t flags;
    };

    [[nodiscard]] int serve(const wire::header& command, std::span<const std::byte> payload,
                            std::vector<std::byte>& reply) {
        const bool write = wire::command{command.command} == wire::command::dma_write;
        if (!write && wire::command{command.command} != wire::command::dma_read) return EINVAL;
        if (payload.size() < sizeof(wire::dma_access)) return EINVAL;
        const auto what = wire::load<wire::dma_access>(payload);
        const auto data = payload.subspan(sizeof what);
        if (data.size() != (write ? what.count : 0)) return EINVAL;
        if (what.count > most_) return E2BIG;
        // Twice, so that a fault leaves all as it was.
        for (const bool really : {false, true}) {
            if (really) reply.resize(sizeof command + sizeof what + (write ? 0 : static_cast<std::size_t>(what.count)));
            const auto to = std::span{reply}.subspan(really ? sizeof command + sizeof what : reply.size());
            for (std::uint64_t done = 0; done < what.count;) {
                const part* const in = find(what.address + done);
                if (in == nullptr || what.address + done < what.address) return EFAULT;
                if ((in->flags & (write ? wire::dma_map_write : wire::dma_map_read)) == 0) return EACCES;
                const std::uint64_t begin = what.address + done - in->iova;
                const auto now = static_cast<std::size_t>(std::min<std::uint64_t>(what.count - done, in->size - begin));
                const auto at = static_cast<std::size_t>(done);
                if (really && in->whose != nullptr) {
                    const auto came = write ? in->whose->write(what.address + done, data.subspan(at, now))
                                            : in->whose->read(what.address + done, to.subspan(at, now));
                    if (came.count != now) return came.error == error::none ? EIO : to_errno(came.error);
                } else if (really) {
                    const auto from = in->memory.subspan(static_cast<std::size_t>(begin));
                    if (write)
                        std::ranges::copy(data.subspan(at, now), from.begin());
                    else
                        std::ranges::copy(from.first(now), to.subspan(at).begin());
                }
                done += now;
            }
        }
        wire::store(reply.data() + sizeof command, what);
        ++(write ? writes_ : reads_);
        return 0;
    }

    [[nodiscard]] const part* find(std::uint64_t iova) const noexcept {
        const auto found = std::ranges::find_if(
            parts_, [&](const part& each) { return iova >= each.iova && iova - each.iova < each.size; });
        return found == parts_.end() ? nullptr : &*found;
    }

    std::vector<part> parts_;
    std::uint64_t most_ = 1u << 20;
    std::uint64_t reads_ = 0;
    std::uint64_t writes_ = 0;
};

} // namespace mediant::vfio_user
