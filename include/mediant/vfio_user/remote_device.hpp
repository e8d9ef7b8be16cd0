// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/little_endian.hpp>
#include <mediant/core/lower.hpp>
#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/device/dma_map.hpp>
#include <mediant/device/log.hpp>
#include <mediant/vfio_user/client.hpp>
#include <mediant/vfio_user/wire.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace mediant::vfio_user {

struct remote_options {
    std::string path; ///< the other server's socket
    /// How long the other server may take for an answer. One that takes longer has lost the connection: what is open
    /// answers error::io from then on.
    std::chrono::milliseconds patience{5000};
    /// Clients may map what no policy traps, where the other server lets its clients: they are given its files. Who
    /// holds one reaches all that lies in it, past every policy: for clients that are trusted as the server is.
    bool shares_files = false;
};

/// A device that another vfio-user server offers: a lower that puts policies between that server and a client of ours.
///
/// Each open() connects, and release() disconnects. Memory that the client shares is mapped there too, from the same
/// files, and interrupts signal the client's eventfds without a detour. Memory that it does not share is out of the
/// device's reach. Not thread-safe.
class remote_device {
public:
    explicit remote_device(remote_options options) : options_{std::move(options)} {}
    remote_device(const remote_device&) = delete;
    remote_device& operator=(const remote_device&) = delete;

    // The lower.

    [[nodiscard]] static constexpr unsigned max_access() noexcept { return 8; }

    /// The other server's error; error::invalid outside a region, error::io where it is gone.
    result<std::uint64_t> load(region_index region, std::uint64_t offset, unsigned width) {
        if (!inside(region, offset, width)) return error::invalid;
        std::array<std::byte, 8> bytes;
        const auto part = std::span{bytes}.first(width);
        const answer came = client_.read({region, offset, part});
        if (came.count != width) return settled(shortfall(came));
        return load_little(std::span<const std::byte>{part});
    }

    /// As load.
    result<void> store(region_index region, std::uint64_t offset, unsigned width, std::uint64_t value) {
        if (!inside(region, offset, width)) return error::invalid;
        std::array<std::byte, 8> bytes;
        const auto part = std::span{bytes}.first(width);
        store_little(part, value);
        const answer came = client_.write({region, offset, part});
        return came.count == width ? error::none : settled(shortfall(came));
    }

    /// A long access as it is, in as few messages as the other server takes.
    answer read(const read_access& what) {
        return in_messages(what, [this](const read_access& part) { return client_.read(part); });
    }
    answer write(const write_access& what) {
        return in_messages(what, [this](const write_access& part) { return client_.write(part); });
    }

    /// Connects. error::io where that server stops to answer; else what connect(2) or it says.
    result<void> open() {
        auto connected = client::connect(options_.path);
        if (!connected) return connected.error();
        client_ = std::move(*connected);
        if (const auto done = learn(); !done) {
            release();
            return done;
        }
        return {};
    }
    void release() noexcept {
        client_.disconnect();
        regions_.clear();
        dma_.clear();
    }

    result<get_device_info::answer> ioctl(const get_device_info&) { return settled(client_.device_info()); }

    /// As it was at open.
    result<get_region_info::answer> ioctl(const get_region_info& what) const {
        const auto i = static_cast<std::size_t>(what.region);
        if (i >= regions_.size()) return error::invalid;
        return regions_[i].info;
    }

    result<get_irq_info::answer> ioctl(const get_irq_info& what) { return settled(client_.irq_info(what.index)); }
    result<void> ioctl(const set_irqs& what) { return settled(client_.set_irqs(what)); }
    result<void> ioctl(const reset_device&) { return settled(client_.reset()); }

    /// Maps it there too, if it is shared.
    result<void> ioctl(const map_dma& what) {
        if (const auto mapped = dma_.map(what); !mapped) return mapped;
        if (what.file < 0) {
            log("memory that is not shared is out of the device's reach: I/O address and bytes", what.iova, what.size);
            return {};
        }
        const std::uint32_t how = (what.readable ? wire::dma_map_read : 0u) | (what.writable ? wire::dma_map_write : 0u);
        const auto mapped = settled(client_.map_dma(what.iova, what.size, how, what.file, what.file_offset));
        if (!mapped) static_cast<void>(dma_.unmap({what.iova, what.size}));
        return mapped;
    }

    /// The device reaches it no more when this returns.
    result<void> ioctl(const unmap_dma& what) {
        if (const auto known = dma_.unmap(what); !known) return known;
        const auto unmapped = settled(client_.unmap_dma(what.iova, what.size));
        // It was not shared; or it is out of reach together with the other server.
        if (unmapped.error() == error::not_found || client_.fd() < 0) return {};
        return unmapped;
    }

    /// The first stretch at or after `from` that the other server lets its clients map; empty where there is none.
    [[nodiscard]] range next_area(region_index region, std::uint64_t from) const noexcept {
        const auto i = static_cast<std::size_t>(region);
        if (i >= regions_.size()) return {};
        for (const range& each : regions_[i].areas)
            if (from < each.end()) return from <= each.offset ? each : range{from, each.end() - from};
        return {};
    }
    [[nodiscard]] int memory_fd(region_index region) const noexcept {
        const auto i = static_cast<std::size_t>(region);
        return options_.shares_files && i < regions_.size() ? regions_[i].fd.get() : -1;
    }
    /// Where in that file the region begins.
    [[nodiscard]] std::uint64_t memory_offset(region_index region) const noexcept {
        const auto i = static_cast<std::size_t>(region);
        return i < regions_.size() ? regions_[i].fd_offset : 0;
    }

    // Services for policies.

    [[nodiscard]] device::dma_map& dma() noexcept { return dma_; }
    /// As if the device had: the other server signals the eventfd that was set.
    result<void> trigger(irq_index index, std::uint32_t vector) {
        return ioctl(set_irqs{index, set_irqs::action::trigger, set_irqs::data::none, vector, 1, {}, {}});
    }
    template <std::same_as<std::uint64_t>... Numbers>
        requires(sizeof...(Numbers) <= 3)
    void log(const char* text, Numbers... numbers) const {
        log_(text, numbers...);
    }

    /// Until it is called, lines go to standard error.
    void set_log(device::log_sink sink) { log_.set_sink(std::move(sink)); }

private:
    result<void> learn() {
        if (const auto set = client_.set_timeout(options_.patience); !set) return set;
        const auto agreed = client_.negotiate();
        if (!agreed) return settled(agreed.error());
        most_data_ = std::max<std::uint64_t>(std::min<std::uint64_t>(agreed->server.max_data_xfer_size, 1_MiB), 64);
        const auto all = client_.device_info();
        if (!all) return settled(all.error());
        for (std::uint32_t i = 0; i < all->regions && i < most_regions; ++i) {
            auto each = client_.region_info(region_index{i});
            if (client_.fd() < 0) return error::io;
            if (each)
                regions_.push_back(std::move(*each));
            else
                regions_.emplace_back(); // a region that there is not
            std::ranges::sort(regions_.back().areas, {}, &range::offset);
        }
        // Every PCI device's can be; libvfio-user says so of no device that leaves its config space to it.
        constexpr auto config = static_cast<std::size_t>(region_index::config);
        if (config < regions_.size() && regions_[config].info.size != 0)
            regions_[config].info.flags = regions_[config].info.flags | region_flags::read | region_flags::write;
        return {};
    }

    template <class Byte, class F>
    answer in_messages(const basic_access<Byte>& what, const F& f) {
        if (!inside(what.region, what.offset, what.bytes.size())) return {0, error::invalid};
        std::size_t done = 0;
        while (done < what.bytes.size()) {
            const std::size_t now = std::min<std::size_t>(what.bytes.size() - done, most_data_);
            const answer came = f(what.part(done, now));
            done += std::min(came.count, now);
            if (came.count != now) return {done, settled(came.error)};
        }
        return {done};
    }

    [[nodiscard]] bool inside(region_index region, std::uint64_t offset, std::uint64_t width) const noexcept {
        const auto i = static_cast<std::size_t>(region);
        return i < regions_.size() && fits(offset, width, regions_[i].info.size);
    }

    /// What a client of ours is told: how a connection was lost is this side's matter.
    [[nodiscard]] error settled(error what) const noexcept {
        return what != error::none && client_.fd() < 0 ? error::io : what;
    }
    template <class T>
    [[nodiscard]] result<T> settled(const result<T>& what) const noexcept {
        if (what) return what;
        return settled(what.error());
    }

    static constexpr std::uint32_t most_regions = 64; // that are believed

    remote_options options_;
    client client_;
    std::vector<client::region> regions_;
    std::uint64_t most_data_ = 64; ///< bytes of a read or write in one message
    device::dma_map dma_;
    device::logger log_;
};

static_assert(lower<remote_device>);

} // namespace mediant::vfio_user
