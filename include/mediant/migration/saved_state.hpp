// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/migration/fault.hpp>
#include <mediant/migration/stream.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <tuple>
#include <type_traits>

/// What of a policy, or of a simulated device, is its state, as a value:
///
///     static constexpr auto migration() {
///         return saved_state{2, {.oldest = 1},
///             saved{"reads", &edu::reads},
///             saved{"mode", &edu::mode, {.most = 3, .since = 2}}, // what version 1 did not have is as after a reset
///             saved_registers<bar0>{},                            // the shadows of a map
///             no_longer_saved{"errors"}};                         // what version 1 had, and nobody needs
///     }
///
/// Saving, restoring, checks and sizes follow from it. A field is a number, a bool, an enumerator with bounds, or an
/// array of them.
namespace mediant {

namespace detail {
template <class T>
struct saved_scalar {
    using type = T;
};
template <class T, std::size_t N>
struct saved_scalar<std::array<T, N>> : saved_scalar<T> {};
template <class T, std::size_t N>
struct saved_scalar<T[N]> : saved_scalar<T> {};
template <class T>
using saved_scalar_t = typename saved_scalar<T>::type;

template <class T, bool = std::is_enum_v<T>>
struct saved_number {
    using type = T;
};
template <class T>
struct saved_number<T, true> : std::underlying_type<T> {};
template <class T>
using saved_number_t = typename saved_number<T>::type;

template <class T>
concept saved_as_field = std::is_integral_v<saved_scalar_t<T>> || std::is_enum_v<saved_scalar_t<T>> ||
                         std::is_same_v<saved_scalar_t<T>, std::byte>;
} // namespace detail

/// What a field's values lie between, and since which version there is such a field.
template <class T>
struct saved_options {
    T least = std::numeric_limits<T>::min();
    T most = std::numeric_limits<T>::max();
    std::uint32_t since = 0;
};

template <class Owner, class T>
struct saved {
    static_assert(detail::saved_as_field<T>,
                  "mediant: a saved field is a number, a bool, an enumerator or an array of them");
    using scalar = detail::saved_scalar_t<T>;
    using number = detail::saved_number_t<scalar>;

    std::string_view name;
    T Owner::*member;
    saved_options<number> options{};

    constexpr saved(std::string_view the_name, T Owner::*the_member, saved_options<number> the_options = {}) noexcept
        : name{the_name}, member{the_member}, options{the_options} {}
};

/// The shadows of a map, and which of its dynamic ranges are trapped; of a config map its shadows, COMMAND and what was
/// written to its BARs. A register that the stream of an older version lacks is as after a reset.
template <const auto& Map>
struct saved_registers {};

/// A field of an older version's stream, or a register, that is passed over.
struct no_longer_saved {
    std::string_view name;
    constexpr explicit no_longer_saved(std::string_view the_name) noexcept : name{the_name} {}
};

struct saved_versions {
    std::uint32_t oldest = 0; ///< whose streams are still taken; the version itself unless stated
};

template <class... Parts>
struct saved_state {
    std::uint32_t version;
    std::uint32_t oldest;
    std::tuple<Parts...> parts;

    constexpr explicit saved_state(std::uint32_t the_version, const Parts&... each) noexcept
        : version{the_version}, oldest{the_version}, parts{each...} {}
    constexpr saved_state(std::uint32_t the_version, saved_versions also, const Parts&... each) noexcept
        : version{the_version}, oldest{also.oldest}, parts{each...} {}
};
template <class... Parts>
saved_state(std::uint32_t, saved_versions, const Parts&...) -> saved_state<Parts...>;

/// Says what its state is.
template <class T>
concept has_saved_state = requires {
    { T::migration().version } -> std::convertible_to<std::uint32_t>;
    T::migration().parts;
};

namespace detail {

template <class T, class F>
constexpr bool each_scalar(T& value, const F& f) {
    if constexpr (requires { value.size(); }) {
        for (auto& one : value)
            if (!each_scalar(one, f)) return false;
        return true;
    } else if constexpr (std::is_array_v<T>) {
        for (auto& one : value)
            if (!each_scalar(one, f)) return false;
        return true;
    } else {
        return f(value);
    }
}

template <class T>
using saved_bits = std::conditional_t<
    sizeof(T) == 1, std::uint8_t,
    std::conditional_t<sizeof(T) == 2, std::uint16_t, std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>>>;

/// How a field begins in a stream.
inline constexpr std::size_t field_overhead = 1 + 4;

} // namespace detail

/// Writes a party's fields into a payload. `Owner` gives its object as `object()`, and `save_registers<Map>(to)`.
template <class Owner, class... Parts>
constexpr void write_state(const saved_state<Parts...>& what, Owner& owner, payload_writer& to) {
    const auto part = [&]<class Part>(const Part& each) {
        if constexpr (requires { each.member; }) {
            auto& value = owner.object().*each.member;
            to.name(each.name);
            to.number(static_cast<std::uint32_t>(sizeof value));
            detail::each_scalar(value, [&](const auto& one) {
                to.number(static_cast<detail::saved_bits<std::remove_cvref_t<decltype(one)>>>(one));
                return true;
            });
        } else if constexpr (requires { owner.save_registers(each, to); }) {
            owner.save_registers(each, to);
        }
    };
    std::apply([&](const Parts&... each) { (part(each), ...); }, what.parts);
}

/// Bytes that write_state() gives at most; always as many.
template <class Owner, class... Parts>
[[nodiscard]] constexpr std::size_t saved_size(const saved_state<Parts...>& what) {
    std::size_t total = 0;
    const auto part = [&total]<class Part>(const Part& each) {
        if constexpr (requires { each.member; })
            total += detail::field_overhead + each.name.size() +
                     sizeof(std::remove_cvref_t<decltype(std::declval<typename Owner::object_type&>().*each.member)>);
        else if constexpr (requires { Owner::registers_size(each); })
            total += Owner::registers_size(each);
    };
    std::apply([&](const Parts&... each) { (part(each), ...); }, what.parts);
    return total;
}

/// Takes a party's fields from a payload of a version that was looked at before: first with `commit` false, to know
/// whether all of it is good, and then with true.
template <class Owner, class... Parts>
class state_reader {
public:
    constexpr state_reader(const saved_state<Parts...>& what, Owner& owner, std::uint32_t version, bool commit) noexcept
        : what_{what}, owner_{owner}, older_{version < what.version}, version_{version}, commit_{commit} {}

    /// stream_fault::none, or what is wrong; field() then names where.
    constexpr stream_fault read(payload_reader& from) {
        stream_fault wrong = stream_fault::none;
        std::apply([&](const Parts&... each) {
            static_cast<void>((((wrong = part(each, from)) == stream_fault::none) && ...));
        }, what_.parts);
        if (wrong != stream_fault::none) return wrong;
        pass_over(from);
        if (from.at_end()) return stream_fault::none;
        field_ = {};
        return stream_fault::unexpected;
    }

    [[nodiscard]] constexpr std::string_view field() const noexcept { return field_; }

    // What an owner's registers are read with.

    /// The bytes of the field that must come next; empty where an older stream does not have it, or where something is
    /// wrong.
    constexpr stream_fault next(payload_reader& from, std::string_view name, std::size_t size,
                                std::span<const std::byte>& bytes, std::uint32_t since = 0) {
        field_ = name;
        bytes = {};
        pass_over(from);
        if (!from.name_is(name)) {
            if (older_ && (since == 0 || version_ < since)) return stream_fault::none;
            return stream_fault::missing;
        }
        if (from.number<std::uint32_t>() != size || !from.whole()) return stream_fault::size;
        bytes = from.bytes(size);
        return from.whole() ? stream_fault::none : stream_fault::cut;
    }
    [[nodiscard]] constexpr bool commits() const noexcept { return commit_; }

private:
    template <class Object, class T>
    constexpr stream_fault part(const saved<Object, T>& each, payload_reader& from) {
        std::span<const std::byte> bytes;
        // Without a version of its own a field has always been there.
        const std::uint32_t since = each.options.since == 0 ? 1 : each.options.since;
        if (const stream_fault wrong = next(from, each.name, sizeof(T), bytes, since); wrong != stream_fault::none)
            return wrong;
        if (bytes.empty()) return stream_fault::none;
        payload_reader numbers{bytes};
        bool good = true;
        detail::each_scalar(owner_.object().*each.member, [&](auto& one) {
            using scalar = std::remove_cvref_t<decltype(one)>;
            const auto bits = numbers.template number<detail::saved_bits<scalar>>();
            if constexpr (std::is_same_v<scalar, bool>) {
                good = bits <= 1;
                if (good && commit_) one = bits != 0;
            } else {
                using number = typename saved<Object, T>::number;
                const auto value = static_cast<number>(bits);
                good = value >= each.options.least && value <= each.options.most;
                if (good && commit_) one = static_cast<scalar>(value);
            }
            return good;
        });
        return good ? stream_fault::none : stream_fault::bounds;
    }
    template <const auto& Map>
    constexpr stream_fault part(const saved_registers<Map>& each, payload_reader& from) {
        return owner_.restore_registers(each, from, *this);
    }
    constexpr stream_fault part(const no_longer_saved&, payload_reader&) { return stream_fault::none; }

    constexpr void pass_over(payload_reader& from) {
        if (!older_) return;
        const auto skip = [&]<class Part>(const Part& each) {
            if constexpr (std::is_same_v<Part, no_longer_saved>) {
                if (!from.name_is(each.name)) return false;
                static_cast<void>(from.bytes(from.number<std::uint32_t>()));
                return from.whole();
            } else {
                return false;
            }
        };
        while (std::apply([&](const Parts&... each) { return (skip(each) || ...); }, what_.parts)) {}
    }

    const saved_state<Parts...>& what_;
    Owner& owner_;
    bool older_;
    std::uint32_t version_;
    bool commit_;
    std::string_view field_{};
};

} // namespace mediant
