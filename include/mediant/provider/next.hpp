// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/lower.hpp>
#include <mediant/registers/config_map.hpp>
#include <mediant/registers/map.hpp>
#include <mediant/registers/trap_table.hpp>

#include <concepts>
#include <cstdint>
#include <type_traits>

/// What a policy sees of the world: the layer below it, its own registers' backing, and services.
namespace mediant {

namespace detail {
// provider/dynamic_layers.hpp
template <const auto& Map, std::size_t Index, class Layer>
constexpr result<void> switch_dynamic(Layer& layer, bool trapped);
template <const auto& Map, std::size_t Index, class Layer>
[[nodiscard]] constexpr bool dynamic_traps(const Layer& layer) noexcept;
template <const auto& Map, std::size_t Index, class Layer>
[[nodiscard]] constexpr bool dynamic_will_trap(const Layer& layer) noexcept;
} // namespace detail

/// One interrupt vector of the device: `line{irq_index::msi, 0}`.
struct line {
    irq_index index;
    std::uint32_t vector = 0;
};

/// A value of which only some byte lanes were written. A write hook that takes it is called for partial writes
/// as they are; one that takes the plain type gets full widths only.
template <std::unsigned_integral T>
struct lanes {
    T value; ///< 0 in the lanes that were not written
    T mask;  ///< ones in the lanes that were
};

namespace detail {
template <class>
inline constexpr bool never = false;
} // namespace detail

/// `auto& next` of every op and hook. Layer is the policy's own layer in the stack.
template <class Layer>
class next_of {
public:
    constexpr explicit next_of(Layer& layer) noexcept : layer_{&layer} {}

    /// Passes an access on to the layer below.
    constexpr answer read(const read_access& a) const { return layer_->below().read(a); }
    constexpr answer write(const write_access& a) const { return layer_->below().write(a); }

    /// One value from or to the layer below, in the processor's byte order.
    template <std::unsigned_integral T>
    [[nodiscard]] constexpr result<T> load(region_index region, std::uint64_t offset) const {
        std::byte bytes[sizeof(T)]{};
        const answer done = read({region, offset, bytes});
        if (done.count != sizeof(T)) return shortfall(done);
        return detail::load_bytes<T>(bytes);
    }
    template <std::unsigned_integral T>
    constexpr result<void> store(region_index region, std::uint64_t offset, T value) const {
        std::byte bytes[sizeof(T)]{};
        detail::store_bytes(bytes, value);
        const answer done = write({region, offset, bytes});
        if (done.count != sizeof(T)) return shortfall(done);
        return {};
    }

    /// What a read of one of the policy's registers would answer if it had no hook: by its kind and backing. Of an
    /// array's, the element is named.
    template <const auto& Map, std::size_t Index>
    [[nodiscard]] constexpr auto read(entry_tag<Map, Index> which) const {
        return layer_->read_backing(single(which), 0);
    }
    template <const auto& Map, std::size_t Index>
    [[nodiscard]] constexpr auto read(entry_tag<Map, Index> which, std::size_t element) const {
        return layer_->read_backing(which, element);
    }
    /// What a write of the whole register would do if it had no hook.
    template <const auto& Map, std::size_t Index>
    constexpr result<void> write(entry_tag<Map, Index> which, typename entry_tag<Map, Index>::value_type value) const {
        return layer_->write_backing(single(which), 0, value);
    }
    template <const auto& Map, std::size_t Index>
    constexpr result<void> write(entry_tag<Map, Index> which, std::size_t element,
                                 typename entry_tag<Map, Index>::value_type value) const {
        return layer_->write_backing(which, element, value);
    }
    /// Sets a shadow whatever its kind, as the device itself would: raises a bit of a w1c register, say. An element
    /// beyond the array is left out.
    template <const auto& Map, std::size_t Index>
    constexpr void assign(entry_tag<Map, Index> which, typename entry_tag<Map, Index>::value_type value) const {
        assign(single(which), 0, value);
    }
    template <const auto& Map, std::size_t Index>
    constexpr void assign(entry_tag<Map, Index> which, std::size_t element,
                          typename entry_tag<Map, Index>::value_type value) const {
        static_assert(detail::has_shadow<Map>(Map.entries[Index]),
                      "mediant: only a register with a shadow can be assigned");
        layer_->assign_shadow(which, element, value);
    }

    /// What a shadow holds, whatever its kind: also of a register that users read as 0. Reading it changes nothing;
    /// an element beyond the array holds 0.
    template <const auto& Map, std::size_t Index>
    [[nodiscard]] constexpr auto held(entry_tag<Map, Index> which, std::size_t element = 0) const {
        static_assert(detail::has_shadow<Map>(Map.entries[Index]), "mediant: only a register with a shadow holds a value");
        return layer_->held_in_shadow(which, element);
    }

    /// Switches a dynamic range: its pages are passed to the device and may be mapped, or are trapped again. The
    /// user is told, and reads the sparse areas anew. error::again: users have yet to give their mappings back, and were
    /// asked to; the range traps as soon as they have, or stays as it is after an untrap(). error::busy where a live
    /// mapping cannot be taken back; then nothing has changed.
    template <const auto& Map, std::size_t Index>
    constexpr result<void> untrap(entry_tag<Map, Index>) const {
        return detail::switch_dynamic<Map, Index>(*layer_, false);
    }
    template <const auto& Map, std::size_t Index>
    constexpr result<void> trap(entry_tag<Map, Index>) const {
        return detail::switch_dynamic<Map, Index>(*layer_, true);
    }

    /// Whether accesses to a dynamic range trap now.
    template <const auto& Map, std::size_t Index>
    [[nodiscard]] constexpr bool trapped(entry_tag<Map, Index>) const noexcept {
        return detail::dynamic_traps<Map, Index>(*layer_);
    }
    /// Whether they will when the migration's stream has been restored: for restored(), which may trap() what a stream that
    /// somebody has made would pass, or refuse it.
    template <const auto& Map, std::size_t Index>
    [[nodiscard]] constexpr bool will_trap(entry_tag<Map, Index>) const noexcept {
        return detail::dynamic_will_trap<Map, Index>(*layer_);
    }

    /// Passes a request on.
    template <request R>
    constexpr result<typename R::answer> ioctl(const R& what) const {
        return layer_->below().ioctl(what);
    }

    /// The device's view of memory: read(iova, bytes), write(iova, bytes), translate.
    [[nodiscard]] constexpr decltype(auto) dma() const {
        if constexpr (requires { layer_->device().dma(); })
            return layer_->device().dma();
        else
            static_assert(detail::never<Layer>, "mediant: this world has no DMA service");
    }

    /// The device has written [iova, iova + size) by DMA, as far as there are addresses: for the log of written pages
    /// (start_dma_logging), which knows by itself only of what is written through dma(). To be said when the bytes are
    /// there, and before the log is asked: a policy that finds out by looking overloads report_dma_logging and looks then.
    /// Without effect where nothing is logged.
    constexpr void dirty(std::uint64_t iova, std::uint64_t size) const {
        if (size == 0) return;
        if (size - 1 > ~iova) size = ~iova + 1;
        if constexpr (requires { layer_->device().dirty(iova, size); })
            layer_->device().dirty(iova, size);
        else
            static_assert(detail::never<Layer>, "mediant: this world has no log of what a device writes by DMA");
    }

    /// Raises an interrupt towards the user.
    constexpr result<void> trigger(line which) const {
        if constexpr (requires { layer_->device().trigger(which.index, which.vector); })
            return layer_->device().trigger(which.index, which.vector);
        else
            static_assert(detail::never<Layer>, "mediant: this world has no interrupt service");
        return {}; // not reached; spares a second error
    }

    /// A literal text and up to three numbers to the world's log; rate-limited in the kernel.
    template <std::integral... Numbers>
        requires(sizeof...(Numbers) <= 3)
    constexpr void log(const char* literal, Numbers... numbers) const {
        if constexpr (requires { layer_->device().log(literal, static_cast<std::uint64_t>(numbers)...); })
            layer_->device().log(literal, static_cast<std::uint64_t>(numbers)...);
        else
            static_assert(detail::never<Layer>, "mediant: this world has no log service");
    }

private:
    template <class Tag>
    [[nodiscard]] static constexpr Tag single(Tag which) noexcept {
        static_assert(!Tag::is_array, "mediant: which element of an array is read, written or assigned must be said");
        return which;
    }

    Layer* layer_;
};

/// `next` of a policy's own read and write ops, which stand above its maps: passes through them.
template <class Layer>
class next_through_map : public next_of<Layer> {
public:
    constexpr explicit next_through_map(Layer& layer) noexcept : next_of<Layer>{layer}, layer_{&layer} {}

    using next_of<Layer>::read;
    using next_of<Layer>::write;
    constexpr answer read(const read_access& a) const { return layer_->read_map(a); }
    constexpr answer write(const write_access& a) const { return layer_->write_map(a); }

private:
    Layer* layer_;
};

} // namespace mediant
