// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/access.hpp>
#include <mediant/core/little_endian.hpp>
#include <mediant/core/lower.hpp>
#include <mediant/core/requests.hpp>
#include <mediant/core/result.hpp>
#include <mediant/device/dma_map.hpp>
#include <mediant/device/interrupts.hpp>
#include <mediant/device/log.hpp>
#include <mediant/vfio_user/client.hpp>
#include <mediant/vfio_user/irq_set.hpp>
#include <mediant/vfio_user/wire.hpp>

#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace mediant::vfio_user {

struct remote_options {
    std::string path; ///< the other server's socket
    /// How long the other server may take for an answer, and for all of open(). One that takes longer has lost the
    /// connection: what is open answers error::io from then on, at once, and costs its patience no second time. It is
    /// waited for where the device is called: in a loop of several devices all wait along, and for each access of one
    /// whose server answers slowly again and again. Where that server is not trusted: a loop of its own, and little.
    std::chrono::milliseconds patience{5000};
    /// Clients may map what no policy traps, where the other server lets its clients: they are given its files. Who
    /// holds one reaches all that lies in it, past every policy: for clients that are trusted as the server is.
    bool shares_files = false;
};

/// A device that another vfio-user server offers: a lower that puts policies between that server and a client of ours.
///
/// Each open() connects, and release() disconnects. Memory that the client shares is mapped there too, from the same
/// files, and interrupts signal the client's eventfds without a detour. What it does not share, that server asks us for
/// by DMA_READ and DMA_WRITE, on a twin socket if it has one, and we ask the client: while an answer of that server is
/// waited for, and each millisecond (advance) while there is such memory. Not thread-safe.
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
        const auto until = std::chrono::steady_clock::now() + options_.patience;
        auto connected = connect_to(options_.path, options_.patience);
        if (!connected) return connected.error() == error::again ? error::io : connected.error();
        client_ = client{std::move(*connected)};
        if (const auto done = learn(until); !done) {
            release();
            return done;
        }
        return {};
    }
    void release() noexcept {
        client_.disconnect();
        regions_.clear();
        changed_.clear();
        halves_.clear();
        dma_.clear();
    }

    /// Of ranges that a policy of that server switches nothing is passed on.
    result<get_device_info::answer> ioctl(const get_device_info&) {
        auto info = settled(client_.device_info());
        if (info) info->irqs = std::min(info->irqs, fixed_irqs);
        return info;
    }

    /// As it was at open.
    result<get_region_info::answer> ioctl(const get_region_info& what) const {
        const auto i = static_cast<std::size_t>(what.region);
        if (i >= regions_.size()) return error::invalid;
        return regions_[i].info;
    }

    result<get_irq_info::answer> ioctl(const get_irq_info& what) {
        if (what.index == irq_index::regions_changed) return changed_.info(what.index);
        auto info = settled(client_.irq_info(what.index));
        if (info) info->count = std::min(info->count, most_vectors); // memory is had for each
        return info;
    }
    result<void> ioctl(const set_irqs& what) {
        return what.index == irq_index::regions_changed ? changed_.apply(what) : settled(client_.set_irqs(what));
    }
    result<void> ioctl(const reset_device&) { return settled(client_.reset()); }

    /// Maps it there too, if it is shared or its owner can be asked.
    result<void> ioctl(const map_dma& what) {
        if (const auto mapped = dma_.map(what); !mapped) return mapped;
        if (what.file < 0 && what.remote == nullptr) {
            log("memory that is not shared is out of the device's reach: I/O address and bytes", what.iova, what.size);
            return {};
        }
        const std::uint32_t how = (what.readable ? wire::dma_map_read : 0u) | (what.writable ? wire::dma_map_write : 0u);
        if (what.file < 0) client_.memory().add(what.iova, what.size, *what.remote, how); // before: it may be used at once
        const auto mapped = settled(client_.map_dma(what.iova, what.size, how, what.file, what.file_offset));
        if (!mapped) {
            client_.memory().remove(what.iova, what.size);
            static_cast<void>(dma_.unmap({what.iova, what.size}));
        }
        return mapped;
    }

    /// The device reaches it no more when this succeeds. Where the other server refuses it may be asked again: policies
    /// here reach it no more, and that server is asked once more. One that refuses for longer than its patience is
    /// disconnected, since who goes away asks until it succeeds.
    result<void> ioctl(const unmap_dma& what) {
        const auto now = std::chrono::steady_clock::now();
        auto half = std::ranges::find_if(
            halves_, [&](const half_done& each) { return each.what.iova == what.iova && each.what.size == what.size; });
        if (half == halves_.end()) {
            halves_.reserve(halves_.size() + 1); // nothing fails once it has begun
            if (const auto known = dma_.unmap(what); !known) return known;
            half = halves_.insert(halves_.end(), {what, now + options_.patience});
        }
        const auto unmapped = settled(client_.unmap_dma(what.iova, what.size));
        client_.memory().remove(what.iova, what.size); // its owner is not to be asked, whatever that server says
        // Not found: it was not shared.
        if (!unmapped && unmapped.error() != error::not_found && client_.fd() >= 0) {
            if (now < half->until) return unmapped;
            client_.disconnect();
        }
        halves_.erase(half); // or it is out of reach together with the other server
        return {};
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

    // Its own work: that server's questions, which come at any time.

    [[nodiscard]] std::optional<std::uint64_t> deadline() const noexcept {
        return !client_.memory().empty() && client_.fd() >= 0 ? std::optional{next_} : std::nullopt;
    }
    void advance(std::uint64_t now) {
        next_ = now + 1'000'000;
        bool once = false; // it is not to be served on and on
        if (client_.has_questions() &&
            !client_.serve_dma(options_.patience, [&] { return std::exchange(once, true); }))
            client_.disconnect();
    }

    // Services for policies.

    /// A client that was given that server's files maps what it wants; without them there is nothing to take back.
    result<void> revoke(region_index, range) const noexcept {
        return options_.shares_files ? error::busy : error::none;
    }
    void regions_changed() { static_cast<void>(changed_.trigger(irq_index::regions_changed, 0)); }

    [[nodiscard]] device::dma_map& dma() noexcept { return dma_; }
    /// There is no log yet of what it writes.
    void dirty(std::uint64_t iova, std::uint64_t size) noexcept { dma_.log().mark(iova, size); }
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
    result<void> learn(std::chrono::steady_clock::time_point until) {
        const auto wait_until = [&] {
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
            return left.count() > 0 ? client_.set_timeout(left) : error::io;
        };
        if (const auto set = wait_until(); !set) return set;
        const auto agreed = client_.negotiate({.max_msg_fds = 16, .twin_socket = true});
        if (!agreed) return settled(agreed.error());
        most_data_ = std::clamp<std::uint64_t>(agreed->server.max_data_xfer_size, 64, 1_MiB);
        if (const auto set = wait_until(); !set) return set;
        const auto all = client_.device_info();
        if (!all) return settled(all.error());
        for (std::uint32_t i = 0; i < all->regions && i < most_regions; ++i) {
            if (const auto set = wait_until(); !set) return set;
            auto each = client_.region_info(region_index{i});
            if (client_.fd() < 0) return error::io;
            if (each)
                regions_.push_back(std::move(*each));
            else
                regions_.emplace_back(); // a region that there is not
            // Every function's config space can be read and written; libvfio-user's own says neither of it.
            if (region_index{i} == region_index::config && regions_.back().info.size != 0)
                regions_.back().info.flags = regions_.back().info.flags | region_flags::read | region_flags::write;
            std::ranges::sort(regions_.back().areas, {}, &range::offset);
        }
        return client_.set_timeout(options_.patience);
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

    /// Unmapped here, and not by the other server yet.
    struct half_done {
        unmap_dma what;
        std::chrono::steady_clock::time_point until; // its patience
    };

    remote_options options_;
    client client_;
    std::vector<client::region> regions_;
    std::uint64_t most_data_ = 64; ///< bytes of a read or write in one message
    device::dma_map dma_;
    std::vector<half_done> halves_;
    std::uint64_t next_ = 0; // when to look for questions
    device::changed_irq changed_;
    device::logger log_;
};

static_assert(lower<remote_device>);

} // namespace mediant::vfio_user
