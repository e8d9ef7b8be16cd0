// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/lower.hpp>
#include <mediant/core/result.hpp>
#include <mediant/migration/fault.hpp>
#include <mediant/migration/next_state.hpp>
#include <mediant/migration/saved_state.hpp>
#include <mediant/migration/state.hpp>
#include <mediant/migration/stream.hpp>
#include <mediant/pci/config_space.hpp>
#include <mediant/provider/migration_parties.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

/// How policies over a lower migrate: the states and arcs of VFIO's migration (version 2, linux/vfio.h), and the stream.
/// It is made of what policies and the lower say of their state (saved_state) and of their hooks, all of which they may
/// leave out; a policy's are given `next` as the last argument:
///
///   result<void> quiesce(next)       the device stops: it changes nothing from now on, inside or outside
///   result<void> resume(next)        it runs again
///   result<void> quiesce_p2p(next)   it begins no transfers to other devices; a device with these two has those states
///   result<void> resume_p2p(next)
///   result<std::size_t> save(offset, std::span<std::byte>, next)          bytes of its own from `offset` on; 0: no more
///   result<void> restore(offset, std::span<const std::byte>, next)        the same bytes, in pieces of any size
///   result<void> restored(next)      all is there: what it refuses is an error of the stream
namespace mediant {

/// A migration in progress. It holds one chunk of the stream at a time and allocates nothing.
template <class Layers, class Lower>
    requires(detail::can_migrate<Layers, Lower>())
class migration {
    using parties = detail::migration_parties<Layers, Lower>;

public:
    static constexpr std::uint64_t flags =
        migrates_by_stop_copy | migrates_with_pre_copy | (parties::has_p2p ? migrates_with_p2p : 0);

    [[nodiscard]] constexpr migration_state state() const noexcept { return state_; }
    /// What was wrong with the last stream that was written.
    [[nodiscard]] constexpr const stream_report& report() const noexcept { return report_; }
    /// Whether the device does nothing by itself.
    [[nodiscard]] constexpr bool stopped() const noexcept { return level(state_) == 2; }

    /// The device is opened, or released.
    constexpr void restart() noexcept {
        state_ = migration_state::running;
        before_.reset();
        begin_stream();
    }
    /// It was reset, of which the policies are told after this. Nothing of a stream that was not taken whole stays.
    constexpr void reset(Layers& layers) noexcept {
        put_back(layers);
        restart();
    }

    /// Leads to a state by whatever arcs lie between, as far as they succeed. A stream that cannot be restored leaves
    /// migration_state::error, of which a reset is the end.
    constexpr result<void> go(Layers& layers, Lower& lower, migration_state to) {
        while (state_ != to) {
            const auto next = next_state(flags, state_, to);
            if (!next) return error::invalid;
            if (const result<void> done = arc(layers, lower, *next); !done) return done;
        }
        return {};
    }

    /// The next bytes of the stream, as many as there are room for or, at its end, fewer; ahead of stop_copy there is as
    /// much as a target needs to know whether it can take the rest.
    constexpr result<std::size_t> read(Layers& layers, Lower& lower, std::span<std::byte> to) {
        if (!saves(state_)) return error::invalid;
        std::size_t done = 0;
        while (done < to.size()) {
            if (at_ == filled_) {
                const result<bool> more = fill(layers, lower);
                if (!more) {
                    step_ = broken; // what was read before it is gone: nothing may follow
                    return more.error();
                }
                if (!*more) break;
            }
            const std::size_t now = std::min(to.size() - done, filled_ - at_);
            std::copy_n(chunk_ + at_, now, to.data() + done);
            at_ += now;
            done += now;
        }
        return done;
    }

    /// Bytes that read() gives ahead of stop_copy.
    [[nodiscard]] constexpr std::uint64_t ahead() const noexcept {
        if (!saves(state_)) return 0;
        return step_ == 0 ? parties::begin_size + chunk_overhead : filled_ - at_;
    }

    /// Takes bytes of a stream, cut anywhere. An error leaves nothing to be done but to end it.
    constexpr result<void> write(Layers& layers, Lower& lower, std::span<const std::byte> from) {
        if (state_ != migration_state::resuming || report_.what != stream_fault::none) return error::invalid;
        while (!from.empty()) {
            if (ended_) return wrong(stream_fault::extended);
            const std::size_t wanted = filled_ < chunk_head ? chunk_head : payload_size() + chunk_overhead;
            const std::size_t now = std::min(wanted - filled_, from.size());
            std::copy_n(from.data(), now, chunk_ + filled_);
            filled_ += now;
            from = from.subspan(now);
            if (filled_ == chunk_head && payload_size() > capacity) return wrong(stream_fault::too_long);
            if (filled_ < chunk_head || filled_ < payload_size() + chunk_overhead) continue;
            if (const result<void> taken = take(layers, lower); !taken) return taken;
            offset_ += filled_;
            filled_ = 0;
        }
        return {};
    }

    /// Bytes of a whole stream, but for what only a save() hook knows.
    static constexpr std::uint64_t stream_size = [] {
        std::uint64_t total = parties::begin_size + 2 * chunk_overhead;
        for (const std::size_t each : parties::sizes) total += each + chunk_overhead;
        return total;
    }();

private:
    static constexpr std::size_t device_chunk = parties::has_device_bytes ? 4096 : 0;
    static constexpr std::size_t capacity = [] {
        std::size_t most = std::max<std::size_t>(parties::begin_size, device_chunk);
        for (const std::size_t each : parties::sizes) most = std::max(most, each);
        return most;
    }();

    /// 0: runs; 1: begins no transfers to other devices; 2: is stopped.
    [[nodiscard]] static constexpr int level(migration_state state) noexcept {
        using enum migration_state;
        if (state == running || state == pre_copy) return 0;
        return state == running_p2p || state == pre_copy_p2p ? 1 : 2;
    }

    constexpr result<void> arc(Layers& layers, Lower& lower, migration_state to) {
        const migration_state from = state_;
        if (from == migration_state::resuming) {
            const result<void> done = finish(layers, lower);
            begin_stream();
            if (!done) {
                put_back(layers);
                state_ = migration_state::error;
                return done;
            }
            before_.reset();
        }
        if (level(from) != level(to))
            if (const result<void> done = change_level(layers, lower, level(from), level(to)); !done) return done;
        if (saves(from) != saves(to)) begin_stream();
        if (to == migration_state::resuming) {
            before_.emplace(layers);
            // What the stream of an older version does not say is as after a reset.
            if constexpr (requires { layers.reset(); }) layers.reset();
            static_cast<void>(parties::switch_ranges(layers, true));
            begin_stream();
            report_ = {};
        }
        state_ = to;
        return {};
    }

    /// All of them or, if one fails, none: what was done is undone.
    constexpr result<void> change_level(Layers& layers, Lower& lower, int from, int to) {
        std::size_t done = 0;
        result<void> failed;
        const auto call = [&](bool down, int lower_level, std::size_t i) {
            return parties::change(layers, lower, i, down, lower_level == 2);
        };
        const bool down = to > from;
        const int which = std::max(from, to);
        for (; done < parties::count; ++done) {
            failed = call(down, which, down ? done : parties::count - 1 - done);
            if (!failed) break;
        }
        if (failed) return {};
        while (done-- > 0)
            if (!call(!down, which, down ? done : parties::count - 1 - done)) state_ = migration_state::error;
        return failed;
    }

    // The stream that is read.

    constexpr void begin_stream() noexcept {
        at_ = filled_ = 0;
        step_ = 0;
        device_offset_ = 0;
        offset_ = 0;
        ended_ = false;
    }

    /// Makes the next chunk; false: there is none, or none yet.
    constexpr result<bool> fill(Layers& layers, Lower& lower) {
        if (step_ == broken) return error::io;
        at_ = filled_ = 0;
        if (step_ == steps || (step_ != 0 && state_ != migration_state::stop_copy)) return false;
        payload_writer to{std::span{chunk_}.subspan(chunk_head, capacity)};
        if (step_ == 0) {
            write_begin(lower, to);
            finish_chunk(chunk::begin, to.size());
            ++step_;
            return true;
        }
        if (step_ <= parties::count) {
            parties::write(layers, lower, step_ - 1, to);
            finish_chunk(chunk::party, to.size());
            ++step_;
            return true;
        }
        while (step_ <= 2 * parties::count) {
            const std::size_t party = step_ - parties::count - 1;
            to.number(static_cast<std::uint32_t>(party));
            to.number(device_offset_);
            const result<std::size_t> came = parties::save(layers, lower, party, device_offset_,
                                                           std::span{chunk_}.subspan(chunk_head + device_head, device_room));
            if (!came) return came.error();
            if (const std::size_t size = std::min(*came, device_room); size != 0) {
                device_offset_ += size;
                finish_chunk(chunk::device, device_head + size);
                return true;
            }
            ++step_;
            device_offset_ = 0;
            to = payload_writer{std::span{chunk_}.subspan(chunk_head, capacity)};
        }
        finish_chunk(chunk::end, 0);
        ++step_;
        return true;
    }
    static constexpr std::size_t steps = 2 * parties::count + 2;
    static constexpr std::size_t broken = steps + 1;
    /// Before a device's own bytes: whose, and from which of them on.
    static constexpr std::size_t device_head = 4 + 8;
    static constexpr std::size_t device_room = device_chunk == 0 ? 0 : device_chunk - device_head;

    constexpr void finish_chunk(chunk type, std::size_t size) noexcept {
        detail::store_bytes(chunk_, static_cast<std::uint32_t>(type));
        detail::store_bytes(chunk_ + 4, static_cast<std::uint32_t>(size));
        filled_ = size + chunk_overhead;
        detail::store_bytes(chunk_ + chunk_head + size, crc32c(std::span{chunk_}.first(chunk_head + size)));
    }

    /// Vendor, device, subsystem vendor and subsystem, as below all policies.
    [[nodiscard]] static constexpr std::uint64_t identity(Lower& lower) {
        std::byte ids[8]{};
        const bottom<Lower> below{lower};
        static_cast<void>(below.read({region_index::config, config_offset::vendor, std::span{ids}.first(4)}));
        static_cast<void>(below.read({region_index::config, config_offset::subvendor, std::span{ids}.last(4)}));
        return detail::load_bytes<std::uint64_t>(ids);
    }

    static constexpr void write_begin(Lower& lower, payload_writer& to) {
        for (const char c : stream_magic) to.number(static_cast<std::uint8_t>(c));
        to.number(stream_format);
        to.number(identity(lower));
        to.number(static_cast<std::uint32_t>(parties::count));
        for (std::size_t i = 0; i < parties::count; ++i) {
            to.name(parties::names[i]);
            to.number(parties::versions[i]);
        }
    }

    // The stream that is written.

    [[nodiscard]] constexpr std::size_t payload_size() const noexcept {
        return detail::load_bytes<std::uint32_t>(chunk_ + 4);
    }

    constexpr result<void> wrong(stream_fault what, std::string_view party = {}, std::string_view field = {}) noexcept {
        report_ = {what, party, field, offset_};
        return error::invalid;
    }

    constexpr result<void> take(Layers& layers, Lower& lower) {
        const std::size_t size = payload_size();
        if (crc32c(std::span{chunk_}.first(chunk_head + size)) !=
            detail::load_bytes<std::uint32_t>(chunk_ + chunk_head + size))
            return wrong(offset_ == 0 ? stream_fault::no_stream : stream_fault::damaged);
        payload_reader from{std::span{chunk_}.subspan(chunk_head, size)};
        const auto type = static_cast<chunk>(detail::load_bytes<std::uint32_t>(chunk_));
        if (step_ == 0) return type == chunk::begin ? take_begin(lower, from) : wrong(stream_fault::no_stream);
        if (step_ <= parties::count) {
            if (type != chunk::party) return wrong(stream_fault::order);
            return take_party(layers, lower, step_++ - 1, from);
        }
        if (type == chunk::end) {
            ended_ = size == 0;
            return ended_ ? result<void>{} : wrong(stream_fault::too_long);
        }
        if (type != chunk::device) return wrong(stream_fault::order);
        return take_device(layers, lower, from, size);
    }

    constexpr result<void> take_begin(Lower& lower, payload_reader& from) {
        for (const char c : stream_magic)
            if (from.number<std::uint8_t>() != static_cast<std::uint8_t>(c)) return wrong(stream_fault::no_stream);
        if (from.number<std::uint32_t>() != stream_format) return wrong(stream_fault::format);
        if (from.number<std::uint64_t>() != identity(lower)) return wrong(stream_fault::other_device);
        if (from.number<std::uint32_t>() != parties::count) return wrong(stream_fault::other_party);
        for (std::size_t i = 0; i < parties::count; ++i) {
            if (!from.name_is(parties::names[i])) return wrong(stream_fault::other_party, parties::names[i]);
            versions_[i] = from.number<std::uint32_t>();
            if (versions_[i] > parties::versions[i] || versions_[i] < parties::oldest[i])
                return wrong(stream_fault::version, parties::names[i]);
        }
        if (!from.at_end()) return wrong(stream_fault::too_long);
        ++step_;
        return {};
    }

    constexpr result<void> take_party(Layers& layers, Lower& lower, std::size_t party, payload_reader from) {
        for (const bool commit : {false, true}) {
            std::string_view field;
            const stream_fault what = parties::read(layers, lower, party, from, versions_[party], commit, field);
            if (what != stream_fault::none) return wrong(what, parties::names[party], field);
        }
        return {};
    }

    constexpr result<void> take_device(Layers& layers, Lower& lower, payload_reader& from, std::size_t size) {
        const auto party = from.number<std::uint32_t>();
        const auto offset = from.number<std::uint64_t>();
        const std::size_t now = step_ - parties::count - 1;
        if (!from.whole() || party >= parties::count || party < now) return wrong(stream_fault::order);
        if (party != now) device_offset_ = 0;
        step_ = parties::count + 1 + party;
        if (offset != device_offset_) return wrong(stream_fault::order, parties::names[party]);
        const auto bytes = from.bytes(size - device_head);
        if (!parties::restore(layers, lower, party, device_offset_, bytes))
            return wrong(stream_fault::refused, parties::names[party]);
        device_offset_ += bytes.size();
        return {};
    }

    /// The end of what is written: whether it was whole, and all agree.
    constexpr result<void> finish(Layers& layers, Lower& lower) {
        if (report_.what != stream_fault::none) return error::invalid;
        if (!ended_) return wrong(stream_fault::cut);
        for (std::size_t i = parties::count; i-- > 0;)
            if (!parties::restored(layers, lower, i)) return wrong(stream_fault::refused, parties::names[i]);
        if (!parties::switch_ranges(layers, false)) return wrong(stream_fault::refused);
        return {};
    }

    /// Policies and their maps are as before the stream.
    constexpr void put_back(Layers& layers) noexcept {
        if (!before_) return;
        if constexpr (requires { layers.put_back(*before_); }) layers.put_back(*before_);
        before_.reset();
    }

    migration_state state_ = migration_state::running;
    std::optional<Layers> before_{}; ///< while resuming
    bool ended_ = false;
    std::size_t step_ = 0;             ///< of the chunks that there are, one for begin, for each party twice, and for end
    std::size_t at_ = 0;               ///< in the chunk, of what is read
    std::size_t filled_ = 0;           ///< bytes of the chunk
    std::uint64_t offset_ = 0;         ///< of the chunk in what is written
    std::uint64_t device_offset_ = 0;  ///< in a party's own bytes
    std::array<std::uint32_t, parties::count> versions_{};
    stream_report report_{};
    std::byte chunk_[capacity + chunk_overhead]{};
};

} // namespace mediant
