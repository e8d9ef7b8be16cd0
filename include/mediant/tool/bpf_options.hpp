// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <string>

namespace mediant::command_line {

/// Of the commands of BPF providers; what is empty is as it is told there.
struct bpf_options {
    std::string object;
    std::string name;
    std::string pins;    ///< where links are pinned
    std::string out;     ///< where units are written to
    std::string program; ///< and what they run
    std::string objects; ///< on what
    bool dry_run = false;
    bool if_needed = false;
    bool mounts = false;
    bool json = false;
    std::string sys; ///< not of the command line: another /sys and /proc
    std::string proc;
};

} // namespace mediant::command_line
