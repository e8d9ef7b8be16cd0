// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace wire_conformance {

/// A server as a program, started anew as often as it must be.
class server_process {
public:
    server_process(std::vector<std::string> command, std::string path, std::chrono::milliseconds deadline)
        : command_{std::move(command)}, path_{std::move(path)}, deadline_{deadline} {}
    server_process(const server_process&) = delete;
    server_process& operator=(const server_process&) = delete;
    ~server_process() { kill(); }

    /// Starts it, and waits until the socket is there. Throws std::runtime_error.
    void start();
    /// Waits until it has ended by itself; false where it does not.
    [[nodiscard]] bool ended();
    /// How it has ended, if it has by now: "" where it did so with success.
    [[nodiscard]] std::optional<std::string> end();
    void kill() noexcept;

private:
    std::vector<std::string> command_;
    std::string path_;
    std::chrono::milliseconds deadline_;
    pid_t process_ = 0;
    std::optional<std::string> end_;
};

} // namespace wire_conformance
