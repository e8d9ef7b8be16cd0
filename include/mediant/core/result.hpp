// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>
#include <utility>

/// Errors without exceptions: a value, or one of the core's error enumerators.
namespace mediant {

/// What can go wrong. The values are Linux's errno numbers (asm-generic/errno-base.h), so that an edge negates
/// them and needs no table; edges assert that they match the system's.
enum class [[nodiscard]] error : std::int32_t {
    none = 0,           ///< no error; only in answers, never in a result
    not_permitted = 1,  ///< EPERM
    not_found = 2,      ///< ENOENT
    io = 5,             ///< EIO: the hardware cannot be reached, for example with memory disabled
    no_address = 6,     ///< ENXIO
    too_big = 7,        ///< E2BIG
    again = 11,         ///< EAGAIN
    no_memory = 12,     ///< ENOMEM
    denied = 13,        ///< EACCES
    fault = 14,         ///< EFAULT
    busy = 16,          ///< EBUSY
    exists = 17,        ///< EEXIST
    no_device = 19,     ///< ENODEV: a provider declines the device
    invalid = 22,       ///< EINVAL
    not_a_request = 25, ///< ENOTTY: a request that nothing below knows
    no_space = 28,      ///< ENOSPC
    out_of_range = 34,  ///< ERANGE
    not_supported = 95, ///< EOPNOTSUPP
};

/// The error as system calls and vfio-user replies carry it: a positive errno number.
[[nodiscard]] constexpr int to_errno(error what) noexcept { return static_cast<int>(what); }

/// A T, or the error that prevented it. T is a small value type that can be default-constructed.
template <class T>
class [[nodiscard]] result {
public:
    using value_type = T;

    constexpr result(T value) noexcept : value_{std::move(value)} {}
    constexpr result(mediant::error what) noexcept : error_{what} {}

    [[nodiscard]] constexpr bool has_value() const noexcept { return error_ == mediant::error::none; }
    [[nodiscard]] constexpr explicit operator bool() const noexcept { return has_value(); }

    /// The value; to be asked for only where has_value().
    [[nodiscard]] constexpr const T& operator*() const noexcept { return value_; }
    [[nodiscard]] constexpr T& operator*() noexcept { return value_; }
    [[nodiscard]] constexpr const T* operator->() const noexcept { return &value_; }
    [[nodiscard]] constexpr T* operator->() noexcept { return &value_; }
    [[nodiscard]] constexpr T value_or(T other) const noexcept { return has_value() ? value_ : other; }

    /// error::none where there is a value.
    [[nodiscard]] constexpr mediant::error error() const noexcept { return error_; }

private:
    T value_{};
    mediant::error error_ = mediant::error::none;
};

/// Success, or an error.
template <>
class [[nodiscard]] result<void> {
public:
    using value_type = void;

    constexpr result() noexcept = default;
    constexpr result(mediant::error what) noexcept : error_{what} {}

    [[nodiscard]] constexpr bool has_value() const noexcept { return error_ == mediant::error::none; }
    [[nodiscard]] constexpr explicit operator bool() const noexcept { return has_value(); }
    [[nodiscard]] constexpr mediant::error error() const noexcept { return error_; }

private:
    mediant::error error_ = mediant::error::none;
};

} // namespace mediant
