// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/doorbell.hpp>
#include <mediant/core/little_endian.hpp>
#include <mediant/core/result.hpp>
#include <mediant/device/unique_fd.hpp>
#include <mediant/vfio_user/options.hpp>
#include <mediant/vfio_user/servable.hpp>
#include <mediant/vfio_user/signal_set.hpp>
#include <mediant/vfio_user/wire.hpp>

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace mediant::vfio_user {

/// Memory for the values of doorbells, in a file that the client maps too. It cannot be resized, so that no client can
/// take it away; what is in it may change at any time.
class doorbell_memory {
public:
    doorbell_memory() = default;
    doorbell_memory(const doorbell_memory&) = delete;
    doorbell_memory& operator=(const doorbell_memory&) = delete;
    ~doorbell_memory() {
        if (bytes_ != nullptr) ::munmap(bytes_, size_);
    }

    [[nodiscard]] result<void> create(std::size_t bytes) noexcept {
        constexpr std::size_t page = 4096;
        const std::size_t size = (bytes + page - 1) / page * page;
        file_ = device::unique_fd{::memfd_create("mediant-doorbells", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
        if (!file_ || ::ftruncate(file_.get(), static_cast<off_t>(size)) != 0 ||
            ::fcntl(file_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
            return error{errno};
        void* const at = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
        if (at == MAP_FAILED) return error{errno};
        bytes_ = static_cast<std::byte*>(at);
        size_ = size;
        return {};
    }

    [[nodiscard]] int fd() const noexcept { return file_.get(); }
    /// What is there now, in one piece; `at` is a multiple of 8.
    [[nodiscard]] std::uint64_t load(std::size_t at) const noexcept {
        return std::atomic_ref{*reinterpret_cast<std::uint64_t*>(bytes_ + at)}.load(std::memory_order_acquire);
    }

private:
    device::unique_fd file_;
    std::byte* bytes_ = nullptr;
    std::size_t size_ = 0;
};

/// The doorbells of a device for one client: an eventfd each, which the client is given and the session watches. A signal
/// does what a REGION_WRITE of the register does that is answered to nobody.
template <servable Device>
class doorbells {
public:
    /// Set in `which` of all doorbells, and of nothing else that a signal_set tells.
    static constexpr std::uint64_t source = std::uint64_t{1} << 63;

    doorbells(Device& device, signal_set& signals) noexcept : device_{device}, signals_{signals} {}

    /// The reply to GET_REGION_IO_FDS for a region: sub-regions, and the descriptors that go with it.
    struct list {
        std::uint32_t count = 0;
        std::uint32_t entry_size = sizeof(wire::io_event);
        std::vector<std::byte> entries{};
        std::vector<int> fds{};
    };

    /// Made when a region is first asked for, and the same until clear(). A client that takes `most` descriptors in a message
    /// gets the first doorbells, by offset, for which those are enough.
    [[nodiscard]] result<const list*> of(std::uint32_t region, std::uint32_t most) {
        if (region >= regions_.size()) regions_.resize(std::size_t{region} + 1);
        auto& made = regions_[region];
        if (!made) {
            auto fresh = std::make_unique<bells>();
            if (const auto done = make(*fresh, region, most); !done) {
                forget(*fresh);
                return done.error();
            }
            made = std::move(fresh);
        }
        return &made->told;
    }

    /// One was signalled, told as `which`.
    void rung(std::uint64_t which) {
        const auto region = static_cast<std::uint32_t>(which >> 32);
        const bells& all = *regions_[region];
        const bell& one = all.bells[static_cast<std::uint32_t>(which)];
        // Its count is nobody's: each signal is told, read or not, and a system call is spared.
        std::array<std::byte, 8> bytes;
        store_little(std::span{bytes}, one.what.how == doorbell::valued ? all.memory.load(one.at) : one.what.value);
        static_cast<void>(device_.write(write_access{region_index{region}, one.what.where.offset,
                                                     std::span{bytes}.first(std::min<std::uint64_t>(
                                                         one.what.where.size, bytes.size()))}));
    }

    /// Nothing is told any more, and what was made is gone.
    void clear() noexcept {
        for (auto& each : regions_)
            if (each) forget(*each);
        regions_.clear();
    }

private:
    struct bell {
        doorbell_write what;
        std::size_t at = 0; ///< of its value in the memory
        device::unique_fd eventfd;
    };
    struct bells {
        std::vector<bell> bells;
        doorbell_memory memory;
        list told;
    };

    [[nodiscard]] result<void> make(bells& to, std::uint32_t region, std::uint32_t most) {
        if constexpr (has_doorbells<Device>) {
            const std::size_t limit = std::min(most, most_fds);
            std::size_t values = 0;
            std::vector<doorbell_write> all;
            device_.each_doorbell(region_index{region}, [&](const doorbell_write& one) { all.push_back(one); });
            // Those of a queue lie side by side, whatever the order in which they are stated.
            std::ranges::sort(all, {}, [](const doorbell_write& one) { return std::pair{one.where.offset, one.value}; });
            for (const doorbell_write& one : all) {
                const bool valued = one.how == doorbell::valued;
                const std::size_t memory = values != 0 || valued ? 1 : 0;
                if (to.bells.size() + 1 + memory > limit) continue;
                to.bells.push_back({one, valued ? 8 * values++ : 0, {}});
            }
            if (to.bells.empty()) return {};
            if (values != 0)
                if (const auto made = to.memory.create(8 * values); !made) return made;
            for (std::size_t i = 0; i < to.bells.size(); ++i) {
                bell& each = to.bells[i];
                each.eventfd = device::unique_fd{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
                if (!each.eventfd) return error{errno};
                if (const auto watched = signals_.watch(each.eventfd.get(), source | std::uint64_t{region} << 32 | i);
                    !watched)
                    return watched;
                to.told.fds.push_back(each.eventfd.get());
            }
            if (values != 0) to.told.fds.push_back(to.memory.fd());
            write_entries(to, values != 0, is_io(region) ? wire::io_in_ports : 0u);
        }
        return {};
    }

    /// Those with a shadow are longer, and all are of one size. A plain one has its value where the specification has it,
    /// and again where libvfio-user has it among longer ones.
    static void write_entries(bells& to, bool longer, std::uint32_t flags) {
        list& told = to.told;
        told.count = static_cast<std::uint32_t>(to.bells.size());
        told.entry_size = longer ? sizeof(wire::io_event_shadow) : sizeof(wire::io_event);
        told.entries.resize(std::size_t{told.count} * told.entry_size);
        for (std::uint32_t i = 0; i < told.count; ++i) {
            const bell& each = to.bells[i];
            std::byte* const at = told.entries.data() + std::size_t{i} * told.entry_size;
            const auto& [where, how, value] = each.what;
            const std::uint32_t how_flags = flags | (how == doorbell::matched ? wire::io_matches : 0u);
            if (how == doorbell::valued) {
                wire::store(at, wire::io_event_shadow{where.offset, where.size, i, wire::io_type_shadow, how_flags,
                                                      told.count, each.at, 0});
            } else {
                if (longer) wire::store(at, wire::io_event_shadow{{}, {}, {}, {}, {}, {}, {}, value});
                wire::store(at, wire::io_event{where.offset, where.size, i, wire::io_type_eventfd, how_flags, 0, value});
            }
        }
    }

    /// Whether a BAR lies in I/O space, where KVM wants to be told so.
    [[nodiscard]] bool is_io(std::uint32_t region) {
        if (region_index{region} > region_index::bar5) return false;
        std::array<std::byte, 4> bar{};
        const auto came = device_.read(read_access{region_index::config, 0x10 + std::uint64_t{4} * region, bar});
        return came.count == bar.size() && (std::to_integer<unsigned>(bar[0]) & 1) != 0;
    }

    void forget(bells& which) noexcept {
        for (const bell& each : which.bells) signals_.forget(each.eventfd.get());
    }

    Device& device_;
    signal_set& signals_;
    std::vector<std::unique_ptr<bells>> regions_;
};

} // namespace mediant::vfio_user
