// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/pci/capability_list.hpp>
#include <mediant/provider/layer.hpp>
#include <mediant/provider/migration.hpp>
#include <mediant/provider/valid.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>

/// Policies over a lower: a device that a back end can offer.
namespace mediant {

namespace detail {
template <class Below, class... Policies>
struct nest {
    using type = Below;
};
template <class Below, class Outermost, class... Inner>
struct nest<Below, Outermost, Inner...> {
    using type = layer<Outermost, typename nest<Below, Inner...>::type>;
};
template <class T, class Lower>
[[nodiscard]] constexpr T nest_over(Lower& device) noexcept {
    if constexpr (std::is_constructible_v<T, Lower&>)
        return T{device};
    else
        return T{nest_over<typename T::below_type>(device)};
}
struct no_migration {};
template <class Layers, class Lower, bool>
struct progress_of {
    using type = no_migration;
};
template <class Layers, class Lower>
struct progress_of<Layers, Lower, true> {
    using type = migration<Layers, Lower>;
};
} // namespace detail

/// Layers over a lower, opened as a whole. Clamps accesses at a region's end as read(2) on vfio-pci does; a front with
/// another rule checks before it calls. Layers are what a stack nests, or what finds its policy when it is opened.
template <lower Lower, class Layers>
class front {
    using progress = typename detail::progress_of<Layers, Lower, detail::can_migrate<Layers, Lower>()>::type;
    static constexpr bool can_revoke = detail::revokes<Lower>;
    /// Whether what can be mapped may change while the device is open.
    static constexpr bool switches = can_revoke && detail::have_dynamic_ranges<Layers>();

public:
    constexpr front(Lower& device, Layers layers) noexcept : layers_{std::move(layers)}, device_{&device} {}

    [[nodiscard]] constexpr Lower& lower() const noexcept { return *device_; }

    /// error::no_device where a policy declines.
    constexpr result<void> open() {
        sizes_ = {};
        msix_ = {};
        if constexpr (migrates) migration_.restart();
        const result<void> opened = layers_.open();
        if (!opened) return opened;
        for (std::uint32_t i = 0; i < fixed_regions; ++i) {
            const auto info = layers_.ioctl(get_region_info{region_index{i}});
            sizes_[i] = info ? info->size : 0;
        }
        msix_ = find_msix([this](std::uint32_t offset, std::uint32_t& dword) {
            std::byte bytes[4]{};
            if (!fits(offset, sizeof bytes, below_size_of(region_index::config))) return false;
            if (bottom<Lower>{*device_}.read({region_index::config, offset, bytes}).count != sizeof bytes) return false;
            dword = detail::load_bytes<std::uint32_t>(bytes);
            return true;
        });
        if constexpr (requires { device_->withhold(region_index{}, range{}); }) withhold_trapped();
        return opened;
    }
    constexpr void release() {
        if constexpr (migrates) migration_.restart();
        layers_.release();
    }

    /// Tells the policies that the device was reset. To reset the device itself: ioctl(reset_device{}).
    constexpr void reset() noexcept {
        if constexpr (migrates) migration_.reset(layers_);
        if constexpr (requires { layers_.reset(); }) layers_.reset();
    }

    [[gnu::always_inline]] constexpr answer read(const read_access& a) {
        return detail::unpacked(read_at(a.region, a.offset, a.bytes.data(), a.bytes.size()));
    }
    [[gnu::always_inline]] constexpr answer write(const write_access& a) {
        return detail::unpacked(write_at(a.region, a.offset, a.bytes.data(), a.bytes.size()));
    }

    template <request R>
    constexpr result<typename R::answer> ioctl(const R& what) {
        // The lower can tell of a change, but nothing changes here.
        if constexpr (can_revoke && !switches && (std::is_same_v<R, get_irq_info> || std::is_same_v<R, set_irqs>))
            if (what.index == irq_index::regions_changed) return error::invalid;
        auto out = layers_.ioctl(what);
        if constexpr (switches && std::is_same_v<R, get_device_info>)
            if (out) out->irqs = std::max(out->irqs, most_irqs);
        if constexpr (switches && std::is_same_v<R, set_irqs>)
            if (out && what.index == irq_index::regions_changed && unmasks(what)) given_back();
        if constexpr (std::is_same_v<R, reset_device>) {
            if (out) reset();
        } else if constexpr (std::is_same_v<R, get_region_info>) {
            // What is trapped whole cannot be mapped at all, at any page size.
            if (out && has(out->flags, region_flags::mmap) && next_area_of(what.region, out->size, 4096, 0).empty())
                out->flags = without(out->flags, region_flags::mmap);
        }
        return out;
    }

    /// The first stretch of whole pages at or after `from` that may be mapped; empty where there is none. The MSI-X
    /// table and its pending bits are never in one.
    [[nodiscard]] constexpr range next_area(region_index region, std::uint64_t page_size,
                                            std::uint64_t from) const noexcept {
        return next_area_of(region, size_of(region), page_size, from);
    }

    /// Whether all of a stretch may be mapped.
    [[nodiscard]] constexpr bool mappable(region_index region, range where, std::uint64_t page_size = 4096) const noexcept {
        if (where.empty() || !fits(where.offset, where.size, size_of(region))) return false;
        const range area = next_area(region, page_size, where.offset / page_size * page_size);
        return area.contains(where.offset) && where.end() <= area.end();
    }

    /// `each(doorbell_write)` for what of a region may be written without an access.
    template <class F>
    constexpr void each_doorbell(region_index region, F each) const {
        if constexpr (requires { layers_.each_doorbell(region, each); })
            layers_.each_doorbell(region, [&](const doorbell_write& one) {
                if (fits(one.where.offset, one.where.size, size_of(region))) each(one);
            });
    }

    /// The bytes of a region that a client may map and read without a call, where the lower has them.
    [[nodiscard]] constexpr std::span<std::byte> memory(region_index region) const {
        if constexpr (requires { device_->memory(region); }) {
            const std::span<std::byte> all = device_->memory(region);
            return all.first(all.size() <= size_of(region) ? all.size() : static_cast<std::size_t>(size_of(region)));
        } else {
            return {};
        }
    }
    /// The bytes behind a stretch that no policy traps now, where the lower has them (has_blocks): reading or writing
    /// them is what read() and write() would do. Empty where there are none.
    [[nodiscard]] constexpr std::span<std::byte> block(region_index region, std::uint64_t offset,
                                                       std::uint64_t size) const
        requires has_blocks<Lower>
    {
        if (!fits(offset, size, size_of(region))) return {};
        if constexpr (mediates) {
            for (std::uint64_t done = 0; done < size;) {
                const traps next = layers_.run_now(region, offset + done, size - done);
                if (next.trapped) return {};
                done += next.size;
            }
        }
        const std::span<std::byte> bytes = device_->block(region, offset, size);
        return bytes.size() == size ? bytes : std::span<std::byte>{};
    }
    /// The client asks which parts of a region it may map: what passes now is put into the file. False where that
    /// cannot be, and nothing may be mapped.
    constexpr bool reread(region_index region)
        requires(switches)
    {
        if constexpr (requires { device_->show(region, range{}); }) {
            device_->told(region);
            for (range area = next_area(region, 4096, 0); !area.empty(); area = next_area(region, 4096, area.end()))
                if (!device_->show(region, area)) return false;
        }
        return true;
    }

    /// A file descriptor of the bytes of memory(), which stays the lower's; -1 where there is none, or where it would
    /// give more away than the user sees of the region.
    [[nodiscard]] constexpr int memory_fd(region_index region) const {
        if constexpr (requires { device_->memory_fd(region); })
            return size_of(region) < below_size_of(region) ? -1 : device_->memory_fd(region);
        else
            return -1;
    }

    /// Where in that file the region begins.
    [[nodiscard]] constexpr std::uint64_t memory_offset(region_index region) const {
        if constexpr (requires { device_->memory_offset(region); })
            return device_->memory_offset(region);
        else
            return 0;
    }

    /// When the lower next has something to do by itself, in nanoseconds of the monotonic clock; never while a
    /// migration has it stopped.
    [[nodiscard]] constexpr std::optional<std::uint64_t> deadline() const {
        if constexpr (requires { device_->deadline(); })
            if (!stopped()) return device_->deadline();
        return std::nullopt;
    }
    constexpr void advance(std::uint64_t now_ns) {
        if constexpr (requires { device_->advance(now_ns); })
            if (!stopped()) device_->advance(now_ns);
    }

    // Migration (vfio_user's `migratable`), where every policy and the device say what their state is.

    static constexpr bool migrates = detail::can_migrate<Layers, Lower>();

    [[nodiscard]] static constexpr std::uint64_t migration_flags() noexcept
        requires migrates
    {
        return progress::flags;
    }
    [[nodiscard]] constexpr migration_state migration() const noexcept
        requires migrates
    {
        return migration_.state();
    }
    constexpr result<void> migrate(migration_state to)
        requires migrates
    {
        return migration_.go(layers_, *device_, to);
    }
    constexpr result<std::size_t> read_migration(std::span<std::byte> to)
        requires migrates
    {
        return migration_.read(layers_, *device_, to);
    }
    constexpr result<void> write_migration(std::span<const std::byte> from)
        requires migrates
    {
        return migration_.write(layers_, *device_, from);
    }
    [[nodiscard]] static constexpr result<std::uint64_t> migration_size() noexcept
        requires migrates
    {
        return progress::stream_size;
    }
    /// What was wrong with the last stream.
    [[nodiscard]] constexpr const stream_report& migration_report() const noexcept
        requires migrates
    {
        return migration_.report();
    }

protected:
    constexpr void renew(Layers layers) noexcept { layers_ = std::move(layers); }
    [[nodiscard]] constexpr const Layers& layers() const noexcept { return layers_; }

private:
    [[nodiscard]] constexpr bool stopped() const noexcept {
        if constexpr (migrates)
            return migration_.stopped();
        else
            return false;
    }

    static constexpr bool mediates = !std::is_same_v<Layers, bottom<Lower>>;

    [[nodiscard]] static constexpr bool unmasks(const set_irqs& what) noexcept {
        if (what.what != set_irqs::action::unmask || what.count == 0) return false;
        return what.how == set_irqs::data::none ||
               (what.how == set_irqs::data::bools && !what.bools.empty() && what.bools[0] != 0);
    }
    /// The client says that it maps nothing of what it was told it may not: what waited for that traps now.
    constexpr void given_back() {
        if constexpr (requires { device_->given_back(); }) device_->given_back();
        detail::settle_dynamic_ranges(layers_);
    }

    /// One function a direction, given plain values, so that they stay in registers.
    [[gnu::noinline]] constexpr detail::outcome read_at(region_index region, std::uint64_t offset, std::byte* bytes,
                                                        std::size_t count) {
        const std::uint64_t size = size_of(region);
        if (count == 0) return detail::packed(0); // wherever it points: vfio-pci answers 0 before it looks
        if (offset >= size) return detail::packed(0, error::invalid);
        const read_access a{region, offset, clamped(std::span{bytes, count}, size - offset)};
        if constexpr (mediates)
            return layers_.read_here(a);
        else
            return detail::packed(layers_.read(a));
    }
    [[gnu::noinline]] constexpr detail::outcome write_at(region_index region, std::uint64_t offset,
                                                         const std::byte* bytes, std::size_t count) {
        const std::uint64_t size = size_of(region);
        if (count == 0) return detail::packed(0); // wherever it points: vfio-pci answers 0 before it looks
        if (offset >= size) return detail::packed(0, error::invalid);
        const write_access a{region, offset, clamped(std::span{bytes, count}, size - offset)};
        if constexpr (mediates)
            return layers_.write_here(a);
        else
            return detail::packed(layers_.write(a));
    }

    [[nodiscard]] constexpr std::uint64_t size_of(region_index region) const noexcept {
        const auto i = static_cast<std::uint32_t>(region);
        return i < fixed_regions ? sizes_[i] : 0;
    }

    /// As the lower has it, without what policies say of it.
    [[nodiscard]] constexpr std::uint64_t below_size_of(region_index region) const {
        const auto info = bottom<Lower>{*device_}.ioctl(get_region_info{region});
        return info ? info->size : 0;
    }

    /// How a region goes on: trapped by a policy, or by the MSI-X table, which is the device's, or kept by the lower.
    [[nodiscard]] constexpr traps run(region_index region, std::uint64_t offset, std::uint64_t count) const noexcept {
        if constexpr (requires { device_->next_area(region, offset); }) {
            const range area = device_->next_area(region, offset);
            if (area.empty()) return {count, true};
            if (area.offset > offset) return {std::min(count, area.offset - offset), true};
            count = std::min(count, area.end() - offset);
        }
        for (const auto& [bar_number, structure] :
             {std::pair{msix_.table_bar, range{msix_.table_offset, msix_.table_size}},
              std::pair{msix_.pending_bar, range{msix_.pending_offset, msix_.pending_size}}}) {
            if (structure.empty() || region != bar{bar_number}) continue;
            if (structure.contains(offset)) {
                const std::uint64_t left = structure.end() - offset;
                return {left < count ? left : count, true};
            }
            if (structure.offset > offset && structure.offset - offset < count) count = structure.offset - offset;
        }
        if constexpr (mediates)
            return layers_.run_now(region, offset, count);
        else
            return {count, false};
    }

    [[nodiscard]] constexpr range next_area_of(region_index region, std::uint64_t size, std::uint64_t page_size,
                                               std::uint64_t from) const noexcept {
        return untrapped_pages([&](std::uint64_t at, std::uint64_t count) { return run(region, at, count); }, size,
                               page_size, from);
    }

    /// Whole pages of the BARs that trap: a client is given a file to map, and the file must not hold them.
    constexpr void withhold_trapped() {
        for (std::uint32_t i = 0; i <= static_cast<std::uint32_t>(region_index::bar5); ++i) {
            const region_index region{i};
            // What the user sees of a BAR may be less than there is, and is then not mapped at all; or more.
            const std::uint64_t size = std::min<std::uint64_t>(size_of(region), device_->memory(region).size());
            for (std::uint64_t at = 0; at < size;) {
                const range area = next_area(region, 4096, at);
                const std::uint64_t end = area.empty() ? size : std::min(area.offset, size);
                if (end > at) device_->withhold(region, {at, end - at});
                at = area.empty() ? size : area.end();
            }
        }
    }

    template <class Byte>
    [[nodiscard]] static constexpr std::span<Byte> clamped(std::span<Byte> bytes, std::uint64_t left) noexcept {
        if (left == 0) __builtin_unreachable(); // an access is clamped where it begins within
        return {bytes.data(), bytes.size() <= left ? bytes.size() : static_cast<std::size_t>(left)};
    }

    Layers layers_; // first, where the front is
    Lower* device_;
    std::array<std::uint64_t, fixed_regions> sizes_{};
    msix_structures msix_{};
    [[no_unique_address]] progress migration_{};
};

/// `stack<Lower, Outermost, …, Innermost>`: with fresh policies at each open().
template <lower Lower, class... Policies>
    requires(valid<Policies> && ...)
class stack : public front<Lower, typename detail::nest<bottom<Lower>, Policies...>::type> {
    using layers = typename detail::nest<bottom<Lower>, Policies...>::type;

public:
    constexpr explicit stack(Lower& device) noexcept
        : front<Lower, layers>{device, detail::nest_over<layers>(device)} {}

    /// Nothing of an earlier open is left. error::no_device where a policy declines.
    constexpr result<void> open() {
        this->renew(detail::nest_over<layers>(this->lower()));
        return front<Lower, layers>::open();
    }
};

} // namespace mediant
