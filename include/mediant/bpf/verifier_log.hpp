// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>
#include <string_view>

namespace mediant::bpf {

/// What a verifier's log comes to.
struct verdict {
    std::string reason; ///< its last words, as "R1 invalid mem access 'scalar'"; empty where it says nothing
    std::string source; ///< the last line of source before them, without its "; "
};

/// Reads a log of the kernel's verifier (print_verbose, verbose_linfo in kernel/bpf/). Any text will do.
[[nodiscard]] inline verdict verdict_of(std::string_view log) {
    verdict out;
    std::string_view source;
    while (!log.empty()) {
        std::string_view line = log.substr(0, log.find('\n'));
        log.remove_prefix(line.size() < log.size() ? line.size() + 1 : line.size());
        // Since 7.3 the same follows in more words, with what helps.
        if (line.starts_with("Verification failed: ") && !out.reason.empty()) break;
        // Its end, behind what it refused.
        if (line.starts_with("processed ") || line.starts_with("verification time ") ||
            line.starts_with("stack depth ") || line.starts_with("insns processed "))
            continue;
        // Behind a loop without an end.
        if (line.starts_with("cur state: ") || line.starts_with("old state: ")) continue;
        if (line.find_first_not_of(" \t\r") == line.npos || line.find('\0') == 0) continue;
        if (line.starts_with("; ")) {
            source = line.substr(2);
            continue;
        }
        out.reason = line;
        out.source = source;
    }
    return out;
}

} // namespace mediant::bpf
