// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/doorbell.hpp>
#include <mediant/core/little_endian.hpp>
#include <mediant/core/result.hpp>
#include <mediant/device/eventfd.hpp>
#include <mediant/device/unique_fd.hpp>
#include <mediant/vfio_user/client.hpp>
#include <mediant/vfio_user/wire.hpp>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace mediant::vfio_user {

/// The doorbells of one region of a server's device: writes that are told by an eventfd, as KVM does for a guest.
class client_doorbells {
public:
    struct sub_region {
        doorbell_write what; ///< of any width where its size is 0
        int eventfd;         ///< owned by this
        std::byte* value;    ///< where the value goes first, of doorbell::valued
    };

    /// None.
    client_doorbells() = default;
    client_doorbells(client_doorbells&& other) noexcept
        : all_{std::move(other.all_)}, fds_{std::move(other.fds_)}, maps_{std::exchange(other.maps_, {})} {}
    client_doorbells& operator=(client_doorbells&&) = delete;
    ~client_doorbells() {
        for (const std::span<std::byte> each : maps_)
            if (!each.empty()) ::munmap(each.data(), each.size());
    }

    /// GET_REGION_IO_FDS, again with the size that it needs. What this does not know (ioregionfd), and memory that the
    /// server could take away, is left out: such registers are written by messages. error{EPROTO}: a reply that makes no
    /// sense.
    [[nodiscard]] static result<client_doorbells> ask(client& peer, region_index region) {
        wire::io_fds request{sizeof request, 0, static_cast<std::uint32_t>(region), 0};
        for (int tries = 0; tries < 2; ++tries) {
            const auto came = peer.call(wire::command::device_get_region_io_fds, request);
            if (!came) return came.error();
            if (came->size() < sizeof request) return error{EPROTO};
            const auto told = wire::load<wire::io_fds>(*came);
            if (told.argsz > request.argsz && told.argsz <= most) {
                request.argsz = told.argsz;
                continue;
            }
            client_doorbells found;
            if (told.count == 0) return found;
            found.fds_ = std::move(peer.fds());
            found.maps_.resize(found.fds_.size());
            if (!found.take(std::span{*came}.subspan(sizeof request), told.count)) return error{EPROTO};
            return found;
        }
        return error{EPROTO};
    }

    [[nodiscard]] std::span<const sub_region> all() const noexcept { return all_; }

    /// Tells of a write of 1 to 8 bytes; false: there is no doorbell for it, and it must be a message.
    [[nodiscard]] bool ring(std::uint64_t offset, std::span<const std::byte> bytes) const noexcept {
        const std::uint64_t value = load_little(bytes);
        for (const sub_region& each : all_) {
            const auto& [where, how, match] = each.what;
            if (where.offset != offset || (where.size != 0 && where.size != bytes.size()) ||
                (how == doorbell::matched && match != value))
                continue;
            if (how == doorbell::valued)
                std::atomic_ref{*reinterpret_cast<std::uint64_t*>(each.value)}.store(value, std::memory_order_release);
            device::signal_eventfd(each.eventfd);
            return true;
        }
        return false;
    }

private:
    static constexpr std::uint32_t most = 1 << 16; // bytes of a reply that are believed

    [[nodiscard]] bool take(std::span<const std::byte> entries, std::uint32_t count) {
        const std::size_t size = entries.size() / count;
        if (size < sizeof(wire::io_event)) return false;
        for (std::uint32_t i = 0; i < count; ++i, entries = entries.subspan(size)) {
            const auto one = wire::load<wire::io_event>(entries);
            sub_region made{{{one.offset, one.size}, doorbell::any, 0}, -1, nullptr};
            if (one.type == wire::io_type_shadow) {
                if (size < sizeof(wire::io_event_shadow)) return false;
                const auto shadow = wire::load<wire::io_event_shadow>(entries);
                if (shadow.shadow_fd_index >= fds_.size()) return false;
                made.what.how = doorbell::valued;
                made.value = place(shadow.shadow_fd_index, shadow.shadow_offset);
                if (made.value == nullptr) continue;
            } else if (one.type != wire::io_type_eventfd) {
                continue;
            } else if ((one.flags & wire::io_matches) != 0) {
                made.what.how = doorbell::matched;
                made.what.value = one.datamatch;
            }
            if (one.fd_index >= fds_.size()) return false;
            made.eventfd = fds_[one.fd_index].get();
            all_.push_back(made);
        }
        return true;
    }

    /// Eight bytes in a file that came along; null where they are not there for good.
    [[nodiscard]] std::byte* place(std::uint32_t index, std::uint64_t offset) {
        auto& map = maps_[index];
        if (map.empty()) {
            const int file = fds_[index].get();
            struct stat what {};
            const int seals = ::fcntl(file, F_GET_SEALS);
            if (seals < 0 || (seals & F_SEAL_SHRINK) == 0 || ::fstat(file, &what) != 0 || what.st_size <= 0)
                return nullptr;
            void* const at = ::mmap(nullptr, static_cast<std::size_t>(what.st_size), PROT_READ | PROT_WRITE, MAP_SHARED,
                                    file, 0);
            if (at == MAP_FAILED) return nullptr;
            map = {static_cast<std::byte*>(at), static_cast<std::size_t>(what.st_size)};
        }
        return offset % 8 == 0 && fits(offset, 8, map.size()) ? map.data() + offset : nullptr;
    }

    std::vector<sub_region> all_;
    std::vector<unique_fd> fds_;
    std::vector<std::span<std::byte>> maps_; // of each file that is memory
};

} // namespace mediant::vfio_user
