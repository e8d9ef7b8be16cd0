// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <mediant/bpf/host.hpp>
#include <mediant/device/unique_fd.hpp>

#include <cerrno>
#include <cstddef>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

namespace mediant::bpf {

/// What the host says in the kernel's log from now on: the reason for which it refuses something. Nothing where this
/// process may not read it.
class host_log {
public:
    host_log() : fd_{::open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC)} {
        if (fd_ && ::lseek(fd_.get(), 0, SEEK_END) < 0) fd_.reset();
    }

    /// The lines since then, each once.
    [[nodiscard]] std::string lines() const {
        std::string out;
        char record[8192];
        while (fd_) {
            const ssize_t size = ::read(fd_.get(), record, sizeof record);
            if (size < 0 && (errno == EPIPE || errno == EINTR)) continue; // overtaken
            if (size <= 0) break;
            // "6,1234,5678,-;the text\n KEY=value\n"
            std::string_view text{record, static_cast<std::size_t>(size)};
            text.remove_prefix(text.find(';') == text.npos ? text.size() : text.find(';') + 1);
            text = text.substr(0, text.find('\n'));
            if (text.find(host_module) != text.npos) out += (out.empty() ? "" : "\n") + std::string{text};
        }
        return out;
    }

private:
    device::unique_fd fd_;
};

} // namespace mediant::bpf
