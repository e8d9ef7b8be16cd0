// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

/// libvfio-user's server, on memory, on a thread of its own: what mediant's is compared with.
class theirs {
public:
    /// BAR 0 is `size` bytes. With `spinning` it polls; `processor` is where its thread runs. Throws
    /// std::runtime_error.
    theirs(const std::string& path, std::size_t size, bool spinning, int processor);
    theirs(const theirs&) = delete;
    theirs& operator=(const theirs&) = delete;
    /// After its client's end.
    ~theirs();

    /// Whether this program was built with it.
    [[nodiscard]] static bool there() noexcept;

private:
    struct server;
    std::unique_ptr<server> server_;
};
