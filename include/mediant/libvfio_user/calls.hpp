// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/core/result.hpp>

#include <cerrno>
#include <new>
#include <system_error>

/// How calls of the library and of devices fail: errno there, exceptions here.
namespace mediant::libvfio_user::detail {

/// What a callback of the library returns where it failed.
inline int failed(error why) noexcept {
    errno = to_errno(why);
    return -1;
}

/// What a device throws, or ours for want of something, is an error: the library is C.
template <class F>
[[nodiscard]] error guarded(F body) noexcept {
    try {
        body();
        return error::none;
    } catch (const std::bad_alloc&) {
        return error::no_memory;
    } catch (const std::system_error& what) {
        return error{what.code().value() != 0 ? what.code().value() : EIO};
    } catch (...) {
        return error::io;
    }
}

/// Throws std::system_error where the library's call failed.
inline void check(int returned, const char* call) {
    if (returned != 0) throw std::system_error{errno, std::generic_category(), call};
}

} // namespace mediant::libvfio_user::detail
